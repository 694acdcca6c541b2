// The limits of this machine, measured once in the run that the figures are divided by.
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstddef>

#include "aligned_bytes.hpp"
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

/// Bytes a second that `threads` threads read from memory: 256 MiB added up, in the widest registers.
double memory_read(unsigned threads);
/// Bytes a second of storing floats that differ, in the second-level cache: what decoding cannot exceed. Zeros would be faster.
double store_varying();

/// 256 MiB that decoding into memory and its limit write to.
const aligned_bytes& memory_to_write();
/// Bytes a second of storing floats that differ there.
double memory_write();

/// 8-bit multiplications and additions a second, on registers.
inline double int8_peak(quanta::isa::level level) {
  constexpr std::size_t steps = 1 << 20; // milliseconds, so that the best of a few is undisturbed
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
inline double memory_write_limit() {
  static const double measured = memory_write();
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
