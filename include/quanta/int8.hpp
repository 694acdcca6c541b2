// TensorFlow Lite's int8 scheme, all of it: parameters, quantize and dequantize, requantization, fully connected layers.
#pragma once

#include "quanta/int8/fully_connected.hpp"
#include "quanta/int8/parameters.hpp"
#include "quanta/int8/quantize.hpp"
#include "quanta/int8/requantize.hpp"
