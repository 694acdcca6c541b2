// dot: exact integers, and float steps in the order that dot.hpp defines, so that all levels give equal bits.
#include <algorithm>
#include <bit>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <limits>

#include "quanta/quanta.hpp"
#include "support/golden_data.hpp"
#include "support/level_kernels.hpp"

namespace {

std::uint32_t bits_of(float x) { return std::bit_cast<std::uint32_t>(x); }
float rounded_product(float a, float b) {
  volatile float p = a * b;
  return p;
}
float halving_sum(std::vector<float> a) {
  for (std::size_t half = a.size() / 2; half > 0; half /= 2)
    for (std::size_t i = 0; i < half; ++i)
      a[i] += a[i + half];
  return a[0];
}

float sum_of(const quanta::q8_1& y) {
  const auto stored = static_cast<float>(y.s.get());
  int sum = 0;
  for (const std::int8_t q : y.qs)
    sum += q;
  return std::isfinite(stored) ? stored : static_cast<float>(y.d.get()) * static_cast<float>(sum);
}

/// The definition in dot.hpp, value by value, with 64-bit integers.
template <class B, class A>
float defined_dot(const std::vector<B>& row, const std::vector<A>& activations) {
  std::vector<float> set[2] = {std::vector<float>(8), std::vector<float>(8)}, offsets(8);
  if constexpr (B::layout_is_runs) {
    for (std::size_t run = 0; run < activations.size(); ++run) {
      const B& w = row[run * 32 / B::block_size];
      const A& y = activations[run];
      for (std::size_t k = 0; k < 8; ++k) {
        const float f = w.scale((run * 32 + 4 * k) % B::block_size / B::group_size) * static_cast<float>(y.d.get());
        std::int64_t t = 0;
        for (std::size_t i = 4 * k; i < 4 * k + 4; ++i)
          t += (w.code((run * 32 + i) % B::block_size) - B::code_offset) * y.qs[i];
        set[run % 2][k] += rounded_product(f, static_cast<float>(t));
      }
      if constexpr (B::affine)
        offsets[run % 8] += rounded_product(static_cast<float>(w.m.get()), sum_of(y));
    }
  } else {
    for (std::size_t b = 0; b < row.size(); ++b) {
      const B& w = row[b];
      const A& y = activations[b];
      // the integers of the equation; a format without groups has the integer 1
      const auto s = [&](std::size_t g) -> int {
        if constexpr (requires { w.group_scales(); })
          return w.group_scales()[g];
        else
          return 1;
      };
      constexpr int in_code = B::code_offset == 128 ? 128 : 0; // what is taken from each code, not through the sums of 16
      for (std::size_t k = 0; k < 8; ++k) {
        std::int64_t t = 0;
        for (std::size_t i = 0; i < 256; ++i)
          if (i / 4 % 8 == k)
            t += static_cast<std::int64_t>(s(i / B::group_size)) * (w.code(i) - in_code) * y.qs[i];
        for (std::size_t j = 2 * k; j < 2 * k + 2; ++j) // two sums of 16 in each lane
          t -= static_cast<std::int64_t>(B::code_offset - in_code) * s(16 * j / B::group_size) * y.bsums[j];
        const float f = quanta::detail::unit_scale<quanta::isa::portable>(w) * y.d;
        set[b % 2][k] += rounded_product(f, static_cast<float>(t));
        if constexpr (B::affine) {
          const auto m = w.group_minima();
          std::int64_t below = 0;
          for (std::size_t j = 2 * k; j < 2 * k + 2; ++j)
            below += static_cast<std::int64_t>(m[16 * j / B::group_size]) * y.bsums[j];
          set[b % 2][k] -= rounded_product(static_cast<float>(w.dmin.get()) * y.d, static_cast<float>(below));
        }
      }
    }
  }
  std::vector<float> total(8);
  for (std::size_t k = 0; k < 8; ++k) {
    total[k] = set[0][k] + set[1][k];
    if constexpr (B::affine && B::layout_is_runs)
      total[k] += offsets[k];
  }
  return halving_sum(total);
}

const auto level = tested::level_under_test();

template <class B, class A>
float check_dot(const std::vector<B>& row, const std::vector<A>& activations) {
  const std::span<const A> y(activations);
  const float got = tested::dot(level, row, y), portable = tested::dot(tested::level::portable, row, y);
  CHECK(bits_of(got) == bits_of(portable));
  CHECK(bits_of(got) == bits_of(defined_dot(row, activations)));
  return got;
}

#ifdef QUANTA_TEST_TEMPLATES
using formats = quanta::type_list<quanta::int8_block<64>, quanta::linear_block<2, 64>, quanta::linear_block<3, 32>,
                                  quanta::linear_block<4, 128>, quanta::linear_block<6, 32>, quanta::linear_block<7, 64>,
                                  quanta::linear_block<8, 32>, quanta::linear_block<4, 64, quanta::affine>>;
using rows = formats::append<float>;
using affine_runs = quanta::type_list<quanta::linear_block<4, 64, quanta::affine>>;
#else
using formats = quanta::weight_formats;
using rows = quanta::block_formats::append<quanta::f16, quanta::bf16>;
using affine_runs = quanta::type_list<quanta::q4_1, quanta::q5_1>;
#endif

} // namespace

TEST_CASE("dot has the bits of its definition at every length") {
  formats::for_each([](auto tag) {
    using B = typename decltype(tag)::type;
    using A = typename B::dot_partner;
    CAPTURE(B::name);
    for (std::size_t blocks = 0; blocks <= 20; ++blocks) {
      CAPTURE(blocks);
      const std::size_t columns = blocks * B::block_size;
      const auto row = tested::encode<B>(level, golden::rows(blocks, "heavy", 1, columns));
      const auto activations = tested::encode<A>(level, golden::rows(blocks + 30, "heavy", 1, columns));
      const float got = check_dot(row, activations);

      double exact = 0, magnitude = 0;
      for (std::size_t i = 0; i < columns; ++i) {
        const B& block = row[i / B::block_size];
        const std::size_t k = i % B::block_size;
        const auto y = static_cast<double>(quanta::decode_value(activations[i / A::block_size], i % A::block_size));
        const double minimum = static_cast<double>(block.minimum(k / B::group_size)) * y;
        exact += static_cast<double>(block.scale(k / B::group_size)) * (block.code(k) - B::code_offset) * y - minimum;
        magnitude += std::fabs(static_cast<double>(block.scale(k / B::group_size)) * (block.code(k) - B::code_offset) * y) +
                     std::fabs(minimum);
      }
      // A lane rounds each of its factors, products and sums once: under 6 a block of activations and 8 at the end, each of
      // a number below the sum of magnitudes. A q8_1 sum is a half, whose rounding (2^-11) is part of the format.
      const double roundings = 6.0 * static_cast<double>(activations.size()) + 8;
      double bound = roundings * static_cast<double>(std::numeric_limits<float>::epsilon()) / 2 * magnitude;
      if constexpr (std::same_as<A, quanta::q8_1>)
        for (std::size_t run = 0; run < activations.size(); ++run)
          bound += std::fabs(static_cast<double>(row[run * 32 / B::block_size].minimum(0)) *
                             static_cast<double>(static_cast<float>(activations[run].s.get()))) * 0x1p-10;
      CHECK(std::fabs(static_cast<double>(got) - exact) <= bound);
    }
  });
}

TEST_CASE("no integer saturates: extreme codes, scales and activations") {
  formats::for_each([](auto tag) {
    using B = typename decltype(tag)::type;
    using A = typename B::dot_partner;
    CAPTURE(B::name);
    for (const int fill : {0x00, 0xFF, 0x7F, 0x80, 0xAA, 0x55})
      for (const int pattern : {0, 1, 2, 3, 4, 5}) {
        CAPTURE(fill, pattern);
        std::vector<B> row(5);
        std::memset(static_cast<void*>(row.data()), fill, row.size() * sizeof(B));
        std::vector<A> activations(row.size() * B::block_size / A::block_size);
        golden::generator random{static_cast<std::uint64_t>(fill * 8 + pattern)};
        for (B& block : row) {
          if constexpr (requires { block.d; })
            block.d = quanta::f16(1.5f);
          else if constexpr (std::same_as<B, quanta::iq1_m>)
            for (std::size_t word = 0; word < 4; ++word) // the half 1.5 = 0x3E00 in the high nibbles
              block.scales[2 * word + 1] =
                  static_cast<std::uint8_t>((block.scales[2 * word + 1] & 15) | (0x3E00 >> 4 * word & 15) << 4);
          if constexpr (requires { block.dmin; })
            block.dmin = quanta::f16(0.75f);
          if constexpr (requires { block.m; })
            block.m = quanta::f16(0.75f);
        }
        for (A& block : activations) {
          const int extremes[] = {-128, -127, 127};
          for (std::size_t i = 0; i < A::block_size; ++i)
            block.qs[i] = static_cast<std::int8_t>(pattern < 3    ? extremes[pattern]
                                                   : pattern == 3 ? (i % 2 ? 127 : -128)
                                                                  : extremes[random.next() % 3]);
          int sum = 0;
          for (std::size_t i = 0; i < A::block_size; ++i) {
            sum += block.qs[i];
            if constexpr (requires { block.bsums; })
              if (i % 16 == 15) {
                block.bsums[i / 16] = static_cast<std::int16_t>(sum);
                sum = 0;
              }
          }
          if constexpr (requires { block.s; })
            block.s = quanta::f16(static_cast<float>(sum));
          if constexpr (requires { block.bsums; })
            block.d = 0.5f;
          else
            block.d = quanta::f16(0.5f);
        }
        check_dot(row, activations);
      }
  });
}

TEST_CASE("sums of activations beyond a half come from the codes") {
  affine_runs::for_each([](auto tag) {
    using B = typename decltype(tag)::type;
    CAPTURE(B::name);
    for (const float magnitude : {3e3f, 1e5f, -1e6f})
      for (const std::size_t blocks : {1, 7, 16, 21}) // copied by gemv, and not; whole eights of runs and rests
        for (const std::size_t every : {std::size_t{1}, std::size_t{5}}) {
          CAPTURE(magnitude, blocks, every);
          const std::size_t columns = blocks * B::block_size, rows = 5;
          std::vector<float> x = golden::rows(3, "positive", rows, columns), y = golden::rows(4, "gaussian", 1, columns);
          for (std::size_t run = 0; run < columns / 32; run += every)
            for (std::size_t i = 0; i < 32; ++i)
              y[32 * run + i] = magnitude + y[32 * run + i];
          std::vector<B> matrix(rows * blocks);
          std::vector<quanta::q8_1> activations(columns / 32);
          quanta::quantize(y, activations);
          float products[5];
          for (std::size_t r = 0; r < rows; ++r) {
            const auto row = tested::encoded<B>({x.begin() + static_cast<std::ptrdiff_t>(r * columns),
                                                 x.begin() + static_cast<std::ptrdiff_t>((r + 1) * columns)});
            std::copy(row.begin(), row.end(), matrix.begin() + static_cast<std::ptrdiff_t>(r * blocks));
          }
          if constexpr (tested::uses_tables)
            tested::kernels_of<B>(level).gemv(matrix.data(), rows, columns, activations.data(), products);
          else
            quanta::gemv(quanta::matrix_view<B>(matrix, rows, columns), activations, products);
          for (std::size_t r = 0; r < rows; ++r) {
            const std::vector<B> row(matrix.begin() + static_cast<std::ptrdiff_t>(r * blocks),
                                     matrix.begin() + static_cast<std::ptrdiff_t>((r + 1) * blocks));
            check_dot(row, activations);
            CHECK(bits_of(products[r]) == bits_of(tested::dot(level, row, std::span<const quanta::q8_1>(activations))));
            double exact = 0;
            for (std::size_t i = 0; i < columns; ++i)
              exact += static_cast<double>(quanta::decode_value(row[i / B::block_size], i % B::block_size)) *
                       static_cast<double>(quanta::decode_value(activations[i / 32], i % 32));
            CHECK(std::fabs(static_cast<double>(products[r]) - exact) <= 1e-3 * std::fabs(exact));
          }
        }
  });
}

TEST_CASE("dot with floats adds 32 lanes of exact weights") {
  rows::for_each([](auto tag) {
    using B = typename decltype(tag)::type;
    constexpr std::size_t size = quanta::block_size_of<B>;
    for (std::size_t blocks = 0; blocks <= (size == 1 ? 70u : 9u); ++blocks) {
      CAPTURE(quanta::name(quanta::type_of<B>()), blocks);
      const std::size_t columns = blocks * size;
      const auto x = golden::rows(blocks + 1, "gaussian", 1, columns);
      const auto row = tested::encode<B>(level, golden::rows(blocks + 30, "gaussian", 1, columns));
      const auto w = tested::decode(level, row);
      std::vector<float> lanes(32);
      for (std::size_t i = 0; i < columns; ++i)
        lanes[i % 32] += rounded_product(w[i], x[i]);
      const float got = tested::dot(level, row, std::span<const float>(x));
      std::vector<float> sums(16);
      for (std::size_t k = 0; k < 16; ++k)
        sums[k] = lanes[k] + lanes[k + 16];
      CHECK(bits_of(got) == bits_of(halving_sum(sums)));
    }
  });
}
