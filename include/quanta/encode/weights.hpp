// What an error of each value counts in the searches.
#pragma once

#include "quanta/encode/lanes.hpp"

namespace quanta::encode {

enum class weighting { magnitude, deviation, square };

/// Weights without importance: |x|, sqrt(mean x^2 of the group) + |x|, or x^2.
template <std::size_t N, weighting How, class V>
[[gnu::always_inline]] inline void plain_weights(const float* xt, float* wt) {
  constexpr std::size_t L = simd::lanes<V>;
  V deviation = simd::fill<V>(0.f);
  if constexpr (How == weighting::deviation) {
    for (std::size_t i = 0; i < N; ++i) {
      const V x = simd::load<V>(xt + i * L);
      deviation = deviation + simd::unfused(x * x);
    }
    deviation = simd::sqrt(deviation / simd::fill<V>(static_cast<float>(N)));
  }
  for (std::size_t i = 0; i < N; ++i) {
    const V x = simd::load<V>(xt + i * L);
    if constexpr (How == weighting::square)
      simd::store(wt + i * L, simd::unfused(x * x));
    else if constexpr (How == weighting::magnitude)
      simd::store(wt + i * L, simd::abs(x));
    else
      simd::store(wt + i * L, deviation + simd::abs(x));
  }
}

/// Weights with importance: wt holds the importance q on entry, q * sqrt(variance + x^2) on return; returns their sums.
template <std::size_t N, class V>
[[gnu::always_inline]] inline V importance_weights(const float* xt, const V& variance, float* wt) {
  constexpr std::size_t L = simd::lanes<V>;
  V sum = simd::fill<V>(0.f);
  for (std::size_t i = 0; i < N; ++i) {
    const V x = simd::load<V>(xt + i * L);
    const V w = simd::unfused(simd::load<V>(wt + i * L) * simd::sqrt(variance + simd::unfused(x * x)));
    simd::store(wt + i * L, w);
    sum = sum + w;
  }
  return sum;
}

} // namespace quanta::encode
