# The warnings for quanta's own programs; never part of what a user of the library gets.

# quanta_set_warnings(TARGET...)
function(quanta_set_warnings)
  foreach(target IN LISTS ARGN)
    target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wconversion -Wshadow
                                             $<$<BOOL:${QUANTA_WARNINGS_AS_ERRORS}>:-Werror>)
  endforeach()
endfunction()
