// What the targets share: a fuzzer's bytes taken apart into numbers and texts, and how a broken promise ends a run.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

/// Called by the address sanitizer. Freed memory is kept apart up to this size; the usual 256 MB make a run three times as
/// long. Not inline, to win over the sanitizer's own: one source of a program includes this.
extern "C" const char* __asan_default_options() { return "quarantine_size_mb=4"; }

namespace fuzz {

inline void expect(bool holds, std::string_view subject, const char* what) {
  if (holds)
    return;
  std::fprintf(stderr, "%.*s: %s\n", static_cast<int>(subject.size()), subject.data(), what);
  std::abort();
}
/// Any NaN is as good as any other.
inline bool same_bits(float a, float b) {
  return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b) || (a != a && b != b);
}
inline bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size())
    return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (!same_bits(a[i], b[i]))
      return false;
  return true;
}

/// The bytes, front to back. Behind the last of them the first come again, so that few bytes fill a long row.
class input {
public:
  input(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}

  bool empty() const { return size_ == 0; }
  /// Whether every byte was taken once.
  bool used_up() const { return taken_ >= size_; }
  std::uint8_t byte() { return size_ == 0 ? std::uint8_t{0} : data_[taken_++ % size_]; }
  template <class T>
  requires std::is_trivially_copyable_v<T> T take() {
    std::uint8_t bytes[sizeof(T)];
    for (std::uint8_t& b : bytes)
      b = byte();
    T value;
    std::memcpy(static_cast<void*>(&value), bytes, sizeof(T));
    return value;
  }
  template <class T>
  std::vector<T> take(std::size_t count) {
    std::vector<T> values(count);
    for (T& v : values)
      v = take<T>();
    return values;
  }
  bool flag() { return byte() % 2 != 0; }
  /// 0 .. most, which is below 255.
  std::size_t up_to(std::size_t most) { return byte() % (most + 1); }
  std::string text(std::size_t most) {
    std::string s(up_to(most), '\0');
    for (char& c : s)
      c = static_cast<char>(byte());
    return s;
  }
  /// One of three kinds of numbers: any bits at all; any bits of one magnitude; bytes times a power of two, whose rows have
  /// many ties and zeros.
  std::vector<float> floats(std::size_t count) {
    const std::uint8_t kind = byte();
    const int exponent = static_cast<std::int8_t>(byte());
    if (kind % 3 == 0)
      return take<float>(count);
    std::vector<float> x(count);
    for (float& v : x)
      v = kind % 3 == 1 ? std::ldexp(static_cast<float>(take<std::int16_t>()), exponent - 15)
                        : std::ldexp(static_cast<float>(take<std::int8_t>()), exponent);
    return x;
  }

private:
  const std::uint8_t* data_;
  std::size_t size_, taken_ = 0;
};

} // namespace fuzz
