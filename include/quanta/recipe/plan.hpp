// A plan for a whole model: the type of every tensor, decided before any work starts.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "quanta/error.hpp"
#include "quanta/recipe/rules.hpp"

namespace quanta::recipe {

/// What the rules need to know of a model.
struct model_shape {
  std::string architecture = "llama";
  std::int64_t layers = 0;
  std::int64_t heads = 1, kv_heads = 1;
  std::int64_t experts = 0;
};
struct tensor_shape {
  std::string name;
  std::vector<std::uint64_t> dims; ///< dims[0] is the row length
  tensor_type type = tensor_type::f16;
};
struct override_rule {
  std::string pattern; ///< a part of the name; `*` stands for anything
  tensor_type type;
};
struct plan_options {
  bool importance = false;        ///< an importance matrix is at hand
  bool pure = false;              ///< the base type everywhere
  bool leave_output = false;      ///< copy output.weight
  bool allow_requantize = false;  ///< sources may be quantized already
  bool allow_fallback = true;     ///< rows that are no whole blocks may get another type
  std::optional<tensor_type> output, token_embedding;
  std::vector<override_rule> overrides; ///< the first match wins, before the rules
};

struct planned_tensor {
  std::size_t index = 0; ///< in the list that was given
  tensor_shape shape;
  tensor_type type{};
  bool copied = false;
  std::optional<tensor_type> fallback_from; ///< the type that the rules wanted
  std::uint64_t bytes = 0;                  ///< without padding
  std::uint64_t elements = 0;
};
struct plan {
  std::vector<planned_tensor> tensors; ///< in the order of processing and of the output file
  std::uint64_t bytes = 0;             ///< tensor data, each padded to 32
  std::uint64_t elements = 0;
  double bits_per_weight() const { return elements ? 8.0 * static_cast<double>(bytes) / static_cast<double>(elements) : 0; }
};

namespace detail {

/// N of "blk.N.", or -1.
inline std::int64_t layer_of(std::string_view name) {
  if (!name.starts_with("blk."))
    return -1;
  std::int64_t n = 0;
  std::size_t i = 4;
  for (; i < name.size() && name[i] >= '0' && name[i] <= '9' && n < 1'000'000; ++i)
    n = 10 * n + (name[i] - '0');
  return i > 4 && i < name.size() && name[i] == '.' ? n : -1;
}

/// Whether `pattern` matches some part of the text; `*` stands for any run of characters.
inline bool contains_pattern(std::string_view text, std::string_view pattern) {
  std::size_t at = 0;
  while (!pattern.empty()) {
    const std::size_t star = pattern.find('*');
    const std::string_view piece = pattern.substr(0, star);
    at = text.find(piece, at);
    if (at == std::string_view::npos)
      return false;
    at += piece.size();
    pattern = star == std::string_view::npos ? std::string_view{} : pattern.substr(star + 1);
  }
  return true;
}

inline bool is_converted(const tensor_shape& t) {
  if (!t.name.ends_with("weight") || t.dims.size() < 2)
    return false;
  for (const std::string_view part :
       {"_norm.weight", "ffn_gate_inp.weight", "ssm_conv1d", "attn_rel_b.weight", "time_mix_first.weight", "time_mix_w0.weight",
        "time_mix_w1.weight", "time_mix_w2.weight", "time_mix_v0.weight", "time_mix_v1.weight", "time_mix_v2.weight",
        "time_mix_a0.weight", "time_mix_a1.weight", "time_mix_a2.weight", "time_mix_g1.weight", "time_mix_g2.weight",
        "time_mix_decay_w1.weight", "time_mix_decay_w2.weight", "time_mix_lerp_fused.weight", "shortconv.conv.weight", "altup",
        "laurel", "per_layer_model_proj", "indexer.k_proj.weight", "indexer.q_proj.weight", "ffn_gate_tid2eid.weight",
        ".position_embd", "sam.", ".rel_pos", ".patch_embd", ".patch_merger"})
    if (t.name.find(part) != std::string::npos)
      return false;
  return t.name != "position_embd.weight" && t.name != "token_types.weight";
}

inline role role_of(std::string_view name, bool tied) {
  if (name == "output.weight" || (tied && name == "token_embd.weight"))
    return role::output;
  if (name == "token_embd.weight")
    return role::token_embedding;
  const auto has = [&](std::string_view part) { return name.find(part) != std::string_view::npos; };
  if (has("attn_v.weight") || has("attn_qkv.weight") || has("attn_kv_b.weight"))
    return role::attention_v;
  if (has("attn_k.weight"))
    return role::attention_k;
  if (has("attn_q.weight"))
    return role::attention_q;
  if (has("attn_output.weight"))
    return role::attention_output;
  if (has("ffn_down"))
    return role::ffn_down;
  if (has("ffn_gate"))
    return role::ffn_gate;
  if (has("ffn_up"))
    return role::ffn_up;
  return role::other;
}

inline bool needs_importance(tensor_type type, mix recipe) {
  using enum tensor_type;
  return type == iq2_xxs || type == iq2_xs || type == iq2_s || type == iq1_s || type == iq1_m || type == iq3_xxs ||
         (type == q2_k && recipe == mix::q2_k_s);
}

} // namespace detail

/// Decides the type of every tensor. Errors, with the tensor: importance_required; bad_row (no fallback possible or
/// allowed); unsupported_type (already quantized, without permission to quantize again); size_overflow.
inline result<plan> make_plan(mix recipe, const model_shape& model, const std::vector<tensor_shape>& tensors,
                              const plan_options& options = {}) {
  std::vector<std::size_t> order(tensors.size());
  for (std::size_t i = 0; i < order.size(); ++i)
    order[i] = i;
  // Not stable_sort: libstdc++ 12's warns under clang 19, and it allocates; the index decides among equals instead.
  std::ranges::sort(order, [&](std::size_t a, std::size_t b) {
    const std::int64_t x = detail::layer_of(tensors[a].name), y = detail::layer_of(tensors[b].name);
    return x != y ? x < y : tensors[a].name != tensors[b].name ? tensors[a].name < tensors[b].name : a < b;
  });
  const bool tied = std::ranges::none_of(tensors, [](const tensor_shape& t) { return t.name == "output.weight"; });
  situation s;
  s.recipe = recipe;
  s.heads_per_group = model.kv_heads > 0 ? model.heads / model.kv_heads : 1;
  s.experts = model.experts;
  s.falcon = model.architecture == "falcon";
  s.is_70b = model.architecture == "llama" && model.layers == 80 && model.heads != model.kv_heads;
  s.importance = options.importance;
  std::size_t values = 0, counters[16] = {};
  for (const tensor_shape& t : tensors)
    values += detail::role_of(t.name, tied) == role::attention_v && detail::is_converted(t);

  plan result;
  for (const std::size_t index : order) {
    planned_tensor p;
    p.index = index;
    p.shape = tensors[index];
    const tensor_shape& t = p.shape;
    const type_info* source = find_type(t.type);
    p.elements = 1;
    for (const std::uint64_t d : t.dims) {
      if (d != 0 && p.elements > (std::uint64_t{1} << 62) / d)
        return error(errc::size_overflow, error::nowhere, t.name);
      p.elements *= d;
    }
    p.type = t.type;
    p.copied = !detail::is_converted(t) || (options.leave_output && t.name == "output.weight");
    if (!p.copied) {
      const role which = detail::role_of(t.name, tied);
      const std::int64_t layer = detail::layer_of(t.name);
      s.counter = counters[static_cast<std::size_t>(which)]++;
      s.index = which != role::attention_v && model.experts > 1 && layer >= 0 ? static_cast<std::size_t>(layer) : s.counter;
      s.count = which == role::attention_v ? values : static_cast<std::size_t>(model.layers);
      s.expert_tensor = t.dims.size() == 3;
      p.type = options.pure ? info(recipe).base : choose_type(which, s);
      const auto divides = [&](tensor_type type) { return t.dims[0] % find_type(type)->block_size == 0; };
      if (which == role::output && !options.pure && !divides(info(recipe).base) && info(recipe).base != tensor_type::f32)
        p.type = tensor_type::q8_0;
      if (which == role::output && options.output)
        p.type = *options.output;
      if (t.name == "token_embd.weight" && options.token_embedding)
        p.type = *options.token_embedding;
      for (const override_rule& rule : options.overrides)
        if (detail::contains_pattern(t.name, rule.pattern)) {
          p.type = rule.type;
          break;
        }
      if (!divides(p.type)) {
        const auto other = fallback_type(p.type);
        if (!options.allow_fallback || !other)
          return error(errc::bad_row, error::nowhere, t.name);
        p.fallback_from = p.type;
        p.type = divides(*other) ? *other : tensor_type::f16;
      }
      if (detail::needs_importance(p.type, recipe) && !options.importance && which != role::token_embedding &&
          which != role::output)
        return error(errc::importance_required, error::nowhere, t.name);
      p.copied = p.type == t.type;
      if (!p.copied && source->block_size > 1 && !options.allow_requantize)
        return error(errc::unsupported_type, error::nowhere, t.name);
    }
    const type_info* info = find_type(p.type);
    p.bytes = p.elements / info->block_size * info->block_bytes;
    result.bytes += (p.bytes + 31) / 32 * 32;
    result.elements += p.elements;
    result.tensors.push_back(std::move(p));
  }
  return result;
}

/// The tensors of a Llama: what `make_plan` needs to say how large a model would become without having it.
inline std::vector<tensor_shape> llama_tensors(std::uint64_t layers, std::uint64_t width, std::uint64_t ffn,
                                               std::uint64_t kv_width, std::uint64_t vocabulary, bool tied = false) {
  std::vector<tensor_shape> all;
  all.push_back({"token_embd.weight", {width, vocabulary}, tensor_type::f16});
  all.push_back({"output_norm.weight", {width}, tensor_type::f32});
  if (!tied)
    all.push_back({"output.weight", {width, vocabulary}, tensor_type::f16});
  for (std::uint64_t i = 0; i < layers; ++i) {
    const std::string layer = "blk." + std::to_string(i) + ".";
    all.push_back({layer + "attn_norm.weight", {width}, tensor_type::f32});
    all.push_back({layer + "ffn_norm.weight", {width}, tensor_type::f32});
    all.push_back({layer + "attn_q.weight", {width, width}, tensor_type::f16});
    all.push_back({layer + "attn_k.weight", {width, kv_width}, tensor_type::f16});
    all.push_back({layer + "attn_v.weight", {width, kv_width}, tensor_type::f16});
    all.push_back({layer + "attn_output.weight", {width, width}, tensor_type::f16});
    all.push_back({layer + "ffn_gate.weight", {width, ffn}, tensor_type::f16});
    all.push_back({layer + "ffn_up.weight", {width, ffn}, tensor_type::f16});
    all.push_back({layer + "ffn_down.weight", {ffn, width}, tensor_type::f16});
  }
  return all;
}

/// Llama 3 in its two usual sizes.
inline std::vector<tensor_shape> llama_3_70b() { return llama_tensors(80, 8192, 28672, 1024, 128256); }
inline model_shape llama_3_70b_shape() { return {"llama", 80, 64, 8, 0}; }
inline std::vector<tensor_shape> llama_3_8b() { return llama_tensors(32, 4096, 14336, 1024, 128256); }
inline model_shape llama_3_8b_shape() { return {"llama", 32, 32, 8, 0}; }

} // namespace quanta::recipe
