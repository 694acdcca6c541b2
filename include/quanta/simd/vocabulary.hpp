// The words that xsimd lacks, one contract each. The portable text is the meaning of each word; an instruction-set file
// overrides what its instructions do better, with equal results for every input that the contract allows.
#pragma once

#include <utility>

#include "quanta/float16.hpp"
#include "quanta/simd/portable.hpp"
#include "quanta/simd/small_integers.hpp"
#if QUANTA_X86
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

/// N halves that lie `stride` bytes apart, the first at p, as floats. What makes scales of small blocks cheap: they are
/// collected into one register and converted together.
template <std::size_t N, class Isa>
[[gnu::always_inline]] inline vec<float, N, Isa> load_halves(const std::uint8_t* p, std::size_t stride) {
  return native<Isa>::template load_halves<N>(p, stride);
}

/// One half as a float and back, with the level's instructions.
template <class Isa>
[[gnu::always_inline]] inline float widen_half(f16 h) {
  return native<Isa>::widen_half(h);
}
template <class Isa>
[[gnu::always_inline]] inline f16 narrow_to_half(float x) {
  return native<Isa>::narrow_to_half(x);
}

/// The sum in the one order that all levels share: lane k with k + N/2, then the halves again down to one.
template <std::size_t N, class Isa>
[[gnu::always_inline]] inline float halving_sum(const vec<float, N, Isa>& a) {
  if constexpr (form<vec<float, N, Isa>> == shape::pair) {
    return halving_sum(a.low + a.high);
  } else {
    float t[N];
    store(t, a);
    for (std::size_t half = N / 2; half > 0; half /= 2)
      for (std::size_t i = 0; i < half; ++i)
        t[i] += t[i + half];
    return t[0];
  }
}

/// The lower and upper half of a vector, and a vector made of two.
template <class T, std::size_t N, class Isa>
[[gnu::always_inline]] inline vec<T, N / 2, Isa> low_half(const vec<T, N, Isa>& a) {
  if constexpr (form<vec<T, N, Isa>> == shape::pair)
    return a.low;
  else
    return native<Isa>::template half_of<0>(a);
}
template <class T, std::size_t N, class Isa>
[[gnu::always_inline]] inline vec<T, N / 2, Isa> high_half(const vec<T, N, Isa>& a) {
  if constexpr (form<vec<T, N, Isa>> == shape::pair)
    return a.high;
  else
    return native<Isa>::template half_of<1>(a);
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

// --- bytes -----------------------------------------------------------------------------------------------------------

/// Bytes of a code vector: every kernel takes its codes in portions of 64.
inline constexpr std::size_t code_portion = 64;
template <class Isa>
using code_bytes = vec<std::uint8_t, code_portion, Isa>;

/// 64 codes from 32 bytes: code l is (p[l] >> Low) & Mask, code 32 + l is (p[l] >> High) & Mask.
template <int Low, int High, std::uint8_t Mask, class Isa>
[[gnu::always_inline]] inline code_bytes<Isa> unpack_two_planes(const std::uint8_t* p) {
  return native<Isa>::template unpack_two_planes<Low, High, Mask>(p);
}
/// 64 codes from 64 bytes: code l is (p[l] >> Shift) & Mask.
template <int Shift, std::uint8_t Mask, class Isa>
[[gnu::always_inline]] inline code_bytes<Isa> unpack_plane(const std::uint8_t* p) {
  return native<Isa>::template unpack_plane<Shift, Mask>(p);
}
/// 64 codes from two runs of 16 bytes: low nibbles of a, high nibbles of a, low nibbles of b, high nibbles of b.
template <class Isa>
[[gnu::always_inline]] inline code_bytes<Isa> unpack_nibbles(const std::uint8_t* a, const std::uint8_t* b) {
  return native<Isa>::unpack_nibbles(a, b);
}
/// 64 codes of two bits from two runs of 8 bytes: code 8 r + j of a run is bits 2 r and 2 r + 1 of its byte j, r = 0 .. 3.
template <class Isa>
[[gnu::always_inline]] inline code_bytes<Isa> unpack_crumbs(const std::uint8_t* a, const std::uint8_t* b) {
  return native<Isa>::unpack_crumbs(a, b);
}
/// 64 bytes from 64 bits: byte i is Value if bit i % 32 of (i < 32 ? a : b) is set, else 0.
template <std::uint8_t Value, class Isa>
[[gnu::always_inline]] inline code_bytes<Isa> expand_bits(std::uint32_t a, std::uint32_t b) {
  return native<Isa>::template expand_bits<Value>(a, b);
}
/// 64 bytes from two runs of 32.
template <class Isa>
[[gnu::always_inline]] inline code_bytes<Isa> load_two_runs(const std::uint8_t* a, const std::uint8_t* b) {
  return native<Isa>::load_two_runs(a, b);
}
/// Bytes times 2^Count; each must stay under 256.
template <int Count, std::size_t N, class Isa>
[[gnu::always_inline]] inline vec<std::uint8_t, N, Isa> scale_bytes(const vec<std::uint8_t, N, Isa>& a) {
  using V = vec<std::uint8_t, N, Isa>;
  return detail::split<V>(
      [](const auto& x) __attribute__((always_inline)) { return native<Isa>::template scale_bytes<Count>(x); }, a);
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

/// Stores N int32 values as bytes. They must fit Byte.
template <class Byte, std::size_t N, class Isa>
[[gnu::always_inline]] inline void store_bytes(Byte* p, const vec<std::int32_t, N, Isa>& a) {
  native<Isa>::store_bytes(p, a);
}

// --- integer products ------------------------------------------------------------------------------------------------

/// 16 sums of quads: lane k is the sum over i = 4k .. 4k+3 of u[i] * s[i], u unsigned, s signed. u <= 127, so that pairs
/// stay within the int16 that 256-bit code goes through: 2 * 127 * 128 = 32,512.
template <class Isa>
[[gnu::always_inline]] inline vec<std::int32_t, 16, Isa> quad_dot(const code_bytes<Isa>& u, const code_bytes<Isa>& s) {
  using R = vec<std::int32_t, 16, Isa>;
  return detail::split<R>(
      [](const auto& a, const auto& b) __attribute__((always_inline)) { return native<Isa>::quad_dot(a, b); }, u, s);
}
/// The same with u - Offset in place of u, exact for all u < 2 * Offset and every signed s, -128 included.
/// Offset is at most 32, or 128.
template <int Offset, class Isa>
[[gnu::always_inline]] inline vec<std::int32_t, 16, Isa> centred_quad_dot(const code_bytes<Isa>& u,
                                                                          const code_bytes<Isa>& s) {
  using R = vec<std::int32_t, 16, Isa>;
  return detail::split<R>(
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
/// 16 small integers prepared as multipliers of quads. Each level keeps them as its multiply instruction wants them.
template <class Isa>
[[gnu::always_inline]] inline auto prepare_scales(small_integers scales) {
  return native<Isa>::prepare_scales(scales);
}
/// sums[k] + quads[k] * scale of the group that quad k of portion Portion lies in; groups of Group codes; quads fit int16.
template <int Portion, int Group, class Isa, class Scales>
[[gnu::always_inline]] inline vec<std::int32_t, 16, Isa> add_scaled(const vec<std::int32_t, 16, Isa>& sums,
                                                                    const vec<std::int32_t, 16, Isa>& quads,
                                                                    const Scales& scales) {
  return native<Isa>::template add_scaled<Portion, Group>(sums, quads, scales);
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

/// Lanes 0 to 7 equal to factors[2 Pair], lanes 8 to 15 to factors[2 Pair + 1].
template <int Pair, class Isa>
[[gnu::always_inline]] inline vec<float, 16, Isa> spread_pair(const vec<float, 16, Isa>& factors) {
  return native<Isa>::template spread_pair<Pair>(factors);
}

} // namespace quanta::simd
