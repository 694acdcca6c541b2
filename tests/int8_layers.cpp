// Requantization and fully connected layers of TensorFlow Lite's int8, against the arithmetic written out in wider integers.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <limits>

#include "quanta/quanta.hpp"
#include "quanta/threads.hpp"
#include "support/golden_data.hpp"
#include "support/violates.hpp"

namespace {

using quanta::errc;
using quanta::int8_affine;
using bytes = std::vector<std::int8_t>;
__extension__ using wide = __int128;
constexpr float infinity = std::numeric_limits<float>::infinity(), no_number = std::numeric_limits<float>::quiet_NaN();
constexpr std::int32_t int32_min = std::numeric_limits<std::int32_t>::min(),
                       int32_max = std::numeric_limits<std::int32_t>::max();

/// gemmlowp's two steps as their authors wrote them.
std::int32_t high_product(std::int32_t a, std::int32_t b) {
  if (a == b && a == int32_min)
    return int32_max;
  const wide product = wide{a} * b, nudge = product >= 0 ? wide{1} << 30 : 1 - (wide{1} << 30);
  return static_cast<std::int32_t>((product + nudge) / (wide{1} << 31));
}
std::int32_t divide_by_power(std::int32_t x, int n) {
  const wide mask = (wide{1} << n) - 1, remainder = wide{x} & mask, threshold = (mask >> 1) + (x < 0 ? 1 : 0);
  return static_cast<std::int32_t>((wide{x} >> n) + (remainder > threshold ? 1 : 0));
}
std::int32_t saturated(wide x) { return static_cast<std::int32_t>(std::clamp<wide>(x, int32_min, int32_max)); }
std::int32_t doubly_rounded(std::int32_t acc, quanta::fixed_point_multiplier f) {
  return divide_by_power(high_product(saturated(wide{acc} << std::max(f.shift, 0)), f.multiplier), std::max(-f.shift, 0));
}
std::int32_t singly_rounded(std::int32_t acc, quanta::fixed_point_multiplier f) {
  return saturated((wide{acc} * f.multiplier + (wide{1} << (30 - f.shift))) >> (31 - f.shift));
}

bytes random_bytes(std::uint64_t seed, std::size_t n) {
  golden::generator random{seed};
  bytes r(n);
  for (std::int8_t& b : r) { // one in eight at an end of the range
    const std::uint64_t u = random.next();
    b = u % 8 ? static_cast<std::int8_t>(u >> 8) : u % 16 ? std::int8_t{127} : std::int8_t{-128};
  }
  return r;
}

} // namespace

TEST_CASE("fixed-point multipliers") {
  using quanta::fixed_point_multiplier;
  const auto from = [](double m) { return fixed_point_multiplier::from(m).value(); };
  CHECK(from(0.02) == fixed_point_multiplier{1374389535, -5});
  CHECK(from(0.0) == fixed_point_multiplier{0, 0});
  CHECK(from(1.0) == fixed_point_multiplier{1 << 30, 1});
  CHECK(from(0.5) == fixed_point_multiplier{1 << 30, 0});
  CHECK(from(1.0 - 0x1p-53) == fixed_point_multiplier{1 << 30, 1}); // rounds up to 1
  CHECK(from(1.0 - 0x1p-32) == fixed_point_multiplier{1 << 30, 1}); // a half, away from zero
  CHECK(from(1.0 - 0x1.1p-32) == fixed_point_multiplier{int32_max, 0});
  CHECK(from(0x1p-32) == fixed_point_multiplier{1 << 30, -31});
  CHECK(from(0x1p-32 * (1.0 - 0x1p-53)) == fixed_point_multiplier{1 << 30, -31}); // carried over the edge
  CHECK(from(0x1p-32 * (1.0 - 0x1p-31)) == fixed_point_multiplier{0, 0});
  CHECK(from(0x1p-1074) == fixed_point_multiplier{0, 0});
  CHECK(from(0x1p30 - 0.5) == fixed_point_multiplier{int32_max, 30});
  CHECK(from(0x1p30) == fixed_point_multiplier{int32_max, 30});
  CHECK(from(0x1p1023) == fixed_point_multiplier{int32_max, 30});
  CHECK(fixed_point_multiplier::from(static_cast<double>(no_number)).error().code == errc::nonfinite_scale);
  CHECK(fixed_point_multiplier::from(static_cast<double>(infinity)).error().code == errc::nonfinite_scale);
  CHECK(fixed_point_multiplier::from(-1.0).error().code == errc::bad_scale);
  golden::generator random{3};
  for (int exponent = -32; exponent < 30; ++exponent)
    for (int i = 0; i < 2000; ++i) {
      const double m = std::ldexp(1.0 + static_cast<double>(random.next() >> 12) * 0x1p-52, exponent);
      const auto f = from(m);
      REQUIRE((f.multiplier >= 1 << 30 && f.shift >= -31 && f.shift <= 30));
      // Within half a unit of the multiplier; both sides are exact in double.
      REQUIRE(std::fabs(std::ldexp(static_cast<double>(f.multiplier), f.shift - 31) - m) <= std::ldexp(0.5, exponent - 30));
    }
}

TEST_CASE("requantization is the documented arithmetic") {
  std::vector<std::int32_t> sums{0, 1, -1, 2, -2, int32_max, int32_max - 1, int32_min, int32_min + 1};
  for (int bit = 1; bit < 31; ++bit)
    for (const std::int32_t around : {-1, 0, 1})
      for (const std::int32_t sign : {-1, 1})
        sums.push_back(sign * ((std::int32_t{1} << bit) + around));
  for (std::int32_t i = -600; i <= 600; ++i)
    sums.push_back(i * 37);
  golden::generator random{4};
  for (int i = 0; i < 300; ++i)
    sums.push_back(static_cast<std::int32_t>(random.next() >> 32) >> random.next() % 32);
  std::vector<quanta::fixed_point_multiplier> factors{{0, 0}};
  for (std::int32_t shift = -31; shift <= 30; ++shift) {
    factors.insert(factors.end(), {{1 << 30, shift}, {(1 << 30) + 1, shift}, {int32_max, shift}, {0x5A827999, shift}});
    for (int i = 0; i < 8; ++i)
      factors.push_back({static_cast<std::int32_t>(random.next() >> 34 | 1u << 30), shift});
  }
  std::size_t apart = 0, tried = 0;
  for (const auto f : factors)
    for (const std::int32_t acc : sums) {
      const std::int32_t twice = doubly_rounded(acc, f), once = singly_rounded(acc, f);
      if (twice != quanta::double_rounding::scale(acc, f) || once != quanta::single_rounding::scale(acc, f)) {
        CAPTURE(acc, f.multiplier, f.shift, twice, once);
        REQUIRE(twice == quanta::double_rounding::scale(acc, f));
        REQUIRE(once == quanta::single_rounding::scale(acc, f));
      }
      if (f.shift <= 0) { // where nothing saturates, all three agree to a unit
        const double real = std::ldexp(static_cast<double>(f.multiplier), f.shift - 31);
        const std::int32_t by_float =
            quanta::float_rounding::apply(acc, quanta::float_rounding::make(real).value(), -255, 255);
        REQUIRE(std::abs(std::int64_t{twice} - once) <= 1);
        REQUIRE(std::abs(std::clamp(once, -255, 255) - by_float) <= 1);
        apart += twice != once;
        ++tried;
      }
      for (const std::int32_t zero : {-128, 3, 127}) {
        const quanta::int8_range range{-100, 90};
        REQUIRE(quanta::requantize(acc, f, zero, range) == std::clamp<std::int64_t>(std::int64_t{twice} + zero, -100, 90));
        REQUIRE(quanta::requantize<quanta::single_rounding>(acc, f, zero) ==
                std::clamp<std::int64_t>(std::int64_t{once} + zero, -128, 127));
      }
    }
  CHECK(apart > 0); // the policies are different things
  CHECK(apart < tried / 10);
}

TEST_CASE("float requantization rounds the float product to even") {
  CHECK(quanta::float_rounding::make(static_cast<double>(no_number)).error().code == errc::nonfinite_scale);
  CHECK(quanta::float_rounding::make(-1.0).error().code == errc::bad_scale);
  CHECK(quanta::float_rounding::make(1e300).value() == std::numeric_limits<float>::max());
  golden::generator random{5};
  for (int i = 0; i < 200000; ++i) {
    const auto acc = static_cast<std::int32_t>(random.next() >> 32) >> random.next() % 32;
    const float m = std::ldexp(1.f + random.uniform(), -static_cast<int>(random.next() % 32));
    volatile float product = static_cast<float>(acc) * m;
    const float steps = std::clamp(static_cast<float>(product), -128.f - 3.f, 127.f - 3.f);
    REQUIRE(quanta::requantize<quanta::float_rounding>(acc, m, 3) == static_cast<int>(std::nearbyint(steps)) + 3);
  }
  CHECK(quanta::requantize<quanta::float_rounding>(5, 0.5f, 0) == 2);
  CHECK(quanta::requantize<quanta::float_rounding>(int32_min, std::numeric_limits<float>::max(), 0) == -128);
}

TEST_CASE("the worked example") {
  const bytes x{20, -30, 127}, w{50, -127, 10};
  const std::vector<float> scales{0.02f};
  const std::vector<std::int32_t> bias{25};
  std::vector<std::int32_t> offsets(1);
  std::vector<quanta::fixed_point_multiplier> factors(1);
  const quanta::int8_layer layer{
      .weights = {w, scales, 1, 3}, .bias = bias, .input = {0.1f, -10}, .output = {0.1f, 3}};
  const auto ready = quanta::prepare(layer, offsets, factors);
  REQUIRE(ready);
  CHECK(offsets[0] == 25 + 10 * (50 - 127 + 10));
  bytes y(1);
  quanta::fully_connected(*ready, x, y);
  CHECK(y[0] == 112);
  CHECK(quanta::double_rounding::scale(5435, quanta::fixed_point_multiplier::from(0.02).value()) == 109);
  CHECK(quanta::requantize(5435, quanta::fixed_point_multiplier::from(0.02).value(), 3) == 112);
}

TEST_CASE("fully connected layers are exact") {
  const auto check = [](auto policy, std::size_t rows, std::size_t columns, std::size_t inputs, std::int32_t zero) {
    using rounding = decltype(policy);
    const bytes w = random_bytes(rows + columns, rows * columns), x = random_bytes(columns + 7, inputs * columns);
    std::vector<float> scales(columns % 2 ? rows : 1);
    golden::generator random{columns};
    for (float& s : scales)
      s = 0.001f + 0.001f * random.uniform();
    std::vector<std::int32_t> bias(rows), offsets(rows);
    for (std::int32_t& b : bias)
      b = static_cast<std::int32_t>(random.next() % 20001) - 10000;
    std::vector<typename rounding::factor> factors(rows);
    quanta::int8_layer layer{.weights = {w, scales, rows, columns},
                             .bias = bias,
                             .input = {0.02f, zero},
                             .output = {0.05f * std::sqrt(static_cast<float>(columns + 1)), -5},
                             .activation = {-90, 120}};
    if (columns % 3 == 0)
      layer.bias = {};
    const auto ready = quanta::prepare<quanta::isa::native, rounding>(layer, offsets, factors);
    REQUIRE(ready);
    bytes y(inputs * rows), threaded(inputs * rows);
    quanta::fully_connected(*ready, x, y);
    quanta::fully_connected(*ready, x, threaded, quanta::threads(3));
    CHECK(y == threaded);
    for (std::size_t i = 0; i < inputs; ++i)
      for (std::size_t r = 0; r < rows; ++r) {
        std::int64_t acc = layer.bias.empty() ? 0 : bias[r];
        for (std::size_t c = 0; c < columns; ++c)
          acc += (std::int64_t{x[i * columns + c]} - zero) * std::int64_t{w[r * columns + c]};
        const float s = scales[scales.size() == 1 ? 0 : r];
        const auto f = rounding::make(double{layer.input.scale} * double{s} / double{layer.output.scale}).value();
        REQUIRE(y[i * rows + r] == quanta::requantize<rounding>(static_cast<std::int32_t>(acc), f, -5, layer.activation));
      }
  };
  for (std::size_t columns = 0; columns <= 131; ++columns)
    check(quanta::double_rounding{}, 3, columns, columns % 3, columns % 2 ? -128 : 127);
  check(quanta::double_rounding{}, 77, 1000, 5, 13);
  check(quanta::single_rounding{}, 9, 500, 2, -13);
  check(quanta::float_rounding{}, 9, 500, 2, -13);
  check(quanta::double_rounding{}, 0, 32, 0, 0);
}

TEST_CASE("sums at the limits of int32") {
  const std::size_t columns = 65536;
  const bytes w(columns, -128), x(columns, -128);
  const std::vector<float> scales{1.f};
  std::vector<std::int32_t> offsets(1), bias{0};
  std::vector<quanta::fixed_point_multiplier> factors(1);
  quanta::int8_layer layer{
      .weights = {w, scales, 1, columns}, .bias = bias, .input = {1.f, 127}, .output = {0x1p24f, 0}};
  bytes y(1);
  bias[0] = int32_max - 65536 * 255 * 128; // to the last unit
  const auto ready = quanta::prepare(layer, offsets, factors);
  REQUIRE(ready);
  quanta::fully_connected(*ready, x, y);
  CHECK(y[0] == 127); // 2^31 - 1 over 2^24, the half rounded up and clamped
  ++bias[0];
  CHECK(quanta::prepare(layer, offsets, factors).error().code == errc::accumulator_overflow);
  bias[0] = -bias[0];
  CHECK(quanta::prepare(layer, offsets, factors).error().code == errc::accumulator_overflow);
  bias[0] = int32_min;
  CHECK(quanta::prepare(layer, offsets, factors).error().code == errc::accumulator_overflow);
}

TEST_CASE("a layer that a file could hold but cannot be") {
  const bytes w(4);
  std::vector<float> scales{1.f, 1.f};
  std::vector<std::int32_t> offsets(2);
  std::vector<quanta::fixed_point_multiplier> factors(2);
  const auto refusal = [&](int8_affine in, int8_affine out, float second_scale) {
    scales[1] = second_scale;
    const quanta::int8_layer layer{.weights = {w, scales, 2, 2}, .bias = {}, .input = in, .output = out};
    return quanta::prepare(layer, offsets, factors).error().code;
  };
  CHECK(refusal({infinity, 0}, {}, 1.f) == errc::nonfinite_scale);
  CHECK(refusal({}, {0.f, 0}, 1.f) == errc::bad_scale);
  CHECK(refusal({1.f, 200}, {}, 1.f) == errc::bad_zero_point);
  CHECK(refusal({}, {1.f, -129}, 1.f) == errc::bad_zero_point);
  CHECK(refusal({}, {}, no_number) == errc::nonfinite_scale);
  CHECK(refusal({}, {}, -1.f) == errc::bad_scale);
}

TEST_CASE("layer sizes that do not agree are contract violations") {
  const bytes w(6), x(3);
  const std::vector<float> scales{1.f, 1.f};
  const std::vector<std::int32_t> bias(2), one_bias(1);
  std::vector<std::int32_t> offsets(2), one_offset(1);
  std::vector<quanta::fixed_point_multiplier> factors(2), one_factor(1);
  quanta::int8_layer layer{.weights = {w, scales, 2, 3}, .bias = bias, .input = {}, .output = {}};
  const auto ready = quanta::prepare(layer, offsets, factors).value();
  bytes y(2), odd(3);
  CHECK(!violates([&] { quanta::fully_connected(ready, x, y); }));
  CHECK(violates([&] { quanta::fully_connected(ready, x, odd); }));
  CHECK(violates([&] { quanta::fully_connected(ready, y, y); }));
  CHECK(violates([&] { (void)quanta::prepare(layer, one_offset, factors); }));
  CHECK(violates([&] { (void)quanta::prepare(layer, offsets, one_factor); }));
  layer.bias = one_bias;
  CHECK(violates([&] { (void)quanta::prepare(layer, offsets, factors); }));
  layer.bias = {};
  layer.activation = {1, 0};
  CHECK(violates([&] { (void)quanta::prepare(layer, offsets, factors); }));
}
