// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/version.hpp>

#include <cstddef>
#include <cstdint>

namespace pusher::inline v0 {

/// What happens when a session's outbox is full: judged on what remains after the connection took what it
/// would.
///
/// Whatever is lost is counted, observed, and told to the subscriber by a gap marker. Replies are never
/// dropped.
enum class overflow_policy : std::uint8_t {
    drop_oldest, ///< the oldest queued messages go: the subscriber keeps up with the present
    drop_newest, ///< the arriving messages go: the subscriber keeps an unbroken past
    disconnect,  ///< the session ends with close code 1013; with history it may resume

    /// Queued messages go for which a newer one of the same topic and key is queued; without a key the topic
    /// alone counts. So of everything the newest is kept. Where all keys differ, the oldest messages go.
    /// Costs a walk over the outbox each time that it is full.
    conflate
};

/// How much may wait for one session or in-process subscriber.
struct outbox_params {
    /// Messages; 1 to 1,000,000.
    std::size_t messages = 256;

    /// Bytes of payload, type, key, id and headers; 1 to 1 GiB. Frames' own overhead is not counted.
    std::size_t bytes = 1024 * 1024;

    /// Bytes of replies and gap markers. Past this the peer's requests are not read until it has taken them.
    std::size_t reply_bytes = 64 * 1024;

    /// For messages of subscriptions that did not ask for a policy of their own.
    overflow_policy overflow = overflow_policy::drop_oldest;
};

} // namespace pusher::inline v0
