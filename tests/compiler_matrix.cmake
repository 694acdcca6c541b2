# The golden bytes with every compiler of the promise that is installed: unoptimized at this CPU's best level, as usual at the
# levels below it (for the compiler of this build golden_encode checks that), and as far as it goes. QUANTA_FULL_SWEEP in the
# environment: every level both ways.

set(QUANTA_TEST_COMPILERS g++-12 clang++-14 clang++-19 CACHE STRING
    "Compilers that have to give the golden bytes, beside this build's own, g++ and clang++")

# quanta_add_compiler_test(COMPILER NAME STEP FLAG...)
function(quanta_add_compiler_test compiler name step)
  get_filename_component(short ${compiler} NAME)
  set(test golden_${short}_${name})
  add_test(NAME ${test}
           COMMAND ${CMAKE_COMMAND} -DCOMPILER=${compiler} "-DFLAGS=${ARGN}" -DSTEP=${step} -DROOT=${PROJECT_SOURCE_DIR}
                   "-DINCLUDES=$<TARGET_PROPERTY:xsimd,INTERFACE_INCLUDE_DIRECTORIES>"
                   -DPROGRAM=${CMAKE_CURRENT_BINARY_DIR}/golden_hashes/${test}
                   -P ${CMAKE_CURRENT_SOURCE_DIR}/compilers.cmake)
  set_tests_properties(${test} PROPERTIES TIMEOUT 900)
endfunction()

file(REAL_PATH ${CMAKE_CXX_COMPILER} own)
set(seen "")
foreach(name IN ITEMS ${CMAKE_CXX_COMPILER} g++ clang++ ${QUANTA_TEST_COMPILERS})
  find_program(compiler NAMES ${name} NO_CACHE)
  if(NOT compiler)
    quanta_skip(golden_${name} "${name} is not installed")
    continue()
  endif()
  file(REAL_PATH ${compiler} real)
  if(real IN_LIST seen)
    unset(compiler)
    continue()
  endif()
  list(APPEND seen ${real})
  set(levels ${cpu_levels})
  list(REMOVE_ITEM levels avx_vnni) # encodes as avx2 does; its decoding is a level test
  foreach(level IN LISTS levels)
    quanta_level_flags(${level} flags)
    if(level STREQUAL best_level OR DEFINED ENV{QUANTA_FULL_SWEEP})
      quanta_add_compiler_test(${compiler} O0_${level} 5 -O0 ${flags})
    endif()
    if(NOT (level STREQUAL best_level OR real STREQUAL own) OR DEFINED ENV{QUANTA_FULL_SWEEP})
      quanta_add_compiler_test(${compiler} O2_${level} 1 -O2 ${flags})
    endif()
  endforeach()
  quanta_add_compiler_test(${compiler} O3_native 1 -O3 -march=native)
  unset(compiler)
endforeach()
