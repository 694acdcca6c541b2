// What every thorough search asks: how large is the weighted error of a group at some scale and minimum, and
// which scale and minimum would suit the levels better that its values then have. One lane is one group, as in
// the other searches.
#pragma once

#include "quanta/encode/level_search.hpp"

namespace quanta::encode {

/// Levels Low, Low + 1, .. High: the values that a scale multiplies. A format of another kind brings another
/// such struct.
template <int Low, int High>
struct even_levels {
  static constexpr float low = static_cast<float>(Low), high = static_cast<float>(High);
  static constexpr float spacing = 1.f; ///< mean distance of neighbours
  /// The level nearest to v.
  template <class V>
  [[gnu::always_inline]] static V nearest(const V& v) {
    return nearest_level(v, simd::fill<V>(low), simd::fill<V>(high));
  }
  /// The codes of 16 such levels, as they are stored.
  template <class Isa>
  [[gnu::always_inline]] static void store_codes(const simd::vec<float, 16, Isa>& v, std::uint8_t* codes) {
    simd::store_bytes(codes, simd::truncate(nearest(v) - simd::fill<simd::vec<float, 16, Isa>>(low)));
  }
};
/// The 16 levels of iq4_nl and iq4_xs.
struct nonlinear_levels {
  static constexpr float low = static_cast<float>(detail::nonlinear_levels[0]),
                         high = static_cast<float>(detail::nonlinear_levels[15]), spacing = (high - low) / 15.f;
  template <class V>
  [[gnu::always_inline]] static V nearest(const V& v) {
    return nearest_nonlinear(within_nonlinear_levels(v));
  }
  template <class Isa>
  [[gnu::always_inline]] static void store_codes(const simd::vec<float, 16, Isa>& v, std::uint8_t* codes) {
    float values[16];
    simd::store(values, v);
    nonlinear_codes<16, Isa>(values, 1.f, codes);
  }
};
/// The levels of q1_0: the scale and its negative.
struct sign_levels {
  static constexpr float low = -1.f, high = 1.f;
  template <class V>
  [[gnu::always_inline]] static V nearest(const V& v) {
    return simd::select(v < simd::fill<V>(0.f), simd::fill<V>(low), simd::fill<V>(high));
  }
  template <class Isa>
  [[gnu::always_inline]] static void store_codes(const simd::vec<float, 16, Isa>& v, std::uint8_t* codes) {
    const auto zero = simd::fill<simd::vec<float, 16, Isa>>(0.f);
    simd::store_bytes(codes, simd::truncate(simd::max(zero, nearest(v))));
  }
};

/// Values of as many groups as lanes, and what an error of each counts: value i of lane j at [i * lanes + j].
struct group_values {
  const float *x, *w;
};

/// Sums over a group whose values are at their nearest levels l: of w (x - decoded)^2, w l, w l^2 and w x l.
template <class V>
struct level_sums {
  V error, l, l2, xl;
};

enum class measuring { error, sums };

/// Measures a group that is decoded as scale * level - minimum. A scale of 0 decodes all values as -minimum.
/// Not inlined: the searches call it from many places, and it is long enough that a call costs nothing. 10
/// operations a value, 16 with sums.
template <class Levels, std::size_t N, bool Affine, measuring What, class V>
[[gnu::noinline]] void measure(const group_values& g, const V& scale_given, const V& minimum_given,
                               level_sums<V>& out) {
  constexpr std::size_t L = simd::lanes<V>;
  const V zero = simd::fill<V>(0.f), scale = scale_given;
  [[maybe_unused]] const V minimum = minimum_given;
  const V inverse = simd::select(scale != zero, simd::fill<V>(1.f) / scale, zero);
  level_sums<V> sums{zero, zero, zero, zero};
  for (std::size_t i = 0; i < N; ++i) {
    const V x = simd::load<V>(g.x + i * L), w = simd::load<V>(g.w + i * L);
    V raised = x;
    if constexpr (Affine)
      raised = x + minimum;
    const V level = Levels::nearest(simd::unfused(raised * inverse)), e = raised - simd::unfused(scale * level);
    sums.error = sums.error + simd::unfused(w * (e * e));
    if constexpr (What == measuring::sums) {
      const V wl = simd::unfused(w * level);
      if constexpr (Affine)
        sums.l = sums.l + wl;
      sums.l2 = sums.l2 + simd::unfused(wl * level);
      sums.xl = sums.xl + simd::unfused(wl * x);
    }
  }
  out.error = sums.error;
  if constexpr (What == measuring::sums)
    out = sums;
}

/// The codes of one group, as they are stored, in the natural order of its values.
template <class Levels, std::size_t N, class Isa>
[[gnu::always_inline]] inline void nearest_codes(const float* x, float scale, float minimum,
                                                 std::uint8_t* codes) {
  using V = simd::vec<float, 16, Isa>;
  const V inverse = simd::fill<V>(scale != 0.f ? 1.f / scale : 0.f), raise = simd::fill<V>(minimum);
  for (std::size_t i = 0; i < N; i += 16)
    Levels::template store_codes<Isa>(simd::unfused((simd::load<V>(x + i) + raise) * inverse), codes + i);
}

} // namespace quanta::encode
