// Errors of the third tier: what outside data (files, bytes, values) can do wrong. Nothing here throws, allocates or prints.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "quanta/contract.hpp"

namespace quanta {

/// Why outside data was refused. The spelling of each name is part of the interface: tools print it, scripts match it.
enum class errc : std::uint8_t {
  // the file ends too early
  truncated,
  truncated_data,
  // header
  bad_magic,
  bad_version,
  wrong_endian,
  count_too_large,
  string_too_long,
  array_too_long,
  // metadata
  key_empty,
  key_too_long,
  bad_key_char,
  bad_utf8,
  key_duplicate,
  bad_value_type,
  bad_array_type,
  nesting,
  bad_bool,
  type_mismatch,
  missing_key,
  bad_alignment,
  // tensor directory
  name_too_long,
  name_duplicate,
  name_nul,
  bad_n_dims,
  bad_dim,
  bad_type,
  bad_row,
  size_overflow,
  bad_offset,
  overlap,
  gap,
  order,
  trailing,
  split_mismatch,
  // values
  nonfinite_scale,
  nonfinite_value,
  // what the caller asked for does not fit the data
  unsupported_type,
  importance_required,
  importance_mismatch,
  bad_importance,
  bad_pattern,
  shape_mismatch,
  missing_tensor,
  // the world
  bad_path,
  not_regular,
  exists,
  io_error,
  out_of_memory,
  no_space,
  interrupted,
  // int8 tensors
  bad_scale,
  bad_zero_point,
  accumulator_overflow,
};

namespace detail {
// clang-format off
inline constexpr std::array errc_names = std::to_array<std::string_view>({
    "truncated", "truncated_data", "bad_magic", "bad_version", "wrong_endian", "count_too_large", "string_too_long",
    "array_too_long", "key_empty", "key_too_long", "bad_key_char", "bad_utf8", "key_duplicate", "bad_value_type",
    "bad_array_type", "nesting", "bad_bool", "type_mismatch", "missing_key", "bad_alignment", "name_too_long", "name_duplicate",
    "name_nul", "bad_n_dims", "bad_dim", "bad_type", "bad_row", "size_overflow", "bad_offset", "overlap", "gap", "order",
    "trailing", "split_mismatch", "nonfinite_scale", "nonfinite_value", "unsupported_type", "importance_required",
    "importance_mismatch", "bad_importance", "bad_pattern", "shape_mismatch", "missing_tensor", "bad_path", "not_regular",
    "exists", "io_error", "out_of_memory", "no_space", "interrupted", "bad_scale", "bad_zero_point", "accumulator_overflow",
});
// clang-format on
static_assert(errc_names.size() == static_cast<std::size_t>(errc::accumulator_overflow) + 1, "every errc has a name");
} // namespace detail

/// The name of an error as tools print it, e.g. "bad_magic"; "unknown" for a number that is none.
constexpr std::string_view name(errc code) {
  const auto index = static_cast<std::size_t>(code);
  return index < detail::errc_names.size() ? detail::errc_names[index] : "unknown";
}

/// An error, where it happened, on what, and the system's reason for it: `subject` is a key, a tensor or a file, escaped
/// (printable ASCII only) and cut to 64 characters, so that it can be printed as it is.
struct error {
  static constexpr std::uint64_t nowhere = ~std::uint64_t{0};
  static constexpr std::size_t subject_capacity = 64;

  errc code{};
  std::uint64_t offset = nowhere; ///< byte offset in the file, or `nowhere`

  constexpr error() = default;
  constexpr error(errc why, std::uint64_t where = nowhere, std::string_view what = {}, int system_reason = 0)
      : code(why), offset(where), system_(system_reason) {
    for (char c : what) {
      constexpr std::string_view hex = "0123456789abcdef";
      const auto byte = static_cast<unsigned char>(c);
      const bool printable = byte >= 0x20 && byte < 0x7F;
      if (length_ + (printable ? 1u : 4u) > subject_capacity)
        break;
      if (printable) {
        text_[length_++] = c;
      } else {
        text_[length_++] = '\\';
        text_[length_++] = 'x';
        text_[length_++] = hex[byte >> 4];
        text_[length_++] = hex[byte & 15];
      }
    }
  }

  constexpr std::string_view subject() const { return {text_.data(), length_}; }
  /// The system's number for the reason (errno), or 0: no call of the system failed.
  constexpr int system() const { return system_; }
  /// The same error on a subject that is known only further out.
  constexpr error about(std::string_view what) const { return error(code, offset, what, system_); }

private:
  int system_ = 0;
  std::array<char, subject_capacity> text_{};
  std::uint8_t length_ = 0;
};

/// A value, or the error that kept it from being made. Reading the value of a failed result is a contract violation.
template <class T>
class [[nodiscard]] result {
public:
  constexpr result(T value) : value_(std::move(value)) {}
  constexpr result(quanta::error why) : error_(why) {}
  constexpr result(errc why) : error_(why) {}

  constexpr explicit operator bool() const { return value_.has_value(); }
  constexpr bool has_value() const { return value_.has_value(); }
  constexpr T& value() & {
    QUANTA_EXPECTS(has_value());
    return *value_;
  }
  constexpr const T& value() const& {
    QUANTA_EXPECTS(has_value());
    return *value_;
  }
  constexpr T&& value() && {
    QUANTA_EXPECTS(has_value());
    return std::move(*value_);
  }
  constexpr T& operator*() & { return value(); }
  constexpr const T& operator*() const& { return value(); }
  constexpr T&& operator*() && { return std::move(*this).value(); }
  constexpr T* operator->() { return &value(); }
  constexpr const T* operator->() const { return &value(); }
  constexpr const quanta::error& error() const {
    QUANTA_EXPECTS(!has_value());
    return error_;
  }

private:
  std::optional<T> value_;
  quanta::error error_;
};

/// Success, or an error.
template <>
class [[nodiscard]] result<void> {
public:
  constexpr result() = default;
  constexpr result(quanta::error why) : error_(why) {}
  constexpr result(errc why) : error_(quanta::error{why}) {}

  constexpr explicit operator bool() const { return has_value(); }
  constexpr bool has_value() const { return !error_.has_value(); }
  constexpr const quanta::error& error() const {
    QUANTA_EXPECTS(!has_value());
    return *error_;
  }

private:
  std::optional<quanta::error> error_;
};

} // namespace quanta
