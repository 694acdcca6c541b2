// Products of the formats of 256 values with integer scales: all of a block but its last factor is integers (dot.hpp).
#pragma once

#include "quanta/dequantize.hpp"
#include "quanta/dot/runs.hpp"
#include "quanta/formats/q8_k.hpp"
#include "quanta/simd/interleaved.hpp"

namespace quanta::detail {

/// The 16 sums of 16 activations each, as they are stored.
template <class Isa>
[[gnu::always_inline]] inline simd::vec<std::int16_t, 16, Isa> load_sums(const q8_k& y) {
  return simd::load<simd::vec<std::int16_t, 16, Isa>>(reinterpret_cast<const std::int16_t*>(y.bsums.data()));
}

/// Portion Step of a super-block and of its activations, or two of them from 2 Step on.
template <class Isa, bool Two, int Step, class B, class... Unpacked>
[[gnu::always_inline]] inline auto codes_of_step(const B& w, const Unpacked&... unpacked) {
  if constexpr (Two)
    return w.template double_codes<Isa, Step>(unpacked...);
  else
    return w.template codes<Isa, Step>(unpacked...);
}
template <class Isa, bool Two, int Step>
[[gnu::always_inline]] inline auto signed_codes_of_step(const q8_k& y) {
  if constexpr (Two)
    return y.template double_signed_codes<Isa, Step>();
  else
    return y.template signed_codes<Isa, Step>();
}

/// s as the format unpacks it best: bytes a group, or words of 16 weights each.
template <class Isa, class B>
[[gnu::always_inline]] inline auto group_scales_of(const B& w) {
  if constexpr (requires { w.template scale_words<Isa>(); })
    return w.template scale_words<Isa>();
  else
    return w.group_scales();
}

/// m, a word for 16 weights each.
template <class Isa, class B>
[[gnu::always_inline]] inline simd::vec<std::int16_t, 16, Isa> minimum_words_of(const B& w) {
  if constexpr (requires { w.template minimum_words<Isa>(); })
    return w.template minimum_words<Isa>();
  else if constexpr (B::group_size == 16)
    return simd::widen_words<Isa>(w.group_minima());
  else
    return simd::widen_words_twice<Isa>(w.group_minima());
}

/// What even and odd steps of one or two portions have added up, as the quads of one.
template <class Isa, class Sums>
[[gnu::always_inline]] inline simd::quad_sums<Isa> portion_sums(const Sums (&totals)[2]) {
  if constexpr (simd::lanes<Sums> == simd::lanes<simd::quad_sums<Isa>>)
    return totals[0] + totals[1];
  else
    return simd::add_halves<Isa>(totals[0] + totals[1]);
}

/// sum of s[g] * c[i] * Y[i] over the quads of each lane, 128 taken from codes that are signed bytes: exact.
template <class Isa, class B, class... Unpacked>
[[gnu::always_inline]] inline simd::quad_sums<Isa> scaled_quads(const B& w, const q8_k& y, const Unpacked&... unpacked) {
  constexpr int group_size = static_cast<int>(B::group_size);
  constexpr bool two = unpacks_double_portions<Isa, B>; // portions a step
  using sums = std::conditional_t<two, simd::double_quad_sums<Isa>, simd::quad_sums<Isa>>;
  [[maybe_unused]] const auto scales = [&]() __attribute__((always_inline)) {
    if constexpr (group_size < super_block_size)
      return simd::prepare_scales<group_size, Isa>(group_scales_of<Isa>(w));
    else
      return 0;
  }();
  sums totals[2] = {simd::fill<sums>(0), simd::fill<sums>(0)}; // two, since one would wait for itself
  simd::unroll<two ? 4 : 8>([&](auto step) __attribute__((always_inline)) {
    const auto codes = codes_of_step<Isa, two, step()>(w, unpacked...);
    const auto activations = signed_codes_of_step<Isa, two, step()>(y);
    auto& t = totals[step() % 2];
    if constexpr (group_size == super_block_size)
      t = simd::add_quads(t, codes, activations);
    else if constexpr (B::code_offset == 128) // signed bytes
      t = simd::add_scaled_signed_quads<step(), group_size, Isa>(
          t, codes ^ simd::fill<std::remove_cvref_t<decltype(codes)>>(0x80), activations, scales);
    else
      t = simd::add_scaled_quads<step(), group_size, Isa>(t, codes, activations, scales);
  });
  return portion_sums<Isa>(totals);
}

/// The same with two steps' sums scaled together.
template <class Isa, class B>
inline constexpr bool scales_pairs = simd::has_scaled_pairs<Isa> && B::group_size < super_block_size &&
                                     requires { requires B::levels <= 64; };
template <class Isa, class B>
  requires scales_pairs<Isa, B>
[[gnu::always_inline]] inline simd::quad_sums<Isa> scaled_quads(const B& w, const q8_k& y) {
  constexpr int group_size = static_cast<int>(B::group_size);
  constexpr bool two = unpacks_double_portions<Isa, B>;
  using sums = std::conditional_t<two, simd::double_quad_sums<Isa>, simd::quad_sums<Isa>>;
  const auto scales = simd::prepare_pair_scales<group_size, Isa>(group_scales_of<Isa>(w));
  sums totals[2] = {simd::fill<sums>(0), simd::fill<sums>(0)};
  simd::unroll<two ? 2 : 4>([&](auto pair) __attribute__((always_inline)) {
    constexpr int even = 2 * pair(), odd = even + 1;
    const std::array codes{codes_of_step<Isa, two, even>(w), codes_of_step<Isa, two, odd>(w)};
    const std::array activations{signed_codes_of_step<Isa, two, even>(y), signed_codes_of_step<Isa, two, odd>(y)};
    auto& t = totals[pair() % 2];
    t = simd::add_scaled_pair<pair(), group_size, Isa>(t, codes, activations, scales);
  });
  return portion_sums<Isa>(totals);
}

/// Codes up to 3 in one group are added up in words, which are widened once a block and not once a portion. Crumbs stay where
/// they are in their bytes, times 1, 4 or 16, but for the highest: |sums| <= 4 * 2 * 3 * 128, 2 * 2 * 12 * 128 and
/// 2 * 2 * 48 * 128.
template <class Isa, class B>
inline constexpr bool sums_in_words = B::group_size == super_block_size && simd::has_byte_pairs<Isa> && few_levels<B>() == 4;
template <class Isa, class B>
  requires sums_in_words<Isa, B>
[[gnu::always_inline]] inline simd::quad_sums<Isa> scaled_quads(const B& w, const q8_k& y) {
  using words = simd::vec<std::int16_t, 16, Isa>;
  words sums[3] = {simd::fill<words>(0), simd::fill<words>(0), simd::fill<words>(0)};
  simd::unroll<8>([&](auto portion) __attribute__((always_inline)) {
    const auto activations = y.template signed_codes<Isa, portion()>();
    if constexpr (requires { B::fields(0); }) {
      constexpr bit_field f = B::fields(portion())[0];
      constexpr int to = f.from < 6 ? f.from : 0;
      const auto crumbs = simd::unpack_bits<f.from, 2, to, Isa>(reinterpret_cast<const std::uint8_t*>(&w) + f.offset);
      sums[to / 2] = simd::add_byte_pairs<16, Isa>(sums[to / 2], crumbs, activations);
    } else {
      sums[0] = simd::add_byte_pairs<16, Isa>(sums[0], w.template codes<Isa, portion()>(), activations);
    }
  });
  const words sum = sums[0] + simd::shift_right<2>(sums[1]) + simd::shift_right<4>(sums[2]);
  return simd::add_pairs<8, Isa>(simd::fill<simd::quad_sums<Isa>>(0), sum, simd::fill<words>(1));
}

/// scaled_quads with code_offset taken from every code.
template <class Isa, class B, class... Unpacked>
[[gnu::always_inline]] inline simd::quad_sums<Isa> integer_part(const B& w, const q8_k& y, const Unpacked&... unpacked) {
  constexpr int group_size = static_cast<int>(B::group_size);
  simd::quad_sums<Isa> total = scaled_quads<Isa>(w, y, unpacked...);
  if constexpr (B::code_offset != 0 && B::code_offset != 128) { // through the sums of 16 activations
    static_assert((B::code_offset & (B::code_offset - 1)) == 0);
    simd::vec<std::int16_t, 16, Isa> s;
    if constexpr (group_size == super_block_size)
      s = simd::fill<decltype(s)>(1);
    else if constexpr (requires { w.template scale_words<Isa>(); })
      s = w.template scale_words<Isa>();
    else if constexpr (group_size == 32)
      s = simd::widen_words_twice<Isa>(w.group_scales());
    else
      s = simd::widen_words<Isa>(w.group_scales());
    const auto below = simd::pair_dot<Isa>(s, load_sums<Isa>(y));
    total = total - simd::shift_left<std::countr_zero(static_cast<unsigned>(B::code_offset))>(below);
  }
  return total;
}

/// Adds one super-block to its set of accumulators.
template <class Isa, class B, class... Unpacked>
[[gnu::always_inline]] inline void dot_super_block(const B& w, const q8_k& y, floats8<Isa>& sums, const Unpacked&... unpacked) {
  const auto total = simd::to_float(integer_part<Isa>(w, y, unpacked...));
  if constexpr (B::affine) {
    const auto below = simd::to_float(simd::pair_dot<Isa>(minimum_words_of<Isa>(w), load_sums<Isa>(y)));
    const auto* d = reinterpret_cast<const std::uint8_t*>(&w.d); // and then dmin
    const auto [f, g] = simd::scaled_halves<Isa>(d, y.d);
    sums = sums + simd::unfused(f * total);
    sums = sums - simd::unfused(g * below);
  } else {
    sums = sums + simd::unfused(simd::fill<floats8<Isa>>(unit_scale<Isa>(w) * y.d) * total);
  }
}

template <class Isa, super_format B>
[[gnu::always_inline]] inline float dot_blocks(const B* row, const q8_k* activations, std::size_t blocks) {
  auto even = simd::fill<floats8<Isa>>(0.f), odd = even;
  std::size_t b = 0;
  const bool ahead = blocks * super_block_size > long_row;
  const auto read_ahead = [&]() __attribute__((always_inline)) {
    if (ahead)
      read_row_ahead<2 * sizeof(B)>(row + b);
  };
  if constexpr (unpacks_blocks<Isa, B>) {
    if (blocks == 0)
      return 0.f;
    auto unpacked = row[0].template unpack<Isa>();
    for (; b + 2 <= blocks; b += 2) {
      read_ahead();
      const auto next = row[b + 1].template unpack<Isa>();
      dot_super_block<Isa>(row[b], activations[b], even, unpacked);
      unpacked = row[b + 2 < blocks ? b + 2 : b].template unpack<Isa>();
      dot_super_block<Isa>(row[b + 1], activations[b + 1], odd, next);
    }
  }
  for (; b + 2 <= blocks; b += 2) {
    read_ahead();
    dot_super_block<Isa>(row[b], activations[b], even);
    dot_super_block<Isa>(row[b + 1], activations[b + 1], odd);
  }
  if (b < blocks)
    dot_super_block<Isa>(row[b], activations[b], even);
  return simd::halving_sum(even + odd);
}

} // namespace quanta::detail
