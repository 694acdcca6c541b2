// What the formats of small blocks with looked-up levels share.
#pragma once

#include <array>

#include "quanta/format.hpp"
#include "quanta/formats/q8_0.hpp"
#include "quanta/formats/words.hpp"
#include "quanta/simd/vocabulary.hpp"

namespace quanta::detail {

struct nibble_block_traits {
  static constexpr bool affine = false, layout_is_runs = true;
  using dot_partner = q8_0;

  constexpr float minimum(std::size_t) const { return 0.f; }
};

/// Code l of a run of 32 nibbles in 16 bytes: byte j holds code j in the low nibble, code j + 16 in the high one.
constexpr std::uint8_t nibble_of_run(const std::uint8_t* p, std::size_t l) { return p[l % 16] >> (l < 16 ? 0 : 4) & 15; }
[[gnu::always_inline]] constexpr void assemble_nibbles_of_run(std::uint8_t* p, const std::uint8_t* q) {
  for (std::size_t l = 0; l < 16; l += 8)
    store_word(p + l, pack_nibbles(q + l, q + l + 16));
}

} // namespace quanta::detail
