// Q4_1: 5 bits a weight, x = d * q + m, 20 bytes for 32 weights.
//
//   0  d     half
//   2  m     half, the smallest weight of the block
//   4  qs    16 bytes, nibbles as in q4_0
//
// Good: blocks that are not centred on zero. Bad: half a bit more than q4_k for more error.
#pragma once

#include "quanta/formats/linear_block.hpp"

namespace quanta {

using q4_1 = linear_block<4, 32, affine>;
static_assert(sizeof(q4_1) == row_bytes(tensor_type::q4_1, q4_1::block_size));

} // namespace quanta
