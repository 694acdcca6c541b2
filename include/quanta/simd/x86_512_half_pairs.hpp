// Scales and minima (or sums) of eight blocks by AVX-512 BW's permutations of words, which read two registers at once.
#pragma once

#include <immintrin.h>

#include <algorithm>
#include <array>

#include "quanta/simd/vec.hpp"

namespace quanta::simd::detail {

/// Where the words of eight pairs, the first at word 0, lie in windows of 32 words: all windows are within the eight blocks.
template <std::size_t Stride>
struct half_pair_windows {
  static constexpr std::size_t words = 8 * Stride / 2, count = 7 * Stride / 2 / 32 + 1;
  static_assert(Stride % 4 == 0 && words >= 32 && count <= 4);

  static constexpr std::size_t start(std::size_t window) { return std::min(32 * window, words - 32); }
  static constexpr std::size_t window_of(std::size_t i) { return i * Stride / 2 / 32; }
  /// Whether pair i is in one of the windows 2 k and 2 k + 1: a bit of each word of 16.
  static constexpr int lanes(std::size_t k) {
    int r = 0;
    for (std::size_t i = 0; i < 8; ++i)
      r |= (window_of(i) / 2 == k) << i;
    return r;
  }
  /// The first words of all pairs, then the second ones, counted through windows 2 k and 2 k + 1.
  template <std::size_t K>
  alignas(64) static constexpr std::array<std::int16_t, 32> places = [] {
    std::array<std::int16_t, 32> r{};
    for (std::size_t i = 0; i < 16; ++i) {
      const std::size_t pair = i % 8, window = window_of(pair);
      if (window / 2 == K)
        r[i] = static_cast<std::int16_t>(pair * Stride / 2 + i / 8 - start(window) + window % 2 * 32);
    }
    return r;
  }();
};

template <class Isa>
struct x86_512_half_pairs {
  template <std::size_t Stride>
  [[gnu::always_inline]] static std::array<vec<float, 8, Isa>, 2> load_half_pairs(const std::uint8_t* p) {
    using windows = half_pair_windows<Stride>;
    __m256i halves = words_of_pairs<Stride, 0>(p);
    if constexpr (windows::count > 2)
      halves = _mm256_blend_epi16(halves, (words_of_pairs<Stride, 1>(p)), windows::lanes(1));
    return {vec<float, 8, Isa>{_mm256_cvtph_ps(_mm256_castsi256_si128(halves))},
            vec<float, 8, Isa>{_mm256_cvtph_ps(_mm256_extracti128_si256(halves, 1))}};
  }

private:
  template <std::size_t Stride, std::size_t K>
  [[gnu::always_inline]] static __m256i words_of_pairs(const std::uint8_t* p) {
    using windows = half_pair_windows<Stride>;
    const auto window = [p](std::size_t w) __attribute__((always_inline)) {
      return _mm512_loadu_si512(p + 2 * windows::start(w));
    };
    const __m512i places = *reinterpret_cast<const __m512i*>(windows::template places<K>.data());
    if constexpr (2 * K + 1 < windows::count)
      return _mm512_castsi512_si256(_mm512_permutex2var_epi16(window(2 * K), places, window(2 * K + 1)));
    else
      return _mm512_castsi512_si256(_mm512_permutexvar_epi16(places, window(2 * K)));
  }
};

} // namespace quanta::simd::detail
