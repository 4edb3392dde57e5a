// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/failure_policy.hpp>
#include <pusher/message.hpp>
#include <pusher/overflow_policy.hpp>
#include <pusher/topic.hpp>

#include <cstddef>
#include <optional>
#include <string_view>

namespace pusher::inline v0 {

/// How to subscribe. Holds views only: they must be valid during the call.
struct subscribe_options {
    /// Whether the text is a topic or a filter.
    match_mode match = match_mode::exact;

    /// Only messages of this type; empty: messages of every type, and untyped ones.
    std::string_view type{};

    /// False: not what this same subscriber publishes.
    bool echo = true;

    /// What happens to this subscription's messages when the outbox is full; not set: as the broker's
    /// parameters say. `spill` on an exact topic without history is refused with `errc::no_history`. If
    /// several subscriptions of one subscriber match a message, an exact one decides before a filter, then
    /// the oldest.
    std::optional<overflow_policy> overflow{};

    /// What happens when a delivery to this subscription fails; null: as the broker's parameters say. Which
    /// one decides when several match is as with `overflow`. Copied.
    const failure_ladder* on_failure = nullptr;

    /// At least once: what is sent is to be acknowledged, and is sent again, in order, until it is; marked
    /// then (`message::redelivered`). No more is sent than a window of what is not acknowledged. Exact topics
    /// with history only, not for handlers, and not with an `overflow` that drops: it takes half of the
    /// outbox at most, and gives way to nothing there. See `acknowledgement_params`.
    bool acknowledge = false;

    /// Names a durable subscription, within the subscriber's uid: when this subscriber has gone, the next one
    /// of the uid that asks for the name goes on after what was acknowledged, instead of `history`. One has
    /// it at a time: the newest; the one before is closed (`errc::taken_over`). Unsubscribing, or subscribing
    /// without the name, ends it; else `durable_params::expiry` does. With `acknowledge` only. 1 to 255
    /// bytes, as a topic; empty: not durable. What is parked for it goes when it ends. With a store it
    /// outlives the broker as soon as the store has it, for which a `subscribe` in process does not wait.
    std::string_view durable{};

    /// Start with up to that many of the topic's last messages. Exact topics with history only.
    std::size_t history = 0;

    /// Start after this place in the topic's history. Exact topics with history only, and not together with
    /// `history`: that is refused with `errc::unsupported`.
    std::optional<topic_position> resume{};
};

/// What a subscribe found. Without history on the topic both are empty.
struct subscribe_result {
    /// Only when `resume` was asked for: whether everything after that place is still there. If not, a gap
    /// marker tells what is missing where that is known, and what is left follows.
    std::optional<bool> recovered;

    /// The newest message's place in the topic's history: what follows it is live. Offset 0: none yet.
    std::optional<topic_position> position;
};

} // namespace pusher::inline v0
