// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/version.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

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
    /// alone counts. So of everything the newest is kept, for as many keys as fill seven eighths of the
    /// outbox: where there are more, the oldest messages go, down to there. Costs a walk over the outbox each
    /// time that it is full. What is left is sent in publish order, the oldest first: as long as it fills up
    /// again and again, a key with many messages may come late, or not at all, since its newest is always
    /// new.
    conflate,

    /// The arriving messages wait in their topic's history, and the subscriber catches up from there as its
    /// outbox empties: nothing is lost but what the history forgets meanwhile. Order is kept within each
    /// topic; topics that catch up come later than others. Messages of topics without history are dropped as
    /// by `drop_newest`, and so are those of further topics once as many catch up as a session may have
    /// subscriptions.
    spill
};

/// Whether messages may be lost by a policy while the session goes on; for `spill` that is the exception.
[[nodiscard]] constexpr bool drops(overflow_policy p) noexcept {
    return p != overflow_policy::disconnect && p != overflow_policy::spill;
}

/// The policies' names, as they travel and as programs take them, in the order of their values.
inline constexpr std::array<std::string_view, 5> overflow_policy_names{
    "drop_oldest", "drop_newest", "disconnect", "conflate", "spill"};

[[nodiscard]] constexpr std::string_view to_string(overflow_policy p) noexcept {
    return overflow_policy_names[static_cast<std::size_t>(p)];
}

/// The policy of that name; nothing if there is none.
[[nodiscard]] constexpr std::optional<overflow_policy> to_overflow_policy(std::string_view name) noexcept {
    for (std::size_t i = 0; i != overflow_policy_names.size(); ++i)
        if (overflow_policy_names[i] == name)
            return static_cast<overflow_policy>(i);
    return std::nullopt;
}

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
