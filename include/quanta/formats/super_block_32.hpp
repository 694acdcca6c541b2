// The text that q4_k and q5_k share: 8 groups of 32 weights with six-bit scales and minima.
#pragma once

#include "quanta/formats/super_block.hpp"

namespace quanta::detail {

/// 8 scales s and 8 minima m of 6 bits in 12 bytes:
///   byte j      (j < 4)  s[j]     | (s[j+4] bits 4-5) << 6
///   byte 4 + j           m[j]     | (m[j+4] bits 4-5) << 6
///   byte 8 + j           s[j+4] bits 0-3 | (m[j+4] bits 0-3) << 4
struct six_bit_pairs {
  std::array<std::uint8_t, 12> bytes;

  [[gnu::always_inline]] constexpr simd::small_integers scales() const {
    const std::uint32_t w0 = load_word(&bytes[0]), w2 = load_word(&bytes[8]);
    return {join_words(w0 & 0x3F3F3F3Fu, (w2 & 0x0F0F0F0Fu) | (w0 >> 6 & 0x03030303u) << 4)};
  }
  [[gnu::always_inline]] constexpr simd::small_integers minima() const {
    const std::uint32_t w1 = load_word(&bytes[4]), w2 = load_word(&bytes[8]);
    return {join_words(w1 & 0x3F3F3F3Fu, (w2 >> 4 & 0x0F0F0F0Fu) | (w1 >> 6 & 0x03030303u) << 4)};
  }
  [[gnu::always_inline]] constexpr void assemble(const std::uint8_t* s, const std::uint8_t* m) {
    for (std::size_t j = 0; j < 4; ++j) {
      bytes[j] = static_cast<std::uint8_t>(s[j] | s[j + 4] >> 4 << 6);
      bytes[4 + j] = static_cast<std::uint8_t>(m[j] | m[j + 4] >> 4 << 6);
      bytes[8 + j] = static_cast<std::uint8_t>((s[j + 4] & 15) | (m[j + 4] & 15) << 4);
    }
  }
};

template <class B>
struct super_block_32_scales : planar_super_block<B> {
  static constexpr std::size_t group_size = 32;
  static constexpr bool affine = true;
  static constexpr int code_offset = 0;

  packed<f16> d, dmin;
  six_bit_pairs pairs;

  [[gnu::always_inline]] constexpr simd::small_integers group_scales() const { return pairs.scales(); }
  [[gnu::always_inline]] constexpr simd::small_integers group_minima() const { return pairs.minima(); }
  constexpr float scale(std::size_t g) const { return static_cast<float>(d.get()) * static_cast<float>(group_scales()[g]); }
  constexpr float minimum(std::size_t g) const {
    return static_cast<float>(dmin.get()) * static_cast<float>(group_minima()[g]);
  }
};

/// Low nibbles of 256 codes: byte 32 c + l holds code 64 c + l in the low nibble, code 64 c + 32 + l in the high one.
[[gnu::always_inline]] constexpr void assemble_nibbles_32(std::array<std::uint8_t, 128>& qs, const std::uint8_t* q) {
  for (std::size_t c = 0; c < 4; ++c)
    for (std::size_t l = 0; l < 32; l += 8)
      store_word(&qs[32 * c + l], pack_nibbles(q + 64 * c + l, q + 64 * c + 32 + l));
}

} // namespace quanta::detail
