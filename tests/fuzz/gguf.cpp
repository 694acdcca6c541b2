// Any bytes are a file: the reader opens it or names an error, and what it opens can be walked through and validated.
#include <memory>
#include <vector>

#include "quanta/gguf/gguf.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  const auto file = quanta::gguf::file::parse(std::make_shared<quanta::gguf::memory_source>(bytes));
  if (!file)
    return 0;
  std::size_t seen = file->metadata().size();
  for (const quanta::gguf::entry& e : file->metadata()) {
    seen += e.value.integer().has_value();
    seen += e.value.number().has_value();
    seen += e.value.text().value_or("").size();
    seen += e.value.strings().value_or(std::vector<std::string_view>{}).size();
    seen += file->find(e.key) == &e.value;
  }
  for (const quanta::gguf::tensor_info& tensor : file->tensors())
    seen += tensor.elements() + tensor.row_bytes();
  const volatile std::size_t used = seen + quanta::gguf::validate_values(*file).has_value();
  (void)used;
  return 0;
}
