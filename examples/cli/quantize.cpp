// quanta quantize: plan everything, then stream tensor by tensor.
#include <unistd.h>

#include <chrono>
#include <deque>
#include <map>

#include "importance.hpp"
#include "quanta/convert/metadata.hpp"
#include "quanta/convert/tensor.hpp"
#include "quanta/gguf/leftovers.hpp"
#include "quanta/threads.hpp"
#include "settings.hpp"
#include "signals.hpp"

namespace tool {
namespace {

namespace convert = quanta::convert;
namespace gguf = quanta::gguf;
namespace recipe = quanta::recipe;
using clock = std::chrono::steady_clock;

/// What one run knows.
struct job {
  const quantize_options& options;
  const settings& wanted;
  const gguf::model& input;
  importance& columns;
  convert::pruned_layers layers;
  std::vector<const gguf::model::tensor*> sources; ///< of the shapes that the plan was made of
  std::vector<const float*> source_importance;
  recipe::plan plan;
  std::map<quanta::tensor_type, quanta::error_report> errors;
  std::uint64_t values_done = 0;
  std::string_view current{}; ///< the tensor that is worked on
  clock::time_point shown{};  ///< when the progress bar was drawn last; zero: not yet
  std::uint64_t output_bytes = 0;

  std::string_view mix_name() const { return wanted.mix ? wanted.mix->name : "COPY"; }
};

void show_progress(job& j, bool last = false) {
  static const bool on_terminal = ::isatty(STDERR_FILENO) != 0;
  if (j.options.quiet || !on_terminal)
    return;
  const auto now = clock::now();
  if (!last && now - j.shown < std::chrono::milliseconds(100))
    return;
  j.shown = now;
  const double part = j.plan.elements ? static_cast<double>(j.values_done) / static_cast<double>(j.plan.elements) : 1;
  const auto filled = static_cast<int>(part * 30);
  print_stderr(fmt::format("\r[{:#<{}}{:.<{}}] {:3.0f} % {:<36}{}", "", filled, "", 30 - filled, part * 100,
                           last ? "" : escaped(quanta::utf8_prefix(j.current, 36)), last ? "\n" : ""));
}

void tell_leftovers(const std::string& output) {
  for (const gguf::leftover& l : gguf::remove_leftovers(output))
    if (l.removed)
      complain("{}: removed, left by a run that was killed", escaped(l.path));
    else
      complain("{}: seems to be left by a run that was killed; remove it if none is writing it", escaped(l.path));
}

// ---- the plan --------------------------------------------------------------------------------------------------------

int find_layers(job& j) {
  const std::int64_t layers = convert::shape_of(j.input.head(), j.wanted.keys).layers;
  for (const std::int64_t layer : j.wanted.pruned_layers)
    if (layer >= layers || layers == static_cast<std::int64_t>(j.wanted.pruned_layers.size())) {
      complain("--prune-layers: the model has layers 0 to {}, and one must stay", layers - 1);
      return gate_failed;
    }
  j.layers = {layers, j.wanted.pruned_layers};
  return success;
}

/// What the rules see: the tensors that stay, under their new names, and whether importance is at hand for them.
quanta::result<std::vector<recipe::tensor_shape>> list_shapes(job& j) {
  std::vector<recipe::tensor_shape> shapes;
  for (const gguf::model::tensor& t : j.input.tensors()) {
    const auto name = j.layers.any() ? j.layers.rename(t.info->name) : t.info->name;
    if (!name)
      continue;
    const auto values = j.columns.find(t.info->name, *t.info);
    if (!values)
      return values.error();
    shapes.push_back({*name, t.info->dims, t.info->type, *values != nullptr});
    j.sources.push_back(&t);
    j.source_importance.push_back(*values);
  }
  return shapes;
}

/// Rules that match nothing are typing errors, types without kernels cannot be written, and f16 does not hold every weight.
int check_plan(job& j, convert::tensor_converter& converter) {
  for (std::size_t i = 0; i < j.plan.matches.size(); ++i)
    if (j.plan.matches[i] == 0) {
      complain("--override {}: no weight that is quantized has such a name", escaped(j.wanted.rules[i]));
      return gate_failed;
    }
  for (recipe::planned_tensor& t : j.plan.tensors) {
    const quanta::error no_kernels(quanta::errc::unsupported_type, quanta::error::nowhere, t.shape.name);
    if (!t.copied && (!convert::has_kernels(t.type) || !convert::has_kernels(t.shape.type)))
      return report(j.options.input, no_kernels);
    if (!t.copied && t.fallback_from && t.type == quanta::tensor_type::f16) {
      const auto fits = converter.fits_f16(*j.sources[t.index]);
      if (!fits)
        return report(j.options.input, fits.error());
      if (!*fits) {
        t.type = quanta::tensor_type::bf16;
        t.copied = t.shape.type == t.type;
      }
    }
    if (t.shape.name.size() > gguf::portable_name_length)
      complain("{}: the name has {} bytes; many loaders refuse more than {}", escaped(t.shape.name), t.shape.name.size(),
               gguf::portable_name_length);
  }
  return success;
}

void print_plan(const job& j) {
  std::map<quanta::tensor_type, std::pair<std::size_t, std::uint64_t>> types;
  for (const recipe::planned_tensor& t : j.plan.tensors) {
    ++types[t.type].first;
    types[t.type].second += t.bytes;
  }
  fmt::print("{}: {} tensors, {} of weights, {:.3f} bits a weight\n", j.mix_name(), j.plan.tensors.size(), size(j.plan.bytes),
             j.plan.bits_per_weight());
  for (const auto& [type, total] : types)
    fmt::print("  {:<8} {:>5} tensors {:>12}\n", quanta::name(type), total.first, size(total.second));
  for (const recipe::planned_tensor& t : j.plan.tensors)
    if (t.fallback_from)
      fmt::print("  {}: {} instead of {}, whose blocks do not divide a row of {}\n", escaped(t.shape.name),
                 quanta::name(t.type), quanta::name(*t.fallback_from), t.shape.dims[0]);
  if (j.columns.given())
    fmt::print("  importance: {} of {} entries used\n", j.columns.used(), j.columns.matrix().entries.size());
}

int report_plan(const job& j, const quanta::error& why) {
  std::string_view hint;
  if (why.code == quanta::errc::unsupported_type)
    hint = "it is quantized already: --allow-requantize converts it all the same, and loses more";
  if (why.code == quanta::errc::importance_required)
    hint = j.columns.given() ? "the importance matrix says nothing of it, and its type needs that"
                             : "its type needs an importance matrix (--imatrix)";
  if (why.code == quanta::errc::bad_row)
    hint = "its rows are no whole blocks, and --no-fallback allows no other type";
  return report(j.options.input, why, hint);
}

int make_plan(job& j, convert::tensor_converter& converter) {
  if (const int code = find_layers(j))
    return code;
  const auto shapes = list_shapes(j);
  if (!shapes)
    return report(j.options.importance, shapes.error());
  recipe::plan_options rules = j.wanted.plan;
  rules.importance = !j.columns.matrix().entries.empty();
  auto plan = recipe::make_plan(j.wanted.mix ? j.wanted.mix->id : recipe::mix::f32,
                                convert::shape_of(j.input.head(), j.wanted.keys), *shapes, rules);
  if (!plan)
    return report_plan(j, plan.error());
  j.plan = std::move(*plan);
  if (const int code = check_plan(j, converter))
    return code;
  if (!j.options.quiet && !j.options.json)
    print_plan(j);
  std::vector<std::string> without; // embeddings are looked up, not multiplied: no matrix has anything of them
  for (const recipe::planned_tensor& t : j.plan.tensors)
    if (!t.copied && quanta::find_type(t.type)->block_size > 1 && !j.source_importance[t.index] &&
        t.shape.name != "token_embd.weight")
      without.push_back(t.shape.name);
  j.columns.say_what_was_used(without);
  return success;
}

// ---- the output ------------------------------------------------------------------------------------------------------

/// A file that is written: all tensors, or those of one part.
struct output_file {
  std::string path;
  gguf::writer contents;
  std::optional<gguf::file_writer> out{};
  std::vector<const recipe::planned_tensor*> tensors{};
};

/// A shape as the reference's tool writes it: without the ones at its end, and with one dimension at least.
std::vector<std::uint64_t> significant(std::vector<std::uint64_t> dims) {
  while (dims.size() > 1 && dims.back() == 1)
    dims.pop_back();
  return dims.empty() ? std::vector<std::uint64_t>{1} : dims;
}

/// Keys, tensors and names of the files. A deque, since writers point at contents.
std::deque<output_file> list_outputs(const job& j) {
  const std::size_t count = j.options.keep_split ? j.input.parts().size() : 1;
  std::string prefix = j.options.output;
  while (j.options.keep_split && prefix.ends_with(".gguf"))
    prefix.resize(prefix.size() - 5);
  convert::metadata_changes changes;
  if (j.wanted.mix)
    changes.file_type = j.wanted.mix->file_type;
  changes.overrides = j.wanted.keys;
  changes.importance = j.columns.given() ? &j.columns.matrix() : nullptr;
  changes.importance_file = j.options.importance;
  changes.layers = j.layers;
  std::deque<output_file> files;
  for (std::size_t i = 0; i < count; ++i) {
    files.push_back({j.options.keep_split ? gguf::part_name(prefix, i, count) : j.options.output, {}});
    if (i == 0)
      convert::set_metadata(files[i].contents, j.input.head(), changes);
    if (count > 1)
      convert::set_split(files[i].contents, i, count, j.plan.tensors.size());
  }
  for (const recipe::planned_tensor& t : j.plan.tensors) {
    output_file& file = files[count > 1 ? j.sources[t.index]->part : 0];
    file.contents.add_tensor(t.shape.name, significant(t.shape.dims), t.type);
    file.tensors.push_back(&t);
  }
  return files;
}

int open_outputs(std::deque<output_file>& files, const job& j, removed_on_signal& temporaries) {
  for (output_file& f : files) {
    tell_leftovers(f.path);
    f.out.emplace(f.contents);
    const auto opened =
        temporaries.add([&] { return f.out->open(f.path, j.options.force); }, [&] { return f.out->temporary_name(); });
    if (!opened)
      return report(f.path, opened.error());
  }
  return success;
}

int report_tensor(const job& j, const output_file& f, const recipe::planned_tensor& t, const quanta::error& why,
                  const convert::misfit& weight) {
  if (j.shown != clock::time_point{})
    print_stderr("\n"); // the error gets a line of its own below the bar
  const bool writing = why.code == quanta::errc::no_space || why.subject() == quanta::error(why.code, 0, f.path).subject();
  const std::string part = j.input.part_path(*j.sources[t.index]);
  std::string hint;
  if (why.code == quanta::errc::nonfinite_scale)
    hint = fmt::format("{} in row {}, column {} is beyond what {} holds", weight.value, weight.row, weight.column,
                       quanta::name(t.type));
  if (why.code == quanta::errc::nonfinite_value)
    hint = fmt::format("{} in row {}, column {}: --nonfinite=zero makes zeros of such weights", weight.value, weight.row,
                       weight.column);
  return report(writing ? f.path : part, why, hint);
}

int write_tensors(job& j, output_file& f, convert::tensor_converter& converter) {
  for (const recipe::planned_tensor* t : f.tensors) {
    const gguf::model::tensor& source = *j.sources[t->index];
    j.current = t->shape.name;
    if (t->copied) {
      const auto wrong = converter.copy(source, *f.out);
      if (!wrong)
        return report_tensor(j, f, *t, wrong.error(), converter.what_misfits());
      if (*wrong)
        complain("{}: {} at byte {}: {}: copied as it is", escaped(j.input.part_path(source)), quanta::name((*wrong)->code),
                 (*wrong)->offset, (*wrong)->subject());
    } else {
      const auto errors = converter.convert(source, t->type, j.source_importance[t->index], *f.out);
      if (!errors)
        return report_tensor(j, f, *t, errors.error(), converter.what_misfits());
      j.errors[t->type] += *errors;
    }
  }
  return success;
}

int write_outputs(job& j, convert::tensor_converter& converter) {
  std::deque<output_file> files = list_outputs(j);
  for (const output_file& f : files)
    if (j.input.holds_file(f.path)) {
      complain("{}: exists: it is the input itself", escaped(f.path));
      return failure;
    } else if (j.columns.is_file(f.path)) {
      complain("{}: exists: it is the importance matrix", escaped(f.path));
      return failure;
    }
  removed_on_signal temporaries;
  if (const int code = open_outputs(files, j, temporaries))
    return code;
  for (output_file& f : files)
    if (const int code = write_tensors(j, f, converter))
      return code;
  for (output_file& f : files)
    if (const auto done = f.out->prepare(); !done)
      return report(f.path, done.error());
  for (auto f = files.rbegin(); f != files.rend(); ++f) { // the first part last: who finds it finds all
    if (const auto done = f->out->publish(); !done)
      return report(f->path, done.error());
    j.output_bytes += f->contents.header().size() + f->contents.data_size();
  }
  return success;
}

void print_summary(const job& j, double seconds) {
  quanta::error_report total;
  for (const auto& [type, r] : j.errors)
    total += r;
  const double rate = static_cast<double>(total.count) / seconds;
  if (j.options.json) {
    fmt::print("{{\n  \"type\": \"{}\",\n  \"input_bytes\": {},\n  \"output_bytes\": {},\n  \"weights\": {},\n  "
               "\"bits_per_weight\": {},\n"
               "  \"seconds\": {},\n  \"weights_per_second\": {},\n  \"relative_rms\": {},\n  \"types\": {{",
               j.mix_name(), j.input.size(), j.output_bytes, j.plan.elements, json_number(j.plan.bits_per_weight()),
               json_number(seconds), json_number(rate), json_number(total.relative_rms()));
    json_items types;
    for (const auto& [type, r] : j.errors)
      types.add("\"{}\": {{\"weights\": {}, \"relative_rms\": {}, \"signal_to_noise\": {}}}", quanta::name(type), r.count,
                json_number(r.relative_rms()), json_number(r.signal_to_noise()));
    fmt::print("\n  }}\n}}\n");
    return;
  }
  if (j.options.quiet)
    return;
  for (const auto& [type, r] : j.errors)
    fmt::print("  {:<8} relative rms error {:.5f}, signal to noise {:.2f} dB\n", quanta::name(type), r.relative_rms(),
               r.signal_to_noise());
  fmt::print("{} to {}, {:.3f} bits a weight, {:.2f} s, {:.0f} M weights/s, relative rms error {:.5f}\n", size(j.input.size()),
             size(j.output_bytes), j.plan.bits_per_weight(), seconds, rate / 1e6, total.relative_rms());
}

} // namespace

int quantize(const quantize_options& options) {
  int code = success;
  const auto wanted = parse_settings(options, code);
  if (!wanted)
    return code;
  const auto input = gguf::model::open(options.input, options.lax ? gguf::reading::lax : gguf::reading::strict);
  if (!input)
    return report_unreadable(options.input, input.error());
  importance columns;
  if ((code = columns.read(options)) != success)
    return code;

  const auto started = clock::now();
  job j{options, *wanted, *input, columns, {}, {}, {}, {}, {}, {}, {}, {}};
  const quanta::threads threads(options.threads);
  convert::tensor_converter converter(*input, {options.search == "thorough", options.zero_nonfinite}, threads,
                                      [&](std::uint64_t values) {
                                        j.values_done += values;
                                        show_progress(j);
                                        return true;
                                      });
  if ((code = make_plan(j, converter)) != success || options.dry_run)
    return code;
  if ((code = write_outputs(j, converter)) != success)
    return code;
  show_progress(j, true);
  print_summary(j, std::chrono::duration<double>(clock::now() - started).count());
  return success;
}

} // namespace tool
