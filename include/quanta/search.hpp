// How encoders choose scales and codes: an option of `quantize`, and of kernels chosen at run time.
#pragma once

#include <cstdint>

namespace quanta {

enum class search : std::uint8_t {
  /// Byte for byte what the reference implementation of the formats writes.
  reference,
  /// The least weighted error that a search of some hundred steps a value finds: sum w (x - decoded)^2, w the importance of
  /// the column or, where none is given, sqrt(1 + x^2 / mean x^2 of the block). Never more than the reference's, block by
  /// block; without importance the plain squared error is never more either. Formats without such a search
  /// (docs/thorough.md lists those that have one) are encoded as by `reference`.
  thorough,
};

} // namespace quanta
