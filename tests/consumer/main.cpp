// A program of somebody else: header-only use, and dispatched kernels of two formats.
#include <vector>

#include <quanta/dispatch.hpp>
#include <quanta/gguf/gguf.hpp>
#include <quanta/quanta.hpp>
#include <quanta/recipe/plan.hpp>

int main() {
  std::vector<float> x(512, 0.25f), y(512);
  std::vector<quanta::q4_k> row(2), dispatched(2);
  quanta::quantize(x, row);
  const auto* kernels = quanta::dispatch::find(quanta::tensor_type::q4_k);
  if (!kernels || quanta::dispatch::find(quanta::tensor_type::q6_k))
    return 1;
  kernels->quantize(x.data(), x.size(), dispatched.data(), nullptr);
  kernels->dequantize(dispatched.data(), x.size(), y.data());
  return std::memcmp(row.data(), dispatched.data(), sizeof(quanta::q4_k) * 2) == 0 && y[5] > 0.2f ? 0 : 2;
}
