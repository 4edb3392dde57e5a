# Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#
# Puts a file's bytes into a program, as a constexpr std::string_view in a generated header.
#
#   include(embed_text)                      # with this folder in CMAKE_MODULE_PATH, or by its full path
#   embed_text(<target> <input> HEADER <name.hpp> NAME <variable> [NAMESPACE <namespace>])
#
# For example
#
#   embed_text(hub page.html HEADER page.hpp NAME page_html NAMESPACE hub)
#
# lets the target `hub` write `#include "page.hpp"` and use `hub::page_html`. The header is made anew whenever the
# input changes. A relative <input> is looked for in the current source folder, and <target> must have been added in
# it too. The header is the target's alone: it lies in <current binary folder>/embedded/<target>, which is added to
# its private include folders.
#
# The bytes are written as an array and not as string literals, because literals have limits (65,536 characters in
# Clang's pedantic mode, 16,380 a piece with MSVC) and raw ones have a delimiter that the text may contain. So any
# file will do, with any bytes in it.

if(NOT CMAKE_SCRIPT_MODE_FILE)
    set(EMBED_TEXT_SCRIPT "${CMAKE_CURRENT_LIST_FILE}" CACHE INTERNAL "")

    function(embed_text target input)
        cmake_parse_arguments(PARSE_ARGV 2 arg "" "HEADER;NAME;NAMESPACE" "")
        if(NOT arg_HEADER OR NOT arg_NAME OR arg_UNPARSED_ARGUMENTS)
            message(FATAL_ERROR "usage: embed_text(<target> <input> HEADER <name.hpp> NAME <variable> "
                                "[NAMESPACE <namespace>])")
        endif()
        get_filename_component(input "${input}" ABSOLUTE)
        if(NOT EXISTS "${input}")
            message(FATAL_ERROR "embed_text: there is no file ${input}")
        endif()
        set(folder "${CMAKE_CURRENT_BINARY_DIR}/embedded/${target}")
        add_custom_command(
            OUTPUT "${folder}/${arg_HEADER}"
            COMMAND "${CMAKE_COMMAND}" "-DINPUT=${input}" "-DOUTPUT=${folder}/${arg_HEADER}"
                    "-DNAME=${arg_NAME}" "-DNAMESPACE=${arg_NAMESPACE}" -P "${EMBED_TEXT_SCRIPT}"
            DEPENDS "${input}" "${EMBED_TEXT_SCRIPT}"
            COMMENT "Embedding ${arg_NAME}"
            VERBATIM)
        target_sources(${target} PRIVATE "${folder}/${arg_HEADER}")
        target_include_directories(${target} PRIVATE "${folder}")
    endfunction()
    return()
endif()

# From here on: the script that the custom command runs.
foreach(wanted INPUT OUTPUT NAME)
    if(NOT ${wanted})
        message(FATAL_ERROR "embed_text: -D${wanted}=... is missing")
    endif()
endforeach()

file(READ "${INPUT}" hex HEX)
string(LENGTH "${hex}" digits)
math(EXPR size "${digits} / 2")
if(size EQUAL 0)
    message(FATAL_ERROR "embed_text: ${INPUT} is empty")
endif()
string(REGEX REPLACE "(..)" "'\\\\x\\1'," bytes "${hex}")
string(REPEAT "......." 16 line) # one byte is seven characters: '\x41',
string(REGEX REPLACE "(${line})" "\\1\n" bytes "${bytes}")

get_filename_component(source "${INPUT}" NAME)
if(NAMESPACE)
    set(open "namespace ${NAMESPACE} {\n\n")
    set(close "\n} // namespace ${NAMESPACE}\n")
else()
    set(open "")
    set(close "")
endif()
file(WRITE "${OUTPUT}"
"// Generated from ${source}; changes here are lost.
#pragma once

#include <string_view>

${open}inline constexpr char ${NAME}_bytes[${size}] = {
${bytes}};

inline constexpr std::string_view ${NAME}(${NAME}_bytes, sizeof ${NAME}_bytes);
${close}")
