// Dot products of a quantized row with a quantized or a float row, with the same bits at every level.
//
// The order of the float additions is part of the definition. Quantized activations, run formats (32 values a scale):
// accumulators acc[2][8] start at 0; run b adds round(f * T[k]) to acc[b % 2][k], T[k] = the exact integer sum over the
// quad k (values 4k .. 4k+3) of c * Y, f = round(d * dy) with the scale of the quad's group; an affine run adds round(m * s) to
// offsets[b % 8], or, where the activations store no sums, subtracts round(round(minimum * dy) * sum of the quad's Y) from
// acc[b % 2][k]. Super-blocks: T[k] = the exact integer sum over the values i with i / 4 % 8 = k of s[g] * code(i) * Y[i],
// less code_offset times the sum of s[g] * Y over values 32k .. 32k+31 (an offset of 128 is taken from each code instead, which
// is then a signed byte), f = round(d * dy); an affine block then subtracts round(round(dmin * dy) * M[k]), M[k] = the exact
// sum of m[g] * Y over values 32k .. 32k+31. At the end acc[0] + acc[1] (+ offsets), then lane k with k + 4, k + 2, k + 1.
// Products are rounded before they are added: never fused.
#pragma once

#include "quanta/dequantize.hpp"
#include "quanta/formats/q8_0.hpp"
#include "quanta/formats/q8_1.hpp"
#include "quanta/simd/interleaved.hpp"

namespace quanta {
namespace detail {

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
inline constexpr bool sums_offsets = B::affine && !std::same_as<A, q8_1>;

/// The factor of run `Run` of eight in the lanes of its quads.
template <int Run, class Isa, std::size_t Groups>
[[gnu::always_inline]] inline floats8<Isa> factor_of_run(const floats8<Isa> (&factors)[Groups]) {
  if constexpr (Groups == 1)
    return simd::broadcast_lane<Run>(factors[0]);
  else
    return simd::broadcast_lanes<Run>(factors[0], factors[1]);
}

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

/// The same of a run. Levels above -128 are looked up as signed bytes where such products are cheaper.
template <class Isa, class B>
[[gnu::always_inline]] inline simd::quad_sums<Isa> quads_of_run(const B* row, std::size_t run, const simd::code_bytes<Isa>& y) {
  if constexpr (simd::has_bounded_quads<Isa> && requires { row->template signed_levels<Isa>(run); })
    return simd::bounded_quad_dot<Isa>(row[run / runs_of<B>].template signed_levels<Isa>(run % runs_of<B>), y);
  else
    return quads_of<Isa, B>(codes_of_run<Isa>(row, run), y);
}

/// What multiplies the sums of eight runs, a lane a run: d * dy of each group. The offsets of affine formats: minimum * dy, or
/// minimum * s where activations store their sums s. Missing runs have 0 * 0, which changes no bit of a sum that is never -0.
template <class Isa, class B, class A>
struct run_factors {
  floats8<Isa> scales[groups_a_run<B>], offsets[groups_a_run<B>];

  [[gnu::always_inline]] run_factors(const B* row, const A* activations, std::size_t first, std::size_t count) {
    if constexpr (B::affine && !sums_offsets<B, A>) {
      static_assert(groups_a_run<B> == 1);
      const auto [d, minima] = scales_and_minima_of_runs<Isa>(row, first, count);
      const auto [dy, s] = half_pairs_of_runs<Isa>(activations, first, count);
      scales[0] = d * dy, offsets[0] = simd::unfused(minima * s);
      return;
    }
    simd::unroll<groups_a_run<B>>([&](auto part) __attribute__((always_inline)) {
      const auto activation_scales = scales_of_runs<Isa, part() % groups_a_run<A>>(activations, first, count);
      scales[part()] = scales_of_runs<Isa, part()>(row, first, count) * activation_scales;
      if constexpr (sums_offsets<B, A>)
        offsets[part()] = minima_of_runs<Isa, part()>(row, first, count) * activation_scales;
    });
  }
};

/// Up to 8 runs from run `first` on: their factors are collected and multiplied together.
template <class Isa, class B, class A>
[[gnu::always_inline]] inline void dot_eight_runs(const B* row, const A* activations, std::size_t first, std::size_t count,
                                                  run_sums<Isa>& sums) {
  const run_factors<Isa, B, A> factors(row, activations, first, count);
  if constexpr (B::affine && !sums_offsets<B, A>)
    sums.offsets = sums.offsets - factors.offsets[0];
  simd::unroll<8>([&](auto i) __attribute__((always_inline)) {
    constexpr std::size_t index = i();
    if (index >= count)
      return;
    const auto y = signed_codes_of_run<Isa>(activations, first + index);
    const auto quads = quads_of_run<Isa>(row, first + index, y);
    auto& set = sums.set[index % 2];
    set = set + simd::unfused(factor_of_run<i()>(factors.scales) * simd::to_float(quads));
    if constexpr (sums_offsets<B, A>)
      set = set - simd::unfused(factor_of_run<i()>(factors.offsets) *
                                simd::to_float(simd::quad_dot<Isa>(simd::fill<simd::code_bytes<Isa>>(1), y)));
  });
}

/// The same of 8 runs where two are a register: both sets of accumulators side by side.
template <class Isa, class B, class A>
[[gnu::always_inline]] inline void dot_four_pairs(const B* row, const A* activations, std::size_t first, floats16<Isa>& both,
                                                  floats8<Isa>& offsets) {
  const run_factors<Isa, B, A> factors(row, activations, first, 8);
  if constexpr (B::affine && !sums_offsets<B, A>)
    offsets = offsets - factors.offsets[0];
  simd::unroll<4>([&](auto pair) __attribute__((always_inline)) {
    constexpr int even = 2 * pair();
    const std::size_t run = first + even;
    const auto codes = codes_of_two_runs<Isa>(row, run);
    const auto y = simd::join<Isa>(signed_codes_of_run<Isa>(activations, run), signed_codes_of_run<Isa>(activations, run + 1));
    both = both + simd::unfused(factor_of_two_runs<even>(factors.scales) * simd::to_float(quads_of<Isa, B>(codes, y)));
    if constexpr (sums_offsets<B, A>)
      both = both - simd::unfused(factor_of_two_runs<even>(factors.offsets) *
                                  simd::to_float(simd::quad_dot<Isa>(simd::fill<simd::double_code_bytes<Isa>>(1), y)));
  });
}

/// All runs but the last few, eight at a time; returns how many.
template <class Isa, class B, class A>
[[gnu::always_inline]] inline std::size_t dot_whole_eights(const B* row, const A* activations, std::size_t runs,
                                                           run_sums<Isa>& sums) {
  std::size_t first = 0;
  if constexpr (simd::has_double_portions<Isa>) {
    auto both = simd::fill<floats16<Isa>>(0.f);
    for (; first + 8 <= runs; first += 8)
      dot_four_pairs(row, activations, first, both, sums.offsets);
    const auto [even, odd] = simd::halves(both);
    sums.set[0] = even, sums.set[1] = odd;
  } else {
    for (; first + 8 <= runs; first += 8)
      dot_eight_runs(row, activations, first, 8, sums);
  }
  return first;
}

template <class Isa, class B, class A>
[[gnu::always_inline]] inline float total_of(const run_sums<Isa>& sums) {
  floats8<Isa> total = sums.set[0] + sums.set[1];
  if constexpr (B::affine && !sums_offsets<B, A>)
    total = total + sums.offsets;
  return simd::halving_sum(total);
}

template <class Isa, run_format B, block_format A>
[[gnu::always_inline]] inline float dot_blocks(const B* row, const A* activations, std::size_t blocks) {
  run_sums<Isa> sums;
  const std::size_t runs = blocks * runs_of<B>;
  if (const std::size_t first = dot_whole_eights(row, activations, runs, sums); first < runs)
    dot_eight_runs(row, activations, first, runs - first, sums);
  return total_of<Isa, B, A>(sums);
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
    dot_eight_runs(last, last_activations, 0, (rest + 1) / 2, sums);
  }
  return total_of<Isa, pair_of<B>, pair_of<A>>(sums);
}

/// The 16 sums of 16 activations each, as they are stored.
template <class Isa>
[[gnu::always_inline]] inline simd::vec<std::int16_t, 16, Isa> load_sums(const q8_k& y) {
  return simd::load<simd::vec<std::int16_t, 16, Isa>>(reinterpret_cast<const std::int16_t*>(y.bsums.data()));
}

/// Portion Step of a super-block and of its activations, or two of them from 2 Step on.
template <class Isa, bool Two, int Step, class B>
[[gnu::always_inline]] inline auto codes_of_step(const B& w) {
  if constexpr (Two)
    return w.template double_codes<Isa, Step>();
  else
    return w.template codes<Isa, Step>();
}
template <class Isa, bool Two, int Step>
[[gnu::always_inline]] inline auto signed_codes_of_step(const q8_k& y) {
  if constexpr (Two)
    return y.template double_signed_codes<Isa, Step>();
  else
    return y.template signed_codes<Isa, Step>();
}

/// sum of s[g] * c[i] * Y[i] over the quads of each lane, 128 taken from codes that are signed bytes: exact.
template <class Isa, class B>
[[gnu::always_inline]] inline simd::quad_sums<Isa> scaled_quads(const B& w, const q8_k& y) {
  constexpr int group_size = static_cast<int>(B::group_size);
  constexpr bool two = unpacks_double_portions<Isa, B>; // portions a step
  using sums = std::conditional_t<two, simd::double_quad_sums<Isa>, simd::quad_sums<Isa>>;
  [[maybe_unused]] const auto scales = [&]() __attribute__((always_inline)) {
    if constexpr (group_size < super_block_size)
      return simd::prepare_scales<group_size, Isa>(w.group_scales());
    else
      return 0;
  }();
  sums totals[2] = {simd::fill<sums>(0), simd::fill<sums>(0)}; // two, since one would wait for itself
  simd::unroll<two ? 4 : 8>([&](auto step) __attribute__((always_inline)) {
    const auto codes = codes_of_step<Isa, two, step()>(w);
    const auto activations = signed_codes_of_step<Isa, two, step()>(y);
    auto& t = totals[step() % 2];
    if constexpr (group_size == super_block_size)
      t = simd::add_quads(t, codes, activations);
    else if constexpr (B::code_offset == 128) // signed bytes
      t = simd::add_scaled_signed_quads<step(), group_size, Isa>(
          t, codes ^ simd::fill<std::remove_cvref_t<decltype(codes)>>(0x80), activations, scales);
    else
      t = simd::add_scaled_quads<step(), group_size, Isa>(t, codes, activations, scales);
  });
  if constexpr (two)
    return simd::add_halves<Isa>(totals[0] + totals[1]);
  else
    return totals[0] + totals[1];
}

/// Codes up to 3 in one group are added up in words, which are widened once a block and not once a portion: |sums| <= 8 * 2 * 3
/// * 128.
template <class Isa, class B>
inline constexpr bool sums_in_words = B::group_size == super_block_size && simd::has_byte_pairs<Isa> && few_levels<B>() == 4;
template <class Isa, class B>
  requires sums_in_words<Isa, B>
[[gnu::always_inline]] inline simd::quad_sums<Isa> scaled_quads(const B& w, const q8_k& y) {
  using words = simd::vec<std::int16_t, 16, Isa>;
  words pairs[2] = {simd::fill<words>(0), simd::fill<words>(0)};
  simd::unroll<8>([&](auto portion) __attribute__((always_inline)) {
    pairs[portion() % 2] = simd::add_byte_pairs<16, Isa>(pairs[portion() % 2], w.template codes<Isa, portion()>(),
                                                         y.template signed_codes<Isa, portion()>());
  });
  return simd::add_pairs<8, Isa>(simd::fill<simd::quad_sums<Isa>>(0), pairs[0] + pairs[1], simd::fill<words>(1));
}

/// scaled_quads with code_offset taken from every code.
template <class Isa, class B>
[[gnu::always_inline]] inline simd::quad_sums<Isa> integer_part(const B& w, const q8_k& y) {
  constexpr int group_size = static_cast<int>(B::group_size);
  simd::quad_sums<Isa> total = scaled_quads<Isa>(w, y);
  if constexpr (B::code_offset != 0 && B::code_offset != 128) { // through the sums of 16 activations
    static_assert((B::code_offset & (B::code_offset - 1)) == 0);
    simd::vec<std::int16_t, 16, Isa> s;
    if constexpr (group_size == super_block_size)
      s = simd::fill<decltype(s)>(1);
    else if constexpr (group_size == 32)
      s = simd::widen_words_twice<Isa>(w.group_scales());
    else
      s = simd::widen_words<Isa>(w.group_scales());
    const auto below = simd::pair_dot<Isa>(s, load_sums<Isa>(y));
    total = total - simd::shift_left<std::countr_zero(static_cast<unsigned>(B::code_offset))>(below);
  }
  return total;
}

/// Adds one super-block to its set of accumulators.
template <class Isa, class B>
[[gnu::always_inline]] inline void dot_super_block(const B& w, const q8_k& y, floats8<Isa>& sums) {
  const auto total = simd::to_float(integer_part<Isa>(w, y));
  if constexpr (B::affine) {
    const auto m = w.group_minima();
    const auto minima = B::group_size == 16 ? simd::widen_words<Isa>(m) : simd::widen_words_twice<Isa>(m);
    const auto below = simd::to_float(simd::pair_dot<Isa>(minima, load_sums<Isa>(y)));
    const auto [f, g] = simd::scaled_halves<Isa>(w.d, w.dmin, y.d);
    sums = sums + simd::unfused(f * total);
    sums = sums - simd::unfused(g * below);
  } else {
    sums = sums + simd::unfused(simd::fill<floats8<Isa>>(unit_scale<Isa>(w) * y.d) * total);
  }
}

template <class Isa, super_format B>
[[gnu::always_inline]] inline float dot_blocks(const B* row, const q8_k* activations, std::size_t blocks) {
  auto even = simd::fill<floats8<Isa>>(0.f), odd = even;
  std::size_t b = 0;
  for (; b + 2 <= blocks; b += 2) {
    dot_super_block<Isa>(row[b], activations[b], even);
    dot_super_block<Isa>(row[b + 1], activations[b + 1], odd);
  }
  if (b < blocks)
    dot_super_block<Isa>(row[b], activations[b], even);
  return simd::halving_sum(even + odd);
}

/// Exact weights times floats: 32 accumulators, value i into lane i % 32, products rounded, halving sum at the end.
template <class Isa, block_format B, plain_format T>
[[gnu::always_inline]] inline float dot_values(const B* row, const T* x, std::size_t blocks) {
  floats16<Isa> sums[2] = {simd::fill<floats16<Isa>>(0.f), simd::fill<floats16<Isa>>(0.f)};
  decode_row<Isa>(row, blocks, [&](std::size_t i, auto part, const floats16<Isa>& w) __attribute__((always_inline)) {
    floats16<Isa>& sum = sums[part() % 2];
    sum = sum + simd::unfused(w * simd::load_floats<16, Isa>(x + i));
  });
  return simd::halving_sum(sums[0] + sums[1]);
}
template <class Isa, plain_format S, plain_format T>
[[gnu::always_inline]] inline float dot_values(const S* row, const T* x, std::size_t count) {
  floats16<Isa> sums[2] = {simd::fill<floats16<Isa>>(0.f), simd::fill<floats16<Isa>>(0.f)};
  const auto add = [&](std::size_t i, const floats16<Isa>& w, const floats16<Isa>& y) __attribute__((always_inline)) {
    floats16<Isa>& sum = sums[i / 16 % 2];
    sum = sum + simd::unfused(w * y);
  };
  std::size_t i = 0;
  for (; i + 16 <= count; i += 16)
    add(i, simd::load_floats<16, Isa>(row + i), simd::load_floats<16, Isa>(x + i));
  if (i < count) { // a sum is never -0, so that adding 0 * 0 for the missing values changes no bit
    float w[16] = {}, y[16] = {};
    for (std::size_t k = 0; i + k < count; ++k) {
      w[k] = static_cast<float>(row[i + k]);
      y[k] = static_cast<float>(x[i + k]);
    }
    add(i, simd::load<floats16<Isa>>(w), simd::load<floats16<Isa>>(y));
  }
  return simd::halving_sum(sums[0] + sums[1]);
}

/// y[r] = the product of row r of `rows` with x, numbers or activations. Long, so that all callers share it, whatever their
/// ranges and threads are.
template <class Isa, class B, class A>
[[gnu::noinline]] void dot_rows(const B* row, std::size_t rows, std::size_t row_blocks, const A* x, float* y) {
  for (std::size_t r = 0; r < rows; ++r, row += row_blocks) {
    if constexpr (plain_format<A>)
      y[r] = dot_values<Isa>(row, x, row_blocks);
    else
      y[r] = dot_blocks<Isa>(row, x, row_blocks);
  }
}
template <class Isa, class Row, class X>
[[gnu::always_inline]] inline float dot_row(const Row& row, const X& x) {
  float y;
  dot_rows<Isa>(std::ranges::data(row), 1, std::ranges::size(row), std::ranges::data(x), &y);
  return y;
}

} // namespace detail

/// The dot product of a quantized row with activations quantized to the row's partner format. Integer parts are exact for
/// every code and activation value; the float steps are in the order above, so all levels and compilers give equal bits.
/// Relative error of the sum: at most (blocks + 8) * 2^-24 of the sum of the magnitudes. Reads each block once.
/// Expects: as many values on both sides.
template <class Isa = isa::native, detail::block_range Row, detail::block_range Activations>
  requires std::same_as<typename detail::element_of<Row>::dot_partner, detail::element_of<Activations>>
float dot(const Row& row, const Activations& activations) {
  using B = detail::element_of<Row>;
  using A = detail::element_of<Activations>;
  QUANTA_EXPECTS(std::ranges::size(row) * B::block_size == std::ranges::size(activations) * A::block_size);
  return detail::dot_row<Isa>(row, activations);
}

/// The dot product of the exact decoded weights with float, f16 or bf16 values; rows may be f16, bf16 or float too.
/// Expects: values.size() == row.size() * block size.
template <class Isa = isa::native, std::ranges::contiguous_range Row, detail::number_range Values>
  requires row_format<detail::element_of<Row>>
float dot(const Row& row, const Values& values) {
  using B = detail::element_of<Row>;
  QUANTA_EXPECTS(std::ranges::size(row) * block_size_of<B> == std::ranges::size(values));
  return detail::dot_row<Isa>(row, values);
}

} // namespace quanta
