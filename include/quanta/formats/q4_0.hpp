// Q4_0: 4.5 bits a weight, x = d * (q - 8), 18 bytes for 32 weights.
//
//   0  d     half
//   2  qs    16 bytes: byte j holds weight j in the low nibble, weight j + 16 in the high one
//
// Good: smallest and fastest of the plain 4-bit types. Bad: one scale for 32 weights and no offset; q4_k loses a fifth less
// at the same size.
#pragma once

#include "quanta/formats/linear_block.hpp"

namespace quanta {

using q4_0 = linear_block<4, 32>;
static_assert(sizeof(q4_0) == row_bytes(tensor_type::q4_0, q4_0::block_size));

} // namespace quanta
