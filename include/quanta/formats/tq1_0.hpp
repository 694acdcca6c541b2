// TQ1_0: 1.6875 bits a weight, x = d * (q - 1), q in 0..2, 54 bytes for 256 weights; five weights a byte in base 3.
//
//    0  qs    48 bytes: byte l < 32 holds weights l, l + 32, .. l + 128; byte 32 + l (l < 16) weights 160 + l, + 16, .. + 64
//   48  qh    4 bytes: byte l holds weights 240 + l, + 4, + 8, + 12
//   52  d     half
//
// A byte holds the fraction T / 243 of 256, rounded up, T = five digits, the first the highest: digit n is the integer part of
// 3 * frac(3^n * byte / 256), so a product and a shift take it out. Good: as exact as tq2_0 for ternary weights, and a fifth
// smaller. Bad: slower to unpack.
#pragma once

#include "quanta/formats/super_block.hpp"

namespace quanta {

struct tq1_0 : detail::super_block_traits {
  static constexpr std::size_t group_size = 256;
  static constexpr bool affine = false, decodes_by_pairs = true;
  static constexpr int code_offset = 1, levels = 3;
  static constexpr tensor_type type = tensor_type::tq1_0;
  static constexpr std::string_view name = "tq1_0";
  static constexpr std::array<std::uint8_t, 5> powers{1, 3, 9, 27, 81};

  std::array<std::uint8_t, 52> qs; // qs and qh
  packed<f16> d;

  constexpr float scale(std::size_t) const { return static_cast<float>(d.get()); }
  constexpr float minimum(std::size_t) const { return 0.f; }
  struct place {
    std::size_t byte, digit;
  };
  static constexpr place place_of(std::size_t i) {
    if (i < 160)
      return {i % 32, i / 32};
    if (i < 240)
      return {32 + i % 16, (i - 160) / 16};
    return {48 + i % 4, (i - 240) / 4};
  }
  constexpr int code(std::size_t i) const {
    const place p = place_of(i);
    return static_cast<std::uint8_t>(qs[p.byte] * powers[p.digit]) * 3 >> 8;
  }
  template <class Isa, int Portion>
  [[gnu::always_inline]] simd::code_bytes<Isa> codes() const {
    const auto bytes = [&]() __attribute__((always_inline)) {
      if constexpr (Portion < 5)
        return simd::load<simd::code_bytes<Isa>>(qs.data());
      else if constexpr (Portion < 7)
        return simd::load_twice<Isa>(&qs[32]);
      else
        return short_bytes<Isa>();
    };
    return simd::ternary_digits<powers_from<32 * Portion, 32>, Isa>(bytes());
  }
  template <class Isa, int Pair>
  [[gnu::always_inline]] simd::double_code_bytes<Isa> double_codes() const {
    using V = simd::code_bytes<Isa>;
    const V low = Pair < 3 ? simd::load<V>(qs.data()) : simd::load_twice<Isa>(&qs[32]);
    const V high = Pair < 2 ? low : Pair == 2 ? simd::load_twice<Isa>(&qs[32]) : short_bytes<Isa>();
    return simd::ternary_digits<powers_from<64 * Pair, 64>, Isa>(simd::join<Isa>(low, high));
  }
  /// qs, q: codes of 256 weights.
  [[gnu::always_inline]] constexpr void assemble(f16 scale, const std::uint8_t* q) {
    d = scale;
    assemble_bytes<0, 32, 5>(q);
    assemble_bytes<32, 16, 5>(q + 160);
    assemble_bytes<48, 4, 4>(q + 240);
  }

private:
  /// Count bytes from First on: digits of codes Count apart, the first one highest.
  template <std::size_t First, std::size_t Count, int Digits>
  [[gnu::always_inline]] constexpr void assemble_bytes(const std::uint8_t* q) {
    for (std::size_t k = 0; k < Count; ++k) {
      std::uint16_t t = 0;
      for (std::size_t n = 0; n < 5; ++n)
        t = static_cast<std::uint16_t>(3 * t + (n < Digits ? q[k + n * Count] : 0));
      // 256 t / 243 = t + 13 t / 243, rounded up; 13 / 243 = 3506 / 2^16, and 13 t / 243 is no integer from 1 to 242
      qs[First + k] = static_cast<std::uint8_t>(t + (t > 0) + static_cast<std::uint16_t>(t * 3506u >> 16));
    }
  }
  template <std::size_t First, std::size_t Count>
  static constexpr std::array<std::uint8_t, Count> powers_from = [] {
    std::array<std::uint8_t, Count> all{};
    for (std::size_t i = 0; i < Count; ++i)
      all[i] = powers[place_of(First + i).digit];
    return all;
  }();
  /// The bytes of portion 7: the last digits of 16, and four times 4.
  template <class Isa>
  [[gnu::always_inline]] simd::code_bytes<Isa> short_bytes() const {
    const std::uint64_t four = detail::load_word(&qs[48]) * 0x100000001ull;
    return simd::from_words<Isa>(detail::load_double_word(&qs[32]), detail::load_double_word(&qs[40]), four, four);
  }
};
static_assert(sizeof(tq1_0) == row_bytes(tensor_type::tq1_0, tq1_0::block_size));

} // namespace quanta
