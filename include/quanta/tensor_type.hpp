// The tensor types of GGUF as numbers: ids, names, block sizes, and where a block keeps its scales.
// Needs none of the formats, so that file readers know every type, also those whose kernels are not included.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace quanta {

/// The number that GGUF stores for the type of a tensor. Ids 4, 5, 31 to 33 and 36 to 38 are retired and never valid.
enum class tensor_type : std::uint32_t {
  f32 = 0,
  f16 = 1,
  q4_0 = 2,
  q4_1 = 3,
  q5_0 = 6,
  q5_1 = 7,
  q8_0 = 8,
  q8_1 = 9,
  q2_k = 10,
  q3_k = 11,
  q4_k = 12,
  q5_k = 13,
  q6_k = 14,
  q8_k = 15,
  iq2_xxs = 16,
  iq2_xs = 17,
  iq3_xxs = 18,
  iq1_s = 19,
  iq4_nl = 20,
  iq3_s = 21,
  iq2_s = 22,
  iq4_xs = 23,
  i8 = 24,
  i16 = 25,
  i32 = 26,
  i64 = 27,
  f64 = 28,
  iq1_m = 29,
  bf16 = 30,
  tq1_0 = 34,
  tq2_0 = 35,
  mxfp4 = 39,
  nvfp4 = 40,
  q1_0 = 41,
  q2_0 = 42,
};

/// How a block stores the numbers that multiply all of its codes; what a validator has to look at.
enum class scale_encoding : std::uint8_t {
  none,       ///< plain integers
  value_f32,  ///< the value itself is a float (bits of f32, f64, f16, bf16 values)
  value_f64,
  value_f16,
  value_bf16,
  half,       ///< one or two binary16 fields at `scale_offsets`
  single,     ///< a binary32 field at `scale_offsets[0]`
  e8m0,       ///< a byte, 255 is NaN
  ue4m3,      ///< bytes; every pattern is finite here
  iq1_m,      ///< a binary16 spread over the high nibbles of four words
};

/// What a reader has to know of a type: weights and bytes of a block, and where its scales are.
struct type_info {
  tensor_type type;
  std::string_view name;     ///< spelling of the reference tools, e.g. "q4_K"
  std::size_t block_size;    ///< weights a block
  std::size_t block_bytes;
  scale_encoding scales = scale_encoding::none;
  std::array<std::int16_t, 2> scale_offsets{-1, -1}; ///< byte offsets in a block, -1: none

  constexpr double bits_per_weight() const {
    return 8.0 * static_cast<double>(block_bytes) / static_cast<double>(block_size);
  }
};

namespace detail {
inline constexpr std::array type_table = std::to_array<type_info>({
    {tensor_type::f32, "f32", 1, 4, scale_encoding::value_f32},
    {tensor_type::f16, "f16", 1, 2, scale_encoding::value_f16},
    {tensor_type::q4_0, "q4_0", 32, 18, scale_encoding::half, {0, -1}},
    {tensor_type::q4_1, "q4_1", 32, 20, scale_encoding::half, {0, 2}},
    {tensor_type::q5_0, "q5_0", 32, 22, scale_encoding::half, {0, -1}},
    {tensor_type::q5_1, "q5_1", 32, 24, scale_encoding::half, {0, 2}},
    {tensor_type::q8_0, "q8_0", 32, 34, scale_encoding::half, {0, -1}},
    {tensor_type::q8_1, "q8_1", 32, 36, scale_encoding::half, {0, 2}},
    {tensor_type::q2_k, "q2_K", 256, 84, scale_encoding::half, {80, 82}},
    {tensor_type::q3_k, "q3_K", 256, 110, scale_encoding::half, {108, -1}},
    {tensor_type::q4_k, "q4_K", 256, 144, scale_encoding::half, {0, 2}},
    {tensor_type::q5_k, "q5_K", 256, 176, scale_encoding::half, {0, 2}},
    {tensor_type::q6_k, "q6_K", 256, 210, scale_encoding::half, {208, -1}},
    {tensor_type::q8_k, "q8_K", 256, 292, scale_encoding::single, {0, -1}},
    {tensor_type::iq2_xxs, "iq2_xxs", 256, 66, scale_encoding::half, {0, -1}},
    {tensor_type::iq2_xs, "iq2_xs", 256, 74, scale_encoding::half, {0, -1}},
    {tensor_type::iq3_xxs, "iq3_xxs", 256, 98, scale_encoding::half, {0, -1}},
    {tensor_type::iq1_s, "iq1_s", 256, 50, scale_encoding::half, {0, -1}},
    {tensor_type::iq4_nl, "iq4_nl", 32, 18, scale_encoding::half, {0, -1}},
    {tensor_type::iq3_s, "iq3_s", 256, 110, scale_encoding::half, {0, -1}},
    {tensor_type::iq2_s, "iq2_s", 256, 82, scale_encoding::half, {0, -1}},
    {tensor_type::iq4_xs, "iq4_xs", 256, 136, scale_encoding::half, {0, -1}},
    {tensor_type::i8, "i8", 1, 1},
    {tensor_type::i16, "i16", 1, 2},
    {tensor_type::i32, "i32", 1, 4},
    {tensor_type::i64, "i64", 1, 8},
    {tensor_type::f64, "f64", 1, 8, scale_encoding::value_f64},
    {tensor_type::iq1_m, "iq1_m", 256, 56, scale_encoding::iq1_m},
    {tensor_type::bf16, "bf16", 1, 2, scale_encoding::value_bf16},
    {tensor_type::tq1_0, "tq1_0", 256, 54, scale_encoding::half, {52, -1}},
    {tensor_type::tq2_0, "tq2_0", 256, 66, scale_encoding::half, {64, -1}},
    {tensor_type::mxfp4, "mxfp4", 32, 17, scale_encoding::e8m0, {0, -1}},
    {tensor_type::nvfp4, "nvfp4", 64, 36, scale_encoding::ue4m3, {0, -1}},
    {tensor_type::q1_0, "q1_0", 128, 18, scale_encoding::half, {0, -1}},
    {tensor_type::q2_0, "q2_0", 64, 18, scale_encoding::half, {0, -1}},
});

constexpr bool equal_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size())
    return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    if (lower(a[i]) != lower(b[i]))
      return false;
  }
  return true;
}
} // namespace detail

/// Every valid tensor type, ascending by id.
constexpr std::span<const type_info> tensor_types() { return detail::type_table; }

/// The type with this id in a file; null for unknown and retired ids.
constexpr const type_info* find_type(std::uint32_t id) {
  for (const type_info& info : detail::type_table)
    if (static_cast<std::uint32_t>(info.type) == id)
      return &info;
  return nullptr;
}
constexpr const type_info* find_type(tensor_type type) { return find_type(static_cast<std::uint32_t>(type)); }

/// The type with this name, upper or lower case ("Q4_K", "q4_k"); null if there is none.
constexpr const type_info* find_format(std::string_view name) {
  for (const type_info& info : detail::type_table)
    if (detail::equal_ignoring_case(info.name, name))
      return &info;
  return nullptr;
}

/// The reference tools' spelling of a type, "unknown" for a number that is no type.
constexpr std::string_view name(tensor_type type) {
  for (const type_info& info : detail::type_table) // not by find_type: GCC's sanitizers refuse its pointer in a constant
    if (info.type == type)
      return info.name;
  return "unknown";
}

/// Bytes of a row of `columns` weights; empty for an unknown type, a row that is not whole blocks, or an overflow.
constexpr std::optional<std::uint64_t> row_bytes(tensor_type type, std::uint64_t columns) {
  for (const type_info& info : detail::type_table) {
    if (info.type != type)
      continue;
    const std::uint64_t blocks = columns / info.block_size;
    if (columns % info.block_size != 0 || blocks > ~std::uint64_t{0} / info.block_bytes)
      return std::nullopt;
    return blocks * info.block_bytes;
  }
  return std::nullopt;
}

} // namespace quanta
