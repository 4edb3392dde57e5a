// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include "broker_script.hpp"
#include "catch.hpp"
#include "net_peers.hpp"
#include "websocket_script.hpp"

#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <string>
#include <vector>

// WebSocket as bytes on a socket: the handshake, frames however they arrive, and ends of every kind.

using namespace test;
using namespace std::chrono_literals;
using pusher::errc;

namespace {

constexpr auto client_side = pusher::websocket_role::client;

const std::string key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";

std::string handshake(
    const std::vector<std::string>& more = {key}, const std::string& line = "GET /ws HTTP/1.1",
    const std::string& version = "13") {
    auto text =
        line + "\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: " +
        version + "\r\n";
    for (const auto& h : more)
        text += h + "\r\n";
    return text + "\r\n";
}

std::string frame(unsigned first, const std::string& payload) {
    return ws_bytes(client_side, ws_frame{.first = first, .payload = payload});
}
std::string text_frame(const std::string& payload) { return frame(0x81, payload); }
std::string ping_request(const std::string& id) {
    return text_frame(R"({"action":"ping","request_id":")" + id + "\"}");
}
std::string close_payload(unsigned code, const std::string& reason = {}) {
    return std::string{static_cast<char>(code >> 8), static_cast<char>(code & 0xFF)} + reason;
}

/// One frame of the hub, in short: `text: …` as `brief` says it, `ping: …`, `pong: …`, `close 1000 …`.
std::string heard(raw_peer& p) {
    const auto [first, payload] = websocket_piece_of(p);
    switch (first) {
    case 0x81: return brief(payload);
    case 0x88:
        if (payload.empty())
            return "close";
        return "close " +
               std::to_string(
                   static_cast<unsigned char>(payload[0]) << 8 | static_cast<unsigned char>(payload[1])) +
               " " + payload.substr(2);
    case 0x89: return "ping: " + payload;
    case 0x8A: return "pong: " + payload;
    default: throw std::runtime_error("an unexpected frame");
    }
}

struct fixture {
    explicit fixture(pusher::http_params p = {}, pusher::broker_params b = {})
        : hub(std::move(b)),
          port(hub.listen(p)) {}

    /// A peer after its handshake.
    raw_peer peer(int receive_buffer = 0) {
        raw_peer p(io, port, receive_buffer);
        p.send(handshake());
        if (answer_of(p).status != 101)
            throw std::runtime_error("no handshake");
        return p;
    }
    http_answer ask(const std::string& request) {
        raw_peer p(io, port);
        p.send(request);
        return answer_of(p);
    }
    pusher::broker_stats stats() {
        return hub.on([](auto& h) { return h.stats(); });
    }

    asio::io_context io;
    hub_thread hub;
    std::uint16_t port;
};

} // namespace

TEST_CASE("WebSocket: the handshake") {
    fixture f;
    raw_peer p(f.io, f.port);
    p.send(handshake());
    const auto a = answer_of(p);
    CHECK(a.status == 101);
    CHECK(a["Sec-WebSocket-Accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="); // RFC 6455, section 1.3
    CHECK(a["Upgrade"] == "websocket");
    CHECK(a["Connection"] == "Upgrade");
    CHECK(a["Sec-WebSocket-Protocol"].empty());
    CHECK(a["Sec-WebSocket-Extensions"].empty());
    p.send(ping_request("1"));
    CHECK(heard(p) == "ok 1");

    SECTION("the subprotocol is echoed if it is offered") {
        for (const auto& [offer, echo] : std::vector<std::pair<std::string, std::string>>{
                 {"pusher.v1", "pusher.v1"},
                 {"other, pusher.v1", "pusher.v1"},
                 {"other", ""},
                 {"pusher.v12", ""}}) {
            CAPTURE(offer);
            const auto b = f.ask(handshake({key, "Sec-WebSocket-Protocol: " + offer}));
            CHECK(b.status == 101);
            CHECK(b["Sec-WebSocket-Protocol"] == echo);
        }
    }
    SECTION("what is none is told what is missing") {
        const auto refused = [&](const std::string& text) {
            const auto b = f.ask(text);
            CHECK(b["Content-Type"] == "application/json");
            CHECK(holds(b.body, "error"));
            return b;
        };
        auto b = refused("GET /ws HTTP/1.1\r\nHost: a\r\n\r\n");
        CHECK(b.status == 426);
        CHECK(b["Upgrade"] == "websocket");
        b = refused(handshake({key}, "GET /ws HTTP/1.1", "12"));
        CHECK(b.status == 426);
        CHECK(b["Sec-WebSocket-Version"] == "13");
        CHECK(refused(handshake({key}, "GET /ws HTTP/1.0")).status == 426);
        CHECK(refused(handshake({key}, "POST /ws HTTP/1.1")).status == 426);
        CHECK(refused(handshake({})).status == 400);
        CHECK(refused(handshake({key, key})).status == 400);
        CHECK(refused(handshake({"Sec-WebSocket-Key: short"})).status == 400);
        CHECK(refused(handshake({"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQAA"})).status == 400);
        CHECK(refused(handshake({key, "Origin: http://elsewhere"})).status == 403);
        const auto s = f.stats();
        CHECK(s.transports.at("websocket").bad_requests == 8);
        CHECK(s.transports.at("websocket").accepted == 1);
        CHECK(s.transports.at("http").refused == 1);
    }
    SECTION("a hub that is full says so") {
        fixture g({}, {.sessions = 1});
        auto q = g.peer();
        q.send(ping_request("1"));
        CHECK(heard(q) == "ok 1");
        CHECK(g.ask(handshake()).status == 503);
        CHECK(g.stats().transports.at("websocket").refused == 1);
    }
}

TEST_CASE("WebSocket: frames, however they arrive") {
    fixture f;
    const auto all =
        ping_request("1") + frame(0x89, "p") + ping_request("2") +
        ws_bytes(
            client_side,
            ws_frame{.payload = R"({"action":"ping","request_id":"3"})", .form = length_form::minimal}) +
        frame(0x82, R"({"action":"ping","request_id":"4"})");
    SECTION("with the handshake, in one piece") {
        raw_peer p(f.io, f.port);
        p.send(handshake() + all);
        CHECK(answer_of(p).status == 101);
        // The pong is no reply, and does not wait for the end of the turn.
        for (const auto* const answer : {"pong: p", "ok 1", "ok 2", "ok 3", "ok 4"})
            CHECK(heard(p) == answer);
    }
    SECTION("byte by byte, the handshake too") {
        raw_peer p(f.io, f.port);
        for (const char c : handshake() + all)
            p.send({&c, 1});
        CHECK(answer_of(p).status == 101);
        std::vector<std::string> answers;
        for (int i = 0; i != 5; ++i)
            answers.push_back(heard(p));
        std::erase(answers, "pong: p"); // it goes ahead of replies that wait
        CHECK(answers == std::vector<std::string>{"ok 1", "ok 2", "ok 3", "ok 4"});
    }
    SECTION("a thousand in one piece") {
        auto p = f.peer();
        std::string many;
        for (int i = 0; i != 1000; ++i)
            many += ping_request(std::to_string(i));
        p.send(many);
        for (int i = 0; i != 1000; ++i)
            CHECK(heard(p) == "ok " + std::to_string(i));
    }
    SECTION("in fragments, with pings in between") {
        auto p = f.peer();
        p.send(frame(0x01, R"({"action":"pi)") + frame(0x89, "one"));
        CHECK(heard(p) == "pong: one");
        p.send(
            frame(0x00, "") + frame(0x00, R"(ng","request_id":"fr)") + frame(0x8A, "unasked") +
            frame(0x89, "two"));
        CHECK(heard(p) == "pong: two");
        p.send(frame(0x00, "\xc3") + frame(0x80, "\xa4\"}"));
        CHECK(heard(p) == "ok fr\xc3\xa4");
    }
}

TEST_CASE("WebSocket: the end, said by the peer") {
    fixture f;
    auto p = f.peer();
    p.send(ping_request("1"));
    CHECK(heard(p) == "ok 1");
    SECTION("with a code, which is echoed") {
        const unsigned code = GENERATE(1000U, 1001U, 1011U, 3000U, 4999U);
        p.send(frame(0x88, close_payload(code, "bye")) + ping_request("not heard"));
        CHECK(heard(p) == "close " + std::to_string(code) + " ");
    }
    SECTION("without") {
        p.send(frame(0x88, ""));
        CHECK(heard(p) == "close");
    }
    SECTION("by the end of the connection") { p.shutdown(); }
    CHECK(p.rest().empty());
    CHECK(f.hub.until_closed(1).at(0) == errc::peer_closed);
    CHECK(f.stats().transports.at("websocket").closed_by_peer == 1);
    CHECK(f.stats().transports.at("websocket").requests == 1);
}

TEST_CASE("WebSocket: the end, said by a peer that has not read what it was sent") {
    // The sockets hold little of what is to come.
    fixture f({.limits = {.send_buffer = 8 * 1024}}, {.outbox = {.messages = 5000, .bytes = 64'000'000}});
    auto p = f.peer(4096);
    p.send(text_frame(R"({"action":"subscribe","params":{"topic":"t"}})"));
    CHECK(heard(p) == "ok");
    for (int i = 0; i != 100; ++i)
        f.hub.publish("t", std::string(10'000, 'x'));
    p.send(frame(0x88, close_payload(1000)));
    // Whole frames, and then the answer.
    std::string last;
    std::size_t whole = 0;
    for (;; ++whole) {
        last = heard(p);
        if (last.starts_with("close"))
            break;
        CHECK(last == "t=" + std::string(10'000, 'x'));
    }
    CHECK(last == "close 1000 ");
    CHECK(whole > 0);
    CHECK(whole < 100);
    CHECK(p.rest().empty());
    CHECK(f.hub.until_closed(1).at(0) == errc::peer_closed);
}

TEST_CASE("WebSocket: the end, said by the hub") {
    fixture f({.limits = {.close_timeout = 20s}});
    auto p = f.peer();
    p.send(ping_request("1"));
    CHECK(heard(p) == "ok 1");
    SECTION("kicked: it waits for the answer") {
        f.hub.on([](auto& h) {
            std::uint64_t id = 0;
            h.for_each_session([&](const auto& s) { id = s.id; });
            CHECK(h.kick(id, "out with you") == 1);
        });
        CHECK(heard(p) == "close 1008 out with you");
        p.send(ping_request("not heard"));
        CHECK(p.socket.available() == 0);
        p.send(frame(0x88, close_payload(1008)));
        CHECK(p.rest().empty());
        CHECK(f.hub.until_closed(1).at(0) == errc::kicked);
    }
    SECTION("drained") {
        std::promise<error_code> drained;
        f.hub.on([&](auto& h) { h.async_drain(20s, [&](error_code ec) { drained.set_value(ec); }); });
        const auto goodbye = heard(p);
        CHECK(goodbye.starts_with(
            "close 1001 " + pusher::make_error_code(errc::stopped).message() + "; retry after "));
        CHECK(goodbye.ends_with(" ms"));
        p.send(frame(0x88, close_payload(1001)));
        CHECK(p.rest().empty());
        CHECK_FALSE(drained.get_future().get());
    }
    CHECK(f.stats().transports.at("websocket").requests == 1);
}

TEST_CASE("WebSocket: what breaks the protocol ends the connection, with the code for it") {
    // Without a word of the peer's, for which there would be time.
    fixture f({.limits = {.request_bytes = 1000, .close_timeout = 10min}});
    auto witness = f.peer();
    struct row {
        std::string bytes;
        int code;
    };
    const std::vector<row> table{
        {ws_bytes(client_side, ws_frame{.payload = "{}", .wrong_mask = true}), 1002},
        {frame(0xF1, ""), 1002},
        {frame(0x83, ""), 1002},
        {frame(0x8B, ""), 1002},
        {frame(0x09, ""), 1002},
        {frame(0x80, "x"), 1002},
        {frame(0x01, "x") + frame(0x81, "y"), 1002},
        {frame(0x89, std::string(126, 'x')), 1002},
        {frame(0x88, "x"), 1002},
        {frame(0x88, close_payload(1005)), 1002},
        {ws_bytes(client_side, ws_frame{.payload = "x", .form = length_form::bits16}), 1002},
        {frame(0x88, close_payload(1000, "\xff")), 1007},
        {text_frame("\xc3\x28"), 1007},
        {frame(0x01, "\xc3") + frame(0x80, "\x28"), 1007},
        {frame(0x82, "\xff"), 1007},
        {text_frame(std::string(1001, 'x')), 1009},
        {ws_bytes(client_side, ws_frame{.form = length_form::bits64, .announced = 1ULL << 40}), 1009},
        {frame(0x01, std::string(600, 'x')) + frame(0x80, std::string(401, 'x')), 1009}};
    std::size_t closed = 0;
    for (const auto& r : table) {
        CAPTURE(r.code, closed);
        auto p = f.peer();
        p.send(ping_request("before"));
        CHECK(heard(p) == "ok before");
        p.send(r.bytes);
        p.try_send(ping_request("not heard"));
        auto last = heard(p);
        if (last.starts_with("fail")) // told in words, too
            last = heard(p);
        CHECK(last.starts_with("close " + std::to_string(r.code) + " "));
        CHECK(p.rest().empty());
        ++closed;
        const auto why = f.hub.until_closed(closed).back();
        CHECK(why != errc::peer_closed);
        CHECK(static_cast<int>(pusher::close_reason::code_for(why)) == r.code);
    }
    CHECK(f.stats().transports.at("websocket").closed_by_error == closed);
    witness.send(text_frame(R"({"action":"ping","request_id":")" + std::string(900, 'x') + "\"}"));
    CHECK(heard(witness) == "ok " + std::string(900, 'x'));
}

TEST_CASE("WebSocket: what is wrong within a message is answered, and the connection stays") {
    fixture f;
    auto p = f.peer();
    for (const auto* const text : {"", "x", "[]", R"({"action":"dance"})", R"({"action":"subscribe"})"}) {
        p.send(text_frame(text));
        CHECK(heard(p).starts_with("fail"));
    }
    p.send(ping_request("1"));
    CHECK(heard(p) == "ok 1");
    CHECK(f.stats().transports.at("websocket").bad_requests == 5);
}

TEST_CASE("WebSocket: a peer that is silent is pinged, and one that stays silent leaves") {
    fixture f({.limits = {.idle_timeout = 3s, .heartbeat = 1s, .close_timeout = 100ms}});
    auto mute = f.peer();
    auto polite = f.peer();
    CHECK(heard(mute) == "ping: ");
    const auto began = std::chrono::steady_clock::now();
    // Pongs are all that this one ever says.
    int pings = 0;
    while (pings < 2 || mute.socket.available() == 0 || std::chrono::steady_clock::now() - began < 4s) {
        REQUIRE(heard(polite) == "ping: ");
        polite.send(frame(0x8A, ""));
        ++pings;
        REQUIRE(pings < 30);
    }
    std::string last;
    while ((last = heard(mute)) == "ping: ") {
    }
    CHECK(last == "close 1001 " + pusher::make_error_code(errc::idle_timeout).message());
    CHECK(f.hub.until_closed(1).at(0) == errc::idle_timeout);
    polite.send(ping_request("still here"));
    std::string answer;
    while ((answer = heard(polite)) == "ping: ") {
    }
    CHECK(answer == "ok still here");
}

TEST_CASE("WebSocket: a slow reader loses what its outbox cannot hold, and is told how much") {
    fixture f({}, {.outbox = {.messages = 16}});
    auto slow = f.peer(4096);
    auto fast = f.peer();
    for (auto* const p : {&slow, &fast}) {
        p->send(text_frame(R"({"action":"subscribe","params":{"topic":"t"}})"));
        CHECK(heard(*p) == "ok");
    }
    const std::string rest(5000, 'x');
    std::size_t lost_by_fast = 0;
    for (int i = 0; i != 500; ++i) {
        f.hub.publish("t", std::to_string(i) + "." + rest);
        lost_by_fast += heard(fast) == "t=" + std::to_string(i) + "." + rest ? 0 : 1;
    }
    CHECK(lost_by_fast == 0);
    std::size_t received = 0;
    std::size_t lost = 0;
    int next = 0;
    while (next != 500) {
        const auto text = heard(slow);
        if (text.starts_with("!t ")) {
            const auto n = std::stoi(text.substr(3));
            lost += static_cast<std::size_t>(n);
            next += n;
            continue;
        }
        REQUIRE(text.substr(2, text.find('.') - 2) == std::to_string(next));
        REQUIRE(text.ends_with(rest));
        ++next;
        ++received;
    }
    CHECK(lost > 100);
    CHECK(received + lost == 500);
    CHECK(f.stats().dropped_overflow == lost);
}
