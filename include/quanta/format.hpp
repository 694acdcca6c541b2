// The one equation behind every block format, and what a format has to tell the kernels.
//
//   x[i] = d * s[g] * c[i]  -  dmin * m[g],   g = i / group_size
//
// d and dmin are one pair a block, s and m small integers a group, c[i] = code(i) - code_offset a small integer a weight.
// A format is a struct that *is* its block: trivially copyable, alignment 1, sizeof = the bytes in the file, and static
// members only beside its bytes.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>

#include "quanta/bytes.hpp"
#include "quanta/float16.hpp"
#include "quanta/tensor_type.hpp"

namespace quanta {

/// A block of quantized values: weights or activations.
template <class B>
concept block_format = std::is_trivially_copyable_v<B> && alignof(B) == 1 && requires(const B& block, std::size_t i) {
  { B::block_size } -> std::convertible_to<std::size_t>;
  { B::group_size } -> std::convertible_to<std::size_t>;
  { B::code_offset } -> std::convertible_to<int>;
  { B::affine } -> std::convertible_to<bool>;
  { B::name } -> std::convertible_to<std::string_view>;
  { block.code(i) } -> std::convertible_to<int>;      // stored code of value i, 0 to 255
  { block.scale(i) } -> std::convertible_to<float>;   // d * s[g]
  { block.minimum(i) } -> std::convertible_to<float>; // dmin * m[g], 0 where not affine
};

/// A block format that can stand on the weight side of a product: it names the activation format it is paired with.
template <class B>
concept weight_format = block_format<B> && block_format<typename B::dot_partner>;

/// A type whose values are stored as they are: one value, one number.
template <class T>
concept plain_format = std::same_as<T, float> || std::same_as<T, f16> || std::same_as<T, bf16>;

/// Anything a row can be made of.
template <class B>
concept row_format = block_format<B> || plain_format<B>;

/// Value i of a block, straight from the equation: the meaning that the kernels are tested against. The product is exact
/// in float for every format (11 bits of d, at most 12 of the integers), so only an affine format rounds, once.
template <block_format B>
constexpr float decode_value(const B& block, std::size_t i) {
  const std::size_t g = i / B::group_size;
  const float product = block.scale(g) * static_cast<float>(block.code(i) - B::code_offset);
  if constexpr (B::affine)
    return product - block.minimum(g);
  else
    return product;
}

namespace detail {
/// The name of a format that has none in GGUF: its kind, the bits of a code and the values a scale, as in "linear4_g64".
struct sized_name {
  char text[24] = {};
  std::size_t length = 0;

  constexpr sized_name(std::string_view kind, std::size_t bits, std::size_t group) {
    append(kind);
    append(bits);
    append("_g");
    append(group);
  }
  constexpr std::string_view view() const { return {text, length}; }

private:
  constexpr void append(std::string_view part) {
    for (const char c : part)
      text[length++] = c;
  }
  constexpr void append(std::size_t number) {
    if (number > 9)
      append(number / 10);
    text[length++] = static_cast<char>('0' + number % 10);
  }
};

/// Formats of 32-value runs (q4_0 and its kin, and formats of users): the kernels take a run at a time.
inline constexpr std::size_t run_size = 32;
template <class B>
concept run_format = block_format<B> && requires {
  requires B::block_size % run_size == 0 && (B::group_size == run_size / 2 || B::group_size % run_size == 0);
  requires !requires { requires !B::layout_is_runs; };
};
/// Formats of 256 values with small integer scales a group (the K types): the kernels take 32 codes at a time. They say
/// `layout_is_runs = false`.
inline constexpr std::size_t super_block_size = 256;
template <class B>
concept super_format = block_format<B> && requires { requires B::block_size == super_block_size && !B::layout_is_runs; };
} // namespace detail

/// The GGUF type of a row's element.
template <row_format B>
constexpr tensor_type type_of() {
  if constexpr (std::same_as<B, float>)
    return tensor_type::f32;
  else if constexpr (std::same_as<B, f16>)
    return tensor_type::f16;
  else if constexpr (std::same_as<B, bf16>)
    return tensor_type::bf16;
  else
    return B::type;
}

/// Values a block: 1 for plain formats.
template <row_format B>
inline constexpr std::size_t block_size_of = 1;
template <block_format B>
inline constexpr std::size_t block_size_of<B> = B::block_size;

namespace detail {
/// Whether `a` elements of A hold as many values as `b` elements of B. Divides, since a product of sizes may wrap.
template <row_format A, row_format B>
[[gnu::always_inline]] constexpr bool same_length(std::size_t a, std::size_t b) {
  constexpr std::size_t common = [] {
    std::size_t x = block_size_of<A>, y = block_size_of<B>;
    while (y != 0) {
      const std::size_t rest = x % y;
      x = y;
      y = rest;
    }
    return x;
  }();
  constexpr std::size_t step_a = block_size_of<B> / common, step_b = block_size_of<A> / common;
  return a % step_a == 0 && b % step_b == 0 && a / step_a == b / step_b;
}
} // namespace detail

} // namespace quanta
