// The names of a file that is being written. They say who writes it, so that what a killed process left can be told.
#pragma once

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

#include <unistd.h>

#include "quanta/gguf/system_error.hpp"
#include "quanta/utf8.hpp"

namespace quanta::gguf::detail {

/// The folder of a path, with its slash, or "./".
inline std::string directory_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "./" : path.substr(0, slash + 1);
}

/// What a chain of symbolic links leads to, which need not exist.
inline result<std::string> end_of_links(std::string path) {
  constexpr int most = 40; // as the system itself
  for (int links = 0; links < most; ++links) {
    char text[4096];
    const ssize_t length = ::readlink(path.c_str(), text, sizeof text);
    if (length < 0)
      return path; // no link; whatever else is wrong, opening it tells
    if (length == sizeof text)
      return system_error(ENAMETOOLONG, path);
    const std::string to(text, static_cast<std::size_t>(length));
    path = to.starts_with('/') ? to : directory_of(path) + to;
  }
  return system_error(ELOOP, path);
}

/// A number for this machine: process ids mean nothing on others that share a folder.
inline std::uint32_t host_number() {
  char name[256] = {};
  static_cast<void>(::gethostname(name, sizeof name - 1));
  std::uint32_t hash = 2166136261u; // FNV-1a
  for (const char c : std::string_view(name))
    hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
  return hash;
}

/// "dir/NAME.HOST-PID-ATTEMPT.partial", where NAME is cut if the whole would be longer than names may be.
inline std::string temporary_name(const std::string& target, unsigned attempt) {
  char suffix[64];
  const int length = std::snprintf(suffix, sizeof suffix, ".%08lx-%ld-%u.partial", static_cast<unsigned long>(host_number()),
                                   static_cast<long>(::getpid()), attempt);
  const std::size_t slash = target.rfind('/');
  const std::size_t start = slash == std::string::npos ? 0 : slash + 1;
  const long most = ::pathconf(directory_of(target).c_str(), _PC_NAME_MAX);
  const std::size_t room = static_cast<std::size_t>((most > 64 ? most : 255) - length);
  return target.substr(0, start) + std::string(utf8_prefix(std::string_view(target).substr(start), room)) + suffix;
}

struct writing_process {
  std::uint32_t host = 0;
  long process = 0;
};
/// Who writes a file of such a name, if it is one.
inline std::optional<writing_process> parse_temporary_name(std::string_view name) {
  constexpr std::string_view ending = ".partial";
  if (!name.ends_with(ending))
    return std::nullopt;
  name.remove_suffix(ending.size());
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos || dot == 0)
    return std::nullopt;
  writing_process who;
  unsigned attempt = 0;
  const char *at = name.data() + dot + 1, *end = name.data() + name.size();
  const auto number = [&](auto& value, int base, bool last) {
    const auto [next, failed] = std::from_chars(at, end, value, base);
    at = next + (next != end);
    return failed == std::errc{} && (last ? next == end : next != end && *next == '-');
  };
  if (!number(who.host, 16, false) || !number(who.process, 10, false) || !number(attempt, 10, true) || who.process <= 0)
    return std::nullopt;
  return who;
}

} // namespace quanta::gguf::detail
