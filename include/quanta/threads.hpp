// A parallel_for over std::thread, for callers that have no thread pool of their own.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

namespace quanta {

/// Shares work among `count` threads, the calling one included. The others are started by the first call that needs them,
/// wait without using the CPU, and live as long as this object: keep it, since starting a thread takes longer than a small
/// product. Pass it where an operation takes a parallel_for. Called from within its own work, or by two threads at once, it
/// does the work of the later call in the calling thread.
class threads {
public:
  /// 0 means as many as the machine has.
  explicit threads(std::size_t count = 0) : count_(count ? count : std::thread::hardware_concurrency()) {
    if (count_ == 0)
      count_ = 1;
  }
  threads(const threads&) = delete;
  threads& operator=(const threads&) = delete;
  ~threads() {
    stopping_ = true;
    announce();
    for (std::thread& worker : workers_)
      worker.join();
  }
  std::size_t count() const { return count_; }

  /// Calls fn(begin, end) on a partition of 0 .. n; the pieces go to whichever thread is free.
  template <class F>
  void operator()(std::size_t n, F&& fn) const {
    const std::unique_lock mine(busy_, std::try_to_lock);
    if (n <= 1 || count_ == 1 || !mine) {
      if (n > 0)
        fn(std::size_t{0}, n);
      return;
    }
    while (workers_.size() + 1 < count_)
      workers_.emplace_back([this] { serve(); });
    using callee = std::remove_reference_t<F>;
    work_ = {[](const void* f, std::size_t begin, std::size_t end) {
               (*static_cast<callee*>(const_cast<void*>(f)))(begin, end);
             },
             std::addressof(fn), n, (n + count_ * 8 - 1) / (count_ * 8)};
    next_.store(0, std::memory_order_relaxed);
    running_.store(workers_.size(), std::memory_order_relaxed);
    announce();
    const finish all{running_}; // also when fn throws
    take_pieces();
  }

private:
  struct work {
    void (*call)(const void* f, std::size_t begin, std::size_t end);
    const void* f;
    std::size_t count, piece;
  };
  struct finish {
    std::atomic<std::size_t>& running;
    ~finish() {
      for (std::size_t left; (left = running.load(std::memory_order_acquire)) != 0;)
        running.wait(left, std::memory_order_acquire);
    }
  };

  void announce() const {
    round_.fetch_add(1, std::memory_order_release);
    round_.notify_all();
  }
  void take_pieces() const {
    for (std::size_t begin; (begin = next_.fetch_add(work_.piece, std::memory_order_relaxed)) < work_.count;)
      work_.call(work_.f, begin, work_.count - begin < work_.piece ? work_.count : begin + work_.piece);
  }
  /// Each round is served by every worker before the next one begins.
  void serve() const {
    for (std::uint32_t seen = 0;; ++seen) {
      round_.wait(seen, std::memory_order_acquire);
      if (stopping_)
        return;
      take_pieces();
      if (running_.fetch_sub(1, std::memory_order_acq_rel) == 1)
        running_.notify_one();
    }
  }

  std::size_t count_;
  bool stopping_ = false; ///< written before the round that tells of it
  mutable std::mutex busy_;
  mutable std::vector<std::thread> workers_;
  mutable work work_{};
  mutable std::atomic<std::size_t> next_{0}, running_{0};
  mutable std::atomic<std::uint32_t> round_{0};
};

} // namespace quanta
