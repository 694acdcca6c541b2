// linear_block: equally spaced levels, one scale a block, any width of 2 to 8 bits and any number of 32-value runs.
//
//   symmetric: x = d * (q - 2^(Bits-1))        affine: x = d * q + m        q in 0 .. 2^Bits - 1
//
// Bytes: d (half), m (half, affine only), then the planes of the code bits, highest bits first, each for all runs:
//   bit plane    (odd Bits)   4 bytes a run: bit i of the little-endian word is the bit of value i
//   crumb plane  (2 bits)     8 bytes a run: byte j holds values j, j + 8, j + 16, j + 24 from the low bits up
//   nibble plane (4 bits)    16 bytes a run: byte j holds value j in the low nibble, j + 16 in the high one
// linear_block<4, 32> is GGUF's q4_0, <5, 32> is q5_0, and their affine forms are q4_1 and q5_1.
#pragma once

#include <array>

#include "quanta/format.hpp"
#include "quanta/simd/vocabulary.hpp"

namespace quanta {

enum class linear_kind { symmetric, affine };
using enum linear_kind;

namespace detail {
template <linear_kind Kind>
struct linear_scales {
  packed<f16> d;
};
template <>
struct linear_scales<affine> {
  packed<f16> d, m;
};
template <int Bits, std::size_t N, linear_kind Kind>
constexpr tensor_type linear_type() {
  if (N == 32 && Bits == 4)
    return Kind == symmetric ? tensor_type::q4_0 : tensor_type::q4_1;
  if (N == 32 && Bits == 5)
    return Kind == symmetric ? tensor_type::q5_0 : tensor_type::q5_1;
  return static_cast<tensor_type>(~0u); // no number in GGUF
}
} // namespace detail

template <std::size_t N>
struct int8_block;
struct q8_1;

/// Bits + 16 / N bits a weight (affine: Bits + 32 / N). Good: the simplest and fastest to encode; the affine form suits
/// weights that are not centred. Bad: one outlier widens the steps of all N.
template <int Bits, std::size_t N, linear_kind Kind = symmetric>
  requires(Bits >= 2 && Bits <= 8 && N % detail::run_size == 0 && N > 0 && !(Bits == 8 && Kind == affine))
struct linear_block : detail::linear_scales<Kind> {
  static constexpr std::size_t block_size = N, group_size = N, runs = N / detail::run_size;
  static constexpr bool affine = Kind == linear_kind::affine, layout_is_runs = true;
  static constexpr int bits = Bits, levels = 1 << Bits, code_offset = affine ? 0 : levels / 2;
  static constexpr tensor_type type = detail::linear_type<Bits, N, Kind>();
  static constexpr std::string_view name = quanta::name(type) == "unknown" ? "linear" : quanta::name(type);
  using dot_partner = std::conditional_t<affine, q8_1, int8_block<32>>;

  // bytes a run of each plane, and where the planes start
  static constexpr std::size_t bit_bytes = Bits % 2 ? 4 : 0, crumb_bytes = Bits / 2 % 2 ? 8 : 0;
  static constexpr std::size_t nibble_bytes = Bits == 8 ? 32 : Bits >= 4 ? 16 : 0;
  static constexpr std::size_t crumbs_at = bit_bytes * runs, nibbles_at = crumbs_at + crumb_bytes * runs;
  static constexpr int crumb_shift = Bits >= 4 ? 4 : 0, bit_shift = Bits - 1;

  std::array<std::uint8_t, nibbles_at + nibble_bytes * runs> planes;

  constexpr float scale(std::size_t) const { return static_cast<float>(this->d.get()); }
  constexpr float minimum(std::size_t) const {
    if constexpr (affine)
      return -static_cast<float>(this->m.get());
    else
      return 0.f;
  }
  constexpr int code(std::size_t i) const {
    const std::size_t run = i / 32, l = i % 32;
    int q = 0;
    if constexpr (Bits == 8)
      q = planes[nibbles_at + i];
    else if constexpr (nibble_bytes > 0)
      q = planes[nibbles_at + 16 * run + l % 16] >> (l < 16 ? 0 : 4) & 15;
    if constexpr (crumb_bytes > 0)
      q |= (planes[crumbs_at + 8 * run + l % 8] >> 2 * (l / 8) & 3) << crumb_shift;
    if constexpr (bit_bytes > 0)
      q |= (planes[4 * run + l / 8] >> l % 8 & 1) << bit_shift;
    return q;
  }

  /// The codes of one run.
  template <class Isa>
  [[gnu::always_inline]] simd::code_bytes<Isa> codes(std::size_t run) const {
    simd::code_bytes<Isa> q = simd::fill<simd::code_bytes<Isa>>(0);
    if constexpr (Bits == 8)
      q = simd::load<simd::code_bytes<Isa>>(&planes[32 * run]);
    else if constexpr (nibble_bytes > 0)
      q = simd::unpack_nibbles<Isa>(&planes[nibbles_at + 16 * run]);
    if constexpr (crumb_bytes > 0)
      q = q | simd::unpack_crumbs<crumb_shift, Isa>(&planes[crumbs_at + 8 * run]);
    if constexpr (bit_bytes > 0) {
      packed<std::uint32_t> high;
      std::memcpy(&high, &planes[4 * run], 4);
      q = q | simd::expand_bits<1 << bit_shift, Isa>(high);
    }
    return q;
  }

  /// Writes the codes of all values into the planes.
  [[gnu::always_inline]] constexpr void assemble(const std::uint8_t* q) {
    for (std::size_t run = 0; run < runs; ++run, q += 32) {
      if constexpr (Bits == 8) {
        for (std::size_t l = 0; l < 32; ++l)
          planes[nibbles_at + 32 * run + l] = q[l];
      } else if constexpr (nibble_bytes > 0) {
        for (std::size_t l = 0; l < 16; ++l)
          planes[nibbles_at + 16 * run + l] = static_cast<std::uint8_t>((q[l] & 15) | (q[l + 16] & 15) << 4);
      }
      if constexpr (crumb_bytes > 0) {
        const auto crumb = [&](std::size_t l) { return (q[l] >> crumb_shift & 3); };
        for (std::size_t l = 0; l < 8; ++l)
          planes[crumbs_at + 8 * run + l] = static_cast<std::uint8_t>(crumb(l) | crumb(l + 8) << 2 | crumb(l + 16) << 4 |
                                                                      crumb(l + 24) << 6);
      }
      if constexpr (bit_bytes > 0) {
        for (std::size_t byte = 0; byte < 4; ++byte) {
          unsigned word = 0;
          for (std::size_t l = 0; l < 8; ++l)
            word |= static_cast<unsigned>(q[8 * byte + l] >> bit_shift & 1) << l;
          planes[4 * run + byte] = static_cast<std::uint8_t>(word);
        }
      }
    }
  }
};

} // namespace quanta
