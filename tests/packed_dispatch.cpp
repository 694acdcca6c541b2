// Packed products chosen at run time: those of the templates, at every level that this CPU has.
#include <bit>
#include <catch2/catch_test_macros.hpp>

#include "quanta/dispatch.hpp"
#include "quanta/threads.hpp"
#include "support/golden_data.hpp"

namespace {

using quanta::dispatch::find_packed;
using quanta::dispatch::packed_part;

/// The products of two matrices, of which the second has 7 rows fewer, with the same tokens, beside each other in Y.
std::vector<float> products(quanta::tensor_type type, quanta::isa::level level, std::size_t rows, std::size_t columns,
                            std::size_t tokens, quanta::parallel_reference parallel_for) {
  const auto* rows_of = quanta::dispatch::find(type, level);
  const auto* packed = find_packed(type, level);
  REQUIRE(rows_of != nullptr);
  REQUIRE(packed != nullptr);
  const auto w = golden::rows(1, "heavy", rows, columns), x = golden::rows(2, "gaussian", tokens, columns);
  const auto row_bytes = static_cast<std::size_t>(*quanta::row_bytes(type, columns));
  std::vector<std::byte> blocks(rows * row_bytes);
  for (std::size_t r = 0; r < rows; ++r)
    rows_of->quantize(&w[r * columns], columns, &blocks[r * row_bytes], nullptr);
  const std::size_t fewer = rows - 7, stride = rows + fewer;
  std::vector<std::byte> first(packed->matrix_bytes(rows, columns)), second(packed->matrix_bytes(fewer, columns)),
      activations(packed->activation_bytes(tokens, columns));
  packed->pack(blocks.data(), rows, columns, first, parallel_for);
  packed->pack(blocks.data(), fewer, columns, second, parallel_for);
  packed->pack_activations(x, tokens, columns, activations, parallel_for);
  std::vector<float> y(tokens * stride);
  const std::vector<packed_part> parts = {{first, rows, y, stride}, {second, fewer, std::span(y).subspan(rows), stride}};
  packed->gemm(parts, columns, activations, tokens, parallel_for);
  for (std::size_t t = 0; t < tokens; ++t) // the same rows give the same products
    REQUIRE(std::memcmp(&y[t * stride], &y[t * stride + rows], fewer * sizeof(float)) == 0);
  return y;
}

} // namespace

TEST_CASE("packed products have the same bits at all levels and for any threads") {
  const quanta::serial alone;
  const quanta::threads three(3);
  for (const auto type : {quanta::tensor_type::q8_0, quanta::tensor_type::q4_k})
    for (const std::size_t tokens : {1u, 13u}) {
      const auto expected = golden::hash_of_floats(products(type, quanta::isa::level::portable, 70, 512, tokens, alone));
      for (const auto& entry : quanta::dispatch::compiled_levels()) {
        if (!quanta::isa::has(entry.level))
          continue;
        CAPTURE(quanta::isa::name(entry.level), quanta::name(type), tokens);
        CHECK(golden::hash_of_floats(products(type, entry.level, 70, 512, tokens, three)) == expected);
      }
    }
}

TEST_CASE("more matrices than a model multiplies together") {
  const auto* packed = find_packed(quanta::tensor_type::q8_0);
  const std::size_t rows = 5, columns = 64;
  const std::vector<std::byte> blocks(rows * columns / 32 * 34, std::byte{0x11});
  std::vector<std::byte> matrix(packed->matrix_bytes(rows, columns)), activations(packed->activation_bytes(1, columns));
  packed->pack(blocks.data(), rows, columns, matrix, quanta::serial{});
  packed->pack_activations(golden::rows(3, "gaussian", 1, columns), 1, columns, activations, quanta::serial{});
  std::vector<float> y(20 * rows);
  std::vector<packed_part> parts;
  for (std::size_t i = 0; i < 20; ++i)
    parts.push_back({matrix, rows, std::span(y).subspan(i * rows, rows), rows});
  packed->gemm(parts, columns, activations, 1, quanta::serial{});
  for (std::size_t i = 0; i < y.size(); ++i)
    CHECK(std::bit_cast<std::uint32_t>(y[i]) == std::bit_cast<std::uint32_t>(y[0]));
  CHECK(y[0] != 0.f);
}

TEST_CASE("experts chosen at run time give the products of their matrices") {
  const auto type = quanta::tensor_type::q4_k;
  const std::size_t rows = 40, columns = 256, tokens = 3, stride = rows + 1;
  const auto* packed = find_packed(type);
  const auto* rows_of = quanta::dispatch::find(type);
  const auto row_bytes = static_cast<std::size_t>(*quanta::row_bytes(type, columns));
  std::vector<std::vector<std::byte>> storage(3, std::vector<std::byte>(packed->matrix_bytes(rows, columns)));
  for (std::size_t e = 0; e < storage.size(); ++e) {
    const auto w = golden::rows(e, "gaussian", rows, columns);
    std::vector<std::byte> blocks(rows * row_bytes);
    for (std::size_t r = 0; r < rows; ++r)
      rows_of->quantize(&w[r * columns], columns, &blocks[r * row_bytes], nullptr);
    packed->pack(blocks.data(), rows, columns, storage[e], quanta::serial{});
  }
  const std::vector<std::span<const std::byte>> experts(storage.begin(), storage.end());
  const auto x = golden::rows(9, "gaussian", tokens, columns);
  std::vector<std::byte> activations(packed->activation_bytes(tokens, columns));
  packed->pack_activations(x, tokens, columns, activations, quanta::serial{});
  const std::vector<std::uint32_t> chosen{2, 0, 2, 1, 0, 2}; // two a token
  std::vector<float> y(chosen.size() * stride, -1.f), alone(rows);
  std::vector<std::uint32_t> indices(experts.size() + 1 + chosen.size());
  std::vector<std::byte> tiles(packed->activation_bytes(chosen.size(), columns));
  packed->gemm_experts(experts, rows, columns, activations, tokens, {chosen, y, stride, indices, tiles}, quanta::serial{});
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    std::vector<std::byte> token(packed->activation_bytes(1, columns));
    packed->pack_activations(std::span(x).subspan(i / 2 * columns, columns), 1, columns, token, quanta::serial{});
    packed->gemm(std::vector<packed_part>{{experts[chosen[i]], rows, alone, rows}}, columns, token, 1, quanta::serial{});
    CHECK(std::memcmp(&y[i * stride], alone.data(), rows * sizeof(float)) == 0);
    CHECK((i + 1 == chosen.size() || y[i * stride + rows] == -1.f));
  }
}

TEST_CASE("types that were not named are not found") {
  CHECK(find_packed(quanta::tensor_type::q4_0) == nullptr);
  CHECK(find_packed(quanta::tensor_type::f32) == nullptr);
}
