// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include "broker_script.hpp"
#include "catch.hpp"
#include "net_peers.hpp"
#include "websocket_script.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

// The raw dialect: payloads as they are, on WebSocket by URL, and on TCP behind their lengths.

using namespace test;
using namespace std::chrono_literals;
using pusher::errc;

namespace {

constexpr std::uint32_t control = pusher::raw_control_bit;

std::string framed(std::string_view body) {
    std::string out;
    pusher::append_raw_length(out, static_cast<std::uint32_t>(body.size()));
    return out += body;
}

struct piece {
    bool is_control = false;
    std::string body;
};

piece piece_of(raw_peer& p) {
    std::uint32_t length = 0;
    for (const char c : p.bytes(4))
        length = length << 8 | static_cast<unsigned char>(c);
    return {(length & control) != 0, p.bytes(length & ~control)};
}

std::string payload_heard(raw_peer& p) {
    auto [is_control, body] = piece_of(p);
    if (is_control)
        throw std::runtime_error("a control frame: " + body);
    return body;
}

/// The goodbye, with which the connection ends; heartbeats before it are passed over.
std::string goodbye_heard(raw_peer& p) {
    auto next = piece_of(p);
    while (next.is_control && next.body.empty())
        next = piece_of(p);
    CHECK(next.is_control);
    CHECK(p.rest().empty());
    return brief(next.body);
}

std::string goodbye(pusher::error_code why, std::string text = {}) {
    return "close " + std::to_string(static_cast<int>(pusher::close_reason::code_for(why))) + " " +
           (text.empty() ? why.message() : text);
}

template <class Params>
struct fixture {
    explicit fixture(Params p, pusher::broker_params b = {}) : hub(std::move(b)), port(hub.listen(p)) {}

    /// A connection that is subscribed, or has been refused.
    raw_peer peer(int receive_buffer = 0) { return {io, port, receive_buffer}; }
    void until_subscribed(std::size_t n) {
        hub.until([&](auto& h) { return h.stats().subscriptions == n; });
    }

    asio::io_context io;
    hub_thread hub;
    std::uint16_t port;
};

pusher::tcp_params raw_tcp(pusher::link_limits limits = {}) {
    pusher::tcp_params p;
    p.dialect = pusher::dialect::raw;
    p.limits = limits;
    return p;
}
struct tcp_fixture : fixture<pusher::tcp_params> {
    explicit tcp_fixture(pusher::broker_params b = {}, pusher::link_limits limits = {})
        : fixture(raw_tcp(limits), std::move(b)) {}
};

struct ws_fixture : fixture<pusher::http_params> {
    explicit ws_fixture(pusher::broker_params b = {}) : fixture({}, std::move(b)) {}

    http_answer ask(raw_peer& p, const std::string& target, const std::string& more = {}) {
        p.send(
            "GET " + target +
            " HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
            more + "\r\n");
        return answer_of(p);
    }
    raw_peer subscriber(const std::string& query) {
        auto p = peer();
        if (const auto a = ask(p, "/raw?" + query); a.status != 101)
            throw std::runtime_error(a.head + a.body);
        return p;
    }
};

std::string client_frame(unsigned first, const std::string& payload) {
    return ws_bytes(pusher::websocket_role::client, ws_frame{.first = first, .payload = payload});
}

/// `binary x`, `text x` or `close 1008 why`.
std::string heard(raw_peer& p) {
    const auto [first, payload] = websocket_piece_of(p);
    switch (first) {
    case 0x81: return "text " + payload;
    case 0x82: return "binary " + payload;
    case 0x88: {
        const auto code =
            static_cast<unsigned char>(payload.at(0)) << 8 | static_cast<unsigned char>(payload.at(1));
        return "close " + std::to_string(code) + " " + payload.substr(2);
    }
    default: throw std::runtime_error("an unexpected frame");
    }
}

const std::string odd = std::string("\0\xff\r\n\"{", 6); // nothing is escaped

} // namespace

TEST_CASE("raw on TCP: payloads behind their lengths, however the bytes arrive") {
    tcp_fixture f;
    auto p = f.peer();
    const auto query = framed("topic=a&topic=b&type=t");
    SECTION("in one piece") { p.send(query); }
    SECTION("byte by byte") {
        for (const char c : query)
            p.send({&c, 1});
    }
    SECTION("the length apart") { p.send(query.substr(0, 4)).send(query.substr(4)); }
    f.until_subscribed(2);
    f.hub.on([](auto& h) {
        h.publish("a", odd, {.type = "t"});
        h.publish("b", "", {.type = "t"});
        h.publish("a", "not of that type", {.type = "u"});
        h.publish("c", "not subscribed to");
        h.publish("b", std::string(100'000, 'x'), {.type = "t"});
    });
    CHECK(payload_heard(p) == odd);
    CHECK(payload_heard(p).empty());
    CHECK(payload_heard(p) == std::string(100'000, 'x'));
}

TEST_CASE("raw on TCP: what a peer sends is published") {
    tcp_fixture f;
    auto reader = f.peer();
    reader.send(framed("topic=feed/%23&match=filter&type=t"));
    f.until_subscribed(1);
    auto p = f.peer();
    std::string all = framed("publish=feed%2F1&publish_type=t");
    std::vector<std::string> sent{"", "one", odd, std::string(60'000, 'y')};
    for (int i = 0; i != 200; ++i) // more than a turn takes
        sent.push_back(std::to_string(i));
    for (const auto& s : sent)
        all += framed(s);
    std::string idle;
    pusher::append_raw_length(idle, control); // keeps alive, says nothing
    SECTION("in one piece") { p.send(all + idle); }
    SECTION("in pieces that end within frames") {
        for (std::size_t at = 0; at < all.size(); at += 999)
            p.send(std::string_view(all).substr(at, 999));
    }
    SECTION("and the end behind it") {
        p.send(all).shutdown();
        CHECK(p.rest().empty());
    }
    for (const auto& s : sent)
        CHECK(payload_heard(reader) == s);
}

TEST_CASE("raw on TCP: the sender gets its own, unless it does not want to") {
    tcp_fixture f;
    for (const auto& [echo, first] :
         std::vector<std::pair<std::string, std::string>>{{"true", "mine"}, {"false", "another's"}}) {
        CAPTURE(echo);
        auto p = f.peer();
        p.send(framed("topic=t&publish=t&echo=" + echo) + framed("mine"));
        f.hub.until([&](auto& h) { return h.stats().published % 2 == 1; });
        f.hub.publish("t", "another's");
        CHECK(payload_heard(p) == first);
        p.shutdown();
        f.hub.until_sessions(0);
    }
}

TEST_CASE("raw on TCP: what can't be understood ends the connection, with the reason") {
    struct row {
        std::string sent;
        std::string goodbye;
    };
    const auto bad_query = [](const std::string& q, errc why, const std::string& text) {
        return row{framed(q), goodbye(why, text)};
    };
    const std::vector<row> rows{
        bad_query("", errc::invalid_message, "topic is missing"),
        bad_query(
            "topic=%zz", errc::invalid_message,
            "the query has a % that is not followed by two hexadecimal digits"),
        bad_query("topic=a&resume=1", errc::unsupported, "resume is not a parameter of the raw dialect"),
        bad_query("topic=a&history=x", errc::invalid_message, "history must be a number, not \"x\""),
        bad_query("topic=a&history=2", errc::no_history, pusher::make_error_code(errc::no_history).message()),
        {framed("topic=a") + framed("x"),
         goodbye(errc::unsupported, "this connection has not asked to publish")},
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
         goodbye(errc::message_too_large, "the request is longer than 64 bytes")},
        {framed(std::string(65, 'x')),
         goodbye(errc::message_too_large, "the request is longer than 64 bytes")},
        {std::string("\x80\0\0\x01", 4) + "x",
         goodbye(errc::protocol_error, "a control frame of a peer is empty")},
    };
    pusher::link_limits limits;
    limits.request_bytes = 64;
    for (const auto& r : rows) {
        CAPTURE(r.sent);
        tcp_fixture f({}, limits);
        auto p = f.peer();
        p.send(r.sent);
        CHECK(goodbye_heard(p) == r.goodbye);
        CHECK(f.hub.on([](auto& h) { return h.stats().transports.at("tcp").bad_requests; }) == 1);
    }
}

TEST_CASE("raw on TCP: a peer that ends in the middle of a frame is told so") {
    tcp_fixture f;
    auto p = f.peer();
    p.send(framed("topic=a&publish=a") + framed("whole") + framed("not whole").substr(0, 7)).shutdown();
    CHECK(payload_heard(p) == "whole");
    CHECK(goodbye_heard(p) == goodbye(errc::protocol_error, "the last message is not whole"));
    CHECK(f.hub.until_closed(1).at(0) == errc::protocol_error);
}

TEST_CASE("raw on TCP: a reader that is slow is told what it missed") {
    pusher::broker_params b;
    b.outbox.messages = 4;
    pusher::link_limits limits;
    limits.send_buffer = 4096;
    tcp_fixture f(std::move(b), limits);
    auto p = f.peer(4096);
    p.send(framed("topic=t&overflow=drop_oldest"));
    f.until_subscribed(1);
    constexpr int total = 400;
    const std::string filling(10'000, 'x');
    for (int i = 0; i != total; ++i)
        f.hub.publish("t", std::to_string(i) + " " + filling);
    int missed = 0;
    for (int next = 0; next != total;) {
        const auto [is_control, body] = piece_of(p);
        if (is_control) {
            const auto o = boost::json::parse(body).as_object();
            CHECK(o.at("topic") == "t");
            const auto count = static_cast<int>(o.at("gap").as_object().at("count").as_int64());
            missed += count;
            next += count;
        } else {
            REQUIRE(body == std::to_string(next) + " " + filling);
            ++next;
        }
    }
    CHECK(missed > 0);
}

TEST_CASE("raw on TCP: a silent reader is kept alive, and one that never asks is not") {
    pusher::link_limits limits;
    limits.heartbeat = 1s;
    limits.idle_timeout = 2s;
    tcp_fixture f({}, limits);
    auto never = f.peer();
    auto reader = f.peer();
    reader.send(framed("topic=t"));
    CHECK(goodbye_heard(never) == goodbye(errc::idle_timeout));
    for (int i = 0; i != 3; ++i) { // longer than the silence that others may keep
        const auto [is_control, body] = piece_of(reader);
        CHECK(is_control);
        CHECK(body.empty());
    }
    f.hub.publish("t", "still here");
    CHECK(payload_heard(reader) == "still here");
}

TEST_CASE("raw on WebSocket: payloads by URL, binary or text") {
    pusher::broker_params b;
    b.history.messages = 10;
    ws_fixture f(std::move(b));
    f.hub.publish("a", "before");
    auto binary = f.subscriber("topic=a&topic=b");
    auto text = f.subscriber("topic=a&format=text&history=1");
    f.until_subscribed(3);
    CHECK(heard(text) == "text before");
    f.hub.on([](auto& h) {
        h.publish("a", "1");
        h.publish("b", odd);
        h.publish("a", "2");
    });
    CHECK(heard(binary) == "binary 1");
    CHECK(heard(binary) == "binary " + odd);
    CHECK(heard(binary) == "binary 2");
    CHECK(heard(text) == "text 1");
    CHECK(heard(text) == "text 2");

    SECTION("text frames carry no bytes that are not UTF-8, and that is told") {
        f.hub.publish("a", odd);
        f.hub.publish("a", "3");
        CHECK(holds(heard(text), R"(binary {"topic":"a","gap":{"count":1)"));
        CHECK(heard(text) == "text 3");
        CHECK(heard(binary) == "binary " + odd);
    }
    SECTION("what a peer sends is published as it is, whatever the frame") {
        auto p = f.subscriber("publish=b");
        p.send(client_frame(0x82, odd) + client_frame(0x81, "text") + client_frame(0x82, ""));
        CHECK(heard(binary) == "binary " + odd);
        CHECK(heard(binary) == "binary text");
        CHECK(heard(binary) == "binary ");
    }
    SECTION("who has not asked to publish may not") {
        binary.send(client_frame(0x82, "x"));
        CHECK(heard(binary) == "close 1008 this connection has not asked to publish");
    }
    SECTION("a bad query is an answer of HTTP") {
        for (const auto& [query, why] : std::vector<std::pair<std::string, std::string>>{
                 {"", "topic is missing"},
                 {"?topic=a&ack=1", "ack is not a parameter of the raw dialect"},
                 {"?topic=a&format=json", "format must be binary or text, not \\\"json\\\""},
                 {"?topic=%23", ""},
                 {"?publish=", ""}}) {
            CAPTURE(query);
            auto p = f.peer();
            const auto a = f.ask(p, "/raw" + query);
            if (query == "?topic=%23") {
                CHECK(a.status == 101); // a topic may be named so, which is no filter
                continue;
            }
            CHECK(a.status == 400);
            CHECK(holds(a.body, why));
        }
    }
    SECTION("foreign pages are turned away") {
        auto p = f.peer();
        CHECK(f.ask(p, "/raw?topic=a", "Origin: http://elsewhere\r\n").status == 403);
    }
    SECTION("the subprotocol") {
        auto p = f.peer();
        const auto a = f.ask(p, "/raw?topic=a", "Sec-WebSocket-Protocol: pusher.v1, pusher.raw\r\n");
        CHECK(a["Sec-WebSocket-Protocol"] == "pusher.raw");
    }
}

namespace {

/// A host that answers later, when it is told to.
struct host {
    std::vector<std::function<void()>> later;
    std::vector<std::string> asked;
    bool at_once = true;

    pusher::broker_params params() {
        pusher::broker_params b;
        b.authenticate = [this](const pusher::authentication_request& r, pusher::authentication_answer done) {
            using result = pusher::authentication_result;
            const auto answer = r.token.empty()     ? result::later()
                                : r.token == "anna" ? result::identified("anna")
                                                    : result::refused("who is that?");
            say([done, answer] { done(answer); });
        };
        b.authorize = [this](const pusher::access_request& r, pusher::access_answer done) {
            const bool publishes = r.action == pusher::access_request::kind::publish;
            asked.push_back((publishes ? "publish " : "subscribe ") + std::string(r.topic));
            const bool allowed = r.uid == "anna" && r.topic != "secret";
            say([done, allowed] { done(allowed); });
        };
        return b;
    }
    void say(std::function<void()> f) {
        if (at_once)
            f();
        else
            later.push_back(std::move(f));
    }
};

} // namespace

TEST_CASE("raw: the host decides who may, now or later") {
    host h;
    h.at_once = GENERATE(true, false);
    CAPTURE(h.at_once);
    const bool on_tcp = GENERATE(true, false);
    CAPTURE(on_tcp);
    tcp_fixture tcp(h.params());
    const auto http_port = tcp.hub.listen(pusher::http_params());
    // The answers that the host owes, until the condition holds.
    const auto until = [&](auto condition) {
        tcp.hub.until([&](auto& b) {
            for (auto& f : std::exchange(h.later, {}))
                f();
            return condition(b);
        });
    };
    const auto begin = [&](const std::string& query, const std::string& first = {}) {
        if (on_tcp) {
            raw_peer p(tcp.io, tcp.port);
            p.send(framed(query) + (first.empty() ? first : framed(first)));
            return p;
        }
        raw_peer p(tcp.io, http_port);
        p.send(
            "GET /raw?" + query +
            " HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" +
            (first.empty() ? first : client_frame(0x82, first)));
        return p;
    };
    const auto refused = [&](raw_peer& p) {
        until([](auto& b) {
            return b.stats().sessions == 0 &&
                   b.stats().transports["tcp"].accepted + b.stats().transports["websocket"].accepted == 1;
        });
        if (on_tcp)
            return brief(piece_of(p).body);
        answer_of(p);
        return heard(p);
    };

    SECTION("all that was asked for") {
        auto p = begin("token=anna&topic=a&topic=b&publish=b", "first");
        until([](auto& b) { return b.stats().published == 1; });
        CHECK(h.asked == std::vector<std::string>{"subscribe a", "subscribe b", "publish b"});
        if (!on_tcp)
            CHECK(answer_of(p).status == 101);
        CHECK((on_tcp ? payload_heard(p) : heard(p).substr(7)) == "first");
    }
    SECTION("one thing that is not allowed ends it") {
        auto p = begin("token=anna&topic=a&topic=secret&publish=b", "first");
        CHECK(refused(p) == goodbye(errc::forbidden));
        CHECK(h.asked == std::vector<std::string>{"subscribe a", "subscribe secret"});
        CHECK(tcp.hub.on([](auto& b) { return b.stats().published; }) == 0);
    }
    SECTION("a token that is not accepted") {
        auto p = begin("token=otto&topic=a");
        CHECK(refused(p) == "close 1008 who is that?");
    }
    SECTION("none, where one is needed") {
        auto p = begin("topic=a");
        CHECK(refused(p) == goodbye(errc::not_authenticated));
    }
}
