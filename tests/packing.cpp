// The packed form goes back to the same blocks; variants of gemm have the bits of gemm.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>

#include "quanta/quanta.hpp"
#include "quanta/threads.hpp"
#include "support/golden_data.hpp"
#include "support/level_kernels.hpp"

namespace {

using quanta::isa::native;
using formats = quanta::weight_formats::append<quanta::linear_block<3, 64>, quanta::linear_block<6, 128, quanta::affine>,
                                               quanta::linear_block<8, 64, quanta::affine>, quanta::int8_block<128>>;

/// Blocks of random bytes, without the bits that no value depends on.
template <class B>
std::vector<B> any_blocks(std::size_t count) {
  auto blocks = golden::random_blocks<B>(7, 1, count);
  for (B& block : blocks) {
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
  return blocks;
}

} // namespace

TEST_CASE("unpack gives back the blocks that pack was given") {
  std::size_t count = 0;
  formats::for_each([&](auto tag) {
    using B = typename decltype(tag)::type;
    if constexpr (quanta::unpackable_format<B>) {
      CAPTURE(B::name, B::block_size);
      ++count;
      const std::size_t columns = 768;
      for (const std::size_t rows : {std::size_t{1}, std::size_t{35}, std::size_t{64}}) {
        CAPTURE(rows);
        const auto blocks = any_blocks<B>(rows * columns / B::block_size);
        std::vector<std::byte> bytes(quanta::packed_bytes<B>(rows, columns) + 1, std::byte{0xA5}), threaded(bytes);
        const quanta::matrix_view<B> matrix(blocks, rows, columns);
        const auto packed = quanta::pack(matrix, std::span(bytes).first(bytes.size() - 1));
        quanta::pack(matrix, std::span(threaded).first(bytes.size() - 1), quanta::threads(3));
        CHECK(bytes == threaded);
        CHECK(bytes.back() == std::byte{0xA5});
        std::vector<B> back(blocks.size() + 1);
        std::memset(static_cast<void*>(back.data()), 0xA5, back.size() * sizeof(B));
        quanta::unpack(packed, std::span(back).first(blocks.size()), quanta::threads(2));
        CHECK(std::memcmp(back.data(), blocks.data(), blocks.size() * sizeof(B)) == 0);
        CHECK(reinterpret_cast<const unsigned char&>(back.back()) == 0xA5);
      }
    }
  });
  CHECK(count == formats::size - 7); // all but the codebooks
}

namespace {

template <class B>
struct packed_weights {
  std::vector<std::byte> bytes;
  quanta::packed_matrix<B> matrix;

  packed_weights(std::uint64_t seed, std::size_t rows, std::size_t columns) : bytes(quanta::packed_bytes<B>(rows, columns)) {
    const auto blocks = tested::encoded<B>(golden::rows(seed, "gaussian", rows, columns));
    matrix = quanta::pack(quanta::matrix_view<B>(blocks, rows, columns), bytes);
  }
};
template <class B>
struct packed_tokens {
  std::vector<std::byte> bytes;
  quanta::packed_activations<B> x;

  packed_tokens(const std::vector<float>& values, std::size_t tokens, std::size_t columns)
      : bytes(quanta::activation_bytes<B>(tokens, columns)), x(quanta::pack_activations<B>(values, tokens, columns, bytes)) {}
};
using variants = quanta::type_list<quanta::q4_0, quanta::q5_1, quanta::q2_k>;

} // namespace

TEST_CASE("the packed form is the same past the cache and into it, and wherever the storage lies") {
  quanta::type_list<quanta::q4_0, quanta::q6_k>::for_each([](auto tag) {
    using B = typename decltype(tag)::type;
    CAPTURE(B::name);
    const std::size_t rows = 2003, columns = 4096, bytes = quanta::packed_bytes<B>(rows, columns);
    REQUIRE(bytes >= quanta::detail::bytes_past_cache);
    const auto blocks = any_blocks<B>(rows * columns / B::block_size);
    const quanta::matrix_view<B> matrix(blocks, rows, columns);
    std::vector<std::byte> storage(bytes + 128), parts(bytes);
    const auto packed_at = [&](std::size_t offset, quanta::parallel_reference parallel_for) { // from a multiple of 64 on
      const std::size_t first = (64 - reinterpret_cast<std::uintptr_t>(storage.data()) % 64) % 64 + offset;
      std::fill(storage.begin(), storage.end(), std::byte{0xA5});
      quanta::pack(matrix, std::span(storage).subspan(first, bytes), parallel_for);
      for (std::size_t i = 0; i < storage.size(); ++i)
        if ((i < first || i >= first + bytes) && storage[i] != std::byte{0xA5})
          return std::vector<std::byte>{};
      return std::vector<std::byte>(storage.begin() + static_cast<std::ptrdiff_t>(first),
                                    storage.begin() + static_cast<std::ptrdiff_t>(first + bytes));
    };
    // In panels of one matrix each, too small to go past the cache.
    using layout = quanta::detail::packed_layout<native, B>;
    const std::size_t panel = layout::panel_bytes(columns), row_blocks = matrix.row_blocks();
    for (std::size_t r = 0; r < rows; r += layout::rows) {
      const std::size_t count = std::min(layout::rows, rows - r);
      quanta::pack(quanta::matrix_view<B>(std::span(blocks).subspan(r * row_blocks, count * row_blocks), count, columns),
                   std::span(parts).subspan(r / layout::rows * panel, panel));
    }
    CHECK(packed_at(0, quanta::serial{}) == parts);
    CHECK(packed_at(16, quanta::serial{}) == parts);
    CHECK(packed_at(1, quanta::serial{}) == parts);
    CHECK(packed_at(0, quanta::threads(3)) == parts);
  });
}

TEST_CASE("matrices that share activations, and slices of Y, have the bits of products apart") {
  variants::for_each([](auto tag) {
    using B = typename decltype(tag)::type;
    CAPTURE(B::name);
    const std::size_t columns = 512, wide = 150;
    for (const std::size_t tokens : {std::size_t{11}, std::size_t{203}}) { // the second is three blocks
      CAPTURE(tokens);
      const std::size_t rows[3] = {70, 1, 40}, at[3] = {0, 70, 100};
      const packed_weights<B> weights[3] = {{1, rows[0], columns}, {2, rows[1], columns}, {3, rows[2], columns}};
      const packed_tokens<B> activations(golden::rows(4, "outlier", tokens, columns), tokens, columns);
      std::vector<float> together(tokens * wide, 7.f), apart(together);
      std::vector<quanta::gemm_part<B>> parts;
      for (std::size_t i = 0; i < 3; ++i) {
        parts.push_back({weights[i].matrix, std::span(together).subspan(at[i]), wide});
        std::vector<float> y(tokens * rows[i]);
        quanta::gemm(weights[i].matrix, activations.x, std::span<float>(y));
        for (std::size_t t = 0; t < tokens; ++t)
          for (std::size_t r = 0; r < rows[i]; ++r)
            apart[t * wide + at[i] + r] = y[t * rows[i] + r];
      }
      quanta::gemm(std::span<const quanta::gemm_part<B>>(parts), activations.x, quanta::threads(3));
      CHECK(together == apart); // and nothing written between
    }
  });
}

TEST_CASE("gemm_experts multiplies each token with what it chose") {
  variants::for_each([](auto tag) {
    using B = typename decltype(tag)::type;
    CAPTURE(B::name);
    const std::size_t columns = 512, rows = 45, tokens = 40, experts = 5, stride = rows + 3;
    std::vector<packed_weights<B>> weights;
    std::vector<quanta::packed_matrix<B>> matrices;
    for (std::size_t e = 0; e < experts; ++e)
      matrices.push_back(weights.emplace_back(10 + e, rows, columns).matrix);
    const auto x = golden::rows(5, "gaussian", tokens, columns);
    const packed_tokens<B> activations(x, tokens, columns);
    for (const std::size_t choices : {std::size_t{1}, std::size_t{2}, std::size_t{3}}) {
      CAPTURE(choices);
      std::vector<std::uint32_t> chosen(tokens * choices);
      for (std::size_t i = 0; i < chosen.size(); ++i)
        chosen[i] = i % 7 == 0 ? 4 : static_cast<std::uint32_t>(i * i % 3); // expert 3 is idle, 0 busy
      std::vector<std::uint32_t> indices(quanta::expert_indices(experts, chosen.size()));
      std::vector<std::byte> moved(quanta::activation_bytes<B>(chosen.size(), columns));
      std::vector<float> y(chosen.size() * stride, 7.f), expected(y);
      for (std::size_t i = 0; i < chosen.size(); ++i) {
        const auto token = static_cast<std::ptrdiff_t>(i / choices * columns);
        const packed_tokens<B> one(std::vector<float>(x.begin() + token, x.begin() + token + columns), 1, columns);
        quanta::gemm(matrices[chosen[i]], one.x, std::span(expected).subspan(i * stride, rows));
      }
      quanta::gemm_experts(std::span<const quanta::packed_matrix<B>>(matrices), activations.x,
                           std::span<const std::uint32_t>(chosen), std::span<float>(y), stride, {indices, moved},
                           quanta::threads(3));
      CHECK(y == expected);
    }
  });
}
