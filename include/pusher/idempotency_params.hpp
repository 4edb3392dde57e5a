// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/version.hpp>

#include <chrono>
#include <cstddef>

namespace pusher::inline v0 {

/// For how long the ids of messages are remembered, so that a publish that is tried again is not published
/// again. The oldest ids go as soon as either is exceeded.
///
/// An id says nothing by itself: it is remembered with the topic, or the label and the uid of a push, and
/// with who gave it. The host, all anonymous peers together, and each uid have ids of their own. So nobody
/// keeps a message of another user from being published by being first to use its id; but an anonymous peer
/// can do that to another one whose ids it can guess.
struct idempotency_params {
    /// Messages with an id; 0: none is remembered, and an id may be used again at once. Up to 10,000,000.
    /// Each takes up to 64 bytes, apart from `memory_bytes`; the memory is taken when it is first needed, and
    /// kept.
    std::size_t messages = 0;

    /// Since the publish; 1 ms to 24 h.
    std::chrono::milliseconds age = std::chrono::minutes(2);

    [[nodiscard]] bool enabled() const noexcept { return messages != 0; }
};

} // namespace pusher::inline v0
