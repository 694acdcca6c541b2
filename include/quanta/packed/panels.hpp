// Panels of a packed matrix times blocks of tokens: what gemm and its variants share out.
#pragma once

#include "quanta/packed/kernel.hpp"

namespace quanta::detail {

/// Bytes of activations that stay in the second-level cache while the panels pass by, and tokens at most.
inline constexpr std::size_t token_block_bytes = std::size_t{640} << 10, token_block = 96;

/// Tokens from which codes are unpacked for all tiles at once, or 0 if the kernel does it as fast beside its products. It pays
/// to multiply codes by their scales once, and to join planes and look codes up once, the more the narrower the registers.
/// Zen 4, 64 tokens, GFLOP/s before and after: AVX2 q5_K 193 and 243, q2_K 206 and 219; AVX-VNNI q5_K 245 and 294, q6_K 202 and
/// 295, iq4_xs 300 and 328, but q4_0 307 and 294; AVX-512 q6_K 317 and 326, but q4_K 343 and 334. It costs a second kernel, a
/// second to compile: AVX2's q4_K, 251 and 263, and q4_0, 245 and 246, are not worth it.
template <class Isa, class B>
inline constexpr std::size_t expanding_tokens = [] {
  using layout = packed_layout<Isa, B>;
  const bool several_planes = layout::has_nibbles + layout::has_crumbs + layout::has_bits > 1;
  if (scales_fit_codes<Isa, B>())
    return 24;
  if (layout::has_bytes || Isa::value == isa::level::portable)
    return 0;
  if (Isa::value == isa::level::avx512)
    return several_planes ? 24 : 0;
  if (simd::has_byte_pairs<Isa> && (several_planes || layout::word_codes))
    return 8;
  return several_planes || layout::looked_up || layout::has_crumbs ? 24 : 0;
}();

/// The products of one panel with the tokens first .. last of all, whole tiles, into out[token - first][row]. Where codes are
/// bytes the tiles take turns on slices of 256 columns, which stay in the first-level cache: from the second one the products
/// wait for them. Zen 5, 8 tokens, percent of the int8 peak: q8_0 57 to 69, iq3_s 59 to 75, but q6_K and q5_K, which are
/// smaller, gain nothing, and q4_0 and q4_K lose 3.
template <class Isa, class B>
inline void multiply_panel(const std::uint8_t* panel, std::size_t chunks, const std::uint8_t* tiles, std::size_t token_bytes,
                           std::size_t first, std::size_t last, std::size_t tokens, float* out) {
  using layout = packed_layout<Isa, B>;
  using activations = activation_layout<Isa, B>;
  for (std::size_t i = 0; i < (last - first) * layout::rows; ++i)
    out[i] = 0.f;
  const auto multiply = [&]<class Codes>(const std::uint8_t* codes, std::size_t from, std::size_t count, Codes)
                            __attribute__((always_inline)) {
    // What comes after these chunks is read meanwhile, each tile a share; a single tile reads itself, some KiB ahead.
    const bool single = tile_of<Isa>(first, tokens).size == last - first;
    const std::size_t bytes = count * layout::chunk_bytes;
    const std::size_t distance = !single ? bytes : reads_all(last - first) ? 12288 : 8192;
    for (std::size_t token = first; token < last;) {
      const std::size_t size = tile_of<Isa>(token, tokens).size;
      const std::size_t share = reads_all(size) ? 0 : bytes * (token - first) / (last - first);
      const read_ahead ahead{panel + from * layout::chunk_bytes + distance + share,
                             layout::chunk_bytes * size / (last - first) / runs_of<B>};
      const std::uint8_t* weights = panel + from * layout::chunk_bytes;
      constexpr std::size_t chunk_token_bytes = layout::columns / activations::columns * activations::token_bytes;
      const std::uint8_t* tile = tiles + token * token_bytes + from * chunk_token_bytes * size;
      float* y = out + (token - first) * layout::rows;
      if (size == widest_tile<Isa>)
        tile_kernel<Isa, B, widest_tile<Isa>, Codes>::multiply(weights, codes, tile, count, ahead, y);
      else if (size == 4)
        tile_kernel<Isa, B, 4, Codes>::multiply(weights, codes, tile, count, ahead, y);
      else if (size == 2) // the few of a last tile are taken packed
        tile_kernel<Isa, B, 2>::multiply(weights, weights, tile, count, ahead, y);
      else
        tile_kernel<Isa, B, 1>::multiply(weights, weights, tile, count, ahead, y);
      token += size;
    }
  };
  constexpr std::size_t slice = (slice_columns + layout::columns - 1) / layout::columns;
  if constexpr (expanding_tokens<Isa, B> != 0) {
    if (last - first >= expanding_tokens<Isa, B>) {
      alignas(64) std::uint8_t codes[slice * expanded_layout<Isa, B>::chunk_bytes];
      for (std::size_t c = 0; c < chunks; c += slice) {
        const std::size_t count = chunks - c < slice ? chunks - c : slice;
        expand<Isa, B>(panel + c * layout::chunk_bytes, count, codes);
        multiply(codes, c, count, expanded_layout<Isa, B>{});
      }
      return;
    }
  }
  const std::size_t step = layout::has_bytes && tile_of<Isa>(first, tokens).size != last - first ? slice : chunks;
  for (std::size_t c = 0; c < chunks; c += step)
    multiply(panel + c * layout::chunk_bytes, c, chunks - c < step ? chunks - c : step, layout{});
}

/// The products of panels begin .. end with all tokens; place(token) is where the rows of the matrix go.
template <class Isa, class B, class Place>
inline void multiply_panels(const packed_matrix<B, Isa>& matrix, std::size_t begin, std::size_t end, const std::uint8_t* tiles,
                            std::size_t tokens, Place place) {
  using layout = packed_layout<Isa, B>;
  const std::size_t chunks = matrix.columns / B::block_size, panel_bytes = layout::panel_bytes(matrix.columns);
  const std::size_t token_bytes = activation_bytes<B, Isa>(1, matrix.columns);
  const std::size_t fitting = token_bytes == 0 ? tokens : token_block_bytes / token_bytes;
  const std::size_t most = fitting < token_block ? fitting : token_block;
  const std::size_t block = most < widest_tile<Isa> ? widest_tile<Isa> : most;
  alignas(64) float sums[(token_block + widest_tile<Isa>) * layout::rows];
  for (std::size_t first = 0; first < tokens;) {
    std::size_t last = first; // whole tiles
    while (last < tokens && (last == first || last - first < block))
      last += tile_of<Isa>(last, tokens).size;
    for (std::size_t panel = begin; panel < end; ++panel) {
      const std::size_t row = panel * layout::rows;
      const std::size_t count = matrix.rows - row < layout::rows ? matrix.rows - row : layout::rows;
      multiply_panel<Isa, B>(reinterpret_cast<const std::uint8_t*>(matrix.bytes.data()) + panel * panel_bytes, chunks, tiles,
                             token_bytes, first, last, tokens, sums);
      for (std::size_t token = first; token < last; ++token)
        std::memcpy(place(token) + row, sums + (token - first) * layout::rows, count * sizeof(float));
    }
    first = last;
  }
}

/// Multiplications that outweigh the hand-over of a piece of work to a thread, a few microseconds of both.
inline constexpr std::size_t products_a_piece = std::size_t{1} << 19;

/// Calls f(begin, end) on stretches of panels of which each has `products` multiplications, through the caller's parallel_for.
template <class Parallel, class F>
[[gnu::always_inline]] inline void for_panel_stretches(std::size_t panels, std::size_t products, Parallel&& parallel_for,
                                                       F&& f) {
  const std::size_t step = products == 0 || products > products_a_piece ? 1 : products_a_piece / products;
  share(panels, step, parallel_for, f);
}

/// Calls f(item, begin, end) for the part of first .. last that lies in each of `count` items laid end to end, size(item)
/// long.
template <class Size, class F>
[[gnu::always_inline]] inline void for_each_part(std::size_t count, std::size_t first, std::size_t last, Size size, F f) {
  for (std::size_t item = 0, start = 0; item < count && start < last; ++item) {
    const std::size_t length = size(item);
    const std::size_t begin = first > start ? first - start : 0, end = last - start < length ? last - start : length;
    if (begin < end)
      f(item, begin, end);
    start += length;
  }
}

} // namespace quanta::detail
