// Codebooks and ternary digits in 256-bit registers.
#pragma once

#include <immintrin.h>

#include <algorithm>
#include <array>

#include "quanta/simd/vec.hpp"

namespace quanta::simd::detail {

template <class Isa>
struct x86_256_books {
  static constexpr bool has_index_words = true;
  using bytes32 = vec<std::uint8_t, 32, Isa>;
  using words32 = vec<std::uint16_t, 32, Isa>;

  [[gnu::always_inline]] static words32 widen_indices(const bytes32& bytes) {
    words32 r;
    r.low.v = _mm256_cvtepu8_epi16(_mm256_castsi256_si128(bytes.v));
    r.high.v = _mm256_cvtepu8_epi16(_mm256_extracti128_si256(bytes.v, 1));
    return r;
  }
  [[gnu::always_inline]] static bytes32 narrow_indices(const words32& words) {
    return {_mm256_permute4x64_epi64(_mm256_packus_epi16(words.low.v, words.high.v), 0xD8)};
  }
  [[gnu::always_inline]] static std::array<bytes32, 2> split_double_words(const std::uint8_t* p) {
    const auto load = [p](int k) { return _mm256_loadu_ps(reinterpret_cast<const float*>(p) + 8 * k); };
    const auto in_order = [](__m256 v) { return _mm256_permute4x64_epi64(_mm256_castps_si256(v), 0xD8); };
    return {bytes32{in_order(_mm256_shuffle_ps(load(0), load(1), 0x88))},
            bytes32{in_order(_mm256_shuffle_ps(load(0), load(1), 0xDD))}};
  }
  /// The byte that a field starts in and the next one of its word, times a power of two.
  template <int Width, int Fields, int From, int Count, int To>
  [[gnu::always_inline]] static words32 spread_fields(const std::uint8_t* p) {
    static_assert(To >= 7, "fields are only moved up");
    constexpr auto bit = [](int k) { return k % Fields * Width + From; };
    alignas(32) static constexpr auto powers = [bit] {
      std::array<std::uint16_t, 32> r{};
      for (int k = 0; k < 32; ++k)
        r[static_cast<std::size_t>(k)] = static_cast<std::uint16_t>(1 << (To - bit(k) % 8));
      return r;
    }();
    alignas(32) static constexpr auto places = [bit] {
      std::array<std::uint8_t, 64> r{};
      for (int k = 0; k < 32; ++k) {
        const int place = k / Fields * 2 + bit(k) / 8;
        r[static_cast<std::size_t>(2 * k)] = static_cast<std::uint8_t>(place);
        r[static_cast<std::size_t>(2 * k + 1)] = static_cast<std::uint8_t>(bit(k) >= 8 ? 0x80 : place + 1); // 0x80: a zero
      }
      return r;
    }();
    const __m256i bytes = _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    const auto half = [&](int k) __attribute__((always_inline)) {
      const __m256i words = _mm256_shuffle_epi8(bytes, reinterpret_cast<const __m256i*>(places.data())[k]);
      const __m256i moved = _mm256_mullo_epi16(words, reinterpret_cast<const __m256i*>(powers.data())[k]);
      return _mm256_and_si256(moved, _mm256_set1_epi16(((1 << Count) - 1) << To));
    };
    words32 r;
    r.low.v = half(0), r.high.v = half(1);
    return r;
  }
  template <int K>
  [[gnu::always_inline]] static std::uint64_t double_word(const words32& words) {
    const __m256i half = K < 4 ? __m256i(words.low.v) : __m256i(words.high.v);
    const __m128i quarter = K % 4 < 2 ? _mm256_castsi256_si128(half) : _mm256_extracti128_si256(half, 1);
    return static_cast<std::uint64_t>(K % 2 == 0 ? _mm_cvtsi128_si64(quarter) : _mm_extract_epi64(quarter, 1));
  }
  [[gnu::always_inline]] static bytes32 load_entries(const std::uint32_t* table, const std::array<std::size_t, 8>& i) {
    const auto entry = [&](std::size_t k) __attribute__((always_inline)) { return static_cast<int>(table[i[k]]); };
    return {_mm256_inserti128_si256(_mm256_castsi128_si256(_mm_setr_epi32(entry(0), entry(1), entry(2), entry(3))),
                                    _mm_setr_epi32(entry(4), entry(5), entry(6), entry(7)), 1)};
  }
  template <int Half>
  [[gnu::always_inline]] static vec<std::int16_t, 16, Isa> half_of(const words32& words) {
    return {__m256i(Half == 0 ? words.low.v : words.high.v)};
  }
  /// Bits of four bytes to as many bytes each: the four are spread over a register, and each lane looks at a bit of its own.
  template <int Portion>
  [[gnu::always_inline]] static bytes32 expand_portion(const bytes32& bits) {
    constexpr int first = Portion % 4 * 4;
    const __m256i half = _mm256_permute4x64_epi64(bits.v, Portion < 4 ? 0x44 : 0xEE);
    const __m256i places = _mm256_setr_epi64x(first * 0x0101010101010101ll, (first + 1) * 0x0101010101010101ll,
                                              (first + 2) * 0x0101010101010101ll, (first + 3) * 0x0101010101010101ll);
    const __m256i select = _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201ull));
    return {_mm256_cmpeq_epi8(_mm256_and_si256(_mm256_shuffle_epi8(half, places), select), select)};
  }

  /// Power times each byte, modulo 256: products with smaller powers are shared with who wants those too.
  template <int Power>
  [[gnu::always_inline]] static __m256i times_power_of_three(__m256i a) {
    if constexpr (Power == 1) {
      return a;
    } else {
      const __m256i third = times_power_of_three<Power / 3>(a);
      return _mm256_add_epi8(_mm256_add_epi8(third, third), third);
    }
  }
  template <const auto& Powers>
  [[gnu::always_inline]] static __m256i times_powers_of_three(__m256i a) {
    constexpr auto is_half = [](std::size_t first) {
      return std::all_of(&Powers[first], &Powers[first] + 16, [first](std::uint8_t p) { return p == Powers[first]; });
    };
    if constexpr (is_half(0) && is_half(16) && Powers[0] == Powers[16]) {
      return times_power_of_three<Powers[0]>(a);
    } else if constexpr (is_half(0) && is_half(16)) {
      return _mm256_blend_epi32(times_power_of_three<Powers[0]>(a), times_power_of_three<Powers[16]>(a), 0xF0);
    } else {
      alignas(32) static constexpr auto even_odd = [] {
        std::array<std::uint16_t, 32> r{};
        for (std::size_t i = 0; i < 32; ++i)
          r[i % 2 * 16 + i / 2] = Powers[i];
        return r;
      }();
      const auto* powers = reinterpret_cast<const __m256i*>(even_odd.data());
      const __m256i low_bytes = _mm256_set1_epi16(0xFF);
      return _mm256_or_si256(_mm256_and_si256(_mm256_mullo_epi16(a, powers[0]), low_bytes),
                             _mm256_mullo_epi16(_mm256_andnot_si256(low_bytes, a), powers[1]));
    }
  }
  /// The digit is 1 from 86 on and 2 from 171 on. Bytes are compared as signed ones, less 128, which 3^k keeps:
  /// 3^k (b - 128) = 3^k b - 128 mod 256.
  template <const auto& Powers>
  [[gnu::always_inline]] static bytes32 ternary_digits(const bytes32& a) {
    const __m256i b = times_powers_of_three<Powers>(_mm256_xor_si256(a.v, _mm256_set1_epi8(-128)));
    const __m256i zero = _mm256_cmpgt_epi8(_mm256_set1_epi8(86 - 128), b); // GCC makes "above 85" three instructions
    const __m256i two = _mm256_cmpgt_epi8(b, _mm256_set1_epi8(170 - 128));
    return {_mm256_add_epi8(_mm256_sub_epi8(zero, two), _mm256_set1_epi8(1))};
  }
};

} // namespace quanta::simd::detail
