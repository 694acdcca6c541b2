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

/// What the search of a format counts where no importance is given, and beside one. The few entries of a codebook leave
/// errors so large that making them small shrinks the weights, the more the fewer bits it has.
template <class B>
inline constexpr stress plain_stress = stress::root;
template <class B>
inline constexpr stress importance_stress = stress::none;
template <codebook_format B>
inline constexpr stress plain_stress<B> = codebook_kind<B>::book::bits == 2 ? stress::full : stress::root;
template <codebook_format B>
inline constexpr stress importance_stress<B> = plain_stress<B>;

/// Improves `blocks` blocks that hold what the reference wrote. A block must improve by what the search counts and by what
/// was asked for, sum w (x - decoded)^2 with the importance or 1, so that "never worse" is true for whoever measures it.
template <class Isa, class B>
requires thorough_format<Isa, B>
[[gnu::noinline]] void improve(const float* x, std::size_t blocks, B* out, const float* importance) {
  // Searches whose lanes are groups want many blocks; those of codebooks take them one by one and need the stack.
  constexpr std::size_t N = B::block_size,
                        together = codebook_format<B> ? 1 : blocks_together * detail::super_block_size / N;
  for (std::size_t first = 0; first < blocks; first += together) {
    const std::size_t count = blocks - first < together ? blocks - first : together;
    const float *values = x + first * N, *const asked = importance ? importance + first * N : nullptr, *counted = asked;
    alignas(64) float stressed[together * N];
    if (!importance || importance_stress<B> != stress::none) {
      for (std::size_t i = 0; i < count * N; i += N)
        if (importance)
          weigh_by_magnitude<Isa, N, importance_stress<B>>(values + i, asked + i, stressed + i);
        else
          weigh_by_magnitude<Isa, N, plain_stress<B>>(values + i, nullptr, stressed + i);
      counted = stressed;
    }
    B candidates[together];
    const auto search = [&] {
      if constexpr (requires { propose_briefly<Isa>(values, counted, count, candidates); })
        if (!importance)
          return propose_briefly<Isa>(values, counted, count, candidates);
      propose<Isa>(values, counted, count, out + first, candidates);
    };
    search();
    for (std::size_t b = 0; b < count; ++b) {
      const auto better = [&](const float* weights) {
        return is_better<Isa>(values + b * N, weights, candidates[b], out[first + b]);
      };
      if (better(counted + b * N) && (counted == asked || better(asked ? asked + b * N : nullptr)))
        out[first + b] = candidates[b];
    }
  }
}

} // namespace quanta::encode
