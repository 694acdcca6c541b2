# Fails unless a format that lacks an accessor is refused with one error, which names the concept and the accessor.
file(WRITE ${WORK}/incomplete.cpp [[
#include <quanta/quanta.hpp>
struct incomplete {
  static constexpr std::size_t block_size = 32, group_size = 32;
  static constexpr int code_offset = 8;
  static constexpr bool affine = false;
  static constexpr std::string_view name = "incomplete";
  std::uint8_t q[32];
  constexpr int code(std::size_t i) const { return q[i]; }
  constexpr float minimum(std::size_t) const { return 0.f; }
};
static_assert(quanta::block_format<incomplete>);
]])
string(REPLACE "," ";" includes "${INCLUDES}")
list(TRANSFORM includes PREPEND -isystem)
execute_process(COMMAND ${COMPILER} -std=c++20 -fsyntax-only ${includes} ${WORK}/incomplete.cpp
                RESULT_VARIABLE status ERROR_VARIABLE message)
if(status EQUAL 0)
  message(FATAL_ERROR "a format without scale() was taken")
endif()
foreach(word IN ITEMS "block_format" "block\\.scale\\(i\\)")
  if(NOT message MATCHES "${word}")
    message(FATAL_ERROR "the message does not speak of ${word}:\n${message}")
  endif()
endforeach()
string(REGEX MATCHALL "[^\n]*error:[^\n]*" errors "${message}")
list(LENGTH errors count)
if(count GREATER 1)
  message(FATAL_ERROR "${count} errors where one mistake was made:\n${message}")
endif()
message("refused with one error, which names the concept and the accessor")
