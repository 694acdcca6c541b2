// Q8_1: activations for the affine 32-value formats, x = d * q, 36 bytes for 32 values. Never in files.
//
//   0  d     half
//   2  s     half: d * (sum of q), with the unrounded d; what the offset m of a q4_1 block is multiplied with
//   4  qs    32 signed bytes in order
//
// 9 bits a value. s is infinite where the sum of 32 activations exceeds 65,504 in magnitude; products then take d times the sum
// of the codes instead, which is exact in float.
#pragma once

#include <array>

#include "quanta/format.hpp"
#include "quanta/simd/vocabulary.hpp"

namespace quanta {

struct q8_1 {
  static constexpr std::size_t block_size = 32, group_size = 32;
  static constexpr bool affine = false, layout_is_runs = true, half_first = true;
  static constexpr int code_offset = 128;
  static constexpr tensor_type type = tensor_type::q8_1;
  static constexpr std::string_view name = "q8_1";

  packed<f16> d, s;
  std::array<std::int8_t, 32> qs;

  constexpr float scale(std::size_t) const { return static_cast<float>(d.get()); }
  constexpr float minimum(std::size_t) const { return 0.f; }
  constexpr int code(std::size_t i) const { return qs[i] + 128; }

  template <class Isa>
  [[gnu::always_inline]] simd::code_bytes<Isa> codes(std::size_t run) const {
    return signed_codes<Isa>(run) ^ simd::fill<simd::code_bytes<Isa>>(0x80);
  }
  /// The bytes as they are stored, for the signed side of a product.
  template <class Isa>
  [[gnu::always_inline]] simd::code_bytes<Isa> signed_codes(std::size_t run) const {
    return simd::load<simd::code_bytes<Isa>>(reinterpret_cast<const std::uint8_t*>(&qs[32 * run]));
  }
};
static_assert(sizeof(q8_1) == row_bytes(tensor_type::q8_1, q8_1::block_size));

} // namespace quanta
