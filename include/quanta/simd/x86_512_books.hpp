// Codebooks in 512-bit registers: AVX-512 BW looks 32 words up in a table of 64.
#pragma once

#include <immintrin.h>

#include <array>

#include "quanta/simd/vec.hpp"

namespace quanta::simd::detail {

template <class Isa>
struct x86_512_books {
  static constexpr bool has_word_tables = true;
  using bytes32 = vec<std::uint8_t, 32, Isa>;
  using bytes64 = vec<std::uint8_t, 64, Isa>;
  using words32 = vec<std::uint16_t, 32, Isa>;

  [[gnu::always_inline]] static std::array<bytes32, 2> split_double_words(const std::uint8_t* p) {
    const __m512i v = _mm512_loadu_si512(p);
    return {bytes32{_mm512_cvtepi64_epi32(v)}, bytes32{_mm512_cvtepi64_epi32(_mm512_srli_epi64(v, 32))}};
  }
  [[gnu::always_inline]] static words32 widen_indices(const bytes32& bytes) { return {_mm512_cvtepu8_epi16(bytes.v)}; }
  [[gnu::always_inline]] static bytes32 narrow_indices(const words32& words) { return {_mm512_cvtepi16_epi8(words.v)}; }
  template <int Bit>
  [[gnu::always_inline]] static words32 set_bits(const words32& words, std::uint32_t bits) {
    return {_mm512_mask_add_epi16(words.v, bits, words.v, _mm512_set1_epi16(1 << Bit))};
  }
  template <std::size_t Count>
  [[gnu::always_inline]] static words32 look_up_words(const std::uint16_t* table, const words32& indices) {
    if constexpr (Count == 64) {
      return {_mm512_permutex2var_epi16(_mm512_loadu_si512(table), indices.v, _mm512_loadu_si512(table + 32))};
    } else { // the next bit chooses the half
      const __mmask32 upper = _mm512_test_epi16_mask(indices.v, _mm512_set1_epi16(static_cast<short>(Count / 2)));
      return {_mm512_mask_mov_epi16(look_up_words<Count / 2>(table, indices).v, upper,
                                    look_up_words<Count / 2>(table + Count / 2, indices).v)};
    }
  }
  template <int Half>
  [[gnu::always_inline]] static vec<std::int16_t, 16, Isa> half_of(const words32& words) {
    return {_mm512_extracti64x4_epi64(words.v, Half)};
  }
  template <int K>
  [[gnu::always_inline]] static std::uint64_t double_word(const words32& words) {
    const __m128i quarter = _mm512_extracti32x4_epi32(words.v, K / 2);
    return static_cast<std::uint64_t>(K % 2 == 0 ? _mm_cvtsi128_si64(quarter) : _mm_extract_epi64(quarter, 1));
  }
  [[gnu::always_inline]] static bytes64 from_double_words(const std::array<std::uint64_t, 8>& words) {
    const auto two = [&words](std::size_t k) __attribute__((always_inline)) {
      return _mm_set_epi64x(static_cast<long long>(words[k + 1]), static_cast<long long>(words[k]));
    };
    const __m256i low = _mm256_set_m128i(two(2), two(0)), high = _mm256_set_m128i(two(6), two(4));
    return {_mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1)};
  }
  template <int Width, int Fields, int From, int Count, int To>
  [[gnu::always_inline]] static words32 spread_fields(const std::uint8_t* p) {
    static constexpr auto places = every_word([](int k) { return k / Fields; });
    static constexpr auto shifts = every_word([](int k) { return k % Fields * Width + From; });
    const __m512i words = _mm512_castsi128_si512(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    const __m512i v = _mm512_srlv_epi16(_mm512_permutexvar_epi16(load(places), words), load(shifts));
    return {_mm512_slli_epi16(_mm512_and_si512(v, _mm512_set1_epi16((1 << Count) - 1)), To)};
  }
  /// Each word again for every pair of its levels, shifted so that these are the lowest: one goes to the low byte, one to the
  /// high one.
  template <int Bits, int First>
  [[gnu::always_inline]] static bytes64 unpack_levels(const words32& words, const std::array<std::uint8_t, 16>& values) {
    constexpr int pairs = Bits == 2 ? 4 : 2, mask = (1 << Bits) - 1;
    static constexpr auto places = every_word([](int k) { return First + k / pairs; });
    static constexpr auto shifts = every_word([](int k) { return k % pairs * 2 * Bits; });
    const __m512i v = _mm512_srlv_epi16(_mm512_permutexvar_epi16(load(places), words.v), load(shifts));
    const __m512i upper = _mm512_slli_epi16(v, 8 - Bits), low_byte = _mm512_set1_epi16(0xFF);
    const __m512i levels = _mm512_and_si512(_mm512_ternarylogic_epi64(low_byte, v, upper, 0xCA), _mm512_set1_epi8(mask));
    const __m512i table = _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(values.data())));
    return {_mm512_shuffle_epi8(table, levels)};
  }
  /// The lowest bits of a lane choose, whatever follows: levels of 2 bits among 4 values that stand in every quarter, those of
  /// 3 bits among 8 in either half. A product with -1 changes the sign of all but NaN, as one with a negative level does.
  template <int Bits, int First>
  [[gnu::always_inline]] static vec<float, 16, Isa> look_up_levels(const words32& words, const vec<float, 16, Isa>& values,
                                                                   std::uint16_t negative) {
    constexpr int each = Bits == 2 ? 8 : 4; // levels a word
    static constexpr auto places = every_word([](int k) { return First + k / 2 / each; });
    static constexpr auto shifts = every_word([](int k) { return k % 2 == 0 ? k / 2 % each * Bits : 0; });
    const __m512i levels = _mm512_srlv_epi32(_mm512_permutexvar_epi16(load(places), words.v), load(shifts));
    const __m512 v = values.v, chosen = Bits == 2 ? _mm512_permutevar_ps(v, levels) : _mm512_permutexvar_ps(levels, v);
    return {_mm512_mask_mul_ps(chosen, negative, chosen, _mm512_set1_ps(-1.f))};
  }
  template <int Offset>
  [[gnu::always_inline]] static bytes64 apply_signs(const bytes64& magnitudes, std::uint64_t negative) {
    const __m512i offset = _mm512_set1_epi8(Offset);
    return {_mm512_mask_sub_epi8(_mm512_add_epi8(offset, magnitudes.v), negative, offset, magnitudes.v)};
  }

private:
  template <class F>
  static constexpr std::array<std::uint16_t, 32> every_word(F f) {
    std::array<std::uint16_t, 32> words{};
    for (int k = 0; k < 32; ++k)
      words[static_cast<std::size_t>(k)] = static_cast<std::uint16_t>(f(k));
    return words;
  }
  [[gnu::always_inline]] static __m512i load(const std::array<std::uint16_t, 32>& words) {
    return _mm512_loadu_si512(words.data());
  }
};

} // namespace quanta::simd::detail
