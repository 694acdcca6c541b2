// The templates at widths and sizes that GGUF has no number for. Compiled for this CPU's level only, since they are many; the
// checks hold it against the portable one.
#include <catch2/catch_test_macros.hpp>

#include "quanta/testing.hpp"

namespace {

template <int Bits>
using widths = quanta::type_list<quanta::linear_block<Bits, 16>, quanta::linear_block<Bits, 64>,
                                 quanta::linear_block<Bits, 128, quanta::affine>>;
using sizes =
    quanta::type_list<quanta::linear_block<4, 32>, quanta::linear_block<4, 128>, quanta::linear_block<4, 16, quanta::affine>,
                      quanta::linear_block<4, 64, quanta::affine>, quanta::linear_block<8, 16, quanta::affine>,
                      quanta::int8_block<16>, quanta::int8_block<64>, quanta::int8_block<128>>;

const auto check = [](auto tag) {
  using B = typename decltype(tag)::type;
  CAPTURE(B::name, B::block_size, sizeof(B));
  const auto problems = quanta::testing::check_format<B>();
  for (const auto& sentence : problems)
    UNSCOPED_INFO(sentence);
  CHECK(problems.empty());
};

static_assert(quanta::linear_block<4, 64>::name == "linear4_g64");
static_assert(quanta::linear_block<3, 128, quanta::affine>::name == "affine3_g128");
static_assert(quanta::int8_block<64>::name == "int8_g64");
static_assert(quanta::linear_block<4, 32>::name == "q4_0" && quanta::int8_block<32>::name == "q8_0"); // GGUF's own names stay

} // namespace

TEST_CASE("linear blocks of every width and size pass their checks") {
  widths<2>::for_each(check);
  widths<3>::for_each(check);
  widths<4>::for_each(check);
  widths<5>::for_each(check);
  widths<6>::for_each(check);
  widths<7>::for_each(check);
  widths<8>::for_each(check);
  sizes::for_each(check);
}

TEST_CASE("linear blocks: the first of a tie between +m and -m decides") {
  quanta::type_list<quanta::linear_block<4, 64>, quanta::linear_block<8, 16>>::for_each([](auto tag) {
    using B = typename decltype(tag)::type;
    CAPTURE(B::name);
    for (const float m : {1.f, -1.f}) {
      std::vector<float> x(B::block_size, 0.f), y(x);
      x[3] = m, x[B::block_size - 2] = -m;
      std::vector<B> block(1), portable(1);
      quanta::quantize(x, block);
      quanta::quantize<quanta::isa::portable>(x, portable);
      CHECK(quanta::testing::detail::same_bytes(block, portable));
      quanta::dequantize(block, y);
      CHECK(y[3] == m);
      CHECK(std::fabs(y[B::block_size - 2] + m) <= 0.25f);
    }
  });
}
