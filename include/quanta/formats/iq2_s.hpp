// IQ2_S: 2.5625 bits a weight, 82 bytes for 256 weights in 16 groups of 16.
//
//   x = d / 8 * (2 s[g] + 1) * (+-v)        v in 8, 25, 43 by codebook, s in 0..15
//
//    0  d       half
//    2  qs      32 bytes: bits 0-7 of the codebook entry of 8-vector k
//   34  signs   32 bytes: bit j of byte k is 1 where weight 8k + j is negative
//   66  qh      8 bytes: bits 2 (k % 4) and 2 (k % 4) + 1 of byte k / 4 are bits 8 and 9 of the entry of vector k
//   74  scales  8 bytes: byte k holds s[2k] in the low nibble, s[2k + 1] in the high one
//
// 1,024 entries and all signs free. Good: the least error of the IQ2 types but on heavy tails; encodes without importance
// too. Bad: slow to encode.
#pragma once

#include "quanta/formats/codebook_block.hpp"
#include "quanta/formats/grids/iq2s.hpp"

namespace quanta {

struct iq2_s : detail::codebook_block_traits {
  static constexpr std::size_t group_size = 16;
  static constexpr float unit = 0.125f;
  using book = grids::expanded<grids::iq2s, 8, 25, 43>;
  static constexpr tensor_type type = tensor_type::iq2_s;
  static constexpr std::string_view name = "iq2_s";

  packed<f16> d;
  std::array<std::uint8_t, 32> qs, signs;
  std::array<std::uint8_t, 8> qh, scales;

  [[gnu::always_inline]] constexpr simd::small_integers group_scales() const {
    return {detail::odd_multiples(detail::spread_nibbles(detail::load_word(&scales[0]))),
            detail::odd_multiples(detail::spread_nibbles(detail::load_word(&scales[4])))};
  }
  template <class Isa>
    requires simd::has_index_words<Isa>
  [[gnu::always_inline]] simd::vec<std::int16_t, 16, Isa> scale_words() const {
    return detail::odd_multiples<Isa>(simd::half_of<1>(simd::spread_fields<4, 4, 0, 4, 8, Isa>(qh.data())));
  }
  constexpr float scale(std::size_t g) const {
    return static_cast<float>(d.get()) * unit * static_cast<float>(group_scales()[g]);
  }
  constexpr int code(std::size_t i) const { return detail::signed_code(book::value(entry(i / 8), i % 8), signs[i / 8], i % 8); }
  /// Entries in words of four.
  template <class Isa>
    requires simd::has_index_words<Isa>
  [[gnu::always_inline]] std::array<std::uint64_t, 8> unpack() const {
    const auto low = simd::widen_indices<Isa>(simd::load<simd::code_bytes<Isa>>(qs.data()));
    return simd::as_double_words<Isa>(low | simd::spread_fields<2, 8, 0, 2, 8, Isa>(qh.data()));
  }
  template <class Isa, int Portion>
  [[gnu::always_inline]] simd::code_bytes<Isa> codes(const std::array<std::uint64_t, 8>& entries) const {
    return detail::signed_codes<Isa>(detail::load_entries<Isa>(book::words, entries[Portion]),
                                     detail::minus_signs<Isa>(detail::load_word(&signs[4 * Portion])));
  }
  template <class Isa, int Pair>
  [[gnu::always_inline]] simd::double_code_bytes<Isa> double_codes(const std::array<std::uint64_t, 8>& entries) const {
    return simd::apply_signs<code_offset, Isa>(
        detail::load_double_entries<Isa>(book::words, entries[2 * Pair], entries[2 * Pair + 1]),
        detail::load_double_word(&signs[8 * Pair]));
  }
  template <class Isa, int Portion>
  [[gnu::always_inline]] simd::code_bytes<Isa> codes() const {
    constexpr std::size_t k = 4 * Portion;
    const auto& words = book::words;
    return detail::signed_codes<Isa>(
        simd::from_words<Isa>(words[entry(k)], words[entry(k + 1)], words[entry(k + 2)], words[entry(k + 3)]),
        detail::minus_signs<Isa>(detail::load_word(&signs[k])));
  }
  template <class Isa, int Pair>
    requires simd::has_word_tables<Isa>
  [[gnu::always_inline]] simd::double_code_bytes<Isa> double_codes() const {
    return double_codes<Isa, Pair>(unpack<Isa>());
  }
  /// Entries and sign bytes of 32 vectors, s of 16 groups.
  [[gnu::always_inline]] constexpr void assemble(f16 scale, const std::uint8_t* s, const std::uint16_t* entries,
                                                 const std::uint8_t* sign_bytes) {
    d = scale;
    for (std::size_t k = 0; k < 32; ++k) {
      qs[k] = static_cast<std::uint8_t>(entries[k]);
      signs[k] = sign_bytes[k];
      const unsigned high = static_cast<unsigned>(entries[k]) >> 8 << 2 * (k % 4);
      qh[k / 4] = static_cast<std::uint8_t>(k % 4 == 0 ? high : qh[k / 4] | high);
    }
    for (std::size_t k = 0; k < 8; ++k)
      scales[k] = detail::join_nibbles(s[2 * k], s[2 * k + 1]);
  }

private:
  [[gnu::always_inline]] constexpr std::size_t entry(std::size_t k) const {
    return qs[k] | (qh[k / 4] >> 2 * (k % 4) & 3u) << 8;
  }
};
static_assert(sizeof(iq2_s) == row_bytes(tensor_type::iq2_s, iq2_s::block_size));

} // namespace quanta
