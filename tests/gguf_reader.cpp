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

namespace {

/// A header made by hand: what the writer would refuse.
class raw_file {
public:
  raw_file& text(std::string_view s) {
    number(static_cast<std::uint64_t>(s.size()));
    return raw(s);
  }
  raw_file& raw(std::string_view s) {
    for (const char c : s)
      bytes_.push_back(static_cast<std::byte>(c));
    return *this;
  }
  template <class T>
  raw_file& number(T x) {
    const auto v = quanta::gguf::value::of(x);
    bytes_.insert(bytes_.end(), v.bytes.begin(), v.bytes.end());
    return *this;
  }
  raw_file& start(std::uint64_t tensors, std::uint64_t keys) {
    return raw("GGUF").number(std::uint32_t{3}).number(tensors).number(keys);
  }
  raw_file& tensor(std::string_view name, std::vector<std::uint64_t> dims, std::uint32_t type, std::uint64_t offset) {
    text(name).number(static_cast<std::uint32_t>(dims.size()));
    for (const std::uint64_t d : dims)
      number(d);
    return number(type).number(offset);
  }
  raw_file& pad(std::size_t alignment) {
    bytes_.resize((bytes_.size() + alignment - 1) / alignment * alignment);
    return *this;
  }
  raw_file& zeros(std::size_t count) {
    bytes_.resize(bytes_.size() + count);
    return *this;
  }
  const std::vector<std::byte>& bytes() const { return bytes_; }

private:
  std::vector<std::byte> bytes_;
};

using quanta::gguf::reading;
quanta::result<quanta::gguf::file> parse(const raw_file& f, reading how) {
  return quanta::gguf::file::parse(std::make_shared<quanta::gguf::memory_source>(f.bytes()), how);
}

} // namespace

TEST_CASE("scalars and empty tensors are kept") {
  raw_file f;
  f.start(4, 0).tensor("scalar", {}, 0, 0).tensor("empty", {0}, 0, 32).tensor("no_rows", {256, 0}, 1, 32);
  f.tensor("vector", {2}, 0, 32).pad(32).zeros(64);
  const auto file = parse(f, reading::strict);
  REQUIRE(file);
  CHECK(file->find_tensor("scalar")->elements() == 1);
  CHECK(file->find_tensor("scalar")->bytes == 4);
  CHECK(file->find_tensor("scalar")->row_bytes() == 4);
  CHECK(file->find_tensor("empty")->bytes == 0);
  CHECK(file->find_tensor("no_rows")->rows() == 0);
  CHECK(file->find_tensor("no_rows")->row_bytes() == 512);
  CHECK(quanta::gguf::validate_values(*file));
  // a product that wraps does not hide behind a dimension of 0
  raw_file wraps;
  wraps.start(1, 0).tensor("t", {0, 1ull << 62, 1ull << 62}, 0, 0).pad(32);
  CHECK(parse(wraps, reading::strict).error().code == quanta::errc::size_overflow);
}

TEST_CASE("what only some loaders take is read when asked for") {
  for (const std::uint32_t alignment : {1u, 2u, 4u, 8u, 64u}) {
    CAPTURE(alignment);
    raw_file f;
    f.start(1, 1).text("general.alignment").number(std::uint32_t{4}).number(alignment);
    f.tensor("t", {4}, 0, 0).pad(alignment).zeros(alignment < 16 ? 16 : alignment);
    CHECK(parse(f, reading::strict).has_value() == (alignment >= 8));
    CHECK(parse(f, reading::lax));
  }
  raw_file f;
  f.start(1, 0).tensor("t", {5}, 0, 0).pad(32).zeros(20);
  CHECK(parse(f, reading::strict).error().code == quanta::errc::truncated_data);
  CHECK(parse(f, reading::lax));
  f.pad(32);
  CHECK(parse(f, reading::strict));
  f.raw("made by somebody");
  CHECK(parse(f, reading::strict).error().code == quanta::errc::trailing);
  CHECK(parse(f, reading::lax));
  raw_file cut; // data that lacks is missed by both
  cut.start(1, 0).tensor("t", {5}, 0, 0).pad(32).zeros(19);
  CHECK(parse(cut, reading::lax).error().code == quanta::errc::truncated_data);
}

TEST_CASE("names up to 255 bytes are read") {
  for (const std::size_t length : {63u, 64u, 255u, 256u}) {
    raw_file f;
    f.start(1, 0).tensor(std::string(length, 'n'), {4}, 0, 0).pad(32).zeros(32);
    CHECK(parse(f, reading::strict).has_value() == (length <= 255));
  }
}

TEST_CASE("what comes before the damage is kept") {
  raw_file f;
  f.start(2, 2).text("first").number(std::uint32_t{0}).number(std::uint8_t{7}).text("second").number(std::uint32_t{0});
  f.number(std::uint8_t{8}).tensor("t", {5}, 0, 0).tensor("u", {5}, 999, 32).pad(32).zeros(64);
  const auto all = quanta::gguf::file::salvage(std::make_shared<quanta::gguf::memory_source>(f.bytes()));
  REQUIRE(all.wrong);
  CHECK(all.wrong->code == quanta::errc::bad_type);
  CHECK(all.contents.integer("second") == 8);
  CHECK(all.contents.tensors().size() == 1);
  CHECK(all.contents.find_tensor("t") != nullptr);
  for (std::size_t length = 0; length < f.bytes().size(); ++length) {
    const auto part = std::span(f.bytes()).first(length);
    const auto kept = quanta::gguf::file::salvage(std::make_shared<quanta::gguf::memory_source>(part));
    CHECK(kept.wrong);
    CHECK(kept.contents.metadata().size() <= 2);
  }
}

TEST_CASE("directories and missing files are named errors") {
  CHECK(quanta::gguf::file::open("/").error().code == quanta::errc::not_regular);
  CHECK(quanta::gguf::file::open("/nonexistent/file.gguf").error().code == quanta::errc::io_error);
  CHECK(quanta::gguf::file::open("/nonexistent/file.gguf").error().system() == ENOENT);
  CHECK(quanta::gguf::file::open("").error().code == quanta::errc::bad_path);
}
