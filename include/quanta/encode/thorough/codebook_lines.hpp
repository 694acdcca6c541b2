// Entries of a codebook as lines. An entry whose levels are v makes of a vector's weighted error at scale s
//
//   sum w x^2  -  s p  +  s^2 q,      p = 2 sum w |x| v,  q = sum w v^2.
//
// p and q do not depend on s, and the best entry at s has the least s q - p: of hundreds of lines the lowest. The ten or so
// that are lowest anywhere say all about the vector that choosing scales needs.
#pragma once

#include <bit>
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

/// All lines of one vector in its first variant, then in its second one: with the sign changed that costs least (Flips), or
/// with all levels a quarter lower. 24 KiB for the largest book.
template <class Isa, class Book, bool Flips>
class codebook_lines {
  static constexpr std::size_t n = Book::count, most_between = 128;
  static_assert(n % 32 == 0);
  // Coordinates of two bits are looked up in pairs: the terms of `together` coordinates for all their levels are one row.
  static constexpr std::size_t together = Book::bits == 2 ? 2 : 1, rows = Book::dimension / together;
  static constexpr int row_bits = Book::bits * static_cast<int>(together);
  using row = simd::vec<float, std::size_t{1} << row_bits, Isa>;
  static constexpr std::size_t width = simd::lanes<row>;
  using wide = simd::vec<float, 32, Isa>; // two registers and more: comparisons of one wait for those of the other

  /// change: the cheapest sign's share of p, or sum w v.
  alignas(64) float p_[n], q_[n], change_[n], levels_[together][width];
  float sum_w_, sum_wx_;

  /// The line that is lowest at s, the first of equals.
  [[gnu::noinline]] static std::size_t lowest(const float* p, const float* q, std::size_t count, float s) {
    const wide scale = simd::fill<wide>(s);
    wide best = simd::fill<wide>(std::numeric_limits<float>::infinity()), place = simd::fill<wide>(0.f);
    for (std::size_t e = 0; e < count; e += 32) {
      const wide height = simd::unfused(scale * simd::load<wide>(q + e)) - simd::load<wide>(p + e);
      const auto better = height < best;
      best = simd::select(better, height, best);
      place = simd::select(better, simd::fill<wide>(static_cast<float>(e)), place);
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
  explicit codebook_lines(const float* levels) {
    for (std::size_t k = 0; k < together; ++k)
      for (std::size_t c = 0; c < width; ++c)
        levels_[k][c] = levels[c >> Book::bits * k & (slots<Book> - 1)];
  }

  /// The first variant's lines of a vector: values (magnitudes where signs are stored apart) and weights.
  [[gnu::noinline]] void load(const float* x, const float* w) {
    using V = simd::vec<float, 16, Isa>;
    alignas(64) float product[rows * width], square[rows * width], changes[rows * width];
    sum_w_ = sum_wx_ = 0.f;
    for (std::size_t j = 0; j < Book::dimension; ++j) {
      const std::size_t at = j / together * width;
      const row v = simd::load<row>(levels_[j % together]), weighted = simd::unfused(simd::fill<row>(w[j]) * v);
      row p = simd::unfused(simd::fill<row>(2.f * x[j]) * weighted), q = simd::unfused(weighted * v),
          change = Flips ? p : weighted;
      if (j % together != 0) {
        p = p + simd::load<row>(product + at);
        q = q + simd::load<row>(square + at);
        const row before = simd::load<row>(changes + at);
        change = Flips ? simd::min(change, before) : change + before;
      }
      simd::store(product + at, p);
      simd::store(square + at, q);
      simd::store(changes + at, change);
      sum_w_ += w[j];
      sum_wx_ += simd::native<isa::portable>::unfused(w[j] * x[j]);
    }
    for (std::size_t e = 0; e < n; e += 16) {
      const auto codes = simd::load_words<16, Isa>(Book::entries.data() + e);
      V p = simd::fill<V>(0.f), q = p, change = simd::fill<V>(Flips ? std::numeric_limits<float>::max() : 0.f);
      simd::unroll<static_cast<int>(rows)>([&](auto r) __attribute__((always_inline)) {
        constexpr std::size_t at = static_cast<std::size_t>(r()) * width;
        const auto code = simd::shift_right<row_bits * r()>(codes);
        p = p + simd::look_up_floats<row_bits>(product + at, code);
        q = q + simd::look_up_floats<row_bits>(square + at, code);
        const V term = simd::look_up_floats<row_bits>(changes + at, code);
        change = Flips ? simd::min(change, term) : change + term;
      });
      simd::store(p_ + e, p);
      simd::store(q_ + e, q);
      simd::store(change_ + e, change);
    }
  }

  /// Turns the lines into those of the second variant. With levels v - 1/4, p loses sum w x / 2; q loses sum w v / 2 and
  /// gains sum w / 16.
  [[gnu::noinline]] void change_variant() {
    using V = simd::vec<float, 16, Isa>;
    const V half = simd::fill<V>(0.5f), all_p = simd::fill<V>(0.5f * sum_wx_), all_q = simd::fill<V>(0.0625f * sum_w_);
    for (std::size_t e = 0; e < n; e += 16) {
      const V p = simd::load<V>(p_ + e), change = simd::load<V>(change_ + e);
      if constexpr (Flips) {
        simd::store(p_ + e, p - (change + change));
      } else {
        simd::store(p_ + e, p - all_p);
        simd::store(q_ + e, (simd::load<V>(q_ + e) - simd::unfused(half * change)) + all_q);
      }
    }
  }

  /// The lines that are lowest somewhere between the scales low and high: between two of them another one can be so only
  /// where they cross.
  [[gnu::noinline]] void find_lowest(float low, float high, lowest_lines& out) const {
    out.count = 0;
    const auto add = [&](float p, float q, std::size_t e) {
      out.p[out.count] = p;
      out.q[out.count] = q;
      out.entry[out.count++] = static_cast<std::uint16_t>(e);
    };
    const std::size_t first = lowest(p_, q_, n, low), last = lowest(p_, q_, n, high);
    add(p_[first], q_[first], first);
    if (last == first || !(q_[first] > q_[last]))
      return;
    add(p_[last], q_[last], last);

    // Where the two cross, all others that come into question are below them: few.
    alignas(64) float p[most_between + 32], q[most_between + 32];
    std::uint16_t entry[most_between];
    std::size_t count = 0;
    const float middle = (p_[first] - p_[last]) / (q_[first] - q_[last]);
    const wide scale = simd::fill<wide>(middle),
               bound = simd::unfused(scale * simd::fill<wide>(q_[first])) - simd::fill<wide>(p_[first]);
    for (std::size_t e = 0; e < n; e += 32) {
      const wide height = simd::unfused(scale * simd::load<wide>(q_ + e)) - simd::load<wide>(p_ + e);
      for (std::uint64_t hits = simd::bits(height < bound); hits != 0 && count < most_between; hits &= hits - 1) {
        const std::size_t i = e + static_cast<std::size_t>(std::countr_zero(hits));
        p[count] = p_[i];
        q[count] = q_[i];
        entry[count++] = static_cast<std::uint16_t>(i);
      }
    }
    for (std::size_t i = count; i < count + 32; ++i) { // filled up with lines that are never below
      p[i] = std::numeric_limits<float>::lowest();
      q[i] = 0.f;
    }

    struct stretch {
      float p_left, q_left, p_right, q_right;
    } open[lowest_lines::capacity];
    std::size_t depth = 0;
    open[depth++] = {p_[first], q_[first], p_[last], q_[last]};
    while (count > 0 && depth > 0 && out.count < lowest_lines::capacity) {
      const stretch between = open[--depth];
      if (!(between.q_left > between.q_right))
        continue;
      const std::size_t e = lowest(p, q, count, (between.p_left - between.p_right) / (between.q_left - between.q_right));
      if (!(between.q_left > q[e] && q[e] > between.q_right))
        continue;
      add(p[e], q[e], entry[e]);
      open[depth++] = {between.p_left, between.q_left, p[e], q[e]};
      open[depth++] = {p[e], q[e], between.p_right, between.q_right};
    }
  }
};

} // namespace quanta::encode
