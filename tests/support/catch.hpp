// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

// Catch2 is 2.13 in Debian 12 and 3.x elsewhere; the tests use what both have.
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif
