// TensorFlow Lite's int8: what a byte means.
//
//   real = scale * (q - zero_point)
//
// Activations have one scale and one zero point a tensor, and q in -128 .. 127. Weights have one scale a channel (or one in
// all), no zero point, and q in -127 .. 127. A bias is int32 with the scale of the products, input scale * weight scale.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "quanta/error.hpp"
#include "quanta/sizes.hpp"

namespace quanta {
namespace detail {
/// x between low and high; x stays where it is on a bound or a NaN.
template <class T>
[[gnu::always_inline]] constexpr T clamp(T x, T low, T high) {
  return x < low ? low : x > high ? high : x;
}
} // namespace detail

/// The meaning of the signed bytes of a tensor: real = scale * (q - zero_point).
struct int8_affine {
  static constexpr std::int32_t lowest = -128, highest = 127;

  float scale = 1.f;           ///< finite and above 0
  std::int32_t zero_point = 0; ///< lowest .. highest: the byte that means 0

  /// Parameters from a file: nonfinite_scale, bad_scale (0 or less) or bad_zero_point says what they cannot be.
  [[gnu::always_inline]] static constexpr result<int8_affine> checked(float scale, std::int64_t zero_point) {
    if (!(scale - scale == 0.f)) // the difference is NaN for infinities and NaN
      return errc::nonfinite_scale;
    if (scale <= 0.f)
      return errc::bad_scale;
    if (zero_point < lowest || zero_point > highest)
      return errc::bad_zero_point;
    return int8_affine{scale, static_cast<std::int32_t>(zero_point)};
  }
  [[gnu::always_inline]] constexpr bool valid() const { return checked(scale, zero_point).has_value(); }

  /// Parameters for values between min and max, widened to hold 0, so that 0 (padding, the floor of a ReLU) has a byte of
  /// its own: scale = (max - min) / 255, zero_point = clamp(round(-128 - min / scale), -128, 127), in double with halves
  /// away from zero, the scale rounded to float at the end. A range too narrow for a float scale (under 2^-142) gets the
  /// scale 1: all its values mean 0. Expects min <= max; nonfinite_value if one of them is no number.
  [[gnu::always_inline]] static result<int8_affine> from_range(float min, float max) {
    if (!(min - min == 0.f) || !(max - max == 0.f))
      return errc::nonfinite_value;
    QUANTA_EXPECTS(min <= max);
    const double low = min < 0.f ? min : 0.0, high = max > 0.f ? max : 0.0;
    double step = (high - low) / 255.0;
    if (static_cast<float>(step) == 0.f)
      step = 1.0;
    const double zero = std::round(lowest - low / step);
    return int8_affine{static_cast<float>(step), static_cast<std::int32_t>(detail::clamp<double>(zero, lowest, highest))};
  }

  friend constexpr bool operator==(const int8_affine&, const int8_affine&) = default;
};

/// The bytes that a tensor may hold after its activation function.
struct int8_range {
  std::int8_t low = -128, high = 127;

  friend constexpr bool operator==(const int8_range&, const int8_range&) = default;
};

/// The bytes for the reals from low to high: zero_point + round(real / scale), halves away from zero, saturated. A ReLU is
/// activation_range(output, 0, infinity), a ReLU6 activation_range(output, 0, 6). Expects low <= high and valid parameters.
[[gnu::always_inline]] inline int8_range activation_range(const int8_affine& output, float low, float high) {
  QUANTA_EXPECTS(low <= high && output.valid());
  const auto byte = [&](float real) __attribute__((always_inline)) {
    const float steps = detail::clamp(real / output.scale, static_cast<float>(int8_affine::lowest - output.zero_point),
                                      static_cast<float>(int8_affine::highest - output.zero_point));
    return static_cast<std::int8_t>(static_cast<std::int32_t>(std::round(steps)) + output.zero_point);
  };
  return {byte(low), byte(high)};
}

/// What shares a scale. TensorFlow Lite's convolution weights [out, height, width, in] and fully connected ones [out, in]
/// are `out` rows; its depthwise weights [1, height, width, out] are height * width rows of `out` columns.
enum class channel_axis : std::uint8_t { rows, columns };

/// rows x columns weights as signed bytes, row after row, with one scale a channel, or one scale in all:
/// real = scales[channel] * q. Does not own its memory. Operations expect that it is valid(), as the constructor does.
/// Encoders write -127 .. 127; products are exact for -128 too.
struct int8_per_channel {
  std::span<const std::int8_t> codes;
  std::span<const float> scales;
  std::size_t rows = 0, columns = 0;
  channel_axis axis = channel_axis::rows;

  int8_per_channel() = default;
  constexpr int8_per_channel(std::span<const std::int8_t> all, std::span<const float> channel_scales, std::size_t row_count,
                             std::size_t column_count, channel_axis channels = channel_axis::rows)
      : codes(all), scales(channel_scales), rows(row_count), columns(column_count), axis(channels) {
    QUANTA_EXPECTS(valid());
  }
  /// Whether all codes are there, and a scale for each channel or for all.
  [[gnu::always_inline]] constexpr bool valid() const {
    return detail::is_product(codes.size(), rows, columns) &&
           (scales.size() == 1 || scales.size() == (axis == channel_axis::rows ? rows : columns));
  }
  constexpr std::span<const std::int8_t> row(std::size_t r) const {
    QUANTA_EXPECTS(valid() && r < rows);
    return codes.subspan(r * columns, columns);
  }
  constexpr float scale(std::size_t r, std::size_t c) const {
    QUANTA_EXPECTS(r < rows && c < columns);
    return scale_of(axis == channel_axis::rows ? r : c);
  }
  /// What the bytes of row r mean. Expects channels that are rows, or one scale in all.
  constexpr int8_affine parameters(std::size_t r) const {
    QUANTA_EXPECTS(r < rows && (axis == channel_axis::rows || scales.size() == 1));
    return {scale_of(r), 0};
  }

private:
  constexpr float scale_of(std::size_t channel) const {
    QUANTA_EXPECTS(scales.size() == 1 || channel < scales.size());
    return scales[scales.size() == 1 ? 0 : channel];
  }
};

} // namespace quanta
