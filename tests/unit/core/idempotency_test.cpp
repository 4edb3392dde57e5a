// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// What was published by an id is not published by it again, for a while.

#include <pusher/detail/core.hpp>

#include "catch.hpp"
#include "core_script.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace test;
using namespace std::chrono_literals;
using pusher::errc;
using pusher::receipt;

namespace {

pusher::detail::core_params remembering(std::size_t messages, std::chrono::milliseconds age = 1s) {
    pusher::detail::core_params p;
    p.idempotency = {.messages = messages, .age = age};
    return p;
}

receipt publish(
    core_script& s, std::string_view topic, std::string_view id, std::string_view payload = "x",
    std::uint64_t publisher = 0) {
    return s.core.publish(topic, payload, {.id = id, .publisher = publisher});
}

bool same(const receipt& a, const receipt& b) {
    return a.error == b.error && a.matched == b.matched && a.sequence == b.sequence &&
           a.position == b.position;
}

} // namespace

TEST_CASE(
    "idempotency: what comes again is not published, and its publisher hears of the first time", "[core]") {
    recording_observer seen;
    auto p = remembering(10);
    p.history.messages = 2;
    core_script s(p);
    s.core.observe(&seen);
    auto session = s.session();
    auto handler = s.handler();
    s.subscribe(session, "t");
    s.subscribe(handler, "t");

    const auto first = publish(s, "t", "1", "one");
    CHECK_FALSE(first.repeated);
    CHECK(first.matched == 2);
    s.settle();
    s.unsubscribe(handler, "t");
    const auto again = publish(s, "t", "1", "another payload");
    CHECK(again.repeated);
    CHECK(same(again, first));
    CHECK(again);
    CHECK_FALSE(s.turn());
    CHECK(session->link.frames() == texts{"t@1=one"});
    CHECK(handler->take() == texts{"t@1=one"});
    CHECK(seen.take() == texts{"publish t@1=one matched 2"});
    CHECK(s.core.counters().published == 1);
    CHECK(s.core.counters().repeated == 1);
    CHECK(s.core.sequence() == 1);

    CHECK_FALSE(publish(s, "u", "1").repeated); // on another topic
    CHECK_FALSE(publish(s, "t", "2").repeated);
    CHECK_FALSE(publish(s, "t", "").repeated);
    CHECK_FALSE(publish(s, "t", "").repeated);
    s.settle();
    CHECK(publish(s, "t", "1").position->offset == 1); // the history has forgotten it, the window has not
    CHECK(s.core.counters().repeated == 2);
}

TEST_CASE("idempotency: off, an id may be used again", "[core]") {
    core_script s;
    CHECK_FALSE(publish(s, "t", "1").repeated);
    CHECK_FALSE(publish(s, "t", "1").repeated);
    CHECK(s.core.counters().published == 2);
}

TEST_CASE("idempotency: the window ends with its age, and the oldest leave when it is full", "[core]") {
    core_script s(remembering(3, 1s));
    publish(s, "t", "1");
    virtual_clock::advance(1s);
    CHECK(publish(s, "t", "1").repeated); // which makes it no younger
    virtual_clock::advance(1ms);
    CHECK_FALSE(publish(s, "t", "1").repeated);
    publish(s, "t", "2");
    publish(s, "t", "3");
    CHECK(publish(s, "t", "1").repeated);
    publish(s, "t", "4");
    CHECK_FALSE(publish(s, "t", "1").repeated); // pushes out 2
    CHECK(publish(s, "t", "3").repeated);
    CHECK(publish(s, "t", "4").repeated);
    CHECK_FALSE(publish(s, "t", "2").repeated);
}

TEST_CASE("idempotency: what was refused is not remembered", "[core]") {
    auto p = remembering(10);
    p.topics = 1;
    p.message_bytes = 3;
    p.deferred_messages = 1;
    core_script s(p);
    auto a = s.session();
    s.subscribe(a, "t");
    CHECK(publish(s, "t", "1", "long").error == errc::message_too_large);
    CHECK_FALSE(publish(s, "t", "1").repeated);
    CHECK(publish(s, "t", "1", "long").error == errc::message_too_large); // a repeat must be right too

    std::vector<receipt> inside;
    auto handler = s.handler([&](const pusher::message& m) {
        if (m.payload() == "go")
            for (const auto* const id : {"2", "3", "2", "3"})
                inside.push_back(publish(s, "t", id));
    });
    s.subscribe(handler, "t");
    s.publish("t", "go");
    REQUIRE(inside.size() == 4);
    CHECK_FALSE(inside[0].error);
    CHECK(inside[1].error == errc::queue_full);
    CHECK(inside[2].repeated); // which takes no room
    CHECK(inside[3].error == errc::queue_full);
    CHECK_FALSE(publish(s, "t", "3").repeated);
    CHECK(publish(s, "t", "3").repeated);
}

TEST_CASE("idempotency: what needs state that there is no room for is not remembered", "[core]") {
    auto p = remembering(10);
    p.history.messages = 1;
    p.topics = 1;
    core_script s(p);
    publish(s, "t", "1");
    CHECK(publish(s, "u", "1").error == errc::too_many_topics);
    CHECK(publish(s, "u", "1").error == errc::too_many_topics);
    CHECK(s.core.broadcast("u", "x", {.id = "1"}).error == errc::too_many_topics);
    CHECK(s.core.broadcast("u", "x", {.id = "1"}).error == errc::too_many_topics);
    CHECK(publish(s, "t", "1").repeated);
    CHECK(s.core.topics() == 1);
}

TEST_CASE("idempotency: a handler that publishes its message again", "[core]") {
    core_script s(remembering(10));
    std::vector<receipt> inside;
    texts order;
    auto echo = s.handler([&](const pusher::message& m) {
        order.emplace_back(m.payload());
        inside.push_back(publish(s, m.topic(), m.id(), "again"));
        inside.push_back(publish(s, m.topic(), "of the handler", "once"));
    });
    auto session = s.session();
    s.subscribe(echo, "t");
    s.subscribe(session, "t");
    const auto first = publish(s, "t", "1", "one");
    CHECK(first.matched == 2);
    CHECK(order == texts{"one", "once"});
    REQUIRE(inside.size() == 4);
    CHECK(inside[0].repeated);
    CHECK(inside[0].sequence == first.sequence);
    CHECK(inside[0].matched == 1); // its handlers are not done
    CHECK_FALSE(inside[1].repeated);
    CHECK(inside[1].matched == 2);
    CHECK(inside[2].repeated);
    CHECK(same(inside[2], inside[1]));
    CHECK(same(inside[3], inside[1]));
    CHECK(same(publish(s, "t", "1"), first)); // and now they are
    s.settle();
    CHECK(session->link.frames() == texts{"t=one", "t=once"});
}

TEST_CASE("idempotency: handlers that push their message out of the window", "[core]") {
    core_script s(remembering(1));
    auto handler = s.handler([&](const pusher::message& m) {
        if (m.topic() == "t")
            publish(s, "u", "2");
    });
    s.subscribe(handler, "t");
    CHECK(publish(s, "t", "1").matched == 1);
    CHECK(publish(s, "u", "2").repeated);
    CHECK(publish(s, "u", "2").matched == 0);
    CHECK_FALSE(publish(s, "t", "1").repeated);
}

TEST_CASE("idempotency: nobody uses up the ids of others", "[core]") {
    core_script s(remembering(100));
    const auto session_of = [&](std::string_view uid) {
        auto a = s.session();
        a->remote = true;
        if (!uid.empty())
            s.core.bind(*a, uid);
        return a;
    };
    auto ann = session_of("ann");
    auto bob = session_of("bob");
    auto nobody = session_of("");
    auto in_process = s.handler();
    auto for_ann = s.handler();
    s.core.bind(*for_ann, "ann");

    // Each is the first by its own measure,
    CHECK_FALSE(publish(s, "t", "1", "x", nobody->id).repeated);
    CHECK_FALSE(publish(s, "t", "1", "x", ann->id).repeated);
    CHECK_FALSE(publish(s, "t", "1", "x", bob->id).repeated);
    CHECK_FALSE(publish(s, "t", "1").repeated);
    // and comes again by another session of its uid, if it has one.
    CHECK(publish(s, "t", "1", "x", session_of("ann")->id).repeated);
    CHECK(publish(s, "t", "1", "x", for_ann->id).repeated);
    CHECK(publish(s, "t", "1", "x", session_of("")->id).repeated);
    CHECK(publish(s, "t", "1", "x", in_process->id).repeated);

    // Whoever has left may have been anybody, but not the host.
    const auto left = in_process->id;
    s.core.remove(*in_process);
    CHECK_FALSE(publish(s, "u", "1").repeated);
    CHECK_FALSE(publish(s, "u", "1", "x", left).repeated);
    CHECK(publish(s, "u", "1", "x", nobody->id).repeated);

    // As `POST /publish` says whose it is.
    using kind = pusher::detail::id_owner::kind;
    const pusher::detail::id_owner carl{kind::user, "carl"};
    const pusher::detail::id_owner also_ann{kind::user, "ann"};
    CHECK_FALSE(s.core.publish("t", "x", {.id = "1"}, &carl).repeated);
    CHECK(s.core.publish("t", "x", {.id = "1"}, &also_ann).repeated);
}

TEST_CASE("idempotency: broadcasts and pushes to a uid", "[core]") {
    auto p = remembering(100);
    p.history_for = [](std::string_view topic) {
        return pusher::history_params{.messages = topic == "h" ? 10U : 0U};
    };
    core_script s(p);
    auto ann = s.session();
    s.core.bind(*ann, "ann");
    auto bob = s.handler();
    s.core.bind(*bob, "bob");
    const pusher::publish_options one{.id = "1"};
    for (const auto* const label : {"t", "h"}) {
        CAPTURE(label);
        const auto everyone = s.core.broadcast(label, "all", one);
        const auto to_ann = s.core.push_to("ann", label, "ann", one);
        const auto to_bob = s.core.push_to("bob", label, "bob", one);
        const auto to_nobody = s.core.push_to("carl", label, "carl", one);
        const auto subscribers = s.core.publish(label, "sub", one);
        for (const auto& r : {everyone, to_ann, to_bob, to_nobody, subscribers})
            CHECK_FALSE(r.repeated);
        CHECK(everyone.matched == 2);
        CHECK(everyone.position.has_value() == (label == std::string("h")));
        for (const auto& [first, again] :
             {std::pair(everyone, s.core.broadcast(label, "all", one)),
              std::pair(to_ann, s.core.push_to("ann", label, "ann", one)),
              std::pair(to_bob, s.core.push_to("bob", label, "bob", one)),
              std::pair(to_nobody, s.core.push_to("carl", label, "carl", one)),
              std::pair(subscribers, s.core.publish(label, "sub", one))}) {
            CHECK(again.repeated);
            CHECK(same(first, again));
        }
    }
    s.settle();
    CHECK(ann->link.frames() == texts{"t=all", "t=ann", "h@1=all", "h=ann"});
    CHECK(bob->take() == texts{"t=all", "t=bob", "h@1=all", "h=bob"});
    CHECK(s.core.counters().repeated == 10);
}
