# quanta_add_kernels(): compiled kernels for several instruction-set levels in one program. Part of the installed package.
#
#   quanta_add_kernels(<target> [FORMATS <format>...] [PACKED <format>...] [HEADERS <file>...] [LEVELS <level>...])
#
# writes one small source a level into the build tree, compiles it with that level's flags, and adds the objects to the
# target. quanta/dispatch.hpp then takes the best of these levels that the CPU has, when the program runs.
#   FORMATS  the formats whose kernels the program needs; all of the library's by default. A format of your own is named with
#            its namespace, mine::nibble_pairs, and defined by one of HEADERS. Its `type` is the number that finds it.
#   PACKED   those whose packed products the program needs too (dispatch::find_packed); none by default: each takes seconds
#            to compile.
#   HEADERS  absolute paths of headers that define formats of your own.
#   LEVELS   of QUANTA_ALL_LEVELS; by default all that the target's processor family can have.
# Sets <target>_KERNEL_TARGETS to the names of the object libraries.

include_guard(GLOBAL)

set(QUANTA_ALL_FORMATS f16 bf16 q4_0 q4_1 q5_0 q5_1 q8_0 q2_k q3_k q4_k q5_k q6_k iq4_nl iq4_xs iq3_s iq3_xxs iq2_s iq2_xs iq2_xxs
                       iq1_m iq1_s tq1_0 tq2_0 mxfp4 nvfp4 q1_0 q2_0 q8_1 q8_k
    CACHE INTERNAL "Formats with kernels")

# The faster ones last.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  set(QUANTA_ALL_LEVELS portable x86_64_v2 avx2 avx_vnni avx512 CACHE INTERNAL "Instruction-set levels of this processor family")
else()
  set(QUANTA_ALL_LEVELS portable CACHE INTERNAL "Instruction-set levels of this processor family")
endif()

# quanta_level_flags(LEVEL VARIABLE): the compiler's flags for a level.
function(quanta_level_flags level variable)
  if(level STREQUAL "portable")
    set(flags "")
  elseif(level STREQUAL "x86_64_v2")
    set(flags -march=x86-64-v2)
  elseif(level STREQUAL "avx2")
    set(flags -march=x86-64-v3)
  elseif(level STREQUAL "avx_vnni")
    set(flags -march=x86-64-v3 -mavxvnni -mgfni)
  elseif(level STREQUAL "avx512")
    set(flags -march=x86-64-v4 -mavx512vnni)
  else()
    message(FATAL_ERROR "quanta has no level '${level}'; there are: ${QUANTA_ALL_LEVELS}")
  endif()
  set(${variable} ${flags} PARENT_SCOPE)
endfunction()

function(quanta_add_kernels target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "FORMATS;PACKED;HEADERS;LEVELS")
  if(NOT TARGET ${target})
    message(FATAL_ERROR "quanta_add_kernels: there is no target '${target}'")
  endif()
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "quanta_add_kernels: what is '${arg_UNPARSED_ARGUMENTS}'? FORMATS, PACKED, HEADERS or LEVELS should come before it")
  endif()
  if(NOT arg_FORMATS)
    set(arg_FORMATS ${QUANTA_ALL_FORMATS})
  endif()
  if(NOT arg_LEVELS)
    set(arg_LEVELS ${QUANTA_ALL_LEVELS})
  endif()
  foreach(format IN LISTS arg_FORMATS arg_PACKED)
    if(NOT format IN_LIST QUANTA_ALL_FORMATS AND NOT format MATCHES "::")
      message(FATAL_ERROR "quanta_add_kernels: no format '${format}'; there are: ${QUANTA_ALL_FORMATS}")
    endif()
  endforeach()
  foreach(level IN LISTS arg_LEVELS)
    if(NOT level IN_LIST QUANTA_ALL_LEVELS)
      message(FATAL_ERROR "quanta_add_kernels: no level '${level}' on ${CMAKE_SYSTEM_PROCESSOR}; "
                          "there are: ${QUANTA_ALL_LEVELS}")
    endif()
  endforeach()

  set(directory ${CMAKE_CURRENT_BINARY_DIR}/${target}_kernels)
  foreach(list IN ITEMS FORMATS PACKED)
    list(TRANSFORM arg_${list} PREPEND "quanta::" REGEX "^[a-z0-9_]+$")
    list(JOIN arg_${list} ", " arg_${list})
  endforeach()
  set(header level)
  set(table "table_of<isa::@level@, ${arg_FORMATS}>")
  if(arg_PACKED)
    set(header packed)
    set(table "packed_table_of<isa::@level@, type_list<${arg_FORMATS}>, type_list<${arg_PACKED}>>")
  endif()
  list(TRANSFORM arg_HEADERS REPLACE "(.+)" "#include \"\\1\"\n" OUTPUT_VARIABLE includes)
  list(JOIN includes "" includes)
  set(declarations "")
  set(entries "")
  set(libraries ${target}_kernels)

  foreach(level IN LISTS QUANTA_ALL_LEVELS)
    if(NOT level IN_LIST arg_LEVELS)
      continue()
    endif()
    set(library ${target}_kernels_${level})
    set(source ${directory}/${target}_kernels_${level}.cpp)
    string(CONFIGURE "${table}" level_table @ONLY)
    # file(CONFIGURE) leaves a file alone that would not change, so configuring anew recompiles nothing.
    file(CONFIGURE OUTPUT ${source} @ONLY CONTENT [[
// Written by quanta_add_kernels(); compiled with the flags of its level.
#include <quanta/dispatch/@header@.hpp>
@includes@
namespace quanta::dispatch {

const kernel_table& kernels_@level@() noexcept {
  return @level_table@;
}

} // namespace quanta::dispatch
]])
    add_library(${library} OBJECT ${source})
    quanta_level_flags(${level} flags)
    # Optimized in every configuration: kernels that are not inlined would be emitted as functions of their own, with
    # the flags of this level, under names that other objects may share. For the same reason no link-time optimization.
    target_compile_options(${library} PRIVATE ${flags} -fno-exceptions -fno-rtti
                                              $<$<OR:$<CONFIG:Debug>,$<CONFIG:>>:-O2>)
    set_target_properties(${library} PROPERTIES INTERPROCEDURAL_OPTIMIZATION OFF)
    list(APPEND libraries ${library})
    string(APPEND declarations "const kernel_table& kernels_${level}() noexcept;\n")
    string(PREPEND entries "      {isa::level::${level}, kernels_${level}},\n")
  endforeach()

  set(source ${directory}/${target}_kernels.cpp)
  file(CONFIGURE OUTPUT ${source} @ONLY CONTENT [[
// Written by quanta_add_kernels(): the levels of this program, the best first.
#include <quanta/dispatch.hpp>

#include <span>

namespace quanta::dispatch {

@declarations@
std::span<const level_entry> compiled_levels() noexcept {
  static constexpr level_entry entries[] = {
@entries@  };
  return entries;
}

} // namespace quanta::dispatch
]])
  add_library(${target}_kernels OBJECT ${source})

  foreach(library IN LISTS libraries)
    target_link_libraries(${library} PRIVATE quanta::quanta)
    # Compiled when the target needs them and not before: kernels take their time, more so under sanitizers.
    set_target_properties(${library} PROPERTIES POSITION_INDEPENDENT_CODE ON EXCLUDE_FROM_ALL ON)
    # Objects rather than a linked library, so that a static library carries them and can be exported.
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:${library}>)
  endforeach()
  set(${target}_KERNEL_TARGETS ${libraries} PARENT_SCOPE)
endfunction()
