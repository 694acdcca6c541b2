// Products of a packed matrix with many tokens: one kernel for formats with a float a group, one for integer scales.
//
// Each output is one fixed chain of float operations, whatever the number of tokens and threads: groups ascending, exact integers
// inside. Formats of runs: y += round(round(T * d) * dy), T the exact sum of a group; affine: y -= round(minimum * (dy * sum of Y)).
// Super-blocks: the same with T = sum of s[g] * T[g] over the block, and y -= round(round(M * dmin) * dy), M = sum of m[g] * Y.
#pragma once

#include "quanta/packed/activations.hpp"

namespace quanta {
namespace detail {

/// What a kernel works on: a panel of rows, a tile of T tokens.
template <class Isa, class B, std::size_t T>
struct tile_kernel {
  using layout = packed_layout<Isa, B>;
  using activations = activation_layout<Isa, B>;
  static constexpr std::size_t P = layout::rows;
  using I = simd::vec<std::int32_t, P, Isa>;
  using F = simd::vec<float, P, Isa>;

  static constexpr std::size_t starts_at = activations::columns * T, sums_at = starts_at + activations::start_bytes * T,
                               scale_at = sums_at + activations::sum_bytes * T, stretch_bytes = activations::token_bytes * T;

  template <class V>
  [[gnu::always_inline]] static V number(const std::uint8_t* p) {
    V v;
    std::memcpy(&v, p, sizeof v);
    return v;
  }
  /// One float a row.
  [[gnu::always_inline]] static F factors(const std::uint8_t* p) {
    if constexpr (layout::super || half_first<B>)
      return simd::load_floats<P, Isa>(reinterpret_cast<const f16*>(p));
    else
      return std::bit_cast<F>(simd::load<I>(reinterpret_cast<const std::int32_t*>(p)));
  }
  /// f(t) for the tokens of the tile, unrolled: arrays of vectors over tokens are to be registers.
  template <class Each>
  [[gnu::always_inline]] static void each_token(Each&& f) {
    simd::unroll<static_cast<int>(T)>([&](auto t) __attribute__((always_inline)) { f(static_cast<std::size_t>(t())); });
  }
  /// The number of each token at p, in every lane.
  template <class V>
  [[gnu::always_inline]] static V of_token(const std::uint8_t* p, std::size_t t) {
    return simd::fill<V>(number<typename simd::vec_traits<V>::value_type>(p + 4 * t));
  }
  /// Adds the products of steps First .. First + Count - 1 of a run of 32 columns.
  template <int First, int Count>
  [[gnu::always_inline]] static void add_steps(const std::uint8_t* weights, const std::uint8_t* y, I (&sums)[T]) {
    simd::unroll<Count>([&](auto step) __attribute__((always_inline)) {
      constexpr int k = First + step();
      const auto codes = codes_of_step<layout, B, k, Isa>(weights);
      each_token([&](std::size_t t) __attribute__((always_inline)) {
        const auto quad = simd::broadcast_quad<4 * P, Isa>(reinterpret_cast<const std::int8_t*>(y + 4 * (k * T + t)));
        if constexpr (layout::signed_codes)
          sums[t] = simd::add_signed_quads<P, Isa>(sums[t], codes, quad);
        else
          sums[t] = simd::add_quads<P, Isa>(sums[t], codes, quad);
      });
    });
  }
  [[gnu::always_inline]] static void prefetch(const std::uint8_t* p) {
    if constexpr (T <= 2) // memory is the limit of few tokens: the lines of a run, 8 KiB ahead
      for (std::size_t i = 0; i < layout::run_bytes; i += 64)
        __builtin_prefetch(p + 8192 + i);
  }

  [[gnu::always_inline]] static void runs(const std::uint8_t* panel, const std::uint8_t* tile, std::size_t chunks, F (&y)[T]) {
    constexpr int parts = static_cast<int>(groups_a_run<B>), steps = 8 / parts;
    for (std::size_t c = 0; c < chunks; ++c, panel += layout::chunk_bytes)
#pragma GCC unroll 1
      for (std::size_t run = 0; run < runs_of<B>; ++run, tile += stretch_bytes) {
        const std::uint8_t* weights = panel + run * layout::run_bytes;
        prefetch(weights);
        simd::unroll<parts>([&](auto part) __attribute__((always_inline)) {
          I sums[T];
          each_token([&](std::size_t t) __attribute__((always_inline)) {
            sums[t] = of_token<I>(tile + starts_at + 4 * part() * T, t);
          });
          add_steps<part() * steps, steps>(weights, tile, sums);
          const std::size_t at = group_of<B, part()>(run) * layout::factor_bytes * P;
          const F d = factors(panel + layout::scales_at + at);
          each_token([&](std::size_t t) __attribute__((always_inline)) {
            y[t] = y[t] + simd::unfused(simd::unfused(simd::to_float(sums[t]) * d) * of_token<F>(tile + scale_at, t));
          });
          if constexpr (B::affine) {
            const F m = factors(panel + layout::minima_at + at); // of formats with halves: x = d q + m
            each_token([&](std::size_t t) __attribute__((always_inline)) {
              const F product = simd::unfused(m * of_token<F>(tile + sums_at + 4 * part() * T, t));
              y[t] = half_first<B> ? y[t] + product : y[t] - product;
            });
          }
        });
      }
  }

  /// One super-block, out of line: its integer sums fill the registers, so that Y has to wait in memory.
  [[gnu::noinline]] static void super_block(const std::uint8_t* panel, const std::uint8_t* tile, F (&y)[T]) {
    constexpr int parts = static_cast<int>(groups_a_run<B>), steps = 8 / parts;
    I total[T];
    each_token([&](std::size_t t) __attribute__((always_inline)) {
      total[t] = layout::group_scales ? simd::fill<I>(0) : of_token<I>(tile + starts_at, t);
    });
#pragma GCC unroll 1
    for (std::size_t run = 0; run < 8; ++run) {
      const std::uint8_t* weights = panel + run * layout::run_bytes;
      const std::uint8_t* bytes = tile + run * run_size * T;
      prefetch(weights);
      if constexpr (!layout::group_scales) {
        add_steps<0, 8>(weights, bytes, total);
      } else {
        simd::unroll<parts>([&](auto part) __attribute__((always_inline)) {
          const std::size_t group = run * parts + part();
          I sums[T];
          each_token([&](std::size_t t) __attribute__((always_inline)) {
            sums[t] = of_token<I>(tile + starts_at + 4 * group * T, t);
          });
          add_steps<part() * steps, steps>(weights, bytes, sums);
          const I scale = simd::load_bytes<P, Isa>(reinterpret_cast<const std::int8_t*>(panel + layout::scales_at + group * P));
          each_token([&](std::size_t t) __attribute__((always_inline)) { total[t] = total[t] + sums[t] * scale; });
        });
      }
    }
    const F d = factors(panel + layout::d_at) * simd::fill<F>(B::unit);
    each_token([&](std::size_t t) __attribute__((always_inline)) {
      y[t] = y[t] + simd::unfused(simd::unfused(simd::to_float(total[t]) * d) * of_token<F>(tile + scale_at, t));
    });
    if constexpr (B::affine) {
      I below[T];
      each_token([&](std::size_t t) __attribute__((always_inline)) { below[t] = simd::fill<I>(0); });
#pragma GCC unroll 1
      for (std::size_t pair = 0; pair < layout::groups / 2; ++pair) {
        const auto m = simd::load_words<2 * P, Isa>(panel + layout::minima_at + pair * 2 * P);
        each_token([&](std::size_t t) __attribute__((always_inline)) {
          below[t] = simd::add_pairs<P, Isa>(
              below[t], m, simd::broadcast_pair<2 * P, Isa>(reinterpret_cast<const std::int16_t*>(tile + sums_at + 4 * (pair * T + t))));
        });
      }
      const F dmin = factors(panel + layout::d_at + 2 * P);
      each_token([&](std::size_t t) __attribute__((always_inline)) {
        y[t] = y[t] - simd::unfused(simd::unfused(simd::to_float(below[t]) * dmin) * of_token<F>(tile + scale_at, t));
      });
    }
  }

  /// Rows `first` to `first` + P of T tokens of Y.
  [[gnu::noinline]] static void multiply(const std::uint8_t* panel, const std::uint8_t* tile, std::size_t chunks, float* out,
                                         std::size_t stride, std::size_t rows) {
    F y[T];
    each_token([&](std::size_t t) __attribute__((always_inline)) { y[t] = simd::fill<F>(0.f); });
    if constexpr (layout::super)
      for (std::size_t c = 0; c < chunks; ++c)
        super_block(panel + c * layout::chunk_bytes, tile + c * stretch_bytes, y);
    else
      runs(panel, tile, chunks, y);
    each_token([&](std::size_t t) __attribute__((always_inline)) {
      if (rows >= P) {
        simd::store(out + t * stride, y[t]);
      } else {
        float all[P];
        simd::store(all, y[t]);
        std::memcpy(out + t * stride, all, rows * sizeof(float));
      }
    });
  }
};

/// Bytes of activations that stay in the second-level cache while the panels pass by.
inline constexpr std::size_t token_block_bytes = std::size_t{640} << 10;

} // namespace detail

/// Y = X W^T: y[token][row] is the product of a matrix row with a token's activations, `stride` floats from token to token.
/// Panels of rows are shared out through parallel_for; the bits do not depend on how. Reads the packed matrix once for each block of
/// tokens that fits the cache. Expects: x.columns == matrix.columns; y.size() holds every token's rows.
template <weight_format B, class Isa, class Parallel = serial>
void gemm(const packed_matrix<B, Isa>& matrix, const packed_activations<B, Isa>& x, std::span<float> y, std::size_t stride,
          Parallel&& parallel_for = {}) {
  using layout = detail::packed_layout<Isa, B>;
  using activations = detail::activation_layout<Isa, B>;
  QUANTA_EXPECTS(x.columns == matrix.columns);
  QUANTA_EXPECTS(stride >= matrix.rows);
  QUANTA_EXPECTS(x.tokens == 0 || y.size() >= (x.tokens - 1) * stride + matrix.rows);
  const std::size_t chunks = matrix.columns / B::block_size, panel_bytes = layout::panel_bytes(matrix.columns);
  const std::size_t token_bytes = matrix.columns / activations::columns * activations::token_bytes;
  const std::size_t fitting = token_bytes == 0 ? x.tokens : detail::token_block_bytes / token_bytes;
  const std::size_t block = fitting < detail::widest_tile ? detail::widest_tile : fitting;
  const auto* tiles = reinterpret_cast<const std::uint8_t*>(x.bytes.data());
  parallel_for(layout::panels(matrix.rows), [&](std::size_t begin, std::size_t end) {
    for (std::size_t first = 0; first < x.tokens;) {
      std::size_t last = first; // whole tiles
      while (last < x.tokens && (last == first || last - first < block))
        last += detail::tile_of(last, x.tokens).size;
      for (std::size_t panel = begin; panel < end; ++panel) {
        const auto* weights = reinterpret_cast<const std::uint8_t*>(matrix.bytes.data()) + panel * panel_bytes;
        const std::size_t row = panel * layout::rows;
        for (std::size_t token = first; token < last;) {
          const std::size_t size = detail::tile_of(token, x.tokens).size;
          const auto multiply = [&](auto kernel) __attribute__((always_inline)) {
            decltype(kernel)::multiply(weights, tiles + token * token_bytes, chunks, &y[token * stride + row], stride,
                                       matrix.rows - row);
          };
          if (size == 6)
            multiply(detail::tile_kernel<Isa, B, 6>{});
          else if (size == 4)
            multiply(detail::tile_kernel<Isa, B, 4>{});
          else if (size == 2)
            multiply(detail::tile_kernel<Isa, B, 2>{});
          else
            multiply(detail::tile_kernel<Isa, B, 1>{});
          token += size;
        }
      }
      first = last;
    }
  });
}
/// The same with y[token][row] without gaps.
template <weight_format B, class Isa, class Parallel = serial>
void gemm(const packed_matrix<B, Isa>& matrix, const packed_activations<B, Isa>& x, std::span<float> y, Parallel&& parallel_for = {}) {
  gemm(matrix, x, y, matrix.rows, parallel_for);
}

} // namespace quanta
