// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include "broker_script.hpp"
#include "catch.hpp"
#include "net_peers.hpp"

#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

// Lines over TCP: how they are cut, what is too much, and how connections begin and end.

using namespace test;
using namespace std::chrono_literals;
using pusher::errc;

namespace {

struct fixture {
    explicit fixture(pusher::tcp_params p = {}, pusher::broker_params b = {})
        : hub(std::move(b)),
          port(hub.listen(p)) {}

    raw_peer peer(int receive_buffer = 0) { return {io, port, receive_buffer}; }
    pusher::broker_stats stats() {
        return hub.on([](auto& h) { return h.stats(); });
    }

    asio::io_context io;
    hub_thread hub;
    std::uint16_t port;
};

std::string ping(const std::string& id) { return R"({"action":"ping","request_id":")" + id + "\"}"; }

std::string goodbye(errc why) {
    return "close " + std::to_string(static_cast<int>(pusher::close_reason::code_for(why))) + " " +
           pusher::make_error_code(why).message();
}

template <class Params>
error_code listen_error(hub_thread& hub, const Params& p) {
    return hub.on([&](auto& h) {
        error_code ec;
        const auto l = h.listen(p, ec);
        CHECK(bool(l) == !ec);
        return ec;
    });
}

} // namespace

TEST_CASE("TCP: lines, however they are cut") {
    fixture f;
    auto p = f.peer();
    const auto text = ping("1") + "\n" + ping("2") + "\r\n\n\r\n" + ping("3") + "\n" + ping("4") + "\r\n";

    SECTION("in one piece") { p.send(text); }
    SECTION("byte by byte") {
        for (const char c : text)
            p.send({&c, 1});
    }
    SECTION("in pieces that end within lines") {
        for (std::size_t at = 0; at < text.size(); at += 13)
            p.send(std::string_view(text).substr(at, 13));
    }
    SECTION("a hundred times, which is more than a turn takes") {
        std::string all;
        for (int i = 0; i != 100; ++i)
            all += text;
        p.send(all);
        for (int i = 0; i != 99 * 4; ++i)
            CHECK(brief(p.line()) == "ok " + std::to_string(i % 4 + 1));
    }
    for (int i = 1; i <= 4; ++i)
        CHECK(brief(p.line()) == "ok " + std::to_string(i));
    p.shutdown();
    CHECK(p.rest().empty()); // a reply each, and nothing for empty lines
    CHECK(f.hub.until_closed(1).at(0) == errc::peer_closed);
}

TEST_CASE("TCP: a line that is no request is answered, and the next one is heard") {
    fixture f;
    auto p = f.peer();
    const std::vector<std::string> bad{
        "x",
        "{",
        "}",
        "[]",
        "null",
        "{}",
        std::string("\0", 1),
        std::string("{\"action\":\"pi\0ng\"}", 17),
        "{\"action\":\"ping\",\"x\":\"\xff\"}",
        "{\"action\":\"ping\",\"x\":\"\xed\xa0\x80\"}",
        "\xef\xbb\xbf" + ping("bom"),
        "{\"action\":\"ping\",\"x\":" + std::string(32, '[') + std::string(32, ']') + "}",
        "{\"action\":\"ping\",\"x\":\"\r\"}",
        ping("1") + ping("2"),
        ping("1") + "\r\r"};
    for (const auto& text : bad) {
        CAPTURE(text);
        p.send(text + "\n" + ping("next") + "\n");
        const auto answer = boost::json::parse(p.line()).as_object();
        if (text.ends_with("\r\r")) { // white space to JSON
            CHECK(answer.at("status") == "ok");
        } else {
            CHECK(answer.at("status") == "fail");
            CHECK_FALSE(answer.at("error_message").as_string().empty());
        }
        CHECK(brief(p.line()) == "ok next");
    }
    p.send("{\"action\":\"ping\",\"x\":" + std::string(31, '[') + std::string(31, ']') + "}\n");
    CHECK(brief(p.line()) == "ok");
    CHECK(f.stats().transports.at("tcp").bad_requests == bad.size() - 1);
}

TEST_CASE("TCP: a line over the limit is told, and ends the connection in good order") {
    fixture f({.limits = {.request_bytes = 1000}});
    auto p = f.peer();
    auto exact = ping("exact");
    exact.insert(1, 1000 - exact.size(), ' ');
    p.send(exact + "\n" + exact + "\r\n");
    CHECK(brief(p.line()) == "ok exact");
    CHECK(brief(p.line()) == "ok exact");

    SECTION("with its end") { p.send(" " + exact + "\n" + ping("not heard") + "\n"); }
    SECTION("without an end") { p.send(std::string(1002, 'x')); }
    SECTION("which would not end") {
        p.send(std::string(1002, 'x'));
        p.try_send(std::string(1'000'000, 'x')); // the goodbye comes nevertheless
    }
    CHECK(brief(p.line()) == "fail the request is longer than 1000 bytes");
    CHECK(brief(p.line()) == goodbye(errc::message_too_large));
    CHECK(p.rest().empty());
    CHECK(f.hub.until_closed(1).at(0) == errc::message_too_large);
    CHECK(f.stats().sessions == 0);
}

TEST_CASE("TCP: a peer that has said all still gets its answers, as nc does") {
    fixture f;
    auto p = f.peer();
    std::string all;
    for (int i = 0; i != 50; ++i)
        all += R"({"action":"publish","params":{"topic":"t","payload":")" + std::to_string(i) + "\"}}\n";
    auto q = f.peer();
    q.subscribe("t");
    p.send(all + ping("last"));
    p.send("\n").shutdown();
    for (int i = 0; i != 50; ++i) {
        CHECK(brief(p.line()) == "ok matched 1");
        CHECK(payload_of(q.line()) == std::to_string(i));
    }
    CHECK(brief(p.line()) == "ok last");
    CHECK(p.rest().empty());
}

TEST_CASE("TCP: a peer that leaves with pushes on their way loses no more than what was queued") {
    fixture f({}, {.outbox = {.messages = 5000, .bytes = 64'000'000}});
    {
        auto p = f.peer(4096);
        p.subscribe("t");
        const std::string text(10'000, 'x');
        for (int i = 0; i != 300; ++i)
            f.hub.publish("t", std::to_string(i) + ' ' + text);
    }
    f.hub.until_sessions(0);
    const auto s = f.stats();
    CHECK(s.dropped_disconnected > 100);
    CHECK(s.delivered + s.dropped_disconnected == 300);
}

TEST_CASE("TCP: who says nothing for too long is told, and leaves") {
    fixture f({.limits = {.idle_timeout = 2s}});
    auto silent = f.peer();
    auto lively = f.peer();
    silent.subscribe("t");
    const auto began = std::chrono::steady_clock::now();
    asio::steady_timer pace(f.io);
    while (silent.socket.available() == 0 || std::chrono::steady_clock::now() - began < 4s) {
        lively.send(ping("x") + "\n");
        REQUIRE(brief(lively.line()) == "ok x");
        REQUIRE(std::chrono::steady_clock::now() - began < 30s);
        pace.expires_after(20ms);
        pace.wait();
    }
    CHECK(brief(silent.line()) == goodbye(errc::idle_timeout));
    CHECK(silent.rest().empty());
    CHECK(f.hub.until_closed(1).at(0) == errc::idle_timeout);
    CHECK(f.stats().sessions == 1);
}

TEST_CASE("TCP: who takes nothing for too long is cut off, and nobody else is disturbed") {
    fixture f({.limits = {.write_timeout = 1s}});
    auto stuck = f.peer(4096);
    auto other = f.peer();
    stuck.subscribe("t");
    other.subscribe("t");
    asio::steady_timer pace(f.io);
    std::size_t published = 0;
    while (f.stats().sessions == 2) {
        stuck.send(ping("I live") + "\n"); // which does not help it
        f.hub.publish("t", std::string(20'000, 'x'));
        REQUIRE(payload_of(other.line()).size() == 20'000);
        ++published;
        REQUIRE(published < 3000);
        pace.expires_after(5ms);
        pace.wait();
    }
    CHECK(f.hub.until_closed(1).at(0) == errc::write_timeout);
    f.hub.publish("t", "on it goes");
    CHECK(payload_of(other.line()) == "on it goes");
    CHECK(f.stats().transports.at("tcp").closed_by_error == 1);
}

TEST_CASE("TCP: a reset in the middle of a message") {
    fixture f;
    auto other = f.peer();
    other.subscribe("t");
    auto p = f.peer();
    p.subscribe("t");
    p.send(R"({"action":"publish","params":{"topic":"t")");
    reset(p.socket);
    CHECK(f.hub.until_closed(1).at(0) == asio::error::connection_reset);
    const auto s = f.stats();
    CHECK(s.transports.at("tcp").closed_by_error == 1);
    CHECK(s.transports.at("tcp").closed_by_peer == 0);
    CHECK(s.sessions == 1);
    CHECK(s.subscriptions == 1);
    CHECK(s.published == 0);
    f.hub.publish("t", "x");
    CHECK(payload_of(other.line()) == "x");
}

TEST_CASE("TCP: connections of one address are limited, and a place that is left is free") {
    fixture f({.limits = {.connections_per_address = 2}});
    auto a = f.peer();
    auto b = std::optional(f.peer());
    a.subscribe("t");
    b->subscribe("t");
    {
        auto c = f.peer();
        error_code ec;
        CHECK(holds(c.rest(ec), R"({"close":{"code":1013)"));
        CHECK(f.stats().transports.at("tcp").refused == 1);
    }
    b.reset();
    f.hub.until_closed(1);
    // The place is given back when the connection is gone altogether, which is soon after.
    for (bool in = false; !in;) {
        auto c = f.peer();
        error_code ec;
        c.try_send(ping("x") + "\n");
        c.socket.shutdown(asio::socket_base::shutdown_send, ec);
        in = holds(c.rest(ec), "\"ok\"");
    }
    f.hub.publish("t", "x");
    CHECK(payload_of(a.line()) == "x");
}

TEST_CASE("TCP: listeners come and go while the broker runs") {
    hub_thread hub;
    asio::io_context io;
    auto first = hub.on([](auto& h) { return h.listen(pusher::tcp_params{}); });
    REQUIRE(first);
    CHECK(first.port() != 0);
    CHECK(first.local_endpoint() == "127.0.0.1:" + std::to_string(first.port()));
    raw_peer a(io, first.port());
    a.subscribe("t");

    // One more, at any time.
    const auto second = hub.on([](auto& h) { return h.listen(pusher::tcp_params{}); });
    CHECK(second.port() != first.port());
    raw_peer b(io, second.port());
    b.subscribe("t");

    const auto port = first.port();
    hub.on([&](auto&) {
        first.stop();
        first.stop();
    });
    CHECK(first.port() == 0);
    CHECK_THROWS_AS(raw_peer(io, port), boost::system::system_error);
    hub.publish("t", "sessions go on");
    CHECK(payload_of(a.line()) == "sessions go on");
    CHECK(payload_of(b.line()) == "sessions go on");
    // At the same place again, with a session of the old one still there.
    CHECK_FALSE(listen_error(hub, pusher::tcp_params{.listen = {"127.0.0.1", port}}));
    raw_peer c(io, port);
    c.subscribe("t");
    hub.on([](auto& h) { h.cancel(); });
    CHECK(listen_error(hub, pusher::tcp_params{}) == errc::stopped);
    CHECK_THROWS_AS(raw_peer(io, port), boost::system::system_error);
}

TEST_CASE("TCP: where nobody can listen, the error says why") {
    hub_thread hub;
    const auto port = hub.listen(pusher::tcp_params{});
    CHECK(
        listen_error(hub, pusher::tcp_params{.listen = {"127.0.0.1", port}}) == asio::error::address_in_use);
    CHECK(
        listen_error(hub, pusher::http_params{.listen = pusher::stream_address{"127.0.0.1", port}}) ==
        asio::error::address_in_use);
    CHECK(listen_error(hub, pusher::tcp_params{.listen = {"localhost", 0}}) == asio::error::invalid_argument);
    CHECK(
        listen_error(hub, pusher::tcp_params{.listen = {"192.0.2.1", 0}}) ==
        boost::system::errc::address_not_available);
    hub.on([&](auto& h) {
        CHECK_THROWS_AS(
            h.listen(pusher::tcp_params{.listen = {"127.0.0.1", port}}), boost::system::system_error);
        CHECK_THROWS_AS(h.listen(pusher::tcp_params{.backlog = 0}), std::invalid_argument);
        CHECK_THROWS_AS(h.listen(pusher::tcp_params{.limits = {.request_bytes = 63}}), std::invalid_argument);
    });
}

TEST_CASE("TCP: IPv6") {
    hub_thread hub;
    error_code ec;
    const auto l = hub.on([&](auto& h) { return h.listen(pusher::tcp_params{.listen = {"::1", 0}}, ec); });
    if (ec) {
        WARN("no IPv6 here: " << ec.message());
        return;
    }
    CHECK(l.local_endpoint() == "[::1]:" + std::to_string(l.port()));
    asio::io_context io;
    tcp::socket s(io);
    s.connect({asio::ip::address_v6::loopback(), l.port()});
    asio::write(s, asio::buffer(ping("six") + "\n"));
    std::string text;
    asio::read_until(s, asio::dynamic_buffer(text), '\n');
    CHECK(brief(text) == "ok six");
    CHECK(hub.on([](auto& h) {
        std::string peer;
        h.for_each_session([&](const auto& info) { peer = info.peer; });
        return peer;
    }) == pusher::detail::endpoint_text(s.local_endpoint()));
    CHECK_THROWS_AS(raw_peer(io, l.port()), boost::system::system_error);
}

TEST_CASE("TCP: sockets are as they should be") {
    hub_thread hub;
    asio::io_context io;
    tcp::no_delay no_delay(false);
    asio::socket_base::send_buffer_size send_buffer;
    pusher::tcp_params p{.limits = {.send_buffer = 32 * 1024}};
    p.channel = [&](pusher::stream_socket s, const auto& services, const auto&) {
        s.get_option(no_delay);
        s.get_option(send_buffer);
        return pusher::channel_ptr(new pusher::socket_channel(std::move(s), services));
    };
    const auto port = hub.listen(p);
    raw_peer a(io, port);
    a.subscribe("t");
    hub.on([&](auto&) {
        CHECK(no_delay.value());
        // Linux says double.
        CHECK((send_buffer.value() == 32 * 1024 || send_buffer.value() == 2 * 32 * 1024));
    });
}
