// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/version.hpp>

/// \file
/// The TLS part of Asio, compiled once: include this in exactly one source file of a program that uses
/// `<pusher/ext/tls.hpp>` and defines `BOOST_ASIO_SEPARATE_COMPILATION`. Without that macro it is not needed.

#if defined(BOOST_ASIO_SEPARATE_COMPILATION)
#include <boost/asio/ssl/impl/src.hpp>
#endif
