// Any bytes are blocks: they decode without trap, overread or undefined behaviour, to what the equation says, and products have
// the same bits at this level and the portable one. QUANTA_FUZZ_FORMAT in the environment names the one format to try; without
// it the first byte of the input chooses.
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "quanta/quanta.hpp"

namespace {

void expect(bool holds, std::string_view format, const char* what) {
  if (holds)
    return;
  std::fprintf(stderr, "%.*s: %s\n", static_cast<int>(format.size()), format.data(), what);
  std::abort();
}
bool same_bits(float a, float b) {
  return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b) || (a != a && b != b);
}

/// Blocks in memory of exactly their size, so that a read past them is seen.
template <class B>
std::vector<B> take_blocks(const std::uint8_t*& data, std::size_t count) {
  std::vector<B> blocks(count);
  if (count > 0)
    std::memcpy(static_cast<void*>(blocks.data()), data, count * sizeof(B));
  data += count * sizeof(B);
  return blocks;
}

template <class Isa, class B>
std::vector<float> decode(const std::vector<B>& row) {
  std::vector<float> x(row.size() * B::block_size);
  quanta::dequantize<Isa>(row, x);
  for (std::size_t i = 0; i < x.size(); ++i)
    expect(same_bits(x[i], quanta::decode_value(row[i / B::block_size], i % B::block_size)), B::name,
           "decodes to other values");
  return x;
}

template <class B>
void try_bytes(const std::uint8_t* data, std::size_t size) {
  using quanta::isa::portable, quanta::isa::native;
  if constexpr (quanta::weight_format<B>) {
    using A = typename B::dot_partner;
    constexpr std::size_t partners = B::block_size / A::block_size;
    const std::size_t count = size / (sizeof(B) + partners * sizeof(A));
    const auto row = take_blocks<B>(data, count);
    const auto activations = take_blocks<A>(data, count * partners);
    const auto x = decode<native>(row);
    decode<portable>(row);
    expect(same_bits(quanta::dot<native>(row, activations), quanta::dot<portable>(row, activations)), B::name,
           "other bits of a product");
    expect(same_bits(quanta::dot<native>(row, x), quanta::dot<portable>(row, x)), B::name,
           "other bits of a product with floats");
  } else {
    const auto row = take_blocks<B>(data, size / sizeof(B));
    decode<native>(row);
    decode<portable>(row);
  }
}

using try_function = void (*)(const std::uint8_t*, std::size_t);
struct entry {
  std::string_view name;
  try_function run;
};
const std::vector<entry>& formats() {
  static const std::vector<entry> all = [] {
    std::vector<entry> list;
    quanta::block_formats::for_each([&](auto tag) {
      using B = typename decltype(tag)::type;
      list.push_back({B::name, try_bytes<B>});
    });
    if (const char* wanted = std::getenv("QUANTA_FUZZ_FORMAT")) {
      std::erase_if(list, [&](const entry& e) { return e.name != wanted; });
      if (list.empty()) {
        std::fprintf(stderr, "no format %s\n", wanted);
        std::exit(2);
      }
    }
    return list;
  }();
  return all;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 0)
    formats()[data[0] % formats().size()].run(data + 1, size - 1);
  return 0;
}
