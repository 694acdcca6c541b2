// Final codes of one group, in the natural order of its values.
#pragma once

#include "quanta/encode/lanes.hpp"

namespace quanta::encode {

/// The codes of one group from the scale and minimum that decoding will use; where that scale is 0, those of the search.
template <std::size_t N, int Top, class Isa>
[[gnu::always_inline]] inline void affine_codes(const float* x, float scale, float minimum, float t, float base,
                                                std::uint8_t* codes) {
  using V = simd::vec<float, 16, Isa>;
  for (std::size_t i = 0; i < N; i += 16) {
    const V v = simd::load<V>(x + i);
    const V level = scale != 0.f ? (v + simd::fill<V>(minimum)) / simd::fill<V>(scale)
                                 : simd::unfused(simd::fill<V>(t) * (v - simd::fill<V>(base)));
    simd::store_bytes(codes + i, simd::truncate(nearest_level<0, Top>(level)));
  }
}
/// The codes of one group from the scale that decoding will use; where that is 0, those of the search.
template <std::size_t N, int Half, class Isa>
[[gnu::always_inline]] inline void symmetric_codes(const float* x, float scale, float t, std::uint8_t* codes) {
  using V = simd::vec<float, 16, Isa>;
  const V low = simd::fill<V>(static_cast<float>(-Half));
  for (std::size_t i = 0; i < N; i += 16) {
    const V v = simd::load<V>(x + i);
    const V level = scale != 0.f ? v / simd::fill<V>(scale)
                    : t != 0.f   ? simd::unfused(simd::fill<V>(t) * v)
                                 : low;
    simd::store_bytes(codes + i, simd::truncate(nearest_level<-Half, Half - 1>(level) - low));
  }
}

} // namespace quanta::encode
