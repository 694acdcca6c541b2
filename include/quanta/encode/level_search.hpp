// One scale for groups whose codes are looked up in a table of 16 levels (iq4_nl, iq4_xs).
#pragma once

#include "quanta/encode/nonlinear.hpp"
#include "quanta/encode/runs.hpp"

namespace quanta::encode {

/// The codes of a group of N values from the inverse of its scale.
template <std::size_t N, class Isa>
[[gnu::always_inline]] inline void nonlinear_codes(const float* x, float inverse, std::uint8_t* codes) {
  using V = simd::vec<float, 16, Isa>;
  using I = simd::vec<std::int32_t, 16, Isa>;
  for (std::size_t i = 0; i < N; i += 16) {
    const V v = within_nonlinear_levels(simd::unfused(simd::load<V>(x + i) * simd::fill<V>(inverse)));
    simd::store_bytes(codes + i, nonlinear_code(v) & simd::fill<I>(15));
  }
}

/// 16 inverse scales: the extreme value at the upper end of the table, then near its lower end, (k - 127) / extreme for
/// k = -7 .. 7; the winner has the largest A^2 / B, A = sum w q x, B = sum w q^2, the first of equals. Returns the scale A / B,
/// 0 for a group of zeros.
template <std::size_t N, class V>
[[gnu::noinline]] V search_nonlinear(const float* xt, const float* wt) {
  constexpr std::size_t L = simd::lanes<V>;
  const V zero = simd::fill<V>(0.f), lowest = simd::fill<V>(static_cast<float>(detail::nonlinear_levels[0]));
  const V extreme = signed_extreme<N, V>(xt);
  const auto empty = simd::abs(extreme) < simd::fill<V>(1e-15f);
  const auto accumulate = [&](const V& t, V& sum_qx, V& sum_q2) __attribute__((always_inline)) {
    sum_qx = sum_q2 = zero;
    for (std::size_t i = 0; i < N; ++i) {
      const V x = simd::load<V>(xt + i * L), q = nearest_nonlinear(simd::unfused(t * x));
      const V wq = simd::unfused(simd::load<V>(wt + i * L) * q);
      sum_qx = sum_qx + simd::unfused(wq * x);
      sum_q2 = sum_q2 + simd::unfused(wq * q);
    }
  };
  V sum_qx, sum_q2;
  accumulate(simd::fill<V>(1.f) / ((zero - extreme) / lowest), sum_qx, sum_q2);
  V scale = simd::select(sum_q2 > zero, sum_qx / sum_q2, zero), best = simd::unfused(scale * sum_qx); // 0: no importance
  for (int k = -7; k <= 7; ++k) {
    accumulate((simd::fill<V>(static_cast<float>(k)) + lowest) / extreme, sum_qx, sum_q2);
    const auto better = (sum_q2 > zero) & (simd::unfused(sum_qx * sum_qx) > simd::unfused(best * sum_q2));
    scale = simd::select(better, sum_qx / sum_q2, scale);
    best = simd::select(better, simd::unfused(scale * sum_qx), best);
  }
  return simd::select(empty, zero, scale);
}

/// Scales of `count` groups of 32; `variance` is the mean square that the importance of group g is weighed with.
template <class Isa, class F>
[[gnu::always_inline]] inline void search_nonlinear_groups(const float* x, std::size_t count, const float* importance,
                                                           F variance, float* scales) {
  using V = lanes_of<Isa>;
  constexpr std::size_t N = 32, L = simd::lanes<V>;
  for (std::size_t g = 0; g < count; g += L) {
    alignas(64) float xt[N * L], wt[N * L], found[L], lane_variance[L];
    transpose_groups<N, L, Isa>(x + g * N, N, count - g, xt);
    if (importance) {
      for (std::size_t lane = 0; lane < L; ++lane)
        lane_variance[lane] = g + lane < count ? 2.f * variance(g + lane) : 0.f;
      transpose_groups<N, L, Isa>(importance + g * N, N, count - g, wt);
      importance_weights<N>(xt, simd::load<V>(lane_variance), wt);
    } else {
      plain_weights<N, weighting::square, V>(xt, wt);
    }
    simd::store(found, search_nonlinear<N, V>(xt, wt));
    for (std::size_t lane = 0; lane < L && g + lane < count; ++lane)
      scales[g + lane] = found[lane];
  }
}

template <class Isa>
void encode_nonlinear(const float* x, std::size_t blocks, iq4_nl* out, const float* importance) {
  constexpr std::size_t N = iq4_nl::block_size, together = 64;
  while (blocks > 0) {
    const std::size_t count = blocks < together ? blocks : together;
    float scales[together], sums[together];
    if (importance)
      for (std::size_t b = 0; b < count; b += blocks_together)
        sums_of_squares<N, Isa>(x + b * N, count - b < blocks_together ? count - b : blocks_together, sums + b);
    search_nonlinear_groups<Isa>(x, count, importance, [&](std::size_t b) { return sums[b] / static_cast<float>(N); }, scales);
    for (std::size_t b = 0; b < count; ++b) {
      out[b].d = simd::narrow_to_half<Isa>(scales[b]);
      alignas(32) std::uint8_t codes[N]; // without a scale those of 0: not zero bytes
      nonlinear_codes<N, Isa>(x + b * N, scales[b] != 0.f ? 1.f / scales[b] : 0.f, codes);
      out[b].assemble(codes);
    }
    x += count * N;
    importance = importance ? importance + count * N : nullptr;
    out += count;
    blocks -= count;
  }
}

/// iq4_xs: the scales of 8 groups become integers -32 .. 31, the extreme one -32; codes from the unrounded product.
template <class Isa>
void encode_super_blocks(const float* x, std::size_t blocks, iq4_xs* out, const float* importance) {
  constexpr std::size_t N = iq4_xs::group_size, groups = 8;
  while (blocks > 0) {
    const std::size_t count = blocks < blocks_together ? blocks : blocks_together;
    float scales[blocks_together * groups], sums[blocks_together];
    if (importance)
      sums_of_squares<detail::super_block_size, Isa>(x, count, sums);
    search_nonlinear_groups<Isa>(x, count * groups, importance, [&](std::size_t g) {
      return sums[g / groups] / static_cast<float>(detail::super_block_size);
    }, scales);
    for (std::size_t b = 0; b < count; ++b) {
      const float* s = scales + b * groups;
      const float d = -first_extreme<groups, Isa>(s) / 32.f, inverse = d != 0.f ? 1.f / d : 0.f;
      std::int8_t integers[groups];
      alignas(64) std::uint8_t codes[detail::super_block_size];
      for (std::size_t g = 0; g < groups; ++g) {
        const float level = simd::native<isa::portable>::round_even(inverse * s[g]);
        integers[g] = static_cast<std::int8_t>(level > -32.f ? (level < 31.f ? level : 31.f) : -32.f); // -32 for NaN, too
        const float product = d * static_cast<float>(integers[g]);
        nonlinear_codes<N, Isa>(x + b * detail::super_block_size + g * N, product != 0.f ? 1.f / product : 0.f, codes + g * N);
      }
      out[b].assemble(simd::narrow_to_half<Isa>(d), integers, codes);
    }
    x += count * detail::super_block_size;
    importance = importance ? importance + count * detail::super_block_size : nullptr;
    out += count;
    blocks -= count;
  }
}

} // namespace quanta::encode
