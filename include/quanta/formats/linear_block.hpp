// linear_block: equally spaced levels, one scale a block, any width of 2 to 8 bits; 16 values or any number of 32-value runs.
//
//   symmetric: x = d * (q - 2^(Bits-1))        affine: x = d * q + m        q in 0 .. 2^Bits - 1
//
// Bytes: d (half), m (half, affine only), then the planes of the code bits, highest bits first, each for all runs:
//   bit plane    (odd Bits)   4 bytes a run: bit i of the little-endian word is the bit of value i
//   crumb plane  (2 bits)     8 bytes a run: byte j holds values j, j + 8, j + 16, j + 24 from the low bits up
//   nibble plane (4 bits)    16 bytes a run: byte j holds value j in the low nibble, j + 16 in the high one
// A block of 16 values has one run of half the size: 2, 4 and 8 bytes a plane, values j + 4 .. j + 12 and j + 8 for the others.
// linear_block<4, 32> is GGUF's q4_0, <5, 32> is q5_0, and their affine forms are q4_1 and q5_1.
#pragma once

#include <array>

#include "quanta/format.hpp"
#include "quanta/formats/words.hpp"
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
  requires(Bits >= 2 && Bits <= 8 && (N == 16 || (N % detail::run_size == 0 && N > 0)))
struct linear_block : detail::linear_scales<Kind> {
  static constexpr std::size_t block_size = N, group_size = N;
  static constexpr std::size_t run = N == 16 ? 16 : detail::run_size, runs = N / run; ///< values a run, runs a block
  static constexpr bool affine = Kind == linear_kind::affine, layout_is_runs = true, half_first = true;
  static constexpr int bits = Bits, levels = 1 << Bits, code_offset = affine ? 0 : levels / 2;
  static constexpr tensor_type type = detail::linear_type<Bits, N, Kind>();
  static constexpr detail::sized_name own_name{affine ? "affine" : "linear", Bits, N};
  static constexpr std::string_view name = quanta::name(type) == "unknown" ? own_name.view() : quanta::name(type);
  /// Sums of activations are stored with every 32 of them; codes above 127 and blocks of 16 do without.
  using dot_partner = std::conditional_t<affine && N != 16 && Bits != 8, q8_1, int8_block<run>>;

  // bytes a run of each plane, and where the planes start
  static constexpr std::size_t bit_bytes = Bits % 2 ? run / 8 : 0, crumb_bytes = Bits / 2 % 2 ? run / 4 : 0;
  static constexpr std::size_t nibble_bytes = Bits == 8 ? run : Bits >= 4 ? run / 2 : 0;
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
    const std::size_t r = i / run, l = i % run;
    int q = 0;
    if constexpr (Bits == 8)
      q = planes[nibbles_at + i];
    else if constexpr (nibble_bytes > 0)
      q = planes[nibbles_at + nibble_bytes * r + l % nibble_bytes] >> (l < nibble_bytes ? 0 : 4) & 15;
    if constexpr (crumb_bytes > 0)
      q |= (planes[crumbs_at + crumb_bytes * r + l % crumb_bytes] >> 2 * (l / crumb_bytes) & 3) << crumb_shift;
    if constexpr (bit_bytes > 0)
      q |= (planes[bit_bytes * r + l / 8] >> l % 8 & 1) << bit_shift;
    return q;
  }

  /// The bytes of a run of nibbles, and the codes of any run.
  [[gnu::always_inline]] const std::uint8_t* nibbles(std::size_t r) const
    requires(Bits == 4 && run == detail::run_size)
  {
    return &planes[nibbles_at + nibble_bytes * r];
  }
  struct five_bit_run {
    const std::uint8_t* nibbles;
    std::uint32_t fifth;
  };
  [[gnu::always_inline]] five_bit_run five_bits(std::size_t r) const
    requires(Bits == 5 && run == detail::run_size)
  {
    packed<std::uint32_t> fifth;
    std::memcpy(&fifth, &planes[bit_bytes * r], 4);
    return {&planes[nibbles_at + nibble_bytes * r], fifth};
  }
  template <class Isa>
    requires(run == detail::run_size)
  [[gnu::always_inline]] simd::code_bytes<Isa> codes(std::size_t r) const {
    simd::code_bytes<Isa> q = simd::fill<simd::code_bytes<Isa>>(0);
    if constexpr (Bits == 8)
      q = simd::load<simd::code_bytes<Isa>>(&planes[32 * r]);
    else if constexpr (nibble_bytes > 0)
      q = simd::unpack_nibbles<Isa>(&planes[nibbles_at + 16 * r]);
    if constexpr (crumb_bytes > 0)
      q = q | simd::unpack_crumbs<crumb_shift, Isa>(&planes[crumbs_at + 8 * r]);
    if constexpr (bit_bytes > 0) {
      packed<std::uint32_t> high;
      std::memcpy(&high, &planes[4 * r], 4);
      q = q | simd::expand_bits<1 << bit_shift, Isa>(high);
    }
    return q;
  }

  /// The codes of a run of 16, a byte each.
  [[gnu::always_inline]] constexpr std::array<std::uint64_t, 2> code_words() const
    requires(run == 16)
  {
    std::array<std::uint64_t, 2> q{};
    if constexpr (Bits == 8) {
      q = {detail::load_double_word(&planes[0]), detail::load_double_word(&planes[8])};
    } else if constexpr (nibble_bytes > 0) {
      const std::uint64_t nibbles = detail::load_double_word(&planes[nibbles_at]);
      q = {nibbles & 0x0F0F0F0F0F0F0F0Full, nibbles >> 4 & 0x0F0F0F0F0F0F0F0Full};
    }
    if constexpr (crumb_bytes > 0) {
      const std::uint32_t crumbs = detail::load_word(&planes[crumbs_at]);
      const auto four = [crumbs](int shift) { return crumbs >> shift & 0x03030303u; };
      q[0] |= detail::join_words(four(0), four(2)) << crumb_shift;
      q[1] |= detail::join_words(four(4), four(6)) << crumb_shift;
    }
    if constexpr (bit_bytes > 0)
      for (std::size_t k = 0; k < 2; ++k)
        q[k] |= (detail::spread_bits(planes[k]) & 0x0101010101010101ull) << bit_shift;
    return q;
  }

  /// Writes the codes of run r, values 0 .. 15 and 16 .. 31, into planes of whole runs.
  static constexpr bool has_whole_planes = run == detail::run_size && crumb_bytes == 0;
  template <class Isa>
    requires has_whole_planes
  [[gnu::always_inline]] void assemble_run(std::size_t r, const simd::vec<std::int32_t, 16, Isa>& low,
                                           const simd::vec<std::int32_t, 16, Isa>& high) {
    using V = simd::vec<std::int32_t, 16, Isa>;
    if constexpr (Bits == 8) {
      simd::store_bytes(&planes[run * r], low);
      simd::store_bytes(&planes[run * r + 16], high);
    } else {
      const auto nibble = [](const V& v) __attribute__((always_inline)) { return Bits == 4 ? v : v & simd::fill<V>(15); };
      simd::store_nibbles(&planes[nibbles_at + nibble_bytes * r], nibble(low), nibble(high));
    }
    if constexpr (bit_bytes > 0) {
      const V below = simd::fill<V>(levels / 2 - 1);
      const auto set = static_cast<std::uint32_t>(simd::bits(low > below) | simd::bits(high > below) << 16);
      const packed<std::uint32_t> word(set);
      std::memcpy(&planes[bit_bytes * r], &word, bit_bytes);
    }
  }
  /// Writes the codes of all values into the planes.
  [[gnu::always_inline]] constexpr void assemble(const std::uint8_t* q) {
    for (std::size_t r = 0; r < runs; ++r, q += run) {
      if constexpr (Bits == 8) {
        for (std::size_t l = 0; l < run; ++l)
          planes[nibbles_at + run * r + l] = q[l];
      } else if constexpr (nibble_bytes > 0) {
        for (std::size_t l = 0; l < nibble_bytes; ++l)
          planes[nibbles_at + nibble_bytes * r + l] = static_cast<std::uint8_t>((q[l] & 15) | (q[l + nibble_bytes] & 15) << 4);
      }
      if constexpr (crumb_bytes > 0) {
        const auto crumb = [&](std::size_t l) { return (q[l] >> crumb_shift & 3); };
        for (std::size_t l = 0; l < crumb_bytes; ++l)
          planes[crumbs_at + crumb_bytes * r + l] = static_cast<std::uint8_t>(
              crumb(l) | crumb(l + crumb_bytes) << 2 | crumb(l + 2 * crumb_bytes) << 4 | crumb(l + 3 * crumb_bytes) << 6);
      }
      if constexpr (bit_bytes > 0) {
        for (std::size_t byte = 0; byte < bit_bytes; ++byte)
          planes[bit_bytes * r + byte] = detail::gather_bits(detail::load_double_word(q + 8 * byte) >> bit_shift);
      }
    }
  }
};

} // namespace quanta
