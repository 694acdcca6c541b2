// Many small reads of a source as few large ones.
#pragma once

#include <algorithm>
#include <mutex>
#include <vector>

#include "quanta/gguf/source.hpp"

namespace quanta::gguf {

/// Keeps the last stretch that was read: tensors of a few values lie beside each other, and a call of the system for each takes
/// longer than the work on them. Large reads pass through.
class window_source final : public source {
public:
  explicit window_source(std::shared_ptr<const source> from) : from_(std::move(from)) {}
  std::uint64_t size() const override { return from_->size(); }
  result<void> read(std::uint64_t offset, std::span<std::byte> out) const override {
    if (out.size() > width / 4 || offset > size() || out.size() > size() - offset)
      return from_->read(offset, out);
    const std::lock_guard mine(busy_);
    if (offset < begin_ || offset + out.size() > begin_ + window_.size()) {
      window_.resize(static_cast<std::size_t>(std::min<std::uint64_t>(width, size() - offset)));
      begin_ = offset;
      if (const auto done = from_->read(offset, window_); !done) {
        window_.clear();
        // a file that was cut further on may still have these bytes
        return done.error().code == errc::truncated ? from_->read(offset, out) : done;
      }
    }
    std::copy_n(window_.data() + (offset - begin_), out.size(), out.data());
    return {};
  }

private:
  static constexpr std::size_t width = std::size_t{1} << 18;

  std::shared_ptr<const source> from_;
  mutable std::mutex busy_;
  mutable std::vector<std::byte> window_;
  mutable std::uint64_t begin_ = 0;
};

} // namespace quanta::gguf
