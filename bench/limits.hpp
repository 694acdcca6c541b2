// The limits of this machine, measured once in the run that the figures are divided by.
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

#include "quanta/dispatch.hpp"

namespace bench {

/// The best of a few measurements of f, in units a second: a limit is what the machine can do when it is not disturbed.
template <class F>
double best_rate(double units, F f) {
  double best = 0;
  for (int i = 0; i < 5; ++i) {
    const auto start = std::chrono::steady_clock::now();
    f();
    best = std::max(best, units / std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

/// Bytes a second that `threads` threads read from memory: 64-bit words of 256 MiB added up.
inline double memory_read(unsigned threads) {
  static const std::vector<std::uint64_t> data((std::size_t{256} << 20) / sizeof(std::uint64_t), 3);
  return best_rate(static_cast<double>(data.size() * sizeof(std::uint64_t)), [threads] {
    std::vector<std::thread> workers;
    for (unsigned worker = 0; worker < threads; ++worker)
      workers.emplace_back([worker, threads] {
        const std::size_t share = data.size() / threads / 8 * 8;
        std::uint64_t sums[8] = {};
        for (std::size_t i = worker * share; i < (worker + 1) * share; i += 8)
          for (std::size_t k = 0; k < 8; ++k)
            sums[k] += data[i + k];
        benchmark::DoNotOptimize(sums);
      });
    for (auto& worker : workers)
      worker.join();
  });
}

/// Bytes a second of storing floats that differ, in the second-level cache: what decoding cannot exceed. Zeros would be faster.
inline double store_varying() {
  constexpr std::size_t count = std::size_t{64} << 10, passes = 64;
  static std::vector<float> y(count);
  return best_rate(static_cast<double>(count * sizeof(float) * passes), [] {
    for (std::size_t pass = 0; pass < passes; ++pass) {
      const auto seed = static_cast<std::uint32_t>(pass);
      for (std::size_t i = 0; i < count; ++i) {
        const std::uint32_t bits = 0x3F800000u + static_cast<std::uint32_t>(i) + seed;
        std::memcpy(&y[i], &bits, sizeof bits);
      }
      benchmark::DoNotOptimize(y.data());
      benchmark::ClobberMemory();
    }
  });
}

/// 8-bit multiplications and additions a second, on registers.
inline double int8_peak(quanta::isa::level level) {
  constexpr std::size_t steps = 1 << 16;
  return best_rate(static_cast<double>(quanta::dispatch::int8_peak_operations) * steps,
                   [level] { benchmark::DoNotOptimize(quanta::dispatch::int8_peak(level, steps)); });
}

/// The same figures, each measured at its first use.
inline double read_limit(unsigned threads) {
  static double measured[3] = {};
  double& r = measured[threads < 3 ? threads : 0];
  return r > 0 ? r : r = memory_read(threads);
}
inline double store_limit() {
  static const double measured = store_varying();
  return measured;
}
inline double int8_limit(quanta::isa::level level) {
  static double measured[16] = {};
  double& r = measured[static_cast<std::size_t>(level)];
  return r > 0 ? r : r = int8_peak(level);
}

/// A row's counters: `units` a second under `name`, and what share of `limit` a second that is.
inline void report(benchmark::State& state, const char* name, double units, double share_units, double limit) {
  state.counters[name] = benchmark::Counter(units, benchmark::Counter::kIsIterationInvariantRate);
  if (limit > 0)
    state.counters["%limit"] = benchmark::Counter(100.0 * share_units / limit, benchmark::Counter::kIsIterationInvariantRate);
}

} // namespace bench
