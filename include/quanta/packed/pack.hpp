// From rows of blocks to panels of rows side by side.
#pragma once

#include "quanta/matrix.hpp"
#include "quanta/packed/layout.hpp"

namespace quanta {

/// A matrix in the packed form of a level; the bytes are the caller's.
template <weight_format B, class Isa = isa::native>
struct packed_matrix {
  std::span<const std::byte> bytes;
  std::size_t rows = 0;
  std::size_t columns = 0;
};

/// Bytes that pack() needs: those of the blocks, a few more for integer scales, and rows up to a whole panel.
template <weight_format B, class Isa = isa::native>
constexpr std::size_t packed_bytes(std::size_t rows, std::size_t columns) {
  using layout = detail::packed_layout<Isa, B>;
  return layout::panels(rows) * layout::panel_bytes(columns);
}

namespace detail {

/// The stored codes of one block: indices where codes are looked up.
template <class Isa, class B>
[[gnu::always_inline]] inline void stored_codes(const B& block, std::uint8_t* codes) {
  using layout = packed_layout<Isa, B>;
  const auto put = [&]<class V>(std::size_t at, V c) __attribute__((always_inline)) {
    if constexpr (layout::signed_codes && !layout::looked_up)
      c = c ^ simd::fill<V>(0x80);
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

/// Writes the planes of 32 columns; row r of the panel has its codes at codes + r * row_stride. Eight rows at a time, so that
/// what is stored is loaded in the same widths: a wide load waits until narrower stores have left the store buffer.
template <class Layout, class Isa>
[[gnu::always_inline]] inline void pack_run(const std::uint8_t* codes, std::size_t row_stride, std::uint8_t* out) {
  for (std::size_t row = 0; row < Layout::rows; row += 8) {
    alignas(64) std::uint8_t steps[8 * 32];
    simd::transpose_words<Isa>(codes + row * row_stride, row_stride, steps, 32);
    store_steps<Layout, Isa>(steps, out + 4 * row);
  }
}

template <class T>
[[gnu::always_inline]] inline void put_field(std::uint8_t* p, T value) {
  const packed<T> field = value;
  std::memcpy(p, &field, sizeof field);
}

/// Writes what multiplies the codes of one row of a chunk.
template <class Layout, class B>
[[gnu::always_inline]] inline void pack_factors(const B& block, std::size_t row, std::uint8_t* chunk) {
  constexpr std::size_t P = Layout::rows;
  if constexpr (Layout::super) {
    if constexpr (Layout::group_scales) {
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

} // namespace detail

/// Writes the packed form of a matrix into `storage` (any alignment; 64 bytes are fastest) and returns a view of it. Panels are
/// shared out through parallel_for. Expects: storage.size() >= packed_bytes<B, Isa>(rows, columns).
template <class Isa = isa::native, weight_format B, class Parallel = serial>
packed_matrix<B, Isa> pack(const matrix_view<B>& matrix, std::span<std::byte> storage, Parallel&& parallel_for = {}) {
  using layout = detail::packed_layout<Isa, B>;
  const std::size_t bytes = packed_bytes<B, Isa>(matrix.rows, matrix.columns), chunks = matrix.row_blocks();
  QUANTA_EXPECTS(storage.size() >= bytes);
  parallel_for(layout::panels(matrix.rows), [&](std::size_t begin, std::size_t end) {
    alignas(64) std::uint8_t codes[layout::rows * B::block_size];
    const B absent{};
    for (std::size_t panel = begin; panel < end; ++panel)
      for (std::size_t c = 0; c < chunks; ++c) {
        auto* out = reinterpret_cast<std::uint8_t*>(storage.data()) + (panel * chunks + c) * layout::chunk_bytes;
        for (std::size_t row = 0; row < layout::rows; ++row) {
          const std::size_t r = panel * layout::rows + row;
          const B& block = r < matrix.rows ? matrix.blocks[r * chunks + c] : absent;
          for (std::size_t i = 0; i < sizeof(B); i += 64) // as many streams as rows are more than the hardware follows
            simd::prefetch(reinterpret_cast<const std::uint8_t*>(&block) + 512 + i);
          detail::stored_codes<Isa>(block, codes + row * B::block_size);
          detail::pack_factors<layout>(block, row, out);
        }
        for (std::size_t run = 0; run < B::block_size / detail::run_size; ++run)
          detail::pack_run<layout, Isa>(codes + run * detail::run_size, B::block_size, out + run * layout::run_bytes);
      }
  });
  return {storage.first(bytes), matrix.rows, matrix.columns};
}

} // namespace quanta
