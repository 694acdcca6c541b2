// Q4_K: 4.5 bits a weight, 144 bytes for 256 weights in 8 groups of 32.
//
//   x = d * s[g] * q  -  dmin * m[g]        q in 0..15, s and m in 0..63
//
//    0  d      half
//    2  dmin   half
//    4  pairs  12 bytes: the six-bit s and m (super_block_32.hpp)
//   16  qs     128 bytes: byte 32c + l holds weight 64c + l in the low nibble, weight 64c + 32 + l in the high one
//
// Good: the usual choice, 0.2 % perplexity for a quarter of the size. Bad: minima only lower (m >= 0), so a group of all
// positive weights wastes range.
#pragma once

#include "quanta/formats/super_block_32.hpp"

namespace quanta {

template <>
struct super_block<4> : detail::super_block_32_scales<super_block<4>> {
  static constexpr tensor_type type = tensor_type::q4_k;
  static constexpr std::string_view name = "q4_K";
  static constexpr int levels = 16;

  std::array<std::uint8_t, 128> qs;

  constexpr int code(std::size_t i) const { return qs[i / 64 * 32 + i % 32] >> (i % 64 < 32 ? 0 : 4) & 15; }

  static constexpr std::array<detail::bit_field, 1> fields(int portion) {
    return {{{16 + portion / 2 * 32, portion % 2 * 4, 4, 0}}};
  }
  [[gnu::always_inline]] constexpr void assemble(f16 scale, f16 min_scale, const std::uint8_t* s, const std::uint8_t* m,
                                                 const std::uint8_t* q) {
    d = scale, dmin = min_scale;
    pairs.assemble(s, m);
    detail::assemble_nibbles_32(qs, q);
  }
};
using q4_k = super_block<4>;
static_assert(sizeof(q4_k) == row_bytes(tensor_type::q4_k, q4_k::block_size));

} // namespace quanta
