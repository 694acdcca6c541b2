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
