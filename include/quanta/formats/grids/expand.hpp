// From the compact codebooks to the words that kernels load: one look-up brings 8 (or 4) codes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace quanta::grids {

/// A codebook whose levels stand for `values`: 8 levels of 2 bits an entry if there are 3 values, 4 of 3 bits if there are 8.
template <const auto& Book, std::uint8_t... values>
struct expanded {
  static constexpr unsigned bits = sizeof...(values) > 4 ? 3 : 2;
  using word = std::conditional_t<bits == 2, std::uint64_t, std::uint32_t>;

  /// The value of level j of an entry.
  static constexpr std::uint8_t value(std::size_t entry, std::size_t j) {
    return of_level[Book[entry] >> bits * j & ((1u << bits) - 1)];
  }
  /// The values of all levels, for look-ups in registers, and the words of levels.
  static constexpr std::array<std::uint8_t, 16> values_by_level{values...};
  static constexpr auto& levels = Book;
  /// Word i holds the values of entry i, one a byte. Read-only data of the program that uses it, 1 to 16 KiB a book. Not
  /// constexpr: compilers work out a constexpr table where they first read its name, and this one only for those who use it.
  static inline constinit const std::array<word, Book.size()> words = [] {
    std::array<word, Book.size()> all{};
    for (std::size_t i = 0; i < all.size(); ++i)
      for (unsigned j = 0; j < sizeof(word); ++j)
        all[i] |= static_cast<word>(value(i, j)) << 8 * j;
    return all;
  }();

private:
  static constexpr std::uint8_t of_level[sizeof...(values)] = {values...};
};

} // namespace quanta::grids
