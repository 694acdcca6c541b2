// The FP4 formats (mxfp4, nvfp4): scales from the largest magnitude, codes the nearest E2M1 value, the smaller one on ties.
#pragma once

#include "quanta/encode/runs.hpp"

namespace quanta::encode {

/// The exponent that puts the largest magnitude into 4 .. 8 times the scale; above 6 it saturates. 0 for zeros and whatever is
/// below 2^-125: those codes are 0.
[[gnu::always_inline]] constexpr std::uint8_t e8m0_of(float largest) {
  const std::uint32_t exponent = std::bit_cast<std::uint32_t>(largest) >> 23 & 0xFFu;
  return static_cast<std::uint8_t>(exponent < 2 ? 0 : exponent - 2);
}
/// The reference's rounding: three bits of fraction and half of the next one up, whatever follows; 248 and more become 448, the
/// largest; below 2^-6 in steps of 2^-9.
[[gnu::always_inline]] constexpr std::uint8_t ue4m3_of(float x) {
  if (!(x > 0.f))
    return 0;
  x = x < 448.f ? x : 448.f;
  if (x < 0x1p-6f) {
    const int m = static_cast<int>(simd::native<isa::portable>::unfused(x * 512.f) + 0.5f);
    return static_cast<std::uint8_t>(m < 7 ? m : 7);
  }
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(x), rounded = (bits >> 20) + (bits >> 19 & 1) - (120u << 3);
  return static_cast<std::uint8_t>(rounded < 15u << 3 ? rounded : 0x7Eu);
}

/// Codes of N values; scale: half of the block's, since the levels are doubled.
template <std::size_t N, class Isa>
[[gnu::always_inline]] inline void e2m1_codes(const float* x, float scale, float largest, std::uint8_t* codes) {
  if (largest > 0x1p20f * scale) { // a scale at the end of its range: differences round, and the first of equals counts
    for (std::size_t i = 0; i < N; ++i) {
      codes[i] = 0;
      float best = x[i] < 0.f ? -x[i] : x[i];
      for (std::uint8_t q = 1; q < 16 && scale > 0.f; ++q) {
        const float e = static_cast<float>(detail::e2m1_levels[q]) * scale - x[i], distance = e < 0.f ? -e : e;
        if (distance < best) {
          best = distance;
          codes[i] = q;
        }
      }
    }
    return;
  }
  using V = simd::vec<float, 16, Isa>;
  constexpr float midpoints[7] = {0.5f, 1.5f, 2.5f, 3.5f, 5.f, 7.f, 10.f};
  const V zero = simd::fill<V>(0.f), one = simd::fill<V>(1.f), eight = simd::fill<V>(8.f);
  for (std::size_t i = 0; i < N; i += 16) {
    const V v = simd::load<V>(x + i), m = simd::abs(v);
    V code = zero;
    simd::unroll<7>([&](auto k) __attribute__((always_inline)) {
      code = code + simd::select(m > simd::fill<V>(midpoints[k()] * scale), one, zero);
    });
    code = code + simd::select((v < zero) & (code > zero), eight, zero);
    simd::store_bytes(codes + i, simd::truncate(code));
  }
}

template <class Isa>
void encode_fp4(const float* x, std::size_t blocks, mxfp4* out) {
  using R = register_of<Isa>;
  constexpr std::size_t W = register_lanes<Isa>, N = mxfp4::block_size;
  while (blocks > 0) {
    const std::size_t count = blocks < W ? blocks : W;
    alignas(64) float largest[W];
    simd::store(largest, R(block_maxima<N, Isa>(x, count, magnitude_of)));
    for (std::size_t j = 0; j < count; ++j, x += N) {
      alignas(32) std::uint8_t codes[N];
      out[j].e = e8m0_of(largest[j]);
      e2m1_codes<N, Isa>(x, detail::halved_e8m0(out[j].e), 0.f, codes);
      out[j].assemble(codes);
    }
    out += count;
    blocks -= count;
  }
}

template <class Isa>
void encode_fp4(const float* x, std::size_t blocks, nvfp4* out) {
  using R = register_of<Isa>;
  constexpr std::size_t N = nvfp4::group_size, groups = nvfp4::block_size / N, W = register_lanes<Isa>;
  constexpr std::size_t together = W < groups ? groups : W; // groups looked at together: whole blocks
  while (blocks > 0) {
    const std::size_t count = blocks < together / groups ? blocks : together / groups;
    alignas(64) float largest[together];
    for (std::size_t g = 0; g < together; g += W)
      simd::store(largest + g, R(block_maxima<N, Isa>(x + g * N, g < count * groups ? count * groups - g : 0, magnitude_of)));
    for (std::size_t j = 0; j < count; ++j, x += nvfp4::block_size) {
      alignas(64) std::uint8_t codes[nvfp4::block_size];
      for (std::size_t g = 0; g < groups; ++g) {
        const float magnitude = largest[j * groups + g];
        out[j].scales[g] = ue4m3_of(magnitude / 6.f);
        e2m1_codes<N, Isa>(x + g * N, out[j].scale(g), magnitude, codes + g * N);
      }
      out[j].assemble(codes);
    }
    out += count;
    blocks -= count;
  }
}

} // namespace quanta::encode
