// super_block: 256 weights with small integer scales a group of 16 or 32: the template behind the K formats.
//
//   x = (d * s[g]) * (q - code_offset)  -  dmin * m[g]
#pragma once

#include <array>

#include "quanta/format.hpp"
#include "quanta/formats/q8_k.hpp"
#include "quanta/simd/vocabulary.hpp"

namespace quanta {

/// Specialised for Bits = 2 (q2_k), 3 (q3_k), 4 (q4_k), 5 (q5_k) and 6 (q6_k), each in the header of its format.
template <int Bits>
struct super_block;

namespace detail {

/// What all super-blocks share. Arrays of small integers always have 16 entries, so that vectors can read them whole.
struct super_block_traits {
  static constexpr std::size_t block_size = super_block_size;
  static constexpr bool layout_is_runs = false;
  using dot_partner = q8_k;
  using small_integers = std::array<std::int8_t, 16>;
};

constexpr std::uint32_t load_word(const std::uint8_t* p) {
  return static_cast<std::uint32_t>(p[0]) | static_cast<std::uint32_t>(p[1]) << 8 |
         static_cast<std::uint32_t>(p[2]) << 16 | static_cast<std::uint32_t>(p[3]) << 24;
}
constexpr void store_word(std::int8_t* p, std::uint32_t word) {
  for (int i = 0; i < 4; ++i)
    p[i] = static_cast<std::int8_t>(word >> 8 * i);
}

/// One bit of 256 codes: byte l holds bit Bit of codes l, l + 32, .. l + 224 from the low bit up.
template <int Bit>
constexpr void assemble_bit_plane(std::array<std::uint8_t, 32>& plane, const std::uint8_t* q) {
  for (std::size_t l = 0; l < 32; ++l) {
    unsigned byte = 0;
    for (std::size_t k = 0; k < 8; ++k)
      byte |= static_cast<unsigned>(q[32 * k + l] >> Bit & 1) << k;
    plane[l] = static_cast<std::uint8_t>(byte);
  }
}
/// Two bits of 256 codes, from Bit up: byte 32 h + l holds those of codes 128 h + l, + 32, + 64, + 96 from the low bits up.
template <int Bit>
constexpr void assemble_crumb_plane(std::array<std::uint8_t, 64>& plane, const std::uint8_t* q) {
  for (std::size_t h = 0; h < 2; ++h)
    for (std::size_t l = 0; l < 32; ++l) {
      const std::uint8_t* p = q + 128 * h + l;
      plane[32 * h + l] = static_cast<std::uint8_t>((p[0] >> Bit & 3) | (p[32] >> Bit & 3) << 2 | (p[64] >> Bit & 3) << 4 |
                                                    (p[96] >> Bit & 3) << 6);
    }
}

} // namespace detail
} // namespace quanta
