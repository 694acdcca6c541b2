// Entries of codebooks out of registers: where one instruction looks 32 words up in a table of 64, a book of 256 or 512
// words of levels is 4 or 8 of them, and an entry costs no load. Its levels are unpacked 64 at a time. Dot on AVX-512, Zen 5,
// GFLOP/s: iq3_xxs 22 to 44, iq3_s 22 to 41, iq2_xxs 30 to 47, iq2_xs 38 to 44; with the 1,024 words of iq2_s 43 to 35.
#pragma once

#include "quanta/simd/codes.hpp"

namespace quanta::simd {

/// Levels that have such tables.
template <class Isa>
inline constexpr bool has_word_tables = requires { requires native<Isa>::has_word_tables; };
/// Levels that unpack the indices of all entries of a block at once: those with tables, and AVX2. The words below are only for
/// these.
template <class Isa>
inline constexpr bool has_index_words = requires { requires native<Isa>::has_index_words; };
/// Those of them whose entries are loaded from memory, a portion at a time.
template <class Isa>
inline constexpr bool loads_portions = has_index_words<Isa> && !has_word_tables<Isa>;
template <class Isa>
using index_words = vec<std::uint16_t, 32, Isa>;

/// The low halves of 8 words of 8 bytes at p, and the high ones.
template <class Isa>
[[gnu::always_inline]] inline std::array<code_bytes<Isa>, 2> split_double_words(const std::uint8_t* p) {
  return native<Isa>::split_double_words(p);
}
/// 32 bytes as words, and the low bytes of 32 words.
template <class Isa>
[[gnu::always_inline]] inline index_words<Isa> widen_indices(const code_bytes<Isa>& bytes) {
  return native<Isa>::widen_indices(bytes);
}
template <class Isa>
[[gnu::always_inline]] inline code_bytes<Isa> narrow_indices(const index_words<Isa>& words) {
  return native<Isa>::narrow_indices(words);
}
/// Bit Bit of each word, which is 0, from a bit each.
template <int Bit, class Isa>
[[gnu::always_inline]] inline index_words<Isa> set_bits(const index_words<Isa>& words, std::uint32_t bits) {
  return native<Isa>::template set_bits<Bit>(words, bits);
}
/// table[index mod Count] of 32 indices, for Count words.
template <std::size_t Count, class Isa>
[[gnu::always_inline]] inline index_words<Isa> look_up_words(const std::uint16_t* table, const index_words<Isa>& indices) {
  return native<Isa>::template look_up_words<Count>(table, indices);
}
/// The words of four indices each. They are taken apart in general registers: through memory, narrow loads wait for the wide
/// store (34 instead of 43 GFLOP/s of iq1_s on AVX-512), and out of the register one by one they are two instructions each.
template <class Isa>
[[gnu::always_inline]] inline std::array<std::uint64_t, 8> as_double_words(const index_words<Isa>& words) {
  return [&]<int... k>(std::integer_sequence<int, k...>) __attribute__((always_inline)) {
    return std::array<std::uint64_t, 8>{native<Isa>::template double_word<k>(words)...};
  }(std::make_integer_sequence<int, 8>{});
}
/// 64 bytes from 8 words.
template <class Isa>
[[gnu::always_inline]] inline double_code_bytes<Isa> from_double_words(const std::array<std::uint64_t, 8>& words) {
  return native<Isa>::from_double_words(words);
}
/// table[index] of 8 indices, as bytes.
template <class Isa>
[[gnu::always_inline]] inline code_bytes<Isa> load_entries(const std::uint32_t* table,
                                                           const std::array<std::size_t, 8>& indices) {
  return native<Isa>::load_entries(table, indices);
}
/// 32 fields of 16 bytes at p, `Fields` of them in each word of 2 bytes and Width bits apart: Count bits from bit From, moved
/// to bit To of a word each.
template <int Width, int Fields, int From, int Count, int To, class Isa>
[[gnu::always_inline]] inline index_words<Isa> spread_fields(const std::uint8_t* p) {
  return native<Isa>::template spread_fields<Width, Fields, From, Count, To>(p);
}
/// 16 of 32 words, as signed ones.
template <int Half, class Isa>
[[gnu::always_inline]] inline vec<std::int16_t, 16, Isa> half_of(const index_words<Isa>& words) {
  return native<Isa>::template half_of<Half>(words);
}
/// 0xFF where the bit of a code is 1, of 32 bytes of bits, for the codes from 32 Portion on.
template <int Portion, class Isa>
[[gnu::always_inline]] inline code_bytes<Isa> expand_portion(const code_bytes<Isa>& bits) {
  return native<Isa>::template expand_portion<Portion>(bits);
}
/// values[level] of 64 levels, from word First on: 8 levels of 2 bits a word, or 4 of 3 bits.
template <int Bits, int First, class Isa>
[[gnu::always_inline]] inline double_code_bytes<Isa> unpack_levels(const index_words<Isa>& words,
                                                                   const std::array<std::uint8_t, 16>& values) {
  return native<Isa>::template unpack_levels<Bits, First>(words, values);
}
/// values[level] of 16 levels, from word First on, times -1 where the bit of `negative` is 1. The values of 4 levels stand four
/// times in a row, those of 8 levels twice.
template <int Bits, int First, class Isa>
[[gnu::always_inline]] inline vec<float, 16, Isa>
look_up_levels(const index_words<Isa>& words, const vec<float, 16, Isa>& values, std::uint16_t negative) {
  return native<Isa>::template look_up_levels<Bits, First>(words, values, negative);
}
/// Offset + magnitude, or Offset - magnitude where the bit of `negative` is 1.
template <int Offset, class Isa>
[[gnu::always_inline]] inline double_code_bytes<Isa> apply_signs(const double_code_bytes<Isa>& magnitudes,
                                                                 std::uint64_t negative) {
  return native<Isa>::template apply_signs<Offset>(magnitudes, negative);
}

} // namespace quanta::simd
