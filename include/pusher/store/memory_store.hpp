// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/version.hpp>

namespace pusher::inline v0 {

/// Histories in memory, as `broker_params::history` says: nothing survives the process, and a topic without
/// history costs nothing. It is part of the core, so that there is nothing to open. A broker with this can
/// still be given a `store` of any kind to open.
struct memory_store {};

} // namespace pusher::inline v0
