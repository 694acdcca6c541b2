// Violated preconditions reach the handler; the run-time registry answers for every number.
#include <catch2/catch_test_macros.hpp>
#include <limits>

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

TEST_CASE("a value that is not finite is the largest error there is") {
  constexpr float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  constexpr double largest = std::numeric_limits<double>::infinity();
  const float x[]{1.f, -2.f, 3.f, 4.f};
  const auto report_of = [&](float original, float decoded) {
    float a[]{x[0], x[1], original, x[3]}, b[]{x[0], x[1], decoded, 3.f};
    quanta::error_report report;
    report.add_block(x, x, 4);
    report.add_block(a, b, 4);
    report.add_block(x, x, 4);
    return report;
  };
  const auto check = [&](const quanta::error_report& report) {
    CHECK(report.rms() == largest);
    CHECK(report.relative_rms() == largest);
    CHECK(report.largest_error == largest);
    CHECK(report.signal_to_noise() == -largest);
    CHECK(report.cosine() == 0);
    CHECK(report.worst_block == 1);
  };
  for (const float bad : {nan, -nan, infinity, -infinity}) {
    CAPTURE(bad);
    for (const auto& report : {report_of(bad, 3.f), report_of(3.f, bad), report_of(bad, bad)}) {
      check(report);
      quanta::error_report before, after = report; // what is added to a report keeps it, on either side
      after += report_of(3.f, 2.f);
      check(after);
      before += report;
      check(before);
    }
  }
  const auto fine = report_of(3.f, 3.f);
  CHECK((fine.largest_error == 1 && fine.worst_block == 1 && fine.squares_error == 1));

  std::vector<float> values(64, 1.f);
  std::vector<quanta::q8_0> row(2);
  quanta::quantize(values, row);
  CHECK(quanta::compare(values, row).relative_rms() < 0.01);
  row[1].d = quanta::f16(infinity);
  CHECK(quanta::compare(values, row).relative_rms() == largest);
  values[3] = nan;
  quanta::quantize(values, row);
  CHECK(quanta::compare(values, row).relative_rms() == largest);
  CHECK(quanta::compare(values, row).worst_block == 0);
}
