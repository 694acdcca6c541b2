// Numbers and blocks to int8 and back, one kernel each way. Every level gives the bytes and bits of
//   q = clamp(round(x / scale) + zero_point), the division in float, halves away from zero
//   x = scale * (q - zero_point), one float product
#pragma once

#include "quanta/dequantize.hpp"
#include "quanta/formats/int8_block.hpp"
#include "quanta/int8/parameters.hpp"
#include "quanta/quantize.hpp"

namespace quanta {
namespace detail {

template <class R>
concept code_range = std::ranges::contiguous_range<R> && std::same_as<element_of<R>, std::int8_t>;
template <class Isa>
using sixteen = simd::vec<float, 16, Isa>;

/// The first n <= 16 values at p, zeros behind them.
template <class Isa, plain_format T>
[[gnu::always_inline]] inline sixteen<Isa> load_part(const T* p, std::size_t n) {
  if (n == 16)
    return simd::load_floats<16, Isa>(p);
  T part[16] = {};
  for (std::size_t i = 0; i < n; ++i)
    part[i] = p[i];
  return simd::load_floats<16, Isa>(part);
}
template <class Isa, plain_format T>
[[gnu::always_inline]] inline void store_part(T* p, std::size_t n, const sixteen<Isa>& x) {
  if (n == 16)
    return simd::store_floats(p, x);
  T part[16];
  simd::store_floats(part, x);
  for (std::size_t i = 0; i < n; ++i)
    p[i] = part[i];
}

/// Calls f(i, n, values) for the values i .. i + n - 1 of a row of blocks or numbers, in order. n is 16 but at the end of a
/// row of numbers, where zeros follow the values.
template <class Isa, block_format B, class F>
[[gnu::always_inline]] inline void for_each_sixteen(const B* row, std::size_t blocks, F&& f) {
  decode_row<Isa>(row, blocks, [&](std::size_t i, auto, const sixteen<Isa>& x) __attribute__((always_inline)) {
    f(i, std::size_t{16}, x);
  });
}
template <class Isa, plain_format T, class F>
[[gnu::always_inline]] inline void for_each_sixteen(const T* row, std::size_t count, F&& f) {
  for (std::size_t i = 0; i < count; i += 16) {
    const std::size_t n = count - i < 16 ? count - i : 16;
    f(i, n, load_part<Isa>(row + i, n));
  }
}

/// The scales of 16 neighbours: one for all, or one a column.
template <class Isa>
struct one_scale {
  sixteen<Isa> scale;
  [[gnu::always_inline]] explicit one_scale(float s) : scale(simd::fill<sixteen<Isa>>(s)) {}
  [[gnu::always_inline]] sixteen<Isa> operator()(std::size_t, std::size_t) const { return scale; }
};
template <class Isa>
struct column_scales {
  const float* scales;
  [[gnu::always_inline]] sixteen<Isa> operator()(std::size_t i, std::size_t n) const {
    return load_part<Isa>(scales + i, n);
  }
};

/// Steps are clamped as floats, before they are rounded: the bounds are integers, so the result is the same, and rounding
/// sees small numbers only.
template <class Isa, row_format B, class Scales>
[[gnu::always_inline]] inline void encode_int8(const B* row, std::size_t blocks, const Scales& scales,
                                               std::int32_t zero_point, std::int32_t lowest, std::int8_t* codes) {
  using V = sixteen<Isa>;
  const V low = simd::fill<V>(static_cast<float>(lowest - zero_point)),
          high = simd::fill<V>(static_cast<float>(int8_affine::highest - zero_point));
  const auto zero = simd::fill<simd::vec<std::int32_t, 16, Isa>>(zero_point);
  for_each_sixteen<Isa>(row, blocks, [&](std::size_t i, std::size_t n, const V& x) __attribute__((always_inline)) {
    const auto q = simd::round_away(simd::max(low, simd::min(high, x / scales(i, n)))) + zero;
    if (n == 16)
      return simd::store_bytes(codes + i, q);
    std::int8_t part[16];
    simd::store_bytes(part, q);
    for (std::size_t k = 0; k < n; ++k)
      codes[i + k] = part[k];
  });
}

template <class Isa, class Scales, plain_format T>
[[gnu::always_inline]] inline void decode_int8(const std::int8_t* codes, std::size_t count, const Scales& scales,
                                               std::int32_t zero_point, T* values) {
  const auto zero = simd::fill<simd::vec<std::int32_t, 16, Isa>>(zero_point);
  for (std::size_t i = 0; i < count; i += 16) {
    const std::size_t n = count - i < 16 ? count - i : 16;
    std::int8_t part[16] = {};
    const std::int8_t* p = codes + i;
    if (n < 16) {
      for (std::size_t k = 0; k < n; ++k)
        part[k] = p[k];
      p = part;
    }
    store_part<Isa>(values + i, n, simd::unfused(scales(i, n) * simd::to_float(simd::load_bytes<16, Isa>(p) - zero)));
  }
}

[[gnu::always_inline]] constexpr float larger(float a, float b) { return b > a ? b : a; }

/// The extent of values, 0 always among them, and whether all of them were finite.
template <class Isa>
struct extent {
  using V = sixteen<Isa>;
  V low = simd::fill<V>(0.f), high = low, strange = low;

  [[gnu::always_inline]] void add(const V& value) {
    const V x = simd::unfused(value); // a product of a decoder must not be contracted with the difference below
    low = simd::min(low, x);
    high = simd::max(high, x);
    strange = strange + (x - x); // NaN once an infinity or a NaN was there
  }
  [[gnu::always_inline]] bool finite() const { return simd::halving_sum(strange) == 0.f; }
  [[gnu::always_inline]] float lowest() const { return -largest(simd::fill<V>(0.f) - low); }
  [[gnu::always_inline]] float highest() const { return largest(high); }

private:
  [[gnu::always_inline]] static float largest(const V& lanes) {
    float t[16], r = 0.f;
    simd::store(t, lanes);
    for (const float e : t)
      r = larger(r, e);
    return r;
  }
};

/// max|w| / 127; 1 for channels of zeros, and for those too small for a float scale, which become zeros.
[[gnu::always_inline]] inline float symmetric_scale(float magnitude) {
  const float scale = magnitude / static_cast<float>(int8_affine::highest);
  return scale == 0.f ? 1.f : scale;
}

} // namespace detail

/// The least and the greatest of some values and 0.
struct value_range {
  float min = 0.f, max = 0.f;
};

/// The range of a row of numbers or blocks, 0 included, as int8_affine::from_range takes it; nonfinite_value if an infinity
/// or a NaN is among them. Reads each value once.
template <class Isa = isa::native, std::ranges::contiguous_range Row>
  requires row_format<detail::element_of<Row>>
result<value_range> range_of(const Row& row) {
  detail::extent<Isa> e;
  detail::for_each_sixteen<Isa>(std::ranges::data(row), std::ranges::size(row),
                                [&](std::size_t, std::size_t, const detail::sixteen<Isa>& x)
                                    __attribute__((always_inline)) { e.add(x); });
  if (!e.finite())
    return errc::nonfinite_value;
  return value_range{e.lowest(), e.highest()};
}

/// Numbers or blocks to bytes: q = clamp(round(x / scale) + zero_point, -128, 127), halves away from zero. Infinities
/// saturate and a NaN gives 127. Reads 4 bytes (a number's or block's size) and writes one a value.
/// Expects: a byte for each value, valid parameters.
template <class Isa = isa::native, std::ranges::contiguous_range Row, detail::code_range Codes>
  requires row_format<detail::element_of<Row>>
void quantize(const Row& row, Codes&& codes, const int8_affine& parameters) {
  using B = detail::element_of<Row>;
  QUANTA_EXPECTS((detail::same_length<B, float>(std::ranges::size(row), std::ranges::size(codes))));
  QUANTA_EXPECTS(parameters.valid());
  detail::encode_int8<Isa>(std::ranges::data(row), std::ranges::size(row), detail::one_scale<Isa>(parameters.scale),
                           parameters.zero_point, int8_affine::lowest, std::ranges::data(codes));
}

/// Bytes to numbers: scale * (q - zero_point) rounded to float, then to f16 or bf16 where those are asked for.
/// Expects: a number for each byte, valid parameters.
template <class Isa = isa::native, detail::code_range Codes, detail::number_range Values>
void dequantize(const Codes& codes, Values&& values, const int8_affine& parameters) {
  QUANTA_EXPECTS(std::ranges::size(values) == std::ranges::size(codes));
  QUANTA_EXPECTS(parameters.valid());
  detail::decode_int8<Isa>(std::ranges::data(codes), std::ranges::size(codes), detail::one_scale<Isa>(parameters.scale),
                           parameters.zero_point, std::ranges::data(values));
}

/// Weights of any format to symmetric bytes: scales[c] = max|w| / 127 over channel c, q = clamp(round(w / scales[c]), -127,
/// 127). `scales` has one place a channel, or one in all. Blocks are decoded in registers: their scales make way for the
/// channel's. Reads the matrix twice; no heap. nonfinite_value if a weight is no number; the output is then unfinished.
/// Expects: weights.valid(); codes.size() == rows * columns; scales.size() == the number of channels, or 1.
template <class Isa = isa::native, row_format B>
result<void> quantize_per_channel(const matrix_view<B>& weights, std::span<std::int8_t> codes, std::span<float> scales,
                                  channel_axis axis = channel_axis::rows) {
  using V = detail::sixteen<Isa>;
  const bool one = scales.size() == 1, by_column = axis == channel_axis::columns && !one;
  QUANTA_EXPECTS(weights.valid());
  QUANTA_EXPECTS(detail::is_product(codes.size(), weights.rows, weights.columns));
  QUANTA_EXPECTS(one || scales.size() == (by_column ? weights.columns : weights.rows));
  const std::size_t row_blocks = weights.row_blocks(), rows = codes.empty() ? 0 : weights.rows;
  const B* const blocks = weights.blocks.data();
  for (float& s : scales) // first the magnitudes, then what they make
    s = 0.f;
  for (std::size_t r = 0; r < rows; ++r) {
    detail::extent<Isa> e;
    const auto look = [&](std::size_t i, std::size_t n, const V& x) __attribute__((always_inline)) {
      e.add(x);
      if (by_column)
        detail::store_part<Isa>(&scales[i], n, simd::max(detail::load_part<Isa>(&scales[i], n), simd::abs(x)));
    };
    detail::for_each_sixteen<Isa>(blocks + r * row_blocks, row_blocks, look);
    if (!e.finite())
      return errc::nonfinite_value;
    if (!by_column) {
      float& s = scales[one ? 0 : r];
      s = detail::larger(s, detail::larger(-e.lowest(), e.highest()));
    }
  }
  for (float& s : scales)
    s = detail::symmetric_scale(s);
  for (std::size_t r = 0; r < rows; ++r) {
    const auto encode = [&](const auto& channel) __attribute__((always_inline)) {
      detail::encode_int8<Isa>(blocks + r * row_blocks, row_blocks, channel, 0, -int8_affine::highest,
                               codes.data() + r * weights.columns);
    };
    if (by_column)
      encode(detail::column_scales<Isa>{scales.data()});
    else
      encode(detail::one_scale<Isa>(scales[one ? 0 : r]));
  }
  return {};
}

/// Weights as numbers, row after row. Expects: weights.valid(); values.size() == rows * columns.
template <class Isa = isa::native, detail::number_range Values>
void dequantize(const int8_per_channel& weights, Values&& values) {
  QUANTA_EXPECTS(weights.valid());
  QUANTA_EXPECTS(std::ranges::size(values) == weights.codes.size());
  auto* out = std::ranges::data(values);
  const std::size_t rows = weights.codes.empty() ? 0 : weights.rows;
  for (std::size_t r = 0; r < rows; ++r, out += weights.columns) {
    const std::int8_t* const codes = weights.codes.data() + r * weights.columns;
    if (weights.axis == channel_axis::columns && weights.scales.size() != 1)
      detail::decode_int8<Isa>(codes, weights.columns, detail::column_scales<Isa>{weights.scales.data()}, 0, out);
    else
      detail::decode_int8<Isa>(codes, weights.columns, detail::one_scale<Isa>(weights.parameters(r).scale), 0, out);
  }
}

/// Bytes to blocks of any format: what `quantize` makes of the decoded values. For int8_block, `repack` loses less.
/// 8 KiB of stack. Expects: a byte for each value of the blocks, valid parameters.
template <class Isa = isa::native, detail::code_range Codes, detail::block_range Row>
void quantize(const Codes& codes, Row&& row, const int8_affine& parameters) {
  using B = detail::element_of<Row>;
  const std::size_t count = std::ranges::size(codes);
  QUANTA_EXPECTS((detail::same_length<B, float>(std::ranges::size(row), count)));
  QUANTA_EXPECTS(parameters.valid());
  static_assert(detail::stretch % B::block_size == 0, "a stretch of a row is whole blocks");
  alignas(64) float buffer[detail::stretch];
  for (std::size_t first = 0; first < count; first += detail::stretch) {
    const std::size_t n = count - first < detail::stretch ? count - first : detail::stretch;
    detail::decode_int8<Isa>(std::ranges::data(codes) + first, n, detail::one_scale<Isa>(parameters.scale),
                             parameters.zero_point, buffer);
    detail::encode_stretch<Isa>(buffer, n / B::block_size, std::ranges::data(row) + first / B::block_size, nullptr, 0.f);
  }
}

/// A row of symmetric bytes as blocks of the same bytes, d = the scale rounded to a half. Returns whether that is exact: the
/// scale is a half. Otherwise all values are off by one factor, within 2^-11 of 1 for scales from 2^-14 to 65,504: at most
/// 0.07 of a step, where new codes would cost up to half a step. Scales under 2^-14 have fewer bits as a half and none from
/// 2^-25 down; those from 65,520 on become infinite. Expects: a byte for each value of the blocks, a valid scale.
template <class Isa = isa::native, detail::code_range Codes, std::size_t N>
bool repack(const Codes& codes, float scale, std::span<int8_block<N>> row) {
  QUANTA_EXPECTS((detail::same_length<int8_block<N>, float>(row.size(), std::ranges::size(codes))));
  QUANTA_EXPECTS((int8_affine{scale, 0}.valid()));
  const f16 d = simd::narrow_to_half<Isa>(scale);
  const std::int8_t* p = std::ranges::data(codes);
  for (int8_block<N>& block : row) {
    block.d = d;
    std::memcpy(block.qs.data(), p, N);
    p += N;
  }
  return simd::widen_half<Isa>(d) == scale;
}

/// A bias as int32: q = round(bias / (input scale * weight scale)) in double, halves away from zero, saturated.
/// nonfinite_value if one is no number. Expects: codes.size() == bias.size(); one weight scale a value, or one in all.
template <class Isa = isa::native>
result<void> quantize_bias(std::span<const float> bias, float input_scale, std::span<const float> weight_scales,
                           std::span<std::int32_t> codes) {
  QUANTA_EXPECTS(codes.size() == bias.size() && (weight_scales.size() == 1 || weight_scales.size() == bias.size()));
  constexpr double low = std::numeric_limits<std::int32_t>::min(), high = std::numeric_limits<std::int32_t>::max();
  for (std::size_t i = 0; i < bias.size(); ++i) {
    const double weight_scale = weight_scales[weight_scales.size() == 1 ? 0 : i];
    const double q = std::round(bias[i] / (input_scale * weight_scale));
    if (!(bias[i] - bias[i] == 0.f) || q != q)
      return errc::nonfinite_value;
    codes[i] = static_cast<std::int32_t>(detail::clamp(q, low, high));
  }
  return {};
}

} // namespace quanta
