// The encoders of every format and one thorough search, at QUANTA_FUZZ_LEVEL.
#include "kernels.hpp"
#include "quanta/quantize.hpp"

namespace {

using level = quanta::isa::QUANTA_FUZZ_LEVEL;
using quanta::search;

template <class B, search How = search::reference>
void encode(const float* x, std::size_t count, void* out, const float* importance) {
  quanta::detail::quantize_row<level, How>(x, count, static_cast<B*>(out), importance);
}
template <class B>
void decode(const void* row, std::size_t count, float* values) {
  quanta::dequantize<level>(std::span(static_cast<const B*>(row), count), std::span(values, count * B::block_size));
}

/// One of them, since those of all would take minutes to compile.
template <class B>
inline constexpr bool searched_thoroughly = std::same_as<B, quanta::q4_0>;

template <class B>
constexpr fuzz::encoder_kernels kernels_of() {
  fuzz::encoder_kernels k{B::type, B::block_size, sizeof(B), encode<B>, nullptr, decode<B>};
  if constexpr (searched_thoroughly<B>)
    k.encode_thoroughly = encode<B, search::thorough>;
  return k;
}
template <class... B>
constexpr auto table_of(quanta::type_list<B...>) {
  return std::array{kernels_of<B>()...};
}

} // namespace

template <>
std::span<const fuzz::encoder_kernels> fuzz::encoders_at<level>() {
  static constexpr auto table = table_of(quanta::block_formats{});
  return table;
}
