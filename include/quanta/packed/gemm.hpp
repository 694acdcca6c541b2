// Products of packed matrices with many tokens.
#pragma once

#include "quanta/packed/panels.hpp"

namespace quanta {

/// One of several matrices that are multiplied with the same activations, and where its product goes.
template <weight_format B, class Isa = isa::native>
struct gemm_part {
  packed_matrix<B, Isa> matrix;
  std::span<float> y;
  std::size_t stride = 0; ///< floats from token to token of y
};

/// Products of several matrices with the same activations (queries, keys and values; gate and up): y[token][row] of each
/// part. The panels of all matrices are shared out together through parallel_for, so that small ones do not wait for each
/// other; the bits are those of a product apart. Reads each packed matrix once for each block of tokens that fits the
/// cache. Expects: x.valid(); of each part: matrix.valid(), matrix.columns == x.columns, stride >= matrix.rows, y.size() holds
/// every token's rows.
template <weight_format B, class Isa, class Parallel = serial>
void gemm(std::span<const gemm_part<B, Isa>> parts, const packed_activations<B, Isa>& x, Parallel&& parallel_for = {}) {
  using layout = detail::packed_layout<Isa, B>;
  QUANTA_EXPECTS(x.valid());
  std::size_t panels = 0;
  for (const auto& part : parts) {
    QUANTA_EXPECTS(part.matrix.valid());
    QUANTA_EXPECTS(x.columns == part.matrix.columns);
    QUANTA_EXPECTS(part.stride >= part.matrix.rows);
    QUANTA_EXPECTS(detail::fits_rows(x.tokens, part.stride, part.matrix.rows, part.y.size()));
    panels += x.tokens == 0 ? 0 : layout::panels(part.matrix.rows);
  }
  const std::size_t products = layout::rows * x.columns * x.tokens;
  detail::for_panel_stretches(panels, products, parallel_for, [&](std::size_t first, std::size_t last) {
    const auto size = [&](std::size_t i) { return layout::panels(parts[i].matrix.rows); };
    detail::for_each_part(parts.size(), first, last, size, [&](std::size_t i, std::size_t begin, std::size_t end) {
      const auto& part = parts[i];
      detail::multiply_panels<Isa, B>(part.matrix, begin, end, reinterpret_cast<const std::uint8_t*>(x.bytes.data()), x.tokens,
                                      [&](std::size_t token) { return part.y.data() + token * part.stride; });
    });
  });
}

/// Y = X W^T: y[token][row] is the product of a matrix row with a token's activations, `stride` floats from token to
/// token: into a slice of a wider Y, pass y.subspan(first column of the slice) and the wide Y's columns. Panels of rows
/// are shared out through parallel_for; the bits do not depend on how. Reads the packed matrix once for each block of
/// tokens that fits the cache, and takes 10 to 20 KB of stack. Expects: matrix.valid() and x.valid(); x.columns ==
/// matrix.columns; stride >= matrix.rows; y.size() holds every token's rows.
template <weight_format B, class Isa, class Parallel = serial>
void gemm(const packed_matrix<B, Isa>& matrix, const packed_activations<B, Isa>& x, std::span<float> y, std::size_t stride,
          Parallel&& parallel_for = {}) {
  const gemm_part<B, Isa> part{matrix, y, stride};
  gemm(std::span(&part, 1), x, parallel_for);
}
/// The same with y[token][row] without gaps.
template <weight_format B, class Isa, class Parallel = serial>
void gemm(const packed_matrix<B, Isa>& matrix, const packed_activations<B, Isa>& x, std::span<float> y,
          Parallel&& parallel_for = {}) {
  gemm(matrix, x, y, matrix.rows, parallel_for);
}

} // namespace quanta
