// Fields of a block: little-endian, at any address, without padding.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace quanta {
namespace detail {
/// From the machine's order of bytes to that of files, or back.
template <std::size_t N>
[[gnu::always_inline]] constexpr std::array<std::uint8_t, N> little_endian(std::array<std::uint8_t, N> bytes) {
  if constexpr (std::endian::native == std::endian::big)
    for (std::size_t i = 0; i < N / 2; ++i)
      std::swap(bytes[i], bytes[N - 1 - i]);
  return bytes;
}
} // namespace detail

/// A T stored as sizeof(T) little-endian bytes with alignment 1, so that a struct of fields *is* the block of the file.
template <class T>
  requires std::is_trivially_copyable_v<T>
struct packed {
  std::array<std::uint8_t, sizeof(T)> bytes;

  packed() = default;
  [[gnu::always_inline]] constexpr packed(T value) { *this = value; }
  [[gnu::always_inline]] constexpr packed& operator=(T value) {
    bytes = detail::little_endian(std::bit_cast<decltype(bytes)>(value));
    return *this;
  }
  [[gnu::always_inline]] constexpr T get() const { return std::bit_cast<T>(detail::little_endian(bytes)); }
  [[gnu::always_inline]] constexpr operator T() const { return get(); }

  friend constexpr bool operator==(const packed&, const packed&) = default;
};

} // namespace quanta
