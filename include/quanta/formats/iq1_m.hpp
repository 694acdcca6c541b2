// IQ1_M: 1.75 bits a weight, 56 bytes for 256 weights in 16 groups of 16.
//
//   x = d * (2 s[g] + 1) * (c +- 1/8)        c in -1, 0, 1 by codebook, s in 0..7
//
//    0  qs      32 bytes: bits 0-7 of the codebook entry of 8-vector k
//   32  qh      16 bytes: a nibble a vector, even k low: bits 0-2 are bits 8-10 of its entry, bit 3 is 1 for a shift down
//   48  scales  4 u16: bits 3j .. 3j + 2 of word w are s[4w + j], bits 12-15 are bits 4w .. 4w + 3 of the half d
//
// The book of iq1_s. Good: with importance a step better than iq1_s; encodes without it too. Bad: as iq1_s; without
// importance large weights count so much that the squared error exceeds that of iq1_s; d lies in four pieces.
#pragma once

#include "quanta/formats/iq1_block.hpp"

namespace quanta {

struct iq1_m : detail::iq1_block<iq1_m> {
  static constexpr std::size_t group_size = 16;
  static constexpr tensor_type type = tensor_type::iq1_m;
  static constexpr std::string_view name = "iq1_m";

  std::array<std::uint8_t, 32> qs;
  std::array<std::uint8_t, 16> qh;
  std::array<std::uint8_t, 8> scales;

  /// The product puts nibble k, at 16 k, to 48 + 4 k; no two meet, and no others come there.
  [[gnu::always_inline]] constexpr f16 collected_d() const {
    const std::uint64_t nibbles = detail::load_double_word(scales.data()) >> 12 & 0x000F000F000F000Full;
    return f16::from_bits(static_cast<std::uint16_t>(nibbles * 0x0001001001001000ull >> 48));
  }
  [[gnu::always_inline]] constexpr simd::small_integers group_scales() const {
    const std::uint64_t w = detail::load_double_word(scales.data());
    const auto four = [](std::uint64_t word) {
      return (word & 7) | (word & 0x38) << 5 | (word & 0x1C0) << 10 | (word & 0xE00) << 15;
    };
    return {detail::odd_multiples(four(w) | four(w >> 16) << 32), detail::odd_multiples(four(w >> 32) | four(w >> 48) << 32)};
  }
  template <class Isa>
    requires simd::has_index_words<Isa>
  [[gnu::always_inline]] simd::vec<std::int16_t, 16, Isa> scale_words() const {
    return detail::odd_multiples<Isa>(simd::half_of<1>(simd::spread_fields<3, 4, 0, 3, 8, Isa>(&qh[8])));
  }
  constexpr float scale(std::size_t g) const {
    return static_cast<float>(collected_d()) * unit * static_cast<float>(group_scales()[g]);
  }
  constexpr std::size_t entry(std::size_t k) const {
    return qs[k] | (static_cast<unsigned>(qh[k / 2]) >> 4 * (k % 2) & 15u) << 8;
  }
  template <class Isa>
  [[gnu::always_inline]] simd::index_words<Isa> high_bits() const {
    return simd::spread_fields<4, 4, 0, 4, 8, Isa>(qh.data());
  }
  /// d = infinity.
  [[gnu::always_inline]] constexpr void make_infinite() {
    for (std::size_t w = 0; w < 4; ++w)
      scales[2 * w + 1] = static_cast<std::uint8_t>((scales[2 * w + 1] & 15) | (0x7C00u >> 4 * w & 15u) << 4);
  }
  /// Entries and shifts (not 0: down) of 32 vectors, s of 16 groups.
  [[gnu::always_inline]] constexpr void assemble(f16 d, const std::uint8_t* s, const std::uint16_t* entries,
                                                 const std::uint8_t* down) {
    const auto nibble = [&](std::size_t k) { return static_cast<unsigned>(entries[k]) >> 8 | (down[k] != 0 ? 8u : 0u); };
    for (std::size_t k = 0; k < 32; ++k)
      qs[k] = static_cast<std::uint8_t>(entries[k]);
    for (std::size_t k = 0; k < 16; ++k)
      qh[k] = detail::join_nibbles(nibble(2 * k), nibble(2 * k + 1));
    for (std::size_t w = 0; w < 4; ++w) {
      unsigned word = (static_cast<unsigned>(d.bits) >> 4 * w & 15u) << 12;
      for (std::size_t j = 0; j < 4; ++j)
        word |= static_cast<unsigned>(s[4 * w + j]) << 3 * j;
      scales[2 * w] = static_cast<std::uint8_t>(word);
      scales[2 * w + 1] = static_cast<std::uint8_t>(word >> 8);
    }
  }
};
static_assert(sizeof(iq1_m) == row_bytes(tensor_type::iq1_m, iq1_m::block_size));

} // namespace quanta
