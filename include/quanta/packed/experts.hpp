// Mixture of experts: each token is multiplied with the matrices that it chose.
#pragma once

#include "quanta/packed/panels.hpp"

namespace quanta {

/// Memory that gemm_experts works in; the caller's, so that nothing is allocated.
struct expert_scratch {
  std::span<std::uint32_t> indices; ///< expert_indices(experts, choices)
  std::span<std::byte> activations; ///< activation_bytes<B, Isa>(choices, columns)
};
/// Expects: no more indices than a size can tell.
[[gnu::always_inline]] constexpr std::size_t expert_indices(std::size_t experts, std::size_t choices) {
  QUANTA_EXPECTS(choices < std::numeric_limits<std::size_t>::max() - experts);
  return experts + 1 + choices;
}

namespace detail {

/// Copies a token's activations from one tile to another; all of them are fields of 4 bytes side by side with those of the
/// tile's other tokens.
template <class Isa, class B>
inline void move_token(const std::uint8_t* from, std::size_t tokens, std::size_t token, std::uint8_t* to,
                       std::size_t new_tokens, std::size_t new_token, std::size_t token_bytes) {
  const tile_place old = tile_of<Isa>(token, tokens), place = tile_of<Isa>(new_token, new_tokens);
  from += old.first * token_bytes + 4 * (token - old.first);
  to += place.first * token_bytes + 4 * (new_token - place.first);
  for (std::size_t i = 0; i < token_bytes / 4; ++i)
    std::memcpy(to + 4 * i * place.size, from + 4 * i * old.size, 4);
}

/// gemm_experts() with `experts` matrices of which expert(e) is one.
template <weight_format B, class Isa, class Expert, class Parallel>
void multiply_experts(std::size_t experts, Expert expert, const packed_activations<B, Isa>& x,
                      std::span<const std::uint32_t> chosen, std::span<float> y, std::size_t stride, expert_scratch scratch,
                      Parallel&& parallel_for) {
  using layout = detail::packed_layout<Isa, B>;
  if (chosen.empty())
    return;
  QUANTA_EXPECTS(x.valid());
  QUANTA_EXPECTS(experts > 0 && x.tokens > 0 && chosen.size() % x.tokens == 0);
  QUANTA_EXPECTS(chosen.size() <= std::numeric_limits<std::uint32_t>::max()); // the scratch counts and names them
  const std::size_t rows = expert(0).rows, panels = layout::panels(rows), choices = chosen.size() / x.tokens;
  for (std::size_t e = 0; e < experts; ++e)
    QUANTA_EXPECTS(expert(e).valid() && expert(e).rows == rows && expert(e).columns == x.columns);
  for (const std::uint32_t e : chosen)
    QUANTA_EXPECTS(e < experts);
  QUANTA_EXPECTS(stride >= rows);
  QUANTA_EXPECTS(detail::fits_rows(chosen.size(), stride, rows, y.size()));
  QUANTA_EXPECTS(scratch.indices.size() >= expert_indices(experts, chosen.size()));
  const std::size_t token_bytes = activation_bytes<B, Isa>(1, x.columns);
  QUANTA_EXPECTS(detail::fits(chosen.size(), token_bytes, scratch.activations.size()));

  // Choices sorted by expert, those of expert e from ends[e - 1] to ends[e].
  const auto ends = scratch.indices.first(experts + 1), sorted = scratch.indices.subspan(experts + 1);
  for (std::uint32_t& end : ends)
    end = 0;
  for (const std::uint32_t e : chosen)
    ++ends[e + 1];
  for (std::size_t e = 1; e < ends.size(); ++e)
    ends[e] += ends[e - 1];
  for (std::size_t i = 0; i < chosen.size(); ++i)
    sorted[ends[chosen[i]]++] = static_cast<std::uint32_t>(i);
  const auto first_of = [&](std::size_t e) -> std::size_t { return e == 0 ? 0 : ends[e - 1]; };

  auto* tiles = reinterpret_cast<std::uint8_t*>(scratch.activations.data());
  detail::share(chosen.size(), 1, parallel_for, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      const std::size_t e = chosen[sorted[i]], first = first_of(e);
      detail::move_token<Isa, B>(reinterpret_cast<const std::uint8_t*>(x.bytes.data()), x.tokens, sorted[i] / choices,
                                 tiles + first * token_bytes, ends[e] - first, i - first, token_bytes);
    }
  });
  std::size_t used = 0;
  for (std::size_t e = 0; e < experts; ++e)
    used += ends[e] > first_of(e);
  const std::size_t products = layout::rows * x.columns * chosen.size() / used;
  detail::for_panel_stretches(used * panels, products, parallel_for, [&](std::size_t from, std::size_t to) {
    const auto size = [&](std::size_t e) { return ends[e] > first_of(e) ? panels : 0; };
    detail::for_each_part(experts, from, to, size, [&](std::size_t e, std::size_t begin, std::size_t end) {
      const std::size_t first = first_of(e);
      detail::multiply_panels<Isa, B>(expert(e), begin, end, tiles + first * token_bytes, ends[e] - first,
                                      [&](std::size_t token) { return y.data() + sorted[first + token] * stride; });
    });
  });
}

} // namespace detail

/// Products of each token with the experts that it chose, matrices of one shape: `chosen` holds as many indices a token
/// as tokens have choices, token after token, and y[i], `stride` floats from choice to choice, is the product of
/// experts[chosen[i]] with the token of choice i. Tokens are grouped by expert, so that each chosen matrix is read once
/// for each block of its tokens; the panels of all of them are shared out together through parallel_for. The bits are
/// those of gemm with one token. Allocates nothing. Expects: x.valid(); chosen.size() a multiple of x.tokens and below
/// 2^32, every index below experts.size(); every expert valid(), with rows and columns of the first, x.columns == columns;
/// stride >= rows; y.size() holds the rows of every choice; scratch as it says.
template <weight_format B, class Isa, class Parallel = serial>
void gemm_experts(std::span<const packed_matrix<B, Isa>> experts, const packed_activations<B, Isa>& x,
                  std::span<const std::uint32_t> chosen, std::span<float> y, std::size_t stride, expert_scratch scratch,
                  Parallel&& parallel_for = {}) {
  const auto expert = [&](std::size_t e) -> const packed_matrix<B, Isa>& { return experts[e]; };
  detail::multiply_experts<B, Isa>(experts.size(), expert, x, chosen, y, stride, scratch, parallel_for);
}

} // namespace quanta
