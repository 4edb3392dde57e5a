// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <boost/version.hpp>

/// \file
/// The library's version, by semantic versioning. While the major number is 0, a minor release may change
/// the API; the inline namespace changes with it, so that two versions never link as one.
///
/// Every header includes this one before anything else of Boost, so that one who has an older Boost is told
/// so.

#define PUSHER_VERSION_MAJOR 0
#define PUSHER_VERSION_MINOR 1
#define PUSHER_VERSION_PATCH 0
#define PUSHER_VERSION_STRING "0.1.0"

#if BOOST_VERSION < 108100
#error "pusher needs Boost 1.81 or newer; this is an older one (Debian 12: libboost-json1.81-dev)"
#endif

namespace pusher::inline v0 {}
