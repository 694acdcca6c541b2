#include <cstring>
#include <stdexcept>
#include <string>

#include "support/packed_product.hpp"

std::vector<float> tested::portable_product(std::string_view format, const void* blocks, std::size_t rows, std::size_t columns,
                                            const std::vector<float>& x, std::size_t tokens) {
  std::vector<float> y;
  const auto try_format = [&](auto tag) {
    using B = typename decltype(tag)::type;
    if (B::name != format)
      return;
    std::vector<B> matrix(rows * columns / B::block_size);
    std::memcpy(static_cast<void*>(matrix.data()), blocks, matrix.size() * sizeof(B));
    y = product<quanta::isa::portable>(matrix, rows, columns, x, tokens, quanta::serial{});
  };
  quanta::weight_formats::for_each(try_format);
  linear_formats::for_each(try_format);
  if (y.empty())
    throw std::invalid_argument("no portable product of " + std::string(format));
  return y;
}
