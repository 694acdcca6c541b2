// The operations of the level under test. Usually they are those of the tables of quanta_kernels, at the level that
// QUANTA_TEST_LEVEL in the environment names: a test is compiled once for all levels, and a kernel once for all tests. With
// QUANTA_TEST_TEMPLATES they are those of the templates at the level that the test is compiled for: of formats that have no
// number in tables, and under sanitizers, which take long to compile tables.
#pragma once

#include <cstdlib>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "quanta/dispatch.hpp"
#include "quanta/quanta.hpp"

namespace tested {

using quanta::isa::level;

inline level level_under_test() {
  const char* wanted = std::getenv("QUANTA_TEST_LEVEL");
  if (!wanted)
    return quanta::isa::native::value;
  for (const level l : {level::portable, level::x86_64_v2, level::avx2, level::avx_vnni, level::avx512})
    if (quanta::isa::name(l) == wanted)
      return l;
  throw std::invalid_argument(std::string("there is no level ") + wanted);
}

#ifdef QUANTA_TEST_TEMPLATES
inline constexpr bool uses_tables = false;
#else
inline constexpr bool uses_tables = true;
#endif

template <class B>
const quanta::dispatch::kernels& kernels_of(level l) {
  const auto* kernels = quanta::dispatch::find(quanta::type_of<B>(), l);
  if (!kernels)
    throw std::invalid_argument("no kernels of this type were compiled for " + std::string(quanta::isa::name(l)));
  return *kernels;
}

namespace detail {
template <quanta::search How, class B, class T>
void encode_row(level l, std::span<const T> x, B* row, const float* importance) {
  constexpr bool thorough = How == quanta::search::thorough;
  if constexpr (!uses_tables || (thorough && !std::same_as<T, float>)) {
    quanta::detail::quantize_row<quanta::isa::native, How>(x.data(), x.size(), row, importance);
  } else {
    const auto& k = kernels_of<B>(l);
    if constexpr (std::same_as<T, float>)
      (thorough ? k.quantize_thoroughly : k.quantize)(x.data(), x.size(), row, importance);
    else
      (std::same_as<T, quanta::f16> ? k.quantize_f16 : k.quantize_bf16)(x.data(), x.size(), row, importance);
  }
}
} // namespace detail

/// A row; importance may be empty.
template <class B, quanta::search How = quanta::search::reference, class T>
std::vector<B> encode(level l, const std::vector<T>& x, const std::vector<float>& importance = {}) {
  std::vector<B> row(x.size() / quanta::block_size_of<B>);
  detail::encode_row<How>(l, std::span<const T>(x), row.data(), importance.empty() ? nullptr : importance.data());
  return row;
}

/// A row for tests of other operations, for which any encoder will do: not compiled for formats that are in tables.
template <class B>
std::vector<B> encoded(const std::vector<float>& x) {
  std::vector<B> row(x.size() / quanta::block_size_of<B>);
  if constexpr (quanta::name(quanta::type_of<B>()) != "unknown")
    kernels_of<B>(level::portable).quantize(x.data(), x.size(), row.data(), nullptr);
  else
    quanta::quantize(x, row);
  return row;
}

template <class B>
std::vector<float> decode(level l, const std::vector<B>& row) {
  std::vector<float> x(row.size() * quanta::block_size_of<B>);
  if constexpr (uses_tables)
    kernels_of<B>(l).dequantize(row.data(), x.size(), x.data());
  else
    quanta::dequantize(row, x);
  return x;
}

/// With quantized activations, or with floats.
template <class B, class A>
float dot(level l, const std::vector<B>& row, std::span<const A> y) {
  if constexpr (uses_tables) {
    const auto& k = kernels_of<B>(l);
    const std::size_t columns = row.size() * quanta::block_size_of<B>;
    if constexpr (std::same_as<A, float>)
      return k.dot_values(row.data(), y.data(), columns);
    else
      return k.dot(row.data(), y.data(), columns);
  } else {
    return l == level::portable ? quanta::dot<quanta::isa::portable>(row, y) : quanta::dot(row, y);
  }
}

} // namespace tested
