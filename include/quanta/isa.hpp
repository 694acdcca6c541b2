// Instruction-set levels as types: every kernel is a template on one, so code of two levels never shares a symbol.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace quanta::isa {

/// The levels at run time, the faster ones last. A CPU that has avx2 or avx512 has what is before it but avx_vnni, which some
/// CPUs with AVX-512 do not have.
enum class level : std::uint8_t { portable, x86_64_v2, avx2, avx_vnni, avx512 };

/// Standard C++ only: correct everywhere, and the meaning that the other levels are tested against.
struct portable {
  static constexpr level value = level::portable;
  static constexpr std::string_view name = "portable";
};
/// SSE up to 4.2: every x86 server since 2009.
struct x86_64_v2 {
  static constexpr level value = level::x86_64_v2;
  static constexpr std::string_view name = "x86_64_v2";
};
/// AVX2, FMA and F16C (x86-64-v3).
struct avx2 {
  static constexpr level value = level::avx2;
  static constexpr std::string_view name = "avx2";
};
/// AVX2, the products of bytes of AVX-VNNI and the bit matrices of GFNI: client cores since 2021, which have no AVX-512.
struct avx_vnni {
  static constexpr level value = level::avx_vnni;
  static constexpr std::string_view name = "avx_vnni";
};
/// AVX-512 F, BW, CD, DQ, VL (x86-64-v4) and VNNI.
struct avx512 {
  static constexpr level value = level::avx512;
  static constexpr std::string_view name = "avx512";
};

constexpr std::string_view name(level which) {
  constexpr std::array names{portable::name, x86_64_v2::name, avx2::name, avx_vnni::name, avx512::name};
  const auto index = static_cast<std::size_t>(which);
  return index < names.size() ? names[index] : "unknown";
}

} // namespace quanta::isa

#include "quanta/simd/native.hpp" // isa::native, isa::best()
