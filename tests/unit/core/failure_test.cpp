// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// Failure ladders: what becomes of a delivery that failed.

#include <pusher/detail/core.hpp>

#include "catch.hpp"
#include "core_script.hpp"

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <string>
#include <vector>

using namespace test;
using namespace std::chrono_literals;
using pusher::errc;
using pusher::error_code;
using pusher::failed_delivery;
using pusher::failure_ladder;
namespace failure = pusher::failure;

namespace {

pusher::detail::core_params with(failure_ladder ladder, std::size_t history = 0) {
    pusher::detail::core_params p;
    p.on_failure = std::move(ladder);
    p.history_for = [history](std::string_view topic) {
        return pusher::history_params{topic.starts_with('h') ? history : 0};
    };
    p.acknowledgement = {64, 1s};
    return p;
}

/// A retry without spread, so that its times are known.
failure::retry retry(std::uint32_t attempts, std::chrono::milliseconds delay = 1s, double backoff = 2) {
    return {attempts, delay, backoff, 0};
}

/// A peer of some uid, as the broker makes one.
peer_ptr join(core_script& s, std::string_view uid, const pusher::outbox_params& limits = {}) {
    auto p = s.session(limits);
    p->remote = true;
    s.core.bind(*p, uid);
    return p;
}

/// Its connection takes no more.
void block(const peer_ptr& p) { p->link.room = 0; }

void lose_connection(core_script& s, const peer_ptr& p) {
    s.core.remove(*p);
    s.settle();
}

void pass(core_script& s, std::chrono::milliseconds time = 0ms) {
    virtual_clock::advance(time);
    s.core.run_due();
    s.settle();
}

void publish(core_script& s, std::string_view topic, int from, int to) {
    for (int n = from; n <= to; ++n)
        s.publish(topic, std::to_string(n));
    s.settle();
}

texts parked(core_script& s, std::string_view uid) {
    texts found;
    std::vector<pusher::header> headers;
    s.core.for_each_parcel(uid, [&](const pusher::detail::parcel& p) {
        found.push_back(text_of(p.messages->view(p.index, 1, headers)));
    });
    return found;
}

texts dead(core_script& s) {
    texts found;
    std::vector<pusher::header> headers;
    for (const auto& d : s.core.dead_letters())
        found.push_back(text_of(d.messages->view(d.index, 1, headers)));
    return found;
}

struct alarms {
    failure::alarm rung(std::chrono::milliseconds interval = 0ms) {
        return {
            [this](const failed_delivery& f) {
                raised.push_back(
                    text_of(f.what) + " for " + std::string(f.who.uid) + ": " + text_of(f.why) + ", " +
                    std::to_string(f.attempts) + " attempts, " + std::to_string(f.suppressed) +
                    " suppressed");
            },
            interval};
    }
    texts take() { return std::exchange(raised, {}); }

    texts raised;
};

std::string refusal(std::vector<failure::rung> rungs) {
    try {
        const failure_ladder l(std::move(rungs));
    } catch (const std::invalid_argument& e) {
        return e.what();
    }
    return {};
}

} // namespace

TEST_CASE("failure_ladder: a senseless one is refused, and says which rung is wrong", "[core]") {
    const auto nothing = [](const failed_delivery&) {};
    CHECK(refusal({failure::retry{}, failure::alarm{nothing}, failure::persist{}}).empty());
    CHECK(refusal({failure::retry{}, failure::retry{}, failure::drop{}}).empty());
    CHECK(refusal({failure::alarm{nothing}}).empty());
    CHECK(failure_ladder(std::vector<failure::rung>{}).empty());
    CHECK(
        refusal({failure::drop{}, failure::retry{}}) ==
        "failure_ladder: rung 1 (drop) leaves nothing for the next");
    CHECK(
        refusal({failure::retry{}, failure::persist{}, failure::drop{}}) ==
        "failure_ladder: rung 2 (persist) leaves nothing for the next");
    CHECK(refusal({failure::alarm{}}) == "failure_ladder: rung 1 (alarm) has no callback");
    CHECK(
        refusal({failure::alarm{nothing, -1ms}}) ==
        "failure_ladder: rung 1 (alarm): interval is not 0 to 24 h");
    CHECK(refusal({failure::decide{}}) == "failure_ladder: rung 1 (decide) has no callback");
    CHECK(
        refusal({failure::retry{.attempts = 0}}) ==
        "failure_ladder: rung 1 (retry): attempts is not 1 to 1,000");
    CHECK(
        refusal({failure::retry{.delay = 0ms}}) ==
        "failure_ladder: rung 1 (retry): delay is not 1 ms to 24 h");
    CHECK(
        refusal({failure::retry{.backoff = 0.5}}) ==
        "failure_ladder: rung 1 (retry): backoff is not 1 to 100");
    CHECK(refusal({failure::retry{.jitter = 1.5}}) == "failure_ladder: rung 1 (retry): jitter is not 0 to 1");
    CHECK(refusal(std::vector<failure::rung>(17, failure::retry{})) == "failure_ladder: more than 16 rungs");
}

// ---- handlers

TEST_CASE("failure: a handler that throws is called again, and what follows is held", "[core]") {
    core_script s(with(failure_ladder(retry(3), failure::drop{})));
    int failures = 2;
    auto h = s.handler([&](const pusher::message&) {
        if (failures-- > 0)
            throw std::runtime_error("not now");
    });
    s.subscribe(h, "t");
    publish(s, "t", 1, 3);
    CHECK(h->take() == texts{"t=1"});
    pass(s, 0ms);
    pass(s, 999ms);
    CHECK(h->take().empty());
    pass(s, 1ms);
    CHECK(h->take() == texts{"~t=1"}); // threw again: 2 s now
    publish(s, "t", 4, 4);
    pass(s, 1999ms);
    CHECK(h->take().empty());
    pass(s, 1ms);
    CHECK(h->take() == texts{"~t=1", "t=2", "t=3", "t=4"});
    publish(s, "t", 5, 5);
    CHECK(h->take() == texts{"t=5"});
    CHECK(s.core.counters().retried == 2);
    CHECK(s.core.counters().delivered == 5);
    CHECK(s.core.next_due() == pusher::detail::steady_time::max());
}

TEST_CASE("failure: what a handler cannot take is dropped and told, or becomes a dead letter", "[core]") {
    recording_observer observer;
    alarms a;
    const auto run = [&](core_script& s) {
        s.core.observe(&observer);
        auto h = s.handler([&](const pusher::message& m) {
            if (m.payload() == "bad")
                throw std::runtime_error("bad");
        });
        s.subscribe(h, "t");
        s.publish("t", "bad");
        s.publish("t", "good");
        s.settle();
        pass(s);
        pass(s, 1s);
        return h;
    };
    SECTION("drop") {
        core_script s(with(failure_ladder(retry(1), a.rung(), failure::drop{})));
        auto h = run(s);
        CHECK(h->take() == texts{"t=bad", "~t=bad", "t=good", "!t 1"});
        CHECK(s.core.counters().dropped_failed == 1);
        CHECK(dead(s).empty());
        CHECK(a.take() == texts{"t=bad for : handler threw, 2 attempts, 0 suppressed"});
    }
    SECTION("persist: it is here, and does not want it") {
        core_script s(with(failure_ladder(retry(1), failure::persist{})));
        auto h = run(s);
        CHECK(h->take() == texts{"t=bad", "~t=bad", "t=good"});
        CHECK(dead(s) == texts{"t=bad"});
        CHECK(s.core.dead_letters().front().attempts == 2);
        CHECK(s.core.counters().dead_letters == 1);
        // Once more, by the host's will.
        error_code ec;
        s.core.requeue_dead_letter(s.core.dead_letters().front().number, ec);
        CHECK(!ec);
        pass(s);
        CHECK(h->take() == texts{"t=bad"});
        CHECK(dead(s).empty());
        pass(s, 1s);
        CHECK(dead(s) == texts{"t=bad"});
        CHECK(s.core.purge_dead_letters(0) == 1);
        CHECK(dead(s).empty());
    }
    SECTION("a ladder that ends has given up") {
        core_script s(with(failure_ladder(retry(1))));
        run(s);
        CHECK(dead(s) == texts{"t=bad"});
    }
    SECTION("no ladder: as ever") {
        core_script s;
        auto h = run(s);
        CHECK(h->take() == texts{"t=bad", "t=good"});
        CHECK(s.core.counters().handler_exceptions == 1);
        CHECK(s.core.counters().dead_letters == 0);
    }
}

TEST_CASE(
    "failure: a handler's queue has the limits of an outbox, and its head does not give way", "[core]") {
    auto p = with(failure_ladder(retry(1, 1s), failure::drop{}));
    p.held.messages = 3;
    const auto newest = GENERATE(false, true);
    p.held.overflow = newest ? pusher::overflow_policy::drop_newest : pusher::overflow_policy::drop_oldest;
    core_script s(p);
    bool fails = true;
    auto h = s.handler([&](const pusher::message&) {
        if (std::exchange(fails, false))
            throw 1;
    });
    s.subscribe(h, "t");
    publish(s, "t", 1, 6);
    pass(s);
    pass(s, 1s);
    CHECK(
        h->take() ==
        (newest ? texts{"t=1", "~t=1", "t=2", "t=3", "!t 3"} : texts{"t=1", "~t=1", "t=5", "t=6", "!t 3"}));
    CHECK(s.core.counters().dropped == 3);
}

TEST_CASE("failure: a handler may leave, or be lost, at any step of its ladder", "[core]") {
    const int leaves_at = GENERATE(0, 1, 2, 3, 4);
    pusher::detail::subscriber_base* leaver = nullptr;
    core_script* script = nullptr;
    int step = 0;
    const auto leave = [&] {
        if (step++ == leaves_at && leaver && leaver->owner)
            script->core.remove(*leaver);
    };
    core_script s(with(failure_ladder(
        retry(1), failure::alarm{[&](const failed_delivery&) { leave(); }, 0ms},
        failure::decide{[&](const failed_delivery&) {
            leave();
            return failure::next();
        }})));
    script = &s;
    auto h = s.handler([&](const pusher::message& m) {
        leave();
        if (m.payload() == "1")
            throw 1;
    });
    leaver = h.get();
    s.subscribe(h, "t");
    publish(s, "t", 1, 2);
    for (int i = 0; i != 5; ++i)
        pass(s, 1s);
    const auto got = h->take();
    CHECK(
        got.size() ==
        std::min<std::size_t>(
            static_cast<std::size_t>(leaves_at) + 1, leaves_at > 1 ? (leaves_at == 4 ? 3 : 2) : 2));
    CHECK((leaver->owner == nullptr) == true);
}

TEST_CASE("failure: a rung of the host's own", "[core]") {
    std::vector<failure::verdict> says;
    std::vector<std::uint32_t> attempts;
    core_script s(with(failure_ladder(
        failure::decide{[&](const failed_delivery& f) {
            attempts.push_back(f.attempts);
            REQUIRE_THROWS_AS(std::rethrow_exception(f.exception), std::out_of_range);
            if (says.empty())
                throw std::runtime_error("no idea");
            const auto v = says.front();
            says.erase(says.begin());
            return v;
        }},
        failure::drop{})));
    auto h = s.handler([&](const pusher::message&) { throw std::out_of_range("x"); });
    s.subscribe(h, "t");
    says = {failure::again(10ms), failure::again(20ms), failure::settled()};
    publish(s, "t", 1, 1);
    pass(s);
    CHECK(h->take().size() == 1);
    pass(s, 10ms);
    CHECK(h->take().size() == 1);
    pass(s, 20ms);
    CHECK(h->take().size() == 1);
    CHECK(attempts == std::vector<std::uint32_t>{1, 2, 3});
    CHECK(s.core.counters().dropped_failed == 0); // settled
    says = {failure::next()};
    publish(s, "t", 2, 2);
    pass(s);
    CHECK(s.core.counters().dropped_failed == 1);
    publish(s, "t", 3, 3); // it throws: the next rung
    pass(s);
    CHECK(s.core.counters().dropped_failed == 2);
    CHECK(s.core.counters().handler_exceptions == 6); // of the handler: 5
}

TEST_CASE("failure: an alarm is not raised more often than its interval allows", "[core]") {
    alarms a;
    core_script s(with(failure_ladder(a.rung(1s), failure::drop{})));
    auto h = s.handler([](const pusher::message&) { throw 1; });
    s.subscribe(h, "t");
    publish(s, "t", 1, 4);
    pass(s);
    CHECK(a.take() == texts{"t=1 for : handler threw, 1 attempts, 0 suppressed"});
    publish(s, "t", 5, 5);
    pass(s, 999ms);
    CHECK(a.take().empty());
    publish(s, "t", 6, 6);
    pass(s, 1ms);
    CHECK(a.take() == texts{"t=6 for : handler threw, 1 attempts, 4 suppressed"});
}

TEST_CASE("failure: an alarm may publish; what fails then is another failure", "[core]") {
    core_script* script = nullptr;
    core_script s(with(failure_ladder(
        failure::alarm{
            [&](const failed_delivery& f) {
                if (f.what.topic() == "t")
                    script->publish("alarms", "failed");
            },
            0ms},
        failure::drop{})));
    script = &s;
    auto h = s.handler([](const pusher::message&) { throw 1; });
    auto watcher = s.handler();
    s.subscribe(h, "t");
    s.subscribe(watcher, "alarms");
    publish(s, "t", 1, 1);
    pass(s);
    CHECK(watcher->take() == texts{"alarms=failed"});
}

// ---- connections that are lost

TEST_CASE(
    "failure: what a lost connection did not take is parked, and comes first when its user is back",
    "[core]") {
    recording_observer observer;
    core_script s(with(failure_ladder(failure::persist{})));
    auto ann = join(s, "ann");
    s.subscribe(ann, "t");
    publish(s, "t", 1, 1);
    CHECK(ann->link.frames() == texts{"t=1"});
    block(ann);
    publish(s, "t", 2, 3);
    s.core.observe(&observer);
    lose_connection(s, ann);
    pass(s);
    CHECK(observer.take() == texts{"park t=2 for ann: disconnected", "park t=3 for ann: disconnected"});
    CHECK(parked(s, "ann") == texts{"t=2", "t=3"});
    CHECK(s.core.counters().dropped_disconnected == 0);
    publish(s, "t", 4, 4); // nobody's

    auto bob = join(s, "bob");
    s.subscribe(bob, "t");
    auto again = join(s, "ann");
    s.settle();
    CHECK(again->link.frames().empty()); // it has not asked for it yet
    s.subscribe(again, "t");
    s.publish("t", "5"); // in the same turn
    s.settle();
    CHECK(again->link.frames() == texts{"~t=2", "~t=3", "t=5"});
    CHECK(bob->link.frames() == texts{"t=5"});
    CHECK(parked(s, "ann").empty());
    CHECK(s.core.counters().returned == 2);
    CHECK(s.core.parked() == 0);
}

TEST_CASE("failure: the answer to a subscribe comes before what was kept", "[core]") {
    core_script s(with(failure_ladder(failure::persist{})));
    auto ann = join(s, "ann");
    s.subscribe(ann, "t");
    block(ann);
    publish(s, "t", 1, 1);
    lose_connection(s, ann);
    pass(s);
    auto again = join(s, "ann");
    s.subscribe(again, "other");
    s.publish("other", "first");
    s.subscribe(again, "t");
    s.core.reply(*again, "ok\n");
    s.publish("t", "2");
    s.settle();
    CHECK(again->link.frames() == texts{"ok", "~t=1", "other=first", "t=2"});
}

TEST_CASE("failure: what is pushed to a user needs no subscription to come back", "[core]") {
    core_script s(with(failure_ladder(failure::persist{})));
    auto ann = join(s, "ann");
    block(ann);
    s.core.push_to("ann", "for you", "1");
    s.core.broadcast("all", "2");
    s.settle();
    lose_connection(s, ann);
    pass(s);
    CHECK(parked(s, "ann") == texts{"for you=1", "all=2"});
    auto again = join(s, "ann");
    s.settle();
    CHECK(again->link.frames() == texts{"~for you=1", "~all=2"});
}

TEST_CASE("failure: what is pushed to a user who is not here waits for it", "[core]") {
    recording_observer observer;
    alarms a;
    auto p = with(failure_ladder(retry(1, 1s), a.rung(), failure::persist{}));
    p.topic_policies.push_back({.filter = "lost", .on_failure = failure_ladder(failure::drop{})});
    core_script s(p);
    CHECK(s.core.push_to("ann", "p", "1").matched == 0);
    s.core.push_to("ann", "lost", "2");
    s.core.push_to("", "p", "3");
    pass(s);
    CHECK(parked(s, "ann") == texts{"p=1"});
    CHECK(s.core.counters().dropped_failed == 1);
    SECTION("it comes in time") {}
    SECTION("it comes later") {
        s.core.observe(&observer);
        pass(s, 1s);
        CHECK(a.take() == texts{"p=1 for ann: absent, 2 attempts, 0 suppressed"});
        CHECK(observer.take() == texts{"park p=1 for ann: absent"});
    }
    auto ann = join(s, "ann");
    s.core.push_to("ann", "p", "4");
    s.settle();
    CHECK(ann->link.frames() == texts{"~p=1", "p=4"});
    pass(s, 10s);
    CHECK(s.core.parked() == 0);
}

TEST_CASE("failure: of several sessions of one user, none is given what another has", "[core]") {
    core_script s(with(failure_ladder(failure::persist{})));
    auto one = join(s, "ann");
    auto two = join(s, "ann");
    s.subscribe(one, "t");
    s.subscribe(two, "t");
    s.subscribe(one, "mine");
    block(one);
    s.publish("t", "1");
    s.publish("mine", "2");
    s.core.push_to("ann", "p", "3");
    s.settle();
    auto three = join(s, "ann"); // too late for any of it
    s.subscribe(three, "t");
    lose_connection(s, one);
    pass(s);
    CHECK(parked(s, "ann") == texts{"mine=2"});
    CHECK(s.core.counters().dropped_disconnected == 2);
    CHECK(two->link.frames() == texts{"t=1", "p=3"});
    SECTION("the last of them that has it is lost too") {
        block(two);
        s.publish("t", "4");
        s.settle();
        lose_connection(s, three);
        CHECK(parked(s, "ann") == texts{"mine=2"});
        lose_connection(s, two);
        pass(s);
        CHECK(parked(s, "ann") == texts{"mine=2", "t=4"});
    }
}

TEST_CASE("failure: a retry waits for the user as long as its attempts last", "[core]") {
    alarms a;
    core_script s(with(failure_ladder(retry(2, 1s), a.rung(), failure::persist{})));
    auto ann = join(s, "ann");
    s.subscribe(ann, "t");
    block(ann);
    publish(s, "t", 1, 2);
    lose_connection(s, ann);
    pass(s);
    SECTION("it comes in time") {
        pass(s, 2999ms);
        auto again = join(s, "ann");
        s.subscribe(again, "t");
        s.settle();
        CHECK(again->link.frames() == texts{"~t=1", "~t=2"});
        CHECK(a.take().empty());
        CHECK(s.core.counters().parked == 0);
        CHECK(s.core.next_due() == pusher::detail::steady_time::max());
    }
    SECTION("it does not") {
        pass(s, 1000ms);
        pass(s, 1999ms);
        CHECK(a.take().empty());
        pass(s, 1ms);
        CHECK(
            a.take() == texts{
                            "t=1 for ann: disconnected, 3 attempts, 0 suppressed",
                            "t=2 for ann: disconnected, 3 attempts, 0 suppressed"});
        CHECK(s.core.counters().parked == 2);
        CHECK(parked(s, "ann") == texts{"t=1", "t=2"});
    }
    SECTION("it comes, and is lost again before it takes anything") {
        auto again = join(s, "ann");
        s.subscribe(again, "t");
        block(again);
        s.settle();
        lose_connection(s, again);
        CHECK(parked(s, "ann") == texts{"t=1", "t=2"});
        pass(s, 10s);
        pass(s, 10s);
        auto third = join(s, "ann");
        s.subscribe(third, "t");
        s.settle();
        CHECK(third->link.frames() == texts{"~t=1", "~t=2"});
    }
}

TEST_CASE("failure: who has no uid cannot be waited for", "[core]") {
    alarms a;
    core_script s(with(failure_ladder(retry(3), a.rung(), failure::persist{})));
    auto who = join(s, "");
    s.subscribe(who, "t");
    block(who);
    publish(s, "t", 1, 1);
    lose_connection(s, who);
    pass(s);
    CHECK(a.take() == texts{"t=1 for : disconnected, 1 attempts, 0 suppressed"});
    CHECK(dead(s) == texts{"t=1"});
    CHECK(s.core.parked() == 0);
    error_code ec;
    s.core.requeue_dead_letter(s.core.dead_letters().front().number, ec);
    CHECK(ec == errc::not_found);
}

TEST_CASE("failure: the ladder is the subscription's, else the topic's, else the broker's", "[core]") {
    auto p = with(failure_ladder(failure::drop{}));
    p.topic_policies.push_back({.filter = "kept/#", .on_failure = failure_ladder(failure::persist{})});
    core_script s(p);
    const failure_ladder persist{failure::persist{}};
    const failure_ladder none;
    auto ann = join(s, "ann");
    pusher::subscribe_options o;
    s.subscribe(ann, "a");
    s.subscribe(ann, "kept/1");
    o.on_failure = &persist;
    s.subscribe(ann, "b", o);
    o.on_failure = &none;
    s.subscribe(ann, "kept/2", o);
    block(ann);
    for (const auto* topic : {"a", "kept/1", "b", "kept/2"})
        s.publish(topic, "x");
    s.settle();
    lose_connection(s, ann);
    pass(s);
    CHECK(parked(s, "ann") == texts{"kept/1=x", "b=x"});
    CHECK(s.core.counters().dropped_failed == 1);
    CHECK(s.core.counters().dropped_disconnected == 1);
}

TEST_CASE("failure: what is parked has a cap and an end", "[core]") {
    auto p = with(failure_ladder(failure::persist{}));
    p.parking.messages = 3;
    p.parking.ttl = 10s;
    p.parking.users = 2;
    p.dead_letters.messages = 4;
    core_script s(p);
    const auto park = [&](std::string_view uid, int from, int to) {
        auto who = join(s, uid);
        s.subscribe(who, "t");
        s.settle();
        block(who);
        publish(s, "t", from, to);
        lose_connection(s, who);
        pass(s);
    };
    park("ann", 1, 5);
    CHECK(parked(s, "ann") == texts{"t=3", "t=4", "t=5"});
    CHECK(dead(s) == texts{"t=1", "t=2"});
    park("bob", 6, 6);
    park("eve", 7, 7); // a third user
    CHECK(dead(s) == texts{"t=1", "t=2", "t=7"});
    pass(s, 9999ms);
    CHECK(s.core.parked() == 4);
    pass(s, 1ms);
    CHECK(s.core.parked() == 0);
    CHECK(dead(s) == texts{"t=3", "t=4", "t=5", "t=6"}); // the cap of dead letters
    CHECK(s.core.counters().dead_letters == 7);
    CHECK(s.core.counters().dead_letters_lost == 3);
}

TEST_CASE("failure: the host can look at what is parked, requeue it and purge it", "[core]") {
    core_script s(with(failure_ladder(failure::persist{})));
    auto ann = join(s, "ann");
    s.subscribe(ann, "a");
    s.subscribe(ann, "b");
    block(ann);
    s.publish("a", "1");
    s.publish("b", "2");
    s.publish("a", "3");
    s.settle();
    lose_connection(s, ann);
    pass(s);
    texts boxes;
    s.core.for_each_mailbox([&](std::string_view uid, std::size_t messages, std::size_t bytes) {
        boxes.push_back(std::string(uid) + " " + std::to_string(messages) + " " + std::to_string(bytes));
    });
    CHECK(boxes == texts{"ann 3 3"});
    CHECK(s.core.purge_parked("ann", "b") == 1);
    CHECK(parked(s, "ann") == texts{"a=1", "a=3"});
    CHECK(s.core.purge_parked("bob", "") == 0);
    CHECK(s.core.requeue_parked("ann", "a") == 2);
    CHECK(parked(s, "ann") == texts{"a=1", "a=3"});
    CHECK(s.core.purge_parked("ann", "") == 2);
    CHECK(s.core.parked() == 0);
    auto again = join(s, "ann");
    s.subscribe(again, "a");
    s.settle();
    CHECK(again->link.frames().empty());
}

TEST_CASE("failure: a dead letter of a user goes back to where it can come for it", "[core]") {
    auto p = with(failure_ladder(failure::persist{}));
    p.parking.ttl = 1s;
    core_script s(p);
    auto ann = join(s, "ann");
    s.subscribe(ann, "t");
    block(ann);
    publish(s, "t", 1, 1);
    lose_connection(s, ann);
    pass(s);
    pass(s, 1s);
    REQUIRE(dead(s) == texts{"t=1"});
    auto again = join(s, "ann");
    s.subscribe(again, "t");
    s.settle();
    error_code ec;
    s.core.requeue_dead_letter(s.core.dead_letters().front().number, ec);
    CHECK(!ec);
    s.settle();
    CHECK(again->link.frames() == texts{"~t=1"});
    CHECK(dead(s).empty());
    s.core.requeue_dead_letter(1, ec);
    CHECK(ec == errc::not_found);
}

TEST_CASE("failure: what a resume or the history brings is not brought from the mailbox too", "[core]") {
    core_script s(with(failure_ladder(failure::persist{}), 10));
    auto ann = join(s, "ann");
    s.subscribe(ann, "h");
    publish(s, "h", 1, 1);
    block(ann);
    publish(s, "h", 2, 3);
    lose_connection(s, ann);
    pass(s);
    publish(s, "h", 4, 4);
    CHECK(parked(s, "ann") == texts{"h@2=2", "h@3=3"});
    auto again = join(s, "ann");
    const auto epoch = s.core.find_topic("h")->past()->epoch();
    pusher::subscribe_options o;
    SECTION("resume") {
        o.resume = pusher::topic_position{epoch, 1};
        s.subscribe(again, "h", o);
        s.settle();
        CHECK(again->link.frames() == texts{"h@2=2", "h@3=3", "h@4=4"});
    }
    SECTION("resume by one who has it after all") {
        o.resume = pusher::topic_position{epoch, 3};
        s.subscribe(again, "h", o);
        s.settle();
        CHECK(again->link.frames() == texts{"h@4=4"});
    }
    SECTION("history: a part of it") {
        o.history = 2;
        s.subscribe(again, "h", o);
        s.settle();
        CHECK(again->link.frames() == texts{"~h@2=2", "h@3=3", "h@4=4"});
    }
    SECTION("neither") {
        s.subscribe(again, "h", o);
        s.settle();
        CHECK(again->link.frames() == texts{"~h@2=2", "~h@3=3"});
    }
    CHECK(parked(s, "ann").empty());
}

TEST_CASE("failure: what comes back does not push out what is live, nor the other way round", "[core]") {
    core_script s(with(failure_ladder(failure::persist{})));
    auto ann = join(s, "ann", {.messages = 10});
    s.subscribe(ann, "t");
    block(ann);
    publish(s, "t", 1, 10);
    lose_connection(s, ann);
    pass(s);
    auto again = join(s, "ann", {.messages = 4});
    s.subscribe(again, "t");
    block(again);
    s.settle();
    publish(s, "t", 11, 14);
    CHECK(s.core.counters().dropped == 0);
    publish(s, "t", 15, 15);
    CHECK(s.core.counters().dropped == 1);
    s.writable(again);
    s.settle();
    CHECK(
        again->link.frames() == texts{
                                    "~t=1", "~t=2", "~t=3", "~t=4", "~t=5", "~t=6", "~t=7", "~t=8", "~t=9",
                                    "~t=10", "!t 1", "t=12", "t=13", "t=14", "t=15"});
}

TEST_CASE("failure: an overflow that disconnects is no failed delivery", "[core]") {
    core_script s(with(failure_ladder(failure::persist{})));
    auto ann = join(s, "ann", {.messages = 2, .overflow = pusher::overflow_policy::disconnect});
    s.subscribe(ann, "t");
    block(ann);
    publish(s, "t", 1, 3);
    CHECK(ann->overflows == 1);
    lose_connection(s, ann);
    pass(s);
    CHECK(s.core.parked() == 0);
    CHECK(s.core.counters().dropped_disconnected == 3);
}

TEST_CASE("failure: an expired message is not kept", "[core]") {
    core_script s(with(failure_ladder(failure::persist{})));
    auto ann = join(s, "ann");
    s.subscribe(ann, "t");
    block(ann);
    pusher::publish_options o;
    o.ttl = 2s;
    s.core.publish("t", "1", o);
    s.publish("t", "2");
    s.settle();
    lose_connection(s, ann);
    pass(s);
    CHECK(parked(s, "ann") == texts{"t=1", "t=2"});
    virtual_clock::advance(2001ms);
    auto again = join(s, "ann");
    s.subscribe(again, "t");
    s.settle();
    CHECK(again->link.frames() == texts{"~t=2"});
    CHECK(s.core.counters().dropped_expired == 1);
}

TEST_CASE("failure: what the transport cannot carry is kept for another connection", "[core]") {
    core_script s(with(failure_ladder(failure::persist{})));
    text_encoding small;
    small.longest = 3;
    auto ann = s.queue();
    ann->remote = true;
    s.core.attach(*ann, small, ann->link);
    s.core.bind(*ann, "ann");
    s.subscribe(ann, "t");
    s.publish("t", "1");
    s.publish("t", "long");
    s.publish("t", "2");
    s.settle();
    pass(s);
    CHECK(ann->link.frames() == texts{"t=1", "t=2"});
    CHECK(parked(s, "ann") == texts{"t=long"});
    CHECK(s.core.counters().dropped_undeliverable == 0);
    // Another of its connections that cannot either.
    auto other = s.queue();
    other->remote = true;
    s.core.attach(*other, small, other->link);
    s.core.bind(*other, "ann");
    s.subscribe(other, "t");
    s.settle();
    pass(s);
    CHECK(other->link.frames().empty());
    CHECK(parked(s, "ann") == texts{"t=long"});
    auto wide = join(s, "ann");
    s.subscribe(wide, "t");
    s.settle();
    CHECK(wide->link.frames() == texts{"~t=long"});
}

TEST_CASE("failure: a datagram that the network refuses is a delivery that failed", "[core]") {
    const bool ladder = GENERATE(false, true);
    core_script s(with(ladder ? failure_ladder(failure::persist{}) : failure_ladder()));
    auto ann = s.session();
    ann->remote = true;
    ann->link.datagrams = true;
    ann->link.refuses = "bad";
    s.core.bind(*ann, "ann");
    s.subscribe(ann, "t");
    s.subscribe(ann, "u");
    texts got;
    const auto all = [&] {
        for (auto& f : ann->link.frames())
            got.push_back(std::move(f));
    };
    SECTION("one run") {
        for (const auto* payload : {"1", "bad1", "2", "bad2"})
            s.publish("t", payload);
        s.settle();
        all();
        CHECK(got == (ladder ? texts{"t=1", "t=2"} : texts{"t=1", "t=2", "!t 2"}));
    }
    SECTION("several, and a reply") {
        s.publish("t", "1");
        s.core.reply(*ann, "ok\n");
        s.publish("u", "bad1");
        s.publish("t", "bad2");
        s.publish("u", "2");
        s.settle();
        all();
        CHECK(got == (ladder ? texts{"t=1", "ok", "u=2"} : texts{"t=1", "ok", "u=2", "!u 1", "!t 1"}));
    }
    SECTION("what had to wait") {
        block(ann);
        for (const auto* payload : {"1", "bad1", "2", "bad2"})
            s.publish("t", payload);
        s.settle();
        s.writable(ann);
        s.settle();
        all();
        CHECK(got == (ladder ? texts{"t=1", "t=2"} : texts{"t=1", "t=2", "!t 2"}));
    }
    pass(s);
    CHECK(s.core.counters().delivered == 2);
    CHECK(s.core.counters().dropped_failed == (ladder ? 0 : 2));
    CHECK(s.core.parked() == (ladder ? 2 : 0));
}

TEST_CASE("failure: memory that is short is taken from the mailboxes too", "[core]") {
    auto p = with(failure_ladder(failure::persist{}));
    p.memory_bytes = 200'000;
    core_script s(p);
    auto ann = join(s, "ann");
    s.subscribe(ann, "t");
    block(ann);
    for (int i = 0; i != 100; ++i) {
        s.publish("t", std::string(1000, 'x'));
        s.settle();
    }
    lose_connection(s, ann);
    pass(s);
    auto bob = join(s, "bob");
    s.subscribe(bob, "t");
    block(bob);
    for (int i = 0; i != 100; ++i) {
        s.publish("t", std::string(1000, 'x'));
        s.settle();
    }
    CHECK(s.core.memory() <= 200'000);
    CHECK(s.core.parked() < 100);
    CHECK(
        s.core.counters().dropped_memory + s.core.counters().dropped + s.core.parked() +
            bob->box->messages() >=
        200 - 1);
}

TEST_CASE("failure: a rung may end, or rename, whom it is told of", "[core]") {
    core_script* script = nullptr;
    pusher::detail::subscriber_base* who = nullptr;
    texts uids;
    const bool ends = GENERATE(false, true);
    core_script s(with(failure_ladder(
        failure::alarm{
            [&](const failed_delivery&) {
                if (ends)
                    script->core.remove(*who);
                else
                    script->core.bind(*who, "somebody else altogether");
            },
            0ms},
        failure::decide{[&](const failed_delivery& f) {
            uids.emplace_back(f.who.uid);
            CHECK_THROWS_AS(std::rethrow_exception(f.exception), std::runtime_error);
            return failure::next();
        }},
        failure::persist{})));
    script = &s;
    auto h = s.handler([](const pusher::message&) { throw std::runtime_error("no"); });
    s.core.bind(*h, "a name that is too long to be kept inside");
    who = h.get();
    s.subscribe(h, "t");
    h = nullptr;
    publish(s, "t", 1, 2);
    pass(s);
    CHECK(uids.front() == "a name that is too long to be kept inside");
    CHECK(dead(s).size() == (ends ? 0 : 2));
}

TEST_CASE("failure: a handler that requeues and throws loses neither", "[core]") {
    core_script* script = nullptr;
    core_script s(with(failure_ladder(retry(1), failure::persist{})));
    script = &s;
    int throws = 2;
    auto h = s.handler([&](const pusher::message& m) {
        if (m.payload() == "2" && !script->core.dead_letters().empty()) {
            error_code ec;
            script->core.requeue_dead_letter(script->core.dead_letters().front().number, ec);
            CHECK(!ec);
            throw 1;
        }
        if (m.payload() == "1" && throws-- > 0)
            throw 1;
    });
    s.subscribe(h, "t");
    publish(s, "t", 1, 1);
    pass(s);
    pass(s, 1s);
    REQUIRE(dead(s) == texts{"t=1"});
    h->take();
    publish(s, "t", 2, 3);
    pass(s);
    pass(s, 1s);
    CHECK(h->take() == texts{"t=2", "~t=2", "t=1", "t=3"});
    CHECK(dead(s).empty());
}

TEST_CASE("failure: what waits for another connection is not passed by a resume", "[core]") {
    core_script s(with(failure_ladder(failure::persist{}), 10));
    text_encoding small;
    small.longest = 1;
    auto ann = s.queue();
    ann->remote = true;
    s.core.attach(*ann, small, ann->link);
    s.core.bind(*ann, "ann");
    s.subscribe(ann, "h");
    s.publish("h", "1");
    s.publish("h", "long");
    s.publish("h", "3");
    s.settle();
    pass(s);
    CHECK(ann->link.frames() == texts{"h@1=1", "h@3=3"});
    lose_connection(s, ann);
    auto wide = join(s, "ann");
    pusher::subscribe_options o;
    o.resume = pusher::topic_position{s.core.find_topic("h")->past()->epoch(), 3};
    s.subscribe(wide, "h", o);
    s.settle();
    CHECK(wide->link.frames() == texts{"~h@2=long"});
}

TEST_CASE("failure: if no session of a user can carry it, it is kept", "[core]") {
    core_script s(with(failure_ladder(failure::persist{})));
    text_encoding small;
    small.longest = 1;
    std::vector<peer_ptr> both;
    for (int n = 0; n != 2; ++n) {
        both.push_back(s.queue());
        both.back()->remote = true;
        s.core.attach(*both.back(), small, both.back()->link);
        s.core.bind(*both.back(), "ann");
        s.subscribe(both.back(), "t");
    }
    s.publish("t", "long");
    s.settle();
    pass(s);
    CHECK(parked(s, "ann") == texts{"t=long"}); // once
    CHECK(s.core.counters().dropped_undeliverable == 0);
}

TEST_CASE(
    "failure: a subscriber in process that goes, or is another's, leaves what it has not taken", "[core]") {
    core_script s(with(failure_ladder(failure::persist{})));
    auto ann = join(s, "ann");
    s.subscribe(ann, "t");
    block(ann);
    publish(s, "t", 1, 2);
    lose_connection(s, ann);
    pass(s);
    auto here = s.queue();
    s.core.bind(*here, "ann");
    s.subscribe(here, "t");
    s.settle();
    REQUIRE(here->box->messages() == 2);
    SECTION("it goes") { s.core.remove(*here); }
    SECTION("it is nobody") { s.core.bind(*here, ""); }
    SECTION("it is bob") {
        s.core.bind(*here, "bob");
        CHECK(s.take(here).empty());
    }
    SECTION("it is ann, as before") {
        s.core.bind(*here, "ann");
        s.settle();
        CHECK(s.take(here) == texts{"~t=1", "~t=2"});
        CHECK(s.core.parked() == 0);
        return;
    }
    s.settle();
    CHECK(parked(s, "ann") == texts{"t=1", "t=2"});
    auto again = join(s, "ann");
    s.subscribe(again, "t");
    s.settle();
    CHECK(again->link.frames() == texts{"~t=1", "~t=2"});
    CHECK(s.core.parked() == 0);
}

TEST_CASE("failure: what was kept goes to handlers of the user too, and wakes who waits", "[core]") {
    core_script s(with(failure_ladder(failure::persist{})));
    s.core.push_to("ann", "p", "1");
    s.core.push_to("ann", "p", "2");
    pass(s);
    REQUIRE(s.core.parked() == 2);
    SECTION("a handler") {
        auto h = s.handler();
        s.core.bind(*h, "ann");
        s.core.push_to("ann", "p", "3");
        s.settle();
        CHECK(h->take() == texts{"p=3", "~p=1", "~p=2"}); // a handler is called at once
    }
    SECTION("a handler that is subscribed to one topic only") {
        auto h = s.handler();
        h->listed = false;
        s.core.bind(*h, "ann");
        s.settle();
        CHECK(h->take().empty());
        CHECK(s.core.parked() == 2);
        return;
    }
    SECTION("a queue that somebody waits at") {
        auto q = s.queue();
        s.core.bind(*q, "ann");
        s.settle();
        CHECK(q->queued > 0);
        CHECK(s.take(q) == texts{"~p=1", "~p=2"});
    }
    CHECK(s.core.parked() == 0);
}

TEST_CASE("failure: what the history was to bring instead is not lost with the connection", "[core]") {
    core_script s(with(failure_ladder(failure::persist{}), 10));
    auto ann = join(s, "ann");
    s.subscribe(ann, "h");
    block(ann);
    publish(s, "h", 1, 5);
    lose_connection(s, ann);
    pass(s);
    auto again = join(s, "ann");
    block(again);
    s.core.reply(*again, "x\n"); // it takes nothing of it
    s.settle();
    pusher::subscribe_options o;
    o.history = 5;
    s.subscribe(again, "h", o);
    s.settle();
    lose_connection(s, again);
    pass(s);
    CHECK(parked(s, "ann") == texts{"h@1=1", "h@2=2", "h@3=3", "h@4=4", "h@5=5"});
}

TEST_CASE("failure: limits of parking do not change what the ladder says", "[core]") {
    alarms a;
    auto p = with(failure_ladder(a.rung(), failure::drop{}));
    p.parking.messages = 2;
    p.parking.users = 1;
    core_script s(p);
    for (const auto* uid : {"", "", "ann", "bob"}) {
        auto who = join(s, uid);
        s.subscribe(who, "t");
        block(who);
        publish(s, "t", 1, 5);
        lose_connection(s, who);
    }
    pass(s);
    CHECK(a.take().size() == 20);
    CHECK(s.core.counters().dropped_failed == 20);
    CHECK(dead(s).empty());
}

TEST_CASE("failure: attempts are counted once, and asking again costs none", "[core]") {
    alarms a;
    core_script s(with(failure_ladder(retry(3, 1s, 1), a.rung(), failure::persist{})));
    auto ann = join(s, "ann");
    s.subscribe(ann, "t");
    block(ann);
    publish(s, "t", 1, 1);
    lose_connection(s, ann);
    pass(s);
    for (int n = 0; n != 5; ++n) {
        CHECK(s.core.requeue_parked("ann", "") == 1);
        pass(s);
    }
    auto again = join(s, "ann");
    s.subscribe(again, "t");
    block(again);
    s.settle();
    lose_connection(s, again);
    pass(s);
    for (int n = 0; n != 3; ++n) {
        CHECK(a.take().empty());
        pass(s, 1s);
    }
    CHECK(a.take() == texts{"t=1 for ann: disconnected, 4 attempts, 0 suppressed"});
}

TEST_CASE("failure: memory that is short ends, also with what comes back in the way", "[core]") {
    auto p = with(failure_ladder(failure::persist{}));
    p.memory_bytes = 100'000;
    p.parking.bytes = 1'000'000;
    core_script s(p);
    auto ann = join(s, "ann");
    s.subscribe(ann, "t");
    block(ann);
    for (int n = 0; n != 10; ++n)
        s.publish("t", std::string(7000, 'x'));
    s.settle();
    lose_connection(s, ann);
    pass(s);
    auto again = join(s, "ann");
    block(again);
    s.subscribe(again, "t");
    s.settle();
    s.publish("t", std::string(60'000, 'y'));
    s.settle(); // it does
    CHECK(again->box);
}

TEST_CASE("failure: memory is taken from what is held for a handler, and from nobody else", "[core]") {
    auto p = with(failure_ladder(retry(3, 1h), failure::drop{}));
    p.memory_bytes = 100'000;
    core_script s(p);
    auto h = s.handler([](const pusher::message&) { throw 1; });
    s.subscribe(h, "t");
    auto innocent = s.session();
    s.subscribe(innocent, "u");
    block(innocent);
    s.publish("u", "x");
    for (int n = 0; n != 30; ++n) {
        s.publish("t", std::string(7000, 'x'));
        s.settle();
    }
    pass(s);
    s.publish("u", "y");
    s.settle();
    CHECK(s.core.memory() <= 100'000);
    CHECK(innocent->overflows == 0);
    CHECK(innocent->box->messages() == 2);
    CHECK(s.core.counters().dropped_memory > 0);
}

TEST_CASE("failure: a time to live goes on while a message is held", "[core]") {
    core_script s(with(failure_ladder(retry(1, 1s), failure::drop{})));
    int throws = 1;
    auto h = s.handler([&](const pusher::message&) {
        if (throws-- > 0)
            throw 1;
    });
    s.subscribe(h, "t");
    s.publish("t", "1");
    pusher::publish_options o;
    o.ttl = 900ms;
    s.core.publish("t", "2", o);
    s.settle();
    pass(s);
    pass(s, 1s);
    CHECK(h->take() == texts{"t=1", "~t=1", "!t 1"});
    CHECK(s.core.counters().dropped_expired == 1);
}

// ---- acknowledgements

namespace {

peer_ptr acknowledging(core_script& s, std::string_view uid, const failure_ladder* ladder = nullptr) {
    auto p = join(s, uid);
    pusher::subscribe_options o;
    o.acknowledge = true;
    o.on_failure = ladder;
    s.subscribe(p, "h", o);
    s.settle();
    return p;
}

void acknowledge(core_script& s, const peer_ptr& p, std::uint64_t offset) {
    error_code ec;
    s.core.acknowledge(*p, "h", offset, ec);
    CHECK(!ec);
    s.settle();
}

} // namespace

TEST_CASE("failure: what is not acknowledged in time is sent again when the ladder says so", "[core]") {
    alarms a;
    core_script s(with(failure_ladder(retry(2, 3s), a.rung(), failure::persist{}), 10));
    auto ann = acknowledging(s, "ann");
    publish(s, "h", 1, 2);
    CHECK(ann->link.frames() == texts{"h@1=1", "h@2=2"});
    pass(s, 1s); // late
    publish(s, "h", 3, 3);
    CHECK(ann->link.frames().empty()); // held behind what is tried again
    pass(s, 3s);
    CHECK(ann->link.frames() == texts{"~h@1=1", "~h@2=2", "h@3=3"});
    pass(s, 1s); // late again: 6 s
    pass(s, 5999ms);
    CHECK(ann->link.frames().empty());
    pass(s, 1ms);
    CHECK(ann->link.frames() == texts{"~h@1=1", "~h@2=2", "~h@3=3"});
    CHECK(a.take().empty());
    SECTION("the oldest is given up, and the next has its own attempts") {
        pass(s, 1s);
        CHECK(a.take() == texts{"h@1=1 for ann: not acknowledged, 3 attempts, 0 suppressed"});
        CHECK(parked(s, "ann") == texts{"h@1=1"});
        pass(s, 1s); // the second is late
        pass(s, 3s);
        CHECK(ann->link.frames() == texts{"~h@2=2", "~h@3=3"});
        acknowledge(s, ann, 3);
        pass(s, 100s);
        CHECK(ann->link.frames().empty());
        lose_connection(s, ann);
        auto again = acknowledging(s, "ann");
        CHECK(again->link.frames().empty()); // it was acknowledged after all
        CHECK(s.core.parked() == 0);
    }
    SECTION("an acknowledgement ends it") {
        acknowledge(s, ann, 2);
        pass(s, 1s);
        pass(s, 2999ms);
        CHECK(ann->link.frames().empty());
        pass(s, 1ms);
        CHECK(ann->link.frames() == texts{"~h@3=3"}); // anew: 3 s
    }
    SECTION("the connection is lost meanwhile") {
        acknowledge(s, ann, 1);
        lose_connection(s, ann);
        pass(s);
        CHECK(parked(s, "ann") == texts{"h@2=2", "h@3=3"}); // waits: a retry
        CHECK(s.core.counters().parked == 0);
        auto again = join(s, "ann");
        pusher::subscribe_options o;
        o.acknowledge = true;
        o.resume = pusher::topic_position{s.core.find_topic("h")->past()->epoch(), 1};
        s.subscribe(again, "h", o);
        s.settle();
        CHECK(again->link.frames() == texts{"h@2=2", "h@3=3"});
        CHECK(s.core.parked() == 0);
    }
}

TEST_CASE("failure: an acknowledgement counts, also of what was given up in the meantime", "[core]") {
    const failure_ladder persist{failure::persist{}};
    core_script s(with(failure_ladder(), 10));
    auto ann = join(s, "ann");
    pusher::subscribe_options o;
    o.acknowledge = true;
    o.durable = "d";
    o.on_failure = &persist;
    s.subscribe(ann, "h", o);
    publish(s, "h", 1, 2);
    for (int n = 0; n != 3; ++n)
        pass(s, 1s);
    CHECK(parked(s, "ann") == texts{"h@1=1", "h@2=2"});
    acknowledge(s, ann, 2);
    CHECK(s.core.parked() == 0);
    lose_connection(s, ann);
    auto again = join(s, "ann");
    CHECK(s.subscribe(again, "h", o).recovered == true);
    publish(s, "h", 3, 3);
    CHECK(again->link.frames().back() == "h@3=3");
}

TEST_CASE("failure: what another session has, acknowledged too, is not kept for the user", "[core]") {
    core_script s(with(failure_ladder(failure::persist{}), 10));
    auto one = acknowledging(s, "ann");
    auto two = acknowledging(s, "ann");
    publish(s, "h", 1, 3);
    acknowledge(s, two, 2);
    lose_connection(s, one);
    pass(s);
    CHECK(s.core.parked() == 0);
    CHECK(two->link.frames() == texts{"h@1=1", "h@2=2", "h@3=3"});
    lose_connection(s, two);
    pass(s);
    CHECK(parked(s, "ann") == texts{"h@3=3"});
}

TEST_CASE("failure: what comes back to who acknowledges is kept until it has", "[core]") {
    const failure_ladder persist{failure::persist{}};
    core_script s(with(failure_ladder(), 10));
    auto ann = acknowledging(s, "ann", &persist);
    publish(s, "h", 1, 2);
    lose_connection(s, ann);
    pass(s);
    CHECK(parked(s, "ann") == texts{"h@1=1", "h@2=2"});
    auto again = acknowledging(s, "ann", &persist);
    CHECK(again->link.frames() == texts{"~h@1=1", "~h@2=2"});
    acknowledge(s, again, 1);
    lose_connection(s, again);
    pass(s);
    CHECK(parked(s, "ann") == texts{"h@2=2"});
}

TEST_CASE("failure: what expires while it waits to be sent again does not stop what follows", "[core]") {
    core_script s(with(failure_ladder(retry(3, 5s), failure::persist{}), 10));
    auto ann = acknowledging(s, "ann");
    auto typed = pusher::subscribe_options();
    typed.acknowledge = true;
    typed.type = "x";
    s.subscribe(ann, "h", typed);
    pusher::publish_options o;
    o.type = "x";
    o.ttl = 1500ms;
    s.core.publish("h", "1", o);
    s.settle();
    CHECK(ann->link.frames() == texts{"h:x@1=1"});
    pass(s, 1s); // both are late, and wait
    pass(s, 5s);
    s.settle();
    publish(s, "h", 2, 2);
    pass(s, 30s);
    const auto got = ann->link.frames();
    CHECK(std::count(got.begin(), got.end(), "h@2=2") == 1);
}

TEST_CASE("failure: what a history was still to bring is kept too", "[core]") {
    auto p = with(failure_ladder(failure::persist{}), 100);
    p.acknowledgement.window = 2;
    core_script s(p);
    auto ann = acknowledging(s, "ann");
    publish(s, "h", 1, 4);
    CHECK(ann->link.frames() == texts{"h@1=1", "h@2=2"}); // the window is full
    acknowledge(s, ann, 1);
    CHECK(ann->link.frames() == texts{"h@3=3"});
    lose_connection(s, ann);
    pass(s);
    CHECK(parked(s, "ann") == texts{"h@2=2", "h@3=3", "h@4=4"});
}

TEST_CASE("failure: without a ladder what is late is sent again for ever", "[core]") {
    core_script s(with(failure_ladder(), 10));
    auto ann = acknowledging(s, "ann");
    publish(s, "h", 1, 1);
    ann->link.frames();
    for (int i = 0; i != 20; ++i) {
        pass(s, 1s);
        CHECK(ann->link.frames() == texts{"~h@1=1"});
    }
    CHECK(s.core.counters().dead_letters == 0);
}

TEST_CASE("failure: a ladder may drop what is not acknowledged; that is told", "[core]") {
    const failure_ladder drop{failure::drop{}};
    core_script s(with(failure_ladder(), 10));
    auto ann = acknowledging(s, "ann", &drop);
    publish(s, "h", 1, 2);
    ann->link.frames();
    pass(s, 1s);
    CHECK(ann->link.frames() == texts{"!h 1 1-1"});
    pass(s, 1s);
    CHECK(ann->link.frames() == texts{"!h 1 2-2"});
    CHECK(s.core.counters().dropped_failed == 2);
    CHECK(s.core.next_due() == pusher::detail::steady_time::max());
}

TEST_CASE("failure: what a durable subscription could not deliver is kept for its name alone", "[core]") {
    auto p = with(failure_ladder(failure::persist{}), 10);
    p.durable.expiry = 60s;
    core_script s(p);
    pusher::subscribe_options o;
    o.acknowledge = true;
    o.durable = "phone";
    auto phone = join(s, "ann");
    s.subscribe(phone, "h", o);
    auto laptop = join(s, "ann"); // has it, which is no matter to the phone
    s.subscribe(laptop, "h");
    publish(s, "h", 1, 1);
    CHECK(phone->link.frames() == texts{"h@1=1"});
    CHECK(laptop->link.frames() == texts{"h@1=1"});
    pass(s, 1s); // late
    REQUIRE(parked(s, "ann") == texts{"h@1=1"});
    publish(s, "h", 2, 2);
    CHECK(phone->link.frames() == texts{"h@2=2"});
    CHECK(laptop->link.frames() == texts{"h@2=2"});

    SECTION("no other session gets it") {
        auto tablet = join(s, "ann");
        s.subscribe(tablet, "h");
        o.durable = "tablet";
        auto other = join(s, "ann");
        s.subscribe(other, "h", o);
        s.core.requeue_parked("ann", {});
        s.settle();
        CHECK(tablet->link.frames().empty());
        CHECK(other->link.frames().empty());
        CHECK(laptop->link.frames().empty());
        CHECK(parked(s, "ann") == texts{"h@1=1"});
    }
    SECTION("who has the name next does, once") {
        auto next = join(s, "ann");
        s.subscribe(next, "h", o);
        s.settle();
        CHECK(next->link.frames() == texts{"~h@1=1", "~h@2=2"});
        acknowledge(s, next, 2);
        CHECK(parked(s, "ann").empty());
    }
    SECTION("requeued, it goes to who has the name") {
        CHECK(s.core.requeue_parked("ann", {}) == 1);
        s.settle();
        CHECK(phone->link.frames() == texts{"~h@1=1"});
        acknowledge(s, phone, 2);
        CHECK(parked(s, "ann").empty());
    }
    SECTION("as a dead letter it goes back there, as long as the subscription is there") {
        pass(s, p.parking.ttl);
        REQUIRE(dead(s) == texts{"h@1=1"});
        const auto number = s.core.dead_letters().front().number;
        error_code ec;
        s.core.requeue_dead_letter(number, ec);
        CHECK(!ec);
        s.settle();
        CHECK(laptop->link.frames().empty());
        CHECK(phone->link.frames() == texts{"~h@1=1"});
        pass(s, p.parking.ttl);
        REQUIRE(dead(s) == texts{"h@2=2"});
        REQUIRE(s.core.unsubscribe(*phone, "h", {}, pusher::match_mode::exact));
        s.core.requeue_dead_letter(s.core.dead_letters().back().number, ec);
        CHECK(ec == pusher::errc::not_found);
    }
    SECTION("it goes with the subscription") {
        REQUIRE(s.core.unsubscribe(*phone, "h", {}, pusher::match_mode::exact));
        CHECK(parked(s, "ann").empty());
        CHECK(dead(s).empty());
    }
    SECTION("but when nobody comes back for that, the host is told") {
        lose_connection(s, phone);
        pass(s, 60s);
        CHECK(parked(s, "ann").empty());
        CHECK(dead(s) == texts{"h@1=1"});
    }
}

TEST_CASE("failure: an acknowledgement does not count for what was never sent", "[core]") {
    core_script s(with(failure_ladder(failure::persist{}), 10));
    text_encoding small;
    small.longest = 6;
    auto ann = s.queue();
    ann->remote = true;
    s.core.attach(*ann, small, ann->link);
    s.core.bind(*ann, "ann");
    pusher::subscribe_options o;
    o.acknowledge = true;
    SECTION("plain") {}
    SECTION("durable") { o.durable = "d"; }
    s.subscribe(ann, "h", o);
    for (const auto* payload : {"1", "too long", "3"})
        s.publish("h", payload);
    s.settle();
    pass(s);
    CHECK(ann->link.frames() == texts{"h@1=1", "h@3=3"});
    acknowledge(s, ann, 3);
    CHECK(parked(s, "ann") == texts{"h@2=too long"});
    lose_connection(s, ann);
    auto wide = join(s, "ann");
    s.subscribe(wide, "h", o);
    s.settle();
    CHECK(wide->link.frames() == texts{"~h@2=too long"});
    acknowledge(s, wide, 3);
    CHECK(parked(s, "ann").empty());
}

TEST_CASE("failure: what comes back is sent again until it is acknowledged, a window at a time", "[core]") {
    auto p = with(failure_ladder(failure::persist{}), 20);
    p.acknowledgement = {4, 1s};
    core_script s(p);
    auto ann = acknowledging(s, "ann");
    publish(s, "h", 1, 6);
    lose_connection(s, ann);
    pass(s);
    CHECK(parked(s, "ann").size() == 6);
    auto again = acknowledging(s, "ann");
    publish(s, "h", 7, 7);
    CHECK(again->link.frames() == texts{"~h@1=1", "~h@2=2", "~h@3=3", "~h@4=4"});
    SECTION("the next come as acknowledgements do, before what is new") {
        acknowledge(s, again, 1);
        CHECK(again->link.frames() == texts{"~h@5=5"});
        acknowledge(s, again, 5);
        CHECK(again->link.frames() == texts{"~h@6=6", "h@7=7"});
        acknowledge(s, again, 7);
        CHECK(parked(s, "ann").empty());
    }
    SECTION("in order") {
        pass(s, 999ms);
        CHECK(again->link.frames().empty());
        pass(s, 1ms);
        CHECK(again->link.frames() == texts{"~h@1=1", "~h@2=2", "~h@3=3", "~h@4=4"});
        acknowledge(s, again, 2);
        CHECK(again->link.frames() == texts{"~h@5=5", "~h@6=6"});
        pass(s, 1s);
        CHECK(again->link.frames() == texts{"~h@3=3", "~h@4=4", "~h@5=5", "~h@6=6"});
        acknowledge(s, again, 6);
        CHECK(again->link.frames() == texts{"h@7=7"});
    }
    SECTION("what is purged, or too old, makes way") {
        CHECK(s.core.purge_parked("ann", {}) == 2); // what is out is not purged
        s.settle();
        acknowledge(s, again, 4);
        CHECK(again->link.frames() == texts{"h@7=7"});
    }
    SECTION("until it is too old") {
        for (auto passed = 0ms; passed < p.parking.ttl; passed += 1h)
            pass(s, 1h);
        pass(s, 1s);
        CHECK(dead(s).size() == 6);
        CHECK(again->link.frames().back() == "h@7=7"); // at last
    }
}

TEST_CASE("failure: what a durable subscription of a type goes on with does not fail", "[core]") {
    auto p = with(failure_ladder(failure::persist{}), 20);
    p.acknowledgement = {2, 1s};
    core_script s(p);
    pusher::subscribe_options o;
    o.acknowledge = true;
    o.type = "k";
    o.durable = "d";
    auto ann = join(s, "ann");
    s.subscribe(ann, "h", o);
    for (const auto* payload : {"1", "2", "3"})
        s.publish("h", payload, "k");
    s.settle();
    lose_connection(s, ann);
    pass(s);
    CHECK(parked(s, "ann").empty());
    auto again = join(s, "ann");
    s.subscribe(again, "h", o);
    s.settle();
    acknowledge(s, again, 2);
    CHECK(again->link.frames() == texts{"~h:k@1=1", "~h:k@2=2", "h:k@3=3"});
    CHECK(s.core.counters().dropped_failed == 0);
}

TEST_CASE("failure: a gap does not tell of what is kept", "[core]") {
    core_script s(with(failure_ladder(failure::persist{}), 5));
    auto ann = join(s, "ann");
    s.subscribe(ann, "h");
    s.settle();
    publish(s, "h", 1, 1);
    block(ann);
    publish(s, "h", 2, 4);
    lose_connection(s, ann);
    pass(s);
    REQUIRE(parked(s, "ann") == texts{"h@2=2", "h@3=3", "h@4=4"});
    publish(s, "h", 5, 12);
    auto again = join(s, "ann");
    pusher::subscribe_options o;
    o.resume = pusher::topic_position{s.core.find_topic("h")->past()->epoch(), 1};
    const auto live = texts{"h@8=8", "h@9=9", "h@10=10", "h@11=11", "h@12=12"};
    SECTION("those behind it are told") {
        CHECK(s.subscribe(again, "h", o).recovered == false);
        s.settle();
        auto expected = texts{"!h 3 5-7", "~h@2=2", "~h@3=3", "~h@4=4"};
        expected.insert(expected.end(), live.begin(), live.end());
        CHECK(again->link.frames() == expected);
    }
    SECTION("all of them are there") {
        publish(s, "h", 13, 13);
        auto other = join(s, "bob");
        s.core.purge_parked("ann", {});
        o.resume->offset = 8;
        CHECK(s.subscribe(again, "h", o).recovered == true);
        s.settle();
        CHECK(again->link.frames().size() == 5);
    }
}

TEST_CASE("failure: what waits for room in a window goes when there is some", "[core]") {
    auto p = with(failure_ladder(failure::persist{}), 20);
    p.acknowledgement = {1, 10s};
    core_script s(p);
    auto one = acknowledging(s, "ann");
    publish(s, "h", 1, 1);
    auto two = acknowledging(s, "ann");
    publish(s, "h", 2, 3);
    CHECK(two->link.frames() == texts{"h@2=2"});
    lose_connection(s, one);
    pass(s);
    REQUIRE(parked(s, "ann") == texts{"h@1=1"});
    CHECK(two->link.frames().empty()); // its window is full
    SECTION("an acknowledgement") {
        acknowledge(s, two, 2);
        CHECK(two->link.frames() == texts{"~h@1=1"});
        acknowledge(s, two, 2);
        CHECK(two->link.frames() == texts{"h@3=3"});
        CHECK(parked(s, "ann").empty());
    }
    SECTION("it does not acknowledge any more") {
        s.subscribe(two, "h");
        s.settle();
        CHECK(two->link.frames() == texts{"~h@1=1", "h@3=3"});
    }
    SECTION("it unsubscribes, and a filter goes on") {
        s.subscribe_filter(two, "#");
        REQUIRE(s.core.unsubscribe(*two, "h", {}, pusher::match_mode::exact));
        publish(s, "h", 4, 4);
        CHECK(two->link.frames() == texts{"~h@1=1", "h@4=4"});
    }
    SECTION("it leaves, and another session is here") {
        auto plain = join(s, "ann");
        s.subscribe(plain, "h");
        s.settle();
        CHECK(plain->link.frames() == texts{"~h@1=1"});
    }
}

TEST_CASE("failure: what a connection cannot carry does not keep the window full", "[core]") {
    auto p = with(failure_ladder(failure::persist{}), 20);
    p.acknowledgement = {1, 10s};
    core_script s(p);
    auto ann = acknowledging(s, "ann");
    s.publish("h", "too long");
    s.publish("h", "2");
    s.settle();
    lose_connection(s, ann);
    pass(s);
    REQUIRE(parked(s, "ann").size() == 2);
    text_encoding small;
    small.longest = 6;
    auto narrow = s.queue();
    narrow->remote = true;
    s.core.attach(*narrow, small, narrow->link);
    s.core.bind(*narrow, "ann");
    pusher::subscribe_options o;
    o.acknowledge = true;
    s.subscribe(narrow, "h", o);
    s.settle();
    CHECK(narrow->link.frames() == texts{"~h@2=2"});
    acknowledge(s, narrow, 2);
    CHECK(parked(s, "ann") == texts{"h@1=too long"});
    publish(s, "h", 3, 3);
    CHECK(narrow->link.frames() == texts{"h@3=3"});
}

TEST_CASE("failure: an acknowledgement does not count for what is still on its way out", "[core]") {
    core_script s(with(failure_ladder(failure::persist{}), 20));
    auto one = acknowledging(s, "ann");
    publish(s, "h", 1, 1);
    auto two = acknowledging(s, "ann");
    publish(s, "h", 2, 2);
    CHECK(two->link.frames() == texts{"h@2=2"});
    block(two);
    lose_connection(s, one);
    pass(s);
    REQUIRE(parked(s, "ann") == texts{"h@1=1"}); // and in the outbox
    acknowledge(s, two, 2);
    lose_connection(s, two);
    pass(s);
    CHECK(parked(s, "ann") == texts{"h@1=1"});
    auto three = acknowledging(s, "ann");
    CHECK(three->link.frames() == texts{"~h@1=1"});
}

TEST_CASE("failure: several durable subscriptions of one session have their own", "[core]") {
    auto p = with(failure_ladder(failure::persist{}), 20);
    core_script s(p);
    const auto durable = [](std::string_view name, std::string_view type) {
        pusher::subscribe_options o;
        o.acknowledge = true;
        o.durable = name;
        o.type = type;
        return o;
    };
    const auto unsubscribe = [&](const peer_ptr& from, std::string_view type) {
        REQUIRE(s.core.unsubscribe(*from, "h", type, pusher::match_mode::exact));
    };
    auto ann = join(s, "ann");
    s.subscribe(ann, "h", durable("d", "k"));
    SECTION("what another of the name asks for stays") {
        s.subscribe(ann, "h", durable("d", ""));
        s.publish("h", "x", "k");
        s.settle();
        pass(s, 1s);
        REQUIRE(parked(s, "ann") == texts{"h:k@1=x"});
        unsubscribe(ann, "k");
        CHECK(parked(s, "ann") == texts{"h:k@1=x"});
        unsubscribe(ann, "");
        CHECK(parked(s, "ann").empty());
    }
    SECTION("whichever comes first") {
        s.publish("h", "x", "k");
        s.settle();
        pass(s, 1s);
        REQUIRE(parked(s, "ann") == texts{"h:k@1=x"});
        lose_connection(s, ann);
        auto again = join(s, "ann");
        s.subscribe(again, "h", durable("other", ""));
        s.settle();
        CHECK(again->link.frames().empty());
        s.subscribe(again, "h", durable("d", "k"));
        s.settle();
        CHECK(again->link.frames() == texts{"~h:k@1=x"});
    }
}
