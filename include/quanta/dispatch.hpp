// Kernels chosen at run time: by tensor type, since a file names it, and by level, since the CPU has it.
// The kernels are compiled by quanta_add_kernels() in CMake, one small object a level; this header needs no level flags and
// includes no kernel.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "quanta/contract.hpp"
#include "quanta/isa.hpp"
#include "quanta/parallel.hpp"
#include "quanta/tensor_type.hpp"

namespace quanta::dispatch {

/// The operations on one tensor type at one level, on raw rows: `columns` values each. They expect a multiple of the block
/// size, no null pointer to something, and that rows and values are fewer bytes than memory has; the memory's end they do not
/// know. Objects of a level export nothing but tables of these, so that no inline function of one level can replace another's.
struct kernels {
  tensor_type type;
  /// The activation type that `dot` and `gemv` take; f32 for plain types, whose products are with floats.
  tensor_type dot_partner;

  /// Encodes one row of floats; importance is null or has one value a column.
  void (*quantize)(const float* values, std::size_t columns, void* row, const float* importance);
  /// The same with search::thorough.
  void (*quantize_thoroughly)(const float* values, std::size_t columns, void* row, const float* importance);
  /// Encodes one row of halves.
  void (*quantize_f16)(const void* values, std::size_t columns, void* row, const float* importance);
  /// Encodes one row of bfloats.
  void (*quantize_bf16)(const void* values, std::size_t columns, void* row, const float* importance);
  /// Decodes a row, or any whole number of blocks of it.
  void (*dequantize)(const void* row, std::size_t columns, float* values);
  /// A row with a row of the partner type.
  float (*dot)(const void* row, const void* activations, std::size_t columns);
  /// A row's exact weights with floats.
  float (*dot_values)(const void* row, const float* values, std::size_t columns);
  /// `rows` consecutive rows with one row of the partner type.
  void (*gemv)(const void* matrix, std::size_t rows, std::size_t columns, const void* activations, float* y);
  /// The same with floats.
  void (*gemv_values)(const void* matrix, std::size_t rows, std::size_t columns, const float* values, float* y);
};

/// One of several packed matrices that are multiplied with the same activations, and where its product goes: y[token][row],
/// `stride` floats from token to token.
struct packed_part {
  std::span<const std::byte> matrix;
  std::size_t rows;
  std::span<float> y;
  std::size_t stride;
};

/// What the tokens of a mixture of experts chose, where the products go, and memory to work in: as gemm_experts
/// (quanta/packed/experts.hpp) takes them.
struct packed_choices {
  std::span<const std::uint32_t> chosen;
  std::span<float> y;
  std::size_t stride;
  std::span<std::uint32_t> indices; ///< experts + 1 + choices
  std::span<std::byte> activations; ///< activation_bytes(choices, columns)
};

/// Packed products (quanta/packed/gemm.hpp) of one tensor type at one level, which expect the same sizes. What one level
/// packed, no other can read. Work is shared out through the last argument, any parallel_for; serial{} is none.
struct packed_kernels {
  tensor_type type;
  /// Bytes that `pack` and `pack_activations` write.
  std::size_t (*matrix_bytes)(std::size_t rows, std::size_t columns);
  std::size_t (*activation_bytes)(std::size_t tokens, std::size_t columns);
  /// Packs rows of blocks, row after row without gaps.
  void (*pack)(const void* blocks, std::size_t rows, std::size_t columns, std::span<std::byte> storage, parallel_reference);
  /// Quantizes rows of floats, a token each, as products with matrices of this type take them.
  void (*pack_activations)(std::span<const float> x, std::size_t tokens, std::size_t columns, std::span<std::byte> storage,
                           parallel_reference);
  /// Products of all parts, matrices of `columns` columns, with the same activations.
  void (*gemm)(std::span<const packed_part> parts, std::size_t columns, std::span<const std::byte> activations,
               std::size_t tokens, parallel_reference);
  /// Products of each token with the experts that it chose, packed matrices of rows x columns.
  void (*gemm_experts)(std::span<const std::span<const std::byte>> experts, std::size_t rows, std::size_t columns,
                       std::span<const std::byte> activations, std::size_t tokens, const packed_choices&, parallel_reference);
};

/// All kernels of a level.
struct kernel_table {
  const kernels* first;
  std::size_t count;
  /// Runs `steps` steps of int8_peak_operations 8-bit multiplications and additions on registers: the limit that products of
  /// quantized rows are measured against. The result depends on all of them.
  std::int32_t (*int8_peak)(std::size_t steps);
  std::span<const packed_kernels> packed{};

  constexpr const kernels* begin() const { return first; }
  constexpr const kernels* end() const { return first + count; }
};
inline constexpr std::size_t int8_peak_operations = 12 * 2 * 64;

struct level_entry {
  isa::level level;
  const kernel_table& (*table)() noexcept;
};

/// The levels that quanta_add_kernels() compiled into this program, best first. Defined by the code it generates.
std::span<const level_entry> compiled_levels() noexcept;

/// The best level that is both compiled in and had by this CPU.
inline isa::level best_level() noexcept {
  for (const level_entry& entry : compiled_levels())
    if (isa::has(entry.level))
      return entry.level;
  return isa::level::portable;
}

/// The table of a level; null if it was not compiled in. Expects, as all that follows: the CPU has the level.
inline const kernel_table* table_of_level(isa::level level) noexcept {
  for (const level_entry& entry : compiled_levels())
    if (entry.level == level)
      return &entry.table();
  return nullptr;
}

namespace detail {
template <class Entry>
constexpr const Entry* of_type(std::span<const Entry> entries, tensor_type type) noexcept {
  for (const Entry& entry : entries)
    if (entry.type == type)
      return &entry;
  return nullptr;
}
} // namespace detail

/// The kernels of a tensor type at a level; null if the type or the level was not compiled in.
inline const kernels* find(tensor_type type, isa::level level) noexcept {
  const kernel_table* table = table_of_level(level);
  return table ? detail::of_type(std::span(table->first, table->count), type) : nullptr;
}

/// The kernels of a tensor type at the best level; null for a type without kernels.
inline const kernels* find(tensor_type type) noexcept {
  static const isa::level level = best_level();
  return find(type, level);
}

/// The packed products of a tensor type at a level; null unless quanta_add_kernels() named the type as PACKED.
inline const packed_kernels* find_packed(tensor_type type, isa::level level) noexcept {
  const kernel_table* table = table_of_level(level);
  return table ? detail::of_type(table->packed, type) : nullptr;
}
/// The same at the best level.
inline const packed_kernels* find_packed(tensor_type type) noexcept {
  static const isa::level level = best_level();
  return find_packed(type, level);
}

/// int8_peak of a level; 0 if it was not compiled in.
inline std::int32_t int8_peak(isa::level level, std::size_t steps) noexcept {
  const kernel_table* table = table_of_level(level);
  return table ? table->int8_peak(steps) : 0;
}

} // namespace quanta::dispatch
