// quanta compare
#include <nlohmann/json.hpp>

#include "common.hpp"
#include "quanta/error_report.hpp"

namespace tool {
namespace {

namespace gguf = quanta::gguf;

/// Both tensors decoded, row by row. Blocks are stretches of 256 values, or whole rows where those are shorter.
quanta::result<quanta::error_report> compare_tensor(const gguf::file& a, const gguf::tensor_info& x, const gguf::file& b,
                                                    const gguf::tensor_info& y) {
  for (const gguf::tensor_info* t : {&x, &y})
    if (!has_kernels(t->type))
      return quanta::error(quanta::errc::unsupported_type, quanta::error::nowhere, t->name);
  const auto columns = static_cast<std::size_t>(x.columns());
  std::vector<std::byte> row_x(static_cast<std::size_t>(x.row_bytes())), row_y(static_cast<std::size_t>(y.row_bytes()));
  std::vector<float> values_x(columns), values_y(columns);
  quanta::error_report report;
  for (std::uint64_t r = 0; r < x.rows(); ++r) {
    if (const auto done = a.read(x, r * row_x.size(), row_x); !done)
      return done.error();
    if (const auto done = b.read(y, r * row_y.size(), row_y); !done)
      return done.error();
    decode_row(x.type, row_x.data(), columns, values_x.data());
    decode_row(y.type, row_y.data(), columns, values_y.data());
    for (std::size_t first = 0; first < columns; first += 256)
      report.add_block(values_x.data() + first, values_y.data() + first, std::min<std::size_t>(256, columns - first));
  }
  return report;
}

} // namespace

int compare(const compare_options& options) {
  const auto a = gguf::file::open(options.original);
  if (!a)
    return report(options.original, a.error());
  const auto b = gguf::file::open(options.other);
  if (!b)
    return report(options.other, b.error());
  for (const gguf::tensor_info& y : b->tensors())
    if (!a->find_tensor(y.name))
      return report(options.original, quanta::error(quanta::errc::missing_tensor, quanta::error::nowhere, y.name));

  quanta::error_report total;
  double worst = 0;
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  if (!options.json)
    fmt::print("{:<36} {:<8} {:<8} {:>12} {:>9} {:>11} {:>12}\n", "tensor", "a", "b", "relative rms", "s/n dB", "cosine",
               "worst block");
  const auto line = [&](std::string_view name, std::string_view x, std::string_view y, const quanta::error_report& r) {
    fmt::print("{:<36} {:<8} {:<8} {:>12.6f} {:>9.2f} {:>11.8f} {:>12}\n", name, x, y, r.relative_rms(), r.signal_to_noise(),
               r.cosine(), r.squares_error > 0 ? std::to_string(r.worst_block) : "-");
  };
  for (const gguf::tensor_info& x : a->tensors()) {
    const gguf::tensor_info* y = b->find_tensor(x.name);
    if (!y)
      return report(options.other, quanta::error(quanta::errc::missing_tensor, quanta::error::nowhere, x.name));
    if (y->dims != x.dims)
      return report(options.other, quanta::error(quanta::errc::shape_mismatch, quanta::error::nowhere, x.name));
    const auto r = compare_tensor(*a, x, *b, *y);
    if (!r)
      return report(options.other, r.error());
    total += *r;
    worst = std::max(worst, r->relative_rms());
    if (options.json)
      list.push_back({{"name", escaped(x.name)},
                      {"a", quanta::name(x.type)},
                      {"b", quanta::name(y->type)},
                      {"relative_rms", r->relative_rms()},
                      {"rms", r->rms()},
                      {"signal_to_noise",
                       r->squares_error > 0 ? nlohmann::ordered_json(r->signal_to_noise()) : nlohmann::ordered_json(nullptr)},
                      {"cosine", r->cosine()},
                      {"largest_error", r->largest_error},
                      {"worst_block", r->worst_block}});
    else
      line(escaped(x.name), quanta::name(x.type), quanta::name(y->type), *r);
  }
  if (options.json)
    fmt::print(
        "{}\n",
        nlohmann::ordered_json{{"tensors", list}, {"relative_rms", total.relative_rms()}, {"worst_relative_rms", worst}}.dump(
            2));
  else
    line("all", "", "", total);
  if (options.max_rms >= 0 && !(worst <= options.max_rms)) {
    complain("{}: a tensor's relative rms {:.6f} is over {}", escaped(options.other), worst, options.max_rms);
    return gate_failed;
  }
  return success;
}

} // namespace tool
