// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/error.hpp>
#include <pusher/gap.hpp>
#include <pusher/message.hpp>
#include <pusher/topic.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>

namespace pusher::inline v0 {

/// Messages that the hub could not deliver, because this client was too slow for its outbox, or away too long
/// for the topic's history. After losses in more than 1024 topics at once, those of the further ones come as
/// one gap of the topic `#`.
struct client_gap {
    std::string topic;
    std::uint64_t count = 0;           ///< missed messages, exactly; 0: some, and nobody knows how many
    std::optional<gap::range> offsets; ///< only on a topic with history, where it is known
};

/// There is a connection, authenticated if there is a token. What follows was received over it.
///
/// On a connection that is not the first, each subscription to an exact topic with history goes on after the
/// last message received. Filters, and topics without history, begin anew: what was published to them since
/// the `client_disconnected` before is not known here.
struct client_connected {
    std::string session; ///< what the hub calls it
    bool again = false;  ///< not the first connection of this client
};

/// The connection is gone, or an attempt to make one failed.
struct client_disconnected {
    error_code error; ///< `errc::peer_closed` if the hub said goodbye; then code and reason are its own

    /// In the numbers of WebSocket, on every transport; 0 if the hub gave none.
    std::uint16_t code = 0;
    std::string reason;

    /// When the next attempt begins; none: `async_run` has ended.
    std::optional<std::chrono::milliseconds> retry_in;
};

/// After a reconnect, a subscription could not go on where it was.
struct client_unrecovered {
    std::string topic; ///< or filter
    std::string type;
    match_mode match = match_mode::exact;

    /// Success: it is active, but messages are missing, since the history does not reach back that far or
    /// began anew; what is left of it follows, and a gap marker where their number is known. Else the hub
    /// refused it, and it has ended.
    error_code error;
    std::string reason; ///< what the hub said

    /// The newest message's place in the topic's history; offset 0: none yet.
    std::optional<topic_position> position;
};

/// What `client::async_receive` completes with. `std::monostate` only beside an error.
using client_event = std::variant<
    std::monostate, pinned_message, client_gap, client_connected, client_disconnected, client_unrecovered>;

/// What became of a subscribe.
struct client_subscribe_result {
    /// Only when `resume` was asked for: whether everything after that place was still there.
    std::optional<bool> recovered;

    /// On a topic with history: the newest message's place in it. Offset 0: none yet.
    std::optional<topic_position> position;

    /// Beside an error: what the hub said, if it said no.
    std::string reason;
};

/// What became of a publish.
struct client_publish_result {
    /// Subscribers that it was meant for.
    std::uint64_t matched = 0;

    /// Its place in the topic's history, if the topic has one.
    std::optional<topic_position> position;

    /// Beside an error: what the hub said, if it said no.
    std::string reason;

    /// The hub remembered the message's id: it was published before, and the rest tells of that.
    bool repeated = false;
};

} // namespace pusher::inline v0
