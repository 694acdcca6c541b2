// A format of one's own: 4.5 bits a weight in blocks of 64, two groups of 32 whose scales share one half.
//
//   x = d * s[g] * (q - 8)        s in -127..127, q in 0..15
//
//   0  d   half
//   2  s   2 signed bytes
//   4  qs  32 bytes: byte j holds weight 2j in the low nibble, weight 2j + 1 in the high one
#pragma once

#include <cstdint>

#include <quanta/quanta.hpp>

namespace mine {

struct nibble_pairs {
  static constexpr std::size_t block_size = 64, group_size = 32;
  static constexpr bool affine = false;
  static constexpr int code_offset = 8, levels = 16;
  static constexpr std::string_view name = "nibble_pairs";
  static constexpr auto type = static_cast<quanta::tensor_type>(1000); // a number of your own, for dispatch
  using dot_partner = quanta::q8_0;

  quanta::packed<quanta::f16> d;
  std::int8_t s[2];
  std::uint8_t qs[32];

  // The equation, read.
  constexpr int code(std::size_t i) const { return i % 2 == 0 ? qs[i / 2] & 15 : qs[i / 2] >> 4; }
  constexpr float scale(std::size_t g) const { return static_cast<float>(d.get()) * static_cast<float>(s[g]); }
  constexpr float minimum(std::size_t) const { return 0.f; }

  // The equation, written: the library searches the scales, the block rounds them as it stores them.
  constexpr void set_scales(const float* scale, const float*) {
    const float first = scale[0] < 0.f ? -scale[0] : scale[0], second = scale[1] < 0.f ? -scale[1] : scale[1];
    const float largest = first > second ? first : second; // scales may be negative: -8 levels on one side, 7 on the other
    d = quanta::f16(largest / 127.f);
    for (int g = 0; g < 2; ++g) {
      const float level = largest > 0.f ? scale[g] / largest * 127.f : 0.f;
      s[g] = static_cast<std::int8_t>(level < 0.f ? level - 0.5f : level + 0.5f);
    }
  }
  constexpr void set_codes(const std::uint8_t* codes) {
    for (int j = 0; j < 32; ++j)
      qs[j] = static_cast<std::uint8_t>(codes[2 * j] | codes[2 * j + 1] << 4);
  }
};
static_assert(quanta::weight_format<nibble_pairs> && sizeof(nibble_pairs) == 36);

} // namespace mine
