// search::reference writes the reference's bytes: at every level, for every kind of data, with and without importance.
#include <catch2/catch_test_macros.hpp>
#include <fstream>
#include <sstream>
#include <string>

#include "support/golden_data.hpp"
#include "support/level_kernels.hpp"

namespace {

const auto level = tested::level_under_test();

template <class B>
std::uint64_t hash_of(const std::vector<B>& blocks) {
  return golden::hash(blocks.data(), blocks.size() * sizeof(B));
}

} // namespace

TEST_CASE("encoders write the reference's bytes") {
  std::ifstream file(QUANTA_TEST_DATA "/golden/encode.tsv");
  int lines = 0;
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    std::string type, kind, shape, hash;
    int weighted = 0;
    if (line[0] == '#' || !(fields >> type >> weighted >> kind >> shape >> hash))
      continue;
    quanta::block_formats::for_each([&](auto tag) {
      using B = typename decltype(tag)::type;
      if (B::name != type)
        return;
      CAPTURE(line);
      const auto importance = golden::importance_of(weighted, 2048);
      const auto x = golden::rows(1, kind, 16, 2048);
      std::vector<B> rows;
      for (auto from = x.begin(); from != x.end(); from += 2048) {
        const auto row = tested::encode<B>(level, std::vector(from, from + 2048), importance);
        rows.insert(rows.end(), row.begin(), row.end());
      }
      CHECK(hash_of(rows) == std::stoull(hash, nullptr, 16));
      ++lines;
    });
  }
  CHECK(lines == 595);
}

TEST_CASE("this level and the portable one write the same bytes for rows of every length") {
  quanta::block_formats::for_each([&](auto tag) {
    using B = typename decltype(tag)::type;
    CAPTURE(B::name);
    std::uint64_t seed = 2;
    for (const std::string_view kind : golden::kinds)
      for (const std::size_t blocks : {std::size_t{1}, std::size_t{3}, 5 + seed % 17}) {
        CAPTURE(kind, blocks);
        const std::size_t columns = blocks * B::block_size;
        const auto x = golden::rows(seed++, kind, 1, columns);
        for (const auto& importance : {std::vector<float>{}, golden::importance(seed, columns)})
          CHECK(hash_of(tested::encode<B>(level, x, importance)) ==
                hash_of(tested::encode<B>(tested::level::portable, x, importance)));
      }
  });
}

TEST_CASE("f16 and bf16 rows are encoded as the floats that they are") {
  quanta::block_formats::for_each([&](auto tag) {
    using B = typename decltype(tag)::type;
    CAPTURE(B::name);
    const std::size_t columns = 2048 + 256;
    const auto x = golden::rows(11, "gaussian", 1, columns);
    const auto check = [&]<class T>(T) {
      std::vector<T> narrow(columns);
      std::vector<float> wide(columns);
      quanta::quantize(x, narrow);
      quanta::dequantize(narrow, wide);
      for (const auto& importance : {std::vector<float>{}, golden::importance(3, columns)})
        CHECK(hash_of(tested::encode<B>(level, narrow, importance)) == hash_of(tested::encode<B>(level, wide, importance)));
    };
    check(quanta::f16{});
    check(quanta::bf16{});
  });
}
