// The GGUF reader: every malformed file gives its named error, every prefix of a file is refused, and no byte of a header
// can make it crash.
#include <catch2/catch_test_macros.hpp>
#include <fstream>
#include <sstream>

#include "quanta/gguf/gguf.hpp"

namespace {

std::vector<std::byte> bytes_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  REQUIRE(in.good());
  std::vector<std::byte> bytes;
  for (char c; in.get(c);)
    bytes.push_back(static_cast<std::byte>(c));
  return bytes;
}
quanta::result<quanta::gguf::file> parse(std::span<const std::byte> bytes) {
  return quanta::gguf::file::parse(std::make_shared<quanta::gguf::memory_source>(bytes));
}
std::string outcome(const std::vector<std::byte>& bytes) {
  const auto file = parse(bytes);
  if (!file)
    return std::string(quanta::name(file.error().code));
  const auto values = quanta::gguf::validate_values(*file);
  return values ? "OK" : std::string(quanta::name(values.error().code));
}
const std::string data = QUANTA_TEST_DATA "/gguf/";

} // namespace

TEST_CASE("malformed files give their named error") {
  std::ifstream manifest(data + "manifest.tsv");
  int cases = 0;
  for (std::string line; std::getline(manifest, line); ++cases) {
    std::istringstream fields(line);
    std::string file, wanted;
    fields >> file >> wanted;
    CAPTURE(line);
    CHECK(outcome(bytes_of(data + file)) == wanted);
  }
  CHECK(cases == 41);
}

TEST_CASE("a file cut at any length is refused") {
  const auto bytes = bytes_of(data + "G00a.gguf");
  REQUIRE(outcome(bytes) == "OK");
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    CAPTURE(length);
    const std::vector<std::byte> cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length));
    const std::string why = outcome(cut);
    CHECK((why == "truncated" || why == "truncated_data" || why == "count_too_large"));
  }
}

TEST_CASE("changed bytes are refused or read, never worse") {
  for (const char* name : {"G00a.gguf", "G41.gguf", "G25.gguf"}) {
    auto bytes = bytes_of(data + name);
    for (std::size_t i = 0; i < bytes.size() && i < 400; ++i) {
      const std::byte kept = bytes[i];
      for (int value = 0; value < 256; value += 3) {
        bytes[i] = static_cast<std::byte>(value);
        CHECK(!outcome(bytes).empty());
      }
      bytes[i] = kept;
    }
  }
}

TEST_CASE("subjects of errors hold printable characters only") {
  const quanta::error why(quanta::errc::bad_key_char, 0, std::string_view("a\n\x1b[31m\0b", 9));
  for (const char c : why.subject())
    CHECK((c >= 0x20 && c < 0x7F));
  CHECK(quanta::error(quanta::errc::bad_dim, 0, std::string(200, 'x')).subject().size() == 64);
}

TEST_CASE("directories and missing files are named errors") {
  CHECK(quanta::gguf::file::open("/").error().code == quanta::errc::not_regular);
  CHECK(quanta::gguf::file::open("/nonexistent/file.gguf").error().code == quanta::errc::io_error);
  CHECK(quanta::gguf::file::open("").error().code == quanta::errc::bad_path);
}
