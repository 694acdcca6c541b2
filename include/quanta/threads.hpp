// A parallel_for over threads of its own, for callers that have no thread pool.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <pthread.h>

#include "quanta/sizes.hpp"

namespace quanta {

/// Shares work among `count` threads, the calling one included. The others are started by the first call that needs them,
/// wait without using the CPU, and live as long as this object: keep it, since starting a thread takes longer than a small
/// product. Where the system starts no more of them, those that run do all the work. Pass it where an operation takes a
/// parallel_for. Called from within its own work, or by two threads at once, it does the work of the later call in the
/// calling thread.
class threads {
public:
  static constexpr std::size_t most = 1024;

  /// 0 means as many as the machine has; more than `most` are `most`.
  explicit threads(std::size_t count = 0) : count_(count ? count : std::thread::hardware_concurrency()) {
    count_ = std::clamp(count_, std::size_t{1}, most);
    workers_.reserve(count_ - 1);
  }
  threads(const threads&) = delete;
  threads& operator=(const threads&) = delete;
  ~threads() {
    stopping_ = true;
    announce();
    for (const pthread_t worker : workers_)
      ::pthread_join(worker, nullptr);
  }
  std::size_t count() const { return count_; }

  /// Calls fn(begin, end) on a partition of 0 .. n; the pieces go to whichever thread is free. The first exception that fn
  /// throws is thrown on when all pieces that were begun have ended; no others are begun after it.
  template <class F>
  void operator()(std::size_t n, F&& fn) const {
    const std::unique_lock mine(busy_, std::try_to_lock);
    if (n <= 1 || count_ == 1 || !mine) {
      if (n > 0)
        fn(std::size_t{0}, n);
      return;
    }
    if (!started_)
      start();
    using callee = std::remove_reference_t<F>;
    const std::size_t piece = detail::pieces_of(n, count_ * 8);
    work_ = {
        [](const void* f, std::size_t begin, std::size_t end) { (*static_cast<callee*>(const_cast<void*>(f)))(begin, end); },
        std::addressof(fn), n, piece, detail::pieces_of(n, piece)};
    next_.store(0, std::memory_order_relaxed);
    running_.store(workers_.size(), std::memory_order_relaxed);
    announce();
    take_pieces();
    for (std::size_t left; (left = running_.load(std::memory_order_acquire)) != 0;)
      running_.wait(left, std::memory_order_acquire);
    if (failed_.exchange(false, std::memory_order_relaxed))
      std::rethrow_exception(std::exchange(failure_, nullptr));
  }

private:
  struct work {
    void (*call)(const void* f, std::size_t begin, std::size_t end);
    const void* f;
    std::size_t count, piece, pieces;
  };
  void announce() const {
    round_.fetch_add(1, std::memory_order_release);
    round_.notify_all();
  }
  /// pthread_create says that it failed without an exception; a failure is for good, since each trial takes a while.
  void start() const {
    started_ = true;
    for (pthread_t worker; workers_.size() + 1 < count_; workers_.push_back(worker))
      if (::pthread_create(&worker, nullptr, &serve, const_cast<threads*>(this)) != 0)
        return;
  }
  void take_pieces() const {
#if defined(__cpp_exceptions)
    try {
      call_pieces();
    } catch (...) {
      if (!failed_.exchange(true, std::memory_order_relaxed))
        failure_ = std::current_exception();
      next_.store(work_.pieces, std::memory_order_relaxed);
    }
#else
    call_pieces();
#endif
  }
  /// Pieces are counted, not items: adding to a count of items near 2^64 would begin again at 0.
  void call_pieces() const {
    for (std::size_t i; (i = next_.fetch_add(1, std::memory_order_relaxed)) < work_.pieces;)
      work_.call(work_.f, i * work_.piece, i + 1 < work_.pieces ? (i + 1) * work_.piece : work_.count);
  }
  /// Each round is served by every worker before the next one begins.
  static void* serve(void* self) {
    const threads& all = *static_cast<const threads*>(self);
    for (std::uint32_t seen = 0;; ++seen) {
      all.round_.wait(seen, std::memory_order_acquire);
      if (all.stopping_)
        return nullptr;
      all.take_pieces();
      if (all.running_.fetch_sub(1, std::memory_order_acq_rel) == 1)
        all.running_.notify_one();
    }
  }

  std::size_t count_;
  bool stopping_ = false; ///< written before the round that tells of it
  mutable std::mutex busy_;
  mutable bool started_ = false;
  mutable std::vector<pthread_t> workers_; ///< room for all from the start
  mutable work work_{};
  mutable std::atomic<std::size_t> next_{0}, running_{0};
  mutable std::atomic<std::uint32_t> round_{0};
  mutable std::atomic<bool> failed_{false};
  mutable std::exception_ptr failure_; ///< written by the thread that set failed_, before it has served its round
};

} // namespace quanta
