// What processes left that were killed while they wrote an atomic_file.
#pragma once

#include <csignal>
#include <memory>
#include <string>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "quanta/gguf/temporary_name.hpp"

namespace quanta::gguf {

struct leftover {
  std::string path;
  bool removed = false; ///< or it is not sure that its process is gone, or it may not be removed
};

namespace detail {
/// A temporary that nobody holds the lock of. A process id that is our own is that of an earlier process, too.
inline std::optional<leftover> take_leftover(const std::string& path, const writing_process& who) {
  struct stat status {};
  const int file = ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (file < 0)
    return std::nullopt;
  std::optional<leftover> found;
  const bool regular = ::fstat(file, &status) == 0 && S_ISREG(status.st_mode);
  const bool locked = regular && ::flock(file, LOCK_EX | LOCK_NB) == 0;
  if (locked || (regular && errno != EWOULDBLOCK)) { // not every file system has locks
    const auto process = static_cast<pid_t>(who.process);
    const bool gone = process == ::getpid() || (::kill(process, 0) != 0 && errno == ESRCH);
    found = leftover{path, locked && gone && who.host == host_number() && ::unlink(path.c_str()) == 0};
  }
  ::close(file);
  return found;
}
} // namespace detail

/// Looks where `target` is written for temporaries of processes that were killed, and removes those of which it is sure:
/// nobody holds their lock, and their process was of this machine and is gone. The others are only told.
inline std::vector<leftover> remove_leftovers(const std::string& target) {
  std::vector<leftover> all;
  const auto end = detail::end_of_links(target);
  const std::string directory = detail::directory_of(end ? *end : target);
  struct closer {
    void operator()(DIR* d) const { ::closedir(d); }
  };
  const std::unique_ptr<DIR, closer> entries(::opendir(directory.c_str()));
  if (!entries)
    return all;
  while (const dirent* entry = ::readdir(entries.get()))
    if (const auto who = detail::parse_temporary_name(entry->d_name))
      if (auto found = detail::take_leftover(directory + entry->d_name, *who))
        all.push_back(std::move(*found));
  return all;
}

} // namespace quanta::gguf
