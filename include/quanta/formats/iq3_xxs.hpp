// IQ3_XXS: 3.0625 bits a weight, 98 bytes for 256 weights in 8 groups of 32.
//
//   x = d / 4 * (2 s[g] + 1) * (+-v)        v in 4, 12, 20, .. 52, 62 by codebook, s in 0..15
//
//    0  d      half
//    2  qs     64 bytes: the codebook entry of 4-vector k
//   66  words  8 u32: bits 7k .. 7k + 6 are the sign index of the k-th 8 weights of the group (the eighth sign makes the
//              number of minus signs even), bits 28-31 are s
//
// 256 entries of 4 magnitudes. Good: the smallest of the 3-bit types. Bad: slow to encode; q3_K is not much larger without
// importance.
#pragma once

#include "quanta/formats/codebook_block.hpp"
#include "quanta/formats/grids/iq3xxs.hpp"

namespace quanta {

struct iq3_xxs : detail::level_block<iq3_xxs> {
  using detail::level_block<iq3_xxs>::unpack;
  static constexpr std::size_t group_size = 32;
  static constexpr float unit = 0.25f;
  using book = grids::expanded<grids::iq3xxs, 4, 12, 20, 28, 36, 44, 52, 62>;
  static constexpr tensor_type type = tensor_type::iq3_xxs;
  static constexpr std::string_view name = "iq3_xxs";

  packed<f16> d;
  std::array<std::uint8_t, 64> qs;
  std::array<std::uint8_t, 32> words;

  [[gnu::always_inline]] constexpr simd::small_integers group_scales() const {
    return {detail::odd_multiples(detail::join_bytes([&](std::size_t g) { return words[4 * g + 3] >> 4; }))};
  }
  template <class Isa>
    requires simd::has_index_words<Isa>
  [[gnu::always_inline]] simd::vec<std::int16_t, 16, Isa> scale_words() const {
    return detail::odd_multiples_of_tops<Isa>(simd::load<simd::code_bytes<Isa>>(words.data()));
  }
  constexpr float scale(std::size_t g) const {
    return static_cast<float>(d.get()) * unit * static_cast<float>(group_scales()[g]);
  }
  constexpr int code(std::size_t i) const {
    return detail::signed_code(book::value(qs[i / 4], i % 4), signs_of(i / 32), i % 32);
  }
  /// Sign bits.
  template <class Isa>
    requires simd::loads_portions<Isa>
  [[gnu::always_inline]] simd::code_bytes<Isa> unpack() const {
    return sign_bytes<Isa>();
  }
  template <class Isa, int Portion>
  [[gnu::always_inline]] simd::code_bytes<Isa> codes(const simd::code_bytes<Isa>& signs) const {
    const std::uint8_t* i = &qs[8 * Portion];
    return detail::signed_codes<Isa>(
        simd::load_entries<Isa>(book::words.data(), {i[0], i[1], i[2], i[3], i[4], i[5], i[6], i[7]}),
        simd::expand_portion<Portion>(signs));
  }
  template <class Isa, int Portion>
  [[gnu::always_inline]] simd::code_bytes<Isa> codes() const {
    const auto pair = [&](std::size_t k) __attribute__((always_inline)) {
      return detail::join_words(book::words[qs[2 * k]], book::words[qs[2 * k + 1]]);
    };
    constexpr std::size_t k = 4 * Portion;
    return detail::signed_codes<Isa>(simd::from_words<Isa>(pair(k), pair(k + 1), pair(k + 2), pair(k + 3)),
                                     detail::minus_signs<Isa>(detail::load_word(&words[4 * Portion]), 0, 7));
  }
  template <class Isa, int Half>
  [[gnu::always_inline]] simd::index_words<Isa> level_words() const {
    const auto entries = simd::load<simd::code_bytes<Isa>>(&qs[32 * Half]);
    return simd::look_up_words<256>(book::levels.data(), simd::widen_indices<Isa>(entries));
  }
  template <class Isa>
  [[gnu::always_inline]] std::array<std::uint64_t, 4> sign_words() const {
    return detail::as_sign_words<Isa>(sign_bytes<Isa>());
  }
  /// Entries of 64 vectors, sign bytes of 32 times 8 weights, s of 8 groups.
  [[gnu::always_inline]] constexpr void assemble(f16 scale, const std::uint8_t* s, const std::uint16_t* entries,
                                                 const std::uint8_t* signs) {
    d = scale;
    for (std::size_t k = 0; k < 64; ++k)
      qs[k] = static_cast<std::uint8_t>(entries[k]);
    for (std::size_t g = 0; g < 8; ++g) {
      std::uint32_t word = static_cast<std::uint32_t>(s[g]) << 28;
      for (std::size_t k = 0; k < 4; ++k)
        word |= static_cast<std::uint32_t>(signs[4 * g + k] & 0x7F) << 7 * k;
      for (std::size_t k = 0; k < 4; ++k)
        words[4 * g + k] = static_cast<std::uint8_t>(word >> 8 * k);
    }
  }

private:
  [[gnu::always_inline]] constexpr std::uint32_t signs_of(std::size_t g) const {
    return detail::even_signs(detail::load_word(&words[4 * g]) & 0x0FFFFFFFu);
  }
  template <class Isa>
  [[gnu::always_inline]] simd::code_bytes<Isa> sign_bytes() const {
    return detail::even_sign_bytes<Isa>(detail::spread_sign_indices<Isa>(simd::load<simd::code_bytes<Isa>>(words.data())));
  }
};
static_assert(sizeof(iq3_xxs) == row_bytes(tensor_type::iq3_xxs, iq3_xxs::block_size));

} // namespace quanta
