// The table of one level, compiled with that level's flags by the source that quanta_add_kernels() generates.
#pragma once

#include <limits>

#include "quanta/dispatch.hpp"
#include "quanta/quanta.hpp"
#include "quanta/simd/interleaved.hpp"

namespace quanta::dispatch {
namespace detail {

template <class Isa, row_format B>
struct entries {
  static constexpr bool plain = plain_format<B>;
  static constexpr std::size_t largest_object = std::numeric_limits<std::ptrdiff_t>::max();

  /// Blocks of a row. Expects what is known of memory without its end: whole blocks, as many bytes as an object can have, no
  /// null pointer to any.
  static std::size_t blocks(std::size_t columns, const auto*... rows) {
    QUANTA_EXPECTS(columns % block_size_of<B> == 0);
    QUANTA_EXPECTS(quanta::detail::fits(columns, sizeof(float), largest_object)); // no row takes more than its floats
    QUANTA_EXPECTS(columns == 0 || (... && (rows != nullptr)));
    return columns / block_size_of<B>;
  }
  /// The same of a matrix' rows, activations x and products y.
  template <class A>
  static std::size_t blocks_of_product(const void* matrix, std::size_t rows, std::size_t columns, const A* x, const float* y) {
    const std::size_t row = blocks(columns, x);
    QUANTA_EXPECTS(columns % block_size_of<A> == 0);
    QUANTA_EXPECTS(quanta::detail::fits(row * sizeof(B), rows, largest_object));
    QUANTA_EXPECTS(quanta::detail::fits(rows, sizeof(float), largest_object));
    QUANTA_EXPECTS(rows == 0 || (y != nullptr && (row == 0 || matrix != nullptr)));
    return row;
  }

  template <class T>
  static void quantize(const T* values, std::size_t columns, void* out, const float* importance) {
    blocks(columns, values, out);
    quanta::detail::quantize_row<Isa>(values, columns, static_cast<B*>(out), importance);
  }
  static void quantize_f32(const float* v, std::size_t n, void* out, const float* w) { quantize(v, n, out, w); }
  static void quantize_thoroughly(const float* v, std::size_t n, void* out, const float* w) {
    blocks(n, v, out);
    quanta::detail::quantize_row<Isa, search::thorough>(v, n, static_cast<B*>(out), w);
  }
  static void quantize_f16(const void* v, std::size_t n, void* out, const float* w) {
    quantize(static_cast<const f16*>(v), n, out, w);
  }
  static void quantize_bf16(const void* v, std::size_t n, void* out, const float* w) {
    quantize(static_cast<const bf16*>(v), n, out, w);
  }
  static void dequantize(const void* in, std::size_t columns, float* values) {
    quanta::detail::dequantize_blocks<Isa>(static_cast<const B*>(in), blocks(columns, in, values), values);
  }
  static void multiply(const void* matrix, std::size_t rows, std::size_t columns, const auto* x, float* y) {
    const std::size_t row = blocks_of_product(matrix, rows, columns, x, y);
    quanta::detail::dot_rows<Isa>(static_cast<const B*>(matrix), rows, row, x, y);
  }
  static auto partner_blocks(const void* activations) {
    if constexpr (weight_format<B>)
      return static_cast<const typename B::dot_partner*>(activations);
    else
      return static_cast<const float*>(activations);
  }
  static void gemv(const void* matrix, std::size_t rows, std::size_t columns, const void* activations, float* y) {
    const auto* x = partner_blocks(activations);
    const std::size_t row = blocks_of_product(matrix, rows, columns, x, y);
    quanta::detail::with_fast_activations<Isa, B>(x, rows, row, [&](const auto* fast) {
      quanta::detail::dot_rows<Isa>(static_cast<const B*>(matrix), rows, row, fast, y);
    });
  }
  static void gemv_values(const void* matrix, std::size_t rows, std::size_t columns, const float* values, float* y) {
    multiply(matrix, rows, columns, values, y);
  }
  static float dot(const void* in, const void* activations, std::size_t columns) {
    float y;
    multiply(in, 1, columns, partner_blocks(activations), &y);
    return y;
  }
  static float dot_values(const void* in, const float* values, std::size_t columns) {
    float y;
    multiply(in, 1, columns, values, &y);
    return y;
  }
  static constexpr tensor_type partner() {
    if constexpr (weight_format<B>)
      return B::dot_partner::type;
    else
      return tensor_type::f32;
  }
  static constexpr kernels table{type_of<B>(),  partner(),  quantize_f32, quantize_thoroughly, quantize_f16,
                                 quantize_bf16, dequantize, dot,          dot_values,          gemv,
                                 gemv_values};
};

/// In the widest registers that the level's products are made in.
template <class Isa>
std::int32_t int8_peak(std::size_t steps) {
  constexpr std::size_t lanes = Isa::value == isa::level::avx512 ? 16 : 8, rounds = int8_peak_operations / (12 * 2 * 4 * lanes);
  using sums = simd::vec<std::int32_t, lanes, Isa>;
  using bytes = simd::vec<std::uint8_t, 4 * lanes, Isa>;
  const auto codes = simd::fill<bytes>(3), y = simd::fill<bytes>(static_cast<std::uint8_t>(steps & 127));
  sums chains[12]; // twelve chains hide the latency of the multiplication
  simd::unroll<12>([&](auto c) __attribute__((always_inline)) { chains[c()] = simd::fill<sums>(c()); });
  for (std::size_t s = 0; s < steps * rounds; ++s)
    simd::unroll<12>([&](auto c) __attribute__((always_inline)) {
      chains[c()] = simd::add_quads<lanes, Isa>(chains[c()], codes, y);
    });
  simd::unroll<11>([&](auto c) __attribute__((always_inline)) { chains[0] = chains[0] + chains[c() + 1]; });
  std::int32_t of_lane[lanes];
  simd::store(of_lane, chains[0]);
  return of_lane[0] + of_lane[lanes - 1];
}

template <class Isa, class... B>
inline constexpr kernels entries_of[] = {entries<Isa, B>::table...};
template <class Isa, class... B>
inline constexpr kernel_table table{entries_of<Isa, B...>, sizeof...(B), int8_peak<Isa>};

} // namespace detail

/// The table of the formats B at level Isa.
template <class Isa, class... B>
inline constexpr const kernel_table& table_of = detail::table<Isa, B...>;

} // namespace quanta::dispatch
