// Preloaded into a program: lets one call of it fail, or raises a signal at it. QUANTA_FAIL holds the call's name, its count
// from 1, an errno or a negated signal, 1 if all later calls fail as well, and a descriptor that gets a byte when it happens.
#include <dlfcn.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

extern "C" void* __libc_malloc(std::size_t);

namespace {

struct {
  char call[32] = {};
  long count = 0;
  int error = 0, all_later = 0, told = -1;
} plan;
std::atomic<bool> ready{false}; ///< what runs before is the loader's
std::atomic<long> calls{0};

[[gnu::constructor]] void read_plan() {
  const char* text = std::getenv("QUANTA_FAIL");
  ready = text && std::sscanf(text, "%31s %ld %d %d %d", plan.call, &plan.count, &plan.error, &plan.all_later, &plan.told) == 5;
}

bool fails(const char* call) {
  if (!ready || std::strcmp(call, plan.call) != 0)
    return false;
  const long n = ++calls;
  if (n != plan.count && !(plan.all_later && n > plan.count))
    return false;
  if (n == plan.count)
    ::syscall(SYS_write, plan.told, "!", 1);
  if (plan.error < 0)
    ::raise(-plan.error);
  errno = plan.error;
  return plan.error > 0;
}

/// The function that this library hides.
template <class F>
F hidden(const char* name) {
  return reinterpret_cast<F>(::dlsym(RTLD_NEXT, name));
}

} // namespace

extern "C" {

void* malloc(std::size_t size) noexcept { return fails("malloc") ? nullptr : __libc_malloc(size); }
ssize_t write(int file, const void* bytes, std::size_t size) {
  static const auto next = hidden<decltype(&write)>("write");
  return file > 2 && fails("write") ? -1 : next(file, bytes, size);
}
ssize_t pread(int file, void* bytes, std::size_t size, off_t offset) {
  static const auto next = hidden<decltype(&pread)>("pread");
  return fails("pread") ? -1 : next(file, bytes, size, offset);
}
int fsync(int file) {
  static const auto next = hidden<decltype(&fsync)>("fsync");
  return fails("fsync") ? -1 : next(file);
}
int close(int file) {
  static const auto next = hidden<decltype(&close)>("close");
  const bool failed = fails("close"); // the file is closed all the same, as on Linux
  const int error = errno, closed = next(file);
  return failed ? (errno = error, -1) : closed;
}
int rename(const char* from, const char* to) noexcept {
  static const auto next = hidden<decltype(&rename)>("rename");
  return fails("rename") ? -1 : next(from, to);
}
int link(const char* from, const char* to) noexcept {
  static const auto next = hidden<decltype(&link)>("link");
  return fails("link") ? -1 : next(from, to);
}
int pthread_create(pthread_t* id, const pthread_attr_t* attributes, void* (*start)(void*), void* argument) noexcept {
  static const auto next = hidden<decltype(&pthread_create)>("pthread_create");
  return fails("pthread_create") ? EAGAIN : next(id, attributes, start, argument);
}

} // extern "C"
