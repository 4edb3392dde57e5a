// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// How connections end, seen from the other end.

#include <pusher/broker.hpp>
#include <pusher/testing/memory_channel.hpp>
#include <pusher/testing/memory_peer.hpp>
#include <pusher/transport/line_link.hpp>
#include <pusher/transport/websocket_link.hpp>

#include "catch.hpp"

#include <boost/asio/io_context.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace {

using namespace std::chrono_literals;
using namespace pusher::testing;
using pusher::errc;
using pusher::error_code;

/// A session of a broker, and its peer.
template <class Link>
struct session {
    explicit session(pusher::broker_core& b, pusher::link_limits limits = {})
        : ends(memory_channel::connect(b.get_executor())),
          near(ends.first) {
        b.accept(
            std::make_unique<Link>(ends.second, b.io(), std::make_shared<const pusher::link_limits>(limits)));
    }

    std::pair<memory_channel_ptr, memory_channel_ptr> ends;
    memory_peer near;
};

std::string close_frame(std::uint16_t code, std::string_view reason) {
    std::string frame;
    pusher::append_close_frame(frame, code, reason);
    return frame;
}

} // namespace

TEST_CASE("goodbye: once a broker has drained, nothing keeps the event loop running") {
    boost::asio::io_context io;
    pusher::broker<> broker(io);
    session<pusher::line_link> one(broker);
    session<pusher::websocket_link> two(broker);
    io.poll();
    REQUIRE(broker.stats().sessions == 2); // each with a timeout of minutes
    std::string line;
    std::string frame;
    one.near.on_received([&] {
        line += one.near.take();
        one.near.close();
    });
    two.near.on_received([&] {
        frame += two.near.take();
        two.near.close();
    });
    std::optional<error_code> drained;
    broker.async_drain(20s, [&](error_code ec) { drained = ec; });
    io.restart();
    io.run_for(20s);
    CHECK(io.stopped()); // and not because time was up
    REQUIRE(drained);
    CHECK_FALSE(*drained);
    CHECK(line.find(R"("close":{"code":1001)") != std::string::npos);
    CHECK(frame.substr(2, 2) == "\x03\xe9");
}

TEST_CASE("goodbye: a peer without a goodbye of its own does not hold up a drain") {
    boost::asio::io_context io;
    pusher::broker<> broker(io);
    session<pusher::line_link> silent(broker, {.close_timeout = 1h});
    io.poll();
    std::optional<error_code> drained;
    broker.async_drain(20s, [&](error_code ec) { drained = ec; });
    io.restart();
    io.run_for(20s);
    REQUIRE(drained);
    CHECK_FALSE(*drained);
    CHECK(silent.near.received().ends_with('\n'));
    CHECK(silent.near.ended() == error_code(errc::peer_closed));
}

TEST_CASE("goodbye: what a peer sends meanwhile is read, so that no reset overtakes the goodbye") {
    boost::asio::io_context io;
    pusher::broker<> broker(io);
    session<pusher::line_link> talker(broker);
    talker.near.send(std::string(70'000, 'x')); // too long for a request
    io.poll();
    talker.near.send(std::string(200'000, 'x'));
    io.restart();
    io.poll();
    CHECK(talker.near.take_lines().back().find(R"("close":{"code":1009)") != std::string::npos);
    CHECK(talker.near.ended() == error_code(errc::peer_closed));
    talker.near.close();
    io.restart();
    io.poll();
    CHECK(broker.stats().sessions == 0);
}

TEST_CASE("goodbye: a WebSocket that broke the protocol is not waited for") {
    boost::asio::io_context io;
    pusher::broker<> broker(io);
    session<pusher::websocket_link> bad(broker, {.close_timeout = 1h});
    std::string unmasked;
    pusher::append_frame(unmasked, pusher::websocket_opcode::text, "{}");
    bad.near.send(unmasked);
    io.poll();
    CHECK(bad.near.received() == close_frame(1002, "frame not masked"));
    CHECK(bad.near.ended() == error_code(errc::peer_closed));

    session<pusher::websocket_link> good(broker, {.close_timeout = 1h});
    std::string goodbye;
    pusher::append_masked_close_frame(goodbye, 1000, "", 7);
    good.near.send(goodbye);
    io.restart();
    io.poll();
    CHECK(good.near.received() == close_frame(1000, ""));
    CHECK(good.near.ended() == error_code(errc::peer_closed));
}

TEST_CASE("goodbye: what came just before it is answered first") {
    boost::asio::io_context io;
    pusher::broker<> broker(io);
    session<pusher::websocket_link> s(broker);
    io.poll();
    std::string bytes;
    pusher::append_masked_frame(bytes, pusher::websocket_opcode::text, R"({"action":"ping"})", 0x01020304);
    std::uint16_t code = 0;
    SECTION("the peer's own") {
        pusher::append_masked_close_frame(bytes, 1000, {}, 0x01020304);
        code = 1000;
    }
    SECTION("for what it did wrong") {
        pusher::append_frame(bytes, pusher::websocket_opcode::text, "not masked");
        code = 1002;
    }
    s.near.send(bytes);
    io.restart();
    io.poll();
    const auto got = s.near.take();
    const auto reply = got.find(R"("status":"ok")");
    INFO(got);
    REQUIRE(reply != std::string::npos);
    const auto goodbye = got.find('\x88', reply);
    REQUIRE(goodbye != std::string::npos);
    CHECK(
        got.substr(goodbye + 2, 2) ==
        std::string{static_cast<char>(code >> 8), static_cast<char>(code & 0xFF)});
}

TEST_CASE("goodbye: a WebSocket that says nothing is given the time for its answer") {
    boost::asio::io_context io;
    pusher::broker<> broker(io);
    session<pusher::websocket_link> mute(broker, {.close_timeout = 100ms});
    io.poll();
    broker.for_each_session([&](const pusher::session_info& s) {
        boost::asio::post(io, [&broker, id = s.id] { broker.kick(id, "out"); });
    });
    io.restart();
    io.poll();
    CHECK(mute.near.received() == close_frame(1008, "out"));
    CHECK_FALSE(mute.near.ended());
    io.restart();
    while (!mute.near.ended() && io.run_one_for(5s) != 0) {
    }
    CHECK(mute.near.ended() == error_code(errc::peer_closed));
}

TEST_CASE("goodbye: it follows the frame that is under way, also when the outbox has overflowed") {
    boost::asio::io_context io;
    pusher::broker<> broker(io, {.outbox = {.messages = 2, .overflow = pusher::overflow_policy::disconnect}});
    session<pusher::line_link> slow(broker);
    slow.near.send("{\"action\":\"subscribe\",\"params\":{\"topic\":\"a\"}}\n");
    io.poll();
    slow.near.pause();
    slow.ends.second->set_room(1000);
    (void)slow.near.take();
    for (int i = 0; i != 8; ++i) {
        broker.publish("a", std::string(700, 'x'));
        io.restart();
        io.poll();
    }
    CHECK(broker.stats().dropped_disconnected == 3);
    slow.near.resume();
    io.restart();
    io.poll();
    const auto lines = slow.near.take_lines();
    REQUIRE(lines.size() == 4); // one read, one in the channel, one cut
    for (std::size_t i = 0; i != 3; ++i) {
        CHECK(lines[i].starts_with(R"({"topic":"a")"));
        CHECK(lines[i].ends_with("}}"));
    }
    CHECK(lines[3].starts_with(R"({"close":{"code":1013)"));
}

namespace {

/// An HTTP listener without sockets.
struct http_fixture {
    explicit http_fixture(pusher::http_params params = {}) {
        params.listen = std::nullopt;
        params.handler = [](const pusher::http_connection_ptr& c) {
            c->respond(pusher::http_response(boost::beast::http::status::no_content, 11));
            return true;
        };
        listener = std::make_shared<pusher::http_listener>(broker, params);
        broker.add_listener(listener);
        auto ends = memory_channel::connect(io.get_executor());
        near.emplace(ends.first);
        pusher::http_request request(boost::beast::http::verb::get, "/anything", 11);
        request.set(boost::beast::http::field::host, "here");
        listener->take(ends.second, std::move(request), {});
        run();
    }
    void run() {
        io.restart();
        io.poll();
    }

    boost::asio::io_context io;
    pusher::broker<> broker{io};
    std::shared_ptr<pusher::http_listener> listener;
    std::optional<memory_peer> near;
};

} // namespace

TEST_CASE("goodbye: an answer without content has no Content-Length") {
    http_fixture f;
    CHECK(f.near->received() == "HTTP/1.1 204 No Content\r\n\r\n");
    CHECK_FALSE(f.near->ended());
}

TEST_CASE("goodbye: after an answer to what is no request the connection ends") {
    http_fixture f;
    (void)f.near->take();
    f.near->send("?\r\n\r\n");
    f.run();
    CHECK(f.near->take().starts_with("HTTP/1.1 400 Bad Request\r\n"));
    CHECK(f.near->ended() == error_code(errc::peer_closed));
}

TEST_CASE("goodbye: half a request is answered when time is up, and the connection ends") {
    http_fixture f({.limits = {.handshake_timeout = 100ms}});
    (void)f.near->take();
    f.near->send("GET / HTTP/1.1\r\nHo");
    while (!f.near->ended() && f.io.run_one_for(5s) != 0) {
    }
    CHECK(f.near->take().starts_with("HTTP/1.1 408 Request Timeout\r\n"));
    CHECK(f.near->ended() == error_code(errc::peer_closed));
}
