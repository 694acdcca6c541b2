// Fields of a block: little-endian, at any address, without padding.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace quanta {

/// A T stored as sizeof(T) little-endian bytes with alignment 1, so that a struct of fields *is* the block of the file.
template <class T>
  requires std::is_trivially_copyable_v<T>
struct packed {
  std::array<std::uint8_t, sizeof(T)> bytes;

  packed() = default;
  [[gnu::always_inline]] constexpr packed(T value) { *this = value; }
  [[gnu::always_inline]] constexpr packed& operator=(T value) {
    bytes = std::bit_cast<decltype(bytes)>(value);
    if constexpr (std::endian::native == std::endian::big)
      std::reverse(bytes.begin(), bytes.end());
    return *this;
  }
  [[gnu::always_inline]] constexpr T get() const {
    auto copy = bytes;
    if constexpr (std::endian::native == std::endian::big)
      std::reverse(copy.begin(), copy.end());
    return std::bit_cast<T>(copy);
  }
  [[gnu::always_inline]] constexpr operator T() const { return get(); }

  friend constexpr bool operator==(const packed&, const packed&) = default;
};

} // namespace quanta
