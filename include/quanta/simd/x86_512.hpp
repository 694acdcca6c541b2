// 512-bit words: AVX-512 F, BW, DQ, VL and VNNI.
#pragma once

#include "quanta/simd/x86_512_books.hpp"
#include "quanta/simd/x86_512_half_pairs.hpp"
#include "quanta/simd/x86_512_scaled_quads.hpp"

namespace quanta::simd::detail {

template <class Isa>
struct x86_512 : x86_512_scaled_quads<Isa>, x86_512_books<Isa>, x86_512_half_pairs<Isa> {
  using base = x86_512_scaled_quads<Isa>;
  using books = x86_512_books<Isa>;
  template <std::size_t N>
  using floats = vec<float, N, Isa>;
  template <std::size_t N>
  using ints = vec<std::int32_t, N, Isa>;
  using typename base::bytes32, typename base::ints8;
  using floats16 = vec<float, 16, Isa, shape::single>;
  using ints16 = vec<std::int32_t, 16, Isa, shape::single>;
  using base::at_least, base::at_most, base::copy_sign, base::round_even, base::row_fold, base::to_float, base::truncate,
      base::unfused, base::store_floats, base::load_register, base::load_wide, base::pair_dot, base::look_up,
      base::look_up_floats, base::fold, base::ternary_digits, base::quad_dot, base::add_quads,
      base::centred_quad_dot, base::nibble_quads, books::widen_indices, books::narrow_indices,
      books::split_double_words, books::spread_fields, books::double_word, books::half_of;

  [[gnu::always_inline]] static floats16 unfused(floats16 a) {
    __m512 r = a.v;
    asm("" : "+v"(r));
    return {r};
  }
  [[gnu::always_inline]] static floats16 round_even(const floats16& a) {
    return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
  }
  template <int Bound>
  [[gnu::always_inline]] static floats16 at_most(const floats16& a) {
    static_assert(Bound > 0); // negative floats are negative integers, and stay
    const auto bound = _mm512_castps_si512(_mm512_set1_ps(Bound));
    return {_mm512_castsi512_ps(_mm512_min_epi32(_mm512_castps_si512(a.v), bound))};
  }
  template <int Bound>
  [[gnu::always_inline]] static floats16 at_least(const floats16& a) {
    static_assert(Bound <= 0);
    const auto bits = _mm512_castps_si512(a.v);
    if constexpr (Bound == 0)
      return {_mm512_castsi512_ps(_mm512_max_epi32(bits, _mm512_setzero_si512()))};
    else // unsigned: any positive float is below any negative one, and those grow with their magnitude
      return {_mm512_castsi512_ps(_mm512_min_epu32(bits, _mm512_castps_si512(_mm512_set1_ps(Bound))))};
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
  template <class T>
  [[gnu::always_inline]] static void store_floats(T* p, const floats16& a) {
    store_rounded<Isa>(p, __m512(a.v));
  }
  template <class T>
  [[gnu::always_inline]] static void store_floats(T* p, const floats16& low, const floats16& high) {
    store_rounded<Isa>(p, __m512(low.v), __m512(high.v));
  }
  template <class T>
  [[gnu::always_inline]] static void store_looked_up(T* out, const T* table, const bytes32& indices) {
    store_looked_up_512(out, table, indices.v);
  }
  /// A tree of halvings over 16 rows; rows enter in the order that makes the lanes come out in natural order.
  template <class F>
  [[gnu::always_inline]] static floats16 row_fold(const floats16 (&rows)[16], F op) {
    const auto combine = [op](__m512 x, __m512 y)
                             __attribute__((always_inline)) { return op(floats16{x}, floats16{y}).v.data; };
    __m512 a[16], b[8];
    unroll<16>([&](auto p) __attribute__((always_inline)) {
      constexpr int quarter[4] = {0, 8, 4, 12}, within[4] = {0, 2, 1, 3};
      a[quarter[p() / 4] + within[p() % 4]] = rows[p()].v;
    });
    unroll<8>([&](auto i) __attribute__((always_inline)) {
      b[i()] = combine(_mm512_shuffle_f32x4(a[i()], a[i() + 8], 0x44), _mm512_shuffle_f32x4(a[i()], a[i() + 8], 0xEE));
    });
    unroll<4>([&](auto i) __attribute__((always_inline)) {
      a[i()] = combine(_mm512_shuffle_f32x4(b[i()], b[i() + 4], 0x88), _mm512_shuffle_f32x4(b[i()], b[i() + 4], 0xDD));
    });
    unroll<2>([&](auto i) __attribute__((always_inline)) {
      b[i()] = combine(_mm512_shuffle_ps(a[i()], a[i() + 2], 0x44), _mm512_shuffle_ps(a[i()], a[i() + 2], 0xEE));
    });
    return {combine(_mm512_shuffle_ps(b[0], b[1], 0x88), _mm512_shuffle_ps(b[0], b[1], 0xDD))};
  }

  template <int Bits>
  [[gnu::always_inline]] static floats16 look_up_floats(const float* table, const ints16& indices) {
    if constexpr (Bits == 2)
      return {_mm512_permutevar_ps(_mm512_broadcast_f32x4(_mm_loadu_ps(table)), indices.v)};
    else if constexpr (Bits == 3)
      return {_mm512_permutexvar_ps(indices.v, _mm512_broadcast_f32x8(_mm256_loadu_ps(table)))};
    else
      return {_mm512_permutexvar_ps(indices.v, _mm512_loadu_ps(table))};
  }
  template <class F>
  [[gnu::always_inline]] static float fold(const floats16& a, F op) {
    return base::fold(op(floats<8>{_mm512_castps512_ps256(a.v)}, floats<8>{_mm512_extractf32x8_ps(a.v, 1)}), op);
  }
  template <class V>
  [[gnu::always_inline]] static V load_words(const std::uint16_t* p) {
    if constexpr (lanes<V> < 16)
      return base::template load_words<V>(p);
    else
      return {_mm512_cvtepu16_epi32(load_wide(reinterpret_cast<const std::uint8_t*>(p)))};
  }

  template <std::uint8_t Value>
  [[gnu::always_inline]] static bytes32 expand_bits(std::uint32_t bits) {
    return {_mm256_maskz_mov_epi8(bits, _mm256_set1_epi8(static_cast<char>(Value)))};
  }
  template <int Part, int Offset>
  [[gnu::always_inline]] static floats16 codes_to_floats(const bytes32& c) {
    return {_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(base::template centred_part<Part, Offset>(c)))};
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

  // Operands are copied to locals of the register type first: GCC's intrinsics are macros that cast them.
  using bytes64 = vec<std::uint8_t, 64, Isa, shape::single>;
  using words32 = vec<std::int16_t, 32, Isa, shape::single>;
  [[gnu::always_inline]] static bytes64 look_up(const std::array<std::uint8_t, 16>& table, const bytes64& indices) {
    const __m512i i = indices.v;
    return {_mm512_shuffle_epi8(_mm512_broadcast_i32x4(load_register(table.data())), i)};
  }
  [[gnu::always_inline]] static void copy_past_cache(std::uint8_t* to, const std::uint8_t* from, std::size_t bytes) {
    if (reinterpret_cast<std::uintptr_t>(to) % 64 != 0 || bytes % 64 != 0)
      return base::copy_past_cache(to, from, bytes);
    for (std::size_t i = 0; i < bytes; i += 64) // lines at once
      _mm512_stream_si512(reinterpret_cast<__m512i*>(to + i), _mm512_load_si512(from + i));
  }
  /// 16 bytes of rows r, r + 4, r + 8 and r + 12 in a register.
  template <std::size_t Rows>
  [[gnu::always_inline]] static auto transpose_words(const std::uint8_t* p, std::size_t stride) {
    if constexpr (Rows < 16) {
      return base::template transpose_words<Rows>(p, stride);
    } else {
      const auto rows = [&](std::size_t r) __attribute__((always_inline)) {
        const auto row = [&](std::size_t k)
                             __attribute__((always_inline)) { return base::load_register(p + (r + k) * stride); };
        const __m512i two = _mm512_inserti32x4(_mm512_castsi128_si512(row(0)), row(4), 1);
        return _mm512_inserti32x4(_mm512_inserti32x4(two, row(8), 2), row(12), 3);
      };
      const __m512i a = rows(0), b = rows(1), c = rows(2), d = rows(3);
      const __m512i ab = _mm512_unpacklo_epi32(a, b), cd = _mm512_unpacklo_epi32(c, d), ab_high = _mm512_unpackhi_epi32(a, b),
                    cd_high = _mm512_unpackhi_epi32(c, d);
      return std::array{bytes64{_mm512_unpacklo_epi64(ab, cd)}, bytes64{_mm512_unpackhi_epi64(ab, cd)},
                        bytes64{_mm512_unpacklo_epi64(ab_high, cd_high)}, bytes64{_mm512_unpackhi_epi64(ab_high, cd_high)}};
    }
  }
  template <std::size_t N>
  [[gnu::always_inline]] static auto load_words(const std::uint8_t* p) {
    if constexpr (N == 32)
      return words32{_mm512_cvtepu8_epi16(load_wide(p))};
    else
      return base::template load_words<N>(p);
  }
  [[gnu::always_inline]] static ints16 add_quads(const ints16& sums, const bytes64& u, const bytes64& s) {
    const __m512i a = sums.v, b = u.v, c = s.v;
    return {_mm512_dpbusd_epi32(a, b, c)};
  }
  [[gnu::always_inline]] static ints16 add_pairs(const ints16& sums, const words32& a, const words32& b) {
    const __m512i x = sums.v, y = a.v, z = b.v;
    return {_mm512_dpwssd_epi32(x, y, z)};
  }
  // 64 codes in a register: cores with 512-bit units do twice the work with an instruction.
  [[gnu::always_inline]] static bytes64 join(const bytes32& low, const bytes32& high) {
    const __m256i a = low.v, b = high.v;
    return {_mm512_inserti64x4(_mm512_castsi256_si512(a), b, 1)};
  }
  [[gnu::always_inline]] static ints8 add_halves(const ints16& a) {
    const __m512i v = a.v;
    return {_mm256_add_epi32(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64(v, 1))};
  }
  [[gnu::always_inline]] static std::array<bytes32, 2> halves(const bytes64& a) {
    const __m512i v = a.v;
    return {bytes32{_mm512_castsi512_si256(v)}, bytes32{_mm512_extracti64x4_epi64(v, 1)}};
  }
  [[gnu::always_inline]] static std::array<floats<8>, 2> halves(const floats16& a) {
    return {floats<8>{_mm512_castps512_ps256(a.v)}, floats<8>{_mm512_extractf32x8_ps(a.v, 1)}};
  }
  [[gnu::always_inline]] static floats16 join(const floats<8>& low, const floats<8>& high) {
    return {_mm512_insertf32x8(_mm512_castps256_ps512(low.v), high.v, 1)};
  }
  template <int Low, int High, int Count, int To>
  [[gnu::always_inline]] static bytes64 unpack_twice(const std::uint8_t* p) {
    static_assert((Low >= To) == (High >= To));
    alignas(64) static constexpr auto distance = [] {
      std::array<std::int64_t, 8> r{};
      for (std::size_t i = 0; i < 8; ++i)
        r[i] = Low >= To ? (i < 4 ? Low : High) - To : To - (i < 4 ? Low : High);
      return r;
    }();
    const __m512i both = _mm512_broadcast_i64x4(load_wide(p)), by = *reinterpret_cast<const __m512i*>(distance.data());
    const __m512i moved = Low >= To ? _mm512_srlv_epi64(both, by) : _mm512_sllv_epi64(both, by);
    return {_mm512_and_si512(moved, _mm512_set1_epi8(static_cast<char>(((1 << Count) - 1) << To)))};
  }
  /// floor(3 b / 256) = (b + b / 2) / 128, rounded down: of complements, since averages are rounded up.
  template <const auto& Powers>
  [[gnu::always_inline]] static bytes64 ternary_digits(const bytes64& bytes) {
    alignas(64) static constexpr auto even_odd = [] {
      std::array<std::uint16_t, 64> r{};
      for (std::size_t i = 0; i < 64; ++i)
        r[i % 2 * 32 + i / 2] = Powers[i];
      return r;
    }();
    const auto* powers = reinterpret_cast<const __m512i*>(even_odd.data());
    const __m512i b = bytes.v, ones = _mm512_set1_epi8(-1), high_bytes = _mm512_set1_epi16(static_cast<short>(0xFF00));
    const __m512i even = _mm512_mullo_epi16(b, powers[0]), odd = _mm512_mullo_epi16(_mm512_and_si512(b, high_bytes), powers[1]);
    const __m512i less = _mm512_ternarylogic_epi64(high_bytes, odd, even, 0x35); // ~(high ? odd : even)
    const __m512i digits = _mm512_srli_epi16(_mm512_avg_epu8(less, _mm512_avg_epu8(less, ones)), 6);
    return {_mm512_andnot_si512(digits, _mm512_set1_epi8(3))};
  }
  /// 32 nibbles of 16 bytes, twice: the low ones of 16 bytes first.
  /// 16 bytes twice, then 16 others twice.
  [[gnu::always_inline]] static bytes64 nibbles_of(__m512i both) {
    alignas(64) static constexpr std::array<std::int64_t, 8> distance{0, 0, 4, 4, 0, 0, 4, 4};
    const __m512i moved = _mm512_srlv_epi64(both, *reinterpret_cast<const __m512i*>(distance.data()));
    return {_mm512_and_si512(moved, _mm512_set1_epi8(15))};
  }
  [[gnu::always_inline]] static bytes64 unpack_nibbles_twice(const std::uint8_t* p) {
    const __m512i bytes = _mm512_castsi256_si512(load_wide(p));
    return nibbles_of(_mm512_shuffle_i64x2(bytes, bytes, 0x50));
  }
  [[gnu::always_inline]] static bytes64 unpack_nibbles_twice(const std::uint8_t* p, const std::uint8_t* q) {
    return nibbles_of(join(base::load_twice(p), base::load_twice(q)).v);
  }
  template <int Offset>
  [[gnu::always_inline]] static ints16 nibble_quads(const std::uint8_t* p, const std::uint8_t* q, const bytes64& s) {
    const __m512i zero = _mm512_setzero_si512(), y = s.v;
    const __m512i codes = _mm512_and_si512(join(base::load_twice(p), base::load_twice(q)).v, nibbles_in_place<15>());
    const __m512i sums = _mm512_dpbusd_epi32(zero, codes, y);
    if constexpr (Offset == 0)
      return {sums};
    else
      return {_mm512_sub_epi32(sums, _mm512_dpbusd_epi32(zero, nibbles_in_place<Offset>(), y))};
  }
  [[gnu::always_inline]] static bytes64 unpack_short_nibbles_twice(const std::uint8_t* p) {
    alignas(64) static constexpr std::array<std::int64_t, 8> order{0, 0, 1, 1, 2, 2, 3, 3}, distance{0, 4, 0, 4, 0, 4, 0, 4};
    const __m512i both = _mm512_permutexvar_epi64(*reinterpret_cast<const __m512i*>(order.data()),
                                                  _mm512_castsi256_si512(load_wide(p)));
    const __m512i moved = _mm512_srlv_epi64(both, *reinterpret_cast<const __m512i*>(distance.data()));
    return {_mm512_and_si512(moved, _mm512_set1_epi8(15))};
  }
  template <std::uint8_t Value>
  [[gnu::always_inline]] static bytes64 add_bits_twice(const bytes64& codes, std::uint32_t low, std::uint32_t high) {
    const __mmask64 set = low | std::uint64_t{high} << 32;
    return {_mm512_mask_add_epi8(codes.v, set, codes.v, _mm512_set1_epi8(static_cast<char>(Value)))};
  }
  /// in_place() twice: a constant of memory, as those of groups_of_pairs, is 2 % faster for q4_0 than broadcasting that.
  template <int Nibble>
  [[gnu::always_inline]] static __m512i nibbles_in_place() {
    alignas(64) static constexpr auto nibbles = [] {
      std::array<std::uint8_t, 64> r{};
      for (std::size_t i = 0; i < 64; ++i)
        r[i] = i / 16 % 2 == 0 ? Nibble : Nibble << 4;
      return r;
    }();
    return *reinterpret_cast<const __m512i*>(nibbles.data());
  }
  template <int Lane>
  [[gnu::always_inline]] static floats16 broadcast_two_lanes(const floats<8>& a) {
    alignas(64) static constexpr auto of_lane = [] {
      std::array<std::int32_t, 16> r{};
      for (std::size_t i = 0; i < 16; ++i)
        r[i] = Lane + static_cast<std::int32_t>(i / 8);
      return r;
    }();
    return {_mm512_permutexvar_ps(*reinterpret_cast<const __m512i*>(of_lane.data()), _mm512_castps256_ps512(a.v))};
  }
  template <int Lane>
  [[gnu::always_inline]] static floats16 broadcast_two_lanes(const floats<8>& low, const floats<8>& high) {
    alignas(64) static constexpr auto of_lane = [] {
      std::array<std::int32_t, 16> r{};
      for (std::size_t i = 0; i < 16; ++i)
        r[i] = Lane + static_cast<std::int32_t>(i / 8 + i / 4 % 2 * 16);
      return r;
    }();
    return {_mm512_permutex2var_ps(_mm512_castps256_ps512(low.v), *reinterpret_cast<const __m512i*>(of_lane.data()),
                                   _mm512_castps256_ps512(high.v))};
  }
  template <std::size_t Stride, std::size_t Part>
  static floats<8> load_halved_ue4m3(const std::uint8_t* p) = delete; // no faster where 32 registers hold what is looked up
  [[gnu::always_inline]] static ints16 quad_dot(const bytes64& u, const bytes64& s) {
    const __m512i a = u.v, b = s.v;
    return {_mm512_dpbusd_epi32(_mm512_setzero_si512(), a, b)};
  }
  template <int Offset>
  [[gnu::always_inline]] static ints16 centred_quad_dot(const bytes64& u, const bytes64& s) {
    const __m512i a = u.v, b = s.v, offset = _mm512_set1_epi8(static_cast<char>(Offset));
    return {_mm512_sub_epi32(_mm512_dpbusd_epi32(_mm512_setzero_si512(), a, b),
                             _mm512_dpbusd_epi32(_mm512_setzero_si512(), offset, b))};
  }
  [[gnu::always_inline]] static ints16 widen(small_integers n) { return {_mm512_cvtepi8_epi32(base::to_register(n))}; }
};

} // namespace quanta::simd::detail
