// Q6_K: 6.5625 bits a weight, 210 bytes for 256 weights in 16 groups of 16.
//
//   x = d * s[g] * (q - 32)        q in 0..63, s in -128..127
//
//     0  ql      128 bytes: byte 64h + 32(r & 1) + l holds the low nibble of weight 128h + 32r + l; r = 0, 1 in the low,
//                r = 2, 3 in the high half of the byte
//   128  qh      64 bytes: byte 32h + l, bits 2r.. are bits 4-5 of the code of weight 128h + 32r + l
//   192  scales  16 signed bytes
//   208  d       half (210 is even only: nothing in a row of blocks is aligned to 4)
//
// Good: as exact as q8_0 in practice for three quarters of its size; output matrices of the mixes. Bad: slower to unpack.
#pragma once

#include "quanta/formats/super_block.hpp"

namespace quanta {

template <>
struct super_block<6> : detail::planar_super_block<super_block<6>> {
  static constexpr std::size_t group_size = 16;
  static constexpr bool affine = false;
  static constexpr int code_offset = 32, levels = 64;
  static constexpr tensor_type type = tensor_type::q6_k;
  static constexpr std::string_view name = "q6_K";

  std::array<std::uint8_t, 128> ql;
  std::array<std::uint8_t, 64> qh;
  std::array<std::int8_t, 16> scales;
  packed<f16> d;

  [[gnu::always_inline]] constexpr simd::small_integers group_scales() const {
    const auto bytes = std::bit_cast<std::array<std::uint8_t, 16>>(scales);
    return {detail::load_double_word(&bytes[0]), detail::load_double_word(&bytes[8])};
  }
  constexpr float scale(std::size_t g) const { return static_cast<float>(d.get()) * static_cast<float>(scales[g]); }
  constexpr float minimum(std::size_t) const { return 0.f; }
  constexpr int code(std::size_t i) const {
    const std::size_t h = i / 128, r = i % 128 / 32, l = i % 32;
    return (ql[64 * h + 32 * (r & 1) + l] >> (r < 2 ? 0 : 4) & 15) | (qh[32 * h + l] >> 2 * r & 3) << 4;
  }
  static constexpr std::array<detail::bit_field, 2> fields(int portion) {
    const int h = portion / 4, r = portion % 4;
    return {{{64 * h + r % 2 * 32, r / 2 * 4, 4, 0}, {128 + 32 * h, 2 * r, 2, 4}}};
  }
  [[gnu::always_inline]] constexpr void assemble(f16 scale, const std::int8_t* s, const std::uint8_t* q) {
    d = scale;
    for (std::size_t g = 0; g < 16; ++g)
      scales[g] = s[g];
    for (std::size_t h = 0; h < 2; ++h)
      for (std::size_t l = 0; l < 64; l += 8)
        detail::store_word(&ql[64 * h + l], detail::pack_nibbles(q + 128 * h + l, q + 128 * h + 64 + l));
    detail::assemble_crumb_plane<4>(qh, q);
  }
};
using q6_k = super_block<6>;
static_assert(sizeof(q6_k) == row_bytes(tensor_type::q6_k, q6_k::block_size));

} // namespace quanta
