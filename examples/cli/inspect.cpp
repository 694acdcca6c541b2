// quanta inspect
#include <map>

#include "common.hpp"
#include "outcome.hpp"

namespace tool {
namespace {

namespace gguf = quanta::gguf;

template <class T>
std::string number_text(T x) {
  if constexpr (sizeof(T) == 1)
    return fmt::format("{}", static_cast<int>(x));
  else
    return fmt::format("{}", x);
}
/// Element i of a value of fixed size, as text.
std::string element_text(const gguf::value& v, gguf::value_type type, std::size_t i) {
  using enum gguf::value_type;
  switch (type) {
  case uint8:
    return number_text(v.element_at<std::uint8_t>(i));
  case int8:
    return number_text(v.element_at<std::int8_t>(i));
  case uint16:
    return number_text(v.element_at<std::uint16_t>(i));
  case int16:
    return number_text(v.element_at<std::int16_t>(i));
  case uint32:
    return number_text(v.element_at<std::uint32_t>(i));
  case int32:
    return number_text(v.element_at<std::int32_t>(i));
  case uint64:
    return number_text(v.element_at<std::uint64_t>(i));
  case int64:
    return number_text(v.element_at<std::int64_t>(i));
  case float32:
    return number_text(v.element_at<float>(i));
  case float64:
    return number_text(v.element_at<double>(i));
  case boolean:
    return v.element_at<bool>(i) ? "true" : "false";
  default:
    return {};
  }
}
std::string value_text(const gguf::value& v) {
  constexpr std::size_t most = 6, longest = 72;
  const auto quoted = [](std::string_view s) {
    return fmt::format("\"{}\"{}", escaped(quanta::utf8_prefix(s, longest)), s.size() > longest ? "..." : "");
  };
  if (const auto text = v.text())
    return quoted(*text);
  if (v.type != gguf::value_type::array)
    return element_text(v, v.type, 0);
  std::vector<std::string> shown;
  if (const auto strings = v.strings(most)) {
    for (const std::string_view s : *strings)
      shown.push_back(quoted(s));
  } else {
    for (std::size_t i = 0; i < v.count && i < most; ++i)
      shown.push_back(element_text(v, v.element, i));
  }
  return fmt::format("{}[{}] {{{}{}}}", gguf::name(v.element), v.count, fmt::join(shown, ", "), v.count > most ? ", ..." : "");
}

/// What was found, and what is wrong with it.
struct findings {
  gguf::partial_file file;
  std::vector<quanta::error> wrong; ///< the first of the header, or the first of each tensor
  std::uint64_t weights = 0, bytes = 0;
};

findings look_at(std::shared_ptr<const gguf::source> from, bool lax) {
  findings all{gguf::file::salvage(from, gguf::reading::lax), {}};
  const gguf::file& f = all.file.contents;
  for (const gguf::tensor_info& t : f.tensors()) {
    all.weights += t.elements();
    all.bytes += t.bytes;
  }
  if (all.file.wrong) {
    all.wrong.push_back(*all.file.wrong);
    return all;
  }
  if (!lax)
    if (const auto strict = gguf::file::parse(from); !strict)
      all.wrong.push_back(strict.error());
  for (const gguf::tensor_info& t : f.tensors())
    if (const auto values = gguf::validate_values(f, t); !values)
      all.wrong.push_back(values.error());
  return all;
}

/// Some of what is wrong, and how much more there is.
int report_wrong(const std::string& path, const findings& all) {
  constexpr std::size_t most = 10;
  for (std::size_t i = 0; i < all.wrong.size() && i < most; ++i)
    report_unreadable(path, all.wrong[i]);
  if (all.wrong.size() > most)
    complain("{}: {} more tensors have such values", escaped(path), all.wrong.size() - most);
  return all.wrong.empty() ? success : failure;
}

void print_table(const findings& all) {
  const gguf::file& f = all.file.contents;
  fmt::print("GGUF version {}, {}, {} keys, {} tensors{}\n\n", f.version(), size(f.size()), f.metadata().size(),
             f.tensors().size(), all.file.wrong ? " (as far as it can be read)" : "");
  if (const auto parts = f.integer("split.count"); parts.value_or(0) > 1)
    fmt::print("  part {} of {}\n\n", f.integer("split.no").value_or(0) + 1, *parts);
  for (const gguf::entry& e : f.metadata())
    fmt::print("  {:<44} {}\n", escaped(e.key), value_text(e.value));
  fmt::print("\n  {:<36} {:<8} {:>20} {:>12}\n", "tensor", "type", "shape", "size");
  std::map<std::string_view, std::pair<std::size_t, std::uint64_t>> types;
  for (const gguf::tensor_info& t : f.tensors()) {
    fmt::print("  {:<36} {:<8} {:>20} {:>12}\n", escaped(t.name), quanta::name(t.type), shape(t.dims), size(t.bytes));
    auto& total = types[quanta::name(t.type)];
    ++total.first;
    total.second += t.bytes;
  }
  fmt::print("\n");
  for (const auto& [type, total] : types)
    fmt::print("  {:<8} {:>5} tensors {:>12}\n", type, total.first, size(total.second));
  if (all.weights > 0)
    fmt::print("  {} weights, {:.3f} bits a weight\n", all.weights,
               8.0 * static_cast<double>(all.bytes) / static_cast<double>(all.weights));
}

std::string json_value(const gguf::value& v) {
  if (const auto text = v.text())
    return json_text(*text);
  if (const auto whole = v.integer())
    return fmt::format("{}", *whole);
  if (const auto number = v.number())
    return json_number(*number);
  return json_text(value_text(v));
}

void print_json(const findings& all) {
  const gguf::file& f = all.file.contents;
  fmt::print("{{\n  \"version\": {},\n  \"bytes\": {},\n  \"alignment\": {},\n  \"weights\": {},\n  \"tensor_bytes\": {},\n",
             f.version(), f.size(), f.alignment(), all.weights, all.bytes);
  fmt::print("  \"metadata\": {{");
  json_items keys;
  for (const gguf::entry& e : f.metadata())
    keys.add("{}: {}", json_text(e.key), json_value(e.value));
  fmt::print("\n  }},\n  \"tensors\": [");
  json_items tensors;
  for (const gguf::tensor_info& t : f.tensors())
    tensors.add("{{\"name\": {}, \"type\": \"{}\", \"shape\": [{}], \"bytes\": {}}}", json_text(t.name), quanta::name(t.type),
                fmt::join(t.dims, ", "), t.bytes);
  fmt::print("\n  ],\n  \"errors\": [");
  json_items errors;
  for (const quanta::error& e : all.wrong) {
    const std::string place = e.offset == quanta::error::nowhere ? "" : fmt::format(", \"byte\": {}", e.offset);
    errors.add("{{\"error\": \"{}\", \"subject\": {}{}}}", quanta::name(e.code), json_text(e.subject()), place);
  }
  fmt::print("\n  ]\n}}\n");
}

} // namespace

int inspect(const inspect_options& options) {
  const auto from = gguf::file_source::open(options.path);
  if (!from)
    return report(options.path, from.error());
  const findings all = look_at(std::make_shared<gguf::window_source>(*from), options.lax);
  if (all.file.contents.version() == 0) // not a line of it
    return report_wrong(options.path, all);
  if (options.json)
    print_json(all);
  else
    print_table(all);
  flush_stdout(); // what is wrong comes after what could be read
  return report_wrong(options.path, all);
}

} // namespace tool
