// The scales of a super-block on their way from its bytes to a register.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace quanta::simd {

/// 16 signed bytes in two general registers, byte 0 lowest: built by shifts and masks, moved to a vector without a detour
/// through memory, whose narrow stores a wide load would have to wait for.
struct small_integers {
  std::uint64_t low = 0, high = 0;

  constexpr std::int8_t operator[](std::size_t i) const {
    return static_cast<std::int8_t>((i < 8 ? low : high) >> 8 * (i % 8));
  }
  constexpr std::array<std::uint8_t, 16> bytes() const {
    std::array<std::uint8_t, 16> all{};
    if constexpr (std::endian::native == std::endian::little)
      all = std::bit_cast<std::array<std::uint8_t, 16>>(*this);
    else
      for (std::size_t i = 0; i < 16; ++i)
        all[i] = static_cast<std::uint8_t>((*this)[i]);
    return all;
  }
};

/// n as it was built. From three words of scales clang would build the vector itself, from a dozen pieces: dot of q3_K is a
/// quarter faster so, while GCC, which builds scalars, loses by the fence.
[[gnu::always_inline]] constexpr small_integers built_in_general_registers(small_integers n) {
#if defined(__clang__) && defined(__x86_64__)
  if (!std::is_constant_evaluated())
    asm("" : "+r"(n.low), "+r"(n.high));
#endif
  return n;
}

} // namespace quanta::simd
