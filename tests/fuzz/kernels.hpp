// The kernels that targets compare, behind function pointers: each level is compiled for itself.
#pragma once

#include <cstdlib>
#include <span>
#include <string_view>

#include "quanta/parallel.hpp"
#include "quanta/tensor_type.hpp"

namespace fuzz {

struct block_kernels {
  quanta::tensor_type type;
  std::size_t block_size, block_bytes;
  void (*decode)(const void* blocks, std::size_t count, float* values);
  float (*equation)(const void* blocks, std::size_t i); ///< value i of a row
  // null where the format holds activations only
  std::size_t partner_bytes; ///< bytes of the activations that a block is multiplied with
  float (*dot)(const void* blocks, const void* activations, std::size_t count);
  float (*dot_values)(const void* blocks, const float* values, std::size_t count);
};

struct encoder_kernels {
  quanta::tensor_type type;
  std::size_t block_size, block_bytes;
  void (*encode)(const float* x, std::size_t count, void* blocks, const float* importance);
  void (*encode_thoroughly)(const float* x, std::size_t count, void* blocks, const float* importance); ///< null for most
  void (*decode)(const void* blocks, std::size_t count, float* values);
};

struct packed_kernels {
  quanta::tensor_type type;
  std::size_t block_size, block_bytes;
  std::size_t (*packed_bytes)(std::size_t rows, std::size_t columns);
  std::size_t (*activation_bytes)(std::size_t tokens, std::size_t columns);
  void (*pack)(const void* blocks, std::size_t rows, std::size_t columns, std::span<std::byte> storage,
               quanta::parallel_reference parallel_for);
  /// Null for codebooks. `canonical` clears the bits of blocks that no value depends on.
  void (*unpack)(std::span<const std::byte> packed, std::size_t rows, std::size_t columns, void* blocks,
                 quanta::parallel_reference parallel_for);
  void (*canonical)(void* blocks, std::size_t count);
  void (*pack_activations)(std::span<const float> x, std::size_t tokens, std::size_t columns, std::span<std::byte> storage,
                           quanta::parallel_reference parallel_for);
  void (*gemm)(std::span<const std::byte> packed, std::size_t rows, std::size_t columns, std::span<const std::byte> activations,
               std::size_t tokens, std::span<float> y, std::size_t stride, quanta::parallel_reference parallel_for);
};

/// Those of a level, in the same order at each; defined by the source that is compiled for it.
template <class Isa>
std::span<const block_kernels> blocks_at();
template <class Isa>
std::span<const encoder_kernels> encoders_at();
template <class Isa>
std::span<const packed_kernels> packed_at();

/// The place of the format that a byte names, or of the one in QUANTA_FUZZ_FORMAT in the environment.
template <class Kernels>
std::size_t choose(std::span<const Kernels> table, std::uint8_t byte) {
  static const quanta::type_info* const wanted = [] {
    const char* name = std::getenv("QUANTA_FUZZ_FORMAT");
    return name ? quanta::find_format(name) : nullptr;
  }();
  std::size_t i = byte % table.size();
  while (wanted && table[i].type != wanted->type && ++i % table.size() != byte % table.size())
    i %= table.size();
  return i % table.size();
}

} // namespace fuzz
