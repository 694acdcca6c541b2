# quanta_best_level(VARIABLE): the best level that the CPU of this machine has; portable where that cannot be tried.
function(quanta_best_level variable)
  if(NOT DEFINED QUANTA_BEST_LEVEL)
    try_run(run compiled ${CMAKE_CURRENT_BINARY_DIR}/best_level
            SOURCES ${PROJECT_SOURCE_DIR}/cmake/best_level.cpp
            CMAKE_FLAGS -DINCLUDE_DIRECTORIES=${PROJECT_SOURCE_DIR}/include
            CXX_STANDARD 20 CXX_STANDARD_REQUIRED ON
            RUN_OUTPUT_VARIABLE level)
    if(NOT compiled OR NOT run EQUAL 0)
      set(level portable)
    endif()
    string(STRIP "${level}" level)
    set(QUANTA_BEST_LEVEL ${level} CACHE INTERNAL "Best instruction-set level of this machine's CPU")
  endif()
  set(${variable} ${QUANTA_BEST_LEVEL} PARENT_SCOPE)
endfunction()
