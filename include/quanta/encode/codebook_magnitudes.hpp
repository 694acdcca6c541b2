// The codebook formats with signs of their own (IQ2, IQ3) from numbers to blocks: magnitudes are multiples 1, 3, 5, .. of a
// scale, 8 (or 4) neighbours an entry of the book. Scales are tried on a grid, one lane a candidate, and the winner refined.
#pragma once

#include "quanta/encode/codebook_search.hpp"
#include "quanta/encode/positive_search.hpp"
#include "quanta/formats.hpp"

namespace quanta::encode {

/// Weights without importance.
enum class magnitude_weights {
  square,       ///< x^2
  mixed,        ///< x^2 + mean x^2 of the super-block / 2
  as_if_equal,  ///< those of importance 1: the reference has no encoder without importance
};
/// Which vectors are chosen anew for the scale of the best candidate.
enum class refinement {
  every,         ///< all
  outside,       ///< those that are not in the book
  all_or_nothing ///< all if any is not in the book
};

/// Parameters of the reference's encoders: scales t = (2 levels - 1 + step k) / base, k = -reach .. reach, over the largest
/// magnitude or an estimate; groups whose largest magnitude is below `smallest` are zeros; d is stored times `factor`.
template <class B>
struct magnitude_parameters;
template <>
struct magnitude_parameters<iq2_xxs> {
  using book = iq2xxs_book;
  static constexpr int reach = 6;
  static constexpr float step = 0.1f, smallest = 1e-15f, factor = 1.f, variance_factor = 1.f;
  static constexpr bool even_signs = true, estimates_base = true, closes_ranks = false;
  static constexpr auto plain = magnitude_weights::as_if_equal;
  static constexpr auto refines = refinement::every;
};
template <>
struct magnitude_parameters<iq2_xs> {
  using book = iq2xs_book;
  static constexpr int reach = 9;
  static constexpr float step = 0.1f, smallest = 1e-15f, factor = 1.f, variance_factor = 1.f;
  static constexpr bool even_signs = true, estimates_base = false, closes_ranks = false;
  static constexpr auto plain = magnitude_weights::as_if_equal;
  static constexpr auto refines = refinement::outside;
};
template <>
struct magnitude_parameters<iq2_s> {
  using book = iq2s_book;
  static constexpr int reach = 9;
  static constexpr float step = 0.1f, smallest = 1e-8f, factor = 0.9875f, variance_factor = 2.f;
  static constexpr bool even_signs = false, estimates_base = false, closes_ranks = false;
  static constexpr auto plain = magnitude_weights::mixed;
  static constexpr auto refines = refinement::outside;
};
template <>
struct magnitude_parameters<iq3_xxs> {
  using book = iq3xxs_book;
  static constexpr int reach = 15;
  static constexpr float step = 0.2f, smallest = 1e-8f, factor = 1.0125f, variance_factor = 2.f;
  static constexpr bool even_signs = true, estimates_base = false, closes_ranks = false;
  static constexpr auto plain = magnitude_weights::square;
  static constexpr auto refines = refinement::outside;
};
template <>
struct magnitude_parameters<iq3_s> {
  using book = iq3s_book;
  static constexpr int reach = 9;
  static constexpr float step = 0.2f, smallest = 0x1p-149f, factor = 1.033f, variance_factor = 2.f;
  /// A defect of the reference that its bytes show: a group of zeros does not take up its place, so that the sign bytes and
  /// the low index bytes of later groups of the super-block move forward, while scales and high index bits stay.
  static constexpr bool closes_ranks = true;
  static constexpr bool even_signs = false, estimates_base = false;
  static constexpr auto plain = magnitude_weights::square;
  static constexpr auto refines = refinement::all_or_nothing;
};

template <class B>
concept magnitude_format = requires { typename magnitude_parameters<B>::book; };

/// Magnitudes, weights and sign bytes of some super-blocks. With even signs a magnitude may be negative.
struct magnitude_buffers {
  static constexpr std::size_t capacity = blocks_together * detail::super_block_size;
  alignas(64) float magnitude[capacity], weight[capacity];
  std::uint8_t signs[capacity / 8];
};

/// Makes the number of minus signs even: flips the sign of the first weight with the smallest w x^2.
template <class Isa>
[[gnu::always_inline]] inline void flip_cheapest(float* magnitude, const float* weight, std::uint8_t& signs) {
  using V = simd::vec<float, 8, Isa>;
  const V x = simd::load<V>(magnitude);
  const V cost = simd::unfused(simd::unfused(simd::load<V>(weight) * x) * x);
  const std::uint64_t hits = simd::bits(cost == simd::fill<V>(simd::lane_minimum(cost)));
  const int first = hits != 0 ? std::countr_zero(hits) : 0;
  magnitude[first] = -magnitude[first];
  signs = static_cast<std::uint8_t>(signs ^ 1u << first);
}

template <class Isa, class B>
[[gnu::noinline]] void prepare_magnitudes(const float* x, std::size_t blocks, const float* importance, magnitude_buffers& out) {
  using P = magnitude_parameters<B>;
  using V = simd::vec<float, 16, Isa>;
  float variance[blocks_together] = {};
  sums_of_squares<detail::super_block_size, Isa>(x, blocks, variance);
  for (std::size_t i = 0; i < blocks * detail::super_block_size; i += 16) {
    const float v = P::variance_factor * variance[i / detail::super_block_size] / static_cast<float>(detail::super_block_size);
    const V value = simd::load<V>(x + i), square = simd::unfused(value * value);
    V weight = square;
    if (importance)
      weight = simd::unfused(simd::load<V>(importance + i) * simd::sqrt(simd::fill<V>(v) + square));
    else if constexpr (P::plain == magnitude_weights::as_if_equal)
      weight = simd::sqrt(simd::fill<V>(v) + square);
    else if constexpr (P::plain == magnitude_weights::mixed)
      weight = simd::fill<V>(0.25f * v) + square;
    const std::uint64_t negative = simd::bits(value < simd::fill<V>(0.f));
    simd::store(out.magnitude + i, simd::abs(value));
    simd::store(out.weight + i, weight);
    for (std::size_t half = 0; half < 2; ++half) {
      std::uint8_t& signs = out.signs[i / 8 + half];
      signs = static_cast<std::uint8_t>(negative >> 8 * half);
      if (P::even_signs && std::popcount(signs) % 2 != 0)
        flip_cheapest<Isa>(out.magnitude + i + 8 * half, out.weight + i + 8 * half, signs);
    }
  }
}

/// What the candidates of a group have to fit: magnitudes and weights in the forms that the sums take them in.
template <class Isa, class B>
struct magnitude_group {
  using book = typename magnitude_parameters<B>::book;
  static constexpr std::size_t size = B::group_size, dimension = book::dimension, vectors = size / dimension,
                               terms = vector_terms<book>;
  using row = simd::vec<float, slots<book>, Isa>;

  const float* magnitude;
  alignas(64) float values[size * slots<book>], roots[size * slots<book>]; // for distances: x and sqrt(w) in every slot
  alignas(64) float product[size * slots<book>], square[size * slots<book>]; // w x p and w p^2 for p = 1, 3, 5, ..

  [[gnu::always_inline]] void load(const float* x, const float* w) {
    magnitude = x;
    const row p = odd_numbers();
    for (std::size_t i = 0; i < size; ++i) {
      const row weight = simd::fill<row>(w[i]), value = simd::fill<row>(x[i]);
      simd::store(values + i * slots<book>, value);
      simd::store(roots + i * slots<book>, simd::sqrt(weight));
      simd::store(product + i * slots<book>, simd::unfused(simd::unfused(weight * value) * p));
      simd::store(square + i * slots<book>, simd::unfused(simd::unfused(weight * p) * p));
    }
  }
  [[gnu::always_inline]] static row odd_numbers() {
    static constexpr float numbers[8] = {1.f, 3.f, 5.f, 7.f, 9.f, 11.f, 13.f, 15.f};
    return simd::load<row>(numbers);
  }
  /// The entry for vector k at a scale, whose nearest levels are those of a vector of the book or outside of it.
  [[gnu::always_inline]] std::uint16_t entry(const codebook_tables<Isa, book>& tables, neighbour_list list, std::size_t k,
                                             float scale) const {
    if (list.count == 0)
      return book::entries[list.first];
    alignas(64) float distances[terms];
    distance_terms<book>(simd::unfused(simd::fill<row>(scale) * odd_numbers()), values + k * terms, roots + k * terms,
                         distances);
    return nearest_neighbour(tables, list, distances);
  }
  /// A = sum w x p and B = sum w p^2 for as many choices of entries as lanes; vector k's are at codes + k * stride.
  template <std::size_t N>
  [[gnu::always_inline]] void sums(const std::int32_t* codes, std::size_t stride, simd::vec<float, N, Isa>& a,
                                   simd::vec<float, N, Isa>& b) const {
    a = b = simd::fill<simd::vec<float, N, Isa>>(0.f);
    for (std::size_t k = 0; k < vectors; ++k) {
      const auto c = simd::load<simd::vec<std::int32_t, N, Isa>>(codes + k * stride);
      a = add_terms<book>(a, product + k * terms, c);
      b = add_terms<book>(b, square + k * terms, c);
    }
  }
};

/// The number of the vector of nearest levels at scales 1 / t: sum clamp(rne((t x - 1) / 2)) levels^j.
template <class Book, class V>
[[gnu::always_inline]] inline V nearest_vector(const float* x, const V& t) {
  const V zero = simd::fill<V>(0.f), top = simd::fill<V>(static_cast<float>(Book::levels - 1)), one = simd::fill<V>(1.f),
          half = simd::fill<V>(0.5f);
  V number = zero;
  float place = 1.f;
  for (std::size_t j = 0; j < Book::dimension; ++j, place *= static_cast<float>(Book::levels)) {
    const V level = nearest_level(simd::unfused(half * (simd::unfused(t * simd::fill<V>(x[j])) - one)), zero, top);
    number = number + level * simd::fill<V>(place); // integers below 2^13: exact, contracted or not
  }
  return number;
}

/// Finds the scale of one group and the codes of its entries; base > 0.
template <class Isa, class B>
[[gnu::noinline]] float search_magnitudes(const magnitude_group<Isa, B>& group, float base, float first_scale,
                                          std::uint16_t* chosen) {
  using P = magnitude_parameters<B>;
  using book = typename P::book;
  using V = simd::vec<float, 8, Isa>;
  constexpr std::size_t vectors = B::group_size / book::dimension, candidates = 2 * P::reach + 1,
                        lanes = (candidates + 7) / 8 * 8;
  constexpr int top = 2 * book::levels - 1;
  const auto& tables = tables_of<Isa, book>();

  alignas(64) float t[lanes], scales[lanes], a[lanes], b[lanes];
  alignas(64) std::int32_t codes[vectors * lanes];
  for (std::size_t c = 0; c < lanes; ++c) {
    const int k = static_cast<int>(c < candidates ? c : candidates - 1) - P::reach;
    t[c] = (static_cast<float>(top) + simd::native<isa::portable>::unfused(static_cast<float>(k) * P::step)) / base;
  }
  for (std::size_t c = 0; c < lanes; c += 8) {
    simd::store(scales + c, simd::fill<V>(1.f) / simd::load<V>(t + c));
    for (std::size_t k = 0; k < vectors; ++k)
      simd::store(codes + k * lanes + c,
                  simd::truncate(nearest_vector<book>(group.magnitude + k * book::dimension, simd::load<V>(t + c))));
  }
  std::uint32_t outside[vectors] = {}; // bit c: candidate c's levels are not in the book
  for (std::size_t k = 0; k < vectors; ++k)
    for (std::size_t c = 0; c < candidates; ++c) {
      std::int32_t& code = codes[k * lanes + c];
      const neighbour_list list = tables.lists[code];
      outside[k] |= static_cast<std::uint32_t>(list.count != 0) << c;
      code = group.entry(tables, list, k, scales[c]);
    }
  for (std::size_t c = 0; c < lanes; c += 8) {
    V sum_xp, sum_p2;
    group.template sums<8>(codes + c, lanes, sum_xp, sum_p2);
    simd::store(a + c, sum_xp);
    simd::store(b + c, sum_p2);
  }

  float scale = first_scale, best = 0.f;
  std::size_t winner = candidates;
  for (std::size_t c = 0; c < candidates; ++c)
    if (b[c] > 0.f && a[c] * a[c] > best * b[c]) {
      scale = a[c] / b[c];
      best = scale * a[c];
      winner = c;
    }
  bool refined[vectors] = {}, any = false;
  for (std::size_t k = 0; k < vectors; ++k) {
    chosen[k] = winner < candidates ? static_cast<std::uint16_t>(codes[k * lanes + winner]) : book::entries[0];
    refined[k] = winner < candidates ? (outside[k] >> winner & 1u) != 0 : P::refines == refinement::all_or_nothing;
    any = any || refined[k];
  }
  if (!(scale > 0.f) || (!any && P::refines != refinement::every))
    return scale;
  using one_choice = simd::vec<float, 4, Isa>; // the smallest register
  const float again = 1.f / scale;
  alignas(64) std::int32_t final_codes[vectors * 4];
  for (std::size_t k = 0; k < vectors; ++k) {
    if (P::refines != refinement::outside || refined[k]) {
      float number[4];
      simd::store(number, nearest_vector<book>(group.magnitude + k * book::dimension, simd::fill<one_choice>(again)));
      chosen[k] = group.entry(tables, tables.lists[static_cast<std::size_t>(number[0])], k, scale);
    }
    for (std::size_t lane = 0; lane < 4; ++lane)
      final_codes[4 * k + lane] = chosen[k];
  }
  one_choice sum_xp, sum_p2;
  group.template sums<4>(final_codes, 4, sum_xp, sum_p2);
  float final_a[4], final_b[4];
  simd::store(final_a, sum_xp);
  simd::store(final_b, sum_p2);
  return final_b[0] > 0.f ? final_a[0] / final_b[0] : scale;
}

/// Bases of the groups of some super-blocks: a scale for the magnitudes with one level more than there is.
template <class Isa, class B>
inline void estimate_scales(const magnitude_buffers& from, std::size_t groups, float* scales) {
  using V = lanes_of<Isa>;
  constexpr std::size_t N = B::group_size, L = simd::lanes<V>;
  for (std::size_t g = 0; g < groups; g += L) {
    alignas(64) float xt[N * L], wt[N * L], codes[N * L];
    transpose_groups<N, L, Isa>(from.magnitude + g * N, N, groups - g, xt);
    transpose_groups<N, L, Isa>(from.weight + g * N, N, groups - g, wt);
    simd::store(scales + g, search_positive<N, magnitude_parameters<B>::book::levels + 1, V, true>(xt, wt, codes));
  }
}

/// The integers s of x = d (2 s + 1) v from the scales of the groups, 0 to Top; d is the largest scale over 2 Top + 1.
template <int Top>
[[gnu::always_inline]] inline float round_odd_scales(const float* scales, std::size_t groups, float largest, std::uint8_t* s) {
  using scalar = simd::native<isa::portable>;
  const float d = largest / static_cast<float>(2 * Top + 1), inverse = 1.f / d;
  for (std::size_t g = 0; g < groups; ++g) {
    const float level = scalar::round_even(0.5f * (scalar::unfused(inverse * scales[g]) - 1.f));
    s[g] = static_cast<std::uint8_t>(level > static_cast<float>(Top) ? static_cast<float>(Top) : level > 0.f ? level : 0.f);
  }
  return d;
}

/// Encodes `blocks` super-blocks; importance is null or has one value a weight.
template <class Isa, class B>
  requires magnitude_format<B>
void encode_super_blocks(const float* x, std::size_t blocks, B* out, const float* importance) {
  using P = magnitude_parameters<B>;
  using book = typename P::book;
  constexpr std::size_t N = B::group_size, groups = detail::super_block_size / N, vectors = N / book::dimension;
  const auto& tables = tables_of<Isa, book>();
  magnitude_buffers buffers;
  [[maybe_unused]] alignas(64) float estimates[P::estimates_base ? blocks_together * groups : 1];
  while (blocks > 0) {
    const std::size_t count = blocks < blocks_together ? blocks : blocks_together;
    prepare_magnitudes<Isa, B>(x, count, importance, buffers);
    if constexpr (P::estimates_base)
      estimate_scales<Isa, B>(buffers, count * groups, estimates);
    for (std::size_t block = 0; block < count; ++block) {
      float scales[groups], largest_scale = 0.f;
      std::uint8_t s[groups], signs[32] = {};
      std::uint16_t entries[detail::super_block_size / book::dimension] = {};
      std::size_t stored = 0;
      for (std::size_t g = 0; g < groups; ++g) {
        const std::size_t at = block * detail::super_block_size + g * N;
        float largest = buffers.magnitude[at];
        for (std::size_t i = 1; i < N; ++i)
          largest = buffers.magnitude[at + i] > largest ? buffers.magnitude[at + i] : largest;
        float base = largest, first_scale = largest / static_cast<float>(2 * book::levels - 1);
        if constexpr (P::estimates_base) {
          first_scale = estimates[block * groups + g];
          base = static_cast<float>(book::levels) * first_scale;
        }
        scales[g] = 0.f;
        const std::size_t place = P::closes_ranks ? stored : g;
        if (!(largest >= P::smallest && base > 0.f))
          continue;
        ++stored;
        magnitude_group<Isa, B> group;
        group.load(buffers.magnitude + at, buffers.weight + at);
        std::uint16_t codes[vectors];
        scales[g] = search_magnitudes(group, base, first_scale, codes);
        for (std::size_t k = 0; k < vectors; ++k) {
          const std::uint16_t entry = tables.lists[number_of<book>(codes[k])].first;
          std::uint16_t &low = entries[place * vectors + k], &high = entries[g * vectors + k];
          low = static_cast<std::uint16_t>((low & 0xFF00) | (entry & 0xFF));
          high = static_cast<std::uint16_t>((high & 0xFF) | (entry & 0xFF00));
        }
        std::memcpy(signs + place * (N / 8), buffers.signs + at / 8, N / 8);
        if (scales[g] < 0.f) { // of magnitudes that are negative, since signs are even
          scales[g] = -scales[g];
          for (std::size_t k = 0; k < N / 8; ++k)
            signs[place * (N / 8) + k] = static_cast<std::uint8_t>(~signs[place * (N / 8) + k]);
        }
        largest_scale = scales[g] > largest_scale ? scales[g] : largest_scale;
      }
      if (!(largest_scale > 0.f)) { // the reference clears what it has stored by then in the formats of even signs only
        out[block] = B{};
        if constexpr (!P::even_signs)
          out[block].assemble(f16(0.f), std::array<std::uint8_t, groups>{}.data(), entries, signs);
        continue;
      }
      const float d = round_odd_scales<15>(scales, groups, largest_scale, s);
      out[block].assemble(f16(d * P::factor), s, entries, signs);
    }
    x += count * detail::super_block_size;
    importance = importance ? importance + count * detail::super_block_size : nullptr;
    out += count;
    blocks -= count;
  }
}

} // namespace quanta::encode
