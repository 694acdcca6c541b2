// Q5_K: 5.5 bits a weight, 176 bytes for 256 weights in 8 groups of 32.
//
//   x = d * s[g] * q  -  dmin * m[g]        q in 0..31, s and m in 0..63
//
//    0  d      half
//    2  dmin   half
//    4  pairs  12 bytes: the six-bit s and m (super_block_32.hpp)
//   16  qh     32 bytes: byte l, bit k is bit 4 of the code of weight 32k + l
//   48  qs     128 bytes: low nibbles as in q4_k
//
// Good: half the error of q4_k for one bit more; attention values of the 70B mixes. Bad: q6_k is near.
#pragma once

#include "quanta/formats/super_block_32.hpp"

namespace quanta {

template <>
struct super_block<5> : detail::super_block_32_scales<super_block<5>> {
  static constexpr tensor_type type = tensor_type::q5_k;
  static constexpr std::string_view name = "q5_K";
  static constexpr int levels = 32;

  std::array<std::uint8_t, 32> qh;
  std::array<std::uint8_t, 128> qs;

  constexpr int code(std::size_t i) const {
    const int low = qs[i / 64 * 32 + i % 32] >> (i % 64 < 32 ? 0 : 4) & 15;
    return low | (qh[i % 32] >> i / 32 & 1) << 4;
  }
  static constexpr std::array<detail::bit_field, 2> fields(int portion) {
    return {{{48 + portion / 2 * 32, portion % 2 * 4, 4, 0}, {16, portion, 1, 4}}};
  }
  [[gnu::always_inline]] constexpr void assemble(f16 scale, f16 min_scale, const std::uint8_t* s, const std::uint8_t* m,
                                                 const std::uint8_t* q) {
    d = scale, dmin = min_scale;
    pairs.assemble(s, m);
    detail::assemble_bit_plane<4>(qh, q);
    detail::assemble_nibbles_32(qs, q);
  }
};
using q5_k = super_block<5>;
static_assert(sizeof(q5_k) == row_bytes(tensor_type::q5_k, q5_k::block_size));

} // namespace quanta
