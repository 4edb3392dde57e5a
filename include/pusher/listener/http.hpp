// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/http_origin.hpp>
#include <pusher/detail/sha1.hpp>
#include <pusher/dialect/native_http.hpp>
#include <pusher/listener/stream_listener.hpp>
#include <pusher/transport/http_connection.hpp>
#include <pusher/transport/sse_link.hpp>
#include <pusher/transport/websocket_link.hpp>

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

    /// Where what is found; empty: nowhere.
    std::string websocket_path = "/ws";
    std::string events_path = "/events";
    std::string publish_path = "/publish";
    std::string stats_path = "/stats";

    /// Origins besides the server's own from which browsers may come, such as `https://example.com`; `*`:
    /// any, whose pages may then use what needs no cookies and no HTTP authentication.
    std::vector<std::string> allowed_origins{};

    /// Everything else. Returns whether it takes the request, which it answers then, now or later, by
    /// `http_connection::respond`. It runs on the broker's executor. If it throws, the answer is 500.
    std::function<bool(const http_connection_ptr&)> handler{};

    /// How long the handler may take for an answer; then it is 503, and the connection ends. At least 100 ms.
    std::chrono::milliseconds handler_timeout = std::chrono::minutes(1);

    /// Wraps each socket, such as in TLS (`ext/tls.hpp`); empty: not.
    channel_factory channel{};

    /// \throws std::invalid_argument
    void check() const {
        limits.check();
        detail::require(backlog >= 1, "http_params: backlog is under 1");
        detail::require(body_bytes <= 256U * 1024 * 1024, "http_params: body_bytes is over 256 MiB");
        detail::require(
            handler_timeout >= std::chrono::milliseconds(100),
            "http_params: handler_timeout is under 100 ms");
        for (const auto* const path : {&websocket_path, &events_path, &publish_path, &stats_path})
            detail::require(
                path->empty() || path->front() == '/', "http_params: a path does not begin with /");
        for (const auto& o : allowed_origins)
            detail::require(
                detail::is_valid_allowed_origin(o),
                "http_params: allowed_origins holds something that is no origin");
    }
};

/// See `broker::listen`.
class http_listener final : public stream_listener, private http_owner {
public:
    http_listener(broker_core& b, const http_params& p) : stream_listener(b, p.limits), params_(p) {
        factory_ = p.channel;
    }
    ~http_listener() override { http_listener::abort(); }

    /// The transport's way to start, called by `broker::listen`.
    /// \param ec why it cannot listen at that address.
    /// \throws std::invalid_argument if a parameter is out of its range.
    static std::shared_ptr<listener_base> start(broker_core& b, const http_params& p, error_code& ec) {
        p.check();
        auto l = std::make_shared<http_listener>(b, p);
        if (p.listen)
            l->open(*p.listen, p.backlog, ec);
        return ec ? nullptr : l;
    }

    /// Takes a connection over in the middle: a request that somebody else has read, and what came after it.
    /// Without a handler for whatever else may be asked for, it answers this request alone.
    void take(channel_ptr c, http_request request, std::string leftover) {
        add(std::move(c))->start(std::move(request), std::move(leftover), bool(params_.handler));
    }

    bool drained() override {
        if (!std::exchange(draining_, true))
            for (const auto& c : connections())
                c->drain();
        return connections_.empty();
    }

    void abort() noexcept override {
        for (const auto& c : connections())
            c->abort();
        connections_.clear();
    }

private:
    struct publish_op;
    struct events_op;

    using authenticated = std::function<void(const authentication_result&)>;

    void at_channel(channel_ptr c) override { add(std::move(c))->start(); }
    [[nodiscard]] std::string_view transport() const noexcept override { return "http"; }
    void append_goodbye(const close_reason&, std::string& out) const override {
        out += "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    }

    http_connection_ptr add(channel_ptr c) {
        http_connection_ptr connection(
            new http_connection(std::move(c), broker().io(), limits(), *this, params_.body_bytes));
        connections_.emplace(connection.get(), connection);
        if (draining_)
            connection->drain();
        return connection;
    }
    [[nodiscard]] std::vector<http_connection_ptr> connections() const {
        std::vector<http_connection_ptr> all;
        for (const auto& entry : connections_)
            all.push_back(entry.second);
        return all;
    }

    // http_owner
    void at_request(const http_connection_ptr& c) override;
    void at_bad_request() override { ++broker().stats_of("http").bad_requests; }
    void at_http_end(http_connection& c) override {
        const auto found = connections_.find(&c);
        if (found == connections_.end())
            return;
        broker().io()->destroy_later(std::move(found->second)); // it may be the caller
        connections_.erase(found);
        broker().check_waiters();
    }

    // impl/http_listener.hpp
    void authenticate(const http_connection_ptr& c, std::string_view transport_name, authenticated done);
    void upgrade(const http_connection_ptr& c);
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

#include <pusher/impl/http_listener.hpp>
