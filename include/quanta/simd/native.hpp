// The only place that asks the compiler which instruction set it compiles for, and the CPU which one it has.
#pragma once

#include <initializer_list>

#include "quanta/isa.hpp"

// Clang has macros for the first two only: of its -fassociative-math, -freciprocal-math and -fno-signed-zeros nothing can tell.
#if !defined(QUANTA_ALLOW_FAST_MATH)
  #if defined(__FAST_MATH__)
    #error "quanta promises exact bytes, which -ffast-math breaks: compile this file without it"
  #elif defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__ != 0
    #error "quanta promises exact bytes, which -ffinite-math-only breaks: compile this file without it"
  #elif defined(__ASSOCIATIVE_MATH__)
    #error "quanta promises exact bytes, which -fassociative-math breaks: compile this file without it"
  #elif defined(__RECIPROCAL_MATH__)
    #error "quanta promises exact bytes, which -freciprocal-math breaks: compile this file without it"
  #elif defined(__NO_SIGNED_ZEROS__)
    #error "quanta promises exact bytes, which -fno-signed-zeros breaks: compile this file without it"
  #endif
#endif

#if (defined(__x86_64__) || defined(__i386__)) && (defined(__GNUC__) || defined(__clang__))
  #define QUANTA_X86 1
  #include <cpuid.h>
#else
  #define QUANTA_X86 0
#endif

namespace quanta::isa {

/// The highest level that the flags of this translation unit allow; the default of every operation.
#if QUANTA_X86 && defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__) && \
    defined(__AVX512VNNI__) && defined(__F16C__)
using native = avx512;
#elif QUANTA_X86 && defined(__AVXVNNI__) && defined(__GFNI__) && defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
using native = avx_vnni;
#elif QUANTA_X86 && defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
using native = avx2;
#elif QUANTA_X86 && defined(__SSE4_2__) && defined(__SSSE3__)
using native = x86_64_v2;
#else
using native = portable;
#endif
// Whether a level with vector registers can be compiled here, so that their headers are needed.
#if QUANTA_X86 && defined(__SSE4_2__) && defined(__SSSE3__)
  #define QUANTA_REGISTERS 1
#else
  #define QUANTA_REGISTERS 0
#endif

/// Whether kernels of this level can be compiled in this translation unit.
template <class Level>
inline constexpr bool compiled = Level::value <= native::value;

/// Whether the CPU under this program has a level (asked anew at each call; keep the answer).
inline bool has(level which) noexcept {
#if QUANTA_X86
  unsigned a = 0, b = 0, c = 0, d = 0;
  const bool f16c = __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & (1u << 29)) != 0; // no names for these in older compilers
  const bool gfni = __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (c & (1u << 8)) != 0;
  const bool avx_vnni = __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a & (1u << 4)) != 0;
  __builtin_cpu_init();
  const bool v2 = __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("ssse3") && __builtin_cpu_supports("popcnt");
  const bool v3 = v2 && f16c && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                  __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
  switch (which) {
  case level::portable:
    return true;
  case level::x86_64_v2:
    return v2;
  case level::avx2:
    return v3;
  case level::avx_vnni:
    return v3 && avx_vnni && gfni;
  case level::avx512:
    return v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
  }
  return false;
#else
  return which == level::portable;
#endif
}

/// The best level that it has.
inline level best() noexcept {
  for (const level which : {level::avx512, level::avx_vnni, level::avx2, level::x86_64_v2})
    if (has(which))
      return which;
  return level::portable;
}

} // namespace quanta::isa
