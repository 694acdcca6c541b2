// The entry of a codebook that is nearest to a vector in a weighted metric. All sums over the coordinates of a vector are sums
// of terms that depend on one level each: they are made once and looked up by the levels of 8 or 16 entries at a time.
#pragma once

#include "quanta/encode/codebook_tables.hpp"

namespace quanta::encode {

/// Terms of a sum over coordinates: coordinate j at level l is at [j * slots + l]. 32 floats for a vector of either kind.
template <class Book>
inline constexpr std::size_t slots = std::size_t{1} << Book::bits;
template <class Book>
inline constexpr std::size_t vector_terms = Book::dimension * slots<Book>;

/// Lane k of sum, plus the terms of one vector at the levels of codes[k], coordinate after coordinate.
template <class Book, std::size_t N, class Isa>
[[gnu::always_inline]] inline simd::vec<float, N, Isa> add_terms(simd::vec<float, N, Isa> sum, const float* terms,
                                                                 const simd::vec<std::int32_t, N, Isa>& codes) {
  simd::unroll<static_cast<int>(Book::dimension)>([&](auto j) __attribute__((always_inline)) {
    sum = sum + simd::look_up_floats<Book::bits>(terms + static_cast<std::size_t>(j()) * slots<Book>,
                                                 simd::shift_right<Book::bits * j()>(codes));
  });
  return sum;
}

/// The terms root (scale p - x)^2 of one vector for the scaled levels scale * p; roots and values stand in every slot of
/// their coordinate.
template <class Book, class V>
[[gnu::always_inline]] inline void distance_terms(const V& scaled_levels, const float* values, const float* roots,
                                                  float* terms) {
  for (std::size_t i = 0; i < vector_terms<Book>; i += simd::lanes<V>) {
    const V e = scaled_levels - simd::load<V>(values + i);
    simd::store(terms + i, simd::unfused(simd::unfused(simd::load<V>(roots + i) * e) * e));
  }
}

/// The code of the first neighbour with the smallest sum of terms.
template <class Isa, class Book>
[[gnu::always_inline]] inline std::uint16_t nearest_neighbour(const codebook_tables<Isa, Book>& tables, neighbour_list list,
                                                              const float* terms) {
  constexpr std::size_t W = Book::chunk;
  using F = simd::vec<float, W, Isa>;
  const std::uint16_t* const codes = tables.neighbours + list.first * W;
  const auto sums_of = [&](std::size_t chunk) __attribute__((always_inline)) {
    return add_terms<Book>(simd::fill<F>(0.f), terms, simd::load_words<W, Isa>(codes + chunk * W));
  };
  F best = sums_of(0), place = simd::fill<F>(0.f);
  for (std::size_t chunk = 1; chunk < list.count; ++chunk) {
    const F sums = sums_of(chunk);
    const auto better = sums < best;
    best = simd::select(better, sums, best);
    place = simd::select(better, simd::fill<F>(static_cast<float>(chunk)), place);
  }
  std::uint64_t hits = simd::bits(best == simd::fill<F>(simd::lane_minimum(best)));
  if (hits == 0) // not a number
    return codes[0];
  const auto lane = static_cast<std::size_t>(std::countr_zero(hits));
  if (list.count == 1)
    return codes[lane];
  float places[W];
  simd::store(places, place);
  std::size_t position = static_cast<std::size_t>(places[lane]) * W + lane;
  while ((hits &= hits - 1) != 0) { // equals: the earliest in the list
    const auto other = static_cast<std::size_t>(std::countr_zero(hits));
    const std::size_t p = static_cast<std::size_t>(places[other]) * W + other;
    position = p < position ? p : position;
  }
  return codes[position];
}

} // namespace quanta::encode
