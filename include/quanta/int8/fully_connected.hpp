// The fully connected layer in integers:
//
//   acc[r] = bias[r] + sum over c of (x[c] - input zero point) * w[r][c], exact in int32
//   y[r] = clamp(round(acc[r] * M[r]) + output zero point, activation range), M[r] = input scale * scale[r] / output scale
//
// The zero point's part of the sum does not depend on x: it is taken into the bias once, when the layer is prepared.
#pragma once

#include "quanta/int8/quantize.hpp"
#include "quanta/int8/requantize.hpp"
#include "quanta/matrix.hpp"

namespace quanta {

/// A fully connected layer as a file describes it.
struct int8_layer {
  int8_per_channel weights;           ///< outputs x inputs; channels are rows, or one scale for all
  std::span<const std::int32_t> bias; ///< one an output, or empty
  int8_affine input, output;
  int8_range activation = {};
};

/// A layer ready to run: made by `prepare`, it refers to the layer's weights and to the memory given to `prepare`.
template <class Rounding = double_rounding>
struct int8_fully_connected {
  int8_per_channel weights;
  std::span<const std::int32_t> offsets;              ///< bias[r] - input zero point * sum of w[r]
  std::span<const typename Rounding::factor> factors; ///< M[r]
  std::int32_t output_zero_point = 0;
  int8_range activation = {};
};

namespace detail {

/// The sum of `start` and of w * x over n bytes, modulo 2^32; exact for -128 on either side. w is the side seen as q + 128, so
/// that zeros of its kind fill up the last portion.
template <class Isa>
[[gnu::always_inline]] inline std::int32_t dot_int8(std::int32_t start, const std::int8_t* w, const std::int8_t* x,
                                                    std::size_t n) {
  using codes = simd::code_bytes<Isa>;
  auto sums = simd::fill<simd::quad_sums<Isa>>(0);
  const auto add = [&](const std::int8_t* a, const std::int8_t* b) __attribute__((always_inline)) {
    const codes u = simd::load<codes>(reinterpret_cast<const std::uint8_t*>(a)) ^ simd::fill<codes>(0x80);
    sums = sums + simd::centred_quad_dot<128, Isa>(u, simd::load<codes>(reinterpret_cast<const std::uint8_t*>(b)));
  };
  std::size_t i = 0;
  for (; i + simd::code_portion <= n; i += simd::code_portion)
    add(w + i, x + i);
  if (i < n) {
    std::int8_t a[simd::code_portion] = {}, b[simd::code_portion] = {};
    for (std::size_t k = 0; i + k < n; ++k) {
      a[k] = w[i + k];
      b[k] = x[i + k];
    }
    add(a, b);
  }
  std::int32_t lanes[simd::code_portion / 4];
  simd::store(lanes, sums);
  auto total = static_cast<std::uint32_t>(start);
  for (const std::int32_t lane : lanes)
    total += static_cast<std::uint32_t>(lane);
  return static_cast<std::int32_t>(total);
}

} // namespace detail

/// Checks a layer and computes what does not depend on the input, into memory of the caller: one offset and one factor an
/// output. nonfinite_scale, bad_scale, bad_zero_point: parameters that cannot be. accumulator_overflow: some input could
/// carry a sum past int32; what passes is exact for every input. Reads the weights once.
/// Expects: valid() weights whose channels are rows (or one scale), bias empty or of size rows, offsets and factors of size
/// rows.
template <class Isa = isa::native, class Rounding = double_rounding>
result<int8_fully_connected<Rounding>> prepare(const int8_layer& layer, std::span<std::int32_t> offsets,
                                               std::span<typename Rounding::factor> factors) {
  const int8_per_channel& weights = layer.weights;
  QUANTA_EXPECTS(weights.valid());
  QUANTA_EXPECTS(weights.axis == channel_axis::rows || weights.scales.size() == 1);
  QUANTA_EXPECTS(layer.bias.empty() || layer.bias.size() == weights.rows);
  QUANTA_EXPECTS(offsets.size() == weights.rows && factors.size() == weights.rows);
  QUANTA_EXPECTS(layer.activation.low <= layer.activation.high);
  for (const int8_affine& side : {layer.input, layer.output})
    if (const auto ok = int8_affine::checked(side.scale, side.zero_point); !ok)
      return ok.error();
  const std::int64_t zero = layer.input.zero_point;
  const std::int64_t farthest = zero < 0 ? 127 - zero : zero + 128; // that an x is from the zero point
  for (std::size_t r = 0; r < weights.rows; ++r) {
    const float scale = weights.parameters(r).scale;
    if (const auto ok = int8_affine::checked(scale, 0); !ok)
      return ok.error();
    std::int64_t sum = 0, magnitude = 0;
    for (const std::int8_t w : weights.row(r)) {
      sum += w;
      magnitude += w < 0 ? -w : w;
    }
    const std::int64_t bias = layer.bias.empty() ? 0 : layer.bias[r];
    if (magnitude * farthest + (bias < 0 ? -bias : bias) > std::numeric_limits<std::int32_t>::max())
      return errc::accumulator_overflow;
    offsets[r] = static_cast<std::int32_t>(bias - zero * sum); // the sum for x = 0 everywhere, so within the bound
    const auto factor = Rounding::make(static_cast<double>(layer.input.scale) * static_cast<double>(scale) /
                                       static_cast<double>(layer.output.scale));
    if (!factor)
      return factor.error();
    factors[r] = *factor;
  }
  return int8_fully_connected<Rounding>{weights, offsets, factors, layer.output.zero_point, layer.activation};
}

/// y = the layer's outputs for one or more inputs, one after another: x has `columns` bytes an input, y `rows` an output.
/// The same bytes at every level and with any number of threads. Reads each weight once an input.
/// `parallel_for(n, fn)` calls fn(begin, end) on a partition of 0 .. n, on any threads. Expects: a layer of `prepare`; whole
/// inputs and as many outputs.
template <class Isa = isa::native, class Rounding, detail::code_range X, class Parallel = serial>
void fully_connected(const int8_fully_connected<Rounding>& layer, const X& x, std::span<std::int8_t> y,
                     Parallel&& parallel_for = {}) {
  const std::size_t rows = layer.weights.rows, columns = layer.weights.columns;
  const std::size_t inputs = rows == 0 ? 0 : y.size() / rows;
  QUANTA_EXPECTS(layer.weights.valid());
  QUANTA_EXPECTS(layer.offsets.size() == rows && layer.factors.size() == rows);
  QUANTA_EXPECTS(detail::is_product(y.size(), inputs, rows));
  QUANTA_EXPECTS(rows == 0 || detail::is_product(std::ranges::size(x), inputs, columns));
  const std::int8_t* const values = std::ranges::data(x);
  detail::share(inputs == 0 ? 0 : rows, 1, parallel_for, [&](std::size_t begin, std::size_t end) {
    for (std::size_t r = begin; r < end; ++r) {
      const std::int8_t* const w = layer.weights.codes.data() + r * columns;
      for (std::size_t input = 0; input < inputs; ++input) {
        const std::int32_t acc = detail::dot_int8<Isa>(layer.offsets[r], w, values + input * columns, columns);
        y[input * rows + r] = requantize<Rounding>(acc, layer.factors[r], layer.output_zero_point, layer.activation);
      }
    }
  });
}

} // namespace quanta
