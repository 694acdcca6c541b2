// Rows `decode_f16/format/level` and `decode_bf16`, as `decode`; `decode_memory`: floats that no cache holds, against storing
// floats that differ there.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "aligned_bytes.hpp"
#include "limits.hpp"
#include "quanta/quanta.hpp"
#include "support/golden_data.hpp"

namespace {

constexpr std::size_t columns = 4096, rows = 64, memory_rows = 16384; // 256 MiB of floats

template <class B>
std::vector<B> encoded() {
  const auto x = golden::rows(1, "gaussian", rows, columns);
  constexpr std::size_t blocks = columns / B::block_size;
  std::vector<B> out(rows * blocks);
  for (std::size_t r = 0; r < rows; ++r)
    quanta::quantize(std::span(x).subspan(r * columns, columns), std::span(out).subspan(r * blocks, blocks));
  return out;
}

template <class B, class T>
void decode(benchmark::State& state) {
  const auto blocks = encoded<B>();
  std::vector<T> y(16 * columns);
  for (auto _ : state)
    for (std::size_t r = 0; r < rows; ++r) {
      constexpr std::size_t count = columns / B::block_size;
      quanta::dequantize(std::span(blocks).subspan(r * count, count), std::span(y).subspan(r % 16 * columns, columns));
      benchmark::DoNotOptimize(y.data());
    }
  constexpr auto stored = static_cast<double>(rows * columns * sizeof(T));
  bench::report(state, "bytes/s", stored, stored, bench::store_limit());
}

template <class B>
void decode_memory(benchmark::State& state) {
  const auto blocks = encoded<B>();
  const bench::aligned_bytes& storage = bench::memory_to_write();
  const std::span y(reinterpret_cast<float*>(storage.span().data()), memory_rows * columns);
  for (auto _ : state)
    for (std::size_t r = 0; r < memory_rows; ++r) {
      constexpr std::size_t count = columns / B::block_size;
      quanta::dequantize(std::span(blocks).subspan(r % rows * count, count), y.subspan(r * columns, columns));
    }
  constexpr auto stored = static_cast<double>(memory_rows * columns * sizeof(float));
  bench::report(state, "bytes/s", stored, stored, bench::memory_write_limit());
}

void add(const std::string& name, void (*run)(benchmark::State&)) {
  benchmark::RegisterBenchmark(name.c_str(), run)->UseRealTime();
}

const bool registered = [] {
  add("limit/memory_write", [](benchmark::State& state) {
    double rate = bench::memory_write_limit();
    for (auto _ : state)
      benchmark::DoNotOptimize(rate);
    state.counters["bytes/s"] = rate;
  });
  quanta::block_formats::for_each([]<class B>(quanta::type_tag<B>) {
    const std::string name = "/" + std::string(B::name) + "/" + std::string(quanta::isa::name(quanta::isa::native::value));
    add("decode_f16" + name, decode<B, quanta::f16>);
    add("decode_bf16" + name, decode<B, quanta::bf16>);
    add("decode_memory" + name, decode_memory<B>);
  });
  return true;
}();

} // namespace
