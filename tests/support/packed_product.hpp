// A packed product from floats to floats; and the portable one, which is compiled once for the tests of all levels.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "quanta/quanta.hpp"
#include "support/tested_formats.hpp"

namespace tested {

using linear_formats = quanta::type_list<quanta::linear_block<3, 64>, quanta::linear_block<4, 128>,
                                         quanta::linear_block<8, 64, quanta::affine>, quanta::int8_block<128>>;

/// y[token][row]. One type of parallel_for, so that nothing is compiled twice.
template <class Isa, class B>
std::vector<float> product(const std::vector<B>& blocks, std::size_t rows, std::size_t columns, const std::vector<float>& x,
                           std::size_t tokens, quanta::parallel_reference parallel) {
  std::vector<std::byte> matrix_bytes(quanta::packed_bytes<B, Isa>(rows, columns)),
      token_bytes(quanta::activation_bytes<B, Isa>(tokens, columns));
  const auto matrix = quanta::pack<Isa>(quanta::matrix_view<B>(blocks, rows, columns), matrix_bytes, parallel);
  const auto activations = quanta::pack_activations<B, Isa>(x, tokens, columns, token_bytes, parallel);
  std::vector<float> y(rows * tokens, -1.f);
  quanta::gemm(matrix, activations, std::span<float>(y), parallel);
  return y;
}

/// The product at the portable level of rows of the format of this name: of all of the registry, and linear_formats.
std::vector<float> portable_product(std::string_view format, const void* blocks, std::size_t rows, std::size_t columns,
                                    const std::vector<float>& x, std::size_t tokens);

} // namespace tested
