// One tensor as a file describes it.
#pragma once

#include <string>
#include <vector>

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
  std::uint64_t rows() const {
    std::uint64_t n = 1;
    for (std::size_t i = 1; i < dims.size(); ++i)
      n *= dims[i];
    return n;
  }
  std::uint64_t elements() const { return columns() * rows(); }
  std::uint64_t row_bytes() const { return quanta::row_bytes(type, columns()).value_or(0); }
};

} // namespace quanta::gguf
