// Nothing is read or written outside a span, at any alignment: a stray access ends the test with a signal.
#include <catch2/catch_test_macros.hpp>
#include <cstring>

#include "quanta/quanta.hpp"
#include "support/golden_data.hpp"
#include "support/guarded.hpp"
#include "support/tested_formats.hpp"

TEST_CASE("all operations stay inside their spans") {
  tested::weight_formats::for_each([](auto tag) {
    using B = typename decltype(tag)::type;
    using A = typename B::dot_partner;
    for (const std::size_t count : {0u, 1u, 2u, 3u, 4u, 7u, 8u, 9u})
      for (const bool end : {false, true})
        for (const bool weighted : {false, true}) {
          const std::size_t columns = count * B::block_size;
          const auto x = golden::rows(count, "gaussian", 1, columns), w = golden::importance(2, columns);
          guarded values(columns * sizeof(float), end), importance(columns * sizeof(float), end), row(count * sizeof(B), end),
              decoded(columns * sizeof(float), end), activations(columns / A::block_size * sizeof(A), end),
              halves(columns * sizeof(quanta::f16), end);
          if (columns > 0) {
            std::memcpy(values.as<float>(), x.data(), columns * sizeof(float));
            std::memcpy(importance.as<float>(), w.data(), columns * sizeof(float));
          }
          const std::span<float> v(values.as<float>(), columns), out(decoded.as<float>(), columns);
          const std::span<B> blocks(row.as<B>(), count);
          const std::span<A> y(activations.as<A>(), columns / A::block_size);
          const std::span<quanta::f16> h(halves.as<quanta::f16>(), columns);
          // not through options, which would compile the thorough searches
          const float* weights = weighted ? importance.as<float>() : nullptr;
          quanta::detail::quantize_row<quanta::isa::native>(v.data(), columns, blocks.data(), weights);
          quanta::quantize(v, y);
          quanta::quantize(v, h);
          quanta::detail::quantize_row<quanta::isa::native>(h.data(), columns, blocks.data(), weights);
          quanta::dequantize(blocks, out);
          quanta::dequantize(blocks, h);
          CHECK(quanta::dot(blocks, y) == quanta::dot(blocks, y));
          CHECK(quanta::dot(blocks, v) == quanta::dot(blocks, v));
          CHECK(quanta::compare(v, blocks).count == columns);
        }
  });
}

TEST_CASE("blocks may lie at any address") {
  tested::weight_formats::for_each([](auto tag) {
    using B = typename decltype(tag)::type;
    using A = typename B::dot_partner;
    CAPTURE(B::name);
    const std::size_t count = 3, columns = count * B::block_size;
    const auto x = golden::rows(9, "gaussian", 1, columns);
    std::vector<B> row(count);
    std::vector<A> activations(columns / A::block_size);
    quanta::quantize(x, row);
    quanta::quantize(x, activations);
    const float wanted = quanta::dot(row, activations);
    for (std::size_t shift = 0; shift < 64; ++shift) {
      guarded a(count * sizeof(B), true, shift), b(activations.size() * sizeof(A), false, 63 - shift);
      const std::span<B> moved(a.as<B>(), count);
      const std::span<A> y(b.as<A>(), activations.size());
      quanta::quantize(x, moved);
      quanta::quantize(x, y);
      CHECK(std::memcmp(moved.data(), row.data(), count * sizeof(B)) == 0);
      CHECK(quanta::dot(moved, y) == wanted);
    }
  });
}
