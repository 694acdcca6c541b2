// Test data that any language can reproduce bit for bit: integers and powers of two only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <span>
#include <string_view>
#include <vector>

namespace golden {

/// splitmix64.
struct generator {
  std::uint64_t state;
  std::uint64_t next() {
    std::uint64_t z = (state += 0x9E3779B97F4A7C15ull);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
  }
  /// Sum of 12 uniform 16-bit integers, centred, over 2^16: mean 0, variance about 1; exact in float.
  float normal() {
    std::int32_t sum = 0;
    for (int i = 0; i < 3; ++i) {
      const std::uint64_t u = next();
      sum += static_cast<std::int32_t>((u & 0xFFFF) + (u >> 16 & 0xFFFF) + (u >> 32 & 0xFFFF) + (u >> 48));
    }
    return static_cast<float>(sum - 6 * 65536 + 6) * 0x1p-16f;
  }
  float uniform() { return static_cast<float>(next() >> 40) * 0x1p-24f; }
};

inline constexpr std::string_view kinds[] = {"gaussian", "heavy", "positive", "negative", "sparse",  "zero",
                                             "constant", "grid",  "mixed",    "outlier",  "tiny", "tie"};

/// One value of a kind; i = index in the row.
inline float value(generator& random, std::string_view kind, std::size_t i) {
  const float n = random.normal(), s = 0x1p-5f;
  if (kind == "gaussian")
    return n * s;
  if (kind == "heavy") { // through volatile: products left to right, never contracted
    volatile float square = n * n;
    volatile float cube = square * n;
    return cube * s;
  }
  if (kind == "positive")
    return random.uniform() * s + 0x1p-10f;
  if (kind == "negative")
    return -(random.uniform() * s + 0x1p-10f);
  if (kind == "sparse")
    return random.next() % 10 ? 0.f : n * s;
  if (kind == "constant")
    return 0x1.9p-6f;
  if (kind == "grid")
    return static_cast<float>(static_cast<int>(random.next() % 33) - 16) * 0x1p-8f;
  if (kind == "mixed") {
    float t = n * s;
    for (std::size_t j = 0; j < i / 32 % 12; ++j)
      t *= 0.5f;
    return t;
  }
  if (kind == "outlier")
    return random.next() % 256 == 0 ? n * 2.f : n * s;
  if (kind == "tiny")
    return n * 0x1p-30f;
  if (kind == "tie")
    return (random.next() & 1 ? 1.f : -1.f) * 0x1p-4f;
  if (kind == "groups") // runs of 32, some of zeros of both signs, of tiny values, half of zeros
    switch (i / 32 % 5) {
    case 1: return random.next() & 1 ? -0.f : 0.f;
    case 2: return n * 0x1p-56f;
    case 3: return i % 32 < 16 ? -0.f : n * s;
    default: return n * s;
    }
  return 0.f;
}

inline std::vector<float> rows(std::uint64_t seed, std::string_view kind, std::size_t count, std::size_t columns) {
  std::uint64_t index = 0;
  while (index < std::size(kinds) && kinds[index] != kind) // "groups" comes after those that all formats are tested with
    ++index;
  generator random{seed * 1000003ull + index};
  std::vector<float> x(count * columns);
  for (std::size_t i = 0; i < x.size(); ++i)
    x[i] = value(random, kind, i % columns);
  return x;
}

/// Column importance: positive, uneven (a spread of about 2^8).
inline std::vector<float> importance(std::uint64_t seed, std::size_t columns) {
  generator random{seed ^ 0xABCDEFull};
  std::vector<float> w(columns);
  for (float& x : w) {
    const float u = random.uniform() + 0x1p-8f;
    x = u * u;
  }
  return w;
}

/// The importance that a line of encode.tsv names: 0 none, 1 as above, 2 with zeros in whole groups and in single columns.
inline std::vector<float> importance_of(int which, std::size_t columns) {
  if (which == 0)
    return {};
  auto w = importance(1, columns);
  for (std::size_t i = 0; which == 2 && i < columns; ++i)
    if (i / 32 % 4 == 1 || i / 16 % 7 == 3 || i / 256 % 8 == 5 || i % 11 == 0)
      w[i] = 0.f;
  return w;
}

/// Random bytes for every field: infinities, NaN and subnormals occur among the scales.
template <class B>
std::vector<B> random_blocks(std::uint64_t seed, std::uint64_t type, std::size_t count) {
  generator random{seed * 7919ull + type};
  std::vector<std::uint8_t> bytes(count * sizeof(B));
  for (std::size_t i = 0; i < bytes.size(); i += 8) {
    const std::uint64_t u = random.next();
    std::memcpy(&bytes[i], &u, bytes.size() - i < 8 ? bytes.size() - i : 8);
  }
  std::vector<B> blocks(count);
  if (count > 0) // memcpy may not be given the null pointer of an empty vector
    std::memcpy(static_cast<void*>(blocks.data()), bytes.data(), bytes.size());
  return blocks;
}

/// 64-bit FNV-1a.
inline std::uint64_t hash(const void* p, std::size_t bytes) {
  std::uint64_t h = 1469598103934665603ull;
  for (const std::uint8_t byte : std::span(static_cast<const std::uint8_t*>(p), bytes)) {
    h ^= byte;
    h *= 1099511628211ull;
  }
  return h;
}
/// The hash of floats with every NaN replaced by 0x7FC00000.
inline std::uint64_t hash_of_floats(std::vector<float> x) {
  for (float& f : x)
    if (f != f) {
      const std::uint32_t quiet = 0x7FC00000u;
      std::memcpy(&f, &quiet, 4);
    }
  return hash(x.data(), x.size() * sizeof(float));
}

} // namespace golden
