// 512-bit words: AVX-512 F, BW, DQ, VL and VNNI.
#pragma once

#include "quanta/simd/x86_256.hpp"

namespace quanta::simd::detail {

template <class Isa>
struct x86_512 : x86_256<Isa> {
  using base = x86_256<Isa>;
  template <std::size_t N>
  using floats = vec<float, N, Isa>;
  template <std::size_t N>
  using ints = vec<std::int32_t, N, Isa>;
  using codes = vec<std::uint8_t, 64, Isa>;
  using floats16 = vec<float, 16, Isa, shape::single>;
  using ints16 = vec<std::int32_t, 16, Isa, shape::single>;
  using base::copy_sign, base::round_even, base::row_maxima, base::to_float, base::truncate, base::unfused,
      base::store_floats, base::load_register, base::load_wide, base::pair_dot;

  [[gnu::always_inline]] static floats16 unfused(floats16 a) {
    __m512 r = a.v;
    asm("" : "+v"(r));
    return {r};
  }
  [[gnu::always_inline]] static floats16 round_even(const floats16& a) {
    return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
  }
  [[gnu::always_inline]] static ints16 truncate(const floats16& a) { return {_mm512_cvttps_epi32(a.v)}; }
  [[gnu::always_inline]] static floats16 to_float(const ints16& a) { return {_mm512_cvtepi32_ps(a.v)}; }
  [[gnu::always_inline]] static floats16 copy_sign(float m, const floats16& a) {
    const __m512i sign = _mm512_set1_epi32(static_cast<int>(0x80000000u)); // 0xE4: sign bit set ? a : m
    return {_mm512_castsi512_ps(_mm512_ternarylogic_epi32(_mm512_castps_si512(a.v),
                                                          _mm512_castps_si512(_mm512_set1_ps(m)), sign, 0xE4))};
  }

  template <class V, class T>
  [[gnu::always_inline]] static V load_floats(const T* p) {
    if constexpr (lanes<V> < 16) {
      return base::template load_floats<V>(p);
    } else if constexpr (std::is_same_v<T, f16>) {
      return {_mm512_cvtph_ps(load_wide(reinterpret_cast<const std::uint8_t*>(p)))};
    } else {
      return {_mm512_castsi512_ps(
          _mm512_slli_epi32(_mm512_cvtepu16_epi32(load_wide(reinterpret_cast<const std::uint8_t*>(p))), 16))};
    }
  }
  /// The instruction keeps a NaN's payload; the library's halves are sign | 0x7E00 at every level.
  template <class T>
  [[gnu::always_inline]] static void store_floats(T* p, const floats16& a) {
    const __m512i raw = _mm512_castps_si512(a.v);
    const __mmask16 nan = _mm512_cmp_ps_mask(a.v, a.v, _CMP_UNORD_Q);
    __m256i halves;
    if constexpr (std::is_same_v<T, f16>) {
      const __m512i sign = _mm512_set1_epi32(static_cast<int>(0x80000000u));
      const __m512i canonical = _mm512_mask_or_epi32(raw, nan, _mm512_and_si512(raw, sign), _mm512_set1_epi32(0x7FC00000));
      halves = _mm512_cvtps_ph(_mm512_castsi512_ps(canonical), _MM_FROUND_TO_NEAREST_INT);
    } else {
      const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(raw, 16), _mm512_set1_epi32(1));
      const __m512i rounded = _mm512_add_epi32(raw, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF)));
      const __m512i quiet = _mm512_mask_or_epi32(rounded, nan, raw, _mm512_set1_epi32(0x00400000));
      halves = _mm512_cvtepi32_epi16(_mm512_srli_epi32(quiet, 16));
    }
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), halves);
  }
  template <std::size_t N>
  [[gnu::always_inline]] static floats<N> load_halves(const std::uint8_t* p, std::size_t stride) {
    static_assert(N == 16);
    const __m128i low = _mm_set_epi64x(base::collect_four(p + 4 * stride, stride), base::collect_four(p, stride));
    const __m128i high = _mm_set_epi64x(base::collect_four(p + 12 * stride, stride), base::collect_four(p + 8 * stride, stride));
    return {_mm512_cvtph_ps(_mm256_set_m128i(high, low))};
  }
  template <int Which, class T, std::size_t N>
  [[gnu::always_inline]] static vec<T, N / 2, Isa> half_of(const vec<T, N, Isa>& a) {
    if constexpr (N * sizeof(T) == 64 && std::is_same_v<T, float>)
      return {_mm512_extractf32x8_ps(a.v, Which)};
    else if constexpr (N * sizeof(T) == 64)
      return {_mm512_extracti64x4_epi64(a.v, Which)};
    else
      return base::template half_of<Which>(a);
  }
  /// A tree of halvings over 16 rows; rows enter in the order that makes the lanes come out in natural order.
  [[gnu::always_inline]] static floats16 row_maxima(const floats16 (&rows)[16]) {
    __m512 a[16], b[8];
    for (int p = 0; p < 16; ++p) {
      constexpr int quarter[4] = {0, 8, 4, 12}, within[4] = {0, 2, 1, 3};
      a[quarter[p / 4] + within[p % 4]] = rows[p].v;
    }
    for (int i = 0; i < 8; ++i)
      b[i] = _mm512_max_ps(_mm512_shuffle_f32x4(a[i], a[i + 8], 0x44), _mm512_shuffle_f32x4(a[i], a[i + 8], 0xEE));
    for (int i = 0; i < 4; ++i)
      a[i] = _mm512_max_ps(_mm512_shuffle_f32x4(b[i], b[i + 4], 0x88), _mm512_shuffle_f32x4(b[i], b[i + 4], 0xDD));
    for (int i = 0; i < 2; ++i)
      b[i] = _mm512_max_ps(_mm512_shuffle_ps(a[i], a[i + 2], 0x44), _mm512_shuffle_ps(a[i], a[i + 2], 0xEE));
    return {_mm512_max_ps(_mm512_shuffle_ps(b[0], b[1], 0x88), _mm512_shuffle_ps(b[0], b[1], 0xDD))};
  }

  [[gnu::always_inline]] static codes masked(__m512i a, std::uint8_t mask) {
    return {_mm512_and_si512(a, _mm512_set1_epi8(static_cast<char>(mask)))};
  }
  template <int Low, int High, std::uint8_t Mask>
  [[gnu::always_inline]] static codes unpack_two_planes(const std::uint8_t* p) {
    const __m512i counts = _mm512_inserti64x4(_mm512_set1_epi16(Low), _mm256_set1_epi16(High), 1);
    return masked(_mm512_srlv_epi16(_mm512_broadcast_i64x4(load_wide(p)), counts), Mask);
  }
  template <int Shift, std::uint8_t Mask>
  [[gnu::always_inline]] static codes unpack_plane(const std::uint8_t* p) {
    return masked(_mm512_srli_epi16(_mm512_loadu_si512(p), Shift), Mask);
  }
  [[gnu::always_inline]] static codes unpack_nibbles(const std::uint8_t* a, const std::uint8_t* b) {
    const __m512i first = _mm512_broadcast_i32x4(load_register(a));
    const __m512i both = _mm512_mask_broadcast_i32x4(first, 0xFF00, load_register(b));
    return masked(_mm512_srlv_epi64(both, _mm512_setr_epi64(0, 0, 4, 4, 0, 0, 4, 4)), 15);
  }
  [[gnu::always_inline]] static codes unpack_crumbs(const std::uint8_t* a, const std::uint8_t* b) {
    return {_mm512_inserti64x4(_mm512_castsi256_si512(base::unpack_crumb_run(a)), base::unpack_crumb_run(b), 1)};
  }
  template <std::uint8_t Value>
  [[gnu::always_inline]] static codes expand_bits(std::uint32_t a, std::uint32_t b) {
    const std::uint64_t both = a | static_cast<std::uint64_t>(b) << 32;
    return {_mm512_maskz_mov_epi8(both, _mm512_set1_epi8(static_cast<char>(Value)))};
  }
  [[gnu::always_inline]] static codes load_two_runs(const std::uint8_t* a, const std::uint8_t* b) {
    return {_mm512_inserti64x4(_mm512_castsi256_si512(load_wide(a)), load_wide(b), 1)};
  }
  template <int Count>
  [[gnu::always_inline]] static codes scale_bytes(const codes& a) {
    return {_mm512_slli_epi16(a.v, Count)};
  }
  template <int Part, int Offset>
  [[gnu::always_inline]] static floats<16> codes_to_floats(const codes& c) {
    const __m128i part = _mm512_extracti32x4_epi32(c.v, Part);
    const __m128i centred = _mm_sub_epi8(part, _mm_set1_epi8(static_cast<char>(Offset)));
    return {_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(centred))};
  }
  template <class V, class Byte>
  [[gnu::always_inline]] static V load_bytes(const Byte* p) {
    if constexpr (lanes<V> < 16) {
      return base::template load_bytes<V>(p);
    } else {
      const __m128i b = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
      return {std::is_signed_v<Byte> ? _mm512_cvtepi8_epi32(b) : _mm512_cvtepu8_epi32(b)};
    }
  }
  template <class Byte, std::size_t N>
    requires(N % 16 == 0)
  [[gnu::always_inline]] static void store_bytes(Byte* p, const ints<N>& a) {
    if constexpr (N > 16) {
      store_bytes(p, a.low);
      store_bytes(p + N / 2, a.high);
    } else {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(a.v));
    }
  }

  [[gnu::always_inline]] static ints16 quad_dot(const codes& u, const codes& s) {
    return {_mm512_dpbusd_epi32(_mm512_setzero_si512(), u.v, s.v)};
  }
  template <int Offset>
  [[gnu::always_inline]] static ints16 centred_quad_dot(const codes& u, const codes& s) {
    const __m512i offset = _mm512_set1_epi8(static_cast<char>(Offset));
    const __m512i plain = _mm512_dpbusd_epi32(_mm512_setzero_si512(), u.v, s.v);
    return {_mm512_sub_epi32(plain, _mm512_dpbusd_epi32(_mm512_setzero_si512(), offset, s.v))};
  }
  [[gnu::always_inline]] static ints16 widen(small_integers n) { return {_mm512_cvtepi8_epi32(base::to_register(n))}; }
  /// The scale in the low word, 0 in the high one: then the product of words by pairs is quad * scale.
  [[gnu::always_inline]] static ints16 prepare_scales(small_integers scales) {
    return {_mm512_cvtepu16_epi32(_mm256_cvtepi8_epi16(base::to_register(scales)))};
  }
  /// One permutation spreads the scales of a portion.
  template <int Portion, int Group>
  [[gnu::always_inline]] static ints16 add_scaled(const ints16& sums, const ints16& quads, const ints16& scales) {
    constexpr int first = 64 * Portion / Group;
    const auto lane = [](int quad) { return first + 4 * quad / Group; };
    const __m512i index = _mm512_setr_epi32(lane(0), lane(1), lane(2), lane(3), lane(4), lane(5), lane(6), lane(7),
                                            lane(8), lane(9), lane(10), lane(11), lane(12), lane(13), lane(14), lane(15));
    return {_mm512_dpwssd_epi32(sums.v, quads.v, _mm512_permutexvar_epi32(index, scales.v))};
  }
  template <int Pair>
  [[gnu::always_inline]] static floats16 spread_pair(const floats16& factors) {
    constexpr int a = 2 * Pair, b = a + 1;
    return {_mm512_permutexvar_ps(_mm512_setr_epi32(a, a, a, a, a, a, a, a, b, b, b, b, b, b, b, b), factors.v)};
  }
};

} // namespace quanta::simd::detail
