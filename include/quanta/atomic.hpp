// What quanta needs of std::atomic, from the compiler's built-ins: <atomic> is a fifth of the time that all of quanta compiles
// in, since it brings along std::string, locales and std::system_error.
#pragma once

namespace quanta::detail {

/// A pointer or an integer. What is written before a store is seen after the load that reads it.
template <class T>
class atomic {
public:
  [[gnu::always_inline]] T load() const noexcept { return __atomic_load_n(&value_, __ATOMIC_ACQUIRE); }
  [[gnu::always_inline]] void store(T value) noexcept { __atomic_store_n(&value_, value, __ATOMIC_RELEASE); }
  [[gnu::always_inline]] T exchange(T value) noexcept { return __atomic_exchange_n(&value_, value, __ATOMIC_ACQ_REL); }
  /// Stores `value` if it finds `expected`; whether it did.
  [[gnu::always_inline]] bool replace(T expected, T value) noexcept {
    return __atomic_compare_exchange_n(&value_, &expected, value, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
  }

private:
  T value_{};
};

} // namespace quanta::detail
