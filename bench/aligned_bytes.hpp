// Memory as an engine's allocator gives it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace bench {

/// Bytes that start at a multiple of 64.
class aligned_bytes {
public:
  explicit aligned_bytes(std::size_t size) : storage_(size + 63) {
    const auto address = reinterpret_cast<std::uintptr_t>(storage_.data());
    span_ = std::span(storage_).subspan((64 - address % 64) % 64, size);
  }
  aligned_bytes(const aligned_bytes&) = delete;
  std::span<std::byte> span() const { return span_; }

private:
  std::vector<std::byte> storage_;
  std::span<std::byte> span_;
};

} // namespace bench
