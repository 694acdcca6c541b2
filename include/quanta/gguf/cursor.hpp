// Reads the header of a file front to back, with every length checked against what is left.
#pragma once

#include <algorithm>
#include <vector>

#include "quanta/bytes.hpp"
#include "quanta/gguf/source.hpp"
#include "quanta/gguf/value.hpp"
#include "quanta/utf8.hpp"

namespace quanta::gguf {

/// The longest string and the largest array that any reader of the format accepts.
inline constexpr std::uint64_t longest = std::uint64_t{1} << 30;

class cursor {
public:
  explicit cursor(const source& from) : source_(from), size_(from.size()), buffer_(1 << 16) {}

  std::uint64_t offset() const { return offset_; }
  std::uint64_t left() const { return size_ - offset_; }

  /// Whether nothing but padding is left: then a count in the header was larger than what follows it.
  bool only_padding_left() const {
    std::vector<std::byte> rest(left() < 65536 ? static_cast<std::size_t>(left()) : 0);
    return left() == rest.size() && source_.read(offset_, rest) &&
           std::ranges::all_of(rest, [](std::byte b) { return b == std::byte{0}; });
  }
  /// Copies the next bytes. The caller has allocated no more than `left()`.
  result<void> read(std::span<std::byte> out) {
    if (out.size() > left())
      return error(errc::truncated, offset_);
    while (!out.empty()) {
      if (offset_ < begin_ || offset_ >= end_) {
        const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(buffer_.size(), left()));
        if (const auto done = source_.read(offset_, std::span(buffer_).first(count)); !done)
          return done.error();
        begin_ = offset_;
        end_ = offset_ + count;
      }
      const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), end_ - offset_));
      std::memcpy(out.data(), buffer_.data() + (offset_ - begin_), count);
      out = out.subspan(count);
      offset_ += count;
    }
    return {};
  }
  template <class T>
  result<T> number() {
    packed<T> p{};
    if (const auto done = read(std::as_writable_bytes(std::span(&p, 1))); !done)
      return done.error();
    return p.get();
  }
  /// A string: 64-bit length, then bytes.
  result<std::string> string() {
    const std::uint64_t where = offset_;
    const auto length = number<std::uint64_t>();
    if (!length)
      return length.error();
    if (*length > longest)
      return error(errc::string_too_long, where);
    if (*length > left())
      return error(errc::truncated, where);
    std::string text(static_cast<std::size_t>(*length), '\0');
    if (const auto done = read(std::as_writable_bytes(std::span(text))); !done)
      return done.error();
    return text;
  }
  /// A value of a type, which the caller has read.
  result<value> typed_value(std::uint32_t type, std::string_view key) {
    const std::uint64_t where = offset_;
    if (type >= value_type_count)
      return error(errc::bad_value_type, where, key);
    value v;
    v.type = static_cast<value_type>(type);
    if (v.type == value_type::string) {
      const auto text = string();
      if (!text)
        return text.error().about(key);
      return value::of(*text);
    }
    if (v.type != value_type::array) {
      v.bytes.resize(fixed_size(v.type));
      if (const auto done = read(v.bytes); !done)
        return done.error().about(key);
      if (v.type == value_type::boolean && v.bytes[0] > std::byte{1})
        return error(errc::bad_bool, where, key);
      return v;
    }
    return array_value(std::move(v), key);
  }

private:
  result<value> array_value(value v, std::string_view key) {
    const std::uint64_t where = offset_;
    const auto element = number<std::uint32_t>();
    if (!element)
      return element.error().about(key);
    if (*element >= value_type_count)
      return error(errc::bad_array_type, where, key);
    v.element = static_cast<value_type>(*element);
    if (v.element == value_type::array)
      return error(errc::nesting, where, key);
    const auto count = number<std::uint64_t>();
    if (!count)
      return count.error().about(key);
    const std::uint64_t smallest = v.element == value_type::string ? 8 : fixed_size(v.element);
    if (*count > longest)
      return error(errc::array_too_long, where, key);
    if (*count > left() / smallest)
      return error(errc::truncated, where, key);
    v.count = *count;
    if (v.element == value_type::string) {
      for (std::uint64_t i = 0; i < *count; ++i) {
        const auto text = string();
        if (!text)
          return text.error().about(key);
        const packed<std::uint64_t> length(text->size());
        const auto* prefix = reinterpret_cast<const std::byte*>(&length);
        v.bytes.insert(v.bytes.end(), prefix, prefix + 8);
        const auto* characters = reinterpret_cast<const std::byte*>(text->data());
        v.bytes.insert(v.bytes.end(), characters, characters + text->size());
      }
      return v;
    }
    v.bytes.resize(static_cast<std::size_t>(*count * smallest));
    if (const auto done = read(v.bytes); !done)
      return done.error().about(key);
    if (v.element == value_type::boolean && std::ranges::any_of(v.bytes, [](std::byte b) { return b > std::byte{1}; }))
      return error(errc::bad_bool, where, key);
    return v;
  }

  const source& source_;
  std::uint64_t size_, offset_ = 0, begin_ = 0, end_ = 0;
  std::vector<std::byte> buffer_;
};

} // namespace quanta::gguf
