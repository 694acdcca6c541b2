// Any bytes are blocks: they decode without trap, overread or undefined behaviour, to what the equation says, and products have
// the same bits at this level and the portable one. The first byte chooses the format.
#include "kernels.hpp"
#include "quanta/isa.hpp"
#include "support.hpp"

namespace {

using fuzz::expect, fuzz::same_bits;

std::vector<float> decode(const fuzz::block_kernels& format, const std::vector<std::uint8_t>& row, std::size_t count) {
  std::vector<float> x(count * format.block_size);
  format.decode(row.data(), count, x.data());
  for (std::size_t i = 0; i < x.size(); ++i)
    expect(same_bits(x[i], format.equation(row.data(), i)), name(format.type), "decodes to other values");
  return x;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0)
    return 0;
  const auto native = fuzz::blocks_at<quanta::isa::native>(), portable = fuzz::blocks_at<quanta::isa::portable>();
  const std::size_t which = fuzz::choose(native, data[0]);
  const fuzz::block_kernels &k = native[which], &p = portable[which];
  const std::size_t count = (size - 1) / (k.block_bytes + k.partner_bytes);
  // in memory of exactly their size, so that a read past them is seen
  const std::uint8_t *const blocks = data + 1, *const partners = blocks + count * k.block_bytes;
  const std::vector<std::uint8_t> row(blocks, partners), activations(partners, partners + count * k.partner_bytes);
  const auto x = decode(k, row, count);
  decode(p, row, count);
  if (k.dot) {
    expect(same_bits(k.dot(row.data(), activations.data(), count), p.dot(row.data(), activations.data(), count)), name(k.type),
           "other bits of a product");
    expect(same_bits(k.dot_values(row.data(), x.data(), count), p.dot_values(row.data(), x.data(), count)), name(k.type),
           "other bits of a product with floats");
  }
  return 0;
}
