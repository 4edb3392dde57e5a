// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// The headers of an older Boost, such as Debian 12's libboost-dev.
// expect: pusher needs Boost 1.81 or newer
#if !defined(CONTROL)
#define BOOST_VERSION_HPP
#define BOOST_VERSION 107400
#define BOOST_LIB_VERSION "1_74"
#endif

#include <pusher/error.hpp>

bool stopped(const pusher::error_code& ec) { return ec == pusher::errc::stopped; }
