// Sizes that a caller gives are compared by division: a product of two may be more than a size holds, and wrap to one that
// fits.
#pragma once

#include <cstddef>
#include <limits>

#include "quanta/contract.hpp"

namespace quanta::detail {

/// Whether `size` has room for `count` things of `each`.
[[gnu::always_inline]] constexpr bool fits(std::size_t count, std::size_t each, std::size_t size) {
  return each == 0 || count <= size / each;
}
/// Whether `size` is `count` things of `each`, no more and no less.
[[gnu::always_inline]] constexpr bool is_product(std::size_t size, std::size_t count, std::size_t each) {
  return each == 0 ? size == 0 : size / each == count && size % each == 0;
}
/// count * each. Expects that a size can be as large.
[[gnu::always_inline]] constexpr std::size_t product(std::size_t count, std::size_t each) {
  QUANTA_EXPECTS(fits(count, each, std::numeric_limits<std::size_t>::max()));
  return count * each;
}
/// Whether `size` has room for `count` rows of `length` that start `stride` apart.
[[gnu::always_inline]] constexpr bool fits_rows(std::size_t count, std::size_t stride, std::size_t length, std::size_t size) {
  return count == 0 || (length <= size && fits(count - 1, stride, size - length));
}
/// `count` things in pieces of `each`, the last one maybe smaller.
[[gnu::always_inline]] constexpr std::size_t pieces_of(std::size_t count, std::size_t each) {
  return count / each + (count % each != 0 ? 1 : 0);
}

} // namespace quanta::detail
