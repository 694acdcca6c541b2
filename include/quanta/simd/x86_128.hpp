// 128-bit words: SSE up to 4.2.
#pragma once

#include <immintrin.h>

#include "quanta/simd/portable.hpp"

namespace quanta::simd::detail {

template <class Isa>
struct x86_128 {
  template <std::size_t N>
  using floats = vec<float, N, Isa>;
  template <std::size_t N>
  using ints = vec<std::int32_t, N, Isa>;
  using codes = vec<std::uint8_t, 64, Isa>;
  using floats4 = vec<float, 4, Isa, shape::single>;
  using ints4 = vec<std::int32_t, 4, Isa, shape::single>;
  using bytes16 = vec<std::uint8_t, 16, Isa, shape::single>;
  using words8 = vec<std::int16_t, 8, Isa, shape::single>;

  // Arrays of fewer than 16 bytes stay with the portable text.
  [[gnu::always_inline]] static floats4 unfused(floats4 a) {
    __m128 r = a.v;
#if defined(__AVX512VL__)
    asm("" : "+v"(r)); // "x" would name the first 16 registers only
#else
    asm("" : "+x"(r));
#endif
    return {r};
  }
  [[gnu::always_inline]] static floats4 round_even(const floats4& a) {
    return {_mm_round_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
  }
  [[gnu::always_inline]] static ints4 truncate(const floats4& a) { return {_mm_cvttps_epi32(a.v)}; }
  [[gnu::always_inline]] static floats4 to_float(const ints4& a) { return {_mm_cvtepi32_ps(a.v)}; }
  [[gnu::always_inline]] static floats4 copy_sign(float m, const floats4& a) {
    return {_mm_or_ps(_mm_and_ps(a.v, _mm_set1_ps(-0.f)), _mm_set1_ps(m))};
  }

  /// Halves to floats without F16C: the exponent field is moved and rescaled by one exact product, subnormals included.
  [[gnu::always_inline]] static __m128 widen_halves(__m128i h) {
    const __m128i magnitude = _mm_and_si128(h, _mm_set1_epi32(0x7FFF)), sign = _mm_slli_epi32(_mm_xor_si128(h, magnitude), 16);
    const __m128 scaled =
        _mm_mul_ps(_mm_castsi128_ps(_mm_slli_epi32(magnitude, 13)), _mm_set1_ps(0x1p112f));
    const __m128i special = _mm_cmpgt_epi32(magnitude, _mm_set1_epi32(0x7BFF)), nan = _mm_cmpgt_epi32(magnitude, _mm_set1_epi32(0x7C00));
    const __m128i extra = _mm_or_si128(_mm_and_si128(special, _mm_set1_epi32(0x7F800000)),
                                       _mm_and_si128(nan, _mm_set1_epi32(0x00400000)));
    return _mm_or_ps(scaled, _mm_castsi128_ps(_mm_or_si128(sign, extra)));
  }
  template <class V>
  [[gnu::always_inline]] static V load_floats(const f16* p) {
    return {widen_halves(_mm_cvtepu16_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))))};
  }
  template <class V>
  [[gnu::always_inline]] static V load_floats(const bf16* p) {
    const __m128i h = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
    return {_mm_castsi128_ps(_mm_unpacklo_epi16(_mm_setzero_si128(), h))};
  }
  template <class T>
  [[gnu::always_inline]] static void store_floats(T* p, const floats4& a) {
    float t[4];
    a.v.store_unaligned(t);
    for (int i = 0; i < 4; ++i)
      p[i] = T(t[i]);
  }
  template <std::size_t N>
  [[gnu::always_inline]] static floats<N> load_halves(const std::uint8_t* p, std::size_t stride) {
    f16 halves[N];
    for (std::size_t i = 0; i < N; ++i)
      std::memcpy(&halves[i], p + i * stride, 2);
    return load_each<floats<N>>(halves);
  }
  template <class V>
  [[gnu::always_inline]] static V load_each(const f16* p) {
    if constexpr (form<V> == shape::pair) {
      V r;
      r.low = load_each<decltype(r.low)>(p);
      r.high = load_each<decltype(r.high)>(p + lanes<V> / 2);
      return r;
    } else {
      return load_floats<V>(p);
    }
  }
  [[gnu::always_inline]] static float widen_half(f16 h) { return static_cast<float>(h); }
  [[gnu::always_inline]] static f16 narrow_to_half(float x) { return f16(x); }
  template <int Which, class T, std::size_t N>
  [[gnu::always_inline]] static vec<T, N / 2, Isa> half_of(const vec<T, N, Isa>& a) {
    T t[N];
    store(t, a);
    return load<vec<T, N / 2, Isa>>(t + Which * N / 2);
  }
  [[gnu::always_inline]] static floats4 row_maxima(const floats4 (&rows)[4]) {
    const __m128 a = _mm_max_ps(_mm_unpacklo_ps(rows[0].v, rows[1].v), _mm_unpackhi_ps(rows[0].v, rows[1].v));
    const __m128 b = _mm_max_ps(_mm_unpacklo_ps(rows[2].v, rows[3].v), _mm_unpackhi_ps(rows[2].v, rows[3].v));
    return {_mm_max_ps(_mm_movelh_ps(a, b), _mm_movehl_ps(b, a))};
  }

  [[gnu::always_inline]] static __m128i load_register(const std::uint8_t* p) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  }
  template <int Shift, std::uint8_t Mask>
  [[gnu::always_inline]] static bytes16 shift_and(__m128i a) { // neighbours' bits that a 16-bit shift brings are masked
    return {_mm_and_si128(_mm_srli_epi16(a, Shift), _mm_set1_epi8(static_cast<char>(Mask)))};
  }
  [[gnu::always_inline]] static codes join(bytes16 a, bytes16 b, bytes16 c, bytes16 d) {
    codes r;
    r.low.low = a, r.low.high = b, r.high.low = c, r.high.high = d;
    return r;
  }
  template <int Low, int High, std::uint8_t Mask>
  [[gnu::always_inline]] static codes unpack_two_planes(const std::uint8_t* p) {
    const __m128i a = load_register(p), b = load_register(p + 16);
    return join(shift_and<Low, Mask>(a), shift_and<Low, Mask>(b), shift_and<High, Mask>(a), shift_and<High, Mask>(b));
  }
  template <int Shift, std::uint8_t Mask>
  [[gnu::always_inline]] static codes unpack_plane(const std::uint8_t* p) {
    return join(shift_and<Shift, Mask>(load_register(p)), shift_and<Shift, Mask>(load_register(p + 16)),
                shift_and<Shift, Mask>(load_register(p + 32)), shift_and<Shift, Mask>(load_register(p + 48)));
  }
  [[gnu::always_inline]] static codes unpack_nibbles(const std::uint8_t* p, const std::uint8_t* q) {
    const __m128i a = load_register(p), b = load_register(q);
    return join(shift_and<0, 15>(a), shift_and<4, 15>(a), shift_and<0, 15>(b), shift_and<4, 15>(b));
  }
  [[gnu::always_inline]] static codes unpack_crumbs(const std::uint8_t* p, const std::uint8_t* q) {
    const auto pair = [](const std::uint8_t* from, auto shift) __attribute__((always_inline)) {
      const __m128i b = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from));
      return bytes16{_mm_and_si128(_mm_unpacklo_epi64(_mm_srli_epi16(b, shift()), _mm_srli_epi16(b, shift() + 2)),
                                   _mm_set1_epi8(3))};
    };
    constexpr std::integral_constant<int, 0> low;
    constexpr std::integral_constant<int, 4> high;
    return join(pair(p, low), pair(p, high), pair(q, low), pair(q, high));
  }
  template <std::uint8_t Value>
  [[gnu::always_inline]] static bytes16 expand_bits_register(std::uint32_t word, int first_byte) {
    const __m128i spread = _mm_shuffle_epi8(_mm_cvtsi32_si128(static_cast<int>(word)),
                                            _mm_add_epi8(_mm_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1),
                                                         _mm_set1_epi8(static_cast<char>(first_byte))));
    const __m128i select = _mm_set1_epi64x(static_cast<long long>(0x8040201008040201ull));
    const __m128i set = _mm_cmpeq_epi8(_mm_and_si128(spread, select), select);
    return {_mm_and_si128(set, _mm_set1_epi8(static_cast<char>(Value)))};
  }
  template <std::uint8_t Value>
  [[gnu::always_inline]] static codes expand_bits(std::uint32_t a, std::uint32_t b) {
    return join(expand_bits_register<Value>(a, 0), expand_bits_register<Value>(a, 2), expand_bits_register<Value>(b, 0),
                expand_bits_register<Value>(b, 2));
  }
  [[gnu::always_inline]] static codes load_two_runs(const std::uint8_t* a, const std::uint8_t* b) {
    return join({load_register(a)}, {load_register(a + 16)}, {load_register(b)}, {load_register(b + 16)});
  }
  template <int Count>
  [[gnu::always_inline]] static bytes16 scale_bytes(const bytes16& a) {
    return {_mm_slli_epi16(a.v, Count)};
  }
  template <int Part>
  [[gnu::always_inline]] static __m128i part_of(const codes& c) {
    if constexpr (Part < 2)
      return Part == 0 ? c.low.low.v : c.low.high.v;
    else
      return Part == 2 ? c.high.low.v : c.high.high.v;
  }
  template <int Part, int Offset>
  [[gnu::always_inline]] static floats<16> codes_to_floats(const codes& c) {
    const __m128i part = _mm_sub_epi8(part_of<Part>(c), _mm_set1_epi8(static_cast<char>(Offset)));
    floats<16> r;
    r.low.low.v = _mm_cvtepi32_ps(_mm_cvtepi8_epi32(part));
    r.low.high.v = _mm_cvtepi32_ps(_mm_cvtepi8_epi32(_mm_srli_si128(part, 4)));
    r.high.low.v = _mm_cvtepi32_ps(_mm_cvtepi8_epi32(_mm_srli_si128(part, 8)));
    r.high.high.v = _mm_cvtepi32_ps(_mm_cvtepi8_epi32(_mm_srli_si128(part, 12)));
    return r;
  }
  template <class V, class Byte>
  [[gnu::always_inline]] static V load_bytes(const Byte* p) {
    std::int32_t four;
    std::memcpy(&four, p, 4);
    if constexpr (std::is_signed_v<Byte>)
      return {_mm_cvtepi8_epi32(_mm_cvtsi32_si128(four))};
    else
      return {_mm_cvtepu8_epi32(_mm_cvtsi32_si128(four))};
  }
  template <class Byte>
  [[gnu::always_inline]] static __m128i narrow_words(__m128i a, __m128i b) {
    return std::is_signed_v<Byte> ? _mm_packs_epi16(a, b) : _mm_packus_epi16(a, b);
  }
  template <class Byte, std::size_t N>
    requires(N % 16 == 0)
  [[gnu::always_inline]] static void store_bytes(Byte* p, const ints<N>& a) {
    if constexpr (N > 16) {
      store_bytes(p, a.low);
      store_bytes(p + N / 2, a.high);
    } else {
      const __m128i low = _mm_packs_epi32(a.low.low.v, a.low.high.v), high = _mm_packs_epi32(a.high.low.v, a.high.high.v);
      _mm_storeu_si128(reinterpret_cast<__m128i*>(p), narrow_words<Byte>(low, high));
    }
  }

  [[gnu::always_inline]] static ints4 quad_dot(const bytes16& u, const bytes16& s) {
    return {_mm_madd_epi16(_mm_maddubs_epi16(u.v, s.v), _mm_set1_epi16(1))};
  }
  template <int Offset>
  [[gnu::always_inline]] static ints4 centred_quad_dot(const bytes16& u, const bytes16& s) {
    if constexpr (Offset <= 32) { // |pairs| <= 2 * 63 * 128 + 2 * 32 * 128 = 24,320
      const __m128i pairs =
          _mm_sub_epi16(_mm_maddubs_epi16(u.v, s.v), _mm_maddubs_epi16(_mm_set1_epi8(Offset), s.v));
      return {_mm_madd_epi16(pairs, _mm_set1_epi16(1))};
    } else { // u - 128 = (u & 127) - 128 * (u < 128): both products stay in range, whatever s is
      static_assert(Offset == 128);
      const __m128i below = _mm_andnot_si128(_mm_srli_epi16(u.v, 7), _mm_set1_epi8(1));
      const __m128i pairs = _mm_maddubs_epi16(_mm_and_si128(u.v, _mm_set1_epi8(127)), s.v);
      return {_mm_sub_epi32(_mm_madd_epi16(pairs, _mm_set1_epi16(1)),
                            _mm_madd_epi16(_mm_maddubs_epi16(below, s.v), _mm_set1_epi16(128)))};
    }
  }
  [[gnu::always_inline]] static __m128i to_register(small_integers n) {
    return _mm_set_epi64x(static_cast<long long>(n.high), static_cast<long long>(n.low));
  }
  [[gnu::always_inline]] static ints<16> widen(small_integers n) {
    const __m128i bytes = to_register(n);
    ints<16> r;
    r.low.low.v = _mm_cvtepi8_epi32(bytes);
    r.low.high.v = _mm_cvtepi8_epi32(_mm_srli_si128(bytes, 4));
    r.high.low.v = _mm_cvtepi8_epi32(_mm_srli_si128(bytes, 8));
    r.high.high.v = _mm_cvtepi8_epi32(_mm_srli_si128(bytes, 12));
    return r;
  }
  /// The scale in the low word, 0 in the high one: then the multiplication of words by pairs is quad * scale. They stay in
  /// memory, because a broadcast from there costs no shuffle.
  struct quad_scales {
    alignas(32) std::int32_t words[16];
  };
  [[gnu::always_inline]] static quad_scales prepare_scales(small_integers scales) {
    quad_scales r;
    const __m128i bytes = to_register(scales), low = _mm_cvtepi8_epi16(bytes),
                  high = _mm_cvtepi8_epi16(_mm_srli_si128(bytes, 8));
    auto* out = reinterpret_cast<__m128i*>(r.words);
    _mm_store_si128(out, _mm_cvtepu16_epi32(low));
    _mm_store_si128(out + 1, _mm_cvtepu16_epi32(_mm_srli_si128(low, 8)));
    _mm_store_si128(out + 2, _mm_cvtepu16_epi32(high));
    _mm_store_si128(out + 3, _mm_cvtepu16_epi32(_mm_srli_si128(high, 8)));
    return r;
  }
  template <int Portion, int Group>
  [[gnu::always_inline]] static ints<16> add_scaled(ints<16> sums, const ints<16>& quads, const quad_scales& scales) {
    const std::int32_t* s = scales.words + 64 * Portion / Group;
    const auto add = [&](ints4& sum, const ints4& quad, int first) __attribute__((always_inline)) {
      sum.v = _mm_add_epi32(sum.v, _mm_madd_epi16(quad.v, _mm_set1_epi32(s[first / Group])));
    };
    add(sums.low.low, quads.low.low, 0);
    add(sums.low.high, quads.low.high, 16);
    add(sums.high.low, quads.high.low, 32);
    add(sums.high.high, quads.high.high, 48);
    return sums;
  }
  [[gnu::always_inline]] static ints4 pair_dot(const words8& a, const words8& b) { return {_mm_madd_epi16(a.v, b.v)}; }
  [[gnu::always_inline]] static vec<std::int16_t, 16, Isa> widen_words(small_integers n) {
    const __m128i bytes = to_register(n);
    vec<std::int16_t, 16, Isa> r;
    r.low.v = _mm_cvtepi8_epi16(bytes);
    r.high.v = _mm_cvtepi8_epi16(_mm_srli_si128(bytes, 8));
    return r;
  }
  [[gnu::always_inline]] static __m128i bytes_twice(small_integers n) {
    const __m128i bytes = _mm_cvtsi64_si128(static_cast<long long>(n.low));
    return _mm_unpacklo_epi8(bytes, bytes);
  }
  [[gnu::always_inline]] static vec<std::int16_t, 16, Isa> widen_words_twice(small_integers n) {
    const __m128i bytes = bytes_twice(n);
    vec<std::int16_t, 16, Isa> r;
    r.low.v = _mm_cvtepu8_epi16(bytes);
    r.high.v = _mm_cvtepu8_epi16(_mm_srli_si128(bytes, 8));
    return r;
  }
  template <int Pair>
  [[gnu::always_inline]] static floats<16> spread_pair(const floats<16>& factors) {
    float f[16];
    store(f, factors);
    floats<16> r;
    r.low.low.v = r.low.high.v = _mm_set1_ps(f[2 * Pair]);
    r.high.low.v = r.high.high.v = _mm_set1_ps(f[2 * Pair + 1]);
    return r;
  }
};

} // namespace quanta::simd::detail
