// What a failed call of the system is called here.
#pragma once

#include <cerrno>

#include "quanta/error.hpp"

namespace quanta::gguf {

/// The error of a call that failed with `reason` (errno): no_space, exists, bad_path, not_regular, out_of_memory or io_error.
constexpr error system_error(int reason, std::string_view subject, std::uint64_t offset = error::nowhere) {
  const errc why = reason == ENOSPC || reason == EDQUOT || reason == EFBIG ? errc::no_space
                   : reason == EEXIST                                      ? errc::exists
                   : reason == ENAMETOOLONG                                ? errc::bad_path
                   : reason == EISDIR                                      ? errc::not_regular
                   : reason == ENOMEM                                      ? errc::out_of_memory
                                                                           : errc::io_error;
  return error(why, offset, subject, reason);
}

} // namespace quanta::gguf
