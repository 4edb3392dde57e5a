// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include "catch.hpp"
#include "tls_support.hpp"

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>

// A host with a TLS server of its own, that hands connections over.

using namespace test;
namespace beast = boost::beast;
namespace http = boost::beast::http;

namespace {

/// One connection of the host's server: it is accepted, has its handshake, and is given away.
template <class Stream>
struct own_server {
    own_server(hub_thread& h, ssl::context& c) : hub(h), context(c), acceptor(h.io(), {tcp::v4(), 0}) {}

    [[nodiscard]] std::uint16_t port() const { return acceptor.local_endpoint().port(); }

    /// Accepts one, and calls `then` with the stream.
    template <class F>
    void accept(bool with_handshake, F then) {
        acceptor.async_accept([this, with_handshake, then](error_code ec, tcp::socket socket) {
            if (ec)
                return;
            auto stream = std::make_shared<Stream>(std::move(socket), context);
            if (!with_handshake)
                return then(stream);
            stream->async_handshake(ssl::stream_base::server, [then, stream](error_code failed) {
                if (!failed)
                    then(stream);
            });
        });
    }

    hub_thread& hub;
    ssl::context& context;
    tcp::acceptor acceptor;
};

template <class Stream>
void hand_over() {
    hub_thread hub;
    const auto server_side = server_context();
    auto context = client_context();
    asio::io_context io;
    own_server<Stream> host(hub, *server_side);

    SECTION("a request that the host has read") {
        hub.on([&](auto& h) {
            host.accept(true, [&h](const std::shared_ptr<Stream>& stream) {
                auto buffer = std::make_shared<beast::flat_buffer>();
                auto request = std::make_shared<http::request<http::string_body>>();
                http::async_read(
                    *stream, *buffer, *request, [&h, stream, buffer, request](error_code ec, std::size_t) {
                        if (ec)
                            return;
                        // A deadline of the host's that would count for whatever comes next.
                        if constexpr (requires { beast::get_lowest_layer(*stream).expires_never(); })
                            beast::get_lowest_layer(*stream).expires_at(std::chrono::steady_clock::now());
                        std::string leftover(static_cast<const char*>(buffer->data().data()), buffer->size());
                        h.accept(
                            pusher::make_tls_channel(std::move(*stream), h), std::move(*request),
                            std::move(leftover));
                    });
            });
        });
        wss_client c(io, host.port(), context);
        c.subscribe("t");
        hub.publish("t", "over TLS");
        CHECK(payload_of(c.message()) == "over TLS");
        error_code ec;
        c.stream.close(beast::websocket::close_code::normal, ec);
        CHECK_FALSE(ec);
        hub.until_sessions(0);
    }
    SECTION("lines, after the handshake or before it") {
        const bool with_handshake = GENERATE(true, false);
        hub.on([&](auto& h) {
            host.accept(with_handshake, [&h](const std::shared_ptr<Stream>& stream) {
                h.adopt(pusher::make_tls_channel(std::move(*stream), h));
            });
        });
        tls_line_client c(io, host.port(), context);
        c.subscribe("t");
        hub.publish("t", "over TLS");
        CHECK(payload_of(c.line()) == "over TLS");
        CHECK(hub.on([](auto& h) {
            bool from_here = false;
            h.for_each_session([&](const auto& s) { from_here = s.peer.starts_with("127.0.0.1:"); });
            return from_here;
        }));
    }
    hub.on([&](auto&) { host.acceptor.close(); });
}

} // namespace

TEST_CASE("TLS handed over: Asio's stream over a socket") { hand_over<ssl::stream<tcp::socket>>(); }

TEST_CASE("TLS handed over: Asio's stream over Beast's") { hand_over<ssl::stream<beast::tcp_stream>>(); }

TEST_CASE("TLS handed over: Beast's stream over Beast's") {
    hand_over<beast::ssl_stream<beast::tcp_stream>>();
}

TEST_CASE("TLS handed over: limits are checked") {
    hub_thread hub;
    const auto server_side = server_context();
    hub.on([&](auto& h) {
        CHECK_THROWS_AS(
            pusher::make_tls_channel(
                ssl::stream<tcp::socket>(h.get_executor(), *server_side), h,
                {.handshake_timeout = std::chrono::milliseconds(1)}),
            std::invalid_argument);
    });
}
