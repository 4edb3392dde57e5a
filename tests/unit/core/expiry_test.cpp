// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// Messages that are worth delivering for a while only: whoever is not given them in time is told.

#include <pusher/detail/core.hpp>

#include "catch.hpp"
#include "core_script.hpp"

#include <chrono>
#include <string>
#include <vector>

using namespace test;
using namespace std::chrono_literals;
using pusher::errc;

namespace {

pusher::publish_options living(std::chrono::milliseconds ttl) {
    pusher::publish_options o;
    o.ttl = ttl;
    return o;
}

} // namespace

TEST_CASE("expiry: what waits too long is not sent, and is told in its place", "[core]") {
    recording_observer seen;
    core_script s;
    auto a = s.session({});
    s.subscribe(a, "t");
    a->link.room = 0;
    s.core.publish("t", "1", living(1000ms));
    s.core.publish("t", "2");
    s.core.publish("t", "3", living(1001ms));
    s.core.publish("t", "4", living(1000ms));
    s.turn();
    s.core.observe(&seen);
    SECTION("in time") {
        virtual_clock::advance(1000ms);
        s.writable(a);
        CHECK(a->link.frames() == texts{"t=1", "t=2", "t=3", "t=4"});
        CHECK(s.core.counters().dropped_expired == 0);
    }
    SECTION("too late") {
        virtual_clock::advance(1001ms);
        s.writable(a);
        CHECK(a->link.frames() == texts{"!t 2", "t=2", "t=3"});
        CHECK(s.core.counters().dropped_expired == 2);
        CHECK(s.core.counters().delivered == 2);
        CHECK(seen.take() == texts{"drop t expired", "drop t expired", "gap !t 2"});
    }
    SECTION("a frame that has begun is finished") {
        s.writable(a, 2);
        virtual_clock::advance(5000ms);
        s.writable(a);
        CHECK(a->link.frames() == texts{"t=1", "t=2", "!t 2"});
    }
}

TEST_CASE("expiry: who takes messages in process", "[core]") {
    core_script s;
    auto q = s.queue({});
    s.subscribe(q, "t");
    s.core.publish("t", "1", living(10ms));
    s.core.publish("t", "2");
    s.core.publish("t", "3", living(10ms));
    s.turn();
    virtual_clock::advance(11ms);
    CHECK(s.take(q) == texts{"!t 1", "t=2", "!t 1"});
    CHECK(s.core.counters().dropped_expired == 2);
}

TEST_CASE("expiry: a history", "[core]") {
    core_script s(with_history(10));
    s.core.publish("t", "1", living(1s));
    s.core.publish("t", "2");
    s.turn();
    const auto position = s.core.find_topic("t")->past()->epoch();
    virtual_clock::advance(1001ms);

    SECTION("who asks for the past has no claim to what has expired") {
        auto a = s.session({});
        pusher::subscribe_options o;
        o.history = 10;
        s.subscribe(a, "t", o);
        s.turn();
        CHECK(a->link.frames() == texts{"t@2=2"});
        CHECK(s.core.counters().dropped_expired == 0);
    }
    SECTION("who comes back is told") {
        auto a = s.session({});
        pusher::subscribe_options o;
        o.resume = pusher::topic_position{position, 0};
        s.subscribe(a, "t", o);
        s.turn();
        CHECK(a->link.frames() == texts{"!t 1 1-1", "t@2=2"});
        CHECK(s.core.counters().dropped_expired == 1);
    }
    SECTION("a handler that comes back is told too") {
        auto h = s.handler();
        pusher::subscribe_options o;
        o.resume = pusher::topic_position{position, 0};
        s.subscribe(h, "t", o);
        s.turn();
        CHECK(h->got == texts{"!t 1 1-1", "t@2=2"});
    }
}

TEST_CASE("expiry: what is copied out of a run expires as before", "[core]") {
    core_script s;
    auto a = s.session({.messages = 100, .bytes = 100'000'000});
    s.subscribe(a, "t", {.type = "small"});
    a->link.room = 0;
    const std::string big(50'000, 'x');
    for (int i = 0; i != 20; ++i) {
        s.core.publish("t", big, {.type = "big"});
        s.core.publish("t", std::to_string(i), {.type = "small", .ttl = i % 2 == 0 ? 1s : 0s});
        s.turn();
    }
    virtual_clock::advance(2s);
    s.writable(a);
    const auto frames = a->link.frames();
    CHECK(
        std::count_if(frames.begin(), frames.end(), [](auto& f) { return f.starts_with("t:small="); }) == 10);
    CHECK(s.core.counters().dropped_expired == 10);
}

TEST_CASE("expiry: a time out of its range is refused", "[core]") {
    core_script s;
    CHECK(s.core.publish("t", "1", living(-1ms)).error == errc::invalid_message);
    CHECK(s.core.publish("t", "1", living(pusher::max_ttl + 1ms)).error == errc::invalid_message);
    CHECK(!s.core.publish("t", "1", living(pusher::max_ttl)).error);
}

TEST_CASE("expiry: in a turn that was too long", "[core]") {
    core_script s;
    auto a = s.session();
    auto b = s.session();
    s.subscribe(a, "t");
    s.subscribe(b, "t");
    s.subscribe(b, "u");
    s.core.publish("t", "1", living(10ms));
    s.core.publish("t", "2");
    s.core.publish("u", "3", living(1000ms));
    virtual_clock::advance(11ms);
    s.turn();
    CHECK(a->link.frames() == texts{"!t 1", "t=2"});
    CHECK(b->link.frames() == texts{"!t 1", "t=2", "u=3"});
    CHECK(s.core.counters().dropped_expired == 2);
    s.core.publish("t", "4", living(10ms));
    s.turn();
    CHECK(a->link.frames() == texts{"t=4"});
}

TEST_CASE(
    "expiry: who asked for the last messages has no claim to those that expired, trimmed or not", "[core]") {
    pusher::detail::core_params p;
    p.history.messages = 3;
    core_script s(p);
    s.core.publish("h", "1", living(10ms));
    s.core.publish("h", "2");
    s.core.publish("h", "3");
    s.turn();
    virtual_clock::advance(11ms);
    auto a = s.session();
    a->link.room = 0;
    s.core.reply(*a, "reply\n");
    s.turn();
    s.subscribe(a, "h", {.history = 3});
    s.publish("h", "4"); // the first is forgotten before it was read
    s.settle();
    s.writable(a);
    s.settle();
    CHECK(a->link.frames() == texts{"reply", "h@2=2", "h@3=3", "h@4=4"});
    CHECK(s.core.counters().dropped_trimmed == 0);
}
