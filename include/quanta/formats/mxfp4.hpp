// MXFP4 (OCP microscaling): 4.25 bits a weight, x = 2^(e-127) * E2M1(q), 17 bytes for 32 weights.
//
//   0  e     scale exponent, E8M0
//   1  qs    16 bytes: byte j holds weight j in the low nibble, weight j + 16 in the high one
//
// Levels 0, 0.5, 1, 1.5, 2, 3, 4, 6 with a sign; kept doubled, so that the scale is 2^(e-128). Good: the format that some
// models are trained in; hardware for it. Bad: a scale that is a power of two costs 1 % perplexity against iq4_xs. Blocks of
// odd size: nothing in a row is aligned.
#pragma once

#include "quanta/formats/level_tables.hpp"
#include "quanta/formats/nibble_block.hpp"

namespace quanta {

struct mxfp4 : detail::nibble_block_traits {
  static constexpr std::size_t block_size = 32, group_size = 32;
  static constexpr int code_offset = 12; // codes are seen as doubled level + 12
  static constexpr tensor_type type = tensor_type::mxfp4;
  static constexpr std::string_view name = "mxfp4";
  static constexpr auto codes_by_nibble = detail::codes_of_levels<code_offset>(detail::e2m1_levels);

  std::uint8_t e;
  std::array<std::uint8_t, 16> qs;

  constexpr float scale(std::size_t) const { return detail::halved_e8m0(e); }
  template <class Isa, std::size_t>
  [[gnu::always_inline]] static simd::vec<float, 8, Isa> scales_of_eight(const mxfp4* blocks) {
    return detail::halved_e8m0(simd::load_spaced_bytes<sizeof(mxfp4), Isa>(&blocks->e));
  }
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
  /// q: the nibbles of 32 weights.
  [[gnu::always_inline]] constexpr void assemble(const std::uint8_t* q) { detail::assemble_nibbles_of_run(qs.data(), q); }
};
static_assert(sizeof(mxfp4) == row_bytes(tensor_type::mxfp4, mxfp4::block_size));

} // namespace quanta
