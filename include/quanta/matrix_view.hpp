// A matrix of quantized rows, seen in place.
#pragma once

#include <cstddef>
#include <span>

#include "quanta/contract.hpp"
#include "quanta/format.hpp"

namespace quanta {

/// rows x columns values in blocks of format B, row after row without gaps: how GGUF stores a weight of `rows` outputs and
/// `columns` inputs. Does not own its blocks.
template <row_format B>
struct matrix_view {
  std::span<const B> blocks;
  std::size_t rows = 0;
  std::size_t columns = 0;

  matrix_view() = default;
  constexpr matrix_view(std::span<const B> all, std::size_t row_count, std::size_t column_count)
      : blocks(all), rows(row_count), columns(column_count) {
    QUANTA_EXPECTS(columns % block_size_of<B> == 0);
    QUANTA_EXPECTS(row_blocks() == 0 || blocks.size() / row_blocks() >= rows);
  }
  constexpr std::size_t row_blocks() const { return columns / block_size_of<B>; }
  constexpr std::span<const B> row(std::size_t r) const {
    QUANTA_EXPECTS(r < rows);
    return blocks.subspan(r * row_blocks(), row_blocks());
  }
};

} // namespace quanta
