// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/message.hpp>
#include <pusher/observer.hpp>

#include <cstdint>
#include <string_view>

namespace pusher::inline v0 {

/// A message that is kept for a uid, or one of its durable subscriptions, until it comes back. Valid during
/// the call that gives it.
struct parked_message {
    const message& what;
    subscriber_info who; ///< as it was when the delivery failed; the session is gone, or cannot get it
    failure_cause why;
    std::uint32_t attempts = 1;
    bool waits = false;         ///< `failure::retry` waits for the uid: it is not parked yet
    bool leaving = false;       ///< it is on its way again, in an outbox
    std::string_view durable{}; ///< the durable subscription that it is for; empty: any session of the uid
};

/// A message that a failure ladder gave up on. Valid during the call that gives it.
struct dead_letter {
    std::uint64_t number; ///< names it, within one broker
    const message& what;
    subscriber_info who;
    failure_cause why;
    std::uint32_t attempts = 1;
    wall_time when;             ///< it was given up
    std::string_view durable{}; ///< as in `parked_message`
};

} // namespace pusher::inline v0
