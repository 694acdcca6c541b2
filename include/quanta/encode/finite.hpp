// Numbers that are not: NaN and infinities count as 0 wherever floats are quantized.
#pragma once

#include "quanta/simd/vocabulary.hpp"

namespace quanta::detail {

/// Whether no value is NaN or infinite; count is a multiple of 16. A product with 0 is 0 or NaN, fused or not.
template <class Isa>
[[gnu::always_inline]] inline bool all_finite(const float* x, std::size_t count) {
  using V = simd::vec<float, 16, Isa>;
  const V zero = simd::fill<V>(0.f);
  V sums[4] = {zero, zero, zero, zero};
  std::size_t i = 0;
  for (; i + 64 <= count; i += 64)
    simd::unroll<4>([&](auto k)
                        __attribute__((always_inline)) { sums[k()] = sums[k()] + simd::load<V>(x + i + 16 * k()) * zero; });
  for (; i < count; i += 16)
    sums[0] = sums[0] + simd::load<V>(x + i) * zero;
  return !simd::any((sums[0] + sums[1]) + (sums[2] + sums[3]) != zero);
}

/// What is quantized in the place of a number.
[[gnu::always_inline]] inline float finite_or_zero(float x) { return x - x == 0.f ? x : 0.f; }

} // namespace quanta::detail
