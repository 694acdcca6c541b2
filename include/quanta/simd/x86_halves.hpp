// Two registers of floats rounded to one of 16-bit numbers.
#pragma once

#include <immintrin.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "quanta/float16.hpp"

namespace quanta::simd::detail {

/// The conversion instruction keeps a NaN's payload, and the library's are sign | 0x7E00: the smaller of it as an unsigned
/// and as a signed word, since what is no NaN is at most 0xFC00 and 0x7C00.
[[gnu::always_inline]] inline __m256i with_plain_nans(__m256i halves) {
  return _mm256_min_epi16(_mm256_min_epu16(halves, _mm256_set1_epi16(static_cast<short>(0xFE00))), _mm256_set1_epi16(0x7E00));
}

/// Rows with NaNs only: rounding by integers would carry a NaN's payload into its sign. Isa keeps levels apart at link time.
template <class Isa, std::size_t N>
[[gnu::noinline, gnu::cold]] void round_with_nans(const float (&values)[N], bf16* out) {
  for (std::size_t i = 0; i < N; ++i)
    out[i] = bf16(values[i]);
}

template <class Isa, class T>
[[gnu::always_inline]] inline void store_rounded(T* p, __m256 low, __m256 high) {
  if constexpr (std::is_same_v<T, f16>) {
    const auto narrow = [](__m256 x) __attribute__((always_inline)) { return _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT); };
    const __m256i halves = _mm256_inserti128_si256(_mm256_castsi128_si256(narrow(low)), narrow(high), 1);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), with_plain_nans(halves));
  } else {
    if (_mm256_movemask_ps(_mm256_cmp_ps(low, high, _CMP_UNORD_Q)) != 0) [[unlikely]] {
      alignas(32) float values[16];
      _mm256_store_ps(values, low);
      _mm256_store_ps(values + 8, high);
      return round_with_nans<Isa>(values, p);
    }
    const auto upper = [](__m256 x) __attribute__((always_inline)) {
      const __m256i raw = _mm256_castps_si256(x), odd = _mm256_and_si256(_mm256_srli_epi32(raw, 16), _mm256_set1_epi32(1));
      return _mm256_srli_epi32(_mm256_add_epi32(raw, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7FFF))), 16);
    };
    const __m256i words = _mm256_permute4x64_epi64(_mm256_packus_epi32(upper(low), upper(high)), 0xD8);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), words);
  }
}
template <class Isa, class T>
[[gnu::always_inline]] inline void store_rounded(T* p, __m256 a) {
  alignas(32) T both[16];
  store_rounded<Isa>(both, a, a);
  std::memcpy(p, both, sizeof both / 2);
}
/// 32 entries of a table of 16 words, lower and upper bytes apart: a lane holds 16 bytes to choose from.
[[gnu::always_inline]] inline void store_looked_up(void* out, const void* table, __m256i indices) {
  const __m256i words = _mm256_loadu_si256(static_cast<const __m256i*>(table));
  const __m256i apart = _mm256_shuffle_epi8( // of each lane the lower bytes, then the upper ones
      words, _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15)));
  const __m256i quarters = _mm256_permute4x64_epi64(indices, 0xD8); // so that what is interleaved comes out in order
  const __m256i lower = _mm256_shuffle_epi8(_mm256_permute4x64_epi64(apart, 0x88), quarters);
  const __m256i upper = _mm256_shuffle_epi8(_mm256_permute4x64_epi64(apart, 0xDD), quarters);
  _mm256_storeu_si256(static_cast<__m256i*>(out), _mm256_unpacklo_epi8(lower, upper));
  _mm256_storeu_si256(static_cast<__m256i*>(out) + 1, _mm256_unpackhi_epi8(lower, upper));
}

#if defined(__AVX512BW__)
[[gnu::always_inline]] inline void store_looked_up_512(void* out, const void* table, __m256i indices) {
  const __m512i words = _mm512_broadcast_i64x4(_mm256_loadu_si256(static_cast<const __m256i*>(table)));
  _mm512_storeu_si512(out, _mm512_permutexvar_epi16(_mm512_cvtepu8_epi16(indices), words));
}
/// bf16: rounded as words, lower halves against 0x8000, which are as many again in a register as floats are.
template <class Isa, class T>
[[gnu::always_inline]] inline void store_rounded(T* p, __m512 low, __m512 high) {
  if constexpr (std::is_same_v<T, f16>) {
    const auto narrow = [](__m512 x) __attribute__((always_inline)) { return _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT); };
    const __m512i halves = _mm512_inserti64x4(_mm512_castsi256_si512(narrow(low)), narrow(high), 1);
    const __m512i most = _mm512_set1_epi16(static_cast<short>(0xFE00)), positive = _mm512_set1_epi16(0x7E00);
    _mm512_storeu_si512(p, _mm512_min_epi16(_mm512_min_epu16(halves, most), positive)); // see with_plain_nans
  } else {
    if (_mm512_cmp_ps_mask(low, high, _CMP_UNORD_Q) != 0) [[unlikely]] {
      alignas(64) float values[32];
      _mm512_store_ps(values, low);
      _mm512_store_ps(values + 16, high);
      return round_with_nans<Isa>(values, p);
    }
    static constexpr auto odd_words = [] {
      std::array<std::uint16_t, 32> words{};
      for (std::size_t i = 0; i < 32; ++i)
        words[i] = static_cast<std::uint16_t>(2 * i + 1);
      return words;
    }();
    const __m512i a = _mm512_castps_si512(low), b = _mm512_castps_si512(high), one = _mm512_set1_epi16(1);
    const __m512i odd = _mm512_loadu_si512(odd_words.data()), upper = _mm512_permutex2var_epi16(a, odd, b);
    const __m512i lower = _mm512_permutex2var_epi16(a, _mm512_sub_epi16(odd, one), b);
    const __m512i to_even = _mm512_adds_epu16(lower, _mm512_and_si512(upper, one));
    const __mmask32 up = _mm512_cmpgt_epu16_mask(to_even, _mm512_set1_epi16(static_cast<short>(0x8000)));
    _mm512_storeu_si512(p, _mm512_mask_add_epi16(upper, up, upper, one));
  }
}
template <class Isa, class T>
[[gnu::always_inline]] inline void store_rounded(T* p, __m512 a) {
  if constexpr (std::is_same_v<T, f16>)
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), with_plain_nans(_mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT)));
  else
    store_rounded<Isa>(p, _mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
}
#endif

} // namespace quanta::simd::detail
