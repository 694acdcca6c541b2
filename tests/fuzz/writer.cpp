// What the writer is given, the reader gives back: keys, values and tensors, in order. What no file may hold has an error.

#include "quanta/gguf/gguf.hpp"
#include "support.hpp"

namespace {

using namespace quanta;
using fuzz::expect;

/// A header, and as many zeros behind it as tensors would take.
class written final : public gguf::source {
public:
  written(std::vector<std::byte> header, std::uint64_t data) : header_(std::move(header)), data_(data) {}
  std::uint64_t size() const override { return header_.size() + data_; }
  result<void> read(std::uint64_t offset, std::span<std::byte> out) const override {
    if (offset > size() || out.size() > size() - offset)
      return error(errc::truncated, offset);
    const std::size_t first = static_cast<std::size_t>(std::min<std::uint64_t>(offset, header_.size())),
                      count = std::min(out.size(), header_.size() - first);
    std::copy_n(header_.begin() + static_cast<std::ptrdiff_t>(first), count, out.begin());
    std::ranges::fill(out.subspan(count), std::byte{0});
    return {};
  }

private:
  std::vector<std::byte> header_;
  std::uint64_t data_;
};

template <class T>
gguf::value array_of(fuzz::input& in) {
  gguf::value v{.type = gguf::value_type::array, .element = gguf::value_type_of<T>(), .count = in.up_to(5), .bytes = {}};
  for (std::uint64_t i = 0; i < v.count; ++i) {
    const gguf::value x = gguf::value::of(in.take<T>());
    v.bytes.insert(v.bytes.end(), x.bytes.begin(), x.bytes.end());
  }
  return v;
}
gguf::value strings(fuzz::input& in) {
  gguf::value v{.type = gguf::value_type::array, .element = gguf::value_type::string, .count = in.up_to(4), .bytes = {}};
  for (std::uint64_t i = 0; i < v.count; ++i) {
    const gguf::value text = gguf::value::of(in.text(9)), length = gguf::value::of(std::uint64_t{text.bytes.size()});
    v.bytes.insert(v.bytes.end(), length.bytes.begin(), length.bytes.end());
    v.bytes.insert(v.bytes.end(), text.bytes.begin(), text.bytes.end());
  }
  return v;
}
gguf::value any_value(fuzz::input& in) {
  switch (in.up_to(13)) {
  case 0:
    return gguf::value::of(in.take<std::uint8_t>());
  case 1:
    return gguf::value::of(in.take<std::int8_t>());
  case 2:
    return gguf::value::of(in.take<std::uint16_t>());
  case 3:
    return gguf::value::of(in.take<std::int16_t>());
  case 4:
    return gguf::value::of(in.take<std::uint32_t>());
  case 5:
    return gguf::value::of(in.take<std::int64_t>());
  case 6:
    return gguf::value::of(in.take<float>());
  case 7:
    return gguf::value::of(in.take<double>());
  case 8:
    return gguf::value::of(in.flag());
  case 9:
    return gguf::value::of(in.text(40));
  case 10:
    return strings(in);
  case 11:
    return array_of<std::int32_t>(in);
  case 12:
    return array_of<std::uint64_t>(in);
  default:
    return array_of<float>(in);
  }
}

std::string any_name(fuzz::input& in) {
  constexpr std::string_view names[] = {"general.architecture", "split.no", "split.count", "split.tensors.count", "a", "b"};
  const std::size_t which = in.up_to(2 * std::size(names));
  return which < std::size(names) ? std::string(names[which]) : in.text(70);
}

void add_tensor(fuzz::input& in, gguf::writer& to) {
  const type_info& type = tensor_types()[in.byte() % tensor_types().size()];
  std::vector<std::uint64_t> dims(in.up_to(4));
  for (std::uint64_t& d : dims)
    d = in.up_to(15) == 0 ? in.take<std::uint64_t>() >> in.up_to(63) : in.up_to(5);
  if (!dims.empty())
    dims[0] = dims[0] % (std::uint64_t{1} << 48) * type.block_size;
  else if (type.block_size > 1)
    return;
  gguf::checked bytes(type.block_bytes); // more than there are, so that what the writer expects is true
  for (const std::uint64_t d : dims)
    bytes = bytes * gguf::checked(std::max<std::uint64_t>(d, 1));
  const std::string name = any_name(in);
  const bool taken = std::ranges::any_of(to.tensors(), [&](const gguf::tensor_info& t) { return t.name == name; });
  if (!taken && (bytes + gguf::checked(to.data_size())).rounded_up(65536).valid())
    to.add_tensor(name, std::move(dims), type.type);
}

gguf::writer any_contents(fuzz::input& in) {
  gguf::writer w;
  if (in.flag()) // first, since the places of tensors follow from it
    w.set("general.alignment", gguf::value::of(std::uint32_t{1} << in.up_to(16)));
  while (!in.used_up())
    switch (in.up_to(3)) {
    case 0:
    case 1:
      if (const auto key = any_name(in); !key.empty() && key != "general.alignment")
        w.set(key, any_value(in));
      break;
    case 2:
      add_tensor(in, w);
      break;
    default:
      if (!w.metadata().empty() && in.flag() && w.metadata().back().key != "general.alignment")
        w.remove(std::string(w.metadata().back().key));
    }
  return w;
}

bool is_name(std::string_view text) {
  return is_utf8(text) && std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
}
/// Whether every reader takes a file of these keys and tensors. (Not: only if.)
bool is_legal(const gguf::writer& w) {
  for (const gguf::entry& e : w.metadata())
    if (e.key.empty() || !is_name(e.key) || e.key.starts_with("split.") || (e.key == "general.alignment" && w.alignment() < 8))
      return false;
  for (const gguf::tensor_info& t : w.tensors())
    if (t.name.empty() || t.name.size() > 63 || !is_name(t.name))
      return false;
  return true;
}

bool same(const gguf::value& a, const gguf::value& b) {
  const bool array = a.type == gguf::value_type::array;
  return a.type == b.type && a.bytes == b.bytes && (!array || (a.element == b.element && a.count == b.count));
}
void check(const gguf::writer& w, const gguf::file& f) {
  expect(f.alignment() == w.alignment(), "file", "has another alignment");
  expect(f.metadata().size() == w.metadata().size() && f.tensors().size() == w.tensors().size(), "file", "has other contents");
  for (std::size_t i = 0; i < w.metadata().size(); ++i) {
    const gguf::entry &a = w.metadata()[i], &b = f.metadata()[i];
    expect(a.key == b.key && same(a.value, b.value), a.key, "is another value");
    expect(f.find(a.key) == &b.value, a.key, "is not found");
    expect(a.value.integer() == b.value.integer() && a.value.text() == b.value.text(), a.key, "reads differently");
    expect(a.value.strings() == b.value.strings(), a.key, "is other strings");
  }
  for (std::size_t i = 0; i < w.tensors().size(); ++i) {
    const gguf::tensor_info &a = w.tensors()[i], &b = f.tensors()[i];
    expect(a.name == b.name && a.dims == b.dims && a.type == b.type && a.offset == b.offset && a.bytes == b.bytes, a.name,
           "is another tensor");
    expect(f.find_tensor(a.name) == &b, a.name, "is not found");
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0)
    return 0;
  fuzz::input in(data, size);
  const gguf::writer w = any_contents(in);
  const auto file = gguf::file::parse(std::make_shared<written>(w.header(), w.data_size()),
                                      in.flag() ? gguf::reading::strict : gguf::reading::lax);
  if (file)
    check(w, *file);
  else
    expect(!is_legal(w), name(file.error().code), "of a file that every reader takes");
  return 0;
}
