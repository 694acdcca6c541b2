// Q2_0: 2.25 bits a weight, x = d * (q - 1), q in 0..3, 18 bytes for 64 weights.
//
//   0  d     half
//   2  qs    16 bytes: byte i / 4 holds weight i in bits 2 (i % 4) and above
//
// Good: weights that were trained ternary, with a scale for 64. Bad: others; the reference's encoder never writes the level 2
// d.
#pragma once

#include "quanta/formats/nibble_block.hpp"

namespace quanta {

struct q2_0 : detail::nibble_block_traits {
  static constexpr bool half_first = true;
  static constexpr std::size_t block_size = 64, group_size = 64, runs = 2;
  static constexpr int code_offset = 1, levels = 4;
  static constexpr tensor_type type = tensor_type::q2_0;
  static constexpr std::string_view name = "q2_0";

  packed<f16> d;
  std::array<std::uint8_t, 16> qs;

  constexpr float scale(std::size_t) const { return static_cast<float>(d.get()); }
  constexpr int code(std::size_t i) const { return qs[i / 4] >> 2 * (i % 4) & 3; }
  template <class Isa>
  [[gnu::always_inline]] simd::code_bytes<Isa> codes(std::size_t run) const {
    return simd::unpack_adjacent_crumbs<Isa>(&qs[8 * run]);
  }
  [[gnu::always_inline]] constexpr void assemble(const std::uint8_t* q) {
    for (std::size_t k = 0; k < 16; ++k) // code j, at bit 8j, moves to bit 24 + 2j; nothing else gets there
      qs[k] = static_cast<std::uint8_t>(detail::load_word(q + 4 * k) * 0x01041040u >> 24);
  }
};
static_assert(sizeof(q2_0) == row_bytes(tensor_type::q2_0, q2_0::block_size));

} // namespace quanta
