// The symmetric K formats (q3_k, q6_k) from numbers to blocks.
#pragma once

#include "quanta/encode/codes.hpp"
#include "quanta/encode/symmetric_search.hpp"
#include "quanta/encode/weights.hpp"
#include "quanta/formats.hpp"

namespace quanta::encode {

/// What the searches found out about the groups of some super-blocks.
struct symmetric_groups {
  static constexpr std::size_t capacity = blocks_together * 16, group_size = 16;
  alignas(64) float scale[capacity], t[capacity], weight[capacity];
  /// Codes (less the lowest) of a search that has no t.
  alignas(64) std::uint8_t codes[capacity * group_size];
};

/// q3_k: the reference descends on the codes without importance, and searches scales with it.
template <class Isa>
inline void search_groups(q3_k, const float* x, std::size_t blocks, const float* importance, symmetric_groups& found) {
  using V = lanes_of<Isa>;
  constexpr std::size_t N = q3_k::group_size, groups = 16, L = simd::lanes<V>;
  float variance[blocks_together] = {};
  if (importance) {
    sums_of_squares<detail::super_block_size, Isa>(x, blocks, variance);
    for (float& v : variance)
      v = 2.f * v / static_cast<float>(detail::super_block_size);
  }
  for (std::size_t g = 0; g < blocks * groups; g += L) {
    alignas(64) float xt[N * L], wt[N * L];
    transpose_groups<N, L, Isa>(x + g * N, N, blocks * groups - g, xt);
    if (importance) {
      alignas(64) float lane_variance[L];
      for (std::size_t lane = 0; lane < L; ++lane)
        lane_variance[lane] = variance[(g + lane) / groups % blocks_together];
      transpose_groups<N, L, Isa>(importance + g * N, N, blocks * groups - g, wt);
      simd::store(found.weight + g, importance_weights<N>(xt, simd::load<V>(lane_variance), wt));
      const auto fit = search_symmetric<N, 4, V>(xt, wt);
      simd::store(found.scale + g, fit.scale);
      simd::store(found.t + g, fit.t);
    } else {
      simd::store(found.scale + g, descend_symmetric<N, 4, V>(xt, wt));
      transpose_groups<L, N, Isa>(wt, L, N, xt); // lanes are groups again
      using group = simd::vec<float, N, Isa>;
      const auto half = simd::fill<simd::vec<std::int32_t, N, Isa>>(4);
      for (std::size_t lane = 0; lane < L; ++lane)
        simd::store_bytes(&found.codes[(g + lane) * N], simd::truncate(simd::load<group>(xt + lane * N)) + half);
    }
  }
}
template <class Isa>
inline void search_groups(q6_k, const float* x, std::size_t blocks, const float* importance, symmetric_groups& found) {
  using V = lanes_of<Isa>;
  constexpr std::size_t N = q6_k::group_size, groups = 16, L = simd::lanes<V>;
  for (std::size_t g = 0; g < blocks * groups; g += L) {
    alignas(64) float xt[N * L], wt[N * L];
    transpose_groups<N, L, Isa>(x + g * N, N, blocks * groups - g, xt);
    if (importance)
      transpose_groups<N, L, Isa>(importance + g * N, N, blocks * groups - g, wt);
    else
      plain_weights<N, weighting::square, V>(xt, wt);
    const auto fit = search_symmetric<N, 32, V>(xt, wt);
    simd::store(found.scale + g, fit.scale);
    simd::store(found.t + g, fit.t);
  }
}

/// Integers -Half .. Top for 16 scales, the extreme one becoming -Half; returns d.
template <int Half, int Top, class Isa>
[[gnu::always_inline]] inline f16 round_scales(const float* scales, float extreme, std::int8_t* integers) {
  using V = simd::vec<float, 16, Isa>;
  const float t = static_cast<float>(-Half) / extreme;
  const V level = simd::round_even(simd::unfused(simd::fill<V>(t) * simd::load<V>(scales)));
  const V bounded = simd::min(simd::fill<V>(static_cast<float>(Top)), level); // Top for the NaN of 0 * inf, too
  simd::store_bytes(integers, simd::truncate(simd::max(bounded, simd::fill<V>(static_cast<float>(-Half)))));
  return simd::narrow_to_half<Isa>(1.f / t);
}

/// q3_k: integers -32 .. 31; a super-block without scales has the lowest ones.
template <class Isa>
[[gnu::always_inline]] inline f16 choose_scales(q3_k, const float* scales, std::int8_t* integers) {
  const float extreme = first_extreme<16, Isa>(scales);
  if (extreme != 0.f)
    return round_scales<32, 31, Isa>(scales, extreme, integers);
  for (std::size_t j = 0; j < 16; ++j)
    integers[j] = -32;
  return f16(0.f);
}
template <class Isa>
[[gnu::always_inline]] inline f16 choose_scales(q6_k, const float* scales, std::int8_t* integers) {
  return round_scales<128, 127, Isa>(scales, first_extreme<16, Isa>(scales), integers);
}

/// q3_k with importance: the scales of 8 super-blocks are searched side by side, each weighing the sum of its weights.
struct searched_scales {
  f16 d[blocks_together];
  std::int8_t s[blocks_together][16];
};
template <class Isa>
inline void search_scales(const symmetric_groups& found, std::size_t count, searched_scales& out) {
  using V = simd::vec<float, blocks_together, Isa>;
  alignas(64) float xt[16 * blocks_together], wt[16 * blocks_together], d[blocks_together];
  for (std::size_t j = 0; j < 16; ++j)
    for (std::size_t b = 0; b < blocks_together; ++b) {
      xt[j * blocks_together + b] = b < count ? found.scale[b * 16 + j] : 0.f;
      wt[j * blocks_together + b] = b < count ? found.weight[b * 16 + j] : 0.f;
    }
  const auto fit = search_symmetric<16, 32, V>(xt, wt);
  simd::store(d, fit.scale);
  const V low = simd::fill<V>(-32.f), zero = simd::fill<V>(0.f);
  for (std::size_t j = 0; j < 16; ++j) {
    const V level = nearest_level<-32, 31>(simd::unfused(fit.t * simd::load<V>(xt + j * blocks_together)));
    float integer[blocks_together];
    simd::store(integer, simd::select(fit.t == zero, low, level));
    for (std::size_t b = 0; b < count; ++b)
      out.s[b][j] = static_cast<std::int8_t>(integer[b]);
  }
  for (std::size_t b = 0; b < count; ++b)
    out.d[b] = f16(d[b]);
}

/// Encodes `blocks` super-blocks; importance is null or has one value a weight.
template <class Isa, class B>
  requires(!B::affine && B::levels > 0)
void encode_super_blocks(const float* x, std::size_t blocks, B* out, const float* importance) {
  constexpr std::size_t N = B::group_size, groups = 16;
  constexpr int half = B::levels / 2;
  symmetric_groups found;
  while (blocks > 0) {
    const std::size_t count = blocks < blocks_together ? blocks : blocks_together;
    search_groups<Isa>(B{}, x, count, importance, found);
    [[maybe_unused]] searched_scales searched;
    const bool scales_searched = std::same_as<B, q3_k> && importance;
    if constexpr (std::same_as<B, q3_k>)
      if (scales_searched)
        search_scales<Isa>(found, count, searched);
    for (std::size_t b = 0; b < count; ++b) {
      const float* scales = found.scale + b * groups;
      if constexpr (std::same_as<B, q6_k>) { // nothing to scale: the reference writes zero bytes
        const float extreme = first_extreme<16, Isa>(scales);
        if ((extreme < 0.f ? -extreme : extreme) < 1e-15f) {
          out[b] = B{};
          continue;
        }
      }
      std::int8_t chosen[16];
      const f16 half_d = scales_searched ? searched.d[b] : choose_scales<Isa>(B{}, scales, chosen);
      const std::int8_t* s = scales_searched ? searched.s[b] : chosen;
      const float d = simd::widen_half<Isa>(half_d);
      alignas(64) std::uint8_t codes[detail::super_block_size];
      for (std::size_t j = 0; j < groups; ++j) {
        const std::size_t g = b * groups + j;
        const float scale = d * static_cast<float>(s[j]);
        const bool kept = std::same_as<B, q3_k> && !importance && scale == 0.f;
        if (kept)
          std::memcpy(codes + j * N, found.codes + g * N, N);
        else
          symmetric_codes<N, half, Isa>(x + g * N, scale, importance || std::same_as<B, q6_k> ? found.t[g] : 0.f,
                                        codes + j * N);
      }
      out[b].assemble(half_d, s, codes);
    }
    x += count * detail::super_block_size;
    importance = importance ? importance + count * detail::super_block_size : nullptr;
    out += count;
    blocks -= count;
  }
}

} // namespace quanta::encode
