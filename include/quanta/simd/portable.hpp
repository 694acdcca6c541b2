// The vocabulary in standard C++: what each word means, value by value.
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "quanta/bytes.hpp"
#include "quanta/float16.hpp"
#include "quanta/simd/operations.hpp"
#include "quanta/simd/small_integers.hpp"

namespace quanta::simd {

/// How a level says each word of the vocabulary, on vectors that are one register (one array for the portable level).
template <class Isa>
struct native;

template <>
struct native<isa::portable> {
  using level = isa::portable;
  template <std::size_t N>
  using floats = vec<float, N, level>;
  template <std::size_t N>
  using ints = vec<std::int32_t, N, level>;
  using codes = vec<std::uint8_t, 32, level>;

  [[gnu::always_inline]] static float unfused(float product) {
#if defined(__GNUC__) || defined(__clang__)
  #if QUANTA_X86
    asm("" : "+x"(product));
  #elif defined(__aarch64__)
    asm("" : "+w"(product));
  #else
    asm("" : "+m"(product));
  #endif
#endif
    return product;
  }
  template <std::size_t N>
  [[gnu::always_inline]] static floats<N> unfused(floats<N> a) {
    for (float& e : a.v)
      e = unfused(e);
    return a;
  }
  /// 1.5 * 2^23 has a unit of 1 up to 2^24, so the addition itself rounds to an integer. The argument is behind a barrier
  /// because a product in it could be contracted with the addition.
  [[gnu::always_inline]] static float round_even(float x) {
    const float shifted = unfused(x) + 12582912.f;
    return unfused(shifted) - 12582912.f;
  }
  template <std::size_t N>
  [[gnu::always_inline]] static floats<N> round_even(floats<N> a) {
    for (float& e : a.v)
      e = round_even(e);
    return a;
  }
  template <int Bound, std::size_t N>
  [[gnu::always_inline]] static floats<N> at_most(floats<N> a) {
    for (float& e : a.v)
      e = e > static_cast<float>(Bound) ? static_cast<float>(Bound) : e;
    return a;
  }
  template <int Bound, std::size_t N>
  [[gnu::always_inline]] static floats<N> at_least(floats<N> a) {
    for (float& e : a.v)
      e = e > static_cast<float>(Bound) ? e : static_cast<float>(Bound);
    return a;
  }
  template <std::size_t N>
  [[gnu::always_inline]] static ints<N> truncate(const floats<N>& a) {
    ints<N> r;
    for (std::size_t i = 0; i < N; ++i)
      r.v[i] = a.v[i] >= -2147483648.f && a.v[i] < 2147483648.f ? static_cast<std::int32_t>(a.v[i])
                                                               : std::numeric_limits<std::int32_t>::min();
    return r;
  }
  template <std::size_t N>
  [[gnu::always_inline]] static floats<N> to_float(const ints<N>& a) {
    floats<N> r;
    for (std::size_t i = 0; i < N; ++i)
      r.v[i] = static_cast<float>(a.v[i]);
    return r;
  }
  template <std::size_t N>
  [[gnu::always_inline]] static floats<N> copy_sign(float m, floats<N> a) {
    for (float& e : a.v)
      e = std::copysign(m, e);
    return a;
  }
  template <class V, class T>
  [[gnu::always_inline]] static V load_floats(const T* p) {
    V r;
    for (std::size_t i = 0; i < lanes<V>; ++i)
      r.v[i] = static_cast<float>(p[i]);
    return r;
  }
  template <class T, std::size_t N>
  [[gnu::always_inline]] static void store_floats(T* p, const floats<N>& a) {
    for (std::size_t i = 0; i < N; ++i)
      p[i] = T(a.v[i]);
  }
  [[gnu::always_inline]] static floats<8> load_halves(const std::uint8_t* p, std::size_t stride) {
    floats<8> r;
    for (std::size_t i = 0; i < 8; ++i) {
      packed<f16> h;
      std::memcpy(&h, p + i * stride, 2);
      r.v[i] = static_cast<float>(h.get());
    }
    return r;
  }
  template <int Lane>
  [[gnu::always_inline]] static floats<8> broadcast_lane(const floats<8>& a) {
    return fill<floats<8>>(a.v[Lane]);
  }
  template <int Lane>
  [[gnu::always_inline]] static floats<8> broadcast_lanes(const floats<8>& low, const floats<8>& high) {
    floats<8> r;
    for (std::size_t i = 0; i < 8; ++i)
      r.v[i] = i < 4 ? low.v[Lane] : high.v[Lane];
    return r;
  }
  [[gnu::always_inline]] static float widen_half(f16 h) { return static_cast<float>(h); }
  [[gnu::always_inline]] static f16 narrow_to_half(float x) { return f16(x); }
  template <std::size_t N, class F>
  [[gnu::always_inline]] static floats<N> row_fold(const floats<N> (&rows)[N], F op) {
    floats<N> r;
    for (std::size_t p = 0; p < N; ++p)
      r.v[p] = fold(rows[p], op);
    return r;
  }

  template <int Bits, std::size_t N>
  [[gnu::always_inline]] static floats<N> look_up_floats(const float* table, const ints<N>& indices) {
    floats<N> r;
    for (std::size_t i = 0; i < N; ++i)
      r.v[i] = table[indices.v[i] & ((1 << Bits) - 1)];
    return r;
  }
  /// op over lane k and lane k + N / 2, then over the halves of what that gave, down to one.
  template <std::size_t N, class F>
  [[gnu::always_inline]] static float fold(const floats<N>& a, F op) {
    if constexpr (N == 1) {
      return a.v[0];
    } else {
      floats<N / 2> low, high;
      std::memcpy(low.v, a.v, sizeof low.v);
      std::memcpy(high.v, a.v + N / 2, sizeof high.v);
      return fold(op(low, high), op);
    }
  }

  template <int From, int Count, int To>
  [[gnu::always_inline]] static codes move_bits(codes a) {
    for (std::uint8_t& e : a.v)
      e = static_cast<std::uint8_t>((e >> From & ((1 << Count) - 1)) << To);
    return a;
  }
  [[gnu::always_inline]] static codes unpack_nibbles(const std::uint8_t* p) {
    codes r;
    for (std::size_t l = 0; l < 16; ++l) {
      r.v[l] = p[l] & 15;
      r.v[16 + l] = static_cast<std::uint8_t>(p[l] >> 4);
    }
    return r;
  }
  template <int To>
  [[gnu::always_inline]] static codes unpack_crumbs(const std::uint8_t* p) {
    codes r;
    for (std::size_t i = 0; i < 32; ++i)
      r.v[i] = static_cast<std::uint8_t>((p[i % 8] >> 2 * (i / 8) & 3) << To);
    return r;
  }
  [[gnu::always_inline]] static codes unpack_short_nibbles(const std::uint8_t* p) {
    codes r;
    for (std::size_t i = 0; i < 32; ++i)
      r.v[i] = p[i / 16 * 8 + i % 8] >> (i % 16 < 8 ? 0 : 4) & 15;
    return r;
  }
  [[gnu::always_inline]] static codes unpack_adjacent_crumbs(const std::uint8_t* p) {
    codes r;
    for (std::size_t i = 0; i < 32; ++i)
      r.v[i] = p[i / 4] >> 2 * (i % 4) & 3;
    return r;
  }
  [[gnu::always_inline]] static codes from_words(std::uint64_t a, std::uint64_t b, std::uint64_t c, std::uint64_t d) {
    codes r;
    for (std::size_t i = 0; i < 32; ++i)
      r.v[i] = static_cast<std::uint8_t>((i < 8 ? a : i < 16 ? b : i < 24 ? c : d) >> 8 * (i % 8));
    return r;
  }
  [[gnu::always_inline]] static codes load_twice(const std::uint8_t* p) {
    codes r;
    for (std::size_t i = 0; i < 32; ++i)
      r.v[i] = p[i % 16];
    return r;
  }
  template <const auto& Powers>
  [[gnu::always_inline]] static codes ternary_digits(codes a) {
    for (std::size_t i = 0; i < 32; ++i)
      a.v[i] = static_cast<std::uint8_t>(static_cast<std::uint8_t>(a.v[i] * Powers[i]) * 3 >> 8);
    return a;
  }
  template <class T, std::size_t N>
  [[gnu::always_inline]] static void store_looked_up(T* out, const T* table, const vec<std::uint8_t, N, level>& indices) {
    for (std::size_t i = 0; i < N; ++i)
      out[i] = table[indices.v[i] & 15]; // whatever a user's format has for codes
  }
  template <std::size_t N>
  [[gnu::always_inline]] static vec<std::uint8_t, N, level> look_up(const std::array<std::uint8_t, 16>& table,
                                                                    vec<std::uint8_t, N, level> indices) {
    for (std::uint8_t& e : indices.v)
      e = table[e];
    return indices;
  }
  template <std::uint8_t Value>
  [[gnu::always_inline]] static codes expand_bits(std::uint32_t bits) {
    codes r;
    for (std::size_t i = 0; i < 32; ++i)
      r.v[i] = (bits >> i & 1u) ? Value : std::uint8_t{0};
    return r;
  }
  template <int Part, int Offset>
  [[gnu::always_inline]] static floats<16> codes_to_floats(const codes& c) {
    floats<16> r;
    for (std::size_t i = 0; i < 16; ++i)
      r.v[i] = static_cast<float>(c.v[16 * Part + i] - Offset);
    return r;
  }
  template <class V, class Byte>
  [[gnu::always_inline]] static V load_bytes(const Byte* p) {
    V r;
    for (std::size_t i = 0; i < lanes<V>; ++i)
      r.v[i] = p[i];
    return r;
  }
  template <class V>
  [[gnu::always_inline]] static V load_words(const std::uint16_t* p) {
    V r;
    for (std::size_t i = 0; i < lanes<V>; ++i)
      r.v[i] = p[i];
    return r;
  }
  template <class Byte, std::size_t N>
  [[gnu::always_inline]] static void store_bytes(Byte* p, const ints<N>& a) {
    for (std::size_t i = 0; i < N; ++i)
      p[i] = static_cast<Byte>(a.v[i]);
  }

  template <int Offset>
  [[gnu::always_inline]] static ints<8> centred_quad_dot(const codes& u, const codes& s) {
    ints<8> r;
    for (std::size_t k = 0; k < 8; ++k) {
      r.v[k] = 0;
      for (std::size_t i = 4 * k; i < 4 * k + 4; ++i)
        r.v[k] += (u.v[i] - Offset) * static_cast<std::int8_t>(s.v[i]);
    }
    return r;
  }
  [[gnu::always_inline]] static ints<8> quad_dot(const codes& u, const codes& s) { return centred_quad_dot<0>(u, s); }
  [[gnu::always_inline]] static ints<16> widen(small_integers n) {
    ints<16> r;
    for (std::size_t i = 0; i < 16; ++i)
      r.v[i] = n[i];
    return r;
  }
  template <int Group>
  [[gnu::always_inline]] static ints<16> prepare_scales(small_integers scales) {
    return widen(scales);
  }
  template <int Portion, int Group>
  [[gnu::always_inline]] static ints<8> add_scaled_quads(ints<8> sums, const codes& u, const codes& s,
                                                         const ints<16>& scales) {
    const ints<8> quads = quad_dot(u, s);
    for (std::size_t k = 0; k < 8; ++k)
      sums.v[k] += quads.v[k] * scales.v[(32 * Portion + 4 * k) / Group];
    return sums;
  }
  template <int Portion, int Group>
  [[gnu::always_inline]] static ints<8> add_scaled_signed_quads(ints<8> sums, const codes& c, const codes& s,
                                                                const ints<16>& scales) {
    for (std::size_t k = 0; k < 8; ++k) {
      int quad = 0;
      for (std::size_t i = 4 * k; i < 4 * k + 4; ++i)
        quad += static_cast<std::int8_t>(c.v[i]) * static_cast<std::int8_t>(s.v[i]);
      sums.v[k] += quad * scales.v[(32 * Portion + 4 * k) / Group];
    }
    return sums;
  }
  [[gnu::always_inline]] static ints<8> pair_dot(const vec<std::int16_t, 16, level>& a,
                                                 const vec<std::int16_t, 16, level>& b) {
    ints<8> r;
    for (std::size_t k = 0; k < 8; ++k)
      r.v[k] = a.v[2 * k] * b.v[2 * k] + a.v[2 * k + 1] * b.v[2 * k + 1];
    return r;
  }
  template <std::size_t N>
  [[gnu::always_inline]] static vec<std::int16_t, N, level> load_words(const std::uint8_t* p) {
    vec<std::int16_t, N, level> r;
    for (std::size_t i = 0; i < N; ++i)
      r.v[i] = p[i];
    return r;
  }
  [[gnu::always_inline]] static void copy_past_cache(std::uint8_t* to, const std::uint8_t* from, std::size_t bytes) {
    std::memcpy(to, from, bytes);
  }
  [[gnu::always_inline]] static void finish_past_cache() {}
  template <std::size_t Rows>
  [[gnu::always_inline]] static std::array<vec<std::uint8_t, 4 * Rows, level>, 4> transpose_words(const std::uint8_t* p,
                                                                                                  std::size_t stride) {
    std::array<vec<std::uint8_t, 4 * Rows, level>, 4> words;
    for (std::size_t r = 0; r < Rows; ++r)
      for (std::size_t k = 0; k < 4; ++k)
        std::memcpy(&words[k].v[4 * r], p + r * stride + 4 * k, 4);
    return words;
  }
  template <std::size_t N>
  [[gnu::always_inline]] static ints<N> add_quads(ints<N> sums, const vec<std::uint8_t, 4 * N, level>& u,
                                                  const vec<std::uint8_t, 4 * N, level>& s) {
    for (std::size_t i = 0; i < 4 * N; ++i)
      sums.v[i / 4] += u.v[i] * static_cast<std::int8_t>(s.v[i]);
    return sums;
  }
  template <std::size_t N>
  [[gnu::always_inline]] static ints<N> add_pairs(ints<N> sums, const vec<std::int16_t, 2 * N, level>& a,
                                                  const vec<std::int16_t, 2 * N, level>& b) {
    for (std::size_t i = 0; i < 2 * N; ++i)
      sums.v[i / 2] += a.v[i] * b.v[i];
    return sums;
  }
  [[gnu::always_inline]] static vec<std::int16_t, 16, level> widen_words(small_integers n) {
    vec<std::int16_t, 16, level> r;
    for (std::size_t i = 0; i < 16; ++i)
      r.v[i] = n[i];
    return r;
  }
  [[gnu::always_inline]] static vec<std::int16_t, 16, level> widen_words_twice(small_integers n) {
    vec<std::int16_t, 16, level> r;
    for (std::size_t i = 0; i < 16; ++i)
      r.v[i] = n[i / 2];
    return r;
  }
};

} // namespace quanta::simd
