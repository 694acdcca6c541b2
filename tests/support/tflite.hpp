// Just enough of the .tflite container (a FlatBuffer) to run networks of fully connected layers in tests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace tflite {

struct tensor {
  std::string name;
  std::vector<std::int32_t> shape;
  std::vector<std::uint8_t> data;
  std::vector<float> scales;
  std::vector<std::int64_t> zero_points;

  template <class T>
  std::vector<T> values() const {
    std::vector<T> r(data.size() / sizeof(T));
    if (!r.empty())
      std::memcpy(r.data(), data.data(), r.size() * sizeof(T));
    return r;
  }
};

enum class activation : std::uint8_t { none = 0, relu = 1 };

struct layer {
  std::size_t input, weights, bias, output; // tensors
  tflite::activation activation;
};

struct model {
  std::vector<tensor> tensors;
  std::vector<layer> layers; // fully connected, in order

  const tensor& named(const std::string& name) const {
    for (const tensor& t : tensors)
      if (t.name == name)
        return t;
    throw std::runtime_error("no tensor " + name);
  }
};

/// A FlatBuffer: tables reach their fields through a vtable, everything else by offsets from where they are stored.
class reader {
public:
  explicit reader(std::vector<std::uint8_t> bytes) : bytes_(std::move(bytes)) {}

  template <class T>
  T at(std::size_t offset) const {
    if (offset > bytes_.size() || bytes_.size() - offset < sizeof(T))
      throw std::runtime_error("offset past the end");
    T r;
    std::memcpy(&r, &bytes_[offset], sizeof r);
    return r;
  }
  std::size_t follow(std::size_t offset) const { return offset + at<std::uint32_t>(offset); }
  /// Where field `index` of a table is stored; 0 if it is absent.
  std::size_t field(std::size_t table, std::size_t index) const {
    const std::size_t vtable = table - static_cast<std::size_t>(static_cast<std::ptrdiff_t>(at<std::int32_t>(table)));
    const std::size_t slot = 4 + 2 * index;
    const auto offset = slot < at<std::uint16_t>(vtable) ? at<std::uint16_t>(vtable + slot) : std::uint16_t{0};
    return offset == 0 ? 0 : table + offset;
  }
  template <class T>
  T scalar(std::size_t table, std::size_t index) const {
    const std::size_t p = field(table, index);
    return p == 0 ? T{} : at<T>(p);
  }
  template <class T>
  std::vector<T> vector(std::size_t table, std::size_t index) const {
    const std::size_t p = field(table, index);
    std::vector<T> r;
    if (p != 0)
      for (std::size_t v = follow(p), i = 0; i < at<std::uint32_t>(v); ++i)
        r.push_back(at<T>(v + 4 + i * sizeof(T)));
    return r;
  }
  std::vector<std::size_t> tables(std::size_t table, std::size_t index) const {
    const std::size_t p = field(table, index);
    std::vector<std::size_t> r;
    if (p != 0)
      for (std::size_t v = follow(p), i = 0; i < at<std::uint32_t>(v); ++i)
        r.push_back(follow(v + 4 + 4 * i));
    return r;
  }

private:
  std::vector<std::uint8_t> bytes_;
};

/// The first subgraph of a file. Field numbers are those of TensorFlow Lite's schema, version 3.
inline model read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  const reader file{std::vector<std::uint8_t>(std::istreambuf_iterator<char>(in), {})};
  const std::size_t root = file.follow(0);
  const auto buffers = file.tables(root, 4);
  const std::size_t graph = file.tables(root, 2).at(0);
  model m;
  for (const std::size_t t : file.tables(graph, 0)) {
    tensor r;
    r.shape = file.vector<std::int32_t>(t, 0);
    r.data = file.vector<std::uint8_t>(buffers.at(file.scalar<std::uint32_t>(t, 2)), 0);
    for (const char c : file.vector<char>(t, 3))
      r.name += c;
    if (const std::size_t p = file.field(t, 4); p != 0) {
      r.scales = file.vector<float>(file.follow(p), 2);
      r.zero_points = file.vector<std::int64_t>(file.follow(p), 3);
    }
    m.tensors.push_back(std::move(r));
  }
  for (const std::size_t op : file.tables(graph, 3)) {
    const auto in_tensors = file.vector<std::int32_t>(op, 1), out_tensors = file.vector<std::int32_t>(op, 2);
    const std::size_t options = file.follow(file.field(op, 4));
    const auto index = [](std::int32_t i) { return static_cast<std::size_t>(i); };
    m.layers.push_back({index(in_tensors.at(0)), index(in_tensors.at(1)), index(in_tensors.at(2)), index(out_tensors.at(0)),
                        static_cast<activation>(file.scalar<std::uint8_t>(options, 0))});
  }
  return m;
}

} // namespace tflite
