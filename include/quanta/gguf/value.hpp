// Metadata values, kept byte for byte as the file has them.
#pragma once

#include <array>
#include <concepts>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "quanta/bytes.hpp"
#include "quanta/error.hpp"

namespace quanta::gguf {

enum class value_type : std::uint32_t {
  uint8 = 0,
  int8 = 1,
  uint16 = 2,
  int16 = 3,
  uint32 = 4,
  int32 = 5,
  float32 = 6,
  boolean = 7,
  string = 8,
  array = 9,
  uint64 = 10,
  int64 = 11,
  float64 = 12,
};
inline constexpr std::uint32_t value_type_count = 13;

constexpr std::string_view name(value_type type) {
  constexpr std::array<std::string_view, value_type_count> names{"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                                                 "bool", "string", "array", "u64", "i64", "f64"};
  return static_cast<std::size_t>(type) < names.size() ? names[static_cast<std::size_t>(type)] : "unknown";
}
/// Bytes of one value of a type of fixed size; 0 for strings, arrays and numbers that are no type.
constexpr std::size_t fixed_size(value_type type) {
  constexpr std::array<std::uint8_t, value_type_count> sizes{1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  return static_cast<std::size_t>(type) < sizes.size() ? sizes[static_cast<std::size_t>(type)] : 0;
}

/// The type that GGUF stores a C++ type as.
template <class T>
constexpr value_type value_type_of() {
  if constexpr (std::same_as<T, bool>)
    return value_type::boolean;
  else if constexpr (std::same_as<T, float>)
    return value_type::float32;
  else if constexpr (std::same_as<T, double>)
    return value_type::float64;
  else if constexpr (std::integral<T> && sizeof(T) == 1)
    return std::signed_integral<T> ? value_type::int8 : value_type::uint8;
  else if constexpr (std::integral<T> && sizeof(T) == 2)
    return std::signed_integral<T> ? value_type::int16 : value_type::uint16;
  else if constexpr (std::integral<T> && sizeof(T) == 4)
    return std::signed_integral<T> ? value_type::int32 : value_type::uint32;
  else if constexpr (std::integral<T>)
    return std::signed_integral<T> ? value_type::int64 : value_type::uint64;
  else
    return value_type::string;
}

/// One value: a scalar, a string, or an array of scalars or strings. Arrays of arrays do not occur. What reads it expects as
/// many bytes as its type and count ask for.
struct value {
  value_type type = value_type::uint8;
  value_type element = value_type::uint8; ///< of an array
  std::uint64_t count = 1;                ///< elements of an array
  /// A scalar's bytes, a string's characters, or an array's elements (strings each after its 64-bit length).
  std::vector<std::byte> bytes;

  template <class T>
    requires std::is_arithmetic_v<T>
  static value of(T x) {
    value v{.type = value_type_of<T>(), .bytes = std::vector<std::byte>(sizeof(T))};
    const packed<T> p(x);
    std::memcpy(v.bytes.data(), &p, sizeof(T));
    return v;
  }
  static value of(std::string_view text) {
    value v{.type = value_type::string, .bytes = std::vector<std::byte>(text.size())};
    if (!text.empty())
      std::memcpy(v.bytes.data(), text.data(), text.size());
    return v;
  }

  /// Whether the bytes are as many as type, element and count ask for. What a reader returns is.
  bool valid() const {
    if (type != value_type::array)
      return type == value_type::string || (fixed_size(type) != 0 && bytes.size() == fixed_size(type));
    const std::size_t size = fixed_size(element);
    if (size != 0)
      return bytes.size() % size == 0 && bytes.size() / size == count;
    if (element != value_type::string)
      return false;
    std::size_t at = 0;
    for (std::uint64_t i = 0; i < count; ++i) {
      packed<std::uint64_t> length;
      if (bytes.size() - at < sizeof length)
        return false;
      std::memcpy(&length, bytes.data() + at, sizeof length);
      at += sizeof length;
      if (bytes.size() - at < length)
        return false;
      at += static_cast<std::size_t>(length.get());
    }
    return at == bytes.size();
  }
  bool is_integer() const {
    return type != value_type::string && type != value_type::array && type != value_type::boolean &&
           type != value_type::float32 && type != value_type::float64;
  }
  /// The scalar with exactly this type.
  template <class T>
    requires std::is_arithmetic_v<T>
  std::optional<T> as() const {
    return type == value_type_of<T>() ? std::optional(element_at<T>(0)) : std::nullopt;
  }
  /// Any integer type; empty for other types and for numbers over 2^63 - 1.
  std::optional<std::int64_t> integer() const {
    switch (type) {
    case value_type::uint8: return element_at<std::uint8_t>(0);
    case value_type::int8: return element_at<std::int8_t>(0);
    case value_type::uint16: return element_at<std::uint16_t>(0);
    case value_type::int16: return element_at<std::int16_t>(0);
    case value_type::uint32: return element_at<std::uint32_t>(0);
    case value_type::int32: return element_at<std::int32_t>(0);
    case value_type::int64: return element_at<std::int64_t>(0);
    case value_type::uint64: {
      const auto x = element_at<std::uint64_t>(0);
      return x >> 63 ? std::nullopt : std::optional(static_cast<std::int64_t>(x));
    }
    default: return std::nullopt;
    }
  }
  /// Any number.
  std::optional<double> number() const {
    if (type == value_type::float32)
      return static_cast<double>(element_at<float>(0));
    if (type == value_type::float64)
      return element_at<double>(0);
    const auto whole = integer();
    return whole ? std::optional(static_cast<double>(*whole)) : std::nullopt;
  }
  std::optional<std::string_view> text() const {
    if (type != value_type::string)
      return std::nullopt;
    return std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  /// The array, if its elements have exactly this type.
  template <class T>
    requires std::is_arithmetic_v<T>
  std::optional<std::vector<T>> array_of() const {
    if (type != value_type::array || element != value_type_of<T>())
      return std::nullopt;
    QUANTA_EXPECTS(count <= bytes.size() / sizeof(T));
    std::vector<T> all;
    all.reserve(static_cast<std::size_t>(count));
    for (std::size_t i = 0; i < count; ++i)
      all.push_back(element_at<T>(i));
    return all;
  }
  /// The first `most` strings of an array of strings.
  std::optional<std::vector<std::string_view>> strings(std::uint64_t most = ~std::uint64_t{0}) const {
    if (type != value_type::array || element != value_type::string)
      return std::nullopt;
    std::vector<std::string_view> all;
    std::size_t at = 0;
    for (std::uint64_t i = 0; i < count && i < most; ++i) {
      packed<std::uint64_t> length;
      QUANTA_EXPECTS(bytes.size() - at >= sizeof length);
      std::memcpy(&length, bytes.data() + at, sizeof length);
      at += sizeof length;
      QUANTA_EXPECTS(bytes.size() - at >= length);
      all.emplace_back(reinterpret_cast<const char*>(bytes.data() + at), static_cast<std::size_t>(length.get()));
      at += static_cast<std::size_t>(length.get());
    }
    return all;
  }
  /// Element i of an array of T, or, as element 0, the scalar. Expects that it is there.
  template <class T>
  T element_at(std::size_t i) const {
    QUANTA_EXPECTS(i < bytes.size() / sizeof(T));
    if constexpr (std::same_as<T, bool>) {
      return bytes[i] != std::byte{0};
    } else {
      packed<T> p;
      std::memcpy(&p, bytes.data() + i * sizeof(T), sizeof(T));
      return p;
    }
  }
};

struct entry {
  std::string key;
  gguf::value value;
};

} // namespace quanta::gguf
