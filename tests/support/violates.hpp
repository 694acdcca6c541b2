// Contract violations, seen from outside.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include "quanta/contract.hpp"

/// How a child that runs f ends: 0, or 42 from the handler; other numbers from sanitizers, -1 by a signal or after 20 seconds.
template <class F>
int outcome(F f) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(20);
    quanta::set_contract_handler([](const quanta::contract_violation& v) noexcept { ::_exit(v.line > 0 ? 42 : 1); });
    f();
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
/// Whether f violates a contract.
template <class F>
bool violates(F f) {
  return outcome(f) == 42;
}
/// Whether f does what it should, without a violation or worse.
template <class F>
bool works(F f) {
  return outcome(f) == 0;
}
