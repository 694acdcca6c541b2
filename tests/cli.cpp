// The quanta tool from end to end.
#include <chrono>
#include <cmath>
#include <csignal>
#include <map>
#include <sstream>
#include <thread>
#include <vector>

#include "quanta/gguf/gguf.hpp"
#include "support/tool.hpp"

namespace {

namespace fs = std::filesystem;
const std::string model = QUANTA_TEST_MODELS "/kjv-3m-f16.gguf";

} // namespace

TEST_CASE("quantized files hold the reference's bytes, tensor by tensor") {
  temporary_directory directory;
  std::ifstream file(QUANTA_TEST_DATA "/models/expected_hashes.tsv");
  std::map<std::string, quanta::gguf::file> files;
  int checked = 0;
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    std::string recipe, importance, tensor, type, bytes, hash;
    if (line[0] == '#' || !(fields >> recipe >> importance >> tensor >> type >> bytes >> hash))
      continue;
    CAPTURE(line);
    if (!files.contains(recipe)) {
      REQUIRE(run("quantize " + model + " " + (directory / recipe) + " --quiet --threads 2 --type " + recipe).code == 0);
      auto opened = quanta::gguf::file::open(directory / recipe);
      REQUIRE(opened);
      files.emplace(recipe, std::move(*opened));
    }
    const auto& f = files.at(recipe);
    const auto* t = f.find_tensor(tensor);
    REQUIRE(t != nullptr);
    CHECK(t->type == quanta::find_format(type)->type);
    std::vector<std::byte> data(t->bytes);
    REQUIRE(f.read(*t, 0, data));
    CHECK(std::to_string(data.size()) == bytes);
    CHECK(golden::hash(data.data(), data.size()) == std::stoull(hash, nullptr, 16));
    ++checked;
  }
  CHECK(checked == 150);
  CHECK(files.at("Q4_K_M").integer("general.file_type") == 15);
  CHECK(files.at("Q4_K_M").integer("general.quantization_version") == 2);
}

TEST_CASE("the number of threads changes no byte") {
  temporary_directory directory;
  for (const char* n : {"1", "2", "5"})
    REQUIRE(run("quantize " + model + " " + (directory / n) + " --quiet --type Q4_K_M --threads " + n +
                " --imatrix " QUANTA_TEST_MODELS "/kjv-3m.imatrix.gguf")
                .code == 0);
  CHECK(hash_of_file(directory / "1") == hash_of_file(directory / "2"));
  CHECK(hash_of_file(directory / "1") == hash_of_file(directory / "5"));
}

TEST_CASE("the thorough search leaves no tensor with a larger error") {
  temporary_directory directory;
  const auto errors_of = [&](const std::string& search) { // of the tensors, then of all together
    REQUIRE(run("quantize " + model + " " + (directory / search) + " --quiet --type Q4_K_S --search " + search).code == 0);
    const auto compared = run("compare " + model + " " + (directory / search) + " --json");
    REQUIRE(compared.code == 0);
    const std::string key = "\"relative_rms\": ";
    std::vector<double> errors;
    for (std::size_t at = 0; (at = compared.text.find(key, at)) != std::string::npos;)
      errors.push_back(std::stod(compared.text.substr(at += key.size(), 32)));
    return errors;
  };
  const auto reference = errors_of("reference"), thorough = errors_of("thorough");
  REQUIRE(reference.size() > 1);
  REQUIRE(thorough.size() == reference.size());
  for (std::size_t i = 0; i < reference.size(); ++i) {
    CAPTURE(i);
    CHECK(thorough[i] <= reference[i]);
  }
  CHECK(thorough.back() < reference.back());
}

TEST_CASE("exit codes, help and one-line errors") {
  temporary_directory directory;
  CHECK(run("--help").code == 0);
  CHECK(run("--version").text.starts_with("quanta "));
  CHECK(run("quantize " + model + " " + (directory / "x") + " --type Q9").code == 1);
  for (const std::string usage :
       {"", "bogus", "inspect", "inspect --\x1b[31m", "compare a b --max-rms nan", "compare a b --max-rms -1",
        "quantize a b --type Q8_0 --threads -3", "quantize a b --type Q8_0 --nonfinite maybe"}) {
    CAPTURE(usage);
    const auto refused = run(usage);
    CHECK(refused.code == 1);
    CHECK(std::ranges::count(refused.text, '\n') == 1);
    CHECK(refused.text.starts_with("quanta: "));
    CHECK(std::ranges::none_of(refused.text, [](char c) { return static_cast<unsigned char>(c) < 0x20 && c != '\n'; }));
  }
  const auto missing = run("inspect " + (directory / "absent"));
  CHECK(missing.code == 2);
  CHECK(std::ranges::count(missing.text, '\n') == 1);
  CHECK(run("inspect " + model + " --json").code == 0);
  CHECK(run("types").text.find("q4_K") != std::string::npos);
  CHECK(run("size --type Q4_K_M --model llama-3-70b --json").text.find("42512531456") != std::string::npos);
  CHECK(run("quantize " + model + " " + (directory / "x") + " --type IQ2_XXS").text.find("importance_required") !=
        std::string::npos);
  CHECK(directory.files() == 0);
}

TEST_CASE("malformed files are refused by inspect with their name") {
  std::ifstream manifest(QUANTA_TEST_DATA "/gguf/manifest.tsv");
  for (std::string line; std::getline(manifest, line);) {
    std::istringstream fields(line);
    std::string file, wanted;
    fields >> file >> wanted;
    CAPTURE(line);
    const auto r = run(std::string("inspect " QUANTA_TEST_DATA "/gguf/") + file);
    CHECK(r.code == (wanted == "OK" ? 0 : 2));
    if (wanted != "OK")
      CHECK(r.says(": " + wanted));
    CHECK(std::ranges::none_of(r.text, [](char c) { return static_cast<unsigned char>(c) < 0x20 && c != '\n'; }));
  }
}

TEST_CASE("nothing is lost: existing outputs, the input as output, broken and full disks") {
  temporary_directory directory;
  std::ofstream(directory / "out") << "precious";
  const std::string quantize = "quantize " + model + " ";
  CHECK(run(quantize + (directory / "out") + " --type Q8_0 --quiet").text.find("exists") != std::string::npos);
  CHECK(fs::file_size(directory / "out") == 8);
  fs::copy(model, directory / "in");
  fs::create_hard_link(directory / "in", directory / "link");
  for (const char* target : {"in", "link"})
    CHECK(run("quantize " + (directory / "in") + " " + (directory / target) + " --type Q8_0 --force").code == 2);
  CHECK(hash_of_file(directory / "in") == hash_of_file(model));
  // A file size limit stands in for a full disk.
  const auto full = run(quantize + (directory / "full") + " --type Q8_0 --quiet", "ulimit -f 1000; ");
  CHECK(full.code == 2);
  CHECK(full.text.find("no_space") != std::string::npos);
  fs::resize_file(directory / "in", fs::file_size(model) / 2);
  CHECK(run("quantize " + (directory / "in") + " " + (directory / "cut") + " --type Q8_0").text.find("truncated_data") !=
        std::string::npos);
  CHECK(directory.files() == 3);
}

TEST_CASE("a killed run leaves no file under the target's name") {
  temporary_directory directory;
  golden::generator random{5};
  for (int round = 0; round < 25; ++round) {
    const std::string target = directory / "out";
    const auto handler = std::signal(SIGTERM, SIG_DFL); // the child must not run the test framework's before it is the tool
    const pid_t child = ::fork();
    if (child == 0) {
      ::execl(QUANTA_CLI, "quanta", "quantize", model.c_str(), target.c_str(), "--type", "Q4_K_M", "--quiet", "--force",
              static_cast<char*>(nullptr));
      ::_exit(99);
    }
    std::signal(SIGTERM, handler);
    std::this_thread::sleep_for(std::chrono::microseconds(random.next() % 120000));
    ::kill(child, round % 2 ? SIGKILL : SIGTERM);
    int status = 0;
    ::waitpid(child, &status, 0);
    if (fs::exists(target)) {
      CHECK(quanta::gguf::file::open(target)); // complete, if it is there at all
      fs::remove(target);
    }
  }
}

TEST_CASE("compare measures and gates") {
  temporary_directory directory;
  REQUIRE(run("quantize " + model + " " + (directory / "q8") + " --type Q8_0 --quiet").code == 0);
  CHECK(run("compare " + model + " " + model + " --max-rms 0").code == 0);
  CHECK(run("compare " + model + " " + (directory / "q8") + " --max-rms 0.01").code == 0);
  CHECK(run("compare " + model + " " + (directory / "q8") + " --max-rms 0.001").code == 1);
  CHECK(run("compare " + model + " " + (directory / "q8") + " --json").text.find("\"worst_relative_rms\"") !=
        std::string::npos);
  CHECK(run("compare " + model + " " QUANTA_TEST_MODELS "/kjv-3m.imatrix.gguf").code == 2);
  // quantized sources need permission
  CHECK(run("quantize " + (directory / "q8") + " " + (directory / "q4") + " --type Q4_0").code == 2);
  CHECK(run("quantize " + (directory / "q8") + " " + (directory / "q4") + " --type Q4_0 --allow-requantize").code == 0);
}

TEST_CASE("rows that are no whole blocks fall back before any work starts, or are refused; bad weights are named") {
  temporary_directory directory;
  quanta::gguf::writer w;
  w.set("general.architecture", quanta::gguf::value::of("llama"));
  w.set("llama.block_count", quanta::gguf::value::of(std::uint32_t{1}));
  w.add_tensor("blk.0.ffn_up.weight", {64, 4}, quanta::tensor_type::f32);
  for (const bool broken : {false, true}) {
    std::vector<float> x(256, 0.5f);
    if (broken)
      x[70] = INFINITY;
    quanta::gguf::file_writer out(w);
    REQUIRE(out.open(directory / (broken ? "broken" : "small"), true));
    REQUIRE(out.write(std::as_bytes(std::span(x))));
    REQUIRE(out.finish());
  }
  const auto r = run("quantize " + (directory / "small") + " " + (directory / "out") + " --type Q4_K_M");
  CHECK(r.code == 0);
  CHECK(r.text.find("blk.0.ffn_up.weight: q5_0 instead of q4_K") != std::string::npos);
  const auto strict = run("quantize " + (directory / "small") + " " + (directory / "strict") + " --type Q4_K_M --no-fallback");
  CHECK(strict.code == 2);
  CHECK(strict.text.find("bad_row") != std::string::npos);
  const auto broken = run("quantize " + (directory / "broken") + " " + (directory / "bad") + " --type Q8_0");
  CHECK(broken.code == 2);
  CHECK(broken.text.find("nonfinite_value") != std::string::npos);
  CHECK(run("quantize " + (directory / "broken") + " " + (directory / "zeroed") + " --type Q8_0 --nonfinite zero").code == 0);
  CHECK(directory.files() == 4);
}
