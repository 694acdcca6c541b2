// The header of a GGUF file: keys and the tensor directory, and the rules that both must keep.
#pragma once

#include <algorithm>
#include <map>

#include "quanta/gguf/checked.hpp"
#include "quanta/gguf/cursor.hpp"
#include "quanta/gguf/tensor_info.hpp"

namespace quanta::gguf {

/// What a reader lets pass.
enum class reading : std::uint8_t {
  strict, ///< what every loader takes
  lax,    ///< also alignments of 1, 2 and 4, a last tensor without padding, and bytes after the end: some loaders take them
};

/// The longest tensor name that is read; loaders with the format's own limit refuse more than `portable_name_length`.
inline constexpr std::size_t longest_name = 255, portable_name_length = 63;

namespace detail {

/// What a header says. The names are in trees, not hash tables: a file can be made whose names all have one hash.
struct header {
  std::uint32_t version = 0;
  std::uint64_t alignment = 32, data_offset = 0;
  std::vector<entry> metadata;
  std::vector<tensor_info> tensors;
  std::map<std::string, std::size_t, std::less<>> keys, tensor_names;

  const value* find(std::string_view key) const {
    const auto at = keys.find(key);
    return at == keys.end() ? nullptr : &metadata[at->second].value;
  }
  std::optional<std::int64_t> integer(std::string_view key) const {
    const value* v = find(key);
    return v ? v->integer() : std::nullopt;
  }
};

/// Fills a header from a file. What was read before an error stays in it.
class header_reader {
public:
  header_reader(const source& from, reading how, header& into) : in_(from), size_(from.size()), how_(how), out_(into) {}

  result<void> read() {
    std::uint64_t tensor_count = 0, key_count = 0;
    if (auto done = read_preamble(tensor_count, key_count); !done)
      return done;
    if (auto done = read_metadata(key_count); !done)
      return done;
    if (auto done = read_tensors(tensor_count); !done)
      return done;
    return check_layout();
  }

private:
  result<void> read_preamble(std::uint64_t& tensor_count, std::uint64_t& key_count) {
    char magic[4];
    if (auto done = in_.read(std::as_writable_bytes(std::span(magic))); !done)
      return done;
    if (std::memcmp(magic, "GGUF", 4) != 0)
      return error(errc::bad_magic, 0);
    const auto version = in_.number<std::uint32_t>();
    if (!version)
      return version.error();
    if (*version != 0 && (*version & 0xFFFFu) == 0)
      return error(errc::wrong_endian, 4);
    if (*version < 2 || *version > 3)
      return error(errc::bad_version, 4);
    out_.version = *version;
    const auto tensors = in_.number<std::uint64_t>();
    if (!tensors)
      return tensors.error();
    const auto keys = in_.number<std::uint64_t>();
    if (!keys)
      return keys.error();
    // Smallest encodings: key of one byte, type, one byte; name of no byte, no dimension, type, offset.
    constexpr std::uint64_t smallest_entry = 8 + 1 + 4 + 1, smallest_tensor = 8 + 4 + 4 + 8;
    if (*tensors > in_.left() / smallest_tensor)
      return error(errc::count_too_large, 8);
    if (*keys > in_.left() / smallest_entry)
      return error(errc::count_too_large, 16);
    tensor_count = *tensors;
    key_count = *keys;
    return {};
  }

  result<void> read_metadata(std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::uint64_t where = in_.offset();
      auto key = in_.string();
      if (!key)
        return key.error();
      if (key->empty())
        return error(in_.only_padding_left() ? errc::truncated : errc::key_empty, where);
      if (key->size() > 65535)
        return error(errc::key_too_long, where, *key);
      if (auto done = check_text(*key, where); !done)
        return done;
      const auto type = in_.number<std::uint32_t>();
      if (!type)
        return type.error().about(*key);
      if (!out_.keys.emplace(*key, out_.metadata.size()).second)
        return error(errc::key_duplicate, where, *key);
      auto v = in_.typed_value(*type, *key);
      if (!v) {
        out_.keys.erase(*key);
        return v.error();
      }
      out_.metadata.push_back({std::move(*key), std::move(*v)});
      if (auto done = check_alignment(out_.metadata.back(), where); !done)
        return done;
    }
    return check_split();
  }

  /// The one key that the layout of the file depends on.
  result<void> check_alignment(const entry& e, std::uint64_t where) {
    if (e.key != "general.alignment")
      return {};
    const auto alignment = e.value.as<std::uint32_t>();
    const std::uint32_t least = how_ == reading::lax ? 1 : 8;
    if (!alignment || *alignment < least || *alignment > 65536 || (*alignment & (*alignment - 1)) != 0)
      return error(errc::bad_alignment, where, e.key);
    out_.alignment = *alignment;
    return {};
  }
  result<void> check_split() const {
    for (const std::string_view key : {"split.no", "split.count", "split.tensors.count"})
      if (const value* v = out_.find(key); v && !v->integer())
        return error(errc::type_mismatch, error::nowhere, key);
    const auto count = out_.integer("split.count"), number = out_.integer("split.no");
    if ((count && *count < 0) || (number && *number < 0))
      return error(errc::split_mismatch, error::nowhere, "split.no");
    if (count && *count > 0 && number && *number >= *count)
      return error(errc::split_mismatch, error::nowhere, "split.no");
    return {};
  }

  result<void> read_tensors(std::uint64_t count) {
    checked total(0);
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::uint64_t where = in_.offset();
      auto name = in_.string();
      if (!name)
        return name.error();
      if (name->empty() && in_.only_padding_left())
        return error(errc::truncated, where);
      if (name->size() > longest_name)
        return error(errc::name_too_long, where, *name);
      if (name->find('\0') != std::string::npos)
        return error(errc::name_nul, where, *name);
      if (auto done = check_text(*name, where); !done)
        return done;
      if (out_.tensor_names.contains(*name))
        return error(errc::name_duplicate, where, *name);
      tensor_info t;
      t.name = std::move(*name);
      if (auto done = read_shape(t); !done)
        return done.error().about(t.name);
      total = (total + checked(t.bytes)).rounded_up(out_.alignment);
      if (!total.valid())
        return error(errc::size_overflow, where, t.name);
      out_.tensor_names.emplace(t.name, out_.tensors.size());
      out_.tensors.push_back(std::move(t));
    }
    const auto all = out_.integer("split.tensors.count");
    if (all && out_.integer("split.count").value_or(0) > 1 && (*all < 0 || static_cast<std::uint64_t>(*all) < count))
      return error(errc::split_mismatch, error::nowhere, "split.tensors.count");
    return {};
  }
  result<void> read_shape(tensor_info& t) {
    std::uint64_t where = in_.offset();
    const auto dimensions = in_.number<std::uint32_t>();
    if (!dimensions)
      return dimensions.error();
    if (*dimensions > 4)
      return error(errc::bad_n_dims, where);
    checked elements(1), places(1); // places: as if no dimension were 0, so that no product of some of them wraps
    for (std::uint32_t d = 0; d < *dimensions; ++d) {
      where = in_.offset();
      const auto dim = in_.number<std::uint64_t>();
      if (!dim)
        return dim.error();
      if (*dim > checked::limit)
        return error(errc::bad_dim, where);
      t.dims.push_back(*dim);
      elements = elements * checked(*dim);
      places = places * checked(std::max<std::uint64_t>(*dim, 1));
    }
    const std::uint64_t type_at = in_.offset();
    const auto type = in_.number<std::uint32_t>();
    if (!type)
      return type.error();
    const auto offset = in_.number<std::uint64_t>();
    if (!offset)
      return offset.error();
    const type_info* info = find_type(*type);
    if (!info)
      return error(errc::bad_type, type_at);
    if (!elements.valid() || !places.valid())
      return error(errc::size_overflow, where);
    if (t.columns() % info->block_size != 0)
      return error(errc::bad_row, where);
    const checked bytes = checked(*elements.value() / info->block_size) * checked(info->block_bytes);
    if (!bytes.rounded_up(out_.alignment).valid())
      return error(errc::size_overflow, where);
    t.type = info->type;
    t.bytes = *bytes.value();
    t.offset = *offset;
    if (t.offset % out_.alignment != 0)
      return error(errc::bad_offset, type_at + 4);
    return {};
  }

  /// Offsets against the size of the file and against each other: each tensor starts where the padding of the one before
  /// it ends, in the order of the directory, and the file ends with the padding of the last.
  result<void> check_layout() {
    const std::uint64_t header_end = in_.offset(), aligned_end = *checked(header_end).rounded_up(out_.alignment).value();
    out_.data_offset = aligned_end;
    const bool lax = how_ == reading::lax;
    if (out_.tensors.empty())
      return size_ == header_end || size_ == aligned_end || lax ? result<void>{}
                                                                : result<void>(error(errc::trailing, header_end));
    const std::uint64_t data_size = size_ > out_.data_offset ? size_ - out_.data_offset : 0;
    if (auto done = check_places(data_size); !done)
      return done;
    std::uint64_t expected = 0;
    for (const tensor_info& t : out_.tensors) {
      if (t.offset != expected)
        return error(errc::gap, out_.data_offset + expected, t.name);
      expected = *checked(t.offset + t.bytes).rounded_up(out_.alignment).value();
    }
    if (data_size < expected && !lax)
      return error(errc::truncated_data, size_, out_.tensors.back().name);
    if (data_size > expected && !lax)
      return error(errc::trailing, out_.data_offset + expected);
    return {};
  }
  /// All tensors inside the data, none over another, in the order of the directory.
  result<void> check_places(std::uint64_t data_size) const {
    for (const tensor_info& t : out_.tensors) {
      if (t.offset > data_size && !(t.bytes == 0 && how_ == reading::lax))
        return error(errc::bad_offset, out_.data_offset, t.name);
      if (t.bytes > 0 && t.bytes > data_size - t.offset)
        return error(errc::truncated_data, size_, t.name);
    }
    std::vector<const tensor_info*> sorted;
    for (const tensor_info& t : out_.tensors)
      sorted.push_back(&t);
    std::ranges::sort(sorted, [](const tensor_info* a, const tensor_info* b) { // the place in the file decides among equals
      return a->offset != b->offset ? a->offset < b->offset : a < b;
    });
    for (std::size_t i = 1; i < sorted.size(); ++i)
      if (sorted[i]->offset - sorted[i - 1]->offset < sorted[i - 1]->bytes)
        return error(errc::overlap, out_.data_offset + sorted[i]->offset, sorted[i]->name);
    for (std::size_t i = 0; i < sorted.size(); ++i)
      if (sorted[i] != &out_.tensors[i])
        return error(errc::order, out_.data_offset + out_.tensors[i].offset, out_.tensors[i].name);
    return {};
  }

  /// Keys and names: UTF-8 without control bytes.
  static result<void> check_text(const std::string& text, std::uint64_t where) {
    if (!is_utf8(text))
      return error(errc::bad_utf8, where, text);
    if (std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }))
      return error(errc::bad_key_char, where, text);
    return {};
  }

  cursor in_;
  std::uint64_t size_;
  reading how_;
  header& out_;
};

} // namespace detail
} // namespace quanta::gguf
