// The codes of formats with uneven levels, found by an estimate and one comparison, held against all comparisons: at every
// midpoint, beside it, and in between.
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <random>
#include <vector>

#include "quanta/quanta.hpp"

namespace {
using native = quanta::isa::native;

/// `center` and the floats on either side of it.
void add_with_neighbours(std::vector<float>& values, float center) {
  values.insert(values.end(), {center, std::nextafter(center, -1e9f), std::nextafter(center, 1e9f)});
}

float nearest_by_comparisons(float v) {
  const auto& levels = quanta::detail::nonlinear_levels;
  std::size_t code = 0;
  while (code < 15 && v >= static_cast<float>(levels[code] + levels[code + 1]) / 2.f)
    ++code;
  return static_cast<float>(levels[code]);
}

/// The code of x in a group with this (halved) scale: the largest level whose lower midpoint is below the magnitude.
int e2m1_by_comparisons(float x, float scale) {
  const float magnitude = std::fabs(x);
  int code = 0;
  for (float midpoint : {0.5f, 1.5f, 2.5f, 3.5f, 5.f, 7.f, 10.f})
    code += magnitude > midpoint * scale;
  return code > 0 && x < 0.f ? code + 8 : code;
}

/// Groups of `size` values, none so small that its scale is 0: one value has the largest magnitude, the others lie at midpoints
/// of the scale that this gives, and beside them.
template <class B>
void check_fp4(std::size_t size, std::size_t code_of(std::size_t)) {
  std::mt19937 random(3);
  std::uniform_real_distribution<float> fraction(-1.f, 1.f), exponent(-6.f, 8.f);
  std::vector<float> x(B::block_size);
  for (int round = 0; round < 4000; ++round) {
    for (std::size_t g = 0; g < B::block_size; g += size) {
      const float largest = std::exp2(exponent(random));
      for (std::size_t i = 0; i < size; ++i)
        x[g + i] = fraction(random) * largest;
      x[g] = largest;
    }
    std::vector<B> block(1);
    quanta::quantize<native>(x, block);
    for (std::size_t i = 0; i < B::block_size; ++i) { // now at the midpoints of the scales that this gave
      const float scale = block[0].scale(i / size), midpoint[] = {0.5f, 1.5f, 2.5f, 3.5f, 5.f, 7.f, 10.f};
      const float at = midpoint[i % 7] * scale * (i % 2 ? -1.f : 1.f);
      if (i % size != 0)
        x[i] = i % 3 == 0 ? at : i % 3 == 1 ? std::nextafter(at, 0.f) : std::nextafter(at, at * 2.f);
    }
    quanta::quantize<native>(x, block);
    for (std::size_t i = 0; i < B::block_size; ++i) {
      const std::size_t at = code_of(i);
      const int stored = block[0].qs[at / 2] >> (at % 2 * 4) & 15;
      REQUIRE(stored == e2m1_by_comparisons(x[i], block[0].scale(i / size)));
    }
  }
}
} // namespace

TEST_CASE("the nearest of the 16 uneven levels is the one that all comparisons give") {
  std::vector<float> values;
  for (std::size_t k = 0; k < 15; ++k)
    add_with_neighbours(values, quanta::encode::nonlinear_midpoints[k]);
  for (float v = -140.f; v <= 140.f; v += 0.01f)
    values.push_back(v);
  add_with_neighbours(values, 0.f);
  values.resize((values.size() + 15) / 16 * 16);
  using V = quanta::simd::vec<float, 16, native>;
  for (std::size_t i = 0; i < values.size(); i += 16) {
    float found[16];
    quanta::simd::store(found, quanta::encode::nearest_nonlinear(quanta::simd::load<V>(&values[i])));
    for (std::size_t lane = 0; lane < 16; ++lane)
      REQUIRE(found[lane] == nearest_by_comparisons(values[i + lane]));
  }
}

TEST_CASE("FP4 codes are those that all comparisons with scaled midpoints give") {
  check_fp4<quanta::mxfp4>(32, [](std::size_t i) { return i % 16 * 2 + i / 16; });
  check_fp4<quanta::nvfp4>(16, [](std::size_t i) { return (i / 16 * 8 + i % 8) * 2 + i % 16 / 8; });
}
