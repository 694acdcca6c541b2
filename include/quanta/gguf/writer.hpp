// Writes GGUF version 3: the header at once, then tensor data in order and in pieces, so that memory stays small.
#pragma once

#include <bit>
#include <set>

#include "quanta/gguf/atomic_file.hpp"
#include "quanta/gguf/reader.hpp"

namespace quanta::gguf {

/// What a file will hold: keys and tensors, both in the order in which they are added.
class writer {
public:
  /// Sets a key, in place if it is there already. Expects: a key that is not empty and a valid value; of `general.alignment`, a
  /// u32 that is a power of two up to 65,536, set before tensors are added.
  void set(std::string key, value v) {
    QUANTA_EXPECTS(!key.empty() && v.valid());
    if (key == alignment_key) {
      const auto alignment = v.as<std::uint32_t>();
      QUANTA_EXPECTS(tensors_.empty() && alignment && std::has_single_bit(*alignment) && *alignment <= 65536);
      alignment_ = *alignment;
    }
    const auto [at, added] = keys_.emplace(key, metadata_.size());
    if (added)
      metadata_.push_back({std::move(key), std::move(v)});
    else
      metadata_[at->second].value = std::move(v);
  }
  void remove(std::string_view key) {
    const auto at = keys_.find(key);
    if (at == keys_.end())
      return;
    QUANTA_EXPECTS(key != alignment_key || tensors_.empty());
    alignment_ = key == alignment_key ? 32 : alignment_;
    metadata_.erase(metadata_.begin() + static_cast<std::ptrdiff_t>(at->second));
    for (auto& [other, index] : keys_)
      index -= index > at->second;
    keys_.erase(at);
  }
  /// Announces a tensor. Expects: a name of its own, of at most `longest_name` bytes; at most 4 dimensions, a whole number of
  /// blocks a row, and fewer than 2^63 bytes in all.
  void add_tensor(std::string name, std::vector<std::uint64_t> dims, tensor_type type) {
    const type_info* info = find_type(type);
    QUANTA_EXPECTS(name.size() <= longest_name && names_.insert(name).second);
    QUANTA_EXPECTS(info && dims.size() <= 4 && (dims.empty() ? 1 : dims[0]) % info->block_size == 0);
    checked places(1), bytes(info->block_bytes);
    for (std::size_t i = 0; i < dims.size(); ++i) {
      places = places * checked(std::max<std::uint64_t>(dims[i], 1)); // no product of some dimensions wraps either
      bytes = bytes * checked(i == 0 ? dims[0] / info->block_size : dims[i]);
    }
    const checked end = (checked(data_size_) + bytes).rounded_up(alignment_);
    QUANTA_EXPECTS(places.valid() && end.valid());
    tensors_.push_back({std::move(name), std::move(dims), type, data_size_, *bytes.value()});
    data_size_ = *end.value();
  }
  std::span<const tensor_info> tensors() const { return tensors_; }
  std::span<const entry> metadata() const { return metadata_; }
  /// Bytes of the data section, padding included.
  std::uint64_t data_size() const { return data_size_; }
  std::uint64_t alignment() const { return alignment_; }

  /// Header bytes, padded to where the data starts.
  std::vector<std::byte> header() const {
    std::vector<std::byte> out;
    const auto bytes = [&](const void* p, std::size_t n) {
      const auto* first = static_cast<const std::byte*>(p);
      out.insert(out.end(), first, first + n);
    };
    const auto number = [&](auto x) {
      const packed<decltype(x)> p(x);
      bytes(&p, sizeof p);
    };
    const auto text = [&](std::string_view s) {
      number(static_cast<std::uint64_t>(s.size()));
      bytes(s.data(), s.size());
    };
    bytes("GGUF", 4);
    number(std::uint32_t{3});
    number(static_cast<std::uint64_t>(tensors_.size()));
    number(static_cast<std::uint64_t>(metadata_.size()));
    for (const entry& e : metadata_) {
      text(e.key);
      number(static_cast<std::uint32_t>(e.value.type));
      if (e.value.type == value_type::array) {
        number(static_cast<std::uint32_t>(e.value.element));
        number(e.value.count);
      } else if (e.value.type == value_type::string) {
        number(static_cast<std::uint64_t>(e.value.bytes.size()));
      }
      bytes(e.value.bytes.data(), e.value.bytes.size());
    }
    for (const tensor_info& t : tensors_) {
      text(t.name);
      number(static_cast<std::uint32_t>(t.dims.size()));
      for (const std::uint64_t d : t.dims)
        number(d);
      number(static_cast<std::uint32_t>(t.type));
      number(t.offset);
    }
    out.resize((out.size() + alignment() - 1) / alignment() * alignment());
    return out;
  }

private:
  static constexpr std::string_view alignment_key = "general.alignment";

  std::vector<entry> metadata_;
  std::vector<tensor_info> tensors_;
  std::map<std::string, std::size_t, std::less<>> keys_;
  std::set<std::string> names_;
  std::uint64_t data_size_ = 0, alignment_ = 32;
};

/// Streams one file: open, then the bytes of every tensor in order, then finish.
class file_writer {
public:
  explicit file_writer(const writer& contents) : contents_(contents) {}

  /// Creates the temporary and writes the header. Errors: those of atomic_file.
  result<void> open(const std::string& target, bool overwrite) {
    if (auto done = out_.open(target, overwrite); !done)
      return done;
    skip_empty();
    return append(contents_.header());
  }
  /// The next bytes of the current tensor; padding follows by itself when it is complete, and empty tensors need no call.
  /// Expects: no more bytes than the tensor has left.
  result<void> write(std::span<const std::byte> bytes) {
    if (bytes.empty())
      return {};
    QUANTA_EXPECTS(tensor_ < contents_.tensors().size());
    const tensor_info& t = contents_.tensors()[tensor_];
    QUANTA_EXPECTS(bytes.size() <= t.bytes - written_);
    if (auto done = append(bytes); !done)
      return done;
    written_ += bytes.size();
    if (written_ < t.bytes)
      return {};
    ++tensor_;
    written_ = 0;
    skip_empty();
    return append(std::vector<std::byte>(*checked(t.bytes).rounded_up(contents_.alignment()).value() - t.bytes));
  }
  /// Makes what was written durable; then little is left that can fail in publish(). Expects: all tensors are complete.
  result<void> prepare() {
    QUANTA_EXPECTS(tensor_ == contents_.tensors().size());
    if (auto done = flush(); !done)
      return done;
    return out_.prepare();
  }
  /// Makes the file appear under its name. Expects: prepare() succeeded.
  result<void> publish() { return out_.publish(); }
  result<void> finish() {
    if (auto done = prepare(); !done)
      return done;
    return publish();
  }
  const std::string& temporary_name() const { return out_.temporary_name(); }

private:
  /// Small tensors share a call of the system.
  static constexpr std::size_t buffer_size = std::size_t{1} << 18;

  void skip_empty() {
    while (tensor_ < contents_.tensors().size() && contents_.tensors()[tensor_].bytes == 0)
      ++tensor_;
  }
  result<void> append(std::span<const std::byte> bytes) {
    if (buffer_.size() + bytes.size() > buffer_size)
      if (auto done = flush(); !done)
        return done;
    if (bytes.size() >= buffer_size)
      return out_.write(bytes);
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
    return {};
  }
  result<void> flush() {
    auto done = out_.write(buffer_);
    buffer_.clear();
    return done;
  }

  const writer& contents_;
  atomic_file out_;
  std::vector<std::byte> buffer_;
  std::size_t tensor_ = 0;
  std::uint64_t written_ = 0;
};

} // namespace quanta::gguf
