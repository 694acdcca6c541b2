// Prints the highest instruction-set level of this CPU, for CMake.
#include <cstdio>

#include "quanta/isa.hpp"

int main() {
  const auto name = quanta::isa::name(quanta::isa::best());
  std::printf("%.*s\n", static_cast<int>(name.size()), name.data());
}
