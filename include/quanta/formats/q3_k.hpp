// Q3_K: 3.4375 bits a weight, 110 bytes for 256 weights in 16 groups of 16.
//
//   x = d * s[g] * (q - 4)        q in 0..7, s in -32..31
//
//     0  hmask   32 bytes: byte l, bit k is bit 2 of the code of weight 32k + l
//    32  qs      64 bytes: low two bits, byte 32h + l holds weights 128h + l, + 32, + 64, + 96 from the low bits up
//    96  scales  12 bytes, u = s + 32 in six bits: byte j < 8 holds the low nibbles of u[j] and u[8+j]; byte 8 + k holds
//                bits 4-5 of u[k], u[4+k], u[8+k], u[12+k] from the low bits up
//   108  d       half
//
// Good: feed-forward matrices of the Q2_K mix. Bad: no offset, so skewed groups lose a level.
#pragma once

#include "quanta/formats/super_block.hpp"

namespace quanta {

template <>
struct super_block<3> : detail::planar_super_block<super_block<3>> {
  static constexpr std::size_t group_size = 16;
  static constexpr bool affine = false;
  static constexpr int code_offset = 4, levels = 8;
  static constexpr tensor_type type = tensor_type::q3_k;
  static constexpr std::string_view name = "q3_K";

  std::array<std::uint8_t, 32> hmask;
  std::array<std::uint8_t, 64> qs;
  std::array<std::uint8_t, 12> scales;
  packed<f16> d;

  [[gnu::always_inline]] constexpr simd::small_integers group_scales() const {
    const std::uint32_t w0 = detail::load_word(&scales[0]), w1 = detail::load_word(&scales[4]),
                        w2 = detail::load_word(&scales[8]);
    const auto u = [](std::uint32_t low, std::uint32_t high) { return (low & 0x0F0F0F0Fu) | (high & 0x03030303u) << 4; };
    return simd::built_in_general_registers(
        {detail::less_32(detail::join_words(u(w0, w2), u(w1, w2 >> 2))),
         detail::less_32(detail::join_words(u(w0 >> 4, w2 >> 4), u(w1 >> 4, w2 >> 6)))});
  }
  constexpr float scale(std::size_t g) const { return static_cast<float>(d.get()) * static_cast<float>(group_scales()[g]); }
  constexpr float minimum(std::size_t) const { return 0.f; }
  constexpr int code(std::size_t i) const {
    return (qs[i / 128 * 32 + i % 32] >> 2 * (i % 128 / 32) & 3) | (hmask[i % 32] >> i / 32 & 1) << 2;
  }
  static constexpr std::array<detail::bit_field, 2> fields(int portion) {
    return {{{32 + portion / 4 * 32, portion % 4 * 2, 2, 0}, {0, portion, 1, 2}}};
  }
  /// s in -32..31.
  [[gnu::always_inline]] constexpr void assemble(f16 scale, const std::int8_t* s, const std::uint8_t* q) {
    d = scale;
    const auto u = [&](std::size_t g) { return static_cast<unsigned>(s[g] + 32); };
    for (std::size_t j = 0; j < 8; ++j)
      scales[j] = static_cast<std::uint8_t>((u(j) & 15) | (u(8 + j) & 15) << 4);
    for (std::size_t k = 0; k < 4; ++k)
      scales[8 + k] = static_cast<std::uint8_t>(u(k) >> 4 | u(4 + k) >> 4 << 2 | u(8 + k) >> 4 << 4 | u(12 + k) >> 4 << 6);
    detail::assemble_bit_plane<2>(hmask, q);
    detail::assemble_crumb_plane<0>(qs, q);
  }
};
using q3_k = super_block<3>;
static_assert(sizeof(q3_k) == row_bytes(tensor_type::q3_k, q3_k::block_size));

} // namespace quanta
