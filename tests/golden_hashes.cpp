// The golden hashes by themselves, without a test framework, so that any compiler at any optimization level can check them
// in seconds: `golden_hashes DATA [STEP]` takes every STEP-th line of encode.tsv and all of
// decode.tsv, at the level that this file was compiled for.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "quanta/quanta.hpp"
#include "support/golden_data.hpp"

namespace {

int checked = 0, wrong = 0;

void check(const std::string& what, std::uint64_t found, const std::string& wanted) {
  ++checked;
  if (found != std::stoull(wanted, nullptr, 16)) {
    ++wrong;
    std::printf("wrong bytes: %s\n", what.c_str());
  }
}

template <class B>
std::uint64_t encoded(const std::string& kind, int weighted) {
  constexpr std::size_t rows = 16, columns = 2048, blocks = columns / B::block_size;
  const auto x = golden::rows(1, kind, rows, columns);
  const auto importance = golden::importance_of(weighted, columns);
  std::vector<B> out(rows * blocks);
  for (std::size_t r = 0; r < rows; ++r)
    quanta::detail::quantize_row<quanta::isa::native>( // not through options, which would compile the thorough searches
        &x[r * columns], columns, &out[r * blocks], importance.empty() ? nullptr : importance.data());
  return golden::hash(out.data(), out.size() * sizeof(B));
}

template <class B>
std::uint64_t decoded() {
  const auto blocks = golden::random_blocks<B>(1, static_cast<std::uint64_t>(B::type), 2048);
  std::vector<float> x(blocks.size() * B::block_size);
  quanta::dequantize(blocks, x);
  return golden::hash_of_floats(x);
}

/// f(fields of the line, line) for each line that is no comment.
template <class F>
void each_line(const std::string& path, F&& f) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);)
    if (!line.empty() && line[0] != '#')
      f(std::istringstream(line), line);
}

} // namespace

int main(int argc, char** argv) {
  const std::string data = argc > 1 ? argv[1] : ".";
  const int step = argc > 2 ? std::atoi(argv[2]) : 1;
  int index = 0;
  each_line(data + "/encode.tsv", [&](std::istringstream fields, const std::string& line) {
    std::string type, kind, shape, hash;
    int weighted = 0;
    fields >> type >> weighted >> kind >> shape >> hash;
    quanta::block_formats::for_each([&](auto tag) {
      using B = typename decltype(tag)::type;
      if (B::name == type && index++ % step == 0)
        check(line, encoded<B>(kind, weighted), hash);
    });
  });
  each_line(data + "/decode.tsv", [&](std::istringstream fields, const std::string& line) {
    std::string type, count, hash;
    fields >> type >> count >> hash;
    quanta::weight_formats::for_each([&](auto tag) {
      using B = typename decltype(tag)::type;
      if (B::name == type)
        check(line, decoded<B>(), hash);
    });
  });
  const auto level = quanta::isa::name(quanta::isa::native::value);
  std::printf("%.*s: %d of %d golden hashes, %d wrong\n", static_cast<int>(level.size()), level.data(), checked - wrong,
              checked, wrong);
  return wrong == 0 && checked > 0 ? 0 : 1;
}
