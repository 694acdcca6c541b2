// gemv, gathered rows and error reports.
#include <bit>
#include <catch2/catch_test_macros.hpp>
#include <cmath>

#include "quanta/quanta.hpp"
#include "quanta/threads.hpp"
#include "support/golden_data.hpp"
#include "support/level_kernels.hpp"
#include "support/tested_formats.hpp"

TEST_CASE("gemv has the bits of dot, with any number of threads") {
  tested::weight_formats::for_each([](auto tag) {
    using B = typename decltype(tag)::type;
    using A = typename B::dot_partner;
    CAPTURE(B::name);
    const auto check = [](std::size_t rows, std::size_t columns) {
      CAPTURE(rows, columns);
      const auto w = golden::rows(rows, "gaussian", rows, columns), x = golden::rows(5, "gaussian", 1, columns);
      const auto blocks = tested::encoded<B>(w);
      const auto activations = tested::encoded<A>(x);
      const quanta::matrix_view<B> matrix(blocks, rows, columns);
      std::vector<float> y(rows), threaded(rows), exact(rows);
      quanta::gemv(matrix, activations, y);
      quanta::gemv(matrix, activations, threaded, quanta::threads(3));
      quanta::gemv(matrix, x, exact, quanta::threads(2));
      for (std::size_t r = 0; r < rows; ++r) {
        CHECK(std::bit_cast<std::uint32_t>(y[r]) == std::bit_cast<std::uint32_t>(quanta::dot(matrix.row(r), activations)));
        CHECK(std::bit_cast<std::uint32_t>(exact[r]) == std::bit_cast<std::uint32_t>(quanta::dot(matrix.row(r), x)));
      }
      CHECK(y == threaded);
      if (rows > 3) {
        const std::vector<std::uint32_t> picked{3, 0, 3};
        std::vector<float> gathered(3 * columns), one(columns);
        quanta::dequantize_rows(matrix, picked, gathered);
        for (std::size_t i = 0; i < 3; ++i) {
          quanta::dequantize(matrix.row(picked[i]), one);
          CHECK(std::equal(one.begin(), one.end(), gathered.begin() + static_cast<std::ptrdiff_t>(i * columns)));
        }
      }
    };
    for (const std::size_t rows : {std::size_t{0}, std::size_t{1}, std::size_t{77}})
      check(rows, 768);
    if (B::block_size <= 128) { // not whole eights of runs: activations are copied up to the end
      check(5, 128);
      check(5, 1152);
    }
    check(5, 33024); // more than is copied
  });
}

TEST_CASE("decoding to f16 and bf16 rounds what decoding to float gives") {
  tested::weight_formats::for_each([](auto tag) {
    using B = typename decltype(tag)::type;
    const auto row = tested::encoded<B>(golden::rows(2, "outlier", 1, 1024));
    std::vector<float> wide(1024);
    std::vector<quanta::f16> half(1024);
    std::vector<quanta::bf16> brain(1024);
    quanta::dequantize(row, wide);
    quanta::dequantize(row, half);
    quanta::dequantize(row, brain);
    for (std::size_t i = 0; i < 1024; ++i) {
      REQUIRE(half[i] == quanta::f16(wide[i]));
      REQUIRE(brain[i] == quanta::bf16(wide[i]));
    }
  });
}

// Looked-up levels are not equally spaced, and those of a codebook not free of each other: their searches may take another.
template <class B>
concept equally_spaced = std::same_as<B, quanta::q8_0> || requires { B::levels; };

TEST_CASE("a decoded value is within its step of the value") {
  const auto x = golden::rows(4, "gaussian", 1, 2048);
  tested::weight_formats::for_each([&]<class B>(quanta::type_tag<B>) {
    if constexpr (!equally_spaced<B>)
      return;
    CAPTURE(B::name);
    const auto row = tested::encoded<B>(x);
    std::vector<float> y(x.size());
    quanta::dequantize(row, y);
    for (std::size_t i = 0; i < x.size(); ++i) {
      const B& block = row[i / B::block_size];
      const std::size_t g = i % B::block_size / B::group_size;
      const float step = std::fabs(block.scale(g));
      int top = 254; // int8_block: -127 .. 127
      if constexpr (requires { B::levels; })
        top = B::levels - 1;
      const float ends[] = {static_cast<float>(-B::code_offset) * block.scale(g) - block.minimum(g),
                            static_cast<float>(top - B::code_offset) * block.scale(g) - block.minimum(g)};
      // Inside the range of the levels the nearest one is taken (half a step, and the rounding of d to half: 2^-11 of the
      // value); outside it is clipped to an end.
      const float low = std::fmin(ends[0], ends[1]), high = std::fmax(ends[0], ends[1]);
      if (x[i] >= low && x[i] <= high && y[i] != low && y[i] != high)
        CHECK(std::fabs(y[i] - x[i]) <=
              0.5f * step * 1.01f + std::fabs(x[i]) * 0x1p-10f + std::fabs(block.minimum(g)) * 0x1p-10f);
    }
  });
}

TEST_CASE("error reports") {
  std::vector<float> x(512, 1.f);
  x[300] = 2.f;
  std::vector<quanta::q8_0> row(16);
  quanta::quantize(x, row);
  const auto exact = quanta::compare(x, x);
  CHECK(exact.relative_rms() == 0);
  CHECK(exact.cosine() == 1);
  CHECK(std::isinf(exact.signal_to_noise()));
  const auto r = quanta::compare(x, row);
  CHECK(r.count == 512);
  CHECK(r.blocks == 16);
  CHECK(r.worst_block == 9);
  CHECK(r.largest_error > 0);
  CHECK(r.relative_rms() < 0.01);
  quanta::error_report parts;
  parts += quanta::compare(std::span(x).first(256), std::span(row).first(8));
  parts += quanta::compare(std::span(x).last(256), std::span(row).last(8));
  CHECK(parts.worst_block == r.worst_block);
  CHECK(parts.count == r.count);
  const std::vector<float> zeros(32, 0.f);
  CHECK(quanta::compare(zeros, zeros).relative_rms() == 0);
}
