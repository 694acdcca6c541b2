// A matrix of quantized rows, seen in place.
#pragma once

#include <cstddef>
#include <span>

#include "quanta/format.hpp"
#include "quanta/sizes.hpp"

namespace quanta {

/// rows x columns values in blocks of format B, row after row without gaps: how GGUF stores a weight of `rows` outputs and
/// `columns` inputs. Does not own its blocks. Operations expect that it is valid(), as the constructor does.
template <row_format B>
struct matrix_view {
  std::span<const B> blocks;
  std::size_t rows = 0;
  std::size_t columns = 0;

  matrix_view() = default;
  constexpr matrix_view(std::span<const B> all, std::size_t row_count, std::size_t column_count)
      : blocks(all), rows(row_count), columns(column_count) {
    QUANTA_EXPECTS(valid());
  }
  /// Whether rows are whole blocks and all of them are there.
  [[gnu::always_inline]] constexpr bool valid() const {
    return columns % block_size_of<B> == 0 && detail::fits(rows, row_blocks(), blocks.size());
  }
  constexpr std::size_t row_blocks() const { return columns / block_size_of<B>; }
  constexpr std::span<const B> row(std::size_t r) const {
    QUANTA_EXPECTS(valid() && r < rows);
    return blocks.subspan(r * row_blocks(), row_blocks());
  }
};

} // namespace quanta
