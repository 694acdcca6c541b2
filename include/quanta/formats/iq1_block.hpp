// What iq1_s and iq1_m share: entries of one book of ternary 8-vectors, and a shift of an eighth up or down.
#pragma once

#include "quanta/formats/codebook_block.hpp"
#include "quanta/formats/grids/iq1s.hpp"

namespace quanta::detail {

/// The entries of a book of 2^11 with a shift, first those that are shifted up: 32 KiB of read-only data, so that a vector
/// costs one load. A template, so that only those who use it work it out.
template <class Book>
struct shifted_entries {
  static constexpr std::size_t down = 2048;

  static constexpr int value(std::size_t entry, std::size_t j) {
    return Book::value(entry % down, j) + (entry < down ? 1 : -1);
  }
  static inline constinit const std::array<std::uint64_t, 2 * down> words = [] {
    std::array<std::uint64_t, 2 * down> all{};
    for (std::size_t i = 0; i < down; ++i) {
      for (std::size_t j = 0; j < 8; ++j)
        all[i] |= static_cast<std::uint64_t>(value(i, j)) << 8 * j;
      all[down + i] = all[i] - 0x0202020202020202ull;
    }
    return all;
  }();
};

/// x = d / 8 * (2 s + 1) * (8 c +- 1): the shift is part of the code, so that it needs no sum of its own in products. B has
/// entry(k), the index of vector k with bit 11 where its shift is down, and high_bits<Isa>(), what is above the lowest 8 bits.
template <class B>
struct iq1_block : codebook_block_traits {
  static constexpr int code_offset = 16;
  static constexpr float unit = 0.125f;
  static constexpr bool decodes_unpacked = true;
  using book = grids::expanded<grids::iq1s, 8, 16, 24>; // 8 c + 16 for c in -1, 0, 1
  using shifted = shifted_entries<book>;

  constexpr int code(std::size_t i) const { return shifted::value(block().entry(i / 8), i % 8); }
  /// Of all vectors, in words of four.
  template <class Isa>
    requires simd::has_index_words<Isa>
  [[gnu::always_inline]] std::array<std::uint64_t, 8> unpack() const {
    const auto low = simd::widen_indices<Isa>(simd::load<simd::code_bytes<Isa>>(block().qs.data()));
    return simd::as_double_words<Isa>(low | block().template high_bits<Isa>());
  }
  template <class Isa, int Portion>
  [[gnu::always_inline]] static simd::code_bytes<Isa> codes(const std::array<std::uint64_t, 8>& entries) {
    return load_entries<Isa>(shifted::words, entries[Portion]);
  }
  template <class Isa, int Pair>
  [[gnu::always_inline]] static simd::double_code_bytes<Isa> double_codes(const std::array<std::uint64_t, 8>& entries) {
    return load_double_entries<Isa>(shifted::words, entries[2 * Pair], entries[2 * Pair + 1]);
  }
  template <class Isa, int Portion>
  [[gnu::always_inline]] simd::code_bytes<Isa> codes() const {
    constexpr std::size_t k = 4 * Portion;
    const B& w = block();
    const auto& words = shifted::words;
    return simd::from_words<Isa>(words[w.entry(k)], words[w.entry(k + 1)], words[w.entry(k + 2)], words[w.entry(k + 3)]);
  }
  template <class Isa, int Pair>
    requires simd::has_word_tables<Isa>
  [[gnu::always_inline]] simd::double_code_bytes<Isa> double_codes() const {
    return double_codes<Isa, Pair>(unpack<Isa>());
  }

private:
  [[gnu::always_inline]] constexpr const B& block() const { return static_cast<const B&>(*this); }
};

} // namespace quanta::detail
