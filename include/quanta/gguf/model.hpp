// A model of one file, or of the parts that it was split into.
#pragma once

#include <cerrno>
#include <cstdio>

#include "quanta/gguf/reader.hpp"
#include "quanta/gguf/window.hpp"

namespace quanta::gguf {

/// The name of part `number` (from 0) of `count`: PREFIX-00001-of-00003.gguf.
inline std::string part_name(const std::string& prefix, std::uint64_t number, std::uint64_t count) {
  char suffix[64];
  std::snprintf(suffix, sizeof suffix, "-%05llu-of-%05llu.gguf", static_cast<unsigned long long>(number + 1),
                static_cast<unsigned long long>(count));
  return prefix + suffix;
}

/// All parts of a model, open. The metadata is that of the first part.
class model {
public:
  /// Opens a file and, if it is the first part of several, the others beside it. Errors: those of file::open;
  /// split_mismatch (another part than the first; parts that lack, are named otherwise, or do not belong together),
  /// with the part's name; name_duplicate.
  static result<model> open(const std::string& path, reading how = reading::strict) {
#if defined(__cpp_exceptions)
    try {
      return open_parts(path, how);
    } catch (const std::bad_alloc&) {
      return error(errc::out_of_memory);
    }
#else
    return open_parts(path, how);
#endif
  }

  model(model&&) = default;
  model& operator=(model&&) = default;
  model(const model&) = delete; // its tensors are pointers into its parts
  model& operator=(const model&) = delete;

  const file& head() const { return parts_.front(); }
  std::span<const file> parts() const { return parts_; }
  /// Bytes of all parts.
  std::uint64_t size() const {
    std::uint64_t all = 0;
    for (const file& part : parts_)
      all += part.size();
    return all;
  }

  /// A tensor and the part that holds it.
  struct tensor {
    std::size_t part;
    const tensor_info* info;
  };
  /// The tensors of all parts, part after part.
  std::span<const tensor> tensors() const { return tensors_; }
  const tensor* find_tensor(std::string_view name) const {
    const auto at = names_.find(name);
    return at == names_.end() ? nullptr : &tensors_[at->second];
  }
  const file& part_of(const tensor& t) const { return parts_[t.part]; }
  const std::string& part_path(const tensor& t) const { return paths_[t.part]; }
  /// Bytes of a tensor, as file::read.
  result<void> read(const tensor& t, std::uint64_t first, std::span<std::byte> out) const {
    return part_of(t).read(*t.info, first, out);
  }
  /// Whether `path` is one of the files, under whatever name or link.
  bool holds_file(const std::string& path) const {
    return std::ranges::any_of(sources_, [&](const auto& s) { return s->is_same_file(path); });
  }

private:
  model() = default;

  static result<model> open_parts(const std::string& path, reading how) {
    model all;
    if (auto done = all.add(path, how); !done)
      return done.error();
    const std::int64_t count = all.head().integer("split.count").value_or(0);
    if (count > 1) {
      const auto parts = static_cast<std::uint64_t>(count);
      const std::string ending = part_name("", 0, parts);
      if (all.head().integer("split.no").value_or(0) != 0 || !path.ends_with(ending))
        return error(errc::split_mismatch, error::nowhere, file_name(path));
      const std::string prefix = path.substr(0, path.size() - ending.size());
      for (std::uint64_t i = 1; i < parts; ++i)
        if (auto done = all.add_part(part_name(prefix, i, parts), i, how); !done)
          return done.error();
    }
    if (auto done = all.list_tensors(); !done)
      return done.error();
    const auto total = all.head().integer("split.tensors.count");
    if (count > 1 && total && static_cast<std::uint64_t>(*total) != all.tensors_.size())
      return error(errc::split_mismatch, error::nowhere, "split.tensors.count");
    return all;
  }
  static std::string_view file_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

  /// A part after the first. Its errors name it.
  result<void> add_part(const std::string& path, std::uint64_t number, reading how) {
    if (auto done = add(path, how); !done) {
      const error& why = done.error();
      if (why.code == errc::io_error)
        return error(errc::split_mismatch, error::nowhere, file_name(path), why.system());
      return why.subject().empty() ? error(why.code, why.offset, file_name(path), why.system()) : why;
    }
    const file& part = parts_.back();
    if (part.integer("split.no") != static_cast<std::int64_t>(number) ||
        part.integer("split.count") != head().integer("split.count"))
      return error(errc::split_mismatch, error::nowhere, file_name(path));
    return {};
  }
  result<void> add(const std::string& path, reading how) {
    auto from = file_source::open(path);
    if (!from)
      return from.error();
    auto part = file::parse(std::make_shared<window_source>(*from), how);
    if (!part)
      return part.error();
    paths_.push_back(path);
    sources_.push_back(std::move(*from));
    parts_.push_back(std::move(*part));
    return {};
  }
  result<void> list_tensors() {
    for (std::size_t part = 0; part < parts_.size(); ++part)
      for (const tensor_info& t : parts_[part].tensors()) {
        if (!names_.emplace(t.name, tensors_.size()).second)
          return error(errc::name_duplicate, error::nowhere, t.name);
        tensors_.push_back({part, &t});
      }
    return {};
  }

  std::vector<std::string> paths_;
  std::vector<file> parts_;
  std::vector<std::shared_ptr<const file_source>> sources_;
  std::vector<tensor> tensors_;
  std::map<std::string, std::size_t, std::less<>> names_;
};

} // namespace quanta::gguf
