// Layers taken out of a model: the names of what stays, and the keys that have a value a layer.
#pragma once

#include <cstring>
#include <set>

#include "quanta/gguf/value.hpp"
#include "quanta/recipe/plan.hpp"

namespace quanta::convert {

/// A model of `layers` layers without some of them; those behind a gap move up.
class pruned_layers {
public:
  pruned_layers() = default;
  pruned_layers(std::int64_t layers, std::set<std::int64_t> removed) : layers_(layers), removed_(std::move(removed)) {}

  bool any() const { return !removed_.empty(); }
  /// How many stay.
  std::int64_t left() const { return layers_ - static_cast<std::int64_t>(removed_.size()); }

  /// The new name of a tensor; empty if it goes with its layer.
  std::optional<std::string> rename(const std::string& name) const {
    const std::int64_t layer = recipe::detail::layer_of(name);
    if (layer < 0)
      return name;
    if (removed_.contains(layer))
      return std::nullopt;
    const auto before = std::distance(removed_.begin(), removed_.lower_bound(layer));
    return "blk." + std::to_string(layer - before) + name.substr(name.find('.', 4));
  }
  /// An array with a value a layer, without the values of the removed ones; other values as they are.
  gguf::value without(const gguf::value& v) const {
    if (v.type != gguf::value_type::array || v.count != static_cast<std::uint64_t>(layers_) || !any())
      return v;
    gguf::value out{.type = v.type, .element = v.element, .count = 0, .bytes = {}};
    std::size_t at = 0;
    for (std::int64_t layer = 0; layer < layers_; ++layer) {
      std::size_t size = gguf::fixed_size(v.element);
      if (v.element == gguf::value_type::string) {
        packed<std::uint64_t> length;
        std::memcpy(&length, v.bytes.data() + at, sizeof length);
        size = sizeof length + static_cast<std::size_t>(length.get());
      }
      if (!removed_.contains(layer)) {
        const auto first = v.bytes.begin() + static_cast<std::ptrdiff_t>(at);
        out.bytes.insert(out.bytes.end(), first, first + static_cast<std::ptrdiff_t>(size));
        ++out.count;
      }
      at += size;
    }
    return out;
  }

private:
  std::int64_t layers_ = 0;
  std::set<std::int64_t> removed_;
};

} // namespace quanta::convert
