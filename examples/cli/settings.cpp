#include "settings.hpp"

#include <charconv>
#include <cstdlib>
#include <sstream>

namespace tool {
namespace {

namespace gguf = quanta::gguf;
namespace recipe = quanta::recipe;

bool parse_type(const std::string& name, std::optional<quanta::tensor_type>& type) {
  if (name.empty())
    return true;
  const quanta::type_info* info = quanta::find_format(name);
  if (!info)
    complain("'{}' is no format; 'quanta types' lists them", escaped(name));
  else if (!recipe::holds_weights(info->type))
    complain("'{}' is no format for weights", info->name);
  else
    type = info->type;
  return type.has_value();
}

/// The bytes of a text file, at most 64 MiB.
quanta::result<std::string> read_text(const std::string& path) {
  const auto file = gguf::file_source::open(path);
  if (!file)
    return file.error();
  if ((*file)->size() > (std::uint64_t{64} << 20))
    return quanta::errc::string_too_long;
  std::string text(static_cast<std::size_t>((*file)->size()), '\0');
  if (const auto done = (*file)->read(0, std::as_writable_bytes(std::span(text))); !done)
    return done.error();
  return text;
}

bool add_rule(const std::string& text, settings& s) {
  const auto rule = recipe::parse_override(text);
  if (rule) {
    s.plan.overrides.push_back(*rule);
    s.rules.push_back(text);
  } else if (rule.error().code == quanta::errc::bad_type) {
    complain("--override {}: '{}' is no format for weights; 'quanta types' lists them", escaped(text), rule.error().subject());
  } else {
    complain("--override wants PATTERN=TYPE with a regular expression, not '{}'", escaped(text));
  }
  return rule.has_value();
}

/// KEY=TYPE:VALUE
std::optional<gguf::entry> parse_key(std::string_view text) {
  const std::size_t equals = text.find('='), colon = text.find(':', equals);
  if (equals == 0 || equals == std::string_view::npos || colon == std::string_view::npos)
    return std::nullopt;
  const std::string key(text.substr(0, equals)), value(text.substr(colon + 1));
  const std::string_view type = text.substr(equals + 1, colon - equals - 1);
  const char *first = value.data(), *last = first + value.size();
  if (type == "int") {
    std::int64_t x = 0;
    if (const auto [end, why] = std::from_chars(first, last, x); why != std::errc{} || end != last || value.empty())
      return std::nullopt;
    const bool fits = x >= 0 && x <= std::int64_t{0xFFFFFFFF};
    return gguf::entry{key, fits ? gguf::value::of(static_cast<std::uint32_t>(x)) : gguf::value::of(x)};
  }
  if (type == "float") {
    double x = 0;
    if (const auto [end, why] = std::from_chars(first, last, x); why != std::errc{} || end != last || value.empty())
      return std::nullopt;
    return gguf::entry{key, gguf::value::of(static_cast<float>(x))};
  }
  if (type == "bool" && (value == "true" || value == "false"))
    return gguf::entry{key, gguf::value::of(value == "true")};
  if (type == "str" && quanta::is_utf8(value))
    return gguf::entry{key, gguf::value::of(std::string_view(value))};
  return std::nullopt;
}

bool parse_keys(const std::vector<std::string>& texts, settings& s) {
  for (const std::string& text : texts) {
    auto e = parse_key(text);
    if (!e || e->key.size() > 65535 || !quanta::is_utf8(e->key) || e->key == "general.alignment" ||
        e->key.starts_with("split.")) {
      complain("--override-kv wants KEY=int:1, KEY=float:0.5, KEY=bool:true or KEY=str:TEXT, and no key that says where "
               "tensors lie, not '{}'",
               escaped(text));
      return false;
    }
    s.keys.push_back(std::move(*e));
  }
  return true;
}

bool parse_layers(std::string_view text, std::set<std::int64_t>& layers) {
  while (!text.empty()) {
    const std::string_view item = text.substr(0, text.find(','));
    std::int64_t layer = 0;
    const auto [end, why] = std::from_chars(item.data(), item.data() + item.size(), layer);
    if (why != std::errc{} || end != item.data() + item.size() || layer < 0) {
      complain("--prune-layers wants numbers between commas, not '{}'", escaped(item));
      return false;
    }
    layers.insert(layer);
    text.remove_prefix(std::min(text.size(), item.size() + 1));
  }
  return true;
}

} // namespace

std::optional<settings> parse_settings(const quantize_options& options, int& code) {
  code = gate_failed;
  settings s;
  s.plan.copy = quanta::detail::equal_ignoring_case(options.type, "COPY");
  s.mix = recipe::find_mix(options.type);
  if (!s.mix && !s.plan.copy) {
    complain("'{}' is no mix; 'quanta types' lists them", escaped(options.type));
    return std::nullopt;
  }
  s.plan.pure = options.pure;
  s.plan.leave_output = options.leave_output;
  s.plan.allow_requantize = options.allow_requantize;
  s.plan.allow_fallback = !options.no_fallback;
  s.plan.keep_order = options.keep_split;
  if (!parse_type(options.output_type, s.plan.output) || !parse_type(options.token_embedding_type, s.plan.token_embedding))
    return std::nullopt;
  for (const std::string& text : options.overrides)
    if (!add_rule(text, s))
      return std::nullopt;
  if (!options.override_file.empty()) {
    const auto text = read_text(options.override_file);
    if (!text) {
      code = report(options.override_file, text.error());
      return std::nullopt;
    }
    std::istringstream words(*text);
    for (std::string rule; words >> rule;)
      if (!add_rule(rule, s))
        return std::nullopt;
  }
  if (!parse_keys(options.key_overrides, s) || !parse_layers(options.prune_layers, s.pruned_layers))
    return std::nullopt;
  code = success;
  return s;
}

} // namespace tool
