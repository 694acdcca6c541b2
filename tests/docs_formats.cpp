// Writes docs/formats, or with --check compares what it would write with what is there, so that the pages cannot go stale.
// Layouts come from the headers' comments, everything else from the formats themselves.
//   docs_formats [--check] ROOT
#include <cctype>
#include <cstdio>
#include <iostream>
#include <map>
#include <sstream>

#include "quanta/gguf/gguf.hpp"
#include "quanta/quanta.hpp"
#include "support/golden_data.hpp"
#include "support/header_comment.hpp"

namespace {

using rows = std::vector<std::vector<float>>;

/// What each format is, in one sentence.
const std::map<std::string, const char*, std::less<>> sentences{
    {"q8_0", "Signed bytes with one scale for 32 values."},
    {"q4_0", "Sixteen equally spaced levels around zero, one scale for 32 weights."},
    {"q4_1", "Sixteen equally spaced levels from the smallest to the largest of 32 weights."},
    {"q5_0", "Thirty-two equally spaced levels around zero, one scale for 32 weights."},
    {"q5_1", "Thirty-two equally spaced levels from the smallest to the largest of 32 weights."},
    {"q2_k", "Four levels, with a scale and a minimum of four bits for every 16 weights."},
    {"q3_k", "Eight levels around zero, with a scale of six bits for every 16 weights."},
    {"q4_k", "Sixteen levels, with a scale and a minimum of six bits for every 32 weights."},
    {"q5_k", "Thirty-two levels, with a scale and a minimum of six bits for every 32 weights."},
    {"q6_k", "Sixty-four levels around zero, with a scale of eight bits for every 16 weights."},
    {"iq4_nl", "Sixteen uneven levels, denser near zero, one scale for 32 weights."},
    {"iq4_xs", "Sixteen uneven levels, with a scale of six bits for every 32 weights."},
    {"iq3_s", "Fours of magnitudes from a codebook of 512, all signs stored, with a scale of four bits for every 32 weights."},
    {"iq3_xxs", "Fours of magnitudes from a codebook of 256, seven signs of eight stored, with a scale for every 32 weights."},
    {"iq2_s",
     "Eights of magnitudes from a codebook of 1,024, all signs stored, with a scale of four bits for every 16 weights."},
    {"iq2_xs", "Eights of magnitudes from a codebook of 512, seven signs of eight stored, with a scale for every 16 weights."},
    {"iq2_xxs", "Eights of magnitudes from a codebook of 256, seven signs of eight stored, with a scale for every 32 weights."},
    {"iq1_m", "Eights of ternary levels from a codebook of 2,048, shifted up or down, with a scale for every 16 weights."},
    {"iq1_s", "Eights of ternary levels from a codebook of 2,048, shifted up or down, with a scale for every 32 weights."},
    {"tq1_0", "Ternary weights, five in a byte, one scale for 256."},
    {"tq2_0", "Ternary weights, two bits each, one scale for 256."},
    {"mxfp4", "Floats of four bits (E2M1) with a power of two for 32 weights, as in OCP's microscaling formats."},
    {"nvfp4", "Floats of four bits (E2M1) with a scale of eight bits (UE4M3) for 16 weights."},
    {"q1_0", "Signs, one scale for 128 weights."},
    {"q2_0", "Ternary weights, two bits each, one scale for 64."},
    {"q8_1", "Signed bytes with one scale and their sum for 32 activations."},
    {"q8_k", "Signed bytes with one scale and their sums by 16 for 256 activations."}};

std::string lower(std::string_view s) {
  std::string r(s);
  for (char& c : r)
    c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return r;
}
template <class... T>
std::string text(const char* format, T... values) {
  char buffer[256];
  std::snprintf(buffer, sizeof buffer, format, values...);
  return buffer;
}
/// Lines of at most `width` characters.
std::string wrapped(const std::string& words, std::size_t width = 120) {
  std::istringstream in(words);
  std::string out, line;
  for (std::string word; in >> word;) {
    if (!line.empty() && line.size() + 1 + word.size() > width)
      out += line + '\n', line.clear();
    line += (line.empty() ? "" : " ") + word;
  }
  return out + line + '\n';
}

/// Relative rms error of all rows that are whole blocks.
template <class B>
std::string error_of(const rows& data) {
  quanta::error_report total;
  for (const auto& x : data) {
    if (x.size() % B::block_size != 0)
      continue;
    std::vector<B> blocks(x.size() / B::block_size);
    quanta::quantize(x, blocks);
    total += quanta::compare(x, blocks);
  }
  return text("%.4f", total.relative_rms());
}

struct samples {
  rows gaussian, heavy, model;
};
rows split(const std::vector<float>& x, std::size_t columns) {
  rows r;
  for (std::size_t i = 0; i + columns <= x.size(); i += columns)
    r.emplace_back(x.begin() + static_cast<std::ptrdiff_t>(i), x.begin() + static_cast<std::ptrdiff_t>(i + columns));
  return r;
}
/// The matrices of the example model.
rows model_rows(const std::string& path) {
  const auto file = quanta::gguf::file::open(path);
  if (!file)
    throw std::runtime_error("cannot open " + path);
  rows all;
  for (const auto& t : file->tensors()) {
    if (t.dims.size() < 2 || t.type != quanta::tensor_type::f16)
      continue;
    std::vector<quanta::f16> halves(t.elements());
    if (!file->read(t, 0, std::as_writable_bytes(std::span(halves))))
      throw std::runtime_error("cannot read " + t.name);
    std::vector<float> x(halves.size());
    quanta::dequantize(halves, x);
    for (auto& row : split(x, t.columns()))
      all.push_back(std::move(row));
  }
  return all;
}

std::string drawn_layout(const header_comment& header, std::size_t bytes, const std::string& name) {
  std::string out = "```text\n";
  const std::string rule = "     +" + std::string(10, '-') + "+" + std::string(7, '-') + "+\n";
  for (std::size_t f = 0; f < header.fields.size(); ++f) {
    const auto& field = header.fields[f];
    const std::size_t end = f + 1 < header.fields.size() ? header.fields[f + 1].offset : bytes;
    if (end <= field.offset || (f == 0 && field.offset != 0))
      throw std::runtime_error(name + ": the byte map of its header does not cover the block");
    std::istringstream lines(wrapped(field.text, 90));
    std::string line;
    std::getline(lines, line);
    out += text("%4zu ", field.offset) + rule.substr(5);
    out += text("     | %-8s | %5zu |  ", field.name.c_str(), end - field.offset) + line + '\n';
    while (std::getline(lines, line))
      out += "     |          |       |  " + line + '\n';
  }
  return out + text("%4zu ", bytes) + rule.substr(5) + "```\n";
}

template <class B>
std::string example(const header_comment& header, const samples& data) {
  std::vector<B> first(1);
  quanta::quantize(std::span(data.gaussian[0]).first(B::block_size), first);
  const B& block = first[0];
  const auto bytes = std::bit_cast<std::array<std::uint8_t, sizeof(B)>>(block);
  std::string out =
      "## Example\n\nThe first block of the row `gaussian` of seed 1 ([conformance](../conformance.md)):\n\n```text\n";
  for (std::size_t f = 0; f < header.fields.size(); ++f) {
    const std::size_t begin = header.fields[f].offset,
                      end = f + 1 < header.fields.size() ? header.fields[f + 1].offset : sizeof(B);
    for (std::size_t i = begin; i < end; ++i) {
      if ((i - begin) % 16 == 0)
        out += (i == 0 ? "" : "\n") + text("%4zu  %-8s ", i, i == begin ? header.fields[f].name.c_str() : "");
      out += text(" %02x", static_cast<unsigned>(bytes[i]));
    }
  }
  out += "\n```\n\n| weight | group | code | scale | " + std::string(B::affine ? "minimum | " : "") +
         "decoded |\n|---|---|---|---|---|" + (B::affine ? "---|" : "") + "\n";
  const std::size_t last = B::block_size - 1;
  for (const std::size_t i : {std::size_t{0}, std::size_t{1}, B::block_size / 2, B::block_size / 2 + 1, last}) {
    const std::size_t g = i / B::group_size;
    out += text("| %zu | %zu | %d | %.6g | ", i, g, block.code(i), static_cast<double>(block.scale(g)));
    if (B::affine)
      out += text("%.6g | ", static_cast<double>(block.minimum(g)));
    out += text("%.6g |\n", static_cast<double>(quanta::decode_value(block, i)));
  }
  return out + "\nDecoded = scale * " + (B::code_offset ? text("(code - %d)", B::code_offset) : "code") +
         (B::affine ? " - minimum" : "") + ", the scale" + (B::affine ? " and the minimum" : "") + " being the group's.\n";
}

struct output {
  std::map<std::string, std::string> pages;
  std::string index;
};

template <class B>
void add_page(const std::string& root, const samples& data, output& out) {
  const std::string name = lower(B::name);
  const auto header = header_comment::read(root + "/include/quanta/formats/" + name + ".hpp");
  const quanta::type_info& info = *quanta::find_type(B::type);
  const std::string gaussian = error_of<B>(data.gaussian), heavy = error_of<B>(data.heavy), model = error_of<B>(data.model);
  std::string partner = "nothing: it is the activation side";
  if constexpr (quanta::weight_format<B>)
    partner = "`" + lower(B::dot_partner::name) + "`";

  std::string page =
      "# " + name + "\n\n" + wrapped(sentences.at(name)) + "\n```text\n" + header.equation + "\n```\n\n| | |\n|---|---|\n";
  page += text("| block | %zu weights, %zu bytes |\n", B::block_size, sizeof(B));
  page += text("| bits a weight | %.6g |\n", info.bits_per_weight());
  page += text("| weights a scale | %zu |\n", B::group_size);
  page += text("| number in GGUF | %u, `%s` |\n", static_cast<unsigned>(B::type), std::string(B::name).c_str());
  page += "| `dot` pairs it with | " + partner + " |\n";
  page += "| relative rms error, gaussian | " + gaussian + " |\n| heavy-tailed | " + heavy + " |\n| example model | " + model +
          " |\n";
  page += "\n## Bytes\n\n" + drawn_layout(header, sizeof(B), name);
  if (!header.notes.empty())
    page += '\n' + wrapped(header.notes);
  if (name == "q4_k" || name == "q5_k")
    page += "\nThe pairs, s and m of six bits for eight groups:\n\n```text\nbyte j      (j < 4)  s[j]             | (s[j+4] "
            "bits 4-5) << 6\n"
            "byte 4 + j           m[j]             | (m[j+4] bits 4-5) << 6\n"
            "byte 8 + j           s[j+4] bits 0-3  | (m[j+4] bits 0-3) << 4\n```\n";
  if constexpr (requires { B::codes_by_nibble; }) {
    page += "\nLevels of q = 0 .. 15, as codes less " + std::to_string(B::code_offset) + ":";
    for (const std::uint8_t code : B::codes_by_nibble)
      page += ' ' + std::to_string(code - B::code_offset);
    page += '\n';
  }
  page += '\n' + example<B>(header, data);
  if (!header.good.empty())
    page += "\n## When to use it\n\n" + wrapped("Good: " + header.good) + '\n' + wrapped("Bad: " + header.bad);
  out.pages[name + ".md"] = page;
  out.index += text("| [%s](%s.md) | %.6g | %zu | %zu | %zu | ", name.c_str(), name.c_str(), info.bits_per_weight(),
                    B::block_size, B::group_size, sizeof(B)) +
               gaussian + " | " + heavy + " | " + model + " | " + partner + " | " + std::to_string(header.lines) + " |\n";
}

template <class B>
std::string template_line(const char* name, const samples& data) {
  return text("| `%s` | %zu | %.6g | ", name, sizeof(B), 8. * sizeof(B) / static_cast<double>(B::block_size)) +
         error_of<B>(data.gaussian) + " | " + error_of<B>(data.model) + " |\n";
}

output generate(const std::string& root) {
  const samples data{split(golden::rows(1, "gaussian", 64, 2048), 2048), split(golden::rows(1, "heavy", 64, 2048), 2048),
                     model_rows(root + "/examples/models/kjv-3m-f16.gguf")};
  output out;
  quanta::block_formats::for_each([&](auto tag) { add_page<typename decltype(tag)::type>(root, data, out); });
  out.pages["README.md"] =
      "# Formats\n\n" +
      wrapped("A page for each format: equation, byte map, a worked example, what it loses, when to use it. All of it is "
              "written by "
              "tests/docs_formats.cpp, layouts from the headers in include/quanta/formats, numbers from the formats "
              "themselves; the "
              "test docs_formats fails when a page is stale.") +
      "\n" +
      wrapped("Errors are relative: the root of the squared error over the squared weights, without importance, of 64 rows of "
              "2,048 "
              "gaussian numbers, of as many cubed gaussian numbers (heavy tails), and of all matrices of the example model "
              "that are whole "
              "blocks. The last column counts the lines of the format's header.") +
      "\n| format | bits | block | group | bytes | gaussian | heavy | model | dot with | lines "
      "|\n|---|---|---|---|---|---|---|---|---|---|\n" +
      out.index + "\nTemplates: [linear_block](linear_block.md), [int8_block](int8_block.md). Plain types: float, f16, bf16.\n";

  const std::string columns = "\n| | bytes | bits a weight | gaussian | model |\n|---|---|---|---|---|\n";
  std::string linear =
      "# linear_block\n\n" +
      wrapped("Equally spaced levels of 2 to 8 bits and one scale, or a scale and an offset, for 16 values or any "
              "number of 32s.") +
      "\n```text\nlinear_block<Bits, N>          x = d * (q - 2^(Bits-1))\nlinear_block<Bits, N, affine>  x = d * q + "
      "m\n```\n\n" +
      wrapped(
          "d and m are halves. The codes follow as planes of their bits, the highest first, each for all runs of 32 values:") +
      "\n```text\nbit plane    (odd Bits)   4 bytes a run: bit i of the little-endian word is the bit of value i\n"
      "crumb plane  (2 bits)     8 bytes a run: byte j holds values j, j + 8, j + 16, j + 24 from the low bits up\n"
      "nibble plane (4 bits)    16 bytes a run: byte j holds value j in the low nibble, j + 16 in the high one\n```\n\n" +
      wrapped(
          "Blocks of 16 have one run of half the size. Worked examples: [q4_0](q4_0.md), [q4_1](q4_1.md), [q5_0](q5_0.md) and "
          "[q5_1](q5_1.md) are this template with 4 and 5 bits and N = 32. Symmetric blocks pair with int8_block of 32 (16) in "
          "`dot`, "
          "affine ones of up to 7 bits with q8_1. The searches weigh errors by the importance. Errors are those of "
          "[README](README.md).") +
      columns;
  using quanta::affine, quanta::linear_block, quanta::int8_block;
  linear += template_line<linear_block<2, 32>>("linear_block<2, 32>", data);
  linear += template_line<linear_block<3, 32>>("linear_block<3, 32>", data);
  linear += template_line<linear_block<4, 16>>("linear_block<4, 16>", data);
  linear += template_line<linear_block<4, 32>>("linear_block<4, 32>", data);
  linear += template_line<linear_block<4, 64>>("linear_block<4, 64>", data);
  linear += template_line<linear_block<4, 128>>("linear_block<4, 128>", data);
  linear += template_line<linear_block<5, 32>>("linear_block<5, 32>", data);
  linear += template_line<linear_block<6, 32>>("linear_block<6, 32>", data);
  linear += template_line<linear_block<7, 32>>("linear_block<7, 32>", data);
  linear += template_line<linear_block<8, 32>>("linear_block<8, 32>", data);
  linear += template_line<linear_block<2, 32, affine>>("linear_block<2, 32, affine>", data);
  linear += template_line<linear_block<3, 32, affine>>("linear_block<3, 32, affine>", data);
  linear += template_line<linear_block<4, 64, affine>>("linear_block<4, 64, affine>", data);
  linear += template_line<linear_block<8, 128, affine>>("linear_block<8, 128, affine>", data);
  out.pages["linear_block.md"] =
      linear + "\n" +
      wrapped("Good: any width and block size, in the user's hands; the simplest to write in hardware. Bad: one "
              "outlier widens the steps of all N.");
  std::string int8 =
      "# int8_block\n\n" +
      wrapped("Signed bytes and one scale for 16 values or any number of 32s; int8_block<32> is [q8_0](q8_0.md).") +
      "\n```text\nx = d * q\n\n   0 +----------+-------+\n     | d        |     2 |  half\n   2 +----------+-------+\n"
      "     | qs       |     N |  N signed bytes in order\n N+2 +----------+-------+\n```\n" +
      columns;
  int8 += template_line<int8_block<16>>("int8_block<16>", data);
  int8 += template_line<int8_block<32>>("int8_block<32>", data);
  int8 += template_line<int8_block<64>>("int8_block<64>", data);
  int8 += template_line<int8_block<128>>("int8_block<128>", data);
  out.pages["int8_block.md"] = int8 + "\n" +
                               wrapped("Good: practically lossless weights, and the activation side of the 32-value formats. "
                                       "Bad: size. A largest magnitude under 127 * 2^-25 gives d = 0.");
  return out;
}

} // namespace

int main(int count, char** arguments) {
  const bool check = count == 3 && std::string_view(arguments[1]) == "--check";
  if (count != 2 && !check) {
    std::cerr << "usage: docs_formats [--check] ROOT\n";
    return 2;
  }
  const std::string root = arguments[count - 1];
  int stale = 0;
  for (const auto& [name, page] : generate(root).pages) {
    const std::string path = root + "/docs/formats/" + name;
    if (!check) {
      std::ofstream(path, std::ios::binary) << page;
      continue;
    }
    std::ifstream in(path, std::ios::binary);
    std::istringstream wanted(page), found(std::string(std::istreambuf_iterator<char>(in), {}));
    for (std::string a, b; bool(std::getline(wanted, a)) | bool(std::getline(found, b)); a.clear(), b.clear())
      if (a != b) {
        std::cerr << "docs/formats/" << name << " is stale. It has\n  " << b << "\nand should have\n  " << a << "\n";
        ++stale;
        break;
      }
  }
  if (stale > 0)
    std::cerr << "to write the pages anew: docs_formats " << root << '\n';
  return stale > 0;
}
