// What the codebook formats (IQ1, IQ2, IQ3) share: 256 weights, of which 8 or 4 neighbours are one entry of a codebook.
#pragma once

#include "quanta/formats/grids/expand.hpp"
#include "quanta/formats/super_block.hpp"

namespace quanta::detail {

struct codebook_block_traits : super_block_traits {
  static constexpr bool affine = false;
  static constexpr int code_offset = 64; // codes are seen as signed value + 64, 2 to 126

  constexpr float minimum(std::size_t) const { return 0.f; }
};

/// 7-bit sign indices in the low 28 bits of a word as four sign bytes: the eighth sign makes the number of minus signs even.
[[gnu::always_inline]] constexpr std::uint32_t even_signs(std::uint32_t fields) {
  const std::uint32_t seven =
      (fields & 0x7Fu) | (fields << 1 & 0x7F00u) | (fields << 2 & 0x7F0000u) | (fields << 3 & 0x7F000000u);
  std::uint32_t parity = (seven ^ seven >> 4) & 0x0F0F0F0Fu;
  parity ^= parity >> 2;
  parity ^= parity >> 1;
  return seven | (parity & 0x01010101u) << 7;
}

/// The same for one index, as 8 bytes that are 0xFF where the sign is minus: a load each, where the bits cost 20 instructions.
inline constexpr auto even_sign_masks = [] {
  std::array<std::uint64_t, 128> masks{};
  for (std::uint32_t index = 0; index < 128; ++index)
    masks[index] = spread_bits(static_cast<std::uint8_t>(even_signs(index)));
  return masks;
}();

/// Where four 8-vectors have a minus: from their sign indices, `width` bits apart in `fields`, the first at `first`.
template <class Isa>
[[gnu::always_inline]] inline simd::code_bytes<Isa> minus_signs(std::uint64_t fields, int first, int width) {
  const auto mask = [&](int k) __attribute__((always_inline)) { return even_sign_masks[fields >> (first + k * width) & 127]; };
  return simd::from_words<Isa>(mask(0), mask(1), mask(2), mask(3));
}
/// The same from 32 bits of their own.
template <class Isa>
[[gnu::always_inline]] inline simd::code_bytes<Isa> minus_signs(std::uint32_t bits) {
  return simd::expand_bits<0xFF, Isa>(bits);
}

/// Seven bits in each byte and above them their parity: sign indices as sign bits.
template <class Isa>
[[gnu::always_inline]] inline simd::code_bytes<Isa> even_sign_bytes(const simd::code_bytes<Isa>& indices) {
  static constexpr std::array<std::uint8_t, 16> parity{0,    0x80, 0x80, 0,    0x80, 0,    0,    0x80,
                                                       0x80, 0,    0,    0x80, 0,    0x80, 0x80, 0};
  return indices | (simd::look_up(parity, simd::move_bits<0, 4, 0>(indices)) ^
                    simd::look_up(parity, simd::move_bits<4, 4, 0>(indices)));
}
/// Bytes as words, the sign bits of 64 weights each.
template <class Isa>
[[gnu::always_inline]] inline std::array<std::uint64_t, 4> as_sign_words(const simd::code_bytes<Isa>& bytes) {
  return std::bit_cast<std::array<std::uint64_t, 4>>(bytes);
}
/// Four sign indices of 7 bits in each word of 4 bytes, moved to a byte each.
template <class Isa>
[[gnu::always_inline]] inline simd::code_bytes<Isa> spread_sign_indices(const simd::code_bytes<Isa>& fields) {
  using V = simd::vec<std::int32_t, 8, Isa>;
  const V f = std::bit_cast<V>(fields);
  return std::bit_cast<simd::code_bytes<Isa>>(
      (f & simd::fill<V>(0x7F)) | (simd::shift_left<1>(f) & simd::fill<V>(0x7F00)) |
      (simd::shift_left<2>(f) & simd::fill<V>(0x7F0000)) | (simd::shift_left<3>(f) & simd::fill<V>(0x7F000000)));
}
/// Books that registers hold: w.level_words<Isa, Half>() are 32 entries as words of levels (of all 256 weights, or of half of
/// them) and w.sign_words<Isa>() is a bit a weight.
template <class Isa, class B>
concept has_level_words = simd::has_word_tables<Isa> && requires(const B& w) { w.template level_words<Isa, 0>(); };
/// Levels a word of such a book.
template <class B>
inline constexpr int levels_a_word = B::book::bits == 2 ? 8 : 4;

/// All such words of a block.
template <class Isa, class B>
struct unpacked_levels {
  static constexpr int halves = 8 / levels_a_word<B>;

  simd::index_words<Isa> words[halves];
  std::array<std::uint64_t, 4> negative;

  [[gnu::always_inline]] explicit unpacked_levels(const B& w) : negative(w.template sign_words<Isa>()) {
    words[0] = w.template level_words<Isa, 0>();
    if constexpr (halves == 2)
      words[1] = w.template level_words<Isa, 1>();
  }
};
/// Formats B of such books.
template <class B>
struct level_block : codebook_block_traits {
  template <class Isa>
    requires simd::has_word_tables<Isa>
  [[gnu::always_inline]] unpacked_levels<Isa, B> unpack() const {
    return unpacked_levels<Isa, B>(static_cast<const B&>(*this));
  }
  template <class Isa, int Pair>
  [[gnu::always_inline]] static simd::double_code_bytes<Isa> double_codes(const unpacked_levels<Isa, B>& w) {
    constexpr int first = 64 * Pair / levels_a_word<B>; // word
    const auto magnitudes = simd::unpack_levels<static_cast<int>(B::book::bits), first % 32, Isa>(w.words[first / 32],
                                                                                                 B::book::values_by_level);
    return simd::apply_signs<code_offset, Isa>(magnitudes, w.negative[Pair]);
  }
  template <class Isa, int Pair>
    requires simd::has_word_tables<Isa>
  [[gnu::always_inline]] simd::double_code_bytes<Isa> double_codes() const {
    return double_codes<Isa, Pair>(unpack<Isa>());
  }
};

/// The four indices of a word of them.
[[gnu::always_inline]] constexpr std::array<std::size_t, 4> indices_of(std::uint64_t four) {
  return {four & 0xFFFF, four >> 16 & 0xFFFF, four >> 32 & 0xFFFF, four >> 48};
}
/// 32 bytes: four entries of 8, or eight of 4.
template <class Isa, std::size_t N>
[[gnu::always_inline]] inline simd::code_bytes<Isa> load_entries(const std::array<std::uint64_t, N>& table,
                                                                 std::uint64_t four) {
  const auto i = indices_of(four);
  return simd::from_words<Isa>(table[i[0]], table[i[1]], table[i[2]], table[i[3]]);
}
template <class Isa, std::size_t N>
[[gnu::always_inline]] inline simd::code_bytes<Isa> load_entries(const std::array<std::uint32_t, N>& table, std::uint64_t four,
                                                                 std::uint64_t next) {
  const auto i = indices_of(four), j = indices_of(next);
  return simd::load_entries<Isa>(table.data(), {i[0], i[1], i[2], i[3], j[0], j[1], j[2], j[3]});
}
/// 64 bytes.
template <class Isa, std::size_t N>
[[gnu::always_inline]] inline simd::double_code_bytes<Isa> load_double_entries(const std::array<std::uint64_t, N>& table,
                                                                               std::uint64_t four, std::uint64_t next) {
  const auto i = indices_of(four), j = indices_of(next);
  return simd::from_double_words<Isa>(
      {table[i[0]], table[i[1]], table[i[2]], table[i[3]], table[j[0]], table[j[1]], table[j[2]], table[j[3]]});
}

/// 32 codes from magnitudes; `negative` is 0xFF where a value is: 64 + m, or ~m + 65 = 64 - m.
template <class Isa>
[[gnu::always_inline]] inline simd::code_bytes<Isa> signed_codes(const simd::code_bytes<Isa>& magnitudes,
                                                                 const simd::code_bytes<Isa>& negative) {
  return (magnitudes ^ negative) + (simd::fill<simd::code_bytes<Isa>>(64) - negative);
}
/// The same for one value.
constexpr int signed_code(int magnitude, std::uint32_t signs, std::size_t bit) {
  return (signs >> bit & 1) != 0 ? 64 - magnitude : 64 + magnitude;
}

/// 2 n + 1 in each byte; n at most 15.
[[gnu::always_inline]] constexpr std::uint64_t odd_multiples(std::uint64_t n) { return n << 1 | 0x0101010101010101ull; }

/// The same of 16 words n * 2^8.
template <class Isa>
[[gnu::always_inline]] inline simd::vec<std::int16_t, 16, Isa> odd_multiples(const simd::vec<std::int16_t, 16, Isa>& n) {
  return simd::shift_right<7>(n) | simd::fill<simd::vec<std::int16_t, 16, Isa>>(1);
}
/// The same of the upper 4 bits of 8 words, each of them twice.
template <class Isa>
[[gnu::always_inline]] inline simd::vec<std::int16_t, 16, Isa> odd_multiples_of_tops(const simd::code_bytes<Isa>& words) {
  using V = simd::vec<std::uint32_t, 8, Isa>;
  const V n = simd::shift_right<27>(std::bit_cast<V>(words)) | simd::fill<V>(1);
  return std::bit_cast<simd::vec<std::int16_t, 16, Isa>>(n | simd::shift_left<16>(n));
}

/// Nibbles of two neighbouring groups in one byte, the first one low.
[[gnu::always_inline]] constexpr std::uint8_t join_nibbles(unsigned low, unsigned high) {
  return static_cast<std::uint8_t>(low | high << 4);
}

} // namespace quanta::detail
