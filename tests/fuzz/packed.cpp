// Matrices of any bytes and small shapes: what is packed comes back, and products have the same bits at this level and the
// portable one, with any tokens beside and however the work is shared out.
#include "kernels.hpp"
#include "quanta/isa.hpp"
#include "support.hpp"

namespace {

using fuzz::expect, fuzz::same_bits;
using bytes = std::vector<std::uint8_t>;

/// Shares work out in pieces of one size, the last first.
struct pieces {
  std::size_t size;

  template <class F>
  void operator()(std::size_t count, F&& f) const {
    for (std::size_t left = (count + size - 1) / size; left-- > 0;)
      f(left * size, (left + 1) * size < count ? (left + 1) * size : count);
  }
};

struct product {
  const bytes& blocks;
  std::size_t rows, columns, stride;
  pieces share;

  std::vector<std::byte> packed(const fuzz::packed_kernels& k) const {
    std::vector<std::byte> storage(k.packed_bytes(rows, columns));
    k.pack(blocks.data(), rows, columns, storage, share);
    return storage;
  }
  std::vector<float> of(const fuzz::packed_kernels& k, std::span<const std::byte> matrix, std::span<const float> x) const {
    const std::size_t tokens = columns == 0 ? 0 : x.size() / columns;
    std::vector<std::byte> activations(k.activation_bytes(tokens, columns));
    k.pack_activations(x, tokens, columns, activations, share);
    std::vector<float> y(tokens == 0 ? 0 : (tokens - 1) * stride + rows, -1.f);
    k.gemm(matrix, rows, columns, activations, tokens, y, stride, share);
    return y;
  }
};

void check_round_trip(const fuzz::packed_kernels& k, const product& p, std::span<const std::byte> packed) {
  if (!k.unpack)
    return;
  bytes back(p.blocks.size()), expected = p.blocks;
  k.unpack(packed, p.rows, p.columns, back.data(), p.share);
  k.canonical(expected.data(), p.rows * (p.columns / k.block_size));
  expect(back == expected, name(k.type), "other blocks come back");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 8)
    return 0;
  fuzz::input in(data, size);
  const auto native = fuzz::packed_at<quanta::isa::native>(), portable = fuzz::packed_at<quanta::isa::portable>();
  const std::size_t which = fuzz::choose(native, in.byte());
  const fuzz::packed_kernels &k = native[which], &q = portable[which];
  const std::size_t rows = in.up_to(37), tokens = in.up_to(8), row_blocks = in.up_to(k.block_size < 256 ? 5 : 2);
  const std::size_t columns = row_blocks * k.block_size, gap = in.up_to(3);
  const bytes blocks = in.take<std::uint8_t>(rows * row_blocks * k.block_bytes);
  const product p{blocks, rows, columns, rows + gap, {1 + in.up_to(2)}}, whole{blocks, rows, columns, rows + gap, {1000}};
  const auto x = in.floats(tokens * columns);

  const auto packed = p.packed(k), portably_packed = whole.packed(q);
  check_round_trip(k, p, packed);
  check_round_trip(q, whole, portably_packed);
  const auto y = p.of(k, packed, x);
  expect(same_bits(y, whole.of(q, portably_packed, x)), name(k.type), "other bits at the portable level");
  if (columns == 0 || tokens == 0)
    return 0;
  const std::size_t one = in.up_to(tokens - 1);
  const auto alone = whole.of(k, packed, std::span(x).subspan(one * columns, columns));
  for (std::size_t r = 0; r < rows; ++r)
    expect(same_bits(alone[r], y[one * (rows + gap) + r]), name(k.type), "other bits alone");
  for (std::size_t t = 0; t + 1 < tokens; ++t)
    for (std::size_t r = rows; r < rows + gap; ++r)
      expect(y[t * (rows + gap) + r] == -1.f, name(k.type), "writes between rows");
  return 0;
}
