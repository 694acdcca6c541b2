// One signed scale for groups of N values with levels -Half .. Half - 1.
#pragma once

#include "quanta/encode/lanes.hpp"

namespace quanta::encode {

/// x is approximated by scale * code. The codes are clamp(rne(t * x), -Half, Half - 1), all -Half where t = 0: a group of
/// zeros, whose stored codes are 0.
template <class V>
struct symmetric_fit {
  V scale, t;
};

/// The value of largest magnitude with its sign, the first of equals.
template <std::size_t N, class V>
[[gnu::always_inline]] inline V signed_extreme(const float* xt) {
  constexpr std::size_t L = simd::lanes<V>;
  V extreme = simd::fill<V>(0.f), magnitude = extreme;
  for (std::size_t i = 0; i < N; ++i) {
    const V x = simd::load<V>(xt + i * L), a = simd::abs(x);
    const auto larger = a > magnitude;
    magnitude = simd::select(larger, a, magnitude);
    extreme = simd::select(larger, x, extreme);
  }
  return extreme;
}

/// The first of N numbers that has the largest magnitude; 0 where none is above 0.
template <std::size_t N, class Isa>
[[gnu::always_inline]] inline float first_extreme(const float* x) {
  using V = simd::vec<float, N, Isa>;
  const V magnitude = simd::max(simd::fill<V>(0.f), simd::abs(simd::load<V>(x))); // in this order a NaN becomes 0
  const float largest = simd::lane_maximum(magnitude);
  return largest > 0.f ? x[std::countr_zero(simd::bits(magnitude == simd::fill<V>(largest)))] : 0.f;
}

/// 19 inverse scales t = -(Half + 0.1 k) / extreme, k = 0, -9..-1, 1..9; the winner has the largest A^2 / B, A = sum w x q,
/// B = sum w q^2, the first of equals. Several candidates share one pass over the group; they are compared in order. Levels
/// -Half .. Top.
template <std::size_t N, int Half, class V, int Top = Half - 1>
[[gnu::noinline]] symmetric_fit<V> search_symmetric(const float* xt, const float* wt) {
  constexpr std::size_t L = simd::lanes<V>;
  // Candidates a pass: three fill the pipes with two registers a lane type, two with four; one keeps the scalar readable.
  constexpr int together = L == 1 ? 1 : L == 64 ? 2 : 3;
  static_assert(18 % together == 0);
  const V zero = simd::fill<V>(0.f);
  alignas(64) float wx[N * L];
  const V extreme = signed_extreme<N, V>(xt);
  const auto empty = simd::abs(extreme) < simd::fill<V>(1e-15f);
  const auto inverse_scale = [&](int k) __attribute__((always_inline)) {
    return simd::fill<V>(-(static_cast<float>(Half) + 0.1f * static_cast<float>(k))) / extreme;
  };
  // |t * x| <= Half + 0.1 k: only candidates with k >= -5 can step over the highest level, with k >= 5 over the lowest.
  const auto accumulate = [&](auto above, auto below, const V& t, std::size_t i, V& sum_xq, V& sum_q2)
                              __attribute__((always_inline)) {
    V q = simd::round_even(simd::unfused(t * simd::load<V>(xt + i * L)));
    if constexpr (above() || Top < Half - 1)
      q = simd::at_most<Top>(q);
    if constexpr (below())
      q = simd::at_least<-Half>(q);
    sum_xq = sum_xq + simd::unfused(simd::load<V>(wx + i * L) * q);
    sum_q2 = sum_q2 + simd::unfused(simd::unfused(simd::load<V>(wt + i * L) * q) * q);
  };
  constexpr std::true_type clamp;
  constexpr std::false_type stays;

  V t = inverse_scale(0), sum_xq = zero, sum_q2 = zero;
  for (std::size_t i = 0; i < N; ++i) {
    simd::store(wx + i * L, simd::unfused(simd::load<V>(wt + i * L) * simd::load<V>(xt + i * L)));
    accumulate(clamp, stays, t, i, sum_xq, sum_q2);
  }
  V scale = simd::select(sum_q2 == zero, zero, sum_xq / sum_q2), best = simd::unfused(scale * sum_xq);

  const auto compare = [&](auto above, auto below, int first, int last) __attribute__((always_inline)) {
    for (int k = first; k < last; k += together) {
      V try_t[together], a[together], b[together];
      simd::unroll<together>([&](auto j) __attribute__((always_inline)) {
        try_t[j()] = inverse_scale(k + j() < 0 ? k + j() : k + j() + 1);
        a[j()] = b[j()] = zero;
      });
      for (std::size_t i = 0; i < N; ++i)
        simd::unroll<together>(
            [&](auto j) __attribute__((always_inline)) { accumulate(above, below, try_t[j()], i, a[j()], b[j()]); });
      simd::unroll<together>([&](auto j) __attribute__((always_inline)) {
        const V A = a[j()], B = b[j()];
        const auto better = (B > zero) & (simd::unfused(A * A) > simd::unfused(best * B));
        const V try_scale = A / B;
        scale = simd::select(better, try_scale, scale);
        t = simd::select(better, try_t[j()], t);
        best = simd::select(better, simd::unfused(try_scale * A), best);
      });
    }
  };
  constexpr int contained = -9 + 4 / together * together; // whole passes of k = -9 .. -6
  compare(stays, stays, -9, contained);
  compare(clamp, stays, contained, 3);
  compare(clamp, clamp, 3, 9);
  return {simd::select(empty, zero, scale), simd::select(empty, zero, t)};
}

/// The reference's other search (q3_k without importance): from t = -Half / extreme, up to five sweeps that move one code at
/// a time while A^2 / B grows; weights x^2. Writes the codes, since no t gives them; returns the scale.
template <std::size_t N, int Half, class V>
[[gnu::noinline]] V descend_symmetric(const float* xt, float* codes) {
  constexpr std::size_t L = simd::lanes<V>;
  const V zero = simd::fill<V>(0.f), low = simd::fill<V>(static_cast<float>(-Half));
  const V extreme = signed_extreme<N, V>(xt);
  const auto empty = simd::abs(extreme) < simd::fill<V>(1e-15f), occupied = simd::fill<V>(1e-15f) <= simd::abs(extreme);
  const V t = low / extreme;
  V sum_xq = zero, sum_q2 = zero;
  for (std::size_t i = 0; i < N; ++i) {
    const V x = simd::load<V>(xt + i * L), w = simd::unfused(x * x);
    const V q = simd::select(empty, low, nearest_level<-Half, Half - 1>(simd::unfused(t * x)));
    simd::store(codes + i * L, q);
    sum_xq = sum_xq + simd::unfused(simd::unfused(w * x) * q);
    sum_q2 = sum_q2 + simd::unfused(simd::unfused(w * q) * q);
  }
  for (int sweep = 0; sweep < 5; ++sweep) {
    auto changed = zero < zero;
    for (std::size_t i = 0; i < N; ++i) {
      const V x = simd::load<V>(xt + i * L), q = simd::load<V>(codes + i * L);
      const V w = simd::unfused(x * x), wx = simd::unfused(w * x);
      const V a = sum_xq - simd::unfused(wx * q), b = sum_q2 - simd::unfused(simd::unfused(w * q) * q);
      const V moved = nearest_level<-Half, Half - 1>(simd::unfused(x * b) / a);
      const auto candidate = occupied & (a > zero) & (moved != q);
      if (!simd::any(candidate)) // the rule, not the exception, after the first sweep
        continue;
      const V a2 = a + simd::unfused(wx * moved), b2 = b + simd::unfused(simd::unfused(w * moved) * moved);
      const auto better = candidate & (b2 > zero) &
                          (simd::unfused(simd::unfused(a2 * a2) * sum_q2) > simd::unfused(simd::unfused(sum_xq * sum_xq) * b2));
      simd::store(codes + i * L, simd::select(better, moved, q));
      sum_xq = simd::select(better, a2, sum_xq);
      sum_q2 = simd::select(better, b2, sum_q2);
      changed = changed | better;
    }
    if (!simd::any(changed))
      break;
  }
  return simd::select(empty, zero, sum_xq / sum_q2);
}

} // namespace quanta::encode
