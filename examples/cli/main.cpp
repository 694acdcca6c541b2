// quanta: quantizes, inspects and compares GGUF model files.
#include "outcome.hpp" // first, for the exceptions of what follows

#include <CLI/CLI.hpp>

#include <cstdlib>

#include "quanta/version.hpp"

namespace {

/// The options of the reference's llama-quantize are understood beside ours, where they differ.
void add_quantize(CLI::App& app, tool::quantize_options& q, int& code) {
  CLI::App* c = app.add_subcommand("quantize", "Convert a model's weights to a mix of formats");
  c->add_option("input", q.input, "GGUF file with f32, f16 or bf16 weights; of a split model, the first part")->required();
  c->add_option("output", q.output, "GGUF file to write; appears when it is complete")->required();
  c->add_option("type,--type", q.type, "Mix: Q4_K_M, Q8_0, Q2_K, ... or its number (see 'quanta types'); COPY converts nothing")
      ->required();
  c->add_option("threads,--threads", q.threads, "Threads; 0 is all of the machine. The result does not depend on it")
      ->check(CLI::Range(0, 1024)); // also refuses -1, which would be read as a very large number
  c->add_option("--imatrix", q.importance, "Importance matrix (GGUF or .dat): what an error in each column counts");
  CLI::Option* include = c->add_option("--include-weights", q.include_weights, "Use the matrix for names with this part only");
  c->add_option("--exclude-weights", q.exclude_weights, "Do not use the matrix for names with this part")->excludes(include);
  c->add_option("--search", q.search, "reference: the bytes of the reference implementation; thorough: less error, slower")
      ->check(CLI::IsMember({"reference", "thorough"}));
  c->add_flag("--no-fallback", q.no_fallback, "Refuse rows that are no whole blocks of the wanted type");
  c->add_flag("--pure", q.pure, "The mix' base type for all weights");
  c->add_flag("--leave-output,--leave-output-tensor", q.leave_output, "Copy output.weight as it is");
  c->add_option("--output-type,--output-tensor-type", q.output_type, "Type of output.weight");
  c->add_option("--token-embedding-type", q.token_embedding_type, "Type of token_embd.weight");
  c->add_option("--override,--tensor-type", q.overrides,
                "PATTERN=TYPE for weights whose name the regular expression is found in; the first match wins");
  c->add_option("--override-file,--tensor-type-file", q.override_file, "File of such rules, between spaces or lines");
  c->add_option("--override-kv", q.key_overrides, "KEY=TYPE:VALUE in the metadata; int, float, bool or str");
  c->add_option("--prune-layers", q.prune_layers, "Layers to take out: 3,4,5");
  c->add_flag("--keep-split", q.keep_split, "Write the parts of the input: OUTPUT-00001-of-00003.gguf");
  c->add_flag("--allow-requantize", q.allow_requantize, "Accept weights that are quantized already (loses more)");
  c->add_flag("--lax", q.lax, "Accept what only some loaders take: a file without its last padding, bytes after its end, ...");
  c->add_option_function<std::string>(
       "--nonfinite", [&q](const std::string& what) { q.zero_nonfinite = what == "zero"; },
       "NaN and infinity in weights: error, or zero")
      ->check(CLI::IsMember({"error", "zero"}));
  c->add_flag("--force", q.force, "Replace an existing output");
  c->add_flag("--dry-run", q.dry_run, "Only show the plan");
  c->add_flag("--json", q.json, "Summary as JSON on stdout");
  c->add_flag("--quiet", q.quiet, "No plan, no progress, no summary; warnings stay");
  c->callback([&q, &code] { code = tool::quantize(q); });
}

int run(int argc, char** argv) {
  CLI::App app("Quantizes, inspects and compares GGUF model files.\n"
               "Exit codes: 0 fine, 1 wrong usage or a gate failed, 2 bad data or an I/O error.\n\n"
               "  quanta quantize model-f16.gguf model-q4.gguf --type Q4_K_M\n"
               "  quanta inspect model-q4.gguf\n"
               "  quanta compare model-f16.gguf model-q4.gguf --max-rms 0.1\n",
               "quanta");
  app.set_version_flag("--version",
                       fmt::format("quanta {}.{}.{}", quanta::version_major, quanta::version_minor, quanta::version_patch));
  app.require_subcommand(1);
  app.failure_message([](const CLI::App*, const CLI::Error& e) { // one line, whatever the arguments hold
    return fmt::format("quanta: {}; try --help\n", tool::escaped(e.what()));
  });
  int code = tool::success;

  tool::quantize_options q;
  add_quantize(app, q, code);

  tool::inspect_options i;
  CLI::App* inspect = app.add_subcommand("inspect", "Show metadata and tensors, and check every block's scales");
  inspect->add_option("file", i.path, "GGUF file")->required();
  inspect->add_flag("--json", i.json, "As JSON");
  inspect->add_flag("--lax", i.lax, "Take what only some loaders take as right");
  inspect->callback([&] { code = tool::inspect(i); });

  tool::compare_options c;
  CLI::App* compare = app.add_subcommand("compare", "Measure how far B's weights are from A's, tensor by tensor");
  compare->add_option("a", c.original, "GGUF file, the original")->required();
  compare->add_option("b", c.other, "GGUF file")->required();
  compare->add_flag("--json", c.json, "As JSON");
  compare->add_option("--max-rms", c.max_rms, "Exit with 1 if a tensor's relative rms error is larger")
      ->check([](const std::string& text) { // a NaN would be a gate that is always open
        return std::strtod(text.c_str(), nullptr) >= 0 ? "" : "wants a number of 0 or more";
      });
  compare->callback([&] { code = tool::compare(c); });

  tool::size_options s;
  CLI::App* size = app.add_subcommand("size", "Say how large a model would become");
  size->add_option("--type", s.type, "Mix")->required();
  size->add_option("--model", s.model, "llama-3-70b or llama-3-8b")->check(CLI::IsMember({"llama-3-70b", "llama-3-8b"}));
  size->add_flag("--json", s.json, "As JSON");
  size->callback([&] { code = tool::predicted_size(s); });

  app.add_subcommand("types", "List formats and mixes")->callback([&] { code = tool::list_types(); });

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? tool::success : tool::gate_failed;
  }
  return code;
}

} // namespace

int main(int argc, char** argv) {
  tool::fill_standard_streams();
  std::signal(SIGXFSZ, SIG_IGN); // a file size limit then is an error of the call that meets it
  return tool::outcome_of([&] { return run(argc, argv); });
}
