// The words that xsimd lacks, one contract each. The portable text is the meaning of each word; an instruction-set file
// overrides what its instructions do better, with equal results for every input that the contract allows.
#pragma once

#include <array>
#include <utility>

#include "quanta/float16.hpp"
#include "quanta/simd/portable.hpp"
#include "quanta/simd/small_integers.hpp"
#if QUANTA_REGISTERS
  #include "quanta/simd/x86.hpp"
#endif

namespace quanta::simd {

namespace detail {
/// f on each part that is one register (or one array), the results joined in the same shape.
template <class R, class F, class... V>
[[gnu::always_inline]] inline R split(F f, const V&... operands) {
  if constexpr (form<R> == shape::pair) {
    R r;
    r.low = split<decltype(r.low)>(f, operands.low...);
    r.high = split<decltype(r.high)>(f, operands.high...);
    return r;
  } else {
    return f(operands...);
  }
}
} // namespace detail

/// f(0), f(1), .. f(N - 1) with compile-time numbers, unrolled.
template <int N, class F>
[[gnu::always_inline]] inline void unroll(F&& f) {
  [&]<int... I>(std::integer_sequence<int, I...>) __attribute__((always_inline)) {
    (f(std::integral_constant<int, I>{}), ...);
  }(std::make_integer_sequence<int, N>{});
}

// --- floats ----------------------------------------------------------------------------------------------------------

/// A product that the compiler must round before it is used: never contracted into a fused multiply-add. GCC contracts
/// through intrinsics and operators alike, and an empty asm statement is the only barrier that costs nothing.
template <std::size_t N, class Isa>
[[gnu::always_inline]] inline vec<float, N, Isa> unfused(vec<float, N, Isa> product) {
  if constexpr (form<decltype(product)> == shape::pair) {
    product.low = unfused(product.low);
    product.high = unfused(product.high);
    return product;
  } else {
    return native<Isa>::unfused(product);
  }
}

/// Round to nearest, ties to even. Values of magnitude 2^22 and more, infinities and NaN are returned as some value that a
/// following min and max clamp alike at every level.
template <std::size_t N, class Isa>
[[gnu::always_inline]] inline vec<float, N, Isa> round_even(const vec<float, N, Isa>& a) {
  using V = vec<float, N, Isa>;
  return detail::split<V>([](const auto& x) __attribute__((always_inline)) { return native<Isa>::round_even(x); }, a);
}

/// The smaller of a and Bound > 0, and the larger of a and Bound <= 0, where a is an integer or infinite. (0 is the larger of
/// 0 and -0. A negative NaN, which is what 0 * infinity gives, becomes 0 under both with Bounds > 0 and 0.)
template <int Bound, std::size_t N, class Isa>
[[gnu::always_inline]] inline vec<float, N, Isa> at_most(const vec<float, N, Isa>& a) {
  using V = vec<float, N, Isa>;
  return detail::split<V>([](const auto& x) __attribute__((always_inline)) { return native<Isa>::template at_most<Bound>(x); },
                          a);
}
template <int Bound, std::size_t N, class Isa>
[[gnu::always_inline]] inline vec<float, N, Isa> at_least(const vec<float, N, Isa>& a) {
  using V = vec<float, N, Isa>;
  return detail::split<V>(
      [](const auto& x) __attribute__((always_inline)) { return native<Isa>::template at_least<Bound>(x); }, a);
}

/// Toward zero; -2^31 for what int32 cannot hold, NaN included.
template <std::size_t N, class Isa>
[[gnu::always_inline]] inline vec<std::int32_t, N, Isa> truncate(const vec<float, N, Isa>& a) {
  using R = vec<std::int32_t, N, Isa>;
  return detail::split<R>([](const auto& x) __attribute__((always_inline)) { return native<Isa>::truncate(x); }, a);
}

/// int32 to float, rounded to nearest even.
template <std::size_t N, class Isa>
[[gnu::always_inline]] inline vec<float, N, Isa> to_float(const vec<std::int32_t, N, Isa>& a) {
  using R = vec<float, N, Isa>;
  return detail::split<R>([](const auto& x) __attribute__((always_inline)) { return native<Isa>::to_float(x); }, a);
}

/// The magnitude of m with the sign of each value of a.
template <std::size_t N, class Isa>
[[gnu::always_inline]] inline vec<float, N, Isa> copy_sign(float m, const vec<float, N, Isa>& a) {
  using V = vec<float, N, Isa>;
  return detail::split<V>([m](const auto& x) __attribute__((always_inline)) { return native<Isa>::copy_sign(m, x); }, a);
}

/// Round to nearest, ties away from zero, to int32; |a| < 2^22. 0.49999997 is the float below one half: added to a value
/// just under k + 1/2 it cannot carry to k + 1, added to k + 1/2 it rounds to k + 1.
template <std::size_t N, class Isa>
[[gnu::always_inline]] inline vec<std::int32_t, N, Isa> round_away(const vec<float, N, Isa>& a) {
  return truncate(a + copy_sign(0x1.fffffep-2f, a));
}

/// N consecutive floats, halves or bfloats as floats; exact, and NaN comes out quiet.
template <std::size_t N, class Isa, class T>
[[gnu::always_inline]] inline vec<float, N, Isa> load_floats(const T* p) {
  using V = vec<float, N, Isa>;
  if constexpr (std::is_same_v<T, float>) {
    return load<V>(p);
  } else if constexpr (form<V> == shape::pair) {
    V r;
    r.low = load_floats<N / 2, Isa>(p);
    r.high = load_floats<N / 2, Isa>(p + N / 2);
    return r;
  } else {
    return native<Isa>::template load_floats<V>(p);
  }
}

/// Stores N floats as floats, halves or bfloats, rounded to nearest even (f16, bf16).
template <class T, std::size_t N, class Isa>
[[gnu::always_inline]] inline void store_floats(T* p, const vec<float, N, Isa>& a) {
  if constexpr (std::is_same_v<T, float>) {
    store(p, a);
  } else if constexpr (form<vec<float, N, Isa>> == shape::pair) {
    store_floats(p, a.low);
    store_floats(p + N / 2, a.high);
  } else {
    native<Isa>::store_floats(p, a);
  }
}

/// 8 halves that lie `stride` bytes apart, the first at p, as floats. What makes scales of small blocks cheap: they are
/// collected into one register and converted together.
template <class Isa>
[[gnu::always_inline]] inline vec<float, 8, Isa> load_halves(const std::uint8_t* p, std::size_t stride) {
  return native<Isa>::load_halves(p, stride);
}
/// 8 floats that were just computed: joined in registers, since a vector load would wait for the stores of its parts.
template <class Isa>
[[gnu::always_inline]] inline vec<float, 8, Isa> from_lanes(const float (&lanes)[8]) {
  if constexpr (requires { native<Isa>::from_lanes(lanes); })
    return native<Isa>::from_lanes(lanes);
  else
    return load<vec<float, 8, Isa>>(lanes);
}
/// All lanes equal to lane Lane: a shuffle where it beats a broadcast from memory.
template <int Lane, class Isa>
[[gnu::always_inline]] inline vec<float, 8, Isa> broadcast_lane(const vec<float, 8, Isa>& a) {
  return native<Isa>::template broadcast_lane<Lane>(a);
}

/// Lanes 0 to 3 equal to lane Lane of low, 4 to 7 to that of high: the factors of a run with a scale for each half.
template <int Lane, class Isa>
[[gnu::always_inline]] inline vec<float, 8, Isa> broadcast_lanes(const vec<float, 8, Isa>& low,
                                                                 const vec<float, 8, Isa>& high) {
  return native<Isa>::template broadcast_lanes<Lane>(low, high);
}

/// One half as a float and back, with the level's instructions.
template <class Isa>
[[gnu::always_inline]] inline float widen_half(f16 h) {
  return native<Isa>::widen_half(h);
}
/// a * y and b * y in all lanes: two halves are converted and multiplied together.
template <class Isa>
[[gnu::always_inline]] inline std::array<vec<float, 8, Isa>, 2> scaled_halves(f16 a, f16 b, float y) {
  using V = vec<float, 8, Isa>;
  if constexpr (requires { native<Isa>::scaled_halves(a, b, y); })
    return native<Isa>::scaled_halves(a, b, y);
  else
    return {fill<V>(widen_half<Isa>(a) * y), fill<V>(widen_half<Isa>(b) * y)};
}
template <class Isa>
[[gnu::always_inline]] inline f16 narrow_to_half(float x) {
  return native<Isa>::narrow_to_half(x);
}

/// One value of all lanes: op over lane k and lane k + N/2, then over the halves of what that gave, down to one. The one order
/// that all levels share.
template <std::size_t N, class Isa, class F>
[[gnu::always_inline]] inline float fold(const vec<float, N, Isa>& a, F op) {
  if constexpr (form<vec<float, N, Isa>> == shape::pair)
    return fold(op(a.low, a.high), op);
  else
    return native<Isa>::fold(a, op);
}
template <std::size_t N, class Isa>
[[gnu::always_inline]] inline float halving_sum(const vec<float, N, Isa>& a) {
  return fold(a, [](const auto& low, const auto& high) __attribute__((always_inline)) { return low + high; });
}
/// The smallest lane; no NaN among them.
template <std::size_t N, class Isa>
[[gnu::always_inline]] inline float lane_minimum(const vec<float, N, Isa>& a) {
  return fold(a, [](const auto& low, const auto& high) __attribute__((always_inline)) { return min(low, high); });
}

/// Lane p of the result is the largest value of rows[p], for as many rows as lanes; no NaN among them.
template <class V>
[[gnu::always_inline]] inline V row_maxima(const V (&rows)[lanes<V>]) {
  if constexpr (form<V> == shape::pair) {
    constexpr std::size_t h = lanes<V> / 2;
    using H = typename vec_traits<V>::half;
    H a[h], b[h];
    for (std::size_t i = 0; i < h; ++i) {
      a[i] = max(rows[i].low, rows[i].high);
      b[i] = max(rows[h + i].low, rows[h + i].high);
    }
    V r;
    r.low = row_maxima(a);
    r.high = row_maxima(b);
    return r;
  } else {
    return native<typename vec_traits<V>::level>::row_maxima(rows);
  }
}

/// Lane k is table[indices[k] mod 2^Bits] of 2^Bits floats; Bits is 2, 3 or 4.
template <int Bits, std::size_t N, class Isa>
[[gnu::always_inline]] inline vec<float, N, Isa> look_up_floats(const float* table, const vec<std::int32_t, N, Isa>& indices) {
  using R = vec<float, N, Isa>;
  return detail::split<R>([table](const auto& i) __attribute__((always_inline)) {
    return native<Isa>::template look_up_floats<Bits>(table, i);
  }, indices);
}
// --- bytes -----------------------------------------------------------------------------------------------------------

/// Every kernel takes its codes in portions of 32: the 8 quads of one portion are the 8 lanes of the definition of `dot`.
/// At the AVX-512 level they are 256-bit registers too: half of the work is loads and shuffles that wider registers do not
/// spare, and measured 5 to 30 % faster so on a core that runs 512-bit instructions in two steps.
inline constexpr std::size_t code_portion = 32;
template <class Isa>
using code_bytes = vec<std::uint8_t, code_portion, Isa>;
template <class Isa>
using quad_sums = vec<std::int32_t, code_portion / 4, Isa>;

/// 32 codes from Count bits of 32 bytes, moved from bit From to bit To: code l is ((p[l] >> From) & (2^Count - 1)) << To.
template <int From, int Count, int To, class Isa>
[[gnu::always_inline]] inline code_bytes<Isa> unpack_bits(const std::uint8_t* p) {
  using V = code_bytes<Isa>;
  return detail::split<V>([](const auto& x) __attribute__((always_inline)) {
    return native<Isa>::template move_bits<From, Count, To>(x);
  }, load<V>(p));
}
/// 32 codes from 16 bytes: the low nibbles, then the high ones.
template <class Isa>
[[gnu::always_inline]] inline code_bytes<Isa> unpack_nibbles(const std::uint8_t* p) {
  return native<Isa>::unpack_nibbles(p);
}
/// 32 codes of two bits from 8 bytes, times 2^To: code 8 r + j is bits 2 r and 2 r + 1 of byte j, r = 0 .. 3.
template <int To, class Isa>
[[gnu::always_inline]] inline code_bytes<Isa> unpack_crumbs(const std::uint8_t* p) {
  return native<Isa>::template unpack_crumbs<To>(p);
}
/// 32 codes from 16 bytes: the low nibbles of 8 bytes, their high ones, then those of the other 8.
template <class Isa>
[[gnu::always_inline]] inline code_bytes<Isa> unpack_short_nibbles(const std::uint8_t* p) {
  return native<Isa>::unpack_short_nibbles(p);
}
/// 32 codes of two bits from 8 bytes: code 4 j + r is bits 2 r and 2 r + 1 of byte j.
template <class Isa>
[[gnu::always_inline]] inline code_bytes<Isa> unpack_adjacent_crumbs(const std::uint8_t* p) {
  return native<Isa>::unpack_adjacent_crumbs(p);
}
/// 32 bytes from four words, the lowest byte of the first word first; straight from general registers, since a vector load
/// of four narrower stores would have to wait for them.
template <class Isa>
[[gnu::always_inline]] inline code_bytes<Isa> from_words(std::uint64_t a, std::uint64_t b, std::uint64_t c, std::uint64_t d) {
  return native<Isa>::from_words(a, b, c, d);
}
/// 16 bytes, twice.
template <class Isa>
[[gnu::always_inline]] inline code_bytes<Isa> load_twice(const std::uint8_t* p) {
  return native<Isa>::load_twice(p);
}
/// Ternary digits: 3 * (bytes * power mod 256) / 256, power = Low for the first 16 bytes and High for the others.
template <std::uint8_t Low, std::uint8_t High, class Isa>
[[gnu::always_inline]] inline code_bytes<Isa> ternary_digits(const code_bytes<Isa>& bytes) {
  return native<Isa>::template ternary_digits<Low, High>(bytes);
}
/// table[indices], all indices below 16.
template <class Isa>
[[gnu::always_inline]] inline code_bytes<Isa> look_up(const std::array<std::uint8_t, 16>& table,
                                                      const code_bytes<Isa>& indices) {
  return native<Isa>::look_up(table, indices);
}
/// 32 bytes from 32 bits: byte i is Value if bit i is set, else 0.
template <std::uint8_t Value, class Isa>
[[gnu::always_inline]] inline code_bytes<Isa> expand_bits(std::uint32_t bits) {
  return native<Isa>::template expand_bits<Value>(bits);
}

/// Codes 16 Part to 16 Part + 15 less Offset, as floats; codes 0 to 255, the difference fits a signed byte unless
/// Offset is 0 (then codes are at most 127).
template <int Part, int Offset, class Isa>
[[gnu::always_inline]] inline vec<float, 16, Isa> codes_to_floats(const code_bytes<Isa>& codes) {
  return native<Isa>::template codes_to_floats<Part, Offset>(codes);
}

/// N signed or unsigned bytes at p as int32.
template <std::size_t N, class Isa, class Byte>
[[gnu::always_inline]] inline vec<std::int32_t, N, Isa> load_bytes(const Byte* p) {
  using V = vec<std::int32_t, N, Isa>;
  if constexpr (form<V> == shape::pair) {
    V r;
    r.low = load_bytes<N / 2, Isa>(p);
    r.high = load_bytes<N / 2, Isa>(p + N / 2);
    return r;
  } else {
    return native<Isa>::template load_bytes<V>(p);
  }
}

/// N unsigned 16-bit words at p as int32.
template <std::size_t N, class Isa>
[[gnu::always_inline]] inline vec<std::int32_t, N, Isa> load_words(const std::uint16_t* p) {
  using V = vec<std::int32_t, N, Isa>;
  if constexpr (form<V> == shape::pair) {
    V r;
    r.low = load_words<N / 2, Isa>(p);
    r.high = load_words<N / 2, Isa>(p + N / 2);
    return r;
  } else {
    return native<Isa>::template load_words<V>(p);
  }
}

/// Stores N int32 values as bytes. They must fit Byte.
template <class Byte, std::size_t N, class Isa>
[[gnu::always_inline]] inline void store_bytes(Byte* p, const vec<std::int32_t, N, Isa>& a) {
  native<Isa>::store_bytes(p, a);
}

// --- integer products ------------------------------------------------------------------------------------------------

/// 8 sums of quads: lane k is the sum over i = 4k .. 4k+3 of u[i] * s[i], u unsigned, s signed. u <= 127, so that pairs
/// stay within the int16 that code without VNNI goes through: 2 * 127 * 128 = 32,512.
template <class Isa>
[[gnu::always_inline]] inline quad_sums<Isa> quad_dot(const code_bytes<Isa>& u, const code_bytes<Isa>& s) {
  return detail::split<quad_sums<Isa>>(
      [](const auto& a, const auto& b) __attribute__((always_inline)) { return native<Isa>::quad_dot(a, b); }, u, s);
}
/// sums + quad_dot(u, s), in one instruction where there is one.
template <class Isa>
[[gnu::always_inline]] inline quad_sums<Isa> accumulate_quads(const quad_sums<Isa>& sums, const code_bytes<Isa>& u,
                                                              const code_bytes<Isa>& s) {
  if constexpr (requires { native<Isa>::accumulate_quads(sums, u, s); })
    return native<Isa>::accumulate_quads(sums, u, s);
  else
    return sums + quad_dot<Isa>(u, s);
}
/// The same as quad_dot with u - Offset in place of u, exact for every signed s, -128 included. Offset is at most 64 and
/// u <= 127, or it is 128 and u is any byte.
template <int Offset, class Isa>
[[gnu::always_inline]] inline quad_sums<Isa> centred_quad_dot(const code_bytes<Isa>& u, const code_bytes<Isa>& s) {
  return detail::split<quad_sums<Isa>>(
      [](const auto& a, const auto& b) __attribute__((always_inline)) {
        return native<Isa>::template centred_quad_dot<Offset>(a, b);
      },
      u, s);
}

/// 16 small integers as int32.
template <class Isa>
[[gnu::always_inline]] inline vec<std::int32_t, 16, Isa> widen(small_integers n) {
  return native<Isa>::widen(n);
}
/// The scales of groups of Group codes, prepared as multipliers of pairs: each level keeps them as its instructions want.
template <int Group, class Isa>
[[gnu::always_inline]] inline auto prepare_scales(small_integers scales) {
  return native<Isa>::template prepare_scales<Group>(scales);
}
/// sums[k] + quad_dot(u, s)[k] * scale of the group that quad k of portion Portion lies in. The scale meets the sums of pairs,
/// within int16 since u <= 127, so that the step from pairs to quads costs no instruction of its own.
template <int Portion, int Group, class Isa, class Scales>
[[gnu::always_inline]] inline quad_sums<Isa> add_scaled_quads(const quad_sums<Isa>& sums, const code_bytes<Isa>& u,
                                                              const code_bytes<Isa>& s, const Scales& scales) {
  return native<Isa>::template add_scaled_quads<Portion, Group>(sums, u, s, scales);
}

/// The same with c signed, -127 to 127, in place of u.
template <int Portion, int Group, class Isa, class Scales>
[[gnu::always_inline]] inline quad_sums<Isa> add_scaled_signed_quads(const quad_sums<Isa>& sums, const code_bytes<Isa>& c,
                                                                     const code_bytes<Isa>& s, const Scales& scales) {
  return native<Isa>::template add_scaled_signed_quads<Portion, Group>(sums, c, s, scales);
}

/// Lane k is a[2k] * b[2k] + a[2k+1] * b[2k+1] for 16 int16 values each; the sum fits int32.
template <class Isa>
[[gnu::always_inline]] inline vec<std::int32_t, 8, Isa> pair_dot(const vec<std::int16_t, 16, Isa>& a,
                                                                 const vec<std::int16_t, 16, Isa>& b) {
  using R = vec<std::int32_t, 8, Isa>;
  return detail::split<R>(
      [](const auto& x, const auto& y) __attribute__((always_inline)) { return native<Isa>::pair_dot(x, y); }, a, b);
}
/// 16 small integers as int16.
template <class Isa>
[[gnu::always_inline]] inline vec<std::int16_t, 16, Isa> widen_words(small_integers n) {
  return native<Isa>::widen_words(n);
}
/// The first 8 of 16 small integers as int16, each of them twice in a row; 0 to 127.
template <class Isa>
[[gnu::always_inline]] inline vec<std::int16_t, 16, Isa> widen_words_twice(small_integers n) {
  return native<Isa>::widen_words_twice(n);
}

} // namespace quanta::simd
