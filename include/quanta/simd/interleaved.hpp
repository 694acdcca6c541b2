// The words of the matrix kernels, on vectors of any width: one 32-bit lane is one row, so that no sum across lanes remains.
#pragma once

#include "quanta/simd/vocabulary.hpp"

namespace quanta::simd {

/// Whether the level multiplies unsigned by signed bytes into 32-bit sums without an int16 between: codes up to 255 are then
/// taken as they are. Elsewhere bytes above 127 have to be signed.
template <class Isa>
inline constexpr bool has_wide_quads = Isa::value >= isa::level::avx_vnni;

/// Whether the level has products of bytes that are added up in pairs as 16-bit words: sums of small codes are kept so.
template <class Isa>
inline constexpr bool has_byte_pairs = Isa::value == isa::level::x86_64_v2 || Isa::value == isa::level::avx2;

/// A value in a register as it is: what follows is not joined with what went before. GCC reassociates integer sums of unrolled
/// steps, keeps all of their terms and runs out of registers; what is loaded it loads again for each use.
template <class T, std::size_t N, class Isa>
[[gnu::always_inline]] inline vec<T, N, Isa> settled(const vec<T, N, Isa>& sum) {
  return std::bit_cast<vec<T, N, Isa>>(unfused(std::bit_cast<vec<float, N * sizeof(T) / sizeof(float), Isa>>(sum)));
}

/// The same four bytes at p in every lane.
template <std::size_t N, class Isa>
[[gnu::always_inline]] inline vec<std::uint8_t, N, Isa> broadcast_quad(const std::int8_t* p) {
  std::int32_t word;
  std::memcpy(&word, p, 4);
  return std::bit_cast<vec<std::uint8_t, N, Isa>>(fill<vec<std::int32_t, N / 4, Isa>>(word));
}

/// Transposes 4 words of 4 bytes in each of `Rows` rows, `stride` bytes apart: word r of vector k is word k of row r.
template <std::size_t Rows, class Isa>
[[gnu::always_inline]] inline std::array<vec<std::uint8_t, 4 * Rows, Isa>, 4> transpose_words(const std::uint8_t* p,
                                                                                              std::size_t stride) {
  using V = vec<std::uint8_t, 4 * Rows, Isa>;
  if constexpr (form<V> == shape::pair) {
    const auto low = transpose_words<Rows / 2, Isa>(p, stride);
    const auto high = transpose_words<Rows / 2, Isa>(p + Rows / 2 * stride, stride);
    std::array<V, 4> all;
    for (std::size_t k = 0; k < 4; ++k)
      all[k].low = low[k], all[k].high = high[k];
    return all;
  } else {
    return native<Isa>::template transpose_words<Rows>(p, stride);
  }
}

/// Copies to memory that is not read again soon; both are multiples of 16, as is `bytes`. Before another thread reads what was
/// written, finish_past_cache().
template <class Isa>
[[gnu::always_inline]] inline void copy_past_cache(std::uint8_t* to, const std::uint8_t* from, std::size_t bytes) {
  native<Isa>::copy_past_cache(to, from, bytes);
}
template <class Isa>
[[gnu::always_inline]] inline void finish_past_cache() {
  native<Isa>::finish_past_cache();
}
/// The same two words at p in every lane.
template <std::size_t N, class Isa>
[[gnu::always_inline]] inline vec<std::int16_t, N, Isa> broadcast_pair(const std::int16_t* p) {
  std::int32_t word;
  std::memcpy(&word, p, 4);
  return std::bit_cast<vec<std::int16_t, N, Isa>>(fill<vec<std::int32_t, N / 2, Isa>>(word));
}
/// N unsigned bytes at p as 16-bit words.
template <std::size_t N, class Isa>
[[gnu::always_inline]] inline vec<std::int16_t, N, Isa> load_words(const std::uint8_t* p) {
  return detail::load_registers<vec<std::int16_t, N, Isa>>(p, []<class R>(const std::uint8_t* part)
                                                                  __attribute__((always_inline)) {
    return native<Isa>::template load_words<lanes<R>>(part);
  });
}

/// pairs[k] + u[2k] * s[2k] + u[2k+1] * s[2k+1], which int16 holds.
template <std::size_t N, class Isa>
[[gnu::always_inline]] inline vec<std::int16_t, N, Isa> add_byte_pairs(const vec<std::int16_t, N, Isa>& pairs,
                                                                       const vec<std::uint8_t, 2 * N, Isa>& u,
                                                                       const vec<std::uint8_t, 2 * N, Isa>& s) {
  return detail::split<vec<std::int16_t, N, Isa>>(
      [](const auto& a, const auto& b, const auto& c)
          __attribute__((always_inline)) { return native<Isa>::add_byte_pairs(a, b, c); },
      pairs, u, s);
}
/// sums[k] + a[2k] * b[2k] + a[2k+1] * b[2k+1].
template <std::size_t N, class Isa>
[[gnu::always_inline]] inline vec<std::int32_t, N, Isa> add_pairs(const vec<std::int32_t, N, Isa>& sums,
                                                                  const vec<std::int16_t, 2 * N, Isa>& a,
                                                                  const vec<std::int16_t, 2 * N, Isa>& b) {
  using R = vec<std::int32_t, N, Isa>;
  return detail::split<R>([](const auto& x, const auto& y, const auto& z)
                                      __attribute__((always_inline)) { return native<Isa>::add_pairs(x, y, z); }, sums, a, b);
}


// Bytes up to 255 without products of bytes that hold them: with words w = u + 256 * s of two neighbouring bytes, the first
// unsigned, the second signed,
//   u * y0 + s * y1 = w * y0 + (w >> 8) * (y1 - 256 * y0)
// of which 16 bits hold every factor: two products of words and a shift that tokens share.

/// Subtracts 128 from every second byte, 0 .. 255 becoming -128 .. 127, or adds it again.
template <std::size_t N, class Isa>
[[gnu::always_inline]] inline vec<std::uint8_t, N, Isa> flip_odd_bytes(const vec<std::uint8_t, N, Isa>& bytes) {
  constexpr bool little = std::endian::native == std::endian::little;
  using W = vec<std::uint16_t, N / 2, Isa>;
  return std::bit_cast<vec<std::uint8_t, N, Isa>>(std::bit_cast<W>(bytes) ^ fill<W>(little ? 0x8000 : 0x0080));
}
/// The words w of such bytes.
template <std::size_t N, class Isa>
[[gnu::always_inline]] inline vec<std::int16_t, N / 2, Isa> byte_pairs_as_words(const vec<std::uint8_t, N, Isa>& bytes) {
  using W = vec<std::uint16_t, N / 2, Isa>;
  W words = std::bit_cast<W>(bytes);
  if constexpr (std::endian::native == std::endian::big)
    words = shift_left<8>(words) | shift_right<8>(words);
  return std::bit_cast<vec<std::int16_t, N / 2, Isa>>(words);
}

} // namespace quanta::simd
