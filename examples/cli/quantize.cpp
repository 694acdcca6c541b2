// quanta quantize: plan everything, then stream tensor by tensor.
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>

#include "common.hpp"
#include "importance.hpp"
#include "quanta/error_report.hpp"
#include "quanta/gguf/leftovers.hpp"
#include "quanta/recipe/plan.hpp"
#include "quanta/threads.hpp"
#include "signals.hpp"

namespace tool {
namespace {

namespace gguf = quanta::gguf;
namespace recipe = quanta::recipe;

/// What one run knows.
struct job {
  const quantize_options& options;
  const gguf::file& input;
  const importance_matrix* importance;
  quanta::threads threads;
  std::map<quanta::tensor_type, quanta::error_report> errors;
  std::uint64_t weights_done = 0, weights_all = 0;
  std::chrono::steady_clock::time_point shown{}; ///< when the progress bar was drawn last; zero: not yet
};

void show_progress(job& j, std::string_view tensor, bool last = false) {
  const auto now = std::chrono::steady_clock::now();
  if (j.options.quiet || ::isatty(STDERR_FILENO) == 0 || (!last && now - j.shown < std::chrono::milliseconds(100)))
    return;
  j.shown = now;
  const double part = j.weights_all ? static_cast<double>(j.weights_done) / static_cast<double>(j.weights_all) : 1;
  const auto filled = static_cast<int>(part * 30);
  fmt::print(stderr, "\r[{:#<{}}{:.<{}}] {:3.0f} % {:<36}{}", "", filled, "", 30 - filled, part * 100,
             last ? "" : escaped(tensor).substr(0, 36), last ? "\n" : "");
  std::fflush(stderr);
}

/// Rows of one slab: decoded, checked, encoded, and compared with what decoding will give.
struct slab_row {
  std::vector<float> values, decoded;
  quanta::error_report report;
  std::size_t bad_column = ~std::size_t{0};
};

quanta::result<void> convert(job& j, const recipe::planned_tensor& plan, const gguf::tensor_info& source,
                             gguf::file_writer& out) {
  const auto columns = static_cast<std::size_t>(source.columns());
  const quanta::dispatch::kernels* to = quanta::dispatch::find(plan.type);
  const auto encode = !to ? nullptr : j.options.search == "thorough" ? to->quantize_thoroughly : to->quantize; // f32 is copied
  const std::size_t in_bytes = static_cast<std::size_t>(source.row_bytes());
  const std::size_t out_bytes = static_cast<std::size_t>(plan.bytes / source.rows());
  const std::size_t slab_rows =
      std::max<std::size_t>(1, std::min<std::size_t>(256, (std::size_t{8} << 20) / std::max(in_bytes, out_bytes)));
  const std::uint64_t rows_an_expert = source.dims.size() > 1 ? source.dims[1] : 1;
  const std::vector<float>* importance = nullptr;
  if (j.importance)
    if (const auto at = j.importance->find(source.name); at != j.importance->end()) {
      importance = &at->second;
      if (importance->size() != columns * (source.rows() / rows_an_expert))
        return quanta::error(quanta::errc::importance_mismatch, quanta::error::nowhere, source.name);
    }

  // Token embeddings are looked up, not multiplied: no activation makes one of their errors count more than another.
  std::vector<float> even;
  if (j.options.search == "thorough" && !importance && source.name == "token_embd.weight") {
    even.assign(columns * static_cast<std::size_t>(source.rows() / rows_an_expert), 1.f);
    importance = &even;
  }

  std::vector<std::byte> in(in_bytes * slab_rows), encoded(out_bytes * slab_rows);
  std::vector<slab_row> work(slab_rows);
  const std::size_t block = quanta::find_type(plan.type)->block_size == 1 ? columns : quanta::find_type(plan.type)->block_size;
  for (std::uint64_t first = 0; first < source.rows(); first += slab_rows) {
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(slab_rows, source.rows() - first));
    if (const auto done = j.input.read(source, first * in_bytes, std::span(in).first(count * in_bytes)); !done)
      return done.error();
    j.threads(count, [&](std::size_t begin, std::size_t end) {
      for (std::size_t r = begin; r < end; ++r) {
        slab_row& row = work[r];
        row.values.resize(columns);
        row.decoded.resize(columns);
        row.report = {};
        row.bad_column = ~std::size_t{0};
        decode_row(source.type, &in[r * in_bytes], columns, row.values.data());
        for (std::size_t c = 0; c < columns; ++c)
          if (!std::isfinite(row.values[c])) {
            if (!j.options.zero_nonfinite) {
              row.bad_column = c;
              break;
            }
            row.values[c] = 0.f;
          }
        if (row.bad_column != ~std::size_t{0})
          continue;
        std::byte* target = &encoded[r * out_bytes];
        if (plan.type == quanta::tensor_type::f32) {
          std::memcpy(target, row.values.data(), out_bytes);
        } else {
          const std::size_t expert = static_cast<std::size_t>((first + r) / rows_an_expert);
          encode(row.values.data(), columns, target, importance ? importance->data() + expert * columns : nullptr);
        }
        decode_row(plan.type, target, columns, row.decoded.data());
        for (std::size_t c = 0; c < columns; c += block)
          row.report.add_block(&row.values[c], &row.decoded[c], std::min(block, columns - c));
      }
    });
    for (std::size_t r = 0; r < count; ++r) { // in order, so that sums do not depend on the threads
      if (work[r].bad_column != ~std::size_t{0})
        return quanta::error(quanta::errc::nonfinite_value,
                             j.input.data_offset() + source.offset + (first + r) * in_bytes +
                                 work[r].bad_column * in_bytes / columns,
                             source.name);
      j.errors[plan.type] += work[r].report;
    }
    // A scale that overflowed the half range makes an infinite block: the weights were too large for the format.
    const quanta::type_info& type = *quanta::find_type(plan.type);
    for (std::size_t at = 0; at < count * out_bytes; at += type.block_bytes)
      if (!gguf::detail::finite_block(type, &encoded[at]))
        return quanta::error(quanta::errc::nonfinite_scale, quanta::error::nowhere, source.name);
    if (const auto done = out.write(std::span(encoded).first(count * out_bytes)); !done)
      return done.error();
    j.weights_done += count * columns;
    show_progress(j, source.name);
  }
  return {};
}

quanta::result<void> copy(job& j, const gguf::tensor_info& source, gguf::file_writer& out) {
  std::vector<std::byte> piece(static_cast<std::size_t>(std::min<std::uint64_t>(source.bytes, std::size_t{4} << 20)));
  for (std::uint64_t at = 0; at < source.bytes; at += piece.size()) {
    const auto part =
        std::span(piece).first(static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), source.bytes - at)));
    if (const auto done = j.input.read(source, at, part); !done)
      return done.error();
    if (const auto done = out.write(part); !done)
      return done.error();
  }
  j.weights_done += source.elements();
  return {};
}

void tell_leftovers(const std::string& output) {
  for (const gguf::leftover& l : gguf::remove_leftovers(output))
    if (l.removed)
      complain("{}: removed, left by a run that was killed", escaped(l.path));
    else
      complain("{}: seems to be left by a run that was killed; remove it if none is writing it", escaped(l.path));
}

recipe::model_shape shape_of(const gguf::file& f) {
  recipe::model_shape m;
  m.architecture = std::string(f.text("general.architecture").value_or("llama"));
  const auto key = [&](const char* name) { return f.integer(m.architecture + name); };
  m.layers = key(".block_count").value_or(0);
  m.heads = key(".attention.head_count").value_or(1);
  m.kv_heads = key(".attention.head_count_kv").value_or(m.heads);
  m.experts = key(".expert_count").value_or(0);
  return m;
}

/// The options that name types, or 1 with a message.
int parse_types(const quantize_options& options, recipe::plan_options& plan) {
  const auto parse = [](const std::string& name, std::optional<quanta::tensor_type>& type) {
    if (name.empty())
      return true;
    const quanta::type_info* info = quanta::find_format(name);
    if (info)
      type = info->type;
    else
      complain("'{}' is no format; 'quanta types' lists them", escaped(name));
    return info != nullptr;
  };
  if (!parse(options.output_type, plan.output) || !parse(options.token_embedding_type, plan.token_embedding))
    return gate_failed;
  for (const std::string& rule : options.overrides) {
    const std::size_t equals = rule.rfind('=');
    std::optional<quanta::tensor_type> type;
    if (equals == std::string::npos || equals == 0 || !parse(rule.substr(equals + 1), type) || !type) {
      complain("--override wants PATTERN=TYPE, not '{}'", escaped(rule));
      return gate_failed;
    }
    plan.overrides.push_back({rule.substr(0, equals), *type});
  }
  return success;
}

void print_plan(const recipe::plan& plan, const recipe::mix_info& mix) {
  std::map<quanta::tensor_type, std::pair<std::size_t, std::uint64_t>> types;
  for (const recipe::planned_tensor& t : plan.tensors) {
    ++types[t.type].first;
    types[t.type].second += t.bytes;
  }
  fmt::print("{}: {} tensors, {} of weights, {:.3f} bits a weight\n", mix.name, plan.tensors.size(), size(plan.bytes),
             plan.bits_per_weight());
  for (const auto& [type, total] : types)
    fmt::print("  {:<8} {:>5} tensors {:>12}\n", quanta::name(type), total.first, size(total.second));
  for (const recipe::planned_tensor& t : plan.tensors)
    if (t.fallback_from)
      fmt::print("  {}: {} instead of {}, whose blocks do not divide a row of {}\n", escaped(t.shape.name),
                 quanta::name(t.type), quanta::name(*t.fallback_from), t.shape.dims[0]);
}

void set_metadata(gguf::writer& out, const job& j, const recipe::mix_info& mix) {
  for (const gguf::entry& e : j.input.metadata())
    out.set(e.key, e.value);
  for (const char* key : {"split.no", "split.count", "split.tensors.count"})
    out.remove(key);
  out.set("general.alignment", gguf::value::of(std::uint32_t{32}));
  out.set("general.quantization_version", gguf::value::of(std::uint32_t{2}));
  out.set("general.file_type", gguf::value::of(mix.file_type));
  if (j.importance) {
    out.set("quantize.imatrix.file", gguf::value::of(std::string_view(j.options.importance)));
    out.set("quantize.imatrix.entries_count", gguf::value::of(static_cast<std::uint32_t>(j.importance->size())));
  }
}

void print_summary(job& j, const recipe::plan& plan, const recipe::mix_info& mix, double seconds, std::uint64_t file_bytes) {
  quanta::error_report total;
  for (const auto& [type, r] : j.errors)
    total += r;
  const double rate = static_cast<double>(total.count) / seconds;
  if (j.options.json) {
    nlohmann::ordered_json types = nlohmann::ordered_json::object();
    for (const auto& [type, r] : j.errors)
      types[std::string(quanta::name(type))] = {
          {"weights", r.count}, {"relative_rms", r.relative_rms()}, {"signal_to_noise", r.signal_to_noise()}};
    fmt::print("{}\n", nlohmann::ordered_json{{"type", mix.name},
                                              {"input_bytes", j.input.size()},
                                              {"output_bytes", file_bytes},
                                              {"weights", plan.elements},
                                              {"bits_per_weight", plan.bits_per_weight()},
                                              {"seconds", seconds},
                                              {"weights_per_second", rate},
                                              {"relative_rms", total.relative_rms()},
                                              {"types", types}}
                           .dump(2));
    return;
  }
  if (j.options.quiet)
    return;
  for (const auto& [type, r] : j.errors)
    fmt::print("  {:<8} relative rms error {:.5f}, signal to noise {:.2f} dB\n", quanta::name(type), r.relative_rms(),
               r.signal_to_noise());
  fmt::print("{} to {}, {:.3f} bits a weight, {:.2f} s, {:.0f} M weights/s, relative rms error {:.5f}\n", size(j.input.size()),
             size(file_bytes), plan.bits_per_weight(), seconds, rate / 1e6, total.relative_rms());
}

} // namespace

int quantize(const quantize_options& options) {
  const recipe::mix_info* mix = recipe::find_mix(options.type);
  if (!mix) {
    complain("'{}' is no mix; 'quanta types' lists them", escaped(options.type));
    return gate_failed;
  }
  recipe::plan_options rules;
  if (const int wrong = parse_types(options, rules))
    return wrong;
  rules.importance = !options.importance.empty();
  rules.pure = options.pure;
  rules.leave_output = options.leave_output;
  rules.allow_requantize = options.allow_requantize;
  rules.allow_fallback = !options.no_fallback;

  const auto source = gguf::file_source::open(options.input);
  if (!source)
    return report(options.input, source.error());
  const auto input = gguf::file::parse(*source);
  if (!input)
    return report(options.input, input.error());
  if ((*source)->is_same_file(options.output)) {
    complain("{}: exists: it is the input itself", escaped(options.output));
    return failure;
  }
  importance_matrix importance;
  if (rules.importance) {
    const auto bytes = gguf::file_source::open(options.importance);
    if (!bytes)
      return report(options.importance, bytes.error());
    if ((*bytes)->is_same_file(options.output)) {
      complain("{}: exists: it is the importance matrix", escaped(options.output));
      return failure;
    }
    const auto file = gguf::file::parse(*bytes);
    if (!file)
      return report(options.importance, file.error());
    auto read = read_importance(*file);
    if (!read)
      return report(options.importance, read.error());
    importance = std::move(*read);
  }

  std::vector<recipe::tensor_shape> shapes;
  for (const gguf::tensor_info& t : input->tensors())
    shapes.push_back({t.name, t.dims, t.type});
  const auto plan = recipe::make_plan(mix->id, shape_of(*input), shapes, rules);
  if (!plan)
    return report(options.input, plan.error());
  for (const recipe::planned_tensor& t : plan->tensors)
    if (!t.copied && (!has_kernels(t.type) || !has_kernels(t.shape.type)))
      return report(options.input, quanta::error(quanta::errc::unsupported_type, quanta::error::nowhere, t.shape.name));
  if (!options.quiet && !options.json)
    print_plan(*plan, *mix);
  if (options.dry_run)
    return success;

  const auto started = std::chrono::steady_clock::now();
  job j{options, *input, rules.importance ? &importance : nullptr, quanta::threads(options.threads), {}, 0, plan->elements, {}};
  gguf::writer contents;
  set_metadata(contents, j, *mix);
  for (const recipe::planned_tensor& t : plan->tensors)
    contents.add_tensor(t.shape.name, t.shape.dims, t.type);
  tell_leftovers(options.output);
  removed_on_signal temporaries;
  gguf::file_writer out(contents);
  const auto opened =
      temporaries.add([&] { return out.open(options.output, options.force); }, [&] { return out.temporary_name(); });
  if (!opened)
    return report(options.output, opened.error());
  for (const recipe::planned_tensor& t : plan->tensors) {
    const gguf::tensor_info& from = input->tensors()[t.index];
    const auto done = t.copied ? copy(j, from, out) : convert(j, t, from, out);
    if (!done && j.shown != std::chrono::steady_clock::time_point{})
      fmt::print(stderr, "\n"); // the error gets a line of its own below the bar
    if (!done)
      return report(done.error().code == quanta::errc::no_space ? options.output : options.input, done.error());
  }
  if (const auto done = out.finish(); !done)
    return report(options.output, done.error());
  show_progress(j, "", true);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  print_summary(j, *plan, *mix, seconds, contents.header().size() + contents.data_size());
  return success;
}

} // namespace tool
