// What vectors do value by value: arithmetic, comparisons, selection. One loop, `map`, for all of it.
#pragma once

#include <cmath>

#include "quanta/simd/vec.hpp"

namespace quanta::simd {

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
struct multiply_add {
  template <scalar A>
  [[gnu::always_inline]] A operator()(A a, A b, A c) const { return a * b + c; }
#if QUANTA_REGISTERS
  template <class T, class A>
  [[gnu::always_inline]] auto operator()(const xsimd::batch<T, A>& a, const xsimd::batch<T, A>& b,
                                         const xsimd::batch<T, A>& c) const { return xsimd::fma(a, b, c); }
#endif
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
/// a * b + c, rounded once or twice as the level can: for estimates that something exact follows.
template <std::size_t N, class Isa>
[[gnu::always_inline]] inline vec<float, N, Isa> multiply_add(const vec<float, N, Isa>& a, const vec<float, N, Isa>& b,
                                                              const vec<float, N, Isa>& c) {
  return map<vec<float, N, Isa>>(detail::multiply_add{}, a, b, c);
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

/// Brings the line `ahead` bytes behind p into the cache, if there is memory there.
[[gnu::always_inline]] inline void prefetch(const void* p, std::size_t ahead = 0) {
  __builtin_prefetch(reinterpret_cast<const void*>(reinterpret_cast<std::uintptr_t>(p) + ahead));
}
/// The same into the second-level cache only, which more of them can be on their way to.
[[gnu::always_inline]] inline void prefetch_second_level(const void* p, std::size_t ahead = 0) {
  __builtin_prefetch(reinterpret_cast<const void*>(reinterpret_cast<std::uintptr_t>(p) + ahead), 0, 2);
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
