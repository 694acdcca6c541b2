// The vocabulary on x86: 128-bit words, then 256-bit, then those with products of bytes, then 512-bit ones, each adding to
// what is below it; those that move bits by matrices are of AVX-VNNI alone, since not all CPUs with AVX-512 have them.
#pragma once

#if defined(__SSE4_2__)
  #include "quanta/simd/x86_128.hpp"
#endif
#if defined(__AVX2__)
  #include "quanta/simd/x86_256.hpp"
#endif
#if defined(__AVXVNNI__) || defined(__AVX512VNNI__)
  #include "quanta/simd/x86_256_vnni.hpp"
#endif
#if defined(__AVXVNNI__) && defined(__GFNI__)
  #include "quanta/simd/x86_256_gfni.hpp"
#endif
#if defined(__AVX512VNNI__)
  #include "quanta/simd/x86_512.hpp"
#endif

namespace quanta::simd {

#if defined(__SSE4_2__)
template <>
struct native<isa::x86_64_v2> : detail::x86_128<isa::x86_64_v2> {};
#endif
#if defined(__AVX2__)
template <>
struct native<isa::avx2> : detail::x86_256<isa::avx2> {};
#endif
#if defined(__AVXVNNI__) && defined(__GFNI__)
template <>
struct native<isa::avx_vnni> : detail::x86_256_gfni<isa::avx_vnni> {};
#elif defined(__AVX512VNNI__) // a lower level than the flags', with their instructions
template <>
struct native<isa::avx_vnni> : detail::x86_256_vnni<isa::avx_vnni> {};
#endif
#if defined(__AVX512VNNI__)
template <>
struct native<isa::avx512> : detail::x86_512<isa::avx512> {};
#endif

} // namespace quanta::simd
