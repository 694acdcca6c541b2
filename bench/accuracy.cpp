// The accuracy of the activations: products of each format's decoded weights with exact floats, against `dot` with the partner
// format, which is the reference's pairing, and against packed products. Prints the table of docs/benchmarks.md.
#include <cmath>
#include <cstdio>
#include <vector>

#include "quanta/packed/gemm.hpp"
#include "quanta/quanta.hpp"
#include "support/golden_data.hpp"

namespace {

constexpr std::size_t rows = 64, tokens = 16, columns = 4096;

template <class B>
void compare(const char* kind, const std::vector<float>& x) {
  const auto w = golden::rows(1, "gaussian", rows, columns);
  const std::size_t row_blocks = columns / B::block_size;
  std::vector<B> blocks(rows * row_blocks);
  std::vector<float> decoded(columns), products(rows * tokens), pairing(rows * tokens);
  std::vector<double> exact(rows * tokens);
  std::vector<typename B::dot_partner> activations(columns / B::dot_partner::block_size);
  for (std::size_t r = 0; r < rows; ++r) {
    const auto row = std::span(blocks).subspan(r * row_blocks, row_blocks);
    quanta::quantize(std::span(w).subspan(r * columns, columns), row);
    quanta::dequantize(row, decoded);
    for (std::size_t t = 0; t < tokens; ++t)
      for (std::size_t i = 0; i < columns; ++i)
        exact[t * rows + r] += static_cast<double>(decoded[i]) * static_cast<double>(x[t * columns + i]);
  }
  for (std::size_t t = 0; t < tokens; ++t) {
    quanta::quantize(std::span(x).subspan(t * columns, columns), activations);
    for (std::size_t r = 0; r < rows; ++r)
      pairing[t * rows + r] = quanta::dot(std::span(blocks).subspan(r * row_blocks, row_blocks), activations);
  }
  std::vector<std::byte> packed(quanta::packed_bytes<B>(rows, columns)), tiles(quanta::activation_bytes<B>(tokens, columns));
  quanta::gemm(quanta::pack(quanta::matrix_view<B>(blocks, rows, columns), std::span(packed)),
               quanta::pack_activations<B>(x, tokens, columns, std::span(tiles)), std::span<float>(products));
  double energy = 0, of_pairing = 0, of_products = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    energy += exact[i] * exact[i];
    of_pairing += std::pow(static_cast<double>(pairing[i]) - exact[i], 2);
    of_products += std::pow(static_cast<double>(products[i]) - exact[i], 2);
  }
  std::printf("| %s | %.*s | %.5f | %.5f |\n", kind, static_cast<int>(B::name.size()), B::name.data(),
              std::sqrt(of_pairing / energy), std::sqrt(of_products / energy));
}

} // namespace

int main() {
  std::printf("| activations | format | dot with the partner | packed |\n|---|---|---|---|\n");
  for (const char* kind : {"gaussian", "outlier"}) {
    const auto x = golden::rows(2, kind, tokens, columns);
    quanta::weight_formats::for_each([&]<class B>(quanta::type_tag<B>) { compare<B>(kind, x); });
  }
}
