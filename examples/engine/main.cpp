// quanta_engine: perplexity of a text under a Llama in a GGUF file, or text from it.
#include <CLI/CLI.hpp>

#include <cstdio>
#include <fstream>
#include <iterator>

#include "evaluate.hpp"

namespace {

int report(const std::string& path, const quanta::error& why) {
  const quanta::error safe(why.code, 0, path); // escapes what a terminal would act on
  std::fprintf(stderr, "quanta_engine: %.*s: %.*s %.*s\n", static_cast<int>(safe.subject().size()), safe.subject().data(),
               static_cast<int>(quanta::name(why.code).size()), quanta::name(why.code).data(),
               static_cast<int>(why.subject().size()), why.subject().data());
  return 2;
}

/// Printable text: the model may say any byte.
void print_text(std::string_view text) {
  for (const char c : text)
    std::fputc(c == '\n' || (c >= 0x20 && c < 0x7F) ? c : '?', stdout);
  std::fputc('\n', stdout);
}

} // namespace

int main(int argc, char** argv) {
  CLI::App app("Runs a Llama from a GGUF file, with one token a byte.\n\n"
               "  quanta_engine model.gguf --perplexity text.txt\n"
               "  quanta_engine model.gguf --prompt 'In the beginning' --tokens 200\n",
               "quanta_engine");
  std::string path, text_path, baseline_path, prompt = "In the beginning", activations = "quantized";
  std::size_t tokens = 200, thread_count = 0, every = 1, context = 0;
  double temperature = 0.7;
  std::uint64_t seed = 1;
  bool json = false;
  app.add_option("model", path, "GGUF file")->required();
  CLI::Option* perplexity = app.add_option("--perplexity", text_path, "Text to evaluate");
  app.add_option("--baseline", baseline_path, "GGUF file: also how far the predictions are from this model's")
      ->needs(perplexity);
  app.add_option("--every", every, "Only one context of so many of the text")->needs(perplexity)->check(CLI::PositiveNumber);
  app.add_option("--context", context, "Tokens that the model sees at most; 0 is what it was trained with");
  app.add_option("--prompt", prompt, "Text to continue")->excludes(perplexity);
  app.add_option("--tokens", tokens, "How many tokens to generate");
  app.add_option("--temperature", temperature, "0 takes the likeliest token");
  app.add_option("--seed", seed, "Of the random choice");
  app.add_option("--activations", activations, "quantized: as engines do; float: exact weights times floats")
      ->check(CLI::IsMember({"quantized", "float"}));
  app.add_option("--threads", thread_count, "For --perplexity; 0 is all of the machine");
  app.add_flag("--json", json, "Perplexity as JSON");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 1;
  }

  const auto loaded = engine::load(path);
  if (!loaded)
    return report(path, loaded.error());
  if (context != 0)
    (*loaded)->context = std::min((*loaded)->context, context);
  const engine::model& m = **loaded;
  if (m.vocabulary != 256)
    return report(path,
                  quanta::error(quanta::errc::unsupported_type, quanta::error::nowhere, "only vocabularies of 256 bytes"));
  if (text_path.empty()) {
    print_text(engine::generate(m, prompt, tokens, temperature, seed, activations == "quantized"));
    return 0;
  }
  std::ifstream file(text_path, std::ios::binary);
  if (!file)
    return report(text_path, quanta::errc::io_error);
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  engine::evaluation_options options{activations == "quantized", every, nullptr};
  std::unique_ptr<engine::model> baseline;
  if (!baseline_path.empty()) {
    auto other = engine::load(baseline_path);
    if (!other)
      return report(baseline_path, other.error());
    baseline = std::move(*other);
    if (baseline->vocabulary != m.vocabulary || baseline->context < m.context)
      return report(baseline_path, quanta::error(quanta::errc::unsupported_type, quanta::error::nowhere,
                                                 "another vocabulary or context"));
    options.baseline = baseline.get();
  }
  const auto e = engine::evaluate(m, text, quanta::threads(thread_count), options);
  const double speed = static_cast<double>(e.positions) / e.seconds;
  const double bits = 8.0 * static_cast<double>(m.weight_bytes) / static_cast<double>(m.weights);
  if (json) {
    std::printf("{\"perplexity\": %.6f, \"divergence\": %.8f, \"positions\": %zu, \"seconds\": %.3f, "
                "\"tokens_per_second\": %.1f, \"file_bytes\": %llu, \"weights\": %llu, \"bits_per_weight\": %.4f}\n",
                e.perplexity, e.divergence, e.positions, e.seconds, speed, static_cast<unsigned long long>(m.file_bytes),
                static_cast<unsigned long long>(m.weights), bits);
  } else {
    std::printf("perplexity %.5f over %zu positions, %.3f bits a weight, %.0f tokens/s\n", e.perplexity, e.positions, bits,
                speed);
    if (options.baseline)
      std::printf("divergence from the baseline %.6f nats a position\n", e.divergence);
  }
  return 0;
}
