// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/version.hpp>

#include <boost/system/error_category.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

#include <string>
#include <type_traits>

namespace pusher::inline v0 {

/// The error code that every asynchronous function and every `error_code&` overload reports.
using error_code = boost::system::error_code;

/// What the library itself reports; errors of sockets keep their own category.
///
/// Zero is success, as everywhere with `error_code`. The values are not part of a wire format.
enum class errc {
    invalid_topic = 1, ///< empty, too long, not UTF-8, or with control characters
    invalid_filter,    ///< `+` or `#` not alone in a level, `#` not last, too many levels, or no valid topic
    invalid_type,      ///< too long, not UTF-8, with control characters, or reserved (`pusher.`)
    invalid_message,   ///< a request or message that cannot be understood
    invalid_utf8,      ///< text that is not valid UTF-8
    message_too_large, ///< over the limit of the broker, or of the transport that should carry it
    unsupported,       ///< known, but not available in this combination
    no_history,        ///< the topic keeps no history, so nothing can be resumed or replayed
    too_many_topics,   ///< the broker's limit of topics with state
    too_many_subscriptions, ///< the session's limit of subscriptions
    too_many_sessions,      ///< the broker's limit of sessions
    too_many_connections,   ///< the limit of connections from one address
    too_many_requests,      ///< the session's limit of requests or unread replies
    queue_full,             ///< too much waits: for handlers that publish, or for the store
    not_authenticated,      ///< the session has not yet satisfied the host's authentication
    refused,                ///< authentication refused the credential
    already_bound,          ///< the session is bound to another uid already
    forbidden,              ///< authorization refused the subscribe or publish
    not_found,              ///< no such session, uid or subscription
    receive_pending,        ///< a second `async_receive` on one subscriber
    closed,                 ///< the session, subscriber or listener is closed
    stopped,                ///< the broker is cancelled, draining or destroyed
    overflow,               ///< an outbox was full and its policy is to disconnect
    kicked,                 ///< the host closed the session
    idle_timeout,           ///< nothing was heard from the peer in time
    write_timeout,          ///< the peer took nothing in time
    authentication_timeout, ///< not authenticated in time
    handshake_timeout,      ///< no complete request or handshake in time
    handshake_failed,       ///< what the peer sent was no TLS, or the two could not agree
    protocol_error,         ///< the peer broke the transport's protocol
    peer_closed,            ///< the peer closed the connection in good order
    handler_threw,          ///< an in-process handler or a hook of the host threw
    taken_over,             ///< another session of the user has its durable subscription now
    store_full,             ///< the store's disk or quota is full
    store_locked,           ///< another process has the store
    store_corrupt,          ///< the store's data is damaged
    store_foreign,          ///< it is no store of this library's, or of a newer version's
    store_read_only,        ///< the store cannot be written to
    store_failed,           ///< any other failure of the store
};

/// What to compare with when a class of errors matters and not the exact one.
enum class condition {
    invalid_argument = 1, ///< the caller's or peer's data is at fault; the same call will fail again
    limit_reached,        ///< a limit; may pass later
    denied,               ///< authentication or authorization said no
    gone,                 ///< the thing acted on does not exist any more
    store_unavailable,    ///< the store failed; what does not need it goes on
};

namespace detail {

inline const char* message_of(errc e) noexcept {
    switch (e) {
    case errc::invalid_topic: return "invalid topic";
    case errc::invalid_filter: return "invalid filter";
    case errc::invalid_type: return "invalid type";
    case errc::invalid_message: return "invalid message";
    case errc::invalid_utf8: return "invalid UTF-8";
    case errc::message_too_large: return "message too large";
    case errc::unsupported: return "not supported in this combination";
    case errc::no_history: return "the topic has no history";
    case errc::too_many_topics: return "too many topics";
    case errc::too_many_subscriptions: return "too many subscriptions";
    case errc::too_many_sessions: return "too many sessions";
    case errc::too_many_connections: return "too many connections from this address";
    case errc::too_many_requests: return "too many requests";
    case errc::queue_full: return "queue full";
    case errc::not_authenticated: return "not authenticated";
    case errc::refused: return "refused";
    case errc::already_bound: return "already bound to another uid";
    case errc::forbidden: return "forbidden";
    case errc::not_found: return "not found";
    case errc::receive_pending: return "a receive is already pending";
    case errc::closed: return "closed";
    case errc::stopped: return "the broker is stopped";
    case errc::overflow: return "outbox overflow";
    case errc::kicked: return "kicked";
    case errc::idle_timeout: return "idle timeout";
    case errc::write_timeout: return "write timeout";
    case errc::authentication_timeout: return "authentication timeout";
    case errc::handshake_timeout: return "handshake timeout";
    case errc::handshake_failed: return "TLS handshake failed";
    case errc::protocol_error: return "protocol error";
    case errc::peer_closed: return "closed by the peer";
    case errc::handler_threw: return "a handler threw";
    case errc::taken_over: return "another session has the durable subscription now";
    case errc::store_full: return "the store is full";
    case errc::store_locked: return "the store is in use by another process";
    case errc::store_corrupt: return "the store is damaged";
    case errc::store_foreign: return "not a store of this version";
    case errc::store_read_only: return "the store is read-only";
    case errc::store_failed: return "the store failed";
    }
    return "unknown pusher error";
}

class error_category final : public boost::system::error_category {
public:
    const char* name() const noexcept override { return "pusher"; }
    std::string message(int value) const override { return message_of(static_cast<errc>(value)); }

    boost::system::error_condition default_error_condition(int value) const noexcept override;
};

class condition_category final : public boost::system::error_category {
public:
    const char* name() const noexcept override { return "pusher.condition"; }
    std::string message(int value) const override {
        switch (static_cast<condition>(value)) {
        case condition::invalid_argument: return "invalid argument";
        case condition::limit_reached: return "limit reached";
        case condition::denied: return "denied";
        case condition::gone: return "gone";
        case condition::store_unavailable: return "store unavailable";
        }
        return "unknown pusher condition";
    }
};

inline constexpr error_category error_category_instance{};
inline constexpr condition_category condition_category_instance{};

} // namespace detail

/// The category of `errc`.
inline const boost::system::error_category& pusher_category() noexcept {
    return detail::error_category_instance;
}

inline error_code make_error_code(errc e) noexcept { return {static_cast<int>(e), pusher_category()}; }

inline boost::system::error_condition make_error_condition(condition c) noexcept {
    return {static_cast<int>(c), detail::condition_category_instance};
}

inline boost::system::error_condition
detail::error_category::default_error_condition(int value) const noexcept {
    switch (static_cast<errc>(value)) {
    case errc::invalid_topic:
    case errc::invalid_filter:
    case errc::invalid_type:
    case errc::invalid_message:
    case errc::invalid_utf8:
    case errc::message_too_large:
    case errc::unsupported:
    case errc::no_history: return make_error_condition(condition::invalid_argument);
    case errc::too_many_topics:
    case errc::too_many_subscriptions:
    case errc::too_many_sessions:
    case errc::too_many_connections:
    case errc::too_many_requests:
    case errc::queue_full:
    case errc::overflow: return make_error_condition(condition::limit_reached);
    case errc::not_authenticated:
    case errc::refused:
    case errc::already_bound:
    case errc::forbidden:
    case errc::authentication_timeout: return make_error_condition(condition::denied);
    case errc::not_found:
    case errc::closed:
    case errc::stopped: return make_error_condition(condition::gone);
    case errc::store_full:
    case errc::store_locked:
    case errc::store_corrupt:
    case errc::store_foreign:
    case errc::store_read_only:
    case errc::store_failed: return make_error_condition(condition::store_unavailable);
    default: return {value, *this};
    }
}

} // namespace pusher::inline v0

namespace boost::system {
template <>
struct is_error_code_enum<pusher::errc> : std::true_type {};
template <>
struct is_error_condition_enum<pusher::condition> : std::true_type {};
} // namespace boost::system
