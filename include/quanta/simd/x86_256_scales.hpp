// Scales of blocks on their way from bytes to registers.
#pragma once

#include <immintrin.h>

#include <array>
#include <cstring>
#include <utility>

#include "quanta/simd/vec.hpp"

namespace quanta::simd::detail {

template <class Isa>
struct x86_256_scales {
  using floats8 = vec<float, 8, Isa>;

  /// Count words of Bytes, stride bytes apart, in a general register: a store of each would have to be waited for by the load
  /// of all, and in vector registers, where GCC would gather them at -O3, all of a dot product is a third slower. A load into
  /// the register's lowest part joins without an `or`: C++ has no word for it.
  template <std::size_t Bytes, std::size_t Count = 8 / Bytes>
  [[gnu::always_inline]] static long long collect_words(const std::uint8_t* p, std::size_t stride) {
    using word = std::array<std::uint8_t, Bytes>;
    const auto at = [&](std::size_t i) -> const word& { return *reinterpret_cast<const word*>(p + i * stride); };
    long long all;
    if constexpr (Bytes == 1)
      asm("movzbl %1, %k0" : "=r"(all) : "m"(at(Count - 1)));
    else
      asm("movzwl %1, %k0" : "=r"(all) : "m"(at(Count - 1)));
    const auto join = [&](std::size_t i) __attribute__((always_inline)) {
      all <<= 8 * Bytes;
      if constexpr (Bytes == 1)
        asm("movb %1, %b0" : "+r"(all) : "m"(at(i)));
      else
        asm("movw %1, %w0" : "+r"(all) : "m"(at(i)));
    };
    [&]<std::size_t... i>(std::index_sequence<i...>) __attribute__((always_inline)) { // at -O2 GCC would keep a loop of seven
      (join(Count - 2 - i), ...);
    }(std::make_index_sequence<Count - 1>{});
    return all;
  }
  [[gnu::always_inline]] static floats8 load_halves(const std::uint8_t* p, std::size_t stride) {
    return {_mm256_cvtph_ps(_mm_set_epi64x(collect_words<2>(p + 4 * stride, stride), collect_words<2>(p, stride)))};
  }
  template <std::size_t Times>
  [[gnu::always_inline]] static floats8 load_repeated_halves(const std::uint8_t* p, std::size_t stride) {
    const __m128 halves = _mm_cvtph_ps(_mm_cvtsi64_si128(collect_words<2, 8 / Times>(p, stride)));
    constexpr int step = 8 / Times; // lane k has half k / Times
    const __m256i half_of = step == 4   ? _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3)
                            : step == 2 ? _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1)
                                        : _mm256_setzero_si256();
    return {_mm256_permutevar8x32_ps(_mm256_castps128_ps256(halves), half_of)};
  }
  template <std::size_t Stride>
  [[gnu::always_inline]] static vec<std::int32_t, 8, Isa> load_spaced_bytes(const std::uint8_t* p) {
    return {_mm256_cvtepu8_epi32(_mm_cvtsi64_si128(collect_words<1>(p, Stride)))};
  }
  template <std::size_t Stride, std::size_t Part>
  [[gnu::always_inline]] static floats8 load_halved_ue4m3(const std::uint8_t* p) {
    const auto four = [p](std::size_t block) {
      std::int32_t bytes;
      std::memcpy(&bytes, p + block * Stride, sizeof bytes);
      return bytes;
    };
    const __m128i bytes = _mm_setr_epi32(four(0), four(2), four(1), four(3)), no_number = _mm_set1_epi8(0x7F);
    const __m128i numbers = _mm_andnot_si128(_mm_cmpeq_epi8(bytes, no_number), _mm_and_si128(bytes, no_number));
    const __m256i halves = _mm256_slli_epi16(_mm256_cvtepu8_epi16(numbers), 7); // 2^-8 times the numbers
    const __m256 even = _mm256_cvtph_ps(_mm256_castsi256_si128(halves));
    const __m256 odd = _mm256_cvtph_ps(_mm256_extracti128_si256(halves, 1));
    return {_mm256_mul_ps(_mm256_shuffle_ps(even, odd, Part == 0 ? 0x88 : 0xDD), _mm256_set1_ps(0x1p7f))};
  }
  /// Lanes in memory, each loaded into all lanes where the shuffles of a loop are busy with other things. GCC would make
  /// shuffles of such loads if it knew what was stored.
  template <std::size_t N>
  struct stored_lanes {
    alignas(32) float lane[N];

    [[gnu::always_inline]] explicit stored_lanes(const vec<float, N, Isa>& a) {
      if constexpr (N == 8)
        _mm256_store_ps(lane, a.v);
      else
        _mm_store_ps(lane, a.v);
      asm("" : "+m"(lane));
    }
    template <int Lane>
    [[gnu::always_inline]] floats8 broadcast() const {
      return {_mm256_broadcast_ss(&lane[Lane])};
    }
  };
  using stored_floats8 = stored_lanes<8>;
  [[gnu::always_inline]] static std::array<floats8, 2> scaled_halves(const std::uint8_t* p, float y) {
    std::int32_t halves;
    std::memcpy(&halves, p, sizeof halves);
    const stored_lanes<4> products({_mm_mul_ps(_mm_cvtph_ps(_mm_cvtsi32_si128(halves)), _mm_set1_ps(y))});
    return {products.template broadcast<0>(), products.template broadcast<1>()};
  }
};

} // namespace quanta::simd::detail
