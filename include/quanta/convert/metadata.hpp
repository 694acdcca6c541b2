// The keys of a converted model: those of the original, and what was done to it.
#pragma once

#include "quanta/convert/layers.hpp"
#include "quanta/gguf/gguf.hpp"
#include "quanta/imatrix.hpp"

namespace quanta::convert {

/// What a converted file says of itself.
struct metadata_changes {
  std::optional<std::uint32_t> file_type;        ///< general.file_type; as it was if empty
  std::vector<gguf::entry> overrides;            ///< of the user's
  const importance_matrix* importance = nullptr; ///< what was used of one
  std::string importance_file;                   ///< its path
  pruned_layers layers;
};

/// An integer; of an array, its first element.
inline std::optional<std::int64_t> first_integer(const gguf::value& v) {
  const std::size_t size = gguf::fixed_size(v.element);
  if (v.type != gguf::value_type::array || v.count == 0 || size == 0)
    return v.integer();
  return gguf::value{.type = v.element, .bytes = {v.bytes.begin(), v.bytes.begin() + static_cast<std::ptrdiff_t>(size)}}
      .integer();
}

/// Shape of a model for the rules of a mix, as the overrides have it. Where a key has a value a layer, that of the first
/// counts.
inline recipe::model_shape shape_of(const gguf::file& f, const std::vector<gguf::entry>& overrides = {}) {
  const auto find = [&](const std::string& key) -> const gguf::value* {
    const auto last = std::find_if(overrides.rbegin(), overrides.rend(), [&](const gguf::entry& e) { return e.key == key; });
    return last == overrides.rend() ? f.find(key) : &last->value;
  };
  recipe::model_shape m;
  if (const gguf::value* v = find("general.architecture"))
    m.architecture = v->text().value_or("llama");
  const auto key = [&](const char* name) -> std::optional<std::int64_t> {
    const gguf::value* v = find(m.architecture + name);
    return v ? first_integer(*v) : std::nullopt;
  };
  m.layers = key(".block_count").value_or(0);
  m.heads = key(".attention.head_count").value_or(1);
  m.kv_heads = key(".attention.head_count_kv").value_or(m.heads);
  m.experts = key(".expert_count").value_or(0);
  return m;
}

/// Sets the keys of `out` from those of the original's first part, in the order of the reference's tool: the original's, then
/// those that are set anew.
inline void set_metadata(gguf::writer& out, const gguf::file& original, const metadata_changes& changes) {
  for (const gguf::entry& e : original.metadata()) {
    const bool split = e.key == "split.no" || e.key == "split.count" || e.key == "split.tensors.count";
    // Alignments under 8 are not what every loader takes.
    if (!split && !(e.key == "general.alignment" && original.alignment() < 8))
      out.set(e.key, changes.layers.without(e.value));
  }
  const auto set_last = [&](const std::string& key, gguf::value v) {
    out.remove(key);
    out.set(key, std::move(v));
  };
  set_last("general.quantization_version", gguf::value::of(std::uint32_t{2}));
  if (changes.file_type)
    set_last("general.file_type", gguf::value::of(*changes.file_type));
  else if (const gguf::value* v = original.find("general.file_type"))
    set_last("general.file_type", *v);
  for (const gguf::entry& e : changes.overrides)
    set_last(e.key, e.value);
  if (changes.importance && !changes.importance->entries.empty()) {
    const importance_matrix& m = *changes.importance;
    set_last("quantize.imatrix.file", gguf::value::of(std::string_view(changes.importance_file)));
    if (!m.datasets.empty())
      set_last("quantize.imatrix.dataset", gguf::value::of(std::string_view(m.datasets.front())));
    set_last("quantize.imatrix.entries_count", gguf::value::of(static_cast<std::uint32_t>(m.entries.size())));
    if (m.chunks.value_or(0) > 0)
      set_last("quantize.imatrix.chunks_count", gguf::value::of(static_cast<std::uint32_t>(*m.chunks)));
  }
  if (changes.layers.any())
    set_last(shape_of(original, changes.overrides).architecture + ".block_count",
             gguf::value::of(static_cast<std::uint32_t>(changes.layers.left())));
}

/// Sets the keys of part `number` of `count`.
inline void set_split(gguf::writer& out, std::size_t number, std::size_t count, std::size_t tensors) {
  out.set("split.no", gguf::value::of(static_cast<std::uint16_t>(number)));
  out.set("split.count", gguf::value::of(static_cast<std::uint16_t>(count)));
  out.set("split.tensors.count", gguf::value::of(static_cast<std::int32_t>(tensors)));
}

} // namespace quanta::convert
