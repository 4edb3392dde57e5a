// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

/// \file
/// The bodies of `sqlite_store`, compiled once: include this in exactly one source file of a program that
/// uses `<pusher/ext/sqlite_store.hpp>` and defines `PUSHER_SEPARATE_COMPILATION`. Without that macro it is
/// not needed.

#if defined(PUSHER_SEPARATE_COMPILATION)
#include <pusher/ext/impl/sqlite_database.hpp>
#include <pusher/ext/impl/sqlite_store.hpp>
#endif
