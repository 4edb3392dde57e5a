// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// Compiled once for all test programs. Catch2 3 has its main in a library of its own.
#if !__has_include(<catch2/catch_all.hpp>)
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
#endif
