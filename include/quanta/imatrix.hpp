// Importance matrices: how much an error in each column of a weight counts, measured as the mean square of its activations.
#pragma once

#include <cmath>
#include <map>

#include "quanta/gguf/reader.hpp"

namespace quanta {

/// Importance by the name of the weight: a number a column, for each expert, expert after expert.
struct importance_matrix {
  std::map<std::string, std::vector<float>, std::less<>> entries;
  std::vector<std::string> datasets;  ///< what it was measured on
  std::optional<std::int64_t> chunks; ///< pieces of text that were read
};

namespace detail {

/// A mean of squares: finite and not negative, or it is no importance.
inline bool is_importance(float x) { return std::isfinite(x) && x >= 0; }

inline result<std::vector<float>> read_floats(const gguf::file& f, const gguf::tensor_info& t) {
  if (t.type != tensor_type::f32)
    return error(errc::type_mismatch, error::nowhere, t.name);
  std::vector<float> x(static_cast<std::size_t>(t.elements()));
  if (const auto done = f.read(t, 0, std::as_writable_bytes(std::span(x))); !done)
    return done.error();
  return x;
}

/// NAME.in_sum2 [columns, experts] over NAME.counts [1, experts]; an expert that was never used counts 1 everywhere.
inline result<std::vector<float>> gguf_entry(const gguf::file& f, const gguf::tensor_info& t, const std::string& name) {
  const gguf::tensor_info* counts_info = f.find_tensor(name + ".counts");
  if (!counts_info)
    return error(errc::missing_tensor, error::nowhere, name + ".counts");
  auto sums = read_floats(f, t);
  if (!sums)
    return sums.error();
  const auto counts = read_floats(f, *counts_info);
  if (!counts)
    return counts.error();
  if (counts->size() != t.rows())
    return error(errc::importance_mismatch, error::nowhere, name);
  const auto columns = static_cast<std::size_t>(t.columns());
  for (std::size_t i = 0; i < sums->size(); ++i) {
    const float count = (*counts)[i / columns];
    float& x = (*sums)[i];
    if (!is_importance(count) || !is_importance(x))
      return error(errc::bad_importance, error::nowhere, name);
    x = count > 0 ? x / count : 1.f;
    if (!is_importance(x))
      return error(errc::bad_importance, error::nowhere, name);
  }
  return sums;
}

inline result<importance_matrix> read_gguf_importance(const gguf::file& f) {
  importance_matrix all;
  constexpr std::string_view suffix = ".in_sum2";
  for (const gguf::tensor_info& t : f.tensors()) {
    if (!t.name.ends_with(suffix))
      continue;
    std::string name = t.name.substr(0, t.name.size() - suffix.size());
    auto values = gguf_entry(f, t, name);
    if (!values)
      return values.error();
    all.entries.emplace(std::move(name), std::move(*values));
  }
  if (all.entries.empty() && f.text("general.type") != "imatrix")
    return error(errc::bad_importance, error::nowhere, "no entries");
  if (const gguf::value* datasets = f.find("imatrix.datasets"))
    for (const std::string_view name : datasets->strings().value_or(std::vector<std::string_view>{}))
      all.datasets.emplace_back(name);
  all.chunks = f.integer("imatrix.chunk_count");
  return all;
}

/// The older form: a count of entries, then for each its name, its number of calls, and the means times that number; after
/// them, in newer ones, the number of chunks and the name of the data set. All numbers are 32-bit and little-endian.
class dat_reader {
public:
  explicit dat_reader(const gguf::source& from) : in_(from) {}

  result<importance_matrix> read() {
    importance_matrix all;
    const auto count = in_.number<std::int32_t>();
    // 13 bytes an entry at least: a name of one byte, two numbers and its length.
    if (!count || *count < 1 || static_cast<std::uint64_t>(*count) > in_.left() / 13)
      return error(errc::bad_magic, 0);
    for (std::int32_t i = 0; i < *count; ++i)
      if (auto done = read_entry(all); !done)
        return done.error();
    if (in_.left() == 0)
      return all;
    const auto chunks = in_.number<std::int32_t>();
    if (!chunks)
      return chunks.error();
    all.chunks = *chunks;
    if (in_.left() == 0)
      return all;
    auto dataset = text();
    if (!dataset)
      return dataset.error();
    all.datasets.push_back(std::move(*dataset));
    return all;
  }

private:
  result<std::string> text() {
    const std::uint64_t where = in_.offset();
    const auto length = in_.number<std::int32_t>();
    if (!length)
      return length.error();
    if (*length < 0 || static_cast<std::uint64_t>(*length) > in_.left())
      return error(errc::truncated, where);
    std::string out(static_cast<std::size_t>(*length), '\0');
    if (const auto done = in_.read(std::as_writable_bytes(std::span(out))); !done)
      return done.error();
    return out;
  }
  result<void> read_entry(importance_matrix& all) {
    const std::uint64_t where = in_.offset();
    auto name = text();
    if (!name)
      return all.entries.empty() ? error(errc::bad_magic, 0) : name.error();
    if (name->empty() || name->size() > gguf::longest_name || !is_utf8(*name))
      return all.entries.empty() ? error(errc::bad_magic, 0) : error(errc::bad_utf8, where, *name);
    const auto calls = in_.number<std::int32_t>(), size = in_.number<std::int32_t>();
    if (!calls || !size || *size < 0 || static_cast<std::uint64_t>(*size) > in_.left() / sizeof(float))
      return error(errc::truncated, where, *name);
    if (*calls < 0)
      return error(errc::bad_importance, where, *name);
    std::vector<float> values;
    values.reserve(static_cast<std::size_t>(*size));
    for (std::int32_t i = 0; i < *size; ++i) {
      const auto sum = in_.number<float>();
      if (!sum)
        return sum.error().about(*name);
      values.push_back(*calls > 0 ? *sum / static_cast<float>(*calls) : *sum);
      if (!is_importance(values.back()))
        return error(errc::bad_importance, in_.offset() - sizeof(float), *name);
    }
    if (!all.entries.emplace(*name, std::move(values)).second)
      return error(errc::name_duplicate, where, *name);
    return {};
  }

  gguf::cursor in_;
};

} // namespace detail

/// Reads an importance matrix, as GGUF or in the older .dat form. Errors: those of the GGUF reader; bad_magic (neither);
/// bad_importance (a value or a count is negative, NaN or infinite, or there is none in a file of another kind);
/// missing_tensor, importance_mismatch and type_mismatch (sums and counts do not belong together).
inline result<importance_matrix> read_importance(std::shared_ptr<const gguf::source> from) {
  QUANTA_EXPECTS(from != nullptr);
  char magic[4] = {};
  if (from->size() >= sizeof magic) {
    if (const auto done = from->read(0, std::as_writable_bytes(std::span(magic))); !done)
      return done.error();
    if (std::memcmp(magic, "GGUF", 4) != 0)
      return detail::dat_reader(*from).read();
  }
  const auto f = gguf::file::parse(std::move(from), gguf::reading::lax);
  if (!f)
    return f.error();
  return detail::read_gguf_importance(*f);
}

} // namespace quanta
