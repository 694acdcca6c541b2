// Arithmetic on numbers that came from a file: an overflow is remembered instead of wrapping.
#pragma once

#include <cstdint>
#include <optional>

namespace quanta::gguf {

/// A 64-bit count or size; once an operation has left 0 .. 2^63 - 1 it stays invalid.
class checked {
public:
  static constexpr std::uint64_t limit = (std::uint64_t{1} << 63) - 1;

  constexpr checked(std::uint64_t value) : value_(value), valid_(value <= limit) {}

  constexpr bool valid() const { return valid_; }
  /// The number, if it never left the range.
  constexpr std::optional<std::uint64_t> value() const { return valid_ ? std::optional(value_) : std::nullopt; }

  friend constexpr checked operator+(checked a, checked b) {
    checked r(a.valid_ && b.valid_ && a.value_ <= limit - b.value_ ? a.value_ + b.value_ : limit + 1);
    return r;
  }
  friend constexpr checked operator*(checked a, checked b) {
    const bool fits = a.valid_ && b.valid_ && (a.value_ == 0 || b.value_ <= limit / a.value_);
    return checked(fits ? a.value_ * b.value_ : limit + 1);
  }
  /// The next multiple of a power of two.
  constexpr checked rounded_up(std::uint64_t alignment) const {
    const checked sum = *this + checked(alignment - 1);
    return sum.valid_ ? checked(sum.value_ & ~(alignment - 1)) : sum;
  }

private:
  std::uint64_t value_;
  bool valid_;
};

} // namespace quanta::gguf
