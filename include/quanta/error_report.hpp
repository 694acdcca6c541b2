// What quantization lost: numbers against their decoded blocks.
#pragma once

#include <cmath>
#include <limits>

#include "quanta/dequantize.hpp"

namespace quanta {

/// Errors of a row, or of many rows added up. All sums are doubles, so a row of 2^30 values is still exact to 7 digits.
/// A value that is NaN or infinite on either side has the largest error there is, infinity, also where both sides are the same:
/// nothing was measured. Such values do not take part in the sums of squares and products.
class error_report {
public:
  std::size_t count = 0;            ///< values compared
  double squares_original = 0;      ///< sum of x^2
  double squares_decoded = 0;       ///< sum of y^2
  double squares_error = 0;         ///< sum of (x - y)^2
  double products = 0;              ///< sum of x * y
  double largest_error = 0;         ///< largest |x - y|
  std::size_t worst_block = 0;      ///< the block with the largest sum of squared errors, the first of equals
  double worst_block_squares = 0;   ///< that sum
  std::size_t blocks = 0;           ///< blocks compared

  /// Root mean square error, in units of the values.
  double rms() const { return count ? std::sqrt(squares_error / static_cast<double>(count)) : 0; }
  /// Root of (sum of squared errors / sum of squares): 0 is exact, 1 is as bad as zeros. Infinite where only zeros were
  /// and something came out.
  double relative_rms() const { return squares_error > 0 ? std::sqrt(squares_error / squares_original) : 0; }
  /// Signal to noise in decibels; infinite without error, minus infinity with an infinite one.
  double signal_to_noise() const { return 10 * std::log10(squares_original / squares_error); }
  /// Cosine of the angle between the two; 1 if both are zero, 0 with an infinite error.
  double cosine() const {
    if (!std::isfinite(squares_error))
      return 0;
    const double norms = std::sqrt(squares_original * squares_decoded); // sums of floats' squares: no overflow
    return norms > 0 ? products / norms : (squares_original == squares_decoded ? 1 : 0);
  }

  /// Adds one block's comparison.
  template <class X, class Y>
  void add_block(const X* original, const Y* decoded, std::size_t size) {
    double error = 0;
    for (std::size_t i = 0; i < size; ++i) {
      const auto x = static_cast<double>(static_cast<float>(original[i])),
                 y = static_cast<double>(static_cast<float>(decoded[i]));
      const double difference = std::fabs(x - y);
      if (!std::isfinite(difference)) [[unlikely]] { // floats are finite in double, and so are their differences
        error = largest_error = std::numeric_limits<double>::infinity();
        continue;
      }
      squares_original += x * x;
      squares_decoded += y * y;
      products += x * y;
      error += difference * difference;
      largest_error = difference > largest_error ? difference : largest_error;
    }
    squares_error += error;
    if (error > worst_block_squares) {
      worst_block_squares = error;
      worst_block = blocks;
    }
    count += size;
    ++blocks;
  }
  /// Adds the report of what follows.
  error_report& operator+=(const error_report& next) {
    if (next.worst_block_squares > worst_block_squares) {
      worst_block_squares = next.worst_block_squares;
      worst_block = blocks + next.worst_block;
    }
    count += next.count;
    blocks += next.blocks;
    squares_original += next.squares_original;
    squares_decoded += next.squares_decoded;
    squares_error += next.squares_error;
    products += next.products;
    largest_error = next.largest_error > largest_error ? next.largest_error : largest_error;
    return *this;
  }
};

/// Compares numbers with the blocks they were encoded to. Expects: values.size() == row.size() * block size.
template <class Isa = isa::native, detail::number_range Values, std::ranges::contiguous_range Row>
  requires row_format<detail::element_of<Row>>
error_report compare(const Values& values, const Row& row) {
  using B = detail::element_of<Row>;
  constexpr std::size_t size = block_size_of<B> == 1 ? 32 : block_size_of<B>; // plain rows: stretches of 32
  QUANTA_EXPECTS(std::ranges::size(values) % block_size_of<B> == 0);
  QUANTA_EXPECTS(std::ranges::size(values) / block_size_of<B> == std::ranges::size(row));
  error_report report;
  const auto* x = std::ranges::data(values);
  const auto* blocks = std::ranges::data(row);
  const std::size_t count = std::ranges::size(values);
  float decoded[size];
  for (std::size_t first = 0; first < count; first += size) {
    const std::size_t n = count - first < size ? count - first : size;
    detail::dequantize_blocks<Isa>(blocks + first / block_size_of<B>, n / block_size_of<B>, decoded);
    report.add_block(x + first, decoded, n);
  }
  return report;
}

} // namespace quanta
