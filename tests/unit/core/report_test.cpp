// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// Delivery reports: what has become of a message at the end of its turn.

#include <pusher/detail/core.hpp>

#include "catch.hpp"
#include "core_script.hpp"
#include "report_text.hpp"

#include <chrono>
#include <string>

using namespace test;
using namespace std::chrono_literals;
using pusher::errc;
using pusher::error_code;
using pusher::overflow_policy;
namespace failure = pusher::failure;

namespace {

/// Publishes with reports, and remembers what they say.
struct reported_script : core_script {
    using core_script::core_script;
    ~reported_script() { core.clear(); } // it may tell

    pusher::detail::report_function listener() {
        return [this](error_code ec, const pusher::delivery_report& r) {
            CHECK(!r.error);
            if (!ec)
                CHECK(sum_of(r) == r.matched);
            reports.push_back(ec ? ec.message() : text_of(r));
        };
    }
    pusher::receipt
    report(std::string_view topic, std::string_view payload, const pusher::publish_options& o = {}) {
        auto f = listener();
        const auto r = core.publish(topic, payload, o, nullptr, nullptr, &f);
        CHECK(!f == !r.error);
        return r;
    }
    /// Turns once, and gives what was told.
    texts told() {
        turn();
        return std::exchange(reports, {});
    }

    texts reports;
};

pusher::outbox_params limit(std::size_t messages, overflow_policy policy) {
    pusher::outbox_params l;
    l.messages = messages;
    l.overflow = policy;
    return l;
}

peer_ptr join(core_script& s, std::string_view uid, const pusher::outbox_params& limits = {}) {
    auto p = s.session(limits);
    p->remote = true;
    s.core.bind(*p, uid);
    return p;
}

} // namespace

TEST_CASE("report: it comes at the end of the turn, once, and counts everybody", "[core]") {
    reported_script s;
    auto a = s.session();
    auto slow = s.session();
    slow->link.room = 0;
    auto receiver = s.queue();
    auto filtered = s.session();
    for (const auto& p : {a, slow, receiver})
        s.subscribe(p, "t");
    s.subscribe(a, "t", {.type = "x"}); // twice, and counted once
    s.subscribe_filter(filtered, "#");
    auto h = s.handler();
    s.subscribe(h, "t");
    CHECK(s.report("t", "1", {.type = "x"}).matched == 5);
    s.publish("t", "2"); // shares the run
    CHECK(s.reports.empty());
    CHECK(s.told() == texts{"5: 3 delivered, 2 queued"});
    CHECK(s.told().empty());
    s.writable(slow);
    CHECK(slow->link.frames() == texts{"t:x=1", "t=2"});
}

TEST_CASE("report: of nobody, and of what is not published", "[core]") {
    auto p = with_history(0);
    p.idempotency.messages = 10;
    reported_script s(p);
    s.report("t", "1", {.id = "i"});
    CHECK(s.told() == texts{"0:"});
    auto f = s.listener();
    CHECK(s.core.publish("", "2", {}, nullptr, nullptr, &f).error == errc::invalid_topic);
    CHECK(s.core.publish("t", "3", {.id = "i"}, nullptr, nullptr, &f).repeated);
    CHECK(f); // not taken
    s.settle();
    CHECK(s.told().empty());
}

TEST_CASE("report: several of one turn are told apart", "[core]") {
    reported_script s;
    auto a = s.session();
    auto b = s.session(limit(1, overflow_policy::drop_oldest));
    b->link.room = 0;
    for (const auto& p : {a, b}) {
        s.subscribe(p, "t");
        s.subscribe(p, "u");
    }
    s.report("t", "1");
    s.report("u", "2");
    s.report("t", "3");
    CHECK(
        s.told() == texts{
                        "2: 1 delivered, 1 dropped; 1 more", "2: 1 delivered, 1 dropped; 1 more",
                        "2: 1 delivered, 1 queued"});
}

TEST_CASE("report: each overflow policy", "[core]") {
    const auto policy = GENERATE(
        overflow_policy::drop_oldest, overflow_policy::drop_newest, overflow_policy::disconnect,
        overflow_policy::conflate, overflow_policy::spill);
    reported_script s(with_history(10));
    auto a = join(s, "ann", limit(2, policy));
    a->link.room = 0;
    s.subscribe(a, "t");
    for (const auto* n : {"1", "2"})
        s.report("t", n);
    CHECK(s.told() == texts{"1: 1 queued", "1: 1 queued"});
    s.report("t", "3");
    s.report("t", "4");
    const auto lost = std::string("1: 1 dropped; ann dropped");
    const auto kept = std::string("1: 1 queued");
    switch (policy) {
    case overflow_policy::drop_oldest: CHECK(s.told() == texts{kept, kept}); break;
    case overflow_policy::drop_newest: CHECK(s.told() == texts{lost, lost}); break;
    case overflow_policy::disconnect: CHECK(s.told() == texts{lost, lost}); break;
    case overflow_policy::conflate: CHECK(s.told() == texts{"1: 1 conflated", kept}); break;
    case overflow_policy::spill: CHECK(s.told() == texts{kept, kept}); break;
    }
    s.writable(a);
    s.settle();
    if (policy == overflow_policy::spill)
        CHECK(a->link.frames() == texts{"t@1=1", "t@2=2", "t@3=3", "t@4=4"});
}

TEST_CASE("report: the memory bound drops too", "[core]") {
    pusher::detail::core_params p;
    p.memory_bytes = 10'000;
    reported_script s(p);
    auto a = join(s, "ann");
    a->link.room = 0;
    s.subscribe(a, "t");
    s.report("t", std::string(20'000, 'x'));
    CHECK(s.told() == texts{"1: 1 dropped; ann dropped"});
}

TEST_CASE("report: handlers", "[core]") {
    pusher::detail::core_params p;
    p.topic_policies.push_back(
        {.filter = "r", .on_failure = pusher::failure_ladder{failure::retry{3, 1s, 2, 0}}});
    reported_script s(p);
    auto good = s.handler();
    auto bad = s.handler([](const pusher::message&) { throw 1; });
    s.core.bind(*bad, "ann");
    for (const auto& h : {good, bad})
        for (const auto* topic : {"t", "r"})
            s.subscribe(h, topic);
    SECTION("that throw") {
        s.report("t", "1");
        CHECK(s.told() == texts{"2: 1 delivered, 1 failed; ann failed"});
    }
    SECTION("that are called again, and what follows is held") {
        s.report("r", "1");
        s.report("r", "2");
        CHECK(s.told() == texts{"2: 1 delivered, 1 parked; ann parked", "2: 1 delivered, 1 queued"});
    }
    SECTION("that leave with what is held") {
        s.report("r", "1");
        s.report("r", "2");
        s.core.remove(*bad);
        CHECK(
            s.told() ==
            texts{"2: 1 delivered, 1 dropped; ann dropped", "2: 1 delivered, 1 dropped; ann dropped"});
    }
}

TEST_CASE("report: published by a handler, it waits for the handlers that are to be called", "[core]") {
    reported_script s;
    auto second = s.handler();
    auto third = s.handler();
    auto first = s.handler([&](const pusher::message& m) {
        if (m.topic() != "t")
            return;
        CHECK(s.report("u", "1").matched == 3);
        s.turn(); // one within a call ends nothing but the writing
        s.core.remove(*third);
    });
    for (const auto& h : {first, second, third})
        s.subscribe(h, "u");
    s.subscribe(first, "t");
    auto a = s.session();
    s.subscribe(a, "t");
    s.publish("t", "go");
    CHECK(s.told() == texts{"3: 2 delivered, 1 dropped; 1 more"});
    CHECK(s.told().empty());
}

TEST_CASE("report: who does not want its own is not counted", "[core]") {
    reported_script s(with_history(5));
    auto a = s.session();
    auto b = s.session();
    s.subscribe(a, "t", {.echo = false});
    s.subscribe(b, "t");
    auto h = s.handler();
    s.subscribe(h, "t", {.echo = false});
    s.report("t", "1", {.publisher = a->id});
    s.report("t", "2", {.publisher = h->id});
    CHECK(s.told() == texts{"2: 2 delivered", "2: 2 delivered"});
    s.subscribe(a, "t", {.type = "x"}); // this one does
    s.report("t", "3", {.type = "x", .publisher = a->id});
    CHECK(s.told() == texts{"3: 3 delivered"});
}

TEST_CASE("report: what history brings is queued until it is brought", "[core]") {
    reported_script s(with_history(5));
    s.publish("t", "1");
    s.settle();
    auto a = s.session();
    auto slow = s.session();
    auto h = s.handler();
    auto gone = s.session();
    auto left = s.session();
    for (const pusher::detail::subscriber_ptr& p :
         std::vector<pusher::detail::subscriber_ptr>{a, slow, h, gone, left})
        s.subscribe(p, "t", {.history = 5});
    slow->link.room = 0;
    s.report("t", "2");
    s.core.remove(*gone);
    s.unsubscribe(left, "t");
    // In the same flush those who keep up have read it.
    CHECK(s.told() == texts{"5: 2 delivered, 1 queued, 2 dropped; 2 more"});
    CHECK(h->take() == texts{"t@1=1", "t@2=2"});

    SECTION("a subscriber that comes within the turn is not counted, though history brings it") {
        s.report("t", "3");
        auto late = s.session();
        s.subscribe(late, "t", {.history = 1});
        CHECK(s.told() == texts{"3: 2 delivered, 1 queued"});
        CHECK(late->link.frames() == texts{"t@3=3"});
    }
    SECTION("what left the history before it was read is dropped") {
        auto behind = s.session();
        behind->link.room = 0;
        s.subscribe(behind, "t", {.history = 5});
        for (int n = 3; n <= 8; ++n)
            s.report("t", std::to_string(n));
        const auto told = s.told();
        CHECK(told.front() == "4: 2 delivered, 1 queued, 1 dropped; 1 more");
        CHECK(told.back() == "4: 2 delivered, 2 queued");
    }
}

TEST_CASE("report: a live subscriber that a cursor serves meanwhile", "[core]") {
    reported_script s(with_history(5));
    s.publish("t", "1");
    s.settle();
    auto a = s.session();
    s.subscribe_filter(a, "#");
    a->link.room = 3; // the replay does not get far
    s.subscribe(a, "t", {.history = 5});
    s.turn();
    s.report("t", "2");
    CHECK(s.told() == texts{"1: 1 queued"});
    SECTION("and that has no cursor any more when the turn is written") {
        s.writable(a);
        s.report("t", "3");
        s.core.unsubscribe_all(*a);
        s.turn();
        CHECK(s.reports == texts{"1: 1 delivered"});
    }
}

TEST_CASE("report: acknowledged subscriptions", "[core]") {
    auto p = with_history(5);
    p.acknowledgement.window = 1;
    reported_script s(p);
    auto a = s.session();
    s.subscribe(a, "t", {.acknowledge = true});
    s.settle();
    s.report("t", "1");
    s.report("t", "2");
    CHECK(s.told() == texts{"1: 1 delivered", "1: 1 queued"});
    SECTION("the network refuses a datagram, which is sent again") {
        a->link.datagrams = true;
        a->link.refuses = "=3";
        error_code ec;
        s.core.acknowledge(*a, "t", 1, ec);
        s.settle();
        s.core.acknowledge(*a, "t", 2, ec);
        s.settle();
        s.report("t", "3");
        CHECK(s.told() == texts{"1: 1 queued"});
    }
    SECTION("what a durable one has not read is kept for it") {
        auto d = join(s, "ann");
        s.subscribe(d, "t", {.acknowledge = true, .durable = "d"});
        s.settle();
        s.report("t", "3");
        s.core.remove(*d);
        CHECK(s.told() == texts{"2: 1 queued, 1 parked; ann parked"});
    }
}

TEST_CASE("report: expired, undeliverable, refused", "[core]") {
    reported_script s;
    auto a = join(s, "ann");
    s.subscribe(a, "t");
    SECTION("expired before the turn ended") {
        s.report("t", "1", {.ttl = 1ms});
        virtual_clock::advance(2ms);
        CHECK(s.told() == texts{"1: 1 expired; ann expired"});
    }
    SECTION("the encoding cannot carry it") {
        s.lines.longest = 3;
        s.report("t", "1234");
        CHECK(s.told() == texts{"1: 1 undeliverable; ann undeliverable"});
    }
    SECTION("the network refuses it") {
        a->link.datagrams = true;
        a->link.refuses = "bad";
        s.report("t", "bad");
        s.report("t", "good");
        CHECK(s.told() == texts{"1: 1 failed; ann failed", "1: 1 delivered"});
    }
}

TEST_CASE("report: a session that ends within the turn", "[core]") {
    pusher::detail::core_params p;
    p.topic_policies.push_back({.filter = "p", .on_failure = pusher::failure_ladder{failure::persist{}}});
    reported_script s(p);
    auto a = join(s, "ann");
    for (const auto* topic : {"t", "p"})
        s.subscribe(a, topic);
    SECTION("drops it, or parks it where a ladder says so") {
        s.report("t", "1");
        s.report("p", "2");
        s.core.remove(*a);
        CHECK(s.told() == texts{"1: 1 dropped; ann dropped", "1: 1 parked; ann parked"});
    }
    SECTION("another one of the user, that comes within it, is not counted") {
        a->link.room = 0;
        s.report("p", "2");
        s.core.remove(*a);
        auto again = join(s, "ann");
        s.subscribe(again, "p");
        CHECK(s.told() == texts{"1: 1 parked; ann parked"});
        CHECK(again->link.frames() == texts{"~p=2"});
    }
}

TEST_CASE("report: a broadcast and a push", "[core]") {
    reported_script s;
    auto a = join(s, "ann");
    auto b = join(s, "bob");
    b->link.room = 0;
    auto h = s.handler([](const pusher::message&) { throw 1; });
    auto f = s.listener();
    s.core.broadcast("all", "1", {}, nullptr, nullptr, &f);
    f = s.listener();
    s.core.push_to("bob", "p", "2", {}, &f);
    CHECK(s.told() == texts{"3: 1 delivered, 1 queued, 1 failed; 1 more", "1: 1 queued"});
}

TEST_CASE("report: what is pushed to a user who is not here", "[core]") {
    pusher::detail::core_params p;
    p.topic_policies.push_back({.filter = "kept", .on_failure = pusher::failure_ladder(failure::persist{})});
    reported_script s(p);
    const auto push = [&](std::string_view label) {
        auto f = s.listener();
        return s.core.push_to("ann", label, "x", {}, &f).matched;
    };
    CHECK(push("lost") == 0);
    CHECK(s.told() == texts{"0:"});
    CHECK(push("kept") == 0); // subscribers
    CHECK(s.told() == texts{"1: 1 parked; ann parked"});
    auto ann = join(s, "ann");
    CHECK(push("kept") == 1);
    CHECK(s.told() == texts{"1: 1 delivered"});
}

TEST_CASE("report: a hundred failures are listed, and the others counted", "[core]") {
    reported_script s;
    std::vector<peer_ptr> all;
    for (int n = 0; n != 130; ++n) {
        all.push_back(join(s, n % 13 == 0 ? "" : "u" + std::to_string(n)));
        s.subscribe(all.back(), "t");
    }
    s.lines.longest = 3;
    std::size_t listed = 0;
    pusher::detail::report_function f = [&](error_code, const pusher::delivery_report& r) {
        CHECK(r.undeliverable == 130);
        listed = r.failures.size();
        CHECK(r.unlisted_failures == 30);
        CHECK(r.failures.front().what == pusher::delivery_outcome::undeliverable);
    };
    s.core.publish("t", "1234", {}, nullptr, nullptr, &f);
    s.turn();
    CHECK(listed == 100);
}

TEST_CASE("report: a turn that grows too long ends early, and its reports with the others", "[core]") {
    pusher::detail::core_params p;
    p.turn_nodes = 10;
    reported_script s(p);
    std::vector<peer_ptr> all;
    for (int n = 0; n != 4; ++n) {
        all.push_back(s.session());
        s.subscribe(all.back(), "t");
    }
    for (int n = 0; n != 6; ++n)
        s.report("t", std::to_string(n));
    CHECK(s.core.counters().turns == 3); // of the lists that reports take
    CHECK(s.told() == texts(6, "4: 4 delivered"));
}

TEST_CASE("report: what is abandoned says what is known", "[core]") {
    reported_script s;
    auto a = s.session();
    s.subscribe(a, "t");
    std::uint64_t sequence = 0;
    error_code why;
    pusher::detail::report_function f = [&](error_code ec, const pusher::delivery_report& r) {
        why = ec;
        sequence = r.sequence;
        CHECK(sum_of(r) == 0);
    };
    s.core.publish("t", "1", {}, nullptr, nullptr, &f);
    SECTION("when it is told so") { s.core.abandon_reports(errc::stopped); }
    SECTION("when the core is cleared") { s.core.clear(); }
    CHECK(why == errc::stopped);
    CHECK(sequence == 1);
    s.settle();
}
