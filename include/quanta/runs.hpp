// What the kernels read of formats that are runs of 32 values: codes, scales and minima. A format says how it unpacks a run if
// it wants to be fast; the equation's own accessors are enough to be right.
#pragma once

#include "quanta/format.hpp"
#include "quanta/simd/vocabulary.hpp"

namespace quanta::detail {

template <class B>
inline constexpr std::size_t runs_of = B::block_size / run_size;
/// Scale groups that a run of 32 values lies in: 2 for groups of 16.
template <class B>
inline constexpr std::size_t groups_a_run = B::group_size < run_size ? run_size / B::group_size : 1;
/// The group that part `Part` of a block's run lies in.
template <class B, std::size_t Part>
[[gnu::always_inline]] constexpr std::size_t group_of(std::size_t run) {
  return (run * run_size + Part * B::group_size) / B::group_size;
}
/// Whether codes and offset fit what the kernels like best: unsigned codes up to 127 with an offset up to 64, or bytes that
/// are signed when 128 is taken from them. Others are taken as signed bytes, and the rest of the offset apart.
template <class B>
constexpr bool has_plain_codes() {
  if constexpr (requires { B::levels; })
    return B::code_offset == 128 || (B::levels <= 128 && B::code_offset <= 64);
  else
    return B::code_offset == 128 || B::code_offset <= 64;
}

/// Whether a block starts with its scale as a half (and, where affine, then has the offset m, x = d q + m).
template <class B>
concept half_first = requires { requires B::half_first; };

/// The codes of a run, counted through the row.
template <class Isa, class B>
[[gnu::always_inline]] inline simd::code_bytes<Isa> codes_of_run(const B* row, std::size_t run) {
  const B& block = row[run / runs_of<B>];
  if constexpr (requires { block.template codes<Isa>(run); }) {
    return block.template codes<Isa>(run % runs_of<B>);
  } else {
    alignas(run_size) std::uint8_t codes[run_size];
    for (std::size_t i = 0; i < run_size; ++i)
      codes[i] = static_cast<std::uint8_t>(block.code(run % runs_of<B> * run_size + i));
    return simd::load<simd::code_bytes<Isa>>(codes);
  }
}
/// Formats whose codes are the nibbles of 16 bytes a run, the low ones first, or what these are looked up as.
template <class B>
concept nibble_runs = requires(const B& block) {
  { block.nibbles(0) } -> std::same_as<const std::uint8_t*>;
  requires requires { B::codes_by_nibble; } || requires { requires B::levels == 16; };
};

/// The codes of a run of an even number and of the next one where a register takes both: nibbles, perhaps with a fifth bit, are
/// unpacked together.
template <class Isa, class B>
[[gnu::always_inline]] inline simd::double_code_bytes<Isa> codes_of_two_runs(const B* row, std::size_t run) {
  constexpr std::size_t R = runs_of<B>;
  if constexpr (requires { row->template codes_of_two<Isa>(run); }) { // an even run and the next are in one block
    static_assert(R % 2 == 0);
    return row[run / R].template codes_of_two<Isa>(run % R);
  } else if constexpr (nibble_runs<B>) {
    const B &first = row[run / R], &second = row[(run + 1) / R];
    auto codes = simd::unpack_nibbles_twice<Isa>(first.nibbles(run % R), second.nibbles((run + 1) % R));
    if constexpr (requires { B::codes_by_nibble; })
      return simd::look_up(B::codes_by_nibble, codes);
    else
      return codes;
  } else if constexpr (requires { row->five_bits(run); }) {
    const auto first = row[run / R].five_bits(run % R), second = row[(run + 1) / R].five_bits((run + 1) % R);
    const auto codes = simd::unpack_nibbles_twice<Isa>(first.nibbles, second.nibbles);
    return simd::add_bits_twice<16, Isa>(codes, first.fifth, second.fifth);
  } else {
    return simd::join<Isa>(codes_of_run<Isa>(row, run), codes_of_run<Isa>(row, run + 1));
  }
}
/// The signed bytes of a run of activations.
template <class Isa, class A>
[[gnu::always_inline]] inline simd::code_bytes<Isa> signed_codes_of_run(const A* row, std::size_t run) {
  if constexpr (requires { row->template signed_codes<Isa>(run); })
    return row[run / runs_of<A>].template signed_codes<Isa>(run % runs_of<A>);
  else
    return codes_of_run<Isa>(row, run) ^ simd::fill<simd::code_bytes<Isa>>(static_cast<std::uint8_t>(A::code_offset));
}
/// Those of an even run and the next.
template <class Isa, class A>
[[gnu::always_inline]] inline simd::double_code_bytes<Isa> signed_codes_of_two_runs(const A* row, std::size_t run) {
  if constexpr (requires { row->template double_signed_codes<Isa>(run); })
    return row[run / runs_of<A>].template double_signed_codes<Isa>(run % runs_of<A>);
  else
    return simd::join<Isa>(signed_codes_of_run<Isa>(row, run), signed_codes_of_run<Isa>(row, run + 1));
}

/// value(block, run of the block) of 8 runs, the first a multiple of 8; zero from `count` on.
template <class Isa, class B, class F>
[[gnu::always_inline]] inline simd::vec<float, 8, Isa> collect_runs(const B* row, std::size_t first_run, std::size_t count,
                                                                    F value) {
  constexpr std::size_t R = runs_of<B>;
  float values[8] = {};
  simd::unroll<8>([&](auto index) __attribute__((always_inline)) { // in registers until they are joined
    constexpr std::size_t i = index();
    if (count < 8 && i >= count)
      return;
    if constexpr (8 % R == 0) // so that what runs of a block share is seen to be the same
      values[i] = value(row[first_run / R + i / R], i % R);
    else
      values[i] = value(row[(first_run + i) / R], (first_run + i) % R);
  });
  return simd::from_lanes<Isa>(values);
}
/// What the factors of 8 runs are made for: a product of all lanes, or to be stored and read one by one. Then it is faster if
/// the compiler knows each of them (decoding AVX-512 groups of 64 and 128 by 8 %).
enum class factor_use { in_lanes, one_by_one };

/// The halves at `offset` bytes in the blocks that 8 runs lie in; zero from `count` on.
template <class Isa, factor_use Use = factor_use::in_lanes, class B>
[[gnu::always_inline]] inline simd::vec<float, 8, Isa> halves_of_runs(const B* row, std::size_t first_run, std::size_t count,
                                                                      std::size_t offset = 0) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(row) + offset;
  if (runs_of<B> == 1 && count >= 8)
    return simd::load_halves<Isa>(bytes + first_run * sizeof(B), sizeof(B));
  constexpr std::size_t R = runs_of<B>;
  if constexpr (Use == factor_use::in_lanes && (R == 2 || R == 4 || R == 8) &&
                requires { simd::load_repeated_halves<R, Isa>(bytes, R); })
    if (count >= 8)
      return simd::load_repeated_halves<R, Isa>(bytes + first_run / R * sizeof(B), sizeof(B));
  return collect_runs<Isa>(row, first_run, count, [offset](const B& block, std::size_t) __attribute__((always_inline)) {
    packed<f16> half;
    std::memcpy(&half, reinterpret_cast<const std::uint8_t*>(&block) + offset, sizeof half);
    return simd::widen_half<Isa>(half);
  });
}
/// Where the halves of group `Part` of a run are, in the block that the run lies in.
template <class B, std::size_t Part>
inline constexpr std::size_t halves_at = Part * (sizeof(B) / groups_a_run<B>);

/// The scales of 8 runs, of group `Part` of each; zero from `count` on.
template <class Isa, std::size_t Part, factor_use Use = factor_use::in_lanes, class B>
[[gnu::always_inline]] inline simd::vec<float, 8, Isa> scales_of_runs(const B* row, std::size_t first_run, std::size_t count) {
  if constexpr (half_first<B>)
    return halves_of_runs<Isa, Use>(row, first_run, count, halves_at<B, Part>);
  if constexpr (requires { B::template scales_of_eight<Isa, Part>(row); })
    if (count >= 8)
      return B::template scales_of_eight<Isa, Part>(row + first_run / runs_of<B>);
  if constexpr (!half_first<B>)
    return collect_runs<Isa>(row, first_run, count, [](const B& block, std::size_t run) __attribute__((always_inline)) {
      return block.scale(group_of<B, Part>(run));
    });
}
/// The minima of formats whose blocks store m: x = d q + m = d q - (-m).
template <class Isa>
[[gnu::always_inline]] inline simd::vec<float, 8, Isa> minima_of_offsets(const simd::vec<float, 8, Isa>& m) {
  return simd::fill<simd::vec<float, 8, Isa>>(-0.f) - m;
}
/// The minima of 8 runs, of group `Part` of each; zero from `count` on.
template <class Isa, std::size_t Part, factor_use Use = factor_use::in_lanes, class B>
[[gnu::always_inline]] inline simd::vec<float, 8, Isa> minima_of_runs(const B* row, std::size_t first_run, std::size_t count) {
  if constexpr (half_first<B>)
    return minima_of_offsets<Isa>(halves_of_runs<Isa, Use>(row, first_run, count, halves_at<B, Part> + sizeof(f16)));
  else
    return collect_runs<Isa>(row, first_run, count, [](const B& block, std::size_t run) __attribute__((always_inline)) {
      return block.minimum(group_of<B, Part>(run));
    });
}
/// Two halves at the beginning of the blocks that 8 runs lie in; zero from `count` on.
template <class Isa, class B>
[[gnu::always_inline]] inline std::array<simd::vec<float, 8, Isa>, 2> half_pairs_of_runs(const B* row, std::size_t first_run,
                                                                                         std::size_t count) {
  if constexpr (runs_of<B> == 1)
    if (count >= 8)
      return simd::load_half_pairs<sizeof(B), Isa>(reinterpret_cast<const std::uint8_t*>(row + first_run));
  return {halves_of_runs<Isa>(row, first_run, count), halves_of_runs<Isa>(row, first_run, count, sizeof(f16))};
}
/// The scales and minima of 8 runs of an affine format whose runs have one group.
template <class Isa, class B>
[[gnu::always_inline]] inline std::array<simd::vec<float, 8, Isa>, 2> scales_and_minima_of_runs(const B* row,
                                                                                                std::size_t first_run,
                                                                                                std::size_t count) {
  if constexpr (half_first<B>) {
    const auto [d, m] = half_pairs_of_runs<Isa>(row, first_run, count);
    return {d, minima_of_offsets<Isa>(m)};
  } else {
    return {scales_of_runs<Isa, 0>(row, first_run, count), minima_of_runs<Isa, 0>(row, first_run, count)};
  }
}

// --- blocks of 16 ----------------------------------------------------------------------------------------------------

/// Blocks of half a run; two neighbours are worked on as one block with two groups.
template <class B>
concept paired_format = block_format<B> && requires {
  requires B::block_size == run_size / 2 && B::group_size == run_size / 2;
};

template <paired_format B>
struct pair_of {
  static constexpr std::size_t block_size = run_size, group_size = B::group_size;
  static constexpr bool affine = B::affine, half_first = detail::half_first<B>;
  static constexpr int code_offset = B::code_offset;
  static constexpr int levels = [] { // has_plain_codes() decides by it
    if constexpr (requires { B::levels; })
      return B::levels;
    else
      return 128;
  }();
  static constexpr std::string_view name = B::name;

  std::array<B, 2> halves;

  constexpr int code(std::size_t i) const { return halves[i / group_size].code(i % group_size); }
  constexpr float scale(std::size_t g) const { return halves[g].scale(0); }
  constexpr float minimum(std::size_t g) const { return halves[g].minimum(0); }
  template <class Isa>
    requires requires(const B& b) { b.code_words(); }
  [[gnu::always_inline]] simd::code_bytes<Isa> codes(std::size_t) const {
    const auto low = halves[0].code_words(), high = halves[1].code_words();
    return simd::from_words<Isa>(low[0], low[1], high[0], high[1]);
  }
};
template <class B>
[[gnu::always_inline]] inline const pair_of<B>* as_pairs(const B* row) {
  static_assert(sizeof(pair_of<B>) == 2 * sizeof(B) && alignof(pair_of<B>) == 1);
  return reinterpret_cast<const pair_of<B>*>(row);
}

} // namespace quanta::detail
