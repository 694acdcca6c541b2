// A test a row of docs/hard_inputs.md: what encoders make of numbers that no weight should be, the same at every level.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cfenv>
#include <cmath>
#include <limits>

#include "quanta/gguf/validate.hpp"
#include "quanta/quanta.hpp"
#include "support/golden_data.hpp"
#include "support/level_kernels.hpp"
#include "support/violates.hpp"
#if QUANTA_X86
  #include <xmmintrin.h>
#endif

namespace {

using numbers = std::vector<float>;
constexpr float infinity = std::numeric_limits<float>::infinity(), not_a_number = std::numeric_limits<float>::quiet_NaN();
constexpr float largest = std::numeric_limits<float>::max();

template <class B>
using row = std::vector<B>;
template <class B>
bool same_bytes(const row<B>& a, const row<B>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(B)) == 0;
}
template <class B, class T>
row<B> encode(const std::vector<T>& x, const numbers& importance = {}) {
  return tested::encode<B>(tested::level_under_test(), x, importance);
}
template <class B>
numbers decode(const row<B>& blocks) {
  return tested::decode(tested::level_under_test(), blocks);
}
bool finite(const numbers& x) {
  for (const float v : x)
    if (!std::isfinite(v))
      return false;
  return true;
}
bool zero(const numbers& x) { return x == numbers(x.size(), 0.f); }
/// Whether the tool and other readers would take all blocks.
template <class B>
bool valid(const row<B>& blocks) {
  for (const B& block : blocks)
    if (!quanta::gguf::detail::finite_block(*quanta::find_type(B::type), reinterpret_cast<const std::byte*>(&block)))
      return false;
  return true;
}
/// The blocks, checked to be those of the portable level.
template <class B>
row<B> encode_alike(const numbers& x, const numbers& importance = {}) {
  auto blocks = encode<B>(x, importance);
  CHECK(same_bytes(blocks, tested::encode<B>(tested::level::portable, x, importance)));
  return blocks;
}
/// f(type_tag<B>, columns, importance) for every format, without and with importance. The rows end within the vectors of every
/// level.
template <class F>
void for_each_case(F f) {
  quanta::block_formats::for_each([&](auto tag) {
    using B = typename decltype(tag)::type;
    const std::size_t columns = B::block_size * (B::block_size < 256 ? 19 : 5);
    for (const auto& importance : {numbers{}, golden::importance(4, columns)}) {
      CAPTURE(B::name, importance.empty());
      f(tag, columns, importance);
    }
  });
}
template <class B>
constexpr bool half_scale() {
  const auto scales = quanta::find_type(B::type)->scales;
  return scales == quanta::scale_encoding::half || scales == quanta::scale_encoding::iq1_m;
}

} // namespace

TEST_CASE("NaN and infinities are encoded as zeros") {
  for_each_case([](auto tag, std::size_t columns, const numbers& importance) {
    using B = typename decltype(tag)::type;
    for (const float bad : {not_a_number, -not_a_number, infinity, -infinity})
      for (const std::size_t stride : {std::size_t{1}, std::size_t{7}, B::block_size, 2 * B::block_size + 1}) {
        CAPTURE(bad, stride);
        auto x = golden::rows(2, "gaussian", 1, columns), zeros = x;
        for (std::size_t i = stride == 7 ? 5 : 0; i < columns; i += stride)
          x[i] = bad, zeros[i] = 0.f;
        const auto blocks = encode_alike<B>(x, importance);
        CHECK(same_bytes(blocks, encode<B>(zeros, importance)));
        CHECK(finite(decode(blocks)));
        std::vector<quanta::f16> halves(columns);
        quanta::quantize(x, halves); // keeps them
        const auto from_halves = encode<B>(halves, importance);
        quanta::quantize(zeros, halves);
        CHECK(same_bytes(from_halves, encode<B>(halves, importance)));
      }
  });
}

TEST_CASE("plain rows keep NaN and infinities") {
  const numbers x{not_a_number, infinity, -infinity, -0.f, largest, 0x1p-149f};
  const auto y = decode(encode<quanta::f16>(x));
  CHECK((std::isnan(y[0]) && y[1] == infinity && y[2] == -infinity && std::signbit(y[3]) && y[4] == infinity && y[5] == 0.f));
}

TEST_CASE("zeros of both signs decode to zeros") {
  for_each_case([](auto tag, std::size_t columns, const numbers& importance) {
    using B = typename decltype(tag)::type;
    CHECK(zero(decode(encode_alike<B>(numbers(columns, 0.f), importance))));
    CHECK(zero(decode(encode_alike<B>(numbers(columns, -0.f), importance))));
    numbers mixed(columns);
    for (std::size_t i = 0; i < columns; ++i)
      mixed[i] = i % 3 == 1 ? 0.f : -0.f;
    CHECK(zero(decode(encode_alike<B>(mixed, importance))));
  });
}

TEST_CASE("small numbers down to the least denormal stay finite and small") {
  for_each_case([](auto tag, std::size_t columns, const numbers& importance) {
    using B = typename decltype(tag)::type;
    for (int exponent = -149; exponent <= -20; ++exponent) {
      CAPTURE(exponent);
      auto x = golden::rows(3, "gaussian", 1, columns);
      for (float& v : x)
        v = std::ldexp(v, exponent + 3);
      x[0] = std::ldexp(1.f, exponent);
      const auto y = decode(encode_alike<B>(x, importance));
      float magnitude = 0.f;
      for (const float v : y)
        magnitude = std::fabs(v) > magnitude ? std::fabs(v) : magnitude; // false for NaN
      CHECK(finite(y));
      CHECK(magnitude <= std::ldexp(4.f, exponent)); // x is at most 6 sigma of 2^(exponent - 2), or 2^exponent
    }
  });
}

TEST_CASE("a scale beyond its range is seen by the validator, or saturates") {
  for_each_case([](auto tag, std::size_t columns, const numbers& importance) {
    using B = typename decltype(tag)::type;
    bool overflows = false;
    for (int exponent = 0; exponent <= 127; ++exponent) {
      CAPTURE(exponent);
      auto x = golden::rows(5, "gaussian", 1, columns);
      for (float& v : x)
        v = std::ldexp(v, exponent + 2); // 6 sigma stay finite
      x[columns - 1] = -std::ldexp(1.f, exponent);
      const auto blocks = encode_alike<B>(x, importance);
      constexpr bool has_sums = std::same_as<B, quanta::q8_1>; // of 32 values, halves too: they overflow before the scale does
      CHECK((valid(blocks) ? finite(decode(blocks)) : has_sums || !finite(decode(blocks))));
      if (exponent <= (has_sums ? 10 : 15))
        CHECK(valid(blocks));
      overflows = overflows || !valid(blocks);
    }
    CHECK(overflows == half_scale<B>());
  });
}

TEST_CASE("values beyond every scale are refused, with any importance") {
  quanta::block_formats::for_each([](auto tag) {
    using B = typename decltype(tag)::type;
    if constexpr (half_scale<B>()) {
      CAPTURE(B::name);
      const std::size_t columns = 2 * (B::block_size < 256 ? 256 : B::block_size), last = columns / B::block_size - 1;
      auto some = golden::importance(8, columns);
      for (std::size_t i = 0; i < columns; ++i)
        if (i / 16 % 2 == 1)
          some[i] = 0.f;
      for (const auto& importance : {numbers{}, golden::importance(8, columns), some, numbers(columns, 0.f)})
        for (const float magnitude : {0x1p29f, 1e10f, 1e16f, 1e20f, 1e30f, largest}) {
          CAPTURE(importance.size(), magnitude);
          auto x = golden::rows(9, "gaussian", 1, columns);
          x[columns - 3] = -magnitude; // one of many
          CHECK(!valid(row<B>{encode_alike<B>(x, importance)[last]}));
          for (float& v : x) // all of them
            v = std::clamp(v * 64.f, -1.f, 1.f) * magnitude;
          const auto blocks = encode_alike<B>(x, importance);
          for (std::size_t b = 0; magnitude > 1e9f && b <= last; ++b)
            CHECK(!valid(row<B>{blocks[b]}));
        }
    }
  });
}

TEST_CASE("the first of a tie between +m and -m decides") {
  const auto first_is_exact = [](auto tag) {
    using B = typename decltype(tag)::type;
    CAPTURE(B::name);
    for (const float m : {1.f, -1.f}) {
      numbers x(B::block_size, 0.f);
      x[3] = m, x[B::block_size - 2] = -m;
      const auto y = decode(encode_alike<B>(x));
      CHECK(y[3] == m);
      CHECK(std::fabs(y[B::block_size - 2] + m) <= 0.25f);
    }
  };
  quanta::type_list<quanta::q4_0, quanta::q5_0>::for_each(first_is_exact);
  for_each_case([](auto tag, std::size_t columns, const numbers& importance) {
    using B = typename decltype(tag)::type;
    CHECK(finite(decode(encode_alike<B>(golden::rows(6, "tie", 1, columns), importance))));
  });
}

TEST_CASE("importance of zero, of any size, and what is none") {
  quanta::block_formats::for_each([](auto tag) {
    using B = typename decltype(tag)::type;
    CAPTURE(B::name);
    const std::size_t columns = B::block_size * (B::block_size < 256 ? 19 : 5);
    const auto x = golden::rows(7, "gaussian", 1, columns), uneven = golden::importance(8, columns);
    const auto check = [&](const numbers& w) { CHECK(finite(decode(encode_alike<B>(x, w)))); };
    check(numbers(columns, 0.f));
    auto some = uneven, bad = uneven, clean = uneven;
    for (std::size_t i = 0; i < columns; ++i) {
      if (i / 32 % 3 == 0 || i % 5 == 0) // whole groups, and single ones of others
        some[i] = 0.f;
      if (i % 7 == 0)
        bad[i] = i % 2 == 0 ? -1.f : not_a_number, clean[i] = 0.f;
      if (i % 11 == 3)
        bad[i] = infinity, clean[i] = 0x1p56f;
    }
    check(some);
    CHECK(same_bytes(encode<B>(x, bad), encode<B>(x, clean)));
    for (int exponent = -149; exponent <= 127; exponent += 4) {
      CAPTURE(exponent);
      auto w = uneven;
      for (float& v : w)
        v = std::ldexp(v, exponent);
      check(w);
    }
  });
}

TEST_CASE("importance of the wrong length is refused") {
  row<quanta::q4_k> blocks(2);
  CHECK(violates([&] { quanta::quantize(numbers(512, 1.f), blocks, {.importance = numbers(256, 1.f)}); }));
  CHECK(violates([&] { quanta::quantize(numbers(512, 1.f), blocks, {.importance = numbers(513, 1.f)}); }));
}

// Encoders round to nearest: in another mode their bytes change. Products of halves and codes are not rounded.
TEST_CASE("decoding without an offset from a scale of 16 bits and fewer does not depend on the rounding mode") {
  quanta::block_formats::for_each([](auto tag) {
    using B = typename decltype(tag)::type;
    CAPTURE(B::name);
    const auto blocks = golden::random_blocks<B>(9, 1, 64);
    const auto expected = golden::hash_of_floats(decode(blocks));
    for (const int mode : {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO}) {
      std::fesetround(mode);
      const auto decoded = decode(blocks);
      std::fesetround(FE_TONEAREST);
      if (half_scale<B>() ? !B::affine : B::type == quanta::tensor_type::nvfp4)
        CHECK(golden::hash_of_floats(decoded) == expected);
    }
  });
}

#if QUANTA_X86
TEST_CASE("flush to zero changes neither ordinary bytes nor what scales of half precision decode to") {
  quanta::block_formats::for_each([](auto tag) {
    using B = typename decltype(tag)::type;
    CAPTURE(B::name);
    const std::size_t columns = 5 * 256;
    const auto x = golden::rows(10, "gaussian", 1, columns), importance = golden::importance(10, columns);
    const auto blocks = encode<B>(x), weighted = encode<B>(x, importance);
    auto any = golden::random_blocks<B>(11, 1, 64);
    const auto expected = golden::hash_of_floats(decode(any));
    const unsigned before = _mm_getcsr();
    _mm_setcsr(before | 0x8040); // FTZ and DAZ
    const auto flushed = encode<B>(x), flushed_weighted = encode<B>(x, importance);
    const auto decoded = decode(any);
    _mm_setcsr(before);
    CHECK(same_bytes(flushed, blocks));
    CHECK(same_bytes(flushed_weighted, weighted));
    // v2 widens subnormal halves by a product with a subnormal float
    if (half_scale<B>() && tested::level_under_test() != tested::level::x86_64_v2)
      CHECK(golden::hash_of_floats(decoded) == expected);
  });
}
#endif
