// Plans of arbitrary models: no trap, every type divides its rows, sizes add up, and the order in which tensors are given
// changes nothing; what cannot be planned has one of the documented errors.
#include <set>

#include "quanta/gguf/checked.hpp"
#include "quanta/recipe/overrides.hpp"
#include "support.hpp"

namespace {

using namespace quanta;
using fuzz::expect;

std::string any_name(fuzz::input& in) {
  constexpr std::string_view names[] = {"attn_v",     "attn_k",   "attn_q", "attn_qkv", "attn_kv_b",     "attn_output",
                                        "ffn_down",   "ffn_gate", "ffn_up", "ffn_norm", "ffn_down_exps", "ffn_gate_inp",
                                        "token_embd", "output",   "altup",  "sam.x",    "rope_freqs",    "position_embd"};
  std::string name;
  const std::uint8_t kind = in.byte();
  if (kind & 1)
    name = "blk." + std::to_string(kind & 2 ? in.byte() % 90 : in.take<std::uint32_t>()) + ".";
  name += kind & 4 ? in.text(12) : std::string(names[in.up_to(std::size(names) - 1)]);
  return kind & 8 ? name + ".bias" : name + ".weight";
}
tensor_type any_type(fuzz::input& in) { return tensor_types()[in.byte() % tensor_types().size()].type; }
std::optional<tensor_type> maybe_type(fuzz::input& in) { return in.flag() ? std::optional(any_type(in)) : std::nullopt; }

recipe::tensor_shape any_tensor(fuzz::input& in) {
  recipe::tensor_shape t{any_name(in), {}, any_type(in), in.byte() % 8 != 0};
  constexpr std::uint64_t usual[] = {0, 1, 3, 32, 64, 128, 256, 4096, 14336, 128256};
  for (std::size_t d = in.up_to(4); d > 0; --d)
    t.dims.push_back(in.up_to(15) == 0 ? in.take<std::uint64_t>() : usual[in.up_to(std::size(usual) - 1)]);
  return t;
}
recipe::plan_options any_options(fuzz::input& in) {
  const std::uint8_t flags = in.byte();
  recipe::plan_options o;
  o.copy = flags >= 240;
  o.importance = flags & 1;
  o.pure = flags & 2;
  o.leave_output = flags & 4;
  o.allow_requantize = flags & 8;
  o.allow_fallback = flags & 16;
  o.output = maybe_type(in);
  o.token_embedding = maybe_type(in);
  for (std::size_t n = in.up_to(3); n > 0; --n) {
    if (in.up_to(15) == 0) { // seldom: regular expressions are slow to make
      const std::string text = in.text(6) + "=" + (in.flag() ? std::string(name(any_type(in))) : in.text(4));
      if (auto rule = recipe::parse_override(text))
        o.overrides.push_back(std::move(*rule));
      else
        expect(rule.error().code == errc::bad_pattern || rule.error().code == errc::bad_type, text, "is no rule");
      continue;
    }
    const std::string part = in.flag() ? "attn" : in.text(4);
    const auto matches = [part](const std::string& weight) { return weight.find(part) != std::string::npos; };
    o.overrides.push_back({matches, any_type(in)});
  }
  return o;
}
recipe::model_shape any_model(fuzz::input& in) {
  const auto number = [&] { return in.flag() ? static_cast<std::int64_t>(in.byte() % 100) : in.take<std::int64_t>(); };
  constexpr std::string_view architectures[] = {"llama", "falcon", "qwen2moe", ""};
  return {std::string(architectures[in.up_to(3)]), number(), number(), number(), number()};
}

void check(const recipe::plan& plan, const std::vector<recipe::tensor_shape>& tensors) {
  using gguf::checked; // remembers an overflow
  checked bytes(0), elements(0);
  std::set<std::size_t> seen;
  for (const recipe::planned_tensor& t : plan.tensors) {
    const std::string_view subject = t.shape.name;
    expect(t.index < tensors.size() && seen.insert(t.index).second, subject, "is planned twice");
    expect(t.shape.name == tensors[t.index].name && t.shape.dims == tensors[t.index].dims, subject, "has another shape");
    const type_info* type = find_type(t.type);
    expect(type, subject, "has no type");
    expect(!t.copied || t.type == t.shape.type, subject, "is copied to another type");
    checked count(1);
    for (const std::uint64_t d : t.shape.dims)
      if (count.value() != 0u) // then any other dimension goes
        count = count * checked(d);
    expect(t.copied || t.shape.dims[0] % type->block_size == 0, subject, "has rows that are no whole blocks");
    expect(count.value() == t.elements, subject, "has another number of elements");
    expect(t.copied || t.bytes == (checked(t.elements / type->block_size) * checked(type->block_bytes)).value(), subject,
           "has another size");
    bytes = bytes + checked(t.bytes).rounded_up(32);
    elements = elements + count;
  }
  expect(plan.tensors.size() == tensors.size(), "plan", "leaves tensors out");
  expect(plan.bytes == bytes.value() && plan.elements == elements.value(), "plan", "does not add up");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0)
    return 0;
  fuzz::input in(data, size);
  const recipe::mix mix = recipe::mixes[in.byte() % recipe::mixes.size()].id;
  const recipe::model_shape model = any_model(in);
  const recipe::plan_options options = any_options(in);
  std::vector<recipe::tensor_shape> tensors;
  while (!in.used_up() && tensors.size() < 20)
    tensors.push_back(any_tensor(in));
  const auto plan = recipe::make_plan(mix, model, tensors, options);
  if (plan) {
    check(*plan, tensors);
  } else {
    const errc code = plan.error().code;
    const bool all_important = std::ranges::all_of(tensors, [](const auto& t) { return t.has_importance; });
    expect(code == errc::importance_required ? !options.importance || !all_important
           : code == errc::unsupported_type  ? !options.allow_requantize
                                             : code == errc::bad_row || code == errc::size_overflow,
           name(code), "is no error of a plan");
  }
  std::set<std::string_view> names;
  for (const recipe::tensor_shape& t : tensors)
    names.insert(t.name);
  if (names.size() < tensors.size())
    return 0;
  std::ranges::reverse(tensors);
  const auto reversed = recipe::make_plan(mix, model, tensors, options);
  expect(reversed.has_value() == plan.has_value(), "plan", "depends on the order of tensors");
  for (std::size_t i = 0; plan && i < tensors.size(); ++i)
    expect(plan->tensors[i].shape.name == reversed->tensors[i].shape.name && plan->tensors[i].type == reversed->tensors[i].type,
           plan->tensors[i].shape.name, "depends on the order of tensors");
  return 0;
}
