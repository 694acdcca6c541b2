// docs/conformance.md prints what the generator and the formats give.
#include <catch2/catch_test_macros.hpp>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>

#include "quanta/quanta.hpp"
#include "support/golden_data.hpp"

namespace {

template <class... T>
std::string text(const char* format, T... values) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, format, values...);
  return buffer;
}
std::string hex(float x) { return text("`%08x`", std::bit_cast<std::uint32_t>(x)); }
std::string hex(std::uint64_t x) { return text("`%016llx`", static_cast<unsigned long long>(x)); }
template <class B>
std::string hex_of_bytes(const B& block) {
  std::string s;
  for (const std::uint8_t byte : std::bit_cast<std::array<std::uint8_t, sizeof(B)>>(block))
    s += text(s.empty() ? "`%02x" : " %02x", byte);
  return s + "`";
}

} // namespace

TEST_CASE("the document's numbers are right") {
  std::ifstream in(QUANTA_TEST_DATA "/../../docs/conformance.md");
  const std::string document(std::istreambuf_iterator<char>(in), {});
  REQUIRE(!document.empty());
  const auto stated = [&](const std::string& words) {
    CAPTURE(words);
    CHECK(document.find(words) != std::string::npos);
  };
  golden::generator random{0};
  const auto a = random.next(), b = random.next(), c = random.next();
  stated(hex(a) + ", " + hex(b) + ", " + hex(c));
  int number = 0;
  for (const std::string_view kind : golden::kinds) {
    const auto x = golden::rows(1, kind, 1, 2048);
    const std::string begin = "| " + std::to_string(number++) + " | " + std::string(kind) + " | ";
    const auto line = document.find(begin);
    CAPTURE(begin);
    REQUIRE(line != std::string::npos);
    const auto end = document.find('\n', line);
    CHECK(document.substr(line, end - line).ends_with("| " + hex(x[0]) + " " + hex(x[1]) + " |"));
  }
  const auto w = golden::importance(1, 2048);
  stated(hex(w[0]) + " " + hex(w[1]));
  stated(hex(golden::hash("", 0)) + ", of `a`");
  stated("of `a` it is " + hex(golden::hash("a", 1)));
  stated(hex_of_bytes(golden::random_blocks<quanta::q4_0>(1, 2, 1)[0]));

  const auto x = golden::rows(1, "gaussian", 1, 2048);
  std::vector<quanta::q4_0> block(1);
  quanta::quantize(std::span(x).first(32), block);
  stated(hex_of_bytes(block[0]));
  std::vector<float> y(32);
  quanta::dequantize(block, y);
  const auto number_of = [](float v) { return text("`%.6f`", static_cast<double>(v)); };
  stated(number_of(y[0]) + ", " + number_of(y[1]) + ", " + number_of(y[2]));
  stated(text("its d is %.5f", static_cast<double>(block[0].scale(0))));
}
