// Looks for infinities and NaN in tensor data: in values, and in the scales of blocks.
#pragma once

#include "quanta/float16.hpp"
#include "quanta/gguf/reader.hpp"

namespace quanta::gguf {
namespace detail {

inline bool finite_half(const std::byte* p) {
  packed<std::uint16_t> h;
  std::memcpy(&h, p, 2);
  return (h & 0x7C00u) != 0x7C00u;
}
template <class Word>
bool finite_bits(const std::byte* p, Word exponent) {
  packed<Word> w;
  std::memcpy(&w, p, sizeof w);
  return (w.get() & exponent) != exponent;
}

/// Whether the numbers that multiply a block's codes are finite.
inline bool finite_block(const type_info& type, const std::byte* p) {
  switch (type.scales) {
  case scale_encoding::none:
  case scale_encoding::ue4m3:
    return true;
  case scale_encoding::value_f32:
    return finite_bits<std::uint32_t>(p, 0x7F800000u);
  case scale_encoding::value_f64:
    return finite_bits<std::uint64_t>(p, 0x7FF0000000000000u);
  case scale_encoding::value_f16:
    return finite_half(p);
  case scale_encoding::value_bf16:
    return finite_bits<std::uint16_t>(p, 0x7F80u);
  case scale_encoding::single:
    return finite_bits<std::uint32_t>(p + type.scale_offsets[0], 0x7F800000u);
  case scale_encoding::e8m0:
    return p[type.scale_offsets[0]] != std::byte{255};
  case scale_encoding::iq1_m: { // bits 10 to 14 of the half lie in the high nibbles of words 2 and 3
    const unsigned third = static_cast<unsigned>(p[53]) >> 4, fourth = static_cast<unsigned>(p[55]) >> 4;
    return !((third & 0xCu) == 0xCu && (fourth & 0x7u) == 0x7u);
  }
  case scale_encoding::half:
    for (const std::int16_t at : type.scale_offsets)
      if (at >= 0 && !finite_half(p + at))
        return false;
    return true;
  }
  return true;
}

} // namespace detail

/// The first of some whole blocks whose scale, or value, is not finite: its byte offset; empty if all are.
inline std::optional<std::size_t> find_nonfinite(const type_info& type, std::span<const std::byte> blocks) {
  QUANTA_EXPECTS(blocks.size() % type.block_bytes == 0);
  for (std::size_t at = 0; at < blocks.size(); at += type.block_bytes)
    if (!detail::finite_block(type, blocks.data() + at))
      return at;
  return std::nullopt;
}
/// What find_nonfinite found is a nonfinite_value in plain types, in others a nonfinite_scale.
inline errc nonfinite_error(const type_info& type) {
  return type.block_size == 1 ? errc::nonfinite_value : errc::nonfinite_scale;
}

/// Reads a tensor in pieces of about 1 MiB and checks every block. Errors: nonfinite_error, with the byte offset of the
/// block in the file; those of file::read.
inline result<void> validate_values(const file& from, const tensor_info& tensor) {
  const type_info* known = find_type(tensor.type);
  QUANTA_EXPECTS(known && tensor.bytes % known->block_bytes == 0);
  const type_info& type = *known;
  std::vector<std::byte> piece(static_cast<std::size_t>(
      std::min<std::uint64_t>(tensor.bytes, (std::size_t{1} << 20) / type.block_bytes * type.block_bytes)));
  for (std::uint64_t first = 0; first < tensor.bytes; first += piece.size()) {
    const auto part =
        std::span(piece).first(static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), tensor.bytes - first)));
    if (const auto done = from.read(tensor, first, part); !done)
      return done;
    if (const auto at = find_nonfinite(type, part))
      return error(nonfinite_error(type), from.data_offset() + tensor.offset + first + *at, tensor.name);
  }
  return {};
}

/// All tensors of a file.
inline result<void> validate_values(const file& from) {
  for (const tensor_info& tensor : from.tensors())
    if (const auto done = validate_values(from, tensor); !done)
      return done;
  return {};
}

} // namespace quanta::gguf
