// One tensor as a file describes it.
#pragma once

#include <string>
#include <vector>

#include "quanta/contract.hpp"
#include "quanta/gguf/checked.hpp"
#include "quanta/tensor_type.hpp"

namespace quanta::gguf {

/// Name, shape, type and place of a tensor. A shape without dimensions is a scalar's; a dimension of 0 makes it empty.
struct tensor_info {
  std::string name;
  std::vector<std::uint64_t> dims; ///< dims[0] is the row length, at most 4 of them
  tensor_type type{};
  std::uint64_t offset = 0; ///< from the start of the data section
  std::uint64_t bytes = 0;  ///< without padding

  std::uint64_t columns() const { return dims.empty() ? 1 : dims[0]; }
  /// Expects, as elements(): a product under 2^63. A reader refuses others.
  std::uint64_t rows() const { return product(1); }
  std::uint64_t elements() const { return product(0); }
  std::uint64_t row_bytes() const { return quanta::row_bytes(type, columns()).value_or(0); }

private:
  std::uint64_t product(std::size_t first) const {
    checked n(1);
    for (std::size_t i = first; i < dims.size(); ++i)
      n = n * checked(dims[i]);
    QUANTA_EXPECTS(n.valid());
    return *n.value();
  }
};

} // namespace quanta::gguf
