// IQ1_S: 1.5625 bits a weight, 50 bytes for 256 weights in 8 groups of 32.
//
//   x = d * (2 s[g] + 1) * (c +- 1/8)        c in -1, 0, 1 by codebook, s in 0..7
//
//    0  d   half
//    2  qs  32 bytes: bits 0-7 of the codebook entry of 8-vector k
//   34  qh  8 u16: bits 3k .. 3k + 2 are bits 8-10 of the entry of the k-th vector of the group, bits 12-14 are s, bit 15 is 1
//           where the group is shifted down
//
// 2,048 entries of 8 ternary levels. Good: the smallest of all for weights that were not trained so. Bad: for large models
// only, with an importance matrix, which the encoder requires to be of use.
#pragma once

#include "quanta/formats/iq1_block.hpp"

namespace quanta {

struct iq1_s : detail::iq1_block<iq1_s> {
  static constexpr std::size_t group_size = 32;
  static constexpr tensor_type type = tensor_type::iq1_s;
  static constexpr std::string_view name = "iq1_s";

  packed<f16> d;
  std::array<std::uint8_t, 32> qs;
  std::array<packed<std::uint16_t>, 8> qh;

  [[gnu::always_inline]] constexpr simd::small_integers group_scales() const {
    return {detail::odd_multiples(detail::join_bytes([&](std::size_t g) { return qh[g].get() >> 12 & 7; }))};
  }
  template <class Isa>
    requires simd::has_index_words<Isa>
  [[gnu::always_inline]] simd::vec<std::int16_t, 16, Isa> scale_words() const {
    return detail::odd_multiples<Isa>(
        simd::half_of<0>(simd::spread_fields<0, 2, 12, 3, 8, Isa>(reinterpret_cast<const std::uint8_t*>(qh.data()))));
  }
  constexpr float scale(std::size_t g) const {
    return static_cast<float>(d.get()) * unit * static_cast<float>(group_scales()[g]);
  }
  constexpr std::size_t entry(std::size_t k) const {
    const unsigned word = qh[k / 4].get();
    return qs[k] | (word >> 3 * (k % 4) & 7u) << 8 | word >> 15 << 11;
  }
  template <class Isa>
  [[gnu::always_inline]] simd::index_words<Isa> high_bits() const {
    const auto* words = reinterpret_cast<const std::uint8_t*>(qh.data());
    return simd::spread_fields<3, 4, 0, 3, 8, Isa>(words) | simd::spread_fields<0, 4, 15, 1, 11, Isa>(words);
  }
  /// Entries and shifts (not 0: down) of 32 vectors, the four of a group shifted alike; s of 8 groups.
  [[gnu::always_inline]] constexpr void assemble(f16 scale, const std::uint8_t* s, const std::uint16_t* entries,
                                                 const std::uint8_t* down) {
    d = scale;
    for (std::size_t g = 0; g < 8; ++g) {
      unsigned word = static_cast<unsigned>(s[g]) << 12 | (down[4 * g] != 0 ? 0x8000u : 0u);
      for (std::size_t k = 0; k < 4; ++k) {
        qs[4 * g + k] = static_cast<std::uint8_t>(entries[4 * g + k]);
        word |= static_cast<unsigned>(entries[4 * g + k]) >> 8 << 3 * k;
      }
      qh[g] = static_cast<std::uint16_t>(word);
    }
  }
};
static_assert(sizeof(iq1_s) == row_bytes(tensor_type::iq1_s, iq1_s::block_size));

} // namespace quanta
