# Compiles golden_hashes.cpp with one compiler and one set of flags and runs it: the promise of equal bytes, held to the
# compilers themselves rather than to the one that builds this project.
#   -DCOMPILER=... -DFLAGS=... -DINCLUDES=... -DROOT=... -DSTEP=... -DPROGRAM=...
# STEP: every how many-th encoding is checked, since unoptimized searches are slow; all with QUANTA_FULL_SWEEP in the
# environment.
cmake_minimum_required(VERSION 3.25)
if(DEFINED ENV{QUANTA_FULL_SWEEP})
  set(STEP 1)
endif()
list(TRANSFORM INCLUDES PREPEND "-isystem" OUTPUT_VARIABLE includes)
get_filename_component(directory ${PROGRAM} DIRECTORY)
file(MAKE_DIRECTORY ${directory})
execute_process(COMMAND ${COMPILER} -std=c++20 ${FLAGS} -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror
                        -I${ROOT}/include -I${ROOT}/tests ${includes} ${ROOT}/tests/golden_hashes.cpp -o ${PROGRAM}
                RESULT_VARIABLE failed ERROR_VARIABLE errors)
if(failed)
  message(FATAL_ERROR "${COMPILER} ${FLAGS} does not compile it:\n${errors}")
endif()
execute_process(COMMAND ${PROGRAM} ${ROOT}/tests/data/golden ${STEP} OUTPUT_VARIABLE output RESULT_VARIABLE failed)
list(JOIN FLAGS " " flags)
message("${COMPILER} ${flags}: ${output}")
if(STEP GREATER 1)
  message("sampled: every ${STEP}th encoding; QUANTA_FULL_SWEEP=1 in the environment takes all")
endif()
if(failed)
  message(FATAL_ERROR "other bytes than the golden ones")
endif()
