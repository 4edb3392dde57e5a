// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/error.hpp>

#include <cstdint>
#include <string>

namespace pusher::inline v0 {

/// Why a session ends, in the numbers of WebSocket (RFC 6455, section 7.4.1), which every transport shares.
enum class close_code : std::uint16_t {
    normal = 1000,
    going_away = 1001, ///< the broker drains, or nothing was heard from the peer, or taken by it, in time
    protocol_error = 1002,
    invalid_data = 1007,   ///< text that is not UTF-8, or was not compressed as agreed
    policy = 1008,         ///< refused, kicked, or not authenticated in time
    too_big = 1009,        ///< a message over the limit
    try_again_later = 1013 ///< overflow of the outbox, or too many sessions, connections or topics
};

/// Why a session ended: what the peer is told, and what the host's observer sees.
struct close_reason {
    close_code code = close_code::normal;
    error_code error; ///< what the host sees; success for a goodbye of the peer
    std::string text; ///< what the peer sees; at most 123 bytes of it, cut at a character

    /// The usual code and text for an error.
    static close_reason from(error_code ec) { return {code_for(ec), ec, ec ? ec.message() : std::string()}; }

    static close_code code_for(error_code ec) noexcept {
        if (!ec)
            return close_code::normal;
        if (ec == errc::stopped || ec == errc::idle_timeout || ec == errc::write_timeout)
            return close_code::going_away;
        if (ec == errc::invalid_utf8)
            return close_code::invalid_data;
        if (ec == errc::message_too_large)
            return close_code::too_big;
        if (ec == errc::protocol_error || ec == errc::invalid_message)
            return close_code::protocol_error;
        if (ec == errc::too_many_subscriptions) // its own, and there would be as many again
            return close_code::policy;
        if (ec == condition::limit_reached)
            return close_code::try_again_later;
        return close_code::policy;
    }
};

} // namespace pusher::inline v0
