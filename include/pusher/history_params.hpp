// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/version.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace pusher::inline v0 {

/// How much of a topic's past is kept. The oldest messages go as soon as any of the three is exceeded.
struct history_params {
    /// Messages; 0: the topic keeps no history, and costs nothing for it. Up to 10,000,000.
    std::size_t messages = 0;

    /// Bytes of payload, type, key, id and headers; at least 1. The newest message is kept even if it alone
    /// exceeds this.
    std::size_t bytes = 64 * 1024 * 1024;

    /// Age, from the turn of the event loop in which a message was published. Zero or less: no limit.
    std::chrono::milliseconds age{0};

    /// Kept in the store too, if the broker has opened one (`broker_core::async_open`): then the topic's
    /// messages are delivered when they are stored, and not before.
    bool durable = true;

    [[nodiscard]] bool enabled() const noexcept { return messages != 0; }
};

} // namespace pusher::inline v0
