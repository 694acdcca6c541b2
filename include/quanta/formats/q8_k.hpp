// Q8_K: activations for the K formats, x = d * q, 292 bytes for 256 values. Never in files.
//
//     0  d      float
//     4  qs     256 signed bytes in order, -127 to 127
//   260  bsums  16 int16: bsums[j] = sum of qs[16j .. 16j+15], what the minima of a weight block are multiplied with
//
// 9.125 bits a value. One scale for 256 values: an outlier coarsens 255 others. The largest value always becomes -127.
#pragma once

#include <array>

#include "quanta/format.hpp"
#include "quanta/simd/vocabulary.hpp"

namespace quanta {

struct q8_k {
  static constexpr std::size_t block_size = 256, group_size = 256;
  static constexpr bool affine = false, layout_is_runs = false;
  static constexpr int code_offset = 128;
  static constexpr tensor_type type = tensor_type::q8_k;
  static constexpr std::string_view name = "q8_K";

  packed<float> d;
  std::array<std::int8_t, 256> qs;
  std::array<packed<std::int16_t>, 16> bsums;

  constexpr float scale(std::size_t) const { return d; }
  constexpr float minimum(std::size_t) const { return 0.f; }
  constexpr int code(std::size_t i) const { return qs[i] + 128; }

  /// 32 of the bytes as they are stored, for the signed side of a product.
  template <class Isa, int Portion>
  [[gnu::always_inline]] simd::code_bytes<Isa> signed_codes() const {
    return simd::load<simd::code_bytes<Isa>>(reinterpret_cast<const std::uint8_t*>(&qs[32 * Portion]));
  }
  /// 64 of them.
  template <class Isa, int Pair>
  [[gnu::always_inline]] simd::double_code_bytes<Isa> double_signed_codes() const {
    return simd::load<simd::double_code_bytes<Isa>>(reinterpret_cast<const std::uint8_t*>(&qs[64 * Pair]));
  }
  template <class Isa, int Portion>
  [[gnu::always_inline]] simd::code_bytes<Isa> codes() const {
    return signed_codes<Isa, Portion>() ^ simd::fill<simd::code_bytes<Isa>>(0x80);
  }
};
static_assert(sizeof(q8_k) == row_bytes(tensor_type::q8_k, q8_k::block_size));

} // namespace quanta
