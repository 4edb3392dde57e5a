// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// One bound for what all messages take in memory: who holds the most pays first.

#include <pusher/detail/core.hpp>

#include "catch.hpp"
#include "core_script.hpp"

#include <algorithm>
#include <string>
#include <vector>

using namespace test;
using pusher::overflow_policy;

namespace {

constexpr std::size_t budget = 100'000;

pusher::detail::core_params bounded(std::size_t history = 0) {
    pusher::detail::core_params p;
    p.memory_bytes = budget;
    p.history.messages = history;
    return p;
}

pusher::outbox_params roomy(overflow_policy policy = overflow_policy::drop_oldest) {
    pusher::outbox_params l;
    l.messages = 1'000'000;
    l.bytes = 1'000'000'000;
    l.overflow = policy;
    return l;
}

const std::string kilobyte(1000, 'x');

} // namespace

TEST_CASE("memory: nothing is held once nothing waits", "[core]") {
    core_script s;
    CHECK(s.core.memory() == 0);
    auto a = s.session();
    auto b = s.session();
    s.subscribe(a, "t");
    s.subscribe(b, "t");
    a->link.room = 10;
    b->link.room = 2000;
    for (int n = 0; n != 10; ++n)
        s.publish("t", kilobyte);
    s.turn();
    CHECK(s.core.memory() > 10'000);
    CHECK(s.core.memory() < 60'000); // messages, their encoded form, and room to grow: once for both
    s.core.reply(*a, "reply");
    s.turn();
    s.writable(a);
    s.core.remove(*b);
    CHECK(s.core.memory() == 0);
}

TEST_CASE("memory: who holds the most pays first, by its policy", "[core]") {
    const auto policy = GENERATE(
        overflow_policy::drop_oldest, overflow_policy::drop_newest, overflow_policy::conflate,
        overflow_policy::disconnect);
    core_script s(bounded());
    auto greedy = s.session(roomy(policy));
    auto modest = s.session(roomy());
    s.subscribe(greedy, "much");
    s.subscribe(modest, "little");
    greedy->link.room = modest->link.room = 0;
    for (int n = 0; n != 10; ++n)
        s.publish("little", kilobyte);
    s.turn();
    for (int n = 0; n != 200; ++n) {
        s.core.publish("much", kilobyte, {.key = std::to_string(n)});
        s.turn();
        REQUIRE(s.core.memory() <= budget);
    }
    CHECK(modest->box->messages() == 10);
    CHECK(greedy->overflows == (policy == overflow_policy::disconnect ? 1 : 0));
    const auto lost = policy == overflow_policy::disconnect ? s.core.counters().dropped_disconnected
                                                            : s.core.counters().dropped_memory;
    CHECK(lost > 100);
    if (policy != overflow_policy::disconnect) {
        s.writable(greedy);
        const auto frames = greedy->link.frames();
        const auto is_gap = [](const std::string& f) { return f[0] == '!'; };
        const auto gap = std::find_if(frames.begin(), frames.end(), is_gap);
        REQUIRE(gap != frames.end());
        CHECK(std::stoull(gap->substr(6)) + frames.size() - 1 == 200); // received and missed: all
    }
}

TEST_CASE("memory: what many wait for is charged once, and they pay together", "[core]") {
    core_script s(bounded());
    std::vector<peer_ptr> all;
    for (int n = 0; n != 100; ++n) {
        all.push_back(s.session(roomy()));
        s.subscribe(all.back(), "t");
        all.back()->link.room = 0;
    }
    for (int n = 0; n != 20; ++n)
        s.publish("t", kilobyte);
    s.turn();
    CHECK(s.core.counters().dropped_memory == 0);
    for (int n = 0; n != 200; ++n) {
        s.publish("t", kilobyte);
        s.turn();
        REQUIRE(s.core.memory() <= budget);
    }
    const auto [least, most] = std::minmax_element(all.begin(), all.end(), [](const auto& a, const auto& b) {
        return a->box->messages() < b->box->messages();
    });
    CHECK((*least)->box->messages() > 0);
    CHECK((*most)->box->messages() <= 2 * (*least)->box->messages() + 2);
}

TEST_CASE("memory: histories, together", "[core]") {
    core_script s(bounded(1'000'000));
    s.publish("small", kilobyte);
    for (int n = 0; n != 500; ++n) {
        s.publish(n % 2 == 0 ? "a" : "b", kilobyte);
        s.turn();
        REQUIRE(s.core.memory() <= budget);
    }
    CHECK(s.core.find_topic("small")->past()->messages() == 1);
    CHECK(s.core.find_topic("a")->past()->messages() > 10);
    CHECK(s.core.find_topic("b")->past()->messages() > 10);
    SECTION("who comes back is told") {
        auto a = s.session();
        const auto first = s.core.find_topic("a")->past()->first_offset();
        const auto epoch = s.core.find_topic("a")->past()->epoch();
        const auto r = s.subscribe(a, "a", {.resume = pusher::topic_position{epoch, 1}});
        CHECK(r.recovered == false);
        s.settle();
        CHECK(
            a->link.frames().front() ==
            "!a " + std::to_string(first - 2) + " 2-" + std::to_string(first - 1));
    }
    SECTION("thousands of topics with one message each") {
        for (int n = 0; n != 5000; ++n) {
            s.publish("t" + std::to_string(n), "x");
            s.turn();
        }
        CHECK(s.core.memory() <= budget);
    }
}

TEST_CASE("memory: a frame that many have a part of is there once", "[core]") {
    auto p = bounded();
    p.memory_bytes = 1'000'000;
    core_script s(p);
    std::vector<peer_ptr> all;
    for (int n = 0; n != 100; ++n) {
        all.push_back(s.session(roomy()));
        s.subscribe(all.back(), "t");
        s.subscribe(all.back(), "u");
        all.back()->link.room = 100 + static_cast<std::size_t>(n);
    }
    const std::string big(100'000, 'x');
    SECTION("alone") { s.publish("t", big); }
    SECTION("after another") {
        s.publish("u", "small");
        s.publish("t", big);
    }
    s.turn();
    CHECK(s.core.memory() < 400'000);
    CHECK(s.core.counters().dropped_memory == 0);
    for (const auto& a : all) {
        CHECK(a->overflows == 0);
        s.writable(a);
        CHECK(a->link.frames().back() == "t=" + big);
    }
    CHECK(s.core.memory() == 0);
}

TEST_CASE("memory: where nothing may go any more, who is stuck in a frame of its own ends", "[core]") {
    core_script s(bounded());
    std::vector<peer_ptr> all;
    for (int n = 0; n != 10; ++n) {
        all.push_back(s.session(roomy()));
        all.back()->link.room = 10;
        s.core.reply(*all.back(), std::string(n == 3 ? 30'000 : 10'000, 'r') + "\n");
    }
    s.turn();
    int ended = 0;
    for (const auto& a : all)
        ended += a->overflows;
    CHECK(all[3]->overflows == 1);
    CHECK(ended >= 1);
    CHECK(ended <= 4);
    const auto before = ended;
    s.publish("t", "x");
    s.core.reply(*all[0], "more");
    s.turn(); // those that are ending still hold what they have a part of
    ended = 0;
    for (const auto& a : all)
        ended += a->overflows;
    CHECK(ended == before);
}

TEST_CASE(
    "memory: what is to be acknowledged is not given up, and there is an end to looking for more", "[core]") {
    auto p = bounded(100);
    p.memory_bytes = 1'000'000;
    core_script s(p);
    std::vector<peer_ptr> all;
    pusher::subscribe_options o;
    o.acknowledge = true;
    for (int n = 0; n != 30; ++n) {
        all.push_back(s.session(roomy()));
        all.back()->link.room = 0;
        const auto topic = "t" + std::to_string(n);
        s.subscribe(all.back(), topic, o);
        s.publish(topic, std::string(60'000, 'x'));
        s.settle();
    }
    CHECK(s.core.memory() <= p.memory_bytes);
    CHECK(s.core.counters().dropped_memory == 0);
    CHECK(s.core.counters().dropped_trimmed > 0); // what was still to be read goes instead, and is told
    CHECK(all[0]->box->messages() == 1);
}
