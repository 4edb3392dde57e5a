// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include "catch.hpp"
#include "event_source.hpp"
#include "net_peers.hpp"

#include <chrono>
#include <future>
#include <string>
#include <vector>

// Server-sent events as bytes: the header, events of each form, resuming, and what a payload cannot do.

using namespace test;
using namespace std::chrono_literals;
using pusher::errc;

namespace {

/// A stream after its header.
struct stream : raw_peer {
    stream(
        asio::io_context& io, std::uint16_t port, const std::string& query, const std::string& headers = {},
        const std::string& version = "1.1")
        : raw_peer(io, port) {
        send("GET /events?" + query + " HTTP/" + version + "\r\nHost: localhost\r\n" + headers + "\r\n");
        head = answer_of(*this);
        if (head.status != 200)
            throw std::runtime_error(head.head);
    }
    std::string event() { return until("\n\n"); }

    http_answer head;
};

struct fixture {
    explicit fixture(pusher::http_params p = {}, pusher::broker_params b = {})
        : hub(std::move(b)),
          port(hub.listen(p)) {}

    stream open(const std::string& query, const std::string& headers = {}) {
        return {io, port, query, headers};
    }
    void publish(const std::string& topic, const std::string& payload, const std::string& type = {}) {
        hub.on([&](auto& h) { h.publish(topic, payload, {.type = type}); });
    }
    pusher::broker_stats stats() {
        return hub.on([](auto& h) { return h.stats(); });
    }

    asio::io_context io;
    hub_thread hub;
    std::uint16_t port;
};

pusher::broker_params with_history(std::size_t n = 100) { return {.history = {.messages = n}}; }

std::string id_of(const std::string& event) {
    if (!event.starts_with("id: "))
        throw std::runtime_error("no id: " + event);
    return event.substr(4, event.find('\n') - 4);
}

std::string data_of(const std::string& event) {
    const auto all = event_source(event).events;
    return all.size() == 1 ? all[0].data : "no single event: " + event;
}

/// The payload of an envelope.
std::string inside(const std::string& event) { return payload_of(data_of(event)); }

} // namespace

TEST_CASE("SSE: the header") {
    fixture f;
    auto s = f.open("topic=t");
    CHECK(s.head.head.starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(s.head["Content-Type"] == "text/event-stream");
    CHECK(s.head["Cache-Control"] == "no-cache");
    CHECK(s.head["X-Accel-Buffering"] == "no");
    CHECK(s.head["Connection"] == "close");
    CHECK(s.head["Content-Length"].empty());
    CHECK(s.head["Transfer-Encoding"].empty());
    CHECK(f.stats().transports.at("sse").accepted == 1);
    stream old(f.io, f.port, "topic=t", {}, "1.0");
    CHECK(old.head.head.starts_with("HTTP/1.0 200 OK\r\n"));

    SECTION("HEAD subscribes to nothing") {
        raw_peer p(f.io, f.port);
        p.send("HEAD /events?topic=u HTTP/1.1\r\nHost: localhost\r\n\r\n");
        const auto a = answer_of(p, true);
        CHECK(a.status == 200);
        CHECK(a["Content-Type"] == "text/event-stream");
        CHECK(a["Content-Length"].empty());
        CHECK(p.rest().empty());
        CHECK(f.stats().sessions == 2);
        CHECK(f.stats().subscriptions == 2);
    }
    SECTION("what a client sends on is passed over") {
        s.send("GET /stats HTTP/1.1\r\n\r\n" + std::string(100'000, 'x'));
        f.publish("t", "x");
        CHECK(s.event() == "event: message\ndata: x\n\n");
    }
    SECTION("a client that ends leaves nothing") {
        s.shutdown();
        CHECK(s.rest().empty());
        CHECK(f.hub.until_closed(1).at(0) == errc::peer_closed);
        CHECK(f.stats().subscriptions == 1);
    }
}

TEST_CASE("SSE: events, byte by byte") {
    fixture f;
    auto s = f.open("topic=t");
    const std::vector<std::array<std::string, 3>> table{
        {"plain", "", "event: message\ndata: plain\n\n"},
        {"typed", "bid", "event: bid\ndata: typed\n\n"},
        {"", "", "event: message\ndata: \n\n"},
        {" \xc3\xa4 ", "", "event: message\ndata:  \xc3\xa4 \n\n"},
        {"a\nb", "", "event: message\ndata: a\ndata: b\n\n"},
        {"a\r\nb\rc\n", "", "event: message\ndata: a\ndata: b\ndata: c\ndata: \n\n"},
        {"x\n\nevent: pusher.close\ndata: lie\n\nid: 1", "",
         "event: message\ndata: x\ndata: \ndata: event: pusher.close\ndata: data: lie\ndata: \ndata: id: "
         "1\n\n"}};
    for (const auto& [payload, type, bytes] : table) {
        CAPTURE(payload, type);
        f.publish("t", payload, type);
        CHECK(s.bytes(bytes.size()) == bytes);
    }
    CHECK(s.socket.available() == 0);

    SECTION("no line break gets in by a type, a topic or an id") {
        for (const auto* const type : {"a\nb", "a\rb", "pusher.gap"})
            CHECK(f.hub.on([&](auto& h) {
                return h.publish("t", "x", {.type = type}).error;
            }) == errc::invalid_type);
        CHECK(f.hub.on([&](auto& h) { return h.publish("a\nb", "x").error; }) == errc::invalid_topic);
        raw_peer p(f.io, f.port);
        for (const auto* const query : {"topic=a%0ab", "topic=a&type=x%0d", "topic=a%0d%0aX-Evil:%201"}) {
            p.send("GET /events?" + std::string(query) + " HTTP/1.1\r\nHost: localhost\r\n\r\n");
            CHECK(answer_of(p).status == 400);
        }
        f.hub.on([](auto& h) { h.publish("t", "x", {.id = "a\nid: b"}); });
        CHECK(s.event() == "event: message\ndata: x\n\n");
    }
    SECTION("names that mean something to a browser travel in an envelope") {
        for (const auto* const type : {"error", "open"}) {
            f.publish("t", "x", type);
            const auto event = s.event();
            CHECK(
                event.starts_with("event: message\ndata: {\"topic\":\"t\",\"type\":\"" + std::string(type)));
            CHECK(inside(event) == "x");
        }
        f.publish("t", "\xff");
        CHECK(holds(s.event(), R"("encoding":"base64")"));
    }
}

TEST_CASE("SSE: who gets envelopes") {
    fixture f;
    for (const auto* const query :
         {"topic=t&envelope=json", "topic=t&topic=u", "topic=%2B&match=filter", "topic=%23&match=filter"}) {
        CAPTURE(query);
        auto s = f.open(query);
        f.publish("t", "a\nb", "bid");
        const auto event = s.event();
        CHECK(event.starts_with(
            "event: message\ndata: {\"topic\":\"t\",\"type\":\"bid\",\"payload\":\"a\\nb\""));
        CHECK(std::count(event.begin(), event.end(), '\n') == 3);
    }
    auto types = f.open("topic=t&type=bid&type=ask");
    for (const auto* const type : {"bid", "last", "ask"})
        f.publish("t", type, type);
    CHECK(types.event() == "event: bid\ndata: bid\n\n");
    CHECK(types.event() == "event: ask\ndata: ask\n\n");
}

TEST_CASE("SSE: a stream resumes all its topics after one id, in publish order") {
    fixture f({}, with_history());
    auto first = f.open("topic=a&topic=b");
    f.publish("a", "1");
    f.publish("b", "2");
    f.publish("a", "3");
    CHECK(inside(first.event()) == "1");
    const auto id = id_of(first.event());
    first.shutdown();
    f.hub.until_sessions(0);
    f.publish("b", "4");
    f.publish("c", "elsewhere");
    f.publish("a", "5");

    const int where = GENERATE(0, 1, 2);
    CAPTURE(where);
    auto again = where == 0   ? f.open("topic=a&topic=b&last_event_id=0", "Last-Event-ID: " + id + "\r\n")
                 : where == 1 ? f.open("topic=a&topic=b&last_event_id=" + id)
                              : f.open("topic=a&topic=b&last_event_id=" + id, "Last-Event-ID: \r\n");
    f.publish("b", "6");
    std::string last = id;
    for (const auto* const payload : {"3", "4", "5", "6"}) {
        const auto event = again.event();
        CHECK(inside(event) == payload);
        CHECK(id_of(event) != last);
        last = id_of(event);
    }
    // From the newest one on there is nothing to repeat.
    auto newest = f.open("topic=a&topic=b", "Last-Event-ID: " + last + "\r\n");
    f.publish("a", "7");
    CHECK(inside(newest.event()) == "7");
}

TEST_CASE("SSE: an id that nobody knows any more") {
    fixture f({}, with_history(2));
    f.publish("t", "1");
    f.publish("t", "2");
    const std::string gap = "event: pusher.gap\ndata: {\"topic\":\"t\",\"gap\":{\"count\":0}}\n\n";

    SECTION("of another life of the broker, or none at all: a gap, and what there is") {
        for (const auto* const id : {"0123456789abcdef-7", "nonsense", "7"}) {
            CAPTURE(id);
            auto s = f.open("topic=t", std::string("Last-Event-ID: ") + id + "\r\n");
            CHECK(s.event() == gap);
            CHECK(data_of(s.event()) == "1");
            CHECK(data_of(s.event()) == "2");
        }
    }
    SECTION("of what has left the history: how many is not known of several topics, but that there are") {
        auto s = f.open("topic=t", "Last-Event-ID: nonsense\r\n");
        s.event();
        const auto id = id_of(s.event());
        for (int i = 3; i != 8; ++i)
            f.publish("t", std::to_string(i));
        auto late = f.open("topic=t", "Last-Event-ID: " + id + "\r\n");
        const auto told = late.event();
        CHECK(told.starts_with("event: pusher.gap\ndata: {\"topic\":\"t\",\"gap\":{\"count\":"));
        CHECK(data_of(late.event()) == "6");
        CHECK(data_of(late.event()) == "7");
    }
    SECTION("an empty one is none") {
        auto s = f.open("topic=t&last_event_id=");
        f.publish("t", "3");
        CHECK(data_of(s.event()) == "3");
    }
}

TEST_CASE("SSE: comments keep a quiet stream alive") {
    fixture f({.limits = {.idle_timeout = 1s, .heartbeat = 1s}});
    auto s = f.open("topic=t");
    CHECK(s.event() == ":\n\n");
    CHECK(s.event() == ":\n\n"); // and the client need not say anything
    f.publish("t", "x");
    CHECK(data_of(s.event()) == "x");
    CHECK(f.stats().sessions == 1);
}

TEST_CASE("SSE: who takes nothing is cut off, though the kernel has room for more") {
    pusher::http_params p;
    p.limits = {.heartbeat = 1s, .write_timeout = 1s};
    fixture f(p);
    raw_peer stuck(f.io, f.port, 4096);
    stuck.send("GET /events?topic=t HTTP/1.1\r\nHost: localhost\r\n\r\n");
    f.hub.until_sessions(1);
    auto other = f.open("topic=t");
    f.publish("t", std::string(30'000, 'x'));
    CHECK(f.hub.until_closed(1).at(0) == errc::write_timeout);
    CHECK(f.stats().sessions == 1);
    CHECK(data_of(other.event()).size() == 30'000);
}

TEST_CASE("SSE: a drain says when to come back") {
    fixture f({}, {.retry_after = 5s});
    auto s = f.open("topic=t");
    std::promise<error_code> drained;
    f.hub.on([&](auto& h) {
        h.publish("t", "last");
        h.async_drain(20s, [&](error_code ec) { drained.set_value(ec); });
    });
    const auto all = s.rest();
    CHECK(all.starts_with("event: message\ndata: last\n\nretry: "));
    const event_source seen(all);
    REQUIRE(seen.events.size() == 2);
    CHECK(seen.events[1].type == "pusher.close");
    const auto close = boost::json::parse(seen.events[1].data).as_object().at("close").as_object();
    CHECK(close.at("code") == 1001);
    REQUIRE(seen.retry);
    CHECK(close.at("retry") == std::stoi(*seen.retry));
    CHECK(std::stoi(*seen.retry) >= 5000);
    CHECK(std::stoi(*seen.retry) <= 10'000);
    CHECK_FALSE(drained.get_future().get());
}

TEST_CASE("SSE: a slow stream loses what its outbox cannot hold, and is told how much") {
    fixture f({}, {.outbox = {.messages = 8}});
    raw_peer p(f.io, f.port, 4096);
    p.send("GET /events?topic=t HTTP/1.1\r\nHost: localhost\r\n\r\n");
    p.until("\r\n\r\n");
    const std::string filler(5000, 'x');
    for (int i = 0; i != 300; ++i)
        f.publish("t", std::to_string(i) + "." + filler);
    int next = 0;
    int lost = 0;
    while (next != 300) {
        const auto event = p.until("\n\n");
        if (const auto n = static_cast<int>(gap_of(event)); n != 0) {
            CHECK(event.starts_with("event: pusher.gap\n"));
            lost += n;
            next += n;
            continue;
        }
        REQUIRE(data_of(event) == std::to_string(next) + "." + filler);
        ++next;
    }
    CHECK(lost > 100);
    CHECK(f.stats().dropped_overflow == static_cast<std::uint64_t>(lost));
}
