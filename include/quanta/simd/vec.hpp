// Vectors of a logical width. A kernel asks for 16 floats or 64 bytes; whether that is one register, four of them or a
// plain array is decided here, by splitting in halves until a register of the level fits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

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

/// f(0), f(1), .. f(N - 1) with compile-time numbers, unrolled.
template <int N, class F>
[[gnu::always_inline]] inline void unroll(F&& f) {
  [&]<int... I>(std::integer_sequence<int, I...>) __attribute__((always_inline)) {
    (f(std::integral_constant<int, I>{}), ...);
  }(std::make_integer_sequence<int, N>{});
}

} // namespace quanta::simd
