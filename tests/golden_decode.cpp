// Decoding is bit for bit the reference's, and bit for bit the equation.
#include <catch2/catch_test_macros.hpp>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include "quanta/quanta.hpp"
#include "support/golden_data.hpp"

namespace {

std::map<std::string, std::uint64_t> expected_hashes() {
  std::ifstream file(QUANTA_TEST_DATA "/golden/decode.tsv");
  std::map<std::string, std::uint64_t> hashes;
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    std::string type, blocks, hash;
    if (line[0] != '#' && fields >> type >> blocks >> hash)
      hashes[type] = std::stoull(hash, nullptr, 16);
  }
  return hashes;
}

} // namespace

TEST_CASE("every weight format decodes random bytes to the reference's floats") {
  const auto hashes = expected_hashes();
  REQUIRE(hashes.size() == 25);
  CHECK(quanta::weight_formats::size == hashes.size());
  quanta::weight_formats::for_each([&](auto tag) {
    using B = typename decltype(tag)::type;
    const std::string name(B::name);
    CAPTURE(name);
    const auto blocks = golden::random_blocks<B>(1, static_cast<std::uint64_t>(B::type), 2048);
    std::vector<float> x(blocks.size() * B::block_size);
    quanta::dequantize(blocks, x);
    CHECK(golden::hash_of_floats(x) == hashes.at(name));
  });
}

TEST_CASE("decoding equals the equation at every length") {
  quanta::block_formats::for_each([&](auto tag) {
    using B = typename decltype(tag)::type;
    CAPTURE(B::name);
    for (std::size_t count = 0; count <= 19; ++count) {
      const auto blocks = golden::random_blocks<B>(7 + count, 1, count);
      std::vector<float> x(count * B::block_size), y(x.size());
      quanta::dequantize(blocks, x);
      for (std::size_t i = 0; i < y.size(); ++i)
        y[i] = quanta::decode_value(blocks[i / B::block_size], i % B::block_size);
      CHECK(golden::hash_of_floats(x) == golden::hash_of_floats(y));
    }
  });
}

namespace {
/// The first value that is not the float rounded; the number of values if there is none.
template <class T, class B>
std::size_t first_wrong(const std::vector<B>& blocks, const std::vector<float>& x) {
  std::vector<T> halves(x.size());
  quanta::dequantize(blocks, halves);
  std::size_t i = 0;
  while (i < x.size() && halves[i] == T(x[i]))
    ++i;
  return i;
}
template <class B>
void check_halves() {
  CAPTURE(B::name);
  for (std::size_t count = 0; count <= 19; ++count) {
    const auto blocks = golden::random_blocks<B>(11 + count, 1, count);
    std::vector<float> x(count * B::block_size);
    quanta::dequantize(blocks, x);
    CHECK(first_wrong<quanta::f16>(blocks, x) == x.size());
    CHECK(first_wrong<quanta::bf16>(blocks, x) == x.size());
  }
}
} // namespace

TEST_CASE("decoding to 16 bits rounds what decoding to floats gives, at every length") {
  quanta::block_formats::for_each([]<class B>(quanta::type_tag<B>) { check_halves<B>(); });
  check_halves<quanta::linear_block<2, 16>>();
  check_halves<quanta::linear_block<4, 16>>();
  check_halves<quanta::linear_block<2, 64, quanta::linear_kind::affine>>();
}
