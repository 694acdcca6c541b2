// The lane type of the searches: one lane is one independent group, so a scalar is a vector with one lane. Every lane does
// the same IEEE operations in the same order, whatever the width; that is why all levels give equal bytes.
#pragma once

#include "quanta/simd/vocabulary.hpp"

namespace quanta::encode {

/// Groups searched at once. Two registers in flight hide the latency of the sums; four where there are 32 registers.
template <class Isa>
inline constexpr std::size_t lane_count = Isa::value == isa::level::avx512      ? 64
                                          : Isa::value >= isa::level::avx2      ? 16
                                          : Isa::value == isa::level::x86_64_v2 ? 8
                                                                                : 1;
template <class Isa>
using lanes_of = simd::vec<float, lane_count<Isa>, Isa>;
/// Super-blocks worked on together: 2,048 weights, whose transposed copies stay in the first-level cache.
inline constexpr std::size_t blocks_together = 8;
/// One register of floats.
template <class Isa>
inline constexpr std::size_t register_lanes = lane_count<Isa> > 32    ? 16
                                              : lane_count<Isa> == 16 ? 8
                                              : lane_count<Isa> == 8  ? 4
                                                                      : 1;
template <class Isa>
using register_of = simd::vec<float, register_lanes<Isa>, Isa>;

/// Turns groups into lanes: out[i * L + lane] = x[lane * stride + i] for i < N and L lanes; lanes from `count` on are 0.
template <std::size_t N, std::size_t L, class Isa>
[[gnu::always_inline]] inline void transpose_groups(const float* x, std::size_t stride, std::size_t count, float* out) {
  if constexpr (register_lanes<Isa> == 1) {
    for (std::size_t lane = 0; lane < L; ++lane)
      for (std::size_t i = 0; i < N; ++i)
        out[i * L + lane] = lane < count ? x[lane * stride + i] : 0.f;
  } else {
    // Eight at most: xsimd transposes 16 registers through memory, value by value.
    constexpr std::size_t widest = register_lanes<Isa> < 8 ? register_lanes<Isa> : 8, smaller = L < N ? L : N;
    constexpr std::size_t W = smaller < widest ? smaller : widest;
    using R = simd::vec<float, W, Isa>;
    using batch = typename R::batch;
    for (std::size_t first = 0; first < L; first += W)
      for (std::size_t column = 0; column < N; column += W) {
        batch square[W]; // in registers: GCC keeps loops of this length, and then the square goes through memory
        simd::unroll<W>([&](auto j) __attribute__((always_inline)) {
          square[j()] = first + j() < count ? batch::load_unaligned(x + (first + j()) * stride + column) : batch(0.f);
        });
        transpose(square, square + W); // xsimd's, by its arguments
        simd::unroll<W>([&](auto i)
                            __attribute__((always_inline)) { square[i()].store_unaligned(out + (column + i()) * L + first); });
      }
  }
}

/// The sum of term(x) of `count` <= 8 stretches of Size values, each added in index order as the reference does.
template <std::size_t Size, class Isa, class F>
inline void sums_in_order(const float* x, std::size_t count, float* sums, F term) {
  constexpr std::size_t L = register_lanes<Isa> < 8 ? register_lanes<Isa> : 8;
  using V = simd::vec<float, L, Isa>;
  for (std::size_t first = 0; first < count; first += L) {
    V sum = simd::fill<V>(0.f);
    for (std::size_t column = 0; column < Size; column += 8) {
      alignas(64) float xt[8 * L];
      transpose_groups<8, L, Isa>(x + first * Size + column, Size, count - first, xt);
      for (std::size_t i = 0; i < 8; ++i) {
        sum = sum + term(simd::load<V>(xt + i * L));
      }
    }
    float t[L];
    simd::store(t, sum);
    for (std::size_t lane = 0; lane < L && first + lane < count; ++lane)
      sums[first + lane] = t[lane];
  }
}

template <std::size_t Size, class Isa>
inline void sums_of_squares(const float* x, std::size_t count, float* sums) {
  sums_in_order<Size, Isa>(x, count, sums, [](const auto& v) __attribute__((always_inline)) { return simd::unfused(v * v); });
}

/// clamp(rne(v), low, high)
template <class V>
[[gnu::always_inline]] inline V nearest_level(const V& v, const V& low, const V& high) {
  return simd::max(low, simd::min(high, simd::round_even(v)));
}
/// clamp(rne(v), Low, High)
template <int Low, int High, class V>
[[gnu::always_inline]] inline V nearest_level(const V& v) {
  return simd::at_least<Low>(simd::at_most<High>(simd::round_even(v)));
}

} // namespace quanta::encode
