// A file that appears under its name only when it is complete.
#pragma once

#include <span>
#include <string>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "quanta/gguf/temporary_name.hpp"

namespace quanta::gguf {

/// Written beside the target under a temporary name, synced, then renamed over it. On any error, and when it is destroyed
/// before it is published, the temporary is removed and the target is as it was. A target that is a symbolic link is
/// written through. A file that is replaced hands on its permissions, and its owner where the system allows it.
class atomic_file {
public:
  atomic_file() = default;
  atomic_file(atomic_file&& other) noexcept { swap(other); }
  atomic_file& operator=(atomic_file&& other) noexcept {
    atomic_file(std::move(other)).swap(*this);
    return *this;
  }
  ~atomic_file() { discard(); }

  /// Creates the temporary. Errors: exists (the target is there and may not be replaced), not_regular, bad_path, io_error,
  /// no_space.
  result<void> open(const std::string& target, bool overwrite) {
    discard();
    if (target.empty() || target.find('\0') != std::string::npos)
      return error(errc::bad_path, error::nowhere, target);
    struct stat replaced {};
    const bool present = ::stat(target.c_str(), &replaced) == 0;
    if (!present && errno != ENOENT)
      return system_error(errno, target);
    if (present && !S_ISREG(replaced.st_mode))
      return error(errc::not_regular, error::nowhere, target, S_ISDIR(replaced.st_mode) ? EISDIR : 0);
    if (present && !overwrite)
      return system_error(EEXIST, target);
    overwrite_ = overwrite;
    auto end = detail::end_of_links(target);
    if (!end)
      return end.error();
    target_.swap(*end);
    directory_ = detail::directory_of(target_);
    if (present && is_protected(replaced))
      return system_error(EPERM, target);
    if (auto done = create(present ? S_IRUSR | S_IWUSR : 0666); !done)
      return done.error();
    if (present)
      take_over(replaced);
    return {};
  }
  result<void> write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t count = ::write(descriptor_, bytes.data(), bytes.size());
      if (count < 0 && errno == EINTR)
        continue;
      if (count <= 0)
        return system_error(count < 0 ? errno : EIO, target_);
      bytes = bytes.subspan(static_cast<std::size_t>(count));
    }
    return {};
  }
  /// Makes what was written durable; then little is left that can fail in publish().
  result<void> prepare() {
    while (::fsync(descriptor_) != 0)
      if (errno != EINTR)
        return system_error(errno, target_);
    return {};
  }
  /// Makes the file visible. Expects: prepare() succeeded, and nothing was written since.
  result<void> publish() {
    if (auto done = overwrite_ ? rename() : link(); !done)
      return done.error();
    discard();
    if (const int parent = ::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); parent >= 0) {
      ::fsync(parent); // the rename itself; not every file system can, and the data is safe either way
      ::close(parent);
    }
    return {};
  }
  result<void> commit() {
    if (auto done = prepare(); !done)
      return done.error();
    return publish();
  }
  /// The name while it is written; empty before and after.
  const std::string& temporary_name() const { return temporary_; }

private:
  void swap(atomic_file& other) noexcept {
    target_.swap(other.target_);
    directory_.swap(other.directory_);
    temporary_.swap(other.temporary_);
    std::swap(overwrite_, other.overwrite_);
    std::swap(descriptor_, other.descriptor_);
  }
  result<void> create(mode_t mode) {
    for (unsigned attempt = 0; attempt < 10000; ++attempt) {
      std::string name = detail::temporary_name(target_, attempt);
      descriptor_ = ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
      if (descriptor_ < 0 && errno == EEXIST)
        continue;
      if (descriptor_ < 0)
        return system_error(errno, target_);
      temporary_.swap(name);
      // The lock says that this file is in use. Who looks for leftovers may have been quicker: then it is lost.
      struct stat status {};
      if ((::flock(descriptor_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) && ::fstat(descriptor_, &status) == 0 &&
          status.st_nlink > 0)
        return {};
      discard();
    }
    return system_error(EEXIST, target_);
  }
  /// rename() will refuse a file of another user in a folder such as /tmp.
  bool is_protected(const struct stat& replaced) const {
    struct stat folder {};
    const uid_t user = ::geteuid();
    return user != 0 && user != replaced.st_uid && ::stat(directory_.c_str(), &folder) == 0 &&
           (folder.st_mode & S_ISVTX) != 0 && user != folder.st_uid;
  }
  void take_over(const struct stat& replaced) {
    mode_t mode = replaced.st_mode & 0777;
    if (::fchown(descriptor_, replaced.st_uid, replaced.st_gid) != 0 && ::fchown(descriptor_, uid_t(-1), replaced.st_gid) != 0)
      mode = (mode & ~mode_t{S_IRWXG}) | (mode & S_IRWXO) << 3; // another group gets no more than all the others
    static_cast<void>(::fchmod(descriptor_, mode));              // some file systems have no permissions
  }
  result<void> rename() {
    if (::rename(temporary_.c_str(), target_.c_str()) != 0)
      return system_error(errno, target_);
    temporary_.clear();
    return {};
  }
  /// link() refuses an existing name, so that a file made meanwhile is not lost; some file systems have no links.
  result<void> link() {
    if (::link(temporary_.c_str(), target_.c_str()) == 0)
      return {};
    struct stat status {};
    if (errno == EEXIST || ::lstat(target_.c_str(), &status) == 0)
      return system_error(EEXIST, target_);
    return rename();
  }
  void discard() {
    if (!temporary_.empty())
      ::unlink(temporary_.c_str());
    temporary_.clear();
    if (descriptor_ >= 0)
      ::close(descriptor_);
    descriptor_ = -1;
  }

  std::string target_, directory_, temporary_;
  bool overwrite_ = false;
  int descriptor_ = -1;
};

} // namespace quanta::gguf
