// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include <pusher/close_reason.hpp>

#include "catch.hpp"

#include <utility>

using pusher::close_code;
using pusher::errc;

TEST_CASE("close reason: the code says whether coming back helps", "[core]") {
    const std::pair<errc, close_code> codes[] = {
        // limits that others share: their turn may come
        {errc::overflow, close_code::try_again_later},
        {errc::too_many_sessions, close_code::try_again_later},
        {errc::too_many_connections, close_code::try_again_later},
        {errc::too_many_topics, close_code::try_again_later},
        {errc::too_many_requests, close_code::try_again_later},
        {errc::queue_full, close_code::try_again_later},
        // the same session would be over it again
        {errc::too_many_subscriptions, close_code::policy},
        {errc::message_too_large, close_code::too_big},
        // the broker, the network, or an accident
        {errc::stopped, close_code::going_away},
        {errc::idle_timeout, close_code::going_away},
        {errc::write_timeout, close_code::going_away},
        // the peer's fault, or not wanted
        {errc::invalid_utf8, close_code::invalid_data},
        {errc::invalid_message, close_code::protocol_error},
        {errc::protocol_error, close_code::protocol_error},
        {errc::refused, close_code::policy},
        {errc::kicked, close_code::policy},
        {errc::forbidden, close_code::policy},
        {errc::authentication_timeout, close_code::policy},
    };
    for (const auto& [error, code] : codes) {
        const auto reason = pusher::close_reason::from(error);
        INFO(reason.text);
        CHECK(reason.code == code);
        CHECK(reason.error == error);
        CHECK(reason.text == make_error_code(error).message());
    }
    CHECK(pusher::close_reason::from({}).code == close_code::normal);
    CHECK(pusher::close_reason::from({}).text.empty());
}
