// Decoding and products of every format, at QUANTA_FUZZ_LEVEL.
#include "kernels.hpp"
#include "quanta/dot.hpp"
#include "quanta/formats.hpp"

namespace {

using level = quanta::isa::QUANTA_FUZZ_LEVEL;

template <class B>
const B* blocks(const void* p) {
  return static_cast<const B*>(p);
}
template <class B>
void decode(const void* row, std::size_t count, float* values) {
  quanta::dequantize<level>(std::span(blocks<B>(row), count), std::span(values, count * B::block_size));
}
template <class B>
float equation(const void* row, std::size_t i) {
  return quanta::decode_value(blocks<B>(row)[i / B::block_size], i % B::block_size);
}
template <class B>
float dot(const void* row, const void* activations, std::size_t count) {
  using A = typename B::dot_partner;
  return quanta::dot<level>(std::span(blocks<B>(row), count),
                            std::span(blocks<A>(activations), count * (B::block_size / A::block_size)));
}
template <class B>
float dot_values(const void* row, const float* values, std::size_t count) {
  return quanta::dot<level>(std::span(blocks<B>(row), count), std::span(values, count * B::block_size));
}

template <class B>
constexpr fuzz::block_kernels kernels_of() {
  fuzz::block_kernels k{B::type, B::block_size, sizeof(B), decode<B>, equation<B>, 0, nullptr, nullptr};
  if constexpr (quanta::weight_format<B>) {
    using A = typename B::dot_partner;
    k.partner_bytes = B::block_size / A::block_size * sizeof(A);
    k.dot = dot<B>;
    k.dot_values = dot_values<B>;
  }
  return k;
}
template <class... B>
constexpr auto table_of(quanta::type_list<B...>) {
  return std::array{kernels_of<B>()...};
}

} // namespace

template <>
std::span<const fuzz::block_kernels> fuzz::blocks_at<level>() {
  static constexpr auto table = table_of(quanta::block_formats{});
  return table;
}
