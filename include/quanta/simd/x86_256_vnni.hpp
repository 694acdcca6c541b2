// 256-bit words with products of bytes that are added up in 32 bits: AVX-VNNI, or the same instructions of AVX-512.
#pragma once

#include "quanta/simd/x86_256.hpp"

namespace quanta::simd::detail {

template <class Isa>
struct x86_256_vnni : x86_256<Isa> {
  using base = x86_256<Isa>;
  using typename base::bytes32, typename base::ints8, typename base::words16;
  using base::add_pairs, base::add_quads, base::prepare_scales, base::quad_dot, base::spread;

  [[gnu::always_inline]] static ints8 quad_dot(const bytes32& u, const bytes32& s) {
    return {add_byte_products(_mm256_setzero_si256(), u.v, s.v)};
  }
  [[gnu::always_inline]] static ints8 add_quads(const ints8& sums, const bytes32& u, const bytes32& s) {
    return {add_byte_products(sums.v, u.v, s.v)};
  }
  template <int Offset>
  [[gnu::always_inline]] static ints8 centred_quad_dot(const bytes32& u, const bytes32& s) {
    const __m256i offset = _mm256_set1_epi8(static_cast<char>(Offset)), zero = _mm256_setzero_si256();
    return {_mm256_sub_epi32(add_byte_products(zero, u.v, s.v), add_byte_products(zero, offset, s.v))};
  }
  static ints8 bounded_quad_dot(const bytes32& c, const bytes32& s) = delete; // no cheaper than the above
  /// High nibbles are not shifted: 240 * 128 fits here, where products are not added up in 16 bits.
  template <int Offset>
  [[gnu::always_inline]] static ints8 nibble_quads(const std::uint8_t* p, const bytes32& s) {
    const __m256i zero = _mm256_setzero_si256(), codes = _mm256_and_si256(base::load_twice(p).v, in_place<15>());
    const __m256i sums = add_byte_products(zero, codes, s.v);
    if constexpr (Offset == 0)
      return {sums};
    else
      return {_mm256_sub_epi32(sums, add_byte_products(zero, in_place<Offset>(), s.v))};
  }
  [[gnu::always_inline]] static ints8 five_bit_quads(const std::uint8_t* nibbles, std::uint32_t fifth, const bytes32& s) {
    const __m256i zero = _mm256_setzero_si256(), codes = base::unpack_nibbles(nibbles).v;
    const __m256i without = _mm256_andnot_si256(base::template expand_bits<0xFF>(fifth).v, _mm256_set1_epi8(16));
    return {_mm256_sub_epi32(add_byte_products(zero, codes, s.v), add_byte_products(zero, without, s.v))};
  }
  [[gnu::always_inline]] static ints8 add_pairs(const ints8& sums, const words16& a, const words16& b) {
    return {add_word_products(sums.v, a.v, b.v)};
  }
  /// Scales of groups of 32 in a register: where a portion has two instructions less than on AVX2, one permutation beats what
  /// GCC makes of a broadcast from memory.
  struct permuted_scales {
    __m256i words;
  };
  template <int Group>
  [[gnu::always_inline]] static auto prepare_scales(small_integers scales) {
    if constexpr (Group == 32)
      return permuted_scales{_mm256_cvtepi8_epi16(base::bytes_twice(scales))};
    else
      return base::template prepare_scales<Group>(scales);
  }
  template <int Portion>
  [[gnu::always_inline]] static __m256i spread(const permuted_scales& scales) {
    return _mm256_permutevar8x32_epi32(scales.words, _mm256_set1_epi32(Portion));
  }
  template <int Portion, int Group, class Scales>
  [[gnu::always_inline]] static ints8 add_scaled_quads(const ints8& sums, const bytes32& u, const bytes32& s,
                                                       const Scales& scales) {
    return {add_word_products(sums.v, _mm256_maddubs_epi16(u.v, s.v), spread<Portion>(scales))};
  }
  template <int Portion, int Group, class Scales>
  [[gnu::always_inline]] static ints8 add_scaled_signed_quads(const ints8& sums, const bytes32& c, const bytes32& s,
                                                              const Scales& scales) {
    return add_scaled_quads<Portion, Group>(sums, {_mm256_abs_epi8(s.v)}, {_mm256_sign_epi8(c.v, s.v)}, scales);
  }
  /// The words of two groups side by side in a lane each. Of groups of 16, those of the portions' first halves are in the lower
  /// half of the register.
  struct pair_scales {
    __m256i words;
  };
  template <int Group>
  [[gnu::always_inline]] static pair_scales prepare_pair_scales(small_integers scales) {
    const __m128i bytes = base::to_register(scales);
    if constexpr (Group == 32)
      return {_mm256_broadcastsi128_si256(_mm_cvtepi8_epi16(bytes))};
    else
      return {_mm256_cvtepi8_epi16(
          _mm_shuffle_epi8(bytes, _mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15)))};
  }
  template <int Group>
  [[gnu::always_inline]] static pair_scales prepare_pair_scales(const words16& scales) {
    static_assert(Group == 16);
    const __m256i even_odd = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15));
    return {_mm256_permute4x64_epi64(_mm256_shuffle_epi8(scales.v, even_odd), 0xD8)};
  }
  template <int Pair, int Group>
  [[gnu::always_inline]] static ints8 add_scaled_pair(const ints8& sums, const std::array<bytes32, 2>& u,
                                                      const std::array<bytes32, 2>& s, const pair_scales& scales) {
    const __m256i zero = _mm256_setzero_si256(), even = add_byte_products(zero, u[0].v, s[0].v),
                  odd = add_byte_products(zero, u[1].v, s[1].v);
    const __m256i words = _mm256_blend_epi16(even, _mm256_slli_epi32(odd, 16), 0xAA);
    return {add_word_products(sums.v, words, _mm256_shuffle_epi32(scales.words, Pair * 0x55))};
  }

protected:
  /// A nibble as the low one of 16 bytes, then as the high one.
  template <int Nibble>
  [[gnu::always_inline]] static __m256i in_place() {
    return _mm256_set_m128i(_mm_set1_epi8(static_cast<char>(Nibble << 4)), _mm_set1_epi8(Nibble));
  }
  // AVX-512 has 32 registers for them, AVX-VNNI 16.
  [[gnu::always_inline]] static __m256i add_byte_products(__m256i sums, __m256i u, __m256i s) {
#if defined(__AVX512VNNI__) && defined(__AVX512VL__)
    return _mm256_dpbusd_epi32(sums, u, s);
#else
    return _mm256_dpbusd_avx_epi32(sums, u, s);
#endif
  }
  [[gnu::always_inline]] static __m256i add_word_products(__m256i sums, __m256i a, __m256i b) {
#if defined(__AVX512VNNI__) && defined(__AVX512VL__)
    return _mm256_dpwssd_epi32(sums, a, b);
#else
    return _mm256_dpwssd_avx_epi32(sums, a, b);
#endif
  }
};

} // namespace quanta::simd::detail
