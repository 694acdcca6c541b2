// The named mixes: which format most tensors get, and the number that a file keeps of it.
#pragma once

#include <array>
#include <span>

#include "quanta/tensor_type.hpp"

namespace quanta::recipe {

enum class mix : std::uint8_t {
  f32, f16, bf16, q8_0, q4_0, q4_1, q5_0, q5_1, q2_k, q2_k_s, q3_k_s, q3_k_m, q3_k_l, q4_k_s, q4_k_m, q5_k_s, q5_k_m, q6_k,
  iq1_s, iq1_m, iq2_xxs, iq2_xs, iq2_s, iq2_m, iq3_xxs, iq3_xs, iq3_s, iq3_m, iq4_nl, iq4_xs, tq1_0, tq2_0, mxfp4_moe, nvfp4,
  q1_0, q2_0,
};

struct mix_info {
  mix id;
  std::string_view name;
  tensor_type base;
  std::uint32_t file_type; ///< general.file_type
};

inline constexpr std::array mixes = std::to_array<mix_info>({
    {mix::f32, "F32", tensor_type::f32, 0},           {mix::f16, "F16", tensor_type::f16, 1},
    {mix::bf16, "BF16", tensor_type::bf16, 32},       {mix::q8_0, "Q8_0", tensor_type::q8_0, 7},
    {mix::q4_0, "Q4_0", tensor_type::q4_0, 2},        {mix::q4_1, "Q4_1", tensor_type::q4_1, 3},
    {mix::q5_0, "Q5_0", tensor_type::q5_0, 8},        {mix::q5_1, "Q5_1", tensor_type::q5_1, 9},
    {mix::q2_k, "Q2_K", tensor_type::q2_k, 10},       {mix::q2_k_s, "Q2_K_S", tensor_type::q2_k, 21},
    {mix::q3_k_s, "Q3_K_S", tensor_type::q3_k, 11},   {mix::q3_k_m, "Q3_K_M", tensor_type::q3_k, 12},
    {mix::q3_k_l, "Q3_K_L", tensor_type::q3_k, 13},   {mix::q4_k_s, "Q4_K_S", tensor_type::q4_k, 14},
    {mix::q4_k_m, "Q4_K_M", tensor_type::q4_k, 15},   {mix::q5_k_s, "Q5_K_S", tensor_type::q5_k, 16},
    {mix::q5_k_m, "Q5_K_M", tensor_type::q5_k, 17},   {mix::q6_k, "Q6_K", tensor_type::q6_k, 18},
    {mix::iq1_s, "IQ1_S", tensor_type::iq1_s, 24},    {mix::iq1_m, "IQ1_M", tensor_type::iq1_m, 31},
    {mix::iq2_xxs, "IQ2_XXS", tensor_type::iq2_xxs, 19}, {mix::iq2_xs, "IQ2_XS", tensor_type::iq2_xs, 20},
    {mix::iq2_s, "IQ2_S", tensor_type::iq2_xs, 28},   {mix::iq2_m, "IQ2_M", tensor_type::iq2_s, 29},
    {mix::iq3_xxs, "IQ3_XXS", tensor_type::iq3_xxs, 23}, {mix::iq3_xs, "IQ3_XS", tensor_type::iq3_s, 22},
    {mix::iq3_s, "IQ3_S", tensor_type::iq3_s, 26},    {mix::iq3_m, "IQ3_M", tensor_type::iq3_s, 27},
    {mix::iq4_nl, "IQ4_NL", tensor_type::iq4_nl, 25}, {mix::iq4_xs, "IQ4_XS", tensor_type::iq4_xs, 30},
    {mix::tq1_0, "TQ1_0", tensor_type::tq1_0, 36},    {mix::tq2_0, "TQ2_0", tensor_type::tq2_0, 37},
    {mix::mxfp4_moe, "MXFP4_MOE", tensor_type::mxfp4, 38}, {mix::nvfp4, "NVFP4", tensor_type::nvfp4, 39},
    {mix::q1_0, "Q1_0", tensor_type::q1_0, 40},       {mix::q2_0, "Q2_0", tensor_type::q2_0, 41},
});

constexpr const mix_info& info(mix id) {
  for (const mix_info& m : mixes)
    if (m.id == id)
      return m;
  return mixes[0];
}

/// The mix of this name, upper or lower case, or of its number in files ("15"); Q3_K, Q4_K and Q5_K mean the medium one. Null if
/// there is none.
constexpr const mix_info* find_mix(std::string_view name) {
  for (const mix_info& m : mixes)
    if (quanta::detail::equal_ignoring_case(m.name, name))
      return &m;
  for (const mix id : {mix::q3_k_m, mix::q4_k_m, mix::q5_k_m})
    if (name.size() == 4 && quanta::detail::equal_ignoring_case(info(id).name.substr(0, 4), name))
      return &info(id);
  std::uint32_t number = 0;
  for (const char c : name) {
    if (c < '0' || c > '9' || number > 1000)
      return nullptr;
    number = 10 * number + static_cast<std::uint32_t>(c - '0');
  }
  for (const mix_info& m : mixes)
    if (!name.empty() && m.file_type == number)
      return &m;
  return nullptr;
}

} // namespace quanta::recipe
