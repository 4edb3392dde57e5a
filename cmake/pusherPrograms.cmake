# Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

# What pusher's own tests, examples and benchmarks have in common.

add_library(pusher_warnings INTERFACE)
set(pusher_WARNINGS -Wall -Wextra -Wpedantic -Wconversion -Wshadow)
if(PUSHER_WARNINGS_AS_ERRORS)
    list(APPEND pusher_WARNINGS -Werror)
endif()
target_compile_options(pusher_warnings INTERFACE ${pusher_WARNINGS})

# A program from all .cpp files that are in `folder` at build time, or below it with RECURSE.
# Sets `name`_SOURCES, which is empty, with no target made, while there are none.
function(pusher_add_program name folder)
    cmake_parse_arguments(PARSE_ARGV 2 arg "RECURSE" "" "SOURCES;LIBRARIES")
    set(how GLOB)
    if(arg_RECURSE)
        set(how GLOB_RECURSE)
    endif()
    file(${how} sources CONFIGURE_DEPENDS "${folder}/*.cpp")
    if(sources)
        add_executable(${name} ${sources} ${arg_SOURCES})
        target_link_libraries(${name} PRIVATE pusher_warnings ${arg_LIBRARIES})
    endif()
    set(${name}_SOURCES "${sources}" PARENT_SCOPE)
endfunction()
