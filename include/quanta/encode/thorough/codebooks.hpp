// The codebook formats, thoroughly: for a d the best integers and entries of all groups at once, exactly, from the lines of
// the vectors; then the d that is best for these. From many d, since what is best for one d is best near it too.
#pragma once

#include "quanta/dequantize.hpp"
#include "quanta/encode/codebook_ternary.hpp"
#include "quanta/encode/thorough/codebook_lines.hpp"
#include "quanta/encode/thorough/runs.hpp"

namespace quanta::encode {

inline constexpr float two_bit_levels[1][4] = {{1.f, 3.125f, 5.375f, 0.f}},
                       iq3_xxs_levels[1][8] = {{1.f, 3.f, 5.f, 7.f, 9.f, 11.f, 13.f, 15.5f}},
                       iq3_s_levels[1][8] = {{1.f, 3.f, 5.f, 7.f, 9.f, 11.f, 13.f, 15.f}};

/// Levels as multiples of d (2 s + 1), what the decoder makes of them; s is 0 .. top. `part` vectors choose their variants
/// together: with an even number of minus signs in 8 values, or with one shift for a group.
template <class B>
struct codebook_kind {
  using book = typename magnitude_parameters<B>::book;
  static constexpr bool ternary = false, even_signs = magnitude_parameters<B>::even_signs;
  static constexpr std::size_t variants = even_signs ? 2 : 1, part = even_signs ? 8 / book::dimension : 1, top = 15;
  static constexpr float highest = book::bits == 2 ? 5.375f : 15.f;
  static constexpr const auto& levels() {
    if constexpr (book::bits == 2)
      return two_bit_levels;
    else if constexpr (even_signs)
      return iq3_xxs_levels;
    else
      return iq3_s_levels;
  }
};
template <ternary_format B>
struct codebook_kind<B> {
  using book = iq1s_book;
  static constexpr bool ternary = true, even_signs = false;
  static constexpr std::size_t variants = 2, part = ternary_parameters<B>::shifts == 1 ? B::group_size / 8 : 1, top = 7;
  static constexpr float highest = 1.125f;
  static constexpr const auto& levels() { return ternary_levels; }
};
template <class B>
concept codebook_format = magnitude_format<B> || ternary_format<B>;

template <class Isa, class B>
class codebook_super_block {
  using K = codebook_kind<B>;
  using book = typename K::book;
  using V = simd::vec<float, K::top + 1, Isa>; // one lane an integer s
  using scalar = simd::native<isa::portable>;
  static constexpr std::size_t N = B::group_size, groups = detail::super_block_size / N, dimension = book::dimension,
                               vectors = N / dimension, parts = vectors / K::part;
  // The search starts from these shares of the reference's d.
  static constexpr int starts = 12, rounds = 3;
  static constexpr float share(int k) { return 0.76f + 0.04f * static_cast<float>(k); }

  lowest_lines lines_[groups * vectors][K::variants];
  bool odd_[groups * vectors]; // with even signs: x has an odd number of minus signs in these 8 values
  struct {
    float d, error;
    std::uint8_t s[groups];
  } best_;

  [[gnu::always_inline]] static float odd(std::size_t s) { return static_cast<float>(2 * s + 1); }

  /// Ways in which the vectors of the part from vector v on can choose their variants, and vector k's in way a.
  [[gnu::always_inline]] std::size_t ways(std::size_t v) const {
    return K::ternary ? K::variants : odd_[v] ? K::part : 1;
  }
  [[gnu::always_inline]] std::size_t variant(std::size_t v, std::size_t a, std::size_t k) const {
    if constexpr (K::variants == 1)
      return 0;
    else
      return K::ternary ? a : odd_[v] && a == k ? 1 : 0;
  }

  [[gnu::noinline]] void find_lines(const float* x, const float* w, float d, const B& reference) {
    codebook_lines<Isa, book, K::even_signs> all(K::levels()[0]);
    for (std::size_t g = 0; g < groups; ++g) {
      // scales that the neighbours of the reference's integer have when d changes by a quarter
      const float s = static_cast<float>(reference.group_scales()[g]), least = s > 2.f ? s - 2.f : 0.5f,
                  low = 0.75f * d * least, high = 1.25f * d * (s + 2.f);
      for (std::size_t v = g * vectors; v < (g + 1) * vectors; ++v) {
        const float *values = x + v * dimension, *const weights = w + v * dimension;
        float magnitudes[dimension];
        for (std::size_t j = 0; j < dimension; ++j)
          magnitudes[j] = !K::ternary && values[j] < 0.f ? -values[j] : values[j];
        unsigned negative = 0;
        if constexpr (K::even_signs)
          for (std::size_t j = 0; j < 8; ++j)
            negative += (x + v / K::part * 8)[j] < 0.f;
        odd_[v] = negative % 2 != 0;
        all.load(magnitudes, weights);
        if (K::ternary || !odd_[v] || K::part > 1) // else not asked for
          all.find_lowest(low, high, lines_[v][0]);
        if (K::ternary || (K::even_signs && odd_[v])) {
          all.change_variant();
          all.find_lowest(low, high, lines_[v][K::variants - 1]);
        }
      }
    }
  }

  /// The errors of one group for all s, less sum w x^2.
  [[gnu::always_inline]] V errors_of(std::size_t g, const V& scale) const {
    V sum = simd::fill<V>(0.f);
    for (std::size_t v = g * vectors; v < (g + 1) * vectors; v += K::part) {
      V best = simd::fill<V>(std::numeric_limits<float>::infinity());
      for (std::size_t a = 0; a < ways(v); ++a) {
        V together = simd::fill<V>(0.f);
        for (std::size_t k = 0; k < K::part; ++k) {
          const lowest_lines& lines = lines_[v + k][variant(v, a, k)];
          V height = simd::unfused(scale * simd::fill<V>(lines.q[0])) - simd::fill<V>(lines.p[0]);
          for (std::size_t i = 1; i < lines.count; ++i)
            height = simd::min(height, simd::unfused(scale * simd::fill<V>(lines.q[i])) - simd::fill<V>(lines.p[i]));
          together = together + height;
        }
        best = simd::min(best, together);
      }
      sum = sum + best;
    }
    return simd::unfused(sum * scale);
  }

  /// f(vector, variant, line) for the lines that group g chooses at scale s.
  template <class F>
  [[gnu::always_inline]] void choose(std::size_t g, float s, F&& f) const {
    for (std::size_t v = g * vectors; v < (g + 1) * vectors; v += K::part) {
      float least = std::numeric_limits<float>::infinity();
      std::size_t way = 0, chosen[K::part] = {};
      for (std::size_t a = 0; a < ways(v); ++a) {
        float together = 0.f;
        std::size_t line[K::part];
        for (std::size_t k = 0; k < K::part; ++k) {
          const lowest_lines& lines = lines_[v + k][variant(v, a, k)];
          line[k] = lines.lowest(s);
          together += lines.error(line[k], s);
        }
        if (together < least) {
          least = together;
          way = a;
          for (std::size_t k = 0; k < K::part; ++k)
            chosen[k] = line[k];
        }
      }
      for (std::size_t k = 0; k < K::part; ++k)
        f(v + k, variant(v, way, k), chosen[k]);
    }
  }

  /// Tries a d with the integers and entries that are best for it; returns the d that is best for those.
  [[gnu::noinline]] float evaluate(float d) {
    alignas(64) float steps[K::top + 1], errors[K::top + 1];
    for (std::size_t s = 0; s <= K::top; ++s)
      steps[s] = scalar::unfused(d * odd(s));
    const V scale = simd::load<V>(steps);
    float error = 0.f, a = 0.f, b = 0.f;
    std::uint8_t integers[groups];
    for (std::size_t g = 0; g < groups; ++g) {
      simd::store(errors, errors_of(g, scale));
      std::size_t best = 0;
      for (std::size_t s = 1; s <= K::top; ++s)
        best = errors[s] < errors[best] ? s : best;
      integers[g] = static_cast<std::uint8_t>(best);
      error += errors[best];
      choose(g, steps[best], [&](std::size_t v, std::size_t variant, std::size_t line) __attribute__((always_inline)) {
        const lowest_lines& lines = lines_[v][variant];
        a += scalar::unfused(odd(best) * lines.p[line]);
        b += scalar::unfused(odd(best) * odd(best) * lines.q[line]);
      });
    }
    if (error < best_.error) {
      best_.d = d;
      best_.error = error;
      std::memcpy(best_.s, integers, sizeof integers);
    }
    return b > 0.f ? 0.5f * (a / b) : d;
  }
  [[gnu::always_inline]] float near(float d, int steps) const { return simd::widen_half<Isa>(half_near<Isa>(d, steps)); }

  void write(const float* x, const float* w, B& out) const {
    std::uint16_t entries[groups * vectors];
    std::uint8_t bits[32] = {}; // sign bytes or, for each vector, whether it is shifted down
    for (std::size_t i = 0; !K::ternary && i < detail::super_block_size; ++i)
      bits[i / 8] = static_cast<std::uint8_t>(bits[i / 8] | (x[i] < 0.f ? 1u << i % 8 : 0u));
    for (std::size_t g = 0; g < groups; ++g)
      choose(g, scalar::unfused(best_.d * odd(best_.s[g])), [&](std::size_t v, std::size_t variant, std::size_t line) {
        entries[v] = lines_[v][variant].entry[line];
        if constexpr (K::ternary) {
          bits[v] = static_cast<std::uint8_t>(variant);
        } else if (variant == 1) {
          std::size_t cheapest = 0;
          float least = std::numeric_limits<float>::max();
          for (std::size_t j = 0; j < dimension; ++j) {
            const std::size_t i = v * dimension + j;
            const float product = 2.f * w[i] * x[i], value = K::levels()[0][level_of<book>(book::entries[entries[v]], j)],
                        cost = scalar::unfused((product < 0.f ? -product : product) * value);
            if (cost < least) {
              least = cost;
              cheapest = j;
            }
          }
          const std::size_t i = v * dimension + cheapest;
          bits[i / 8] = static_cast<std::uint8_t>(bits[i / 8] ^ 1u << i % 8);
        }
      });
    out.assemble(half_near<Isa>(best_.d, 0), best_.s, entries, bits);
  }

public:
  /// The candidate for one super-block of which the reference wrote `block`.
  [[gnu::noinline]] void run(const float* x, const float* w, const B& block, B& out) {
    out = block;
    float d = detail::unit_scale<Isa>(block) / B::unit;
    if (!(d > 0.f)) {
      float largest = 0.f;
      for (std::size_t i = 0; i < detail::super_block_size; ++i)
        largest = x[i] > largest ? x[i] : -x[i] > largest ? -x[i] : largest;
      d = largest / (K::highest * odd(K::top));
    }
    best_.error = std::numeric_limits<float>::infinity();
    find_lines(x, w, d, block);
    for (int k = 0; k < starts; ++k) {
      float now = near(d * share(k), 0);
      for (int round = 0; round < rounds; ++round) {
        const float next = near(evaluate(now), 0);
        if (next == now)
          break;
        now = next;
      }
    }
    if (!(best_.error < std::numeric_limits<float>::infinity()))
      return;
    const float middle = best_.d;
    for (const int step : {-2, -1, 1, 2})
      evaluate(near(middle, step));
    write(x, w, out);
  }
};

template <class Isa, codebook_format B>
void propose(const float* x, const float* w, std::size_t count, const B* reference, B* candidates) {
  codebook_super_block<Isa, B> search;
  for (std::size_t b = 0; b < count; ++b, x += detail::super_block_size, w += detail::super_block_size) {
    // Of weights only the ratios matter; at most 1, they leave no sum outside of the range of floats.
    float largest = 0.f, weights[detail::super_block_size];
    for (std::size_t i = 0; i < detail::super_block_size; ++i)
      largest = w[i] > largest ? w[i] : largest;
    const float inverse = largest > 0x1p-100f ? 1.f / largest : 1.f;
    for (std::size_t i = 0; i < detail::super_block_size; ++i)
      weights[i] = w[i] * inverse;
    search.run(x, weights, reference[b], candidates[b]);
  }
}

} // namespace quanta::encode
