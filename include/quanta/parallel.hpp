// What operations take as their parallel_for: anything that calls fn(begin, end) on a partition of 0 .. count.
#pragma once

#include <cstddef>
#include <type_traits>

#include "quanta/sizes.hpp"

namespace quanta {

/// Work without threads: what `parallel_for` arguments default to.
struct serial {
  /// Calls fn(begin, end) on a partition of 0 .. count.
  template <class F>
  void operator()(std::size_t count, F&& fn) const {
    if (count > 0)
      fn(std::size_t{0}, count);
  }
};

/// A parallel_for of any type, which must outlive this: what crosses a function pointer.
class parallel_reference {
public:
  template <class Parallel>
    requires(!std::is_same_v<std::remove_cvref_t<Parallel>, parallel_reference>)
  parallel_reference(Parallel&& parallel_for)
      : parallel_for_(&parallel_for), run_([](const void* p, std::size_t count, piece call, const void* f) {
          (*static_cast<std::remove_reference_t<Parallel>*>(const_cast<void*>(p)))(
              count, [call, f](std::size_t begin, std::size_t end) { call(f, begin, end); });
        }) {}

  template <class F>
  [[gnu::always_inline]] void operator()(std::size_t count, F&& fn) const {
    using callee = std::remove_reference_t<F>;
    run_(parallel_for_, count, [](const void* f, std::size_t begin, std::size_t end) {
      (*static_cast<callee*>(const_cast<void*>(f)))(begin, end);
    }, &fn);
  }

private:
  using piece = void (*)(const void* f, std::size_t begin, std::size_t end);
  const void* parallel_for_;
  void (*run_)(const void* parallel_for, std::size_t count, piece call, const void* f);
};

namespace detail {
/// Calls f(begin, end) on a partition of 0 .. count into stretches of `step`, through the caller's parallel_for. Expects that
/// its pieces lie in what it was given: f writes there.
template <class Parallel, class F>
[[gnu::always_inline]] inline void share(std::size_t count, std::size_t step, Parallel&& parallel_for, F&& f) {
  const std::size_t steps = pieces_of(count, step);
  parallel_for(steps, [&](std::size_t begin, std::size_t end) {
    QUANTA_EXPECTS(begin <= end && end <= steps);
    if (begin < end)
      f(begin * step, end < steps ? end * step : count);
  });
}
} // namespace detail

} // namespace quanta
