// The formats of 32-value runs from numbers to blocks. Without importance in closed form, a register of blocks at a time;
// with importance by the searches, one lane a block.
#pragma once

#include <limits>

#include "quanta/encode/affine_search.hpp"
#include "quanta/encode/codes.hpp"
#include "quanta/encode/symmetric_search.hpp"
#include "quanta/encode/weights.hpp"
#include "quanta/formats.hpp"

namespace quanta::encode {

/// How many values of a block of N are worked on together where any number would do: one wide register, since GCC keeps pairs
/// of them in memory, or what compilers make vectors of at the portable level.
template <std::size_t N, class Isa>
inline constexpr std::size_t portion_of = register_lanes<Isa> > 1 || N % 32 != 0 ? 16 : 32;

/// The first value of a block that equals `wanted` under `seen_as`; the block has one.
template <std::size_t N, class Isa, class F>
[[gnu::always_inline]] inline float first_equal(const float* x, float wanted, F seen_as) {
  constexpr std::size_t W = N % 32 == 0 ? 32 : 16;
  using V = simd::vec<float, W, Isa>;
  for (std::size_t i = 0; i < N; i += W) {
    const std::uint64_t hits = simd::bits(seen_as(simd::load<V>(x + i)) == simd::fill<V>(wanted));
    if (hits != 0)
      return x[i + static_cast<std::size_t>(std::countr_zero(hits))];
  }
  return x[0]; // only where x has a NaN
}

// Loops over registers are unrolled here and not by the compiler: at -O2 GCC would keep them, and the registers in memory.

/// The largest values of N under `seen_as`, lane by lane.
template <class V, std::size_t N, class F>
[[gnu::always_inline]] inline V lane_maxima(const float* x, F seen_as) {
  V row = seen_as(simd::load<V>(x));
  simd::unroll<N / simd::lanes<V> - 1>([&](auto i) __attribute__((always_inline)) {
    row = simd::max(row, seen_as(simd::load<V>(x + (i() + 1) * simd::lanes<V>)));
  });
  return row;
}
/// Lane j: the largest of `seen_as` over block j of N values each; lanes from `count` on are those of zeros.
template <std::size_t N, class Isa, class F>
[[gnu::always_inline]] inline register_of<Isa> block_maxima(const float* x, std::size_t count, F seen_as) {
  using R = register_of<Isa>;
  constexpr std::size_t W = register_lanes<Isa>;
  if constexpr (N >= 256) { // few blocks come together: most lanes of a register of rows would be empty
    using V = simd::vec<float, 16, Isa>;
    alignas(64) float maxima[W] = {};
    for (std::size_t j = 0; j < W && j < count; ++j)
      maxima[j] = simd::lane_maximum(lane_maxima<V, N>(x + j * N, seen_as));
    return simd::load<R>(maxima);
  } else {
    R rows[W];
    if (count >= W) [[likely]] {
      simd::unroll<W>([&](auto j)
                          __attribute__((always_inline)) { rows[j()] = lane_maxima<R, N>(x + j() * N, seen_as); });
      return simd::row_maxima(rows);
    }
    for (std::size_t j = 0; j < W; ++j)
      rows[j] = j < count ? lane_maxima<R, N>(x + j * N, seen_as) : simd::fill<R>(0.f);
    return simd::row_maxima(rows);
  }
}

inline constexpr auto magnitude_of = [](const auto& v) __attribute__((always_inline)) { return simd::abs(v); };
inline constexpr auto value_of = [](const auto& v) __attribute__((always_inline)) { return v; };
inline constexpr auto negative_of = [](const auto& v) __attribute__((always_inline)) {
  return simd::fill<std::remove_cvref_t<decltype(v)>>(0.f) - v;
};

/// 1 / d, or 0 where d is 0 or so small that the quotient overflows: the half of such a scale is 0 anyway.
template <class V>
[[gnu::always_inline]] inline V inverse_or_zero(const V& d) {
  return simd::select(simd::abs(d) > simd::fill<V>(0x1p-128f), simd::fill<V>(1.f) / d, simd::fill<V>(0.f));
}

/// The largest value of each block and its smallest one, negated.
template <class R>
struct block_ranges {
  R high, negative_low;
};
template <std::size_t N, class Isa>
[[gnu::always_inline]] inline block_ranges<register_of<Isa>> ranges_of_blocks(const float* x, std::size_t count) {
  return {block_maxima<N, Isa>(x, count, value_of), block_maxima<N, Isa>(x, count, negative_of)};
}
/// Lane j: again(j) where `doubtful` holds, else r's. Doubt is rare, and a branch cheaper than searching in every block.
template <class R, class M, class F>
[[gnu::always_inline]] inline R resolve(const R& r, const M& doubtful, std::size_t count, F again) {
  if (!simd::any(doubtful)) [[likely]]
    return r;
  alignas(64) float lanes[simd::lanes<R>];
  simd::store(lanes, r);
  for (std::uint64_t hits = simd::bits(doubtful); hits != 0; hits &= hits - 1)
    if (const auto j = static_cast<std::size_t>(std::countr_zero(hits)); j < count)
      lanes[j] = again(j);
  return simd::load<R>(lanes);
}
/// The value of largest magnitude of each block, the first of equals: only where the largest and the smallest are as far from
/// 0 do we have to look.
template <std::size_t N, class Isa>
[[gnu::always_inline]] inline register_of<Isa> block_extremes(const float* x, std::size_t count) {
  using R = register_of<Isa>;
  if constexpr (simd::lanes<R> == 1) {
    float magnitude;
    simd::store(&magnitude, block_maxima<N, Isa>(x, count, magnitude_of));
    return simd::fill<R>(first_equal<N, Isa>(x, magnitude, magnitude_of));
  }
  const auto ranges = ranges_of_blocks<N, Isa>(x, count);
  const R extreme = simd::select(ranges.negative_low > ranges.high, simd::fill<R>(0.f) - ranges.negative_low, ranges.high);
  alignas(64) float magnitude[simd::lanes<R>];
  return resolve(extreme, ranges.negative_low == ranges.high, count, [&](std::size_t j) {
    simd::store(magnitude, ranges.high);
    return first_equal<N, Isa>(x + j * N, magnitude[j], magnitude_of);
  });
}

/// The same of one long block, without a round trip through memory.
template <std::size_t N, class Isa>
[[gnu::always_inline]] inline float block_extreme(const float* x) {
  using V = simd::vec<float, 16, Isa>;
  V high = simd::load<V>(x), low = high;
  for (std::size_t i = 16; i < N; i += 16) {
    const V v = simd::load<V>(x + i);
    high = simd::max(high, v);
    low = simd::min(low, v);
  }
  const float most = simd::lane_maximum(high), least = simd::lane_minimum(low);
  if (most == -least) [[unlikely]]
    return first_equal<N, Isa>(x, most, magnitude_of);
  return most > -least ? most : least;
}

/// How many values of closed forms are checked and then encoded: these are as fast as memory, so that checking and encoding
/// have to alternate before memory waits. On Zen 5 q4_0 came from memory at 82 instead of 56 % of reading's speed, with 1,024
/// values at 75.
template <std::size_t N>
inline constexpr std::size_t closed_form_stretch = N == 128  ? 1024 // 8 blocks of q1_0 are worked on together
                                                   : N < 512 ? 512
                                                             : N;
/// Asks for what comes two stretches after the N values at x, while these are encoded. If the check of a stretch asked for
/// all of it at once, requests would wait for those before them, and memory would have nothing to do while the stretch is
/// encoded: q4_0, q8_0 and q5_1 then come from memory at 63, 67 and 57 % of reading's speed on Zen 4 instead of 92, 97 and 80.
template <std::size_t N>
[[gnu::always_inline]] inline void read_ahead(const float* x) {
  simd::unroll<N / 16>([x](auto i) __attribute__((always_inline)) {
    simd::prefetch(x + 16 * i(), 2 * closed_form_stretch<N> * sizeof(float));
  });
}

/// Codes 0 .. levels - 1 of one block from v = (value - origin) / d + shift, rounded down.
template <class Isa, class B>
[[gnu::always_inline]] inline void assemble_levels(const float* x, float origin, float inverse, float shift, B& out) {
  constexpr std::size_t portion = portion_of<B::block_size, Isa>;
  using V = simd::vec<float, portion, Isa>;
  const auto code = [&](std::size_t i) __attribute__((always_inline)) {
    V v = simd::load<V>(x + i);
    if constexpr (B::affine)
      v = v - simd::fill<V>(origin);
    const auto top = simd::fill<simd::vec<std::int32_t, portion, Isa>>(B::levels - 1);
    return simd::min(simd::truncate(simd::unfused(v * simd::fill<V>(inverse)) + simd::fill<V>(shift)), top);
  };
  if constexpr (B::has_whole_planes && portion == 16) {
    for (std::size_t r = 0; r < B::runs; ++r)
      out.template assemble_run<Isa>(r, code(32 * r), code(32 * r + 16));
  } else {
    alignas(32) std::uint8_t codes[B::block_size];
    for (std::size_t i = 0; i < B::block_size; i += portion)
      simd::store_bytes(codes + i, code(i));
    out.assemble(codes);
  }
}

/// linear_block, closed form: symmetric: the extreme value becomes level 0, d = extreme / -2^(Bits-1); affine: d spans
/// the range, m is the smallest value. Codes come from the unrounded scale.
template <class Isa, int Bits, std::size_t N, linear_kind Kind>
void encode_runs(const float* x, std::size_t blocks, linear_block<Bits, N, Kind>* out) {
  using B = linear_block<Bits, N, Kind>;
  using R = register_of<Isa>;
  constexpr std::size_t W = register_lanes<Isa>;
  for (; blocks > 0;) {
    const std::size_t count = blocks < W ? blocks : W;
    alignas(64) float inverse[W], origin[W] = {};
    f16 half_d[W], half_m[W]; // converted together
    R d;
    if constexpr (B::affine) {
      const auto [high, negative_low] = ranges_of_blocks<N, Isa>(x, count);
      const R zero = simd::fill<R>(0.f); // found again, because 0 and -0 are equal but stored differently
      const R low = resolve(zero - negative_low, negative_low == zero, count,
                            [&](std::size_t j) { return first_equal<N, Isa>(x + j * N, 0.f, value_of); });
      d = simd::max(zero, high - low) / simd::fill<R>(static_cast<float>(B::levels - 1)); // zeros of both signs differ by +0
      simd::store(origin, low);
      simd::store_floats(half_m, low);
    } else {
      // zeros of either sign are +0, whose d is -0
      d = (block_extremes<N, Isa>(x, count) + simd::fill<R>(0.f)) / simd::fill<R>(static_cast<float>(-B::code_offset));
    }
    simd::store(inverse, inverse_or_zero(d));
    simd::store_floats(half_d, d);
    for (std::size_t j = 0; j < count; ++j, x += N) {
      read_ahead<N>(x);
      assemble_levels<Isa>(x, origin[j], inverse[j], static_cast<float>(B::code_offset) + 0.5f, out[j]);
      out[j].d = half_d[j];
      if constexpr (B::affine)
        out[j].m = half_m[j];
    }
    out += count;
    blocks -= count;
  }
}

/// linear_block with importance: weights q * sqrt(mean x^2 of the row + x^2), codes of the search, scales rounded to half
/// afterwards.
template <class Isa, int Bits, std::size_t N, linear_kind Kind>
void encode_runs(const float* x, std::size_t blocks, linear_block<Bits, N, Kind>* out, const float* importance,
                 float mean_square) {
  using B = linear_block<Bits, N, Kind>;
  using V = lanes_of<Isa>;
  constexpr std::size_t L = simd::lanes<V>;
  for (std::size_t first = 0; first < blocks; first += L) {
    alignas(64) float xt[N * L], wt[N * L], scale[L], minimum[L] = {}, t[L], base[L] = {};
    transpose_groups<N, L, Isa>(x + first * N, N, blocks - first, xt);
    transpose_groups<N, L, Isa>(importance + first * N, N, blocks - first, wt);
    importance_weights<N>(xt, simd::fill<V>(mean_square), wt);
    if constexpr (B::affine) {
      const auto fit = search_affine<N, B::levels - 1, importance_grid, V>(xt, wt);
      simd::store(scale, fit.scale);
      simd::store(minimum, fit.minimum);
      simd::store(t, fit.t);
      simd::store(base, fit.base);
    } else {
      const auto fit = search_symmetric<N, B::levels / 2, V>(xt, wt);
      simd::store(scale, fit.scale);
      simd::store(t, fit.t);
    }
    for (std::size_t lane = 0; lane < L && first + lane < blocks; ++lane) {
      B& block = out[first + lane];
      const float* values = x + (first + lane) * N;
      alignas(32) std::uint8_t codes[N];
      if constexpr (B::affine)
        affine_codes<N, B::levels - 1, Isa>(values, 0.f, 0.f, t[lane], base[lane], codes);
      else
        symmetric_codes<N, B::levels / 2, Isa>(values, 0.f, t[lane], codes);
      block.d = simd::narrow_to_half<Isa>(scale[lane]);
      if constexpr (B::affine)
        block.m = simd::narrow_to_half<Isa>(minimum[lane]);
      block.assemble(codes);
    }
  }
}

/// int8_block and q8_1: d = largest magnitude / 127, codes rounded half away from zero.
template <class Isa, class B>
  requires requires(B b) { b.qs[0] = std::int8_t{}; }
void encode_runs(const float* x, std::size_t blocks, B* out) {
  using R = register_of<Isa>;
  constexpr std::size_t W = register_lanes<Isa>, N = B::block_size;
  for (; blocks > 0;) {
    const std::size_t count = blocks < W ? blocks : W;
    alignas(64) float inverse[W];
    [[maybe_unused]] alignas(64) float sum[W] = {};
    const R scale = block_maxima<N, Isa>(x, count, magnitude_of) / simd::fill<R>(127.f);
    f16 half_d[W]; // converted together
    simd::store_floats(half_d, scale);
    simd::store(inverse, inverse_or_zero(scale));
    for (std::size_t j = 0; j < count; ++j, x += N) {
      using V = simd::vec<float, portion_of<N, Isa>, Isa>;
      read_ahead<N>(x);
      simd::unroll<N / simd::lanes<V>>([&](auto k) __attribute__((always_inline)) {
        constexpr std::size_t i = k() * simd::lanes<V>;
        const V v = simd::unfused(simd::load<V>(x + i) * simd::fill<V>(inverse[j]));
        const auto codes = simd::round_away(v);
        simd::store_bytes(&out[j].qs[i], codes);
        if constexpr (std::same_as<B, q8_1>) // integers below 2^24: exact in any order
          sum[j] += simd::halving_sum(simd::to_float(codes));
      });
      out[j].d = half_d[j];
    }
    if constexpr (std::same_as<B, q8_1>) {
      simd::store_floats(half_d, scale * simd::load<R>(sum));
      for (std::size_t j = 0; j < count; ++j)
        out[j].s = half_d[j];
    }
    out += count;
    blocks -= count;
  }
}

/// q8_k: the extreme value becomes -127, codes rounded to even; a block of zeros, or of values whose inverse overflows, is zero
/// bytes.
template <class Isa>
void encode_activations(const float* x, std::size_t blocks, q8_k* out) {
  using V = simd::vec<float, 16, Isa>;
  for (; blocks > 0; --blocks, x += 256, ++out) {
    read_ahead<256>(x);
    const float inverse = -127.f / block_extreme<256, Isa>(x);
    if (!(std::fabs(inverse) <= std::numeric_limits<float>::max())) { // zeros, and whatever is no larger than 2^-121
      *out = q8_k{};
      continue;
    }
    V codes[16];
    simd::unroll<16>([&](auto i) __attribute__((always_inline)) {
      const V scaled = simd::unfused(simd::fill<V>(inverse) * simd::load<V>(x + 16 * i()));
      codes[i()] = simd::min(simd::fill<V>(127.f), simd::round_even(scaled));
      simd::store_bytes(&out->qs[16 * i()], simd::truncate(codes[i()]));
    });
    std::int32_t sums[16]; // of integers: exact in any order
    simd::store(sums, simd::truncate(simd::row_sums(codes)));
    std::int16_t words[16];
    for (std::size_t i = 0; i < 16; ++i)
      words[i] = static_cast<std::int16_t>(sums[i]);
    std::memcpy(out->bsums.data(), words, sizeof words);
    out->d = 1.f / inverse;
  }
}

} // namespace quanta::encode
