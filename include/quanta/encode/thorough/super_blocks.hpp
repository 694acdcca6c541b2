// The K formats, thoroughly. Each group is fitted by real numbers. Then integers and halves are chosen
// together: from several d and dmin, the integers of every group near its fits, the d and dmin that suit the
// levels that this gives, the integers near the former ones; and from the best of all, more of the same in a
// wider neighbourhood.
#pragma once

#include <limits>

#include "quanta/encode/thorough/group_search.hpp"
#include "quanta/formats.hpp"

namespace quanta::encode {

/// The levels of a format, and its integers Lowest .. Highest: the largest scale of a super-block becomes about
/// Anchor.
template <class Levels, int Lowest, int Highest, int Anchor>
struct integer_ranges {
  using levels = Levels;
  static constexpr float lowest = Lowest, highest = Highest, anchor = Anchor;
};
template <class B>
struct thorough_parameters;
template <>
struct thorough_parameters<q2_k> : integer_ranges<even_levels<0, 3>, 0, 15, 15> {};
template <>
struct thorough_parameters<q3_k> : integer_ranges<even_levels<-4, 3>, -32, 31, -32> {};
template <>
struct thorough_parameters<q4_k> : integer_ranges<even_levels<0, 15>, 0, 63, 63> {};
template <>
struct thorough_parameters<q5_k> : integer_ranges<even_levels<0, 31>, 0, 63, 63> {};
template <>
struct thorough_parameters<q6_k> : integer_ranges<even_levels<-32, 31>, -128, 127, -128> {};

template <>
struct thorough_parameters<iq4_xs> : integer_ranges<nonlinear_levels, -32, 31, -32> {};

/// How far from a fit integers are tried: scales up to `scale` steps, and minima up to `minimum` steps from the
/// one that keeps the middle of the group in place.
struct neighbourhood {
  int scale, minimum;
};

template <class Isa, class B>
class super_block_search {
  using P = thorough_parameters<B>;
  using V = lanes_of<Isa>;
  static constexpr std::size_t N = B::group_size, groups = detail::super_block_size / N, L = simd::lanes<V>,
                               capacity = blocks_together * groups;
  static_assert(capacity % L == 0);
  // From these d (and dmin, each with each) the search starts, besides the reference's: the extreme fit becomes
  // this share of the highest integer. More starts gain a tenth of a per cent each.
  static constexpr int starts = B::affine ? 3 : 4;
  static constexpr float share(int k) { return 1.05f - 0.05f * static_cast<float>(k); }
  static constexpr neighbourhood near_fits = B::affine ? neighbourhood{1, 0} : neighbourhood{2, 0},
                                 near_integers{1, 1},
                                 wide = B::affine ? neighbourhood{4, 3} : neighbourhood{8, 0};
  static constexpr int last_rounds = 3;

  /// One number for each group.
  struct alignas(64) numbers {
    float at[capacity];
    [[gnu::always_inline]] V lanes(std::size_t g) const { return simd::load<V>(at + g); }
    [[gnu::always_inline]] void set(std::size_t g, const V& v) { simd::store(at + g, v); }
  };
  /// A fit and the mean level that it gives: where the group turns when its scale changes.
  struct centre {
    numbers scale, minimum, level;
  };
  /// A state of the search: one d and dmin a super-block (repeated for its groups), the integers, the errors of
  /// the groups.
  struct state {
    numbers d, dmin, s, m, error;
  };

  alignas(64) float x_[capacity * N], w_[capacity * N];
  numbers sum_w_, sum_x_;
  centre centres_[2];
  state now_;
  numbers l_, l2_, xl_; // sums of the current state
  struct {
    float d, dmin, error, s[groups], m[groups];
  } best_[blocks_together];
  std::size_t count_, group_count_;

  [[gnu::always_inline]] group_values values(std::size_t g) const { return {x_ + g * N, w_ + g * N}; }
  [[gnu::always_inline]] static float times(float a, float b) {
    return simd::native<isa::portable>::unfused(a * b);
  }
  [[gnu::always_inline]] static float as_half(float v) { return static_cast<float>(f16(v)); }
  [[gnu::always_inline]] static V mean(const V& sum, const V& weight) {
    const V zero = simd::fill<V>(0.f);
    return simd::select(weight > zero, sum / weight, zero);
  }

  void load(const float* x, const float* w) {
    for (std::size_t g = 0; g < group_count_; g += L) {
      transpose_groups<N, L, Isa>(x + g * N, N, group_count_ - g, x_ + g * N);
      transpose_groups<N, L, Isa>(w + g * N, N, group_count_ - g, w_ + g * N);
    }
  }

  void find_centres() {
    for (std::size_t g = 0; g < group_count_; g += L) {
      V sum_w = simd::fill<V>(0.f), sum_x = sum_w;
      for (std::size_t i = 0; i < N * L; i += L) {
        const V w = simd::load<V>(w_ + g * N + i);
        sum_w = sum_w + w;
        sum_x = sum_x + simd::unfused(w * simd::load<V>(x_ + g * N + i));
      }
      sum_w_.set(g, sum_w);
      sum_x_.set(g, sum_x);
      group_fits<V> fits;
      search_group<typename P::levels, N, B::affine, true, effort::full>(values(g), fits);
      for (int k = 0; k < 2; ++k) {
        centres_[k].scale.set(g, fits.at[k].scale);
        centres_[k].minimum.set(g, fits.at[k].minimum);
        centres_[k].level.set(g, fits.at[k].level);
      }
    }
  }

  /// The best integers of groups near a scale and minimum.
  struct integers {
    V s, m, error;
  };
  [[gnu::noinline]] void choose(std::size_t g, const V& near_scale, const V& near_minimum, const V& level,
                                neighbourhood range, integers& best) const {
    const V zero = simd::fill<V>(0.f), one = simd::fill<V>(1.f), lowest = simd::fill<V>(P::lowest),
            highest = simd::fill<V>(P::highest), d = now_.d.lanes(g), dmin = now_.dmin.lanes(g);
    const V nearest = simd::round_even(simd::select(d != zero, near_scale / d, zero));
    [[maybe_unused]] const V steps_a_minimum = simd::select(dmin != zero, one / dmin, zero);
    const int last = B::affine ? range.minimum : 0;
    level_sums<V> sums;
    for (int i = -range.scale; i <= range.scale; ++i) {
      const V s = simd::max(lowest, simd::min(highest, nearest + simd::fill<V>(static_cast<float>(i)))),
              scale = simd::unfused(d * s);
      V m = zero, nearest_m = zero;
      if constexpr (B::affine)
        nearest_m = simd::round_even(
            simd::unfused((near_minimum + simd::unfused(level * (scale - near_scale))) * steps_a_minimum));
      for (int j = -last; j <= last; ++j) {
        if constexpr (B::affine)
          m = simd::max(zero, simd::min(highest, nearest_m + simd::fill<V>(static_cast<float>(j))));
        measure<typename P::levels, N, B::affine, measuring::error>(values(g), scale, simd::unfused(dmin * m),
                                                                    sums);
        const auto better = sums.error < best.error;
        best = {simd::select(better, s, best.s), simd::select(better, m, best.m),
                simd::select(better, sums.error, best.error)};
      }
    }
  }

  enum class around { centres, integers };
  /// Chooses the integers of all groups for the d and dmin that there are, near the fits or near the integers
  /// before.
  void choose(around what, neighbourhood range) {
    const V zero = simd::fill<V>(0.f), infinity = simd::fill<V>(std::numeric_limits<float>::infinity());
    for (std::size_t g = 0; g < group_count_; g += L) {
      const V d = now_.d.lanes(g), dmin = now_.dmin.lanes(g);
      integers best{zero, zero, infinity};
      level_sums<V> sums;
      if (what == around::centres) {
        for (const centre& c : centres_)
          choose(g, c.scale.lanes(g), c.minimum.lanes(g), B::affine ? c.level.lanes(g) : zero, range, best);
      } else {
        const V scale = simd::unfused(d * now_.s.lanes(g)), minimum = simd::unfused(dmin * now_.m.lanes(g));
        V level = zero;
        if constexpr (B::affine) {
          measure<typename P::levels, N, true, measuring::sums>(values(g), scale, minimum, sums);
          level = mean(sums.l, sum_w_.lanes(g));
        }
        choose(g, scale, minimum, level, range, best);
      }
      measure<typename P::levels, N, B::affine, measuring::sums>(values(g), simd::unfused(d * best.s),
                                                                 simd::unfused(dmin * best.m), sums);
      now_.s.set(g, best.s);
      now_.m.set(g, best.m);
      now_.error.set(g, best.error);
      l_.set(g, sums.l);
      l2_.set(g, sums.l2);
      xl_.set(g, sums.xl);
    }
    keep_best();
  }

  void keep_best() {
    for (std::size_t b = 0, g = 0; b < count_; ++b, g += groups) {
      float error = 0.f;
      for (std::size_t j = 0; j < groups; ++j)
        error += now_.error.at[g + j];
      if (!(error < best_[b].error))
        continue;
      best_[b].d = now_.d.at[g];
      best_[b].dmin = now_.dmin.at[g];
      best_[b].error = error;
      for (std::size_t j = 0; j < groups; ++j) {
        best_[b].s[j] = now_.s.at[g + j];
        best_[b].m[j] = now_.m.at[g + j];
      }
    }
  }
  void return_to_best() {
    for (std::size_t b = 0, g = 0; b < count_; ++b, g += groups) {
      set_factors(b, best_[b].d, best_[b].dmin);
      for (std::size_t j = 0; j < groups; ++j) {
        now_.s.at[g + j] = best_[b].s[j];
        now_.m.at[g + j] = best_[b].m[j];
      }
    }
  }

  void set_factors(std::size_t b, float d, float dmin) {
    for (std::size_t g = b * groups; g < (b + 1) * groups; ++g) {
      now_.d.at[g] = d;
      now_.dmin.at[g] = dmin;
    }
  }
  /// d and dmin from the fits: the largest scale becomes the anchor's, the largest minimum the highest
  /// integer's share.
  void start(float scale_share, float minimum_share) {
    for (std::size_t b = 0; b < count_; ++b) {
      float extreme = 0.f, magnitude = 0.f, largest = 0.f;
      for (std::size_t g = b * groups; g < (b + 1) * groups; ++g) {
        const float scale = centres_[0].scale.at[g], a = scale < 0.f ? -scale : scale,
                    minimum = centres_[0].minimum.at[g];
        magnitude = a > magnitude ? a : magnitude;
        extreme = a < magnitude ? extreme : scale;
        largest = minimum > largest ? minimum : largest;
      }
      set_factors(b, as_half(extreme / (P::anchor * scale_share)),
                  as_half(largest / (P::highest * minimum_share)));
    }
    choose(around::centres, near_fits);
  }
  void start(const B* blocks) {
    for (std::size_t b = 0; b < count_; ++b) {
      float dmin = 0.f;
      for (std::size_t j = 0; j < groups; ++j) {
        now_.s.at[b * groups + j] = static_cast<float>(blocks[b].group_scales()[j]);
        if constexpr (B::affine)
          now_.m.at[b * groups + j] = static_cast<float>(blocks[b].group_minima()[j]);
      }
      if constexpr (B::affine)
        dmin = static_cast<float>(blocks[b].dmin.get());
      set_factors(b, static_cast<float>(blocks[b].d.get()), dmin);
    }
    choose(around::integers, near_integers);
  }

  /// d and dmin that suit the levels best, as halves; what they are where the levels do not say.
  void refit() {
    for (std::size_t b = 0; b < count_; ++b) {
      float ss = 0.f, sm = 0.f, mm = 0.f, sx = 0.f, mx = 0.f;
      for (std::size_t g = b * groups; g < (b + 1) * groups; ++g) {
        const float s = now_.s.at[g], m = now_.m.at[g];
        ss += times(times(s, s), l2_.at[g]);
        sx += times(s, xl_.at[g]);
        sm += times(times(s, m), l_.at[g]);
        mm += times(times(m, m), sum_w_.at[g]);
        mx += times(m, sum_x_.at[g]);
      }
      float d = now_.d.at[b * groups], dmin = now_.dmin.at[b * groups];
      const float determinant = times(ss, mm) - times(sm, sm);
      if (B::affine && determinant > 0.f) {
        const float new_d = (times(sx, mm) - times(sm, mx)) / determinant,
                    new_dmin = (times(sm, sx) - times(ss, mx)) / determinant;
        if (new_d > 0.f && new_dmin > 0.f) {
          d = as_half(new_d);
          dmin = as_half(new_dmin);
        }
      } else if (ss > 0.f) {
        d = as_half((sx + times(sm, dmin)) / ss);
      }
      set_factors(b, d, dmin);
    }
  }

  void write(const float* x, B* out) const {
    for (std::size_t b = 0; b < count_; ++b) {
      std::conditional_t<B::affine, std::uint8_t, std::int8_t> s[groups];
      [[maybe_unused]] std::uint8_t m[groups];
      alignas(64) std::uint8_t codes[detail::super_block_size];
      for (std::size_t j = 0; j < groups; ++j) {
        s[j] = static_cast<std::remove_cvref_t<decltype(s[j])>>(best_[b].s[j]);
        m[j] = static_cast<std::uint8_t>(best_[b].m[j]);
        nearest_codes<typename P::levels, N, Isa>(x + b * detail::super_block_size + j * N,
                                                  times(best_[b].d, best_[b].s[j]),
                                                  times(best_[b].dmin, best_[b].m[j]), codes + j * N);
      }
      if constexpr (B::affine)
        out[b].assemble(f16(best_[b].d), f16(best_[b].dmin), s, m, codes);
      else
        out[b].assemble(f16(best_[b].d), s, codes);
    }
  }

public:
  /// Candidates for `count` <= blocks_together super-blocks, from what the reference wrote.
  [[gnu::noinline]] void run(const float* x, const float* w, std::size_t count, const B* reference,
                             B* candidates) {
    count_ = count;
    group_count_ = count * groups;
    for (std::size_t g = 0; g < capacity; ++g)
      now_.d.at[g] = now_.dmin.at[g] = now_.s.at[g] = now_.m.at[g] = 0.f;
    for (auto& best : best_)
      best = {0.f, 0.f, std::numeric_limits<float>::infinity(), {}, {}};
    load(x, w);
    find_centres();
    start(reference);
    refit();
    choose(around::integers, near_integers);
    for (int i = 0; i < starts; ++i)
      for (int j = 0; j < (B::affine ? starts : 1); ++j) {
        start(share(i), share(j));
        refit();
        choose(around::integers, near_integers);
      }
    return_to_best();
    for (int round = 0; round < last_rounds; ++round) {
      if (round > 0)
        refit();
      choose(around::integers, wide);
    }
    write(x, candidates);
  }
};

template <class Isa, class B>
requires requires { typename thorough_parameters<B>::levels; }
void propose(const float* x, const float* w, std::size_t count, const B* reference, B* candidates) {
  super_block_search<Isa, B> search;
  search.run(x, w, count, reference, candidates);
}

} // namespace quanta::encode
