// IQ4_XS: 4.25 bits a weight, 136 bytes for 256 weights in 8 groups of 32.
//
//   x = d * s[g] * levels[q]        s in -32..31, levels as in iq4_nl
//
//   0  d         half
//   2  scales_h  u16: bits 2g and 2g + 1 are bits 4 and 5 of u[g] = s[g] + 32
//   4  scales_l  4 bytes: byte g / 2 holds bits 0-3 of u[g], even g in the low nibble
//   8  qs        128 bytes: byte 16g + l holds weight 32g + l in the low nibble, weight 32g + 16 + l in the high one
//
// Good: the best of the 4-bit types for its size: q4_K's quality with a sixteenth less. Bad: a look-up a weight.
#pragma once

#include "quanta/formats/level_tables.hpp"
#include "quanta/formats/nibble_block.hpp"
#include "quanta/formats/super_block.hpp"

namespace quanta {

struct iq4_xs : detail::super_block_traits {
  static constexpr std::size_t group_size = 32;
  static constexpr bool affine = false;
  static constexpr int code_offset = 128; // codes are seen as level + 128
  static constexpr tensor_type type = tensor_type::iq4_xs;
  static constexpr std::string_view name = "iq4_xs";
  static constexpr auto codes_by_nibble = detail::codes_of_levels<code_offset>(detail::nonlinear_levels);

  packed<f16> d;
  packed<std::uint16_t> scales_h;
  std::array<std::uint8_t, 4> scales_l;
  std::array<std::uint8_t, 128> qs;

  [[gnu::always_inline]] constexpr simd::small_integers group_scales() const {
    // pairs of bits to bytes, by spreading in halves
    std::uint64_t high = scales_h.get();
    high = (high | high << 24) & 0x000000FF000000FFull;
    high = (high | high << 12) & 0x000F000F000F000Full;
    high = (high | high << 6) & 0x0303030303030303ull;
    return {detail::less_32(detail::spread_nibbles(detail::load_word(scales_l.data())) | high << 4)};
  }
  constexpr float scale(std::size_t g) const { return static_cast<float>(d.get()) * static_cast<float>(group_scales()[g]); }
  constexpr float minimum(std::size_t) const { return 0.f; }
  constexpr int code(std::size_t i) const { return codes_by_nibble[detail::nibble_of_run(&qs[i / 32 * 16], i % 32)]; }
  [[gnu::always_inline]] const std::uint8_t* nibbles(std::size_t run) const { return &qs[16 * run]; }
  template <class Isa, int Portion>
  [[gnu::always_inline]] simd::code_bytes<Isa> indices() const {
    return simd::unpack_nibbles<Isa>(&qs[16 * Portion]);
  }
  template <class Isa, int Portion>
  [[gnu::always_inline]] simd::code_bytes<Isa> codes() const {
    return simd::look_up(codes_by_nibble, indices<Isa, Portion>());
  }
  template <class Isa, int Pair>
  [[gnu::always_inline]] simd::double_code_bytes<Isa> double_codes() const {
    return simd::look_up(codes_by_nibble, simd::unpack_nibbles_twice<Isa>(&qs[32 * Pair]));
  }
  /// s in -32..31, q: the nibbles of 256 weights.
  [[gnu::always_inline]] constexpr void assemble(f16 scale, const std::int8_t* s, const std::uint8_t* q) {
    d = scale;
    unsigned high = 0;
    for (std::size_t g = 0; g < 8; ++g) {
      const auto u = static_cast<unsigned>(s[g] + 32);
      high |= u >> 4 << 2 * g;
      scales_l[g / 2] = static_cast<std::uint8_t>(g % 2 == 0 ? u & 15 : scales_l[g / 2] | (u & 15) << 4);
      detail::assemble_nibbles_of_run(&qs[16 * g], q + 32 * g);
    }
    scales_h = static_cast<std::uint16_t>(high);
  }
};
static_assert(sizeof(iq4_xs) == row_bytes(tensor_type::iq4_xs, iq4_xs::block_size));

} // namespace quanta
