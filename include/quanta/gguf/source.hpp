// Where the bytes of a model file come from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "quanta/gguf/system_error.hpp"

namespace quanta::gguf {

/// Bytes at offsets. Reading past the end is an error, never a short read.
class source {
public:
  virtual ~source() = default;
  virtual std::uint64_t size() const = 0;
  /// Fills `out` with the bytes from `offset` on. May be called from several threads.
  virtual result<void> read(std::uint64_t offset, std::span<std::byte> out) const = 0;
};

/// Bytes in memory, not owned.
class memory_source final : public source {
public:
  explicit memory_source(std::span<const std::byte> bytes) : bytes_(bytes) {}
  std::uint64_t size() const override { return bytes_.size(); }
  result<void> read(std::uint64_t offset, std::span<std::byte> out) const override {
    if (offset > bytes_.size() || out.size() > bytes_.size() - offset)
      return error(errc::truncated, offset);
    if (!out.empty())
      std::memcpy(out.data(), bytes_.data() + offset, out.size());
    return {};
  }

private:
  std::span<const std::byte> bytes_;
};

/// A regular file, read with pread: a file that is cut while it is read is an error, not a signal.
class file_source final : public source {
public:
  static result<std::shared_ptr<const file_source>> open(const std::string& path) {
    if (path.empty() || path.find('\0') != std::string::npos)
      return error(errc::bad_path, error::nowhere, path);
    // Without O_NONBLOCK, opening a FIFO would wait for its writer.
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0)
      return system_error(errno, path);
    auto file = std::shared_ptr<file_source>(new file_source(descriptor));
    struct stat status {};
    if (::fstat(descriptor, &status) != 0)
      return system_error(errno, path);
    if (!S_ISREG(status.st_mode))
      return error(errc::not_regular, error::nowhere, path, S_ISDIR(status.st_mode) ? EISDIR : 0);
    file->size_ = static_cast<std::uint64_t>(status.st_size);
    file->device_ = status.st_dev;
    file->inode_ = status.st_ino;
    return std::shared_ptr<const file_source>(std::move(file));
  }
  file_source(const file_source&) = delete;
  file_source& operator=(const file_source&) = delete;
  ~file_source() override { ::close(descriptor_); }

  std::uint64_t size() const override { return size_; }
  result<void> read(std::uint64_t offset, std::span<std::byte> out) const override {
    while (!out.empty()) {
      const ssize_t count = ::pread(descriptor_, out.data(), out.size(), static_cast<off_t>(offset));
      if (count < 0 && errno == EINTR)
        continue;
      if (count < 0)
        return system_error(errno, {}, offset);
      if (count == 0) // cut since it was opened, or a bound that the caller did not check
        return error(errc::truncated, offset);
      offset += static_cast<std::uint64_t>(count);
      out = out.subspan(static_cast<std::size_t>(count));
    }
    return {};
  }
  /// Whether `path` names this very file, under whatever name or link.
  bool is_same_file(const std::string& path) const {
    struct stat status {};
    return ::stat(path.c_str(), &status) == 0 && status.st_dev == device_ && status.st_ino == inode_;
  }

private:
  explicit file_source(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
  std::uint64_t size_ = 0;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

} // namespace quanta::gguf
