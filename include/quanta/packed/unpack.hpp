// From panels of rows side by side back to rows of blocks.
#pragma once

#include "quanta/packed/pack.hpp"

namespace quanta {
namespace detail {

/// The bytes of a scale that was kept as a float; exact where that was read from one.
template <class B>
[[gnu::always_inline]] inline void assemble_scale(B& block, std::size_t g, float scale) {
  const auto bits = std::bit_cast<std::uint32_t>(scale);
  if constexpr (requires { block.e; }) // halved_e8m0: 2^(e - 128), subnormal for e < 2
    block.e = static_cast<std::uint8_t>(bits < 0x00800000u ? bits >> 22 : (bits >> 23) + 1);
  else { // halved_ue4m3: of the two bytes with seven ones at the end, 0xFF is a number
    const auto seven = scale < 0x1p-7f ? static_cast<std::uint32_t>(scale * 0x1p10f) : (bits >> 20) - (119u << 3);
    block.scales[g] = static_cast<std::uint8_t>(seven == 0x7F ? 0xFF : seven);
  }
}

/// The block whose codes are `codes` and whose other numbers are those of a row in a chunk.
template <class Layout, class B>
[[gnu::always_inline]] inline B assemble_block(std::uint8_t* codes, std::size_t row, const std::uint8_t* chunk) {
  constexpr std::size_t P = Layout::rows;
  const auto half = [&](std::size_t at) {
    packed<std::uint16_t> bits;
    std::memcpy(&bits, chunk + at + 2 * row, sizeof bits);
    return f16::from_bits(bits);
  };
  B block{};
  if constexpr (Layout::super) {
    std::array<std::uint8_t, Layout::groups> s{}, m{};
    for (std::size_t g = 0; g < Layout::groups; ++g) {
      if constexpr (Layout::group_scales)
        s[g] = chunk[Layout::scales_at + g * P + row];
      if constexpr (B::affine)
        m[g] = chunk[Layout::minima_at + g / 2 * 2 * P + 2 * row + g % 2];
    }
    const f16 d = half(Layout::d_at);
    if constexpr (B::affine)
      block.assemble(d, half(Layout::d_at + 2 * P), s.data(), m.data(), codes);
    else if constexpr (Layout::group_scales)
      block.assemble(d, std::bit_cast<std::array<std::int8_t, Layout::groups>>(s).data(), codes);
    else
      block.assemble(d, codes);
  } else {
    if constexpr (half_first<B>) {
      block.d = half(Layout::scales_at);
      if constexpr (B::affine)
        block.m = half(Layout::minima_at);
    } else {
      for (std::size_t g = 0; g < Layout::groups; ++g) {
        packed<float> scale;
        std::memcpy(&scale, chunk + Layout::scales_at + 4 * (g * P + row), sizeof scale);
        assemble_scale(block, g, scale);
      }
    }
    if constexpr (requires { block.assemble(codes); }) {
      for (std::size_t i = 0; Layout::code_step > 1 && i < B::block_size; ++i)
        codes[i] = static_cast<std::uint8_t>(codes[i] / Layout::code_step);
      block.assemble(codes);
    } else { // int8_block
      for (std::size_t i = 0; i < B::block_size; ++i)
        block.qs[i] = static_cast<std::int8_t>(codes[i] ^ 0x80);
    }
  }
  return block;
}

} // namespace detail

/// Formats whose packed form says all that the blocks say. The codebook types are packed as the values that their entries
/// stand for, and formats of users need not know how to assemble a block.
template <class B>
concept unpackable_format = weight_format<B> && requires(B block, f16 h, const std::int8_t* s, std::uint8_t* q) {
  requires requires { block.assemble(q); } || requires { block.assemble(h, q); } || requires { block.assemble(h, s, q); } ||
               requires { block.assemble(h, h, q, q, q); } || requires { { block.qs[0] } -> std::same_as<std::int8_t&>; };
};

/// Writes the blocks of a packed matrix, row after row: what pack() was given, bit for bit. (Of bits that no value
/// depends on, the ones that encoders write: bit 7 and NaN of nvfp4's scales, bytes of tq1_0 that stand for no five
/// digits.) Panels are shared out through parallel_for. Expects: matrix.valid(); blocks.size() == rows *
/// columns / block size.
template <unpackable_format B, class Isa, class Parallel = serial>
void unpack(const packed_matrix<B, Isa>& matrix, std::span<B> blocks, Parallel&& parallel_for = {}) {
  using layout = detail::packed_layout<Isa, B>;
  const std::size_t chunks = matrix.columns / B::block_size;
  QUANTA_EXPECTS(matrix.valid());
  QUANTA_EXPECTS(detail::is_product(blocks.size(), matrix.rows, chunks));
  detail::share(chunks == 0 ? 0 : layout::panels(matrix.rows), 1, parallel_for, [&](std::size_t begin, std::size_t end) {
    alignas(64) std::uint8_t codes[layout::rows * B::block_size];
    alignas(64) std::uint8_t steps[8 * layout::vector_bytes];
    for (std::size_t panel = begin; panel < end; ++panel)
      for (std::size_t c = 0; c < chunks; ++c) {
        const auto* chunk =
            reinterpret_cast<const std::uint8_t*>(matrix.bytes.data()) + (panel * chunks + c) * layout::chunk_bytes;
        for (std::size_t run = 0; run < detail::runs_of<B>; ++run) {
          simd::unroll<8>([&](auto k) __attribute__((always_inline)) {
            auto step = detail::stored_step<layout, k(), Isa>(chunk + run * layout::run_bytes);
            if constexpr (layout::word_codes && !layout::looked_up)
              step = simd::flip_odd_bytes(step);
            simd::store(steps + k() * layout::vector_bytes, step);
          });
          for (std::size_t row = 0; row < layout::rows; row += 4) {
            const auto words = simd::transpose_words<8, Isa>(steps + 4 * row, layout::vector_bytes);
            for (std::size_t k = 0; k < 4; ++k)
              simd::store(codes + (row + k) * B::block_size + run * detail::run_size, words[k]);
          }
        }
        for (std::size_t row = 0; row < layout::rows && panel * layout::rows + row < matrix.rows; ++row)
          blocks[(panel * layout::rows + row) * chunks + c] =
              detail::assemble_block<layout, B>(codes + row * B::block_size, row, chunk);
      }
  });
}

} // namespace quanta
