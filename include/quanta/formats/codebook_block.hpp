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

/// Seven bits in each byte and above them their parity: sign indices as sign bits, those of 64 weights a word.
template <class Isa>
[[gnu::always_inline]] inline std::array<std::uint64_t, 4> even_sign_words(const simd::code_bytes<Isa>& indices) {
  static constexpr std::array<std::uint8_t, 16> parity{0,    0x80, 0x80, 0,    0x80, 0,    0,    0x80,
                                                       0x80, 0,    0,    0x80, 0,    0x80, 0x80, 0};
  return std::bit_cast<std::array<std::uint64_t, 4>>(indices |
                                                     (simd::look_up(parity, simd::move_bits<0, 4, 0>(indices)) ^
                                                      simd::look_up(parity, simd::move_bits<4, 4, 0>(indices))));
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

/// Codes 64 Pair and on.
template <class Isa, int Pair, class B>
[[gnu::always_inline]] inline simd::double_code_bytes<Isa> signed_codes_of(const B& w) {
  constexpr int first = 64 * Pair / levels_a_word<B>; // word
  const auto magnitudes = simd::unpack_levels<static_cast<int>(B::book::bits), first % 32, Isa>(
      w.template level_words<Isa, first / 32>(), B::book::values_by_level);
  return simd::apply_signs<codebook_block_traits::code_offset, Isa>(magnitudes, w.template sign_words<Isa>()[Pair]);
}

/// 32 codes from the magnitudes of four 8-vectors; `negative` is 0xFF where a value is: 64 + m, or ~m + 65 = 64 - m.
template <class Isa>
[[gnu::always_inline]] inline simd::code_bytes<Isa> signed_codes(const std::array<std::uint64_t, 4>& magnitudes,
                                                                 const simd::code_bytes<Isa>& negative) {
  return (simd::from_words<Isa>(magnitudes[0], magnitudes[1], magnitudes[2], magnitudes[3]) ^ negative) +
         (simd::fill<simd::code_bytes<Isa>>(64) - negative);
}
/// The same for one value.
constexpr int signed_code(int magnitude, std::uint32_t signs, std::size_t bit) {
  return (signs >> bit & 1) != 0 ? 64 - magnitude : 64 + magnitude;
}

/// 2 n + 1 in each byte; n at most 15.
[[gnu::always_inline]] constexpr std::uint64_t odd_multiples(std::uint64_t n) { return n << 1 | 0x0101010101010101ull; }

/// Nibbles of two neighbouring groups in one byte, the first one low.
[[gnu::always_inline]] constexpr std::uint8_t join_nibbles(unsigned low, unsigned high) {
  return static_cast<std::uint8_t>(low | high << 4);
}

} // namespace quanta::detail
