// Models of several parts, and importance matrices in both of their forms.
#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <filesystem>

#include "quanta/gguf/gguf.hpp"
#include "quanta/imatrix.hpp"
#include "support/temporary_directory.hpp"

namespace {

namespace fs = std::filesystem;
namespace gguf = quanta::gguf;
using quanta::errc;
const std::string cases = QUANTA_TEST_DATA "/cases/";

/// A part with one tensor.
void write_part(const std::string& path, int number, int count, int total, const std::string& tensor) {
  gguf::writer w;
  w.set("split.no", gguf::value::of(static_cast<std::uint16_t>(number)));
  w.set("split.count", gguf::value::of(static_cast<std::uint16_t>(count)));
  w.set("split.tensors.count", gguf::value::of(static_cast<std::int32_t>(total)));
  if (!tensor.empty())
    w.add_tensor(tensor, {8}, quanta::tensor_type::f32);
  gguf::file_writer out(w);
  REQUIRE(out.open(path, true));
  if (!tensor.empty())
    REQUIRE(out.write(std::vector<std::byte>(32)));
  REQUIRE(out.finish());
}

class raw_matrix final : public gguf::source {
public:
  template <class T>
  raw_matrix& number(T x) {
    const auto v = gguf::value::of(x);
    bytes_.insert(bytes_.end(), v.bytes.begin(), v.bytes.end());
    return *this;
  }
  raw_matrix& text(std::string_view s) {
    number(static_cast<std::int32_t>(s.size()));
    for (const char c : s)
      bytes_.push_back(static_cast<std::byte>(c));
    return *this;
  }
  raw_matrix& entry(std::string_view name, std::int32_t calls, const std::vector<float>& sums) {
    text(name).number(calls).number(static_cast<std::int32_t>(sums.size()));
    for (const float x : sums)
      number(x);
    return *this;
  }
  std::uint64_t size() const override { return bytes_.size(); }
  quanta::result<void> read(std::uint64_t offset, std::span<std::byte> out) const override {
    return gguf::memory_source(bytes_).read(offset, out);
  }
  quanta::result<quanta::importance_matrix> parse(std::size_t length = ~std::size_t{0}) const {
    const auto part = std::span(bytes_).first(std::min(length, bytes_.size()));
    return quanta::read_importance(std::make_shared<gguf::memory_source>(part));
  }

private:
  std::vector<std::byte> bytes_;
};

quanta::result<quanta::importance_matrix> importance(const std::string& name) {
  return quanta::read_importance(*gguf::file_source::open(cases + name));
}

} // namespace

TEST_CASE("all parts of a split model are read, given the first") {
  const auto m = gguf::model::open(cases + "split-00001-of-00002.gguf");
  REQUIRE(m);
  CHECK(m->parts().size() == 2);
  REQUIRE(m->tensors().size() == 2);
  CHECK(m->find_tensor("blk.1.ffn_up.weight")->part == 1);
  CHECK(m->holds_file(cases + "split-00002-of-00002.gguf"));
  CHECK(!m->holds_file(cases + "two.gguf"));
  std::vector<std::byte> bytes(4096);
  CHECK(m->read(*m->find_tensor("blk.1.ffn_up.weight"), 0, bytes));
  CHECK(gguf::model::open(cases + "split-00002-of-00002.gguf").error().code == errc::split_mismatch);
}

TEST_CASE("parts that do not belong together are a mismatch") {
  temporary_directory d;
  const auto name = [&](int i, int n) { return gguf::part_name(d / "m", static_cast<unsigned>(i), static_cast<unsigned>(n)); };
  const auto outcome = [&](const std::string& path) {
    const auto m = gguf::model::open(path);
    return m ? "OK" : std::string(quanta::name(m.error().code));
  };
  write_part(name(0, 3), 0, 3, 2, ""); // the first may hold metadata alone
  write_part(name(1, 3), 1, 3, 2, "a");
  CHECK(outcome(name(0, 3)) == "split_mismatch");
  CHECK(gguf::model::open(name(0, 3)).error().system() == ENOENT);
  CHECK(gguf::model::open(name(0, 3)).error().subject() == "m-00003-of-00003.gguf");
  write_part(name(2, 3), 2, 3, 2, "b");
  CHECK(outcome(name(0, 3)) == "OK");
  write_part(name(2, 3), 2, 3, 2, "a");
  CHECK(outcome(name(0, 3)) == "name_duplicate");
  write_part(name(2, 3), 1, 3, 2, "b");
  CHECK(outcome(name(0, 3)) == "split_mismatch");
  write_part(name(2, 3), 2, 4, 2, "b");
  CHECK(outcome(name(0, 3)) == "split_mismatch");
  write_part(name(2, 3), 2, 3, 2, "b");
  write_part(name(0, 3), 0, 3, 7, "");
  CHECK(outcome(name(0, 3)) == "split_mismatch");
  write_part(name(0, 3), 0, 3, 2, "");
  fs::resize_file(name(2, 3), 3);
  CHECK(outcome(name(0, 3)) == "truncated");
  CHECK(gguf::model::open(name(0, 3)).error().subject() == "m-00003-of-00003.gguf");
  fs::copy(name(0, 3), d / "renamed.gguf");
  CHECK(outcome(d / "renamed.gguf") == "split_mismatch");
}

TEST_CASE("importance is read in both forms") {
  const auto from_dat = importance("im.dat");
  REQUIRE(from_dat);
  CHECK(from_dat->datasets == std::vector<std::string>{"made.txt"});
  CHECK(from_dat->chunks == 1);
  const auto partial = importance("im_partial.gguf");
  REQUIRE(partial);
  REQUIRE(partial->entries.size() == 1);
  CHECK(partial->entries.begin()->second == from_dat->entries.at(partial->entries.begin()->first));
  CHECK(partial->datasets == from_dat->datasets);
  CHECK(partial->chunks == 1);
  CHECK(importance("im_none.gguf")->entries.empty());
  CHECK(importance("two.gguf").error().code == errc::bad_importance); // a model is no matrix
  CHECK(importance("im_cntinf.gguf").error().code == errc::bad_importance);
}

TEST_CASE("entries of the .dat form are checked") {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  raw_matrix good;
  good.number(std::int32_t{2}).entry("a", 2, {2.f, 4.f}).entry("b", 0, {3.f}).number(std::int32_t{9}).text("set");
  const auto read = good.parse();
  REQUIRE(read);
  CHECK(read->entries.at("a") == std::vector<float>{1.f, 2.f});
  CHECK(read->entries.at("b") == std::vector<float>{3.f});
  for (std::size_t length = 0; length < good.size(); ++length) {
    CAPTURE(length);
    const auto cut = good.parse(length);
    CHECK((!cut || length == good.size() - 11 || length == good.size() - 7)); // after the entries, and after the chunks
  }
  for (const float bad : {inf, nan, -1.f}) {
    raw_matrix m;
    m.number(std::int32_t{1}).entry("a", 1, {1.f, bad});
    CHECK(m.parse().error().code == errc::bad_importance);
    CHECK(m.parse().error().subject() == "a");
  }
  raw_matrix negative, twice, many;
  negative.number(std::int32_t{1}).entry("a", -1, {1.f});
  CHECK(negative.parse().error().code == errc::bad_importance);
  twice.number(std::int32_t{2}).entry("a", 1, {1.f}).entry("a", 1, {1.f});
  CHECK(twice.parse().error().code == errc::name_duplicate);
  many.number(std::int32_t{1 << 30}).entry("a", 1, {1.f});
  CHECK(many.parse().error().code == errc::bad_magic);
}
