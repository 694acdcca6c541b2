// search::reference writes the reference's bytes: at this level, for every kind of data, with and without importance.
#include <catch2/catch_test_macros.hpp>
#include <fstream>
#include <sstream>
#include <string>

#include "quanta/quanta.hpp"
#include "support/golden_data.hpp"

namespace {

template <class Isa, class B, class T>
std::vector<B> encode(const std::vector<T>& x, std::size_t columns, const std::vector<float>& importance) {
  const std::size_t blocks = columns / B::block_size, count = x.size() / columns;
  std::vector<B> rows(count * blocks);
  for (std::size_t r = 0; r < count; ++r)
    quanta::detail::quantize_row<Isa>( // not through options, which would compile the thorough searches
        &x[r * columns], columns, &rows[r * blocks], importance.empty() ? nullptr : importance.data());
  return rows;
}
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
      const auto importance = weighted ? golden::importance(1, 2048) : std::vector<float>{};
      const auto rows = encode<quanta::isa::native, B>(golden::rows(1, kind, 16, 2048), 2048, importance);
      CHECK(hash_of(rows) == std::stoull(hash, nullptr, 16));
      ++lines;
    });
  }
  CHECK(lines == 498);
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
          CHECK(hash_of(encode<quanta::isa::native, B>(x, columns, importance)) ==
                hash_of(encode<quanta::isa::portable, B>(x, columns, importance)));
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
        CHECK(hash_of(encode<quanta::isa::native, B>(narrow, columns, importance)) ==
              hash_of(encode<quanta::isa::native, B>(wide, columns, importance)));
    };
    check(quanta::f16{});
    check(quanta::bf16{});
  });
}
