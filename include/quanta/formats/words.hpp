// Bytes of a block as words, wherever they lie and whatever the byte order of the machine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

namespace quanta::detail {

constexpr std::uint32_t load_word(const std::uint8_t* p) {
  return static_cast<std::uint32_t>(p[0]) | static_cast<std::uint32_t>(p[1]) << 8 |
         static_cast<std::uint32_t>(p[2]) << 16 | static_cast<std::uint32_t>(p[3]) << 24;
}
/// Two words of four bytes as eight.
constexpr std::uint64_t join_words(std::uint32_t low, std::uint32_t high) {
  return low | static_cast<std::uint64_t>(high) << 32;
}
constexpr std::uint64_t load_double_word(const std::uint8_t* p) { return join_words(load_word(p), load_word(p + 4)); }

/// byte_at(0) to byte_at(7), each below 256, the first one lowest: without a loop, which compilers keep.
template <class F>
[[gnu::always_inline]] constexpr std::uint64_t join_bytes(F byte_at) {
  return [&]<std::size_t... k>(std::index_sequence<k...>) __attribute__((always_inline)) {
    return ((static_cast<std::uint64_t>(byte_at(k)) << 8 * k) | ...);
  }(std::make_index_sequence<8>{});
}

/// 8 bits as bytes that are 0xFF where the bit is 1, the lowest bit first.
constexpr std::uint64_t spread_bits(std::uint8_t bits) {
  const std::uint64_t own_bit = bits * 0x0101010101010101ull & 0x8040201008040201ull; // in each byte its bit or 0
  return ((own_bit + 0x7F7F7F7F7F7F7F7Full) >> 7 & 0x0101010101010101ull) * 0xFF;
}

/// The lowest bits of 8 bytes, that of the first byte lowest. The product puts byte k's bit, at 8k, to 56 + k; no two meet.
constexpr std::uint8_t gather_bits(std::uint64_t bytes) {
  return static_cast<std::uint8_t>((bytes & 0x0101010101010101ull) * 0x0102040810204080ull >> 56);
}

} // namespace quanta::detail
