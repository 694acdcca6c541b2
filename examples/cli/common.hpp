// What the commands share: exit codes, errors in one line, text that is safe to print, rows as floats.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "quanta/dispatch.hpp"
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

/// One line on stderr. It is not an exception if it cannot be written: the exit code will say so.
template <class... T>
void complain(fmt::format_string<T...> text, T&&... arguments) {
  const std::string line = fmt::format("quanta: {}\n", fmt::format(text, std::forward<T>(arguments)...));
  std::fwrite(line.data(), 1, line.size(), stderr);
}

/// One line on stderr: the file, the error's name, where, what, and the system's reason.
inline int report(const std::string& path, const quanta::error& why) {
  std::string line = fmt::format("{}: {}", escaped(path), quanta::name(why.code));
  if (why.offset != quanta::error::nowhere)
    line += fmt::format(" at byte {}", why.offset);
  if (!why.subject().empty() && why.subject() != quanta::error(why.code, 0, path).subject())
    line += fmt::format(": {}", why.subject());
  if (why.system() != 0)
    line += fmt::format(": {}", std::generic_category().message(why.system()));
  complain("{}", line);
  return failure;
}

/// Decodes a row of any type that has kernels; f32 is copied.
inline void decode_row(quanta::tensor_type type, const std::byte* row, std::size_t columns, float* out) {
  if (type == quanta::tensor_type::f32)
    std::memcpy(out, row, columns * sizeof(float));
  else
    quanta::dispatch::find(type)->dequantize(row, columns, out);
}
inline bool has_kernels(quanta::tensor_type type) {
  return type == quanta::tensor_type::f32 || quanta::dispatch::find(type) != nullptr;
}

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

struct inspect_options {
  std::string path;
  bool json = false;
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
  std::vector<std::string> overrides;
  std::size_t threads = 0;
  bool no_fallback = false, pure = false, leave_output = false, allow_requantize = false, zero_nonfinite = false;
  bool force = false, dry_run = false, json = false, quiet = false;
};
int quantize(const quantize_options& options);

} // namespace tool
