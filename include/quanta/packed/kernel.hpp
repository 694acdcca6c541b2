// The inner loop of gemm: a panel of rows times a tile of tokens; one for float scales, one for integer scales.
//
// Codes are unpacked beside the products, whose pipes leave room for masks and shifts. Where a code times its integer
// scale is still a byte, no product is left to do a group; for many tokens such codes are scaled once for all tiles
// (expand).
//
// Each output is one fixed chain of float operations, whatever the number of tokens and threads: groups ascending, exact
// integers inside.
//   runs          y += round(round(T * d) * dy), T the exact sum of a group; affine: y -= round(minimum * (dy * sum of Y))
//   super-blocks  the same with T = sum of s[g] * T[g] over the block; y -= round(round(M * dmin) * dy), M = sum of m[g] * Y
#pragma once

#include "quanta/packed/activations.hpp"

namespace quanta::detail {

/// Integer scales that a code is multiplied with while it stays a byte: the group then needs no product with its sums.
/// (Where products are words first, the scale multiplies those at no cost.)
template <class Isa, class B>
constexpr bool scales_fit_codes() {
  if constexpr (super_format<B> && simd::has_wide_quads<Isa> && requires { B::largest_scale; })
    return B::code_offset == 0 && (B::levels - 1) * B::largest_scale < 256;
  else
    return false;
}
/// Steps of products of B's codes with activations that a word of 16 bits holds: 1, 2, 4 or 8.
template <class B>
constexpr int word_steps() {
  int steps = 8;
  while (steps > 1 && steps * 2 * 127 * largest_code<B>() > 32767)
    steps /= 2;
  return steps;
}

/// Codes as bytes, scaled where that fits, a run after the other, as `expand` writes them.
template <class Isa, class B>
struct expanded_layout : packed_layout<Isa, B> {
  static constexpr bool has_bytes = true;
  static constexpr std::size_t run_bytes = 8 * packed_layout<Isa, B>::vector_bytes, chunk_bytes = runs_of<B> * run_bytes;
};

/// The codes of step K, multiplied by their group's scale where that fits a byte: two products in one of 16 bits, no carry.
template <class Layout, class B, int K, class Isa>
[[gnu::always_inline]] inline auto scaled_codes_of_step(const std::uint8_t* codes,
                                                        const simd::vec<std::int32_t, Layout::rows, Isa>& scale) {
  using V = simd::vec<std::uint8_t, Layout::vector_bytes, Isa>;
  using W = simd::vec<std::uint16_t, Layout::vector_bytes / 2, Isa>;
  return std::bit_cast<V>(std::bit_cast<W>(codes_of_step<Layout, B, K, Isa>(codes)) * std::bit_cast<W>(scale));
}
/// The integer scale of each row of a group in both halves of its lane.
template <class Layout, class Isa>
[[gnu::always_inline]] inline auto spread_scales(const std::uint8_t* chunk, std::size_t group) {
  const auto scale = simd::load_bytes<Layout::rows, Isa>(chunk + Layout::scales_at + group * Layout::rows);
  return scale | simd::shift_left<16>(scale);
}
/// The same of scales that may be negative.
template <class Layout, class Isa>
[[gnu::always_inline]] inline auto spread_signed_scales(const std::uint8_t* chunk, std::size_t group) {
  const auto* scales = reinterpret_cast<const std::int8_t*>(chunk + Layout::scales_at + group * Layout::rows);
  const auto scale = simd::load_bytes<Layout::rows, Isa>(scales);
  return (scale & simd::fill<std::remove_const_t<decltype(scale)>>(0xFFFF)) | simd::shift_left<16>(scale);
}

/// Columns of a slice.
inline constexpr std::size_t slice_columns = 256;

/// Unpacks the codes of `chunks` chunks of a panel and scales them where that fits.
template <class Isa, class B>
inline void expand(const std::uint8_t* panel, std::size_t chunks, std::uint8_t* codes) {
  using layout = packed_layout<Isa, B>;
  constexpr int parts = static_cast<int>(groups_a_run<B>), steps = 8 / parts;
  for (std::size_t c = 0; c < chunks; ++c, panel += layout::chunk_bytes)
    for (std::size_t run = 0; run < runs_of<B>; ++run, codes += 8 * layout::vector_bytes)
      simd::unroll<parts>([&](auto part) __attribute__((always_inline)) {
        [[maybe_unused]] const auto scale = [&] {
          if constexpr (scales_fit_codes<Isa, B>())
            return spread_scales<layout, Isa>(panel, run * parts + part());
          else
            return 0;
        }();
        simd::unroll<steps>([&](auto step) __attribute__((always_inline)) {
          constexpr int k = part() * steps + step();
          const std::uint8_t* packed = panel + run * layout::run_bytes;
          std::uint8_t* out = codes + k * layout::vector_bytes;
          if constexpr (scales_fit_codes<Isa, B>())
            simd::store(out, scaled_codes_of_step<layout, B, k, Isa>(packed, scale));
          else
            simd::store(out, codes_of_step<layout, B, k, Isa>(packed));
        });
      });
}

/// Bytes that a kernel brings into the cache on its way: `step` of them a run of 32 columns, from `next` on.
struct read_ahead {
  const std::uint8_t* next;
  std::size_t step;

  [[gnu::always_inline]] void advance() {
    for (std::size_t i = 0; i < step; i += 64)
      simd::prefetch(next + i);
    next += step;
  }
  /// The same with a step that the compiler knows: a branch for each line is a tenth of the time of a single token. From memory
  /// it is the second-level cache that lines are to be brought to (docs/benchmarks.md): AVX-512 q6_K 14 to 20 GB/s.
  template <std::size_t Step>
  [[gnu::always_inline]] void advance() {
    simd::unroll<(Step + 63) / 64>([&](auto i) __attribute__((always_inline)) {
      simd::prefetch_second_level(next + 64 * i());
    });
    next += Step;
  }
};
/// Whether a tile of so many tokens reads ahead as many bytes as it multiplies, whatever other tiles do.
constexpr bool reads_all(std::size_t tokens) { return tokens <= 2; }

/// What a kernel works on: a panel of rows, a tile of T tokens; Codes says how the codes lie.
template <class Isa, class B, std::size_t T, class Codes = packed_layout<Isa, B>>
struct tile_kernel {
  using layout = packed_layout<Isa, B>;
  static constexpr bool expanded = !std::same_as<Codes, layout>;
  /// Codes meet their scales before the products: one product a step of four columns instead of one a token and group.
  static constexpr bool scaled_codes = scales_fit_codes<Isa, B>() && (expanded || T >= 4);
  using activations = activation_layout<Isa, B>;
  static constexpr std::size_t P = layout::rows;
  using I = simd::vec<std::int32_t, P, Isa>;
  using F = simd::vec<float, P, Isa>;
  using W = simd::vec<std::int16_t, 2 * P, Isa>;
  /// Codes are words of two columns, or else looked up in two parts.
  static constexpr bool word_codes = layout::takes_words(T), split_codes = layout::word_codes && !word_codes;
  /// Products of bytes are added up as words first; elsewhere factors of words mean nothing.
  static constexpr bool in_words = simd::has_byte_pairs<Isa> && !layout::word_codes;
  static constexpr bool starts_in_words = layout::starts_in_words;

  /// Bytes a token and 32 columns; tiles of few tokens may leave a gap after those of a stretch.
  static constexpr std::size_t run_bytes = word_codes ? 2 * run_size : run_size;
  static constexpr std::size_t starts_at = activations::code_bytes * T, sums_at = starts_at + activations::start_bytes * T,
                               scale_at = sums_at + activations::sum_bytes * T, stretch_bytes = activations::token_bytes * T;

  /// Bytes of packed weights a run of 32 columns.
  static constexpr std::size_t packed_step = layout::chunk_bytes / runs_of<B>;
  [[gnu::always_inline]] static void advance(read_ahead& ahead) {
    if constexpr (reads_all(T))
      ahead.template advance<packed_step>();
    else
      ahead.advance();
  }

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
  /// What the sums of a group start from where they are not words first.
  [[gnu::always_inline]] static void start(const std::uint8_t* starts, I (&sums)[T]) {
    each_token([&](std::size_t t) __attribute__((always_inline)) {
      sums[t] = starts_in_words ? simd::fill<I>(0) : of_token<I>(starts, t);
    });
  }
  [[gnu::always_inline]] static auto plain(const std::uint8_t* codes) {
    return [codes](auto step) __attribute__((always_inline)) {
      if constexpr (split_codes || expanded)
        return stored_step<Codes, step(), Isa>(codes);
      else
        return codes_of_step<Codes, B, step(), Isa>(codes);
    };
  }
  [[gnu::always_inline]] static auto quad(const std::uint8_t* y, std::size_t step, std::size_t t) {
    return simd::broadcast_quad<4 * P, Isa>(reinterpret_cast<const std::int8_t*>(y + 4 * (step * T + t)));
  }
  /// A token's factors of the words of a step, or of their high bytes.
  template <bool HighBytes>
  [[gnu::always_inline]] static W factor_pair(const std::uint8_t* y, std::size_t step, std::size_t t) {
    return simd::broadcast_pair<2 * P, Isa>(reinterpret_cast<const std::int16_t*>(y + 8 * (step * T + t) + 4 * HighBytes));
  }
  /// Adds the products of steps of codes in two parts: of the indices and, apart, of what is left.
  template <int First, int Count, class Unpack>
  [[gnu::always_inline]] static void add_split_steps(Unpack&& index_of, const std::uint8_t* y, I (&sums)[T]) {
    static_assert(Count * 2 * 127 * 15 < 32768);
    constexpr int steps = split_levels::steps < Count ? split_levels::steps : Count;
    W indices[T], rests[T];
    const auto add = [&](const W (&words)[T], int factor) __attribute__((always_inline)) {
      each_token([&](std::size_t t) __attribute__((always_inline)) {
        const W factors = simd::fill<W>(static_cast<std::int16_t>(factor));
        sums[t] = simd::settled(simd::add_pairs<P, Isa>(sums[t], words[t], factors));
      });
    };
    each_token([&](std::size_t t) __attribute__((always_inline)) { indices[t] = simd::fill<W>(0); });
    simd::unroll<Count / steps>([&](auto batch) __attribute__((always_inline)) {
      each_token([&](std::size_t t) __attribute__((always_inline)) { rests[t] = simd::fill<W>(0); });
      simd::unroll<steps>([&](auto step) __attribute__((always_inline)) {
        constexpr int k = First + batch() * steps + step();
        const auto index = index_of(std::integral_constant<int, k>{});
        const auto rest = simd::look_up(layout::parts.rests, index);
        each_token([&](std::size_t t) __attribute__((always_inline)) {
          indices[t] = simd::settled(simd::add_byte_pairs<2 * P, Isa>(indices[t], index, quad(y, k, t)));
          rests[t] = simd::settled(simd::add_byte_pairs<2 * P, Isa>(rests[t], rest, quad(y, k, t)));
        });
      });
      add(rests, 1);
    });
    add(indices, layout::parts.factor);
  }
  /// Adds the products of steps First .. First + Count - 1 of a run of 32 columns, times `factor` if they are words first, and
  /// what these then start from.
  template <int First, int Count, class Unpack>
  [[gnu::always_inline]] static void add_steps(Unpack&& codes_of, const std::uint8_t* y, I (&sums)[T],
                                               [[maybe_unused]] const std::uint8_t* starts = nullptr,
                                               const W& factor = simd::fill<W>(1)) {
    if constexpr (in_words) {
      constexpr int steps = starts_in_words || word_steps<B>() > Count ? Count : word_steps<B>();
      simd::unroll<Count / steps>([&](auto batch) __attribute__((always_inline)) {
        W pairs[T];
        each_token([&](std::size_t t) __attribute__((always_inline)) {
          if constexpr (starts_in_words)
            pairs[t] = simd::broadcast_pair<2 * P, Isa>(reinterpret_cast<const std::int16_t*>(starts + 4 * t));
          else
            pairs[t] = simd::fill<W>(0);
        });
        simd::unroll<steps>([&](auto step) __attribute__((always_inline)) {
          constexpr int k = First + batch() * steps + step();
          const auto codes = codes_of(std::integral_constant<int, k>{});
          each_token([&](std::size_t t) __attribute__((always_inline)) {
            pairs[t] = simd::settled(simd::add_byte_pairs<2 * P, Isa>(pairs[t], codes, quad(y, k, t)));
          });
        });
        each_token([&](std::size_t t) __attribute__((always_inline)) {
          sums[t] = simd::settled(simd::add_pairs<P, Isa>(sums[t], pairs[t], factor));
        });
      });
    } else if constexpr (split_codes) {
      add_split_steps<First, Count>(codes_of, y, sums);
    } else if constexpr (word_codes) {
      simd::unroll<Count>([&](auto step) __attribute__((always_inline)) {
        constexpr int k = First + step();
        const W words = simd::byte_pairs_as_words(codes_of(std::integral_constant<int, k>{}));
        const W high_bytes = simd::shift_right<8>(words);
        each_token([&](std::size_t t) __attribute__((always_inline)) {
          sums[t] = simd::settled(simd::add_pairs<P, Isa>(sums[t], words, factor_pair<false>(y, k, t)));
          sums[t] = simd::settled(simd::add_pairs<P, Isa>(sums[t], high_bytes, factor_pair<true>(y, k, t)));
        });
      });
    } else {
      simd::unroll<Count>([&](auto step) __attribute__((always_inline)) {
        constexpr int k = First + step();
        const auto codes = codes_of(std::integral_constant<int, k>{});
        each_token([&](std::size_t t) __attribute__((always_inline)) {
          sums[t] = simd::add_quads<P, Isa>(sums[t], codes, quad(y, k, t));
        });
      });
    }
  }
  [[gnu::always_inline]] static void runs(const std::uint8_t* panel, const std::uint8_t* codes, const std::uint8_t* tile,
                                          std::size_t chunks, read_ahead ahead, F (&y)[T]) {
    constexpr int parts = static_cast<int>(groups_a_run<B>), steps = 8 / parts;
    for (std::size_t c = 0; c < chunks; ++c, panel += layout::chunk_bytes, codes += Codes::chunk_bytes)
#pragma GCC unroll 1
      for (std::size_t run = 0; run < runs_of<B>; ++run, tile += stretch_bytes) {
        advance(ahead);
        const std::uint8_t* weights = codes + run * Codes::run_bytes;
        simd::unroll<parts>([&](auto part) __attribute__((always_inline)) {
          I sums[T];
          const std::uint8_t* starts = tile + starts_at + 4 * part() * T;
          start(starts, sums);
          add_steps<part() * steps, steps>(plain(weights), tile, sums, starts);
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

  template <int Sign>
  [[gnu::always_inline]] static void add(float* y, const F& product) {
    simd::store(y, Sign > 0 ? simd::load<F>(y) + product : simd::load<F>(y) - product);
  }
  /// One super-block, out of line: its integer sums fill the registers, so that Y has to wait in memory.
  [[gnu::noinline]] static void super_block(const std::uint8_t* panel, const std::uint8_t* codes, const std::uint8_t* tile,
                                            read_ahead ahead, float* y) {
    constexpr int parts = static_cast<int>(groups_a_run<B>), steps = 8 / parts;
    I total[T];
    each_token([&](std::size_t t) __attribute__((always_inline)) {
      total[t] = layout::group_scales ? simd::fill<I>(0) : of_token<I>(tile + starts_at, t);
    });
#pragma GCC unroll 1
    for (std::size_t run = 0; run < 8; ++run) {
      advance(ahead);
      const std::uint8_t* weights = codes + run * Codes::run_bytes;
      const std::uint8_t* bytes = tile + run * run_bytes * T;
      if constexpr (!layout::group_scales || (expanded && scaled_codes)) {
        add_steps<0, 8>(plain(weights), bytes, total);
      } else if constexpr (scaled_codes) {
        simd::unroll<parts>([&](auto part) __attribute__((always_inline)) {
          const I scale = spread_scales<layout, Isa>(panel, run * parts + part());
          add_steps<part() * steps, steps>([&](auto step) __attribute__((always_inline)) {
            return scaled_codes_of_step<Codes, B, step(), Isa>(weights, scale);
          }, bytes, total);
        });
      } else if constexpr (in_words && B::code_offset == 0) { // no scale of these formats is negative
        simd::unroll<parts>([&](auto part) __attribute__((always_inline)) {
          const W scale = std::bit_cast<W>(spread_scales<layout, Isa>(panel, run * parts + part()));
          add_steps<part() * steps, steps>(plain(weights), bytes, total, nullptr, scale);
        });
      } else if constexpr (starts_in_words && T > 2) {
        simd::unroll<parts>([&](auto part) __attribute__((always_inline)) {
          const std::size_t group = run * parts + part();
          const W scale = std::bit_cast<W>(spread_signed_scales<layout, Isa>(panel, group));
          add_steps<part() * steps, steps>(plain(weights), bytes, total, tile + starts_at + 4 * group * T, scale);
        });
      } else {
        simd::unroll<parts>([&](auto part) __attribute__((always_inline)) {
          const std::size_t group = run * parts + part();
          I sums[T];
          const std::uint8_t* starts = tile + starts_at + 4 * group * T;
          start(starts, sums);
          add_steps<part() * steps, steps>(plain(weights), bytes, sums, starts);
          const auto* scales = reinterpret_cast<const std::int8_t*>(panel + layout::scales_at + group * P);
          const I scale = simd::load_bytes<P, Isa>(scales);
          each_token([&](std::size_t t) __attribute__((always_inline)) {
            total[t] = simd::settled(total[t] + sums[t] * scale);
          });
        });
      }
    }
    const F d = factors(panel + layout::d_at) * simd::fill<F>(B::unit);
    each_token([&](std::size_t t) __attribute__((always_inline)) {
      add<1>(y + t * P, simd::unfused(simd::unfused(simd::to_float(total[t]) * d) * of_token<F>(tile + scale_at, t)));
    });
    if constexpr (B::affine) {
      I below[T];
      each_token([&](std::size_t t) __attribute__((always_inline)) { below[t] = simd::fill<I>(0); });
#pragma GCC unroll 1
      for (std::size_t pair = 0; pair < layout::groups / 2; ++pair) {
        const auto m = simd::load_words<2 * P, Isa>(panel + layout::minima_at + pair * 2 * P);
        each_token([&](std::size_t t) __attribute__((always_inline)) {
          const auto* two = reinterpret_cast<const std::int16_t*>(tile + sums_at + 4 * (pair * T + t));
          below[t] = simd::add_pairs<P, Isa>(below[t], m, simd::broadcast_pair<2 * P, Isa>(two));
        });
      }
      const F dmin = factors(panel + layout::d_at + 2 * P);
      each_token([&](std::size_t t) __attribute__((always_inline)) {
        add<-1>(y + t * P, simd::unfused(simd::unfused(simd::to_float(below[t]) * dmin) * of_token<F>(tile + scale_at, t)));
      });
    }
  }

  /// Adds to y, P floats a token, the products of `chunks` chunks.
  [[gnu::noinline]] static void multiply(const std::uint8_t* panel, const std::uint8_t* codes, const std::uint8_t* tile,
                                         std::size_t chunks, read_ahead ahead, float* y) {
    if constexpr (layout::super) {
      for (std::size_t c = 0; c < chunks; ++c) {
        super_block(panel + c * layout::chunk_bytes, codes + c * Codes::chunk_bytes, tile + c * stretch_bytes, ahead, y);
        ahead.next += reads_all(T) ? layout::chunk_bytes : runs_of<B> * ahead.step;
      }
    } else {
      F sums[T];
      each_token([&](std::size_t t) __attribute__((always_inline)) { sums[t] = simd::load<F>(y + t * P); });
      runs(panel, codes, tile, chunks, ahead, sums);
      each_token([&](std::size_t t) __attribute__((always_inline)) { simd::store(y + t * P, sums[t]); });
    }
  }
};

} // namespace quanta::detail
