// The 16 levels of the formats whose codes are looked up, and how small scales of 8 bits are read.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

#include "quanta/simd/vocabulary.hpp"

namespace quanta::detail {

/// IQ4_NL, IQ4_XS: denser near zero, where most weights lie; no exact zero.
inline constexpr std::array<std::int8_t, 16> nonlinear_levels{-127, -104, -83, -65, -49, -35, -22, -10,
                                                              1,    13,   25,  38,  53,  69,  89,  113};
/// MXFP4, NVFP4: twice the values of E2M1 (sign, 2 bits of exponent, 1 of fraction); code 8, minus zero, is zero.
inline constexpr std::array<std::int8_t, 16> e2m1_levels{0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

/// Signed levels as codes: unsigned bytes that are `Offset` above them.
template <int Offset>
constexpr std::array<std::uint8_t, 16> codes_of_levels(const std::array<std::int8_t, 16>& levels) {
  std::array<std::uint8_t, 16> codes{};
  for (std::size_t i = 0; i < 16; ++i)
    codes[i] = static_cast<std::uint8_t>(levels[i] + Offset);
  return codes;
}

/// E8M0, halved because the levels are doubled: 2^(e - 128), subnormal for e < 2. 255 is NaN to OCP; read as a number here.
[[gnu::always_inline]] constexpr float halved_e8m0(std::uint8_t e) {
  return std::bit_cast<float>(e < 2 ? 0x00200000u << e : static_cast<std::uint32_t>(e - 1) << 23);
}

template <std::size_t W, class Isa>
[[gnu::always_inline]] inline simd::vec<float, W, Isa> halved_e8m0(const simd::vec<std::int32_t, W, Isa>& e) {
  using I = simd::vec<std::int32_t, W, Isa>;
  const I one = simd::fill<I>(1), subnormal = simd::select(e < one, simd::fill<I>(0x00200000), simd::fill<I>(0x00400000));
  return std::bit_cast<simd::vec<float, W, Isa>>(simd::select(e > one, simd::shift_left<23>(e - one), subnormal));
}

/// UE4M3, halved because the levels are doubled: 4 bits of exponent, 3 of fraction. Bit 7 is ignored, but for 0x7F, NaN to OCP,
/// which is 0 while 0xFF is a number.
inline constexpr auto halved_ue4m3_values = [] {
  std::array<float, 256> values{};
  for (std::uint32_t x = 0; x < 256; ++x) {
    const std::uint32_t exponent = x >> 3 & 15u, fraction = x & 7u;
    if (x != 0x7F)
      values[x] = exponent == 0 ? static_cast<float>(fraction) * 0x1p-10f
                                : std::bit_cast<float>((exponent + 119) << 23 | fraction << 20);
  }
  return values;
}();
[[gnu::always_inline]] constexpr float halved_ue4m3(std::uint8_t x) { return halved_ue4m3_values[x]; }

} // namespace quanta::detail
