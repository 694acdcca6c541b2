// From the compact codebooks to the words that kernels load: one look-up brings 8 (or 4) codes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace quanta::grids {

/// Word i holds the values of the levels of codebook entry i, one a byte; `values` has one for each level. 8 levels of 2 bits
/// make words of 64 bits, 4 levels of 3 bits words of 32. Read-only data of the program that uses it, 1 to 16 KiB a book.
template <class Word, std::size_t Count, std::size_t Levels>
constexpr std::array<Word, Count> expand(const std::array<std::uint16_t, Count>& book,
                                         const std::array<std::uint8_t, Levels>& values) {
  constexpr unsigned bits = sizeof(Word) == 8 ? 2 : 3;
  std::array<Word, Count> words{};
  for (std::size_t i = 0; i < Count; ++i)
    for (unsigned j = 0; j < sizeof(Word); ++j)
      words[i] |= static_cast<Word>(values[book[i] >> bits * j & ((1u << bits) - 1)]) << 8 * j;
  return words;
}

} // namespace quanta::grids
