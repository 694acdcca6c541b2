// What a format of one's own gets: encode, decode, dot, gemv, error report, tests, and dispatch at run time.
#include <cstdio>
#include <vector>

#include <quanta/dispatch.hpp>
#include <quanta/testing.hpp>

#include "nibble_pairs.hpp"

int main() {
  constexpr std::size_t rows = 4, columns = 512;
  std::vector<float> weights(rows * columns), x(columns), y(rows), y_dispatched(rows);
  for (std::size_t i = 0; i < weights.size(); ++i)
    weights[i] = static_cast<float>(i * 7919 % 1009) / 1009.f - 0.5f;
  for (std::size_t i = 0; i < columns; ++i)
    x[i] = static_cast<float>(i * 104729 % 997) / 997.f - 0.5f;

  std::vector<mine::nibble_pairs> blocks(weights.size() / mine::nibble_pairs::block_size);
  quanta::quantize(weights, blocks);
  std::printf("%zu bytes for %zu weights, relative rms error %.4f\n", blocks.size() * sizeof(blocks[0]), weights.size(),
              quanta::compare(weights, blocks).relative_rms());

  std::vector<quanta::q8_0> activations(columns / quanta::q8_0::block_size);
  quanta::quantize(x, activations);
  quanta::gemv(quanta::matrix_view<mine::nibble_pairs>(blocks, rows, columns), activations, y);

  // The same through the table of the best level that this CPU has: what an engine does with the type of a tensor.
  const auto* kernels = quanta::dispatch::find(mine::nibble_pairs::type);
  kernels->gemv(blocks.data(), rows, columns, activations.data(), y_dispatched.data());
  for (std::size_t r = 0; r < rows; ++r)
    std::printf("y[%zu] = %.6f, dispatched %.6f\n", r, static_cast<double>(y[r]), static_cast<double>(y_dispatched[r]));

  const auto problems = quanta::testing::check_format<mine::nibble_pairs>(0.15);
  for (const auto& sentence : problems)
    std::printf("problem: %s\n", sentence.c_str());
  std::printf("%s\n", problems.empty() ? "the format passes its checks" : "the format fails its checks");
  return problems.empty() && y == y_dispatched ? 0 : 1;
}
