// Scale and minimum of groups of N values with levels 0 .. Top: a grid of ranges, each refined by weighted regression.
// The grid starts from the best minimum found so far, so it moves with each success and cannot be evaluated in parallel.
#pragma once

#include "quanta/encode/lanes.hpp"

namespace quanta::encode {

/// The grid of an affine search: ranges of (first + step * k + Top) levels, k = 0 .. last.
struct affine_grid {
  float first, step;
  int last;
  bool absolute; ///< error sum w |e| instead of sum w e^2
};

/// The grid of all formats when importance is given.
inline constexpr affine_grid importance_grid{-0.9f, 0.05f, 36, false};

/// x is approximated by scale * code + minimum, minimum <= 0. The codes are clamp(rne(t * (x - base)), 0, Top): kept as two
/// floats a lane instead of N codes. A group without range has scale = t = base = 0.
template <class V>
struct affine_fit {
  V scale, minimum, t, base;
};

/// x, w: N values a lane, value i of lane j at [i * lanes + j].
template <std::size_t N, int Top, affine_grid Grid, class V>
[[gnu::noinline]] affine_fit<V> search_affine(const float* xt, const float* wt) {
  constexpr std::size_t L = simd::lanes<V>;
  const V zero = simd::fill<V>(0.f);
  alignas(64) float codes[N * L];
  const auto x = [&](std::size_t i) __attribute__((always_inline)) { return simd::load<V>(xt + i * L); };
  const auto w = [&](std::size_t i) __attribute__((always_inline)) { return simd::load<V>(wt + i * L); };
  const auto penalty = [&](std::size_t i, const V& e) __attribute__((always_inline)) {
    if constexpr (Grid.absolute)
      return simd::unfused(w(i) * simd::abs(e));
    else
      return simd::unfused(w(i) * simd::unfused(e * e));
  };

  V low = x(0), high = low, sum_w = w(0), sum_x = simd::unfused(sum_w * low);
  for (std::size_t i = 1; i < N; ++i) {
    low = simd::min(low, x(i));
    high = simd::max(high, x(i));
    sum_w = sum_w + w(i);
    sum_x = sum_x + simd::unfused(w(i) * x(i));
  }
  low = simd::select(low > zero, zero, low);
  const auto flat = high <= low;

  V t = simd::fill<V>(static_cast<float>(Top)) / (high - low), scale = simd::fill<V>(1.f) / t, minimum = low, base = low,
    best = zero;
  for (std::size_t i = 0; i < N; ++i) {
    const V code = nearest_level<0, Top>(simd::unfused(t * (x(i) - low)));
    best = best + penalty(i, (simd::unfused(scale * code) + low) - x(i));
  }
  for (int k = 0; k <= Grid.last; ++k) {
    const V range = simd::fill<V>(Grid.first + Grid.step * static_cast<float>(k) + static_cast<float>(Top));
    const V try_t = range / (high - minimum);
    V sum_l = zero, sum_l2 = zero, sum_xl = zero;
    // Two passes: in one, an instruction waits for eight before it, and schedulers are full (docs/benchmarks.md).
    for (std::size_t i = 0; i < N; ++i)
      simd::store(codes + i * L, nearest_level<0, Top>(simd::unfused(try_t * (x(i) - minimum))));
#pragma GCC unroll 2 // of all three loops, this one gains by it: 4 to 8 %
    for (std::size_t i = 0; i < N; ++i) {
      const V code = simd::load<V>(codes + i * L), wl = simd::unfused(w(i) * code);
      sum_l = sum_l + wl;
      sum_l2 = sum_l2 + simd::unfused(wl * code);
      sum_xl = sum_xl + simd::unfused(wl * x(i));
    }
    const V determinant = simd::unfused(sum_w * sum_l2) - simd::unfused(sum_l * sum_l);
    V try_scale = (simd::unfused(sum_w * sum_xl) - simd::unfused(sum_x * sum_l)) / determinant;
    V try_minimum = (simd::unfused(sum_l2 * sum_x) - simd::unfused(sum_l * sum_xl)) / determinant;
    const auto positive = try_minimum > zero; // the formats only subtract
    if (simd::any(positive)) { // rare, and a division is worth a branch
      try_minimum = simd::select(positive, zero, try_minimum);
      try_scale = simd::select(positive, sum_xl / sum_l2, try_scale);
    }
    V error = zero;
    for (std::size_t i = 0; i < N; ++i) {
      const V code = simd::load<V>(codes + i * L);
      error = error + penalty(i, (simd::unfused(try_scale * code) + try_minimum) - x(i));
    }
    const auto better = (determinant > zero) & (error < best);
    best = simd::select(better, error, best);
    scale = simd::select(better, try_scale, scale);
    t = simd::select(better, try_t, t);
    base = simd::select(better, minimum, base);
    minimum = simd::select(better, try_minimum, minimum);
  }
  return {simd::select(flat, zero, scale), simd::select(flat, low, minimum), simd::select(flat, zero, t),
          simd::select(flat, zero, base)};
}

} // namespace quanta::encode
