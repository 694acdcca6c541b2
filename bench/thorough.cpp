// What search::thorough saves of the reference's error, and how fast it is: prints the first table of docs/thorough.md.
// quanta_thorough [MODEL.gguf IMPORTANCE.gguf [FORMAT]]: also on the first 128 rows of the matrices of the model's layer 1.
#include <chrono>
#include <cmath>
#include <cstdio>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "importance.hpp"
#include "quanta/gguf/gguf.hpp"
#include "quanta/quanta.hpp"

namespace {

/// Rows of `columns` values, and what errors count in each column.
struct sample {
  std::size_t columns;
  std::vector<float> x, importance;

  std::span<const float> weights(bool weighted) const {
    return weighted ? std::span<const float>(importance) : std::span<const float>();
  }
};

/// 16 rows of 2,048 weights of a distribution with standard deviation 0.03, and lognormal(1.5) importance.
template <class Distribution>
sample random_sample(Distribution distribution) {
  std::mt19937 random(1);
  sample s{2048, std::vector<float>(16 * 2048), std::vector<float>(2048)};
  for (float& v : s.x)
    v = 0.03f * distribution(random);
  std::lognormal_distribution<float> uneven(0.f, 1.5f);
  for (float& v : s.importance)
    v = uneven(random);
  return s;
}

std::vector<sample> model_samples(const char* model, const char* matrix) {
  const auto file = quanta::gguf::file::open(model).value();
  const auto importance = tool::read_importance(quanta::gguf::file::open(matrix).value()).value();
  std::vector<sample> samples;
  for (const char* name : {"attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"}) {
    const auto& t = *file.find_tensor("blk.1." + std::string(name) + ".weight");
    const auto columns = static_cast<std::size_t>(t.columns());
    std::vector<quanta::f16> halves(std::min<std::size_t>(t.rows(), 128) * columns);
    if (!file.read(t, 0, std::as_writable_bytes(std::span(halves))))
      throw std::runtime_error("cannot read " + t.name);
    sample s{columns, std::vector<float>(halves.size()), importance.find(t.name)->second};
    quanta::dequantize(halves, s.x);
    samples.push_back(std::move(s));
  }
  return samples;
}

template <class B>
double error_of(const sample& s, bool weighted, quanta::search how) {
  std::vector<B> row(s.columns / B::block_size);
  std::vector<float> y(s.columns);
  double sum = 0;
  for (std::size_t first = 0; first < s.x.size(); first += s.columns) {
    const auto x = std::span(s.x).subspan(first, s.columns);
    quanta::quantize(x, row, {.importance = s.weights(weighted), .search = how});
    quanta::dequantize(row, y);
    for (std::size_t i = 0; i < s.columns; ++i)
      sum += (weighted ? static_cast<double>(s.importance[i]) : 1.) *
             std::pow(static_cast<double>(x[i]) - static_cast<double>(y[i]), 2);
  }
  return sum;
}
template <class B>
double saved(const std::vector<sample>& samples, bool weighted) {
  double sum = 0;
  for (const sample& s : samples)
    sum += 1 - error_of<B>(s, weighted, quanta::search::thorough) / error_of<B>(s, weighted, quanta::search::reference);
  return 100 * sum / static_cast<double>(samples.size());
}
/// M weights a second, the best of five.
template <class B>
double speed(const sample& s, bool weighted) {
  double best = 0;
  std::vector<B> row(s.columns / B::block_size);
  for (int i = 0; i < 5; ++i) {
    const auto start = std::chrono::steady_clock::now();
    for (std::size_t first = 0; first < s.x.size(); first += s.columns)
      quanta::quantize(std::span(s.x).subspan(first, s.columns), row,
                       {.importance = s.weights(weighted), .search = quanta::search::thorough});
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    best = std::max(best, static_cast<double>(s.x.size()) / time.count() / 1e6);
  }
  return best;
}

} // namespace

int main(int count, char** arguments) {
  const std::vector<sample> gaussian{random_sample(std::normal_distribution<float>())},
      student{random_sample(std::student_t_distribution<float>(5))},
      real = count > 2 ? model_samples(arguments[1], arguments[2]) : std::vector<sample>{};
  std::printf("| format | gaussian | with importance | student-t | with importance | real | with importance | speed | "
              "with importance |\n|---|---|---|---|---|---|---|---|---|\n");
  quanta::weight_formats::for_each([&]<class B>(quanta::type_tag<B>) {
    if constexpr (quanta::encode::thorough_format<quanta::isa::native, B>) {
      if (count > 3 && B::name != arguments[3])
        return;
      std::printf("| %.*s |", static_cast<int>(B::name.size()), B::name.data());
      for (const auto* samples : {&gaussian, &student, &real})
        for (const bool weighted : {false, true})
          std::printf(samples->empty() ? " |" : " %.1f |", samples->empty() ? 0. : saved<B>(*samples, weighted));
      std::printf(" %.3g | %.3g |\n", speed<B>(gaussian[0], false), speed<B>(gaussian[0], true));
      std::fflush(stdout);
    }
  });
}
