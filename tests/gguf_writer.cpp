// The GGUF writer: what it writes the reader reads back byte for byte, and a failure leaves the target as it was.
#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "quanta/gguf/gguf.hpp"
#include "support/temporary_directory.hpp"

namespace {

namespace gguf = quanta::gguf;

gguf::writer sample() {
  gguf::writer w;
  w.set("general.architecture", gguf::value::of("llama"));
  w.set("a.u8", gguf::value::of(std::uint8_t{200}));
  w.set("a.i8", gguf::value::of(std::int8_t{-3}));
  w.set("a.u16", gguf::value::of(std::uint16_t{60000}));
  w.set("a.i16", gguf::value::of(std::int16_t{-30000}));
  w.set("a.u32", gguf::value::of(std::uint32_t{4000000000u}));
  w.set("a.i32", gguf::value::of(std::int32_t{-2000000000}));
  w.set("a.u64", gguf::value::of(~std::uint64_t{0}));
  w.set("a.i64", gguf::value::of(std::int64_t{-5}));
  w.set("a.f32", gguf::value::of(1.5f));
  w.set("a.f64", gguf::value::of(2.25));
  w.set("a.true", gguf::value::of(true));
  gguf::value list{.type = gguf::value_type::array, .element = gguf::value_type::int32, .count = 3, .bytes = {}};
  for (const std::int32_t x : {1, -2, 3}) {
    const auto v = gguf::value::of(x);
    list.bytes.insert(list.bytes.end(), v.bytes.begin(), v.bytes.end());
  }
  w.set("a.list", list);
  gguf::value words{.type = gguf::value_type::array, .element = gguf::value_type::string, .count = 2, .bytes = {}};
  for (const std::string_view text : {"", "b\xff\n"}) {
    const auto length = gguf::value::of(static_cast<std::uint64_t>(text.size()));
    words.bytes.insert(words.bytes.end(), length.bytes.begin(), length.bytes.end());
    const auto characters = gguf::value::of(text);
    words.bytes.insert(words.bytes.end(), characters.bytes.begin(), characters.bytes.end());
  }
  w.set("a.words", words);
  w.add_tensor("x", {5, 3}, quanta::tensor_type::f32);
  w.add_tensor("y", {256}, quanta::tensor_type::q6_k);
  return w;
}
std::vector<std::byte> pattern(std::uint64_t size) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(size));
  for (std::size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<std::byte>(i % 100);
  return bytes;
}
quanta::result<void> write(const gguf::writer& w, const std::string& path, bool overwrite) {
  gguf::file_writer out(w);
  if (auto done = out.open(path, overwrite); !done)
    return done.error();
  for (const auto& t : w.tensors()) {
    const auto bytes = pattern(t.bytes);
    if (auto done = out.write(std::span(bytes).first(7)); !done)
      return done.error();
    if (auto done = out.write(std::span(bytes).subspan(7)); !done)
      return done.error();
  }
  return out.finish();
}

} // namespace

TEST_CASE("what is written is read back") {
  temporary_directory directory;
  const gguf::writer w = sample();
  REQUIRE(write(w, directory / "m.gguf", false));
  const auto f = gguf::file::open(directory / "m.gguf");
  REQUIRE(f);
  REQUIRE(f->metadata().size() == w.metadata().size());
  for (std::size_t i = 0; i < w.metadata().size(); ++i) {
    CHECK(f->metadata()[i].key == w.metadata()[i].key);
    CHECK(f->metadata()[i].value.type == w.metadata()[i].value.type);
    CHECK(f->metadata()[i].value.bytes == w.metadata()[i].value.bytes);
  }
  CHECK(f->integer("a.i16") == -30000);
  CHECK(f->integer("a.u64") == std::nullopt);
  CHECK(f->number("a.f32") == 1.5);
  CHECK(f->text("general.architecture") == "llama");
  CHECK(f->find("a.true")->as<bool>() == true);
  CHECK(f->find("a.list")->array_of<std::int32_t>() == std::vector<std::int32_t>{1, -2, 3});
  CHECK(f->find("a.list")->array_of<float>() == std::nullopt);
  CHECK(f->find("a.words")->strings()->at(1) == "b\xff\n");
  CHECK(f->find("absent") == nullptr);
  for (const auto& t : f->tensors()) {
    std::vector<std::byte> bytes(t.bytes);
    REQUIRE(f->read(t, 0, bytes));
    CHECK(bytes == pattern(t.bytes));
  }
  CHECK(f->find_tensor("x")->rows() == 3);
  CHECK(f->size() % 32 == 0);
}

TEST_CASE("an existing target needs permission, and a failure leaves it alone") {
  temporary_directory directory;
  const gguf::writer w = sample();
  std::ofstream(directory / "m.gguf") << "precious";
  CHECK(write(w, directory / "m.gguf", false).error().code == quanta::errc::exists);
  {
    gguf::file_writer out(w);
    REQUIRE(out.open(directory / "m.gguf", true));
    CHECK(directory.files() == 2);
  } // given up
  CHECK(directory.files() == 1);
  std::string text;
  std::ifstream(directory / "m.gguf") >> text;
  CHECK(text == "precious");
  CHECK(write(w, directory / "m.gguf", true));
  CHECK(gguf::file::open(directory / "m.gguf"));
  CHECK(write(w, directory / "absent/m.gguf", false).error().code == quanta::errc::io_error);
  CHECK(write(w, directory.path.string(), true).error().code == quanta::errc::not_regular);
}

TEST_CASE("fifty thousand keys are read") {
  gguf::writer w;
  std::vector<std::byte> bytes = w.header();
  temporary_directory directory;
  gguf::writer many;
  many.set("k", gguf::value::of(std::uint8_t{1}));
  const auto one = many.header();
  // The header of 50,000 keys, made by hand: set() looks for duplicates one by one.
  std::vector<std::byte> all(one.begin(), one.begin() + 16);
  const auto append = [&](auto x) {
    const auto v = gguf::value::of(x);
    all.insert(all.end(), v.bytes.begin(), v.bytes.end());
  };
  append(std::uint64_t{50000});
  for (int i = 0; i < 50000; ++i) {
    const std::string key = "key." + std::to_string(i);
    append(static_cast<std::uint64_t>(key.size()));
    append(std::string_view(key));
    append(std::uint32_t{0});
    append(std::uint8_t{7});
  }
  const auto f = gguf::file::parse(std::make_shared<gguf::memory_source>(all));
  REQUIRE(f);
  CHECK(f->integer("key.49999") == 7);
}
