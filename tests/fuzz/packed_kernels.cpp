// The packed form of a format of each kind and its products, at QUANTA_FUZZ_LEVEL.
#include "kernels.hpp"
#include "quanta/formats.hpp"
#include "quanta/packed/gemm.hpp"
#include "quanta/packed/unpack.hpp"

namespace {

using level = quanta::isa::QUANTA_FUZZ_LEVEL;
using quanta::parallel_reference;

// All of them would take minutes to compile; these have every kind of codes, scales and offsets between them.
using formats = quanta::type_list<quanta::q8_0, quanta::q4_0, quanta::q5_1, quanta::q2_k, quanta::q3_k, quanta::q4_k,
                                  quanta::q6_k, quanta::iq4_xs, quanta::iq2_s, quanta::tq1_0, quanta::mxfp4, quanta::nvfp4>;

template <class B>
struct operations {
  static std::size_t packed_bytes(std::size_t rows, std::size_t columns) {
    return quanta::packed_bytes<B, level>(rows, columns);
  }
  static std::size_t activation_bytes(std::size_t tokens, std::size_t columns) {
    return quanta::activation_bytes<B, level>(tokens, columns);
  }
  static std::size_t blocks(std::size_t rows, std::size_t columns) { return rows * (columns / B::block_size); }
  static void pack(const void* matrix, std::size_t rows, std::size_t columns, std::span<std::byte> storage,
                   parallel_reference parallel_for) {
    const std::span all(static_cast<const B*>(matrix), blocks(rows, columns));
    quanta::pack<level>(quanta::matrix_view<B>(all, rows, columns), storage, parallel_for);
  }
  static void unpack(std::span<const std::byte> packed, std::size_t rows, std::size_t columns, void* out,
                     parallel_reference parallel_for) {
    quanta::unpack(quanta::packed_matrix<B, level>{packed, rows, columns},
                   std::span(static_cast<B*>(out), blocks(rows, columns)), parallel_for);
  }
  static void pack_activations(std::span<const float> x, std::size_t tokens, std::size_t columns, std::span<std::byte> storage,
                               parallel_reference parallel_for) {
    quanta::pack_activations<B, level>(x, tokens, columns, storage, parallel_for);
  }
  static void gemm(std::span<const std::byte> packed, std::size_t rows, std::size_t columns,
                   std::span<const std::byte> activations, std::size_t tokens, std::span<float> y, std::size_t stride,
                   parallel_reference parallel_for) {
    quanta::gemm(quanta::packed_matrix<B, level>{packed, rows, columns},
                 quanta::packed_activations<B, level>{activations, tokens, columns}, y, stride, parallel_for);
  }
  static void canonical(void* p, std::size_t count) {
    for (B& block : std::span(static_cast<B*>(p), count)) {
      if constexpr (std::same_as<B, quanta::nvfp4>)
        for (auto& scale : block.scales)
          scale = static_cast<std::uint8_t>(scale == 0x7F ? 0 : scale == 0xFF ? scale : scale & 0x7F);
      if constexpr (std::same_as<B, quanta::tq1_0>) {
        std::array<std::uint8_t, B::block_size> codes;
        for (std::size_t i = 0; i < codes.size(); ++i)
          codes[i] = static_cast<std::uint8_t>(block.code(i));
        block.assemble(block.d, codes.data());
      }
    }
  }
};

template <class B>
constexpr fuzz::packed_kernels kernels_of() {
  using all = operations<B>;
  fuzz::packed_kernels k{B::type,   B::block_size, sizeof(B),      all::packed_bytes,     all::activation_bytes,
                         all::pack, nullptr,       all::canonical, all::pack_activations, all::gemm};
  if constexpr (quanta::unpackable_format<B>)
    k.unpack = all::unpack;
  return k;
}
template <class... B>
constexpr auto table_of(quanta::type_list<B...>) {
  return std::array{kernels_of<B>()...};
}

} // namespace

template <>
std::span<const fuzz::packed_kernels> fuzz::packed_at<level>() {
  static constexpr auto table = table_of(formats{});
  return table;
}
