// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// At least once: what is sent is sent again until it is acknowledged.

#include <pusher/detail/core.hpp>

#include "catch.hpp"
#include "core_script.hpp"

#include <chrono>
#include <string>

using namespace test;
using namespace std::chrono_literals;
using pusher::errc;
using pusher::error_code;

namespace {

pusher::detail::core_params with_window(std::size_t window, std::size_t history = 100) {
    pusher::detail::core_params p;
    p.history_for = [history](std::string_view topic) {
        return pusher::history_params{topic.starts_with('h') ? history : 0};
    };
    p.acknowledgement = {window, 1s};
    return p;
}

pusher::subscribe_options acknowledging(std::string_view type = {}) {
    pusher::subscribe_options o;
    o.type = type;
    o.acknowledge = true;
    return o;
}

void publish(core_script& s, std::string_view topic, int from, int to) {
    for (int n = from; n <= to; ++n)
        s.publish(topic, std::to_string(n));
    s.settle();
}

void acknowledge(core_script& s, const peer_ptr& a, std::string_view topic, std::uint64_t offset) {
    error_code ec;
    s.core.acknowledge(*a, topic, offset, ec);
    CHECK(!ec);
    s.settle();
}

void pass(core_script& s, std::chrono::milliseconds time) {
    virtual_clock::advance(time);
    s.core.run_due();
    s.settle();
}

} // namespace

TEST_CASE("acknowledge: no more is sent than the window, until some of it is acknowledged", "[core]") {
    core_script s(with_window(3));
    auto a = s.session();
    s.subscribe(a, "h", acknowledging());
    publish(s, "h", 1, 5);
    CHECK(a->link.frames() == texts{"h@1=1", "h@2=2", "h@3=3"});
    acknowledge(s, a, "h", 2); // and all before it
    CHECK(a->link.frames() == texts{"h@4=4", "h@5=5"});
    acknowledge(s, a, "h", 5);
    publish(s, "h", 6, 6);
    CHECK(a->link.frames() == texts{"h@6=6"});
    CHECK(s.core.counters().redelivered == 0);
}

TEST_CASE("acknowledge: what is late is sent again, in order, marked, before what is new", "[core]") {
    core_script s(with_window(10));
    auto a = s.session();
    s.subscribe(a, "h", acknowledging());
    publish(s, "h", 1, 3);
    a->link.frames();
    acknowledge(s, a, "h", 1);
    CHECK(s.core.next_due() != pusher::detail::steady_time::max());
    pass(s, 999ms);
    CHECK(a->link.frames().empty());
    s.publish("h", "4");
    pass(s, 1ms);
    CHECK(a->link.frames() == texts{"~h@2=2", "~h@3=3", "h@4=4"});
    CHECK(s.core.counters().redelivered == 2);
    pass(s, 1000ms);
    CHECK(a->link.frames() == texts{"~h@2=2", "~h@3=3", "~h@4=4"});
    acknowledge(s, a, "h", 4);
    pass(s, 5000ms);
    CHECK(a->link.frames().empty());
    CHECK(s.core.next_due() == pusher::detail::steady_time::max());
}

TEST_CASE("acknowledge: what has not left yet is not late", "[core]") {
    core_script s(with_window(10));
    SECTION("on a connection") {
        auto a = s.session();
        s.subscribe(a, "h", acknowledging());
        a->link.room = 10;
        publish(s, "h", 1, 3);
        a->link.bytes.clear();
        pass(s, 2s);
        pass(s, 2s);
        CHECK(s.core.counters().redelivered == 0);
        s.writable(a);
        CHECK(a->link.frames() == texts{"2", "h@3=3"}); // nothing of it twice
        pass(s, 2s);
        CHECK(a->link.frames() == texts{"~h@1=1", "~h@2=2", "~h@3=3"});
    }
    SECTION("in process") {
        auto a = s.queue();
        s.subscribe(a, "h", acknowledging());
        publish(s, "h", 1, 2);
        pass(s, 2s);
        const auto take = [&] {
            std::string text;
            s.core.take(*a, [&](const pusher::message& m) { text = text_of(m); }, [](const pusher::gap&) {});
            s.settle();
            return text;
        };
        CHECK(take() == "h@1=1");
        CHECK(take() == "h@2=2");
        CHECK(take() == "");
        pass(s, 2s);
        CHECK(take() == "~h@1=1");
        acknowledge(s, a, "h", 2);
        CHECK(take() == "~h@2=2"); // it waited already
        CHECK(take() == "");
    }
}

TEST_CASE("acknowledge: bad acknowledgements change nothing", "[core]") {
    core_script s(with_window(2));
    auto a = s.session();
    s.subscribe(a, "h", acknowledging());
    s.subscribe(a, "hh");
    publish(s, "h", 1, 3);
    error_code ec;
    s.core.acknowledge(*a, "h", 3, ec); // not sent
    CHECK(ec == errc::invalid_message);
    s.core.acknowledge(*a, "hh", 1, ec);
    CHECK(ec == errc::not_found);
    s.core.acknowledge(*a, "nowhere", 1, ec);
    CHECK(ec == errc::not_found);
    s.settle();
    CHECK(a->link.frames() == texts{"h@1=1", "h@2=2"});
    s.core.acknowledge(*a, "h", 0, ec);
    CHECK(!ec);
    acknowledge(s, a, "h", 2);
    acknowledge(s, a, "h", 1); // again, and too late
    CHECK(a->link.frames() == texts{"h@3=3"});
}

TEST_CASE("acknowledge: who can't, and what it does not go with", "[core]") {
    core_script s(with_window(2));
    auto a = s.session();
    auto h = s.handler();
    error_code ec;
    auto o = acknowledging();
    s.core.subscribe(*a, "t", o, ec);
    CHECK(ec == errc::no_history);
    s.core.subscribe(*h, "h", o, ec);
    CHECK(ec == errc::unsupported);
    o.match = pusher::match_mode::filter;
    s.core.subscribe(*a, "h/#", o, ec);
    CHECK(ec == errc::unsupported);
    o = acknowledging();
    for (const auto policy :
         {pusher::overflow_policy::drop_oldest, pusher::overflow_policy::drop_newest,
          pusher::overflow_policy::conflate}) {
        o.overflow = policy;
        s.core.subscribe(*a, "h", o, ec);
        CHECK(ec == errc::unsupported);
    }
    o.overflow = pusher::overflow_policy::spill;
    s.core.subscribe(*a, "h", o, ec);
    CHECK(!ec);
    CHECK(s.core.subscriptions() == 1);
}

TEST_CASE("acknowledge: resume begins after what was acknowledged", "[core]") {
    core_script s(with_window(10));
    publish(s, "h", 1, 5);
    const auto epoch = s.core.find_topic("h")->past()->epoch();
    auto a = s.session();
    auto o = acknowledging();
    o.resume = pusher::topic_position{epoch, 2};
    s.subscribe(a, "h", o);
    s.settle();
    CHECK(a->link.frames() == texts{"h@3=3", "h@4=4", "h@5=5"});
    s.core.remove(*a);
    auto b = s.session();
    s.subscribe(b, "h", o);
    s.settle();
    CHECK(b->link.frames() == texts{"h@3=3", "h@4=4", "h@5=5"});
}

TEST_CASE("acknowledge: what the history forgot can't come again, and is told", "[core]") {
    core_script s(with_window(3, 4));
    auto a = s.session();
    s.subscribe(a, "h", acknowledging());
    publish(s, "h", 1, 3);
    publish(s, "h", 4, 6); // 1 and 2 are forgotten
    CHECK(a->link.frames() == texts{"h@1=1", "h@2=2", "h@3=3"});
    pass(s, 1s);
    CHECK(a->link.frames() == texts{"!h 2 1-2", "~h@3=3", "h@4=4", "h@5=5"});
    CHECK(s.core.counters().dropped_trimmed == 2);
}

TEST_CASE("acknowledge: only subscriptions that asked for it wait, topic by topic", "[core]") {
    core_script s(with_window(1));
    auto a = s.session();
    s.subscribe(a, "h", acknowledging("x"));
    s.subscribe(a, "h2", acknowledging());
    s.subscribe(a, "t");
    s.publish("h", "1", "x");
    s.publish("h", "2", "x");
    s.publish("t", "3");
    s.publish("h2", "4");
    s.settle();
    CHECK(a->link.frames() == texts{"t=3", "h:x@1=1", "h2@1=4"});
    acknowledge(s, a, "h", 1);
    CHECK(a->link.frames() == texts{"h:x@2=2"});
    SECTION("another type of the topic comes in its place, and is not waited for") {
        s.subscribe(a, "h", {.type = "y"});
        s.publish("h", "5", "y");
        s.publish("h", "6", "x");
        s.settle();
        CHECK(a->link.frames().empty()); // the window of the topic is full
        acknowledge(s, a, "h", 2);
        CHECK(a->link.frames() == texts{"h:y@3=5", "h:x@4=6"});
        pass(s, 1s);
        CHECK(a->link.frames() == texts{"~h2@1=4", "~h:x@4=6"});
    }
    SECTION("the end of the subscription forgets what was sent") {
        CHECK(s.unsubscribe(a, "h", "x"));
        pass(s, 1s);
        CHECK(a->link.frames() == texts{"~h2@1=4"});
    }
    SECTION("without acknowledgements again") {
        s.subscribe(a, "h", {.type = "x"});
        s.publish("h", "5", "x");
        s.settle();
        CHECK(a->link.frames() == texts{"h:x@3=5"});
        pass(s, 1s);
        CHECK(a->link.frames() == texts{"~h2@1=4"});
    }
}

TEST_CASE("acknowledge: what is to be acknowledged does not give way to what floods the outbox", "[core]") {
    core_script s(with_window(10));
    pusher::outbox_params l;
    l.messages = 4;
    auto a = s.session(l);
    s.subscribe(a, "h", acknowledging());
    s.subscribe(a, "t");
    a->link.room = 0;
    publish(s, "h", 1, 3); // one is tried, half of the outbox waits
    for (int n = 1; n <= 10; ++n)
        publish(s, "t", n, n);
    s.writable(a);
    s.settle();
    const auto frames = a->link.frames();
    for (const auto* text : {"h@1=1", "h@2=2", "h@3=3", "t=10"})
        CHECK(std::count(frames.begin(), frames.end(), text) == 1);
    CHECK(s.core.counters().dropped >= 6);
    acknowledge(s, a, "h", 3);
}

TEST_CASE("acknowledge: who leaves while histories are empty leaves nothing behind", "[core]") {
    core_script s(with_window(2));
    auto a = s.session();
    const auto o = GENERATE(acknowledging(), acknowledging("x"));
    s.subscribe(a, "h", o);
    s.subscribe(a, "h", {.type = "y"}, 0);
    s.subscribe(a, "h", {.type = "x"}, 0);
    s.subscribe(a, "h", {}, 0);
    s.core.remove(*a);
    CHECK(s.core.topics() == 0);
    CHECK(s.core.subscriptions() == 0);
}

TEST_CASE("acknowledge: what a full window held comes when its subscription ends", "[core]") {
    core_script s(with_window(2));
    auto a = s.session();
    SECTION("to a filter") {
        s.subscribe(a, "h", acknowledging());
        s.subscribe_filter(a, "#");
        publish(s, "h", 1, 4);
        CHECK(a->link.frames() == texts{"h@1=1", "h@2=2"});
        CHECK(s.unsubscribe(a, "h"));
    }
    SECTION("to another type") {
        s.subscribe(a, "h", acknowledging("x"));
        s.subscribe(a, "h", acknowledging("y"));
        s.publish("h", "1", "x");
        s.publish("h", "2", "x");
        s.publish("h", "3", "y");
        s.settle();
        CHECK(a->link.frames() == texts{"h:x@1=1", "h:x@2=2"});
        CHECK(s.unsubscribe(a, "h", "x"));
    }
    s.settle();
    CHECK(a->link.frames().size() >= 1);
    CHECK_FALSE(s.core.has_pending(*a));
}

TEST_CASE("acknowledge: nothing is lost where a subscription is asked for anew", "[core]") {
    core_script s(with_window(2));
    SECTION("that need not be acknowledged any more") {
        auto a = s.session();
        s.subscribe(a, "h", acknowledging());
        publish(s, "h", 1, 4);
        s.subscribe(a, "h");
        publish(s, "h", 5, 5);
        CHECK(a->link.frames() == texts{"h@1=1", "h@2=2", "h@3=3", "h@4=4", "h@5=5"});
        CHECK(s.core.next_due() == pusher::detail::steady_time::max());
        CHECK(!a->catching);
    }
    pusher::outbox_params l;
    l.messages = 2;
    l.overflow = pusher::overflow_policy::spill;
    auto a = s.session(l);
    a->link.room = 0;
    s.subscribe(a, "h");
    SECTION("that has been spilled, and is to be acknowledged from now on") {
        publish(s, "h", 1, 6);
        s.subscribe(a, "h", acknowledging());
        publish(s, "h", 7, 7);
        s.writable(a);
        s.settle();
        CHECK(a->link.frames() == texts{"h@1=1", "h@2=2", "h@3=3", "h@4=4"});
        acknowledge(s, a, "h", 4);
        acknowledge(s, a, "h", 6);
        CHECK(a->link.frames() == texts{"h@5=5", "h@6=6", "h@7=7"});
    }
    SECTION("that has been spilled, with a history") {
        publish(s, "h", 1, 6);
        s.subscribe(a, "h", {.history = 1});
        publish(s, "h", 7, 7);
        s.writable(a);
        s.settle();
        CHECK(a->link.frames() == texts{"h@1=1", "h@2=2", "h@3=3", "h@4=4", "h@5=5", "h@6=6", "h@7=7"});
    }
}

TEST_CASE("acknowledge: subscriptions that overlap get a message again once", "[core]") {
    core_script s(with_window(5, 3));
    auto a = s.session();
    s.subscribe(a, "h", acknowledging());
    s.subscribe(a, "h", acknowledging("x"));
    s.publish("h", "1", "x");
    s.settle();
    CHECK(a->link.frames() == texts{"h:x@1=1"});
    pass(s, 1s);
    CHECK(a->link.frames() == texts{"~h:x@1=1"});
    s.publish("h", "2");
    s.publish("h", "3");
    s.settle();
    s.publish("h", "4");
    s.settle();
    a->link.frames();
    pass(s, 1s);
    CHECK(a->link.frames() == texts{"!h 1 1-1", "~h@2=2", "~h@3=3", "~h@4=4"});
    CHECK(s.core.counters().dropped_trimmed == 1);
}

TEST_CASE("acknowledge: saying the same again puts nothing off", "[core]") {
    core_script s(with_window(5));
    auto a = s.session();
    s.subscribe(a, "h", acknowledging());
    publish(s, "h", 1, 1);
    a->link.frames();
    for (int n = 0; n != 4; ++n) {
        acknowledge(s, a, "h", 0);
        pass(s, 250ms);
    }
    CHECK(a->link.frames() == texts{"~h@1=1"});
}

TEST_CASE("acknowledge: half of the outbox is left to what is live", "[core]") {
    core_script s(with_window(100));
    pusher::outbox_params l;
    l.messages = 8;
    l.overflow = pusher::overflow_policy::disconnect;
    auto a = s.queue(l);
    s.subscribe(a, "h", acknowledging());
    s.subscribe(a, "t");
    for (int n = 0; n != 20; ++n)
        publish(s, "h", n, n);
    CHECK(a->box->messages() == 4);
    publish(s, "t", 1, 4);
    CHECK(a->overflows == 0);
    publish(s, "t", 5, 5);
    CHECK(a->overflows == 1);
}

TEST_CASE("acknowledge: the loss of a plain copy does not settle the one to be acknowledged", "[core]") {
    core_script s(with_window(10));
    pusher::outbox_params l;
    l.messages = 4;
    auto a = s.queue(l);
    s.subscribe_filter(a, "#");
    publish(s, "h", 1, 1);
    auto o = acknowledging();
    o.history = 1;
    s.subscribe(a, "h", o);
    s.settle();
    CHECK(a->box->messages() == 2); // the live one, and that of the history
    publish(s, "t", 1, 3);
    CHECK(s.core.counters().dropped == 1);
    const auto take_all = [&] {
        texts got;
        while (s.core.take(
            *a, [&](const pusher::message& m) { got.push_back(text_of(m)); }, [](const pusher::gap&) {}))
            s.settle();
        return got;
    };
    CHECK(take_all() == texts{"h@1=1", "t=1", "t=2", "t=3"});
    pass(s, 1s);
    CHECK(take_all() == texts{"~h@1=1"});
}
