// How a packed matrix lies in memory: panels of rows side by side, so that one 32-bit lane of a register is one row.
//
// A panel is panel_rows<Isa> rows (missing rows are zeros). It is a sequence of chunks, one a block's columns; a chunk holds,
// for each 32 columns, the planes of the code bits, then the numbers that multiply them. In every plane the four bytes of a
// lane are four neighbouring columns of its row (a step); steps are 4 columns:
//   bytes    8 vectors: vector k is step k
//   nibbles  4 vectors: vector p holds step 2p in the low nibbles, step 2p + 1 in the high ones
//   crumbs   2 vectors: vector p holds steps 4p .. 4p + 3 from the low bits up
//   bits     1 vector: bit k is step k
// A code of 5 bits is a nibble and a bit, one of 6 a nibble and a crumb, and so on. Then, for each group, one number a row: the
// scale as a half or float, and the offset; super-blocks: scales as bytes, minima as pairs of bytes of two neighbouring groups,
// d and dmin as halves.
#pragma once

#include <bit>

#include "quanta/formats.hpp"
#include "quanta/runs.hpp"
#include "quanta/simd/interleaved.hpp"
#include "quanta/sizes.hpp"

namespace quanta::detail {

/// Rows side by side: two registers of 32-bit lanes, which share each broadcast of activations.
template <class Isa>
inline constexpr std::size_t panel_rows = Isa::value == isa::level::avx512 ? 32 : Isa::value >= isa::level::avx2 ? 16 : 8;

/// Bits of a stored code: those of its level, or of the index into the table that it is looked up in.
template <class B>
constexpr int stored_bits() {
  if constexpr (requires { B::codes_by_nibble; })
    return 4;
  else if constexpr (requires { B::levels; })
    return std::bit_width(static_cast<unsigned>(B::levels - 1));
  else
    return 8;
}

/// The largest of the codes that are multiplied.
template <class B>
constexpr int largest_code() {
  if constexpr (requires { B::codes_by_nibble; }) {
    int largest = 0;
    for (const std::uint8_t code : B::codes_by_nibble)
      largest = code > largest ? code : largest;
    return largest;
  } else if constexpr (requires { B::levels; }) {
    return B::levels - 1;
  } else {
    return 127;
  }
}

/// Levels that are looked up as a multiple of their index, what is left being small: level = factor * index + smallest + rest.
/// Sums of products of both are kept in 16 bits longer than those of the levels.
struct split_levels {
  int factor, smallest, largest_rest;
  std::array<std::uint8_t, 16> rests;

  static constexpr int steps = 4; ///< whose products with rests are added up as words; those with indices are of all 8
  constexpr bool fits_words() const { return steps * 2 * 127 * largest_rest < 32768; }
};
/// The factor that leaves the smallest rests.
constexpr split_levels split(const std::array<std::uint8_t, 16>& levels) {
  split_levels best{0, 0, 256, {}};
  for (int factor = 1; factor < 17; ++factor) {
    int smallest = levels[0], largest = levels[0];
    for (std::size_t i = 0; i < 16; ++i) {
      const int rest = levels[i] - factor * static_cast<int>(i);
      smallest = rest < smallest ? rest : smallest, largest = rest > largest ? rest : largest;
    }
    if (largest - smallest < best.largest_rest)
      best.factor = factor, best.smallest = smallest, best.largest_rest = largest - smallest;
  }
  for (std::size_t i = 0; i < 16; ++i)
    best.rests[i] = static_cast<std::uint8_t>(levels[i] - best.factor * static_cast<int>(i) - best.smallest);
  return best;
}

/// What the packed form of a format is made of.
template <class Isa, class B>
struct packed_layout {
  static constexpr std::size_t rows = panel_rows<Isa>, vector_bytes = 4 * rows;
  static constexpr int bits = stored_bits<B>();
  static constexpr bool looked_up = requires { B::codes_by_nibble; };
  static constexpr bool super = super_format<B>;
  static constexpr std::size_t columns = B::block_size; ///< of a chunk
  static constexpr std::size_t group_size = B::group_size, groups = columns / group_size;

  // the planes of 32 columns, in vectors
  static constexpr bool has_bytes = bits > 7, has_nibbles = !has_bytes && bits >= 4,
                        has_crumbs = !has_bytes && bits / 2 % 2 == 1, has_bits = !has_bytes && bits % 2 == 1;
  static constexpr std::size_t crumbs_at = has_nibbles ? 4 : 0, bits_at = crumbs_at + (has_crumbs ? 2 : 0);
  static constexpr std::size_t vectors = has_bytes ? 8 : bits_at + (has_bits ? 1 : 0);
  static constexpr std::size_t run_bytes = vectors * vector_bytes;

  /// Stored codes are multiples of this: codes 0 and 2 of one bit.
  static constexpr int code_step = [] {
    if constexpr (requires { B::code_step; })
      return B::code_step;
    else
      return 1;
  }();
  /// Codes above 127 are taken as words of two columns where the level's products of bytes do not hold them
  /// (simd/interleaved.hpp): the odd column's byte is signed, 128 less than its code. Where they are looked up, one or two
  /// tokens take them split instead. AVX2, 4096 x 4096, GFLOP/s with 1, 2 and 64 tokens: iq4_nl as words 83, 112 and 130,
  /// split 97, 119 and 121.
  static constexpr bool wide_codes = B::code_offset == 128 || !has_plain_codes<B>();
  static constexpr bool word_codes = wide_codes && !simd::has_wide_quads<Isa>;
  static constexpr split_levels parts = [] {
    if constexpr (looked_up && word_codes)
      return split(B::codes_by_nibble);
    else
      return split_levels{};
  }();
  static constexpr bool splits_codes = looked_up && word_codes && simd::has_byte_pairs<Isa> && parts.fits_words();
  static constexpr bool takes_words(std::size_t tokens) { return word_codes && !(splits_codes && tokens <= 2); }
  /// What is taken off the codes of even and odd columns.
  static constexpr int offset(std::size_t tokens, bool odd) {
    if (takes_words(tokens))
      return B::code_offset - (odd ? 128 : 0);
    return B::code_offset - (word_codes ? parts.smallest : 0);
  }

  static constexpr bool group_scales = super && group_size < super_block_size;
  /// Sums of products that are kept in 16 bits start from what the offset takes off: then a group's final sums fit, whatever
  /// happens to overflow on the way. A start is two words, of the first and the last two columns of all steps.
  static constexpr bool starts_in_words = [] {
    const int group_steps = group_size < run_size ? static_cast<int>(group_size) / 4 : 8;
    const int above = largest_code<B>() - B::code_offset, largest = above > B::code_offset ? above : B::code_offset;
    return simd::has_byte_pairs<Isa> && !word_codes && B::code_offset != 0 && super == group_scales &&
           group_steps * 2 * 127 * largest < 32768;
  }();
  static constexpr std::size_t factor_bytes = half_first<B> ? 2 : 4; ///< of a scale or offset that is no small integer
  static constexpr std::size_t scale_bytes = super ? (group_scales ? groups : 0) : groups * factor_bytes;
  static constexpr std::size_t minimum_bytes = !B::affine ? 0 : super ? groups : groups * factor_bytes;
  static constexpr std::size_t d_bytes = !super ? 0 : B::affine ? 4 : 2;
  // offsets in a chunk
  static constexpr std::size_t scales_at = columns / run_size * run_bytes, minima_at = scales_at + scale_bytes * rows,
                               d_at = minima_at + minimum_bytes * rows, chunk_bytes = d_at + d_bytes * rows;

  [[gnu::always_inline]] static constexpr std::size_t panels(std::size_t row_count) { return pieces_of(row_count, rows); }
  [[gnu::always_inline]] static constexpr std::size_t panel_bytes(std::size_t column_count) {
    return product(column_count / columns, chunk_bytes);
  }
};

/// The stored codes of step K of the 32 columns at p: indices where codes are looked up.
template <class Layout, int K, class Isa>
[[gnu::always_inline]] inline simd::vec<std::uint8_t, Layout::vector_bytes, Isa> stored_step(const std::uint8_t* p) {
  using V = simd::vec<std::uint8_t, Layout::vector_bytes, Isa>;
  [[maybe_unused]] constexpr int crumb_shift = Layout::has_nibbles ? 4 : 0;
  // steps share vectors and their uses vectors of bytes: GCC would rather load them for each
  const auto vector = [p](std::size_t k) __attribute__((always_inline)) {
    return simd::settled(simd::load<V>(p + k * Layout::vector_bytes));
  };
  if constexpr (Layout::has_bytes) {
    return vector(K);
  } else {
    V codes;
    if constexpr (Layout::has_nibbles)
      codes = simd::move_bits<K % 2 * 4, 4, 0>(vector(K / 2));
    else
      codes = simd::fill<V>(0);
    if constexpr (Layout::has_crumbs)
      codes = codes | simd::move_bits<2 * (K % 4), 2, crumb_shift>(vector(Layout::crumbs_at + K / 4));
    if constexpr (Layout::has_bits)
      codes = codes | simd::move_bits<K, 1, Layout::bits - 1>(vector(Layout::bits_at));
    return codes;
  }
}

/// The codes of step K as the layout's products want them.
template <class Layout, class B, int K, class Isa>
[[gnu::always_inline]] inline simd::vec<std::uint8_t, Layout::vector_bytes, Isa> codes_of_step(const std::uint8_t* p) {
  auto codes = stored_step<Layout, K, Isa>(p);
  if constexpr (Layout::looked_up) {
    codes = simd::look_up(B::codes_by_nibble, codes);
    if constexpr (Layout::word_codes)
      codes = simd::flip_odd_bytes(codes);
  }
  return codes;
}

/// Writes one plane of 32 columns of a register of rows, the first row's part of the run at p: Count bits from bit From of its
/// 8 steps, those of neighbouring steps side by side from the low bits up.
template <class Layout, int Count, int From, class V>
[[gnu::always_inline]] inline void store_plane(const std::array<V, 8>& steps, std::uint8_t* p) {
  constexpr std::size_t at = Count == 4 ? 0 : Count == 2 ? Layout::crumbs_at : Layout::bits_at;
  simd::unroll<Count>([&](auto v) __attribute__((always_inline)) {
    constexpr int each = 8 / Count, first = v() * each;
    V all = simd::move_bits<From, Count, 0>(steps[first]);
    simd::unroll<each - 1>([&](auto k) __attribute__((always_inline)) {
      all = all | simd::move_bits<From, Count, Count * (k() + 1)>(steps[first + k() + 1]);
    });
    simd::store(p + (at + v()) * Layout::vector_bytes, all);
  });
}
/// Writes all planes from steps of whole codes.
template <class Layout, class V>
[[gnu::always_inline]] inline void store_steps(const std::array<V, 8>& steps, std::uint8_t* p) {
  if constexpr (Layout::has_bytes)
    for (std::size_t k = 0; k < 8; ++k)
      simd::store(p + k * Layout::vector_bytes, steps[k]);
  if constexpr (Layout::has_nibbles)
    store_plane<Layout, 4, 0>(steps, p);
  if constexpr (Layout::has_crumbs)
    store_plane<Layout, 2, Layout::has_nibbles ? 4 : 0>(steps, p);
  if constexpr (Layout::has_bits)
    store_plane<Layout, 1, Layout::bits - 1>(steps, p);
}

} // namespace quanta::detail
