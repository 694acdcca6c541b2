// IQ3_S: 3.4375 bits a weight, 110 bytes for 256 weights in 8 groups of 32.
//
//   x = d * (2 s[g] + 1) * (+-v)        v in 1, 3, 5, .. 15 by codebook, s in 0..15
//
//     0  d       half
//     2  qs      64 bytes: bits 0-7 of the codebook entry of 4-vector k
//    66  qh      8 bytes: bit k % 8 of byte k / 8 is bit 8 of the entry of vector k
//    74  signs   32 bytes: bit j of byte k is 1 where weight 8k + j is negative
//   106  scales  4 bytes: byte k holds s[2k] in the low nibble, s[2k + 1] in the high one
//
// 512 entries of 4 magnitudes and all signs free. Good: clearly better than q3_K at the same size. Bad: slow to encode.
#pragma once

#include "quanta/formats/codebook_block.hpp"
#include "quanta/formats/grids/iq3s.hpp"

namespace quanta {

struct iq3_s : detail::level_block<iq3_s> {
  using detail::level_block<iq3_s>::unpack;
  static constexpr std::size_t group_size = 32;
  using book = grids::expanded<grids::iq3s, 1, 3, 5, 7, 9, 11, 13, 15>;
  static constexpr tensor_type type = tensor_type::iq3_s;
  static constexpr std::string_view name = "iq3_s";

  packed<f16> d;
  std::array<std::uint8_t, 64> qs;
  std::array<std::uint8_t, 8> qh;
  std::array<std::uint8_t, 32> signs;
  std::array<std::uint8_t, 4> scales;

  [[gnu::always_inline]] constexpr simd::small_integers group_scales() const {
    return {detail::odd_multiples(detail::spread_nibbles(detail::load_word(scales.data())))};
  }
  constexpr float scale(std::size_t g) const { return static_cast<float>(d.get()) * static_cast<float>(group_scales()[g]); }
  constexpr int code(std::size_t i) const { return detail::signed_code(book::value(entry(i / 4), i % 4), signs[i / 8], i % 8); }
  /// Entries of both halves in words of four.
  template <class Isa>
    requires simd::loads_portions<Isa>
  [[gnu::always_inline]] std::array<std::array<std::uint64_t, 8>, 2> unpack() const {
    return {simd::as_double_words<Isa>(entries_of<Isa, 0>()), simd::as_double_words<Isa>(entries_of<Isa, 1>())};
  }
  template <class Isa, int Portion>
  [[gnu::always_inline]] simd::code_bytes<Isa> codes(const std::array<std::array<std::uint64_t, 8>, 2>& entries) const {
    const auto& fours = entries[Portion / 4];
    return detail::signed_codes<Isa>(
        detail::load_entries<Isa>(book::words, fours[2 * (Portion % 4)], fours[2 * (Portion % 4) + 1]),
        detail::minus_signs<Isa>(detail::load_word(&signs[4 * Portion])));
  }
  template <class Isa, int Portion>
  [[gnu::always_inline]] simd::code_bytes<Isa> codes() const {
    const auto pair = [&](std::size_t k) __attribute__((always_inline)) {
      return detail::join_words(book::words[entry(2 * k)], book::words[entry(2 * k + 1)]);
    };
    constexpr std::size_t k = 4 * Portion;
    return detail::signed_codes<Isa>(simd::from_words<Isa>(pair(k), pair(k + 1), pair(k + 2), pair(k + 3)),
                                     detail::minus_signs<Isa>(detail::load_word(&signs[4 * Portion])));
  }
  template <class Isa, int Half>
  [[gnu::always_inline]] simd::index_words<Isa> level_words() const {
    const auto low = simd::widen_indices<Isa>(simd::load<simd::code_bytes<Isa>>(&qs[32 * Half]));
    return simd::look_up_words<512>(book::levels.data(), simd::set_bits<8>(low, detail::load_word(&qh[4 * Half])));
  }
  template <class Isa>
  [[gnu::always_inline]] std::array<std::uint64_t, 4> sign_words() const {
    return {detail::load_double_word(&signs[0]), detail::load_double_word(&signs[8]), detail::load_double_word(&signs[16]),
            detail::load_double_word(&signs[24])};
  }
  /// Entries of 64 vectors, sign bytes of 32 times 8 weights, s of 8 groups.
  [[gnu::always_inline]] constexpr void assemble(f16 scale, const std::uint8_t* s, const std::uint16_t* entries,
                                                 const std::uint8_t* sign_bytes) {
    d = scale;
    for (std::size_t k = 0; k < 64; ++k) {
      qs[k] = static_cast<std::uint8_t>(entries[k]);
      const unsigned high = static_cast<unsigned>(entries[k]) >> 8 << k % 8;
      qh[k / 8] = static_cast<std::uint8_t>(k % 8 == 0 ? high : qh[k / 8] | high);
    }
    for (std::size_t k = 0; k < 32; ++k)
      signs[k] = sign_bytes[k];
    for (std::size_t k = 0; k < 4; ++k)
      scales[k] = detail::join_nibbles(s[2 * k], s[2 * k + 1]);
  }

private:
  [[gnu::always_inline]] constexpr std::size_t entry(std::size_t k) const {
    return qs[k] | (qh[k / 8] >> k % 8 & 1u) << 8;
  }
  template <class Isa, int Half>
  [[gnu::always_inline]] simd::index_words<Isa> entries_of() const {
    return simd::widen_indices<Isa>(simd::load<simd::code_bytes<Isa>>(&qs[32 * Half])) |
           simd::spread_fields<1, 16, 0, 1, 8, Isa>(&qh[4 * Half]);
  }
};
static_assert(sizeof(iq3_s) == row_bytes(tensor_type::iq3_s, iq3_s::block_size));

} // namespace quanta
