// Products of a quantized matrix: one activation row (gemv).
#pragma once

#include "quanta/dot.hpp"
#include "quanta/parallel.hpp"

namespace quanta {

namespace detail {

/// Rows are handed to threads in stretches of about this many bytes, so that a stretch outweighs its hand-over.
inline constexpr std::size_t stretch_bytes = std::size_t{1} << 15;

/// Calls rows(begin, end) on stretches of a matrix's rows, through the caller's parallel_for.
template <class B, class Parallel, class F>
[[gnu::always_inline]] inline void for_row_stretches(const matrix_view<B>& matrix, Parallel&& parallel_for, F&& rows) {
  const std::size_t row_bytes = matrix.row_blocks() * sizeof(B);
  const std::size_t step = row_bytes == 0 || row_bytes > stretch_bytes ? 1 : stretch_bytes / row_bytes;
  share(matrix.rows, step, parallel_for, rows);
}

} // namespace detail

/// y[r] = dot(matrix row r, x): x is one row of activations, quantized to the partner format or plain numbers (exact
/// weights). Every y[r] has the bits of `dot`, whatever the number of threads. Reads each block of the matrix once; takes up
/// to 40 KiB of stack.
/// `parallel_for(n, fn)` calls fn(begin, end) on a partition of 0 .. n, on any threads. Expects: matrix.valid(); x as long as a
/// row; y.size() == matrix.rows.
template <class Isa = isa::native, row_format B, std::ranges::contiguous_range X, class Parallel = serial>
void gemv(const matrix_view<B>& matrix, const X& x, std::span<float> y, Parallel&& parallel_for = {}) {
  using A = detail::element_of<X>;
  static_assert(row_format<A>, "x is activation blocks or numbers");
  if constexpr (!plain_format<A>)
    static_assert(std::same_as<typename B::dot_partner, A>, "x must be quantized to the matrix format's dot_partner");
  QUANTA_EXPECTS(matrix.valid());
  QUANTA_EXPECTS((detail::same_length<A, float>(std::ranges::size(x), matrix.columns)));
  QUANTA_EXPECTS(y.size() == matrix.rows);
  const auto* values = std::ranges::data(x);
  const std::size_t row_blocks = matrix.row_blocks();
  detail::with_fast_activations<Isa, B>(values, matrix.rows, row_blocks, [&](const auto* activations) {
    detail::for_row_stretches(matrix, parallel_for, [&](std::size_t begin, std::size_t end) {
      detail::dot_rows<Isa>(matrix.blocks.data() + begin * row_blocks, end - begin, row_blocks, activations, y.data() + begin);
    });
  });
}

} // namespace quanta
