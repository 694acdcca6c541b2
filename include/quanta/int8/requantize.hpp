// From int32 sums back to bytes: y = round(acc * M) + zero_point, M = input scale * weight scale / output scale.
//
// Three ways to round are in use, and they differ by one step in a few results of a hundred. Each is a policy:
//   double_rounding   the default of TensorFlow Lite (gemmlowp): a rounding high product, then a rounding shift
//   single_rounding   its build option: one 64-bit product, one rounding shift
//   float_rounding    XNNPACK: a float product, rounded to nearest even
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include "quanta/int8/parameters.hpp"
#include "quanta/simd/portable.hpp"

namespace quanta {

/// A positive real number as multiplier * 2^(shift - 31), multiplier in 2^30 .. 2^31 - 1, shift in -31 .. 30; or 0.
struct fixed_point_multiplier {
  std::int32_t multiplier = 0, shift = 0;

  /// Whether nothing overflows that is made of it.
  [[gnu::always_inline]] constexpr bool valid() const { return multiplier >= 0 && shift >= -31 && shift <= 30; }

  /// The nearest such number, halves away from zero; 0 below 2^-32, the largest one (2^30 - 1/2) from 2^30 on.
  /// nonfinite_scale for infinities and NaN, bad_scale for negative numbers.
  [[gnu::always_inline]] static result<fixed_point_multiplier> from(double real) {
    if (!(real - real == 0.0))
      return errc::nonfinite_scale;
    if (real < 0.0)
      return errc::bad_scale;
    if (real == 0.0)
      return fixed_point_multiplier{};
    int exponent = 0;
    const double fraction = std::frexp(real, &exponent); // 0.5 <= fraction < 1
    auto fixed = static_cast<std::int64_t>(std::round(fraction * 0x1p31));
    if (fixed == std::int64_t{1} << 31) { // rounded up to 1
      fixed /= 2;
      ++exponent;
    }
    if (exponent < -31) // every int32 times less than 2^-32 rounds to 0
      return fixed_point_multiplier{};
    if (exponent > 30)
      return fixed_point_multiplier{std::numeric_limits<std::int32_t>::max(), 30};
    return fixed_point_multiplier{static_cast<std::int32_t>(fixed), exponent};
  }

  friend constexpr bool operator==(const fixed_point_multiplier&, const fixed_point_multiplier&) = default;
};

namespace detail {
[[gnu::always_inline]] constexpr std::int32_t saturate(std::int64_t x) {
  using limits = std::numeric_limits<std::int32_t>;
  return static_cast<std::int32_t>(clamp<std::int64_t>(x, limits::min(), limits::max()));
}
/// round(a * b / 2^31), halves upwards: gemmlowp's saturating rounding doubling high product, whose two nudges and
/// truncation come to one floor. Its one overflow is (-2^31)^2, which becomes 2^31 - 1.
[[gnu::always_inline]] constexpr std::int32_t rounding_high_product(std::int32_t a, std::int32_t b) {
  constexpr std::int64_t half = std::int64_t{1} << 30;
  return saturate((std::int64_t{a} * b + half) >> 31); // the product is at most 2^62
}
/// x / 2^n, halves away from zero; n = 0 .. 31.
[[gnu::always_inline]] constexpr std::int32_t rounding_shift(std::int32_t x, int n) {
  const std::int64_t mask = (std::int64_t{1} << n) - 1, remainder = x & mask, threshold = (mask >> 1) + (x < 0 ? 1 : 0);
  return (x >> n) + (remainder > threshold ? 1 : 0);
}
} // namespace detail

/// Every policy: `factor`, what a channel keeps of its M; make(M), with the errors of fixed_point_multiplier::from; and
/// apply(acc, factor, low, high) = round(acc * M) between low and high, two integers of magnitude 255 at most. Expects a factor
/// of `make`.
struct double_rounding {
  using factor = fixed_point_multiplier;
  [[gnu::always_inline]] static result<factor> make(double m) { return factor::from(m); }
  /// acc * M by gemmlowp's two steps; saturated where M >= 1 carries it past int32.
  [[gnu::always_inline]] static constexpr std::int32_t scale(std::int32_t acc, factor f) {
    QUANTA_EXPECTS(f.valid());
    const int left = f.shift > 0 ? f.shift : 0, right = f.shift < 0 ? -f.shift : 0;
    const std::int32_t shifted = detail::saturate(std::int64_t{acc} * (std::int64_t{1} << left));
    return detail::rounding_shift(detail::rounding_high_product(shifted, f.multiplier), right);
  }
  [[gnu::always_inline]] static constexpr std::int32_t apply(std::int32_t acc, factor f, std::int32_t low,
                                                             std::int32_t high) {
    return detail::clamp(scale(acc, f), low, high);
  }
};

struct single_rounding {
  using factor = fixed_point_multiplier;
  [[gnu::always_inline]] static result<factor> make(double m) { return factor::from(m); }
  /// (acc * multiplier + half) >> (31 - shift): halves upwards; the product has 62 bits and half at most 61.
  [[gnu::always_inline]] static constexpr std::int32_t scale(std::int32_t acc, factor f) {
    QUANTA_EXPECTS(f.valid());
    const std::int64_t product = std::int64_t{acc} * f.multiplier, half = std::int64_t{1} << (30 - f.shift);
    return detail::saturate((product + half) >> (31 - f.shift));
  }
  [[gnu::always_inline]] static constexpr std::int32_t apply(std::int32_t acc, factor f, std::int32_t low,
                                                             std::int32_t high) {
    return detail::clamp(scale(acc, f), low, high);
  }
};

struct float_rounding {
  using factor = float;
  /// M rounded to float, the largest float where it is more.
  [[gnu::always_inline]] static result<factor> make(double m) {
    if (!(m - m == 0.0))
      return errc::nonfinite_scale;
    if (m < 0.0)
      return errc::bad_scale;
    return static_cast<float>(detail::clamp<double>(m, 0.0, std::numeric_limits<float>::max()));
  }
  [[gnu::always_inline]] static std::int32_t apply(std::int32_t acc, factor f, std::int32_t low, std::int32_t high) {
    QUANTA_EXPECTS(f - f == 0.f);
    // Clamped first: rounding moves nothing past an integer bound, and sees small numbers only.
    const float y = detail::clamp(static_cast<float>(acc) * f, static_cast<float>(low), static_cast<float>(high));
    return static_cast<std::int32_t>(simd::native<isa::portable>::round_even(y));
  }
};

/// The byte of an int32 sum: clamp(round(acc * M) + zero_point, range.low, range.high). Exact for every sum: nothing
/// overflows on the way. Expects a zero point of -128 .. 127 and a factor of the policy's `make`.
template <class Rounding = double_rounding>
[[gnu::always_inline]] constexpr std::int8_t requantize(std::int32_t acc, typename Rounding::factor factor,
                                                        std::int32_t zero_point, int8_range range = {}) {
  QUANTA_EXPECTS(zero_point >= int8_affine::lowest && zero_point <= int8_affine::highest);
  const std::int32_t y = Rounding::apply(acc, factor, range.low - zero_point, range.high - zero_point);
  return static_cast<std::int8_t>(y + zero_point);
}

} // namespace quanta
