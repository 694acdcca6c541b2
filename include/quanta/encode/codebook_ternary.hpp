// The ternary codebook formats (IQ1) from numbers to blocks. A group's best three-level quantization is searched exactly:
// sorted, its levels are two cuts, and with the shifts there are 600 to 1,100 ways; then its vectors are moved to the book.
#pragma once

#include "quanta/encode/codebook_magnitudes.hpp"

namespace quanta::encode {

/// Parameters of the reference's encoders: groups whose largest magnitude is below `smallest` are zeros; d is stored times
/// `factor`, after a fit over the super-block where `refits`. A shift holds for each of `shifts` parts of a group.
template <class B>
struct ternary_parameters;
template <>
struct ternary_parameters<iq1_s> {
  static constexpr float smallest = 1e-12f, factor = 1.125f;
  static constexpr std::size_t shifts = 1;
  static constexpr bool refits = false, square_weights = false; // without importance (no reference): as if it were 1
};
template <>
struct ternary_parameters<iq1_m> {
  static constexpr float smallest = 1e-7f, factor = 1.1125f;
  static constexpr std::size_t shifts = 2;
  static constexpr bool refits = true, square_weights = true;
};
template <class B>
concept ternary_format = requires { ternary_parameters<B>::shifts; };

/// Levels of a vector shifted up (0) and down (1); the fourth is a slot without meaning.
inline constexpr float ternary_levels[2][4] = {{-0.875f, 0.125f, 1.125f, 0.f}, {-1.125f, -0.125f, 0.875f, 0.f}};

/// Groups cut side by side, one a lane, sorted: rank r of lane j at [r * lanes + j].
template <class Isa>
using ternary_lanes = simd::vec<float, Isa::value == isa::level::portable ? 1 : 16, Isa>;

/// Where a group is cut and how it is shifted; a negative scale stands for the mirrored group.
template <class V>
struct ternary_cuts {
  V scale, first, second, shift; ///< ranks below first: lowest level, from second on: highest; shift: last part in bit 0

  /// Before the first candidate, and where no value of the `count` has a weight.
  [[gnu::always_inline]] static ternary_cuts none(std::size_t count) {
    const V zero = simd::fill<V>(0.f);
    return {zero, simd::fill<V>(static_cast<float>(count + 1)), zero, zero};
  }
};

/// The candidates' common part: a later one wins only if A^2 / B is larger.
template <class V>
struct ternary_choice {
  ternary_cuts<V> cuts;
  V best;

  [[gnu::always_inline]] void offer(const V& a, const V& b, std::size_t first, std::size_t second, std::size_t shift) {
    const auto better = (b > simd::fill<V>(0.f)) & (simd::unfused(a * a) > simd::unfused(best * b));
    if (!simd::any(better))
      return;
    const V scale = a / b;
    cuts.scale = simd::select(better, scale, cuts.scale);
    best = simd::select(better, simd::unfused(scale * a), best);
    cuts.first = simd::select(better, simd::fill<V>(static_cast<float>(first)), cuts.first);
    cuts.second = simd::select(better, simd::fill<V>(static_cast<float>(second)), cuts.second);
    cuts.shift = simd::select(better, simd::fill<V>(static_cast<float>(shift)), cuts.shift);
  }
};

/// One shift a group: sums over ranks are differences of running sums, as in the reference.
template <std::size_t N, class V>
[[gnu::noinline]] ternary_cuts<V> cut_with_one_shift(const float* xs, const float* ws) {
  constexpr std::size_t L = simd::lanes<V>;
  alignas(64) float sum_wx[(N + 1) * L], sum_w[(N + 1) * L];
  V wx = simd::fill<V>(0.f), w = wx;
  for (std::size_t r = 0; r <= N; ++r) {
    simd::store(sum_wx + r * L, wx);
    simd::store(sum_w + r * L, w);
    if (r < N) {
      wx = wx + simd::unfused(simd::load<V>(ws + r * L) * simd::load<V>(xs + r * L));
      w = w + simd::load<V>(ws + r * L);
    }
  }
  ternary_choice<V> choice{ternary_cuts<V>::none(N), simd::fill<V>(-std::numeric_limits<float>::max())};
  const auto weighted = [](const V& sum, float level) __attribute__((always_inline)) {
    return simd::unfused(sum * simd::fill<V>(level));
  };
  for (std::size_t i = 0; i <= N; ++i) {
    const V wx_i = simd::load<V>(sum_wx + i * L), w_i = simd::load<V>(sum_w + i * L);
    V low_a[2], low_b[2];
    simd::unroll<2>([&](auto s) __attribute__((always_inline)) {
      constexpr float p = ternary_levels[s()][0];
      low_a[s()] = weighted(wx_i, p);
      low_b[s()] = weighted(weighted(w_i, p), p);
    });
    for (std::size_t j = i; j <= N; ++j) {
      const V wx_j = simd::load<V>(sum_wx + j * L), w_j = simd::load<V>(sum_w + j * L);
      const V middle_wx = wx_j - wx_i, middle_w = w_j - w_i, high_wx = wx - wx_j, high_w = w - w_j;
      simd::unroll<2>([&](auto s) __attribute__((always_inline)) {
        constexpr float p = ternary_levels[s()][1], q = ternary_levels[s()][2];
        const V a = low_a[s()] + weighted(middle_wx, p) + weighted(high_wx, q);
        const V b = low_b[s()] + weighted(weighted(middle_w, p), p) + weighted(weighted(high_w, q), q);
        choice.offer(a, b, i, j, static_cast<std::size_t>(s()));
      });
    }
  }
  return choice.cuts;
}

/// Two shifts a group, one for each half: running sums of either half. `halves` is 1 in the second. A candidate's A is what all
/// at the highest level would have less the sums below both cuts, since levels are 1 apart; its B goes by squares of levels.
template <std::size_t N, class V>
[[gnu::noinline]] ternary_cuts<V> cut_with_two_shifts(const float* xs, const float* ws, const float* halves) {
  constexpr std::size_t L = simd::lanes<V>;
  alignas(64) float sum_wx[2][(N + 1) * L], sum_w[2][(N + 1) * L];
  const V zero = simd::fill<V>(0.f);
  V wx[2] = {zero, zero}, w[2] = {zero, zero};
  for (std::size_t r = 0; r <= N; ++r) {
    simd::unroll<2>([&](auto h) __attribute__((always_inline)) {
      simd::store(sum_wx[h()] + r * L, wx[h()]);
      simd::store(sum_w[h()] + r * L, w[h()]);
    });
    if (r == N)
      break;
    const V weight = simd::load<V>(ws + r * L), product = simd::unfused(weight * simd::load<V>(xs + r * L));
    const auto second = simd::load<V>(halves + r * L) > zero;
    wx[0] = simd::select(second, wx[0], wx[0] + product), wx[1] = simd::select(second, wx[1] + product, wx[1]);
    w[0] = simd::select(second, w[0], w[0] + weight), w[1] = simd::select(second, w[1] + weight, w[1]);
  }
  const auto weighted = [](const V& sum, float factor) __attribute__((always_inline)) {
    return simd::unfused(sum * simd::fill<V>(factor));
  };
  constexpr auto step = [](int s, int l) { // between squares of levels: exact
    return ternary_levels[s][l] * ternary_levels[s][l] - ternary_levels[s][l + 1] * ternary_levels[s][l + 1];
  };
  V all_a[2][2], all_b[2][2]; // of half h with shift s, all at the highest level
  simd::unroll<4>([&](auto v) __attribute__((always_inline)) {
    constexpr int h = v() / 2, s = v() % 2;
    constexpr float top = ternary_levels[s][2];
    all_a[h][s] = weighted(wx[h], top);
    all_b[h][s] = weighted(weighted(w[h], top), top);
  });
  ternary_choice<V> choice{ternary_cuts<V>::none(N), simd::fill<V>(-std::numeric_limits<float>::max())};
  for (std::size_t i = 0; i <= N; ++i) {
    V low_b[2][2];
    simd::unroll<4>([&](auto v) __attribute__((always_inline)) {
      constexpr int h = v() / 2, s = v() % 2;
      low_b[h][s] = all_b[h][s] + weighted(simd::load<V>(sum_w[h] + i * L), step(s, 0));
    });
    for (std::size_t j = i; j <= N; ++j) {
      V a[2][2], b[2][2];
      simd::unroll<4>([&](auto v) __attribute__((always_inline)) {
        constexpr int h = v() / 2, s = v() % 2;
        a[h][s] = all_a[h][s] - (simd::load<V>(sum_wx[h] + i * L) + simd::load<V>(sum_wx[h] + j * L));
        b[h][s] = low_b[h][s] + weighted(simd::load<V>(sum_w[h] + j * L), step(s, 1));
      });
      simd::unroll<4>([&](auto v) __attribute__((always_inline)) {
        constexpr int first = v() / 2, second = v() % 2;
        choice.offer(a[0][first] + a[1][second], b[0][first] + b[1][second], i, j, static_cast<std::size_t>(v()));
      });
    }
  }
  return choice.cuts;
}

/// order[r]: the index of the value of rank r in ascending order, equals in order of index.
template <std::size_t N, class Isa>
[[gnu::always_inline]] inline void sort_values(const float* x, std::uint8_t* order) {
  using V = simd::vec<float, N, Isa>;
  const V all = simd::load<V>(x);
  std::memset(order, 0, N); // values that are not numbers share ranks
  for (std::size_t i = 0; i < N; ++i) {
    const V one = simd::fill<V>(x[i]);
    const std::uint64_t before = (std::uint64_t{1} << i) - 1; // smaller, or as small and earlier
    const int rank = std::popcount((simd::bits(all < one) & ~before) | (~simd::bits(one < all) & before));
    order[rank] = static_cast<std::uint8_t>(i);
  }
}

/// Groups of some super-blocks as their encoder sees them.
template <class B>
struct ternary_groups {
  static constexpr std::size_t values = blocks_together * detail::super_block_size, capacity = values / B::group_size;
  alignas(64) float weight[values];
  std::uint8_t order[values];
  float scale[capacity];
  std::uint8_t first[capacity], second[capacity], shift[capacity];
};

template <class Isa, class B>
[[gnu::noinline]] void prepare_ternary(const float* x, std::size_t blocks, const float* importance,
                                       ternary_groups<B>& out) {
  using V = simd::vec<float, 16, Isa>;
  float variance[blocks_together] = {};
  sums_of_squares<detail::super_block_size, Isa>(x, blocks, variance);
  for (std::size_t i = 0; i < blocks * detail::super_block_size; i += 16) {
    const V value = simd::load<V>(x + i), square = simd::unfused(value * value);
    const float v = 2.f * variance[i / detail::super_block_size] / static_cast<float>(detail::super_block_size);
    const V deviation = simd::sqrt(simd::fill<V>(v) + square);
    simd::store(out.weight + i, importance ? simd::unfused(simd::load<V>(importance + i) * deviation)
                                : ternary_parameters<B>::square_weights ? square
                                                                        : deviation);
  }
  for (std::size_t i = 0; i < blocks * detail::super_block_size; i += B::group_size)
    sort_values<B::group_size, Isa>(x + i, out.order + i);
}

template <class Isa, class B>
[[gnu::noinline]] void cut_groups(const float* x, std::size_t count, ternary_groups<B>& groups) {
  using V = ternary_lanes<Isa>;
  constexpr std::size_t N = B::group_size, L = simd::lanes<V>;
  for (std::size_t g = 0; g < count; g += L) {
    // Written in order of the arrays: stores to places that ranks name, GCC 12 drops at -O3, and so finds zeros.
    alignas(64) float xs[N * L], ws[N * L], halves[N * L];
    for (std::size_t lane = 0; lane < L; ++lane) {
      const std::size_t group = g + lane < count ? g + lane : g; // lanes without a group repeat one
      for (std::size_t r = 0; r < N; ++r) {
        const std::size_t i = groups.order[group * N + r];
        xs[r * L + lane] = x[group * N + i];
        ws[r * L + lane] = groups.weight[group * N + i];
        halves[r * L + lane] = i < N / 2 ? 0.f : 1.f;
      }
    }
    ternary_cuts<V> cuts;
    if constexpr (ternary_parameters<B>::shifts == 1)
      cuts = cut_with_one_shift<N, V>(xs, ws);
    else
      cuts = cut_with_two_shifts<N, V>(xs, ws, halves);
    float scale[L], first[L], second[L], shift[L];
    simd::store(scale, cuts.scale);
    simd::store(first, cuts.first);
    simd::store(second, cuts.second);
    simd::store(shift, cuts.shift);
    for (std::size_t lane = 0; lane < L && g + lane < count; ++lane) {
      groups.scale[g + lane] = scale[lane];
      groups.first[g + lane] = static_cast<std::uint8_t>(first[lane]);
      groups.second[g + lane] = static_cast<std::uint8_t>(second[lane]);
      groups.shift[g + lane] = static_cast<std::uint8_t>(shift[lane]);
    }
  }
}

/// Moves one group into the book: the codes and shifts (1: down) of its vectors; returns its scale.
template <class Isa, class B>
[[gnu::noinline]] float snap_group(const float* x, const ternary_groups<B>& groups, std::size_t g, std::uint16_t* codes,
                                   std::uint8_t* down) {
  using book = iq1s_book;
  using scalar = simd::native<isa::portable>;
  using row = simd::vec<float, 4, Isa>;
  constexpr std::size_t N = B::group_size, vectors = N / 8, parts = ternary_parameters<B>::shifts;
  const auto& tables = tables_of<Isa, book>();
  const float* const w = groups.weight + g * N;
  const bool mirrored = groups.scale[g] < 0.f;
  const float scale = mirrored ? -groups.scale[g] : groups.scale[g];
  std::uint32_t chosen[vectors] = {};
  for (std::size_t r = 0; r < N; ++r) {
    const unsigned i = groups.order[g * N + r], level = r < groups.first[g] ? 0u : r < groups.second[g] ? 1u : 2u;
    std::uint32_t& code = chosen[i / 8]; // replaced, not joined: of values that are not numbers one comes more than once
    code = (code & ~(3u << 2 * (i % 8))) | (mirrored ? 2u - level : level) << 2 * (i % 8);
  }
  bool outside = false;
  for (std::size_t k = 0; k < vectors; ++k) {
    const unsigned bit = groups.shift[g] >> (parts - 1 - k * parts / vectors) & 1u;
    down[k] = static_cast<std::uint8_t>(mirrored ? 1u - bit : bit);
    const neighbour_list list = tables.lists[number_of<book>(chosen[k])];
    codes[k] = static_cast<std::uint16_t>(chosen[k]);
    if (list.count == 0)
      continue;
    outside = true;
    alignas(64) float values[vector_terms<book>], weights[vector_terms<book>], terms[vector_terms<book>];
    for (std::size_t i = 0; i < 8; ++i) {
      simd::store(values + 4 * i, simd::fill<row>(x[8 * k + i]));
      simd::store(weights + 4 * i, simd::fill<row>(w[8 * k + i]));
    }
    distance_terms<book>(simd::unfused(simd::fill<row>(scale) * simd::load<row>(ternary_levels[down[k]])), values, weights,
                         terms);
    codes[k] = nearest_neighbour(tables, list, terms);
  }
  if (!outside)
    return scale;
  float a = 0.f, b = 0.f;
  for (std::size_t i = 0; i < N; ++i) {
    const float p = ternary_levels[down[i / 8]][level_of<book>(codes[i / 8], i % 8)], wp = scalar::unfused(w[i] * p);
    a += scalar::unfused(wp * x[i]);
    b += scalar::unfused(wp * p);
  }
  return a > 0.f && b > 0.f ? a / b : scale;
}

/// The d that is best for the chosen levels and integers, or the given one.
template <class B>
[[gnu::always_inline]] inline float refit_scale(const float* x, const float* w, const std::uint16_t* codes,
                                                const std::uint8_t* down, const std::uint8_t* s, float d) {
  using scalar = simd::native<isa::portable>;
  float a = 0.f, b = 0.f;
  for (std::size_t i = 0; i < detail::super_block_size; ++i) {
    const float p = ternary_levels[down[i / 8]][level_of<iq1s_book>(codes[i / 8], i % 8)],
                q = scalar::unfused(p * static_cast<float>(2 * s[i / B::group_size] + 1)), wq = scalar::unfused(w[i] * q);
    a += scalar::unfused(wq * x[i]);
    b += scalar::unfused(wq * q);
  }
  return b > 0.f ? a / b : d;
}

/// Encodes `blocks` super-blocks; importance is null or has one value a weight.
template <class Isa, class B>
  requires ternary_format<B>
void encode_super_blocks(const float* x, std::size_t blocks, B* out, const float* importance) {
  using P = ternary_parameters<B>;
  constexpr std::size_t N = B::group_size, groups = detail::super_block_size / N, vectors = N / 8;
  const auto& tables = tables_of<Isa, iq1s_book>();
  ternary_groups<B> found;
  while (blocks > 0) {
    const std::size_t count = blocks < blocks_together ? blocks : blocks_together;
    prepare_ternary<Isa>(x, count, importance, found);
    cut_groups<Isa>(x, count * groups, found);
    for (std::size_t block = 0; block < count; ++block, x += detail::super_block_size, ++out) {
      float scales[groups], largest_scale = 0.f;
      std::uint8_t s[groups], down[32] = {};
      // a group of zeros, or without any importance, keeps level 0 and entry 0, whose code is 0
      std::uint16_t codes[32] = {}, entries[32] = {};
      for (std::size_t g = 0; g < groups; ++g) {
        float largest = 0.f;
        for (std::size_t i = g * N; i < g * N + N; ++i)
          largest = x[i] > largest ? x[i] : -x[i] > largest ? -x[i] : largest;
        scales[g] = 0.f;
        if (!(largest >= P::smallest) || found.first[block * groups + g] > N)
          continue;
        scales[g] = snap_group<Isa>(x + g * N, found, block * groups + g, codes + g * vectors, down + g * vectors);
        for (std::size_t k = g * vectors; k < (g + 1) * vectors; ++k)
          entries[k] = tables.lists[number_of<iq1s_book>(codes[k])].first;
        largest_scale = scales[g] > largest_scale ? scales[g] : largest_scale;
      }
      if (!(largest_scale > 0.f)) { // the reference has stored the entries by then
        out->assemble(f16(0.f), std::array<std::uint8_t, groups>{}.data(), entries, std::array<std::uint8_t, 32>{}.data());
        continue;
      }
      float d = round_odd_scales<7>(scales, groups, largest_scale, s);
      if constexpr (P::refits)
        d = refit_scale<B>(x, found.weight + block * detail::super_block_size, codes, down, s, d);
      out->assemble(f16(d * P::factor), s, entries, down);
    }
    importance = importance ? importance + count * detail::super_block_size : nullptr;
    blocks -= count;
  }
}

} // namespace quanta::encode
