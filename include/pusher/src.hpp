// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

/// \file
/// The parts of Boost that want to be compiled once: include this in exactly one source file of a program
/// that does not get them from the CMake target `pusher::pusher`.
///
/// Boost.JSON is always among them, unless the program links Boost's own library and says so with
/// `PUSHER_SRC_WITHOUT_JSON`. Asio and Beast are header-only by default; to compile them once, which makes
/// every other file quicker to compile, define `BOOST_ASIO_SEPARATE_COMPILATION` and
/// `BOOST_BEAST_SEPARATE_COMPILATION` for every file of the program. A program that uses
/// `<pusher/ext/tls.hpp>` then includes
/// `<pusher/ext/tls_src.hpp>` in one file as well.

#if !defined(PUSHER_SRC_WITHOUT_JSON)
#include <boost/json/src.hpp>
#endif

#if defined(BOOST_ASIO_SEPARATE_COMPILATION)
#include <boost/asio/impl/src.hpp>
#endif

#if defined(BOOST_BEAST_SEPARATE_COMPILATION)
#include <boost/beast/src.hpp>
#endif
