// The encoder of formats that bring none of their own: the searches find a scale (and minimum) for each group, the block rounds
// them as it stores them, and the codes are then the nearest to what the block will decode to.
#pragma once

#include "quanta/encode/affine_search.hpp"
#include "quanta/encode/symmetric_search.hpp"
#include "quanta/runs.hpp"

namespace quanta::encode {

/// What a block has to take from the encoder: `levels` (codes 0 .. levels - 1), `set_scales(scale, minimum)` with one float a
/// group, and `set_codes(codes)` with one byte a value, in order.
template <class B>
concept equation_format = block_format<B> && requires(B block, const float* factors, const std::uint8_t* codes) {
  { B::levels } -> std::convertible_to<int>;
  block.set_scales(factors, factors);
  block.set_codes(codes);
};

/// Groups in lanes, fewer of them where groups are long, so that the transposed copies stay in the first-level cache.
template <std::size_t N, class Isa>
inline constexpr std::size_t lanes_for = lane_count<Isa> * N <= 2048          ? lane_count<Isa>
                                         : 2048 / N > register_lanes<Isa> ? 2048 / N
                                                                            : register_lanes<Isa>;

/// The codes of one group, the nearest to what it decodes to; all zero weights where the scale is 0.
template <class Isa, class B>
[[gnu::always_inline]] inline void nearest_codes(const B& block, std::size_t g, const float* x, std::uint8_t* codes) {
  using V = simd::vec<float, 16, Isa>;
  const float scale = block.scale(g), minimum = B::affine ? block.minimum(g) : 0.f;
  const V low = simd::fill<V>(0.f), high = simd::fill<V>(static_cast<float>(B::levels - 1));
  const V offset = simd::fill<V>(static_cast<float>(B::code_offset));
  for (std::size_t i = 0; i < B::group_size; i += 16) {
    const V v = simd::load<V>(x + i);
    const V level = scale != 0.f ? (v + simd::fill<V>(minimum)) / simd::fill<V>(scale) + offset : offset;
    simd::store_bytes(codes + i, simd::truncate(nearest_level(level, low, high)));
  }
}

/// Encodes `blocks` blocks with the least error weighed by the importance (null: all values alike).
template <class Isa, equation_format B>
void encode_by_equation(const float* x, std::size_t blocks, B* out, const float* importance) {
  constexpr std::size_t N = B::group_size, groups = B::block_size / N, L = lanes_for<N, Isa>;
  using V = simd::vec<float, L, Isa>;
  static_assert(N % 16 == 0 && B::levels >= 2 && B::levels <= 256);
  static_assert(B::affine ? B::code_offset == 0 : B::code_offset > 0 && B::code_offset < B::levels);
  constexpr std::size_t together = groups < L ? L / groups : 1, capacity = (together * groups + L - 1) / L * L;
  while (blocks > 0) {
    const std::size_t count = blocks < together ? blocks : together;
    alignas(64) float scale[capacity], minimum[capacity] = {};
    for (std::size_t g = 0; g < count * groups; g += L) {
      alignas(64) float xt[N * L], wt[N * L];
      transpose_groups<N, L, Isa>(x + g * N, N, count * groups - g, xt);
      if (importance)
        transpose_groups<N, L, Isa>(importance + g * N, N, count * groups - g, wt);
      else
        for (float& w : wt)
          w = 1.f;
      if constexpr (B::affine) {
        const auto fit = search_affine<N, B::levels - 1, importance_grid, V>(xt, wt);
        simd::store(scale + g, fit.scale);
        simd::store(minimum + g, simd::fill<V>(0.f) - fit.minimum);
      } else {
        simd::store(scale + g, search_symmetric<N, B::code_offset, V, B::levels - 1 - B::code_offset>(xt, wt).scale);
      }
    }
    for (std::size_t b = 0; b < count; ++b, x += B::block_size) {
      alignas(64) std::uint8_t codes[B::block_size];
      out[b].set_scales(scale + b * groups, minimum + b * groups);
      for (std::size_t g = 0; g < groups; ++g)
        nearest_codes<Isa>(out[b], g, x + g * N, codes + g * N);
      out[b].set_codes(codes);
    }
    importance = importance ? importance + count * B::block_size : nullptr;
    out += count;
    blocks -= count;
  }
}

} // namespace quanta::encode
