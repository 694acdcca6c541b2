// A plan for a whole model: the type of every tensor, decided before any work starts.
#pragma once

#include <algorithm>
#include <functional>
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
  bool has_importance = true; ///< where an importance matrix is at hand: it says something of this tensor
};
/// Weights whose name matches get a type; recipe/overrides.hpp makes such rules from regular expressions.
struct override_rule {
  std::function<bool(const std::string& name)> matches;
  tensor_type type;
};
struct plan_options {
  bool importance = false;       ///< an importance matrix is at hand
  bool copy = false;             ///< nothing is converted
  bool pure = false;             ///< the base type everywhere
  bool leave_output = false;     ///< copy output.weight
  bool allow_requantize = false; ///< sources may be quantized already
  bool allow_fallback = true;    ///< rows that are no whole blocks may get another type
  bool keep_order = false;       ///< tensors are counted, and come out, in the order given instead of by layer and name
  std::optional<tensor_type> output, token_embedding;
  /// The first match wins, unless `output` or `token_embedding` says otherwise; the mix' rules then do not count the tensor.
  std::vector<override_rule> overrides;
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
  std::vector<std::size_t> matches;    ///< for each override, the weights whose names it matches
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

/// Dimensions up to the last that is more than 1, at least one: trailing ones do not make a vector a matrix.
inline std::size_t rank(const tensor_shape& t) {
  std::size_t n = t.dims.size();
  while (n > 1 && t.dims[n - 1] <= 1)
    --n;
  return n < 1 ? 1 : n;
}

/// Weights with one of these in their names stay as they are: norms, gates, convolutions and other small tensors.
// clang-format off
inline constexpr std::array kept_parts = std::to_array<std::string_view>({
    "_norm.weight", "ffn_gate_inp.weight", "ssm_conv1d", "attn_rel_b.weight", "time_mix_first.weight", "time_mix_w0.weight",
    "time_mix_w1.weight", "time_mix_w2.weight", "time_mix_v0.weight", "time_mix_v1.weight", "time_mix_v2.weight",
    "time_mix_a0.weight", "time_mix_a1.weight", "time_mix_a2.weight", "time_mix_g1.weight", "time_mix_g2.weight",
    "time_mix_decay_w1.weight", "time_mix_decay_w2.weight", "time_mix_lerp_fused.weight", "shortconv.conv.weight", "altup",
    "laurel", "per_layer_model_proj", "indexer.k_proj.weight", "indexer.q_proj.weight", "ffn_gate_tid2eid.weight",
    ".position_embd", "sam.", ".rel_pos", ".patch_embd", ".patch_merger",
});
// clang-format on

inline bool is_converted(const tensor_shape& t) {
  if (!t.name.ends_with("weight") || rank(t) < 2 || t.dims[0] == 0)
    return false;
  for (const std::string_view part : kept_parts)
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

namespace detail {

/// Plans one tensor after the other, in the order in which the rules count them.
class planner {
public:
  planner(mix recipe, const model_shape& model, const std::vector<tensor_shape>& tensors, const plan_options& options)
      : recipe_(info(recipe)), model_(model), tensors_(tensors), options_(options) {
    tied_ = std::ranges::none_of(tensors, [](const tensor_shape& t) { return t.name == "output.weight"; });
    state_.recipe = recipe;
    state_.heads_per_group = model.kv_heads > 0 ? model.heads / model.kv_heads : 1;
    state_.experts = model.experts;
    state_.falcon = model.architecture == "falcon";
    state_.is_70b = model.architecture == "llama" && model.layers == 80 && model.heads != model.kv_heads;
    state_.importance = options.importance;
    for (const tensor_shape& t : tensors)
      values_ += role_of(t.name, tied_) == role::attention_v && is_converted(t);
  }

  result<plan> make() {
    plan all;
    all.matches.resize(options_.overrides.size());
    if (!types_are_known())
      return errc::bad_type;
    for (const std::size_t index : order()) {
      auto p = plan_tensor(index, all.matches);
      if (!p)
        return p.error();
      all.bytes += (p->bytes + 31) / 32 * 32; // a tensor has less than 2^60 bytes: no sum wraps before it is refused
      all.elements += p->elements;
      if (all.bytes > most_bytes)
        return error(errc::size_overflow, error::nowhere, p->shape.name);
      all.tensors.push_back(std::move(*p));
    }
    return all;
  }

private:
  static constexpr std::uint64_t most_bytes = std::uint64_t{1} << 60;

  bool types_are_known() const {
    const auto known = [](std::optional<tensor_type> type) { return !type || find_type(*type); };
    return known(options_.output) && known(options_.token_embedding) &&
           std::ranges::all_of(options_.overrides, [&](const override_rule& rule) { return known(rule.type); });
  }
  /// By layer, then by name: also the order of the output file.
  std::vector<std::size_t> order() const {
    std::vector<std::int64_t> layers;
    std::vector<std::size_t> order;
    for (const tensor_shape& t : tensors_) {
      order.push_back(order.size());
      layers.push_back(layer_of(t.name));
    }
    if (options_.keep_order)
      return order;
    // Not stable_sort: libstdc++ 12's warns under clang 19, and it allocates; the index decides among equals instead.
    std::ranges::sort(order, [&](std::size_t a, std::size_t b) {
      return layers[a] != layers[b]                 ? layers[a] < layers[b]
             : tensors_[a].name != tensors_[b].name ? tensors_[a].name < tensors_[b].name
                                                    : a < b;
    });
    return order;
  }

  result<planned_tensor> plan_tensor(std::size_t index, std::vector<std::size_t>& matches) {
    planned_tensor p;
    p.index = index;
    p.shape = tensors_[index];
    const tensor_shape& t = p.shape;
    const type_info* source = find_type(t.type);
    if (!source)
      return error(errc::bad_type, error::nowhere, t.name);
    p.elements = 1;
    for (const std::uint64_t d : t.dims) {
      if (d != 0 && p.elements > (std::uint64_t{1} << 56) / d) // and no type has more bytes a value than 8
        return error(errc::size_overflow, error::nowhere, t.name);
      p.elements *= d;
    }
    p.type = t.type;
    p.copied = options_.copy || !is_converted(t) || (options_.leave_output && t.name == "output.weight");
    if (!p.copied)
      if (const auto done = choose(p, *source, matches); !done)
        return done.error();
    const type_info* chosen = find_type(p.type);
    p.bytes = p.elements / chosen->block_size * chosen->block_bytes;
    return p;
  }

  /// The type of a weight that is converted, with its fallback, and whether that is allowed.
  result<void> choose(planned_tensor& p, const type_info& source, std::vector<std::size_t>& matches) {
    const tensor_shape& t = p.shape;
    const role which = role_of(t.name, tied_);
    p.type = wanted_type(t, which, matches);
    const auto divides = [&](tensor_type type) { return t.dims[0] % find_type(type)->block_size == 0; };
    if (!divides(p.type)) {
      if (!options_.allow_fallback)
        return error(errc::bad_row, error::nowhere, t.name);
      p.fallback_from = p.type;
      const auto other = fallback_type(p.type);
      p.type = other && divides(*other) ? *other : tensor_type::f16;
    }
    if (needs_importance(p.type, recipe_.id) && !(options_.importance && t.has_importance) && which != role::token_embedding &&
        which != role::output)
      return error(errc::importance_required, error::nowhere, t.name);
    p.copied = p.type == t.type;
    if (!p.copied && source.block_size > 1 && !options_.allow_requantize)
      return error(errc::unsupported_type, error::nowhere, t.name);
    return {};
  }
  tensor_type wanted_type(const tensor_shape& t, role which, std::vector<std::size_t>& matches) {
    const override_rule* first = nullptr;
    for (std::size_t i = 0; i < options_.overrides.size(); ++i)
      if (options_.overrides[i].matches(t.name)) {
        ++matches[i];
        first = first ? first : &options_.overrides[i];
      }
    if (t.name == "token_embd.weight" && options_.token_embedding)
      return *options_.token_embedding;
    if (which == role::output && options_.output)
      return *options_.output;
    if (first)
      return first->type;
    if (options_.pure)
      return recipe_.base;
    const std::int64_t layer = layer_of(t.name);
    state_.counter = counters_[static_cast<std::size_t>(which)]++;
    state_.index =
        which != role::attention_v && model_.experts > 1 && layer >= 0 ? static_cast<std::size_t>(layer) : state_.counter;
    state_.count = which == role::attention_v ? values_ : static_cast<std::size_t>(model_.layers);
    state_.expert_tensor = t.dims.size() > 2 && t.dims[2] > 1;
    if (which == role::output && t.dims[0] % find_type(recipe_.base)->block_size != 0)
      return tensor_type::q8_0;
    return choose_type(which, state_);
  }

  const mix_info& recipe_;
  const model_shape& model_;
  const std::vector<tensor_shape>& tensors_;
  const plan_options& options_;
  situation state_;
  bool tied_ = false;
  std::size_t values_ = 0, counters_[16] = {};
};

} // namespace detail

/// Decides the type of every tensor. Errors, with the tensor: importance_required; bad_row (no fallback allowed);
/// unsupported_type (already quantized, without permission to quantize again); bad_type; size_overflow.
inline result<plan> make_plan(mix recipe, const model_shape& model, const std::vector<tensor_shape>& tensors,
                              const plan_options& options = {}) {
  return detail::planner(recipe, model, tensors, options).make();
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
