// Rows `gemm/format/level/ROWSxCOLUMNS/tokens:N/threads:M` and `pack/format/level`: packed products at this CPU's level,
// measured against the int8 peak of the same run. Activations are packed beforehand, as they are once for several matrices.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "aligned_bytes.hpp"
#include "limits.hpp"
#include "quanta/packed/gemm.hpp"
#include "quanta/quanta.hpp"
#include "quanta/threads.hpp"
#include "support/golden_data.hpp"

namespace {

using quanta::isa::native;

struct shape {
  std::size_t rows, columns, tokens;
  unsigned threads = 1;
};

template <class B>
std::vector<B> weights_of(const shape& s) { // a few rows again and again: the values do not change the speed
  const auto x = golden::rows(1, "gaussian", 4, s.columns);
  std::vector<B> part(x.size() / B::block_size), all;
  for (std::size_t r = 0; r < 4; ++r) {
    const std::size_t blocks = s.columns / B::block_size;
    quanta::quantize(std::span(x).subspan(r * s.columns, s.columns), std::span(part).subspan(r * blocks, blocks));
  }
  while (all.size() < s.rows * s.columns / B::block_size)
    all.insert(all.end(), part.begin(), part.end());
  all.resize(s.rows * s.columns / B::block_size);
  return all;
}

template <class B>
void gemm(benchmark::State& state, const shape& s) {
  const auto w = weights_of<B>(s);
  const auto x = golden::rows(2, "gaussian", s.tokens, s.columns);
  const bench::aligned_bytes weight_bytes(quanta::packed_bytes<B>(s.rows, s.columns));
  const bench::aligned_bytes token_bytes(quanta::activation_bytes<B>(s.tokens, s.columns));
  const auto matrix = quanta::pack(quanta::matrix_view<B>(w, s.rows, s.columns), weight_bytes.span());
  const auto activations = quanta::pack_activations<B>(x, s.tokens, s.columns, token_bytes.span());
  std::vector<float> y(s.rows * s.tokens);
  const quanta::threads parallel_for(s.threads);
  for (auto _ : state) {
    if (s.threads == 1)
      quanta::gemm(matrix, activations, std::span<float>(y));
    else
      quanta::gemm(matrix, activations, std::span<float>(y), parallel_for);
    benchmark::DoNotOptimize(y.data());
  }
  const auto flop = 2.0 * static_cast<double>(s.rows * s.columns * s.tokens);
  bench::report(state, "FLOP/s", flop, flop, bench::int8_limit(native::value) * s.threads);
  state.counters["bytes/s"] =
      benchmark::Counter(static_cast<double>(weight_bytes.span().size()), benchmark::Counter::kIsIterationInvariantRate);
}

template <class B>
void pack(benchmark::State& state) {
  const shape s{16384, 4096, 1}; // more than the cache holds, as when a model is loaded
  const auto w = weights_of<B>(s);
  const bench::aligned_bytes storage(quanta::packed_bytes<B>(s.rows, s.columns));
  for (auto _ : state)
    benchmark::DoNotOptimize(quanta::pack(quanta::matrix_view<B>(w, s.rows, s.columns), storage.span()));
  const auto bytes = static_cast<double>(w.size() * sizeof(B));
  std::vector<B> copy(w.size());
  const double copying = bench::best_rate(bytes, [&] {
    std::memcpy(static_cast<void*>(copy.data()), w.data(), w.size() * sizeof(B));
    benchmark::DoNotOptimize(copy.data());
  });
  bench::report(state, "bytes/s", bytes, bytes, copying);
}

template <class B>
void add(const shape& s, const std::string& name) {
  benchmark::RegisterBenchmark(("gemm/" + name + "/" + std::string(quanta::isa::name(native::value)) + "/" +
                                std::to_string(s.rows) + "x" + std::to_string(s.columns) +
                                "/tokens:" + std::to_string(s.tokens) + "/threads:" + std::to_string(s.threads))
                                   .c_str(),
                               [s](benchmark::State& state) { gemm<B>(state, s); })
      ->UseRealTime();
}

template <class B>
void add_format(const std::string& name) {
  for (const std::size_t tokens : {1, 8, 64, 512})
    add<B>({4096, 4096, tokens}, name);
  benchmark::RegisterBenchmark(("pack/" + name + "/" + std::string(quanta::isa::name(native::value))).c_str(), pack<B>)
      ->UseRealTime();
}

const bool registered = [] {
  using namespace quanta;
  type_list<q4_0, q8_0, q4_k, q5_k, q6_k, q2_k, q3_k, iq4_nl, iq4_xs, mxfp4, iq2_xxs, iq3_s>::for_each(
      []<class B>(type_tag<B>) { add_format<B>(std::string(B::name)); });
  add_format<linear_block<4, 64>>("linear4_g64");
  add_format<linear_block<4, 128>>("linear4_g128");
  // No cliff: over tokens, over columns, the shapes of large models and of games.
  for (const std::size_t tokens : {2, 3, 4, 5, 6, 7, 10, 12, 16, 24, 32, 48, 96, 128, 256})
    add<q4_k>({4096, 4096, tokens}, "q4_K");
  for (const std::size_t columns : {256, 512, 1024, 2048, 8192, 16384})
    for (const std::size_t tokens : {1, 64})
      add<q4_k>({4096, columns, tokens}, "q4_K");
  for (const shape s : {shape{14336, 4096, 1}, shape{4096, 14336, 1}, shape{128256, 4096, 1}, shape{8192, 28672, 1},
                        shape{64, 256, 1}, shape{256, 256, 1}, shape{512, 512, 1}})
    for (const std::size_t tokens : {1, 8})
      for (const unsigned threads : {1u, 2u})
        add<q4_k>({s.rows, s.columns, tokens, threads}, "q4_K");
  return true;
}();

} // namespace
