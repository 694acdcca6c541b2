// Entries of a codebook as lines. An entry whose levels are v makes of a vector's weighted error at scale s
//
//   sum w x^2  -  s p  +  s^2 q,      p = 2 sum w |x| v,  q = sum w v^2.
//
// p and q do not depend on s, and the best entry at s has the least s q - p: of hundreds of lines the lowest. The ten or so
// that are lowest anywhere say all about the vector that choosing scales needs.
#pragma once

#include <limits>

#include "quanta/encode/codebook_search.hpp"

namespace quanta::encode {

/// The lines that are lowest somewhere. If there are more, the others are left out.
struct lowest_lines {
  static constexpr std::size_t capacity = 16;
  std::size_t count;
  float p[capacity], q[capacity];
  std::uint16_t entry[capacity];

  [[gnu::always_inline]] float error(std::size_t i, float s) const {
    using scalar = simd::native<isa::portable>;
    return scalar::unfused(s * (scalar::unfused(s * q[i]) - p[i]));
  }
  /// The place of the line that is lowest at s.
  [[gnu::always_inline]] std::size_t lowest(float s) const {
    std::size_t best = 0;
    for (std::size_t i = 1; i < count; ++i)
      best = error(i, s) < error(best, s) ? i : best;
    return best;
  }
};

/// All lines of one vector, in one or two variants: with the signs of x and with the sign changed that costs least, or for
/// two shifts of ternary levels. 32 KiB for the largest book.
template <class Isa, class Book, std::size_t Variants, bool Flips>
class codebook_lines {
  static constexpr std::size_t n = Book::count, rows = Flips ? 1 : Variants;
  static_assert(n % 32 == 0);
  using row = simd::vec<float, slots<Book>, Isa>;

  alignas(64) float p_[Variants][n], q_[rows][n];

  [[gnu::always_inline]] const float* q(std::size_t variant) const { return q_[Flips ? 0 : variant]; }

  /// The entry whose line is lowest at s, the first of equals.
  [[gnu::noinline]] std::size_t lowest(std::size_t variant, float s) const {
    using V = simd::vec<float, 32, Isa>; // two registers and more: comparisons of one wait for those of the other
    const float *p = p_[variant], *const square = q(variant);
    const V scale = simd::fill<V>(s);
    V best = simd::fill<V>(std::numeric_limits<float>::infinity()), place = simd::fill<V>(0.f);
    for (std::size_t e = 0; e < n; e += 32) {
      const V height = simd::unfused(scale * simd::load<V>(square + e)) - simd::load<V>(p + e);
      const auto better = height < best;
      best = simd::select(better, height, best);
      place = simd::select(better, simd::fill<V>(static_cast<float>(e)), place);
    }
    alignas(64) float heights[32], places[32];
    simd::store(heights, best);
    simd::store(places, place);
    std::size_t lane = 0;
    for (std::size_t i = 1; i < 32; ++i)
      if (heights[i] < heights[lane] || (heights[i] == heights[lane] && places[i] < places[lane]))
        lane = i;
    return static_cast<std::size_t>(places[lane]) + lane;
  }

 public:
  /// Values (magnitudes where signs are stored apart) and weights of a vector; levels[variant][level].
  [[gnu::noinline]] void load(const float* x, const float* w, const float (*levels)[slots<Book>]) {
    using V = simd::vec<float, 16, Isa>;
    for (std::size_t variant = 0; variant < rows; ++variant) {
      alignas(64) float product[vector_terms<Book>], square[vector_terms<Book>];
      const row v = simd::load<row>(levels[variant]);
      for (std::size_t j = 0; j < Book::dimension; ++j) {
        simd::store(product + j * slots<Book>, simd::unfused(simd::fill<row>(2.f * w[j] * x[j]) * v));
        simd::store(square + j * slots<Book>, simd::unfused(simd::unfused(simd::fill<row>(w[j]) * v) * v));
      }
      for (std::size_t e = 0; e < n; e += 16) {
        const auto codes = simd::load_words<16, Isa>(Book::entries.data() + e);
        V p = simd::fill<V>(0.f), q = p, cheapest = simd::fill<V>(std::numeric_limits<float>::max());
        simd::unroll<static_cast<int>(Book::dimension)>([&](auto j) __attribute__((always_inline)) {
          constexpr std::size_t at = static_cast<std::size_t>(j()) * slots<Book>;
          const auto code = simd::shift_right<Book::bits * j()>(codes);
          const V term = simd::look_up_floats<Book::bits>(product + at, code);
          p = p + term;
          q = q + simd::look_up_floats<Book::bits>(square + at, code);
          if constexpr (Flips)
            cheapest = simd::min(cheapest, term);
        });
        simd::store(p_[variant] + e, p);
        simd::store(q_[variant] + e, q);
        if constexpr (Flips)
          simd::store(p_[1] + e, p - (cheapest + cheapest));
      }
    }
  }

  /// The lines that are lowest somewhere between the scales low and high: between two of them another one can be so only
  /// where they cross.
  [[gnu::noinline]] void find_lowest(std::size_t variant, float low, float high, lowest_lines& out) const {
    const float *p = p_[variant], *const square = q(variant);
    out.count = 0;
    const auto add = [&](std::size_t e) {
      out.p[out.count] = p[e];
      out.q[out.count] = square[e];
      out.entry[out.count++] = static_cast<std::uint16_t>(e);
    };
    struct {
      std::size_t left, right;
    } open[lowest_lines::capacity];
    std::size_t depth = 0;
    const std::size_t first = lowest(variant, low), last = lowest(variant, high);
    add(first);
    if (last != first) {
      add(last);
      open[depth++] = {first, last};
    }
    while (depth > 0 && out.count < lowest_lines::capacity) {
      const auto [left, right] = open[--depth];
      if (!(square[left] > square[right]))
        continue;
      const std::size_t e = lowest(variant, (p[left] - p[right]) / (square[left] - square[right]));
      if (!(square[left] > square[e] && square[e] > square[right]))
        continue;
      add(e);
      open[depth++] = {left, e};
      open[depth++] = {e, right};
    }
  }
};

} // namespace quanta::encode
