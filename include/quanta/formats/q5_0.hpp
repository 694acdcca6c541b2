// Q5_0: 5.5 bits a weight, x = d * (q - 16), 22 bytes for 32 weights.
//
//   0  d     half
//   2  qh    32 bits: bit i is bit 4 of the code of weight i
//   6  qs    16 bytes, low nibbles as in q4_0
//
// Good: the fallback of q4_k where rows are no multiples of 256. Bad: larger than q5_k, which is also more exact.
#pragma once

#include "quanta/formats/linear_block.hpp"

namespace quanta {

using q5_0 = linear_block<5, 32>;
static_assert(sizeof(q5_0) == row_bytes(tensor_type::q5_0, q5_0::block_size));

} // namespace quanta
