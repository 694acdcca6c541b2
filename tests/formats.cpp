// Every format passes the checks that the library offers to those who write their own.
#include <catch2/catch_test_macros.hpp>

#include "../examples/custom_format/nibble_pairs.hpp"
#include "quanta/testing.hpp"

namespace {

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

TEST_CASE("a format of a user passes its checks") {
  quanta::type_list<mine::nibble_pairs>::for_each(check);
  CHECK(!quanta::testing::check_format<mine::nibble_pairs>(0.01).empty()); // 4 bits are not that exact
}

TEST_CASE("the checks see a format that contradicts itself") {
  CHECK(!quanta::testing::check_format<inconsistent>().empty());
}
