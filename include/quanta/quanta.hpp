// The core of quanta, all of it: formats, quantize, dequantize, dot, gemv, pack and gemm, error_report, int8. Needs xsimd only.
#pragma once

#include "quanta/contract.hpp"
#include "quanta/dequantize.hpp"
#include "quanta/dot.hpp"
#include "quanta/error.hpp"
#include "quanta/error_report.hpp"
#include "quanta/float16.hpp"
#include "quanta/format.hpp"
#include "quanta/formats.hpp"
#include "quanta/int8.hpp"
#include "quanta/isa.hpp"
#include "quanta/matrix.hpp"
#include "quanta/packed/gemm.hpp"
#include "quanta/quantize.hpp"
#include "quanta/tensor_type.hpp"
#include "quanta/version.hpp"
