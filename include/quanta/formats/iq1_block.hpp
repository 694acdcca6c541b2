// What iq1_s and iq1_m share: entries of one book of ternary 8-vectors, and a shift of an eighth up or down.
#pragma once

#include "quanta/formats/codebook_block.hpp"
#include "quanta/formats/grids/iq1s.hpp"

namespace quanta {

namespace grids {
/// 8 c + 16 for c in -1, 0, 1.
inline constexpr auto iq1s_words = expand<std::uint64_t>(iq1s, std::array<std::uint8_t, 3>{8, 16, 24});
}

namespace detail {

/// x = d / 8 * (2 s + 1) * (8 c +- 1): the shift is part of the code, so that it needs no sum of its own in products.
struct iq1_block_traits : codebook_block_traits {
  static constexpr int code_offset = 16;
  static constexpr float unit = 0.125f;

  [[gnu::always_inline]] static constexpr std::uint64_t shifted(std::size_t entry, bool down) {
    const std::uint64_t word = grids::iq1s_words[entry], ones = 0x0101010101010101ull; // bytes 8 to 24: no carry
    return down ? word - ones : word + ones;
  }
};

} // namespace detail
} // namespace quanta
