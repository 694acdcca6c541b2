// How the tool ends, whatever happens: an exit code, and a line that says why.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>
#include <stdexcept>
#include <system_error>

#include "common.hpp"
#include "signals.hpp"

namespace tool {

/// Without a word of memory to spare.
inline int report_no_memory() noexcept {
  std::fputs("quanta: memory: out_of_memory\n", stderr);
  return failure;
}

/// An exception that nothing can catch ends the process here, even one before main(): include this header first.
inline const std::terminate_handler usual_terminate = std::set_terminate([] {
  removed_on_signal::remove_files();
  std::_Exit(report_no_memory());
});

/// A standard stream that is closed would be the next file that is opened: what is printed would go into a model. Writing to
/// what takes its place fails.
inline void fill_standard_streams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(stream, F_GETFD) < 0 && errno == EBADF && ::open("/", O_RDONLY) != stream)
      std::_Exit(failure);
}

/// Throws std::system_error, as fmt::print does, if something that was printed is lost.
inline void flush_stdout() {
  errno = 0;
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0)
    throw std::system_error(errno, std::generic_category());
}

/// Runs a command, and makes an exit code of what it returns or throws.
template <class Command>
int outcome_of(Command&& command) {
  int code = failure;
  try {
    code = command();
    flush_stdout();
  } catch (const std::system_error& e) { // only printing throws it
    code = report("stdout", quanta::gguf::system_error(e.code().value(), {}));
  } catch (const std::bad_alloc&) {
    code = report_no_memory();
  } catch (const std::length_error&) { // a size that no memory has
    code = report_no_memory();
  } catch (const std::exception& e) {
    complain("internal_error: {}", escaped(e.what()));
    code = failure;
  }
  return code == success && std::ferror(stderr) != 0 ? failure : code;
}

} // namespace tool
