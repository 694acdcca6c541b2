// The formats of 32-value runs from numbers to blocks. Without importance in closed form, a register of blocks at a time;
// with importance by the searches, one lane a block.
#pragma once

#include <limits>

#include "quanta/encode/affine_search.hpp"
#include "quanta/encode/codes.hpp"
#include "quanta/encode/symmetric_search.hpp"
#include "quanta/encode/weights.hpp"
#include "quanta/formats.hpp"

namespace quanta::encode {

/// How many values of a block of N are worked on together.
template <std::size_t N>
inline constexpr std::size_t portion_of = N % 32 == 0 ? 32 : 16;

/// The first value of a block that equals `wanted` under `seen_as`; the block has one.
template <std::size_t N, class Isa, class F>
[[gnu::always_inline]] inline float first_equal(const float* x, float wanted, F seen_as) {
  constexpr std::size_t W = portion_of<N>;
  using V = simd::vec<float, W, Isa>;
  for (std::size_t i = 0; i < N; i += W) {
    const std::uint64_t hits = simd::bits(seen_as(simd::load<V>(x + i)) == simd::fill<V>(wanted));
    if (hits != 0)
      return x[i + static_cast<std::size_t>(std::countr_zero(hits))];
  }
  return x[0]; // only where x has a NaN
}

/// Lane j: the largest of `seen_as` over block j of N values each; lanes from `count` on are those of zeros.
template <std::size_t N, class Isa, class F>
[[gnu::always_inline]] inline register_of<Isa> block_maxima(const float* x, std::size_t count, F seen_as) {
  using R = register_of<Isa>;
  constexpr std::size_t W = register_lanes<Isa>;
  R rows[W];
  for (std::size_t j = 0; j < W; ++j) {
    if (j >= count) {
      rows[j] = simd::fill<R>(0.f);
      continue;
    }
    rows[j] = seen_as(simd::load<R>(x + j * N));
    for (std::size_t i = W; i < N; i += W)
      rows[j] = simd::max(rows[j], seen_as(simd::load<R>(x + j * N + i)));
  }
  return simd::row_maxima(rows);
}

inline constexpr auto magnitude_of = [](const auto& v) __attribute__((always_inline)) { return simd::abs(v); };
inline constexpr auto value_of = [](const auto& v) __attribute__((always_inline)) { return v; };
inline constexpr auto negative_of = [](const auto& v) __attribute__((always_inline)) {
  return simd::fill<std::remove_cvref_t<decltype(v)>>(0.f) - v;
};

/// 1 / d, or 0 where d is 0 or so small that the quotient overflows: the half of such a scale is 0 anyway.
template <class V>
[[gnu::always_inline]] inline V inverse_or_zero(const V& d) {
  return simd::select(simd::abs(d) > simd::fill<V>(0x1p-128f), simd::fill<V>(1.f) / d, simd::fill<V>(0.f));
}

/// linear_block, closed form: symmetric: the extreme value becomes level 0, d = extreme / -2^(Bits-1); affine: d spans
/// the range, m is the smallest value. Codes come from the unrounded scale.
template <class Isa, int Bits, std::size_t N, linear_kind Kind>
void encode_runs(const float* x, std::size_t blocks, linear_block<Bits, N, Kind>* out) {
  using B = linear_block<Bits, N, Kind>;
  using R = register_of<Isa>;
  constexpr std::size_t W = register_lanes<Isa>;
  for (; blocks > 0;) {
    const std::size_t count = blocks < W ? blocks : W;
    alignas(64) float d[W], inverse[W], origin[W] = {};
    if constexpr (B::affine) {
      const R high = block_maxima<N, Isa>(x, count, value_of), low = block_maxima<N, Isa>(x, count, negative_of);
      alignas(64) float negative_low[W];
      simd::store(negative_low, low);
      for (std::size_t j = 0; j < count; ++j) // found again, because 0 and -0 are equal but stored differently
        origin[j] = first_equal<N, Isa>(x + j * N, -negative_low[j], value_of);
      const R range = simd::max(simd::fill<R>(0.f), high - simd::load<R>(origin)); // zeros of both signs differ by +0
      simd::store(d, range / simd::fill<R>(static_cast<float>(B::levels - 1)));
    } else {
      alignas(64) float largest[W];
      simd::store(largest, block_maxima<N, Isa>(x, count, magnitude_of));
      for (std::size_t j = 0; j < count; ++j)
        largest[j] = first_equal<N, Isa>(x + j * N, largest[j], magnitude_of);
      simd::store(d, simd::load<R>(largest) / simd::fill<R>(static_cast<float>(-B::code_offset)));
    }
    simd::store(inverse, inverse_or_zero(simd::load<R>(d)));
    f16 half_d[W], half_m[W]; // converted together
    simd::store_floats(half_d, simd::load<R>(d));
    if constexpr (B::affine)
      simd::store_floats(half_m, simd::load<R>(origin));
    for (std::size_t j = 0; j < count; ++j, x += N) {
      constexpr std::size_t portion = portion_of<N>;
      using V = simd::vec<float, portion, Isa>;
      const V scale = simd::fill<V>(inverse[j]), half = simd::fill<V>(static_cast<float>(B::code_offset) + 0.5f);
      const auto top = simd::fill<simd::vec<std::int32_t, portion, Isa>>(B::levels - 1);
      alignas(32) std::uint8_t codes[N];
      for (std::size_t i = 0; i < N; i += portion) {
        V v = simd::load<V>(x + i);
        if constexpr (B::affine)
          v = v - simd::fill<V>(origin[j]);
        simd::store_bytes(codes + i, simd::min(simd::truncate(simd::unfused(v * scale) + half), top));
      }
      out[j].d = half_d[j];
      if constexpr (B::affine)
        out[j].m = half_m[j];
      out[j].assemble(codes);
    }
    out += count;
    blocks -= count;
  }
}

/// linear_block with importance: weights q * sqrt(mean x^2 of the row + x^2), codes of the search, scales rounded to half
/// afterwards.
template <class Isa, int Bits, std::size_t N, linear_kind Kind>
void encode_runs(const float* x, std::size_t blocks, linear_block<Bits, N, Kind>* out, const float* importance,
                 float mean_square) {
  using B = linear_block<Bits, N, Kind>;
  using V = lanes_of<Isa>;
  constexpr std::size_t L = simd::lanes<V>;
  for (std::size_t first = 0; first < blocks; first += L) {
    alignas(64) float xt[N * L], wt[N * L], scale[L], minimum[L] = {}, t[L], base[L] = {};
    transpose_groups<N, L, Isa>(x + first * N, N, blocks - first, xt);
    transpose_groups<N, L, Isa>(importance + first * N, N, blocks - first, wt);
    importance_weights<N>(xt, simd::fill<V>(mean_square), wt);
    if constexpr (B::affine) {
      const auto fit = search_affine<N, B::levels - 1, importance_grid, V>(xt, wt);
      simd::store(scale, fit.scale);
      simd::store(minimum, fit.minimum);
      simd::store(t, fit.t);
      simd::store(base, fit.base);
    } else {
      const auto fit = search_symmetric<N, B::levels / 2, V>(xt, wt);
      simd::store(scale, fit.scale);
      simd::store(t, fit.t);
    }
    for (std::size_t lane = 0; lane < L && first + lane < blocks; ++lane) {
      B& block = out[first + lane];
      const float* values = x + (first + lane) * N;
      alignas(32) std::uint8_t codes[N];
      if constexpr (B::affine)
        affine_codes<N, B::levels - 1, Isa>(values, 0.f, 0.f, t[lane], base[lane], codes);
      else
        symmetric_codes<N, B::levels / 2, Isa>(values, 0.f, t[lane], codes);
      block.d = simd::narrow_to_half<Isa>(scale[lane]);
      if constexpr (B::affine)
        block.m = simd::narrow_to_half<Isa>(minimum[lane]);
      block.assemble(codes);
    }
  }
}

/// int8_block and q8_1: d = largest magnitude / 127, codes rounded half away from zero.
template <class Isa, class B>
  requires requires(B b) { b.qs[0] = std::int8_t{}; }
void encode_runs(const float* x, std::size_t blocks, B* out) {
  using R = register_of<Isa>;
  constexpr std::size_t W = register_lanes<Isa>, N = B::block_size;
  for (; blocks > 0;) {
    const std::size_t count = blocks < W ? blocks : W;
    alignas(64) float inverse[W];
    [[maybe_unused]] alignas(64) float sum[W] = {};
    const R scale = block_maxima<N, Isa>(x, count, magnitude_of) / simd::fill<R>(127.f);
    f16 half_d[W]; // converted together
    simd::store_floats(half_d, scale);
    simd::store(inverse, inverse_or_zero(scale));
    for (std::size_t j = 0; j < count; ++j, x += N) {
      using V = simd::vec<float, portion_of<N>, Isa>;
      for (std::size_t i = 0; i < N; i += portion_of<N>) {
        const V v = simd::unfused(simd::load<V>(x + i) * simd::fill<V>(inverse[j]));
        const auto codes = simd::round_away(v);
        simd::store_bytes(&out[j].qs[i], codes);
        if constexpr (std::same_as<B, q8_1>) // integers below 2^24: exact in any order
          sum[j] = simd::halving_sum(simd::to_float(codes));
      }
      out[j].d = half_d[j];
    }
    if constexpr (std::same_as<B, q8_1>) {
      simd::store_floats(half_d, scale * simd::load<R>(sum));
      for (std::size_t j = 0; j < count; ++j)
        out[j].s = half_d[j];
    }
    out += count;
    blocks -= count;
  }
}

/// q8_k: the extreme value becomes -127, codes rounded to even; a block of zeros, or of values whose inverse overflows, is zero
/// bytes.
template <class Isa>
void encode_activations(const float* x, std::size_t blocks, q8_k* out) {
  using V = simd::vec<float, 32, Isa>;
  for (std::size_t b = 0; b < blocks; ++b, x += 256) {
    V largest = simd::abs(simd::load<V>(x));
    for (std::size_t i = 32; i < 256; i += 32)
      largest = simd::max(largest, simd::abs(simd::load<V>(x + i)));
    float lane[32], magnitude = 0.f;
    simd::store(lane, largest);
    for (float a : lane)
      magnitude = a > magnitude ? a : magnitude;
    if (!(127.f / magnitude <= std::numeric_limits<float>::max())) { // zeros, and whatever is no larger than 2^-121
      out[b] = q8_k{};
      continue;
    }
    const float inverse = -127.f / first_equal<256, Isa>(x, magnitude, magnitude_of);
    const V scale = simd::fill<V>(inverse), top = simd::fill<V>(127.f);
    for (std::size_t i = 0; i < 256; i += 32)
      simd::store_bytes(&out[b].qs[i],
                        simd::truncate(simd::min(top, simd::round_even(simd::unfused(scale * simd::load<V>(x + i))))));
    for (std::size_t j = 0; j < 16; ++j) {
      int sum = 0;
      for (std::size_t i = 0; i < 16; ++i)
        sum += out[b].qs[16 * j + i];
      out[b].bsums[j] = static_cast<std::int16_t>(sum);
    }
    out[b].d = 1.f / inverse;
  }
}

} // namespace quanta::encode
