// One scale for N non-negative values with levels 0 .. Top: what quantizes the scales and minima of a super-block.
#pragma once

#include "quanta/encode/lanes.hpp"

namespace quanta::encode {

/// An integer as the reference keeps it in an unsigned byte: modulo 256.
template <class V>
[[gnu::always_inline]] inline V as_byte(const V& integer) {
  const V scaled = simd::unfused(integer * simd::fill<V>(0x1p-8f)), nearest = simd::round_even(scaled);
  const V below = simd::select(scaled < nearest, nearest - simd::fill<V>(1.f), nearest);
  return integer - simd::unfused(below * simd::fill<V>(256.f));
}

/// Returns the scale and writes the codes (as floats, value i of lane j at [i * lanes + j]): nine candidate scales, then up
/// to five sweeps that move one code at a time while A^2 / B grows, A = sum w x l, B = sum w l^2.
/// With InBytes some values may be negative. The reference does not clamp their codes at 0 but keeps them in unsigned bytes,
/// where -1 turns into 255, and so this does wherever the reference reads a byte back: first error, codes of the sweeps.
template <std::size_t N, int Top, class V, bool InBytes = false>
[[gnu::noinline]] V search_positive(const float* xt, const float* wt, float* codes) {
  constexpr std::size_t L = simd::lanes<V>;
  const V zero = simd::fill<V>(0.f), one = simd::fill<V>(1.f), top = simd::fill<V>(static_cast<float>(Top));
  const auto x = [&](std::size_t i) __attribute__((always_inline)) { return simd::load<V>(xt + i * L); };
  const auto w = [&](std::size_t i) __attribute__((always_inline)) { return simd::load<V>(wt + i * L); };

  V largest = zero;
  for (std::size_t i = 0; i < N; ++i)
    largest = simd::max(largest, x(i));
  const auto empty = largest < simd::fill<V>(1e-15f);
  const auto kept = [&](const V& code) __attribute__((always_inline)) {
    if constexpr (InBytes)
      return as_byte(code);
    else
      return code;
  };
  const auto error_of = [&](const V& t, auto seen) __attribute__((always_inline)) {
    const V scale = one / t;
    V error = zero;
    for (std::size_t i = 0; i < N; ++i) {
      const V e = x(i) - simd::unfused(scale * seen(simd::at_most<Top>(simd::round_even(simd::unfused(t * x(i))))));
      error = error + simd::unfused(simd::unfused(w(i) * e) * e);
    }
    return error;
  };
  V t = top / largest, best = error_of(t, kept);
  const auto as_is = [](const V& code) __attribute__((always_inline)) { return code; };
  for (int k = -4; k <= 4; ++k) {
    if (k == 0)
      continue;
    const V try_t = simd::fill<V>(0.1f * static_cast<float>(k) + static_cast<float>(Top)) / largest,
            error = error_of(try_t, as_is);
    const auto better = error < best;
    best = simd::select(better, error, best);
    t = simd::select(better, try_t, t);
  }

  V sum_xl = zero, sum_l2 = zero;
  for (std::size_t i = 0; i < N; ++i) {
    const V code = simd::select(empty, zero, simd::min(top, simd::round_even(simd::unfused(t * x(i)))));
    simd::store(codes + i * L, kept(code));
    sum_xl = sum_xl + simd::unfused(simd::unfused(w(i) * x(i)) * code);
    sum_l2 = sum_l2 + simd::unfused(simd::unfused(w(i) * code) * code);
  }
  for (int sweep = 0; sweep < 5; ++sweep) {
    auto changed = zero < zero;
    for (std::size_t i = 0; i < N; ++i) {
      const V code = simd::load<V>(codes + i * L), wx = simd::unfused(w(i) * x(i));
      const V a = sum_xl - simd::unfused(wx * code), b = sum_l2 - simd::unfused(simd::unfused(w(i) * code) * code);
      const V moved = simd::min(top, simd::round_even(simd::unfused(x(i) * b) / a));
      const V a2 = a + simd::unfused(wx * moved), b2 = b + simd::unfused(simd::unfused(w(i) * moved) * moved);
      const auto better = (a > zero) & (b > zero) & (moved != code) &
                          (simd::unfused(simd::unfused(a2 * a2) * sum_l2) > simd::unfused(simd::unfused(sum_xl * sum_xl) * b2));
      simd::store(codes + i * L, simd::select(better, kept(moved), code));
      sum_xl = simd::select(better, a2, sum_xl);
      sum_l2 = simd::select(better, b2, sum_l2);
      changed = changed | better;
    }
    if (!simd::any(changed))
      break; // a lane that did not change in a sweep has the same state and would not change in the next either
  }
  return simd::select(empty | (sum_l2 <= zero), zero, sum_xl / sum_l2); // 0 where nothing has importance
}

} // namespace quanta::encode
