// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/error.hpp>
#include <pusher/message.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace pusher::inline v0 {

/// What may go with a payload. Holds views only: they must be valid during the call, and for `async_publish`
/// until it completes.
struct publish_options {
    /// A sub-key of the topic: subscriptions to this type receive the message, and those to no type.
    /// Empty: untyped, for subscriptions to no type alone. At most 255 bytes.
    std::string_view type{};

    /// Which messages replace one another when a policy conflates. At most 255 bytes.
    std::string_view key{};

    /// The publisher's own name for the message, passed on as its `message_id`. At most 255 bytes. With
    /// `broker_params::idempotency`, what was published by this name is not published again.
    std::string_view id{};

    /// Passed on as they are; at most 64 KiB in all.
    std::span<const header> headers{};

    /// How long the message is worth delivering: to whom it has not been sent by then it is lost, counted,
    /// and told by a gap marker. To the granularity of a turn of the event loop. Zero: it does not expire. Up
    /// to 100 days.
    std::chrono::milliseconds ttl{0};

    /// `subscriber::id()` or `session_info::id` of who publishes, for subscriptions that asked for `echo =
    /// false`. 0: the host.
    std::uint64_t publisher = 0;
};

/// The longest that a message may be worth delivering.
inline constexpr std::chrono::milliseconds max_ttl = std::chrono::hours(24 * 100);

/// What became of a publish, as far as it is known when `publish` returns.
struct receipt {
    /// Success, or why nothing was published: `invalid_topic`, `invalid_type`, `message_too_large`,
    /// `too_many_topics`, `queue_full`, `stopped`, for peers `forbidden`, `unsupported` while a store is
    /// being opened, and when it is told later the errors of the store (`condition::store_unavailable`).
    error_code error;

    /// Subscribers that the message was meant for, each counted once: reached now, or queued for.
    std::size_t matched = 0;

    /// Its place in the order of everything that this broker published; 0 on error.
    std::uint64_t sequence = 0;

    /// Its place in the topic's history, if the topic has one.
    std::optional<topic_position> position;

    /// Nothing was published now: the publisher has published its `id` to the topic already, not long ago
    /// (`broker_params::idempotency`). The rest tells of that first time; within a handler that is called for
    /// it, `matched` counts without handlers.
    bool repeated = false;

    /// The topic's history is kept in a store: the message is published when it is stored, unless that fails.
    /// So there is no sequence or position yet, and nobody is counted. `async_publish` waits for it.
    bool pending = false;

    explicit operator bool() const noexcept { return !error; }
};

} // namespace pusher::inline v0
