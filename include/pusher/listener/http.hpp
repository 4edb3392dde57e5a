// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/config.hpp>
#include <pusher/dialect/websocket_deflate.hpp>
#include <pusher/listener/stream_listener.hpp>
#include <pusher/transport/http_connection.hpp>

#include <boost/beast/http/field.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/beast/http/verb.hpp>
#include <boost/unordered/unordered_flat_map.hpp>

#include <chrono>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pusher::inline v0 {

/// Listens for HTTP/1.1: WebSocket, server-sent events, `POST /publish`, `GET /stats`, and the host's own
/// routes.
struct http_params {
    /// Not set: for connections that `broker::accept` hands over.
    std::optional<stream_address> listen = stream_address{};
    link_limits limits{};

    /// How many connections the kernel keeps until they are accepted; at least 1.
    int backlog = 1024;

    /// Largest body of a request, in bytes; at most 256 MiB.
    std::size_t body_bytes = 1024 * 1024;

    /// Whether WebSocket messages are compressed.
    deflate_params deflate{};

    /// Where what is found; empty: nowhere.
    std::string websocket_path = "/ws";
    std::string raw_path = "/raw"; ///< WebSocket too, with payloads as they are
    std::string events_path = "/events";
    std::string publish_path = "/publish";
    std::string stats_path = "/stats";

    /// Origins besides the server's own from which browsers may come, such as `https://example.com`; `*`:
    /// any, whose pages may then use what needs no cookies and no HTTP authentication.
    std::vector<std::string> allowed_origins{};

    /// Everything else. Returns whether it takes the request, which it answers then, now or later, by
    /// `http_connection::respond`. It runs on the broker's executor. If it throws, the answer is 500.
    ///
    /// Who answers later keeps the connection until then. It may outlive the broker, and cannot be answered
    /// any more then; but it must be let go before the broker's `io_context` is destroyed, which its socket
    /// belongs to.
    std::function<bool(const http_connection_ptr&)> handler{};

    /// How long the handler may take for an answer; then it is 503, and the connection ends. At least 100 ms.
    std::chrono::milliseconds handler_timeout = std::chrono::minutes(1);

    /// Wraps each socket, such as in TLS (`ext/tls.hpp`); empty: not.
    channel_factory channel{};

    /// \throws std::invalid_argument
    void check() const;
};

/// See `broker::listen`.
class http_listener final : public stream_listener, private http_owner {
public:
    http_listener(broker_core& b, const http_params& p);
    ~http_listener() override { http_listener::abort(); }

    /// The transport's way to start, called by `broker::listen`.
    /// \param ec why it cannot listen at that address.
    /// \throws std::invalid_argument if a parameter is out of its range.
    static std::shared_ptr<listener_base> start(broker_core& b, const http_params& p, error_code& ec);

    /// Takes a connection over in the middle: a request that somebody else has read, and what came after it.
    /// Without a handler for whatever else may be asked for, it answers this request alone.
    void take(channel_ptr c, http_request request, std::string leftover);

    bool drained() override;

    void abort() noexcept override;

private:
    struct publish_op;
    struct events_op;

    using authenticated = std::function<void(const authentication_result&)>;

    void at_channel(channel_ptr c) override { add(std::move(c))->start(); }
    [[nodiscard]] std::string_view transport() const noexcept override { return "http"; }
    void append_goodbye(const close_reason&, std::string& out) const override;

    http_connection_ptr add(channel_ptr c);
    [[nodiscard]] std::vector<http_connection_ptr> connections() const;

    // http_owner
    void at_request(const http_connection_ptr& c) override;
    void at_bad_request() override { ++broker().stats_of("http").bad_requests; }
    void at_failure(error_code why) override { broker().connection_failed("http", why); }
    void at_http_end(http_connection& c) override;

    // impl/http_listener.hpp, http_websocket.hpp, http_events.hpp, http_publish.hpp
    void authenticate(const http_connection_ptr& c, std::string_view transport_name, authenticated done);
    bool is_handshake(const http_connection_ptr& c);
    detail::session_ptr switch_protocols(
        const http_connection_ptr& c, std::string_view subprotocol, dialect speaks, framing frames);
    void upgrade(const http_connection_ptr& c);
    void upgrade_raw(const http_connection_ptr& c);
    websocket_deflate agree_to_deflate(const http_request& r, std::string& answer) const;
    void events(const http_connection_ptr& c);
    void start_events(const std::shared_ptr<events_op>& op);
    void publish(const http_connection_ptr& c);
    void stats(const http_connection_ptr& c);
    void preflight(const http_connection_ptr& c);
    http_response response(const http_connection& c, boost::beast::http::status status) const;
    void
    respond_json(const http_connection_ptr& c, boost::beast::http::status status, std::string body) const;
    void refuse(
        const http_connection_ptr& c, boost::beast::http::status status, std::string_view message,
        std::string_view transport_name = "http",
        std::initializer_list<std::pair<boost::beast::http::field, std::string_view>> headers = {});

    http_params params_;
    boost::unordered_flat_map<const http_connection*, http_connection_ptr> connections_;
    bool draining_ = false;
};

namespace transport {

/// WebSocket, server-sent events and plain HTTP, on one port.
struct http {
    using params = http_params;
    using listener = http_listener;
};

/// The same listener carries both.
using websocket = http;
using sse = http;

} // namespace transport

} // namespace pusher::inline v0

#if !defined(PUSHER_SEPARATE_COMPILATION)
#include <pusher/impl/http_events.hpp>
#include <pusher/impl/http_listener.hpp>
#include <pusher/impl/http_publish.hpp>
#include <pusher/impl/http_websocket.hpp>
#endif
