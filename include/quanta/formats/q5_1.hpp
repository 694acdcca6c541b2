// Q5_1: 6 bits a weight, x = d * q + m, 24 bytes for 32 weights.
//
//   0  d     half
//   2  m     half
//   4  qh    u32: bit i is bit 4 of the code of weight i
//   8  qs    16 bytes: byte j holds the low bits of weight j in the low nibble, of weight j + 16 in the high one
//
// Good: the fallback of q5_k for rows that are no multiple of 256; an offset for skewed weights. Bad: q5_k is smaller and
// as exact.
#pragma once

#include "quanta/formats/linear_block.hpp"

namespace quanta {

using q5_1 = linear_block<5, 32, affine>;
static_assert(sizeof(q5_1) == row_bytes(tensor_type::q5_1, q5_1::block_size));

} // namespace quanta
