// Q1_0: 1.125 bits a weight, x = +d or -d, 18 bytes for 128 weights.
//
//   0  d     half
//   2  qs    16 bytes: bit i % 8 of byte i / 8 is 1 where weight i is +d
//
// Good: weights that were trained binary. Bad: anything else: a third of a gaussian's energy is lost.
#pragma once

#include "quanta/formats/nibble_block.hpp"
#include "quanta/formats/words.hpp"

namespace quanta {

struct q1_0 : detail::nibble_block_traits {
  static constexpr bool half_first = true;
  static constexpr std::size_t block_size = 128, group_size = 128, runs = 4;
  static constexpr int code_offset = 1, levels = 3, code_step = 2; // codes are seen as 0 and 2
  static constexpr tensor_type type = tensor_type::q1_0;
  static constexpr std::string_view name = "q1_0";

  packed<f16> d;
  std::array<std::uint8_t, 16> qs;

  constexpr float scale(std::size_t) const { return static_cast<float>(d.get()); }
  constexpr int code(std::size_t i) const { return 2 * (qs[i / 8] >> i % 8 & 1); }
  template <class Isa>
  [[gnu::always_inline]] simd::code_bytes<Isa> codes(std::size_t run) const {
    packed<std::uint32_t> bits;
    std::memcpy(&bits, &qs[4 * run], 4);
    return simd::expand_bits<2, Isa>(bits);
  }
  template <class Isa>
  [[gnu::always_inline]] simd::double_code_bytes<Isa> codes_of_two(std::size_t run) const {
    packed<std::uint32_t> bits[2];
    std::memcpy(bits, &qs[4 * run], sizeof bits);
    return simd::add_bits_twice<2, Isa>(simd::fill<simd::double_code_bytes<Isa>>(0), bits[0], bits[1]);
  }
  /// q: 1 where a weight is +d, else 0.
  [[gnu::always_inline]] constexpr void assemble(const std::uint8_t* q) {
    for (std::size_t k = 0; k < 16; ++k)
      qs[k] = detail::gather_bits(detail::load_double_word(q + 8 * k));
  }
};
static_assert(sizeof(q1_0) == row_bytes(tensor_type::q1_0, q1_0::block_size));

} // namespace quanta
