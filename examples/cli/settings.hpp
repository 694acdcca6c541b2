// What the options of `quanta quantize` mean, checked.
#pragma once

#include <optional>
#include <set>

#include "common.hpp"
#include "quanta/recipe/overrides.hpp"

namespace tool {

struct settings {
  const quanta::recipe::mix_info* mix = nullptr; ///< null: COPY
  quanta::recipe::plan_options plan;
  std::vector<std::string> rules; ///< the texts of plan.overrides
  std::vector<quanta::gguf::entry> keys;
  std::set<std::int64_t> pruned_layers;
};

/// The settings; empty if an option makes no sense, after a message (exit code 1), or if a file of rules cannot be read (2).
std::optional<settings> parse_settings(const quantize_options& options, int& code);

} // namespace tool
