// The affine K formats (q2_k, q4_k, q5_k) from numbers to blocks: groups in lanes, then the integers of each super-block,
// then the codes.
#pragma once

#include "quanta/encode/affine_search.hpp"
#include "quanta/encode/codes.hpp"
#include "quanta/encode/positive_search.hpp"
#include "quanta/encode/weights.hpp"
#include "quanta/formats.hpp"

namespace quanta::encode {

/// What the reference does for each affine format.
template <class B>
struct affine_parameters;
template <>
struct affine_parameters<q2_k> {
  static constexpr affine_grid plain{-0.5f, 0.1f, 15, true};
  static constexpr weighting weights = weighting::magnitude;
  static constexpr float variance_factor = 1.f;
  static constexpr int top_scale = 15;
};
template <>
struct affine_parameters<q4_k> {
  static constexpr affine_grid plain{-1.f, 0.1f, 20, false};
  static constexpr weighting weights = weighting::deviation;
  static constexpr float variance_factor = 2.f;
  static constexpr int top_scale = 63;
};
template <>
struct affine_parameters<q5_k> : affine_parameters<q4_k> {
  static constexpr affine_grid plain{-0.5f, 0.1f, 15, false};
};

/// The integers of one super-block.
struct super_block_integers {
  f16 d, dmin;
  std::uint8_t s[16], m[16];
};

/// Without importance: the largest scale becomes the top integer, the others are rounded.
template <std::size_t Groups, int Top>
[[gnu::always_inline]] inline f16 round_to_integers(const float* values, std::uint8_t* integers) {
  float largest = 0.f;
  for (std::size_t j = 0; j < Groups; ++j)
    largest = values[j] > largest ? values[j] : largest;
  const float inverse = largest > 0.f ? static_cast<float>(Top) / largest : 0.f;
  for (std::size_t j = 0; j < Groups; ++j) {
    const float level = simd::native<isa::portable>::round_even(inverse * values[j]);
    // a regression may end with a negative scale, which the format cannot hold
    const float bounded = level < static_cast<float>(Top) ? level : static_cast<float>(Top);
    integers[j] = static_cast<std::uint8_t>(bounded > 0.f ? bounded : 0.f);
  }
  return f16(largest / static_cast<float>(Top));
}

/// With importance: the search for positive numbers, 16 problems side by side (8 super-blocks, scales and minima).
template <std::size_t Groups, int Top, class Isa>
inline void search_integers(const float* scales, const float* minima, const float* weights, std::size_t count,
                            super_block_integers* out) {
  constexpr std::size_t L = lane_count<Isa> < 16 ? lane_count<Isa> : 16;
  using V = simd::vec<float, L, Isa>;
  for (std::size_t first = 0; first < 2 * blocks_together; first += L) {
    alignas(64) float xt[Groups * L], wt[Groups * L], codes[Groups * L], d[L];
    for (std::size_t j = 0; j < Groups; ++j)
      for (std::size_t lane = 0; lane < L; ++lane) {
        const std::size_t problem = first + lane, b = problem % blocks_together;
        const float* values = problem < blocks_together ? scales : minima;
        xt[j * L + lane] = b < count ? values[b * Groups + j] : 0.f;
        wt[j * L + lane] = b < count ? weights[b * Groups + j] : 0.f;
      }
    simd::store(d, search_positive<Groups, Top, V>(xt, wt, codes));
    for (std::size_t lane = 0; lane < L; ++lane) {
      const std::size_t problem = first + lane, b = problem % blocks_together;
      if (b >= count)
        continue;
      const bool is_scale = problem < blocks_together;
      (is_scale ? out[b].d : out[b].dmin) = f16(d[lane]);
      for (std::size_t j = 0; j < Groups; ++j) {
        const float code = codes[j * L + lane]; // below 0 where a regression ended with a negative scale
        (is_scale ? out[b].s : out[b].m)[j] = static_cast<std::uint8_t>(code > 0.f ? code : 0.f);
      }
    }
  }
}

/// Encodes `blocks` super-blocks; importance is null or has one value a weight.
template <class Isa, class B>
  requires(B::affine)
void encode_super_blocks(const float* x, std::size_t blocks, B* out, const float* importance) {
  using P = affine_parameters<B>;
  using V = lanes_of<Isa>;
  constexpr std::size_t N = B::group_size, groups = detail::super_block_size / N, L = simd::lanes<V>;
  constexpr int top = B::levels - 1;
  for (; blocks > 0;) {
    const std::size_t count = blocks < blocks_together ? blocks : blocks_together, group_count = count * groups;
    constexpr std::size_t capacity = blocks_together * groups;
    alignas(64) float scale[capacity], minimum[capacity], t[capacity], base[capacity], weight[capacity];
    float variance[blocks_together] = {};
    if (importance) {
      sums_of_squares<detail::super_block_size, Isa>(x, count, variance);
      for (float& v : variance)
        v = P::variance_factor * v / static_cast<float>(detail::super_block_size);
    }
    for (std::size_t g = 0; g < group_count; g += L) {
      alignas(64) float xt[N * L], wt[N * L];
      transpose_groups<N, L, Isa>(x + g * N, N, group_count - g, xt);
      affine_fit<V> fit;
      if (importance) {
        alignas(64) float lane_variance[L];
        for (std::size_t lane = 0; lane < L; ++lane)
          lane_variance[lane] = variance[(g + lane) / groups % blocks_together];
        transpose_groups<N, L, Isa>(importance + g * N, N, group_count - g, wt);
        simd::store(weight + g, importance_weights<N>(xt, simd::load<V>(lane_variance), wt));
        fit = search_affine<N, top, importance_grid, V>(xt, wt);
      } else {
        plain_weights<N, P::weights, V>(xt, wt);
        fit = search_affine<N, top, P::plain, V>(xt, wt);
      }
      simd::store(scale + g, fit.scale);
      simd::store(minimum + g, simd::fill<V>(0.f) - fit.minimum);
      simd::store(t + g, fit.t);
      simd::store(base + g, fit.base);
    }
    super_block_integers integers[blocks_together];
    if (importance)
      search_integers<groups, P::top_scale, Isa>(scale, minimum, weight, count, integers);
    for (std::size_t b = 0; b < count; ++b) {
      super_block_integers& i = integers[b];
      if (!importance) {
        i.d = round_to_integers<groups, P::top_scale>(scale + b * groups, i.s);
        i.dmin = round_to_integers<groups, P::top_scale>(minimum + b * groups, i.m);
      }
      const float d = static_cast<float>(i.d), dmin = static_cast<float>(i.dmin);
      alignas(64) std::uint8_t codes[detail::super_block_size];
      for (std::size_t j = 0; j < groups; ++j) {
        const std::size_t g = b * groups + j;
        affine_codes<N, top, Isa>(x + g * N, d * static_cast<float>(i.s[j]), dmin * static_cast<float>(i.m[j]), t[g], base[g],
                                  codes + j * N);
      }
      out[b].assemble(i.d, i.dmin, i.s, i.m, codes);
    }
    x += count * detail::super_block_size;
    importance = importance ? importance + count * detail::super_block_size : nullptr;
    out += count;
    blocks -= count;
  }
}

} // namespace quanta::encode
