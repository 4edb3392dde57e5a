// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/boost_src.hpp>
#include <pusher/broker_src.hpp>
#include <pusher/client_src.hpp>

/// \file
/// What wants to be compiled once: include this in exactly one source file of a program that does not get it
/// from the CMake target `pusher::pusher`.
///
/// Boost.JSON is always among it, unless the program links Boost's own library and says so with
/// `PUSHER_SRC_WITHOUT_JSON`. Pusher, Asio and Beast are header-only by default; to compile them once, which
/// makes every other file quicker to compile, define `PUSHER_SEPARATE_COMPILATION`,
/// `BOOST_ASIO_SEPARATE_COMPILATION` and `BOOST_BEAST_SEPARATE_COMPILATION` for every file of the program. A
/// program that uses `<pusher/ext/tls.hpp>` then includes `<pusher/ext/tls_src.hpp>` in one file as well, one
/// that uses `<pusher/ext/sqlite_store.hpp>` includes `<pusher/ext/sqlite_store_src.hpp>`.
///
/// `<pusher/boost_src.hpp>`, `<pusher/broker_src.hpp>` and `<pusher/client_src.hpp>` are the same in three
/// parts, each for one file.
