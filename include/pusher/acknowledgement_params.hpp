// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/version.hpp>

#include <chrono>
#include <cstddef>

namespace pusher::inline v0 {

/// How subscriptions that acknowledge are served.
struct acknowledgement_params {
    /// How many messages of one subscription may be sent and not acknowledged; 1 to 65,536. The next come as
    /// acknowledgements do.
    std::size_t window = 64;

    /// When the oldest of them is not acknowledged for that long, all are sent again; 10 ms to 24 h. What
    /// still waits to be sent is not late.
    std::chrono::milliseconds timeout = std::chrono::seconds(30);
};

} // namespace pusher::inline v0
