// IQ2_XXS: 2.0625 bits a weight, 66 bytes for 256 weights in 8 groups of 32.
//
//   x = d / 8 * (2 s[g] + 1) * (+-v)        v in 8, 25, 43 by codebook, s in 0..15
//
//   0  d       half
//   2  groups  8 groups of 8 bytes: 4 bytes, the codebook entries of the four 8-vectors; then a u32: bits 7k .. 7k + 6 are the
//              sign index of vector k (the eighth sign makes the number of minus signs even), bits 28-31 are s
//
// 256 entries of 8 magnitudes. Good: the smallest that still answers, with an importance matrix. Bad: 10 % perplexity and more;
// slow to encode; wants importance, without which the encoder takes all columns as equal.
#pragma once

#include "quanta/formats/codebook_block.hpp"
#include "quanta/formats/grids/iq2xxs.hpp"

namespace quanta {

struct iq2_xxs : detail::level_block<iq2_xxs> {
  static constexpr std::size_t group_size = 32;
  static constexpr float unit = 0.125f;
  using book = grids::expanded<grids::iq2xxs, 8, 25, 43>;
  static constexpr tensor_type type = tensor_type::iq2_xxs;
  static constexpr std::string_view name = "iq2_xxs";

  packed<f16> d;
  std::array<std::uint8_t, 64> groups;

  [[gnu::always_inline]] constexpr simd::small_integers group_scales() const {
    return {detail::odd_multiples(detail::join_bytes([&](std::size_t g) { return groups[8 * g + 7] >> 4; }))};
  }
  template <class Isa>
    requires simd::has_index_words<Isa>
  [[gnu::always_inline]] simd::vec<std::int16_t, 16, Isa> scale_words() const {
    return detail::odd_multiples_of_tops<Isa>(simd::split_double_words<Isa>(groups.data())[1]);
  }
  constexpr float scale(std::size_t g) const {
    return static_cast<float>(d.get()) * unit * static_cast<float>(group_scales()[g]);
  }
  constexpr int code(std::size_t i) const {
    const std::size_t g = i / 32;
    const std::uint32_t signs = detail::even_signs(detail::load_word(&groups[8 * g + 4]) & 0x0FFFFFFFu);
    return detail::signed_code(book::value(groups[8 * g + i % 32 / 8], i % 8), signs, i % 32);
  }
  template <class Isa, int Portion>
  [[gnu::always_inline]] simd::code_bytes<Isa> codes() const {
    const std::uint8_t* p = &groups[8 * Portion];
    const auto& words = book::words;
    return detail::signed_codes<Isa>(simd::from_words<Isa>(words[p[0]], words[p[1]], words[p[2]], words[p[3]]),
                                     detail::minus_signs<Isa>(detail::load_word(p + 4), 0, 7));
  }
  template <class Isa, int>
  [[gnu::always_inline]] simd::index_words<Isa> level_words() const {
    const auto entries = simd::split_double_words<Isa>(groups.data())[0];
    return simd::look_up_words<256>(book::levels.data(), simd::widen_indices<Isa>(entries));
  }
  template <class Isa>
  [[gnu::always_inline]] std::array<std::uint64_t, 4> sign_words() const {
    return detail::as_sign_words<Isa>(sign_bytes<Isa>());
  }
  /// Entries and sign bytes of 32 vectors, s of 8 groups.
  [[gnu::always_inline]] constexpr void assemble(f16 scale, const std::uint8_t* s, const std::uint16_t* entries,
                                                 const std::uint8_t* signs) {
    d = scale;
    for (std::size_t g = 0; g < 8; ++g) {
      std::uint32_t word = static_cast<std::uint32_t>(s[g]) << 28;
      for (std::size_t k = 0; k < 4; ++k) {
        groups[8 * g + k] = static_cast<std::uint8_t>(entries[4 * g + k]);
        word |= static_cast<std::uint32_t>(signs[4 * g + k] & 0x7F) << 7 * k;
      }
      for (std::size_t k = 0; k < 4; ++k)
        groups[8 * g + 4 + k] = static_cast<std::uint8_t>(word >> 8 * k);
    }
  }

private:
  template <class Isa>
  [[gnu::always_inline]] simd::code_bytes<Isa> sign_bytes() const {
    const auto fields = simd::split_double_words<Isa>(groups.data())[1];
    return detail::even_sign_bytes<Isa>(detail::spread_sign_indices<Isa>(fields));
  }
};
static_assert(sizeof(iq2_xxs) == row_bytes(tensor_type::iq2_xxs, iq2_xxs::block_size));

} // namespace quanta
