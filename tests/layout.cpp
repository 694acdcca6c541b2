// A format's bytes: sizes, codes in vectors and one by one, and writing codes back.
#include <catch2/catch_test_macros.hpp>

#include "quanta/quanta.hpp"
#include "support/golden_data.hpp"

namespace {

using quanta::linear_block;
using linear_family =
    quanta::type_list<linear_block<2, 32>, linear_block<2, 128>, linear_block<3, 32>, linear_block<3, 64>, linear_block<4, 64>,
                      linear_block<5, 64>, linear_block<6, 32>, linear_block<6, 128>, linear_block<7, 32>, linear_block<7, 64>,
                      linear_block<8, 32>, linear_block<8, 64>, linear_block<2, 64, quanta::affine>,
                      linear_block<3, 128, quanta::affine>, linear_block<6, 64, quanta::affine>, quanta::int8_block<64>,
                      quanta::int8_block<128>>;
template <class... T>
constexpr auto join(quanta::type_list<T...>) {
  return linear_family::append<T...>{};
}
using family = decltype(join(quanta::block_formats{}));

} // namespace

TEST_CASE("a block is its bytes") {
  quanta::block_formats::for_each([](auto tag) {
    using B = typename decltype(tag)::type;
    const quanta::type_info* info = quanta::find_type(B::type);
    REQUIRE(info != nullptr);
    CHECK(sizeof(B) == info->block_bytes);
    CHECK(B::block_size == info->block_size);
    CHECK(B::name == info->name);
    CHECK(alignof(B) == 1);
  });
  CHECK(sizeof(linear_block<2, 64>) == 2 + 16);
  CHECK(sizeof(linear_block<7, 32, quanta::affine>) == 4 + 28);
}

TEST_CASE("portions of codes are the codes one by one") {
  family::for_each([](auto tag) {
    using B = typename decltype(tag)::type;
    CAPTURE(B::name, B::block_size);
    for (const B& block : golden::random_blocks<B>(5, 3, 8)) {
      std::uint8_t codes[B::block_size];
      if constexpr (B::layout_is_runs) {
        for (std::size_t run = 0; run < quanta::detail::runs_of<B>; ++run)
          quanta::simd::store(codes + 32 * run, quanta::detail::codes_of_run<quanta::isa::native>(&block, run));
      } else if constexpr (requires { block.template codes<quanta::isa::native, 0>(); }) {
        quanta::simd::unroll<8>([&](auto portion) {
          quanta::simd::store(codes + 32 * portion(), block.template codes<quanta::isa::native, portion()>());
        });
      }
      for (std::size_t i = 0; i < B::block_size; ++i)
        REQUIRE(codes[i] == block.code(i));
    }
  });
}

TEST_CASE("codes that are written come back") {
  family::for_each([](auto tag) {
    using B = typename decltype(tag)::type;
    CAPTURE(B::name, B::block_size);
    if constexpr (requires { B::levels; } && !std::same_as<B, quanta::q1_0>) { // whose levels are 0 and 2, written as bits
      golden::generator random{9};
      for (int round = 0; round < 8; ++round) {
        std::uint8_t codes[B::block_size], s[16], m[16];
        std::int8_t signed_scales[16];
        for (std::uint8_t& c : codes)
          c = static_cast<std::uint8_t>(random.next() % static_cast<unsigned>(B::levels));
        for (int g = 0; g < 16; ++g) {
          const int top = B::affine && B::block_size == 256 && B::group_size == 16 ? 16 : 64;
          s[g] = static_cast<std::uint8_t>(random.next() % static_cast<unsigned>(top));
          m[g] = static_cast<std::uint8_t>(random.next() % static_cast<unsigned>(top));
          signed_scales[g] = static_cast<std::int8_t>(static_cast<int>(random.next() % 64) - 32);
        }
        B block{};
        if constexpr (B::layout_is_runs)
          block.assemble(codes);
        else if constexpr (B::group_size == 256)
          block.assemble(quanta::f16(1.f), codes);
        else if constexpr (B::affine)
          block.assemble(quanta::f16(1.f), quanta::f16(1.f), s, m, codes);
        else
          block.assemble(quanta::f16(1.f), signed_scales, codes);
        for (std::size_t i = 0; i < B::block_size; ++i)
          REQUIRE(block.code(i) == codes[i]);
        if constexpr (!B::layout_is_runs && B::group_size < 256)
          for (std::size_t g = 0; g < 256 / B::group_size; ++g) {
            REQUIRE(block.scale(g) == static_cast<float>(B::affine ? s[g] : signed_scales[g]));
            REQUIRE(block.minimum(g) == static_cast<float>(B::affine ? m[g] : 0));
          }
      }
    }
  });
}

// Their storage is static: what is counted in book_traits must be what the builder writes.
TEST_CASE("lists of neighbours fill the storage of their codebooks") {
  const auto check = [](auto tag) {
    using book = typename decltype(tag)::type;
    const auto& tables = quanta::encode::tables_of<quanta::isa::native, book>();
    std::size_t chunks = 0;
    for (const auto& list : tables.lists)
      chunks += list.count;
    CAPTURE(book::count, book::bits);
    CHECK(chunks == book::chunks);
  };
  quanta::type_list<quanta::encode::iq2xxs_book, quanta::encode::iq2xs_book, quanta::encode::iq2s_book,
                    quanta::encode::iq3xxs_book, quanta::encode::iq3s_book, quanta::encode::iq1s_book>::for_each(check);
}
