// Decoding formats of few levels to 16 bits: the values of all levels are rounded once a group, and weights choose among them.
// Rounding is what decoding to halves costs most; q4_0 has 16 values to round for 32 weights, q2_K 4 for 16.
#pragma once

#include <array>
#include <bit>

#include "quanta/runs.hpp"

namespace quanta::detail {

/// The factors of 256 values, as for_each_portion collects them.
struct factor_lists {
  const float* scales;
  const float* minima; // of affine formats
};
/// Which of them holds for part `part` of a portion: those of 8 runs (the first groups of all, then the second ones), or of the
/// groups of a super-block.
template <class B>
[[gnu::always_inline]] constexpr std::size_t factor_of(std::size_t portion, std::size_t part) {
  if constexpr (super_format<B>)
    return (run_size * portion + run_size / 2 * part) / B::group_size;
  else
    return portion + (groups_a_run<B> == 2 ? 8 * part : 0);
}
template <class B>
inline constexpr std::size_t factors_of = super_format<B> ? super_block_size / B::group_size : 8 * groups_a_run<B>;

/// The number of levels as a power of two of formats that have at most 16, and less than values a group; 0 of others.
template <class B>
constexpr std::size_t few_levels() {
  constexpr std::size_t together = super_format<B> ? B::group_size : run_size; // values that are sure to share a factor
  std::size_t levels = 0;
  if constexpr (requires { B::codes_by_nibble; })
    levels = 16;
  else if constexpr (requires { B::levels; })
    levels = std::bit_ceil(static_cast<std::size_t>(B::levels));
  return (super_format<B> || groups_a_run<B> == 1) && levels <= 16 && 2 * levels <= together ? levels : 0;
}

/// The rounded values of all levels of 256 weights: level l of factor f at L f + l, in tables of 16.
template <class Isa, class B, class T>
class rounded_levels {
  static constexpr std::size_t L = few_levels<B>(), tables = factors_of<B> * L <= 16 ? 1 : factors_of<B> * L / 16;
  using V = simd::vec<float, 16, Isa>;

  alignas(32) T values[16 * tables];

  static constexpr auto by_level = [] {
    std::array<float, 16> all{};
    for (std::size_t i = 0; i < 16; ++i)
      if constexpr (requires { B::codes_by_nibble; })
        all[i] = static_cast<float>(B::codes_by_nibble[i % L] - B::code_offset);
      else
        all[i] = static_cast<float>(static_cast<int>(i % L) - B::code_offset);
    return all;
  }();
  /// The factors of table `Table`, one a value.
  template <std::size_t Table>
  [[gnu::always_inline]] static V spread(const float* factors) {
    if constexpr (L == 16 || factors_of<B> == 1) {
      return simd::fill<V>(factors[Table]);
    } else {
      static constexpr auto chosen = [] {
        std::array<std::int32_t, 16> all{};
        for (std::size_t i = 0; i < 16; ++i)
          all[i] = static_cast<std::int32_t>((16 * Table + i) / L % factors_of<B>);
        return all;
      }();
      return simd::look_up_floats<std::bit_width(factors_of<B>) - 1>(
          factors, simd::load<simd::vec<std::int32_t, 16, Isa>>(chosen.data()));
    }
  }
  template <std::size_t Table>
  [[gnu::always_inline]] static V values_of(const factor_lists& factors) {
    V x = simd::load<V>(by_level.data()) * spread<Table>(factors.scales);
    if constexpr (B::affine)
      x = x - spread<Table>(factors.minima);
    return x;
  }

public:
  [[gnu::always_inline]] explicit rounded_levels(const factor_lists& factors) {
    if constexpr (tables == 1)
      simd::store_floats(values, values_of<0>(factors));
    else
      simd::unroll<tables / 2>([&](auto pair) __attribute__((always_inline)) {
        constexpr std::size_t t = 2 * pair();
        simd::store_floats(values + 16 * t, values_of<t>(factors), values_of<t + 1>(factors));
      });
  }
  /// The 32 values of a portion. `levels`: of each its level.
  [[gnu::always_inline]] void store(T* out, simd::code_bytes<Isa> levels, std::size_t portion) const {
    if constexpr (L < 16 && factors_of<B> > 1) {
      alignas(32) static constexpr auto first_of_factor = [] {
        std::array<std::array<std::uint8_t, run_size>, 8> all{};
        for (std::size_t p = 0; p < 8; ++p)
          for (std::size_t i = 0; i < run_size; ++i)
            all[p][i] = static_cast<std::uint8_t>(L * factor_of<B>(p, i / 16) % 16);
        return all;
      }();
      levels = levels | simd::load<simd::code_bytes<Isa>>(first_of_factor[portion].data());
    }
    simd::store_looked_up(out, values + L * factor_of<B>(portion, 0) / 16 * 16, levels);
  }
};

} // namespace quanta::detail
