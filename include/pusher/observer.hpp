// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/close_reason.hpp>
#include <pusher/gap.hpp>
#include <pusher/message.hpp>
#include <pusher/publish_options.hpp>

#include <cstdint>
#include <exception>
#include <string_view>

namespace pusher::inline v0 {

/// Why a message did not reach a subscriber.
enum class drop_cause : std::uint8_t {
    overflow,      ///< the outbox was full
    trimmed,       ///< it left the history before a subscriber that was catching up came to it
    disconnected,  ///< the session ended with it in the outbox
    undeliverable, ///< the transport cannot carry it, such as a push over the datagram limit
    conflated,     ///< the outbox was full, and a newer message of the same key took its place
    expired,       ///< its time to live was over before it could be sent
    memory,        ///< the broker's memory was full, and this subscriber held the most of it
    failed         ///< its delivery failed, and the failure ladder said to drop it, or the network refused it
};

/// Why a delivery failed.
enum class failure_cause : std::uint8_t {
    disconnected,     ///< the connection ended before it took the message, or before it was acknowledged
    not_acknowledged, ///< not in time
    handler_threw,    ///< of a subscriber in process
    undeliverable,    ///< the transport cannot carry it, such as a push over the datagram limit
    send_failed,      ///< the network refused the datagram
    absent            ///< it was pushed to a user of whom nobody was here
};

/// Who an event is about. Views are valid during the call.
struct subscriber_info {
    std::uint64_t id = 0;       ///< never given twice in the life of a broker
    std::string_view uid;       ///< empty: anonymous
    std::string_view peer;      ///< the peer's address; empty: in process
    std::string_view transport; ///< such as `websocket`; empty: in process
};

/// Hooks for logs, metrics and audits. Override what you need; without an observer none costs anything.
///
/// The broker calls them on its executor, from inside the operation they tell of. They must not call back
/// into the broker, and must not throw. The observer must outlive the broker, whose end is told too.
class observer {
public:
    virtual ~observer() = default;

    /// A connection was accepted and has become a session.
    virtual void at_accept(const subscriber_info&) {}
    /// A session, or a subscriber in process, was bound to a uid, or to another one.
    virtual void at_bind(const subscriber_info&) {}
    /// A subscription begins, of a session or in process. Subscribing again only changes it, and is not told.
    virtual void at_subscribe(const subscriber_info&, std::string_view /*topic*/, std::string_view /*type*/) {
    }
    /// A subscription ends: for each `at_subscribe` there is one, before its session's `at_close` at the
    /// latest.
    virtual void
    at_unsubscribe(const subscriber_info&, std::string_view /*topic*/, std::string_view /*type*/) {}
    /// A message was published, by the host or by a peer.
    virtual void at_publish(const message&, const receipt&) {}
    /// One message was lost to one subscriber.
    virtual void at_drop(const subscriber_info&, std::string_view /*topic*/, drop_cause) {}
    /// A message is kept for the subscriber's uid until it comes back: `failure::persist`.
    virtual void at_park(const subscriber_info&, const message&, failure_cause) {}
    /// A failure ladder gave up on a message.
    virtual void at_dead_letter(const subscriber_info&, const message&, failure_cause) {}
    /// A subscriber is being told of a loss.
    virtual void at_gap(const subscriber_info&, const gap&) {}
    /// A session ended; `reason.error` says why.
    virtual void at_close(const subscriber_info&, const close_reason&) {}
    /// Something failed that is nobody's session, such as accepting a connection, or `store`.
    virtual void at_error(error_code, std::string_view /*where*/) {}
    /// A handler of a subscriber in process, or a hook of the host, threw.
    virtual void at_handler_threw(const subscriber_info&, std::string_view /*topic*/, std::exception_ptr) {}
};

} // namespace pusher::inline v0
