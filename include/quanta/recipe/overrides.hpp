// Rules of the user's as regular expressions: PATTERN=TYPE.
#pragma once

#include <memory>
#include <regex>

#include "quanta/recipe/plan.hpp"

namespace quanta::recipe {

/// Whether weights are kept in a type: floats and blocks, but not the formats of activations, nor integers and doubles.
constexpr bool holds_weights(tensor_type type) {
  using enum tensor_type;
  return type != q8_1 && type != q8_k && type != i8 && type != i16 && type != i32 && type != i64 && type != f64;
}

/// Makes a rule of PATTERN=TYPE. PATTERN is a regular expression (ECMAScript, upper and lower case alike) that is
/// looked for in the name: `ffn_down`, `^output\.weight$`, `blk\.[0-3]\.`. Errors: bad_pattern (none, or no regular
/// expression), bad_type (not one for weights).
inline result<override_rule> parse_override(std::string_view text) {
  const std::size_t equals = text.rfind('=');
  if (equals == std::string_view::npos || equals == 0)
    return error(errc::bad_pattern, error::nowhere, text);
  const type_info* type = find_format(text.substr(equals + 1));
  if (!type || !holds_weights(type->type))
    return error(errc::bad_type, error::nowhere, text.substr(equals + 1));
  try {
    const auto pattern = std::make_shared<const std::regex>(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(equals),
                                                            std::regex::ECMAScript | std::regex::icase | std::regex::optimize);
    return override_rule{[pattern](const std::string& name) { return std::regex_search(name, *pattern); }, type->type};
  } catch (const std::regex_error&) {
    return error(errc::bad_pattern, error::nowhere, text.substr(0, equals));
  }
}

} // namespace quanta::recipe
