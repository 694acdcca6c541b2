// The packed products of one level, compiled with that level's flags by the source that quanta_add_kernels() generates.
#pragma once

#include "quanta/dispatch/level.hpp"
#include "quanta/packed/experts.hpp"
#include "quanta/packed/gemm.hpp"

namespace quanta::dispatch {
namespace detail {

template <class Isa, weight_format B>
struct packed_entries {
  static std::size_t matrix_bytes(std::size_t rows, std::size_t columns) { return packed_bytes<B, Isa>(rows, columns); }
  static std::size_t activation_bytes(std::size_t tokens, std::size_t columns) {
    return quanta::activation_bytes<B, Isa>(tokens, columns);
  }
  static void pack(const void* blocks, std::size_t rows, std::size_t columns, std::span<std::byte> storage,
                   parallel_reference parallel_for) {
    QUANTA_EXPECTS(columns % B::block_size == 0);
    const std::span all(static_cast<const B*>(blocks), quanta::detail::product(rows, columns / B::block_size));
    QUANTA_EXPECTS(blocks != nullptr || all.empty());
    quanta::pack<Isa>(matrix_view<B>(all, rows, columns), storage, parallel_for);
  }
  static void pack_activations(std::span<const float> x, std::size_t tokens, std::size_t columns, std::span<std::byte> storage,
                               parallel_reference parallel_for) {
    quanta::pack_activations<B, Isa>(x, tokens, columns, storage, parallel_for);
  }
  static void gemm(std::span<const packed_part> parts, std::size_t columns, std::span<const std::byte> activations,
                   std::size_t tokens, parallel_reference parallel_for) {
    const packed_activations<B, Isa> x{activations, tokens, columns};
    constexpr std::size_t together = 8; // more than a model multiplies with the same activations
    gemm_part<B, Isa> typed[together];
    for (; !parts.empty(); parts = parts.subspan(parts.size() < together ? parts.size() : together)) {
      const std::size_t count = parts.size() < together ? parts.size() : together;
      for (std::size_t i = 0; i < count; ++i) {
        const packed_part& part = parts[i];
        typed[i] = {{part.matrix, part.rows, columns}, part.y, part.stride};
      }
      quanta::gemm(std::span<const gemm_part<B, Isa>>(typed, count), x, parallel_for);
    }
  }
  static void gemm_experts(std::span<const std::span<const std::byte>> experts, std::size_t rows, std::size_t columns,
                           std::span<const std::byte> activations, std::size_t tokens, const packed_choices& choices,
                           parallel_reference parallel_for) {
    const packed_activations<B, Isa> x{activations, tokens, columns};
    const auto expert = [&](std::size_t e) { return packed_matrix<B, Isa>{experts[e], rows, columns}; };
    quanta::detail::multiply_experts<B, Isa>(experts.size(), expert, x, choices.chosen, choices.y, choices.stride,
                                             {choices.indices, choices.activations}, parallel_for);
  }
  static constexpr packed_kernels table{B::type, matrix_bytes, activation_bytes, pack, pack_activations, gemm, gemm_experts};
};

template <class Isa, class... B>
inline constexpr packed_kernels packed_entries_of[] = {packed_entries<Isa, B>::table...};
template <class Isa, class Formats, class Packed>
struct table_with_packed;
template <class Isa, class... B, class... P>
struct table_with_packed<Isa, type_list<B...>, type_list<P...>> {
  static constexpr kernel_table value{entries_of<Isa, B...>, sizeof...(B), int8_peak<Isa>, packed_entries_of<Isa, P...>};
};

} // namespace detail

/// The table of a level: the kernels of one list of formats, the packed products of another.
template <class Isa, class Formats, class Packed>
inline constexpr const kernel_table& packed_table_of = detail::table_with_packed<Isa, Formats, Packed>::value;

} // namespace quanta::dispatch
