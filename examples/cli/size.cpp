// quanta size, quanta types
#include <nlohmann/json.hpp>

#include "common.hpp"
#include "quanta/convert/rows.hpp"
#include "quanta/recipe/plan.hpp"

namespace tool {

int predicted_size(const size_options& options) {
  const quanta::recipe::mix_info* mix = quanta::recipe::find_mix(options.type);
  if (!mix) {
    complain("'{}' is no mix; 'quanta types' lists them", escaped(options.type));
    return gate_failed;
  }
  const bool large = options.model == "llama-3-70b";
  const auto plan =
      quanta::recipe::make_plan(mix->id, large ? quanta::recipe::llama_3_70b_shape() : quanta::recipe::llama_3_8b_shape(),
                                large ? quanta::recipe::llama_3_70b() : quanta::recipe::llama_3_8b());
  if (!plan)
    return report(options.model, plan.error());
  if (options.json)
    fmt::print("{}\n", nlohmann::ordered_json{{"model", options.model},
                                              {"type", mix->name},
                                              {"bytes", plan->bytes},
                                              {"weights", plan->elements},
                                              {"bits_per_weight", plan->bits_per_weight()}}
                           .dump());
  else
    fmt::print("{} as {}: {} of weights, {:.3f} bits a weight\n", options.model, mix->name, size(plan->bytes),
               plan->bits_per_weight());
  return success;
}

int list_types() {
  fmt::print("{:<10} {:>6} {:>8} {:>12}  {}\n", "format", "block", "bytes", "bits/weight", "kernels");
  for (const quanta::type_info& t : quanta::tensor_types())
    fmt::print("{:<10} {:>6} {:>8} {:>12.4f}  {}\n", t.name, t.block_size, t.block_bytes, t.bits_per_weight(),
               quanta::convert::has_kernels(t.type) ? "yes" : "-");
  fmt::print("\nmixes:");
  for (const auto& m : quanta::recipe::mixes)
    fmt::print(" {} ({})", m.name, m.file_type);
  fmt::print("\nlevel: {}\n", quanta::isa::name(quanta::dispatch::best_level()));
  return success;
}

} // namespace tool
