// The formats with one scale (and minimum) a block, thoroughly: a fit by real numbers, then the halves around
// it, each with the levels that are nearest once it is rounded.
#pragma once

#include <bit>
#include <limits>

#include "quanta/encode/thorough/group_search.hpp"
#include "quanta/formats.hpp"

namespace quanta::encode {

/// The half `steps` away from the one nearest to v, on the side of zero or away from it; zero and the largest
/// halves end the row.
template <class Isa>
[[gnu::always_inline]] inline f16 half_near(float v, int steps) {
  const std::uint16_t bits = simd::narrow_to_half<Isa>(v).bits;
  const int magnitude = (bits & 0x7FFF) + steps, largest = 0x7BFF; // 65,504
  return f16::from_bits(static_cast<std::uint16_t>((bits & 0x8000) | (magnitude < 0         ? 0
                                                                      : magnitude > largest ? largest
                                                                                            : magnitude)));
}

/// The scales and minima of as many blocks as lanes, as they are stored.
template <std::size_t L>
struct stored_factors {
  f16 d[L], m[L]; // decoded as d * level + m
};

/// Tries the halves near the fits: three steps of the scale to either side, and for each the nearest minima
/// that keep the middle of the group in place. Brief: only the nearest ones of the better fit.
template <class Isa, class Levels, std::size_t N, bool Affine, effort Effort, class V>
[[gnu::noinline]] void choose_halves(const group_values& g, const group_fits<V>& fits,
                                     stored_factors<simd::lanes<V>>& out) {
  constexpr std::size_t L = simd::lanes<V>;
  constexpr int reach = Effort == effort::full ? 3 : 0, minimum_reach = Affine && Effort == effort::full ? 1 : 0;
  constexpr std::size_t different = Effort == effort::brief || Levels::low == -Levels::high ? 1 : 2; // one sign, one fit
  const V zero = simd::fill<V>(0.f);
  V best = simd::fill<V>(std::numeric_limits<float>::infinity());
  for (std::size_t j = 0; j < L; ++j)
    out.d[j] = out.m[j] = f16(0.f);
  level_sums<V> sums;
  for (const group_fit<V>& fit : std::span(fits.at).first(different)) {
    alignas(64) float near_scale[L], near_minimum[L], d[L], m[L] = {}, bound[L] = {}, error[L] = {};
    simd::store(near_scale, fit.scale);
    for (int i = -reach; i <= reach; ++i) {
      for (std::size_t j = 0; j < L; ++j)
        d[j] = simd::widen_half<Isa>(half_near<Isa>(near_scale[j], i));
      const V scale = simd::load<V>(d);
      if constexpr (Affine)
        simd::store(near_minimum, zero - (fit.minimum + simd::unfused(fit.level * (scale - fit.scale))));
      for (int k = -minimum_reach; k <= minimum_reach; ++k) {
        for (std::size_t j = 0; Affine && j < L; ++j)
          m[j] = simd::widen_half<Isa>(half_near<Isa>(near_minimum[j], k));
        if constexpr (Effort == effort::full) {
          measure<Levels, N, Affine, measuring::error>(g, scale, zero - simd::load<V>(m), sums);
          simd::store(bound, best);
          simd::store(error, sums.error);
          best = simd::min(best, sums.error);
        }
        for (std::size_t j = 0; j < L; ++j)
          if (Effort == effort::brief || error[j] < bound[j]) {
            out.d[j] = half_near<Isa>(near_scale[j], i);
            if constexpr (Affine)
              out.m[j] = half_near<Isa>(near_minimum[j], k);
          }
      }
    }
  }
}

/// The levels of the formats with one scale a block. int8_block keeps to -127 .. 127, as the reference does.
template <class B>
struct run_levels;
template <int Bits, std::size_t N, linear_kind Kind>
struct run_levels<linear_block<Bits, N, Kind>> {
  using B = linear_block<Bits, N, Kind>;
  using type = even_levels<-B::code_offset, B::levels - 1 - B::code_offset>;
};
template <std::size_t N>
struct run_levels<int8_block<N>> {
  using type = even_levels<-127, 127>;
};
template <>
struct run_levels<iq4_nl> {
  using type = nonlinear_levels;
};
template <>
struct run_levels<q1_0> {
  using type = sign_levels;
};
/// With the level 2 d, which the reference never writes.
template <>
struct run_levels<q2_0> {
  using type = even_levels<-1, 2>;
};
/// Without it: formats of ternary weights.
template <>
struct run_levels<tq1_0> {
  using type = even_levels<-1, 1>;
};
template <>
struct run_levels<tq2_0> {
  using type = even_levels<-1, 1>;
};

template <std::size_t N>
[[gnu::always_inline]] inline void store_codes(int8_block<N>& block, const std::uint8_t* codes) {
  for (std::size_t i = 0; i < N; ++i)
    block.qs[i] = static_cast<std::int8_t>(codes[i] - 127);
}
template <class B>
[[gnu::always_inline]] inline void store_codes(B& block, const std::uint8_t* codes) {
  block.assemble(codes);
}

template <detail::super_format B>
[[gnu::always_inline]] inline void store_codes(B& block, const std::uint8_t* codes) {
  block.assemble(block.d.get(), codes);
}

template <effort Effort, class Isa, class B>
void fit_runs(const float* x, const float* w, std::size_t count, B* candidates) {
  using levels = typename run_levels<B>::type;
  constexpr std::size_t N = B::block_size,
                        fitting = std::bit_floor(N < 2048 ? 2048 / N : 1); // lanes that stay in the cache
  constexpr std::size_t L = lane_count<Isa> < fitting ? lane_count<Isa> : fitting;
  using V = simd::vec<float, L, Isa>;
  for (std::size_t first = 0; first < count; first += L) {
    alignas(64) float xt[N * L], wt[N * L];
    transpose_groups<N, L, Isa>(x + first * N, N, count - first, xt);
    transpose_groups<N, L, Isa>(w + first * N, N, count - first, wt);
    group_fits<V> fits;
    search_group<levels, N, B::affine, false, Effort>({xt, wt}, fits);
    stored_factors<L> factors;
    choose_halves<Isa, levels, N, B::affine, Effort>({xt, wt}, fits, factors);
    for (std::size_t j = 0; j < L && first + j < count; ++j) {
      B& block = candidates[first + j];
      alignas(32) std::uint8_t codes[N];
      block.d = factors.d[j];
      if constexpr (B::affine)
        block.m = factors.m[j];
      const float minimum = B::affine ? -static_cast<float>(factors.m[j]) : 0.f;
      nearest_codes<levels, N, Isa>(x + (first + j) * N, static_cast<float>(factors.d[j]), minimum, codes);
      store_codes(block, codes);
    }
  }
}

template <class Isa, class B>
requires requires { typename run_levels<B>::type; }
void propose(const float* x, const float* w, std::size_t count, const B*, B* candidates) {
  fit_runs<effort::full, Isa>(x, w, count, candidates);
}
/// For the formats that the reference, without importance, encodes in closed form at the speed of memory.
template <class Isa, int Bits, std::size_t N, linear_kind Kind>
void propose_briefly(const float* x, const float* w, std::size_t count, linear_block<Bits, N, Kind>* candidates) {
  fit_runs<effort::brief, Isa>(x, w, count, candidates);
}

} // namespace quanta::encode
