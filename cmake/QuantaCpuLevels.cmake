# quanta_cpu_levels(VARIABLE): the levels that the CPU of this machine has, the best one last; portable where that cannot be tried.
function(quanta_cpu_levels variable)
  if(NOT DEFINED QUANTA_CPU_LEVELS)
    try_run(run compiled ${CMAKE_CURRENT_BINARY_DIR}/cpu_levels
            SOURCES ${PROJECT_SOURCE_DIR}/cmake/cpu_levels.cpp
            CMAKE_FLAGS -DINCLUDE_DIRECTORIES=${PROJECT_SOURCE_DIR}/include
            CXX_STANDARD 20 CXX_STANDARD_REQUIRED ON
            RUN_OUTPUT_VARIABLE levels)
    if(NOT compiled OR NOT run EQUAL 0)
      set(levels portable)
    endif()
    set(QUANTA_CPU_LEVELS "${levels}" CACHE INTERNAL "Instruction-set levels of this machine's CPU")
  endif()
  set(${variable} "${QUANTA_CPU_LEVELS}" PARENT_SCOPE)
endfunction()

# quanta_best_level(VARIABLE): the best one of them.
function(quanta_best_level variable)
  quanta_cpu_levels(levels)
  list(GET levels -1 level)
  set(${variable} ${level} PARENT_SCOPE)
endfunction()
