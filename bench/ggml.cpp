// The same rows through an installed ggml, in the same process: encode, decode and dot of its kernels for one row, and its
// matrix products, once with weights as they are in a file and once as its CPU backend repacks them. Level names: ggml,
// ggml_repack.
#include <benchmark/benchmark.h>
#include <ggml-backend.h>
#include <ggml-cpu.h>
#include <ggml.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "limits.hpp"
#include "quanta/quanta.hpp"
#include "support/golden_data.hpp"

namespace {

constexpr std::int64_t columns = 4096, rows = 64;

std::vector<std::byte> encoded(ggml_type type, const std::vector<float>& x, std::int64_t row_length, const float* importance) {
  const std::int64_t count = static_cast<std::int64_t>(x.size()) / row_length;
  std::vector<std::byte> out(ggml_row_size(type, row_length) * static_cast<std::size_t>(count));
  ggml_quantize_chunk(type, x.data(), out.data(), 0, count, row_length, importance);
  return out;
}

void encode(benchmark::State& state, ggml_type type, bool weighted) {
  const auto x = golden::rows(1, "gaussian", rows, columns), importance = golden::importance(1, columns);
  auto out = encoded(type, x, columns, weighted ? importance.data() : nullptr);
  for (auto _ : state)
    ggml_quantize_chunk(type, x.data(), out.data(), 0, rows, columns, weighted ? importance.data() : nullptr);
  bench::report(state, "weights/s", static_cast<double>(rows * columns), 0, 0);
}
void decode(benchmark::State& state, ggml_type type, const std::vector<std::byte>& blocks) {
  const std::size_t bytes = ggml_row_size(type, columns);
  const auto to_float = ggml_get_type_traits(type)->to_float;
  std::vector<float> y(16 * columns);
  for (auto _ : state)
    for (std::size_t r = 0; r < rows; ++r)
      to_float(&blocks[r * bytes], &y[r % 16 * columns], columns);
  constexpr auto stored = static_cast<double>(rows * columns * sizeof(float));
  bench::report(state, "bytes/s", stored, stored, bench::store_limit());
}
void dot(benchmark::State& state, ggml_type type, const std::vector<std::byte>& blocks) {
  const auto* cpu = ggml_get_type_traits_cpu(type);
  const std::size_t bytes = ggml_row_size(type, columns);
  const auto x = golden::rows(2, "gaussian", 1, columns);
  std::vector<std::byte> activations(ggml_row_size(cpu->vec_dot_type, columns));
  ggml_get_type_traits_cpu(cpu->vec_dot_type)->from_float(x.data(), activations.data(), columns);
  std::vector<float> y(rows);
  for (auto _ : state) {
    for (std::size_t r = 0; r < rows; ++r)
      cpu->vec_dot(columns, &y[r], 0, &blocks[r * bytes], 0, activations.data(), 0, 1);
    benchmark::DoNotOptimize(y.data());
  }
  constexpr auto flop = static_cast<double>(2 * rows * columns);
  bench::report(state, "FLOP/s", flop, flop, bench::int8_limit(quanta::isa::best()));
}

struct shape {
  std::int64_t rows, columns, tokens;
  int threads;
};
struct free_backend {
  void operator()(ggml_backend* p) const { ggml_backend_free(p); }
  void operator()(ggml_backend_buffer* p) const { ggml_backend_buffer_free(p); }
  void operator()(ggml_context* p) const { ggml_free(p); }
};
template <class T>
using owned = std::unique_ptr<T, free_backend>;

ggml_backend_buffer_type_t repacking_buffer() {
  ggml_backend_dev_t device = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
  const auto get = reinterpret_cast<ggml_backend_dev_get_extra_bufts_t>(
      ggml_backend_reg_get_proc_address(ggml_backend_dev_backend_reg(device), "ggml_backend_dev_get_extra_bufts"));
  ggml_backend_buffer_type_t* all = get ? get(device) : nullptr;
  for (; all && *all; ++all)
    if (std::strcmp(ggml_backend_buft_name(*all), "CPU_REPACK") == 0)
      return *all;
  return nullptr;
}

/// Y = X W^T as a graph of one node. Its activations are floats: quantizing them is part of ggml's product.
void gemm(benchmark::State& state, ggml_type type, const shape& s, ggml_backend_buffer_type_t place) {
  const owned<ggml_backend> backend(ggml_backend_cpu_init());
  ggml_backend_cpu_set_n_threads(backend.get(), s.threads);
  const ggml_init_params small{std::size_t{1} << 20, nullptr, true};
  const owned<ggml_context> weight_context(ggml_init(small)), context(ggml_init(small));
  ggml_tensor* w = ggml_new_tensor_2d(weight_context.get(), type, s.columns, s.rows);
  const owned<ggml_backend_buffer> weight_buffer(ggml_backend_alloc_ctx_tensors_from_buft(weight_context.get(), place));
  ggml_tensor* x = ggml_new_tensor_2d(context.get(), GGML_TYPE_F32, s.columns, s.tokens);
  ggml_tensor* y = ggml_mul_mat(context.get(), w, x);
  ggml_cgraph* graph = ggml_new_graph(context.get());
  ggml_build_forward_expand(graph, y);
  const owned<ggml_backend_buffer> buffer(ggml_backend_alloc_ctx_tensors(context.get(), backend.get()));
  if (!weight_buffer || !buffer || (place != ggml_backend_cpu_buffer_type() && !w->extra)) {
    state.SkipWithError("not repacked by this ggml");
    return;
  }
  const auto part = encoded(type, golden::rows(1, "gaussian", 4, static_cast<std::size_t>(s.columns)), s.columns, nullptr);
  std::vector<std::byte> matrix(ggml_nbytes(w));
  for (std::size_t i = 0; i < matrix.size(); i += part.size())
    std::memcpy(&matrix[i], part.data(), std::min(part.size(), matrix.size() - i));
  ggml_backend_tensor_set(w, matrix.data(), 0, matrix.size());
  const auto values = golden::rows(2, "gaussian", static_cast<std::size_t>(s.tokens), static_cast<std::size_t>(s.columns));
  ggml_backend_tensor_set(x, values.data(), 0, values.size() * sizeof(float));
  for (auto _ : state)
    ggml_backend_graph_compute(backend.get(), graph);
  const auto flop = 2.0 * static_cast<double>(s.rows * s.columns * s.tokens);
  bench::report(state, "FLOP/s", flop, flop, bench::int8_limit(quanta::isa::best()) * s.threads);
}

const bool registered = [] {
  ggml_cpu_init();
  const auto add = [](const std::string& name, auto run) {
    return benchmark::RegisterBenchmark(name.c_str(), run)->UseRealTime();
  };
  for (int i = 0; i < GGML_TYPE_COUNT; ++i) {
    const auto type = static_cast<ggml_type>(i);
    if (!ggml_is_quantized(type) || !ggml_get_type_traits(type)->to_float || !ggml_get_type_traits_cpu(type)->vec_dot)
      continue;
    const std::string name = ggml_type_name(type);
    // A reference encoder that cannot do without importance gets it, as ours does.
    const bool needs = ggml_quantize_requires_imatrix(type);
    if (!needs)
      add("encode/" + name + "/ggml", [type](benchmark::State& s) { encode(s, type, false); });
    add("encode_importance/" + name + "/ggml", [type](benchmark::State& s) { encode(s, type, true); });
    const auto blocks = [type] {
      return encoded(type, golden::rows(1, "gaussian", rows, columns), columns, golden::importance(1, columns).data());
    };
    add("decode/" + name + "/ggml", [type, blocks](benchmark::State& s) { decode(s, type, blocks()); });
    for (const std::string operation : {"dot/", "gemv/"}) // row by row, either
      add(operation + name + "/ggml", [type, blocks](benchmark::State& s) { dot(s, type, blocks()); });
    if (needs)
      continue;
    for (const std::int64_t tokens : {1, 8, 64, 512}) {
      const shape s{4096, 4096, tokens, 1};
      const std::string size = "/4096x4096/tokens:" + std::to_string(tokens) + "/threads:1";
      add("gemm/" + name + "/ggml" + size,
          [type, s](benchmark::State& state) { gemm(state, type, s, ggml_backend_cpu_buffer_type()); });
      if (const auto repacking = repacking_buffer())
        add("gemm/" + name + "/ggml_repack" + size,
            [type, s, repacking](benchmark::State& state) { gemm(state, type, s, repacking); });
    }
  }
  return true;
}();

} // namespace
