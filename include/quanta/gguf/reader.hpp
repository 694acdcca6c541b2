// Opens a GGUF file. Everything in its header is checked before anything of it is believed.
#pragma once

#include <memory>
#include <new>

#include "quanta/gguf/header.hpp"

namespace quanta::gguf {

struct partial_file;

/// An open GGUF file (version 2 or 3): metadata and tensor directory in memory, tensor data read on demand.
class file {
public:
  /// Opens and checks a file. Errors: those of the header (errc), bad_path, not_regular, io_error, out_of_memory.
  static result<file> open(const std::string& path, reading how = reading::strict) {
    auto from = file_source::open(path);
    if (!from)
      return from.error();
    return parse(*from, how);
  }
  /// The same for bytes from elsewhere.
  static result<file> parse(std::shared_ptr<const source> from, reading how = reading::strict);
  /// What can be read of a file that may be damaged: keys and tensors up to the first error.
  static partial_file salvage(std::shared_ptr<const source> from, reading how = reading::strict);

  std::uint32_t version() const { return header_.version; }
  std::uint64_t alignment() const { return header_.alignment; }
  /// Where the data section starts in the file.
  std::uint64_t data_offset() const { return header_.data_offset; }
  std::uint64_t size() const { return source_->size(); }
  const source& bytes() const { return *source_; }

  /// All keys in the order of the file.
  std::span<const entry> metadata() const { return header_.metadata; }
  const value* find(std::string_view key) const { return header_.find(key); }
  std::optional<std::int64_t> integer(std::string_view key) const { return header_.integer(key); }
  std::optional<double> number(std::string_view key) const {
    const value* v = find(key);
    return v ? v->number() : std::nullopt;
  }
  std::optional<std::string_view> text(std::string_view key) const {
    const value* v = find(key);
    return v ? v->text() : std::nullopt;
  }

  /// All tensors in the order of the file.
  std::span<const tensor_info> tensors() const { return header_.tensors; }
  const tensor_info* find_tensor(std::string_view name) const {
    const auto at = header_.tensor_names.find(name);
    return at == header_.tensor_names.end() ? nullptr : &header_.tensors[at->second];
  }
  /// Bytes of a tensor from `first` on. Errors: truncated_data (cut since it was opened), io_error.
  /// Expects: first + out.size() <= tensor.bytes.
  result<void> read(const tensor_info& tensor, std::uint64_t first, std::span<std::byte> out) const {
    QUANTA_EXPECTS(first <= tensor.bytes && out.size() <= tensor.bytes - first);
    const checked where = checked(data_offset()) + checked(tensor.offset) + checked(first);
    if (!where.valid())
      return error(errc::bad_offset, error::nowhere, tensor.name);
    if (const auto done = source_->read(*where.value(), out); !done) {
      const error& why = done.error();
      return error(why.code == errc::truncated ? errc::truncated_data : why.code, *where.value(), tensor.name, why.system());
    }
    return {};
  }

private:
  file() = default;

  std::shared_ptr<const source> source_;
  detail::header header_;
};

/// A file as far as it could be read, and what ended the reading.
struct partial_file {
  file contents;
  std::optional<error> wrong; ///< empty: all is well
};

inline partial_file file::salvage(std::shared_ptr<const source> from, reading how) {
  QUANTA_EXPECTS(from != nullptr);
  partial_file all{file(), {}};
  all.contents.source_ = std::move(from);
#if defined(__cpp_exceptions)
  try {
#endif
    if (const auto done = detail::header_reader(*all.contents.source_, how, all.contents.header_).read(); !done)
      all.wrong = done.error();
#if defined(__cpp_exceptions)
  } catch (const std::bad_alloc&) {
    all.wrong = error(errc::out_of_memory);
  }
#endif
  return all;
}
inline result<file> file::parse(std::shared_ptr<const source> from, reading how) {
  partial_file all = salvage(std::move(from), how);
  if (all.wrong)
    return *all.wrong;
  return std::move(all.contents);
}

} // namespace quanta::gguf
