// Blocks to numbers: bit for bit the equation of format.hpp at every level.
#pragma once

#include <span> // and what its constructors need of <ranges>, whose views would be a tenth of all of quanta to compile

#include "quanta/format.hpp"
#include "quanta/formats/codebook_block.hpp"
#include "quanta/formats/super_block.hpp"
#include "quanta/matrix_view.hpp"
#include "quanta/rounded_levels.hpp"
#include "quanta/runs.hpp"
#include "quanta/simd/vocabulary.hpp"

namespace quanta {
namespace detail {

template <class R>
using element_of = std::remove_cvref_t<std::ranges::range_reference_t<R>>;
template <class R>
concept block_range = std::ranges::contiguous_range<R> && block_format<element_of<R>>;
template <class R>
concept number_range = std::ranges::contiguous_range<R> && plain_format<element_of<R>>;

/// Calls f(index, part, values) for the 16 values of each half of a portion, part = index / 16 % 2 at compile time.
template <class Isa, class B, class F>
[[gnu::always_inline]] inline void decode_portion(const simd::code_bytes<Isa>& codes, const factor_lists& factors,
                                                  std::size_t portion, std::size_t index, F&& f) {
  simd::unroll<2>([&](auto part) __attribute__((always_inline)) {
    using V = simd::vec<float, 16, Isa>;
    const std::size_t factor = factor_of<B>(portion, part());
    constexpr int in_code = has_plain_codes<B>() ? B::code_offset : 128;
    V x = simd::codes_to_floats<part(), in_code, Isa>(codes);
    if constexpr (in_code != B::code_offset)
      x = x + simd::fill<V>(static_cast<float>(in_code - B::code_offset));
    x = x * simd::fill<V>(factors.scales[factor]);
    if constexpr (B::affine)
      x = x - simd::fill<V>(factors.minima[factor]);
    f(index + 16 * part(), part, x);
  });
}

/// What a portion's bytes are: codes, or what codes are looked up by where that is how a format has them.
enum class taken { codes, levels };

/// Calls f(prepare(factors of 256 values), bytes, portion, index) for 32 values after another, portion = index / 32 % 8.
template <class Isa, taken Taken, run_format B, class P, class F>
[[gnu::always_inline]] inline void for_each_portion(const B* row, std::size_t blocks, P&& prepare, F&& f) {
  const std::size_t runs = blocks * runs_of<B>;
  for (std::size_t first = 0; first < runs; first += 8) {
    alignas(32) float scales[8 * groups_a_run<B>];
    [[maybe_unused]] alignas(32) float minima[B::affine ? 8 * groups_a_run<B> : 1];
    simd::unroll<groups_a_run<B>>([&](auto part) __attribute__((always_inline)) {
      simd::store(scales + 8 * part(), scales_of_runs<Isa, part(), factor_use::one_by_one>(row, first, runs - first));
      if constexpr (B::affine)
        simd::store(minima + 8 * part(), minima_of_runs<Isa, part(), factor_use::one_by_one>(row, first, runs - first));
    });
    const auto prepared = prepare(factor_lists{scales, minima});
    const auto call = [&](std::size_t i) __attribute__((always_inline)) {
      const std::size_t run = first + i;
      if constexpr (Taken == taken::levels && requires { row->template indices<Isa>(run); })
        f(prepared, row[run / runs_of<B>].template indices<Isa>(run % runs_of<B>), i, 32 * run);
      else
        f(prepared, codes_of_run<Isa>(row, run), i, 32 * run);
    };
    // Unrolled, so that what runs of a block share is seen to be the same, at -O2 too.
    if (half_first<B> && runs_of<B> > 1 && first + 8 <= runs) {
      simd::unroll<8>([&](auto i) __attribute__((always_inline)) { call(i()); });
      continue;
    }
    for (std::size_t i = 0; i < 8 && first + i < runs; ++i)
      call(i);
  }
}

/// d of a super-block in units of which the integers of the equation are multiples.
template <class Isa, class B>
[[gnu::always_inline]] inline float unit_scale(const B& block) {
  if constexpr (requires { block.collected_d(); })
    return simd::widen_half<Isa>(block.collected_d()) * B::unit;
  else
    return simd::widen_half<Isa>(block.d) * B::unit;
}

/// d * s[g] and dmin * m[g] of a super-block as floats; both products are exact.
template <class Isa, class B>
struct group_factors {
  alignas(64) float scale[16], minimum[16];

  [[gnu::always_inline]] explicit group_factors(const B& block) {
    using V = simd::vec<float, 16, Isa>;
    const V d = simd::fill<V>(unit_scale<Isa>(block));
    simd::store(scale, simd::to_float(simd::widen<Isa>(block.group_scales())) * d);
    if constexpr (B::affine) {
      const V dmin = simd::fill<V>(simd::widen_half<Isa>(block.dmin));
      simd::store(minimum, simd::to_float(simd::widen<Isa>(block.group_minima())) * dmin);
    }
  }
};
/// One group: the block's scale.
template <class Isa, class B>
  requires(B::group_size == super_block_size)
struct group_factors<Isa, B> {
  float scale[1];
  float minimum[1] = {0.f};
  [[gnu::always_inline]] explicit group_factors(const B& block) : scale{block.scale(0)} {}
};

/// Formats whose books registers hold: the values of all levels are scaled once a group, so that a weight needs no conversion
/// and no product but its sign.
template <class Isa, class B, class F>
[[gnu::always_inline]] inline void decode_levels(const B& w, const float* scales, std::size_t index, F&& f) {
  using V = simd::vec<float, 16, Isa>;
  constexpr int bits = B::book::bits, words = 16 / levels_a_word<B>; // words of 16 weights
  static constexpr auto values = [] {
    std::array<float, 16> all{};
    for (std::size_t i = 0; i < 16; ++i)
      all[i] = B::book::values_by_level[i % (std::size_t{1} << bits)];
    return all;
  }();
  const auto negative = w.template sign_words<Isa>();
  const std::array levels{w.template level_words<Isa, 0>(), w.template level_words<Isa, words / 4>()};
  simd::unroll<16>([&](auto part) __attribute__((always_inline)) {
    const V scaled = simd::fill<V>(scales[16 * part() / B::group_size]) * simd::load<V>(values.data());
    const auto signs = static_cast<std::uint16_t>(negative[part() / 4] >> 16 * (part() % 4));
    constexpr int first = words * part();
    f(index + 16 * part(), std::integral_constant<int, part() % 2>{},
      simd::look_up_levels<bits, first % 32>(levels[first / 32], scaled, signs));
  });
}

template <class Isa, taken Taken, super_format B, class P, class F>
[[gnu::always_inline]] inline void for_each_portion(const B* row, std::size_t blocks, P&& prepare, F&& f) {
  for (std::size_t b = 0; b < blocks; ++b) {
    const group_factors<Isa, B> factors(row[b]);
    const auto prepared = prepare(factor_lists{factors.scale, factors.minimum});
    const std::size_t index = super_block_size * b;
    if constexpr (unpacks_double_portions<Isa, B> && requires { requires B::decodes_by_pairs; }) {
      const auto pairs = all_double_codes<Isa>(row[b]);
      simd::unroll<4>([&](auto pair) __attribute__((always_inline)) {
        const auto [low, high] = simd::halves<Isa>(pairs[pair()]);
        f(prepared, low, std::size_t{2 * pair()}, index + 64 * pair());
        f(prepared, high, std::size_t{2 * pair() + 1}, index + 64 * pair() + 32);
      });
    } else {
      const auto call = [&](const auto&... unpacked) __attribute__((always_inline)) {
        simd::unroll<8>([&](auto portion) __attribute__((always_inline)) {
          if constexpr (Taken == taken::levels && requires { row->template indices<Isa, portion()>(); })
            f(prepared, row[b].template indices<Isa, portion()>(), std::size_t{portion()}, index + 32 * portion());
          else
            f(prepared, row[b].template codes<Isa, portion()>(unpacked...), std::size_t{portion()}, index + 32 * portion());
        });
      };
      if constexpr (unpacks_blocks<Isa, B> && simd::has_word_tables<Isa> && requires { requires B::decodes_unpacked; })
        call(row[b].template unpack<Isa>());
      else
        call();
    }
  }
}

template <class Isa, block_format B, class F>
[[gnu::always_inline]] inline void decode_row(const B* row, std::size_t blocks, F&& f) {
  if constexpr (has_level_words<Isa, B>) {
    for (std::size_t b = 0; b < blocks; ++b)
      decode_levels<Isa>(row[b], group_factors<Isa, B>(row[b]).scale, super_block_size * b, f);
  } else {
    for_each_portion<Isa, taken::codes>(
        row, blocks, [](const factor_lists& factors) __attribute__((always_inline)) { return factors; },
        [&](const factor_lists& factors, const auto& codes, std::size_t portion, std::size_t index)
            __attribute__((always_inline)) { decode_portion<Isa, B>(codes, factors, portion, index, f); });
  }
}
/// Blocks of 16: pairs of them, and a last one alone.
template <class Isa, paired_format B, class F>
[[gnu::always_inline]] inline void decode_row(const B* row, std::size_t blocks, F&& f) {
  decode_row<Isa>(as_pairs(row), blocks / 2, f);
  if (blocks % 2 != 0) {
    const pair_of<B> last{{row[blocks - 1], {}}};
    decode_row<Isa>(&last, 1, [&](std::size_t i, auto part, const simd::vec<float, 16, Isa>& x) __attribute__((always_inline)) {
      if constexpr (part() == 0)
        f((blocks - 1) * B::block_size + i, part, x);
    });
  }
}

/// Neighbours are rounded to 16 bits together, which is cheapest.
template <class Isa, block_format B, plain_format T>
void dequantize_blocks(const B* row, std::size_t blocks, T* values) {
  if constexpr (sizeof(T) == 2 && few_levels<B>() != 0) {
    for_each_portion<Isa, taken::levels>(
        row, blocks,
        [](const factor_lists& factors) __attribute__((always_inline)) { return rounded_levels<Isa, B, T>(factors); },
        [&](const auto& rounded, const auto& levels, std::size_t portion, std::size_t index)
            __attribute__((always_inline)) { rounded.store(values + index, levels, portion); });
  } else {
    [[maybe_unused]] simd::vec<float, 16, Isa> first;
    decode_row<Isa>(row, blocks,
                    [&](std::size_t i, auto part, const simd::vec<float, 16, Isa>& x) __attribute__((always_inline)) {
                      if constexpr (std::is_same_v<T, float>)
                        simd::store(values + i, x);
                      else if constexpr (part() == 0)
                        first = x;
                      else
                        simd::store_floats(values + i - 16, first, x);
                    });
    if constexpr (sizeof(T) == 2 && B::block_size % 32 != 0)
      if (blocks % 2 != 0)
        simd::store_floats(values + (blocks - 1) * B::block_size, first);
  }
}
template <class Isa, plain_format S, plain_format T>
void dequantize_blocks(const S* row, std::size_t count, T* values) {
  std::size_t i = 0;
  for (; i + 32 <= count; i += 32)
    simd::store_floats(values + i, simd::load_floats<16, Isa>(row + i), simd::load_floats<16, Isa>(row + i + 16));
  for (; i < count; ++i)
    values[i] = T(static_cast<float>(row[i]));
}

} // namespace detail

/// Decodes blocks into numbers: `values` = one float, f16 or bf16 for each value of `row`. Bit-exact: float results equal
/// `decode_value`, f16 and bf16 results are those rounded to nearest even. Rows of f16, bf16 and float are converted alike.
/// Any part of a row may be decoded: pass a subspan of its blocks. Reads sizeof(B) / block_size bytes and writes
/// sizeof(T) a value. Expects: values.size() == row.size() * block size.
template <class Isa = isa::native, std::ranges::contiguous_range Row, detail::number_range Values>
  requires row_format<detail::element_of<Row>>
void dequantize(const Row& row, Values&& values) {
  using B = detail::element_of<Row>;
  QUANTA_EXPECTS((detail::same_length<B, float>(std::ranges::size(row), std::ranges::size(values))));
  detail::dequantize_blocks<Isa>(std::ranges::data(row), std::ranges::size(row), std::ranges::data(values));
}

/// Decodes the rows that `indices` name, one after another (embedding lookup). Expects: every index < matrix.rows and
/// values.size() == indices.size() * matrix.columns.
template <class Isa = isa::native, row_format B, std::ranges::contiguous_range Indices, detail::number_range Values>
  requires std::integral<detail::element_of<Indices>>
void dequantize_rows(const matrix_view<B>& matrix, const Indices& indices, Values&& values) {
  QUANTA_EXPECTS(detail::is_product(std::ranges::size(values), std::ranges::size(indices), matrix.columns));
  auto* out = std::ranges::data(values);
  for (const auto index : indices) {
    const auto row = matrix.row(static_cast<std::size_t>(index));
    detail::dequantize_blocks<Isa>(row.data(), row.size(), out);
    out += matrix.columns;
  }
}

} // namespace quanta
