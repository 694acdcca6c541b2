// Rows of any type that has kernels, as floats.
#pragma once

#include <cstring>

#include "quanta/dispatch.hpp"

namespace quanta::convert {

/// Whether rows of a type can be decoded and encoded.
inline bool has_kernels(tensor_type type) { return type == tensor_type::f32 || dispatch::find(type) != nullptr; }

/// Expects: there are some.
inline const dispatch::kernels& kernels_of(tensor_type type) {
  const dispatch::kernels* kernels = dispatch::find(type);
  QUANTA_EXPECTS(kernels != nullptr);
  return *kernels;
}

/// Decodes whole blocks of a type; f32 is copied. Expects: has_kernels(type).
inline void decode(tensor_type type, const std::byte* blocks, std::size_t values, float* out) {
  if (type == tensor_type::f32)
    std::memcpy(out, blocks, values * sizeof(float));
  else
    kernels_of(type).dequantize(blocks, values, out);
}

/// Stretches of the rows of a tensor that are worked on at once: whole rows, or parts of very long ones.
class row_pieces {
public:
  /// Pieces start at multiples of this, which all block sizes divide.
  static constexpr std::uint64_t unit = 256;

  /// Pieces of at most `most` values, if rows may be cut. Expects: most is a multiple of `unit`, and columns * rows under 2^63.
  row_pieces(std::uint64_t columns, std::uint64_t rows, std::uint64_t most)
      : columns_(columns), size_(columns < most ? columns : most),
        per_row_(size_ ? columns / size_ + (columns % size_ != 0) : 0), count_(per_row_ * rows) {
    QUANTA_EXPECTS(most % unit == 0 && (rows == 0 || columns <= (std::uint64_t{1} << 63) / rows));
  }
  std::uint64_t count() const { return count_; }
  std::size_t largest() const { return static_cast<std::size_t>(size_); }

  struct piece {
    std::uint64_t row, column;
    std::size_t values;
  };
  piece operator[](std::uint64_t i) const {
    QUANTA_EXPECTS(i < count_);
    const std::uint64_t column = i % per_row_ * size_;
    return {i / per_row_, column, static_cast<std::size_t>(columns_ - column < size_ ? columns_ - column : size_)};
  }
  /// Where piece i starts in a tensor of a type, in bytes. i may be count().
  std::uint64_t offset(std::uint64_t i, const type_info& type) const {
    const std::uint64_t values = per_row_ ? i / per_row_ * columns_ + i % per_row_ * size_ : 0;
    return values / type.block_size * type.block_bytes;
  }

private:
  std::uint64_t columns_, size_, per_row_, count_;
};

} // namespace quanta::convert
