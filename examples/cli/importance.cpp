#include "importance.hpp"

namespace tool {
namespace {

bool contains_any(std::string_view name, const std::vector<std::string>& parts) {
  return std::ranges::any_of(parts, [&](const std::string& part) { return name.find(part) != std::string_view::npos; });
}

/// Importance that is zero in most columns says nothing: searches would make zeros of the weights in groups without any. Such
/// an expert counts as one that was never used, whose columns count alike. Returns how many there are.
std::size_t fill_empty_experts(std::vector<float>& values, std::uint64_t columns) {
  std::size_t found = 0;
  const auto n = static_cast<std::ptrdiff_t>(columns);
  for (auto first = values.begin(); first != values.end(); first += n)
    if (std::count(first, first + n, 0.f) > n / 2) {
      std::fill(first, first + n, 1.f);
      ++found;
    }
  return found;
}

/// "a, b, c and 5 more"
template <class Names>
std::string some_of(const Names& names) {
  constexpr std::size_t most = 5;
  std::vector<std::string> shown;
  for (const std::string& name : names)
    if (shown.size() < most)
      shown.push_back(escaped(name));
  std::string text = fmt::format("{}", fmt::join(shown, ", "));
  if (names.size() > most)
    text += fmt::format(" and {} more", names.size() - most);
  return text;
}

} // namespace

int importance::read(const quantize_options& options) {
  if (options.importance.empty())
    return success;
  const auto from = quanta::gguf::file_source::open(options.importance);
  if (!from)
    return report(options.importance, from.error());
  auto all = quanta::read_importance(*from);
  if (!all)
    return report_unreadable(options.importance, all.error());
  matrix_ = std::move(*all);
  std::erase_if(matrix_.entries, [&](const auto& e) {
    return contains_any(e.first, options.exclude_weights) ||
           (!options.include_weights.empty() && !contains_any(e.first, options.include_weights));
  });
  file_ = *from;
  return success;
}

quanta::result<const float*> importance::find(const std::string& original, const quanta::gguf::tensor_info& tensor) {
  const auto at = matrix_.entries.find(original);
  if (at == matrix_.entries.end())
    return nullptr;
  std::vector<float>& values = at->second;
  const std::uint64_t rows = tensor.dims.size() > 1 ? tensor.dims[1] : 1;
  if (rows == 0 || values.size() != tensor.elements() / rows) {
    if (original != "token_embd.weight")
      return quanta::error(quanta::errc::importance_mismatch, quanta::error::nowhere, original);
    left_out_.insert(original);
    return nullptr;
  }
  const std::size_t empty = fill_empty_experts(values, tensor.columns());
  if (empty * tensor.columns() == values.size()) {
    zero_.insert(original);
    return nullptr;
  }
  if (empty > 0)
    zero_.insert(fmt::format("{} ({} of its experts)", original, empty));
  used_.insert(original);
  return values.data();
}

void importance::say_what_was_used(const std::vector<std::string>& without) const {
  if (!given())
    return;
  if (used_.empty())
    complain("none of the {} entries of the importance matrix is used", matrix_.entries.size());
  if (!left_out_.empty())
    complain("importance of {} is left out: its size is not that of the weight", some_of(left_out_));
  if (!zero_.empty())
    complain("importance of {} is zero in most columns, and counts as none", some_of(zero_));
  if (!without.empty())
    complain("{} of {} weights that are quantized go without importance: {}", without.size(), without.size() + used_.size(),
             some_of(without));
}

} // namespace tool
