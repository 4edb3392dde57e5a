// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/version.hpp>

#include <chrono>
#include <cstddef>

namespace pusher::inline v0 {

/// How many durable subscriptions there may be, and how long they wait for their subscribers.
struct durable_params {
    std::size_t subscriptions = 100'000; ///< in all, one for each name and topic; up to 16,000,000

    /// For that long after its last holder has left, a durable subscription is there; 1 s to 10 years.
    std::chrono::milliseconds expiry = std::chrono::hours(24 * 7);
};

} // namespace pusher::inline v0
