// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/client/connector.hpp>
#include <pusher/client/url.hpp>
#include <pusher/detail/utf8.hpp>

#include <boost/beast/core/string.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pusher::inline v0 {

/// How a client works. All limits are finite. Ranges are checked by the client's constructor, which throws
/// `std::invalid_argument`.
struct client_params {
    /// Where the hub is, such as `ws://127.0.0.1:8080/ws`: see `client_url`.
    std::string url{};

    /// What the client authenticates with on each connection; empty: it does not. At most 16 KiB, in UTF-8.
    std::string token{};

    /// More headers for the request that opens a WebSocket, such as `Authorization`. At most 16 KiB in all.
    std::vector<std::pair<std::string, std::string>> headers{};

    /// Delay before connecting again: from this, twice as long each time, to that. 1 ms to 1 h, and not less
    /// than `backoff_min` to 24 h. A connection that has lasted `backoff_max` begins anew with `backoff_min`.
    std::chrono::milliseconds backoff_min = std::chrono::milliseconds(500);
    std::chrono::milliseconds backoff_max = std::chrono::seconds(30);

    /// The largest part of the delay that chance takes off, so that clients do not return all at once; 0 to
    /// 1.
    double backoff_jitter = 0.5;

    /// The longest hint of the hub when to come back that is honoured; a hint beyond counts as this. 0 to 24
    /// h.
    std::chrono::milliseconds longest_retry_hint = std::chrono::minutes(5);

    /// How long a connection may take until it can be used: address, TLS, handshake and authentication in
    /// all. 1 ms to 1 h.
    std::chrono::milliseconds connect_timeout = std::chrono::seconds(10);

    /// How long a request may take, waiting for a connection included, and how long a ping may go without
    /// anything being heard. 1 ms to 1 h.
    std::chrono::milliseconds request_timeout = std::chrono::seconds(10);

    /// Silence after which a ping is sent; sooner if the hub asks for it. 1 ms to 1 h.
    std::chrono::milliseconds ping_interval = std::chrono::seconds(30);

    /// How long the goodbye of `close` may take. 1 ms to 1 h.
    std::chrono::milliseconds close_timeout = std::chrono::seconds(2);

    /// Largest message of the hub, in bytes, compressed or not; 1 KiB to 256 MiB.
    std::size_t message_bytes = 8 * 1024 * 1024;

    /// Whether the hub may compress what it sends over a WebSocket (permessage-deflate, RFC 7692), if it does
    /// such things. What the client sends is not compressed.
    bool deflate = false;

    /// How much may wait for `async_receive` before the client stops reading from its socket: messages and
    /// gap markers, 1 to 1,000,000; and bytes, 1 to 1 GiB. What has arrived in the same read is kept beyond.
    std::size_t inbox_messages = 1024;
    std::size_t inbox_bytes = 16 * 1024 * 1024;

    /// How many requests may be unanswered, 1 to 1,000,000; and their bytes, 1 to 1 GiB.
    std::size_t requests = 1024;
    std::size_t request_bytes = 4 * 1024 * 1024;

    /// Subscriptions that are kept up, 1 to 1,000,000.
    std::size_t subscriptions = 1024;

    /// Makes TLS channels, for `wss://` and `tls://`; empty: those URLs are refused.
    client_channel_factory secure{};

    /// Checks all of it. \throws std::invalid_argument
    [[nodiscard]] client_url check() const {
        using namespace std::chrono_literals;
        auto require = [](bool good, const char* what) {
            if (!good)
                throw std::invalid_argument(std::string("client_params: ") + what);
        };
        auto is_time = [](std::chrono::milliseconds t) { return t >= 1ms && t <= 1h; };
        constexpr std::size_t mebibyte = 1024 * 1024;
        std::string why;
        auto parsed = client_url::parse(url, why);
        require(parsed.has_value(), why.c_str());
        require(!parsed->secure || secure, "url asks for TLS, and secure is not set");
        require(
            token.size() <= 16 * 1024 && detail::is_valid_utf8(token),
            "token is over 16 KiB or not valid UTF-8");
        require(
            headers.empty() || parsed->what == client_url::kind::websocket,
            "headers are for ws:// and wss:// only");
        require(
            headers_are_good(), "headers holds something that is no header, or one of the handshake's own");
        require(is_time(backoff_min), "backoff_min is not 1 ms to 1 h");
        require(backoff_max >= backoff_min && backoff_max <= 24h, "backoff_max is not backoff_min to 24 h");
        require(backoff_jitter >= 0 && backoff_jitter <= 1, "backoff_jitter is not 0 to 1");
        require(
            longest_retry_hint >= 0ms && longest_retry_hint <= 24h, "longest_retry_hint is not 0 to 24 h");
        require(is_time(connect_timeout), "connect_timeout is not 1 ms to 1 h");
        require(is_time(request_timeout), "request_timeout is not 1 ms to 1 h");
        require(is_time(ping_interval), "ping_interval is not 1 ms to 1 h");
        require(is_time(close_timeout), "close_timeout is not 1 ms to 1 h");
        require(
            message_bytes >= 1024 && message_bytes <= 256 * mebibyte,
            "message_bytes is not 1 KiB to 256 MiB");
        require(inbox_messages >= 1 && inbox_messages <= 1'000'000, "inbox_messages is not 1 to 1,000,000");
        require(inbox_bytes >= 1 && inbox_bytes <= 1024 * mebibyte, "inbox_bytes is not 1 to 1 GiB");
        require(requests >= 1 && requests <= 1'000'000, "requests is not 1 to 1,000,000");
        require(request_bytes >= 1 && request_bytes <= 1024 * mebibyte, "request_bytes is not 1 to 1 GiB");
        require(subscriptions >= 1 && subscriptions <= 1'000'000, "subscriptions is not 1 to 1,000,000");
        return *std::move(parsed);
    }

private:
    /// What could be read as another header, or break the handshake, is refused.
    [[nodiscard]] bool headers_are_good() const {
        constexpr std::string_view marks = "!#$%&'*+-.^_`|~";
        const auto is_token = [&](char c) {
            return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                   marks.find(c) != marks.npos;
        };
        const auto is_text = [](char c) {
            const auto byte = static_cast<unsigned char>(c);
            return (byte >= 0x20 && byte != 0x7F) || c == '\t';
        };
        std::size_t total = 0;
        for (const auto& [name, value] : headers) {
            total += name.size() + value.size() + 4;
            if (name.empty() || !std::all_of(name.begin(), name.end(), is_token) ||
                !std::all_of(value.begin(), value.end(), is_text))
                return false;
            for (const char* own : {"Host", "Upgrade", "Connection", "Content-Length", "Transfer-Encoding"})
                if (boost::beast::iequals(name, own))
                    return false;
            if (name.size() >= 14 && boost::beast::iequals(name.substr(0, 14), "Sec-WebSocket-"))
                return false;
        }
        return total <= 16 * 1024;
    }
};

} // namespace pusher::inline v0
