// A parallel_for over std::thread, for callers that have no thread pool of their own.
#pragma once

#include <atomic>
#include <cstddef>
#include <thread>
#include <vector>

namespace quanta {

/// Shares work among `count` threads, the calling one included; they live as long as the call. Pass it where an operation
/// takes a parallel_for.
class threads {
public:
  /// 0 means as many as the machine has.
  explicit threads(std::size_t count = 0) : count_(count ? count : std::thread::hardware_concurrency()) {
    if (count_ == 0)
      count_ = 1;
  }
  std::size_t count() const { return count_; }

  /// Calls fn(begin, end) on a partition of 0 .. n; the pieces go to whichever thread is free.
  template <class F>
  void operator()(std::size_t n, F&& fn) const {
    const std::size_t workers = n < count_ ? n : count_;
    if (workers <= 1) {
      if (n > 0)
        fn(std::size_t{0}, n);
      return;
    }
    const std::size_t piece = (n + workers * 8 - 1) / (workers * 8);
    std::atomic<std::size_t> next{0};
    const auto work = [&] {
      for (std::size_t begin = next.fetch_add(piece); begin < n; begin = next.fetch_add(piece))
        fn(begin, begin + piece < n ? begin + piece : n);
    };
    std::vector<std::thread> others;
    others.reserve(workers - 1);
    for (std::size_t i = 1; i < workers; ++i)
      others.emplace_back(work);
    work();
    for (std::thread& other : others)
      other.join();
  }

private:
  std::size_t count_;
};

} // namespace quanta
