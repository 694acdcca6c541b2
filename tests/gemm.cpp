// Products of packed matrices: within rounding of the exact product, the same bits for any tiling, threads and level.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <limits>

#include "quanta/quanta.hpp"
#include "quanta/threads.hpp"
#include "support/golden_data.hpp"
#include "support/level_kernels.hpp"
#include "support/packed_product.hpp"

namespace {

using quanta::isa::native;
using formats = tested::weight_formats::append<quanta::linear_block<3, 64>, quanta::linear_block<4, 128>,
                                               quanta::linear_block<8, 64, quanta::affine>, quanta::int8_block<128>>;

template <class B>
std::vector<float> product(const std::vector<B>& blocks, std::size_t rows, std::size_t columns, const std::vector<float>& x,
                           std::size_t tokens, quanta::parallel_reference parallel = quanta::serial{}) {
  return tested::product<native>(blocks, rows, columns, x, tokens, parallel);
}

/// The activation of the packed form: a signed byte times a scale for as many values as the format's products share one.
template <class B>
std::vector<double> activations_of(const std::vector<float>& x) {
  constexpr std::size_t N = quanta::detail::activation_layout<native, B>::columns;
  std::vector<double> y(x.size());
  for (std::size_t first = 0; first < x.size(); first += N) {
    float largest = 0.f;
    for (std::size_t i = 0; i < N; ++i)
      largest = std::fmax(largest, std::fabs(x[first + i]));
    const float scale = largest / 127.f, inverse = scale > 0.f ? 1.f / scale : 0.f;
    for (std::size_t i = 0; i < N; ++i)
      y[first + i] = static_cast<double>(std::nearbyint(x[first + i] * inverse)) * static_cast<double>(scale);
  }
  return y;
}

} // namespace

TEST_CASE("activations that are no numbers count as zeros, and very small ones too") {
  constexpr std::size_t columns = 512, tokens = 3;
  const auto check = [&](auto tag) {
    using B = typename decltype(tag)::type;
    CAPTURE(B::name);
    const auto packed = [&](const std::vector<float>& x) {
      std::vector<std::byte> bytes(quanta::activation_bytes<B>(tokens, columns));
      quanta::pack_activations<B>(x, tokens, columns, bytes);
      return bytes;
    };
    auto x = golden::rows(4, "gaussian", tokens, columns);
    for (const float wrong : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN(), -0.f})
      for (const std::size_t at : {std::size_t{0}, std::size_t{300}, tokens * columns - 1}) {
        CAPTURE(wrong, at);
        auto changed = x, zeroed = x;
        changed[at] = wrong, zeroed[at] = 0.f;
        CHECK(packed(changed) == packed(zeroed));
      }
    std::vector<float> tiny(x);
    for (float& v : tiny)
      v *= 0x1p-140f;
    const auto blocks = tested::encoded<B>(golden::rows(5, "gaussian", 4, columns));
    for (const float y : product(blocks, 4, columns, tiny, tokens))
      CHECK(std::fabs(y) < 1e-30f);
  };
  quanta::type_list<quanta::q8_0, quanta::q4_k>::for_each(check);
}

TEST_CASE("gemm is within rounding of the exact product, for rows and tokens of any number") {
  formats::for_each([](auto tag) {
    using B = typename decltype(tag)::type;
    CAPTURE(B::name, B::block_size);
    const std::size_t columns = 512;
    for (const std::size_t rows : {std::size_t{1}, std::size_t{35}})
      for (const std::size_t tokens : {std::size_t{1}, std::size_t{2}, std::size_t{5}, std::size_t{8}, std::size_t{15}}) {
        CAPTURE(rows, tokens);
        const auto w = golden::rows(rows, "heavy", rows, columns), x = golden::rows(tokens, "gaussian", tokens, columns);
        const auto blocks = tested::encoded<B>(w);
        const auto y = product(blocks, rows, columns, x, tokens);
        const auto activations = activations_of<B>(x);
        for (std::size_t t = 0; t < tokens; ++t)
          for (std::size_t r = 0; r < rows; ++r) {
            double exact = 0, magnitude = 0;
            for (std::size_t i = 0; i < columns; ++i) {
              const B& block = blocks[(r * columns + i) / B::block_size];
              const std::size_t k = i % B::block_size, g = k / B::group_size;
              const double a = activations[t * columns + i];
              const double plain = static_cast<double>(block.scale(g)) * (block.code(k) - B::code_offset) * a;
              const double below = static_cast<double>(block.minimum(g)) * a;
              exact += plain - below;
              magnitude += std::fabs(plain) + std::fabs(below);
            }
            // A group rounds two products and a sum, and as many for its minima: 6 roundings each of at most the magnitude.
            const double groups = static_cast<double>(columns) / 16;
            CHECK(std::fabs(static_cast<double>(y[t * rows + r]) - exact) <= 6 * groups * 0x1p-24 * magnitude);
          }
      }
  });
}

TEST_CASE("gemm has the same bits whatever the tokens beside, the threads and the level") {
  const quanta::threads three(3);
  formats::for_each([&](auto tag) {
    using B = typename decltype(tag)::type;
    CAPTURE(B::name, B::block_size);
    const std::size_t rows = 70, columns = 768, tokens = 29;
    const auto blocks = tested::encoded<B>(golden::rows(3, "gaussian", rows, columns));
    const auto x = golden::rows(4, "outlier", tokens, columns);
    const auto together = product(blocks, rows, columns, x, tokens);
    CHECK(golden::hash_of_floats(together) ==
          golden::hash_of_floats(tested::portable_product(B::name, blocks.data(), rows, columns, x, tokens)));
    CHECK(golden::hash_of_floats(together) == golden::hash_of_floats(product(blocks, rows, columns, x, tokens, three)));
    for (std::size_t t = 0; t < tokens; ++t) {
      const std::vector<float> one(x.begin() + static_cast<std::ptrdiff_t>(t * columns),
                                   x.begin() + static_cast<std::ptrdiff_t>((t + 1) * columns));
      const auto alone = product(blocks, rows, columns, one, 1);
      CHECK(std::memcmp(alone.data(), &together[t * rows], rows * sizeof(float)) == 0);
    }
  });
}

TEST_CASE("no integer of gemm saturates: extreme codes and activations") {
  formats::for_each([](auto tag) {
    using B = typename decltype(tag)::type;
    CAPTURE(B::name, B::block_size);
    const std::size_t rows = 3, columns = 256;
    for (const int fill : {0x00, 0xFF, 0x7F, 0x80})
      for (const float even : {127.f, -127.f}) {
        std::vector<B> blocks(rows * columns / B::block_size);
        std::memset(static_cast<void*>(blocks.data()), fill, blocks.size() * sizeof(B));
        for (B& block : blocks) {
          if constexpr (requires { block.d; })
            block.d = quanta::f16(1.f);
          if constexpr (requires { block.dmin; })
            block.dmin = quanta::f16(1.f);
          if constexpr (requires { block.m; })
            block.m = quanta::f16(1.f);
          if constexpr (std::same_as<B, quanta::mxfp4>)
            block.e = 127;
          if constexpr (std::same_as<B, quanta::iq1_m>)
            for (std::size_t word = 0; word < 4; ++word) // the half 1 = 0x3C00 in the high nibbles
              block.scales[2 * word + 1] =
                  static_cast<std::uint8_t>((block.scales[2 * word + 1] & 15) | (0x3C00 >> 4 * word & 15) << 4);
        }
        for (const float odd : {even, -even})
          for (const std::size_t tokens : {std::size_t{1}, std::size_t{29}}) { // the second makes tiles of every width
            std::vector<float> x(tokens * columns);
            for (std::size_t i = 0; i < x.size(); ++i)
              x[i] = i % 2 == 0 ? even : odd;
            const auto y = product(blocks, rows, columns, x, tokens);
            double exact = 0, magnitude = 0;
            for (std::size_t i = 0; i < columns; ++i) {
              const auto w = static_cast<double>(quanta::decode_value(blocks[i / B::block_size], i % B::block_size));
              exact += static_cast<double>(x[i]) * w;
              magnitude += std::fabs(static_cast<double>(x[i]) * w);
            }
            for (const float v : y)
              CHECK(std::fabs(static_cast<double>(v) - exact) <= 0x1p-18 * magnitude);
          }
      }
  });
}

TEST_CASE("levels are a multiple of their index and a small rest, or taken whole") {
  constexpr auto levels = quanta::iq4_nl::codes_by_nibble;
  constexpr auto parts = quanta::detail::split(levels);
  STATIC_CHECK(parts.fits_words());
  for (std::size_t i = 0; i < 16; ++i)
    CHECK(levels[i] == parts.factor * static_cast<int>(i) + parts.smallest + parts.rests[i]);
  auto descending = levels; // as a format of a user may have them
  std::reverse(descending.begin(), descending.end());
  CHECK_FALSE(quanta::detail::split(descending).fits_words());
}
