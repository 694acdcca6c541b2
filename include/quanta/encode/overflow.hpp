// Values beyond every scale: what the searches make of sums that overflow is not worth a byte.
#pragma once

#include "quanta/encode/runs.hpp"

namespace quanta::encode {

/// Formats whose scales are halves hold less: q6_k up to 128 * 32 * 65,504, iq4_xs up to 127 * 32 * 65,504.
inline constexpr float beyond_half_scales = 0x1p29f;

template <class B>
concept half_scaled = requires(B block) { requires std::same_as<decltype(block.d), packed<f16>>; } || std::same_as<B, iq1_m>;

/// Blocks that hold values beyond their scales get an infinite one, so that readers refuse them, as they refuse those whose
/// search found one. An infinite scale stays as it is.
template <class Isa, block_format B>
inline void refuse_overflow(const float* x, std::size_t blocks, B* out) {
  if constexpr (half_scaled<B>) {
    using V = simd::vec<float, 16, Isa>;
    for (std::size_t b = 0; b < blocks; ++b, x += B::block_size) {
      if (simd::lane_maximum(lane_maxima<V, B::block_size>(x, magnitude_of)) < beyond_half_scales) [[likely]]
        continue;
      if constexpr (std::same_as<B, iq1_m>)
        out[b].make_infinite();
      else if ((out[b].d.get().bits & 0x7FFF) != 0x7C00)
        out[b].d = f16::from_bits(0x7C00);
    }
  }
}

} // namespace quanta::encode
