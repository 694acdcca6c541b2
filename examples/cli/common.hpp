// What the commands share: options, exit codes, errors in one line, text that is safe to print.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "quanta/gguf/gguf.hpp"
#include "quanta/utf8.hpp"

namespace tool {

/// 0: fine; 1: wrong usage, or a gate such as --max-rms failed; 2: bad data, or the world refused.
inline constexpr int success = 0, gate_failed = 1, failure = 2;

/// Text from a file without anything that a terminal would act on, or that would not be seen: the bytes of such a character
/// are written as \xNN, and so is each byte that belongs to no character.
inline std::string escaped(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const quanta::utf8_character c = quanta::utf8_first(text);
    const std::string_view bytes = text.substr(0, c.length ? c.length : 1);
    if (c.length != 0 && !quanta::is_invisible(c.code))
      out += bytes;
    else
      for (const char byte : bytes) {
        constexpr std::string_view hex = "0123456789abcdef";
        const auto value = static_cast<unsigned char>(byte);
        out += {'\\', 'x', hex[value >> 4], hex[value & 15]};
      }
    text.remove_prefix(bytes.size());
  }
  return out;
}

/// Text on stderr. No exception if it cannot be written, since work goes on without it: the exit code will say so.
inline void print_stderr(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stderr); }
/// One line on stderr.
template <class... T>
void complain(fmt::format_string<T...> text, T&&... arguments) {
  print_stderr(fmt::format("quanta: {}\n", fmt::format(text, std::forward<T>(arguments)...)));
}

/// One line on stderr: the file, the error's name, where, what, the system's reason, and what may help.
inline int report(const std::string& path, const quanta::error& why, std::string_view hint = {}) {
  std::string line = fmt::format("{}: {}", escaped(path), quanta::name(why.code));
  if (why.offset != quanta::error::nowhere)
    line += fmt::format(" at byte {}", why.offset);
  if (!why.subject().empty() && why.subject() != quanta::error(why.code, 0, path).subject())
    line += fmt::format(": {}", why.subject());
  if (why.system() != 0)
    line += fmt::format(": {}", std::generic_category().message(why.system()));
  if (!hint.empty())
    line += fmt::format("; {}", hint);
  complain("{}", line);
  return failure;
}

/// Reports a file that could not be read, with what it seems to be, or what would accept it.
int report_unreadable(const std::string& path, const quanta::error& why);

/// "[256 x 768]"
inline std::string shape(const std::vector<std::uint64_t>& dims) { return fmt::format("[{}]", fmt::join(dims, " x ")); }
/// Bytes with the decimal unit that suits them.
inline std::string size(std::uint64_t bytes) {
  const double b = static_cast<double>(bytes);
  return bytes < 10'000 ? fmt::format("{} B", bytes)
         : b < 1e6      ? fmt::format("{:.1f} kB", b / 1e3)
         : b < 1e9      ? fmt::format("{:.2f} MB", b / 1e6)
                        : fmt::format("{:.2f} GB", b / 1e9);
}

/// Text from a file as a string of JSON.
inline std::string json_text(std::string_view text) { return nlohmann::ordered_json(escaped(text)).dump(); }
/// A number of JSON, or the word for it where JSON has no number: a missing one could be taken for a small one.
inline std::string json_number(double x) { return std::isfinite(x) ? fmt::format("{}", x) : fmt::format("\"{}\"", x); }

/// Items of a JSON array or object, printed one by one: objects of nlohmann::ordered_json look through all their keys for each
/// new one, and a list of all tensors takes much memory.
class json_items {
public:
  template <class... T>
  void add(fmt::format_string<T...> text, T&&... arguments) {
    fmt::print("{}    {}", first_ ? "\n" : ",\n", fmt::format(text, std::forward<T>(arguments)...));
    first_ = false;
  }

private:
  bool first_ = true;
};

struct inspect_options {
  std::string path;
  bool json = false, lax = false;
};
int inspect(const inspect_options& options);

struct compare_options {
  std::string original, other;
  bool json = false;
  double max_rms = -1; ///< negative: no gate
};
int compare(const compare_options& options);

struct size_options {
  std::string type, model = "llama-3-70b";
  bool json = false;
};
int predicted_size(const size_options& options);
int list_types();

struct quantize_options {
  std::string input, output, type, importance, output_type, token_embedding_type, search = "reference";
  std::string override_file, prune_layers;
  std::vector<std::string> overrides, key_overrides, include_weights, exclude_weights;
  std::size_t threads = 0;
  bool no_fallback = false, pure = false, leave_output = false, allow_requantize = false, zero_nonfinite = false;
  bool keep_split = false, lax = false, force = false, dry_run = false, json = false, quiet = false;
};
int quantize(const quantize_options& options);

} // namespace tool
