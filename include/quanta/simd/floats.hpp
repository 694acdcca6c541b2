// The words on vectors of floats, and what carries a word to the registers of a level.
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
/// load<R>(p) of each register R of V, from one place after the other.
template <class V, class T, class F>
[[gnu::always_inline]] inline V load_registers(const T* p, F load) {
  if constexpr (form<V> == shape::pair) {
    V r;
    r.low = load_registers<decltype(r.low)>(p, load);
    r.high = load_registers<decltype(r.high)>(p + lanes<V> / 2, load);
    return r;
  } else {
    return load.template operator()<V>(p);
  }
}
} // namespace detail

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
  } else {
    return detail::load_registers<V>(
        p, []<class R>(const T* part) __attribute__((always_inline)) { return native<Isa>::template load_floats<R>(part); });
  }
}

/// Stores N floats as floats, halves or bfloats, rounded to nearest even (f16, bf16). Two registers are rounded together: half
/// as many instructions where a register of 16-bit numbers takes both.
template <class T, std::size_t N, class Isa>
[[gnu::always_inline]] inline void store_floats(T* p, const vec<float, N, Isa>& a);
template <class T, std::size_t N, class Isa>
[[gnu::always_inline]] inline void store_floats(T* p, const vec<float, N, Isa>& low, const vec<float, N, Isa>& high) {
  if constexpr (!std::is_same_v<T, float> && requires { native<Isa>::store_floats(p, low, high); }) {
    native<Isa>::store_floats(p, low, high);
  } else {
    store_floats(p, low);
    store_floats(p + N, high);
  }
}
template <class T, std::size_t N, class Isa>
[[gnu::always_inline]] inline void store_floats(T* p, const vec<float, N, Isa>& a) {
  if constexpr (std::is_same_v<T, float>)
    store(p, a);
  else if constexpr (form<vec<float, N, Isa>> == shape::pair)
    store_floats(p, a.low, a.high);
  else
    native<Isa>::store_floats(p, a);
}

/// 8 halves that lie `stride` bytes apart, the first at p, as floats. What makes scales of small blocks cheap: they are
/// collected into one register and converted together.
template <class Isa>
[[gnu::always_inline]] inline vec<float, 8, Isa> load_halves(const std::uint8_t* p, std::size_t stride) {
  return native<Isa>::load_halves(p, stride);
}
/// The same of 8 / Times halves, each in Times lanes, where a level has such.
template <std::size_t Times, class Isa>
[[gnu::always_inline]] inline vec<float, 8, Isa> load_repeated_halves(const std::uint8_t* p, std::size_t stride)
  requires requires { native<Isa>::template load_repeated_halves<Times>(p, stride); }
{
  return native<Isa>::template load_repeated_halves<Times>(p, stride);
}
/// The same of 8 pairs of halves that lie side by side, each at the beginning of Stride bytes: the first ones, and the second.
template <std::size_t Stride, class Isa>
[[gnu::always_inline]] inline std::array<vec<float, 8, Isa>, 2> load_half_pairs(const std::uint8_t* p) {
  if constexpr (requires { native<Isa>::template load_half_pairs<Stride>(p); })
    return native<Isa>::template load_half_pairs<Stride>(p);
  else
    return {load_halves<Isa>(p, Stride), load_halves<Isa>(p + sizeof(f16), Stride)};
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

/// Lanes that were stored, each to be loaded into all lanes by broadcast<Lane>(), where a level has such.
template <class Isa>
concept has_stored_lanes = requires { typename native<Isa>::stored_floats8; };
template <has_stored_lanes Isa>
using stored_lanes = typename native<Isa>::stored_floats8;

/// Lanes 0 to 3 equal to lane Lane of low, 4 to 7 to that of high: the factors of a run with a scale for each half.
template <int Lane, class Isa>
[[gnu::always_inline]] inline vec<float, 8, Isa> broadcast_lanes(const vec<float, 8, Isa>& low,
                                                                 const vec<float, 8, Isa>& high) {
  return native<Isa>::template broadcast_lanes<Lane>(low, high);
}

/// Lane Lane of a in the first 8 lanes, the next one in the others; the same of two registers as in broadcast_lanes.
template <int Lane, class Isa, class... V>
[[gnu::always_inline]] inline vec<float, 16, Isa> broadcast_two_lanes(const V&... a) {
  return native<Isa>::template broadcast_two_lanes<Lane>(a...);
}
/// The first 8 lanes and the others.
template <class Isa>
[[gnu::always_inline]] inline std::array<vec<float, 8, Isa>, 2> halves(const vec<float, 16, Isa>& a) {
  return native<Isa>::halves(a);
}

/// The lanes of low, then those of high: the inverse of `halves`.
template <class Isa>
[[gnu::always_inline]] inline vec<float, 16, Isa> join(const vec<float, 8, Isa>& low, const vec<float, 8, Isa>& high) {
  vec<float, 16, Isa> r;
  if constexpr (form<decltype(r)> == shape::pair) {
    r.low = low;
    r.high = high;
  } else if constexpr (form<decltype(r)> == shape::single) {
    r = native<Isa>::join(low, high);
  } else {
    store(r.v, low);
    store(r.v + 8, high);
  }
  return r;
}

/// One half as a float and back, with the level's instructions.
template <class Isa>
[[gnu::always_inline]] inline float widen_half(f16 h) {
  return native<Isa>::widen_half(h);
}
/// The products of two halves, side by side at p, with y in all lanes: loaded, converted and multiplied together.
template <class Isa>
[[gnu::always_inline]] inline std::array<vec<float, 8, Isa>, 2> scaled_halves(const std::uint8_t* p, float y) {
  using V = vec<float, 8, Isa>;
  if constexpr (requires { native<Isa>::scaled_halves(p, y); }) {
    return native<Isa>::scaled_halves(p, y);
  } else {
    packed<f16> two[2];
    std::memcpy(two, p, sizeof two);
    return {fill<V>(widen_half<Isa>(two[0]) * y), fill<V>(widen_half<Isa>(two[1]) * y)};
  }
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
/// The largest and the smallest lane; no NaN among them.
template <std::size_t N, class Isa>
[[gnu::always_inline]] inline float lane_maximum(const vec<float, N, Isa>& a) {
  return fold(a, [](const auto& low, const auto& high) __attribute__((always_inline)) { return max(low, high); });
}
template <std::size_t N, class Isa>
[[gnu::always_inline]] inline float lane_minimum(const vec<float, N, Isa>& a) {
  return fold(a, [](const auto& low, const auto& high) __attribute__((always_inline)) { return min(low, high); });
}

/// Lane p of the result is op over all values of rows[p], in the order of `fold`, for as many rows as lanes.
template <class V, class F>
[[gnu::always_inline]] inline V row_fold(const V (&rows)[lanes<V>], F op) {
  if constexpr (form<V> == shape::pair) {
    constexpr std::size_t h = lanes<V> / 2;
    using H = typename vec_traits<V>::half;
    H a[h], b[h];
    unroll<h>([&](auto i) __attribute__((always_inline)) {
      a[i()] = op(rows[i()].low, rows[i()].high);
      b[i()] = op(rows[h + i()].low, rows[h + i()].high);
    });
    V r;
    r.low = row_fold(a, op);
    r.high = row_fold(b, op);
    return r;
  } else {
    return native<typename vec_traits<V>::level>::row_fold(rows, op);
  }
}
/// The largest value of each row; no NaN among them.
template <class V>
[[gnu::always_inline]] inline V row_maxima(const V (&rows)[lanes<V>]) {
  return row_fold(rows, [](const auto& a, const auto& b) __attribute__((always_inline)) { return max(a, b); });
}
template <class V>
[[gnu::always_inline]] inline V row_sums(const V (&rows)[lanes<V>]) {
  return row_fold(rows, [](const auto& a, const auto& b) __attribute__((always_inline)) { return a + b; });
}

/// Lane k is table[indices[k] mod 2^Bits] of 2^Bits floats; Bits is 2, 3 or 4.
template <int Bits, std::size_t N, class Isa>
[[gnu::always_inline]] inline vec<float, N, Isa> look_up_floats(const float* table, const vec<std::int32_t, N, Isa>& indices) {
  using R = vec<float, N, Isa>;
  return detail::split<R>([table](const auto& i) __attribute__((always_inline)) {
    return native<Isa>::template look_up_floats<Bits>(table, i);
  }, indices);
}

} // namespace quanta::simd
