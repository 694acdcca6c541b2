// quanta compare
#include "common.hpp"
#include "quanta/convert/rows.hpp"
#include "quanta/error_report.hpp"

namespace tool {
namespace {

namespace convert = quanta::convert;
namespace gguf = quanta::gguf;

/// Both tensors decoded, piece by piece. Blocks are stretches of 256 values, or whole rows where those are shorter.
quanta::result<quanta::error_report> compare_tensor(const gguf::model& a, const gguf::model::tensor& x, const gguf::model& b,
                                                    const gguf::model::tensor& y) {
  constexpr std::uint64_t longest_piece = std::uint64_t{1} << 18;
  const quanta::type_info &type_x = *quanta::find_type(x.info->type), &type_y = *quanta::find_type(y.info->type);
  const convert::row_pieces pieces(x.info->columns(), x.info->rows(), longest_piece);
  const std::size_t largest = pieces.largest();
  std::vector<std::byte> bytes_x, bytes_y;
  std::vector<float> values_x(largest), values_y(largest);
  quanta::error_report report;
  for (std::uint64_t i = 0; i < pieces.count(); ++i) {
    const std::size_t n = pieces[i].values;
    bytes_x.resize(n / type_x.block_size * type_x.block_bytes);
    bytes_y.resize(n / type_y.block_size * type_y.block_bytes);
    if (const auto done = a.read(x, pieces.offset(i, type_x), bytes_x); !done)
      return done.error();
    if (const auto done = b.read(y, pieces.offset(i, type_y), bytes_y); !done)
      return done.error();
    convert::decode(type_x.type, bytes_x.data(), n, values_x.data());
    convert::decode(type_y.type, bytes_y.data(), n, values_y.data());
    for (std::size_t first = 0; first < n; first += 256)
      report.add_block(values_x.data() + first, values_y.data() + first, std::min<std::size_t>(256, n - first));
  }
  return report;
}

/// Tables of integers and doubles are not weights: any difference counts as infinite.
quanta::result<quanta::error_report> compare_bytes(const gguf::model& a, const gguf::model::tensor& x, const gguf::model& b,
                                                   const gguf::model::tensor& y) {
  constexpr std::uint64_t most = std::uint64_t{1} << 20;
  std::vector<std::byte> bytes_x, bytes_y;
  quanta::error_report report;
  for (std::uint64_t at = 0; at < x.info->bytes; at += most) {
    bytes_x.resize(static_cast<std::size_t>(std::min(most, x.info->bytes - at)));
    bytes_y.resize(bytes_x.size());
    if (const auto done = a.read(x, at, bytes_x); !done)
      return done.error();
    if (const auto done = b.read(y, at, bytes_y); !done)
      return done.error();
    const float original = 0, other = bytes_x == bytes_y ? 0 : std::numeric_limits<float>::infinity();
    report.add_block(&original, &other, 1);
  }
  report.count = static_cast<std::size_t>(x.info->elements());
  return report;
}

/// Shapes without the ones at their ends, which some tools write and others do not.
bool same_shape(std::vector<std::uint64_t> x, std::vector<std::uint64_t> y) {
  for (auto* dims : {&x, &y})
    while (!dims->empty() && dims->back() == 1)
      dims->pop_back();
  return x == y;
}

struct comparison {
  const gguf::model::tensor *x, *y;
  quanta::error_report errors;
};
quanta::result<comparison> compare_pair(const gguf::model& a, const gguf::model::tensor& x, const gguf::model& b) {
  const gguf::model::tensor* y = b.find_tensor(x.info->name);
  if (!y)
    return quanta::error(quanta::errc::missing_tensor, quanta::error::nowhere, x.info->name);
  if (!same_shape(x.info->dims, y->info->dims))
    return quanta::error(quanta::errc::shape_mismatch, quanta::error::nowhere, x.info->name);
  const bool weights = convert::has_kernels(x.info->type) && convert::has_kernels(y->info->type);
  if (!weights && x.info->type != y->info->type)
    return quanta::error(quanta::errc::unsupported_type, quanta::error::nowhere, x.info->name);
  const auto errors = weights ? compare_tensor(a, x, b, *y) : compare_bytes(a, x, b, *y);
  if (!errors)
    return errors.error();
  return comparison{&x, y, *errors};
}

void print_line(std::string_view name, std::string_view x, std::string_view y, const quanta::error_report& r) {
  fmt::print("{:<36} {:<8} {:<8} {:>12.6f} {:>9.2f} {:>11.8f} {:>12}\n", name, x, y, r.relative_rms(), r.signal_to_noise(),
             r.cosine(), r.squares_error > 0 ? std::to_string(r.worst_block) : "-");
}
void add_json(json_items& list, const comparison& c) {
  const quanta::error_report& r = c.errors;
  const std::string noise = r.relative_rms() == 0 ? "null" : json_number(r.signal_to_noise());
  list.add("{{\"name\": {}, \"a\": \"{}\", \"b\": \"{}\", \"relative_rms\": {}, \"rms\": {}, \"signal_to_noise\": {}, "
           "\"cosine\": {}, \"largest_error\": {}, \"worst_block\": {}}}",
           json_text(c.x->info->name), quanta::name(c.x->info->type), quanta::name(c.y->info->type),
           json_number(r.relative_rms()), json_number(r.rms()), noise, json_number(r.cosine()), json_number(r.largest_error),
           r.worst_block);
}

} // namespace

int compare(const compare_options& options) {
  const auto a = gguf::model::open(options.original, gguf::reading::lax);
  if (!a)
    return report_unreadable(options.original, a.error());
  const auto b = gguf::model::open(options.other, gguf::reading::lax);
  if (!b)
    return report_unreadable(options.other, b.error());
  for (const gguf::model::tensor& y : b->tensors())
    if (!a->find_tensor(y.info->name))
      return report(options.original, quanta::error(quanta::errc::missing_tensor, quanta::error::nowhere, y.info->name));

  quanta::error_report total;
  double worst = 0;
  json_items list;
  if (options.json)
    fmt::print("{{\n  \"tensors\": [");
  else
    fmt::print("{:<36} {:<8} {:<8} {:>12} {:>9} {:>11} {:>12}\n", "tensor", "a", "b", "relative rms", "s/n dB", "cosine",
               "worst block");
  for (const gguf::model::tensor& x : a->tensors()) {
    const auto pair = compare_pair(*a, x, *b);
    if (!pair)
      return report(options.other, pair.error());
    const quanta::error_report& r = pair->errors;
    total += r;
    if (!(r.relative_rms() <= worst))
      worst = r.relative_rms();
    if (options.json)
      add_json(list, *pair);
    else
      print_line(escaped(x.info->name), quanta::name(x.info->type), quanta::name(pair->y->info->type), r);
  }
  if (options.json)
    fmt::print("\n  ],\n  \"relative_rms\": {},\n  \"worst_relative_rms\": {}\n}}\n", json_number(total.relative_rms()),
               json_number(worst));
  else
    print_line("all", "", "", total);
  if (options.max_rms >= 0 && !(worst <= options.max_rms)) {
    complain("{}: a tensor's relative rms {:.6f} is over {}", escaped(options.other), worst, options.max_rms);
    return gate_failed;
  }
  return success;
}

} // namespace tool
