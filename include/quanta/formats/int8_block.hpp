// int8_block: signed bytes with one scale for N values, x = d * q.
//
//   0  d     half
//   2  qs    N signed bytes in order
//
// 8 + 16 / N bits a weight. Good: practically lossless weights, and the activation side of the 32-value formats. Bad: size.
// An absolute maximum under 127 * 2^-25 gives d = 0: the block is lost; under 0.00775 d is a subnormal half and the gain
// error grows.
#pragma once

#include <array>

#include "quanta/format.hpp"
#include "quanta/formats/words.hpp"
#include "quanta/simd/vocabulary.hpp"

namespace quanta {

template <std::size_t N>
struct int8_block {
  static_assert(N == 16 || (N > 0 && N % detail::run_size == 0));
  static constexpr std::size_t block_size = N, group_size = N;
  static constexpr bool affine = false, layout_is_runs = true, half_first = true;
  static constexpr int code_offset = 128; // codes are seen as q + 128
  static constexpr tensor_type type = N == 32 ? tensor_type::q8_0 : static_cast<tensor_type>(~0u);
  static constexpr detail::sized_name own_name{"int", 8, N};
  static constexpr std::string_view name = N == 32 ? quanta::name(type) : own_name.view();
  using dot_partner = int8_block<(N == 16 ? 16 : 32)>;

  packed<f16> d;
  std::array<std::int8_t, N> qs;

  constexpr float scale(std::size_t) const { return static_cast<float>(d.get()); }
  constexpr float minimum(std::size_t) const { return 0.f; }
  constexpr int code(std::size_t i) const { return qs[i] + 128; }

  /// The codes of a block of 16, a byte each.
  [[gnu::always_inline]] std::array<std::uint64_t, 2> code_words() const
    requires(N == 16)
  {
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(qs.data());
    constexpr std::uint64_t signs = 0x8080808080808080ull;
    return {detail::load_double_word(bytes) ^ signs, detail::load_double_word(bytes + 8) ^ signs};
  }
  template <class Isa>
    requires(N != 16)
  [[gnu::always_inline]] simd::code_bytes<Isa> codes(std::size_t run) const {
    return signed_codes<Isa>(run) ^ simd::fill<simd::code_bytes<Isa>>(0x80);
  }
  /// The bytes as they are stored, for the signed side of a product.
  template <class Isa>
    requires(N != 16)
  [[gnu::always_inline]] simd::code_bytes<Isa> signed_codes(std::size_t run) const {
    return simd::load<simd::code_bytes<Isa>>(reinterpret_cast<const std::uint8_t*>(&qs[32 * run]));
  }
};

} // namespace quanta
