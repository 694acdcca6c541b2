// NVFP4: 4.5 bits a weight, x = UE4M3(s[g]) * E2M1(q), 36 bytes for 64 weights in 4 groups of 16.
//
//   0  scales  4 bytes, UE4M3
//   4  qs      32 bytes: byte 8g + l holds weight 16g + l in the low nibble, weight 16g + 8 + l in the high one
//
// Levels as in mxfp4. NVIDIA's format has one more float a tensor, a tensor of its own in a model file. Good: a scale with a
// fraction for 16 weights: a seventh less error than mxfp4, and half on heavy tails. Bad: without the scale of the tensor,
// weights above 1,440 or below 2^-11 are out of its range.
#pragma once

#include "quanta/formats/level_tables.hpp"
#include "quanta/formats/nibble_block.hpp"

namespace quanta {

struct nvfp4 : detail::nibble_block_traits {
  static constexpr std::size_t block_size = 64, group_size = 16, runs = 2;
  static constexpr int code_offset = 12; // codes are seen as doubled level + 12
  static constexpr tensor_type type = tensor_type::nvfp4;
  static constexpr std::string_view name = "nvfp4";
  static constexpr auto codes_by_nibble = detail::codes_of_levels<code_offset>(detail::e2m1_levels);

  std::array<std::uint8_t, 4> scales;
  std::array<std::uint8_t, 32> qs;

  constexpr float scale(std::size_t g) const { return detail::halved_ue4m3(scales[g]); }
  template <class Isa, std::size_t Part>
    requires requires(const std::uint8_t* p) { simd::load_halved_ue4m3<1, Part, Isa>(p); }
  [[gnu::always_inline]] static simd::vec<float, 8, Isa> scales_of_eight(const nvfp4* blocks) {
    return simd::load_halved_ue4m3<sizeof(nvfp4), Part, Isa>(blocks->scales.data());
  }
  constexpr int code(std::size_t i) const {
    return codes_by_nibble[qs[i / 16 * 8 + i % 8] >> (i % 16 < 8 ? 0 : 4) & 15];
  }
  template <class Isa>
  [[gnu::always_inline]] simd::code_bytes<Isa> indices(std::size_t run) const {
    return simd::unpack_short_nibbles<Isa>(&qs[16 * run]);
  }
  template <class Isa>
  [[gnu::always_inline]] simd::code_bytes<Isa> codes(std::size_t run) const {
    return simd::look_up(codes_by_nibble, indices<Isa>(run));
  }
  template <class Isa>
  [[gnu::always_inline]] simd::double_code_bytes<Isa> codes_of_two(std::size_t run) const {
    return simd::look_up(codes_by_nibble, simd::unpack_short_nibbles_twice<Isa>(&qs[16 * run]));
  }
  /// q: the nibbles of 64 weights.
  [[gnu::always_inline]] constexpr void assemble(const std::uint8_t* q) {
    for (std::size_t g = 0; g < 4; ++g)
      detail::store_word(&qs[8 * g], detail::pack_nibbles(q + 16 * g, q + 16 * g + 8));
  }
};
static_assert(sizeof(nvfp4) == row_bytes(tensor_type::nvfp4, nvfp4::block_size));

} // namespace quanta
