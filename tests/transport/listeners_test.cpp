// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// What listeners do with sockets, ports and connections too many.

#include "catch.hpp"
#include "hub_thread.hpp"

#include <boost/asio/ip/udp.hpp>

#include <chrono>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>

using namespace test;
using namespace std::chrono_literals;
using asio::ip::udp;

namespace {

template <class Option, class Socket>
auto option_of(Socket& s) {
    Option o;
    s.get_option(o);
    return o.value();
}

/// A connection, and both of its ends.
struct pair {
    explicit pair(asio::io_context& io) : near(io), far(io) {
        tcp::acceptor a(io, {asio::ip::address_v4::loopback(), 0});
        near.connect(a.local_endpoint());
        a.accept(far);
    }
    tcp::socket near;
    tcp::socket far;
};

bool is_prepared(int handle, int buffer) {
    int no_delay = 0;
    int size = 0;
    socklen_t length = sizeof(int);
    ::getsockopt(handle, IPPROTO_TCP, TCP_NODELAY, &no_delay, &length);
    length = sizeof(int);
    ::getsockopt(handle, SOL_SOCKET, SO_SNDBUF, &size, &length);
    return no_delay != 0 && size == 2 * buffer; // the kernel doubles it
}

struct udp_peer {
    explicit udp_peer(asio::io_context& io, std::uint16_t port) : socket(io, udp::v4()) {
        socket.connect({asio::ip::address_v4::loopback(), port});
        timeval limit{20, 0};
        ::setsockopt(socket.native_handle(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        socket.native_non_blocking(false);
    }
    std::string ask(const std::string& text) {
        socket.send(asio::buffer(text));
        std::string in(2000, '\0');
        in.resize(socket.receive(asio::buffer(in)));
        return in;
    }
    static std::string cookie_of(const std::string& challenge) {
        const auto at = challenge.find("\"cookie\":\"");
        return at == challenge.npos ? std::string() : challenge.substr(at + 10, 11);
    }
    std::string hello() {
        auto text = std::string(R"({"action":"hello"})");
        text.resize(60, ' ');
        cookie = cookie_of(ask(text));
        return ask(R"({"action":"hello","cookie":")" + cookie + "\"}");
    }
    udp::socket socket;
    std::string cookie;
};

} // namespace

TEST_CASE("listeners: a socket that is handed over is set up as an accepted one is") {
    asio::io_context io;
    pusher::broker<pusher::transport::http> broker(io);
    pair a(io);
    const int handle = a.far.native_handle();
    SECTION("lines") {
        broker.adopt(pusher::stream_socket(std::move(a.far)), {.send_buffer = 40'000});
        CHECK(is_prepared(handle, 40'000));
    }
    SECTION("lines, the system's buffer") {
        const auto before = 2 * option_of<asio::socket_base::send_buffer_size>(a.far); // Asio halves it
        broker.adopt(pusher::stream_socket(std::move(a.far)), {.send_buffer = 0});
        int size = 0;
        socklen_t length = sizeof size;
        ::getsockopt(handle, SOL_SOCKET, SO_SNDBUF, &size, &length);
        CHECK(size == before);
    }
    SECTION("HTTP") {
        pusher::http_params p{.listen = std::nullopt};
        p.limits.send_buffer = 30'000;
        broker.accept(
            std::move(a.far), pusher::http_request(boost::beast::http::verb::get, "/stats", 11), "", p);
        CHECK(is_prepared(handle, 30'000));
    }
}

TEST_CASE("listeners: a connection too many is told so") {
    hub_thread hub;
    const auto port = hub.listen(pusher::tcp_params{.limits = {.connections_per_address = 1}});
    asio::io_context io;
    line_client<tcp::socket> first(connect(io, port));
    first.request("ping", "{}");
    CHECK(holds(first.line(), "\"ok\""));
    line_client<tcp::socket> second(connect(io, port));
    CHECK(second.line() == R"({"close":{"code":1013,"reason":"too many connections from this address"}})");
    error_code ec;
    second.rest(ec);
    CHECK(ec);
    CHECK(hub.on([](auto& h) { return h.stats().transports.at("tcp").refused; }) == 1);
    first.request("ping", "{}");
    CHECK(holds(first.line(), "\"ok\""));
    first.stream.close();
    hub.until_sessions(0);
    line_client<tcp::socket> third(connect(io, port));
    third.request("ping", "{}");
    CHECK(holds(third.line(), "\"ok\""));
}

TEST_CASE("listeners: an HTTP connection too many is answered with 503") {
    hub_thread hub;
    const auto port = hub.listen(pusher::http_params{.limits = {.connections_per_address = 1}});
    asio::io_context io;
    auto first = connect(io, port);
    line_client<tcp::socket> second(connect(io, port));
    error_code ec;
    CHECK(second.rest(ec).starts_with("HTTP/1.1 503 Service Unavailable\r\n"));
}

TEST_CASE("listeners: a connection too many is turned away before a channel is made of it") {
    int made = 0;
    hub_thread hub;
    pusher::tcp_params p{.limits = {.connections_per_address = 1}};
    p.channel = [&](pusher::stream_socket s, const std::shared_ptr<pusher::services>& io,
                    const pusher::link_limits&) {
        ++made;
        return pusher::channel_ptr(new pusher::socket_channel(std::move(s), io));
    };
    const auto port = hub.listen(p);
    asio::io_context io;
    line_client<tcp::socket> first(connect(io, port));
    first.request("ping", "{}");
    CHECK(holds(first.line(), "\"ok\""));
    line_client<tcp::socket> second(connect(io, port));
    error_code ec;
    CHECK(second.rest(ec).empty());
    CHECK(hub.on([&](auto&) { return made; }) == 1);
}

TEST_CASE("listeners: a channel that cannot be made ends one connection, not the listener") {
    int left = 3;
    hub_thread hub;
    pusher::tcp_params p;
    p.channel = [&](pusher::stream_socket s, const std::shared_ptr<pusher::services>& io,
                    const pusher::link_limits&) {
        switch (left--) {
        case 3: throw std::bad_alloc();
        case 2: throw boost::system::system_error(asio::error::access_denied);
        case 1: throw std::runtime_error("no");
        default: return pusher::channel_ptr(new pusher::socket_channel(std::move(s), io));
        }
    };
    const auto port = hub.listen(p);
    asio::io_context io;
    for (int i = 0; i != 3; ++i) {
        line_client<tcp::socket> refused(connect(io, port));
        error_code ec;
        CHECK(refused.rest(ec).empty());
        CHECK(ec);
    }
    line_client<tcp::socket> good(connect(io, port));
    good.request("ping", "{}");
    CHECK(holds(good.line(), "\"ok\""));
    CHECK(hub.on([](auto& h) { return h.stats().accept_errors; }) == 3);
}

TEST_CASE("listeners: limits that a counter cannot hold are refused") {
    asio::io_context io;
    pusher::broker<pusher::transport::all> broker(io);
    const auto listen = [&](const auto& params) { broker.listen(params); };
    CHECK_THROWS_AS(
        listen(pusher::tcp_params{.limits = {.connections_per_address = std::size_t{1} << 32}}),
        std::invalid_argument);
    CHECK_THROWS_AS(
        listen(pusher::udp_params{.sessions_per_address = std::size_t{1} << 32}), std::invalid_argument);
}

TEST_CASE(
    "listeners: a UDP port is free again once its listener was stopped and its last session has ended") {
    asio::io_context io{1};
    pusher::broker<pusher::transport::udp> broker(io);
    auto first = broker.listen(pusher::udp_params{.lease = 1s});
    const auto port = first.port();
    error_code ec;
    SECTION("nobody was there") {
        first.stop();
        broker.listen(pusher::udp_params{.port = port}, ec);
        CHECK_FALSE(ec);
    }
    SECTION("somebody was") {
        std::thread runner([&] { io.run_for(10s); });
        asio::io_context outside;
        udp_peer peer(outside, port);
        CHECK(holds(peer.hello(), "\"ok\""));
        asio::post(io, [&] { first.stop(); });
        CHECK(holds(peer.ask(R"({"action":"ping","cookie":")" + peer.cookie + "\"}"), "\"ok\""));
        std::promise<error_code> meanwhile;
        asio::post(io, [&] {
            error_code busy;
            broker.listen(pusher::udp_params{.port = port}, busy);
            meanwhile.set_value(busy);
        });
        CHECK(meanwhile.get_future().get() == asio::error::address_in_use);
        std::string goodbye(2000, '\0'); // when the lease ends
        goodbye.resize(peer.socket.receive(asio::buffer(goodbye)));
        CHECK(holds(goodbye, "\"code\":1001"));
        io.stop();
        runner.join();
        broker.listen(pusher::udp_params{.port = port}, ec);
        CHECK_FALSE(ec);
    }
}

TEST_CASE("listeners: one that was stopped and is drained is forgotten") {
    int alive = 0;
    asio::io_context io;
    pusher::broker<pusher::transport::all> broker(io);
    struct counted final : pusher::listener_base {
        explicit counted(int& n) : count(&n) { ++*count; }
        ~counted() override { --*count; }
        void stop() noexcept override {}
        bool drained() override { return true; }
        [[nodiscard]] std::uint16_t port() const noexcept override { return 0; }
        [[nodiscard]] std::string local_endpoint() const override { return {}; }
        int* count;
    };
    for (int i = 0; i != 5; ++i) {
        broker.add_listener(std::make_shared<counted>(alive)).stop();
        io.restart();
        io.poll();
    }
    CHECK(alive == 1);
    auto kept = broker.add_listener(std::make_shared<counted>(alive));
    broker.add_listener(std::make_shared<counted>(alive));
    io.restart();
    io.poll();
    CHECK(alive == 2);
}

TEST_CASE("listeners: a UDP peer that says little is told its next cookie in time") {
    hub_thread hub;
    const auto port = hub.listen(pusher::udp_params{.cookie_lifetime = 100ms});
    asio::io_context io;
    udp_peer peer(io, port);
    CHECK(holds(peer.hello(), "\"ok\""));
    int renewed = 0;
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    while (renewed != 3 && std::chrono::steady_clock::now() < deadline) {
        const auto answer =
            peer.ask(R"({"action":"ping","cookie":")" + peer.cookie + "\"}"); // throws without one
        if (const auto cookie = udp_peer::cookie_of(answer); !cookie.empty()) {
            CHECK(cookie != peer.cookie);
            peer.cookie = cookie;
            ++renewed;
        } else {
            CHECK(holds(answer, "\"ok\""));
        }
    }
    CHECK(renewed == 3);
    CHECK(hub.on([](auto& h) { return h.stats().sessions; }) == 1);
}
