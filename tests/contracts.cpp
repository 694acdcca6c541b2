// Violated preconditions reach the handler; the run-time registry answers for every number.
#include <catch2/catch_test_macros.hpp>

#include "quanta/quanta.hpp"
#include "support/violates.hpp"

TEST_CASE("sizes that do not agree are contract violations") {
  std::vector<float> x(256), y(255);
  std::vector<quanta::q4_k> row(1), two(2);
  std::vector<quanta::q8_k> act(1);
  CHECK(!violates([&] { quanta::quantize(x, row); }));
  CHECK(violates([&] { quanta::quantize(y, row); }));
  CHECK(violates([&] { quanta::quantize(x, two); }));
  CHECK(violates([&] { quanta::quantize(x, row, {.importance = y}); }));
  CHECK(violates([&] { quanta::dequantize(row, y); }));
  CHECK(violates([&] { quanta::dequantize(two, x); }));
  CHECK(violates([&] { (void)quanta::dot(two, act); }));
  CHECK(violates([&] { (void)quanta::dot(row, y); }));
  CHECK(violates([&] { quanta::matrix_view<quanta::q4_k>(row, 2, 256); }));
  CHECK(violates([&] { quanta::matrix_view<quanta::q4_k>(row, 1, 128); }));
  CHECK(violates([&] { (void)quanta::matrix_view<quanta::q4_k>(row, 1, 256).row(1); }));
  std::vector<float> out(2);
  CHECK(violates([&] { quanta::gemv(quanta::matrix_view<quanta::q4_k>(row, 1, 256), act, out); }));
  CHECK(violates([&] { (void)quanta::result<int>(quanta::errc::bad_dim).value(); }));
  CHECK(violates([&] { (void)quanta::result<int>(1).error(); }));
}

TEST_CASE("types by number and by name") {
  for (std::uint32_t id = 0; id < 100; ++id) {
    const bool retired = id == 4 || id == 5 || (id >= 31 && id <= 33) || (id >= 36 && id <= 38) || id > 42;
    CHECK((quanta::find_type(id) == nullptr) == retired);
  }
  for (const quanta::type_info& t : quanta::tensor_types()) {
    CHECK(quanta::find_format(t.name) == &t);
    CHECK(quanta::name(t.type) == t.name);
    CHECK(quanta::row_bytes(t.type, t.block_size * 3) == t.block_bytes * 3);
    if (t.block_size > 1)
      CHECK(!quanta::row_bytes(t.type, t.block_size + 1));
  }
  CHECK(quanta::find_format("Q4_K")->type == quanta::tensor_type::q4_k);
  CHECK(quanta::find_format("q9") == nullptr);
  CHECK(!quanta::row_bytes(quanta::tensor_type::f64, ~std::uint64_t{0}));
  CHECK(quanta::name(static_cast<quanta::tensor_type>(77)) == "unknown");
  std::size_t seen = 0;
  CHECK(quanta::visit(quanta::tensor_type::q6_k, [&](auto tag) { seen = sizeof(typename decltype(tag)::type); }));
  CHECK(seen == 210);
  CHECK(!quanta::visit(quanta::tensor_type::i8, [](auto) {}));
  CHECK(quanta::name(quanta::errc::no_space) == "no_space");
  CHECK(quanta::name(quanta::errc::truncated) == "truncated");
  CHECK(quanta::name(quanta::errc::bad_dim) == "bad_dim");
  CHECK(quanta::name(quanta::errc::nonfinite_scale) == "nonfinite_scale");
}
