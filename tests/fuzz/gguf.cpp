// Any bytes are a file: the reader opens it or names an error, and what it opens, or saves of it, can be walked through and
// validated.
#include <memory>

#include "quanta/gguf/gguf.hpp"
#include "support.hpp"

namespace {

using namespace quanta;

std::size_t walk(const gguf::file& file) {
  std::size_t seen = file.metadata().size();
  for (const gguf::entry& e : file.metadata()) {
    seen += e.value.integer().has_value();
    seen += e.value.number().has_value();
    seen += e.value.text().value_or("").size();
    seen += e.value.strings().value_or(std::vector<std::string_view>{}).size();
    fuzz::expect(file.find(e.key) == &e.value, e.key, "is not found");
  }
  for (const gguf::tensor_info& tensor : file.tensors()) {
    seen += tensor.elements() + tensor.row_bytes();
    fuzz::expect(file.find_tensor(tensor.name) == &tensor, tensor.name, "is not found");
  }
  return seen;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto source = std::make_shared<gguf::memory_source>(std::as_bytes(std::span(data, size)));
  const auto strict = gguf::file::parse(source);
  const auto saved = gguf::file::salvage(source, gguf::reading::lax);
  fuzz::expect(!strict || !saved.wrong, "lax", "refuses what strict takes");
  std::size_t seen = walk(saved.contents);
  if (!saved.wrong)
    seen += gguf::validate_values(saved.contents).has_value();
  [[maybe_unused]] const volatile std::size_t used = seen;
  return 0;
}
