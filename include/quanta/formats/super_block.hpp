// super_block: 256 weights with small integer scales a group of 16 or 32: the template behind the K formats.
//
//   x = (d * s[g]) * (q - code_offset)  -  dmin * m[g]
#pragma once

#include <array>

#include "quanta/format.hpp"
#include "quanta/formats/q8_k.hpp"
#include "quanta/formats/words.hpp"
#include "quanta/simd/vocabulary.hpp"

namespace quanta {

/// Specialised for Bits = 2 (q2_k), 3 (q3_k), 4 (q4_k), 5 (q5_k) and 6 (q6_k), each in the header of its format.
template <int Bits>
struct super_block;

namespace detail {

/// What all super-blocks share.
struct super_block_traits {
  static constexpr std::size_t block_size = super_block_size;
  static constexpr bool layout_is_runs = false;
  static constexpr float unit = 1.f; // a power of two that d is multiplied with
  /// Whether unpacking two portions at once is faster in decoding too, where half of the work is conversions of 16 values each.
  /// (Zen 5, GB/s: tq1_0 55 to 83, but q4_k 122 to 100.)
  static constexpr bool decodes_by_pairs = false;
  /// Whether what all portions need is unpacked at once there. (AVX-512, Zen 5, GB/s: iq1_m 55 to 61, iq1_s 49 to 56, but iq2_s
  /// 58 to 53.)
  static constexpr bool decodes_unpacked = false;
  using dot_partner = q8_k;
};

/// Formats that unpack two portions at once, in products and in pack().
template <class Isa, class B>
inline constexpr bool unpacks_double_portions = simd::has_double_portions<Isa> && requires(const B& w) {
  w.template double_codes<Isa, 0>();
};
/// Formats that unpack what all portions need at once. Products do so for a block while the one before is worked on, since the
/// way from indices to entries is long. (Zen 5, GFLOP/s, AVX2: iq1_m 48 to 54, iq1_s 46 to 55, iq2_xs 35 to 42, iq2_s 37 to 42,
/// iq3_s 25 to 30; AVX-512: iq2_xs 45 to 47, iq2_xxs 45 to 47, iq3_s 39 to 43, iq3_xxs 43 to 48.)
template <class Isa, class B>
concept unpacks_blocks = requires(const B& w) { w.template unpack<Isa>(); };
/// Bits of 32 codes: `count` bits from bit `from` of 32 bytes, the first at `offset` in the block, are bits from `to` on of a
/// code each.
struct bit_field {
  int offset, from, count, to;
};
/// Super-blocks whose codes are made of such fields: B::fields(portion) says which. How they are unpacked follows.
template <class B>
struct planar_super_block : super_block_traits {
  template <class Isa, int Portion>
  [[gnu::always_inline]] simd::code_bytes<Isa> codes() const {
    return unite<B::fields(Portion).size()>([&](auto k) __attribute__((always_inline)) {
      constexpr bit_field f = B::fields(Portion)[k()];
      return simd::unpack_bits<f.from, f.count, f.to, Isa>(bytes() + f.offset);
    });
  }
  /// Two portions: of the same bytes, or of 32 and the next 32.
  template <class Isa, int Pair>
  [[gnu::always_inline]] simd::double_code_bytes<Isa> double_codes() const {
    return unite<B::fields(0).size()>([&](auto k) __attribute__((always_inline)) {
      constexpr bit_field f = B::fields(2 * Pair)[k()], g = B::fields(2 * Pair + 1)[k()];
      static_assert(f.offset == g.offset || (f.offset + 32 == g.offset && f.from == g.from));
      if constexpr (f.offset == g.offset)
        return simd::unpack_twice<f.from, g.from, f.count, f.to, Isa>(bytes() + f.offset);
      else
        return simd::move_bits<f.from, f.count, f.to>(simd::load<simd::double_code_bytes<Isa>>(bytes() + f.offset));
    });
  }

private:
  [[gnu::always_inline]] const std::uint8_t* bytes() const {
    return reinterpret_cast<const std::uint8_t*>(static_cast<const B*>(this));
  }
  template <std::size_t Fields, class F>
  [[gnu::always_inline]] static auto unite(F part) {
    if constexpr (Fields == 1)
      return part(std::integral_constant<std::size_t, 0>{});
    else
      return part(std::integral_constant<std::size_t, 0>{}) | part(std::integral_constant<std::size_t, 1>{});
  }
};

/// All codes of a super-block, before any is stored: bytes may be anyone's, so that a store would separate shared look-ups.
template <class Isa, class B>
[[gnu::always_inline]] inline std::array<simd::double_code_bytes<Isa>, 4> all_double_codes(const B& w) {
  return {w.template double_codes<Isa, 0>(), w.template double_codes<Isa, 1>(), w.template double_codes<Isa, 2>(),
          w.template double_codes<Isa, 3>()};
}

/// 8 nibbles of a word as 8 bytes, the lowest first.
[[gnu::always_inline]] constexpr std::uint64_t spread_nibbles(std::uint32_t word) {
  std::uint64_t n = word;
  n = (n | n << 16) & 0x0000FFFF0000FFFFull;
  n = (n | n << 8) & 0x00FF00FF00FF00FFull;
  return (n | n << 4) & 0x0F0F0F0F0F0F0F0Full;
}
/// n - 32 in each byte, n at most 63: with bit 7 set nothing is borrowed from the next byte, and it is the sign inverted.
[[gnu::always_inline]] constexpr std::uint64_t less_32(std::uint64_t n) {
  return ((n | 0x8080808080808080ull) - 0x2020202020202020ull) ^ 0x8080808080808080ull;
}

/// One bit of 256 codes: byte l holds bit Bit of codes l, l + 32, .. l + 224 from the low bit up.
template <int Bit>
[[gnu::always_inline]] constexpr void assemble_bit_plane(std::array<std::uint8_t, 32>& plane, const std::uint8_t* q) {
  for (std::size_t l = 0; l < 32; l += 8) {
    std::uint64_t bytes = 0;
    for (std::size_t k = 0; k < 8; ++k)
      bytes |= (load_double_word(q + 32 * k + l) >> Bit & 0x0101010101010101ull) << k;
    store_word(&plane[l], bytes);
  }
}
/// Two bits of 256 codes, from Bit up: byte 32 h + l holds those of codes 128 h + l, + 32, + 64, + 96 from the low bits up.
template <int Bit>
[[gnu::always_inline]] constexpr void assemble_crumb_plane(std::array<std::uint8_t, 64>& plane, const std::uint8_t* q) {
  for (std::size_t h = 0; h < 2; ++h)
    for (std::size_t l = 0; l < 32; l += 8) {
      const auto crumbs = [&](std::size_t k) {
        return (load_double_word(q + 128 * h + 32 * k + l) >> Bit & 0x0303030303030303ull) << 2 * k;
      };
      store_word(&plane[32 * h + l], crumbs(0) | crumbs(1) | crumbs(2) | crumbs(3)); // a loop would stay one at -O2
    }
}

} // namespace detail
} // namespace quanta
