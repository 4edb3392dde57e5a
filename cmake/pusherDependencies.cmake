# Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

# What pusher stands on, found and given a name. Used as it is by pusher's own build and, once installed, by
# find_package(pusher), so that both find the same things in the same way.
#
#   pusher::boost          Boost's headers and threads, and how pusher is compiled
#   pusher::dependencies   the same, and what is compiled once, as pusher_src: Boost.JSON where there is no library of
#                          it; with PUSHER_SEPARATE_COMPILATION Asio, Beast and pusher itself
#   pusher::openssl        OpenSSL, for <pusher/ext/tls.hpp>
#   pusher::sqlite         SQLite, for <pusher/ext/sqlite_store.hpp>
#
# The caller sets pusher_INCLUDE (the folder with pusher.hpp). What is missing is told in pusher_PROBLEM.

set(pusher_CMAKE_DIR "${CMAKE_CURRENT_LIST_DIR}")
set(pusher_BOOST_MINIMUM 1.81)

# Sets pusher_PROBLEM if `include_dir` has no Boost that is new enough.
function(pusher_check_boost_headers include_dir)
    set(problem "")
    if(NOT EXISTS "${include_dir}/boost/version.hpp")
        set(problem "pusher needs the headers of Boost ${pusher_BOOST_MINIMUM} or newer: there is no "
                    "boost/version.hpp in '${include_dir}'.")
    else()
        file(STRINGS "${include_dir}/boost/version.hpp" line REGEX "^#define BOOST_LIB_VERSION ")
        string(REGEX REPLACE ".*\"([0-9_]+)\".*" "\\1" found "${line}")
        string(REPLACE "_" "." found "${found}")
        if(found VERSION_LESS pusher_BOOST_MINIMUM)
            set(problem "pusher needs Boost ${pusher_BOOST_MINIMUM} or newer: '${include_dir}' has ${found}.")
        endif()
    endif()
    string(CONCAT problem ${problem})
    set(pusher_PROBLEM "${problem}" PARENT_SCOPE)
endfunction()

# Where Boost is: a folder in pusher_BOOST_INCLUDE or a target in pusher_BOOST_TARGET; pusher_JSON is the target of
# Boost.JSON's library, if there is one for these headers.
macro(pusher_find_boost)
    set(pusher_BOOST_INCLUDE "")
    set(pusher_BOOST_TARGET "")
    set(pusher_JSON "")
    if(PUSHER_BOOST_INCLUDE_DIR)
        set(pusher_BOOST_INCLUDE "${PUSHER_BOOST_INCLUDE_DIR}")
    else()
        # A program that builds Boost itself has these targets already.
        if(NOT (TARGET Boost::headers AND TARGET Boost::json))
            find_package(Boost ${pusher_BOOST_MINIMUM} CONFIG QUIET OPTIONAL_COMPONENTS json)
        endif()
        if(TARGET Boost::headers)
            set(pusher_BOOST_TARGET Boost::headers)
            if(TARGET Boost::json)
                set(pusher_JSON Boost::json)
            endif()
        else()
            find_path(pusher_BOOST_HEADERS boost/version.hpp)
            mark_as_advanced(pusher_BOOST_HEADERS)
            if(pusher_BOOST_HEADERS)
                set(pusher_BOOST_INCLUDE "${pusher_BOOST_HEADERS}")
            else()
                string(CONCAT pusher_PROBLEM
                    "pusher needs the headers of Boost ${pusher_BOOST_MINIMUM} or newer and found none. Install them "
                    "(Debian: libboost-json1.81-dev), or name their folder with CMAKE_PREFIX_PATH or "
                    "PUSHER_BOOST_INCLUDE_DIR.")
            endif()
        endif()
    endif()
    if(pusher_BOOST_INCLUDE)
        pusher_check_boost_headers("${pusher_BOOST_INCLUDE}")
    endif()
endmacro()

# A library of what is compiled once. It is built only where something links it.
function(pusher_add_source_library name)
    list(TRANSFORM ARGN PREPEND "${pusher_CMAKE_DIR}/" OUTPUT_VARIABLE sources)
    add_library(${name} STATIC EXCLUDE_FROM_ALL ${sources})
    set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE ON EXPORT_COMPILE_COMMANDS OFF)
    target_compile_features(${name} PUBLIC cxx_std_20)
    target_include_directories(${name} SYSTEM PRIVATE "${pusher_INCLUDE}")
    target_link_libraries(${name} PUBLIC pusher::boost)
endfunction()

macro(pusher_find_dependencies)
    set(pusher_PROBLEM "")
    if(NOT TARGET pusher::dependencies)
        find_package(Threads QUIET)
        if(NOT Threads_FOUND)
            set(pusher_PROBLEM "pusher needs threads, and CMake found none for this compiler.")
        endif()
        if(NOT pusher_PROBLEM)
            pusher_find_boost()
        endif()
        if(NOT pusher_PROBLEM)
            add_library(pusher::boost INTERFACE IMPORTED GLOBAL)
            set_property(TARGET pusher::boost PROPERTY INTERFACE_LINK_LIBRARIES
                ${pusher_BOOST_TARGET} Threads::Threads)
            if(pusher_BOOST_INCLUDE)
                set_property(TARGET pusher::boost PROPERTY INTERFACE_INCLUDE_DIRECTORIES "${pusher_BOOST_INCLUDE}")
            endif()
            if(PUSHER_SEPARATE_COMPILATION)
                set_property(TARGET pusher::boost APPEND PROPERTY INTERFACE_COMPILE_DEFINITIONS
                    PUSHER_SEPARATE_COMPILATION BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION)
            endif()
            add_library(pusher::dependencies INTERFACE IMPORTED GLOBAL)
            set_property(TARGET pusher::dependencies PROPERTY INTERFACE_LINK_LIBRARIES pusher::boost ${pusher_JSON})
            if(PUSHER_SEPARATE_COMPILATION OR NOT pusher_JSON)
                set(sources pusher_boost_src.cpp)
                if(PUSHER_SEPARATE_COMPILATION)
                    list(APPEND sources pusher_broker_src.cpp pusher_client_src.cpp)
                endif()
                pusher_add_source_library(pusher_src ${sources})
                if(pusher_JSON)
                    target_compile_definitions(pusher_src PRIVATE PUSHER_SRC_WITHOUT_JSON)
                    target_link_libraries(pusher_src PUBLIC ${pusher_JSON})
                endif()
                set_property(TARGET pusher::dependencies APPEND PROPERTY INTERFACE_LINK_LIBRARIES pusher_src)
            endif()
        endif()
    endif()
endmacro()

macro(pusher_find_openssl)
    set(pusher_PROBLEM "")
    if(NOT TARGET pusher::openssl)
        find_package(OpenSSL 1.1.1 QUIET COMPONENTS SSL Crypto)
        if(NOT OpenSSL_FOUND)
            string(CONCAT pusher_PROBLEM
                "pusher::tls needs OpenSSL 1.1.1 or newer and found none. Install it (Debian: libssl-dev), name its "
                "folder with OPENSSL_ROOT_DIR, or do without pusher::tls.")
        else()
            add_library(pusher::openssl INTERFACE IMPORTED GLOBAL)
            set_property(TARGET pusher::openssl APPEND PROPERTY
                INTERFACE_LINK_LIBRARIES OpenSSL::SSL OpenSSL::Crypto)
            if(PUSHER_SEPARATE_COMPILATION)
                pusher_add_source_library(pusher_tls_src pusher_tls_src.cpp)
                target_link_libraries(pusher_tls_src PUBLIC pusher_src OpenSSL::SSL)
                set_property(TARGET pusher::openssl APPEND PROPERTY INTERFACE_LINK_LIBRARIES pusher_tls_src)
            endif()
        endif()
    endif()
endmacro()

macro(pusher_find_sqlite)
    set(pusher_PROBLEM "")
    if(NOT TARGET pusher::sqlite)
        find_package(SQLite3 3.31 QUIET)
        if(NOT SQLite3_FOUND)
            string(CONCAT pusher_PROBLEM
                "pusher::sqlite_store needs SQLite 3.31 or newer and found none. Install it (Debian: libsqlite3-dev), "
                "name its folder with CMAKE_PREFIX_PATH, or do without pusher::sqlite_store.")
        else()
            add_library(pusher::sqlite INTERFACE IMPORTED GLOBAL)
            set_property(TARGET pusher::sqlite APPEND PROPERTY INTERFACE_LINK_LIBRARIES SQLite::SQLite3)
            if(PUSHER_SEPARATE_COMPILATION)
                pusher_add_source_library(pusher_sqlite_store_src pusher_sqlite_store_src.cpp)
                target_link_libraries(pusher_sqlite_store_src PUBLIC pusher_src SQLite::SQLite3)
                set_property(TARGET pusher::sqlite APPEND PROPERTY INTERFACE_LINK_LIBRARIES pusher_sqlite_store_src)
            endif()
        endif()
    endif()
endmacro()
