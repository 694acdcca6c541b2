// The quanta tool as a test runs it.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "support/golden_data.hpp"
#include "support/temporary_directory.hpp"

struct outcome {
  int code;
  std::string text; ///< both streams
  bool says(std::string_view part) const { return text.find(part) != std::string::npos; }
};
inline outcome run_command(const std::string& command) {
  FILE* pipe = ::popen(("{ " + command + "; } 2>&1").c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string text;
  std::array<char, 4096> buffer;
  for (std::size_t n; (n = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;)
    text.append(buffer.data(), n);
  const int status = ::pclose(pipe);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, text};
}
/// Runs the tool; `before` is put before its name.
inline outcome run(const std::string& arguments, const std::string& before = "") {
  return run_command(before + "'" QUANTA_CLI "' " + arguments);
}
inline std::uint64_t hash_of_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(in), {}};
  return golden::hash(bytes.data(), bytes.size());
}
