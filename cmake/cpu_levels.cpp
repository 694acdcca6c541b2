// Prints the instruction-set levels of this CPU as a list of CMake, the best one last.
#include <cstdio>

#include "quanta/isa.hpp"

int main() {
  using quanta::isa::level;
  for (int i = 0; i <= static_cast<int>(quanta::isa::best()); ++i)
    if (const auto which = static_cast<level>(i); quanta::isa::has(which)) {
      const auto name = quanta::isa::name(which);
      std::printf("%s%.*s", i > 0 ? ";" : "", static_cast<int>(name.size()), name.data());
    }
}
