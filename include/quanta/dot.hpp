// Dot products of a quantized row with a quantized or a float row, with the same bits at every level.
//
// The order of the float additions is part of the definition. Quantized activations, run formats (32 values a scale):
// accumulators acc[2][8] start at 0; run b adds round(f * T[k]) to acc[b % 2][k], T[k] = the exact integer sum over the
// quad k (values 4k .. 4k+3) of c * Y, f = round(d * dy) with the scale of the quad's group; an affine run adds round(m * s) to
// offsets[b % 8] (s = dy * sum of the run's Y where the stored half is not finite), or, where the activations store no sums, subtracts round(round(minimum * dy) * sum of the quad's Y) from
// acc[b % 2][k]. Super-blocks: T[k] = the exact integer sum over the values i with i / 4 % 8 = k of s[g] * code(i) * Y[i],
// less code_offset times the sum of s[g] * Y over values 32k .. 32k+31 (an offset of 128 is taken from each code instead, which
// is then a signed byte), f = round(d * dy); an affine block then subtracts round(round(dmin * dy) * M[k]), M[k] = the exact
// sum of m[g] * Y over values 32k .. 32k+31. At the end acc[0] + acc[1] (+ offsets), then lane k with k + 4, k + 2, k + 1.
// Products are rounded before they are added: never fused.
#pragma once

#include "quanta/dequantize.hpp"
#include "quanta/dot/runs.hpp"
#include "quanta/dot/super_blocks.hpp"
#include "quanta/formats/q8_0.hpp"

namespace quanta {
namespace detail {

/// Exact weights times floats: 32 accumulators, value i into lane i % 32, products rounded, halving sum at the end.
template <class Isa, block_format B, plain_format T>
[[gnu::always_inline]] inline float dot_values(const B* row, const T* x, std::size_t blocks) {
  floats16<Isa> sums[2] = {simd::fill<floats16<Isa>>(0.f), simd::fill<floats16<Isa>>(0.f)};
  decode_row<Isa>(row, blocks, [&](std::size_t i, auto part, const floats16<Isa>& w) __attribute__((always_inline)) {
    floats16<Isa>& sum = sums[part() % 2];
    sum = sum + simd::unfused(w * simd::load_floats<16, Isa>(x + i));
  });
  return simd::halving_sum(sums[0] + sums[1]);
}
template <class Isa, plain_format S, plain_format T>
[[gnu::always_inline]] inline float dot_values(const S* row, const T* x, std::size_t count) {
  floats16<Isa> sums[2] = {simd::fill<floats16<Isa>>(0.f), simd::fill<floats16<Isa>>(0.f)};
  const auto add = [&](std::size_t i, const floats16<Isa>& w, const floats16<Isa>& y) __attribute__((always_inline)) {
    floats16<Isa>& sum = sums[i / 16 % 2];
    sum = sum + simd::unfused(w * y);
  };
  std::size_t i = 0;
  for (; i + 16 <= count; i += 16)
    add(i, simd::load_floats<16, Isa>(row + i), simd::load_floats<16, Isa>(x + i));
  if (i < count) { // a sum is never -0, so that adding 0 * 0 for the missing values changes no bit
    float w[16] = {}, y[16] = {};
    for (std::size_t k = 0; i + k < count; ++k) {
      w[k] = static_cast<float>(row[i + k]);
      y[k] = static_cast<float>(x[i + k]);
    }
    add(i, simd::load<floats16<Isa>>(w), simd::load<floats16<Isa>>(y));
  }
  return simd::halving_sum(sums[0] + sums[1]);
}

/// y[r] = the product of row r of `rows` with x, numbers or activations. Long, so that all callers share it, whatever their
/// ranges and threads are.
template <class Isa, class B, class A>
[[gnu::noinline]] void dot_rows(const B* row, std::size_t rows, std::size_t row_blocks, const A* x, float* y) {
  for (std::size_t r = 0; r < rows; ++r, row += row_blocks) {
    if constexpr (plain_format<A>)
      y[r] = dot_values<Isa>(row, x, row_blocks);
    else
      y[r] = dot_blocks<Isa>(row, x, row_blocks);
  }
}
template <class Isa, class Row, class X>
[[gnu::always_inline]] inline float dot_row(const Row& row, const X& x) {
  float y;
  dot_rows<Isa>(std::ranges::data(row), 1, std::ranges::size(row), std::ranges::data(x), &y);
  return y;
}

} // namespace detail

/// The dot product of a quantized row with activations quantized to the row's partner format. Integer parts are exact for
/// every code and activation value; the float steps are in the order above, so all levels and compilers give equal bits.
/// Relative error of the sum: at most (blocks + 8) * 2^-24 of the sum of the magnitudes. Reads each block once.
/// Expects: as many values on both sides.
template <class Isa = isa::native, detail::block_range Row, detail::block_range Activations>
  requires std::same_as<typename detail::element_of<Row>::dot_partner, detail::element_of<Activations>>
float dot(const Row& row, const Activations& activations) {
  using B = detail::element_of<Row>;
  using A = detail::element_of<Activations>;
  QUANTA_EXPECTS((detail::same_length<B, A>(std::ranges::size(row), std::ranges::size(activations))));
  return detail::dot_row<Isa>(row, activations);
}

/// The dot product of the exact decoded weights with float, f16 or bf16 values; rows may be f16, bf16 or float too.
/// Expects: values.size() == row.size() * block size.
template <class Isa = isa::native, std::ranges::contiguous_range Row, detail::number_range Values>
  requires row_format<detail::element_of<Row>>
float dot(const Row& row, const Values& values) {
  using B = detail::element_of<Row>;
  QUANTA_EXPECTS((detail::same_length<B, float>(std::ranges::size(row), std::ranges::size(values))));
  return detail::dot_row<Isa>(row, values);
}

} // namespace quanta
