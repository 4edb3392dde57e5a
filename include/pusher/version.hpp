// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

/// \file
/// The library's version, by semantic versioning. While the major number is 0, a minor release may change
/// the API; the inline namespace changes with it, so that two versions never link as one.

#define PUSHER_VERSION_MAJOR 0
#define PUSHER_VERSION_MINOR 1
#define PUSHER_VERSION_PATCH 0
#define PUSHER_VERSION_STRING "0.1.0"

namespace pusher::inline v0 {}
