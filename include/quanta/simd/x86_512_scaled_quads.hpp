// Sums of quads times the scales of their groups in 512-bit words: the scales are words of a register, spread by permutations.
#pragma once

#include "quanta/simd/x86_256_vnni.hpp"

namespace quanta::simd::detail {

template <class Isa>
struct x86_512_scaled_quads : x86_256_vnni<Isa> {
  using base = x86_256_vnni<Isa>;
  using typename base::bytes32, typename base::ints8, typename base::words16;
  using bytes64 = vec<std::uint8_t, 64, Isa, shape::single>;
  using ints16 = vec<std::int32_t, 16, Isa, shape::single>;

  /// Scales are 16 words in a register; with 32 registers there is room for the permutations that spread them.
  template <int Group>
  [[gnu::always_inline]] static words16 prepare_scales(const words16& scales) {
    if constexpr (Group == 32)
      return {_mm256_zextsi128_si256(_mm256_cvtepi32_epi16(scales.v))};
    else
      return scales;
  }
  template <int Group>
  [[gnu::always_inline]] static words16 prepare_scales(small_integers scales) {
    return base::widen_words(scales);
  }
  /// The group that each pair of codes of a portion of 2 Pairs codes lies in. A constant of memory: GCC makes the other kind
  /// anew in the loop, from general registers.
  template <int Portion, int Group, std::size_t Pairs>
  alignas(64) static constexpr std::array<std::int16_t, Pairs> groups_of_pairs = [] {
    std::array<std::int16_t, Pairs> r{};
    for (std::size_t i = 0; i < Pairs; ++i)
      r[i] = static_cast<std::int16_t>(2 * (Portion * Pairs + i) / Group);
    return r;
  }();
  template <int Portion, int Group>
  [[gnu::always_inline]] static ints16 add_scaled_pairs(const ints16& sums, __m512i pairs,
                                                        const words16& scales) {
    const __m256i words = scales.v;
    const auto* groups = reinterpret_cast<const __m512i*>(groups_of_pairs<Portion, Group, 32>.data());
    const __m512i a = sums.v, scale = _mm512_permutexvar_epi16(*groups, _mm512_castsi256_si512(words));
    return {_mm512_dpwssd_epi32(a, pairs, scale)};
  }
  template <int Portion, int Group>
  [[gnu::always_inline]] static ints16 add_scaled_quads(const ints16& sums, const bytes64& u, const bytes64& s,
                                                        const words16& scales) {
    const __m512i a = u.v, b = s.v;
    return add_scaled_pairs<Portion, Group>(sums, _mm512_maddubs_epi16(a, b), scales);
  }
  template <int Portion, int Group>
  [[gnu::always_inline]] static ints16 add_scaled_signed_quads(const ints16& sums, const bytes64& c, const bytes64& s,
                                                               const words16& scales) {
    const __m512i a = c.v, b = s.v, zero = _mm512_setzero_si512();
    const __m512i with_sign = _mm512_mask_sub_epi8(a, _mm512_movepi8_mask(b), zero, a);
    return add_scaled_pairs<Portion, Group>(sums, _mm512_maddubs_epi16(_mm512_abs_epi8(b), with_sign), scales);
  }
  /// The groups of the quads of steps 2 Pair and 2 Pair + 1, in turns.
  template <int Pair, int Group>
  alignas(64) static constexpr std::array<std::int16_t, 32> groups_of_quads = [] {
    std::array<std::int16_t, 32> r{};
    for (std::size_t i = 0; i < 32; ++i)
      r[i] = static_cast<std::int16_t>((128 * Pair + i % 2 * 64 + i / 2 * 4) / Group);
    return r;
  }();
  template <int Group>
  [[gnu::always_inline]] static words16 prepare_pair_scales(const auto& scales) {
    return prepare_scales<Group>(scales);
  }
  template <int Pair, int Group>
  [[gnu::always_inline]] static ints16 add_scaled_pair(const ints16& sums, const std::array<bytes64, 2>& u,
                                                       const std::array<bytes64, 2>& s, const words16& scales) {
    const __m512i u0 = u[0].v, u1 = u[1].v, s0 = s[0].v, s1 = s[1].v, zero = _mm512_setzero_si512();
    const __m512i low_to_high = _mm512_set4_epi32(0x0D0C0000, 0x09080000, 0x05040000, 0x01000000);
    const __m512i words = _mm512_mask_shuffle_epi8(_mm512_dpbusd_epi32(zero, u0, s0), 0xCCCCCCCCCCCCCCCCull,
                                                   _mm512_dpbusd_epi32(zero, u1, s1), low_to_high);
    const __m256i all = scales.v;
    const auto* groups = reinterpret_cast<const __m512i*>(groups_of_quads<Pair, Group>.data());
    const __m512i a = sums.v, scale = _mm512_permutexvar_epi16(*groups, _mm512_castsi256_si512(all));
    return {_mm512_dpwssd_epi32(a, words, scale)};
  }
  /// sums + pairs, each pair multiplied by its group's scale.
  template <int Portion, int Group>
  [[gnu::always_inline]] static ints8 add_scaled_pairs(const ints8& sums, __m256i pairs, const words16& scales) {
    const auto* groups = reinterpret_cast<const __m256i*>(groups_of_pairs<Portion, Group, 16>.data());
    const __m256i a = sums.v, scale = _mm256_permutexvar_epi16(*groups, scales.v);
    return {_mm256_dpwssd_epi32(a, pairs, scale)};
  }
  template <int Portion, int Group>
  [[gnu::always_inline]] static ints8 add_scaled_quads(const ints8& sums, const bytes32& u, const bytes32& s,
                                                       const words16& scales) {
    return add_scaled_pairs<Portion, Group>(sums, _mm256_maddubs_epi16(u.v, s.v), scales);
  }
  template <int Portion, int Group>
  [[gnu::always_inline]] static ints8 add_scaled_signed_quads(const ints8& sums, const bytes32& c, const bytes32& s,
                                                              const words16& scales) {
    return add_scaled_pairs<Portion, Group>(sums, _mm256_maddubs_epi16(_mm256_abs_epi8(s.v), _mm256_sign_epi8(c.v, s.v)),
                                            scales);
  }
};

} // namespace quanta::simd::detail
