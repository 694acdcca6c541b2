// Activations for products with packed matrices: signed bytes with a float scale for 32 values, or for 256 where the weights
// have integer scales, in tiles of a few tokens.
//
// A tile of T tokens holds, for each 32 (256) columns: the bytes, step after step, each step the four bytes y of each token
// (for codes taken as words the factors of the words, y[0], y[2], then of their high bytes, y[1] - 256 y[0], y[3] - 256 y[2],
// as int16); for each group of the weights and token, an int32: what sums start from so that the offset of the codes is taken
// off, -offset * (sum of the group's bytes), or two int16, of the first and last two bytes of its steps; affine formats: the
// sums themselves, as scale * sum in float (or int16, two neighbouring groups side by side); a float a token: its scale.
#pragma once

#include "quanta/encode/finite.hpp"
#include "quanta/encode/runs.hpp"
#include "quanta/packed/pack.hpp"

namespace quanta {
namespace detail {

/// Tokens of the widest tile, as many as have their sums in registers; the others that are compiled are 4, 2 and 1. (Portable
/// tiles of 6 would be 3 to 6 % faster, but 15 KB of code and 1.3 s to compile.)
template <class Isa>
inline constexpr std::size_t widest_tile = Isa::value == isa::level::avx512 ? 6 : 4;
/// Tokens of the next tile when `left` are left: the widest, but 4 and 4 rather than 6 and 2.
template <class Isa>
constexpr std::size_t next_tile(std::size_t left) {
  if (left >= widest_tile<Isa> && left != 8)
    return widest_tile<Isa>;
  return left >= 4 ? 4 : left >= 2 ? 2 : left;
}

struct tile_place {
  std::size_t first, size; ///< tokens
};
/// The tile that a token lies in.
template <class Isa>
constexpr tile_place tile_of(std::size_t token, std::size_t tokens) {
  // all but the last few tokens are in tiles of the widest size
  const std::size_t whole = tokens >= 12 ? (tokens - 8) / widest_tile<Isa> : 0;
  if (token < whole * widest_tile<Isa>)
    return {token / widest_tile<Isa> * widest_tile<Isa>, widest_tile<Isa>};
  tile_place place{whole * widest_tile<Isa>, next_tile<Isa>(tokens - whole * widest_tile<Isa>)};
  while (token >= place.first + place.size)
    place = {place.first + place.size, next_tile<Isa>(tokens - place.first - place.size)};
  return place;
}

template <class Isa, class B>
struct activation_layout {
  using weights = packed_layout<Isa, B>;
  static constexpr std::size_t columns = super_format<B> ? super_block_size : run_size;
  static constexpr std::size_t groups = B::group_size < columns ? columns / B::group_size : 1, group_size = columns / groups;
  // bytes a token of each part of a tile's stretch of `columns`
  static constexpr std::size_t run_bytes = weights::word_codes ? 2 * run_size : run_size;
  static constexpr std::size_t code_bytes = columns / run_size * run_bytes;
  static constexpr std::size_t start_bytes = 4 * groups;
  static constexpr std::size_t sum_bytes = !B::affine ? 0 : super_format<B> ? 2 * groups : 4 * groups;
  static constexpr std::size_t token_bytes = code_bytes + start_bytes + sum_bytes + 4;
};

/// Sums of a token's bytes, quad by quad: of all, and of those of odd columns where codes are words, or of the first and last
/// two where sums start as words.
template <class Isa, class Layout>
struct token_sums {
  static constexpr std::size_t N = Layout::columns, group_quads = Layout::group_size / 4;
  using U = simd::vec<std::uint8_t, 32, Isa>;
  using I = simd::vec<std::int32_t, 8, Isa>;
  static constexpr bool in_pairs = Layout::weights::starts_in_words;
  alignas(64) std::int32_t quads[N / 4], odd_quads[Layout::weights::word_codes ? N / 4 : 1];
  alignas(64) std::int16_t pairs[in_pairs ? N / 2 : 1];

  [[gnu::always_inline]] explicit token_sums(const std::int8_t* codes) {
    for (std::size_t i = 0; i < N; i += 32) {
      const U y = simd::load<U>(reinterpret_cast<const std::uint8_t*>(codes + i));
      simd::store(quads + i / 4, simd::add_quads<8, Isa>(simd::fill<I>(0), simd::fill<U>(1), y));
      if constexpr (Layout::weights::word_codes) {
        const U odd_ones = simd::move_bits<7, 1, 0>(simd::flip_odd_bytes(simd::fill<U>(0)));
        simd::store(odd_quads + i / 4, simd::add_quads<8, Isa>(simd::fill<I>(0), odd_ones, y));
      }
      if constexpr (in_pairs) {
        using W = simd::vec<std::int16_t, 16, Isa>;
        simd::store(pairs + i / 2, simd::add_byte_pairs<16, Isa>(simd::fill<W>(0), simd::fill<U>(1), y));
      }
    }
  }
  [[gnu::always_inline]] static std::int32_t of_group(const std::int32_t* values, std::size_t g) {
    std::int32_t sum = 0;
    for (std::size_t k = 0; k < group_quads; ++k)
      sum += values[g * group_quads + k];
    return sum;
  }
  [[gnu::always_inline]] std::int32_t all(std::size_t g) const { return of_group(quads, g); }
  [[gnu::always_inline]] std::int32_t odd(std::size_t g) const { return of_group(odd_quads, g); }
  /// -offset times the first and last two, modulo 2^16.
  [[gnu::always_inline]] std::array<std::uint16_t, 2> starts(std::size_t g, int offset) const {
    int first = 0, last = 0;
    for (std::size_t k = 0; k < group_quads; ++k)
      first += pairs[2 * (g * group_quads + k)], last += pairs[2 * (g * group_quads + k) + 1];
    return {static_cast<std::uint16_t>(-offset * first), static_cast<std::uint16_t>(-offset * last)};
  }
};
/// Writes the factors of words and of their high bytes.
template <class Isa, std::size_t N>
[[gnu::always_inline]] inline void put_word_factors(const std::int8_t* codes, std::uint8_t* place, std::size_t t,
                                                    std::size_t T) {
  using U = simd::vec<std::uint8_t, 32, Isa>;
  for (std::size_t i = 0; i < N; i += 32) {
    const auto y = simd::byte_pairs_as_words(simd::load<U>(reinterpret_cast<const std::uint8_t*>(codes + i)));
    const auto even = simd::shift_left<8>(y); // 256 times
    alignas(64) std::int16_t low[16], high[16];
    simd::store(low, simd::shift_right<8>(even));
    simd::store(high, simd::shift_right<8>(y) - even);
    for (std::size_t k = 0; k < 8; ++k) {
      std::uint8_t* p = place + 8 * ((i / 4 + k) * T + t);
      std::memcpy(p, low + 2 * k, 4);
      std::memcpy(p + 4, high + 2 * k, 4);
    }
  }
}

/// Quantizes `columns` values of a token and writes them into place t of a tile of T.
template <class Isa, class B>
[[gnu::always_inline]] inline void put_token(const float* x, float scale, std::uint8_t* place, std::size_t t, std::size_t T) {
  using layout = activation_layout<Isa, B>;
  constexpr std::size_t N = layout::columns;
  using V = simd::vec<float, 32, Isa>;
  alignas(64) std::int8_t codes[N];
  // the inverse of a subnormal scale may be infinite: numbers that small count as 0
  const V inverse = simd::fill<V>(scale >= 0x1p-126f ? 1.f / scale : 0.f), top = simd::fill<V>(127.f), bottom = simd::fill<V>(-127.f);
  for (std::size_t i = 0; i < N; i += 32)
    simd::store_bytes(codes + i, simd::truncate(simd::max(bottom, simd::min(top, simd::round_even(simd::unfused(
                                     simd::load<V>(x + i) * inverse))))));
  const token_sums<Isa, layout> sums(codes);
  if (layout::weights::takes_words(T))
    put_word_factors<Isa, N>(codes, place, t, T);
  else
    for (std::size_t k = 0; k < N / 4; ++k)
      std::memcpy(place + 4 * (k * T + t), codes + 4 * k, 4);
  std::uint8_t* p = place + layout::code_bytes * T;
  for (std::size_t g = 0; g < layout::groups; ++g) {
    const std::int32_t sum = sums.all(g), odd = layout::weights::word_codes ? sums.odd(g) : 0;
    const int even_offset = layout::weights::offset(T, false), odd_offset = layout::weights::offset(T, true);
    if constexpr (layout::weights::starts_in_words)
      put_field(p + 4 * (g * T + t), sums.starts(g, even_offset));
    else
      put_field(p + 4 * (g * T + t), -(even_offset * (sum - odd) + odd_offset * odd));
    if constexpr (B::affine) {
      std::uint8_t* place_of_sums = p + layout::start_bytes * T;
      if constexpr (super_format<B>)
        put_field(place_of_sums + 2 * (g / 2 * 2 * T + 2 * t + g % 2), static_cast<std::int16_t>(sum));
      else
        put_field(place_of_sums + 4 * (g * T + t), simd::native<isa::portable>::unfused(scale * static_cast<float>(sum)));
    }
  }
  put_field(p + (layout::start_bytes + layout::sum_bytes) * T + 4 * t, scale);
}

} // namespace detail

/// Activations as products with a matrix of format B, packed for a level, take them. Operations expect that they are valid().
template <weight_format B, class Isa = isa::native>
struct packed_activations {
  std::span<const std::byte> bytes;
  std::size_t tokens = 0;
  std::size_t columns = 0;

  /// Whether rows are whole blocks and there are activation_bytes(tokens, columns) or more.
  [[gnu::always_inline]] constexpr bool valid() const {
    using layout = detail::activation_layout<Isa, B>;
    return columns % B::block_size == 0 && detail::fits(tokens, columns / layout::columns, bytes.size() / layout::token_bytes);
  }
};

/// Bytes that pack_activations() needs. Expects: columns a multiple of the block size; no more bytes than a size can tell.
template <weight_format B, class Isa = isa::native>
[[gnu::always_inline]] constexpr std::size_t activation_bytes(std::size_t tokens, std::size_t columns) {
  using layout = detail::activation_layout<Isa, B>;
  QUANTA_EXPECTS(columns % B::block_size == 0);
  return detail::product(tokens, detail::product(columns / layout::columns, layout::token_bytes));
}

/// Quantizes `tokens` rows of floats, row after row, for products with packed matrices of format B; NaN and infinities count
/// as 0. Expects:
/// x.size() == tokens * columns, columns a multiple of the block size; storage.size() >= activation_bytes<B, Isa>(tokens,
/// columns).
template <weight_format B, class Isa = isa::native, class Parallel = serial>
packed_activations<B, Isa> pack_activations(std::span<const float> x, std::size_t tokens, std::size_t columns,
                                            std::span<std::byte> storage, Parallel&& parallel_for = {}) {
  using layout = detail::activation_layout<Isa, B>;
  constexpr std::size_t N = layout::columns;
  QUANTA_EXPECTS(columns % B::block_size == 0);
  QUANTA_EXPECTS(detail::is_product(x.size(), tokens, columns));
  const std::size_t bytes = activation_bytes<B, Isa>(tokens, columns), stretches = columns / N;
  QUANTA_EXPECTS(storage.size() >= bytes);
  const std::size_t rows = stretches == 0 ? 0 : tokens;
  detail::share(rows, detail::widest_tile<Isa>, parallel_for, [&](std::size_t begin, std::size_t end) {
    using R = encode::register_of<Isa>;
    constexpr std::size_t W = encode::register_lanes<Isa>;
    for (std::size_t token = begin; token < end; ++token) {
      const auto place = detail::tile_of<Isa>(token, tokens);
      auto* tile = reinterpret_cast<std::uint8_t*>(storage.data()) + place.first * stretches * layout::token_bytes;
      const float* row = x.data() + token * columns;
      for (std::size_t s = 0; s < stretches; s += W) {
        const std::size_t count = stretches - s < W ? stretches - s : W;
        alignas(64) float scales[W], finite[W * N];
        const float* values = row + s * N;
        if (!detail::all_finite<Isa>(values, count * N)) {
          for (std::size_t i = 0; i < count * N; ++i)
            finite[i] = detail::finite_or_zero(values[i]);
          values = finite;
        }
        simd::store(scales, R(encode::block_maxima<N, Isa>(values, count, encode::magnitude_of)) / simd::fill<R>(127.f));
        for (std::size_t j = 0; j < count; ++j)
          detail::put_token<Isa, B>(values + j * N, scales[j], tile + (s + j) * layout::token_bytes * place.size,
                                    token - place.first, place.size);
      }
    }
  });
  return {storage.first(bytes), tokens, columns};
}

} // namespace quanta
