// Writes GGUF version 3: the header at once, then tensor data in order and in pieces, so that memory stays small.
#pragma once

#include "quanta/gguf/atomic_file.hpp"
#include "quanta/gguf/reader.hpp"

namespace quanta::gguf {

/// What a file will hold: keys and tensors, both in the order in which they are added.
class writer {
public:
  /// Sets a key, in place if it is there already.
  void set(std::string key, value v) {
    for (entry& e : metadata_)
      if (e.key == key) {
        e.value = std::move(v);
        return;
      }
    metadata_.push_back({std::move(key), std::move(v)});
  }
  void remove(std::string_view key) {
    std::erase_if(metadata_, [&](const entry& e) { return e.key == key; });
  }
  /// Announces a tensor. Expects: a whole number of blocks a row, and fewer than 2^63 bytes in all.
  void add_tensor(std::string name, std::vector<std::uint64_t> dims, tensor_type type) {
    tensor_info t;
    t.name = std::move(name);
    t.dims = std::move(dims);
    t.type = type;
    const type_info* info = find_type(type);
    QUANTA_EXPECTS(info && !t.dims.empty() && t.dims.size() <= 4 && t.dims[0] % info->block_size == 0);
    checked bytes = checked(t.dims[0] / info->block_size) * checked(info->block_bytes);
    for (std::size_t i = 1; i < t.dims.size(); ++i)
      bytes = bytes * checked(t.dims[i]);
    const checked end = (checked(data_size_) + bytes).rounded_up(alignment());
    QUANTA_EXPECTS(end.valid());
    t.bytes = *bytes.value();
    t.offset = data_size_;
    data_size_ = *end.value();
    tensors_.push_back(std::move(t));
  }
  std::span<const tensor_info> tensors() const { return tensors_; }
  std::span<const entry> metadata() const { return metadata_; }
  /// Bytes of the data section, padding included.
  std::uint64_t data_size() const { return data_size_; }
  std::uint64_t alignment() const {
    for (const entry& e : metadata_)
      if (e.key == "general.alignment")
        return e.value.as<std::uint32_t>().value_or(32);
    return 32;
  }

  /// Header bytes, padded to where the data starts. Set `general.alignment` before adding tensors.
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
  std::vector<entry> metadata_;
  std::vector<tensor_info> tensors_;
  std::uint64_t data_size_ = 0;
};

/// Streams one file: open, then the bytes of every tensor in order, then finish.
class file_writer {
public:
  explicit file_writer(const writer& contents) : contents_(contents) {}

  /// Creates the temporary and writes the header. Errors: those of atomic_file.
  result<void> open(const std::string& target, bool overwrite) {
    if (auto done = out_.open(target, overwrite); !done)
      return done.error();
    return out_.write(contents_.header());
  }
  /// The next bytes of the current tensor; padding follows by itself when it is complete.
  /// Expects: no more bytes than the tensor has left.
  result<void> write(std::span<const std::byte> bytes) {
    QUANTA_EXPECTS(tensor_ < contents_.tensors().size());
    const tensor_info& t = contents_.tensors()[tensor_];
    QUANTA_EXPECTS(bytes.size() <= t.bytes - written_);
    if (auto done = out_.write(bytes); !done)
      return done.error();
    written_ += bytes.size();
    if (written_ < t.bytes)
      return {};
    const std::vector<std::byte> padding((contents_.alignment() - t.bytes % contents_.alignment()) % contents_.alignment());
    ++tensor_;
    written_ = 0;
    return out_.write(padding);
  }
  /// Makes the file appear under its name. Expects: all tensors are complete.
  result<void> finish() {
    QUANTA_EXPECTS(tensor_ == contents_.tensors().size());
    return out_.commit();
  }
  const std::string& temporary_name() const { return out_.temporary_name(); }

private:
  const writer& contents_;
  atomic_file out_;
  std::size_t tensor_ = 0;
  std::uint64_t written_ = 0;
};

} // namespace quanta::gguf
