// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/version.hpp>

#include <cstdint>
#include <map>
#include <string>

namespace pusher::inline v0 {

/// Numbers of one transport since the broker began.
struct transport_stats {
    std::uint64_t accepted = 0;     ///< sessions; of `http`: connections, whatever became of them
    std::uint64_t refused = 0;      ///< connections turned away: a limit, a foreign origin, no authentication
    std::uint64_t sessions = 0;     ///< now
    std::uint64_t requests = 0;     ///< understood
    std::uint64_t bad_requests = 0; ///< answered with `fail`, or HTTP status 400 and above
    std::uint64_t closed_by_peer = 0;
    std::uint64_t closed_by_error = 0; ///< every other end; of `http`: before anything was asked
    std::uint64_t challenged = 0; ///< of `udp`: datagrams without a valid cookie, whether answered or not
};

/// Numbers of one broker since it began, and as it is now.
struct broker_stats {
    std::uint64_t published = 0;
    std::uint64_t published_bytes = 0;    ///< of payloads
    std::uint64_t repeated_publishes = 0; ///< not published again: their ids had been used
    /// Handed to a handler (counted when all of a publish were called), taken by `async_receive`, or taken by
    /// a connection.
    std::uint64_t delivered = 0;
    std::uint64_t dropped_overflow = 0;
    std::uint64_t dropped_trimmed = 0;       ///< left the history before a subscriber came to them
    std::uint64_t dropped_disconnected = 0;  ///< were queued when their session ended
    std::uint64_t dropped_undeliverable = 0; ///< the transport could not carry them
    std::uint64_t dropped_conflated = 0;     ///< newer ones of the same key took their place in a full outbox
    std::uint64_t dropped_expired = 0;       ///< their time to live was over before they could be sent
    std::uint64_t dropped_memory = 0;        ///< the broker's memory for messages was full
    std::uint64_t dropped_failed = 0;        ///< their delivery had failed
    std::uint64_t gaps = 0;                  ///< markers that told subscribers of losses
    std::uint64_t redelivered = 0;           ///< not acknowledged in time, and sent again
    std::uint64_t retried = 0;               ///< attempts of failure ladders
    std::uint64_t parked = 0;                ///< times that a message was kept for a user who is not here
    std::uint64_t returned = 0;              ///< messages that had failed, and that their user took later
    std::uint64_t dead_letters = 0;          ///< messages that failure ladders gave up on
    std::uint64_t dead_letters_lost = 0;     ///< of these: pushed out by newer ones, or by lack of memory
    std::uint64_t handler_exceptions = 0;
    std::uint64_t relayed = 0;        ///< messages handed to other brokers, once for each of them
    std::uint64_t relay_received = 0; ///< that came from other brokers; not among the published
    std::uint64_t relay_batches = 0;  ///< in which they came
    std::uint64_t relay_dropped = 0;  ///< that another broker had no room for
    std::uint64_t turns = 0;          ///< times that queued messages were written

    std::uint64_t sessions = 0;
    std::uint64_t subscriptions = 0;
    std::uint64_t topics = 0; ///< with state
    std::uint64_t filters = 0;
    std::uint64_t slow_sessions = 0;         ///< over half of their outbox
    std::uint64_t memory_bytes = 0;          ///< that messages take, wherever they are kept
    std::uint64_t parked_messages = 0;       ///< kept for users who are not here
    std::uint64_t durable_subscriptions = 0; ///< held or not
    std::uint64_t dead_letter_messages = 0;  ///< that are kept
    std::uint64_t accept_errors = 0;
    std::uint64_t store_batches = 0; ///< that the store has committed
    std::uint64_t store_errors = 0;  ///< batches that it has not
    std::uint64_t storing = 0;       ///< messages that wait for the store

    std::map<std::string, transport_stats, std::less<>> transports;
    /// Sessions, and what `http` counts as `closed_by_error`, by why they ended.
    std::map<std::string, std::uint64_t, std::less<>> closed;
};

} // namespace pusher::inline v0
