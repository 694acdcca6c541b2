// The words on bytes: unpacking the codes of 32 weights, and their integer products with activations.
#pragma once

#include "quanta/simd/floats.hpp"

namespace quanta::simd {

/// Every kernel takes its codes in portions of 32: the 8 quads of one portion are the 8 lanes of the definition of `dot`.
/// At the AVX-512 level they are 256-bit registers too: half of the work is loads and shuffles that wider registers do not
/// spare, and measured 5 to 30 % faster so on a core that runs 512-bit instructions in two steps.
inline constexpr std::size_t code_portion = 32;
template <class Isa>
using code_bytes = vec<std::uint8_t, code_portion, Isa>;
template <class Isa>
using quad_sums = vec<std::int32_t, code_portion / 4, Isa>;

/// Moves Count bits of each byte from bit From to bit To and clears the others.
template <int From, int Count, int To, std::size_t N, class Isa>
[[gnu::always_inline]] inline vec<std::uint8_t, N, Isa> move_bits(const vec<std::uint8_t, N, Isa>& a) {
  using V = vec<std::uint8_t, N, Isa>;
  constexpr auto mask = static_cast<std::uint8_t>(((1 << Count) - 1) << To);
  if constexpr (form<V> == shape::array) {
    V r;
    for (std::size_t i = 0; i < N; ++i)
      r.v[i] = static_cast<std::uint8_t>((a.v[i] >> From << To) & mask);
    return r;
  } else if constexpr (requires { native<Isa>::template move_bits<From, Count, To>(a); }) {
    return native<Isa>::template move_bits<From, Count, To>(a);
  } else { // by words of 16 bits: what crosses into a neighbour is masked away
    using W = vec<std::uint16_t, N / 2, Isa>;
    const W words = std::bit_cast<W>(a);
    W moved;
    if constexpr (From > To)
      moved = shift_right<From - To>(words);
    else if constexpr (From < To)
      moved = shift_left<To - From>(words);
    else
      moved = words;
    return std::bit_cast<V>(moved) & fill<V>(mask);
  }
}

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
/// Ternary digits: 3 * (bytes * Powers mod 256) / 256, for powers of 3.
template <const auto& Powers, class Isa>
[[gnu::always_inline]] inline code_bytes<Isa> ternary_digits(const code_bytes<Isa>& bytes) {
  return native<Isa>::template ternary_digits<Powers>(bytes);
}
/// table[indices], all indices below 16.
template <std::size_t N, class Isa>
[[gnu::always_inline]] inline vec<std::uint8_t, N, Isa> look_up(const std::array<std::uint8_t, 16>& table,
                                                                const vec<std::uint8_t, N, Isa>& indices) {
  return detail::split<vec<std::uint8_t, N, Isa>>(
      [&](const auto& i) __attribute__((always_inline)) { return native<Isa>::look_up(table, i); }, indices);
}
/// Whether products of signed bytes, of which one side is above -128, are cheaper than centred_quad_dot<128>.
template <class Isa>
inline constexpr bool has_bounded_quads = requires(code_bytes<Isa> c) { native<Isa>::bounded_quad_dot(c, c); };
/// quad_dot of signed bytes, c above -128.
template <class Isa>
[[gnu::always_inline]] inline quad_sums<Isa> bounded_quad_dot(const code_bytes<Isa>& c, const code_bytes<Isa>& s)
  requires has_bounded_quads<Isa>
{
  return native<Isa>::bounded_quad_dot(c, s);
}
template <class Isa>
inline constexpr bool has_five_bit_quads = requires(code_bytes<Isa> s) { native<Isa>::five_bit_quads(nullptr, 0u, s); };
/// quad_dot of 32 nibbles (the low ones of 16 bytes, then the high ones), less 16 where the bit of `fifth` is 0.
template <class Isa>
[[gnu::always_inline]] inline quad_sums<Isa> five_bit_quads(const std::uint8_t* nibbles, std::uint32_t fifth,
                                                            const code_bytes<Isa>& s)
  requires has_five_bit_quads<Isa>
{
  return native<Isa>::five_bit_quads(nibbles, fifth, s);
}
template <class Isa>
inline constexpr bool has_nibble_quads = requires(code_bytes<Isa> s) { native<Isa>::template nibble_quads<8>(nullptr, s); };
/// quad_dot of 32 nibbles less Offset: four sums of the low nibbles of 16 bytes, then those of the high ones times 16.
template <int Offset, class Isa>
[[gnu::always_inline]] inline quad_sums<Isa> nibble_quads(const std::uint8_t* p, const code_bytes<Isa>& s)
  requires has_nibble_quads<Isa>
{
  return native<Isa>::template nibble_quads<Offset>(p, s);
}
/// 32 entries of a table of 16 halves (or bfloats) at `out`. Indices below 16.
template <class T, std::size_t N, class Isa>
[[gnu::always_inline]] inline void store_looked_up(T* out, const T* table, const vec<std::uint8_t, N, Isa>& indices) {
  if constexpr (form<vec<std::uint8_t, N, Isa>> == shape::pair) {
    store_looked_up(out, table, indices.low);
    store_looked_up(out + N / 2, table, indices.high);
  } else {
    native<Isa>::store_looked_up(out, table, indices);
  }
}
/// 32 bytes from 32 bits: byte i is Value if bit i is set, else 0.
template <std::uint8_t Value, class Isa>
[[gnu::always_inline]] inline code_bytes<Isa> expand_bits(std::uint32_t bits) {
  return native<Isa>::template expand_bits<Value>(bits);
}

/// Halves of UE4M3 numbers (7 bits, 0x7F is 0) of four blocks, Stride bytes apart: lane r is byte 2 (r % 2) + Part of block
/// r / 2.
template <std::size_t Stride, std::size_t Part, class Isa>
[[gnu::always_inline]] inline vec<float, 8, Isa> load_halved_ue4m3(const std::uint8_t* p)
  requires requires { native<Isa>::template load_halved_ue4m3<Stride, Part>(p); }
{
  return native<Isa>::template load_halved_ue4m3<Stride, Part>(p);
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
  return detail::load_registers<vec<std::int32_t, N, Isa>>(
      p, []<class R>(const Byte* part) __attribute__((always_inline)) { return native<Isa>::template load_bytes<R>(part); });
}
/// 8 bytes that lie Stride bytes apart, the first at p.
template <std::size_t Stride, class Isa>
[[gnu::always_inline]] inline vec<std::int32_t, 8, Isa> load_spaced_bytes(const std::uint8_t* p) {
  if constexpr (requires { native<Isa>::template load_spaced_bytes<Stride>(p); }) {
    return native<Isa>::template load_spaced_bytes<Stride>(p);
  } else {
    std::uint64_t all = 0;
    for (std::size_t i = 8; i-- > 0;)
      all = all << 8 | p[i * Stride];
    const packed<std::uint64_t> joined = all;
    return load_bytes<8, Isa>(joined.bytes.data());
  }
}

/// N unsigned 16-bit words at p as int32.
template <std::size_t N, class Isa>
[[gnu::always_inline]] inline vec<std::int32_t, N, Isa> load_words(const std::uint16_t* p) {
  return detail::load_registers<vec<std::int32_t, N, Isa>>(p, []<class R>(const std::uint16_t* part)
                                                                  __attribute__((always_inline)) {
    return native<Isa>::template load_words<R>(part);
  });
}

/// Stores N int32 values as bytes. They must fit Byte.
template <class Byte, std::size_t N, class Isa>
[[gnu::always_inline]] inline void store_bytes(Byte* p, const vec<std::int32_t, N, Isa>& a) {
  native<Isa>::store_bytes(p, a);
}

/// Stores int32 values below 16 as nibbles: N bytes with those of `low` in the low halves, those of `high` in the high ones.
template <std::size_t N, class Isa>
[[gnu::always_inline]] inline void store_nibbles(std::uint8_t* p, const vec<std::int32_t, N, Isa>& low,
                                                 const vec<std::int32_t, N, Isa>& high) {
  store_bytes(p, low | shift_left<4>(high));
}

// --- integer products ------------------------------------------------------------------------------------------------

/// Sums of quads: lane k is the sum over i = 4k .. 4k+3 of u[i] * s[i], u unsigned, s signed. u <= 127, so that pairs
/// stay within the int16 that code without VNNI goes through: 2 * 127 * 128 = 32,512.
template <class Isa, std::size_t N>
[[gnu::always_inline]] inline vec<std::int32_t, N / 4, Isa> quad_dot(const vec<std::uint8_t, N, Isa>& u,
                                                                     const vec<std::uint8_t, N, Isa>& s) {
  return detail::split<vec<std::int32_t, N / 4, Isa>>(
      [](const auto& a, const auto& b) __attribute__((always_inline)) { return native<Isa>::quad_dot(a, b); }, u, s);
}
/// sums[k] + the dot product of quad k of u and s; u <= 127 unless the level has wide quads.
template <std::size_t N, class Isa>
[[gnu::always_inline]] inline vec<std::int32_t, N, Isa> add_quads(const vec<std::int32_t, N, Isa>& sums,
                                                                  const vec<std::uint8_t, 4 * N, Isa>& u,
                                                                  const vec<std::uint8_t, 4 * N, Isa>& s) {
  using R = vec<std::int32_t, N, Isa>;
  return detail::split<R>([](const auto& a, const auto& b, const auto& c)
                                      __attribute__((always_inline)) { return native<Isa>::add_quads(a, b, c); }, sums, u, s);
}
/// The same as quad_dot with u - Offset in place of u, exact for every signed s, -128 included. Offset is at most 64 and
/// u <= 127, or it is 128 and u is any byte.
template <int Offset, class Isa, std::size_t N>
[[gnu::always_inline]] inline vec<std::int32_t, N / 4, Isa> centred_quad_dot(const vec<std::uint8_t, N, Isa>& u,
                                                                             const vec<std::uint8_t, N, Isa>& s) {
  return detail::split<vec<std::int32_t, N / 4, Isa>>(
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
/// The same from words, the scale of 16 weights each, on levels where formats unpack them so.
template <class Isa>
concept has_scale_words = requires(const vec<std::int16_t, 16, Isa>& words) {
  native<Isa>::template prepare_scales<16>(words);
};
template <int Group, class Isa>
[[gnu::always_inline]] inline auto prepare_scales(const vec<std::int16_t, 16, Isa>& scales) {
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

/// Where quads are summed up in 32 bits, those of two steps meet their scales together, as 16-bit words side by side.
template <class Isa>
inline constexpr bool has_scaled_pairs = requires(small_integers n) { native<Isa>::template prepare_pair_scales<16>(n); };
template <int Group, class Isa>
[[gnu::always_inline]] inline auto prepare_pair_scales(const auto& scales) {
  return native<Isa>::template prepare_pair_scales<Group>(scales);
}
/// add_scaled_quads of steps 2 Pair and 2 Pair + 1; u <= 63, so that sums of quads are words: 4 * 63 * 128 < 2^15.
template <int Pair, int Group, class Isa, class Sums, class Codes, class Scales>
[[gnu::always_inline]] inline Sums add_scaled_pair(const Sums& sums, const std::array<Codes, 2>& u,
                                                   const std::array<Codes, 2>& s, const Scales& scales) {
  return native<Isa>::template add_scaled_pair<Pair, Group>(sums, u, s, scales);
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

// --- two portions in one register, where a level has such ------------------------------------------------------------

template <class Isa>
using double_code_bytes = vec<std::uint8_t, 2 * code_portion, Isa>;
template <class Isa>
using double_quad_sums = vec<std::int32_t, code_portion / 2, Isa>;
template <class Isa>
inline constexpr bool has_double_portions = requires(code_bytes<Isa> c) { native<Isa>::join(c, c); };

/// The codes of low, then those of high.
template <class Isa>
[[gnu::always_inline]] inline double_code_bytes<Isa> join(const code_bytes<Isa>& low, const code_bytes<Isa>& high) {
  return native<Isa>::join(low, high);
}
/// Both portions of two.
template <class Isa>
[[gnu::always_inline]] inline std::array<code_bytes<Isa>, 2> halves(const double_code_bytes<Isa>& codes)
  requires has_double_portions<Isa>
{
  return native<Isa>::halves(codes);
}
/// unpack_bits of the same 32 bytes from bit Low, then from bit High: both below To or neither.
template <int Low, int High, int Count, int To, class Isa>
[[gnu::always_inline]] inline double_code_bytes<Isa> unpack_twice(const std::uint8_t* p) {
  return native<Isa>::template unpack_twice<Low, High, Count, To>(p);
}
/// add_scaled_quads of portions 2 Pair and 2 Pair + 1.
template <int Pair, int Group, class Isa, class Scales>
[[gnu::always_inline]] inline double_quad_sums<Isa> add_scaled_quads(const double_quad_sums<Isa>& sums,
                                                                     const double_code_bytes<Isa>& u,
                                                                     const double_code_bytes<Isa>& s, const Scales& scales)
  requires has_double_portions<Isa>
{
  return native<Isa>::template add_scaled_quads<Pair, Group>(sums, u, s, scales);
}
template <int Pair, int Group, class Isa, class Scales>
[[gnu::always_inline]] inline double_quad_sums<Isa>
add_scaled_signed_quads(const double_quad_sums<Isa>& sums, const double_code_bytes<Isa>& c, const double_code_bytes<Isa>& s,
                        const Scales& scales)
  requires has_double_portions<Isa>
{
  return native<Isa>::template add_scaled_signed_quads<Pair, Group>(sums, c, s, scales);
}
/// unpack_nibbles of 16 bytes, then of the next 16, or of 16 elsewhere.
template <class Isa>
[[gnu::always_inline]] inline double_code_bytes<Isa> unpack_nibbles_twice(const std::uint8_t* p) {
  return native<Isa>::unpack_nibbles_twice(p);
}
template <class Isa>
[[gnu::always_inline]] inline double_code_bytes<Isa> unpack_nibbles_twice(const std::uint8_t* p, const std::uint8_t* q) {
  return native<Isa>::unpack_nibbles_twice(p, q);
}
/// nibble_quads of 16 bytes, then of 16 elsewhere.
template <int Offset, class Isa>
[[gnu::always_inline]] inline double_quad_sums<Isa> nibble_quads(const std::uint8_t* p, const std::uint8_t* q,
                                                                 const double_code_bytes<Isa>& s) {
  return native<Isa>::template nibble_quads<Offset>(p, q, s);
}
/// unpack_short_nibbles of 16 bytes, then of the next 16.
template <class Isa>
[[gnu::always_inline]] inline double_code_bytes<Isa> unpack_short_nibbles_twice(const std::uint8_t* p) {
  return native<Isa>::unpack_short_nibbles_twice(p);
}
/// Value in the bytes whose bit is set, of 32 and then of 32 more bits, added to codes that are less.
template <std::uint8_t Value, class Isa>
[[gnu::always_inline]] inline double_code_bytes<Isa> add_bits_twice(const double_code_bytes<Isa>& codes, std::uint32_t low,
                                                                    std::uint32_t high) {
  return native<Isa>::template add_bits_twice<Value>(codes, low, high);
}
/// Ternary digits: 3 * (byte * power mod 256) / 256, a power a byte.
template <const auto& Powers, class Isa>
[[gnu::always_inline]] inline double_code_bytes<Isa> ternary_digits(const double_code_bytes<Isa>& bytes) {
  return native<Isa>::template ternary_digits<Powers>(bytes);
}
/// Lane k plus lane k + 8.
template <class Isa>
[[gnu::always_inline]] inline quad_sums<Isa> add_halves(const double_quad_sums<Isa>& a) {
  return native<Isa>::add_halves(a);
}

} // namespace quanta::simd
