// What model files stand on: UTF-8 in names, and files that appear when they are complete.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <vector>

#include "quanta/gguf/atomic_file.hpp"
#include "quanta/gguf/leftovers.hpp"
#include "support/temporary_directory.hpp"

namespace {

namespace fs = std::filesystem;
using quanta::gguf::atomic_file;

std::string content(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}
auto write(atomic_file& out, std::string_view text) { return out.write(std::as_bytes(std::span(text))); }

} // namespace

TEST_CASE("UTF-8: what is well-formed, where to cut, what is not seen") {
  using quanta::is_utf8;
  for (const char* good : {"", "a", "\x7F", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEE\x80\x80",
                           "\xEF\xBF\xBF", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF", "a\xC3\xA9z"})
    CHECK(is_utf8(good));
  for (const char* bad :
       {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xC2", "\xC2\x41", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xED\xBF\xBF", "\xE2\x82",
        "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xF0\x9F\x98", "\xFF", "a\xC3"})
    CHECK_FALSE(is_utf8(bad));
  CHECK(quanta::utf8_first("\xE2\x82\xAC!").code == 0x20AC);
  CHECK(quanta::utf8_first("\xF0\x9F\x98\x80").code == 0x1F600);
  CHECK(quanta::utf8_first("\xE2\x82\xAC!").length == 3);

  using quanta::utf8_prefix;
  const std::string text = "a\xE2\x82\xAC\xC3\xA9";
  const std::size_t ends[] = {0, 1, 1, 1, 4, 4, 6, 6};
  for (std::size_t most = 0; most < 8; ++most)
    CHECK(utf8_prefix(text, most) == text.substr(0, ends[most]));
  CHECK(utf8_prefix("\x80\x80\x80\x80\x80\x80", 5).size() == 5); // cuts no character

  for (const unsigned c : {0x00u, 0x1Bu, 0x7Fu, 0x80u, 0x9Bu, 0x9Fu, 0xADu, 0x61Cu, 0x200Bu, 0x200Eu, 0x200Fu, 0x2028u, 0x2029u,
                           0x202Au, 0x202Eu, 0x2066u, 0x2069u, 0xFEFFu, 0xE0041u})
    CHECK(quanta::is_invisible(char32_t{c}));
  for (const unsigned c : {0x20u, 0x7Eu, 0xA0u, 0xE9u, 0x61Bu, 0x2010u, 0x2027u, 0x202Fu, 0x2070u, 0x20ACu, 0x1F600u})
    CHECK_FALSE(quanta::is_invisible(char32_t{c}));
}

TEST_CASE("several files are prepared first and published together") {
  temporary_directory directory;
  std::vector<atomic_file> parts;
  for (const char* name : {"one", "two"}) {
    atomic_file part;
    REQUIRE(part.open(directory / name, false));
    parts.push_back(std::move(part)); // also moves those before it
    REQUIRE(write(parts.back(), name));
  }
  for (atomic_file& part : parts)
    REQUIRE(part.prepare());
  CHECK_FALSE(fs::exists(directory / "one"));
  for (atomic_file& part : parts)
    REQUIRE(part.publish());
  CHECK(content(directory / "one") == "one");
  CHECK(content(directory / "two") == "two");
  CHECK(directory.files() == 2);

  atomic_file left;
  REQUIRE(left.open(directory / "three", false));
  left = atomic_file();
  CHECK(directory.files() == 2);
}

TEST_CASE("a file that appears meanwhile is not replaced without permission") {
  temporary_directory directory;
  atomic_file out;
  REQUIRE(out.open(directory / "out", false));
  REQUIRE(write(out, "new"));
  std::ofstream(directory / "out") << "meanwhile";
  const auto done = out.commit();
  REQUIRE_FALSE(done);
  CHECK(done.error().code == quanta::errc::exists);
  CHECK(done.error().system() == EEXIST);
  out = atomic_file();
  CHECK(content(directory / "out") == "meanwhile");
  CHECK(directory.files() == 1);
}

TEST_CASE("leftovers: only files of processes that are gone") {
  temporary_directory directory;
  const std::string target = directory / "out";
  atomic_file busy;
  REQUIRE(busy.open(target, true));
  CHECK(quanta::gguf::remove_leftovers(target).empty());

  const std::string mine = quanta::gguf::detail::temporary_name(target, 99); // as of an earlier process with our number
  std::string elsewhere = mine;                                              // of another machine
  elsewhere[target.size() + 1] ^= 1;
  for (const std::string& name : {mine, elsewhere, target + ".partial", target + ".12-x.partial", directory / ".0-1-2.partial"})
    std::ofstream(name) << "x";
  auto found = quanta::gguf::remove_leftovers(target);
  std::ranges::sort(found, {}, &quanta::gguf::leftover::removed);
  REQUIRE(found.size() == 2);
  CHECK((found[0].path == elsewhere && !found[0].removed));
  CHECK((found[1].path == mine && found[1].removed));
  CHECK((!fs::exists(mine) && fs::exists(elsewhere)));
  CHECK(directory.files() == 5);
  REQUIRE(write(busy, "x"));
  CHECK(busy.commit());
}
