// Activations as gemv wants them beside run formats: codes together and aligned, scales as floats, made once for all rows.
//
// In a row of blocks of 34 bytes half of the loads of codes cross a line of the cache, and the halves of eight blocks are
// collected anew for every row. Zen 4, rows of 4096 in the second-level cache, GFLOP/s before, with scales made once, and codes
// too: AVX-512 q4_0 66, 71, 79, q4_1 59, 68, 75, q5_0 51, 55, 58, iq4_nl 55, 59, 64, mxfp4 51, 55, 60, q8_0 69, 73, 80; AVX2
// q4_0 57, 61, 62, q4_1 53, 63, 63, iq4_nl 52, 56, 55, q8_0 59, 65, 65. Super-blocks gain nothing: 256 codes a scale.
#pragma once

#include "quanta/formats/q8_1.hpp"
#include "quanta/runs.hpp"

namespace quanta::detail {

/// Whether blocks of activations store the sums of their values, which the offsets of affine weights are multiplied with.
template <class A>
inline constexpr bool stores_sums = std::same_as<A, q8_1>;

/// Eight runs of activations A; those that are missing at the end are zeros.
template <class A>
struct alignas(64) eight_runs {
  static constexpr std::size_t block_size = 8 * run_size, group_size = A::group_size;
  static_assert(groups_a_run<A> == 1);

  std::array<std::uint8_t, block_size> codes; // signed bytes
  std::array<float, 8> scales, sums;          // sums: only of those that store them

  template <class Isa>
  [[gnu::always_inline]] simd::code_bytes<Isa> signed_codes(std::size_t run) const {
    return simd::load<simd::code_bytes<Isa>>(&codes[run_size * run]);
  }
  /// Those of an even run and the next.
  template <class Isa>
  [[gnu::always_inline]] simd::double_code_bytes<Isa> double_signed_codes(std::size_t run) const {
    return simd::load<simd::double_code_bytes<Isa>>(&codes[run_size * run]);
  }
};
template <class A>
inline constexpr bool stores_sums<eight_runs<A>> = stores_sums<A>;

/// The scales of 8 runs of activations, and their sums.
template <class Isa, std::size_t Part, class A>
[[gnu::always_inline]] inline simd::vec<float, 8, Isa> activation_scales_of_runs(const A* x, std::size_t first,
                                                                                 std::size_t count) {
  return scales_of_runs<Isa, Part>(x, first, count);
}
template <class Isa, std::size_t Part, class A>
[[gnu::always_inline]] inline simd::vec<float, 8, Isa> activation_scales_of_runs(const eight_runs<A>* x, std::size_t first,
                                                                                 std::size_t) {
  return simd::load<simd::vec<float, 8, Isa>>(x[first / 8].scales.data());
}
template <class Isa, class A>
[[gnu::always_inline]] inline auto scales_and_sums_of_runs(const A* x, std::size_t first, std::size_t count) {
  return half_pairs_of_runs<Isa>(x, first, count);
}
template <class Isa, class A>
[[gnu::always_inline]] inline auto scales_and_sums_of_runs(const eight_runs<A>* x, std::size_t first, std::size_t) {
  using floats = simd::vec<float, 8, Isa>;
  return std::array{simd::load<floats>(x[first / 8].scales.data()), simd::load<floats>(x[first / 8].sums.data())};
}

/// Formats whose products take activations so.
template <class B>
concept takes_eight_runs = run_format<B> && requires { requires groups_a_run<typename B::dot_partner> == 1; };
/// Rows that repay the copy, and runs that it has room for: 40 KiB of stack.
inline constexpr std::size_t rows_to_copy = 4, runs_to_copy = 1024;

/// Takes sums that are beyond a half, and so infinite, from the codes. The product is exact: d has 11 bits, a sum 13.
template <class Isa, class A>
[[gnu::always_inline]] inline void mend_sums(eight_runs<A>& runs) {
  const auto sums = simd::load<simd::vec<float, 8, Isa>>(runs.sums.data()), zero = simd::fill<simd::vec<float, 8, Isa>>(0.f);
  if (!simd::any(sums - sums != zero)) [[likely]]
    return;
  for (std::size_t i = 0; i < 8; ++i) {
    int sum = 0;
    for (std::size_t k = 0; k < run_size; ++k)
      sum += static_cast<std::int8_t>(runs.codes[run_size * i + k]);
    if (!(runs.sums[i] - runs.sums[i] == 0.f))
      runs.sums[i] = runs.scales[i] * static_cast<float>(sum);
  }
}

/// Writes (runs + 7) / 8 elements.
template <class Isa, class A>
[[gnu::noinline]] void copy_runs(const A* x, std::size_t runs, eight_runs<A>* out) {
  for (std::size_t first = 0; first < runs; first += 8, ++out) {
    const std::size_t count = runs - first < 8 ? runs - first : 8;
    for (std::size_t i = 0; i < 8; ++i)
      simd::store(&out->codes[run_size * i],
                  i < count ? signed_codes_of_run<Isa>(x, first + i) : simd::fill<simd::code_bytes<Isa>>(0));
    if constexpr (stores_sums<A>) {
      const auto [scales, sums] = half_pairs_of_runs<Isa>(x, first, count);
      simd::store(out->scales.data(), scales);
      simd::store(out->sums.data(), sums);
      mend_sums<Isa>(*out);
    } else {
      simd::store(out->scales.data(), scales_of_runs<Isa, 0>(x, first, count));
    }
  }
}

/// Calls multiply(activations) with the activations as they are, or as `rows` rows of B take them faster.
template <class Isa, class B, class A, class F>
[[gnu::always_inline]] inline void with_fast_activations(const A* x, std::size_t rows, std::size_t row_blocks, F&& multiply) {
  if constexpr (takes_eight_runs<B> && block_format<A>) {
    if (const std::size_t runs = row_blocks * runs_of<B>; rows >= rows_to_copy && runs <= runs_to_copy) {
      eight_runs<A> copy[runs_to_copy / 8];
      copy_runs<Isa>(x, runs, copy);
      multiply(static_cast<const eight_runs<A>*>(copy));
      return;
    }
  }
  multiply(x);
}

} // namespace quanta::detail
