// Errors of the second tier: a caller's mistake. Checked in release builds too, at one compare a row call.
#pragma once

#include <cstdlib>

#include "quanta/atomic.hpp"
#include "quanta/isa.hpp"

namespace quanta {

/// A precondition that did not hold.
struct contract_violation {
  const char* condition; ///< the text of the condition
  const char* file;
  int line;
};

/// What is called on a violation. It may log and end the program; when it returns, the program is aborted all the same,
/// since going on would read or write outside a span.
using contract_handler = void (*)(const contract_violation&) noexcept;

namespace detail {
inline constinit atomic<contract_handler> current_contract_handler{};

// A template on the level, so that the code of one level cannot stand in for another's where two are linked together.
template <class Level>
[[noreturn]] inline void violate(const char* condition, const char* file, int line) noexcept {
  if (const contract_handler handler = current_contract_handler.load())
    handler({condition, file, line});
  std::abort();
}
} // namespace detail

/// Replaces the handler for the whole program and returns the one before (null: plain abort).
inline contract_handler set_contract_handler(contract_handler handler) noexcept {
  return detail::current_contract_handler.exchange(handler);
}

} // namespace quanta

/// A macro, because the text of the condition and its place have to reach the handler.
#define QUANTA_EXPECTS(condition)                                                                                              \
  (static_cast<bool>(condition) ? static_cast<void>(0)                                                                         \
                                : ::quanta::detail::violate<::quanta::isa::native>(#condition, __FILE__, __LINE__))
