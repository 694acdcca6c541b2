// Checks of a format, for the tests of whoever writes one. Needs no test framework; outside the core, since it allocates.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "quanta/quanta.hpp"

namespace quanta::testing {

namespace detail {

/// What went wrong, a sentence each.
class findings {
public:
  void expect(bool holds, const std::string& what) {
    if (!holds && sentences_.size() < 20)
      sentences_.push_back(what);
  }
  std::vector<std::string> take() { return std::move(sentences_); }

private:
  std::vector<std::string> sentences_;
};

/// Numbers that look like weights: a bell curve with a few outliers, the same in every run.
inline std::vector<float> sample(std::size_t count, std::uint64_t seed) {
  std::vector<float> x(count);
  std::uint64_t state = seed;
  const auto next = [&] {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return static_cast<float>(state >> 40) * 0x1p-24f - 0.5f;
  };
  for (float& v : x) {
    v = (next() + next() + next() + next()) * 0.125f;
    if (state >> 58 == 0) // one in 64
      v *= 3.f;
  }
  return x;
}

template <class B>
bool same_bytes(const std::vector<B>& a, const std::vector<B>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(B)) == 0);
}
inline bool same_float(float a, float b) {
  return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b) || (a != a && b != b);
}

/// Blocks of every byte pattern: what a file may hold.
template <class B>
std::vector<B> any_bytes(std::size_t count, std::uint64_t seed) {
  std::vector<std::uint8_t> bytes(count * sizeof(B));
  for (std::uint8_t& byte : bytes) {
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    byte = static_cast<std::uint8_t>(seed >> 56);
  }
  std::vector<B> blocks(count);
  if (count > 0)
    std::memcpy(static_cast<void*>(blocks.data()), bytes.data(), bytes.size());
  return blocks;
}

template <class Isa, class B>
void check_decode(findings& found) {
  for (std::size_t blocks = 0; blocks <= 19; ++blocks) {
    const auto row = any_bytes<B>(blocks, blocks + 1);
    std::vector<float> decoded(blocks * B::block_size, 1234.f);
    quanta::dequantize<Isa>(row, decoded);
    for (std::size_t i = 0; i < decoded.size(); ++i) {
      const int code = row[i / B::block_size].code(i % B::block_size);
      found.expect(code >= 0 && code <= 255, "code(i) is outside 0 .. 255");
      if (!same_float(decoded[i], decode_value(row[i / B::block_size], i % B::block_size))) {
        found.expect(false, "dequantize differs from scale(g) * (code(i) - code_offset) - minimum(g) at value " +
                                std::to_string(i) + " of " + std::to_string(blocks) +
                                " blocks: does codes<Isa>() agree with code(i)?");
        return;
      }
    }
  }
}

template <class Isa, class B>
void check_encode(findings& found, double largest_relative_rms) {
  for (std::size_t blocks = 0; blocks <= 19; ++blocks) {
    const std::size_t columns = blocks * B::block_size;
    const auto x = sample(columns, 3 + blocks), importance = sample(columns, 99);
    std::vector<float> weights(columns);
    for (std::size_t i = 0; i < columns; ++i)
      weights[i] = importance[i] * importance[i] + 0.01f;
    for (const bool weighted : {false, true}) {
      std::vector<B> row(blocks), portable(blocks);
      const float* w = weighted ? weights.data() : nullptr;
      quanta::detail::quantize_row<Isa>(x.data(), columns, row.data(), w); // options would compile the thorough searches
      quanta::detail::quantize_row<isa::portable>(x.data(), columns, portable.data(), w);
      found.expect(same_bytes(row, portable),
                   "this level writes other bytes than the portable one, " + std::to_string(blocks) + " blocks");
      if (blocks > 0)
        found.expect(compare(x, row).relative_rms() <= largest_relative_rms,
                     "a bell curve comes back with a relative error of " + std::to_string(compare(x, row).relative_rms()));
    }
  }
  const std::vector<float> zeros(B::block_size, 0.f);
  std::vector<B> row(1);
  std::vector<float> decoded(B::block_size);
  quanta::quantize<Isa>(zeros, row);
  quanta::dequantize<Isa>(row, decoded);
  for (const float v : decoded)
    found.expect(std::isfinite(v), "zeros decode to something that is not finite");
}

/// The exact product in double, and the sum of magnitudes that bounds the rounding of the float one.
template <class B, class F>
void check_product(findings& found, const std::vector<B>& row, F activation, float got, const char* what) {
  double exact = 0, magnitude = 0;
  for (std::size_t i = 0; i < row.size() * B::block_size; ++i) {
    const B& block = row[i / B::block_size];
    const std::size_t k = i % B::block_size, g = k / B::group_size;
    const double y = activation(i), product = static_cast<double>(block.scale(g)) * (block.code(k) - B::code_offset) * y;
    const double below = B::affine ? static_cast<double>(block.minimum(g)) * y : 0.0;
    exact += product - below;
    magnitude += std::fabs(product) + std::fabs(below);
  }
  // Each lane rounds a factor, a product and a sum for each of its runs, at most 6 in all with the minima, and 8 at the end.
  // The sums that q8_1 stores are halves: 2^-11 of the minima.
  const double roundings = 6.0 * static_cast<double>(row.size() * B::block_size) / 16.0 + 8;
  const double bound = (roundings * 0x1p-24 + (std::same_as<typename B::dot_partner, q8_1> ? 0x1p-10 : 0)) * magnitude;
  found.expect(std::isfinite(exact) && std::fabs(static_cast<double>(got) - exact) <= bound, // false for NaN
               std::string(what) + " is " + std::to_string(got) + ", exactly " + std::to_string(exact));
}

template <class Isa, class B>
void check_dot(findings& found) {
  using A = typename B::dot_partner;
  for (std::size_t blocks = 0; blocks <= 19; ++blocks) {
    const std::size_t columns = blocks * B::block_size;
    const auto x = sample(columns, 7 + blocks), y = sample(columns, 70 + blocks);
    std::vector<B> row(blocks);
    std::vector<A> activations(columns / A::block_size);
    quanta::quantize<Isa>(x, row);
    quanta::quantize<Isa>(y, activations);
    const float product = quanta::dot<Isa>(row, activations), values = quanta::dot<Isa>(row, y);
    check_product(found, row, [&](std::size_t i) {
      return static_cast<double>(decode_value(activations[i / A::block_size], i % A::block_size));
    }, product, "dot with quantized activations");
    check_product(found, row, [&](std::size_t i) { return static_cast<double>(y[i]); }, values, "dot with floats");
    found.expect(same_float(product, quanta::dot<isa::portable>(row, activations)),
                 "dot has other bits than at the portable level");
    found.expect(same_float(values, quanta::dot<isa::portable>(row, y)),
                 "dot with floats has other bits than at the portable level");
    float out[1] = {};
    quanta::gemv<Isa>(matrix_view<B>(row, 1, columns), activations, out);
    found.expect(same_float(out[0], product), "gemv differs from dot");
  }
}

} // namespace detail

/// Checks everything that the library builds on a format: decoding against the equation, on any bytes; encoding, the same bytes
/// at this level and the portable one, with and without importance, and a relative error of a bell curve of at most
/// `largest_relative_rms`; dot and gemv against exact products. Returns what is wrong, a sentence each; nothing if all is well.
template <weight_format B, class Isa = isa::native>
std::vector<std::string> check_format(double largest_relative_rms = 1.0) {
  detail::findings found;
  found.expect(B::block_size % B::group_size == 0, "block_size is not a multiple of group_size");
  detail::check_decode<Isa, B>(found);
  detail::check_encode<Isa, B>(found, largest_relative_rms);
  detail::check_dot<Isa, B>(found);
  return found.take();
}

} // namespace quanta::testing
