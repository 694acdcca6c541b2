// TQ2_0: 2.0625 bits a weight, x = d * (q - 1), q in 0..2, 66 bytes for 256 weights.
//
//    0  qs    64 bytes: byte 32h + l holds weights 128h + l, + 32, + 64, + 96 from the low bits up
//   64  d     half
//
// Good: weights that were trained ternary (BitNet and its kin), exactly; the fastest of them. Bad: anything else. Code 3, which
// the encoder never writes, reads as 2 d.
#pragma once

#include "quanta/formats/super_block.hpp"

namespace quanta {

struct tq2_0 : detail::planar_super_block<tq2_0> {
  static constexpr std::size_t group_size = 256;
  static constexpr bool affine = false;
  static constexpr int code_offset = 1, levels = 4;
  static constexpr tensor_type type = tensor_type::tq2_0;
  static constexpr std::string_view name = "tq2_0";

  std::array<std::uint8_t, 64> qs;
  packed<f16> d;

  constexpr float scale(std::size_t) const { return static_cast<float>(d.get()); }
  constexpr float minimum(std::size_t) const { return 0.f; }
  constexpr int code(std::size_t i) const { return qs[i / 128 * 32 + i % 32] >> 2 * (i % 128 / 32) & 3; }
  static constexpr std::array<detail::bit_field, 1> fields(int portion) {
    return {{{portion / 4 * 32, portion % 4 * 2, 2, 0}}};
  }
  [[gnu::always_inline]] constexpr void assemble(f16 scale, const std::uint8_t* q) {
    d = scale;
    detail::assemble_crumb_plane<0>(qs, q);
  }
};
static_assert(sizeof(tq2_0) == row_bytes(tensor_type::tq2_0, tq2_0::block_size));

} // namespace quanta
