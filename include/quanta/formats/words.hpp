// Bytes of a block as words, wherever they lie and whatever the byte order of the machine.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace quanta::detail {

/// A little-endian word. Read at once where that is what the machine's order means: GCC finds the one load in four bytes only
/// after it has made vectors of them.
template <class Word>
[[gnu::always_inline]] constexpr Word load_word_of(const std::uint8_t* p) {
  if (std::endian::native == std::endian::little && !std::is_constant_evaluated()) {
    Word word;
    __builtin_memcpy(&word, p, sizeof word);
    return word;
  }
  Word word = 0;
  for (std::size_t k = sizeof(Word); k-- > 0;)
    word = static_cast<Word>(word << 8 | p[k]);
  return word;
}
[[gnu::always_inline]] constexpr std::uint32_t load_word(const std::uint8_t* p) { return load_word_of<std::uint32_t>(p); }
[[gnu::always_inline]] constexpr std::uint64_t load_double_word(const std::uint8_t* p) {
  return load_word_of<std::uint64_t>(p);
}
template <class Word>
[[gnu::always_inline]] constexpr void store_word(std::uint8_t* p, Word word) {
  if (std::endian::native == std::endian::little && !std::is_constant_evaluated())
    __builtin_memcpy(p, &word, sizeof word);
  else
    for (std::size_t k = 0; k < sizeof word; ++k)
      p[k] = static_cast<std::uint8_t>(word >> 8 * k);
}
/// Two words of four bytes as eight.
constexpr std::uint64_t join_words(std::uint32_t low, std::uint32_t high) {
  return low | static_cast<std::uint64_t>(high) << 32;
}

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

/// 8 codes below 16 at `low` and 8 at `high`, as nibbles of 8 bytes.
[[gnu::always_inline]] constexpr std::uint64_t pack_nibbles(const std::uint8_t* low, const std::uint8_t* high) {
  constexpr std::uint64_t nibbles = 0x0F0F0F0F0F0F0F0Full;
  return (load_double_word(low) & nibbles) | (load_double_word(high) & nibbles) << 4;
}

} // namespace quanta::detail
