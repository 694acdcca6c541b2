// The scale (and minimum) of a group as real numbers: what the halves and integers of the formats are then
// chosen around.
#pragma once

#include "quanta/encode/thorough/measure.hpp"

namespace quanta::encode {

/// A scale and minimum with the error that they give.
template <class V>
struct group_fit {
  V scale, minimum, error;

  [[gnu::always_inline]] void keep_better(const group_fit& other) {
    const auto better = other.error < error;
    scale = simd::select(better, other.scale, scale);
    minimum = simd::select(better, other.minimum, minimum);
    error = simd::select(better, other.error, error);
  }
};
/// Two fits of a group from different parts of the search, the better one first: rounded to what a format can
/// store, the other may win.
template <class V>
struct group_fits {
  group_fit<V> at[2];

  [[gnu::always_inline]] void sort() {
    const group_fit<V> first = at[0];
    const auto swap = at[1].error < first.error;
    at[0].keep_better(at[1]);
    at[1] = {simd::select(swap, first.scale, at[1].scale), simd::select(swap, first.minimum, at[1].minimum),
             simd::select(swap, first.error, at[1].error)};
  }
};

/// Scales of one sign, then of the other. At first the largest magnitude lies 0.9 levels within the longer end
/// of the levels, then up to 11.7 beyond it: where it counts little, as an importance matrix may say, it is
/// better clipped. The distance of 0.2 levels (few levels: 0.4) is twice the reference's; then levels choose the
/// scale and the scale chooses levels.
template <class Levels, std::size_t N, bool Affine, bool Bounded, class V>
requires(!Affine && !std::same_as<Levels, sign_levels>) [[gnu::noinline]] void search_group(const group_values& g,
                                                                                            group_fits<V>& fits) {
  constexpr std::size_t L = simd::lanes<V>;
  constexpr float reach = Levels::high > -Levels::low ? Levels::high : -Levels::low;
  constexpr int signs = Levels::high == -Levels::low ? 1 : 2, candidates = Levels::high - Levels::low < 4.f ? 32 : 64;
  const V zero = simd::fill<V>(0.f);
  V largest = zero;
  for (std::size_t i = 0; i < N; ++i)
    largest = simd::max(largest, simd::abs(simd::load<V>(g.x + i * L)));
  level_sums<V> sums;
  for (int sign = 0; sign < signs; ++sign) {
    group_fit<V> best;
    for (int k = 0; k < candidates; ++k) {
      const float t = reach + Levels::spacing * (12.8f / candidates * static_cast<float>(k) - 0.9f);
      group_fit<V> fit{largest / simd::fill<V>(sign == 0 ? t : -t), zero, zero};
      measure<Levels, N, false, measuring::error>(g, fit.scale, zero, sums);
      fit.error = sums.error;
      if (k == 0)
        best = fit;
      else
        best.keep_better(fit);
    }
    V scale = best.scale;
    for (int k = 0; k < 4; ++k) {
      measure<Levels, N, false, measuring::sums>(g, scale, zero, sums);
      best.keep_better({scale, zero, sums.error});
      scale = simd::select(sums.l2 > zero, sums.xl / sums.l2, scale);
    }
    fits.at[sign] = best;
  }
  if constexpr (signs == 1)
    fits.at[1] = fits.at[0];
  fits.sort();
}

/// Signs do not depend on the scale: the weighted mean magnitude is the best one.
template <class Levels, std::size_t N, bool Affine, bool Bounded, class V>
requires(std::same_as<Levels, sign_levels>) [[gnu::noinline]] void search_group(const group_values& g,
                                                                                group_fits<V>& fits) {
  const V zero = simd::fill<V>(0.f);
  level_sums<V> sums;
  measure<Levels, N, false, measuring::sums>(g, simd::fill<V>(1.f), zero, sums);
  fits.at[0] = fits.at[1] = {simd::select(sums.l2 > zero, sums.xl / sums.l2, zero), zero, zero};
}

/// Turns scale and minimum into those that suit the levels best, by regression; keeps them where that has no
/// answer. Bounded: the minimum is not negative.
template <bool Bounded, class V>
[[gnu::always_inline]] inline void regress(const level_sums<V>& s, const V& sum_w, const V& sum_x, V& scale,
                                           V& minimum) {
  const V zero = simd::fill<V>(0.f);
  const V determinant = simd::unfused(sum_w * s.l2) - simd::unfused(s.l * s.l);
  V new_scale = (simd::unfused(sum_w * s.xl) - simd::unfused(sum_x * s.l)) / determinant;
  V new_minimum = (simd::unfused(s.l * s.xl) - simd::unfused(s.l2 * sum_x)) / determinant;
  if constexpr (Bounded) {
    const auto negative = new_minimum < zero;
    new_minimum = simd::select(negative, zero, new_minimum);
    new_scale = simd::select(negative, s.xl / s.l2, new_scale);
  }
  const auto answered = (determinant > zero) & (new_scale > zero);
  scale = simd::select(answered, new_scale, scale);
  minimum = simd::select(answered, new_minimum, minimum);
}

/// Ranges that leave out up to three levels' worth of values at either end, in steps of half a level; each is
/// followed by a regression, and the best of every second range by more of them.
template <class Levels, std::size_t N, bool Affine, bool Bounded, class V>
requires(Affine) [[gnu::noinline]] void search_group(const group_values& g, group_fits<V>& fits) {
  constexpr std::size_t L = simd::lanes<V>;
  constexpr int cuts = 7;
  constexpr float step = Levels::high < 4 ? 0.25f : 0.5f;
  static_assert(Levels::low == 0.f && 2 * (cuts - 1) * step <= Levels::high);
  const V zero = simd::fill<V>(0.f);
  V low = simd::load<V>(g.x), high = low, sum_w = zero, sum_x = zero;
  for (std::size_t i = 0; i < N; ++i) {
    const V x = simd::load<V>(g.x + i * L), w = simd::load<V>(g.w + i * L);
    low = simd::min(low, x);
    high = simd::max(high, x);
    sum_w = sum_w + w;
    sum_x = sum_x + simd::unfused(w * x);
  }
  if constexpr (Bounded) {
    low = simd::min(low, zero);
    high = simd::max(high, low);
  }
  const V unit = (high - low) / simd::fill<V>(Levels::high);
  level_sums<V> sums;
  for (int at_low = 0; at_low < cuts; ++at_low)
    for (int at_high = 0; at_high < cuts; ++at_high) {
      const float left_out = step * static_cast<float>(at_low),
                  share = 1.f - step * static_cast<float>(at_low + at_high) / Levels::high;
      group_fit<V> fit{unit * simd::fill<V>(share),
                       zero - (low + simd::unfused(unit * simd::fill<V>(left_out))), zero};
      if constexpr (Bounded)
        fit.minimum = simd::max(fit.minimum, zero);
      measure<Levels, N, true, measuring::sums>(g, fit.scale, fit.minimum, sums);
      regress<Bounded>(sums, sum_w, sum_x, fit.scale, fit.minimum);
      measure<Levels, N, true, measuring::error>(g, fit.scale, fit.minimum, sums);
      fit.error = sums.error;
      group_fit<V>& best = fits.at[(at_low + at_high) % 2];
      if (at_low == 0 && at_high < 2)
        best = fit;
      else
        best.keep_better(fit);
    }
  for (group_fit<V>& best : fits.at) {
    group_fit<V> fit = best;
    for (int k = 0; k < 4; ++k) {
      measure<Levels, N, true, measuring::sums>(g, fit.scale, fit.minimum, sums);
      fit.error = sums.error;
      best.keep_better(fit);
      regress<Bounded>(sums, sum_w, sum_x, fit.scale, fit.minimum);
    }
  }
  fits.sort();
}

} // namespace quanta::encode
