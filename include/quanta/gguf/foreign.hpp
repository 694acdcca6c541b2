// What a file that is not GGUF seems to be, by its first bytes: for messages.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string_view>

namespace quanta::gguf {

/// How many bytes foreign_format wants to see.
inline constexpr std::size_t foreign_bytes = 512;

/// "a safetensors file", "a gzip archive", ...; empty if no format is recognised. `head` is the start of the file.
inline std::string_view foreign_format(std::span<const std::byte> head) {
  const std::string_view text(reinterpret_cast<const char*>(head.data()), head.size());
  struct signature {
    std::size_t offset;
    std::string_view bytes, name;
  };
  using namespace std::string_view_literals;
  static constexpr std::array signatures = std::to_array<signature>({
      {4, "TFL3"sv, "a TensorFlow Lite model"sv},
      {0, "PK\x03\x04"sv, "a zip archive, such as PyTorch's checkpoints"sv},
      {0, "\x80\x02"sv, "a Python pickle, such as older PyTorch checkpoints"sv},
      {0, "\x1F\x8B"sv, "a gzip archive"sv},
      {0, "BZh"sv, "a bzip2 archive"sv},
      {0, "\xFD\x37zXZ\0"sv, "an xz archive"sv},
      {0, "\x28\xB5\x2F\xFD"sv, "a Zstandard archive"sv},
      {0, "7z\xBC\xAF"sv, "a 7-Zip archive"sv},
      {257, "ustar"sv, "a tar archive"sv},
      {0, "\x89HDF\r\n"sv, "an HDF5 file, such as Keras' models"sv},
      {0, "\x93NUMPY"sv, "a NumPy array"sv},
      {0, "lmgg"sv, "a model of ggml's first format"sv}, // little-endian: the letters stand backwards
      {0, "fmgg"sv, "a model of ggml's second format"sv},
      {0, "tjgg"sv, "a model of ggml's third format"sv},
      {0, "FUGG"sv, "a GGUF file of the other byte order"sv},
      {0, "version https://git-lfs"sv, "a pointer of Git LFS, in the place of a file that was not fetched"sv},
      {1, "ELF"sv, "a program"sv},
  });
  for (const signature& s : signatures)
    if (text.size() >= s.offset && text.substr(s.offset).starts_with(s.bytes))
      return s.name;
  // safetensors: the length of a JSON object, then the object
  if (text.size() > 8 && text.substr(6, 2) == "\0\0"sv && text.substr(8, 8).find('{') != text.npos)
    return "a safetensors file";
  // ONNX: a protobuf whose first field is a small version, and whose second is the name of what made it, a domain, or the graph
  if (text.size() > 3 && text[0] == 8 && text[1] > 0 && text[1] < 64 && (text[2] == 18 || text[2] == 26 || text[2] == 58))
    return "an ONNX model";
  const std::size_t first = std::min(text.find_first_not_of(" \t\r\n\xEF\xBB\xBF"), text.size());
  const std::string_view start = text.substr(first);
  if (start.starts_with("<!") || start.starts_with("<html"))
    return "a web page, in the place of a file that was not found";
  if (start.starts_with('{') || start.starts_with('['))
    return "a JSON file";
  return {};
}

} // namespace quanta::gguf
