// quanta: quantizes, inspects and compares GGUF model files.
#include "outcome.hpp" // first, for the exceptions of what follows

#include <CLI/CLI.hpp>

#include <cstdlib>

#include "quanta/version.hpp"

namespace {

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
  CLI::App* quantize = app.add_subcommand("quantize", "Convert a model's weights to a mix of formats");
  quantize->add_option("input", q.input, "GGUF file with f32, f16 or bf16 weights")->required();
  quantize->add_option("output", q.output, "GGUF file to write; appears when it is complete")->required();
  quantize->add_option("--type", q.type, "Mix: Q4_K_M, Q4_K_S, Q8_0, Q4_0, Q2_K, Q6_K, ... (see 'quanta types')")->required();
  quantize->add_option("--imatrix", q.importance, "Importance matrix (GGUF form): what an error in each column counts");
  quantize
      ->add_option("--search", q.search, "reference: the bytes of the reference implementation; thorough: less error, slower")
      ->check(CLI::IsMember({"reference", "thorough"}));
  quantize->add_option("--threads", q.threads, "Threads; 0 is all of the machine. The result does not depend on it")
      ->check(CLI::Range(0, 1024)); // also refuses -1, which would be read as a very large number
  quantize->add_flag("--no-fallback", q.no_fallback, "Refuse rows that are no whole blocks of the wanted type");
  quantize->add_flag("--pure", q.pure, "The mix' base type for all weights");
  quantize->add_flag("--leave-output", q.leave_output, "Copy output.weight as it is");
  quantize->add_option("--output-type", q.output_type, "Type of output.weight");
  quantize->add_option("--token-embedding-type", q.token_embedding_type, "Type of token_embd.weight");
  quantize->add_option("--override", q.overrides, "PATTERN=TYPE for tensors whose name contains PATTERN ('*': anything)");
  quantize->add_flag("--allow-requantize", q.allow_requantize, "Accept weights that are quantized already (loses more)");
  std::string nonfinite = "error";
  quantize->add_option("--nonfinite", nonfinite, "NaN and infinity in weights: error, or zero")
      ->check(CLI::IsMember({"error", "zero"}));
  quantize->add_flag("--force", q.force, "Replace an existing output");
  quantize->add_flag("--dry-run", q.dry_run, "Only show the plan");
  quantize->add_flag("--json", q.json, "Summary as JSON on stdout");
  quantize->add_flag("--quiet", q.quiet, "No plan, no progress, no summary");
  quantize->callback([&] {
    q.zero_nonfinite = nonfinite == "zero";
    code = tool::quantize(q);
  });

  tool::inspect_options i;
  CLI::App* inspect = app.add_subcommand("inspect", "Show metadata and tensors, and check every block's scales");
  inspect->add_option("file", i.path, "GGUF file")->required();
  inspect->add_flag("--json", i.json, "As JSON");
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
