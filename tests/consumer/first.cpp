// Compiled for any CPU of the family.
#include <cstdio>
#include <vector>

#include <quanta/quanta.hpp>

std::vector<quanta::q4_k> encode_elsewhere(const std::vector<float>& x);

int main() {
  std::vector<float> x(2048);
  for (std::size_t i = 0; i < x.size(); ++i)
    x[i] = static_cast<float>(i * 37 % 101) / 101.f - 0.5f;
  std::vector<quanta::q4_k> row(8);
  quanta::quantize(x, row);
  const auto other = encode_elsewhere(x);
  const bool equal = std::memcmp(row.data(), other.data(), sizeof(quanta::q4_k) * row.size()) == 0;
  std::puts(equal ? "equal" : "different");
  return equal ? 0 : 1;
}
