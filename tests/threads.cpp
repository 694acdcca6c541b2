// The parallel_for of quanta::threads: every piece once, whoever calls it from wherever.
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <new>
#include <stdexcept>
#include <thread>
#include <vector>

#include "quanta/parallel.hpp"
#include "quanta/threads.hpp"

namespace {

/// How often parallel_for visits each of `count` items.
template <class Parallel>
std::vector<int> visits(const Parallel& parallel_for, std::size_t count) {
  std::vector<std::atomic<int>> seen(count);
  parallel_for(count, [&](std::size_t begin, std::size_t end) {
    for (; begin < end; ++begin)
      ++seen[begin];
  });
  return {seen.begin(), seen.end()};
}

} // namespace

TEST_CASE("every item is visited once, call after call") {
  for (const std::size_t count : {1u, 2u, 5u}) {
    const quanta::threads parallel_for(count);
    CHECK(parallel_for.count() == count);
    for (int round = 0; round < 200; ++round)
      for (const std::size_t items : {0u, 1u, 2u, 7u, 1000u})
        REQUIRE(visits(parallel_for, items) == std::vector<int>(items, 1));
  }
  CHECK(quanta::threads().count() >= 1);
  CHECK(visits(quanta::parallel_reference(quanta::serial{}), 3) == std::vector<int>(3, 1));
}

TEST_CASE("work may share out work of its own") {
  const quanta::threads parallel_for(3);
  std::atomic<int> items = 0;
  parallel_for(10, [&](std::size_t begin, std::size_t end) {
    for (; begin < end; ++begin)
      parallel_for(5, [&](std::size_t first, std::size_t last) { items += static_cast<int>(last - first); });
  });
  CHECK(items == 50);
}

TEST_CASE("two threads may share one object") {
  const quanta::threads parallel_for(3);
  std::vector<std::thread> callers;
  std::atomic<int> wrong = 0;
  for (int caller = 0; caller < 2; ++caller)
    callers.emplace_back([&] {
      for (int round = 0; round < 200; ++round)
        wrong += visits(parallel_for, 100) != std::vector<int>(100, 1);
    });
  for (auto& caller : callers)
    caller.join();
  CHECK(wrong == 0);
}

TEST_CASE("the first exception of any thread reaches the caller when all pieces have ended") {
  const quanta::threads parallel_for(4);
  const auto caller = std::this_thread::get_id();
  for (const bool by_caller : {true, false}) {
    std::atomic<int> running = 0;
    bool thrown = false;
    for (int round = 0; round < 5000 && !thrown; ++round) // other threads may take all pieces
      try {
        parallel_for(100, [&](std::size_t, std::size_t) {
          ++running;
          std::this_thread::yield();
          --running;
          if ((std::this_thread::get_id() == caller) == by_caller)
            throw std::runtime_error("mine");
        });
      } catch (const std::runtime_error&) {
        thrown = true;
        CHECK(running == 0);
      }
    CHECK(thrown);
    CHECK(visits(parallel_for, 100) == std::vector<int>(100, 1)); // and nothing of it is left
  }
}

TEST_CASE("every thread may throw") {
  const quanta::threads parallel_for(3);
  for (int round = 0; round < 200; ++round)
    CHECK_THROWS_AS(parallel_for(50, [](std::size_t, std::size_t) { throw std::bad_alloc(); }), std::bad_alloc);
  CHECK(visits(parallel_for, 100) == std::vector<int>(100, 1));
}

#if defined(__GLIBC__)
TEST_CASE("where no thread can be started, the caller does the work") {
  pthread_attr_t usual, huge;
  REQUIRE(::pthread_getattr_default_np(&usual) == 0);
  REQUIRE(::pthread_attr_init(&huge) == 0);
  REQUIRE(::pthread_attr_setstacksize(&huge, std::size_t{1} << 47) == 0); // more than the address space
  REQUIRE(::pthread_setattr_default_np(&huge) == 0);
  const quanta::threads parallel_for(4);
  const auto caller = std::this_thread::get_id();
  bool alone = true;
  for (int round = 0; round < 3; ++round)
    parallel_for(100, [&](std::size_t, std::size_t) { alone = alone && std::this_thread::get_id() == caller; });
  CHECK(alone);
  CHECK(visits(parallel_for, 100) == std::vector<int>(100, 1));
  CHECK(::pthread_setattr_default_np(&usual) == 0);
}
#endif
