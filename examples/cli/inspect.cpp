// quanta inspect
#include <map>
#include <nlohmann/json.hpp>

#include "common.hpp"

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
  case uint8: return number_text(v.element_at<std::uint8_t>(i));
  case int8: return number_text(v.element_at<std::int8_t>(i));
  case uint16: return number_text(v.element_at<std::uint16_t>(i));
  case int16: return number_text(v.element_at<std::int16_t>(i));
  case uint32: return number_text(v.element_at<std::uint32_t>(i));
  case int32: return number_text(v.element_at<std::int32_t>(i));
  case uint64: return number_text(v.element_at<std::uint64_t>(i));
  case int64: return number_text(v.element_at<std::int64_t>(i));
  case float32: return number_text(v.element_at<float>(i));
  case float64: return number_text(v.element_at<double>(i));
  case boolean: return v.element_at<bool>(i) ? "true" : "false";
  default: return {};
  }
}
std::string value_text(const gguf::value& v) {
  constexpr std::size_t most = 6, longest = 72;
  const auto quoted = [](std::string_view s) {
    return fmt::format("\"{}\"{}", escaped(s.substr(0, longest)), s.size() > longest ? "..." : "");
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

void print_table(const gguf::file& f, std::uint64_t weights, std::uint64_t bytes) {
  fmt::print("GGUF version {}, {}, {} keys, {} tensors\n\n", f.version(), size(f.size()), f.metadata().size(),
             f.tensors().size());
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
  if (weights > 0)
    fmt::print("  {} weights, {:.3f} bits a weight\n", weights,
               8.0 * static_cast<double>(bytes) / static_cast<double>(weights));
}

} // namespace

int inspect(const inspect_options& options) {
  const auto f = gguf::file::open(options.path);
  if (!f)
    return report(options.path, f.error());
  if (const auto values = gguf::validate_values(*f); !values)
    return report(options.path, values.error());
  std::uint64_t weights = 0, bytes = 0;
  for (const gguf::tensor_info& t : f->tensors()) {
    weights += t.elements();
    bytes += t.bytes;
  }
  if (!options.json) {
    print_table(*f, weights, bytes);
    return success;
  }
  nlohmann::ordered_json out{{"version", f->version()}, {"bytes", f->size()}, {"alignment", f->alignment()},
                             {"weights", weights},      {"tensor_bytes", bytes}};
  out["metadata"] = nlohmann::ordered_json::object();
  for (const gguf::entry& e : f->metadata()) {
    auto& slot = out["metadata"][escaped(e.key)];
    if (const auto text = e.value.text())
      slot = escaped(*text);
    else if (const auto whole = e.value.integer())
      slot = *whole;
    else if (const auto number = e.value.number())
      slot = *number;
    else
      slot = value_text(e.value);
  }
  out["tensors"] = nlohmann::ordered_json::array();
  for (const gguf::tensor_info& t : f->tensors())
    out["tensors"].push_back(
        {{"name", escaped(t.name)}, {"type", quanta::name(t.type)}, {"shape", t.dims}, {"bytes", t.bytes}});
  fmt::print("{}\n", out.dump(2));
  return success;
}

} // namespace tool
