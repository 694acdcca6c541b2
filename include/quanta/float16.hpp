// The two 16-bit storage types of model files, with exact conversions.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace quanta {

/// IEEE binary16: 1 sign, 5 exponent, 10 fraction bits; 2^-24 to 65,504. Storage only: widen to float to compute.
/// From float: round to nearest even, subnormals kept, 65,520 and more become infinity, NaN becomes sign | 0x7E00.
struct f16 {
  std::uint16_t bits;

  f16() = default;
  [[gnu::always_inline]] constexpr explicit f16(float value) : bits(encode(value)) {}
  [[gnu::always_inline]] static constexpr f16 from_bits(std::uint16_t pattern) {
    f16 h{};
    h.bits = pattern;
    return h;
  }
  [[gnu::always_inline]] constexpr explicit operator float() const {
    const std::uint32_t sign = (bits & 0x8000u) << 16, exponent = (bits >> 10) & 31u, fraction = bits & 0x3FFu;
    if (exponent == 31) // a NaN is returned quiet, as conversion instructions do
      return std::bit_cast<float>(sign | 0x7F800000u | fraction << 13 | (fraction ? 0x00400000u : 0u));
    if (exponent == 0) {
      const float magnitude = static_cast<float>(fraction) * 0x1p-24f; // exact
      return sign ? -magnitude : magnitude;
    }
    return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
  }
  friend constexpr bool operator==(f16, f16) = default;

private:
  [[gnu::always_inline]] static constexpr std::uint16_t encode(float value) {
    const auto pattern = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t sign = (pattern >> 16) & 0x8000u, magnitude = pattern & 0x7FFFFFFFu;
    if (magnitude > 0x7F800000u)
      return static_cast<std::uint16_t>(sign | 0x7E00u);
    if (magnitude >= 0x477FF000u) // 65,520, half a unit above the largest half
      return static_cast<std::uint16_t>(sign | 0x7C00u);
    if (magnitude < 0x38800000u) { // below 2^-14: count units of 2^-24, rounded to even by integers
      const std::uint32_t exponent = magnitude >> 23;
      if (exponent < 102) // below 2^-25: less than half a unit
        return static_cast<std::uint16_t>(sign);
      const std::uint32_t significand = 0x800000u | (magnitude & 0x7FFFFFu), shift = 126 - exponent; // 14 to 24
      const std::uint32_t unit = significand >> shift, rest = significand & ((1u << shift) - 1), tie = 1u << (shift - 1);
      return static_cast<std::uint16_t>(sign | (unit + (rest > tie || (rest == tie && (unit & 1u)))));
    }
    const std::uint32_t rounded = magnitude + 0xFFFu + ((magnitude >> 13) & 1u);
    return static_cast<std::uint16_t>(sign | (rounded - 0x38000000u) >> 13);
  }
};

/// bfloat16: the upper half of a float. From float: round to nearest even; a NaN keeps its upper payload and is quiet.
struct bf16 {
  std::uint16_t bits;

  bf16() = default;
  [[gnu::always_inline]] constexpr explicit bf16(float value) : bits(encode(value)) {}
  [[gnu::always_inline]] static constexpr bf16 from_bits(std::uint16_t pattern) {
    bf16 b{};
    b.bits = pattern;
    return b;
  }
  [[gnu::always_inline]] constexpr explicit operator float() const {
    return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
  }
  friend constexpr bool operator==(bf16, bf16) = default;

private:
  [[gnu::always_inline]] static constexpr std::uint16_t encode(float value) {
    const auto pattern = std::bit_cast<std::uint32_t>(value);
    if ((pattern & 0x7FFFFFFFu) > 0x7F800000u)
      return static_cast<std::uint16_t>(pattern >> 16 | 0x40u);
    return static_cast<std::uint16_t>((pattern + 0x7FFFu + ((pattern >> 16) & 1u)) >> 16);
  }
};

static_assert(sizeof(f16) == 2 && sizeof(bf16) == 2);

} // namespace quanta
