// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/error.hpp>

#include <boost/system/error_category.hpp>

#include <string>
#include <string_view>
#include <type_traits>

namespace pusher::inline v0 {

/// What only a client reports; everything else is an `errc`, or an error of the system.
enum class client_errc {
    already_running = 1, ///< a second `async_run`
    not_sent,            ///< no connection in time: it never left, so that sending it again is safe
    connection_lost,     ///< the connection broke before the answer: nobody knows whether it was done
    no_answer,           ///< sent, and not answered in time: nobody knows whether it was done
    rejected,            ///< the hub said no, for a reason that has no `errc`
    upgrade_refused,     ///< the HTTP server at that address does not make it a WebSocket
};

/// What to compare with when a class of errors matters and not the exact one.
enum class client_condition {
    outcome_unknown = 1, ///< it was sent, and may have been done or not
};

namespace detail {

class client_error_category final : public boost::system::error_category {
public:
    const char* name() const noexcept override { return "pusher.client"; }
    std::string message(int value) const override {
        switch (static_cast<client_errc>(value)) {
        case client_errc::already_running: return "the client is running already";
        case client_errc::not_sent: return "no connection in time, not sent";
        case client_errc::connection_lost: return "the connection broke before the answer";
        case client_errc::no_answer: return "no answer in time";
        case client_errc::rejected: return "rejected by the hub";
        case client_errc::upgrade_refused: return "the server refused the WebSocket";
        }
        return "unknown client error";
    }
    boost::system::error_condition default_error_condition(int value) const noexcept override;
};

class client_condition_category final : public boost::system::error_category {
public:
    const char* name() const noexcept override { return "pusher.client.condition"; }
    std::string message(int value) const override {
        return static_cast<client_condition>(value) == client_condition::outcome_unknown
                   ? "outcome unknown"
                   : "unknown client condition";
    }
};

inline constexpr client_error_category client_error_category_instance{};
inline constexpr client_condition_category client_condition_category_instance{};

} // namespace detail

/// The category of `client_errc`.
inline const boost::system::error_category& client_category() noexcept {
    return detail::client_error_category_instance;
}

inline error_code make_error_code(client_errc e) noexcept { return {static_cast<int>(e), client_category()}; }

inline boost::system::error_condition make_error_condition(client_condition c) noexcept {
    return {static_cast<int>(c), detail::client_condition_category_instance};
}

namespace detail {

inline boost::system::error_condition
client_error_category::default_error_condition(int value) const noexcept {
    switch (static_cast<client_errc>(value)) {
    case client_errc::connection_lost:
    case client_errc::no_answer: return make_error_condition(client_condition::outcome_unknown);
    default: return {value, *this};
    }
}

/// The error whose text the hub gave as its reason, so that a program can act on it; `rejected` for others.
[[nodiscard]] inline error_code error_of_reply(std::string_view reason) {
    for (const auto e :
         {errc::invalid_topic, errc::invalid_filter, errc::invalid_type, errc::message_too_large,
          errc::unsupported, errc::no_history, errc::too_many_topics, errc::too_many_subscriptions,
          errc::too_many_requests, errc::queue_full, errc::refused, errc::already_bound, errc::forbidden,
          errc::stopped})
        if (reason == message_of(e))
            return e;
    if (reason.starts_with("not authenticated"))
        return errc::not_authenticated;
    return make_error_code(client_errc::rejected);
}

} // namespace detail

} // namespace pusher::inline v0

namespace boost::system {
template <>
struct is_error_code_enum<pusher::client_errc> : std::true_type {};
template <>
struct is_error_condition_enum<pusher::client_condition> : std::true_type {};
} // namespace boost::system
