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

struct iq2_xs : detail::level_block<iq2_xs> {
  using detail::level_block<iq2_xs>::unpack;
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
  template <class Isa>
    requires simd::has_index_words<Isa>
  [[gnu::always_inline]] simd::vec<std::int16_t, 16, Isa> scale_words() const {
    return detail::odd_multiples<Isa>(simd::half_of<1>(simd::spread_fields<4, 4, 0, 4, 8, Isa>(&vectors[56])));
  }
  constexpr float scale(std::size_t g) const {
    return static_cast<float>(d.get()) * unit * static_cast<float>(group_scales()[g]);
  }
  constexpr int code(std::size_t i) const {
    const std::uint64_t four = detail::load_double_word(&vectors[i / 32 * 8]);
    return detail::signed_code(book::value(four >> 16 * (i % 32 / 8) & 511, i % 8), signs_of(four), i % 32);
  }
  /// Entries in words of four, and sign bits.
  template <class Isa>
  struct unpacked {
    std::array<std::uint64_t, 8> entries;
    simd::code_bytes<Isa> signs;
  };
  template <class Isa>
    requires simd::loads_portions<Isa>
  [[gnu::always_inline]] unpacked<Isa> unpack() const {
    const auto entries = load_vectors<Isa>() & simd::fill<simd::index_words<Isa>>(511);
    return {simd::as_double_words<Isa>(entries), sign_bytes<Isa>()};
  }
  template <class Isa, int Portion>
  [[gnu::always_inline]] static simd::code_bytes<Isa> codes(const unpacked<Isa>& w) {
    return detail::signed_codes<Isa>(detail::load_entries<Isa>(book::words, w.entries[Portion]),
                                     simd::expand_portion<Portion>(w.signs));
  }
  template <class Isa, int Portion>
  [[gnu::always_inline]] simd::code_bytes<Isa> codes() const {
    const std::uint64_t four = detail::load_double_word(&vectors[8 * Portion]);
    const auto word = [&](int k) __attribute__((always_inline)) { return book::words[four >> 16 * k & 511]; };
    return detail::signed_codes<Isa>(simd::from_words<Isa>(word(0), word(1), word(2), word(3)),
                                     detail::minus_signs<Isa>(four, 9, 16));
  }
  template <class Isa, int>
  [[gnu::always_inline]] simd::index_words<Isa> level_words() const {
    return simd::look_up_words<512>(book::levels.data(), load_vectors<Isa>());
  }
  template <class Isa>
  [[gnu::always_inline]] std::array<std::uint64_t, 4> sign_words() const {
    return detail::as_sign_words<Isa>(sign_bytes<Isa>());
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
  template <class Isa>
  [[gnu::always_inline]] simd::code_bytes<Isa> sign_bytes() const {
    return detail::even_sign_bytes<Isa>(simd::narrow_indices<Isa>(simd::shift_right<9>(load_vectors<Isa>())));
  }
  /// The sign indices of four vectors, moved together to 28 bits.
  [[gnu::always_inline]] static constexpr std::uint32_t signs_of(std::uint64_t four) {
    return detail::even_signs(static_cast<std::uint32_t>((four >> 9 & 0x7F) | (four >> 18 & 0x3F80) | (four >> 27 & 0x1FC000) |
                                                         (four >> 36 & 0xFE00000)));
  }
};
static_assert(sizeof(iq2_xs) == row_bytes(tensor_type::iq2_xs, iq2_xs::block_size));

} // namespace quanta
