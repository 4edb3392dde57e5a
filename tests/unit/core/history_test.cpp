// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// What a topic keeps, and how subscribers catch up with it.

#include <pusher/detail/core.hpp>

#include "catch.hpp"
#include "core_script.hpp"

#include <string>
#include <vector>

using namespace test;
using namespace std::chrono_literals;
using pusher::topic_position;

namespace {

core_script::options last(std::size_t n, std::string_view type = {}) {
    core_script::options o;
    o.history = n;
    o.type = type;
    return o;
}

core_script::options after(topic_position p, std::string_view type = {}) {
    core_script::options o;
    o.resume = p;
    o.type = type;
    return o;
}

void publish(core_script& s, std::string_view topic, int from, int to) {
    for (int n = from; n <= to; ++n) {
        s.publish(topic, std::to_string(n));
        s.turn();
    }
}

const pusher::detail::history& past(core_script& s, std::string_view topic) {
    const auto* const t = s.core.find_topic(topic);
    if (!t || !t->past())
        throw std::logic_error("no history");
    return *t->past();
}

/// The first and last offset that are kept.
std::string kept(core_script& s, std::string_view topic) {
    const auto& h = past(s, topic);
    return std::to_string(h.first_offset()) + "-" + std::to_string(h.next_offset() - 1);
}

} // namespace

TEST_CASE("history: it is kept whoever listens", "[core]") {
    core_script s(with_history(3));
    const auto first = s.publish("t", "1");
    REQUIRE(first.position);
    CHECK(first.position->offset == 1);
    CHECK(first.position->epoch != 0);
    CHECK(first.matched == 0);
    CHECK(s.publish("t", "2").position == topic_position{first.position->epoch, 2});
    s.turn();
    CHECK(s.core.topics() == 1);
    CHECK(kept(s, "t") == "1-2");
    publish(s, "t", 3, 5);
    CHECK(kept(s, "t") == "3-5");
    const auto other = s.publish("u", "1");
    CHECK(other.position->offset == 1);
    CHECK(other.position->epoch != first.position->epoch);

    auto a = s.session();
    auto h = s.handler();
    const auto r = s.subscribe(a, "t", last(2));
    CHECK_FALSE(r.recovered);
    CHECK(r.position == topic_position{first.position->epoch, 5});
    s.subscribe(h, "t", last(100));
    s.settle();
    CHECK(a->link.frames() == texts{"t@4=4", "t@5=5"});
    CHECK(h->take() == texts{"t@3=3", "t@4=4", "t@5=5"});
    CHECK_FALSE(a->catching);
    CHECK_FALSE(h->catching);
    CHECK(s.publish("t", "6").matched == 2);
    s.settle();
    CHECK(a->link.frames() == texts{"t@6=6"});
    CHECK(h->take() == texts{"t@6=6"});
}

TEST_CASE("history: a topic of its own choice", "[core]") {
    pusher::detail::core_params p;
    p.history_for = [](std::string_view topic) {
        pusher::history_params h;
        h.messages = topic.starts_with("kept") ? 2 : 0;
        return h;
    };
    core_script s(p);
    CHECK(s.publish("kept/a", "1").position);
    CHECK_FALSE(s.publish("other", "1").position);
    s.turn();
    CHECK(s.core.topics() == 1);
    auto a = s.session();
    const auto r = s.subscribe(a, "other");
    CHECK_FALSE(r.recovered);
    CHECK_FALSE(r.position);
    pusher::error_code ec;
    s.core.subscribe(*a, "other", last(1), ec);
    CHECK(ec == pusher::errc::no_history);
    s.core.subscribe(*a, "elsewhere", last(1), ec);
    CHECK(ec == pusher::errc::no_history);
    CHECK(s.core.topics() == 2);
    const auto empty = s.subscribe(a, "kept/b", last(5));
    CHECK(empty.position->offset == 0);
    s.publish("kept/b", "1");
    s.settle();
    CHECK(a->link.frames() == texts{"kept/b@1=1"});

    // What throws is counted, and nothing is kept.
    p.history_for = [](std::string_view) -> pusher::history_params { throw std::runtime_error("no"); };
    core_script broken(p);
    auto b = broken.session();
    broken.subscribe_filter(b, "#");
    CHECK_FALSE(broken.publish("t", "1").position);
    broken.settle();
    CHECK(b->link.frames() == texts{"t=1"});
    CHECK_FALSE(broken.subscribe(b, "t").position);
    CHECK(broken.core.counters().handler_exceptions == 2);
}

TEST_CASE("history: count, bytes and age", "[core]") {
    pusher::detail::core_params p;
    p.history.messages = 4;
    SECTION("bytes, of which the newest message may have too many") {
        p.history.bytes = 10;
        core_script s(p);
        s.publish("t", "12345");
        s.publish("t", "67890");
        CHECK(kept(s, "t") == "1-2");
        CHECK(past(s, "t").bytes() == 10);
        s.publish("t", "x");
        CHECK(kept(s, "t") == "2-3");
        s.publish("t", "much more than ten");
        CHECK(kept(s, "t") == "4-4");
        s.turn();
        s.publish("t", "y");
        CHECK(kept(s, "t") == "5-5");
        CHECK(past(s, "t").bytes() == 1);
    }
    SECTION("age") {
        p.history.age = 10s;
        core_script s(p);
        publish(s, "t", 1, 2);
        virtual_clock::advance(10s);
        publish(s, "t", 3, 3);
        CHECK(kept(s, "t") == "1-3");
        virtual_clock::advance(1ms);
        publish(s, "t", 4, 4);
        CHECK(kept(s, "t") == "3-4");

        // All of it, seen by a subscriber, and by the next publish.
        virtual_clock::advance(1min);
        auto a = s.session();
        CHECK(s.subscribe(a, "t", last(9)).position->offset == 4);
        CHECK(past(s, "t").messages() == 0);
        publish(s, "t", 5, 5);
        CHECK(kept(s, "t") == "5-5");
        publish(s, "t", 6, 9);
        CHECK(kept(s, "t") == "6-9");
        s.settle();
        CHECK(a->link.frames() == texts{"t@5=5", "t@6=6", "t@7=7", "t@8=8", "t@9=9"});
        virtual_clock::advance(1min);
        publish(s, "t", 10, 10);
        virtual_clock::advance(1min);
        publish(s, "t", 11, 11);
        CHECK(kept(s, "t") == "11-11");
    }
    SECTION("age, while the turn that is too old is still open") {
        p.history.age = 10s;
        core_script s(p);
        auto a = s.session();
        s.subscribe(a, "t");
        s.publish("t", "1");
        virtual_clock::advance(1min);
        s.publish("t", "2");
        CHECK(past(s, "t").messages() == 0);
        s.publish("t", "3");
        CHECK(past(s, "t").messages() == 0);
        CHECK(past(s, "t").next_offset() == 4);
        s.turn();
        CHECK(a->link.frames() == texts{"t@1=1", "t@2=2", "t@3=3"});
        s.publish("t", "4");
        CHECK(kept(s, "t") == "4-4");
        s.turn();
    }
    SECTION("a clock that goes back keeps") {
        p.history.age = 10s;
        core_script s(p);
        publish(s, "t", 1, 1);
        virtual_clock::advance(-1min);
        publish(s, "t", 2, 3);
        CHECK(kept(s, "t") == "1-3");
        virtual_clock::advance(1min + 10s);
        publish(s, "t", 4, 4);
        CHECK(kept(s, "t") == "1-4"); // the oldest is young again, and shields what follows it
    }
    SECTION("within one run") {
        core_script s(p);
        auto a = s.session();
        s.subscribe(a, "t");
        for (int n = 1; n <= 10; ++n)
            s.publish("t", std::to_string(n));
        CHECK(kept(s, "t") == "7-10");
        s.turn();
        CHECK(a->link.frames().size() == 10); // what is live needs no history
        auto b = s.session();
        s.subscribe(b, "t", last(9));
        s.settle();
        CHECK(b->link.frames() == texts{"t@7=7", "t@8=8", "t@9=9", "t@10=10"});
    }
}

TEST_CASE("resume: by position", "[core]") {
    core_script s(with_history(5));
    publish(s, "t", 1, 8); // 4 to 8 are there
    const auto epoch = past(s, "t").epoch();
    auto a = s.session();
    auto h = s.handler();
    auto both = [&](const core_script::options& o) {
        const auto r = s.subscribe(a, "t", o);
        const auto other = s.subscribe(h, "t", o);
        CHECK(r.recovered == other.recovered);
        CHECK(r.position == topic_position{epoch, 8});
        s.settle();
        s.publish("t", "9");
        s.settle();
        const auto got = a->link.frames();
        CHECK(got == h->take());
        REQUIRE(r.recovered);
        return std::pair(*r.recovered, got);
    };
    using result = std::pair<bool, texts>;
    SECTION("exclusive") { CHECK(both(after({epoch, 6})) == result(true, {"t@7=7", "t@8=8", "t@9=9"})); }
    SECTION("up to date") { CHECK(both(after({epoch, 8})) == result(true, {"t@9=9"})); }
    SECTION("just the first that is kept") {
        CHECK(
            both(after({epoch, 3})) == result(true, {"t@4=4", "t@5=5", "t@6=6", "t@7=7", "t@8=8", "t@9=9"}));
    }
    SECTION("some are gone: a gap, then what is left") {
        CHECK(
            both(after({epoch, 1})) ==
            result(false, {"!t 2 2-3", "t@4=4", "t@5=5", "t@6=6", "t@7=7", "t@8=8", "t@9=9"}));
    }
    SECTION("of a type, it is not known how many") {
        const auto got = both(after({epoch, 1}, "x"));
        CHECK(got == result(false, {"!t 0 2-3"}));
    }
    SECTION("from the future of the same epoch") {
        CHECK(both(after({epoch, 9})) == result(false, {"t@9=9"}));
    }
    SECTION("from another epoch: all of it is new") {
        CHECK(
            both(after({epoch + 1, 6})) ==
            result(false, {"t@4=4", "t@5=5", "t@6=6", "t@7=7", "t@8=8", "t@9=9"}));
    }
}

TEST_CASE("resume: when all is gone, the gap comes before what is live", "[core]") {
    auto p = with_history(5);
    p.history.age = 1s;
    core_script s(p);
    publish(s, "t", 1, 3);
    virtual_clock::advance(1min);
    auto a = s.session();
    auto h = s.handler();
    const auto epoch = past(s, "t").epoch();
    CHECK(s.subscribe(a, "t", after({epoch, 1})).recovered == false);
    CHECK(s.subscribe(h, "t", after({epoch, 1})).recovered == false);
    CHECK(s.publish("t", "4").matched == 2);
    s.settle();
    CHECK(a->link.frames() == texts{"!t 2 2-3", "t@4=4"});
    CHECK(h->take() == texts{"!t 2 2-3", "t@4=4"});
}

TEST_CASE("resume: by sequence, several topics merged", "[core]") {
    core_script s(with_history(4));
    publish(s, "t", 1, 2);
    publish(s, "u", 3, 4);
    publish(s, "t", 5, 5);
    publish(s, "u", 6, 6);
    auto a = s.session();
    auto h = s.handler();
    for (const auto& who : {pusher::detail::subscriber_ptr(a), pusher::detail::subscriber_ptr(h)}) {
        CHECK(s.subscribe(who, "t", {}, 1).recovered == true);
        CHECK(s.subscribe(who, "u", {}, 1).recovered == true);
    }
    s.publish("t", "7");
    s.publish("u", "8");
    s.settle();
    const texts expected{"t@2=2", "u@1=3", "u@2=4", "t@3=5", "u@3=6", "t@4=7", "u@4=8"};
    CHECK(a->link.frames() == expected);
    CHECK(h->take() == expected);

    SECTION("what is gone: a gap of unknown count") {
        publish(s, "t", 9, 12);
        auto b = s.session();
        CHECK(s.subscribe(b, "t", {}, 3).recovered == false);
        CHECK(s.subscribe(b, "u", {}, 3).recovered == true);
        s.settle();
        CHECK(
            b->link.frames() ==
            texts{"!t 0", "u@2=4", "u@3=6", "u@4=8", "t@5=9", "t@6=10", "t@7=11", "t@8=12"});
    }
    SECTION("topics without history are live at once") {
        pusher::detail::core_params p;
        p.history_for = [](std::string_view topic) {
            return pusher::history_params{topic == "t" ? 5U : 0U, 1000, 0ms};
        };
        core_script mixed(p);
        auto b = mixed.session();
        mixed.publish("t", "1");
        CHECK(mixed.subscribe(b, "t", {}, 0).recovered == true);
        const auto r = mixed.subscribe(b, "u", {}, 0);
        CHECK_FALSE(r.recovered);
        mixed.publish("u", "2");
        mixed.settle();
        CHECK(b->link.frames() == texts{"u=2", "t@1=1"});
    }
}

TEST_CASE("history: the last N of a type", "[core]") {
    core_script s(with_history(10));
    for (auto type : {"x", "", "y", "x", "y", "x", ""}) {
        s.publish("t", "1", type);
        s.turn();
    }
    auto a = s.session();
    s.subscribe(a, "t", last(2, "x"));
    s.settle();
    CHECK(a->link.frames() == texts{"t:x@4=1", "t:x@6=1"});
    // A second one, of another type, while the first is live.
    s.subscribe(a, "t", last(9, "y"));
    s.publish("t", "2", "x");
    s.publish("t", "3", "y");
    s.publish("t", "4");
    s.settle();
    CHECK(a->link.frames() == texts{"t:y@3=1", "t:y@5=1", "t:x@8=2", "t:y@9=3"});
}

TEST_CASE("history: the reply first, then replay, then live", "[core]") {
    core_script s(with_history(10));
    publish(s, "t", 1, 3);
    auto a = s.session();
    s.publish("t", "4");
    s.subscribe(a, "t", last(3));
    s.core.reply(*a, "subscribed\n");
    s.publish("t", "5");
    s.settle();
    CHECK(a->link.frames() == texts{"subscribed", "t@2=2", "t@3=3", "t@4=4", "t@5=5"});
}

TEST_CASE("history: matched while somebody catches up", "[core]") {
    core_script s(with_history(10));
    publish(s, "t", 1, 3);
    core_script::options quiet;
    quiet.echo = false;
    for (const bool handler : {false, true}) {
        pusher::detail::subscriber_ptr a;
        if (handler)
            a = s.handler();
        else
            a = s.session();
        auto one = [&](std::string_view type, std::uint64_t publisher = 0) {
            return s.publish("t", "1", type, publisher).matched;
        };
        s.subscribe(a, "t", last(3));
        CHECK(one("") == 1);
        s.subscribe(a, "t", last(3, "x")); // two cursors, one subscriber
        CHECK(one("x") == 1);
        s.subscribe_filter(a, "#"); // and a live filter
        CHECK(one("x") == 1);
        CHECK(one("y") == 1);
        s.unsubscribe(a, "t");
        CHECK(one("y") == 1);
        s.unsubscribe_filter(a, "#");
        CHECK(one("y") == 0);
        CHECK(one("x") == 1);
        s.unsubscribe(a, "t", "x");
        CHECK(one("x") == 0);

        auto o = last(3);
        o.echo = false;
        s.subscribe(a, "t", o);
        CHECK(one("", a->id) == 0);
        CHECK(one("", 12345) == 1);
        s.subscribe_filter(a, "#", quiet);
        CHECK(one("", a->id) == 0);
        CHECK(one("") == 1);
        s.subscribe_filter(a, "+");
        CHECK(one("", a->id) == 1);
        s.core.remove(*a);
    }
}

TEST_CASE("history: catching up in batches, with a slow connection", "[core]") {
    core_script s(with_history(1000));
    publish(s, "t", 1, 500);
    pusher::outbox_params l;
    l.messages = 10;
    auto a = s.session(l);
    s.subscribe(a, "t", last(500));
    texts expected;
    for (int n = 1; n <= 600; ++n)
        expected.push_back("t@" + std::to_string(n) + "=" + std::to_string(n));
    SECTION("one batch per turn") {
        for (int n = 501; n <= 600; ++n) {
            s.publish("t", std::to_string(n));
            s.turn();
        }
        s.settle();
        CHECK(a->link.frames() == expected);
    }
    SECTION("it reads on as the connection takes") {
        a->link.room = 0;
        for (int n = 501; n <= 600; ++n) {
            s.publish("t", std::to_string(n));
            s.turn();
            CHECK((!a->box || a->box->messages() <= 5));
        }
        std::size_t guard = 0;
        while (a->catching || a->box) {
            s.writable(a, 7);
            s.settle();
            REQUIRE(++guard < 10'000);
        }
        CHECK(a->link.frames() == expected);
        CHECK(s.core.counters().dropped == 0);
    }
    SECTION("nothing is asked for while it is blocked") {
        a->link.room = 0;
        s.settle();
        CHECK(s.asked == 0);
        CHECK(a->catching);
    }
}

TEST_CASE("history: a cursor that the end of the past overtakes", "[core]") {
    recording_observer seen;
    core_script s(with_history(5));
    publish(s, "t", 1, 5);
    pusher::outbox_params l;
    l.messages = 2;
    auto a = s.session(l);
    a->link.room = 0;
    s.subscribe(a, "t", last(5));
    s.settle();
    s.core.observe(&seen);
    // One is in the outbox; the cursor is at 2.
    publish(s, "t", 6, 8);
    CHECK(s.core.counters().dropped_trimmed == 2);
    CHECK(
        seen.take() == texts{
                           "publish t@6=6 matched 1", "drop t trimmed", "publish t@7=7 matched 1",
                           "drop t trimmed", "publish t@8=8 matched 1"});
    s.writable(a);
    s.settle();
    CHECK(a->link.frames() == texts{"t@1=1", "!t 2 2-3", "t@4=4", "t@5=5", "t@6=6", "t@7=7", "t@8=8"});

    SECTION("of a type, only its own are counted") {
        core_script t(with_history(4));
        auto b = t.session(l);
        b->link.room = 0;
        for (auto type : {"x", "x", "y", "x"}) {
            t.publish("t", "1", type);
            t.turn();
        }
        t.subscribe(b, "t", last(4, "x"));
        t.settle();
        for (auto type : {"x", "y", "y"}) {
            t.publish("t", "2", type);
            t.turn();
        }
        t.writable(b);
        t.settle();
        CHECK(b->link.frames() == texts{"t:x@1=1", "!t 1 2-2", "t:x@4=1", "t:x@5=2"});
    }
    SECTION("of a handler, before it was called at all") {
        core_script t(with_history(3));
        publish(t, "t", 1, 3);
        auto h = t.handler();
        t.subscribe(h, "t", last(3));
        CHECK(t.publish("t", "4").matched == 1);
        CHECK(t.publish("t", "5").matched == 1);
        t.settle();
        CHECK(h->take() == texts{"!t 2 1-2", "t@3=3", "t@4=4", "t@5=5"});
    }
}

TEST_CASE("history: a live filter beside a cursor", "[core]") {
    core_script s(with_history(100));
    publish(s, "t", 1, 3);
    pusher::outbox_params l;
    l.messages = 4;
    SECTION("each message comes once, and in order") {
        auto a = s.session(l);
        auto h = s.handler();
        for (const auto& who : {pusher::detail::subscriber_ptr(a), pusher::detail::subscriber_ptr(h)}) {
            s.subscribe_filter(who, "#");
            s.subscribe(who, "t", last(2, "x")); // replays nothing: the filter's come through the cursor
            s.subscribe(who, "t", last(2));
        }
        CHECK(s.publish("t", "4", "x").matched == 2);
        CHECK(s.publish("u", "5").matched == 2);
        s.settle();
        publish(s, "t", 6, 6);
        CHECK(a->link.frames() == texts{"u@1=5", "t@2=2", "t@3=3", "t:x@4=4", "t@5=6"});
        CHECK(h->take() == texts{"u@1=5", "t@2=2", "t@3=3", "t:x@4=4", "t@5=6"});
    }
    SECTION("what was in the turn before the cursor began is not left to it") {
        auto a = s.session(l);
        s.subscribe_filter(a, "#");
        s.publish("t", "4");
        s.subscribe(a, "t", last(1, "x"));
        s.publish("t", "5");
        s.settle();
        CHECK(a->link.frames() == texts{"t@4=4", "t@5=5"});
    }
    SECTION("the same for a publish that waits behind a handler") {
        auto h = s.handler();
        s.subscribe_filter(h, "#");
        h->on_message = [&](const pusher::message& m) {
            if (m.payload() != "go")
                return;
            s.publish("t", "4");
            s.subscribe(h, "t", last(1, "x"));
            s.publish("t", "5");
        };
        s.publish("u", "go");
        s.settle();
        CHECK(h->take() == texts{"u@1=go", "t@4=4", "t@5=5"});
        h->on_message = nullptr;
    }
    SECTION("what it relies on outlives the cursor's own subscription") {
        auto a = s.session(l);
        auto h = s.handler();
        for (const auto& who : {pusher::detail::subscriber_ptr(a), pusher::detail::subscriber_ptr(h)}) {
            s.subscribe_filter(who, "+");
            s.subscribe(who, "t", last(3));
        }
        CHECK(s.publish("t", "4").matched == 2);
        s.core.flush(); // the session is given a batch of two
        s.asked = 0;
        CHECK(a->link.frames() == texts{"t@1=1", "t@2=2"});
        h->take();
        a->link.room = 0;
        CHECK(s.publish("t", "5").matched == 2);
        CHECK(s.unsubscribe(a, "t"));
        s.unsubscribe(h, "t");
        CHECK(s.publish("t", "6").matched == 2);
        a->link.unblock();
        s.asked = 1;
        s.settle();
        CHECK(a->link.frames() == texts{"t@4=4", "t@5=5", "t@6=6"});
        CHECK(h->take().back() == "t@6=6");
        CHECK_FALSE(a->catching);
    }
    SECTION("an early end: nothing of the filter's is lost, nothing of the replay comes") {
        auto h = s.handler();
        s.subscribe_filter(h, "+");
        s.subscribe(h, "t", last(3));
        s.publish("t", "4", "x");
        s.publish("t", "5");
        s.subscribe(h, "t", last(9, "x"));
        s.unsubscribe(h, "t");
        s.publish("t", "6");
        s.unsubscribe(h, "t", "x");
        s.publish("t", "7");
        s.settle();
        CHECK(h->take() == texts{"t:x@4=4", "t@5=5", "t@6=6", "t@7=7"});
    }
    SECTION("without a live one, what is left ends with the subscription") {
        auto h = s.handler();
        s.subscribe(h, "t", last(3));
        s.publish("t", "4");
        s.unsubscribe(h, "t");
        CHECK_FALSE(h->catching);
        s.settle();
        CHECK(h->take().empty());
        CHECK(s.publish("t", "5").matched == 0);
    }
    SECTION("a filter born while a cursor reads: only what follows its birth") {
        auto a = s.session(l);
        a->link.room = 0;
        s.subscribe(a, "t", last(3, "x"));
        s.publish("t", "4");
        s.subscribe_filter(a, "#");
        s.publish("t", "5");
        s.subscribe_filter(a, "#"); // again: nothing changes
        s.publish("t", "6");
        s.unsubscribe_filter(a, "#");
        s.subscribe_filter(a, "+");
        s.publish("t", "7");
        a->link.unblock();
        s.settle();
        CHECK(a->link.frames() == texts{"t@7=7"}); // the unread of a subscription that ended ends with it
    }
    SECTION("a second cursor further back brings nothing of the filter's again") {
        auto a = s.session(l);
        a->link.room = 0;
        s.subscribe_filter(a, "#");
        s.subscribe(a, "t", last(1)); // 3
        publish(s, "t", 4, 6);
        s.settle();
        a->link.unblock(5);
        s.core.writable(*a);
        s.core.flush();
        s.asked = 0;
        s.subscribe(a, "t", last(100, "x"));
        s.writable(a);
        s.asked = 1;
        s.settle();
        CHECK(a->link.frames() == texts{"t@3=3", "t@4=4", "t@5=5", "t@6=6"});
    }
}

TEST_CASE("history: options of a subscription that catches up", "[core]") {
    core_script s(with_history(100));
    publish(s, "t", 1, 3);
    auto a = s.session();
    s.subscribe(a, "t", last(3));
    core_script::options quiet;
    quiet.echo = false;
    s.subscribe(a, "t", quiet); // goes on reading
    CHECK(s.publish("t", "4", {}, a->id).matched == 0);
    s.publish("t", "5");
    s.settle();
    CHECK(a->link.frames() == texts{"t@1=1", "t@2=2", "t@3=3", "t@5=5"});
    CHECK(s.publish("t", "6", {}, a->id).matched == 0);
    // A new replay is a new subscription.
    s.subscribe(a, "t", last(2));
    s.settle();
    CHECK(a->link.frames() == texts{"t@5=5", "t@6=6"});
    CHECK(s.core.subscriptions() == 1);
}

TEST_CASE("history: a replay asked for in a turn that has live messages of it", "[core]") {
    core_script s(with_history(100));
    auto a = s.session();
    s.subscribe(a, "t");
    s.publish("t", "1");
    s.publish("t", "2");
    s.publish("t", "3");
    s.subscribe(a, "t", last(1));
    s.publish("t", "4");
    s.settle();
    // First what it had a claim to, then what it asked for.
    CHECK(a->link.frames() == texts{"t@1=1", "t@2=2", "t@3=3", "t@3=3", "t@4=4"});
}

TEST_CASE("history: a handler that publishes while it reads", "[core]") {
    core_script s(with_history(100));
    publish(s, "t", 1, 2);
    auto watching = s.session();
    auto behind = s.session();
    s.subscribe(watching, "u");
    s.subscribe(watching, "t");
    auto h = s.handler([&](const pusher::message& m) {
        if (m.topic() == "t" && m.position()->offset <= 2)
            s.publish("t", "again " + std::string(m.payload()));
        if (m.payload() == "1")
            s.publish("u", "seen");
    });
    s.subscribe(h, "t", last(9));
    s.subscribe_filter(behind, "#");
    s.subscribe(behind, "t", last(9)); // reads on in the same turn, after the handler has published
    s.settle();
    CHECK(h->take() == texts{"t@1=1", "t@2=2", "t@3=again 1", "t@4=again 2"});
    CHECK(watching->link.frames() == texts{"t@3=again 1", "u@1=seen", "t@4=again 2"});
    CHECK(behind->link.frames() == texts{"u@1=seen", "t@1=1", "t@2=2", "t@3=again 1", "t@4=again 2"});

    SECTION("and leaves while it reads") {
        auto g = s.handler();
        g->on_message = [&](const pusher::message&) {
            s.publish("u", "more");
            s.core.remove(*g);
        };
        s.subscribe(g, "t", last(9));
        s.settle();
        CHECK(g->take().size() == 1);
        CHECK(watching->link.frames() == texts{"u@2=more"});
        g->on_message = nullptr;
    }
    SECTION("and throws") {
        auto g = s.handler([](const pusher::message&) { throw 1; });
        s.subscribe(g, "t", last(9));
        s.settle();
        CHECK(g->take().size() == 4);
        CHECK(s.core.counters().handler_exceptions == 4);
    }
    SECTION("and publishes from its gap handler") {
        core_script t(with_history(1));
        publish(t, "t", 1, 3);
        auto g = t.handler();
        t.subscribe(g, "u");
        bool inside = false;
        g->when_told = [&](const pusher::gap&) {
            inside = true;
            t.publish("u", "told");
            inside = false;
        };
        g->on_message = [&](const pusher::message&) { CHECK_FALSE(inside); };
        t.subscribe(g, "t", after({past(t, "t").epoch(), 1}));
        t.settle();
        CHECK(g->take() == texts{"!t 1 2-2", "u@1=told", "t@3=3"});
    }
}

TEST_CASE("history: a handler whose own publishes push out what it has yet to read", "[core]") {
    core_script s(with_history(2));
    publish(s, "t", 1, 2);
    auto h = s.handler();
    h->on_message = [&](const pusher::message& m) {
        if (m.payload() == "1")
            for (auto payload : {"3", "4"})
                s.publish("t", payload);
    };
    s.subscribe(h, "t", last(2));
    s.settle();
    // 2 has left: that is told before what follows it, within the batch.
    CHECK(h->take() == texts{"t@1=1", "!t 1 2-2", "t@3=3", "t@4=4"});
    CHECK_FALSE(h->catching);

    SECTION("and leaves when it is told") {
        auto g = s.handler();
        g->on_message = [&](const pusher::message&) {
            for (auto payload : {"5", "6"})
                s.publish("t", payload);
        };
        g->when_told = [&](const pusher::gap&) { s.core.remove(*g); };
        s.subscribe(g, "t", last(2));
        s.settle();
        CHECK(g->take() == texts{"t@3=3", "!t 1 4-4"});
    }
}

TEST_CASE("history: another topic does not wait for a replay", "[core]") {
    pusher::detail::core_params p;
    p.history_for = [](std::string_view topic) {
        return pusher::history_params{.messages = topic == "t" ? std::size_t{100} : 0};
    };
    core_script s(p);
    publish(s, "t", 1, 2);
    s.settle();
    auto a = s.session();
    s.subscribe(a, "u");
    s.subscribe(a, "t", last(2));
    s.publish("t", "3");
    s.publish("u", "4");
    s.settle();
    // Each topic is in order; 3 had to wait for what was before it.
    CHECK(a->link.frames() == texts{"u=4", "t@1=1", "t@2=2", "t@3=3"});
    s.publish("t", "5");
    s.publish("u", "6");
    s.settle();
    CHECK(a->link.frames() == texts{"t@4=5", "u=6"});
}

TEST_CASE("history: broadcasts", "[core]") {
    core_script s(with_history(100));
    auto early = s.session();
    CHECK(s.core.broadcast("*", "1").position->offset == 1);
    s.publish("*", "2");
    CHECK(s.core.broadcast("*", "3").position->offset == 3);
    CHECK_FALSE(s.core.push_to("nobody", "*", "4").position);
    s.publish("*", "5");
    s.turn();
    CHECK(early->link.frames() == texts{"*@1=1", "*@3=3"});
    CHECK(kept(s, "*") == "1-4");

    auto a = s.session();
    auto h = s.handler();
    pusher::publish_options x;
    x.type = "x";
    for (const auto& who : {pusher::detail::subscriber_ptr(a), pusher::detail::subscriber_ptr(h)})
        s.subscribe(who, "*", last(9));
    CHECK(s.core.broadcast("*", "6", x).matched == 3);
    s.publish("*", "7");
    s.settle();
    // To who catches up it comes in its place, once, or a position after it would lead past what is before.
    CHECK(a->link.frames() == texts{"*@1=1", "*@2=2", "*@3=3", "*@4=5", "*:x@5=6", "*@6=7"});
    CHECK(h->take() == texts{"*@1=1", "*@2=2", "*@3=3", "*@4=5", "*:x@5=6", "*@6=7"});

    SECTION("limit of topics") {
        auto p = with_history(1);
        p.topics = 1;
        core_script t(p);
        CHECK(t.core.broadcast("a", "1"));
        CHECK(t.core.broadcast("b", "1").error == pusher::errc::too_many_topics);
        CHECK(t.core.push_to("uid", "b", "1"));
    }
}

TEST_CASE("history: sessions without a connection", "[core]") {
    core_script s(with_history(100));
    text_encoding other("o ");
    publish(s, "t", 1, 20);
    pusher::outbox_params l;
    l.messages = 8;
    auto a = s.session(l);
    SECTION("detached while it catches up, attached with another encoding") {
        a->link.room = 6;
        s.subscribe(a, "t", last(20));
        s.settle();
        CHECK(a->link.frames() == texts{"t@1=1"});
        s.core.detach(*a);
        s.settle();
        publish(s, "t", 21, 22);
        s.attach(a, other);
        s.settle();
        const auto got = a->link.frames();
        REQUIRE(got.size() == 21);
        CHECK(got.front() == "o t@2=2");
        CHECK(got.back() == "o t@22=22");
        CHECK(s.core.counters().dropped == 0);
    }
    SECTION("one in process takes the past in batches") {
        auto q = s.queue(l);
        s.subscribe(q, "t", last(20));
        s.turn();
        CHECK(q->queued == 1);
        CHECK(q->box->messages() == 4);
        CHECK(s.asked == 0);
        texts all;
        while (true) {
            const auto got = s.take(q);
            if (got.empty())
                break;
            all.insert(all.end(), got.begin(), got.end());
            s.settle();
        }
        CHECK(all.size() == 20);
        CHECK(all.back() == "t@20=20");
        CHECK_FALSE(q->catching);
        publish(s, "t", 21, 21);
        CHECK(s.take(q) == texts{"t@21=21"});
    }
}

TEST_CASE("history: removing who catches up", "[core]") {
    core_script s(with_history(3));
    publish(s, "t", 1, 3);
    publish(s, "u", 1, 3);
    auto a = s.session();
    auto h = s.handler();
    auto b = s.session();
    for (const auto& who : {pusher::detail::subscriber_ptr(a), pusher::detail::subscriber_ptr(h)}) {
        s.subscribe(who, "t", last(3));
        s.subscribe(who, "t", last(3, "x"));
        s.subscribe(who, "u", last(3));
        s.subscribe_filter(who, "#");
    }
    s.subscribe(b, "t", last(3));
    std::size_t seen = 0;
    s.core.for_each_subscriber_of("t", [&](const auto&) { ++seen; });
    CHECK(seen == 3);
    s.publish("t", "4");
    s.core.remove(*a);
    s.core.remove(*h);
    seen = 0;
    s.core.for_each_subscriber_of("t", [&](const auto&) { ++seen; });
    CHECK(seen == 1);
    CHECK(s.core.subscriptions() == 1);
    CHECK(s.core.filters() == 0);
    s.publish("t", "5");
    s.settle();
    CHECK(b->link.frames() == texts{"!t 2 1-2", "t@3=3", "t@4=4", "t@5=5"});
}

TEST_CASE("history: what a cursor would have brought is not lost from a queue", "[core]") {
    core_script s(with_history(1));
    publish(s, "t", 1, 1);
    auto a = s.session();
    s.subscribe_filter(a, "#");
    s.subscribe(a, "t", last(1));
    s.publish("u", "2");
    s.publish("t", "3"); // pushes out 1
    s.publish("u", "4");
    s.publish("t", "5"); // pushes out 3
    CHECK(s.core.counters().dropped_trimmed == 2);
    s.core.remove(*a);
    CHECK(s.core.counters().dropped_disconnected == 2); // 2 and 4, and not 3 again
}

TEST_CASE("history: what nobody waits for is not kept encoded", "[core]") {
    core_script s(with_history(100));
    auto a = s.session();
    s.subscribe(a, "t");
    publish(s, "t", 1, 3);
    CHECK(s.lines.pushed == 3);
    auto b = s.session();
    s.subscribe(b, "t", last(3));
    s.settle();
    CHECK(s.lines.pushed == 6); // again, and again not kept
    auto c = s.session();
    s.subscribe(c, "t", last(3));
    s.settle();
    CHECK(s.lines.pushed == 9);
}

TEST_CASE("history: who reads few messages of a turn has only those encoded", "[core]") {
    core_script s(with_history(100));
    publish(s, "t", 1, 40);
    CHECK(s.lines.pushed == 0);
    auto a = s.session();
    s.subscribe(a, "t", last(2));
    s.settle();
    CHECK(s.lines.pushed == 2);
    CHECK(a->link.frames().size() == 2);
    // Also where the connection takes it in pieces.
    auto b = s.session();
    b->link.room = 3;
    s.subscribe(b, "t", last(3));
    for (int n = 0; n != 20; ++n) {
        s.settle();
        b->link.unblock(3);
        s.core.writable(*b);
    }
    CHECK(b->link.frames().size() == 3);
    CHECK(s.lines.pushed < 20);
    auto c = s.session();
    s.subscribe(c, "t", last(40));
    s.settle();
    CHECK(c->link.frames().size() == 40);
}
