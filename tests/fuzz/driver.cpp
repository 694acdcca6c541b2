// Stands in for libFuzzer where the compiler has none: takes its arguments -max_total_time=SECONDS, -seed=N and files or
// directories to begin with, and tries those, changes of them, and random bytes. It sees no coverage.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string_view>
#include <vector>

#include "support/golden_data.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using bytes = std::vector<std::uint8_t>;

void read_inputs(const std::filesystem::path& path, std::vector<bytes>& inputs) {
  if (std::filesystem::is_directory(path))
    for (const auto& e : std::filesystem::directory_iterator(path))
      read_inputs(e.path(), inputs);
  else if (std::ifstream in(path, std::ios::binary); in)
    inputs.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
}
void try_one(const bytes& input) {
  // exactly as large as the input, so that a read past it is seen by a sanitizer
  const auto copy = std::make_unique<std::uint8_t[]>(input.size());
  if (!input.empty())
    std::memcpy(copy.get(), input.data(), input.size());
  LLVMFuzzerTestOneInput(copy.get(), input.size());
}

} // namespace

int main(int count, char** arguments) {
  double seconds = 10;
  golden::generator random{1};
  std::vector<bytes> inputs;
  for (int i = 1; i < count; ++i) {
    const std::string_view argument = arguments[i];
    if (argument.starts_with("-max_total_time="))
      seconds = std::atof(arguments[i] + 16);
    else if (argument.starts_with("-seed="))
      random.state = std::strtoull(arguments[i] + 6, nullptr, 10);
    else if (!argument.starts_with('-'))
      read_inputs(argument, inputs);
  }
  for (const bytes& input : inputs)
    try_one(input);
  const std::size_t given = inputs.size();
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  std::size_t runs = 0;
  for (; std::chrono::steady_clock::now() < end; ++runs) {
    bytes input(random.next() % 4096);
    if (given > 0 && runs % 4 != 0)
      input = inputs[random.next() % given];
    else
      for (std::uint8_t& byte : input)
        byte = static_cast<std::uint8_t>(random.next());
    for (std::uint64_t changes = random.next() % 8; changes > 0 && !input.empty(); --changes)
      input[random.next() % input.size()] = static_cast<std::uint8_t>(random.next());
    if (random.next() % 4 == 0)
      input.resize(random.next() % (input.size() + 1));
    try_one(input);
  }
  std::printf("no coverage seen: %zu given inputs, %zu random ones in %g s\n", given, runs, seconds);
}
