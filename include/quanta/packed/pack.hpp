// From rows of blocks to panels of rows side by side.
#pragma once

#include "quanta/matrix.hpp"
#include "quanta/packed/layout.hpp"

namespace quanta {

/// A matrix in the packed form of a level; the bytes are the caller's. Operations expect that it is valid().
template <weight_format B, class Isa = isa::native>
struct packed_matrix {
  std::span<const std::byte> bytes;
  std::size_t rows = 0;
  std::size_t columns = 0;

  /// Whether rows are whole blocks and there are packed_bytes(rows, columns) or more.
  [[gnu::always_inline]] constexpr bool valid() const {
    using layout = detail::packed_layout<Isa, B>;
    return columns % B::block_size == 0 &&
           detail::fits(layout::panels(rows), columns / layout::columns, bytes.size() / layout::chunk_bytes);
  }
};

/// Bytes that pack() needs: those of the blocks, a few more for integer scales, and rows up to a whole panel. Expects: columns
/// a multiple of the block size; no more bytes than a size can tell.
template <weight_format B, class Isa = isa::native>
[[gnu::always_inline]] constexpr std::size_t packed_bytes(std::size_t rows, std::size_t columns) {
  using layout = detail::packed_layout<Isa, B>;
  QUANTA_EXPECTS(columns % B::block_size == 0);
  return detail::product(layout::panels(rows), layout::panel_bytes(columns));
}

namespace detail {

/// The stored codes of one block: indices where codes are looked up.
template <class Isa, class B>
[[gnu::always_inline]] inline void stored_codes(const B& block, std::uint8_t* codes) {
  using layout = packed_layout<Isa, B>;
  const auto put = [&]<class V>(std::size_t at, V c) __attribute__((always_inline)) {
    if constexpr (layout::word_codes && !layout::looked_up)
      c = simd::flip_odd_bytes(c);
    simd::store(codes + at, c);
  };
  if constexpr (super_format<B> && layout::looked_up) {
    simd::unroll<8>([&](auto portion) __attribute__((always_inline)) {
      put(32 * portion(), block.template indices<Isa, portion()>());
    });
  } else if constexpr (super_format<B> && unpacks_double_portions<Isa, B>) {
    const auto all = all_double_codes<Isa>(block);
    simd::unroll<4>([&](auto pair) __attribute__((always_inline)) { put(64 * pair(), all[pair()]); });
  } else if constexpr (super_format<B>) {
    simd::unroll<8>([&](auto portion) __attribute__((always_inline)) {
      put(32 * portion(), block.template codes<Isa, portion()>());
    });
  } else {
    for (std::size_t run = 0; run < runs_of<B>; ++run) {
      if constexpr (layout::looked_up)
        put(32 * run, block.template indices<Isa>(run));
      else
        put(32 * run, codes_of_run<Isa>(&block, run));
    }
  }
}

/// Rows whose steps are one register.
template <class Isa>
inline constexpr std::size_t rows_together = simd::has_double_portions<Isa> ? 16 : 8;

/// The 8 steps of 32 bytes of as many rows.
template <class Isa>
[[gnu::always_inline]] inline auto steps_of(const std::uint8_t* p, std::size_t row_stride) {
  constexpr std::size_t rows = rows_together<Isa>;
  const auto low = simd::transpose_words<rows, Isa>(p, row_stride);
  const auto high = simd::transpose_words<rows, Isa>(p + 16, row_stride);
  return std::array{low[0], low[1], low[2], low[3], high[0], high[1], high[2], high[3]};
}

/// Writes the planes of 32 columns; row r of the panel has its codes at codes + r * row_stride.
template <class Layout, class Isa>
[[gnu::always_inline]] inline void pack_run(const std::uint8_t* codes, std::size_t row_stride, std::uint8_t* out) {
  for (std::size_t row = 0; row < Layout::rows; row += rows_together<Isa>)
    store_steps<Layout>(steps_of<Isa>(codes + row * row_stride, row_stride), out + 4 * row);
}

template <class T>
[[gnu::always_inline]] inline void put_field(std::uint8_t* p, T value) {
  const packed<T> field = value;
  std::memcpy(p, &field, sizeof field);
}

/// Whether the group scales of 16 rows are transposed together.
template <class Layout>
inline constexpr bool transposes_scales = Layout::group_scales && Layout::rows % 16 == 0;
/// Writes the group scales of a chunk from 16 bytes a row.
template <class Layout, class Isa>
[[gnu::always_inline]] inline void pack_group_scales(const std::uint8_t* scales, std::uint8_t* chunk) {
  using V = simd::vec<std::int32_t, 16, Isa>;
  for (std::size_t row = 0; row < Layout::rows; row += 16) {
    const auto words = simd::transpose_words<16, Isa>(scales + 16 * row, 16); // 4 groups of each row
    simd::unroll<Layout::groups>([&](auto g) __attribute__((always_inline)) {
      const V group = simd::shift_right<g() % 4 * 8>(std::bit_cast<V>(words[g() / 4])) & simd::fill<V>(0xFF);
      simd::store_bytes(chunk + Layout::scales_at + g() * Layout::rows + row, group);
    });
  }
}

/// Writes what multiplies the codes of one row of a chunk.
template <class Layout, class B>
[[gnu::always_inline]] inline void pack_factors(const B& block, std::size_t row, std::uint8_t* chunk) {
  constexpr std::size_t P = Layout::rows;
  if constexpr (Layout::super) {
    if constexpr (Layout::group_scales && !transposes_scales<Layout>) {
      const auto s = block.group_scales().bytes();
      for (std::size_t g = 0; g < Layout::groups; ++g)
        chunk[Layout::scales_at + g * P + row] = s[g];
    }
    if constexpr (B::affine) {
      const auto m = block.group_minima().bytes();
      for (std::size_t g = 0; g < Layout::groups; g += 2)
        std::memcpy(chunk + Layout::minima_at + g * P + 2 * row, &m[g], 2);
      put_field(chunk + Layout::d_at + 2 * P + 2 * row, block.dmin.get().bits);
    }
    if constexpr (requires { block.collected_d(); })
      put_field(chunk + Layout::d_at + 2 * row, block.collected_d().bits);
    else
      put_field(chunk + Layout::d_at + 2 * row, block.d.get().bits);
  } else if constexpr (half_first<B>) {
    put_field(chunk + Layout::scales_at + 2 * row, block.d.get().bits);
    if constexpr (B::affine)
      put_field(chunk + Layout::minima_at + 2 * row, block.m.get().bits);
  } else {
    for (std::size_t g = 0; g < Layout::groups; ++g) {
      put_field(chunk + Layout::scales_at + 4 * (g * P + row), block.scale(g));
      if constexpr (B::affine)
        put_field(chunk + Layout::minima_at + 4 * (g * P + row), block.minimum(g));
    }
  }
}

/// Nibbles go side by side as they are.
template <class Isa, class B>
concept packs_nibbles = packed_layout<Isa, B>::bits == 4 && nibble_runs<B>;
/// Formats whose planes are fields of their bytes: these go side by side as they are, once for all portions that share them.
template <class B>
concept packs_fields = super_format<B> && requires { B::fields(0); };

/// pack_run of nibbles, those of the first row at `nibbles`.
template <class Layout, class Isa>
[[gnu::always_inline]] inline void pack_nibbles_of_run(const std::uint8_t* nibbles, std::size_t row_stride, std::uint8_t* out) {
  constexpr std::size_t together = rows_together<Isa>;
  for (std::size_t row = 0; row < Layout::rows; row += together) {
    const auto steps = simd::transpose_words<together, Isa>(nibbles + row * row_stride, row_stride); // steps k and k + 4
    for (std::size_t v = 0; v < 2; ++v) {
      const auto &even = steps[2 * v], &odd = steps[2 * v + 1];
      std::uint8_t* p = out + 4 * row + v * Layout::vector_bytes;
      simd::store(p, simd::move_bits<0, 4, 0>(even) | simd::move_bits<0, 4, 4>(odd));
      simd::store(p + 2 * Layout::vector_bytes, simd::move_bits<4, 4, 0>(even) | simd::move_bits<4, 4, 4>(odd));
    }
  }
}

/// Whether field k of a portion is the first of all that reads its bytes.
template <class B>
constexpr bool is_new_source(int portion, std::size_t k) {
  for (int earlier = 0; earlier < portion; ++earlier)
    for (const bit_field& f : B::fields(earlier))
      if (f.offset == B::fields(portion)[k].offset)
        return false;
  return true;
}
/// All planes of a chunk of such a format, from the blocks of the first row.
template <class Layout, class Isa, class B>
[[gnu::always_inline]] inline void pack_fields(const std::uint8_t* block, std::size_t row_stride, std::uint8_t* out) {
  constexpr int count = static_cast<int>(B::fields(0).size());
  for (std::size_t row = 0; row < Layout::rows; row += rows_together<Isa>)
    simd::unroll<8 * count>([&](auto i) __attribute__((always_inline)) {
      constexpr int first = i() / count;
      constexpr std::size_t k = i() % count;
      if constexpr (is_new_source<B>(first, k)) {
        constexpr int source = B::fields(first)[k].offset;
        const auto steps = steps_of<Isa>(block + row * row_stride + source, row_stride);
        simd::unroll<8 - first>([&](auto n) __attribute__((always_inline)) {
          constexpr bit_field f = B::fields(first + n())[k];
          if constexpr (f.offset == source)
            store_plane<Layout, f.count, f.from>(steps, out + (first + n()) * Layout::run_bytes + 4 * row);
        });
      }
    });
}

/// Writes one chunk: a block of each row of a panel, the rows `stride` blocks apart; reads `ahead` bytes ahead.
template <class Isa, class B>
[[gnu::always_inline]] inline void pack_chunk(const B* blocks, std::size_t stride, std::size_t ahead, std::uint8_t* out) {
  using layout = packed_layout<Isa, B>;
  constexpr std::size_t runs = B::block_size / run_size;
  constexpr bool as_they_are = packs_nibbles<Isa, B> || packs_fields<B>;
  alignas(64) std::uint8_t codes[as_they_are ? 1 : layout::rows * B::block_size];
  alignas(64) std::array<std::uint8_t, 16> scales[transposes_scales<layout> ? layout::rows : 1];
  for (std::size_t row = 0; row < layout::rows; ++row) {
    const B& block = blocks[row * stride];
    // As many streams as rows are more than the hardware follows. Into the second level: rows are often a multiple of 4096
    // bytes apart and share a set of the first. Zen 4, AVX-512, GB/s: q4_K 5.8 to 10.3, q5_K 5.2 to 11.9 of a copy's 13.
    for (std::size_t i = 0; i < sizeof(B); i += 64)
      simd::prefetch_second_level(reinterpret_cast<const std::uint8_t*>(&block) + i, ahead);
    if constexpr (!as_they_are)
      stored_codes<Isa>(block, codes + row * B::block_size);
    if constexpr (transposes_scales<layout>)
      scales[row] = block.group_scales().bytes();
    pack_factors<layout>(block, row, out);
  }
  if constexpr (transposes_scales<layout>)
    pack_group_scales<layout, Isa>(scales[0].data(), out);
  if constexpr (packs_fields<B>)
    pack_fields<layout, Isa, B>(reinterpret_cast<const std::uint8_t*>(blocks), stride * sizeof(B), out);
  else
    for (std::size_t run = 0; run < runs; ++run)
      if constexpr (packs_nibbles<Isa, B>)
        pack_nibbles_of_run<layout, Isa>(blocks->nibbles(run), stride * sizeof(B), out + run * layout::run_bytes);
      else
        pack_run<layout, Isa>(codes + run * run_size, B::block_size, out + run * layout::run_bytes);
}

/// From this size on what pack() writes goes past the cache: other stores read every line before they change it, a third of all
/// traffic. Smaller matrices are likely to be used at once. Zen 5, a matrix of 38 MB, GB/s: q4_0 6.5 to 10, with reading ahead
/// into the next panel 18 of a copy's 24.
inline constexpr std::size_t bytes_past_cache = std::size_t{4} << 20;

} // namespace detail

/// Writes the packed form of a matrix into `storage` (any alignment; 64 bytes are fastest) and returns a view of it. Panels are
/// shared out through parallel_for. Expects: matrix.valid(); storage.size() >= packed_bytes<B, Isa>(rows, columns).
template <class Isa = isa::native, weight_format B, class Parallel = serial>
packed_matrix<B, Isa> pack(const matrix_view<B>& matrix, std::span<std::byte> storage, Parallel&& parallel_for = {}) {
  using layout = detail::packed_layout<Isa, B>;
  QUANTA_EXPECTS(matrix.valid());
  const std::size_t bytes = packed_bytes<B, Isa>(matrix.rows, matrix.columns), chunks = matrix.row_blocks();
  QUANTA_EXPECTS(storage.size() >= bytes);
  const auto aligned = reinterpret_cast<std::uintptr_t>(storage.data()) % 16 == 0 && layout::chunk_bytes % 16 == 0;
  const bool past_cache = bytes >= detail::bytes_past_cache && aligned;
  detail::share(chunks == 0 ? 0 : layout::panels(matrix.rows), 1, parallel_for, [&](std::size_t begin, std::size_t end) {
    alignas(64) std::uint8_t chunk[layout::chunk_bytes];
    B last[layout::rows] = {}; // missing rows of the last panel are zeros
    const std::size_t row_bytes = chunks * sizeof(B);
    for (std::size_t panel = begin; panel < end; ++panel) {
      const std::size_t first = panel * layout::rows, left = matrix.rows - first;
      const std::size_t rows = left < layout::rows ? left : layout::rows;
      for (std::size_t c = 0; c < chunks; ++c) {
        auto* out = reinterpret_cast<std::uint8_t*>(storage.data()) + (panel * chunks + c) * layout::chunk_bytes;
        const B* blocks = matrix.blocks.data() + first * chunks + c;
        const bool at_end = (c + 1) * sizeof(B) + 512 > row_bytes; // what comes next is the row of the next panel
        std::size_t stride = chunks, ahead = 512 + (at_end ? (layout::rows - 1) * row_bytes : 0);
        if (rows < layout::rows) {
          for (std::size_t row = 0; row < rows; ++row)
            last[row] = blocks[row * chunks];
          blocks = last, stride = 1, ahead = 0;
        }
        detail::pack_chunk<Isa>(blocks, stride, ahead, past_cache ? chunk : out);
        if (past_cache)
          simd::copy_past_cache<Isa>(out, chunk, sizeof chunk);
      }
    }
    if (past_cache)
      simd::finish_past_cache<Isa>();
  });
  return {storage.first(bytes), matrix.rows, matrix.columns};
}

} // namespace quanta
