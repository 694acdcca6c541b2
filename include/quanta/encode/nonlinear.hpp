// The nearest of the 16 uneven levels of iq4_nl and iq4_xs.
#pragma once

#include <bit>
#include <limits>

#include "quanta/formats/level_tables.hpp"
#include "quanta/simd/vocabulary.hpp"

namespace quanta::encode {

/// Where codes change: values from midpoints[k] on take code k + 1. The last has no next.
inline constexpr std::array<float, 16> nonlinear_midpoints = [] {
  std::array<float, 16> m{};
  for (std::size_t k = 0; k < 15; ++k)
    m[k] = static_cast<float>(detail::nonlinear_levels[k] + detail::nonlinear_levels[k + 1]) * 0.5f;
  m[15] = std::numeric_limits<float>::infinity();
  return m;
}();
inline constexpr std::array<float, 16> nonlinear_values = [] {
  std::array<float, 16> v{};
  for (std::size_t k = 0; k < 16; ++k)
    v[k] = static_cast<float>(detail::nonlinear_levels[k]);
  return v;
}();

/// An odd cubic that, rounded, is the number of the one midpoint near v for |v| <= 140: at midpoint k it is at most 0.435
/// from k, so that its own rounding errors do not matter, fused or not.
struct nonlinear_estimate {
  static constexpr float offset = 7.f, linear = 0.08321498f, cubic = -1.7851455e-6f;
  static constexpr float at(float v) { return (v * v * cubic + linear) * v + offset; }
};
static_assert([] {
  for (std::size_t k = 0; k < 15; ++k) {
    const float distance = nonlinear_estimate::at(nonlinear_midpoints[k]) - static_cast<float>(k);
    if (!(distance < 0.44f && distance > -0.44f))
      return false;
  }
  return nonlinear_estimate::at(-140.f) < 0.44f && nonlinear_estimate::at(140.f) > 13.56f;
}());

/// The codes of values within -140 .. 140, in bits 0 to 3; the bits above are not 0. The estimate becomes an integer by adding
/// 1.5 * 2^23, and comparing with its midpoint makes it exact: one look-up instead of 15 comparisons.
template <std::size_t N, class Isa>
[[gnu::always_inline]] inline simd::vec<std::int32_t, N, Isa> nonlinear_code(const simd::vec<float, N, Isa>& v) {
  using V = simd::vec<float, N, Isa>;
  using I = simd::vec<std::int32_t, N, Isa>;
  constexpr float integers = 12582912.f + nonlinear_estimate::offset; // 1.5 * 2^23
  const V cubic = simd::fill<V>(nonlinear_estimate::cubic), linear = simd::fill<V>(nonlinear_estimate::linear);
  const V slope = simd::multiply_add(v * v, cubic, linear);
  const V number = simd::multiply_add(slope, v, simd::fill<V>(integers));
  const V midpoint = simd::look_up_floats<4>(nonlinear_midpoints.data(), std::bit_cast<I>(number));
  return std::bit_cast<I>(number + simd::select(midpoint <= v, simd::fill<V>(1.f), simd::fill<V>(0.f)));
}
/// The nearest level of values within -140 .. 140.
template <class V>
[[gnu::always_inline]] inline V nearest_nonlinear(const V& v) {
  return simd::look_up_floats<4>(nonlinear_values.data(), nonlinear_code(v));
}
/// Any values, brought to where the codes are the same and the estimate holds.
template <class V>
[[gnu::always_inline]] inline V within_nonlinear_levels(const V& v) {
  return simd::max(simd::min(v, simd::fill<V>(nonlinear_values[15])), simd::fill<V>(nonlinear_values[0]));
}

} // namespace quanta::encode
