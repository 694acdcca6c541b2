// 128-bit words: SSE up to 4.2.
#pragma once

#include <nmmintrin.h>

#include "quanta/simd/portable.hpp"

namespace quanta::simd::detail {

template <class Isa>
struct x86_128 {
  template <std::size_t N>
  using floats = vec<float, N, Isa>;
  template <std::size_t N>
  using ints = vec<std::int32_t, N, Isa>;
  using codes = vec<std::uint8_t, 32, Isa>;
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
  // Floats of one sign order as their bits do, and cores compare integers on twice as many ports as floats.
  template <int Bound>
  [[gnu::always_inline]] static floats4 at_most(const floats4& a) {
    static_assert(Bound > 0); // negative floats are negative integers, and stay
    const auto bound = _mm_castps_si128(_mm_set1_ps(Bound));
    return {_mm_castsi128_ps(_mm_min_epi32(_mm_castps_si128(a.v), bound))};
  }
  template <int Bound>
  [[gnu::always_inline]] static floats4 at_least(const floats4& a) {
    static_assert(Bound <= 0);
    const auto bits = _mm_castps_si128(a.v);
    if constexpr (Bound == 0)
      return {_mm_castsi128_ps(_mm_max_epi32(bits, _mm_setzero_si128()))};
    else // unsigned: any positive float is below any negative one, and those grow with their magnitude
      return {_mm_castsi128_ps(_mm_min_epu32(bits, _mm_castps_si128(_mm_set1_ps(Bound))))};
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
    const __m128i special = _mm_cmpgt_epi32(magnitude, _mm_set1_epi32(0x7BFF)),
                  nan = _mm_cmpgt_epi32(magnitude, _mm_set1_epi32(0x7C00));
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
  [[gnu::always_inline]] static floats<8> load_halves(const std::uint8_t* p, std::size_t stride) {
    f16 halves[8];
    for (std::size_t i = 0; i < 8; ++i)
      std::memcpy(&halves[i], p + i * stride, 2);
    floats<8> r;
    r.low = load_floats<floats4>(halves);
    r.high = load_floats<floats4>(halves + 4);
    return r;
  }
  template <int Lane>
  [[gnu::always_inline]] static floats<8> broadcast_lane(const floats<8>& a) {
    const __m128 source = Lane < 4 ? a.low.v : a.high.v;
    floats<8> r;
    r.low.v = r.high.v = _mm_shuffle_ps(source, source, Lane % 4 * 0x55);
    return r;
  }
  template <int Lane>
  [[gnu::always_inline]] static floats<8> broadcast_lanes(const floats<8>& low, const floats<8>& high) {
    floats<8> r = broadcast_lane<Lane>(low);
    r.high = broadcast_lane<Lane>(high).high;
    return r;
  }
  [[gnu::always_inline]] static float widen_half(f16 h) { return static_cast<float>(h); }
  [[gnu::always_inline]] static f16 narrow_to_half(float x) { return f16(x); }
  template <class F>
  [[gnu::always_inline]] static floats4 row_fold(const floats4 (&rows)[4], F op) {
    const floats4 a = op(floats4{_mm_unpacklo_ps(rows[0].v, rows[1].v)}, floats4{_mm_unpackhi_ps(rows[0].v, rows[1].v)});
    const floats4 b = op(floats4{_mm_unpacklo_ps(rows[2].v, rows[3].v)}, floats4{_mm_unpackhi_ps(rows[2].v, rows[3].v)});
    return op(floats4{_mm_movelh_ps(a.v, b.v)}, floats4{_mm_movehl_ps(b.v, a.v)});
  }

  template <int Bits>
  [[gnu::always_inline]] static floats4 look_up_floats(const float* table, const ints4& indices) {
    constexpr int last = (1 << Bits) - 1;
    return {_mm_setr_ps(table[_mm_extract_epi32(indices.v, 0) & last], table[_mm_extract_epi32(indices.v, 1) & last],
                        table[_mm_extract_epi32(indices.v, 2) & last], table[_mm_extract_epi32(indices.v, 3) & last])};
  }
  template <class F>
  [[gnu::always_inline]] static float fold(const floats4& a, F op) {
    const floats4 pairs = op(a, floats4{_mm_movehl_ps(a.v, a.v)});
    return _mm_cvtss_f32(op(pairs, floats4{_mm_shuffle_ps(pairs.v, pairs.v, 1)}).v);
  }
  template <class V>
  [[gnu::always_inline]] static V load_words(const std::uint16_t* p) {
    return {_mm_cvtepu16_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)))};
  }

  [[gnu::always_inline]] static __m128i load_register(const std::uint8_t* p) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  }
  /// One 16-bit shift by the difference; bits that cross into a neighbour are masked away.
  template <int From, int Count, int To>
  [[gnu::always_inline]] static bytes16 move_bits(const bytes16& a) {
    const __m128i mask = _mm_set1_epi8(static_cast<char>(((1 << Count) - 1) << To));
    if constexpr (From >= To)
      return {_mm_and_si128(_mm_srli_epi16(a.v, From - To), mask)};
    else
      return {_mm_and_si128(_mm_slli_epi16(a.v, To - From), mask)};
  }
  [[gnu::always_inline]] static codes join(bytes16 a, bytes16 b) {
    codes r;
    r.low = a, r.high = b;
    return r;
  }
  [[gnu::always_inline]] static codes unpack_nibbles(const std::uint8_t* p) {
    const bytes16 a{load_register(p)};
    return join(move_bits<0, 4, 0>(a), move_bits<4, 4, 0>(a));
  }
  template <int To>
  [[gnu::always_inline]] static codes unpack_crumbs(const std::uint8_t* p) {
    const bytes16 a{_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))};
    const auto pair = [](const bytes16& x, const bytes16& y)
                          __attribute__((always_inline)) { return bytes16{_mm_unpacklo_epi64(x.v, y.v)}; };
    return join(pair(move_bits<0, 2, To>(a), move_bits<2, 2, To>(a)), pair(move_bits<4, 2, To>(a), move_bits<6, 2, To>(a)));
  }
  [[gnu::always_inline]] static codes unpack_short_nibbles(const std::uint8_t* p) {
    const bytes16 a{load_register(p)};
    const __m128i low = move_bits<0, 4, 0>(a).v, high = move_bits<4, 4, 0>(a).v;
    return join({_mm_unpacklo_epi64(low, high)}, {_mm_unpackhi_epi64(low, high)});
  }
  [[gnu::always_inline]] static codes unpack_adjacent_crumbs(const std::uint8_t* p) {
    const bytes16 a{_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))};
    const __m128i even = _mm_unpacklo_epi8(move_bits<0, 2, 0>(a).v, move_bits<2, 2, 0>(a).v);
    const __m128i odd = _mm_unpacklo_epi8(move_bits<4, 2, 0>(a).v, move_bits<6, 2, 0>(a).v);
    return join({_mm_unpacklo_epi16(even, odd)}, {_mm_unpackhi_epi16(even, odd)});
  }
  [[gnu::always_inline]] static codes from_words(std::uint64_t a, std::uint64_t b, std::uint64_t c, std::uint64_t d) {
    return join({to_register({a, b})}, {to_register({c, d})});
  }
  [[gnu::always_inline]] static codes load_twice(const std::uint8_t* p) { return join({load_register(p)}, {load_register(p)}); }
  /// bytes * Powers modulo 256, then three times that as 16-bit words whose high bytes are the digits.
  template <const auto& Powers, std::size_t First>
  [[gnu::always_inline]] static bytes16 digits_of_half(const bytes16& a) {
    alignas(16) static constexpr auto even_odd = [] {
      std::array<std::uint16_t, 16> r{};
      for (std::size_t i = 0; i < 16; ++i)
        r[i % 2 * 8 + i / 2] = Powers[First + i];
      return r;
    }();
    const auto* powers = reinterpret_cast<const __m128i*>(even_odd.data());
    const __m128i low_bytes = _mm_set1_epi16(0xFF), three = _mm_set1_epi16(3);
    const __m128i even = _mm_and_si128(_mm_mullo_epi16(a.v, powers[0]), low_bytes);
    const __m128i odd = _mm_and_si128(_mm_mullo_epi16(_mm_srli_epi16(a.v, 8), powers[1]), low_bytes);
    return {_mm_or_si128(_mm_srli_epi16(_mm_mullo_epi16(even, three), 8),
                         _mm_andnot_si128(low_bytes, _mm_mullo_epi16(odd, three)))};
  }
  template <const auto& Powers>
  [[gnu::always_inline]] static codes ternary_digits(const codes& a) {
    return join(digits_of_half<Powers, 0>(a.low), digits_of_half<Powers, 16>(a.high));
  }
  [[gnu::always_inline]] static bytes16 look_up(const std::array<std::uint8_t, 16>& table, const bytes16& indices) {
    return {_mm_shuffle_epi8(load_register(table.data()), indices.v)};
  }
  /// Lower and upper bytes apart: a register holds 16 bytes to choose from.
  template <class T>
  [[gnu::always_inline]] static void store_looked_up(T* out, const T* table, const bytes16& indices) {
    const auto* words = reinterpret_cast<const __m128i*>(table);
    const __m128i a = _mm_loadu_si128(words), b = _mm_loadu_si128(words + 1), low = _mm_set1_epi16(0xFF);
    const __m128i lower = _mm_shuffle_epi8(_mm_packus_epi16(_mm_and_si128(a, low), _mm_and_si128(b, low)), indices.v);
    const __m128i upper = _mm_shuffle_epi8(_mm_packus_epi16(_mm_srli_epi16(a, 8), _mm_srli_epi16(b, 8)), indices.v);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm_unpacklo_epi8(lower, upper));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out) + 1, _mm_unpackhi_epi8(lower, upper));
  }
  template <std::uint8_t Value>
  [[gnu::always_inline]] static bytes16 expand_half(std::uint32_t bits) {
    const __m128i spread = _mm_shuffle_epi8(_mm_cvtsi32_si128(static_cast<int>(bits)),
                                            _mm_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1));
    const __m128i select = _mm_set1_epi64x(static_cast<long long>(0x8040201008040201ull));
    const __m128i set = _mm_cmpeq_epi8(_mm_and_si128(spread, select), select);
    return {_mm_and_si128(set, _mm_set1_epi8(static_cast<char>(Value)))};
  }
  template <std::uint8_t Value>
  [[gnu::always_inline]] static codes expand_bits(std::uint32_t bits) {
    return join(expand_half<Value>(bits), expand_half<Value>(bits >> 16));
  }
  template <int Part, int Offset>
  [[gnu::always_inline]] static floats<16> codes_to_floats(const codes& c) {
    const __m128i part = _mm_sub_epi8(Part == 0 ? c.low.v : c.high.v, _mm_set1_epi8(static_cast<char>(Offset)));
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
    if constexpr (Offset <= 64) { // pairs: each product <= 2 * 127 * 128 = 32,512, their difference <= 2 * 64 * 128
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
  /// The scale in both words of a lane, for the two pairs of a quad. They stay in memory, because a broadcast from there
  /// costs no shuffle.
  struct pair_scales {
    alignas(32) std::int32_t words[16];
  };
  template <int Group>
  [[gnu::always_inline]] static pair_scales prepare_scales(small_integers scales) {
    pair_scales r;
    const __m128i bytes = to_register(scales), low = _mm_cvtepi8_epi16(bytes),
                  high = _mm_cvtepi8_epi16(_mm_srli_si128(bytes, 8));
    auto* out = reinterpret_cast<__m128i*>(r.words);
    _mm_store_si128(out, _mm_unpacklo_epi16(low, low));
    _mm_store_si128(out + 1, _mm_unpackhi_epi16(low, low));
    _mm_store_si128(out + 2, _mm_unpacklo_epi16(high, high));
    _mm_store_si128(out + 3, _mm_unpackhi_epi16(high, high));
    return r;
  }
  template <int Portion, int Group>
  [[gnu::always_inline]] static ints<8> add_scaled_quads(ints<8> sums, const codes& u, const codes& s,
                                                         const pair_scales& scales) {
    const std::int32_t* scale = scales.words + 32 * Portion / Group;
    const __m128i low = _mm_maddubs_epi16(u.low.v, s.low.v), high = _mm_maddubs_epi16(u.high.v, s.high.v);
    sums.low.v = _mm_add_epi32(sums.low.v, _mm_madd_epi16(low, _mm_set1_epi32(scale[0])));
    sums.high.v = _mm_add_epi32(sums.high.v, _mm_madd_epi16(high, _mm_set1_epi32(scale[16 / Group])));
    return sums;
  }
  /// |s| as the unsigned side and c with the sign of s: exact for s = -128 too, since c is not -128.
  template <int Portion, int Group>
  [[gnu::always_inline]] static ints<8> add_scaled_signed_quads(const ints<8>& sums, const codes& c, const codes& s,
                                                                const pair_scales& scales) {
    return add_scaled_quads<Portion, Group>(sums, join({_mm_abs_epi8(s.low.v)}, {_mm_abs_epi8(s.high.v)}),
                                            join({_mm_sign_epi8(c.low.v, s.low.v)}, {_mm_sign_epi8(c.high.v, s.high.v)}),
                                            scales);
  }
  [[gnu::always_inline]] static ints4 pair_dot(const words8& a, const words8& b) { return {_mm_madd_epi16(a.v, b.v)}; }
  [[gnu::always_inline]] static void copy_past_cache(std::uint8_t* to, const std::uint8_t* from, std::size_t bytes) {
    for (std::size_t i = 0; i < bytes; i += 16)
      _mm_stream_si128(reinterpret_cast<__m128i*>(to + i), _mm_load_si128(reinterpret_cast<const __m128i*>(from + i)));
  }
  [[gnu::always_inline]] static void finish_past_cache() { _mm_sfence(); }
  template <std::size_t Rows>
  [[gnu::always_inline]] static std::array<bytes16, 4> transpose_words(const std::uint8_t* p, std::size_t stride) {
    static_assert(Rows == 4);
    const __m128i a = load_register(p), b = load_register(p + stride), c = load_register(p + 2 * stride),
                  d = load_register(p + 3 * stride);
    const __m128i ab = _mm_unpacklo_epi32(a, b), cd = _mm_unpacklo_epi32(c, d), ab_high = _mm_unpackhi_epi32(a, b),
                  cd_high = _mm_unpackhi_epi32(c, d);
    return {bytes16{_mm_unpacklo_epi64(ab, cd)}, bytes16{_mm_unpackhi_epi64(ab, cd)},
            bytes16{_mm_unpacklo_epi64(ab_high, cd_high)}, bytes16{_mm_unpackhi_epi64(ab_high, cd_high)}};
  }
  template <std::size_t N>
  [[gnu::always_inline]] static words8 load_words(const std::uint8_t* p) {
    return {_mm_cvtepu8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)))};
  }
  [[gnu::always_inline]] static ints4 add_quads(const ints4& sums, const bytes16& u, const bytes16& s) {
    return {_mm_add_epi32(sums.v, quad_dot(u, s).v)};
  }
  [[gnu::always_inline]] static words8 add_byte_pairs(const words8& pairs, const bytes16& u, const bytes16& s) {
    return {_mm_add_epi16(pairs.v, _mm_maddubs_epi16(u.v, s.v))};
  }
  [[gnu::always_inline]] static ints4 add_pairs(const ints4& sums, const words8& a, const words8& b) {
    return {_mm_add_epi32(sums.v, _mm_madd_epi16(a.v, b.v))};
  }
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
};

} // namespace quanta::simd::detail
