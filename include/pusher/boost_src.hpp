// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/version.hpp>

/// \file
/// The parts of Boost that want to be compiled once: see `<pusher/src.hpp>`.

#if !defined(PUSHER_SRC_WITHOUT_JSON)
#include <boost/json/src.hpp>
#endif

#if defined(BOOST_ASIO_SEPARATE_COMPILATION)
#include <boost/asio/impl/src.hpp>
#endif

#if defined(BOOST_BEAST_SEPARATE_COMPILATION)
#include <boost/beast/src.hpp>
#endif
