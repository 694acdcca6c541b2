// The FP4 formats (mxfp4, nvfp4): scales from the largest magnitude, codes the nearest E2M1 value, the smaller one on ties.
#pragma once

#include "quanta/encode/runs.hpp"

namespace quanta::encode {

/// The exponent that puts the largest magnitude into 4 .. 8 times the scale; above 6 it saturates. 0 for zeros and whatever is
/// below 2^-125: those codes are 0.
template <std::size_t W, class Isa>
[[gnu::always_inline]] inline simd::vec<std::int32_t, W, Isa> e8m0_of(const simd::vec<float, W, Isa>& largest) {
  using I = simd::vec<std::int32_t, W, Isa>;
  return simd::max(simd::shift_right<23>(std::bit_cast<I>(largest)) - simd::fill<I>(2), simd::fill<I>(0));
}
/// The reference's rounding: three bits of fraction and half of the next one up, whatever follows; 248 and more become 448, the
/// largest; below 2^-6 in steps of 2^-9.
template <std::size_t W, class Isa>
[[gnu::always_inline]] inline simd::vec<std::int32_t, W, Isa> ue4m3_of(const simd::vec<float, W, Isa>& x) {
  using V = simd::vec<float, W, Isa>;
  using I = simd::vec<std::int32_t, W, Isa>;
  const auto bits = std::bit_cast<I>(x);
  const I rounded = simd::shift_right<20>(bits) + (simd::shift_right<19>(bits) & simd::fill<I>(1)) - simd::fill<I>(120 << 3);
  const I large = simd::select(rounded < simd::fill<I>(15 << 3), rounded, simd::fill<I>(0x7E));
  const I small = simd::truncate(simd::unfused(x * simd::fill<V>(512.f)) + simd::fill<V>(0.5f));
  return simd::select(bits < simd::fill<I>(std::bit_cast<std::int32_t>(0x1p-6f)), simd::min(small, simd::fill<I>(7)), large);
}

/// The half of a scale below 448, exactly as `detail::halved_ue4m3` reads it.
template <std::size_t W, class Isa>
[[gnu::always_inline]] inline simd::vec<float, W, Isa> halved_ue4m3(const simd::vec<std::int32_t, W, Isa>& code) {
  using V = simd::vec<float, W, Isa>;
  using I = simd::vec<std::int32_t, W, Isa>;
  const V small = simd::to_float(code) * simd::fill<V>(0x1p-10f);
  const I large = simd::shift_left<20>(code + simd::fill<I>(119 << 3));
  return std::bit_cast<V>(simd::select(code < simd::fill<I>(8), std::bit_cast<I>(small), large));
}

/// Halved scales of groups, since the levels are doubled, as the codes need them.
template <std::size_t Groups>
struct fp4_groups {
  alignas(64) float scale[Groups], inverse[Groups];
  std::uint64_t plain = 0; ///< one bit a group: midpoints times the scale are exact or rounded once, the inverse is finite

  template <class R>
  [[gnu::always_inline]] void set(std::size_t first, const R& halved, const R& largest) {
    simd::store(scale + first, halved);
    simd::store(inverse + first, inverse_or_zero(halved)); // 0 for zeros: 0 times infinity would have no code
    const auto in_range = (largest <= halved * simd::fill<R>(0x1p20f)) & (simd::fill<R>(0x1p-126f) <= halved);
    plain |= simd::bits(in_range | (largest == simd::fill<R>(0.f))) << first;
  }
};

/// The codes where a scale is at the end of its range: differences round, and the first of equals counts.
template <std::size_t N, class Isa>
[[gnu::noinline]] inline void e2m1_codes_by_distance(const float* x, float scale, std::uint8_t* codes) {
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
}
/// For a magnitude of about k to k + 1 scales: the midpoint of levels that is near, and 1.5 * 2^23 plus the code below it. The
/// next midpoint is at least one scale away, so that it does not matter on which side of k rounding has put the magnitude.
inline constexpr std::array<float, 16> e2m1_midpoints{.5f,  1.5f, 2.5f, 3.5f, 5.f,  5.f,  7.f,  7.f,
                                                      10.f, 10.f, 10.f, 10.f, 10.f, 10.f, 10.f, 10.f};
inline constexpr std::array<float, 16> e2m1_codes_below = [] {
  std::array<float, 16> codes{};
  constexpr int below[16] = {0, 1, 2, 3, 4, 4, 5, 5, 6, 6, 6, 6, 6, 6, 6, 6};
  for (std::size_t k = 0; k < 16; ++k)
    codes[k] = 12582912.f + static_cast<float>(below[k]);
  return codes;
}();
/// Codes of 16 values; inverse: about 1 / scale.
template <class Isa>
[[gnu::always_inline]] inline simd::vec<std::int32_t, 16, Isa> e2m1_code(const simd::vec<float, 16, Isa>& v,
                                                                         const simd::vec<float, 16, Isa>& scale,
                                                                         const simd::vec<float, 16, Isa>& inverse) {
  using V = simd::vec<float, 16, Isa>;
  using I = simd::vec<std::int32_t, 16, Isa>;
  const V m = simd::abs(v);
  const I near = simd::truncate(simd::min(simd::fill<V>(15.f), m * inverse));
  const V midpoint = simd::look_up_floats<4>(e2m1_midpoints.data(), near) * scale;
  const V above = simd::select(m > midpoint, simd::fill<V>(1.f), simd::fill<V>(0.f));
  const I code = std::bit_cast<I>(simd::look_up_floats<4>(e2m1_codes_below.data(), near) + above);
  // the sign, unless the code is 0: only codes from 1 on have bit 3 when 7 is added
  const I sign = simd::shift_right<28>(std::bit_cast<I>(v)) & (code + simd::fill<I>(7)) & simd::fill<I>(8);
  return (code & simd::fill<I>(7)) | sign;
}

template <class Isa>
void encode_fp4(const float* x, std::size_t blocks, mxfp4* out) {
  using V = simd::vec<float, 16, Isa>;
  constexpr std::size_t W = register_lanes<Isa>, N = mxfp4::block_size;
  while (blocks > 0) {
    const std::size_t count = blocks < W ? blocks : W;
    alignas(64) std::int32_t exponents[W];
    fp4_groups<W> groups;
    const auto largest = block_maxima<N, Isa>(x, count, magnitude_of);
    const auto e = e8m0_of(largest);
    simd::store(exponents, e);
    groups.set(0, detail::halved_e8m0(e), largest);
    for (std::size_t j = 0; j < count; ++j, x += N) {
      read_ahead<N>(x);
      out[j].e = static_cast<std::uint8_t>(exponents[j]);
      if (groups.plain >> j & 1) {
        const V scale = simd::fill<V>(groups.scale[j]), inverse = simd::fill<V>(groups.inverse[j]);
        simd::store_nibbles(out[j].qs.data(), e2m1_code<Isa>(simd::load<V>(x), scale, inverse),
                            e2m1_code<Isa>(simd::load<V>(x + 16), scale, inverse));
      } else {
        alignas(32) std::uint8_t codes[N];
        e2m1_codes_by_distance<N, Isa>(x, groups.scale[j], codes);
        out[j].assemble(codes);
      }
    }
    out += count;
    blocks -= count;
  }
}

template <class Isa>
void encode_fp4(const float* x, std::size_t blocks, nvfp4* out) {
  using R = register_of<Isa>;
  using V = simd::vec<float, 16, Isa>;
  using half = simd::vec<float, 8, Isa>;
  constexpr std::size_t N = nvfp4::group_size, groups_a_block = nvfp4::block_size / N, W = register_lanes<Isa>;
  // groups looked at together: whole blocks, and two registers, so that their divisions overlap
  constexpr std::size_t together = 2 * W < groups_a_block ? groups_a_block : 2 * W;
  while (blocks > 0) {
    const std::size_t count = blocks < together / groups_a_block ? blocks : together / groups_a_block;
    alignas(64) std::int32_t scales[together];
    fp4_groups<together> groups;
    for (std::size_t g = 0; g < together; g += W) {
      const std::size_t left = g < count * groups_a_block ? count * groups_a_block - g : 0;
      const R largest = block_maxima<N, Isa>(x + g * N, left, magnitude_of);
      const auto code = ue4m3_of(largest / simd::fill<R>(6.f));
      simd::store(scales + g, code);
      groups.set(g, halved_ue4m3(code), largest);
    }
    for (std::size_t j = 0; j < count; ++j, x += nvfp4::block_size) {
      read_ahead<nvfp4::block_size>(x);
      const std::size_t first = j * groups_a_block;
      for (std::size_t k = 0; k < groups_a_block; ++k)
        out[j].scales[k] = static_cast<std::uint8_t>(scales[first + k]);
      if ((groups.plain >> first & 15) == 15) {
        // byte 8 k + i holds values i and i + 8 of group k: halves of two groups side by side
        for (std::size_t k = 0; k < groups_a_block; k += 2) {
          const auto both = [](float low, float high) __attribute__((always_inline)) {
            return simd::join<Isa>(simd::fill<half>(low), simd::fill<half>(high));
          };
          const auto values = [&](std::size_t from) __attribute__((always_inline)) {
            return simd::join<Isa>(simd::load<half>(x + N * k + from), simd::load<half>(x + N * (k + 1) + from));
          };
          const auto scale = both(groups.scale[first + k], groups.scale[first + k + 1]);
          const auto inverse = both(groups.inverse[first + k], groups.inverse[first + k + 1]);
          simd::store_nibbles(&out[j].qs[8 * k], e2m1_code<Isa>(values(0), scale, inverse),
                              e2m1_code<Isa>(values(8), scale, inverse));
        }
      } else {
        alignas(64) std::uint8_t codes[nvfp4::block_size];
        for (std::size_t k = 0; k < groups_a_block; ++k) {
          const V scale = simd::fill<V>(groups.scale[first + k]), inverse = simd::fill<V>(groups.inverse[first + k]);
          if (groups.plain >> (first + k) & 1)
            simd::store_bytes(codes + N * k, e2m1_code<Isa>(simd::load<V>(x + N * k), scale, inverse));
          else
            e2m1_codes_by_distance<N, Isa>(x + N * k, groups.scale[first + k], codes + N * k);
        }
        out[j].assemble(codes);
      }
    }
    out += count;
    blocks -= count;
  }
}

} // namespace quanta::encode
