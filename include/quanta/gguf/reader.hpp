// Opens a GGUF file. Everything in its header is checked before anything of it is believed.
#pragma once

#include <algorithm>
#include <memory>
#include <new>
#include <unordered_map>

#include "quanta/gguf/checked.hpp"
#include "quanta/gguf/cursor.hpp"
#include "quanta/tensor_type.hpp"

namespace quanta::gguf {

/// One tensor as the file describes it.
struct tensor_info {
  std::string name;
  std::vector<std::uint64_t> dims; ///< dims[0] is the row length, 1 to 4 of them, none zero
  tensor_type type{};
  std::uint64_t offset = 0; ///< from the start of the data section
  std::uint64_t bytes = 0;  ///< without padding

  std::uint64_t columns() const { return dims.empty() ? 0 : dims[0]; }
  std::uint64_t rows() const {
    std::uint64_t n = 1;
    for (std::size_t i = 1; i < dims.size(); ++i)
      n *= dims[i];
    return n;
  }
  std::uint64_t elements() const { return columns() * rows(); }
  std::uint64_t row_bytes() const { return bytes / rows(); }
};

/// An open GGUF file (version 2 or 3): metadata and tensor directory in memory, tensor data read on demand.
class file {
public:
  /// Opens and checks a file. Errors: those of the header (errc), bad_path, not_regular, io_error, out_of_memory.
  static result<file> open(const std::string& path) {
    auto from = file_source::open(path);
    if (!from)
      return from.error();
    return parse(*from);
  }
  /// The same for bytes from elsewhere.
  static result<file> parse(std::shared_ptr<const source> from) {
#if defined(__cpp_exceptions)
    try {
      return parse_header(std::move(from));
    } catch (const std::bad_alloc&) {
      return error(errc::out_of_memory);
    }
#else
    return parse_header(std::move(from));
#endif
  }

  std::uint32_t version() const { return version_; }
  std::uint64_t alignment() const { return alignment_; }
  /// Where the data section starts in the file.
  std::uint64_t data_offset() const { return data_offset_; }
  std::uint64_t size() const { return source_->size(); }
  const source& bytes() const { return *source_; }

  /// All keys in the order of the file.
  std::span<const entry> metadata() const { return metadata_; }
  const value* find(std::string_view key) const {
    const auto at = keys_.find(std::string(key));
    return at == keys_.end() ? nullptr : &metadata_[at->second].value;
  }
  std::optional<std::int64_t> integer(std::string_view key) const {
    const value* v = find(key);
    return v ? v->integer() : std::nullopt;
  }
  std::optional<double> number(std::string_view key) const {
    const value* v = find(key);
    return v ? v->number() : std::nullopt;
  }
  std::optional<std::string_view> text(std::string_view key) const {
    const value* v = find(key);
    return v ? v->text() : std::nullopt;
  }

  /// All tensors in the order of the file.
  std::span<const tensor_info> tensors() const { return tensors_; }
  const tensor_info* find_tensor(std::string_view name) const {
    const auto at = names_.find(std::string(name));
    return at == names_.end() ? nullptr : &tensors_[at->second];
  }
  /// Bytes of a tensor from `first` on. Errors: truncated_data (cut since it was opened), io_error.
  /// Expects: first + out.size() <= tensor.bytes.
  result<void> read(const tensor_info& tensor, std::uint64_t first, std::span<std::byte> out) const {
    QUANTA_EXPECTS(first <= tensor.bytes && out.size() <= tensor.bytes - first);
    const std::uint64_t where = data_offset_ + tensor.offset + first;
    if (const auto done = source_->read(where, out); !done)
      return error(done.error().code == errc::truncated ? errc::truncated_data : done.error().code, where, tensor.name);
    return {};
  }

private:
  static result<file> parse_header(std::shared_ptr<const source> from) {
    file f;
    f.source_ = std::move(from);
    cursor in(*f.source_);
    std::uint64_t tensor_count = 0, key_count = 0;
    if (auto done = f.read_preamble(in, tensor_count, key_count); !done)
      return done.error();
    if (auto done = f.read_metadata(in, key_count); !done)
      return done.error();
    if (auto done = f.read_tensors(in, tensor_count); !done)
      return done.error();
    if (auto done = f.check_layout(in.offset()); !done)
      return done.error();
    return f;
  }

  result<void> read_preamble(cursor& in, std::uint64_t& tensor_count, std::uint64_t& key_count) {
    char magic[4];
    if (auto done = in.read(std::as_writable_bytes(std::span(magic))); !done)
      return done.error();
    if (std::memcmp(magic, "GGUF", 4) != 0)
      return error(errc::bad_magic, 0);
    const auto version = in.number<std::uint32_t>();
    if (!version)
      return version.error();
    if (*version != 0 && (*version & 0xFFFFu) == 0)
      return error(errc::wrong_endian, 4);
    if (*version < 2 || *version > 3)
      return error(errc::bad_version, 4);
    version_ = *version;
    const auto tensors = in.number<std::uint64_t>();
    if (!tensors)
      return tensors.error();
    const auto keys = in.number<std::uint64_t>();
    if (!keys)
      return keys.error();
    // Smallest encodings: key of one byte, type, one byte; name of no byte, one dimension, type, offset.
    constexpr std::uint64_t smallest_entry = 8 + 1 + 4 + 1, smallest_tensor = 8 + 4 + 8 + 4 + 8;
    if (*tensors > in.left() / smallest_tensor)
      return error(errc::count_too_large, 8);
    if (*keys > in.left() / smallest_entry)
      return error(errc::count_too_large, 16);
    tensor_count = *tensors;
    key_count = *keys;
    return {};
  }

  result<void> read_metadata(cursor& in, std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::uint64_t where = in.offset();
      auto key = in.string();
      if (!key)
        return key.error();
      if (key->empty())
        return error(in.only_padding_left() ? errc::truncated : errc::key_empty, where);
      if (key->size() > 65535)
        return error(errc::key_too_long, where, *key);
      if (!is_utf8(*key))
        return error(errc::bad_utf8, where, *key);
      if (has_control_bytes(*key))
        return error(errc::bad_key_char, where, *key);
      const auto type = in.number<std::uint32_t>();
      if (!type)
        return error(type.error().code, type.error().offset, *key);
      if (!keys_.emplace(*key, metadata_.size()).second)
        return error(errc::key_duplicate, where, *key);
      auto v = in.typed_value(*type, *key);
      if (!v)
        return v.error();
      metadata_.push_back({std::move(*key), std::move(*v)});
      if (auto done = check_reserved(metadata_.back(), where); !done)
        return done.error();
    }
    return check_split();
  }

  /// The one key that the layout of the file depends on.
  result<void> check_reserved(const entry& e, std::uint64_t where) {
    if (e.key != "general.alignment")
      return {};
    const auto alignment = e.value.as<std::uint32_t>();
    if (!alignment || *alignment < 8 || *alignment > 65536 || (*alignment & (*alignment - 1)) != 0)
      return error(errc::bad_alignment, where, e.key);
    alignment_ = *alignment;
    return {};
  }
  result<void> check_split() const {
    for (const std::string_view key : {"split.no", "split.count", "split.tensors.count"})
      if (const value* v = find(key); v && !v->integer())
        return error(errc::type_mismatch, error::nowhere, key);
    const auto count = integer("split.count"), number = integer("split.no");
    if ((count && *count < 0) || (number && *number < 0))
      return error(errc::split_mismatch, error::nowhere, "split.no");
    if (count && *count > 0 && number && *number >= *count)
      return error(errc::split_mismatch, error::nowhere, "split.no");
    return {};
  }

  result<void> read_tensors(cursor& in, std::uint64_t count) {
    checked total(0);
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::uint64_t where = in.offset();
      auto name = in.string();
      if (!name)
        return name.error();
      if (name->empty() && in.only_padding_left())
        return error(errc::truncated, where);
      if (name->size() > 64)
        return error(errc::name_too_long, where, *name);
      if (name->find('\0') != std::string::npos)
        return error(errc::name_nul, where, *name);
      if (!is_utf8(*name))
        return error(errc::bad_utf8, where, *name);
      if (has_control_bytes(*name))
        return error(errc::bad_key_char, where, *name);
      if (!names_.emplace(*name, tensors_.size()).second)
        return error(errc::name_duplicate, where, *name);
      tensor_info t;
      t.name = std::move(*name);
      if (auto done = read_shape(in, t); !done)
        return error(done.error().code, done.error().offset, t.name);
      total = (total + checked(t.bytes)).rounded_up(alignment_);
      if (!total.valid())
        return error(errc::size_overflow, where, t.name);
      tensors_.push_back(std::move(t));
    }
    const auto all = integer("split.tensors.count");
    if (all && integer("split.count").value_or(0) > 1 && (*all < 0 || static_cast<std::uint64_t>(*all) < count))
      return error(errc::split_mismatch, error::nowhere, "split.tensors.count");
    return {};
  }
  result<void> read_shape(cursor& in, tensor_info& t) {
    std::uint64_t where = in.offset();
    const auto dimensions = in.number<std::uint32_t>();
    if (!dimensions)
      return dimensions.error();
    if (*dimensions < 1 || *dimensions > 4)
      return error(errc::bad_n_dims, where);
    checked elements(1);
    for (std::uint32_t d = 0; d < *dimensions; ++d) {
      where = in.offset();
      const auto dim = in.number<std::uint64_t>();
      if (!dim)
        return dim.error();
      if (*dim == 0 || *dim > checked::limit)
        return error(errc::bad_dim, where);
      t.dims.push_back(*dim);
      elements = elements * checked(*dim);
    }
    const std::uint64_t type_at = in.offset();
    const auto type = in.number<std::uint32_t>();
    if (!type)
      return type.error();
    const auto offset = in.number<std::uint64_t>();
    if (!offset)
      return offset.error();
    const type_info* info = find_type(*type);
    if (!info)
      return error(errc::bad_type, type_at);
    if (!elements.valid())
      return error(errc::size_overflow, where);
    if (t.dims[0] % info->block_size != 0)
      return error(errc::bad_row, where);
    const checked bytes = checked(*elements.value() / info->block_size) * checked(info->block_bytes);
    if (!bytes.rounded_up(alignment_).valid())
      return error(errc::size_overflow, where);
    t.type = info->type;
    t.bytes = *bytes.value();
    t.offset = *offset;
    if (t.offset % alignment_ != 0)
      return error(errc::bad_offset, type_at + 4);
    return {};
  }

  /// Offsets against the size of the file and against each other: each tensor starts where the padding of the one before
  /// it ends, in the order of the directory, and the file ends with the padding of the last.
  result<void> check_layout(std::uint64_t header_end) {
    const std::uint64_t file_size = source_->size(), aligned_end = *checked(header_end).rounded_up(alignment_).value();
    data_offset_ = aligned_end;
    if (tensors_.empty())
      return file_size == header_end || file_size == aligned_end ? result<void>{}
                                                                 : result<void>(error(errc::trailing, header_end));
    const std::uint64_t data_size = file_size > data_offset_ ? file_size - data_offset_ : 0;
    for (const tensor_info& t : tensors_) {
      if (t.offset > data_size)
        return error(errc::bad_offset, data_offset_, t.name);
      if (t.bytes > data_size - t.offset)
        return error(errc::truncated_data, file_size, t.name);
    }
    std::vector<const tensor_info*> sorted;
    for (const tensor_info& t : tensors_)
      sorted.push_back(&t);
    std::ranges::sort(sorted, [](const tensor_info* a, const tensor_info* b) { // the place in the file decides among equals
      return a->offset != b->offset ? a->offset < b->offset : a < b;
    });
    for (std::size_t i = 1; i < sorted.size(); ++i)
      if (sorted[i]->offset < sorted[i - 1]->offset + sorted[i - 1]->bytes)
        return error(errc::overlap, data_offset_ + sorted[i]->offset, sorted[i]->name);
    std::uint64_t expected = 0;
    for (std::size_t i = 0; i < tensors_.size(); ++i) {
      const tensor_info& t = tensors_[i];
      if (sorted[i] != &t)
        return error(errc::order, data_offset_ + t.offset, t.name);
      if (t.offset != expected)
        return error(errc::gap, data_offset_ + expected, t.name);
      expected = *checked(t.offset + t.bytes).rounded_up(alignment_).value();
    }
    if (data_size < expected)
      return error(errc::truncated_data, file_size, tensors_.back().name);
    if (data_size > expected)
      return error(errc::trailing, data_offset_ + expected);
    return {};
  }

  static bool has_control_bytes(std::string_view text) {
    return std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
  }

  std::shared_ptr<const source> source_;
  std::uint32_t version_ = 0;
  std::uint64_t alignment_ = 32, data_offset_ = 0;
  std::vector<entry> metadata_;
  std::vector<tensor_info> tensors_;
  std::unordered_map<std::string, std::size_t> keys_, names_;
};

} // namespace quanta::gguf
