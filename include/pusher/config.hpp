// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

/// \file
/// How pusher is compiled. By default it is header-only: every file that includes it compiles what it uses.
///
/// With `PUSHER_SEPARATE_COMPILATION` defined for every file of a program, the bodies in the folders `impl/`
/// are compiled once, in the one file that includes `<pusher/src.hpp>`, and all other files compile in a
/// fraction of the time.

#if defined(PUSHER_SEPARATE_COMPILATION)
#define PUSHER_DECL
#else
#define PUSHER_DECL inline
#endif
