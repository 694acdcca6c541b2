// What iq1_s and iq1_m share: entries of one book of ternary 8-vectors, and a shift of an eighth up or down.
#pragma once

#include "quanta/formats/codebook_block.hpp"
#include "quanta/formats/grids/iq1s.hpp"

namespace quanta::detail {

/// x = d / 8 * (2 s + 1) * (8 c +- 1): the shift is part of the code, so that it needs no sum of its own in products.
struct iq1_block_traits : codebook_block_traits {
  static constexpr int code_offset = 16;
  static constexpr float unit = 0.125f;
  using book = grids::expanded<grids::iq1s, 8, 16, 24>; // 8 c + 16 for c in -1, 0, 1

  /// What is added to the 8 bytes of an entry: 1 each, or -1 where the shift is down.
  static constexpr std::array<std::uint64_t, 2> shifts{0x0101010101010101ull, 0xFFFFFFFFFFFFFFFFull};

  [[gnu::always_inline]] static constexpr int shifted_code(std::size_t entry, bool down, std::size_t j) {
    return book::value(entry, j) + (down ? -1 : 1);
  }
  /// 32 codes of four vectors.
  template <class Isa>
  [[gnu::always_inline]] static simd::code_bytes<Isa> shifted_codes(const std::array<std::size_t, 4>& entries,
                                                                    const std::array<bool, 4>& down) {
    const auto& words = book::words;
    return simd::from_words<Isa>(words[entries[0]], words[entries[1]], words[entries[2]], words[entries[3]]) +
           simd::from_words<Isa>(shifts[down[0]], shifts[down[1]], shifts[down[2]], shifts[down[3]]);
  }
  /// 64 codes of vectors 8 Pair and on, from the low and the high bits of 32 entries; 1 in `down` where the shift is.
  template <int Pair, class Isa>
  [[gnu::always_inline]] static simd::double_code_bytes<Isa>
  shifted_codes(const std::array<std::uint8_t, 32>& low, const simd::index_words<Isa>& high,
                const simd::index_words<Isa>& down) {
    using W = simd::index_words<Isa>;
    const W indices = simd::widen_indices<Isa>(simd::load<simd::code_bytes<Isa>>(low.data())) | high;
    const W two = simd::shift_left<1>(down), less = two | simd::shift_left<8>(two); // bytes that are 2 where down
    return simd::load_double_words<Pair>(book::words.data(), indices) + simd::fill<simd::double_code_bytes<Isa>>(1) -
           simd::repeat_words<Pair>(less);
  }
};

} // namespace quanta::detail
