// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/version.hpp>

#include <chrono>
#include <cstddef>

namespace pusher::inline v0 {

/// How much is kept for users who are not here: by `failure::persist`, and while `failure::retry` waits for
/// them. What has no room, or is too old, becomes a dead letter, the oldest first.
struct parking_params {
    std::size_t messages = 1000;     ///< of one uid; 1 to 1,000,000
    std::size_t bytes = 1024 * 1024; ///< of their payloads and fields, of one uid; 1 to 1 GiB
    std::size_t users = 100'000;     ///< uids for which something is kept; 1 to 16,000,000
    std::chrono::milliseconds ttl = std::chrono::hours(24); ///< since it was parked; 1 ms to 100 days
};

/// How many of the messages that failure ladders gave up on are kept; the oldest are lost first, and counted.
struct dead_letter_params {
    std::size_t messages = 1000;          ///< up to 1,000,000; 0: none is kept
    std::size_t bytes = 16 * 1024 * 1024; ///< of their payloads and fields; up to 1 GiB
};

} // namespace pusher::inline v0
