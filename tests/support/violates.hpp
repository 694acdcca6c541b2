// Contract violations, seen from outside.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include "quanta/contract.hpp"

/// Whether f violates a contract: run in a child that leaves with 42 from the handler.
template <class F>
bool violates(F f) {
  const pid_t child = ::fork();
  if (child == 0) {
    quanta::set_contract_handler([](const quanta::contract_violation& v) noexcept { ::_exit(v.line > 0 ? 42 : 1); });
    f();
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 42;
}
