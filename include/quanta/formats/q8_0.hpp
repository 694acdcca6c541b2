// Q8_0: 8.5 bits a weight, x = d * q, 34 bytes for 32 weights: int8_block<32>.
//
//   0  d     half
//   2  qs    32 signed bytes in order
//
// Good: practically lossless, and the activations that the 32-value formats are multiplied with. Bad: size.
#pragma once

#include "quanta/formats/int8_block.hpp"

namespace quanta {

using q8_0 = int8_block<32>;
static_assert(sizeof(q8_0) == row_bytes(tensor_type::q8_0, q8_0::block_size));

} // namespace quanta
