// A file that appears under its name only when it is complete.
#pragma once

#include <cstdint>
#include <cstdio>
#include <span>
#include <string>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "quanta/gguf/system_error.hpp"

namespace quanta::gguf {

/// Written beside the target under a temporary name, synced, then renamed over it. On any error, and when it is destroyed
/// before `commit`, the temporary is removed and the target is as it was.
class atomic_file {
public:
  atomic_file() = default;
  atomic_file(const atomic_file&) = delete;
  atomic_file& operator=(const atomic_file&) = delete;
  ~atomic_file() { discard(); }

  /// Errors: exists (the target is there and may not be replaced), not_regular, bad_path, io_error, no_space.
  result<void> open(const std::string& target, bool overwrite) {
    if (target.empty() || target.find('\0') != std::string::npos)
      return error(errc::bad_path, error::nowhere, target);
    target_ = target;
    overwrite_ = overwrite;
    struct stat status {};
    if (::stat(target.c_str(), &status) == 0) {
      if (!S_ISREG(status.st_mode))
        return error(errc::not_regular, error::nowhere, target, S_ISDIR(status.st_mode) ? EISDIR : 0);
      if (!overwrite)
        return error(errc::exists, error::nowhere, target);
    }
    for (unsigned attempt = 0; attempt < 100; ++attempt) {
      char suffix[48];
      std::snprintf(suffix, sizeof suffix, ".%ld-%u.partial", static_cast<long>(::getpid()), attempt);
      temporary_ = target + suffix;
      descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
      if (descriptor_ >= 0)
        return {};
      if (errno != EEXIST)
        break;
    }
    temporary_.clear();
    return failure();
  }
  result<void> write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t count = ::write(descriptor_, bytes.data(), bytes.size());
      if (count < 0 && errno == EINTR)
        continue;
      if (count < 0)
        return failure();
      bytes = bytes.subspan(static_cast<std::size_t>(count));
    }
    return {};
  }
  /// Makes the file durable, then visible.
  result<void> commit() {
    if (::fsync(descriptor_) != 0)
      return failure();
    const int closed = ::close(descriptor_);
    descriptor_ = -1;
    if (closed != 0)
      return failure();
    // link() refuses an existing name, so that a file made meanwhile is not lost; some file systems have no links.
    if (!overwrite_ && ::link(temporary_.c_str(), target_.c_str()) == 0) {
      discard();
    } else {
      if (!overwrite_ && errno == EEXIST)
        return failure();
      if (::rename(temporary_.c_str(), target_.c_str()) != 0)
        return failure();
      temporary_.clear();
    }
    const std::size_t slash = target_.rfind('/');
    const std::string directory = slash == std::string::npos ? "." : target_.substr(0, slash + 1);
    if (const int parent = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); parent >= 0) {
      ::fsync(parent); // the rename itself; not every file system can, and the data is safe either way
      ::close(parent);
    }
    return {};
  }
  /// The name while it is written; empty before and after.
  const std::string& temporary_name() const { return temporary_; }

private:
  error failure() const { return system_error(errno, target_); }
  void discard() {
    if (descriptor_ >= 0)
      ::close(descriptor_);
    descriptor_ = -1;
    if (!temporary_.empty())
      ::unlink(temporary_.c_str());
    temporary_.clear();
  }

  std::string target_, temporary_;
  bool overwrite_ = false;
  int descriptor_ = -1;
};

} // namespace quanta::gguf
