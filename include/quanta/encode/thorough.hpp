// search::thorough: what the reference wrote, block by block replaced where something better is found.
#pragma once

#include "quanta/encode/thorough/codebooks.hpp"
#include "quanta/encode/thorough/fp4.hpp"
#include "quanta/encode/thorough/objective.hpp"
#include "quanta/encode/thorough/runs.hpp"
#include "quanta/encode/thorough/super_blocks.hpp"

namespace quanta::encode {

/// Formats that have a `propose`: it writes candidates for up to 2,048 values, from the values, what errors
/// count, and the reference's blocks.
template <class Isa, class B>
concept thorough_format = requires(const float* x, const B* reference, B* candidates) {
  propose<Isa>(x, x, std::size_t{}, reference, candidates);
};

/// Improves `blocks` blocks that hold what the reference wrote. Without importance a block must improve in two
/// ways, by its plain squared error too, so that "never worse" is true for whoever measures it.
template <class Isa, class B>
requires thorough_format<Isa, B>
[[gnu::noinline]] void improve(const float* x, std::size_t blocks, B* out, const float* importance) {
  constexpr std::size_t N = B::block_size, together = blocks_together * detail::super_block_size / N;
  for (std::size_t first = 0; first < blocks; first += together) {
    const std::size_t count = blocks - first < together ? blocks - first : together;
    const float* values = x + first * N;
    const float* w = importance ? importance + first * N : nullptr;
    alignas(64) float magnitudes[together * N];
    if (!importance) {
      for (std::size_t b = 0; b < count; ++b)
        weigh_by_magnitude<Isa, N>(values + b * N, magnitudes + b * N);
      w = magnitudes;
    }
    B candidates[together];
    propose<Isa>(values, w, count, out + first, candidates);
    for (std::size_t b = 0; b < count; ++b) {
      const auto better = [&](const float* weights) {
        return is_better<Isa>(values + b * N, weights, candidates[b], out[first + b]);
      };
      if (better(w + b * N) && (importance || better(nullptr)))
        out[first + b] = candidates[b];
    }
  }
}

} // namespace quanta::encode
