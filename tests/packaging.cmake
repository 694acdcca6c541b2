# How others use the library: installed, as a subdirectory, by pkg-config, from several translation units.

set(consumer ${CMAKE_CURRENT_SOURCE_DIR}/consumer)
set(stage ${CMAKE_CURRENT_BINARY_DIR}/stage)
list(JOIN CMAKE_PREFIX_PATH "$<SEMICOLON>" prefixes)

add_test(NAME install COMMAND ${CMAKE_COMMAND} --install ${PROJECT_BINARY_DIR} --prefix ${stage})
set_tests_properties(install PROPERTIES FIXTURES_SETUP installed)

add_test(NAME consumer_installed
         COMMAND ${CMAKE_CTEST_COMMAND} --build-and-test ${consumer} ${CMAKE_CURRENT_BINARY_DIR}/consumer_installed
                 --build-generator ${CMAKE_GENERATOR}
                 --build-options -DCMAKE_CXX_COMPILER=${CMAKE_CXX_COMPILER} "-DCMAKE_PREFIX_PATH=${stage}$<SEMICOLON>${prefixes}"
                 --test-command consumer)
add_test(NAME consumer_subdirectory
         COMMAND ${CMAKE_CTEST_COMMAND} --build-and-test ${consumer} ${CMAKE_CURRENT_BINARY_DIR}/consumer_subdirectory
                 --build-generator ${CMAKE_GENERATOR}
                 --build-options -DCMAKE_CXX_COMPILER=${CMAKE_CXX_COMPILER} -DQUANTA_SOURCE=${PROJECT_SOURCE_DIR}
                                 "-DCMAKE_PREFIX_PATH=${prefixes}"
                 --test-command consumer)
set_tests_properties(consumer_installed PROPERTIES FIXTURES_REQUIRED installed)

# Two translation units with different flags in one program, one of them without exceptions.
add_executable(two_translation_units consumer/first.cpp consumer/second.cpp)
target_link_libraries(two_translation_units PRIVATE quanta::quanta)
quanta_level_flags(${best_level} flags)
set_source_files_properties(consumer/second.cpp PROPERTIES COMPILE_OPTIONS "${flags};-fno-exceptions;-fno-rtti")
quanta_set_warnings(two_translation_units)
add_test(NAME two_translation_units COMMAND two_translation_units)

# No function compiled with a level's flags may stand in for one of another level.
find_program(NM nm)
if(NM)
  foreach(level IN LISTS QUANTA_ALL_LEVELS)
    foreach(program IN ITEMS quanta_kernels test_packed_dispatch)
      if(NOT TARGET ${program}_kernels_${level})
        continue() # QUANTA_KERNEL_LEVELS
      endif()
      string(REPLACE quanta_kernels weak_symbols_${level} name ${program})
      string(REPLACE test_packed_dispatch weak_symbols_packed_${level} name ${name})
      add_test(NAME ${name}
               COMMAND ${CMAKE_COMMAND} -DNM=${NM} -DLEVEL=${level} -DOBJECT=$<TARGET_OBJECTS:${program}_kernels_${level}>
                       -P ${CMAKE_CURRENT_SOURCE_DIR}/weak_symbols.cmake)
    endforeach()
  endforeach()
endif()

# A CPU without AVX runs the program that carries all levels.
find_program(QEMU qemu-x86_64)
if(QEMU)
  add_test(NAME qemu_nehalem COMMAND ${QEMU} -cpu Nehalem $<TARGET_FILE:test_dispatch>)
  set_tests_properties(qemu_nehalem PROPERTIES TIMEOUT 900)
else()
  quanta_skip(qemu_nehalem "no qemu-x86_64")
endif()

# The programs of the README and of the documents print what the text says.
foreach(document IN ITEMS README docs/int8)
  string(MAKE_C_IDENTIFIER ${document} name)
  string(TOLOWER ${name} name)
  add_test(NAME ${name}
           COMMAND ${CMAKE_COMMAND} -DREADME=${PROJECT_SOURCE_DIR}/${document}.md -DWORK=${CMAKE_CURRENT_BINARY_DIR}/${name}
                   -DCOMPILER=${CMAKE_CXX_COMPILER} -DINCLUDE=${PROJECT_SOURCE_DIR}/include
                   "-DXSIMD=$<TARGET_PROPERTY:xsimd,INTERFACE_INCLUDE_DIRECTORIES>" -P ${CMAKE_CURRENT_SOURCE_DIR}/readme.cmake)
endforeach()
