// Every format passes the checks that the library offers to those who write their own; so do the templates' other sizes.
#include <catch2/catch_test_macros.hpp>

#include "../examples/custom_format/nibble_pairs.hpp"
#include "quanta/testing.hpp"

namespace {

template <int Bits>
using widths = quanta::type_list<quanta::linear_block<Bits, 16>, quanta::linear_block<Bits, 32>, quanta::linear_block<Bits, 64>,
                                 quanta::linear_block<Bits, 128>, quanta::linear_block<Bits, 16, quanta::affine>,
                                 quanta::linear_block<Bits, 64, quanta::affine>, quanta::linear_block<Bits, 128, quanta::affine>>;

const auto check = [](auto tag) {
  using B = typename decltype(tag)::type;
  CAPTURE(B::name, B::block_size, sizeof(B));
  const auto problems = quanta::testing::check_format<B>();
  for (const auto& sentence : problems)
    UNSCOPED_INFO(sentence);
  CHECK(problems.empty());
};

/// Codes that do not agree with code(i).
struct inconsistent : quanta::q4_0 {
  constexpr int code(std::size_t i) const { return quanta::q4_0::code(i) ^ 1; }
};

} // namespace

TEST_CASE("the formats of the registry pass their checks") { quanta::weight_formats::for_each(check); }

TEST_CASE("linear blocks of every width and size pass their checks") {
  widths<2>::for_each(check);
  widths<3>::for_each(check);
  widths<4>::for_each(check);
  widths<5>::for_each(check);
  widths<6>::for_each(check);
  widths<7>::for_each(check);
  widths<8>::for_each(check);
  quanta::type_list<quanta::int8_block<16>, quanta::int8_block<64>, quanta::int8_block<128>>::for_each(check);
}

TEST_CASE("a format of a user passes its checks") {
  quanta::type_list<mine::nibble_pairs>::for_each(check);
  CHECK(!quanta::testing::check_format<mine::nibble_pairs>(0.01).empty()); // 4 bits are not that exact
}

TEST_CASE("the checks see a format that contradicts itself") {
  CHECK(!quanta::testing::check_format<inconsistent>().empty());
}
