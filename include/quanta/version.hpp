// The version of the library; the build reads it from here.
#pragma once

namespace quanta {

inline constexpr int version_major = 0;
inline constexpr int version_minor = 1;
inline constexpr int version_patch = 0;

} // namespace quanta
