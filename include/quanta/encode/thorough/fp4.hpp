// The FP4 formats, thoroughly: every scale byte near the reference's, each with the levels that are nearest.
#pragma once

#include <limits>

#include "quanta/encode/thorough/measure.hpp"
#include "quanta/formats.hpp"

namespace quanta::encode {

/// The levels of mxfp4 and nvfp4, doubled: 0 .. 4 in steps of 1, to 8 in steps of 2, and 12.
struct e2m1_doubled {
  /// The three stretches of a magnitude, each as a number of steps: 0 .. 4, 0 .. 2, 0 .. 1.
  template <class V>
  struct steps {
    V small, middle, large;
    [[gnu::always_inline]] explicit steps(const V& v) {
      const auto between = [&](float unit, float low, float high) __attribute__((always_inline)) {
        return nearest_level(simd::unfused(simd::abs(v) * simd::fill<V>(unit)), simd::fill<V>(low), simd::fill<V>(high)) -
               simd::fill<V>(low);
      };
      small = between(1.f, 0.f, 4.f);
      middle = between(0.5f, 2.f, 4.f);
      large = between(0.25f, 2.f, 3.f);
    }
  };
  /// The level nearest to v.
  template <class V>
  [[gnu::always_inline]] static V nearest(const V& v) {
    const steps<V> s(v);
    const V zero = simd::fill<V>(0.f),
            level = s.small + (s.middle + s.middle) + simd::unfused(s.large * simd::fill<V>(4.f));
    return simd::select(v < zero, zero - level, level);
  }
  /// The codes of 16 such levels, as they are stored.
  template <class Isa>
  [[gnu::always_inline]] static void store_codes(const simd::vec<float, 16, Isa>& v, std::uint8_t* codes) {
    using V = simd::vec<float, 16, Isa>;
    const steps<V> s(v);
    const V zero = simd::fill<V>(0.f), code = s.small + s.middle + s.large,
            sign = simd::select((v < zero) & (code > zero), simd::fill<V>(8.f), zero);
    simd::store_bytes(codes, simd::truncate(code + sign));
  }
};

/// The scale bytes of a format, and how far from the reference's they are tried: further down, where the values
/// that count least are clipped.
template <class B>
struct fp4_scales;
template <>
struct fp4_scales<mxfp4> {
  static constexpr int below = 3, above = 1, highest = 254;
  [[gnu::always_inline]] static constexpr float decode(int byte) {
    return detail::halved_e8m0(static_cast<std::uint8_t>(byte));
  }
  [[gnu::always_inline]] static std::uint8_t& of(mxfp4& block, std::size_t) { return block.e; }
};
template <>
struct fp4_scales<nvfp4> {
  static constexpr int below = 12, above = 6, highest = 0x7E; // an octave is 8
  [[gnu::always_inline]] static constexpr float decode(int byte) {
    return detail::halved_ue4m3(static_cast<std::uint8_t>(byte));
  }
  [[gnu::always_inline]] static std::uint8_t& of(nvfp4& block, std::size_t g) { return block.scales[g]; }
};

template <class Isa, class B>
requires requires { fp4_scales<B>::highest; }
void propose(const float* x, const float* w, std::size_t count, const B* reference, B* candidates) {
  using P = fp4_scales<B>;
  using V = lanes_of<Isa>;
  constexpr std::size_t N = B::group_size, groups = B::block_size / N, L = simd::lanes<V>;
  for (std::size_t b = 0; b < count; ++b)
    candidates[b] = reference[b];
  const std::size_t all = count * groups;
  for (std::size_t first = 0; first < all; first += L) {
    alignas(64) float xt[N * L], wt[N * L], scale[L], error[L], least[L];
    transpose_groups<N, L, Isa>(x + first * N, N, all - first, xt);
    transpose_groups<N, L, Isa>(w + first * N, N, all - first, wt);
    int start[L] = {}, best[L] = {};
    for (std::size_t j = 0; j < L; ++j) {
      const std::size_t g = first + j;
      start[j] = best[j] = g < all ? P::of(candidates[g / groups], g % groups) : 0;
      least[j] = std::numeric_limits<float>::infinity();
    }
    for (int step = -P::below; step <= P::above; ++step) {
      const auto byte = [&](std::size_t j) __attribute__((always_inline)) {
        const int v = start[j] + step;
        return v < 0 ? 0 : v > P::highest ? P::highest : v;
      };
      for (std::size_t j = 0; j < L; ++j)
        scale[j] = P::decode(byte(j));
      level_sums<V> sums;
      measure<e2m1_doubled, N, false, measuring::error>({xt, wt}, simd::load<V>(scale), simd::fill<V>(0.f),
                                                        sums);
      simd::store(error, sums.error);
      for (std::size_t j = 0; j < L; ++j)
        if (error[j] < least[j]) {
          least[j] = error[j];
          best[j] = byte(j);
        }
    }
    for (std::size_t j = 0; j < L && first + j < all; ++j)
      P::of(candidates[(first + j) / groups], (first + j) % groups) = static_cast<std::uint8_t>(best[j]);
  }
  for (std::size_t b = 0; b < count; ++b) {
    alignas(64) std::uint8_t codes[B::block_size];
    for (std::size_t g = 0; g < groups; ++g)
      nearest_codes<e2m1_doubled, N, Isa>(x + b * B::block_size + g * N, P::decode(P::of(candidates[b], g)), 0.f,
                                          codes + g * N);
    candidates[b].assemble(codes);
  }
}

} // namespace quanta::encode
