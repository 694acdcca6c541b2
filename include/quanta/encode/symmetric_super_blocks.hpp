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
      for (std::size_t lane = 0; lane < L; ++lane)
        for (std::size_t i = 0; i < N; ++i)
          found.codes[(g + lane) * N + i] = static_cast<std::uint8_t>(static_cast<int>(wt[i * L + lane]) + 4);
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

/// The first scale of largest magnitude among 16.
inline float extreme_scale(const float* scales) {
  float extreme = 0.f, magnitude = 0.f;
  for (std::size_t j = 0; j < 16; ++j) {
    const float a = scales[j] < 0.f ? -scales[j] : scales[j];
    if (a > magnitude) {
      magnitude = a;
      extreme = scales[j];
    }
  }
  return extreme;
}
/// Integers -Half .. Top for 16 scales, the extreme one becoming -Half; returns d.
template <int Half, int Top>
inline f16 round_scales(const float* scales, float extreme, std::int8_t* integers) {
  const float t = static_cast<float>(-Half) / extreme;
  for (std::size_t j = 0; j < 16; ++j) {
    const float level = simd::native<isa::portable>::round_even(t * scales[j]);
    const float bounded = level > static_cast<float>(Top) ? static_cast<float>(Top) : level;
    integers[j] = static_cast<std::int8_t>(bounded < static_cast<float>(-Half) ? static_cast<float>(-Half) : bounded);
  }
  return f16(1.f / t);
}

/// q3_k: integers -32 .. 31; a super-block without scales has the lowest ones.
template <class Isa>
inline f16 choose_scales(q3_k, const float* scales, const float* weights, std::int8_t* integers) {
  if (weights) {
    using V = simd::vec<float, 1, isa::portable>;
    const auto fit = search_symmetric<16, 32, V>(scales, weights);
    for (std::size_t j = 0; j < 16; ++j)
      integers[j] = static_cast<std::int8_t>(
          fit.t.v[0] == 0.f ? -32.f
                            : nearest_level(simd::unfused(V{fit.t.v[0] * scales[j]}), V{-32.f}, V{31.f}).v[0]);
    return f16(fit.scale.v[0]);
  }
  const float extreme = extreme_scale(scales);
  if (extreme != 0.f)
    return round_scales<32, 31>(scales, extreme, integers);
  for (std::size_t j = 0; j < 16; ++j)
    integers[j] = -32;
  return f16(0.f);
}
template <class Isa>
inline f16 choose_scales(q6_k, const float* scales, const float*, std::int8_t* integers) {
  return round_scales<128, 127>(scales, extreme_scale(scales), integers);
}

/// Encodes `blocks` super-blocks; importance is null or has one value a weight.
template <class Isa, class B>
  requires(!B::affine)
void encode_super_blocks(const float* x, std::size_t blocks, B* out, const float* importance) {
  constexpr std::size_t N = B::group_size, groups = 16;
  constexpr int half = B::levels / 2;
  symmetric_groups found;
  while (blocks > 0) {
    const std::size_t count = blocks < blocks_together ? blocks : blocks_together;
    search_groups<Isa>(B{}, x, count, importance, found);
    for (std::size_t b = 0; b < count; ++b) {
      const float* scales = found.scale + b * groups;
      if constexpr (std::same_as<B, q6_k>) { // nothing to scale: the reference writes zero bytes
        const float extreme = extreme_scale(scales);
        if ((extreme < 0.f ? -extreme : extreme) < 1e-15f) {
          out[b] = B{};
          continue;
        }
      }
      std::int8_t s[16];
      const f16 half_d = choose_scales<Isa>(B{}, scales, importance ? found.weight + b * groups : nullptr, s);
      const float d = static_cast<float>(half_d);
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
