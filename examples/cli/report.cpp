// What may help with a file that cannot be read.
#include "common.hpp"
#include "quanta/gguf/foreign.hpp"

namespace tool {
namespace {

namespace gguf = quanta::gguf;

std::string hint_for(const std::string& path, const quanta::error& why) {
  using enum quanta::errc;
  if (why.code == bad_magic || why.code == truncated || why.code == wrong_endian) {
    const auto from = gguf::file_source::open(path);
    if (!from)
      return {};
    if ((*from)->size() == 0)
      return "it is empty";
    std::vector<std::byte> head(std::min<std::uint64_t>(gguf::foreign_bytes, (*from)->size()));
    if (!(*from)->read(0, head))
      return {};
    if (const auto format = gguf::foreign_format(head); !format.empty())
      return fmt::format("it seems to be {}: convert it to GGUF first", format);
    return {};
  }
  if ((why.code == bad_alignment || why.code == truncated_data || why.code == trailing) &&
      gguf::model::open(path, gguf::reading::lax))
    return "only some loaders take such files; --lax accepts it";
  if (why.code == bad_importance)
    return why.subject() == "no entries" ? "it is another kind of file" : "importance and its counts are finite and not negative";
  if (why.code == split_mismatch)
    return "of a split model, the first part is given, and the others lie beside it under the names that they were made with";
  return {};
}

} // namespace

int report_unreadable(const std::string& path, const quanta::error& why) { return report(path, why, hint_for(path, why)); }

} // namespace tool
