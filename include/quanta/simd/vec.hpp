// Vectors of a logical width. A kernel asks for 16 floats or 64 bytes; whether that is one register, four of them or a
// plain array is decided here, by splitting in halves until a register of the level fits.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "quanta/isa.hpp"

// The portable level needs none of it, and its headers are most of what including quanta costs (docs/benchmarks.md).
#if QUANTA_REGISTERS
  // GCC 12 takes the deliberately undefined operands inside its own AVX-512 headers for mistakes of the caller.
  #pragma GCC diagnostic push
  #if defined(__GNUC__) && !defined(__clang__)
    #pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
    #pragma GCC diagnostic ignored "-Wuninitialized"
  #endif
  #include <xsimd/xsimd.hpp>
  #pragma GCC diagnostic pop
#endif

namespace quanta::simd {

/// The xsimd architecture whose register has this many bytes at a level; void if it has none.
template <class Isa, std::size_t Bytes>
struct register_arch {
  using type = void;
};
#if QUANTA_REGISTERS
// Named architectures, not xsimd's default: the default changes its name between xsimd releases. 256-bit registers of
// the AVX-512 level use the AVX2 tag, because xsimd's own 256-bit AVX-512 tag compares bytes in eight steps.
template <class Isa>
  requires(Isa::value >= isa::level::x86_64_v2 && isa::compiled<Isa>)
struct register_arch<Isa, 16> {
  using type = xsimd::sse4_2;
};
template <class Isa>
  requires(Isa::value >= isa::level::avx2 && isa::compiled<Isa>)
struct register_arch<Isa, 32> {
  using type = xsimd::fma3<xsimd::avx2>;
};
template <class Isa>
  requires(Isa::value >= isa::level::avx512 && isa::compiled<Isa>)
struct register_arch<Isa, 64> {
  using type = xsimd::avx512bw;
};
#endif

enum class shape { array, single, pair };

namespace detail {
template <class T, std::size_t N, class Isa>
constexpr shape shape_of() {
  static_assert(isa::compiled<Isa>, "this translation unit's flags do not allow this instruction-set level");
  constexpr std::size_t bytes = N * sizeof(T);
  if (Isa::value == isa::level::portable || bytes < 16)
    return shape::array;
  return std::is_void_v<typename register_arch<Isa, bytes>::type> ? shape::pair : shape::single;
}
} // namespace detail

/// N values of type T at a level.
template <class T, std::size_t N, class Isa, shape = detail::shape_of<T, N, Isa>()>
struct vec;
/// N truth values, one for each value of a vec<T, N, Isa>.
template <class T, std::size_t N, class Isa, shape = detail::shape_of<T, N, Isa>()>
struct mask;

template <class T, std::size_t N, class Isa>
struct vec<T, N, Isa, shape::array> {
  T v[N];
};
template <class T, std::size_t N, class Isa>
struct mask<T, N, Isa, shape::array> {
  bool v[N];
};
template <class T, std::size_t N, class Isa>
struct vec<T, N, Isa, shape::pair> {
  vec<T, N / 2, Isa> low, high;
};
template <class T, std::size_t N, class Isa>
struct mask<T, N, Isa, shape::pair> {
  mask<T, N / 2, Isa> low, high;
};
#if QUANTA_REGISTERS
template <class T, std::size_t N, class Isa>
struct vec<T, N, Isa, shape::single> {
  using batch = xsimd::batch<T, typename register_arch<Isa, N * sizeof(T)>::type>;
  batch v;
};
template <class T, std::size_t N, class Isa>
struct mask<T, N, Isa, shape::single> {
  typename vec<T, N, Isa>::batch::batch_bool_type v;
};
#endif

template <class V>
struct vec_traits;
template <class T, std::size_t N, class Isa, shape S>
struct vec_traits<vec<T, N, Isa, S>> {
  using value_type = T;
  using level = Isa;
  using mask_type = mask<T, N, Isa, S>;
  using half = vec<T, N / 2, Isa>;
  static constexpr std::size_t size = N;
  static constexpr shape form = S;
};
template <class T, std::size_t N, class Isa, shape S>
struct vec_traits<mask<T, N, Isa, S>> {
  using level = Isa;
  using half = mask<T, N / 2, Isa>;
  static constexpr std::size_t size = N;
  static constexpr shape form = S;
};
template <class V>
inline constexpr std::size_t lanes = vec_traits<V>::size;
template <class V>
inline constexpr shape form = vec_traits<V>::form;

/// Applies f register by register (value by value in an array): the one loop behind all element-wise operations.
template <class R, class F, class... V>
[[gnu::always_inline]] inline R map(F f, const V&... operands) {
  R r;
  if constexpr (form<R> == shape::pair) {
    r.low = map<typename vec_traits<R>::half>(f, operands.low...);
    r.high = map<typename vec_traits<R>::half>(f, operands.high...);
  } else if constexpr (form<R> == shape::single) {
    r.v = f(operands.v...);
  } else {
    for (std::size_t i = 0; i < lanes<R>; ++i)
      r.v[i] = static_cast<std::remove_cvref_t<decltype(r.v[i])>>(f(operands.v[i]...));
  }
  return r;
}

// --- loads, stores, constants ----------------------------------------------------------------------------------------

/// All values equal to x.
template <class V>
[[gnu::always_inline]] inline V fill(typename vec_traits<V>::value_type x) {
  V r;
  if constexpr (form<V> == shape::pair) {
    r.low = r.high = fill<typename vec_traits<V>::half>(x);
  } else if constexpr (form<V> == shape::single) {
    r.v = decltype(r.v)(x);
  } else {
    for (auto& e : r.v)
      e = x;
  }
  return r;
}

/// Reads lanes<V> values at p, which need not be aligned.
template <class V>
[[gnu::always_inline]] inline V load(const typename vec_traits<V>::value_type* p) {
  V r;
  if constexpr (form<V> == shape::pair) {
    r.low = load<typename vec_traits<V>::half>(p);
    r.high = load<typename vec_traits<V>::half>(p + lanes<V> / 2);
  } else if constexpr (form<V> == shape::single) {
    r.v = decltype(r.v)::load_unaligned(p);
  } else {
    std::memcpy(r.v, p, sizeof r.v);
  }
  return r;
}

/// Writes all values to p, which need not be aligned.
template <class T, std::size_t N, class Isa>
[[gnu::always_inline]] inline void store(T* p, const vec<T, N, Isa>& a) {
  if constexpr (form<vec<T, N, Isa>> == shape::pair) {
    store(p, a.low);
    store(p + N / 2, a.high);
  } else if constexpr (form<vec<T, N, Isa>> == shape::single) {
    a.v.store_unaligned(p);
  } else {
    std::memcpy(p, a.v, sizeof a.v);
  }
}

// --- element-wise operations -----------------------------------------------------------------------------------------

namespace detail {
template <class A>
concept scalar = std::is_arithmetic_v<A>;

struct add {
  template <class A>
  [[gnu::always_inline]] auto operator()(const A& a, const A& b) const { return a + b; }
};
struct subtract {
  template <class A>
  [[gnu::always_inline]] auto operator()(const A& a, const A& b) const { return a - b; }
};
struct multiply {
  template <class A>
  [[gnu::always_inline]] auto operator()(const A& a, const A& b) const { return a * b; }
};
struct divide {
  template <class A>
  [[gnu::always_inline]] auto operator()(const A& a, const A& b) const { return a / b; }
};
struct bit_and {
  template <class A>
  [[gnu::always_inline]] auto operator()(const A& a, const A& b) const { return a & b; }
};
struct bit_or {
  template <class A>
  [[gnu::always_inline]] auto operator()(const A& a, const A& b) const { return a | b; }
};
struct bit_xor {
  template <class A>
  [[gnu::always_inline]] auto operator()(const A& a, const A& b) const { return a ^ b; }
};
struct less {
  template <class A>
  [[gnu::always_inline]] auto operator()(const A& a, const A& b) const { return a < b; }
};
struct less_equal {
  template <class A>
  [[gnu::always_inline]] auto operator()(const A& a, const A& b) const { return a <= b; }
};
struct equal {
  template <class A>
  [[gnu::always_inline]] auto operator()(const A& a, const A& b) const { return a == b; }
};
struct not_equal {
  template <class A>
  [[gnu::always_inline]] auto operator()(const A& a, const A& b) const { return a != b; }
};
struct choose {
  template <scalar A>
  [[gnu::always_inline]] A operator()(bool m, A a, A b) const { return m ? a : b; }
#if QUANTA_REGISTERS
  template <class M, class T, class A>
  [[gnu::always_inline]] auto operator()(const M& m, const xsimd::batch<T, A>& a, const xsimd::batch<T, A>& b) const {
    return xsimd::select(m, a, b);
  }
#endif
};
struct minimum {
  template <scalar A>
  [[gnu::always_inline]] A operator()(A a, A b) const { return b < a ? b : a; }
#if QUANTA_REGISTERS
  template <class T, class A>
  [[gnu::always_inline]] auto operator()(const xsimd::batch<T, A>& a, const xsimd::batch<T, A>& b) const {
    return xsimd::min(b, a); // the instruction returns its second operand unless the first is smaller
  }
#endif
};
struct maximum {
  template <scalar A>
  [[gnu::always_inline]] A operator()(A a, A b) const { return b > a ? b : a; }
#if QUANTA_REGISTERS
  template <class T, class A>
  [[gnu::always_inline]] auto operator()(const xsimd::batch<T, A>& a, const xsimd::batch<T, A>& b) const {
    return xsimd::max(b, a);
  }
#endif
};
struct magnitude {
  template <scalar A>
  [[gnu::always_inline]] A operator()(A a) const { return std::fabs(a); }
#if QUANTA_REGISTERS
  template <class T, class A>
  [[gnu::always_inline]] auto operator()(const xsimd::batch<T, A>& a) const { return xsimd::abs(a); }
#endif
};
struct root {
  template <scalar A>
  [[gnu::always_inline]] A operator()(A a) const { return std::sqrt(a); }
#if QUANTA_REGISTERS
  template <class T, class A>
  [[gnu::always_inline]] auto operator()(const xsimd::batch<T, A>& a) const { return xsimd::sqrt(a); }
#endif
};
template <int Count>
struct shift_left_by {
  template <class A>
  [[gnu::always_inline]] auto operator()(const A& a) const { return a << Count; }
};
template <int Count>
struct shift_right_by {
  template <class A>
  [[gnu::always_inline]] auto operator()(const A& a) const { return a >> Count; }
};
} // namespace detail

template <class T, std::size_t N, class Isa>
[[gnu::always_inline]] inline vec<T, N, Isa> operator+(const vec<T, N, Isa>& a, const vec<T, N, Isa>& b) {
  return map<vec<T, N, Isa>>(detail::add{}, a, b);
}
template <class T, std::size_t N, class Isa>
[[gnu::always_inline]] inline vec<T, N, Isa> operator-(const vec<T, N, Isa>& a, const vec<T, N, Isa>& b) {
  return map<vec<T, N, Isa>>(detail::subtract{}, a, b);
}
template <class T, std::size_t N, class Isa>
[[gnu::always_inline]] inline vec<T, N, Isa> operator*(const vec<T, N, Isa>& a, const vec<T, N, Isa>& b) {
  return map<vec<T, N, Isa>>(detail::multiply{}, a, b);
}
template <class T, std::size_t N, class Isa>
[[gnu::always_inline]] inline vec<T, N, Isa> operator/(const vec<T, N, Isa>& a, const vec<T, N, Isa>& b) {
  return map<vec<T, N, Isa>>(detail::divide{}, a, b);
}
template <class T, std::size_t N, class Isa>
[[gnu::always_inline]] inline vec<T, N, Isa> operator&(const vec<T, N, Isa>& a, const vec<T, N, Isa>& b) {
  return map<vec<T, N, Isa>>(detail::bit_and{}, a, b);
}
template <class T, std::size_t N, class Isa>
[[gnu::always_inline]] inline vec<T, N, Isa> operator|(const vec<T, N, Isa>& a, const vec<T, N, Isa>& b) {
  return map<vec<T, N, Isa>>(detail::bit_or{}, a, b);
}
template <class T, std::size_t N, class Isa>
[[gnu::always_inline]] inline vec<T, N, Isa> operator^(const vec<T, N, Isa>& a, const vec<T, N, Isa>& b) {
  return map<vec<T, N, Isa>>(detail::bit_xor{}, a, b);
}
template <class T, std::size_t N, class Isa>
[[gnu::always_inline]] inline mask<T, N, Isa> operator<(const vec<T, N, Isa>& a, const vec<T, N, Isa>& b) {
  return map<mask<T, N, Isa>>(detail::less{}, a, b);
}
template <class T, std::size_t N, class Isa>
[[gnu::always_inline]] inline mask<T, N, Isa> operator>(const vec<T, N, Isa>& a, const vec<T, N, Isa>& b) {
  return b < a;
}
template <class T, std::size_t N, class Isa>
[[gnu::always_inline]] inline mask<T, N, Isa> operator<=(const vec<T, N, Isa>& a, const vec<T, N, Isa>& b) {
  return map<mask<T, N, Isa>>(detail::less_equal{}, a, b);
}
template <class T, std::size_t N, class Isa>
[[gnu::always_inline]] inline mask<T, N, Isa> operator==(const vec<T, N, Isa>& a, const vec<T, N, Isa>& b) {
  return map<mask<T, N, Isa>>(detail::equal{}, a, b);
}
template <class T, std::size_t N, class Isa>
[[gnu::always_inline]] inline mask<T, N, Isa> operator!=(const vec<T, N, Isa>& a, const vec<T, N, Isa>& b) {
  return map<mask<T, N, Isa>>(detail::not_equal{}, a, b);
}
template <class T, std::size_t N, class Isa>
[[gnu::always_inline]] inline mask<T, N, Isa> operator&(const mask<T, N, Isa>& a, const mask<T, N, Isa>& b) {
  return map<mask<T, N, Isa>>(detail::bit_and{}, a, b);
}
template <class T, std::size_t N, class Isa>
[[gnu::always_inline]] inline mask<T, N, Isa> operator|(const mask<T, N, Isa>& a, const mask<T, N, Isa>& b) {
  return map<mask<T, N, Isa>>(detail::bit_or{}, a, b);
}

/// a where m holds, else b.
template <class T, std::size_t N, class Isa>
[[gnu::always_inline]] inline vec<T, N, Isa> select(const mask<T, N, Isa>& m, const vec<T, N, Isa>& a,
                                                    const vec<T, N, Isa>& b) {
  return map<vec<T, N, Isa>>(detail::choose{}, m, a, b);
}
/// b where b < a, else a: a stays on equality and on NaN, as in `std::min`.
template <class T, std::size_t N, class Isa>
[[gnu::always_inline]] inline vec<T, N, Isa> min(const vec<T, N, Isa>& a, const vec<T, N, Isa>& b) {
  return map<vec<T, N, Isa>>(detail::minimum{}, a, b);
}
/// b where b > a, else a: a stays on equality and on NaN.
template <class T, std::size_t N, class Isa>
[[gnu::always_inline]] inline vec<T, N, Isa> max(const vec<T, N, Isa>& a, const vec<T, N, Isa>& b) {
  return map<vec<T, N, Isa>>(detail::maximum{}, a, b);
}
template <std::size_t N, class Isa>
[[gnu::always_inline]] inline vec<float, N, Isa> abs(const vec<float, N, Isa>& a) {
  return map<vec<float, N, Isa>>(detail::magnitude{}, a);
}
template <std::size_t N, class Isa>
[[gnu::always_inline]] inline vec<float, N, Isa> sqrt(const vec<float, N, Isa>& a) {
  return map<vec<float, N, Isa>>(detail::root{}, a);
}
template <int Count, class T, std::size_t N, class Isa>
[[gnu::always_inline]] inline vec<T, N, Isa> shift_left(const vec<T, N, Isa>& a) {
  return map<vec<T, N, Isa>>(detail::shift_left_by<Count>{}, a);
}
template <int Count, class T, std::size_t N, class Isa>
[[gnu::always_inline]] inline vec<T, N, Isa> shift_right(const vec<T, N, Isa>& a) {
  return map<vec<T, N, Isa>>(detail::shift_right_by<Count>{}, a);
}

/// Whether m holds anywhere.
template <class T, std::size_t N, class Isa>
[[gnu::always_inline]] inline bool any(const mask<T, N, Isa>& m) {
  if constexpr (form<mask<T, N, Isa>> == shape::pair) {
    return any(m.low | m.high);
  } else if constexpr (form<mask<T, N, Isa>> == shape::single) {
    return any(m.v); // xsimd's, by its argument: where there is no xsimd this branch is only parsed
  } else {
    bool r = false;
    for (bool b : m.v)
      r = r || b;
    return r;
  }
}

/// One bit a lane, lane 0 lowest.
template <class T, std::size_t N, class Isa>
  requires(N <= 64)
[[gnu::always_inline]] inline std::uint64_t bits(const mask<T, N, Isa>& m) {
  if constexpr (form<mask<T, N, Isa>> == shape::pair) {
    return bits(m.low) | bits(m.high) << (N / 2);
  } else if constexpr (form<mask<T, N, Isa>> == shape::single) {
    return m.v.mask();
  } else {
    std::uint64_t r = 0;
    for (std::size_t i = 0; i < N; ++i)
      r |= static_cast<std::uint64_t>(m.v[i]) << i;
    return r;
  }
}

} // namespace quanta::simd
