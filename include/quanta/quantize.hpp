// Numbers to blocks: with search::reference the bytes of the reference implementation, with search::thorough fewer errors;
// the same bytes on every level and compiler.
#pragma once

#include "quanta/dequantize.hpp"
#include "quanta/encode/affine_super_blocks.hpp"
#include "quanta/encode/codebook_magnitudes.hpp"
#include "quanta/encode/codebook_ternary.hpp"
#include "quanta/encode/equation.hpp"
#include "quanta/encode/finite.hpp"
#include "quanta/encode/fp4.hpp"
#include "quanta/encode/level_search.hpp"
#include "quanta/encode/overflow.hpp"
#include "quanta/encode/runs.hpp"
#include "quanta/encode/symmetric_super_blocks.hpp"
#include "quanta/encode/ternary.hpp"
#include "quanta/encode/thorough.hpp"
#include "quanta/search.hpp"

namespace quanta {

struct quantize_options {
  /// What an error in each column counts: one value a column (an importance matrix' row), 0 to 2^56, or empty. NaN and
  /// negative ones count as 0, larger ones as 2^56.
  /// Formats whose reference encoder ignores importance ignore it with search::reference.
  std::span<const float> importance = {};
  quanta::search search = quanta::search::reference;
};

namespace detail {

/// Rows are encoded in stretches of this many values, so that f16 and bf16 rows need a small buffer only.
inline constexpr std::size_t stretch = encode::blocks_together * super_block_size;

template <class B>
inline constexpr bool row_dependent = false; // weights of the search depend on the mean square of the whole row
template <int Bits, std::size_t N, linear_kind Kind>
inline constexpr bool row_dependent<linear_block<Bits, N, Kind>> = true;

/// The encoders of search::reference.
enum class encoder { equation, super_blocks, nonlinear, activations, ternary, signs, fp4, runs };
template <class B>
inline constexpr encoder encoder_of = encode::equation_format<B>                         ? encoder::equation
                                      : std::same_as<B, q8_k>                            ? encoder::activations
                                      : encode::absmax_ternary_format<B>                 ? encoder::ternary
                                      : std::same_as<B, q1_0>                            ? encoder::signs
                                      : std::same_as<B, mxfp4> || std::same_as<B, nvfp4> ? encoder::fp4
                                      : std::same_as<B, iq4_nl>                          ? encoder::nonlinear
                                      : super_format<B>                                  ? encoder::super_blocks
                                                                                         : encoder::runs;
/// Whether it is a closed form, without importance.
template <class B>
inline constexpr bool closed_form = encoder_of<B> >= encoder::activations;

template <class Isa, block_format B>
inline void encode_stretch(const float* x, std::size_t blocks, B* out, const float* importance, float mean_square) {
  constexpr encoder how = encoder_of<B>;
  if constexpr (how == encoder::equation) {
    encode::encode_by_equation<Isa>(x, blocks, out, importance);
  } else if constexpr (how == encoder::super_blocks) {
    encode::encode_super_blocks<Isa>(x, blocks, out, importance);
  } else if constexpr (how == encoder::nonlinear) {
    encode::encode_nonlinear<Isa>(x, blocks, out, importance);
  } else if constexpr (how == encoder::activations) {
    encode::encode_activations<Isa>(x, blocks, out);
  } else if constexpr (how == encoder::ternary) {
    encode::encode_ternary<Isa>(x, blocks, out);
  } else if constexpr (how == encoder::signs) {
    encode::encode_signs<Isa>(x, blocks, out);
  } else if constexpr (how == encoder::fp4) {
    encode::encode_fp4<Isa>(x, blocks, out);
  } else {
    if constexpr (row_dependent<B>)
      if (importance)
        return encode::encode_runs<Isa>(x, blocks, out, importance, mean_square);
    encode::encode_runs<Isa>(x, blocks, out);
  }
}

/// What the searches count on: importance from 0 to 2^56, so that no sum over values whose scale fits a half overflows; count is
/// a multiple of 16.
template <class Isa>
[[gnu::always_inline]] inline void bound_importance(const float* w, std::size_t count, float* bounded) {
  using V = simd::vec<float, 16, Isa>;
  const V zero = simd::fill<V>(0.f), most = simd::fill<V>(0x1p56f);
  for (std::size_t i = 0; i < count; i += 16) {
    const V v = simd::load<V>(w + i);
    simd::store(bounded + i, simd::select(v > zero, simd::min(v, most), zero)); // a NaN is not above 0
  }
}

/// Calls f(first, count, floats) for each part of a row, `most` <= stretch values; those that are not finite are seen as 0.
template <class Isa, plain_format T, class F>
[[gnu::always_inline]] inline void for_each_stretch(const T* x, std::size_t count, std::size_t most, F&& f) {
  alignas(64) float buffer[stretch];
  for (std::size_t first = 0; first < count; first += most) {
    const std::size_t n = count - first < most ? count - first : most;
    const float* values = buffer;
    if constexpr (std::same_as<T, float>)
      values = x + first;
    else
      dequantize_blocks<Isa>(x + first, n, buffer);
    if (!all_finite<Isa>(values, n)) {
      for (std::size_t i = 0; i < n; ++i)
        buffer[i] = finite_or_zero(values[i]);
      values = buffer;
    }
    f(first, n, values);
  }
}

template <class Isa, search How = search::reference, plain_format T, block_format B>
void quantize_row(const T* x, std::size_t count, B* out, const float* importance) {
  static_assert(stretch % B::block_size == 0, "a stretch of a row is whole blocks");
  float mean_square = 0.f;
  if (row_dependent<B> && importance) {
    for_each_stretch<Isa>(x, count, stretch, [&](std::size_t, std::size_t n, const float* v) {
      for (std::size_t i = 0; i < n; ++i) // in index order, as the reference adds
        mean_square += simd::native<isa::portable>::unfused(v[i] * v[i]);
    });
    mean_square /= static_cast<float>(count);
  }
  alignas(64) float bounded[stretch];
  const bool searched = How == search::thorough || !closed_form<B> || (row_dependent<B> && importance);
  const std::size_t most = searched ? stretch : encode::closed_form_stretch<B::block_size>;
  for_each_stretch<Isa>(x, count, most, [&](std::size_t first, std::size_t n, const float* v) {
    const float* weights = searched && importance ? bounded : nullptr; // closed forms do not weigh
    if (weights)
      bound_importance<Isa>(importance + first, n, bounded);
    encode_stretch<Isa>(v, n / B::block_size, out + first / B::block_size, weights, mean_square);
    if constexpr (How == search::thorough && encode::thorough_format<Isa, B>)
      encode::improve<Isa>(v, n / B::block_size, out + first / B::block_size, weights);
    if (searched) // closed forms do not overflow
      encode::refuse_overflow<Isa>(v, n / B::block_size, out + first / B::block_size);
  });
}
template <class Isa, search How = search::reference, plain_format S, plain_format T>
void quantize_row(const S* x, std::size_t count, T* out, const float*) {
  dequantize_blocks<Isa>(x, count, out);
}

} // namespace detail

/// Encodes one row of numbers (float, f16 or bf16) into blocks, or converts it to f16, bf16 or float. One call is one row:
/// formats that weigh errors by the mean square of the row (q4_0, q4_1, q5_0 with importance) see all of it.
/// Reads 4 (or 2) bytes and writes sizeof(B) / block_size a value; no heap, at most 64 KiB of stack.
/// Expects: weights.size() == row.size() * block size; importance empty or as long as weights. Into blocks, a NaN or an
/// infinity is encoded as 0; a scale that exceeds the largest half becomes infinite, as in the reference (docs/hard_inputs.md).
template <class Isa = isa::native, detail::number_range Weights, std::ranges::contiguous_range Row>
  requires row_format<detail::element_of<Row>>
void quantize(const Weights& weights, Row&& row, const quantize_options& options) {
  using B = detail::element_of<Row>;
  QUANTA_EXPECTS((detail::same_length<B, float>(std::ranges::size(row), std::ranges::size(weights))));
  QUANTA_EXPECTS(options.importance.empty() || options.importance.size() == std::ranges::size(weights));
  const float* importance = options.importance.empty() ? nullptr : options.importance.data();
  if (options.search == search::thorough)
    detail::quantize_row<Isa, search::thorough>(std::ranges::data(weights), std::ranges::size(weights), std::ranges::data(row),
                                                importance);
  else
    detail::quantize_row<Isa>(std::ranges::data(weights), std::ranges::size(weights), std::ranges::data(row), importance);
}
/// The same without options, as the reference does: code that never asks for more does not compile the thorough searches.
template <class Isa = isa::native, detail::number_range Weights, std::ranges::contiguous_range Row>
  requires row_format<detail::element_of<Row>>
void quantize(const Weights& weights, Row&& row) {
  using B = detail::element_of<Row>;
  QUANTA_EXPECTS((detail::same_length<B, float>(std::ranges::size(row), std::ranges::size(weights))));
  detail::quantize_row<Isa>(std::ranges::data(weights), std::ranges::size(weights), std::ranges::data(row), nullptr);
}

} // namespace quanta
