// TensorFlow Lite's int8: parameters, bytes, and the ways between numbers, bytes and blocks, against the equations.
#include <algorithm>
#include <bit>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <limits>
#include <numeric>

#include "quanta/quanta.hpp"
#include "support/golden_data.hpp"
#include "support/tested_formats.hpp"
#include "support/violates.hpp"

namespace {

using quanta::errc;
using quanta::int8_affine;
using bytes = std::vector<std::int8_t>;
constexpr float infinity = std::numeric_limits<float>::infinity(), no_number = std::numeric_limits<float>::quiet_NaN();
constexpr std::int32_t int32_min = std::numeric_limits<std::int32_t>::min(),
                       int32_max = std::numeric_limits<std::int32_t>::max();

/// The equation, one value at a time; NaN is 127 by definition.
std::int8_t encode(float x, float scale, std::int32_t zero, std::int32_t lowest = -128) {
  const float steps = std::round(x / scale);
  if (steps != steps || steps > 1000.f)
    return 127;
  if (steps < -1000.f)
    return static_cast<std::int8_t>(lowest);
  return static_cast<std::int8_t>(std::clamp(static_cast<std::int32_t>(steps) + zero, lowest, 127));
}
/// In double the product is exact.
float decode(std::int8_t q, float scale, std::int32_t zero) {
  return static_cast<float>(static_cast<double>(scale) * static_cast<double>(q - zero));
}
float symmetric_scale(float magnitude) { return magnitude / 127.f == 0.f ? 1.f : magnitude / 127.f; }

} // namespace

TEST_CASE("parameters from a range") {
  CHECK(int8_affine::from_range(0.f, 255.f).value() == int8_affine{1.f, -128});
  CHECK(int8_affine::from_range(-255.f, 0.f).value() == int8_affine{1.f, 127});
  CHECK(int8_affine::from_range(-128.f, 127.f).value() == int8_affine{1.f, 0});
  CHECK(int8_affine::from_range(-1.f, 1.f).value() == int8_affine{2.f / 255.f, -1}); // -128 + 127.5, away from zero
  CHECK(int8_affine::from_range(10.f, 51.f).value() == int8_affine{0.2f, -128});     // widened to 0
  CHECK(int8_affine::from_range(-51.f, -10.f).value() == int8_affine{0.2f, 127});
  CHECK(int8_affine::from_range(0.f, 0.f).value() == int8_affine{1.f, -128});
  CHECK(int8_affine::from_range(-0.f, 0x1p-149f).value() == int8_affine{1.f, -128});
  CHECK(int8_affine::from_range(-std::numeric_limits<float>::max(), std::numeric_limits<float>::max())->valid());
  for (const float x : {infinity, -infinity, no_number}) {
    CHECK(int8_affine::from_range(x, 1.f).error().code == errc::nonfinite_value);
    CHECK(int8_affine::from_range(-1.f, x).error().code == errc::nonfinite_value);
  }
  golden::generator random{1};
  for (int i = 0; i < 20000; ++i) {
    const float min = -std::ldexp(random.uniform(), static_cast<int>(random.next() % 60) - 30),
                max = std::ldexp(random.uniform(), static_cast<int>(random.next() % 60) - 30);
    const int8_affine p = int8_affine::from_range(min, max).value();
    REQUIRE(p.valid());
    REQUIRE(encode(0.f, p.scale, p.zero_point) == p.zero_point);
    // Half a step for the zero point, half for the value, and the rounding of the scale over 255 steps.
    const float slack = p.scale * (1.f + 256.f * 0x1p-24f);
    REQUIRE(std::fabs(decode(encode(min, p.scale, p.zero_point), p.scale, p.zero_point) - min) <= slack);
    REQUIRE(std::fabs(decode(encode(max, p.scale, p.zero_point), p.scale, p.zero_point) - max) <= slack);
  }
}

TEST_CASE("parameters from outside are checked") {
  CHECK(int8_affine::checked(0.5f, -128).value() == int8_affine{0.5f, -128});
  CHECK(int8_affine::checked(0x1p-149f, 127)->valid());
  CHECK(int8_affine::checked(infinity, 0).error().code == errc::nonfinite_scale);
  CHECK(int8_affine::checked(-infinity, 0).error().code == errc::nonfinite_scale);
  CHECK(int8_affine::checked(no_number, 0).error().code == errc::nonfinite_scale);
  CHECK(int8_affine::checked(0.f, 0).error().code == errc::bad_scale);
  CHECK(int8_affine::checked(-1.f, 0).error().code == errc::bad_scale);
  CHECK(int8_affine::checked(1.f, 128).error().code == errc::bad_zero_point);
  CHECK(int8_affine::checked(1.f, -129).error().code == errc::bad_zero_point);
  CHECK(int8_affine::checked(1.f, std::int64_t{1} << 32).error().code == errc::bad_zero_point);
  CHECK(quanta::name(errc::bad_zero_point) == "bad_zero_point");
  CHECK(quanta::name(errc::accumulator_overflow) == "accumulator_overflow");
}

TEST_CASE("activation ranges") {
  using quanta::activation_range, quanta::int8_range;
  CHECK(activation_range({0.1f, -10}, 0.f, infinity) == int8_range{-10, 127});
  CHECK(activation_range({0.1f, -10}, 0.f, 6.f) == int8_range{-10, 50});
  CHECK(activation_range({0.1f, -10}, -1.f, 1.f) == int8_range{-20, 0});
  CHECK(activation_range({0.01f, -128}, 0.f, 6.f) == int8_range{-128, 127});
  CHECK(activation_range({0.5f, 0}, -1.25f, 1.25f) == int8_range{-3, 3}); // halves away from zero
  CHECK(activation_range({1.f, 5}, -infinity, infinity) == int8_range{});
  CHECK(activation_range({0x1p-149f, 127}, -1.f, 1.f) == int8_range{-128, 127});
}

TEST_CASE("quantize is the equation for every float") {
  golden::generator random{2};
  for (const float scale : {1.f, 0.1f, 0.0244801156f, 3.f, 0x1p-149f, 0x1.8p-130f, 0x1p120f})
    for (const std::int32_t zero : {-128, -127, -1, 0, 3, 126, 127}) {
      std::vector<float> x{0.f,       -0.f,       infinity,   -infinity, no_number, std::numeric_limits<float>::max(),
                           0x1p-149f, -0x1p-149f};
      for (int half = -520; half <= 520; ++half) { // ties and their neighbours
        const float tie = static_cast<float>(half) * 0.5f * scale;
        x.insert(x.end(), {std::nextafter(tie, -infinity), tie, std::nextafter(tie, infinity)});
      }
      for (int i = 0; i < 1000; ++i)
        x.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(random.next())));
      bytes q(x.size());
      quanta::quantize(x, q, int8_affine{scale, zero});
      for (std::size_t i = 0; i < x.size(); ++i) {
        CAPTURE(x[i], scale, zero);
        REQUIRE(q[i] == encode(x[i], scale, zero));
      }
    }
}

TEST_CASE("quantize and dequantize any number of values, and touch no others") {
  for (std::size_t n = 0; n <= 70; ++n) {
    const auto x = golden::rows(n, "gaussian", 1, n);
    const std::vector<quanta::f16> half(x.begin(), x.end());
    const int8_affine p{0.001f, -7};
    bytes q(n + 1, 99), from_half(n);
    quanta::quantize(x, std::span(q).first(n), p);
    quanta::quantize(half, from_half, p);
    std::vector<float> y(n + 1, 99.f);
    quanta::dequantize(std::span(q).first(n), std::span(y).first(n), p);
    std::vector<quanta::bf16> brain(n);
    quanta::dequantize(std::span(q).first(n), brain, p);
    for (std::size_t i = 0; i < n; ++i) {
      REQUIRE(q[i] == encode(x[i], p.scale, p.zero_point));
      REQUIRE(from_half[i] == encode(static_cast<float>(half[i]), p.scale, p.zero_point));
      REQUIRE(y[i] == decode(q[i], p.scale, p.zero_point));
      REQUIRE(brain[i] == quanta::bf16(y[i]));
    }
    REQUIRE(q[n] == 99);
    REQUIRE(y[n] == 99.f);
  }
}

TEST_CASE("dequantize is the equation for every byte") {
  bytes q(256);
  std::iota(q.begin(), q.end(), std::int8_t{-128});
  std::vector<float> y(256);
  for (const float scale : {1.f, 0.1f, 0.0244801156f, 0x1p-149f, 0x1.fffffep-130f, 0x1.fffffep119f})
    for (std::int32_t zero = -128; zero <= 127; ++zero) {
      quanta::dequantize(q, y, int8_affine{scale, zero});
      for (std::size_t i = 0; i < 256; ++i)
        REQUIRE(y[i] == decode(q[i], scale, zero));
    }
}

TEST_CASE("the range of values") {
  for (std::size_t n = 0; n <= 50; ++n) {
    auto x = golden::rows(n, "gaussian", 1, n);
    const auto r = quanta::range_of(x).value();
    CHECK(r.min == std::min(0.f, n ? *std::min_element(x.begin(), x.end()) : 0.f));
    CHECK(r.max == std::max(0.f, n ? *std::max_element(x.begin(), x.end()) : 0.f));
    for (const float strange : {infinity, -infinity, no_number})
      if (n > 0) {
        auto y = x;
        y[n / 2] = strange;
        CHECK(quanta::range_of(y).error().code == errc::nonfinite_value);
      }
  }
}

TEST_CASE("weights a channel at a time, of numbers and of blocks") {
  const auto check = [](auto tag, std::size_t rows, std::size_t columns) {
    using B = typename decltype(tag)::type;
    const auto source = golden::rows(rows, "outlier", rows, columns);
    std::vector<B> blocks(source.size() / quanta::block_size_of<B>);
    quanta::quantize(source, blocks);
    std::vector<float> x(source.size()), decoded(source.size());
    quanta::dequantize(blocks, x);
    if constexpr (std::is_same_v<B, float>)
      std::fill_n(blocks.begin(), columns, 0.f), std::fill_n(x.begin(), columns, 0.f); // a channel of zeros
    const quanta::matrix_view<B> matrix(blocks, rows, columns);
    bytes codes(x.size());
    for (const std::size_t channels : {std::size_t{1}, rows, columns}) {
      if (channels == columns && columns == rows)
        continue;
      const auto axis = channels == columns ? quanta::channel_axis::columns : quanta::channel_axis::rows;
      const auto channel = [&](std::size_t i) { return channels == 1 ? 0 : channels == rows ? i / columns : i % columns; };
      std::vector<float> scales(channels), magnitudes(channels);
      REQUIRE(quanta::quantize_per_channel(matrix, codes, scales, axis));
      for (std::size_t i = 0; i < x.size(); ++i)
        magnitudes[channel(i)] = std::max(magnitudes[channel(i)], std::fabs(x[i]));
      const quanta::int8_per_channel weights(codes, scales, rows, columns, axis);
      quanta::dequantize(weights, decoded);
      for (std::size_t i = 0; i < x.size(); ++i) {
        const float scale = symmetric_scale(magnitudes[channel(i)]);
        REQUIRE(weights.scale(i / columns, i % columns) == scale);
        REQUIRE(codes[i] == encode(x[i], scale, 0, -127));
        REQUIRE(decoded[i] == decode(codes[i], scale, 0));
      }
    }
  };
  for (const std::size_t columns : {1u, 3u, 15u, 16u, 17u, 100u}) {
    check(quanta::type_tag<float>{}, 5, columns);
    check(quanta::type_tag<quanta::f16>{}, 7, columns);
  }
  tested::weight_formats::for_each([&](auto tag) { check(tag, 3, 512); });
  // A subnormal scale, rounded down by a third: the least weight is -190 steps, and -127 all the same.
  bytes least(1);
  std::vector<float> subnormal(1);
  const std::vector<float> tiny{-190 * 0x1p-149f};
  REQUIRE(quanta::quantize_per_channel(quanta::matrix_view<float>(tiny, 1, 1), least, subnormal));
  CHECK(subnormal[0] == 0x1p-149f);
  CHECK(least[0] == -127);
  std::vector<float> x(40, 1.f), scales(2);
  bytes codes(40);
  for (const float strange : {infinity, no_number}) {
    x[39] = strange;
    CHECK(quanta::quantize_per_channel(quanta::matrix_view<float>(x, 2, 20), codes, scales).error().code ==
          errc::nonfinite_value);
  }
}

TEST_CASE("weights move between int8 channels and blocks") {
  const std::size_t n = 4096;
  const auto x = golden::rows(3, "gaussian", 1, n);
  bytes codes(n);
  std::vector<float> scale(1), y(n), z(n);
  REQUIRE(quanta::quantize_per_channel(quanta::matrix_view<float>(x, 1, n), codes, scale));
  quanta::dequantize(codes, y, int8_affine{scale[0], 0});

  SECTION("the same bytes where the scale is a half") {
    std::vector<quanta::q8_0> row(n / 32);
    const float half = static_cast<float>(quanta::f16(scale[0]));
    codes[5] = -128;
    CHECK(quanta::repack(codes, half, std::span(row)));
    quanta::dequantize(row, z);
    for (std::size_t i = 0; i < n; ++i)
      REQUIRE(z[i] == decode(codes[i], half, 0));
    bytes back(n);
    std::vector<float> again(1);
    codes[5] = 127; // the byte that makes the same scale come back
    CHECK(quanta::repack(codes, half, std::span(row)));
    REQUIRE(quanta::quantize_per_channel(quanta::matrix_view<quanta::q8_0>(row, 1, n), back, again));
    CHECK(again[0] == half);
    CHECK(back == codes);
  }
  SECTION("one factor where it is not") {
    std::vector<quanta::int8_block<128>> row(n / 128);
    REQUIRE(static_cast<float>(quanta::f16(scale[0])) != scale[0]);
    CHECK(!quanta::repack(codes, scale[0], std::span(row)));
    quanta::dequantize(row, z);
    for (std::size_t i = 0; i < n; ++i)
      REQUIRE(std::fabs(z[i] - y[i]) <= std::fabs(y[i]) * (0x1p-11f + 0x1p-23f));
    CHECK(!quanta::repack(codes, 0x1p-25f, std::span(row)));
    CHECK(!quanta::repack(codes, 65520.f, std::span(row)));
  }
  SECTION("any format takes the decoded values") {
    tested::weight_formats::for_each([&](auto tag) {
      using B = typename decltype(tag)::type;
      std::vector<B> direct(n / B::block_size), by_float(n / B::block_size);
      quanta::quantize(codes, direct, int8_affine{scale[0], 0});
      quanta::quantize(y, by_float);
      CHECK(std::memcmp(direct.data(), by_float.data(), n / B::block_size * sizeof(B)) == 0);
    });
  }
}

TEST_CASE("biases") {
  const std::vector<float> bias{0.f, 1.f, -1.f, 0.25f, -0.25f, 1e30f, -1e30f};
  std::vector<std::int32_t> q(bias.size());
  REQUIRE(quanta::quantize_bias(bias, 0.5f, std::vector<float>{0.25f}, q));
  CHECK(q == std::vector<std::int32_t>{0, 8, -8, 2, -2, int32_max, int32_min});
  const std::vector<float> halves{0.0625f, -0.0625f}, scales{0.25f, 0.125f};
  q.resize(2);
  REQUIRE(quanta::quantize_bias(halves, 0.5f, scales, q));
  CHECK(q == std::vector<std::int32_t>{1, -1}); // 0.5 away from zero, and exactly 1
  for (const float strange : {infinity, no_number}) {
    CHECK(quanta::quantize_bias(std::vector<float>{1.f, strange}, 0.5f, scales, q).error().code == errc::nonfinite_value);
    CHECK(quanta::quantize_bias(halves, strange, scales, q).has_value() == (strange == infinity)); // 0 steps, or none
  }
}

TEST_CASE("int8 sizes that do not agree are contract violations") {
  std::vector<float> x(64), scales(2), three(3);
  bytes q(64), short_q(63);
  std::vector<quanta::q8_0> row(2);
  std::vector<std::int32_t> bias(2);
  const int8_affine fine{}, no_scale{0.f, 0}, no_zero{1.f, 128};
  const quanta::matrix_view<float> matrix(x, 2, 32);
  CHECK(!violates([&] { quanta::quantize(x, q, fine); }));
  CHECK(violates([&] { quanta::quantize(x, short_q, fine); }));
  CHECK(violates([&] { quanta::quantize(x, q, no_scale); }));
  CHECK(violates([&] { quanta::quantize(x, q, no_zero); }));
  CHECK(violates([&] { quanta::quantize(row, short_q, fine); }));
  CHECK(violates([&] { quanta::quantize(short_q, row, fine); }));
  CHECK(violates([&] { quanta::dequantize(short_q, x, fine); }));
  CHECK(violates([&] { (void)int8_affine::from_range(1.f, -1.f); }));
  CHECK(violates([&] { (void)quanta::activation_range(fine, 1.f, -1.f); }));
  CHECK(!violates([&] { (void)quanta::quantize_per_channel(matrix, q, scales); }));
  CHECK(violates([&] { (void)quanta::quantize_per_channel(matrix, short_q, scales); }));
  CHECK(violates([&] { (void)quanta::quantize_per_channel(matrix, q, three); }));
  CHECK(violates([&] { (void)quanta::quantize_per_channel(matrix, q, scales, quanta::channel_axis::columns); }));
  CHECK(violates([&] { (void)quanta::int8_per_channel(q, scales, 3, 32); }));
  CHECK(violates([&] { (void)quanta::int8_per_channel(q, three, 2, 32); }));
  CHECK(violates([&] { (void)quanta::int8_per_channel(q, scales, 2, 32).row(2); }));
  CHECK(violates([&] { (void)quanta::repack(short_q, 1.f, std::span(row)); }));
  CHECK(violates([&] { (void)quanta::quantize_bias(x, 1.f, scales, bias); }));
}
