// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// What the core keeps, and for how long: bounds that no peer can get around.

#include <pusher/detail/core.hpp>

#include "catch.hpp"
#include "core_script.hpp"

#include <chrono>
#include <cstddef>
#include <stdexcept>
#include <string>

using namespace test;
using namespace std::chrono_literals;
using pusher::errc;
using pusher::error_code;

TEST_CASE("cost: replies that were taken are given back while others wait", "[core]") {
    pusher::detail::outbox box;
    const std::string reply(100, 'r');
    scripted_sink sink;
    text_encoding lines;
    pusher::detail::scratch room;
    auto drain = [&] {
        return box.drain(
            lines, sink, 1, room, [](const pusher::gap&) {},
            [](const pusher::detail::run_ptr&, std::uint32_t, pusher::detail::outbox::handling,
               pusher::failure_cause) { return std::optional(pusher::detail::pending_gap{}); },
            [](const pusher::detail::run&, std::uint32_t) {});
    };
    box.add_reply(reply);
    std::size_t most = 0;
    for (int i = 0; i != 10'000; ++i) {
        box.add_reply(reply);
        sink.unblock(reply.size()); // takes one, so that one always waits
        drain();
        sink.bytes.clear();
        CHECK(box.reply_bytes() <= 2 * reply.size());
        most = std::max(most, box.reply_capacity());
    }
    CHECK(most < 16 * 1024);
}

TEST_CASE("cost: levels of filters count among what has state", "[core]") {
    pusher::detail::core_params p;
    p.topics = 4;
    core_script s(p);
    auto a = s.session();
    s.subscribe_filter(a, "a/b/+");
    s.subscribe_filter(a, "a/b/#"); // shares two levels
    error_code ec;
    pusher::subscribe_options filter;
    filter.match = pusher::match_mode::filter;
    s.core.subscribe(*a, "c/+", filter, ec);
    CHECK(ec == errc::too_many_topics);
    s.core.subscribe(*a, "t", {}, ec);
    CHECK(ec == errc::too_many_topics);
    s.subscribe_filter(a, "a/b/#"); // one that is there already
    CHECK(s.unsubscribe_filter(a, "a/b/#"));
    s.subscribe(a, "t");
    CHECK(s.unsubscribe_filter(a, "a/b/+"));
    s.subscribe_filter(a, "x/+");
    s.publish("x/y", "1");
    s.settle();
    CHECK(a->link.frames() == texts{"x/y=1"});
}

TEST_CASE("cost: a past that is over makes room, whether or not anybody publishes there", "[core]") {
    auto p = with_history(100);
    p.history.age = 1s;
    p.topics = 10;
    core_script s(p);
    for (int n = 0; n != 9; ++n)
        s.publish("t" + std::to_string(n), "x");
    auto a = s.session();
    s.subscribe(a, "kept");
    s.settle();
    CHECK(s.core.topics() == 10);
    pusher::publish_options o;
    CHECK(s.core.publish("fresh", "x", o).error == errc::too_many_topics);
    virtual_clock::advance(2s);
    SECTION("when it is needed") {
        CHECK_FALSE(s.core.publish("fresh", "x", o).error);
        CHECK(s.core.topics() <= 3);
    }
    SECTION("as turns go by") {
        for (int n = 0; n != 5; ++n) {
            s.publish("kept", "x");
            s.settle();
        }
        CHECK(s.core.topics() == 1);
        CHECK(s.core.find_topic("kept")->past()->messages() == 5);
    }
}

TEST_CASE("cost: a turn with very many entries ends early", "[core]") {
    pusher::detail::core_params p;
    p.turn_nodes = 50;
    core_script s(p);
    std::vector<peer_ptr> peers;
    for (int n = 0; n != 20; ++n) {
        peers.push_back(s.session());
        s.subscribe_filter(peers.back(), "#");
    }
    for (int n = 0; n != 3; ++n)
        s.publish("t" + std::to_string(n), "x");
    CHECK(peers[0]->link.frames() == texts{"t0=x", "t1=x", "t2=x"});
    s.publish("t3", "x");
    CHECK(peers[0]->link.frames().empty());
    s.settle();
    CHECK(peers[19]->link.frames() == texts{"t0=x", "t1=x", "t2=x", "t3=x"});
}

TEST_CASE("cost: topics that alternate are encoded once for all slow sessions", "[core]") {
    core_script s;
    std::vector<peer_ptr> slow;
    for (int n = 0; n != 10; ++n) {
        slow.push_back(s.session());
        s.subscribe_filter(slow.back(), "+");
        slow.back()->link.room = 0;
    }
    const std::string payload(1000, 'x');
    for (int n = 0; n != 50; ++n)
        for (const auto* topic : {"a", "b", "c", "d"})
            s.publish(topic, payload);
    s.settle();
    for (const auto& a : slow) {
        s.writable(a);
        CHECK(a->link.frames().size() == 200);
    }
    CHECK(s.lines.pushed == 200);
}

TEST_CASE("cost: the last messages of a type", "[core]") {
    core_script s(with_history(7));
    for (int n = 1; n <= 9; ++n) {
        s.publish("t", std::to_string(n), n % 3 == 0 ? "third" : "other");
        if (n % 2 == 0)
            s.turn(); // a run of its own
    }
    auto replay = [&](std::size_t last, std::string_view type) {
        auto a = s.session();
        pusher::subscribe_options o;
        o.history = last;
        o.type = type;
        s.subscribe(a, "t", o);
        s.settle();
        return a->link.frames();
    };
    CHECK(replay(2, {}) == texts{"t:other@8=8", "t:third@9=9"});
    CHECK(replay(100, {}).size() == 7);
    CHECK(replay(1, "third") == texts{"t:third@9=9"});
    CHECK(replay(2, "third") == texts{"t:third@6=6", "t:third@9=9"});
    CHECK(replay(100, "third") == texts{"t:third@3=3", "t:third@6=6", "t:third@9=9"});
    CHECK(replay(3, "other") == texts{"t:other@5=5", "t:other@7=7", "t:other@8=8"});
    CHECK(replay(1, "none").empty());
}

TEST_CASE("cost: a hook for histories that throws keeps nothing, and is counted", "[core]") {
    recording_observer seen;
    pusher::detail::core_params p;
    p.history_for = [](std::string_view topic) -> pusher::history_params {
        if (topic == "bad")
            throw std::runtime_error("no idea");
        return {.messages = 1};
    };
    core_script s(p);
    s.core.observe(&seen);
    CHECK_FALSE(s.publish("bad", "1").position);
    CHECK(s.publish("good", "1").position);
    CHECK(s.core.counters().handler_exceptions == 1);
    CHECK(seen.take().at(0) == "threw bad no idea");
}

TEST_CASE("cost: what is broadcast keeps its place behind a replay of its topic", "[core]") {
    core_script s(with_history(100));
    for (int n = 1; n <= 3; ++n)
        s.publish("t", std::to_string(n));
    s.settle();
    pusher::subscribe_options o;
    o.history = 2;
    auto a = s.session();
    auto h = s.handler();
    auto live = s.session();
    s.subscribe(a, "t", o);
    s.subscribe(h, "t", o);
    CHECK(s.core.broadcast("t", "to all").matched == 3);
    s.publish("t", "5");
    s.settle();
    const texts want{"t@2=2", "t@3=3", "t@4=to all", "t@5=5"};
    CHECK(a->link.frames() == want);
    CHECK(h->take() == want);
    CHECK(live->link.frames() == texts{"t@4=to all"});

    // What is in no history cannot wait for its place.
    s.core.bind(*a, "ann");
    s.subscribe(a, "t", o);
    CHECK(s.core.push_to("ann", "t", "to ann").matched == 1);
    s.settle();
    CHECK(a->link.frames() == texts{"t=to ann", "t@4=to all", "t@5=5"});
}

TEST_CASE("cost: a history without messages goes with its last subscriber", "[core]") {
    pusher::detail::core_params p;
    p.history.messages = 10;
    p.history.age = std::chrono::milliseconds(GENERATE(0, 1000));
    p.topics = 3;
    core_script s(p);
    auto a = s.session();
    const auto visit = [&](const std::string& topic) {
        s.subscribe(a, topic, {.history = 5});
        s.settle();
        CHECK(s.unsubscribe(a, topic));
        s.settle();
    };
    for (int n = 0; n != 10; ++n) // one after the other
        visit("visited" + std::to_string(n));
    CHECK(s.core.topics() == 0);
    s.publish("t", "1");
    s.settle();
    visit("t");
    CHECK(s.core.topics() == 1); // what was published stays
    virtual_clock::advance(std::chrono::milliseconds(1001));
    s.core.flush();
    CHECK(s.core.topics() == (p.history.age.count() == 0 ? 1 : 0));
}
