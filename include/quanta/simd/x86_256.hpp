// 256-bit words: AVX2, FMA, F16C.
#pragma once

#include <immintrin.h>

#include "quanta/simd/x86_128.hpp"
#include "quanta/simd/x86_256_books.hpp"
#include "quanta/simd/x86_256_scales.hpp"
#include "quanta/simd/x86_halves.hpp"

namespace quanta::simd::detail {

template <class Isa>
struct x86_256 : x86_128<Isa>, x86_256_books<Isa>, x86_256_scales<Isa> {
  using base = x86_128<Isa>;
  using x86_256_books<Isa>::ternary_digits;
  using x86_256_scales<Isa>::load_halves;
  template <std::size_t N>
  using floats = vec<float, N, Isa>;
  template <std::size_t N>
  using ints = vec<std::int32_t, N, Isa>;
  using floats8 = vec<float, 8, Isa, shape::single>;
  using ints8 = vec<std::int32_t, 8, Isa, shape::single>;
  using bytes32 = vec<std::uint8_t, 32, Isa, shape::single>; // the codes of a portion
  using words16 = vec<std::int16_t, 16, Isa, shape::single>;
  using typename base::bytes16;
  using typename base::floats4;
  using typename base::ints4;

  using base::at_least, base::at_most, base::copy_sign, base::pair_dot, base::quad_dot, base::round_even, base::row_fold,
      base::to_float, base::truncate, base::unfused, base::load_register, base::look_up, base::look_up_floats,
      base::fold;

  [[gnu::always_inline]] static floats8 unfused(floats8 a) {
    __m256 r = a.v;
#if defined(__AVX512VL__)
    asm("" : "+v"(r));
#else
    asm("" : "+x"(r));
#endif
    return {r};
  }
  [[gnu::always_inline]] static floats8 round_even(const floats8& a) {
    return {_mm256_round_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
  }
  template <int Bound>
  [[gnu::always_inline]] static floats8 at_most(const floats8& a) {
    static_assert(Bound > 0); // negative floats are negative integers, and stay
    const auto bound = _mm256_castps_si256(_mm256_set1_ps(Bound));
    return {_mm256_castsi256_ps(_mm256_min_epi32(_mm256_castps_si256(a.v), bound))};
  }
  template <int Bound>
  [[gnu::always_inline]] static floats8 at_least(const floats8& a) {
    static_assert(Bound <= 0);
    const auto bits = _mm256_castps_si256(a.v);
    if constexpr (Bound == 0)
      return {_mm256_castsi256_ps(_mm256_max_epi32(bits, _mm256_setzero_si256()))};
    else // unsigned: any positive float is below any negative one, and those grow with their magnitude
      return {_mm256_castsi256_ps(_mm256_min_epu32(bits, _mm256_castps_si256(_mm256_set1_ps(Bound))))};
  }
  [[gnu::always_inline]] static ints8 truncate(const floats8& a) { return {_mm256_cvttps_epi32(a.v)}; }
  [[gnu::always_inline]] static floats8 to_float(const ints8& a) { return {_mm256_cvtepi32_ps(a.v)}; }
  [[gnu::always_inline]] static floats8 copy_sign(float m, const floats8& a) {
    return {_mm256_or_ps(_mm256_and_ps(a.v, _mm256_set1_ps(-0.f)), _mm256_set1_ps(m))};
  }

  template <class V, class T>
  [[gnu::always_inline]] static V load_floats(const T* p) {
    if constexpr (lanes<V> == 4) {
      return base::template load_floats<V>(p);
    } else if constexpr (std::is_same_v<T, f16>) {
      return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
    } else {
      const __m128i h = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
      return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16))};
    }
  }
  template <class T>
  [[gnu::always_inline]] static void store_floats(T* p, const floats8& low, const floats8& high) {
    store_rounded<Isa>(p, __m256(low.v), __m256(high.v));
  }
  template <class T>
  [[gnu::always_inline]] static void store_floats(T* p, const floats8& a) {
    store_rounded<Isa>(p, __m256(a.v));
  }
  template <class T>
  [[gnu::always_inline]] static void store_looked_up(T* out, const T* table, const bytes32& indices) {
    detail::store_looked_up(out, table, indices.v);
  }
  [[gnu::always_inline]] static floats8 from_lanes(const float (&v)[8]) {
    return {_mm256_setr_ps(v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7])};
  }
  template <int Lane>
  [[gnu::always_inline]] static floats8 broadcast_lane(const floats8& a) {
    return {_mm256_permutevar8x32_ps(a.v, _mm256_set1_epi32(Lane))};
  }
  template <int Lane>
  [[gnu::always_inline]] static floats8 broadcast_lanes(const floats8& low, const floats8& high) {
    constexpr int first = Lane / 4 * 4 + Lane % 2 * 2; // the lanes in turns are shared by those that ask for them
    const __m256 in_turns = Lane % 4 < 2 ? _mm256_unpacklo_ps(low.v, high.v) : _mm256_unpackhi_ps(low.v, high.v);
    return {_mm256_permutevar8x32_ps(in_turns, _mm256_set_m128i(_mm_set1_epi32(first + 1), _mm_set1_epi32(first)))};
  }
  [[gnu::always_inline]] static float widen_half(f16 h) { return _cvtsh_ss(h.bits); }
  [[gnu::always_inline]] static f16 narrow_to_half(float x) {
    const __m128i h = _mm_cvtps_ph(_mm_set_ss(x), _MM_FROUND_TO_NEAREST_INT);
    return x == x ? f16::from_bits(static_cast<std::uint16_t>(_mm_cvtsi128_si32(h))) : f16(x);
  }
  /// A tree of halvings: each step joins two rows and keeps the larger of their halves.
  template <class F>
  [[gnu::always_inline]] static floats8 row_fold(const floats8 (&rows)[8], F op) {
    const auto combine = [op](__m256 x, __m256 y) __attribute__((always_inline)) { return op(floats8{x}, floats8{y}).v.data; };
    __m256 pairs[4], quads[2];
    unroll<4>([&](auto i) __attribute__((always_inline)) { // lanes: row i (4 values), row i + 4 (4 values)
      pairs[i()] = combine(_mm256_permute2f128_ps(rows[i()].v, rows[i() + 4].v, 0x20),
                           _mm256_permute2f128_ps(rows[i()].v, rows[i() + 4].v, 0x31));
    });
    unroll<2>([&](auto i) __attribute__((always_inline)) { // i, i+2 | i+4, i+6
      quads[i()] = combine(_mm256_shuffle_ps(pairs[i()], pairs[i() + 2], 0x44),
                           _mm256_shuffle_ps(pairs[i()], pairs[i() + 2], 0xEE));
    });
    const __m256 r = combine(_mm256_shuffle_ps(quads[0], quads[1], 0x88), _mm256_shuffle_ps(quads[0], quads[1], 0xDD));
    return {_mm256_permute_ps(r, 0xD8)}; // 0, 2, 1, 3 in each half to natural order
  }

  template <int Bits>
  [[gnu::always_inline]] static floats8 look_up_floats(const float* table, const ints8& indices) {
    if constexpr (Bits == 2)
      return {_mm256_permutevar_ps(_mm256_broadcast_ps(reinterpret_cast<const __m128*>(table)), indices.v)};
    else if constexpr (Bits == 3)
      return {_mm256_permutevar8x32_ps(_mm256_loadu_ps(table), indices.v)};
    else // bit 3, moved to the sign, chooses the half
      return {_mm256_blendv_ps(_mm256_permutevar8x32_ps(_mm256_loadu_ps(table), indices.v),
                               _mm256_permutevar8x32_ps(_mm256_loadu_ps(table + 8), indices.v),
                               _mm256_castsi256_ps(_mm256_slli_epi32(indices.v, 28)))};
  }
  template <class F>
  [[gnu::always_inline]] static float fold(const floats8& a, F op) {
    return base::fold(op(floats4{_mm256_castps256_ps128(a.v)}, floats4{_mm256_extractf128_ps(a.v, 1)}), op);
  }
  template <class V>
  [[gnu::always_inline]] static V load_words(const std::uint16_t* p) {
    if constexpr (lanes<V> == 4)
      return base::template load_words<V>(p);
    else
      return {_mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
  }

  [[gnu::always_inline]] static __m256i load_wide(const std::uint8_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  template <int From, int Count, int To>
  [[gnu::always_inline]] static bytes32 move_bits(const bytes32& a) {
    const __m256i mask = _mm256_set1_epi8(static_cast<char>(((1 << Count) - 1) << To));
    if constexpr (From >= To)
      return {_mm256_and_si256(_mm256_srli_epi16(a.v, From - To), mask)};
    else
      return {_mm256_and_si256(_mm256_slli_epi16(a.v, To - From), mask)};
  }
  [[gnu::always_inline]] static bytes32 unpack_nibbles(const std::uint8_t* p) {
    const __m256i both = _mm256_broadcastsi128_si256(load_register(p));
    const __m256i shifted = _mm256_srlv_epi32(both, _mm256_setr_epi32(0, 0, 0, 0, 4, 4, 4, 4));
    return {_mm256_and_si256(shifted, _mm256_set1_epi8(15))};
  }
  template <int To>
  [[gnu::always_inline]] static bytes32 unpack_crumbs(const std::uint8_t* p) {
    const __m256i four = _mm256_broadcastq_epi64(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
    return move_bits<0, 2, To>({_mm256_srlv_epi64(four, _mm256_setr_epi64x(0, 2, 4, 6))});
  }
  [[gnu::always_inline]] static bytes32 unpack_short_nibbles(const std::uint8_t* p) {
    const __m256i both = _mm256_permute4x64_epi64(_mm256_castsi128_si256(load_register(p)), 0x50); // 0, 0, 1, 1
    return {_mm256_and_si256(_mm256_srlv_epi64(both, _mm256_setr_epi64x(0, 4, 0, 4)), _mm256_set1_epi8(15))};
  }
  [[gnu::always_inline]] static bytes32 unpack_adjacent_crumbs(const std::uint8_t* p) {
    const __m256i words = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))); // a byte for each quad
    const __m256i pairs = _mm256_or_si256(words, _mm256_slli_epi32(words, 12)); // crumbs 0, 1 from bit 0; 2, 3 from bit 16
    return move_bits<0, 2, 0>({_mm256_or_si256(pairs, _mm256_slli_epi32(pairs, 6))});
  }
  [[gnu::always_inline]] static bytes32 from_words(std::uint64_t a, std::uint64_t b, std::uint64_t c, std::uint64_t d) {
    return {_mm256_set_m128i(base::to_register({c, d}), base::to_register({a, b}))};
  }
  [[gnu::always_inline]] static bytes32 load_twice(const std::uint8_t* p) {
    return {_mm256_broadcastsi128_si256(load_register(p))};
  }
  [[gnu::always_inline]] static bytes32 look_up(const std::array<std::uint8_t, 16>& table, const bytes32& indices) {
    return {_mm256_shuffle_epi8(_mm256_broadcastsi128_si256(load_register(table.data())), indices.v)};
  }
  template <std::uint8_t Value>
  [[gnu::always_inline]] static bytes32 expand_bits(std::uint32_t bits) {
    const __m256i spread = _mm256_shuffle_epi8(
        _mm256_set1_epi32(static_cast<int>(bits)),
        _mm256_setr_epi64x(0, 0x0101010101010101ll, 0x0202020202020202ll, 0x0303030303030303ll));
    const __m256i select = _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201ull));
    const __m256i set = _mm256_cmpeq_epi8(_mm256_and_si256(spread, select), select);
    return {_mm256_and_si256(set, _mm256_set1_epi8(static_cast<char>(Value)))};
  }
  template <int Part, int Offset>
  [[gnu::always_inline]] static __m128i centred_part(const bytes32& c) {
    const __m256i codes = c.v, offset = _mm256_set1_epi8(static_cast<char>(Offset));
    if constexpr (Offset == 128) // codes that were signed: the compiler sees that they are again
      return _mm256_extracti128_si256(_mm256_xor_si256(codes, offset), Part);
    else
      return _mm256_extracti128_si256(_mm256_sub_epi8(codes, offset), Part);
  }
  template <int Part, int Offset>
  [[gnu::always_inline]] static floats<16> codes_to_floats(const bytes32& c) {
    const __m128i part = centred_part<Part, Offset>(c);
    floats<16> r;
    r.low.v = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(part));
    r.high.v = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_unpackhi_epi64(part, part)));
    return r;
  }
  template <class V, class Byte>
  [[gnu::always_inline]] static V load_bytes(const Byte* p) {
    if constexpr (lanes<V> == 4) {
      return base::template load_bytes<V>(p);
    } else {
      const __m128i b = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
      return {std::is_signed_v<Byte> ? _mm256_cvtepi8_epi32(b) : _mm256_cvtepu8_epi32(b)};
    }
  }
  template <class Byte, std::size_t N>
    requires(N % 16 == 0)
  [[gnu::always_inline]] static void store_bytes(Byte* p, const ints<N>& a) {
    if constexpr (N > 32) {
      store_bytes(p, a.low);
      store_bytes(p + N / 2, a.high);
    } else if constexpr (N == 32) {
      const __m256i low = _mm256_packs_epi32(a.low.low.v, a.low.high.v), high = _mm256_packs_epi32(a.high.low.v, a.high.high.v);
      const __m256i bytes = std::is_signed_v<Byte> ? _mm256_packs_epi16(low, high) : _mm256_packus_epi16(low, high);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                          _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7)));
    } else {
      const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(a.low.v, a.high.v), 0xD8);
      _mm_storeu_si128(
          reinterpret_cast<__m128i*>(p),
          base::template narrow_words<Byte>(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)));
    }
  }

  [[gnu::always_inline]] static ints8 quad_dot(const bytes32& u, const bytes32& s) {
    return {_mm256_madd_epi16(_mm256_maddubs_epi16(u.v, s.v), _mm256_set1_epi16(1))};
  }
  template <int Offset>
  [[gnu::always_inline]] static ints8 centred_quad_dot(const bytes32& u, const bytes32& s) {
    if constexpr (Offset <= 64) { // pairs: each product <= 2 * 127 * 128 = 32,512, their difference <= 2 * 64 * 128
      const __m256i pairs =
          _mm256_sub_epi16(_mm256_maddubs_epi16(u.v, s.v), _mm256_maddubs_epi16(_mm256_set1_epi8(Offset), s.v));
      return {_mm256_madd_epi16(pairs, _mm256_set1_epi16(1))};
    } else { // |c| times s with the sign of c, three instructions less than what is right for s = -128 too
      static_assert(Offset == 128);
      const __m256i c = _mm256_xor_si256(u.v, _mm256_set1_epi8(-128));
      if (_mm256_movemask_epi8(_mm256_cmpeq_epi8(s.v, _mm256_set1_epi8(-128))) != 0) [[unlikely]]
        return signed_quad_dot_of_any(u, s);
      return {_mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_abs_epi8(c), _mm256_sign_epi8(s.v, c)), _mm256_set1_epi16(1))};
    }
  }
  /// |s| times c with the sign of s: 2 * 127 * 128 fits, and c > -128 has a negative.
  [[gnu::always_inline]] static ints8 bounded_quad_dot(const bytes32& c, const bytes32& s) {
    return quad_dot({_mm256_abs_epi8(s.v)}, {_mm256_sign_epi8(c.v, s.v)});
  }
  [[gnu::always_inline]] static ints8 five_bit_quads(const std::uint8_t* nibbles, std::uint32_t fifth, const bytes32& s) {
    const __m256i without = _mm256_andnot_si256(expand_bits<0xFF>(fifth).v, _mm256_set1_epi8(16));
    const __m256i pairs =
        _mm256_sub_epi16(_mm256_maddubs_epi16(unpack_nibbles(nibbles).v, s.v), _mm256_maddubs_epi16(without, s.v));
    return {_mm256_madd_epi16(pairs, _mm256_set1_epi16(1))};
  }
  /// u - 128 = (u & 127) - 128 * (u < 128): both products stay in range, whatever s is.
  [[gnu::noinline, gnu::cold]] static ints8 signed_quad_dot_of_any(bytes32 u, bytes32 s) {
    const __m256i below = _mm256_andnot_si256(_mm256_srli_epi16(u.v, 7), _mm256_set1_epi8(1));
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_and_si256(u.v, _mm256_set1_epi8(127)), s.v);
    return {_mm256_sub_epi32(_mm256_madd_epi16(pairs, _mm256_set1_epi16(1)),
                             _mm256_madd_epi16(_mm256_maddubs_epi16(below, s.v), _mm256_set1_epi16(128)))};
  }
  [[gnu::always_inline]] static ints<16> widen(small_integers n) {
    const __m128i bytes = base::to_register(n);
    ints<16> r;
    r.low.v = _mm256_cvtepi8_epi32(bytes);
    r.high.v = _mm256_cvtepi8_epi32(_mm_unpackhi_epi64(bytes, bytes));
    return r;
  }
  /// Scales of groups of 32 codes are words of an array, of which GCC makes two shuffles each: loads that it cannot see through
  /// and one permutation each are slower for most formats. Those of groups of 16 stay in two registers as words, each of them
  /// twice eight, and are spread by one byte shuffle.
  struct wide_scales {
    alignas(32) std::int32_t words[8];
  };
  struct narrow_scales {
    __m256i words[2];
  };
  template <int Group>
  [[gnu::always_inline]] static auto prepare_scales(const words16& scales) {
    if constexpr (Group == 32) {
      wide_scales r;
      _mm256_store_si256(reinterpret_cast<__m256i*>(r.words), scales.v);
      return r;
    } else {
      return narrow_scales{{_mm256_permute4x64_epi64(scales.v, 0x44), _mm256_permute4x64_epi64(scales.v, 0xEE)}};
    }
  }
  template <int Group>
  [[gnu::always_inline]] static auto prepare_scales(small_integers scales) {
    return prepare_scales<Group>(Group == 32 ? words16{_mm256_cvtepi8_epi16(base::bytes_twice(scales))} : widen_words(scales));
  }
  /// The scale in both words of each quad's lane.
  template <int Portion>
  [[gnu::always_inline]] static __m256i spread(const wide_scales& scales) {
    return _mm256_set1_epi32(scales.words[Portion]);
  }
  template <int Portion>
  [[gnu::always_inline]] static __m256i spread(const narrow_scales& scales) {
    constexpr int first = 2 * (2 * Portion % 8), low = first | (first + 1) << 8, high = (first + 2) | (first + 3) << 8;
    return _mm256_shuffle_epi8(scales.words[Portion / 4],
                               _mm256_set_m128i(_mm_set1_epi16(high), _mm_set1_epi16(low)));
  }
  template <int Portion, int Group, class Scales>
  [[gnu::always_inline]] static ints8 add_scaled_quads(const ints8& sums, const bytes32& u, const bytes32& s,
                                                       const Scales& scales) {
    const __m256i pairs = _mm256_maddubs_epi16(u.v, s.v);
    return {_mm256_add_epi32(sums.v, _mm256_madd_epi16(pairs, spread<Portion>(scales)))};
  }
  /// |s| as the unsigned side and c with the sign of s: exact for s = -128 too, since c is not -128.
  template <int Portion, int Group, class Scales>
  [[gnu::always_inline]] static ints8 add_scaled_signed_quads(const ints8& sums, const bytes32& c, const bytes32& s,
                                                              const Scales& scales) {
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(s.v), _mm256_sign_epi8(c.v, s.v));
    return {_mm256_add_epi32(sums.v, _mm256_madd_epi16(pairs, spread<Portion>(scales)))};
  }
  [[gnu::always_inline]] static ints8 pair_dot(const words16& a, const words16& b) {
    return {_mm256_madd_epi16(a.v, b.v)};
  }
  /// 16 bytes of rows r and r + 4 in a register: no shuffle has to cross its halves.
  template <std::size_t Rows>
  [[gnu::always_inline]] static std::array<bytes32, 4> transpose_words(const std::uint8_t* p, std::size_t stride) {
    static_assert(Rows == 8);
    const auto rows = [&](std::size_t r) __attribute__((always_inline)) {
      return _mm256_inserti128_si256(_mm256_castsi128_si256(load_register(p + r * stride)), load_register(p + (r + 4) * stride),
                                     1);
    };
    const __m256i a = rows(0), b = rows(1), c = rows(2), d = rows(3);
    const __m256i ab = _mm256_unpacklo_epi32(a, b), cd = _mm256_unpacklo_epi32(c, d), ab_high = _mm256_unpackhi_epi32(a, b),
                  cd_high = _mm256_unpackhi_epi32(c, d);
    return {bytes32{_mm256_unpacklo_epi64(ab, cd)}, bytes32{_mm256_unpackhi_epi64(ab, cd)},
            bytes32{_mm256_unpacklo_epi64(ab_high, cd_high)}, bytes32{_mm256_unpackhi_epi64(ab_high, cd_high)}};
  }
  template <std::size_t N>
  [[gnu::always_inline]] static auto load_words(const std::uint8_t* p) {
    if constexpr (N == 16)
      return words16{_mm256_cvtepu8_epi16(load_register(p))};
    else
      return base::template load_words<N>(p);
  }
  [[gnu::always_inline]] static ints8 add_quads(const ints8& sums, const bytes32& u, const bytes32& s) {
    return {_mm256_add_epi32(sums.v, quad_dot(u, s).v)};
  }
  [[gnu::always_inline]] static words16 add_byte_pairs(const words16& pairs, const bytes32& u, const bytes32& s) {
    return {_mm256_add_epi16(pairs.v, _mm256_maddubs_epi16(u.v, s.v))};
  }
  [[gnu::always_inline]] static ints8 add_pairs(const ints8& sums, const words16& a, const words16& b) {
    return {_mm256_add_epi32(sums.v, _mm256_madd_epi16(a.v, b.v))};
  }
  [[gnu::always_inline]] static words16 widen_words(small_integers n) {
    return {_mm256_cvtepi8_epi16(base::to_register(n))};
  }
  [[gnu::always_inline]] static words16 widen_words_twice(small_integers n) {
    return {_mm256_cvtepu8_epi16(base::bytes_twice(n))};
  }
};

} // namespace quanta::simd::detail
