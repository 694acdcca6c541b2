# What a program that uses one format carries: prints the code and data of an object that encodes, decodes and multiplies q4_k,
# and fails if a codebook is in it. A second object, of iq2_s, must have one, or the check would see nothing.
#   -DCOMPILER=... -DINCLUDES=... -DWORK=... -DNM=... -DSIZE=...
cmake_minimum_required(VERSION 3.25)
string(REPLACE "," ";" includes "${INCLUDES}")
list(TRANSFORM includes PREPEND -isystem)

function(measure format operations levels)
  set(source ${WORK}/footprint_${format}.cpp)
  file(WRITE ${source} "
#include <quanta/quanta.hpp>
#include <vector>
using rows = std::span<quanta::${format}>;
using numbers = std::span<const float>;
${operations}
")
  foreach(flags IN LISTS levels)
    set(object ${WORK}/footprint_${format}.o)
    separate_arguments(list UNIX_COMMAND "${flags}")
    execute_process(COMMAND ${COMPILER} -std=c++20 ${list} ${includes} -c ${source} -o ${object} COMMAND_ERROR_IS_FATAL ANY)
    execute_process(COMMAND ${NM} -C --defined-only ${object} OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
    execute_process(COMMAND ${SIZE} ${object} OUTPUT_VARIABLE sizes COMMAND_ERROR_IS_FATAL ANY)
    string(REGEX MATCH "\n *([0-9]+)[ \t]+([0-9]+)[ \t]+([0-9]+)" unused "${sizes}")
    math(EXPR bytes "${CMAKE_MATCH_1} + ${CMAKE_MATCH_2} + ${CMAKE_MATCH_3}")
    string(REGEX MATCHALL "quanta::grids::[a-z0-9_]+" grids "${symbols}")
    list(REMOVE_DUPLICATES grids)
    message("${format}, ${flags}: ${bytes} bytes of code and data, codebooks: ${grids}")
    set(grids_of_${format} "${grids}" PARENT_SCOPE)
    if(format STREQUAL q4_k AND grids)
      message(FATAL_ERROR "a program that uses q4_k only carries ${grids}")
    endif()
  endforeach()
endfunction()

set(decoding "void decode(rows r, std::span<float> y) { quanta::dequantize(r, y); }\n")
measure(iq2_s "${decoding}" "-O2")
if(NOT grids_of_iq2_s)
  message(FATAL_ERROR "no codebook in a program that decodes iq2_s: is this check able to see one?")
endif()
string(APPEND decoding "
float product(rows r, std::span<const quanta::q8_k> y) { return quanta::dot(r, y); }
void encode(numbers x, rows r, numbers w) { quanta::quantize(x, r, {.importance = w}); }
")
set(levels "-O2;-Os")
if(X86)
  list(APPEND levels "-O2 -march=x86-64-v3" "-O2 -march=x86-64-v4 -mavx512vnni")
endif()
measure(q4_k "${decoding}" "${levels}")
