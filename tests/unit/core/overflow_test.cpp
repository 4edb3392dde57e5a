// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// Full outboxes: what is dropped, and how the subscriber is told.

#include <pusher/detail/core.hpp>

#include "catch.hpp"
#include "core_script.hpp"

#include <algorithm>
#include <string>
#include <vector>

using namespace test;
using pusher::overflow_policy;

namespace {

pusher::outbox_params limit(std::size_t messages, overflow_policy policy = overflow_policy::drop_oldest) {
    pusher::outbox_params l;
    l.messages = messages;
    l.overflow = policy;
    return l;
}

void publish(core_script& s, std::string_view topic, int from, int to) {
    for (int n = from; n <= to; ++n)
        s.publish(topic, std::to_string(n));
}

} // namespace

TEST_CASE("overflow: drop_oldest keeps up with the present", "[core]") {
    recording_observer seen;
    core_script s;
    s.core.observe(&seen);
    auto a = s.session(limit(3));
    s.subscribe(a, "t");
    a->link.room = 0;
    publish(s, "t", 1, 5);
    s.turn();
    CHECK(a->box->messages() == 3);
    publish(s, "t", 6, 6);
    s.turn();
    CHECK(s.core.counters().dropped == 3);
    seen.take();
    s.writable(a);
    CHECK(a->link.frames() == texts{"!t 3", "t=4", "t=5", "t=6"});
    CHECK(seen.take() == texts{"gap !t 3"});
    publish(s, "t", 7, 7);
    s.turn();
    CHECK(a->link.frames() == texts{"t=7"});
}

TEST_CASE("overflow: drop_newest keeps an unbroken past", "[core]") {
    core_script s;
    auto a = s.session(limit(3, overflow_policy::drop_newest));
    s.subscribe(a, "t");
    a->link.room = 0;
    publish(s, "t", 1, 5);
    s.turn();
    publish(s, "t", 6, 6);
    s.turn();
    CHECK(s.core.counters().dropped == 3);
    SECTION("nothing follows: the gap is told at the end") {
        s.writable(a);
        CHECK(a->link.frames() == texts{"t=1", "t=2", "t=3", "!t 3"});
    }
    SECTION("what follows comes after the gap") {
        s.writable(a, 8);
        CHECK(a->link.frames() == texts{"t=1", "t=2"});
        publish(s, "t", 7, 7);
        s.turn();
        s.writable(a);
        CHECK(a->link.frames() == texts{"t=3", "!t 3", "t=7"});
    }
}

TEST_CASE("overflow: conflate keeps the newest of each key", "[core]") {
    recording_observer seen;
    core_script s;
    auto a = s.session(limit(4, overflow_policy::conflate));
    s.subscribe(a, "#", {.match = pusher::match_mode::filter});
    a->link.room = 0;
    const auto quote = [&](std::string_view topic, std::string_view key, std::string_view payload) {
        s.core.publish(topic, payload, {.key = key});
    };
    SECTION("once the outbox is full, and in the order of what is left") {
        quote("t", "x", "1");
        quote("t", "y", "2");
        quote("t", "x", "3");
        quote("u", "x", "4");
        s.turn();
        CHECK(a->box->messages() == 4);
        s.core.observe(&seen);
        quote("t", "y", "5");
        s.turn();
        CHECK(a->box->messages() == 3);
        CHECK(seen.seen.size() == 3); // the publish, and two that gave way
        s.writable(a);
        CHECK(a->link.frames() == texts{"!t 2", "t=3", "u=4", "t=5"});
        CHECK(s.core.counters().dropped_conflated == 2);
        CHECK(s.core.counters().dropped == 0);
    }
    SECTION("without a key the topic counts") {
        for (int n = 1; n <= 9; ++n)
            quote("t", "", std::to_string(n));
        quote("u", "", "1");
        s.turn();
        s.writable(a);
        CHECK(a->link.frames() == texts{"!t 8", "t=9", "u=1"});
    }
    SECTION("where all keys differ the oldest go") {
        for (int n = 1; n <= 6; ++n)
            quote("t", std::to_string(n), std::to_string(n));
        s.turn();
        s.writable(a);
        CHECK(a->link.frames() == texts{"!t 2", "t=3", "t=4", "t=5", "t=6"});
        CHECK(s.core.counters().dropped_conflated == 0);
        CHECK(s.core.counters().dropped == 2);
    }
    SECTION("replies stay where they are") {
        quote("t", "x", "1");
        s.core.reply(*a, "reply\n");
        for (int n = 2; n <= 5; ++n)
            quote("t", "x", std::to_string(n));
        s.turn();
        s.writable(a);
        CHECK(a->link.frames() == texts{"reply", "!t 4", "t=5"});
    }
}

TEST_CASE("overflow: of a session only those subscriptions conflate that want it", "[core]") {
    core_script s;
    auto a = s.session(limit(3));
    s.subscribe(a, "log");
    s.subscribe(a, "quote", {.overflow = overflow_policy::conflate});
    a->link.room = 0;
    publish(s, "log", 1, 2);
    publish(s, "quote", 1, 3);
    s.turn();
    s.writable(a);
    CHECK(a->link.frames() == texts{"log=1", "log=2", "!quote 2", "quote=3"});
}

TEST_CASE("overflow: it is judged on what remains after the connection was tried", "[core]") {
    core_script s;
    auto a = s.session(limit(3));
    s.subscribe(a, "t");
    publish(s, "t", 1, 20);
    s.turn();
    CHECK(a->link.frames().size() == 20);

    // Four of ten go out, a fifth in part; of the other five two are too many.
    a->link.room = 4 * 6 + 2;
    publish(s, "t", 100, 109);
    s.turn();
    CHECK(s.core.counters().dropped == 2);
    CHECK(a->link.bytes == "t=100\nt=101\nt=102\nt=103\nt=");
    s.writable(a);
    CHECK(
        a->link.frames() ==
        texts{"t=100", "t=101", "t=102", "t=103", "t=104", "!t 2", "t=107", "t=108", "t=109"});
}

TEST_CASE("overflow: disconnect", "[core]") {
    recording_observer seen;
    core_script s;
    s.core.observe(&seen);
    auto a = s.session(limit(3, overflow_policy::disconnect));
    s.subscribe(a, "t");
    a->link.room = 0;
    publish(s, "t", 1, 3);
    s.turn();
    CHECK(a->overflows == 0);
    publish(s, "t", 4, 4);
    s.turn();
    CHECK(a->overflows == 1);
    CHECK(a->overflowed);
    CHECK_FALSE(a->box);
    CHECK(s.core.counters().dropped_disconnected == 4);
    seen.take();

    // Until it is removed nothing is queued any more, and nothing is lost silently.
    publish(s, "t", 5, 5);
    s.core.reply(*a, "r\n");
    s.turn();
    CHECK(s.core.counters().dropped_disconnected == 5);
    CHECK(seen.take() == texts{"publish t=5 matched 1", "drop t disconnected"});
    s.writable(a);
    CHECK(a->link.bytes.empty());
    CHECK(a->overflows == 1);
    s.core.remove(*a);
    CHECK(s.core.topics() == 0);
}

TEST_CASE("overflow: who is disconnected while it catches up is told nothing more", "[core]") {
    core_script s(with_history(2));
    publish(s, "t", 1, 2);
    s.settle();
    auto a = s.session(limit(2, overflow_policy::disconnect));
    a->link.room = 0;
    s.subscribe(a, "u");
    core_script::options last;
    last.history = 2;
    s.subscribe(a, "t", last);
    publish(s, "u", 1, 3);
    s.turn();
    CHECK(a->overflowed);
    publish(s, "t", 3, 3); // 1 leaves the history
    s.settle();
    CHECK(s.core.counters().dropped_trimmed == 1);
    s.writable(a);
    CHECK(a->link.bytes.empty());
    CHECK_FALSE(a->box);
}

TEST_CASE("overflow: bytes", "[core]") {
    core_script s;
    auto l = limit(100);
    l.bytes = 10;
    auto a = s.session(l);
    s.subscribe(a, "t");
    a->link.room = 0;
    s.publish("t", "12345");
    s.publish("t", "67890");
    s.turn();
    CHECK(a->box->bytes() == 10);
    s.publish("t", "x");
    s.turn();
    CHECK(a->box->bytes() == 6);
    SECTION("a message that is too big by itself leaves nothing but a gap") {
        s.publish("t", "12345678901");
        s.turn();
        CHECK(a->box->messages() == 0);
        s.writable(a);
        CHECK(a->link.frames() == texts{"!t 4"});
        CHECK_FALSE(a->box);
    }
    SECTION("types, keys, ids and headers count") {
        pusher::publish_options o;
        o.type = "12";
        o.key = "34";
        o.id = "56";
        CHECK(s.core.publish("t", "7890", o));
        s.turn();
        CHECK(a->box->messages() == 1);
        CHECK(a->box->bytes() == 10);
    }
}

TEST_CASE("overflow: one gap marker per topic and flush, in its place", "[core]") {
    core_script s;
    auto a = s.session(limit(4));
    s.subscribe(a, "t");
    s.subscribe(a, "u");
    s.subscribe(a, "v");
    a->link.room = 0;
    for (int n = 1; n <= 4; ++n) {
        s.publish("t", std::to_string(n));
        s.publish("u", std::to_string(n));
        if (n == 1)
            s.publish("v", "1");
        s.turn();
    }
    // Left: t3 u3 t4 u4. Lost: t1 u1 v1 t2 u2.
    s.writable(a);
    CHECK(a->link.frames() == texts{"!t 2", "t=3", "!u 2", "u=3", "t=4", "u=4", "!v 1"});
}

TEST_CASE("overflow: gaps in history tell offsets", "[core]") {
    core_script s(with_history(100));
    SECTION("drop_oldest") {
        auto a = s.session(limit(2));
        s.subscribe(a, "t");
        s.subscribe(a, "u");
        a->link.room = 0;
        publish(s, "t", 1, 3);
        publish(s, "u", 4, 4);
        publish(s, "t", 5, 5);
        s.turn();
        s.writable(a);
        CHECK(a->link.frames() == texts{"u@1=4", "!t 3 1-3", "t@4=5"});
    }
    SECTION("drop_newest: what lies between was not all missed") {
        auto a = s.session(limit(2, overflow_policy::drop_newest));
        s.subscribe(a, "t");
        a->link.room = 0;
        publish(s, "t", 1, 3);
        s.turn();
        s.writable(a, 6);
        publish(s, "t", 4, 6);
        s.turn();
        s.writable(a);
        CHECK(a->link.frames() == texts{"t@1=1", "t@2=2", "!t 3 3-6", "t@4=4"});
    }
    SECTION("of a type: matching messages alone are counted") {
        auto a = s.session(limit(1));
        core_script::options x;
        x.type = "x";
        s.subscribe(a, "t", x);
        a->link.room = 0;
        for (auto type : {"x", "y", "x", "", "y", "x", ""})
            s.publish("t", "1", type);
        s.turn();
        s.writable(a);
        CHECK(a->link.frames() == texts{"!t 2 1-3", "t:x@6=1"});
    }
}

TEST_CASE("overflow: where nobody knows how many, nobody knows how many in all", "[core]") {
    core_script s(with_history(3));
    auto a = s.session(limit(1));
    a->link.room = 0;
    SECTION("first those of unknown number, then others") {
        s.subscribe(a, "t");
        s.core.tell_unknown_gap(*a, "t");
        publish(s, "t", 1, 4);
        s.turn();
        s.writable(a);
        CHECK(a->link.frames() == texts{"!t 0", "t@4=4"});
    }
    SECTION("first others") {
        s.subscribe(a, "t");
        publish(s, "t", 1, 4);
        s.turn();
        s.core.tell_unknown_gap(*a, "t");
        publish(s, "t", 5, 6);
        s.turn();
        s.writable(a);
        CHECK(a->link.frames() == texts{"!t 0", "t@6=6"});
    }
    SECTION("where it is known between which offsets, that is told") {
        for (int n = 1; n <= 6; ++n)
            s.publish("t", "0");
        core_script::options o;
        o.type = "x";
        o.resume = pusher::topic_position{s.core.find_topic("t")->past()->epoch(), 1};
        CHECK(s.subscribe(a, "t", o).recovered == false);
        s.settle();
        for (int n = 7; n <= 12; ++n)
            s.publish("t", std::to_string(n), "x");
        s.settle();
        s.writable(a);
        s.settle();
        CHECK(a->link.frames() == texts{"!t 0 2-9", "t:x@10=10", "t:x@11=11", "t:x@12=12"});
    }
    SECTION("what is told next is counted again") {
        s.subscribe(a, "t");
        s.core.tell_unknown_gap(*a, "t");
        publish(s, "t", 1, 2);
        s.turn();
        s.writable(a, 0);
        s.writable(a);
        a->link.frames();
        a->link.room = 0;
        publish(s, "t", 3, 5);
        s.turn();
        s.writable(a);
        CHECK(a->link.frames() == texts{"!t 2 3-4", "t@5=5"});
    }
}

TEST_CASE("overflow: topics that are told as one, of which one is of unknown number", "[core]") {
    core_script s;
    auto a = s.session(limit(1));
    a->link.room = 0;
    s.subscribe_filter(a, "#");
    for (std::size_t n = 0; n <= pusher::detail::gap_list::max_topics; ++n)
        s.publish("t" + std::to_string(n), "1");
    s.publish("u", "1");
    s.turn();
    s.core.tell_unknown_gap(*a, "v");
    s.writable(a);
    const auto got = a->link.frames();
    CHECK(std::count(got.begin(), got.end(), "!# 0") == 1);
}

TEST_CASE("overflow: a subscription's own policy", "[core]") {
    core_script s;
    core_script::options newest;
    newest.overflow = overflow_policy::drop_newest;
    core_script::options oldest;
    oldest.overflow = overflow_policy::drop_oldest;
    core_script::options disconnect;
    disconnect.overflow = overflow_policy::disconnect;
    auto a = s.session(limit(2));
    a->link.room = 0;
    auto rest = [&] {
        s.settle();
        s.writable(a);
        return a->link.frames();
    };
    SECTION("of the arriving message, whatever it pushes out") {
        s.subscribe(a, "t", newest);
        s.subscribe(a, "u");
        publish(s, "u", 1, 2);
        s.turn();
        s.publish("t", "3");
        s.turn();
        s.publish("u", "4");
        CHECK(rest() == texts{"!u 1", "u=2", "u=4", "!t 1"});
    }
    SECTION("exact decides before filter") {
        s.subscribe_filter(a, "#", disconnect);
        s.subscribe(a, "t", newest);
        publish(s, "t", 1, 3);
        CHECK(rest() == texts{"t=1", "t=2", "!t 1"});
        CHECK(a->overflows == 0);
    }
    SECTION("then the oldest") {
        s.subscribe_filter(a, "+", newest);
        s.subscribe_filter(a, "#", disconnect);
        publish(s, "t", 1, 3);
        CHECK(rest() == texts{"t=1", "t=2", "!t 1"});
        // It stays the oldest when its options change.
        a->link.unblock(0);
        s.subscribe_filter(a, "+", oldest);
        publish(s, "t", 4, 6);
        CHECK(rest() == texts{"!t 1", "t=5", "t=6"});
        CHECK(a->overflows == 0);
        s.unsubscribe_filter(a, "+");
        a->link.unblock(0);
        publish(s, "t", 7, 9);
        rest();
        CHECK(a->overflows == 1);
    }
    SECTION("the session's where the governing one has none") {
        s.subscribe(a, "t");
        s.subscribe_filter(a, "#", disconnect);
        publish(s, "t", 1, 3);
        CHECK(rest() == texts{"!t 1", "t=2", "t=3"});
        a->link.unblock(0);
        for (int n = 0; n != 3; ++n)
            s.core.broadcast("other", "x"); // no subscription but the filter matches
        rest();
        CHECK(a->overflows == 1);
    }
    SECTION("taken away again") {
        s.subscribe(a, "t", disconnect);
        s.subscribe(a, "t");
        publish(s, "t", 1, 3);
        CHECK(rest() == texts{"!t 1", "t=2", "t=3"});
    }
    SECTION("by type") {
        auto typed = newest;
        typed.type = "x";
        s.subscribe(a, "t", typed);
        s.subscribe_filter(a, "#", oldest);
        for (auto type : {"x", "x", "x", "y"})
            s.publish("t", "1", type);
        // The run arrives as one: y is the newest, and pushes out the oldest two.
        CHECK(rest() == texts{"!t 2", "t:x=1", "t:y=1"});
    }
}

TEST_CASE("overflow: replies are never dropped", "[core]") {
    core_script s;
    auto a = s.session(limit(1));
    s.subscribe(a, "t");
    a->link.room = 0;
    for (int n = 1; n <= 3; ++n) {
        s.publish("t", std::to_string(n));
        s.core.reply(*a, "r" + std::to_string(n) + "\n");
        s.turn();
    }
    s.writable(a);
    CHECK(a->link.frames() == texts{"r1", "r2", "!t 2", "t=3", "r3"});
}

TEST_CASE("overflow: a gap marker is cut like any frame, and told once", "[core]") {
    const std::string whole = "!t 2\nt=3\n!u 1\nu=2\n";
    for (std::size_t piece = 1; piece <= whole.size(); ++piece) {
        core_script s;
        auto a = s.session(limit(2));
        s.subscribe(a, "t");
        s.subscribe(a, "u");
        a->link.room = 0;
        publish(s, "t", 1, 2);
        publish(s, "u", 1, 1);
        publish(s, "t", 3, 3);
        publish(s, "u", 2, 2);
        s.turn();
        while (a->link.blocked())
            s.writable(a, piece);
        INFO(piece);
        CHECK(a->link.bytes == whole);
        CHECK_FALSE(a->box);
    }
}

TEST_CASE("overflow: gaps of very many topics are told as one", "[core]") {
    core_script s;
    auto a = s.session(limit(1));
    s.subscribe_filter(a, "#");
    a->link.room = 0;
    constexpr int count = pusher::detail::gap_list::max_topics + 100;
    for (int round = 0; round != 3; ++round)
        for (int n = 0; n != count; ++n)
            s.publish("t" + std::to_string(n), "1");
    s.turn();
    s.writable(a);
    const auto got = a->link.frames();
    CHECK(got.size() == pusher::detail::gap_list::max_topics + 2);
    std::size_t missed = 0;
    std::size_t messages = 0;
    std::size_t summed = 0;
    for (const auto& frame : got) {
        if (frame[0] != '!') {
            ++messages;
            continue;
        }
        missed += std::stoul(frame.substr(frame.find(' ')));
        summed += frame.starts_with("!# ");
    }
    CHECK(messages == 1);
    CHECK(summed == 1);
    CHECK(missed + messages == 3 * count);
}

TEST_CASE("overflow: pressure", "[core]") {
    core_script s;
    auto a = s.session(limit(4));
    s.subscribe(a, "t");
    a->link.room = 0;
    publish(s, "t", 1, 2);
    s.turn();
    CHECK(s.core.pressured() == 0);
    publish(s, "t", 3, 3);
    s.turn();
    CHECK(s.core.pressured() == 1);
    SECTION("passes") {
        s.writable(a, 4);
        CHECK(s.core.pressured() == 0);
    }
    SECTION("leaves with the session") {
        s.core.remove(*a);
        CHECK(s.core.pressured() == 0);
    }
    SECTION("is excused in who takes nothing") {
        s.core.forget_progress();
        s.core.excuse_stalled();
        CHECK(s.core.pressured() == 0);
        publish(s, "t", 4, 9);
        s.turn();
        CHECK(s.core.pressured() == 0);
        s.writable(a, 1);
        CHECK(s.core.pressured() == 1);
        s.core.forget_progress();
        s.writable(a, 1);
        s.core.excuse_stalled();
        CHECK(s.core.pressured() == 1);
    }
    SECTION("not in who takes from a queue") {
        auto q = s.queue(limit(4));
        s.subscribe(q, "u");
        publish(s, "u", 1, 4);
        s.turn();
        CHECK(s.core.pressured() == 2);
        s.core.forget_progress();
        s.core.take(*q, [](const pusher::message&) {}, [](const pusher::gap&) {});
        s.core.excuse_stalled();
        CHECK(s.core.pressured() == 1); // its three are over half
        CHECK(s.take(q).size() == 3);
        s.core.forget_progress();
        CHECK(s.take(q).empty()); // which is no progress
        publish(s, "u", 5, 8);
        s.turn();
        CHECK(s.core.pressured() == 1);
        s.core.excuse_stalled();
        CHECK(s.core.pressured() == 0);
    }
}

TEST_CASE("overflow: a queue without a connection", "[core]") {
    core_script s;
    auto a = s.queue(limit(3));
    s.subscribe(a, "t");
    publish(s, "t", 1, 2);
    CHECK(a->queued == 0);
    s.turn();
    CHECK(a->queued == 1);
    CHECK(s.take(a) == texts{"t=1", "t=2"});
    CHECK(s.take(a).empty());
    publish(s, "t", 3, 7);
    s.turn();
    CHECK(a->queued == 2);
    CHECK(s.take(a) == texts{"!t 2", "t=5", "t=6", "t=7"});
    CHECK(s.core.counters().delivered == 5);
    CHECK(s.core.counters().dropped == 2);

    // It leaves while it is given a message.
    publish(s, "t", 8, 9);
    s.turn();
    CHECK(s.core.take(*a, [&](const pusher::message&) { s.core.remove(*a); }, [](const pusher::gap&) {}));
    CHECK(s.core.topics() == 0);
    CHECK(s.core.counters().dropped_disconnected == 1);
}

TEST_CASE("overflow: who takes messages in process is given no replies", "[core]") {
    core_script s;
    auto a = s.queue(limit(3));
    s.subscribe(a, "t");
    s.core.reply(*a, "r1\n");
    s.publish("t", "1");
    s.core.reply(*a, "r2\n");
    s.core.reply(*a, "r3\n");
    s.publish("t", "2");
    s.core.reply(*a, "r4\n");
    s.turn();
    CHECK(s.take(a) == texts{"t=1", "t=2"});
    CHECK(a->box->empty());
    CHECK(a->box->reply_bytes() == 0);
}

TEST_CASE("overflow: a session without a connection, and the next one", "[core]") {
    core_script s;
    text_encoding other("o ");
    auto a = s.session(limit(3));
    s.subscribe(a, "t");
    s.publish("t", "1");
    s.turn();
    CHECK(a->link.frames() == texts{"t=1"});
    SECTION("what comes meanwhile waits, and goes out in the next one's encoding") {
        s.publish("t", "2");
        s.core.detach(*a);
        publish(s, "t", 3, 5);
        s.turn();
        CHECK(a->queued == 1);
        CHECK(a->link.bytes.empty());
        s.attach(a, other);
        CHECK(a->link.bytes.empty());
        s.turn();
        CHECK(a->link.frames() == texts{"o !t 1", "o t=3", "o t=4", "o t=5"});
        CHECK_FALSE(a->box);
    }
    SECTION("replies and cut frames belong to the connection that is gone") {
        a->link.room = 2;
        publish(s, "t", 2, 3);
        s.core.reply(*a, "r1\n");
        s.turn();
        CHECK(a->link.bytes == "t=");
        s.publish("t", "4");
        s.core.reply(*a, "r2\n");
        s.core.detach(*a);
        s.core.reply(*a, "r3\n"); // nobody there to answer; it waits for the next
        s.attach(a, other);
        s.core.reply(*a, "r4\n");
        s.settle();
        CHECK(a->link.frames() == texts{"o t=3", "o t=4", "r3", "r4"});
    }
    SECTION("one connection replaces another") {
        a->link.room = 2;
        publish(s, "t", 2, 3);
        s.core.reply(*a, "r1\n");
        s.turn();
        s.core.reply(*a, "r2\n");
        s.attach(a, other);
        s.settle();
        CHECK(a->link.frames() == texts{"o t=3"});
    }
    SECTION("it ends without one") {
        s.core.detach(*a);
        publish(s, "t", 2, 3);
        s.core.remove(*a);
        s.turn();
        CHECK(s.core.counters().dropped_disconnected == 2);
    }
}

TEST_CASE("overflow: what the encoding cannot carry", "[core]") {
    recording_observer seen;
    core_script s(with_history(10));
    s.core.observe(&seen);
    s.lines.longest = 3;
    auto a = s.session();
    s.subscribe(a, "t");
    SECTION("a gap in its place, and everything else") {
        for (auto payload : {"1", "long", "longer", "2", "long"})
            s.publish("t", payload);
        s.settle();
        CHECK(a->link.frames() == texts{"t@1=1", "!t 2 2-3", "t@4=2", "!t 1 5-5"});
        CHECK_FALSE(a->box);
        CHECK(s.core.counters().delivered == 2);
        CHECK(s.core.counters().dropped_undeliverable == 3);
        const auto what = seen.take();
        CHECK(std::count(what.begin(), what.end(), "drop t undeliverable") == 3);
        CHECK(what.back() == "gap !t 1 5-5");
    }
    SECTION("among several topics and replies, and cut at every byte") {
        s.subscribe(a, "u");
        const std::string whole = "t@1=1\nr\n!u 1 1-1\nu@2=2\n!t 1 2-2\n";
        for (std::size_t piece = 1; piece <= whole.size(); ++piece) {
            core_script t(with_history(10));
            t.lines.longest = 3;
            auto b = t.session();
            t.subscribe(b, "t");
            t.subscribe(b, "u");
            b->link.room = piece;
            t.publish("t", "1");
            t.publish("u", "long");
            t.core.reply(*b, "r\n");
            t.publish("t", "long");
            t.publish("u", "2");
            t.settle();
            while (b->link.blocked())
                t.writable(b, piece);
            CHECK(b->link.bytes == whole);
            CHECK_FALSE(b->box);
        }
    }
    SECTION("from the past") {
        s.unsubscribe(a, "t");
        publish(s, "t", 1, 1);
        s.publish("t", "long");
        publish(s, "t", 3, 3);
        core_script::options o;
        o.history = 3;
        s.subscribe(a, "t", o);
        s.settle();
        CHECK(a->link.frames() == texts{"t@1=1", "!t 1 2-2", "t@3=3"});
    }
    SECTION("another encoding may: it is judged when it is sent") {
        text_encoding other("o ");
        auto b = s.session();
        s.attach(b, other);
        s.subscribe(b, "t");
        s.core.detach(*a);
        s.publish("t", "long");
        s.settle();
        CHECK(b->link.frames() == texts{"o t@1=long"});
        s.attach(a, other);
        s.settle();
        CHECK(a->link.frames() == texts{"o t@1=long"});
        CHECK(s.core.counters().dropped_undeliverable == 0);
    }
    SECTION("with datagrams") {
        a->link.datagrams = true;
        s.publish("t", "long");
        s.publish("t", "1");
        s.settle();
        s.publish("t", "long");
        s.settle();
        CHECK(a->link.frames() == texts{"!t 1 1-1", "t@2=1", "!t 1 3-3"});
    }
}

TEST_CASE("overflow: a few messages of long runs do not hold the runs", "[core]") {
    core_script s(with_history(1));
    auto a = s.session(limit(200));
    core_script::options x;
    x.type = "x";
    s.subscribe(a, "t", x);
    a->link.room = 0;
    const std::string big(500, 'x');
    texts expected;
    for (int turn = 0; turn != 150; ++turn) {
        for (int n = 0; n != 100; ++n)
            s.publish("t", big, n % 50 == 7 ? "x" : "y");
        s.turn();
        expected.push_back("t:x@" + std::to_string(turn * 100 + 8) + "=" + big);
        expected.push_back("t:x@" + std::to_string(turn * 100 + 58) + "=" + big);
        REQUIRE(a->box->pinned() <= 4 * (a->box->bytes() + a->box->messages() * 64) + 32 * 1024);
    }
    CHECK(a->box->messages() == 200);
    expected.erase(expected.begin(), expected.begin() + 100);
    expected.insert(expected.begin(), "!t 100 8-4958");
    s.writable(a);
    CHECK(a->link.frames() == expected);
    CHECK_FALSE(a->box);

    SECTION("nor does one that takes a message now and then, and drops the newest") {
        auto b = s.session(limit(100, overflow_policy::drop_newest));
        s.subscribe(b, "t");
        b->link.room = 0;
        for (int turn = 0; turn != 300; ++turn) {
            for (int n = 0; n != 100; ++n)
                s.publish("t", big);
            s.turn();
            s.writable(b, 510);
            REQUIRE(b->box->pinned() <= 4 * (b->box->bytes() + b->box->messages() * 64) + 160 * 1024);
        }
    }
}

namespace {

/// Topics that begin with `h` keep the last 100 messages, or so many.
pusher::detail::core_params with_histories(std::size_t messages = 100) {
    pusher::detail::core_params p;
    p.history_for = [messages](std::string_view topic) {
        return pusher::history_params{topic.starts_with('h') ? messages : 0};
    };
    return p;
}

} // namespace

TEST_CASE("spill: what does not fit comes from history", "[core]") {
    core_script s(with_histories());
    auto a = s.session(limit(4, overflow_policy::spill));
    s.subscribe(a, "h");
    a->link.room = 0;
    publish(s, "h", 1, 6);
    s.turn();
    CHECK(a->box->messages() == 4);
    publish(s, "h", 7, 80);
    s.turn();
    CHECK(a->box->messages() == 4);
    CHECK(s.core.counters().dropped == 0);
    s.writable(a);
    s.settle();
    texts all;
    for (int n = 1; n <= 80; ++n)
        all.push_back("h@" + std::to_string(n) + "=" + std::to_string(n));
    CHECK(a->link.frames() == all);
    CHECK(!a->catching);
    publish(s, "h", 81, 81);
    s.turn();
    CHECK(a->link.frames() == texts{"h@81=81"});
}

TEST_CASE("spill: only what the history forgets meanwhile is lost, and told", "[core]") {
    core_script s(with_histories(5));
    auto a = s.session(limit(2, overflow_policy::spill));
    s.subscribe(a, "h");
    a->link.room = 0;
    publish(s, "h", 1, 10);
    s.turn();
    publish(s, "h", 11, 20);
    s.turn();
    s.writable(a);
    s.settle();
    CHECK(s.core.counters().dropped == 3); // the turn was longer than the history
    CHECK(s.core.counters().dropped_trimmed == 10);
    CHECK(
        a->link.frames() ==
        texts{"h@1=1", "h@2=2", "!h 13 3-15", "h@16=16", "h@17=17", "h@18=18", "h@19=19", "h@20=20"});
}

TEST_CASE("spill: filters, and topics without history", "[core]") {
    core_script s(with_histories());
    auto a = s.session(limit(3));
    s.subscribe(a, "#", {.match = pusher::match_mode::filter, .overflow = overflow_policy::spill});
    a->link.room = 0;
    s.publish("h1", "1");
    s.publish("t", "2");
    s.publish("h1", "3");
    s.publish("h2", "4");
    s.publish("t", "5");
    s.publish("h1", "6");
    s.turn();
    CHECK(s.core.counters().dropped == 1); // of `t`, which has no history
    s.writable(a);
    s.settle();
    CHECK(a->link.frames() == texts{"h1@1=1", "t=2", "h1@2=3", "!t 1", "h2@1=4", "h1@3=6"});
}

TEST_CASE("spill: a topic without history refuses it", "[core]") {
    core_script s(with_histories());
    auto a = s.session(limit(3));
    pusher::error_code ec;
    s.core.subscribe(*a, "t", {.overflow = overflow_policy::spill}, ec);
    CHECK(ec == pusher::errc::no_history);
    s.core.subscribe(*a, "h", {.overflow = overflow_policy::spill}, ec);
    CHECK(!ec);
}

TEST_CASE("spill: what was not for the subscriber does not come from history", "[core]") {
    core_script s(with_histories());
    auto a = s.session(limit(2, overflow_policy::spill));
    s.subscribe(a, "h", {.type = "x"});
    a->link.room = 0;
    s.publish("h", "1", "x");
    s.publish("h", "2", "y");
    s.publish("h", "3", "x");
    s.turn();
    s.subscribe(a, "h"); // from now on
    s.publish("h", "4", "y");
    s.publish("h", "5", "x");
    s.turn();
    s.writable(a);
    s.settle();
    CHECK(a->link.frames() == texts{"h:x@1=1", "h:x@3=3", "h:y@4=4", "h:x@5=5"});
}

TEST_CASE("overflow: policies by topic", "[core]") {
    pusher::detail::core_params p = with_histories();
    p.topic_policies = {
        {"log/#", {}}, {"log/+", overflow_policy::drop_newest}, {"#", overflow_policy::conflate}};
    core_script s(p);
    auto a = s.session(limit(2));
    s.subscribe(a, "log/x");
    s.subscribe(a, "quote");
    s.subscribe(a, "own", {.overflow = overflow_policy::drop_oldest});
    a->link.room = 0;
    SECTION("the first that chooses") {
        publish(s, "log/x", 1, 3);
        s.turn();
        s.writable(a);
        CHECK(a->link.frames() == texts{"log/x=1", "log/x=2", "!log/x 1"});
    }
    SECTION("a later one") {
        publish(s, "quote", 1, 3);
        s.turn();
        s.writable(a);
        CHECK(a->link.frames() == texts{"!quote 2", "quote=3"});
    }
    SECTION("the subscription's own comes first") {
        publish(s, "own", 1, 3);
        s.turn();
        s.writable(a);
        CHECK(a->link.frames() == texts{"!own 1", "own=2", "own=3"});
    }
}

TEST_CASE("overflow: what has expired goes before what has not", "[core]") {
    const auto policy = GENERATE(
        overflow_policy::drop_oldest, overflow_policy::drop_newest, overflow_policy::disconnect,
        overflow_policy::conflate);
    core_script s;
    auto a = s.session(limit(3, policy));
    s.subscribe(a, "t");
    a->link.room = 0;
    for (int n = 1; n <= 3; ++n)
        s.core.publish("t", std::to_string(n), {.ttl = std::chrono::milliseconds(10)});
    s.turn();
    virtual_clock::advance(std::chrono::milliseconds(11));
    s.publish("t", "live");
    s.turn();
    CHECK(a->overflows == 0);
    CHECK(s.core.counters().dropped_expired == 3);
    s.writable(a);
    CHECK(a->link.frames() == texts{"!t 3", "t=live"});
}

TEST_CASE(
    "overflow: conflation makes room for an eighth of the outbox, or it would be walked over for each "
    "message",
    "[core]") {
    core_script s;
    auto a = s.session(limit(16, overflow_policy::conflate));
    s.subscribe(a, "t");
    a->link.room = 0;
    for (int n = 1; n <= 17; ++n)
        s.core.publish("t", std::to_string(n), {.key = std::to_string(n)});
    s.turn();
    CHECK(a->box->messages() == 14);
    CHECK(s.core.counters().dropped == 3);
}
