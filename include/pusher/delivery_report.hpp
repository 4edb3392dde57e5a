// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/publish_options.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace pusher::inline v0 {

/// What has become of one message for one of its subscribers, at the end of the turn of the event loop in
/// which it was published.
enum class delivery_outcome : std::uint8_t {
    delivered,     ///< a handler took it without an exception; or a connection, or `async_receive`, has it
    queued,        ///< it waits in an outbox, or behind one that is tried again, or will be read from history
    conflated,     ///< a newer message of the same key took its place
    dropped,       ///< the outbox or the broker's memory was full, or the subscriber left
    expired,       ///< its time to live was over
    undeliverable, ///< the transport cannot carry it
    failed,        ///< the handler threw, or the network refused it, and it is not tried again
    parked         ///< it failed, and is kept: by a failure ladder, or for a durable subscription
};

/// A receipt, and what became of the message: how many of those that it `matched` come under which outcome.
/// Every one is counted once, so that the numbers add up to `matched`; but for a message that was `repeated`,
/// of which nothing is counted. A user who is not here, for whom a failure ladder keeps what was pushed, is
/// one that it matched.
struct delivery_report : receipt {
    struct failure {
        std::string uid;
        delivery_outcome what;
    };
    static constexpr std::size_t most_failures = 100;

    std::size_t delivered = 0;
    std::size_t queued = 0;
    std::size_t conflated = 0;
    std::size_t dropped = 0;
    std::size_t expired = 0;
    std::size_t undeliverable = 0;
    std::size_t failed = 0;
    std::size_t parked = 0;

    /// One for each subscriber with a uid to whom it was neither delivered, nor queued, nor conflated; as
    /// many as `most_failures`.
    std::vector<failure> failures;

    /// Further ones, those without a uid among them.
    std::size_t unlisted_failures = 0;

    /// How many come under an outcome.
    [[nodiscard]] std::size_t count(delivery_outcome what) const noexcept {
        return const_cast<delivery_report&>(*this).count(what);
    }
    [[nodiscard]] std::size_t& count(delivery_outcome what) noexcept {
        switch (what) {
        case delivery_outcome::delivered: return delivered;
        case delivery_outcome::queued: return queued;
        case delivery_outcome::conflated: return conflated;
        case delivery_outcome::dropped: return dropped;
        case delivery_outcome::expired: return expired;
        case delivery_outcome::undeliverable: return undeliverable;
        case delivery_outcome::failed: return failed;
        case delivery_outcome::parked: break;
        }
        return parked;
    }
};

} // namespace pusher::inline v0
