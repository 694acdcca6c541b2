// What search::thorough makes small, and what makes it never worse than the reference.
#pragma once

#include <limits>

#include "quanta/dequantize.hpp"

namespace quanta::encode {

/// What the searches let an error count beside the importance: nothing, the square root of 1 + x^2 / mean x^2 of the block,
/// or all of it, 1 to 257. Large weights tend to meet large activations: with all errors alike the searches find smaller ones,
/// but models became worse by it (docs/thorough.md).
enum class stress { none, root, full };

template <class Isa, std::size_t N, stress How>
inline void weigh_by_magnitude(const float* x, const float* importance, float* w) {
  using V = simd::vec<float, 16, Isa>;
  V sum = simd::fill<V>(0.f);
  for (std::size_t i = 0; i < N; i += 16) {
    const V v = simd::load<V>(x + i);
    sum = sum + simd::unfused(v * v);
  }
  const float mean = simd::halving_sum(sum) / static_cast<float>(N), inverse = mean > 0x1p-100f ? 1.f / mean : 0.f;
  for (std::size_t i = 0; i < N; i += 16) {
    const V v = simd::load<V>(x + i);
    V counts = simd::fill<V>(1.f) + simd::unfused(simd::unfused(v * v) * simd::fill<V>(inverse));
    if constexpr (How == stress::root)
      counts = simd::sqrt(counts);
    simd::store(w + i, importance ? simd::unfused(simd::load<V>(importance + i) * counts) : counts);
  }
}

/// sum w (x - decoded)^2 of one block, w = 1 where it is null.
template <class Isa, class B>
[[gnu::noinline]] float weighted_error(const float* x, const float* w, const B& block) {
  using V = simd::vec<float, 16, Isa>;
  V sum = simd::fill<V>(0.f);
  detail::decode_row<Isa>(
      &block, 1, [&](std::size_t i, auto, const V& decoded) __attribute__((always_inline)) {
        const V e = decoded - simd::load<V>(x + i);
        const V weighted = w ? simd::unfused(simd::load<V>(w + i) * e) : e;
        sum = sum + simd::unfused(weighted * e);
      });
  return simd::halving_sum(sum);
}

/// Whether a candidate's error is the smaller one, rounding of the sums included: no term is negative, so a sum
/// is off by at most its rounding steps, N / 16 + 3 additions and 3 in each term, times 2^-24. Sums so small
/// that products may have left the normal range decide nothing. Where the error is no finite number, a finite
/// candidate replaces a block that is not finite, and nothing else does: it may be the weights that are too large.
template <class Isa, class B>
[[gnu::always_inline]] inline bool is_better(const float* x, const float* w, const B& candidate,
                                             const B& block) {
  constexpr float rounding = static_cast<float>(B::block_size / 16 + 6) * 0x1p-24f,
                  factor = 1.f - 3.f * rounding, largest = std::numeric_limits<float>::max();
  const float before = weighted_error<Isa>(x, w, block);
  if (before <= largest)
    return before > 0x1p-100f && weighted_error<Isa>(x, w, candidate) < before * factor;
  return !(weighted_error<Isa>(x, nullptr, block) <= largest) && weighted_error<Isa>(x, nullptr, candidate) <= largest;
}

} // namespace quanta::encode
