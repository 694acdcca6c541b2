// IQ4_NL: 4.5 bits a weight, x = d * levels[q], 18 bytes for 32 weights; 16 uneven levels, -127 to 113.
//
//   0  d     half
//   2  qs    16 bytes: byte j holds weight j in the low nibble, weight j + 16 in the high one
//
// Good: closer than q4_0 at the same size; the fallback of small types for rows that are no multiple of 256. Bad: a look-up a
// weight; no exact zero (code 8 is 1).
#pragma once

#include "quanta/formats/level_tables.hpp"
#include "quanta/formats/nibble_block.hpp"

namespace quanta {

struct iq4_nl : detail::nibble_block_traits {
  static constexpr bool half_first = true;
  static constexpr std::size_t block_size = 32, group_size = 32;
  static constexpr int code_offset = 128; // codes are seen as level + 128
  static constexpr tensor_type type = tensor_type::iq4_nl;
  static constexpr std::string_view name = "iq4_nl";
  static constexpr auto codes_by_nibble = detail::codes_of_levels<code_offset>(detail::nonlinear_levels);

  packed<f16> d;
  std::array<std::uint8_t, 16> qs;

  constexpr float scale(std::size_t) const { return static_cast<float>(d.get()); }
  constexpr int code(std::size_t i) const { return codes_by_nibble[detail::nibble_of_run(qs.data(), i)]; }
  [[gnu::always_inline]] const std::uint8_t* nibbles(std::size_t) const { return qs.data(); }
  template <class Isa>
  [[gnu::always_inline]] simd::code_bytes<Isa> indices(std::size_t) const {
    return simd::unpack_nibbles<Isa>(qs.data());
  }
  template <class Isa>
  [[gnu::always_inline]] simd::code_bytes<Isa> codes(std::size_t) const {
    return simd::look_up(codes_by_nibble, indices<Isa>(0));
  }
  template <class Isa>
  [[gnu::always_inline]] simd::code_bytes<Isa> signed_levels(std::size_t) const {
    static constexpr auto by_nibble = detail::codes_of_levels<0>(detail::nonlinear_levels);
    return simd::look_up(by_nibble, indices<Isa>(0));
  }
  /// q: the nibbles of 32 weights.
  [[gnu::always_inline]] constexpr void assemble(const std::uint8_t* q) { detail::assemble_nibbles_of_run(qs.data(), q); }
};
static_assert(sizeof(iq4_nl) == row_bytes(tensor_type::iq4_nl, iq4_nl::block_size));

} // namespace quanta
