// The formats of one, two or three levels a weight (q1_0, q2_0, tq1_0, tq2_0): closed forms, a register of blocks at a time.
#pragma once

#include "quanta/encode/runs.hpp"

namespace quanta::encode {

template <class B>
concept absmax_ternary_format = std::same_as<B, q2_0> || std::same_as<B, tq1_0> || std::same_as<B, tq2_0>;

/// d = largest magnitude, levels -1, 0, 1 by rounding half away from zero.
template <class Isa, absmax_ternary_format B>
void encode_ternary(const float* x, std::size_t blocks, B* out) {
  using R = register_of<Isa>;
  constexpr std::size_t N = B::block_size, portion = portion_of<N, Isa>, W = N < 256 ? register_lanes<Isa> : 1;
  using V = simd::vec<float, portion, Isa>;
  const auto one = simd::fill<simd::vec<std::int32_t, portion, Isa>>(1);
  while (blocks > 0) {
    const std::size_t count = blocks < W ? blocks : W;
    alignas(64) float d[W], inverse[W];
    if constexpr (W > 1) {
      const R scale = block_maxima<N, Isa>(x, count, magnitude_of);
      simd::store(d, scale);
      simd::store(inverse, inverse_or_zero(scale));
    } else {
      d[0] = simd::lane_maximum(lane_maxima<V, N>(x, magnitude_of));
      inverse[0] = d[0] > 0x1p-128f ? 1.f / d[0] : 0.f;
    }
    for (std::size_t j = 0; j < count; ++j, x += N) {
      read_ahead<N>(x);
      alignas(64) std::uint8_t codes[N];
      simd::unroll<N / portion>([&](auto k) __attribute__((always_inline)) {
        const V scaled = simd::unfused(simd::load<V>(x + k() * portion) * simd::fill<V>(inverse[j]));
        simd::store_bytes(codes + k() * portion, simd::round_away(scaled) + one);
      });
      const f16 half = simd::narrow_to_half<Isa>(d[j]);
      if constexpr (detail::super_format<B>) {
        out[j].assemble(half, codes);
      } else {
        out[j].d = half;
        out[j].assemble(codes);
      }
    }
    out += count;
    blocks -= count;
  }
}

/// q1_0: d = mean magnitude, summed in index order as the reference adds; the bit is 1 for x >= 0.
template <class Isa>
void encode_signs(const float* x, std::size_t blocks, q1_0* out) {
  constexpr std::size_t N = q1_0::block_size;
  using V = simd::vec<float, 32, Isa>;
  while (blocks > 0) {
    const std::size_t count = blocks < blocks_together ? blocks : blocks_together;
    float sums[blocks_together];
    sums_in_order<N, Isa>(x, count, sums, magnitude_of);
    for (std::size_t j = 0; j < count; ++j, x += N) {
      read_ahead<N>(x);
      out[j].d = simd::narrow_to_half<Isa>(sums[j] / static_cast<float>(N));
      for (std::size_t run = 0; run < q1_0::runs; ++run) {
        const packed<std::uint32_t> word =
            static_cast<std::uint32_t>(simd::bits(simd::fill<V>(0.f) <= simd::load<V>(x + 32 * run)));
        std::memcpy(&out[j].qs[4 * run], &word, 4);
      }
    }
    out += count;
    blocks -= count;
  }
}

} // namespace quanta::encode
