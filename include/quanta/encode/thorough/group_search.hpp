// The scale (and minimum) of a group as real numbers: what the halves and integers of the formats are then chosen around.
#pragma once

#include <limits>

#include "quanta/encode/symmetric_search.hpp"
#include "quanta/encode/thorough/measure.hpp"

namespace quanta::encode {

/// How much a search tries: less where a format's reference does not search at all, so that time stays in proportion.
enum class effort { brief, full };

/// A scale and minimum, the mean level that led to them (where the group turns when its scale changes), and their error, of
/// which only the order counts.
template <class V>
struct group_fit {
  V scale, minimum, level, error;

  [[gnu::always_inline]] void keep_better(const group_fit& other) {
    const auto better = other.error < error;
    scale = simd::select(better, other.scale, scale);
    minimum = simd::select(better, other.minimum, minimum);
    level = simd::select(better, other.level, level);
    error = simd::select(better, other.error, error);
  }
};
/// Two fits of a group from different parts of the search, the better one first: rounded to what a format can store, the
/// other may win.
template <class V>
struct group_fits {
  group_fit<V> at[2];

  [[gnu::always_inline]] void sort() {
    const group_fit<V> first = at[0], second = at[1];
    at[0].keep_better(second);
    at[1] = second;
    const auto swap = second.error < first.error;
    at[1] = {simd::select(swap, first.scale, second.scale), simd::select(swap, first.minimum, second.minimum),
             simd::select(swap, first.level, second.level), simd::select(swap, first.error, second.error)};
  }
};

/// w (x - mean) of every value of a group.
template <std::size_t N, class V>
[[gnu::always_inline]] inline void weigh(const group_values& g, const V& mean, float* wx) {
  constexpr std::size_t L = simd::lanes<V>;
  for (std::size_t i = 0; i < N * L; i += L)
    simd::store(wx + i, simd::unfused(simd::load<V>(g.w + i) * (simd::load<V>(g.x + i) - mean)));
}

/// sum w l, w l^2 and (wx) l of a group whose levels l are those nearest to t (x - base); 9 operations a value, affine 11. With
/// A = sum w x l and B = sum w l^2 the best scale for these levels is A / B, and it saves A^2 / B of the error that zeros
/// leave: candidates need not be decoded to be compared. The same holds of an affine fit when l and x are taken from their
/// weighted means; then wx is that of x less its mean, so that nothing cancels.
template <class Levels, std::size_t N, bool Affine, class V>
[[gnu::noinline]] void correlate(const group_values& g, const float* wx, const V& t_given, const V& base_given,
                                 level_sums<V>& out) {
  constexpr std::size_t L = simd::lanes<V>;
  const V zero = simd::fill<V>(0.f), t = t_given;
  [[maybe_unused]] const V base = base_given;
  level_sums<V> sums{zero, zero, zero, zero};
  for (std::size_t i = 0; i < N * L; i += L) {
    V x = simd::load<V>(g.x + i);
    if constexpr (Affine)
      x = x - base;
    const V level = Levels::nearest(simd::unfused(t * x)), wl = simd::unfused(simd::load<V>(g.w + i) * level);
    if constexpr (Affine)
      sums.l = sums.l + wl;
    sums.l2 = sums.l2 + simd::unfused(wl * level);
    sums.xl = sums.xl + simd::unfused(simd::load<V>(wx + i) * level);
  }
  out = sums;
}

/// Candidates lie between the extreme value `first` levels within the longer end of the levels and beyond it. Full: up to 8.5,
/// where it counts little, as an importance matrix may say, it is better clipped; and with both signs.
template <effort Effort>
struct symmetric_candidates {
  static constexpr int count = 48, signs = 2;
  static constexpr float first = -0.9f, step = 0.2f;
};
template <>
struct symmetric_candidates<effort::brief> {
  static constexpr int count = 19, signs = 1;
  static constexpr float first = -0.9f, step = 0.1f;
};
/// After the candidates, levels choose the scale and the scale chooses levels.
inline constexpr int fitting_rounds = 2;

template <class Levels, std::size_t N, bool Affine, bool Bounded, effort Effort, class V>
  requires(!Affine && !std::same_as<Levels, sign_levels>)
[[gnu::noinline]] void search_group(const group_values& g, group_fits<V>& fits) {
  using C = symmetric_candidates<Effort>;
  constexpr std::size_t L = simd::lanes<V>;
  constexpr float end = Levels::high > -Levels::low ? Levels::high : Levels::low, outward = end > 0.f ? 1.f : -1.f;
  constexpr int signs = Levels::high == -Levels::low ? 1 : C::signs;
  const V zero = simd::fill<V>(0.f), infinity = simd::fill<V>(std::numeric_limits<float>::infinity());
  const V extreme = signed_extreme<N, V>(g.x);
  alignas(64) float wx[N * L];
  weigh<N>(g, zero, wx);
  level_sums<V> sums;
  for (int sign = 0; sign < signs; ++sign) {
    group_fit<V>& best = fits.at[sign];
    best = {zero, zero, zero, infinity};
    for (int k = 0; k < C::count + fitting_rounds; ++k) {
      const float level = end + outward * Levels::spacing * (C::first + C::step * static_cast<float>(k));
      const V t = k < C::count ? simd::fill<V>(sign == 0 ? level : -level) / extreme : simd::fill<V>(1.f) / best.scale;
      correlate<Levels, N, false>(g, wx, t, zero, sums);
      const V scale = simd::select(sums.l2 > zero, sums.xl / sums.l2, zero);
      best.keep_better({scale, zero, zero, zero - simd::unfused(scale * sums.xl)});
    }
  }
  if constexpr (signs == 1)
    fits.at[1] = fits.at[0];
  fits.sort();
}

/// Signs do not depend on the scale: the weighted mean magnitude is the best one.
template <class Levels, std::size_t N, bool Affine, bool Bounded, effort Effort, class V>
  requires(std::same_as<Levels, sign_levels>)
[[gnu::noinline]] void search_group(const group_values& g, group_fits<V>& fits) {
  const V zero = simd::fill<V>(0.f);
  level_sums<V> sums;
  measure<Levels, N, false, measuring::sums>(g, simd::fill<V>(1.f), zero, sums);
  fits.at[0] = fits.at[1] = {simd::select(sums.l2 > zero, sums.xl / sums.l2, zero), zero, zero, zero};
}

/// Candidates let the range of the values span `first` levels more than there are, and so on in steps. Full: a second chain of
/// them, that moves the other end.
template <effort Effort>
struct affine_candidates {
  static constexpr int count = 32, chains = 2;
  static constexpr float first = -2.f, step = 0.25f;
};
template <>
struct affine_candidates<effort::brief> {
  static constexpr int count = 18, chains = 1;
  static constexpr float first = -1.8f, step = 0.15f;
};

/// The best minimum so far stays (in the second chain the best upper end) while the range is widened, so that each candidate
/// starts from what the ones before it found. Bounded: the minimum is not negative.
template <class Levels, std::size_t N, bool Affine, bool Bounded, effort Effort, class V>
  requires(Affine)
[[gnu::noinline]] void search_group(const group_values& g, group_fits<V>& fits) {
  using C = affine_candidates<Effort>;
  constexpr std::size_t L = simd::lanes<V>;
  constexpr float unit = Levels::high < 4.f ? 0.5f : 1.f;
  static_assert(Levels::low == 0.f && Levels::high + unit * C::first > 0.f);
  const V zero = simd::fill<V>(0.f), one = simd::fill<V>(1.f), top = simd::fill<V>(Levels::high),
          infinity = simd::fill<V>(std::numeric_limits<float>::infinity());
  V low = simd::load<V>(g.x), high = low, sum_w = zero, sum_x = zero;
  for (std::size_t i = 0; i < N * L; i += L) {
    const V x = simd::load<V>(g.x + i), w = simd::load<V>(g.w + i);
    low = simd::min(low, x);
    high = simd::max(high, x);
    sum_w = sum_w + w;
    sum_x = sum_x + simd::unfused(w * x);
  }
  if constexpr (Bounded) {
    low = simd::min(low, zero);
    high = simd::max(high, low);
  }
  const V share = simd::select(sum_w > zero, one / sum_w, zero), mean = simd::unfused(sum_x * share);
  alignas(64) float wx[N * L];
  weigh<N>(g, mean, wx);
  level_sums<V> sums;
  for (int chain = 0; chain < C::chains; ++chain) {
    group_fit<V>& best = fits.at[chain];
    best = {(high - low) / top, zero - low, zero, infinity};
    for (int k = 0; k < C::count + fitting_rounds; ++k) {
      const float range = Levels::high + unit * (C::first + C::step * static_cast<float>(k));
      V t = one / best.scale, base = zero - best.minimum;
      if (k < C::count && chain == 0) {
        t = simd::fill<V>(range) / (high - base);
      } else if (k < C::count) {
        const V end = base + simd::unfused(best.scale * top), width = end - low;
        t = simd::fill<V>(range) / width;
        base = end - simd::unfused(width * simd::fill<V>(Levels::high / range));
        if constexpr (Bounded)
          base = simd::min(base, zero);
      }
      correlate<Levels, N, true>(g, wx, t, base, sums);
      const V level = simd::unfused(sums.l * share), spread = sums.l2 - simd::unfused(sums.l * level);
      V scale = sums.xl / spread, saved = simd::unfused(scale * sums.xl);
      base = mean - simd::unfused(scale * level);
      if constexpr (Bounded) {
        const auto positive = base > zero;
        if (simd::any(positive)) { // rare, and a division is worth a branch
          const V xl = sums.xl + simd::unfused(mean * sums.l), bounded = xl / sums.l2;
          scale = simd::select(positive, bounded, scale);
          saved = simd::select(positive, simd::unfused(bounded * xl) - simd::unfused(sum_x * mean), saved);
          base = simd::select(positive, zero, base);
        }
      }
      const auto answered = (spread > zero) & (scale > zero);
      best.keep_better({scale, zero - base, level, simd::select(answered, zero - saved, infinity)});
    }
  }
  if constexpr (C::chains == 1)
    fits.at[1] = fits.at[0];
  fits.sort();
}

} // namespace quanta::encode
