// Which format a tensor gets in a mix, by its role: the rules of the reference tools (August 2026), a function a role.
#pragma once

#include <optional>

#include "quanta/recipe/mixes.hpp"

namespace quanta::recipe {

enum class role : std::uint8_t {
  token_embedding,
  output,
  attention_v,
  attention_k,
  attention_q,
  attention_output,
  ffn_down,
  ffn_gate,
  ffn_up,
  other
};

/// What the rules look at.
struct situation {
  mix recipe{};
  std::size_t index = 0;  ///< running number among tensors of the role; the layer in models with experts
  std::size_t count = 0;  ///< tensors of the role (attention_v), or layers
  std::size_t counter = 0; ///< running number in any case
  std::int64_t heads_per_group = 1; ///< head_count / head_count_kv
  std::int64_t experts = 0;
  bool is_70b = false; ///< llama with 80 layers and grouped heads: its few attention_v weights are worth more bits
  bool falcon = false;
  bool importance = false;
  bool expert_tensor = false; ///< three dimensions

  bool in(std::initializer_list<mix> recipes) const {
    for (const mix m : recipes)
      if (m == recipe)
        return true;
    return false;
  }
  /// The layers that carry most: the first and last eighth and every third between.
  bool more() const {
    return index < count / 8 || index >= 7 * count / 8 || (index - count / 8) % 3 == 2;
  }
  bool first_eighth() const { return index < count / 8; }
  bool tiny() const { return in({mix::iq1_s, mix::iq1_m, mix::iq2_xxs, mix::iq2_xs}); }
  bool small() const { return in({mix::iq2_s, mix::iq2_m}); }
};

namespace detail {

using maybe = std::optional<tensor_type>; // empty: the base type
using enum tensor_type;

inline tensor_type output_type(const situation& s) {
  if (s.falcon)
    return q8_0;
  if (s.tiny() || s.small() || s.recipe == mix::iq3_xxs)
    return q5_k;
  if (s.in({mix::q8_0, mix::mxfp4_moe}))
    return q8_0;
  return q6_k;
}

inline maybe token_embedding_type(const situation& s) {
  if (s.tiny())
    return q2_k;
  if (s.small() || s.recipe == mix::iq3_xxs)
    return iq3_s;
  if (s.in({mix::tq1_0, mix::tq2_0, mix::q2_0}))
    return q4_k;
  return {};
}

inline maybe attention_v_type(const situation& s) {
  const bool grouped = s.heads_per_group >= 4;
  if (s.tiny())
    return grouped || s.experts >= 4 ? q4_k : q2_k;
  if (s.small())
    return grouped || s.experts >= 4 ? q4_k : iq3_s;
  maybe t;
  switch (s.recipe) {
  case mix::q2_k: t = grouped ? q4_k : q3_k; break;
  case mix::q2_k_s:
  case mix::iq3_xs:
  case mix::iq3_s:
    if (grouped)
      t = q4_k;
    break;
  case mix::iq3_xxs: t = grouped ? q4_k : s.importance ? iq3_xxs : iq3_s; break;
  case mix::iq3_m: t = q4_k; break;
  case mix::q3_k_m: t = s.index < 2 ? q5_k : q4_k; break;
  case mix::q3_k_l: t = q5_k; break;
  case mix::iq4_nl:
  case mix::iq4_xs:
    if (grouped)
      t = q5_k;
    break;
  case mix::q4_k_m:
  case mix::q5_k_m:
    if (s.more())
      t = q6_k;
    break;
  case mix::q4_k_s:
    if (s.index < 4)
      t = q5_k;
    break;
  default: break;
  }
  const tensor_type chosen = t.value_or(info(s.recipe).base);
  if (s.is_70b && (chosen == q3_k || chosen == q4_k))
    t = q5_k;
  if (s.experts == 8)
    t = q8_0;
  return t;
}

inline maybe attention_k_type(const situation& s) {
  if (s.experts == 8)
    return s.tiny() || s.small() ? q4_k : q8_0;
  if (s.recipe == mix::iq3_xs)
    return iq3_xxs;
  if (s.recipe == mix::iq3_xxs)
    return iq2_s;
  return {};
}

inline maybe attention_q_type(const situation& s) {
  if (s.recipe == mix::iq3_xs)
    return iq3_xxs;
  if (s.recipe == mix::iq3_xxs)
    return iq2_s;
  return {};
}

inline maybe attention_output_type(const situation& s) {
  if (s.falcon)
    return s.recipe == mix::q3_k_l ? maybe(q4_k) : maybe();
  if (s.experts == 8 && (s.tiny() || s.small() ||
                         s.in({mix::q2_k, mix::q3_k_s, mix::q3_k_m, mix::q4_k_s, mix::q4_k_m, mix::iq3_xxs, mix::iq3_xs,
                               mix::iq3_s, mix::iq3_m, mix::iq4_nl, mix::iq4_xs})))
    return q5_k;
  switch (s.recipe) {
  case mix::q2_k: return q3_k;
  case mix::q3_k_m:
  case mix::iq3_m: return q4_k;
  case mix::q3_k_l: return s.experts == 8 ? maybe() : maybe(q5_k);
  case mix::iq3_xxs:
  case mix::iq2_s:
  case mix::iq2_m: return iq3_s;
  case mix::iq1_s:
  case mix::iq1_m: return iq2_xxs;
  default: return {};
  }
}

inline maybe ffn_down_type(const situation& s) {
  if (s.tiny() || s.small()) { // these rules count tensors, also in models with experts
    if (s.counter >= s.count / 8)
      return {};
    return s.tiny() ? q2_k : iq3_s;
  }
  const bool first_sixteenth = s.index < s.count / 16;
  switch (s.recipe) {
  case mix::q2_k: return q3_k;
  case mix::q2_k_s: return s.first_eighth() ? maybe(q4_k) : maybe();
  case mix::iq3_xxs: return s.importance ? maybe() : maybe(s.first_eighth() ? q4_k : q3_k);
  case mix::q3_k_m:
    if (first_sixteenth)
      return q5_k;
    return s.falcon && !s.more() ? q3_k : q4_k;
  case mix::iq3_m: return s.first_eighth() || (s.experts == 8 && s.more()) ? maybe(q4_k) : maybe();
  case mix::q3_k_l: return s.falcon ? q4_k : q5_k;
  case mix::q4_k_m:
    if (s.falcon)
      return first_sixteenth ? q6_k : s.more() ? q5_k : q4_k;
    return s.more() ? maybe(q6_k) : maybe();
  case mix::q5_k_m: return s.more() ? maybe(q6_k) : maybe();
  case mix::iq4_nl:
  case mix::iq4_xs: return s.first_eighth() && !s.importance ? maybe(q5_k) : maybe();
  case mix::q4_k_s: return s.first_eighth() && !s.falcon ? maybe(q5_k) : maybe();
  case mix::q4_0: return s.first_eighth() && s.importance ? maybe(q4_1) : maybe();
  case mix::q5_0: return s.first_eighth() && s.importance ? maybe(q5_1) : maybe();
  default: return {};
  }
}

inline maybe ffn_gate_up_type(const situation& s) {
  return s.recipe == mix::iq3_xs && !s.first_eighth() && s.index < 7 * s.count / 8 ? maybe(iq3_xxs) : maybe();
}

} // namespace detail

/// The type of a tensor that a mix converts, before any fallback.
inline tensor_type choose_type(role which, const situation& s) {
  const tensor_type base = info(s.recipe).base;
  if (base == tensor_type::f32 || base == tensor_type::f16 || base == tensor_type::bf16)
    return base;
  if (s.recipe == mix::mxfp4_moe && which != role::output)
    return s.expert_tensor ? tensor_type::mxfp4 : tensor_type::q8_0;
  switch (which) {
  case role::output: return detail::output_type(s);
  case role::token_embedding: return detail::token_embedding_type(s).value_or(base);
  case role::attention_v: return detail::attention_v_type(s).value_or(base);
  case role::attention_k: return detail::attention_k_type(s).value_or(base);
  case role::attention_q: return detail::attention_q_type(s).value_or(base);
  case role::attention_output: return detail::attention_output_type(s).value_or(base);
  case role::ffn_down: return detail::ffn_down_type(s).value_or(base);
  case role::ffn_gate:
  case role::ffn_up: return detail::ffn_gate_up_type(s).value_or(base);
  case role::other: return base;
  }
  return base;
}

/// What replaces a type whose blocks do not divide a row; empty if nothing does.
constexpr std::optional<tensor_type> fallback_type(tensor_type chosen) {
  using enum tensor_type;
  switch (chosen) {
  case q4_k: return q5_0;
  case q5_k: return q5_1;
  case q6_k: return q8_0;
  case q2_k:
  case q3_k:
  case tq1_0:
  case tq2_0:
  case q2_0: return q4_0;
  case iq1_s:
  case iq1_m:
  case iq2_xxs:
  case iq2_xs:
  case iq2_s:
  case iq3_xxs:
  case iq3_s:
  case iq4_xs: return iq4_nl;
  default: return std::nullopt;
  }
}

} // namespace quanta::recipe
