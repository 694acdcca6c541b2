// Rows `operation/format/level`: every format at every level of this CPU, with the machine's limits beside them.
#include <benchmark/benchmark.h>

#include <cstring>
#include <string>
#include <vector>

#include "limits.hpp"
#include "quanta/dispatch.hpp"
#include "quanta/threads.hpp"
#include "support/golden_data.hpp"

namespace {

using quanta::dispatch::kernels;

constexpr std::size_t columns = 4096, rows = 64; // 64 rows of 4 bits are 144 KiB: they stay in the second-level cache
constexpr std::size_t memory_rows = 32768;       // 75 MB at 4.5 bits: more than the last level holds

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
  bench::report(state, "weights/s", static_cast<double>(rows * columns), 0, 0);
}
/// Floats that no cache holds: what a converter of files does.
void encode_memory(benchmark::State& state, const kernels& k) {
  static const auto x = [] {
    const auto part = golden::rows(1, "gaussian", rows, columns);
    std::vector<float> all;
    for (std::size_t r = 0; r < memory_rows / 4; r += rows)
      all.insert(all.end(), part.begin(), part.end());
    return all;
  }();
  std::vector<std::byte> out(static_cast<std::size_t>(*quanta::row_bytes(k.type, columns)));
  const auto pass = [&] {
    for (std::size_t i = 0; i < x.size(); i += columns)
      k.quantize(&x[i], columns, out.data(), nullptr);
  };
  pass(); // the first one may wait for pages
  for (auto _ : state)
    pass();
  bench::report(state, "weights/s", static_cast<double>(x.size()), static_cast<double>(x.size() * sizeof(float)),
                bench::read_limit(1));
}
void decode(benchmark::State& state, const kernels& k) {
  const auto blocks = encoded(k, golden::rows(1, "gaussian", rows, columns));
  const std::size_t bytes = blocks.size() / rows;
  std::vector<float> y(16 * columns);
  for (auto _ : state)
    for (std::size_t r = 0; r < rows; ++r)
      k.dequantize(&blocks[r * bytes], columns, &y[r % 16 * columns]);
  constexpr auto stored = static_cast<double>(rows * columns * sizeof(float));
  bench::report(state, "bytes/s", stored, stored, bench::store_limit());
}
enum class product { dot, dot_values, gemv };
/// Rows of the second-level cache are measured against the int8 peak, those of memory against reading it.
void multiply(benchmark::State& state, const kernels& k, quanta::isa::level level, product kind, std::size_t matrix_rows,
              unsigned threads = 1) {
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
  const std::size_t bytes = matrix.size() / matrix_rows;
  const quanta::threads parallel_for(threads);
  const auto run = [&] {
    parallel_for(matrix_rows, [&](std::size_t begin, std::size_t end) {
      if (kind == product::gemv)
        k.gemv(&matrix[begin * bytes], end - begin, columns, activations.data(), &y[begin]);
      else if (kind == product::dot_values)
        k.gemv_values(&matrix[begin * bytes], end - begin, columns, x.data(), &y[begin]);
      else
        for (std::size_t r = begin; r < end; ++r)
          y[r] = k.dot(&matrix[r * bytes], activations.data(), columns);
    });
    benchmark::DoNotOptimize(y.data());
  };
  run(); // the first one may wait for pages
  for (auto _ : state)
    run();
  const auto flop = static_cast<double>(2 * matrix_rows * columns), read = static_cast<double>(matrix.size());
  if (matrix_rows == rows) {
    bench::report(state, "FLOP/s", flop, flop, kind == product::dot_values ? 0 : bench::int8_limit(level));
  } else {
    bench::report(state, "bytes/s", read, read, bench::read_limit(threads));
    state.counters["FLOP/s"] = benchmark::Counter(flop, benchmark::Counter::kIsIterationInvariantRate);
  }
}

void limit(benchmark::State& state, const char* unit, double rate) {
  for (auto _ : state)
    benchmark::DoNotOptimize(rate);
  state.counters[unit] = rate;
}

const bool registered = [] {
  const auto add = [](const std::string& name, auto run) {
    return benchmark::RegisterBenchmark(name.c_str(), run)->UseRealTime();
  };
  for (const unsigned threads : {1u, 2u})
    add("limit/memory_read/threads:" + std::to_string(threads),
        [threads](benchmark::State& s) { limit(s, "bytes/s", bench::read_limit(threads)); });
  add("limit/store_varying", [](benchmark::State& s) { limit(s, "bytes/s", bench::store_limit()); });
  for (const auto& entry : quanta::dispatch::compiled_levels()) {
    const auto level = entry.level;
    if (!quanta::isa::has(level))
      continue;
    const std::string suffix = "/" + std::string(quanta::isa::name(level));
    add("limit/int8_peak" + suffix, [level](benchmark::State& s) { limit(s, "op/s", bench::int8_limit(level)); });
    for (const kernels& k : entry.table()) {
      const std::string name = "/" + std::string(quanta::name(k.type)) + suffix;
      add("encode" + name, [&k](benchmark::State& s) { encode(s, k, false); });
      add("encode_importance" + name, [&k](benchmark::State& s) { encode(s, k, true); });
      add("encode_memory" + name, [&k](benchmark::State& s) { encode_memory(s, k); });
      add("decode" + name, [&k](benchmark::State& s) { decode(s, k); });
      const auto add_product = [&](const std::string& operation, product kind, std::size_t all_rows, unsigned threads = 1) {
        add(operation + name + (threads > 1 ? "/threads:" + std::to_string(threads) : ""),
            [&k, level, kind, all_rows, threads](benchmark::State& s) { multiply(s, k, level, kind, all_rows, threads); });
      };
      add_product("dot", product::dot, rows);
      add_product("dot_values", product::dot_values, rows);
      add_product("gemv", product::gemv, rows);
      add_product("gemv_memory", product::gemv, memory_rows);
      add_product("gemv_memory", product::gemv, memory_rows, 2);
    }
  }
  return true;
}();

} // namespace
