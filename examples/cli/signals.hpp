// Signals that end the process, while there are files to be removed first.
#pragma once

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <forward_list>
#include <string>
#include <utility>

namespace tool {

/// Files that are removed before a signal ends the process as it always does. One at a time.
class removed_on_signal {
public:
  removed_on_signal() {
    for_each_ending_signal([](int number) {
      struct sigaction old{};
      struct sigaction ours{};
      // What is ignored stays ignored: SIGHUP under nohup.
      if (::sigaction(number, nullptr, &old) != 0 || old.sa_handler != SIG_DFL)
        return;
      ours.sa_handler = &end;
      ours.sa_flags = static_cast<int>(SA_RESETHAND | SA_NODEFER);
      ::sigaction(number, &ours, nullptr);
    });
  }
  ~removed_on_signal() {
    for_each_ending_signal([](int number) {
      struct sigaction now{};
      if (::sigaction(number, nullptr, &now) == 0 && now.sa_handler == &end)
        std::signal(number, SIG_DFL);
    });
    newest() = nullptr;
  }
  removed_on_signal(const removed_on_signal&) = delete;
  removed_on_signal& operator=(const removed_on_signal&) = delete;

  /// Calls open(), which creates a file, and takes the name that name() then gives; no signal comes between.
  template <class Open, class Name>
  auto add(Open&& open, Name&& name) {
    const blocked no_gap;
    auto done = open();
    if (done) {
      files_.push_front({name(), newest().load()});
      newest() = &files_.front();
    }
    return done;
  }
  /// What the signal would do to the files. Safe in a signal handler.
  static void remove_files() {
    for (const file* f = newest(); f; f = f->older)
      ::unlink(f->name.c_str());
  }

private:
  struct file {
    std::string name;
    const file* older;
  };
  struct blocked {
    sigset_t before{};
    blocked() {
      sigset_t all{};
      ::sigfillset(&all);
      ::pthread_sigmask(SIG_SETMASK, &all, &before);
    }
    ~blocked() { ::pthread_sigmask(SIG_SETMASK, &before, nullptr); }
    blocked(const blocked&) = delete;
    blocked& operator=(const blocked&) = delete;
  };

  static std::atomic<const file*>& newest() {
    static constinit std::atomic<const file*> all{nullptr};
    return all;
  }
  static void end(int number) {
    remove_files();
    ::raise(number); // now with its default action
  }
  /// All signals but those that do not end a process.
  template <class F>
  static void for_each_ending_signal(F f) {
    for (int number = 1; number <= SIGRTMAX; ++number)
      switch (number) {
      case SIGCHLD:
      case SIGCONT:
      case SIGSTOP:
      case SIGTSTP:
      case SIGTTIN:
      case SIGTTOU:
      case SIGURG:
#ifdef SIGWINCH
      case SIGWINCH:
#endif
      case SIGKILL:
        break;
      default:
        f(number);
      }
  }

  std::forward_list<file> files_;
};

} // namespace tool
