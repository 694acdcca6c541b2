// How encoders choose scales and codes: an option of `quantize`, and of kernels chosen at run time.
#pragma once

#include <cstdint>

namespace quanta {

enum class search : std::uint8_t {
  /// Byte for byte what the reference implementation of the formats writes.
  reference,
  /// The least weighted error that a search of some hundred steps a value finds: sum w (x - decoded)^2, w the importance of
  /// the column, or 1 where none is given. Never more than the reference's, block by block. Which errors the search itself
  /// counts more than others, docs/thorough.md says; formats without such a search are encoded as by `reference`.
  thorough,
};

} // namespace quanta
