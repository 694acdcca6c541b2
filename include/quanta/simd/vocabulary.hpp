// The words that xsimd lacks, one contract each. The portable text is the meaning of each word; an instruction-set file
// overrides what its instructions do better, with equal results for every input that the contract allows.
#pragma once

#include "quanta/simd/books.hpp"
#include "quanta/simd/codes.hpp"
#include "quanta/simd/floats.hpp"
