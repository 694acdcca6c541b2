// Products of the formats that are runs of 32 values: integer sums of quads, then floats in the order that dot.hpp states.
#pragma once

#include "quanta/dot/run_activations.hpp"

namespace quanta::detail {

template <class Isa>
using floats16 = simd::vec<float, 16, Isa>;
template <class Isa>
using floats8 = simd::vec<float, 8, Isa>;

/// The float accumulators of run formats: two sets by the parity of the run, and those of the offsets by run % 8.
template <class Isa>
struct run_sums {
  floats8<Isa> set[2] = {simd::fill<floats8<Isa>>(0.f), simd::fill<floats8<Isa>>(0.f)};
  floats8<Isa> offsets = simd::fill<floats8<Isa>>(0.f);
};

/// Whether the offsets of an affine format take the sums of the activation codes, since its partner stores none.
template <class B, class A>
inline constexpr bool sums_offsets = B::affine && !stores_sums<A>;

/// Whether the factors of eight runs are stored and each loaded into all lanes, since shuffles are what codes need there.
template <class Isa, class B>
inline constexpr bool stores_factors =
    simd::has_stored_lanes<Isa> && groups_a_run<B> == 1 &&
    (nibble_runs<B> ? requires { B::codes_by_nibble; } : B::code_offset != 128);

/// The factor of run `Run` of eight in the lanes of its quads.
template <int Run, class Isa, std::size_t Groups>
[[gnu::always_inline]] inline floats8<Isa> factor_of_run(const floats8<Isa> (&factors)[Groups]) {
  if constexpr (Groups == 1)
    return simd::broadcast_lane<Run>(factors[0]);
  else
    return simd::broadcast_lanes<Run>(factors[0], factors[1]);
}

template <class Isa, class B>
struct scale_lanes {
  const floats8<Isa> (&factors)[groups_a_run<B>];

  template <int Run>
  [[gnu::always_inline]] floats8<Isa> of_run() const {
    return factor_of_run<Run>(factors);
  }
};
template <class Isa, class B>
  requires stores_factors<Isa, B>
struct scale_lanes<Isa, B> {
  simd::stored_lanes<Isa> stored;

  [[gnu::always_inline]] explicit scale_lanes(const floats8<Isa> (&factors)[1]) : stored(factors[0]) {}
  template <int Run>
  [[gnu::always_inline]] floats8<Isa> of_run() const {
    return stored.template broadcast<Run>();
  }
};

template <int Run, class Isa, std::size_t Groups>
[[gnu::always_inline]] inline floats16<Isa> factor_of_two_runs(const floats8<Isa> (&factors)[Groups]) {
  if constexpr (Groups == 1)
    return simd::broadcast_two_lanes<Run, Isa>(factors[0]);
  else
    return simd::broadcast_two_lanes<Run, Isa>(factors[0], factors[1]);
}

/// The exact sums over quads of code - code_offset times the activations.
template <class Isa, class B, class V>
[[gnu::always_inline]] inline auto quads_of(const V& codes, const V& y) {
  using sums = simd::vec<std::int32_t, simd::lanes<V> / 4, Isa>;
  if constexpr (!has_plain_codes<B>())
    return simd::centred_quad_dot<128, Isa>(codes, y) +
           simd::fill<sums>(128 - B::code_offset) * simd::quad_dot<Isa>(simd::fill<V>(1), y);
  else if constexpr (B::code_offset == 0)
    return simd::quad_dot<Isa>(codes, y);
  else
    return simd::centred_quad_dot<B::code_offset, Isa>(codes, y);
}

/// Whether the sums of a run's high nibbles, and all floats made of them, are 16 times as large as they should be until the
/// end, which saves a shift of each run. Not a bit differs: scales are halves, so that a product that is not 0 is at least
/// 2^-24 * 2^-24 and at most 2^16 * 2^16 * 4 * 240 * 128, far from where a power of two would change its rounding.
template <class Isa, class B>
inline constexpr bool takes_nibbles_in_place = simd::has_nibble_quads<Isa> && half_first<B> && has_plain_codes<B>() &&
                                               nibble_runs<B> && !requires { B::codes_by_nibble; };

/// The same of a run. Levels above -128 are looked up as signed bytes where such products are cheaper. There a fifth bit is not
/// joined with its nibble either, since the offset can be taken from it: 16 b - 16 = -16 (1 - b).
template <class Isa, class B>
[[gnu::always_inline]] inline simd::quad_sums<Isa> quads_of_run(const B* row, std::size_t run, const simd::code_bytes<Isa>& y) {
  if constexpr (takes_nibbles_in_place<Isa, B>) {
    return simd::nibble_quads<B::code_offset, Isa>(row[run / runs_of<B>].nibbles(run % runs_of<B>), y);
  } else if constexpr (simd::has_bounded_quads<Isa> && requires { row->template signed_levels<Isa>(run); }) {
    return simd::bounded_quad_dot<Isa>(row[run / runs_of<B>].template signed_levels<Isa>(run % runs_of<B>), y);
  } else if constexpr (simd::has_five_bit_quads<Isa> && B::code_offset == 16 && requires { row->five_bits(run); }) {
    const auto codes = row[run / runs_of<B>].five_bits(run % runs_of<B>);
    return simd::five_bit_quads<Isa>(codes.nibbles, codes.fifth, y);
  } else {
    return quads_of<Isa, B>(codes_of_run<Isa>(row, run), y);
  }
}

/// The same of an even run and the next.
template <class Isa, class B>
[[gnu::always_inline]] inline simd::double_quad_sums<Isa> quads_of_two_runs(const B* row, std::size_t run,
                                                                            const simd::double_code_bytes<Isa>& y) {
  if constexpr (takes_nibbles_in_place<Isa, B>) {
    const auto nibbles = [row](std::size_t r) { return row[r / runs_of<B>].nibbles(r % runs_of<B>); };
    return simd::nibble_quads<B::code_offset, Isa>(nibbles(run), nibbles(run + 1), y);
  } else {
    return quads_of<Isa, B>(codes_of_two_runs<Isa>(row, run), y);
  }
}

/// What multiplies the sums of eight runs, a lane a run: d * dy of each group. The offsets of affine formats: minimum * dy, or
/// minimum * s where activations store their sums s. Missing runs have 0 * 0, which changes no bit of a sum that is never -0.
template <class Isa, class B, class A>
struct run_factors {
  floats8<Isa> scales[groups_a_run<B>], offsets[groups_a_run<B>];

  [[gnu::always_inline]] run_factors(const B* row, std::size_t row_first, const A* activations, std::size_t first,
                                     std::size_t count) {
    if constexpr (B::affine && !sums_offsets<B, A>) {
      static_assert(groups_a_run<B> == 1);
      const auto [d, minima] = scales_and_minima_of_runs<Isa>(row, row_first, count);
      const auto [dy, s] = scales_and_sums_of_runs<Isa>(activations, first, count);
      scales[0] = d * dy, offsets[0] = simd::unfused(minima * s);
      return;
    }
    simd::unroll<groups_a_run<B>>([&](auto part) __attribute__((always_inline)) {
      const auto activation_scales =
          activation_scales_of_runs<Isa, part() % groups_a_run<A>>(activations, first, count);
      scales[part()] = scales_of_runs<Isa, part()>(row, row_first, count) * activation_scales;
      if constexpr (sums_offsets<B, A>)
        offsets[part()] = minima_of_runs<Isa, part()>(row, row_first, count) * activation_scales;
    });
  }
};

/// Runs from `first` on, counted from a block on: for the first of eight that is a constant where they are whole blocks.
template <class B>
struct runs_from {
  const B* row;
  std::size_t first;

  [[gnu::always_inline]] runs_from(const B* whole_row, std::size_t first_of_eight)
      : row(whole_row + first_of_eight / runs_of<B>), first(8 % runs_of<B> == 0 ? 0 : first_of_eight % runs_of<B>) {}
};

/// Up to 8 runs from runs `row_first` and `first` on: their factors are collected and multiplied together.
template <class Isa, class B, class A>
[[gnu::always_inline]] inline void dot_eight_runs(const B* row, std::size_t row_first, const A* activations, std::size_t first,
                                                  std::size_t count, run_sums<Isa>& sums) {
  const run_factors<Isa, B, A> factors(row, row_first, activations, first, count);
  if constexpr (B::affine && !sums_offsets<B, A>)
    sums.offsets = sums.offsets - factors.offsets[0];
  const runs_from<B> w(row, row_first);
  const runs_from<A> x(activations, first);
  const scale_lanes<Isa, B> scales{factors.scales};
  simd::unroll<8>([&](auto i) __attribute__((always_inline)) {
    constexpr std::size_t index = i();
    if (index >= count)
      return;
    const auto y = signed_codes_of_run<Isa>(x.row, x.first + index);
    const auto quads = quads_of_run<Isa>(w.row, w.first + index, y);
    auto& set = sums.set[index % 2];
    set = set + simd::unfused(scales.template of_run<i()>() * simd::to_float(quads));
    if constexpr (sums_offsets<B, A>)
      set = set - simd::unfused(factor_of_run<i()>(factors.offsets) *
                                simd::to_float(simd::quad_dot<Isa>(simd::fill<simd::code_bytes<Isa>>(1), y)));
  });
}

/// The same of 8 runs where two are a register: both sets of accumulators side by side.
template <class Isa, class B, class A>
[[gnu::always_inline]] inline void dot_four_pairs(const B* row, const A* activations, std::size_t first, floats16<Isa>& both,
                                                  floats8<Isa>& offsets) {
  const run_factors<Isa, B, A> factors(row, first, activations, first, 8);
  if constexpr (B::affine && !sums_offsets<B, A>)
    offsets = offsets - factors.offsets[0];
  const runs_from<B> w(row, first);
  const runs_from<A> x(activations, first);
  simd::unroll<4>([&](auto pair) __attribute__((always_inline)) {
    constexpr int even = 2 * pair();
    const std::size_t run = x.first + even;
    const auto y = signed_codes_of_two_runs<Isa>(x.row, run);
    const auto quads = quads_of_two_runs<Isa>(w.row, w.first + even, y);
    both = both + simd::unfused(factor_of_two_runs<even>(factors.scales) * simd::to_float(quads));
    if constexpr (sums_offsets<B, A>)
      both = both - simd::unfused(factor_of_two_runs<even>(factors.offsets) *
                                  simd::to_float(simd::quad_dot<Isa>(simd::fill<simd::double_code_bytes<Isa>>(1), y)));
  });
}

/// Rows of more values than this leave the first-level cache to their activations, and what reads weights ahead there fails:
/// from memory a row of 28,672 values came at half the speed of one of 4,096. They ask for weights 8 KiB ahead, into the second
/// level. Zen 4, AVX-512, GB/s before and after: 28,672 values q4_0 9.7, 19.6, q8_0 14.1, 26.0, q4_K 10.1, 21.5, 14,336 values
/// 15.1, 19.0, 15.5, 21.6, 20.2, 21.1, but 8,192 values 20.8, 19.1, 25.9, 23.4, 23.3, 21.9.
inline constexpr std::size_t long_row = 12288;
template <std::size_t Bytes>
[[gnu::always_inline]] inline void read_row_ahead(const void* p) {
  simd::unroll<static_cast<int>((Bytes + 63) / 64)>([p](auto i) __attribute__((always_inline)) {
    simd::prefetch_second_level(p, 8192 + 64 * i());
  });
}

/// All runs but the last few, eight at a time; returns how many.
template <class Isa, class B, class A>
[[gnu::always_inline]] inline std::size_t dot_whole_eights(const B* row, const A* activations, std::size_t runs,
                                                           run_sums<Isa>& sums) {
  std::size_t first = 0;
  const bool ahead = runs * run_size > long_row;
  const auto read_ahead = [&]() __attribute__((always_inline)) {
    if (ahead)
      read_row_ahead<8 * sizeof(B) / runs_of<B>>(row + first / runs_of<B>);
  };
  if constexpr (simd::has_double_portions<Isa>) {
    auto both = simd::fill<floats16<Isa>>(0.f);
    for (; first + 8 <= runs; first += 8) {
      read_ahead();
      dot_four_pairs(row, activations, first, both, sums.offsets);
    }
    const auto [even, odd] = simd::halves(both);
    sums.set[0] = even, sums.set[1] = odd;
  } else {
    for (; first + 8 <= runs; first += 8) {
      read_ahead();
      dot_eight_runs(row, first, activations, first, 8, sums);
    }
  }
  return first;
}

template <class Isa, class B, class A>
[[gnu::always_inline]] inline float total_of(const run_sums<Isa>& sums) {
  floats8<Isa> total = sums.set[0] + sums.set[1];
  if constexpr (takes_nibbles_in_place<Isa, B>) {
    static_assert(half_first<typename B::dot_partner> && !sums_offsets<B, A>);
    total = total * simd::from_lanes<Isa>({1, 1, 1, 1, 0x1p-4f, 0x1p-4f, 0x1p-4f, 0x1p-4f});
  }
  if constexpr (B::affine && !sums_offsets<B, A>)
    total = total + sums.offsets;
  return simd::halving_sum(total);
}

/// The same product with the sums of activations that are not finite taken from their codes.
template <class Isa, class B, class A>
[[gnu::noinline]] float dot_with_mended_sums(const B* row, const A* activations, std::size_t runs) {
  run_sums<Isa> sums;
  for (std::size_t first = 0; first < runs; first += 8) {
    const std::size_t count = runs - first < 8 ? runs - first : 8;
    eight_runs<A> mended[1];
    copy_runs<Isa>(activations + first, count, mended);
    dot_eight_runs(row, first, static_cast<const eight_runs<A>*>(mended), 0, count, sums);
  }
  return total_of<Isa, B, eight_runs<A>>(sums);
}

template <class Isa, run_format B, class A>
[[gnu::always_inline]] inline float dot_blocks(const B* row, const A* activations, std::size_t blocks) {
  run_sums<Isa> sums;
  const std::size_t runs = blocks * runs_of<B>;
  if (const std::size_t first = dot_whole_eights(row, activations, runs, sums); first < runs)
    dot_eight_runs(row, first, activations, first, runs - first, sums);
  const float total = total_of<Isa, B, A>(sums);
  if constexpr (B::affine && stores_sums<A> && block_format<A>) // a copy in eight_runs is mended
    if (!(total - total == 0.f)) [[unlikely]] // an infinite sum leaves no total finite, and so no run has to be looked at
      return dot_with_mended_sums<Isa>(row, activations, runs);
  return total;
}
/// Blocks of 16, both sides: pairs of them; the last pairs are copied, so that half a pair is filled up with zeros.
template <class Isa, paired_format B, block_format A>
[[gnu::always_inline]] inline float dot_blocks(const B* row, const A* activations, std::size_t blocks) {
  run_sums<Isa> sums;
  const std::size_t first = 2 * dot_whole_eights(as_pairs(row), as_pairs(activations), blocks / 2, sums);
  if (const std::size_t rest = blocks - first; rest > 0) {
    pair_of<B> last[8] = {};
    pair_of<A> last_activations[8] = {};
    std::memcpy(static_cast<void*>(last), row + first, rest * sizeof(B));
    std::memcpy(static_cast<void*>(last_activations), activations + first, rest * sizeof(A));
    dot_eight_runs(last, 0, last_activations, 0, (rest + 1) / 2, sums);
  }
  return total_of<Isa, pair_of<B>, pair_of<A>>(sums);
}

} // namespace quanta::detail
