// f16 and bf16: every pattern, every tie.
#include <bit>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <vector>

#include "quanta/quanta.hpp"

namespace {
using quanta::bf16;
using quanta::f16;
std::uint32_t bits_of(float x) { return std::bit_cast<std::uint32_t>(x); }

/// All patterns widened at this level.
template <class T>
std::vector<float> widened() {
  std::vector<T> all(65536);
  for (std::uint32_t i = 0; i < 65536; ++i)
    all[i] = T::from_bits(static_cast<std::uint16_t>(i));
  std::vector<float> x(65536);
  quanta::dequantize(all, x);
  return x;
}
template <class T>
std::vector<T> narrowed(const std::vector<float>& x) {
  std::vector<T> y(x.size());
  quanta::quantize(x, y);
  return y;
}
} // namespace

TEST_CASE("all 65,536 halves widen and narrow exactly") {
  const auto x = widened<f16>();
  const auto back = narrowed<f16>(x);
  for (std::uint32_t i = 0; i < 65536; ++i) {
    const std::uint32_t exponent = i >> 10 & 31, fraction = i & 1023;
    const float sign = i >> 15 ? -1.f : 1.f;
    if (exponent == 31 && fraction) {
      REQUIRE(std::isnan(x[i]));
      REQUIRE(back[i].bits == ((i & 0x8000) | 0x7E00));
    } else {
      const float wanted = exponent == 31 ? sign * INFINITY
                           : exponent
                               ? sign * std::ldexp(1.f + static_cast<float>(fraction) / 1024.f, static_cast<int>(exponent) - 15)
                               : sign * std::ldexp(static_cast<float>(fraction), -24);
      REQUIRE(bits_of(x[i]) == bits_of(wanted));
      REQUIRE(back[i].bits == i);
    }
    REQUIRE(bits_of(static_cast<float>(f16::from_bits(static_cast<std::uint16_t>(i)))) == bits_of(x[i]));
    REQUIRE(bits_of(quanta::simd::widen_half<quanta::isa::native>(f16::from_bits(static_cast<std::uint16_t>(i)))) ==
            bits_of(x[i]));
  }
}

TEST_CASE("every tie between halves, and its neighbours, rounds to even") {
  std::vector<float> x;
  std::vector<std::uint16_t> wanted;
  for (std::uint32_t i = 0; i < 0x7C00; ++i) { // between i and i + 1; the last one overflows at 65,520
    const auto low = static_cast<double>(static_cast<float>(f16::from_bits(static_cast<std::uint16_t>(i))));
    const double high =
        i == 0x7BFF ? 65536.0 : static_cast<double>(static_cast<float>(f16::from_bits(static_cast<std::uint16_t>(i + 1))));
    const auto tie = static_cast<float>((low + high) / 2); // exact in float
    for (const float sign : {1.f, -1.f}) {
      const auto s = static_cast<std::uint16_t>(sign < 0 ? 0x8000 : 0);
      x.push_back(sign * tie), wanted.push_back(static_cast<std::uint16_t>(s | (i % 2 ? i + 1 : i)));
      x.push_back(sign * std::nextafter(tie, 0.f)), wanted.push_back(static_cast<std::uint16_t>(s | i));
      x.push_back(sign * std::nextafter(tie, 1e9f)), wanted.push_back(static_cast<std::uint16_t>(s | (i + 1)));
    }
  }
  const auto y = narrowed<f16>(x);
  for (std::size_t i = 0; i < x.size(); ++i) {
    REQUIRE(y[i].bits == wanted[i]);
    REQUIRE(f16(x[i]).bits == wanted[i]);
    REQUIRE(quanta::simd::narrow_to_half<quanta::isa::native>(x[i]).bits == wanted[i]);
  }
}

TEST_CASE("bfloats round to even, and NaN stays NaN") {
  const auto all = widened<bf16>();
  std::vector<float> x;
  for (std::uint32_t i = 0; i < 65536; ++i) {
    REQUIRE(bits_of(all[i]) == i << 16);
    for (const std::uint32_t low : {0u, 1u, 0x7FFFu, 0x8000u, 0x8001u, 0xFFFFu})
      x.push_back(std::bit_cast<float>(i << 16 | low));
  }
  const auto y = narrowed<bf16>(x);
  for (std::size_t k = 0; k < x.size(); ++k) {
    const std::uint32_t bits = bits_of(x[k]);
    const auto wanted =
        static_cast<std::uint16_t>(std::isnan(x[k]) ? bits >> 16 | 0x40 : (bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
    REQUIRE(y[k].bits == wanted);
    REQUIRE(bf16(x[k]).bits == wanted);
  }
}
