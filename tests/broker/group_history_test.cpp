// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// Several brokers as one: topics with history, each of which has one home.

#include "catch.hpp"
#include "group_pair.hpp"

#include <boost/asio/use_future.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iomanip>
#include <memory>
#include <optional>
#include <random>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace test;
using pusher::errc;
using pusher::error_code;
using pusher::message;
using pusher::receipt;

namespace {

/// The `position` that a peer's reply says.
pusher::topic_position position_of(std::string_view line) {
    const auto o = boost::json::parse({line.data(), line.size()}).as_object();
    return {
        std::stoull(std::string(o.at("epoch").as_string()), nullptr, 16),
        o.at("offset").to_number<std::uint64_t>()};
}

} // namespace

TEST_CASE(
    "group history: a message gets its place at the topic's home, wherever it is published", "[group]") {
    pair s;
    texts at_home;
    texts at_other;
    auto x = s.home.subscribe(s.topic, into(at_home));
    auto y = s.other.subscribe(s.topic, into(at_other));
    s.run();
    const auto first = s.home.publish(s.topic, "1");
    CHECK(first.position->offset == 1);
    const auto second = s.other.publish(s.topic, "2");
    CHECK(second.pending);
    CHECK_FALSE(second.error);
    CHECK_FALSE(second.position);
    outcome third;
    s.other.async_publish(s.topic, "3", {}, third.handler());
    s.run();
    const texts all{s.topic + "@1=1", s.topic + "@2=2", s.topic + "@3=3"};
    CHECK(at_home == all);
    CHECK(at_other == all);
    REQUIRE(third.got);
    CHECK_FALSE(third.ec);
    CHECK(third.got->position == pusher::topic_position{first.position->epoch, 3});
    CHECK(third.got->matched == 2); // at the home, and here
    CHECK(s.home.stats().published == 3);
    CHECK(s.other.stats().published == 0);
}

TEST_CASE(
    "group history: a peer is answered when the home has published, after the message itself", "[group]") {
    pair s;
    group_client a(s.seats[1]);
    a.subscribe(s.topic);
    CHECK(a.heard() == texts{"ok"});
    a.send("publish", "\"topic\":\"" + s.topic + R"(","payload":"1")", "p1");
    a.send("publish", "\"topic\":\"" + s.topic + R"(","payload":"2")", "p2");
    a.send("ping", "", "p");
    CHECK(
        a.heard() == texts{s.topic + "@1=1", "ok p1 matched 1", s.topic + "@2=2", "ok p2 matched 1", "ok p"});
}

TEST_CASE(
    "group history: who resumes at another broker gets what it missed, and then what is live", "[group]") {
    pair s;
    group_client a(s.seats[0]);
    a.subscribe(s.topic);
    a.heard();
    s.other.publish(s.topic, "1");
    s.run();
    CHECK(a.heard() == texts{s.topic + "@1=1"});
    a.leave();
    const auto epoch = s.epoch(); // which is message 2
    s.home.publish(s.topic, "3");
    s.other.publish(s.topic, "4");

    group_client b(s.seats[1]);
    const auto resume = "\"topic\":\"" + s.topic + R"(","resume":{"epoch":")" + epoch + R"(","offset":1})";
    b.send("subscribe", resume, "r");
    s.home.publish(s.topic, "5"); // while its history is on its way
    CHECK(
        b.heard() ==
        texts{"ok r recovered", s.topic + "@2=epoch", s.topic + "@3=3", s.topic + "@4=4", s.topic + "@5=5"});
    b.leave();
    s.run();

    // And back.
    s.other.publish(s.topic, "6");
    group_client c(s.seats[0]);
    c.send("subscribe", "\"topic\":\"" + s.topic + R"(","resume":{"epoch":")" + epoch + R"(","offset":5})");
    CHECK(c.heard() == texts{"ok recovered", s.topic + "@6=6"});

    // Another that comes finds the copy there, if somebody keeps it, and gets it anew if not.
    for (int n = 0; n != 2; ++n) {
        group_client d(s.seats[1]);
        d.send("subscribe", "\"topic\":\"" + s.topic + R"(","history":2)");
        CHECK(d.heard() == texts{"ok", s.topic + "@5=5", s.topic + "@6=6"});
        group_client e(s.seats[1]);
        e.send("subscribe", "\"topic\":\"" + s.topic + R"(","history":1)");
        CHECK(e.heard() == texts{"ok", s.topic + "@6=6"});
    }
}

TEST_CASE("group history: what the home has forgotten is told where it is resumed", "[group]") {
    pair s(keeping(3));
    const auto epoch = s.epoch();
    for (int n = 2; n != 8; ++n)
        s.other.publish(s.topic, std::to_string(n));
    s.run();
    group_client b(s.seats[1]);
    b.send("subscribe", "\"topic\":\"" + s.topic + R"(","resume":{"epoch":")" + epoch + R"(","offset":1})");
    CHECK(
        b.heard() ==
        texts{
            "ok not recovered", "!" + s.topic + " 3", s.topic + "@5=5", s.topic + "@6=6", s.topic + "@7=7"});
    // The copy forgets as the home does.
    for (int n = 8; n != 12; ++n)
        s.home.publish(s.topic, std::to_string(n));
    b.heard();
    group_client c(s.seats[1]);
    c.send("subscribe", "\"topic\":\"" + s.topic + R"(","history":100)");
    CHECK(c.heard() == texts{"ok", s.topic + "@9=9", s.topic + "@10=10", s.topic + "@11=11"});
}

TEST_CASE("group history: a topic that nobody has published to", "[group]") {
    pair s;
    group_client b(s.seats[1]);
    b.send("subscribe", "\"topic\":\"" + s.topic + R"(","history":10)");
    s.run();
    auto lines = b.peer.take_lines();
    REQUIRE(lines.size() == 1);
    CHECK(brief(lines[0]) == "ok");
    s.home.publish(s.topic, "1");
    CHECK(b.heard() == texts{s.topic + "@1=1"});
    group_client c(s.seats[1]);
    c.send("subscribe", "\"topic\":\"" + s.topic + R"(","history":10)");
    CHECK(c.heard() == texts{"ok", s.topic + "@1=1"});
}

TEST_CASE("group history: what is copied goes when nobody wants it, and the home lets go", "[group]") {
    pair s(keeping(100), at_once());
    {
        texts got;
        auto x = s.other.subscribe(s.topic, into(got));
        s.run();
        CHECK(s.home.stats().topics == 1); // held, though nobody has published
        CHECK(s.other.stats().topics == 1);
    }
    s.run();
    s.home.publish(s.topic_at(0, "k"), "so that it looks at what others want");
    s.run();
    CHECK(s.other.stats().topics == 0);
    CHECK(s.home.stats().topics == 1);

    s.home.publish(s.topic, std::string(10'000, 'x'));
    s.run();
    CHECK(s.other.stats().memory_bytes < 10'000);
    {
        texts got;
        auto x = s.other.subscribe(s.topic, into(got));
        s.run();
        CHECK(s.other.stats().memory_bytes > 10'000);
    }
    s.run();
    CHECK(s.other.stats().memory_bytes < 10'000);
}

TEST_CASE("group history: filters get what is live, with its place", "[group]") {
    pair s;
    texts got;
    auto x = s.other.subscribe("#", into(got), {.match = pusher::match_mode::filter});
    group_client b(s.seats[1]);
    b.send("subscribe", R"("topic":"#","match":"filter")");
    b.heard();
    s.home.publish(s.topic, "1");
    s.home.publish(s.topic, "2");
    s.other.publish(s.topic, "3");
    s.run();
    const texts all{s.topic + "@1=1", s.topic + "@2=2", s.topic + "@3=3"};
    CHECK(got == all);
    CHECK(b.heard() == all);
    CHECK(s.other.stats().topics == 0); // nothing is kept for that
    // A subscription to the topic itself makes it a copy, for both.
    group_client c(s.seats[1]);
    c.send("subscribe", "\"topic\":\"" + s.topic + R"(","history":2)");
    CHECK(c.heard() == texts{"ok", s.topic + "@2=2", s.topic + "@3=3"});
    s.home.publish(s.topic, "4");
    CHECK(b.heard() == texts{s.topic + "@4=4"});
    CHECK(c.heard() == texts{s.topic + "@4=4"});
}

TEST_CASE("group history: subscribers in process", "[group]") {
    pair s(keeping(100), at_once());
    s.home.publish(s.topic, "1");
    texts got;
    error_code ec;
    auto early = s.other.subscribe(s.topic, into(got), {.history = 10}, ec);
    CHECK(ec == errc::no_history);
    std::optional<error_code> fetched;
    std::optional<pusher::subscription> x;
    s.other.async_fetch_history(s.topic, [&](error_code e) {
        fetched = e;
        x = s.other.subscribe(s.topic, into(got), {.history = 10});
    });
    s.run();
    CHECK(fetched == error_code());
    s.home.publish(s.topic, "2");
    s.run();
    CHECK(got == texts{s.topic + "@1=1", s.topic + "@2=2"});

    // Live from the first moment on, and with its history once that has come.
    texts live;
    const auto second = s.topic_at(0, "k");
    s.home.publish(second, "1");
    auto y = s.other.subscribe(second, into(live));
    s.home.publish(second, "2");
    s.run();
    CHECK(live == texts{second + "@2=2"});
    texts all;
    auto z = s.other.subscribe(second, into(all), {.history = 10});
    s.home.publish(second, "3");
    s.run();
    CHECK(live == texts{second + "@2=2", second + "@3=3"});
    CHECK(all == texts{second + "@1=1", second + "@2=2", second + "@3=3"});

    // Where there is nothing to be got.
    fetched.reset();
    s.home.async_fetch_history(s.topic, [&](error_code e) { fetched = e; });
    s.run();
    CHECK(fetched == error_code());
    // Got, and not used.
    const auto third = s.topic_at(0, "m");
    s.home.publish(third, "1");
    s.other.async_fetch_history(third, [&](error_code e) { fetched = e; });
    s.run();
    CHECK(s.other.stats().topics == 2);
}

TEST_CASE("group history: a message is published again by its id nowhere", "[group]") {
    auto p = keeping(100);
    p.idempotency.messages = 100;
    pair s(p);
    texts got;
    auto x = s.home.subscribe(s.topic, into(got));
    auto y = s.other.subscribe(s.topic, into(got));
    s.run();
    outcome first;
    outcome again;
    s.other.async_publish(s.topic, "1", {.id = "a"}, first.handler());
    s.run();
    s.other.async_publish(s.topic, "1", {.id = "a"}, again.handler());
    s.run();
    CHECK(got.size() == 2);
    CHECK_FALSE(first.got->repeated);
    CHECK(again.got->repeated);
    CHECK(again.got->position == first.got->position);
    CHECK(s.home.publish(s.topic, "1", {.id = "a"}).repeated);
    // What another broker has published is no id of this one's publishers.
    auto z = s.other.subscribe("t", into(got));
    s.run();
    const bool at_home = &s.group.home("t") == &s.home;
    auto& publisher = at_home ? s.home : s.other;
    publisher.publish("t", "1", {.id = "b"});
    s.run();
    CHECK_FALSE(s.home.publish("t", "2", {.id = "c"}).repeated);
}

TEST_CASE("group history: a broadcast is kept under its label", "[group]") {
    pair s;
    group_client a(s.seats[0]);
    group_client b(s.seats[1]);
    b.subscribe(s.topic); // has a copy
    b.heard();
    CHECK(s.other.broadcast(s.topic, "1").pending);
    s.run();
    s.home.broadcast(s.topic, "2");
    const texts all{s.topic + "@1=1", s.topic + "@2=2"};
    CHECK(a.heard() == all);
    CHECK(b.heard() == all);
    group_client c(s.seats[1]);
    c.send("subscribe", "\"topic\":\"" + s.topic + R"(","history":10)");
    auto got = c.heard();
    REQUIRE(got.size() >= 3);
    CHECK(texts(got.end() - 2, got.end()) == all);
}

TEST_CASE(
    "group history: whoever does not want its own, and publishes at another broker than the home",
    "[group]") {
    pair s;
    group_client a(s.seats[1]);
    group_client b(s.seats[1]);
    group_client c(s.seats[0]);
    for (auto* const x : {&a, &b, &c}) {
        x->send("subscribe", "\"topic\":\"" + s.topic + R"(","echo":false)");
        x->heard();
    }
    a.publish(s.topic, "1");
    CHECK(a.heard() == texts{"ok matched 2"});
    CHECK(b.heard() == texts{s.topic + "@1=1"});
    CHECK(c.heard() == texts{s.topic + "@1=1"});
}

TEST_CASE("group history: reports tell of the subscribers at the broker that was asked", "[group]") {
    pair s;
    std::optional<pusher::delivery_report> got;
    const auto keep = [&](error_code, const pusher::delivery_report& d) { got = d; };
    s.other.async_publish_report(s.topic, "1", {}, keep); // for nobody
    s.run();
    REQUIRE(got);
    CHECK(got->position->offset == 1);
    CHECK(got->delivered == 0);
    texts log;
    auto x = s.other.subscribe(s.topic, into(log));
    auto y = s.home.subscribe(s.topic, into(log));
    s.run();
    got.reset();
    s.other.async_publish_report(s.topic, "2", {}, keep);
    s.run();
    REQUIRE(got);
    CHECK(got->delivered == 1);
    got.reset();
    s.home.async_publish_report(s.topic, "3", {}, keep);
    s.run();
    REQUIRE(got);
    CHECK(got->delivered == 1);
}

TEST_CASE("group history: acknowledged subscriptions work where they are", "[group]") {
    pair s;
    group_client b(s.seats[1]);
    b.send("subscribe", "\"topic\":\"" + s.topic + R"(","ack":true)");
    CHECK(b.heard() == texts{"ok"});
    s.home.publish(s.topic, "1");
    s.other.publish(s.topic, "2");
    s.run();
    CHECK(b.heard() == texts{s.topic + "@1=1", s.topic + "@2=2"});
    b.send("ack", "\"topic\":\"" + s.topic + R"(","offset":2)");
    CHECK(b.heard() == texts{"ok"});
}

TEST_CASE("group history: what is asked of a home that is full, or has gone, fails at once", "[group]") {
    pair s(keeping(100), {.messages = 10});
    for (int n = 0; n != 10; ++n)
        CHECK(s.other.publish(s.topic, "x").pending);
    CHECK(s.other.publish(s.topic, "x").error == errc::queue_full);
    outcome waits;
    s.run();
    s.other.async_publish(s.topic, "y", {}, waits.handler());
    group_client b(s.seats[1]);
    s.run();
    CHECK_FALSE(waits.ec);
    b.subscribe(s.topic_at(0, "unknown"));
    s.run(1); // it has asked
    outcome late;
    s.other.async_publish(s.topic, "z", {}, late.handler());
    s.run(1);
    s.home.cancel(); // without having looked at it
    CHECK(b.heard() == texts{"fail the broker is stopped"});
    CHECK(late.ec == errc::stopped);
    CHECK(s.other.publish(s.topic, "x").error == errc::stopped);
    CHECK_FALSE(s.other.publish(s.topic_at(1), "x").error);
    b.subscribe(s.topic_at(0, "another"));
    CHECK(b.heard() == texts{"fail the broker is stopped"});
}

TEST_CASE("group history: a topic too many is refused, at the home or here", "[group]") {
    auto p = keeping(100);
    p.topics = 1;
    pair s(p);
    s.home.publish(s.topic, "1");
    const auto second = s.topic_at(0, "k");
    group_client b(s.seats[1]);
    b.subscribe(second);
    CHECK(b.heard() == texts{"fail too many topics"});
    outcome full;
    s.other.async_publish(second, "1", {}, full.handler());
    s.run();
    CHECK(full.ec == errc::too_many_topics);
    b.subscribe(s.topic);
    CHECK(b.heard() == texts{"ok"});
}

TEST_CASE("group history: positions are the home's wherever they are told", "[group]") {
    pair s;
    s.home.publish(s.topic, "1");
    std::vector<pusher::topic_position> told;
    for (std::size_t i = 0; i != 2; ++i) {
        group_client c(s.seats[i]);
        c.subscribe(s.topic);
        s.run();
        const auto lines = c.peer.take_lines();
        REQUIRE(lines.size() == 1);
        told.push_back(position_of(lines[0]));
    }
    CHECK(told[0] == told[1]);
    CHECK(told[0].offset == 1);
}
