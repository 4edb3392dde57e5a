// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include "broker_script.hpp"
#include "catch.hpp"
#include "net_peers.hpp"

#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <future>
#include <optional>
#include <set>

// Peers on UDP: cookies, leases, limits, and what a datagram can carry.

using namespace test;
using namespace std::chrono_literals;

namespace {

/// As long as a challenge.
constexpr std::size_t challenge_size = 45;

struct fixture {
    explicit fixture(pusher::udp_params p = {}, pusher::broker_params b = {})
        : hub(std::move(b)),
          port(hub.listen(p)) {}

    /// A peer that has its cookie.
    udp_peer peer() {
        udp_peer p(io, port);
        p.shake();
        return p;
    }
    pusher::broker_stats stats() {
        return hub.on([](auto& h) { return h.stats(); });
    }

    asio::io_context io;
    hub_thread hub;
    std::uint16_t port;
};

std::string padded(std::string text, std::size_t size = 200) {
    text.resize(std::max(size, text.size()), ' ');
    return text;
}

std::string cookie_elsewhere(udp_peer& of) { return R"({"action":"ping","cookie":")" + of.cookie + "\"}"; }

} // namespace

TEST_CASE("UDP: a peer shows that it receives at its address, and then has a session") {
    const std::string address = GENERATE("127.0.0.1", "::1");
    CAPTURE(address);
    asio::io_context io;
    hub_thread hub;
    error_code ec;
    const auto listener =
        hub.on([&](auto& h) { return h.listen(pusher::udp_params{.address = address}, ec); });
    if (ec && address == "::1") {
        WARN("no IPv6 here: " << ec.message());
        return;
    }
    REQUIRE_FALSE(ec);
    CHECK(listener.port() != 0);
    CHECK(
        listener.local_endpoint() ==
        (address == "::1" ? "[::1]:" : "127.0.0.1:") + std::to_string(listener.port()));
    udp_peer p(io, listener.port(), address);
    p.shake();
    const auto hello = boost::json::parse(p.ask("hello")).as_object();
    CHECK(hello.at("status") == "ok");
    CHECK(hello.at("heartbeat") == 30'000);
    p.subscribe("t");
    hub.publish("t", "from the host");
    CHECK(payload_of(p.receive()) == "from the host");
    CHECK(brief(p.ask("publish", R"({"topic":"other","payload":"x"})")) == "ok r matched 0");
    hub.on([&](auto& h) {
        const auto s = h.stats();
        CHECK(s.sessions == 1);
        CHECK(s.transports.at("udp").accepted == 1);
        h.for_each_session([&](const auto& info) {
            CHECK(info.transport == "udp");
            CHECK(info.peer == pusher::detail::endpoint_text(p.socket.local_endpoint()));
        });
    });
}

TEST_CASE("UDP: an IPv6 listener leaves IPv4 alone, as on TCP") {
    asio::io_context io;
    hub_thread hub;
    error_code ec;
    const auto listener = hub.on([&](auto& h) { return h.listen(pusher::udp_params{.address = "::"}, ec); });
    if (ec) {
        WARN("no IPv6 here: " << ec.message());
        return;
    }
    udp_peer p(io, listener.port());
    p.send(padded("{}"));
    CHECK_THROWS_AS(p.receive(), boost::system::system_error); // refused: nobody is there
}

TEST_CASE("UDP: without a valid cookie a datagram draws a challenge and nothing else") {
    fixture f;
    fixture other;
    auto neighbour = f.peer();
    auto foreign = other.peer();
    udp_peer p(f.io, f.port);
    auto mine = f.peer();

    for (const auto& text :
         {std::string(R"({"action":"subscribe","params":{"topic":"t"}})"),
          std::string(R"({"action":"subscribe","params":{"topic":"t"},"cookie":""})"),
          std::string(R"({"action":"subscribe","params":{"topic":"t"},"cookie":17})"),
          std::string(R"({"action":"subscribe","params":{"topic":"t"},"cookie":"AAAAAAAAAAA"})"),
          cookie_elsewhere(foreign), cookie_elsewhere(neighbour), std::string("\0\xff{", 3),
          std::string("[]"), std::string(R"({"action":"ping","cookie":)"),
          std::string(R"({"cookie": nonsense )"), std::string(60'000, 'x')}) {
        CAPTURE(text);
        p.send(padded(text));
        const auto challenge = p.receive();
        CHECK(challenge.size() == challenge_size);
        CHECK(udp_peer::cookie_of(challenge).size() == 11);
    }
    // Too short for an answer: the next that comes is the next one's.
    p.send("");
    p.send("x");
    p.send(padded("{}", challenge_size - 1));
    p.send(padded("{}", challenge_size));
    const auto cookie = udp_peer::cookie_of(p.receive());
    CHECK(p.idle());

    CHECK(f.hub.on([](auto& h) { return h.publish("t", "x").matched; }) == 0);
    const auto s = f.stats();
    CHECK(s.sessions == 0);
    CHECK(s.subscriptions == 0);
    // Nothing is kept of strangers but how often they came.
    CHECK(s.transports.at("udp").accepted == 0);
    CHECK(s.transports.at("udp").refused == 0);
    CHECK(s.transports.at("udp").challenged == 2 + 11 + 4);
    // The cookie is good.
    p.cookie = cookie;
    CHECK(brief(p.ask("ping")) == "ok r");
}

TEST_CASE("UDP: a lease lasts as long as its peer sends something") {
    fixture f({.lease = 2s});
    auto silent = f.peer();
    auto lively = f.peer();
    silent.subscribe("t");
    const auto began = std::chrono::steady_clock::now();
    lively.subscribe("t");
    // Until the silent one is gone, and the lively one's first lease is over by far.
    asio::steady_timer pace(f.io);
    std::optional<std::string> goodbye;
    while (!goodbye || std::chrono::steady_clock::now() - began < 5s) {
        REQUIRE(brief(lively.ask("ping")) == "ok r");
        if (!silent.idle())
            goodbye = silent.receive();
        REQUIRE(std::chrono::steady_clock::now() - began < 30s);
        pace.expires_after(20ms);
        pace.wait();
    }
    CHECK(brief(*goodbye) == "close 1001 " + pusher::make_error_code(pusher::errc::idle_timeout).message());
    CHECK(f.hub.until_closed(1) == std::vector{error_code(pusher::errc::idle_timeout)});
    f.hub.publish("t", "who is there");
    CHECK(payload_of(lively.receive()) == "who is there");
    CHECK(f.stats().subscriptions == 1);
    CHECK(silent.idle());
    // Its cookie outlives the session: it comes back with nothing subscribed.
    CHECK(brief(silent.ask("ping")) == "ok r");
    CHECK(f.stats().sessions == 2);
    CHECK(f.stats().subscriptions == 1);
}

TEST_CASE("UDP: a push over the limit is lost whole, counted, and told") {
    fixture f({.datagram_bytes = 600});
    auto p = f.peer();
    p.subscribe("t");
    f.hub.publish("t", "x");
    const auto overhead = p.receive().size() - 1;
    f.hub.publish("t", std::string(600 - overhead, 'a'));
    CHECK(p.receive().size() == 600);
    f.hub.publish("t", std::string(601 - overhead, 'b'));
    f.hub.publish("t", std::string(5000, 'c'));
    f.hub.until([](auto& h) { return h.stats().dropped_undeliverable == 2; });
    f.hub.publish("t", "y");
    // At most one marker for each turn.
    std::size_t lost = 0;
    auto text = p.receive();
    for (; gap_of(text) != 0; text = p.receive())
        lost += gap_of(text);
    CHECK(lost == 2);
    CHECK(brief(text) == "t=y");
    const auto s = f.stats();
    CHECK(s.delivered == 3);
    CHECK(s.dropped_undeliverable == 2);
    // A publish of that size is none of the datagram limit's business.
    auto q = f.peer();
    CHECK(
        brief(q.ask("publish", R"({"topic":"t","payload":")" + std::string(5000, 'c') + "\"}")) ==
        "ok r matched 1");
    CHECK(brief(q.ask("ping")) == "ok r");
    CHECK(f.stats().dropped_undeliverable == 3);
}

TEST_CASE("UDP: what one turn brings leaves as a datagram each") {
    fixture f;
    auto p = f.peer();
    p.subscribe("a");
    p.subscribe("b");
    f.hub.on([](auto& h) {
        for (int i = 0; i != 20; ++i)
            h.publish(i % 3 == 0 ? "b" : "a", std::to_string(i));
    });
    for (int i = 0; i != 20; ++i)
        CHECK(brief(p.receive()) == (i % 3 == 0 ? "b=" : "a=") + std::to_string(i));
    CHECK(p.idle());
}

TEST_CASE("UDP: sessions of one address are limited, and a place that is left is free") {
    fixture f({.lease = 1s, .sessions_per_address = 2});
    auto a = f.peer();
    auto b = f.peer();
    auto c = f.peer();
    CHECK(brief(a.ask("ping")) == "ok r");
    CHECK(brief(b.ask("ping")) == "ok r");
    c.request("ping");
    f.hub.until([](auto& h) { return h.stats().transports.at("udp").refused == 1; });
    CHECK(f.stats().sessions == 2);
    f.hub.until_closed(2);
    CHECK(brief(c.ask("ping")) == "ok r");
    const auto s = f.stats().transports.at("udp");
    CHECK(s.accepted == 3);
    CHECK(s.refused == 1);
}

TEST_CASE("UDP: a hub that is full says so, to peers that have shown their address") {
    fixture f({}, {.sessions = 1});
    auto a = f.peer();
    a.subscribe("t");
    auto b = f.peer();
    CHECK(
        brief(b.ask("ping")) ==
        "close 1013 " + pusher::make_error_code(pusher::errc::too_many_sessions).message() + ", retry");
    CHECK(f.stats().sessions == 1);
    CHECK(f.stats().transports.at("udp").refused == 1);
    f.hub.publish("t", "undisturbed");
    CHECK(payload_of(a.receive()) == "undisturbed");
}

TEST_CASE("UDP: what is wrong is told to a peer with a cookie") {
    fixture f({.request_bytes = 1000});
    auto p = f.peer();
    const auto cookie = R"("cookie":")" + p.cookie + '"';
    for (const auto& text :
         {"{" + cookie + ",", "{" + cookie + R"(,"action":"ping"}})", R"({"action":"ping" )" + cookie + "}",
          "{\"action\":\"\xff\"," + cookie + "}", "[{ \"cookie\"\t: \"" + p.cookie + "\"}]",
          "{" + cookie + R"(,"action":"dance"})", "{" + cookie + R"(,"action":7})", "{" + cookie + "}",
          "{" + cookie + R"(,"action":"subscribe","params":{"topic":"a#","match":"filter"}})",
          "{" + cookie + R"(,"action":"ping","x":)" + std::string(40, '[') + std::string(40, ']') + "}"}) {
        CAPTURE(text);
        p.send(text);
        CHECK(brief(p.receive()).starts_with("fail"));
    }
    CHECK(brief(p.ask("ping")) == "ok r");
    CHECK(f.stats().sessions == 1);
    CHECK(f.stats().transports.at("udp").bad_requests == 10);

    SECTION("over the limit, the session ends") {
        const auto all = p.text("ping");
        p.send(padded(all, 1000));
        CHECK(brief(p.receive()) == "ok r");
        p.send(padded(all, 1001));
        CHECK(brief(p.receive()) == "fail the request is longer than 1000 bytes");
        CHECK(
            brief(p.receive()) ==
            "close 1009 " + pusher::make_error_code(pusher::errc::message_too_large).message());
        CHECK(f.hub.until_closed(1).at(0) == pusher::errc::message_too_large);
        p.send("{" + cookie + R"(,"action":"ping"})" + std::string(60'000, ' '));
        CHECK(brief(p.receive()) == "fail the request is longer than 1000 bytes");
        CHECK(brief(p.receive()).starts_with("close 1009"));
    }
}

TEST_CASE("UDP: a drain says goodbye, and when to come back") {
    fixture f;
    auto p = f.peer();
    p.subscribe("t");
    std::promise<error_code> drained;
    f.hub.on([&](auto& h) {
        h.publish("t", "last");
        h.async_drain(20s, [&](error_code ec) { drained.set_value(ec); });
    });
    CHECK(brief(p.receive()) == "t=last");
    CHECK(
        brief(p.receive()) ==
        "close 1001 " + pusher::make_error_code(pusher::errc::stopped).message() + ", retry");
    CHECK_FALSE(drained.get_future().get());
    CHECK(f.stats().sessions == 0);
}

TEST_CASE("UDP: a stopped listener takes no new peers, and its sessions go on") {
    asio::io_context io;
    hub_thread hub;
    auto listener = hub.on([](auto& h) { return h.listen(pusher::udp_params{}); });
    udp_peer before(io, listener.port());
    before.shake();
    before.subscribe("t");
    udp_peer late(io, listener.port());
    late.shake();
    hub.on([&](auto&) { listener.stop(); });
    late.request("ping");
    hub.until([](auto& h) { return h.stats().transports.at("udp").refused == 1; });
    CHECK(brief(before.ask("ping")) == "ok r");
    hub.publish("t", "still here");
    CHECK(payload_of(before.receive()) == "still here");
    CHECK(late.idle());
    // Another one at another place, while the first still serves its own.
    udp_peer p(io, hub.listen(pusher::udp_params{}));
    p.shake();
    CHECK(brief(p.ask("ping")) == "ok r");
}

TEST_CASE("UDP: a peer that is gone is found out by its lease, and disturbs nobody") {
    fixture f({.lease = 2s});
    auto stays = f.peer();
    stays.subscribe("t");
    {
        auto gone = f.peer();
        gone.subscribe("t");
    }
    // To a port that is closed: the network says so each time.
    for (int i = 0; i != 50; ++i) {
        CHECK(f.hub.on([&](auto& h) { return h.publish("t", std::to_string(i)).matched; }) == 2);
        CHECK(payload_of(stays.receive()) == std::to_string(i));
    }
    asio::steady_timer pace(f.io);
    while (f.stats().sessions != 1) {
        REQUIRE(brief(stays.ask("ping")) == "ok r");
        pace.expires_after(20ms);
        pace.wait();
    }
    CHECK(brief(stays.ask("ping")) == "ok r");
}

TEST_CASE("UDP: datagrams wait while the host thinks, as many as fit") {
    pusher::authentication_answer answer;
    fixture f({}, {.authenticate = [&](const pusher::authentication_request& r, auto a) {
                  if (!answer && r.transport == "udp")
                      answer = std::move(a);
                  else
                      a(pusher::authentication_result::anonymous());
              }});
    auto p = f.peer();
    for (int i = 0; i != 20; ++i)
        p.request("ping", "{}", std::to_string(i));
    (void)f.peer(); // answered after all that came before it has been read
    CHECK(f.stats().sessions == 0);
    CHECK(p.idle());
    f.hub.on([&](auto&) { answer(pusher::authentication_result::anonymous()); });
    for (int i = 0; i != 16; ++i)
        CHECK(brief(p.receive()) == "ok " + std::to_string(i));
    CHECK(brief(p.ask("ping", "{}", "after")) == "ok after");
}

TEST_CASE("UDP: addresses that cannot be") {
    hub_thread hub;
    const auto first = hub.on([](auto& h) { return h.listen(pusher::udp_params{}); });
    const auto error = [&](const std::string& address, std::uint16_t port = 0) {
        return hub.on([&](auto& h) {
            error_code ec;
            const auto l = h.listen(pusher::udp_params{.address = address, .port = port}, ec);
            CHECK(bool(l) == !ec);
            return ec;
        });
    };
    CHECK(error("127.0.0.1", first.port()) == asio::error::address_in_use);
    CHECK(error("localhost") == asio::error::invalid_argument);
    CHECK(error("192.0.2.1") == boost::system::errc::address_not_available);
    for (const auto& p :
         {pusher::udp_params{.lease = 999ms}, pusher::udp_params{.lease = 2h},
          pusher::udp_params{.datagram_bytes = 511}, pusher::udp_params{.datagram_bytes = 65'508},
          pusher::udp_params{.request_bytes = 63}, pusher::udp_params{.request_bytes = 65'508},
          pusher::udp_params{.sessions_per_address = 0}})
        hub.on([&](auto& h) { CHECK_THROWS_AS(h.listen(p), std::invalid_argument); });
}
