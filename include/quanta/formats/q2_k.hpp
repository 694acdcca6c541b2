// Q2_K: 2.625 bits a weight, 84 bytes for 256 weights in 16 groups of 16.
//
//   x = d * s[g] * q  -  dmin * m[g]        q in 0..3, s and m in 0..15
//
//    0  pairs  16 bytes: byte g holds s[g] in the low nibble, m[g] in the high one
//   16  qs     64 bytes: byte 32h + l holds weights 128h + l, + 32, + 64, + 96 from the low bits up
//   80  d      half
//   82  dmin   half
//
// Good: the smallest with plain levels. Bad: 3 to 4 % perplexity even in the mixes; wants an importance matrix.
#pragma once

#include "quanta/formats/super_block.hpp"

namespace quanta {

template <>
struct super_block<2> : detail::planar_super_block<super_block<2>> {
  static constexpr std::size_t group_size = 16;
  static constexpr bool affine = true;
  static constexpr int code_offset = 0, levels = 4, largest_scale = 15;
  static constexpr tensor_type type = tensor_type::q2_k;
  static constexpr std::string_view name = "q2_K";

  std::array<std::uint8_t, 16> pairs;
  std::array<std::uint8_t, 64> qs;
  packed<f16> d, dmin;

  [[gnu::always_inline]] constexpr simd::small_integers group_scales() const {
    constexpr std::uint64_t nibbles = 0x0F0F0F0F0F0F0F0Full;
    return {detail::load_double_word(&pairs[0]) & nibbles, detail::load_double_word(&pairs[8]) & nibbles};
  }
  [[gnu::always_inline]] constexpr simd::small_integers group_minima() const {
    constexpr std::uint64_t nibbles = 0x0F0F0F0F0F0F0F0Full;
    return {detail::load_double_word(&pairs[0]) >> 4 & nibbles, detail::load_double_word(&pairs[8]) >> 4 & nibbles};
  }
  template <class Isa>
    requires simd::has_scale_words<Isa>
  [[gnu::always_inline]] simd::vec<std::int16_t, 16, Isa> scale_words() const {
    return simd::load_words<16, Isa>(pairs.data()) & simd::fill<simd::vec<std::int16_t, 16, Isa>>(15);
  }
  template <class Isa>
    requires simd::has_scale_words<Isa>
  [[gnu::always_inline]] simd::vec<std::int16_t, 16, Isa> minimum_words() const {
    return simd::shift_right<4>(simd::load_words<16, Isa>(pairs.data()));
  }
  constexpr float scale(std::size_t g) const { return static_cast<float>(d.get()) * static_cast<float>(pairs[g] & 15); }
  constexpr float minimum(std::size_t g) const {
    return static_cast<float>(dmin.get()) * static_cast<float>(pairs[g] >> 4);
  }
  constexpr int code(std::size_t i) const { return qs[i / 128 * 32 + i % 32] >> 2 * (i % 128 / 32) & 3; }

  static constexpr std::array<detail::bit_field, 1> fields(int portion) {
    return {{{16 + portion / 4 * 32, portion % 4 * 2, 2, 0}}};
  }
  [[gnu::always_inline]] constexpr void assemble(f16 scale, f16 min_scale, const std::uint8_t* s, const std::uint8_t* m,
                                                 const std::uint8_t* q) {
    d = scale, dmin = min_scale;
    for (std::size_t g = 0; g < 16; ++g)
      pairs[g] = static_cast<std::uint8_t>(s[g] | m[g] << 4);
    detail::assemble_crumb_plane<0>(qs, q);
  }
};
using q2_k = super_block<2>;
static_assert(sizeof(q2_k) == row_bytes(tensor_type::q2_k, q2_k::block_size));

} // namespace quanta
