// How encoders choose scales and codes: an option of `quantize`, and of kernels chosen at run time.
#pragma once

#include <cstdint>

namespace quanta {

enum class search : std::uint8_t {
  /// Byte for byte what the reference implementation of the formats writes.
  reference,
  /// The least weighted error that a search of about 100 times the reference's steps finds: sum w (x - decoded)^2, w the
  /// importance of the column, or 1 where none is given. Never more than the reference's, block by block. Formats that
  /// have no such search (activations, and those that docs/thorough.md does not list) are encoded as by `reference`.
  thorough,
};

} // namespace quanta
