// The limits that are compiled for this CPU's level.
#include "limits.hpp"

#include <thread>
#include <vector>

#include "quanta/quanta.hpp"

namespace bench {

using floats = quanta::simd::vec<float, 16, quanta::isa::native>;

double memory_read(unsigned threads) {
  static const std::vector<float> data((std::size_t{256} << 20) / sizeof(float), 3.f);
  return best_rate(static_cast<double>(data.size() * sizeof(float)), [threads] {
    std::vector<std::thread> workers;
    for (unsigned worker = 0; worker < threads; ++worker)
      workers.emplace_back([worker, threads] {
        const std::size_t share = data.size() / threads / 128 * 128;
        const float* p = data.data() + worker * share;
        floats sums[8];
        for (floats& sum : sums)
          sum = quanta::simd::fill<floats>(0.f);
        for (std::size_t i = 0; i < share; i += 128)
          quanta::simd::unroll<8>([&](auto k) { sums[k()] = sums[k()] + quanta::simd::load<floats>(p + i + 16 * k()); });
        for (const floats& sum : sums)
          benchmark::DoNotOptimize(quanta::simd::halving_sum(sum));
      });
    for (auto& worker : workers)
      worker.join();
  });
}

double store_varying() {
  constexpr std::size_t count = std::size_t{64} << 10, passes = 64;
  static std::vector<float> y(count);
  return best_rate(static_cast<double>(count * sizeof(float) * passes), [] {
    for (std::size_t pass = 0; pass < passes; ++pass) {
      floats value = quanta::simd::fill<floats>(static_cast<float>(pass)), step = quanta::simd::fill<floats>(1.f);
      for (std::size_t i = 0; i < count; i += 16) {
        quanta::simd::store(&y[i], value);
        value = value + step;
      }
      benchmark::DoNotOptimize(y.data());
      benchmark::ClobberMemory();
    }
  });
}

const aligned_bytes& memory_to_write() {
  static const aligned_bytes bytes(std::size_t{256} << 20);
  return bytes;
}
double memory_write() {
  const std::span bytes = memory_to_write().span();
  auto* const out = reinterpret_cast<float*>(bytes.data());
  return best_rate(static_cast<double>(bytes.size()), [=] {
    floats value = quanta::simd::fill<floats>(0.f), step = quanta::simd::fill<floats>(1.f);
    for (std::size_t i = 0; i < bytes.size() / sizeof(float); i += 16) {
      quanta::simd::store(out + i, value);
      value = value + step;
    }
  });
}

} // namespace bench
