// 256-bit words that move bits inside of bytes by a product with a matrix: GFNI, one instruction for a shift and a mask.
#pragma once

#include "quanta/simd/x86_256_vnni.hpp"

namespace quanta::simd::detail {

template <class Isa>
struct x86_256_gfni : x86_256_vnni<Isa> {
  using base = x86_256_vnni<Isa>;
  using typename base::bytes32, typename base::ints8;
  using base::move_bits;

  template <int From, int Count, int To>
  [[gnu::always_inline]] static bytes32 move_bits(const bytes32& a) {
    if constexpr (From == To)
      return base::template move_bits<From, Count, To>(a);
    else
      return {_mm256_gf2p8affine_epi64_epi8(a.v, _mm256_set1_epi64x(matrix(From, Count, To)), 0)};
  }
  [[gnu::always_inline]] static bytes32 unpack_nibbles(const std::uint8_t* p) {
    constexpr long long low = matrix(0, 4, 0), high = matrix(4, 4, 0);
    return {_mm256_gf2p8affine_epi64_epi8(base::load_twice(p).v, _mm256_setr_epi64x(low, low, high, high), 0)};
  }
  template <int To>
  [[gnu::always_inline]] static bytes32 unpack_crumbs(const std::uint8_t* p) {
    const __m256i four = _mm256_broadcastq_epi64(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
    const __m256i crumbs = _mm256_setr_epi64x(matrix(0, 2, To), matrix(2, 2, To), matrix(4, 2, To), matrix(6, 2, To));
    return {_mm256_gf2p8affine_epi64_epi8(four, crumbs, 0)};
  }
  [[gnu::always_inline]] static bytes32 unpack_short_nibbles(const std::uint8_t* p) {
    constexpr long long low = matrix(0, 4, 0), high = matrix(4, 4, 0);
    const __m256i both = _mm256_permute4x64_epi64(_mm256_castsi128_si256(base::load_register(p)), 0x50); // 0, 0, 1, 1
    return {_mm256_gf2p8affine_epi64_epi8(both, _mm256_setr_epi64x(low, high, low, high), 0)};
  }
  template <std::uint8_t Value>
  [[gnu::always_inline]] static bytes32 expand_bits(std::uint32_t bits) {
    return {by_bits<Value, 0>(bits)};
  }
  [[gnu::always_inline]] static ints8 five_bit_quads(const std::uint8_t* nibbles, std::uint32_t fifth, const bytes32& s) {
    const __m256i zero = _mm256_setzero_si256();
    return {_mm256_sub_epi32(base::add_byte_products(zero, unpack_nibbles(nibbles).v, s.v),
                             base::add_byte_products(zero, by_bits<16, 16>(fifth), s.v))};
  }

private:
  /// Bits from .. from + count - 1 to bit `to` on: bit i of a product is the sum of the bits that byte 7 - i chooses.
  static constexpr long long matrix(int from, int count, int to) {
    std::uint64_t rows = 0;
    for (int i = 0; i < count; ++i)
      rows |= std::uint64_t{1} << (from + i + 8 * (7 - (to + i)));
    return static_cast<long long>(rows);
  }
  /// Byte i is Value ^ Inverted where bit i is set, elsewhere Inverted. Here the bits are the matrix, a row of eight for each
  /// bit of Value, and byte i chooses column i % 8.
  template <std::uint8_t Value, int Inverted>
  [[gnu::always_inline]] static __m256i by_bits(std::uint32_t bits) {
    constexpr auto rows = [](std::uint64_t byte) {
      std::uint64_t r = 0;
      for (int i = 0; i < 8; ++i)
        r |= ((Value >> i & 1) != 0 ? byte : 0x80) << 8 * (7 - i); // 0x80: a row of zeros
      return static_cast<long long>(r);
    };
    const __m256i matrices = _mm256_shuffle_epi8(_mm256_set1_epi32(static_cast<int>(bits)),
                                                 _mm256_setr_epi64x(rows(0), rows(1), rows(2), rows(3)));
    const __m256i columns = _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201ull));
    return _mm256_gf2p8affine_epi64_epi8(columns, matrices, Inverted);
  }
};

} // namespace quanta::simd::detail
