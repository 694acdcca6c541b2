// The quanta tool when the world refuses: each call that can fail does, each signal comes. It ends with 0 or 2 and a line
// that names an error, nothing is left behind, and the target is complete or as it was.
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <vector>

#include "quanta/gguf/gguf.hpp"
#include "quanta/gguf/leftovers.hpp"

namespace {

namespace fs = std::filesystem;
namespace gguf = quanta::gguf;

std::string content(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
void write_model(const std::string& path, const std::vector<std::pair<std::string, std::vector<std::uint64_t>>>& tensors) {
  gguf::writer w;
  w.set("general.architecture", gguf::value::of("llama"));
  for (const auto& [name, dims] : tensors)
    w.add_tensor(name, dims, quanta::tensor_type::f32);
  gguf::file_writer out(w);
  REQUIRE(out.open(path, false));
  for (const auto& [name, dims] : tensors) {
    std::vector<float> x(static_cast<std::size_t>(dims[0] * dims[1]));
    for (std::size_t i = 0; i < x.size(); ++i)
      x[i] = static_cast<float>((i * 37 + 11) % 101) / 50.f;
    REQUIRE(out.write(std::as_bytes(std::span(x))));
  }
  REQUIRE(out.finish());
}

/// A folder with a model, its importance matrix, and the command that quantizes it to "out".
struct workshop {
  fs::path path;
  std::vector<std::string> quantize;
  workshop() {
    std::string pattern = (fs::temp_directory_path() / "quanta-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    path = pattern;
    write_model(*this / "model",
                {{"blk.0.ffn_up.weight", {256, 256}}, {"blk.0.attn_norm.weight", {32, 1}}}); // enough for threads
    write_model(*this / "importance", {{"blk.0.ffn_up.weight.in_sum2", {256, 1}}, {"blk.0.ffn_up.weight.counts", {1, 1}}});
    quantize = {"quantize", *this / "model", *this / "out",        "--type",    "Q4_K_M",
                "--quiet",  "--imatrix",     *this / "importance", "--threads", "3"};
  }
  ~workshop() { fs::remove_all(path); }
  std::string operator/(const std::string& name) const { return (path / name).string(); }
  std::set<std::string> files() const {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(path))
      names.insert(entry.path().filename().string());
    return names;
  }
};

struct outcome {
  int status = 0;
  std::string error; ///< what went to stderr
  bool met = false;  ///< whether the call that was to fail came
  int code() const { return WIFEXITED(status) ? WEXITSTATUS(status) : -1; }
  int signal() const { return WIFSIGNALED(status) ? WTERMSIG(status) : 0; }
};

/// Runs the tool. `streams`: what the shell would do to them. `fail`: as the preloaded library wants it, without descriptor.
outcome run(const std::vector<std::string>& arguments, const std::string& fail = "", const std::string& streams = "") {
  std::array<int, 2> error{}, told{};
  REQUIRE((::pipe(error.data()) == 0 && ::pipe(told.data()) == 0));
  std::string shell = "exec \"$0\" \"$@\" " + streams;
  std::vector<char*> argv{const_cast<char*>(QUANTA_CLI)};
  if (!streams.empty())
    argv = {const_cast<char*>("sh"), const_cast<char*>("-c"), shell.data(), const_cast<char*>(QUANTA_CLI)};
  for (const std::string& a : arguments)
    argv.push_back(const_cast<char*>(a.c_str()));
  argv.push_back(nullptr);
  const std::string plan = fail + " " + std::to_string(told[1]);
  const pid_t child = ::fork();
  if (child == 0) {
    for (int number = 1; number < NSIG; ++number) // the test framework's
      std::signal(number, SIG_DFL);
    ::alarm(60); // a hang is a failure
    ::dup2(error[1], STDERR_FILENO);
    ::close(error[0]);
    ::close(error[1]);
    if (streams.empty())
      ::dup2(::open("/dev/null", O_WRONLY | O_CLOEXEC), STDOUT_FILENO);
    if (!fail.empty()) {
      ::setenv("LD_PRELOAD", QUANTA_FAILING_CALLS, 1);
      ::setenv("QUANTA_FAIL", plan.c_str(), 1);
    }
    ::execvp(streams.empty() ? QUANTA_CLI : "sh", argv.data());
    ::_exit(99);
  }
  ::close(error[1]);
  outcome o;
  std::array<char, 512> buffer;
  for (ssize_t n; (n = ::read(error[0], buffer.data(), buffer.size())) > 0;)
    o.error.append(buffer.data(), static_cast<std::size_t>(n));
  ::waitpid(child, &o.status, 0);
  pollfd ready{told[0], POLLIN, 0};
  o.met = ::poll(&ready, 1, 0) == 1;
  for (const int end : {error[0], told[0], told[1]})
    ::close(end);
  return o;
}

void check_refusal(const outcome& o) {
  CAPTURE(o.status, o.error);
  CHECK((o.code() == 0 || o.code() == 2));
  if (o.code() != 2)
    return;
  CHECK(o.error.starts_with("quanta: "));
  CHECK(std::ranges::count(o.error, '\n') == 1);
  CHECK(std::ranges::any_of(quanta::detail::errc_names, [&](std::string_view name) {
    return o.error.find(": " + std::string(name)) != std::string::npos;
  }));
}

/// Skips a test where calls cannot be made to fail.
void need_failing_calls() {
  if (std::string_view(QUANTA_FAILING_CALLS).empty())
    SKIP("calls cannot be hidden here");
}
/// Lets the n-th call fail for every n that comes, in steps that grow from `all` on.
template <class Check>
void sweep(const std::vector<std::string>& arguments, const std::string& call, const std::string& how, Check check,
           int all = 1 << 30) {
  int met = 0;
  for (int n = 1;; n += n < all ? 1 : n / 8) {
    CAPTURE(call, n, how);
    const outcome o = run(arguments, call + " " + std::to_string(n) + " " + how);
    check(o);
    if (!o.met)
      break;
    ++met;
  }
  CHECK(met > 0);
}

} // namespace

TEST_CASE("each call that fails while a file is quantized leaves the target complete or as it was") {
  need_failing_calls();
  workshop w;
  REQUIRE(run(w.quantize).code() == 0);
  const std::string complete = content(w / "out");
  for (const bool replace : {false, true}) {
    auto arguments = w.quantize;
    if (replace)
      arguments.push_back("--force");
    const auto prepare = [&] {
      fs::remove(w / "out");
      if (replace)
        std::ofstream(w / "out") << "old";
    };
    const auto fail = [&](const std::string& call, int error, std::vector<int> codes) { // the codes of the first calls
      sweep(arguments, call, std::to_string(error) + " 0", [&](const outcome& o) {
        CAPTURE(replace, o.status, o.error);
        check_refusal(o);
        CHECK(o.code() == (o.met ? codes.front() : 0));
        if (codes.size() > 1)
          codes.erase(codes.begin());
        const bool there = fs::exists(w / "out");
        CHECK(w.files().size() == 2u + there);
        CHECK(there == (replace || o.code() == 0));
        CHECK((!there || content(w / "out") == (o.code() == 0 ? complete : "old")));
        prepare();
      });
    };
    prepare();
    fail("write", ENOSPC, {2});
    fail("write", EINTR, {0});
    fail("fsync", EIO, {2, 0}); // the file's, and its folder's, which not every file system can
    fail("close", EIO, {0});    // after fsync nothing can be lost
    fail("pread", EIO, {2});
    fail("pthread_create", EAGAIN, {0});
    if (replace)
      fail("rename", EACCES, {2});
    else
      fail("link", EPERM, {0}); // some file systems have no links
  }
}

TEST_CASE("each allocation may be the last") {
  need_failing_calls();
  workshop w;
  auto reference = w.quantize;
  reference[2] = w / "other";
  REQUIRE(run(reference).code() == 0);
  const auto check = [&](const outcome& o) {
    check_refusal(o);
    CAPTURE(o.status, o.error);
    const bool there = fs::exists(w / "out");
    CHECK(w.files().size() == 3u + there);
    CHECK((!there || content(w / "out") == content(w / "other")));
    fs::remove(w / "out");
  };
  for (const char* how : {"12 0", "12 1"}) { // one, and all from then on
    sweep(w.quantize, "malloc", how, check, 30);
    sweep({"inspect", w / "model"}, "malloc", how, check, 30);
    sweep({"inspect", w / "model", "--json"}, "malloc", how, check, 30);
    sweep({"compare", w / "model", w / "other"}, "malloc", how, check, 30);
  }
}

TEST_CASE("a signal ends a conversion as it ends others, and nothing is left") {
  need_failing_calls();
  workshop w;
  for (const int number : {SIGHUP, SIGINT, SIGQUIT, SIGABRT, SIGUSR1, SIGSEGV, SIGUSR2, SIGPIPE, SIGALRM, SIGTERM, SIGXCPU})
    sweep(w.quantize, "write", std::to_string(-number) + " 0", [&](const outcome& o) {
      CAPTURE(number, o.status, o.error);
      CHECK(o.signal() == (o.met ? number : 0));
      CHECK(w.files().size() == (o.met ? 2 : 3));
      fs::remove(w / "out");
    });
}

TEST_CASE("the next run removes what a killed one left, and nothing else") {
  need_failing_calls();
  workshop w;
  const std::string kill = "write 1 " + std::to_string(-SIGKILL) + " 0";
  REQUIRE(run(w.quantize, kill).signal() == SIGKILL);
  REQUIRE(w.files().size() == 3);
  // One of a process that lives, and one of a process that is gone but whose file somebody holds.
  const std::string alive = gguf::detail::temporary_name(w / "other", 7);
  std::ofstream(alive) << "x";
  std::string held;
  for (const std::string& name : w.files())
    if (name.starts_with("out."))
      held = "held" + name.substr(3);
  std::ofstream(w / held) << "x";
  const int file = ::open((w / held).c_str(), O_RDONLY);
  REQUIRE(::flock(file, LOCK_EX) == 0);
  const auto o = run(w.quantize);
  CAPTURE(o.error);
  CHECK(o.code() == 0);
  CHECK(o.error.find("removed") != std::string::npos);
  CHECK(o.error.find(held) == std::string::npos);
  CHECK(w.files() == std::set<std::string>{"model", "importance", "out", held, fs::path(alive).filename().string()});
  ::close(file);
}

TEST_CASE("output that is lost is an error") {
  workshop w;
  const std::vector<std::vector<std::string>> commands{{"--help"},
                                                       {"types"},
                                                       {"size", "--type", "Q4_K_M"},
                                                       {"inspect", w / "model"},
                                                       {"inspect", w / "model", "--json"},
                                                       {"compare", w / "model", w / "model"}};
  for (const auto& command : commands) {
    CAPTURE(command);
    for (const char* lost : {">/dev/full", ">&-", "<&- >&-"}) {
      const auto o = run(command, "", lost);
      CHECK(o.code() == 2);
      check_refusal(o);
    }
    CHECK(run(command, "", ">/dev/null 2>&-").code() == 0); // nothing was to be said
    CHECK(run(command, "", ">&- 2>&-").code() == 2);
  }
  for (const char* lost : {"2>/dev/full", "2>&-"}) {
    CHECK(run({"inspect", w / "absent"}, "", lost).code() == 2);
    CHECK(run({"bogus"}, "", lost).code() == 1);
  }
  CHECK(run(w.quantize, "", "<&- >&- 2>&-").code() == 0);
  CHECK(gguf::file::open(w / "out")); // no stream was opened as it
}

TEST_CASE("what keeps a file from being written is named before any work") {
  workshop w;
  const auto to = [&](const std::string& target, const std::string& option = "--force") {
    auto arguments = w.quantize;
    arguments[2] = target;
    arguments.push_back(option);
    return run(arguments);
  };
  fs::create_directory(w / "folder");
  std::ofstream(w / "file") << "x";
  REQUIRE(::mkfifo((w / "fifo").c_str(), 0600) == 0);
  fs::create_symlink("folder", w / "to_folder");
  fs::create_symlink("loop", w / "loop");
  const std::vector<std::pair<std::string, std::string>> refused{
      {w / "absent/out", "io_error: No such file or directory"},
      {w / "file/out", "io_error: Not a directory"},
      {w / "folder", "not_regular: Is a directory"},
      {w / "to_folder", "not_regular: Is a directory"},
      {w / "loop", "io_error: Too many levels of symbolic links"},
      {w / std::string(256, 'n'), "bad_path: File name too long"},
      {w / "fifo", "not_regular"},
      {"/dev/null", "not_regular"},
  };
  for (const auto& [target, why] : refused) {
    const auto o = to(target);
    CAPTURE(target, o.error);
    CHECK(o.code() == 2);
    CHECK(o.error.find(why) != std::string::npos);
    check_refusal(o);
  }
  CHECK(run({"inspect", w / "absent"}).error.find("absent: io_error: No such file or directory\n") != std::string::npos);
  CHECK(to(w / std::string(255, 'n')).code() == 0);
}

TEST_CASE("no input is written over, under whatever name") {
  workshop w;
  fs::create_hard_link(w / "importance", w / "hard");
  fs::create_symlink("importance", w / "soft");
  fs::create_symlink("model", w / "to_model");
  const std::string model = content(w / "model"), importance = content(w / "importance");
  for (const char* target : {"importance", "hard", "soft", "model", "to_model"})
    for (const char* option : {"--force", "--quiet"}) {
      auto arguments = w.quantize;
      arguments[2] = w / target;
      arguments.push_back(option);
      const auto o = run(arguments);
      CAPTURE(target, o.error);
      CHECK(o.code() == 2);
      check_refusal(o);
    }
  CHECK(content(w / "model") == model);
  CHECK(content(w / "importance") == importance);
}

TEST_CASE("names are printed without what a terminal acts on") {
  workshop w;
  write_model(w / "names", {{"a\xE2\x80\xAE.\xC2\x9B.\xC3\xA9", {32, 1}}});
  for (const char* option : {"", "--json"}) {
    std::vector<std::string> command{"inspect", w / "names"};
    if (*option)
      command.push_back(option);
    const auto o = run(command, "", ">&2");
    CAPTURE(o.error);
    CHECK(o.code() == 0);
    CHECK(o.error.find("\xE2\x80\xAE") == std::string::npos);
    CHECK(o.error.find("\xC2\x9B") == std::string::npos);
    const std::string slash = *option ? "\\\\" : "\\"; // JSON doubles it
    CHECK(o.error.find("a" + slash + "xe2" + slash + "x80" + slash + "xae." + slash + "xc2" + slash + "x9b.\xC3\xA9") !=
          std::string::npos);
  }
}

TEST_CASE("links are written through, and permissions stay") {
  workshop w;
  fs::create_directory(w / "folder");
  fs::create_symlink("second", w / "out");
  fs::create_symlink("folder/third", w / "second");
  fs::create_symlink("../target", w / "folder/third");
  REQUIRE(run(w.quantize).code() == 0);
  CHECK(gguf::file::open(w / "target"));
  CHECK(run(w.quantize).code() == 2);
  fs::permissions(w / "target", fs::perms::owner_read);
  auto arguments = w.quantize;
  arguments.push_back("--force");
  REQUIRE(run(arguments).code() == 0);
  CHECK(fs::status(w / "target").permissions() == fs::perms::owner_read);
  CHECK((fs::is_symlink(w / "out") && fs::is_symlink(w / "second") && fs::is_symlink(w / "folder/third")));
  const mode_t mask = ::umask(027);
  arguments[2] = w / "new";
  CHECK(run(arguments).code() == 0);
  ::umask(mask);
  CHECK(fs::status(w / "new").permissions() == fs::perms{0640});
}
