// UTF-8, one character at a time.
#pragma once

#include <cstddef>
#include <string_view>

namespace quanta {

/// A character and the bytes it takes; no bytes: the text does not start with a well-formed character.
struct utf8_character {
  char32_t code = 0;
  std::size_t length = 0;
};

/// The first character of a text. Well-formed: no overlong forms, no surrogates, nothing above U+10FFFF.
constexpr utf8_character utf8_first(std::string_view text) {
  if (text.empty())
    return {};
  const auto lead = static_cast<unsigned char>(text[0]);
  const std::size_t length = lead < 0x80 ? 1 : lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
  if (length == 0 || length > text.size())
    return {};
  char32_t code = length == 1 ? lead : lead & (0x7Fu >> length);
  for (std::size_t k = 1; k < length; ++k) {
    const auto byte = static_cast<unsigned char>(text[k]);
    if ((byte & 0xC0) != 0x80)
      return {};
    code = code << 6 | (byte & 0x3Fu);
  }
  const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
  if (overlong || (code >= 0xD800 && code <= 0xDFFF) || code > 0x10FFFF)
    return {};
  return {code, length};
}

/// Whether all of a text is well-formed.
constexpr bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = utf8_first(text).length;
    if (length == 0)
      return false;
    text.remove_prefix(length);
  }
  return true;
}

/// The longest part from the start of a text that has at most `most` bytes and cuts no character.
constexpr std::string_view utf8_prefix(std::string_view text, std::size_t most) {
  if (text.size() <= most)
    return text;
  std::size_t end = most;
  while (end > 0 && most - end < 3 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80)
    --end;
  return text.substr(0, utf8_first(text.substr(end)).length > most - end ? end : most);
}

/// Whether a character does something to a terminal, or to the characters beside it, instead of being shown: controls,
/// marks and overrides of direction, line and paragraph separators, and those that take no room at all.
constexpr bool is_invisible(char32_t c) {
  return c < 0x20 || (c >= 0x7F && c <= 0x9F) || c == 0xAD || c == 0x61C || (c >= 0x200B && c <= 0x200F) ||
         (c >= 0x2028 && c <= 0x202E) || (c >= 0x2060 && c <= 0x206F) || c == 0xFEFF || (c >= 0xFFF9 && c <= 0xFFFB) ||
         (c >= 0xE0000 && c <= 0xE007F);
}

} // namespace quanta
