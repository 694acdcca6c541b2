// search::thorough: never worse than the reference in any row, better by what is promised, equal bytes at all
// levels.
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <string>

#include "quanta/quanta.hpp"
#include "support/golden_data.hpp"

namespace {

using quanta::search;

/// What has a thorough search: the registry's formats and some instances of the templates that are not in it.
using more_formats = quanta::type_list<quanta::linear_block<2, 32>, quanta::linear_block<3, 128>,
                                       quanta::linear_block<8, 64>, quanta::linear_block<2, 64, quanta::affine>,
                                       quanta::linear_block<6, 256, quanta::affine>, quanta::linear_block<4, 16>,
                                       quanta::linear_block<5, 16, quanta::affine>, quanta::int8_block<256>>;
template <class F>
void for_each_format(F&& f) {
  const auto searched = [&](auto tag) {
    if constexpr (quanta::encode::thorough_format<quanta::isa::native, typename decltype(tag)::type>)
      f(tag);
  };
  quanta::weight_formats::for_each(searched);
  more_formats::for_each(searched);
}

template <class Isa, class B, class T>
std::vector<B> encode(const std::vector<T>& x, const std::vector<float>& importance, search how) {
  std::vector<B> row(x.size() / B::block_size);
  quanta::quantize<Isa>(x, row, {.importance = importance, .search = how});
  return row;
}
/// sum w (x - decoded)^2: the objective, in double, from the decoder.
template <class B>
double error_of(const std::vector<float>& x, const std::vector<float>& w, const std::vector<B>& row) {
  std::vector<float> y(x.size());
  quanta::dequantize(row, y);
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double e = static_cast<double>(x[i]) - static_cast<double>(y[i]);
    sum += (w.empty() ? 1. : static_cast<double>(w[i])) * e * e;
  }
  return sum;
}
template <class B>
std::uint64_t hash_of(const std::vector<B>& blocks) {
  return golden::hash(blocks.data(), blocks.size() * sizeof(B));
}
/// Every second column counts nothing, and some stretches count nothing at all.
std::vector<float> importance_with_zeros(std::uint64_t seed, std::size_t columns) {
  auto w = golden::importance(seed, columns);
  for (std::size_t i = 0; i < columns; ++i)
    if (i % 2 || i / 64 % 3 == 1)
      w[i] = 0.f;
  return w;
}

} // namespace

TEST_CASE("no row is worse than the reference's") {
  for_each_format([](auto tag) {
    using B = typename decltype(tag)::type;
    std::uint64_t seed = 20;
    for (const std::string_view kind : golden::kinds)
      for (const std::size_t blocks : {std::size_t{1}, std::size_t{11}}) {
        const std::size_t columns = blocks * B::block_size;
        const auto x = golden::rows(++seed, kind, 1, columns);
        for (const auto& w :
             {std::vector<float>{}, golden::importance(seed, columns), importance_with_zeros(seed, columns)}) {
          CAPTURE(B::name, sizeof(B), kind, columns, w.size());
          const double before = error_of(x, w, encode<quanta::isa::native, B>(x, w, search::reference));
          const double after = error_of(x, w, encode<quanta::isa::native, B>(x, w, search::thorough));
          if (std::isnan(before)) // the reference's iq4_nl of a group whose importance is all zero
            CHECK(std::isfinite(after));
          else
            CHECK(after <= before);
        }
      }
  });
}

TEST_CASE("this level and the portable one write the same bytes") {
  for_each_format([](auto tag) {
    using B = typename decltype(tag)::type;
    std::uint64_t seed = 500;
    for (const std::string_view kind : golden::kinds) {
      const std::size_t columns = (1 + seed % 4 * 5) * B::block_size;
      const auto x = golden::rows(++seed, kind, 1, columns);
      for (const auto& w :
           {std::vector<float>{}, golden::importance(seed, columns), importance_with_zeros(seed, columns)}) {
        CAPTURE(B::name, sizeof(B), kind, columns, w.size());
        CHECK(hash_of(encode<quanta::isa::native, B>(x, w, search::thorough)) ==
              hash_of(encode<quanta::isa::portable, B>(x, w, search::thorough)));
      }
    }
  });
}

TEST_CASE("rows of halves are encoded as the floats that they are") {
  const auto x = golden::rows(5, "heavy", 1, 2048 + 512);
  std::vector<quanta::f16> halves(x.size());
  std::vector<float> wide(x.size());
  quanta::quantize(x, halves);
  quanta::dequantize(halves, wide);
  CHECK(hash_of(encode<quanta::isa::native, quanta::q4_k>(halves, {}, search::thorough)) ==
        hash_of(encode<quanta::isa::native, quanta::q4_k>(wide, {}, search::thorough)));
}

TEST_CASE("what is promised is gained") {
  // least per cent of the reference's weighted error that is saved: without importance, with an uneven one
  struct promise {
    std::string_view name;
    double plain, uneven;
  };
  for (const promise p : {promise{"q8_0", 3, 10},
                          {"q4_0", 3, 5},
                          {"q4_1", 8, 5},
                          {"q5_0", 3, 5},
                          {"q2_K", 10, 10},
                          {"q3_K", 3, 5},
                          {"q4_K", 3, 6},
                          {"q5_K", 8, 12},
                          {"q6_K", 6, 6},
                          {"iq4_nl", 2, 5},
                          {"iq4_xs", 2, 5},
                          {"mxfp4", 3, 4},
                          {"nvfp4", 10, 20},
                          {"q1_0", 0, 0.25},
                          {"q2_0", 40, 50},
                          {"tq1_0", 25, 35},
                          {"tq2_0", 25, 35},
                          {"iq2_xxs", 3, 10},
                          {"iq2_xs", 3, 10},
                          {"iq2_s", 8, 10},
                          {"iq3_xxs", 12, 10},
                          {"iq3_s", 15, 10},
                          {"iq1_s", 5, 8},
                          {"iq1_m", 15, 8}})
    for_each_format([&](auto tag) {
      using B = typename decltype(tag)::type;
      if (B::name != p.name)
        return;
      const std::size_t columns = 8192;
      for (const std::string_view kind : {"gaussian", "heavy"})
        for (const auto& w : {std::vector<float>{}, golden::importance(7, columns)}) {
          const auto x = golden::rows(900, kind, 1, columns);
          const double before = error_of(x, w, encode<quanta::isa::native, B>(x, w, search::reference));
          const double after = error_of(x, w, encode<quanta::isa::native, B>(x, w, search::thorough));
          CAPTURE(B::name, kind, w.size(), 100 * (1 - after / before));
          CHECK(after <= before * (1 - (w.empty() ? p.plain : p.uneven) / 100));
        }
    });
}

TEST_CASE("hard inputs give finite blocks") {
  for_each_format([](auto tag) {
    using B = typename decltype(tag)::type;
    const std::size_t columns = 2 * (B::block_size < 256 ? 256 : B::block_size);
    const auto finite = [&](const std::vector<float>& x, const std::vector<float>& w) {
      std::vector<float> y(columns);
      quanta::dequantize(encode<quanta::isa::native, B>(x, w, search::thorough), y);
      for (const float v : y)
        if (!std::isfinite(v))
          return false;
      return true;
    };
    CAPTURE(B::name, sizeof(B));
    const std::vector<float> none(columns, 0.f), one(columns, 1.f), huge_weight(columns, 1e30f),
        tiny_weight(columns, 1e-38f);
    std::vector<float> single(columns, 0.f), large(columns), smallest(columns, 0x1p-149f);
    single[3] = 1.f;
    for (std::size_t i = 0; i < columns; ++i)
      large[i] = i % 3 ? 30000.f : -30000.f;
    int which = 0;
    for (const auto& x : {none, one, single, large, smallest, golden::rows(8, "gaussian", 1, columns)})
      for (const auto& w : {std::vector<float>{}, none, single, huge_weight, tiny_weight}) {
        CAPTURE(which++);
        CHECK(finite(x, w));
      }
  });
}
