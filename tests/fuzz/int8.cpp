// int8 of any floats, parameters and shapes: the equations at this level and the portable one, in range, errors by name.
#include <algorithm>
#include <optional>

#include "quanta/formats.hpp"
#include "quanta/int8.hpp"
#include "support.hpp"

namespace {

using namespace quanta;
using fuzz::expect, fuzz::same_bits;
using isa::native, isa::portable;
using numbers = std::vector<float>;
using codes = std::vector<std::int8_t>;

bool finite(const numbers& x) {
  for (const float v : x)
    if (!std::isfinite(v))
      return false;
  return true;
}
/// In range, or none: what a caller makes of parameters from outside.
std::optional<int8_affine> any_parameters(fuzz::input& in) {
  const float scale = in.flag() ? in.take<float>() : std::ldexp(1.f + in.byte(), static_cast<std::int8_t>(in.byte()));
  const auto p = int8_affine::checked(scale, in.flag() ? in.take<std::int64_t>() : std::int64_t{in.take<std::int8_t>()});
  return p ? std::optional(*p) : std::nullopt;
}
std::int8_t equation(float x, const int8_affine& p) {
  const float steps = std::round(x / p.scale), low = static_cast<float>(-128 - p.zero_point),
              high = static_cast<float>(127 - p.zero_point);
  return static_cast<std::int8_t>((steps < low     ? -128 - p.zero_point
                                   : steps <= high ? static_cast<int>(steps)
                                                   : 127 - p.zero_point) +
                                  p.zero_point);
}

void try_values(fuzz::input& in) {
  const auto x = in.floats(in.up_to(70));
  const auto range = range_of<native>(x), other = range_of<portable>(x);
  expect(range.has_value() == finite(x) && other.has_value() == finite(x), "range_of", "sees other numbers");
  std::optional<int8_affine> p = any_parameters(in);
  if (range) {
    expect(range->min == other->min && range->max == other->max, "range_of", "has another range");
    const auto made = int8_affine::from_range(range->min, range->max);
    expect(made && made->valid(), "from_range", "has no parameters for a range");
    if (in.flag())
      p = *made;
  }
  if (!p)
    return;
  codes q(x.size()), r(x.size());
  quantize<native>(x, q, *p);
  quantize<portable>(x, r, *p);
  expect(q == r, "quantize", "has other bytes at the portable level");
  for (std::size_t i = 0; i < x.size(); ++i)
    expect(q[i] == equation(x[i], *p), "quantize", "is not its equation");
  numbers y(x.size()), z(x.size());
  dequantize<native>(q, y, *p);
  dequantize<portable>(q, z, *p);
  expect(same_bits(y, z), "dequantize", "has other bits at the portable level");
  for (std::size_t i = 0; i < y.size(); ++i)
    expect(same_bits(y[i], p->scale * static_cast<float>(q[i] - p->zero_point)), "dequantize", "is not its equation");
}

template <class B>
void try_channels(fuzz::input& in, const std::vector<B>& blocks, std::size_t rows, std::size_t columns) {
  const matrix_view<B> weights(blocks, rows, columns);
  const auto axis = in.flag() ? channel_axis::rows : channel_axis::columns;
  const std::size_t channels = in.flag() ? 1 : axis == channel_axis::rows ? rows : columns;
  codes q(rows * columns), r(q);
  numbers scales(channels), others(channels), decoded(rows * columns), values(decoded);
  const auto done = quantize_per_channel<native>(weights, q, scales, axis);
  const auto also = quantize_per_channel<portable>(weights, r, others, axis);
  dequantize<native>(blocks, decoded);
  expect(done.has_value() == also.has_value() && done.has_value() == finite(decoded), "channels", "see other numbers");
  if (!done)
    return;
  expect(q == r && same_bits(scales, others), "channels", "have other bytes at the portable level");
  for (const std::int8_t code : q)
    expect(code != -128, "channels", "are not symmetric");
  for (const float scale : scales)
    expect(int8_affine{scale, 0}.valid(), "channels", "have a scale that is none");
  const int8_per_channel view(q, scales, rows, columns, axis);
  dequantize<native>(view, values);
  for (std::size_t i = 0; i < values.size(); ++i)
    expect(same_bits(values[i], view.scale(i / columns, i % columns) * static_cast<float>(q[i])), "channels",
           "decode to others");
}
void try_matrix(fuzz::input& in) {
  const std::size_t rows = in.up_to(5);
  if (in.flag()) {
    const std::size_t columns = in.up_to(40);
    try_channels(in, in.floats(rows * columns), rows, columns);
  } else if (in.flag()) {
    try_channels(in, in.take<q8_0>(rows * 2), rows, 2 * q8_0::block_size);
  } else {
    try_channels(in, in.take<q4_k>(rows), rows, q4_k::block_size);
  }
}

/// One rounding of a layer of any shape, against sums in 64 bits.
template <class Rounding>
void try_layer(fuzz::input& in) {
  const std::size_t rows = in.up_to(5), columns = in.up_to(70), inputs = rows == 0 ? 0 : in.up_to(3);
  const codes w = in.take<std::int8_t>(rows * columns), x = in.take<std::int8_t>(inputs * columns);
  const auto bias = in.take<std::int32_t>(in.flag() ? rows : 0);
  const numbers scales = in.floats(in.flag() ? 1 : rows);
  const int8_affine sides[2] = {any_parameters(in).value_or(int8_affine{in.take<float>(), in.take<std::int32_t>()}),
                                any_parameters(in).value_or(int8_affine{})};
  int8_range range{in.take<std::int8_t>(), in.take<std::int8_t>()};
  if (range.low > range.high)
    std::swap(range.low, range.high);
  std::vector<std::int32_t> offsets(rows);
  std::vector<typename Rounding::factor> factors(rows);
  const int8_layer layer{int8_per_channel(w, scales, rows, columns), bias, sides[0], sides[1], range};
  const auto made = prepare<native, Rounding>(layer, offsets, factors);
  if (!made) {
    const errc code = made.error().code;
    expect(code == errc::nonfinite_scale || code == errc::bad_scale || code == errc::bad_zero_point ||
               code == errc::accumulator_overflow,
           name(code), "is no error of a layer");
    return;
  }
  codes y(inputs * rows), z(y);
  fully_connected<native>(*made, x, y);
  fully_connected<portable>(*made, x, z);
  expect(y == z, "fully_connected", "has other bytes at the portable level");
  for (std::size_t i = 0; i < y.size(); ++i) {
    const std::size_t r = i % rows;
    std::int64_t sum = bias.empty() ? 0 : bias[r];
    for (std::size_t c = 0; c < columns; ++c)
      sum += std::int64_t{x[i / rows * columns + c] - sides[0].zero_point} * w[r * columns + c];
    expect(sum == static_cast<std::int32_t>(sum), "fully_connected", "overflows");
    expect(y[i] >= range.low && y[i] <= range.high, "fully_connected", "is out of range");
    expect(y[i] == requantize<Rounding>(static_cast<std::int32_t>(sum), factors[r], sides[1].zero_point, range),
           "fully_connected", "is not its equation");
  }
}

void try_scalars(fuzz::input& in) {
  const auto real = in.take<double>();
  const auto low = in.take<float>(), high = in.take<float>();
  const auto acc = in.take<std::int32_t>();
  const auto factor = fixed_point_multiplier::from(real);
  expect(factor.has_value() == (std::isfinite(real) && real >= 0), "fixed_point_multiplier", "takes other numbers");
  if (factor) {
    requantize<double_rounding>(acc, *factor, static_cast<std::int8_t>(in.byte()));
    requantize<single_rounding>(acc, *factor, static_cast<std::int8_t>(in.byte()));
    requantize<float_rounding>(acc, *float_rounding::make(real), static_cast<std::int8_t>(in.byte()));
  }
  if (low <= high) {
    const auto made = int8_affine::from_range(low, high);
    expect(made.has_value() == (std::isfinite(low) && std::isfinite(high)), "from_range", "takes other numbers");
    if (const auto p = any_parameters(in)) {
      const int8_range r = activation_range(*p, low, high);
      expect(r.low <= r.high, "activation_range", "is upside down");
    }
  }
  const auto bias = in.floats(in.up_to(6)), scales = in.floats(in.flag() ? 1 : bias.size());
  std::vector<std::int32_t> q(bias.size());
  if (const auto done = quantize_bias(bias, in.take<float>(), scales, q); !done)
    expect(done.error().code == errc::nonfinite_value, name(done.error().code), "is no error of a bias");
}

void try_blocks(fuzz::input& in) {
  const auto p = any_parameters(in);
  if (!p)
    return;
  const codes q = in.take<std::int8_t>(64 * in.up_to(3));
  std::vector<int8_block<64>> row(q.size() / 64);
  const bool exact = repack<native>(q, p->scale, std::span(row));
  numbers y(q.size()), z(q.size());
  dequantize<native>(row, y);
  dequantize<portable>(q, z, int8_affine{p->scale, 0});
  expect(!exact || same_bits(y, z), "repack", "is not exact");
  std::vector<q8_0> blocks(q.size() / 32), others(blocks);
  quantize<native>(q, blocks, *p);
  quantize<portable>(q, others, *p);
  for (std::size_t b = 0; b < blocks.size(); ++b)
    expect(std::memcmp(&blocks[b], &others[b], sizeof(q8_0)) == 0, "q8_0", "has other bytes at the portable level");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0)
    return 0;
  fuzz::input in(data, size);
  switch (in.up_to(6)) {
  case 0:
    try_values(in);
    break;
  case 1:
    try_matrix(in);
    break;
  case 2:
    try_layer<double_rounding>(in);
    break;
  case 3:
    try_layer<single_rounding>(in);
    break;
  case 4:
    try_layer<float_rounding>(in);
    break;
  case 5:
    try_scalars(in);
    break;
  default:
    try_blocks(in);
  }
  return 0;
}
