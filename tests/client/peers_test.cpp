// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// A client over sockets, with peers that are no brokers, or are not there.

#include "client_sockets.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>

#include <cerrno>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

using namespace pusher;
using namespace test;
using boost::asio::ip::tcp;

TEST_CASE("client sockets: nobody there", "[client][sockets]") {
    boost::asio::io_context io;
    std::string url;
    error_code expected = boost::asio::error::connection_refused;
    SECTION("a port that is closed") {
        tcp::acceptor free(io, tcp::endpoint(boost::asio::ip::address_v4::loopback(), 0));
        url = tcp_url(free.local_endpoint().port());
    }
    SECTION("a path that is not there") {
        url = "unix:" + socket_path().text;
        expected = error_code(ENOENT, boost::system::system_category());
    }
    client c(io, quick(url));
    c.async_run(detached);
    run(io, [&]() -> awaitable<void> {
        for (int i = 0; i != 3; ++i) {
            const auto down = co_await next<client_disconnected>(c);
            CHECK(down.error == expected);
            CHECK(down.retry_in.has_value());
        }
    });
}

TEST_CASE("client sockets: a name that nobody has", "[client][sockets]") {
    boost::asio::io_context io;
    // RFC 6761: it never resolves.
    client c(io, quick("tcp://hub.invalid:1"));
    c.async_run(detached);
    run(io, [&]() -> awaitable<void> {
        const auto down = co_await next<client_disconnected>(c);
        CHECK(down.error.failed());
        CHECK(down.error != errc::handshake_timeout);
    });
}

TEST_CASE("client sockets: peers that behave badly", "[client][sockets]") {
    boost::asio::io_context io;
    tcp::acceptor door(io, tcp::endpoint(boost::asio::ip::address_v4::loopback(), 0));
    const auto port = door.local_endpoint().port();
    auto p = quick(tcp_url(port));
    p.connect_timeout = 50ms;
    std::vector<tcp::socket> kept;

    std::function<awaitable<void>(tcp::socket)> behave;
    error_code expected = errc::handshake_timeout;
    SECTION("silent") {
        behave = [&](tcp::socket s) -> awaitable<void> {
            kept.push_back(std::move(s));
            co_return;
        };
    }
    SECTION("gone at once") {
        behave = [&](tcp::socket) -> awaitable<void> { co_return; };
        expected = errc::peer_closed;
    }
    SECTION("gone after half an answer") {
        behave = [&](tcp::socket s) -> awaitable<void> {
            std::string line;
            co_await boost::asio::async_read_until(s, boost::asio::dynamic_buffer(line), '\n', use_awaitable);
            co_await boost::asio::async_write(s, boost::asio::buffer("{\"request_id\"", 13), use_awaitable);
        };
        expected = errc::peer_closed;
    }
    SECTION("reset") {
        behave = [&](tcp::socket s) -> awaitable<void> {
            std::string line;
            co_await boost::asio::async_read_until(s, boost::asio::dynamic_buffer(line), '\n', use_awaitable);
            s.set_option(boost::asio::socket_base::linger(true, 0));
            s.close(); // the destructor would forget the option
        };
        expected = boost::asio::error::connection_reset;
    }
    SECTION("an HTTP server") {
        behave = [&](tcp::socket s) -> awaitable<void> {
            const std::string_view text = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
            co_await boost::asio::async_write(s, boost::asio::buffer(text), use_awaitable);
            kept.push_back(std::move(s));
        };
        expected = errc::invalid_message;
    }
    SECTION("silent, asked for a WebSocket") {
        p.url = ws_url(port);
        behave = [&](tcp::socket s) -> awaitable<void> {
            kept.push_back(std::move(s));
            co_return;
        };
    }
    SECTION("a line protocol, asked for a WebSocket") {
        p.url = ws_url(port);
        behave = [&](tcp::socket s) -> awaitable<void> {
            const std::string_view text = "{\"close\":{\"code\":1002,\"reason\":\"no\"}}\n";
            co_await boost::asio::async_write(s, boost::asio::buffer(text), use_awaitable);
            kept.push_back(std::move(s));
        };
        expected = errc::protocol_error;
    }
    boost::asio::co_spawn(
        io,
        [&]() -> awaitable<void> {
            for (;;) {
                auto [ec, s] = co_await door.async_accept(as_tuple);
                if (ec)
                    co_return;
                boost::asio::co_spawn(io, behave(std::move(s)), detached);
            }
        },
        detached);

    client c(io, p);
    c.async_run(detached);
    run(io, [&]() -> awaitable<void> {
        for (int i = 0; i != 3; ++i) {
            const auto down = co_await next<client_disconnected>(c);
            INFO(down.error.message());
            CHECK(down.error == expected);
            CHECK(down.retry_in.has_value());
        }
    });
    door.close();
}
