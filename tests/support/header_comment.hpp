// The comment at the head of a format's header, taken apart: what docs/formats is made of.
#pragma once

#include <cctype>
#include <cstddef>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

struct header_comment {
  struct field {
    std::size_t offset;
    std::string name, text;
  };
  std::string equation, notes, good, bad;
  std::vector<field> fields;
  std::size_t lines = 0; ///< of the whole header

  /// Reads the header at `path`. The comment has a line of the equation, `x = ...` (or it is part of the first sentence and
  /// ends before the number of bytes), lines `offset name text` with further text indented more, and paragraphs; `Good:` and
  /// `Bad:` begin sentences of the last one.
  static header_comment read(const std::string& path) {
    std::ifstream in(path);
    if (!in)
      throw std::runtime_error("no " + path);
    header_comment r;
    std::string summary, paragraphs;
    bool comment = true, in_fields = false;
    for (std::string line; std::getline(in, line); ++r.lines) {
      comment = comment && line.starts_with("//");
      if (!comment)
        continue;
      line.erase(0, line.starts_with("// ") ? 3 : 2);
      const std::size_t indent = line.find_first_not_of(' ');
      if (indent == std::string::npos) {
        in_fields = false;
        if (!paragraphs.empty())
          paragraphs += "\n\n";
      } else if (line.compare(indent, 4, "x = ") == 0 && indent > 0) {
        r.equation = line.substr(indent);
      } else if (indent > 0 && std::isdigit(static_cast<unsigned char>(line[indent])) && indent < 6) {
        r.add_field(line);
        in_fields = true;
      } else if (in_fields && indent > 0) {
        r.fields.back().text += ' ' + line.substr(indent);
      } else if (r.fields.empty()) {
        summary += (summary.empty() ? "" : " ") + line;
      } else {
        paragraphs += (paragraphs.empty() || paragraphs.ends_with('\n') ? "" : " ") + line;
      }
    }
    if (r.equation.empty())
      r.equation = equation_of(summary);
    const std::size_t good = paragraphs.find("Good: "), bad = paragraphs.find("Bad: ");
    if (good != std::string::npos && bad != std::string::npos) {
      r.good = trimmed(paragraphs.substr(good + 6, bad - good - 6));
      r.bad = trimmed(paragraphs.substr(bad + 5));
    }
    r.notes = trimmed(paragraphs.substr(0, good));
    return r;
  }

private:
  static std::string trimmed(const std::string& s) {
    const std::size_t first = s.find_first_not_of(" \n");
    return first == std::string::npos ? "" : s.substr(first, s.find_last_not_of(" \n") - first + 1);
  }
  static std::string equation_of(const std::string& summary) {
    const std::size_t first = summary.find("x = ");
    std::size_t end = first;
    while (end != std::string::npos && !std::isdigit(static_cast<unsigned char>(summary[end + 2])))
      end = summary.find(", ", end + 1);
    return first == std::string::npos ? "" : summary.substr(first, end - first);
  }
  void add_field(const std::string& line) {
    std::size_t at = 0, used = 0;
    const std::size_t offset = std::stoul(line, &used);
    at = line.find_first_not_of(' ', used);
    const std::size_t name_end = line.find(' ', at);
    const std::size_t text = line.find_first_not_of(' ', name_end);
    fields.push_back({offset, line.substr(at, name_end - at), line.substr(text)});
  }
};
