// Rows `operation/format/level`: every format at every level of this CPU, with the machine's limits beside them.
#include <benchmark/benchmark.h>

#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "quanta/dispatch.hpp"
#include "support/golden_data.hpp"

namespace {

using quanta::dispatch::kernels;

constexpr std::size_t columns = 4096, rows = 64; // 64 rows of 4 bits are 144 KiB: they stay in the second-level cache

std::vector<std::byte> encoded(const kernels& k, const std::vector<float>& x) {
  const auto bytes = static_cast<std::size_t>(*quanta::row_bytes(k.type, columns));
  std::vector<std::byte> out(x.size() / columns * bytes);
  for (std::size_t r = 0; r < x.size() / columns; ++r)
    k.quantize(&x[r * columns], columns, &out[r * bytes], nullptr);
  return out;
}

void encode(benchmark::State& state, const kernels& k, bool weighted) {
  const auto x = golden::rows(1, "gaussian", rows, columns), importance = golden::importance(1, columns);
  auto out = encoded(k, x);
  const std::size_t bytes = out.size() / rows;
  for (auto _ : state)
    for (std::size_t r = 0; r < rows; ++r)
      k.quantize(&x[r * columns], columns, &out[r * bytes], weighted ? importance.data() : nullptr);
  state.counters["weights/s"] = benchmark::Counter(static_cast<double>(rows * columns), benchmark::Counter::kIsIterationInvariantRate);
}
void decode(benchmark::State& state, const kernels& k) {
  const auto blocks = encoded(k, golden::rows(1, "gaussian", rows, columns));
  const std::size_t bytes = blocks.size() / rows;
  std::vector<float> y(16 * columns);
  for (auto _ : state)
    for (std::size_t r = 0; r < rows; ++r)
      k.dequantize(&blocks[r * bytes], columns, &y[r % 16 * columns]);
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * rows * columns * sizeof(float)));
}
void gemv(benchmark::State& state, const kernels& k, std::size_t matrix_rows, bool quantized) {
  const auto x = golden::rows(1, "gaussian", rows, columns);
  const auto part = encoded(k, x);
  std::vector<std::byte> matrix;
  for (std::size_t r = 0; r < matrix_rows; r += rows)
    matrix.insert(matrix.end(), part.begin(), part.end());
  const auto* partner = quanta::dispatch::find(k.dot_partner);
  std::vector<std::byte> activations(static_cast<std::size_t>(*quanta::row_bytes(k.dot_partner, columns)));
  if (partner)
    partner->quantize(x.data(), columns, activations.data(), nullptr);
  else
    std::memcpy(activations.data(), x.data(), activations.size());
  std::vector<float> y(matrix_rows);
  for (auto _ : state) {
    if (quantized)
      k.gemv(matrix.data(), matrix_rows, columns, activations.data(), y.data());
    else
      k.gemv_values(matrix.data(), matrix_rows, columns, x.data(), y.data());
    benchmark::DoNotOptimize(y.data());
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * matrix.size()));
  state.counters["FLOP/s"] = benchmark::Counter(static_cast<double>(2 * matrix_rows * columns), benchmark::Counter::kIsIterationInvariantRate);
}

/// The limit of anything that reads: 256 MiB of 64-bit words added up.
void memory_read(benchmark::State& state) {
  std::vector<std::uint64_t> data((std::size_t{256} << 20) / sizeof(std::uint64_t), 3);
  for (auto _ : state) {
    std::uint64_t sums[8] = {};
    for (std::size_t i = 0; i < data.size(); i += 8)
      for (std::size_t k = 0; k < 8; ++k)
        sums[k] += data[i + k];
    benchmark::DoNotOptimize(sums);
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * data.size() * sizeof(std::uint64_t)));
}

const bool registered = [] {
  benchmark::RegisterBenchmark("limit/memory_read", memory_read);
  for (const auto& entry : quanta::dispatch::compiled_levels()) {
    if (entry.level > quanta::isa::best())
      continue;
    const std::string level(quanta::isa::name(entry.level));
    benchmark::RegisterBenchmark(("limit/int8_peak/" + level).c_str(), [&entry](benchmark::State& state) {
      for (auto _ : state)
        benchmark::DoNotOptimize(quanta::dispatch::int8_peak(entry.level, 1 << 16));
      state.counters["op/s"] = benchmark::Counter(static_cast<double>(quanta::dispatch::int8_peak_operations) * (1 << 16),
                                                  benchmark::Counter::kIsIterationInvariantRate);
    });
    for (const kernels& k : entry.table()) {
      const std::string name = "/" + std::string(quanta::name(k.type)) + "/" + level;
      benchmark::RegisterBenchmark(("encode" + name).c_str(), [&k](benchmark::State& s) { encode(s, k, false); });
      benchmark::RegisterBenchmark(("encode_importance" + name).c_str(), [&k](benchmark::State& s) { encode(s, k, true); });
      benchmark::RegisterBenchmark(("decode" + name).c_str(), [&k](benchmark::State& s) { decode(s, k); });
      benchmark::RegisterBenchmark(("dot" + name).c_str(), [&k](benchmark::State& s) { gemv(s, k, rows, true); });
      benchmark::RegisterBenchmark(("dot_values" + name).c_str(), [&k](benchmark::State& s) { gemv(s, k, rows, false); });
      benchmark::RegisterBenchmark(("gemv_memory" + name).c_str(), [&k](benchmark::State& s) { gemv(s, k, 32768, true); });
    }
  }
  return true;
}();

} // namespace
