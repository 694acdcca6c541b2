// Importance matrices: the mean square of each column's activations, by tensor name (and expert).
#pragma once

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "quanta/gguf/gguf.hpp"

namespace tool {

/// Values of a tensor: `columns` for each expert, expert after expert.
using importance_matrix = std::map<std::string, std::vector<float>, std::less<>>;

namespace detail {
inline quanta::result<std::vector<float>> read_floats(const quanta::gguf::file& f, const quanta::gguf::tensor_info& t) {
  if (t.type != quanta::tensor_type::f32)
    return quanta::error(quanta::errc::type_mismatch, quanta::error::nowhere, t.name);
  std::vector<float> x(static_cast<std::size_t>(t.elements()));
  if (const auto done = f.read(t, 0, std::as_writable_bytes(std::span(x))); !done)
    return done.error();
  return x;
}
} // namespace detail

/// Reads the GGUF form: NAME.in_sum2 [columns, experts] over NAME.counts [1, experts]; an expert that was never used counts 1
/// everywhere. Errors: those of the reader, missing_tensor, importance_mismatch, nonfinite_value.
inline quanta::result<importance_matrix> read_importance(const quanta::gguf::file& f) {
  importance_matrix all;
  constexpr std::string_view suffix = ".in_sum2";
  for (const quanta::gguf::tensor_info& t : f.tensors()) {
    if (!t.name.ends_with(suffix))
      continue;
    const std::string name = t.name.substr(0, t.name.size() - suffix.size());
    const quanta::gguf::tensor_info* counts_info = f.find_tensor(name + ".counts");
    if (!counts_info)
      return quanta::error(quanta::errc::missing_tensor, quanta::error::nowhere, name + ".counts");
    auto sums = detail::read_floats(f, t);
    if (!sums)
      return sums.error();
    const auto counts = detail::read_floats(f, *counts_info);
    if (!counts)
      return counts.error();
    if (counts->size() != t.rows())
      return quanta::error(quanta::errc::importance_mismatch, quanta::error::nowhere, name);
    const auto columns = static_cast<std::size_t>(t.columns());
    for (std::size_t i = 0; i < sums->size(); ++i) {
      const float count = (*counts)[i / columns];
      float& x = (*sums)[i];
      x = count > 0 ? x / count : 1.f;
      if (!std::isfinite(x) || x < 0)
        return quanta::error(quanta::errc::nonfinite_value, quanta::error::nowhere, name);
    }
    all.emplace(name, std::move(*sums));
  }
  return all;
}

} // namespace tool
