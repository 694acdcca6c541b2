// IQ2_XS: 2.3125 bits a weight, 74 bytes for 256 weights in 16 groups of 16.
//
//   x = d / 8 * (2 s[g] + 1) * (+-v)        v in 8, 25, 43 by codebook, s in 0..15
//
//    0  d        half
//    2  vectors  32 u16: bits 0-8 the codebook entry of an 8-vector, bits 9-15 its sign index (as in iq2_xxs)
//   66  scales   8 bytes: byte k holds s[2k] in the low nibble, s[2k + 1] in the high one
//
// 512 entries. Good: two thirds of the error of iq2_xxs for a quarter bit. Bad: as iq2_xxs.
#pragma once

#include "quanta/formats/codebook_block.hpp"
#include "quanta/formats/grids/iq2xs.hpp"

namespace quanta {

struct iq2_xs : detail::codebook_block_traits {
  static constexpr std::size_t group_size = 16;
  static constexpr float unit = 0.125f;
  using book = grids::expanded<grids::iq2xs, 8, 25, 43>;
  static constexpr tensor_type type = tensor_type::iq2_xs;
  static constexpr std::string_view name = "iq2_xs";

  packed<f16> d;
  std::array<std::uint8_t, 64> vectors;
  std::array<std::uint8_t, 8> scales;

  [[gnu::always_inline]] constexpr simd::small_integers group_scales() const {
    return {detail::odd_multiples(detail::spread_nibbles(detail::load_word(&scales[0]))),
            detail::odd_multiples(detail::spread_nibbles(detail::load_word(&scales[4])))};
  }
  constexpr float scale(std::size_t g) const {
    return static_cast<float>(d.get()) * unit * static_cast<float>(group_scales()[g]);
  }
  constexpr int code(std::size_t i) const {
    const std::uint64_t four = detail::load_double_word(&vectors[i / 32 * 8]);
    return detail::signed_code(book::value(four >> 16 * (i % 32 / 8) & 511, i % 8), signs_of(four), i % 32);
  }
  template <class Isa, int Portion>
  [[gnu::always_inline]] simd::code_bytes<Isa> codes() const {
    const std::uint64_t four = detail::load_double_word(&vectors[8 * Portion]);
    const auto word = [&](int k) __attribute__((always_inline)) { return book::words[four >> 16 * k & 511]; };
    return detail::signed_codes<Isa>({word(0), word(1), word(2), word(3)}, detail::minus_signs<Isa>(four, 9, 16));
  }
  template <class Isa, int>
  [[gnu::always_inline]] simd::index_words<Isa> level_words() const {
    return simd::look_up_words<512>(book::levels.data(), load_vectors<Isa>());
  }
  template <class Isa>
  [[gnu::always_inline]] std::array<std::uint64_t, 4> sign_words() const {
    return detail::even_sign_words<Isa>(simd::narrow_indices<Isa>(simd::shift_right<9>(load_vectors<Isa>())));
  }
  template <class Isa, int Pair>
    requires simd::has_word_tables<Isa>
  [[gnu::always_inline]] simd::double_code_bytes<Isa> double_codes() const {
    return detail::signed_codes_of<Isa, Pair>(*this);
  }
  /// Entries and sign bytes of 32 vectors, s of 16 groups.
  [[gnu::always_inline]] constexpr void assemble(f16 scale, const std::uint8_t* s, const std::uint16_t* entries,
                                                 const std::uint8_t* signs) {
    d = scale;
    for (std::size_t k = 0; k < 32; ++k) {
      const unsigned word = entries[k] | (signs[k] & 0x7Fu) << 9;
      vectors[2 * k] = static_cast<std::uint8_t>(word);
      vectors[2 * k + 1] = static_cast<std::uint8_t>(word >> 8);
    }
    for (std::size_t k = 0; k < 8; ++k)
      scales[k] = detail::join_nibbles(s[2 * k], s[2 * k + 1]);
  }

private:
  template <class Isa>
  [[gnu::always_inline]] simd::index_words<Isa> load_vectors() const {
    return std::bit_cast<simd::index_words<Isa>>(simd::load<simd::double_code_bytes<Isa>>(vectors.data()));
  }
  /// The sign indices of four vectors, moved together to 28 bits.
  [[gnu::always_inline]] static constexpr std::uint32_t signs_of(std::uint64_t four) {
    return detail::even_signs(static_cast<std::uint32_t>((four >> 9 & 0x7F) | (four >> 18 & 0x3F80) | (four >> 27 & 0x1FC000) |
                                                         (four >> 36 & 0xFE00000)));
  }
};
static_assert(sizeof(iq2_xs) == row_bytes(tensor_type::iq2_xs, iq2_xs::block_size));

} // namespace quanta
