// Any bytes are an importance matrix, of either form: it is read, and holds numbers that encoders take, or has an error.
#include <memory>

#include "quanta/imatrix.hpp"
#include "support.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace quanta;
  const auto read = read_importance(std::make_shared<gguf::memory_source>(std::as_bytes(std::span(data, size))));
  if (!read)
    return 0;
  std::size_t numbers = 0;
  for (const auto& [name, values] : read->entries) {
    for (const float v : values)
      fuzz::expect(std::isfinite(v) && v >= 0, name, "has a number that is no importance");
    numbers += values.size();
  }
  fuzz::expect(numbers <= size / sizeof(float), "importance", "is more than was read");
  return 0;
}
