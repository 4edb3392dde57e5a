// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// What a store keeps besides histories: durable subscriptions, parked messages, dead letters.

#include "stored_script.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>

using namespace test;
using namespace std::chrono_literals;
using pusher::errc;
using pusher::failure_ladder;
namespace failure = pusher::failure;

namespace {

/// Whoever shows a token is the user of that name. Topics that begin with `h` keep a history.
pusher::broker_params with(failure_ladder ladder = {}) {
    pusher::broker_params p;
    p.history_for = [](std::string_view topic) {
        return pusher::history_params{topic.starts_with('h') ? std::size_t{100} : 0};
    };
    p.on_failure = std::move(ladder);
    p.authenticate = [](const pusher::authentication_request& r,
                        const pusher::authentication_answer& answer) {
        answer(
            r.token.empty() ? pusher::authentication_result::later()
                            : pusher::authentication_result::identified(std::string(r.token)));
    };
    return p;
}

void log_in(stored_script& s, client& c, std::string_view uid) {
    c.send("auth", R"("token":")" + std::string(uid) + '"');
    s.settle();
    CHECK(c.heard() == texts{"ok"});
}

/// `topic=payload attempts`
texts parked(const stored_script& s, std::string_view uid) {
    texts found;
    s.broker.for_each_parked(uid, [&](const pusher::parked_message& p) {
        found.push_back(
            std::string(p.what.topic()) + "=" + std::string(p.what.payload().substr(0, 3)) +
            (p.waits ? " waits" : ""));
    });
    return found;
}

texts dead(const stored_script& s) {
    texts found;
    s.broker.for_each_dead_letter([&](const pusher::dead_letter& d) {
        found.push_back(
            std::string(d.who.uid) + " " + std::string(d.what.topic()) + "=" +
            std::string(d.what.payload().substr(0, 3)) + " " + std::to_string(d.attempts));
    });
    return found;
}

/// A user whose connection takes nothing of three messages, two of them with a history, and is lost.
void miss(stored_script& s, std::string_view uid) {
    client a(s, 1000);
    log_in(s, a, uid);
    a.subscribe("h");
    a.subscribe("t");
    s.settle();
    CHECK(a.heard() == texts{"ok", "ok"});
    a.peer.pause();
    const std::string big(2000, '.'); // fills what may be on its way
    s.publish("t", "0  " + big);
    s.settle();
    s.publish("t", "1  " + big);
    for (const auto* payload : {"2  ", "3  "})
        s.publish("h", payload + big);
    s.settle();
    a.peer.close();
    s.settle();
}

/// The failed ones have climbed their ladders by then.
void climb(stored_script& s, std::uint64_t parked_or_dead) {
    s.run_until([&] { return s.broker.stats().parked + s.broker.stats().dead_letters >= parked_or_dead; });
    s.settle();
}

} // namespace

TEST_CASE("stored state: what is parked is there in the next life, and comes first", "[broker][store]") {
    simulated_disk disk;
    {
        stored_script s(disk, with(failure_ladder(failure::persist{})));
        miss(s, "ann");
        climb(s, 3);
        CHECK(parked(s, "ann") == texts{"t=1  ", "h=2  ", "h=3  "});
    }
    disk.crash();
    stored_script s(disk, with(failure_ladder(failure::persist{})));
    REQUIRE(s.opened == pusher::error_code());
    CHECK(s.broker.stats().parked_messages == 3);
    CHECK(parked(s, "ann").size() == 3);
    s.publish("h", "4");
    s.settle();
    client a(s);
    log_in(s, a, "ann");
    a.subscribe("t");
    a.subscribe("h");
    s.settle();
    s.publish("h", "5");
    s.settle();
    const auto heard = a.heard();
    REQUIRE(heard.size() == 6);
    CHECK(heard[0] == "ok");
    CHECK(heard[1] == "ok");
    CHECK(heard[2].starts_with("t=1  "));
    CHECK(heard[3].starts_with("h@1=2  "));
    CHECK(heard[4].starts_with("h@2=3  "));
    CHECK(heard[5] == "h@4=5");
    CHECK(s.broker.stats().parked_messages == 0);
    // Then it is there no more.
    s.settle();
    disk.crash();
    stored_script third(disk, with());
    CHECK(third.broker.stats().parked_messages == 0);
}

TEST_CASE(
    "stored state: dead letters are there in the next life, and so is what was purged not",
    "[broker][store]") {
    simulated_disk disk;
    {
        stored_script s(disk, with(failure_ladder(failure::alarm{[](const pusher::failed_delivery&) {}})));
        miss(s, "ann");
        climb(s, 3);
        CHECK(dead(s) == texts{"ann t=1   1", "ann h=2   1", "ann h=3   1"});
        std::uint64_t first = 0;
        s.broker.for_each_dead_letter(
            [&](const pusher::dead_letter& d) { first = first == 0 ? d.number : first; });
        CHECK(s.broker.purge_dead_letters(first) == 1);
        s.settle();
    }
    disk.crash();
    stored_script s(disk, with());
    CHECK(dead(s) == texts{"ann h=2   1", "ann h=3   1"});
    std::uint64_t last = 0;
    s.broker.for_each_dead_letter([&](const pusher::dead_letter& d) { last = d.number; });
    CHECK(s.broker.requeue_dead_letter(last));
    s.settle();
    disk.crash();
    stored_script third(disk, with());
    CHECK(dead(third) == texts{"ann h=2   1"});
    CHECK(parked(third, "ann") == texts{"h=3  "});
    // Numbers are not given again.
    CHECK(third.broker.requeue_dead_letter(last) == false);
}

TEST_CASE("stored state: a durable subscription goes on in the next life", "[broker][store]") {
    simulated_disk disk;
    const auto subscribe = R"("topic":"h","ack":true,"durable":"d")";
    {
        stored_script s(disk, with());
        client a(s);
        log_in(s, a, "ann");
        a.send("subscribe", subscribe);
        s.settle();
        CHECK(a.heard() == texts{"ok"});
        for (const auto* payload : {"1", "2", "3"})
            s.publish("h", payload);
        s.settle();
        CHECK(a.heard() == texts{"h@1=1", "h@2=2", "h@3=3"});
        a.send("ack", R"("topic":"h","offset":2)");
        s.settle();
        s.publish("h", "4"); // takes the acknowledgement along
        s.settle();
    }
    disk.crash();
    {
        stored_script s(disk, with());
        CHECK(s.broker.stats().durable_subscriptions == 1);
        s.publish("h", "5");
        s.settle();
        client a(s);
        log_in(s, a, "ann");
        a.send("subscribe", subscribe);
        s.settle();
        CHECK(a.heard() == texts{"ok recovered", "h@3=3", "h@4=4", "h@5=5"});
        a.send("ack", R"("topic":"h","offset":5)");
        s.settle();
        s.publish("h2", "x"); // takes it along
        s.settle();
        a.send("unsubscribe", R"("topic":"h")");
        s.settle();
    }
    disk.crash();
    stored_script s(disk, with());
    CHECK(s.broker.stats().durable_subscriptions == 0);
}

TEST_CASE("stored state: a durable subscription is answered when it is stored", "[broker][store]") {
    simulated_disk disk(told);
    stored_script s(disk, with());
    client a(s);
    log_in(s, a, "ann");
    const auto subscribe = R"("topic":"h","ack":true,"durable":"d")";
    struct broken {
        pusher::error_code next() const { return fails ? errc::store_full : pusher::error_code(); }
        bool fails = false;
    } full;
    disk.fail_by(&full);

    SECTION("and before anything that it brings") {
        a.send("subscribe", subscribe);
        a.send("ping");
        s.run();
        s.broker.publish("h2", "x"); // to be stored behind it
        s.publish("h", "1");
        s.run();
        CHECK(a.heard().empty());
        REQUIRE(disk.step());
        s.run();
        CHECK(a.heard() == texts{"ok", "ok"});
        s.settle();
        CHECK(a.heard() == texts{"h@1=1"});
        disk.crash();
        stored_script next(disk, with());
        CHECK(next.broker.stats().durable_subscriptions == 1);
    }
    SECTION("what is stored already is answered at once") {
        a.send("subscribe", subscribe);
        s.settle();
        CHECK(a.heard() == texts{"ok"});
        a.peer.close();
        s.settle();
        client b(s);
        log_in(s, b, "ann");
        full.fails = true;
        b.send("subscribe", subscribe);
        s.run();
        CHECK(b.heard() == texts{"ok recovered"});
    }
    SECTION("where it cannot be stored, there is none") {
        full.fails = true;
        a.send("subscribe", subscribe);
        s.settle();
        CHECK(a.heard() == texts{"fail the store is full"});
        CHECK(s.broker.stats().durable_subscriptions == 0);
        full.fails = false;
        s.publish("h", "1");
        s.settle();
        CHECK(a.heard().empty());
        a.send("subscribe", subscribe); // it may ask again
        s.settle();
        CHECK(a.heard() == texts{"ok"});
        s.publish("h", "2");
        s.settle();
        CHECK(a.heard() == texts{"h@2=2"});
    }
    SECTION("who leaves, or loses it to another, before that is no matter") {
        client b(s);
        log_in(s, b, "ann");
        a.send("subscribe", subscribe);
        s.run();
        b.send("subscribe", subscribe);
        s.run();
        SECTION("both are here") {}
        SECTION("one left") { a.peer.close(); }
        SECTION("the other left") { b.peer.close(); }
        SECTION("both left") { // nobody was told that there is one
            a.peer.close();
            b.peer.close();
            s.settle();
            s.publish("h", "1");
            s.settle();
            client c(s);
            log_in(s, c, "ann");
            c.send("subscribe", subscribe);
            s.settle();
            CHECK(c.heard() == texts{"ok"});
            return;
        }
        s.settle();
        s.publish("h", "1");
        s.settle();
        CHECK(s.broker.stats().durable_subscriptions == 1);
        client c(s);
        log_in(s, c, "ann");
        c.send("subscribe", subscribe);
        s.settle();
        const auto heard = c.heard();
        REQUIRE(heard.size() == 2);
        CHECK(heard[0] == "ok recovered");
        CHECK(heard[1].ends_with("h@1=1"));
    }
    SECTION("where it cannot be stored, what was there before stays") {
        a.send("subscribe", subscribe);
        s.settle();
        CHECK(a.heard() == texts{"ok"});
        full.fails = true;
        const auto other = R"("topic":"h","ack":true,"durable":"other")";
        a.send("subscribe", other); // would replace it
        s.settle();
        CHECK(a.heard() == texts{"fail the store is full"});
        client b(s);
        log_in(s, b, "ann");
        b.send("subscribe", R"("topic":"h2","ack":true,"durable":"d")"); // would take it over
        s.settle();
        CHECK(b.heard() == texts{"fail the store is full"});
        full.fails = false;
        s.publish("h", "1");
        s.settle();
        CHECK(a.heard() == texts{"h@1=1"});
        CHECK(s.broker.stats().durable_subscriptions == 1);
        a.send("subscribe", other);
        s.settle();
        CHECK(a.heard() == texts{"ok"});
        CHECK(s.broker.stats().durable_subscriptions == 1);
    }
    SECTION("what its peer publishes behind it comes to it") {
        a.send("subscribe", subscribe);
        a.send("publish", R"("topic":"h","payload":"1")");
        s.settle();
        CHECK(a.heard() == texts{"ok", "ok matched 1", "h@1=1"});
    }
    SECTION("who waits for one that cannot be stored has its own try") {
        client b(s);
        log_in(s, b, "ann");
        full.fails = true;
        a.send("subscribe", subscribe);
        s.run();
        b.send("subscribe", subscribe);
        s.run();
        REQUIRE(disk.step());
        full.fails = false;
        s.settle();
        CHECK(a.heard() == texts{"fail the store is full"});
        CHECK(b.heard() == texts{"ok"});
        disk.crash();
        stored_script next(disk, with());
        CHECK(next.broker.stats().durable_subscriptions == 1);
    }
    SECTION("a broker that ends meanwhile") {
        a.send("subscribe", subscribe);
        s.run();
        s.broker.cancel();
        s.settle();
    }
}

TEST_CASE(
    "stored state: what was parked comes in order, whatever its history has forgotten", "[broker][store]") {
    simulated_disk disk;
    const auto params = [] {
        auto p = with(failure_ladder(failure::persist{}));
        p.history_for = [](std::string_view topic) {
            return pusher::history_params{topic.starts_with('h') ? std::size_t{5} : 0};
        };
        return p;
    };
    const auto subscribe = R"("topic":"h","ack":true)";
    {
        stored_script s(disk, params());
        client a(s);
        log_in(s, a, "ann");
        a.send("subscribe", subscribe);
        s.settle();
        s.publish("h", "1");
        s.settle();
        s.broker.push_to("ann", "t", "pushed");
        for (const auto* payload : {"2", "3", "4"})
            s.publish("h", payload);
        s.settle();
        a.peer.close();
        s.settle();
        climb(s, 4);
        s.broker.push_to("ann", "t", "pushed when she was away");
        climb(s, 5);
        for (const auto* payload : {"5", "6", "7"})
            s.publish("h", payload);
        s.settle();
        CHECK(parked(s, "ann") == texts{"h=1", "h=2", "h=3", "h=4", "t=pus"});
    }
    for (int life = 0; life != 2; ++life) {
        disk.crash();
        stored_script s(disk, params());
        CHECK(
            parked(s, "ann") ==
            texts{"h=1", "h=2", "t=pus", "h=3", "h=4"}); // by what is in a history, and not
    }
    stored_script s(disk, params());
    client a(s);
    a.send("auth", R"("token":"ann")");
    s.settle();
    CHECK(a.heard() == texts{"ok", "t=pushed when she was away"});
    a.send("subscribe", subscribe);
    s.settle();
    CHECK(a.heard() == texts{"ok", "h@1=1", "h@2=2", "h@3=3", "h@4=4"});
}

TEST_CASE(
    "stored state: a durable subscription that nobody comes back for ends in the next life",
    "[broker][store]") {
    simulated_disk disk;
    auto p = with();
    p.durable.expiry = 1s;
    const auto subscribe = R"("topic":"h","ack":true,"durable":"d")";
    {
        stored_script s(disk, p);
        client a(s);
        log_in(s, a, "ann");
        a.send("subscribe", subscribe);
        s.settle();
        CHECK(a.heard() == texts{"ok"});
    }
    disk.crash();
    {
        stored_script s(disk, p);
        s.run_until([&] { return s.broker.stats().store_batches != 0; }); // when it was left is stored
    }
    disk.crash();
    stored_script s(disk, p);
    const auto since = std::chrono::steady_clock::now();
    s.run_until([&] { return s.broker.stats().durable_subscriptions == 0; }); // though nothing else happens
    CHECK(std::chrono::steady_clock::now() - since < 30s);
}

TEST_CASE("stored state: what waits for its user, or has left its history, is kept too", "[broker][store]") {
    simulated_disk disk;
    const bool waits = GENERATE(false, true);
    int climbed = 0;
    const failure::alarm count{[&](const pusher::failed_delivery&) { ++climbed; }, 0ms};
    const auto ladder =
        waits ? failure_ladder(count, failure::retry{.attempts = 3, .delay = 1h}, failure::persist{})
              : failure_ladder(count, failure::persist{});
    {
        stored_script s(disk, with(ladder));
        miss(s, "ann");
        s.run_until([&] { return climbed == 3; });
        s.settle();
        CHECK(parked(s, "ann").front().ends_with("waits") == waits);
        for (int n = 0; n != 120; ++n) // the history keeps 100
            s.publish("h", "x");
        s.settle();
    }
    disk.crash();
    stored_script s(disk, with(ladder));
    REQUIRE(s.opened == pusher::error_code());
    CHECK(parked(s, "ann") == texts{"t=1  ", "h=2  ", "h=3  "});
    client a(s);
    log_in(s, a, "ann");
    a.subscribe("h");
    a.subscribe("t");
    s.settle();
    const auto heard = a.heard();
    REQUIRE(heard.size() == 5);
    const auto has = [&](std::string_view text) {
        return std::any_of(heard.begin(), heard.end(), [&](const auto& h) { return h.starts_with(text); });
    };
    CHECK(has("h@1=2  "));
    CHECK(has("h@2=3  "));
    CHECK(has("t=1  "));
}

TEST_CASE("stored state: what was sent before is marked in the next life", "[broker][store]") {
    simulated_disk disk;
    const auto subscribe = R"("topic":"h","ack":true,"durable":"d")";
    {
        stored_script s(disk, with());
        client a(s);
        log_in(s, a, "ann");
        a.send("subscribe", subscribe);
        s.settle();
        s.publish("h", "1");
        s.settle();
        CHECK(a.heard() == texts{"ok", "h@1=1"});
        // Alone, a little later; or with what is published.
        s.publish("h2", "x");
        s.settle();
    }
    disk.crash();
    stored_script s(disk, with());
    client a(s);
    log_in(s, a, "ann");
    a.send("subscribe", subscribe);
    s.settle();
    const auto lines = a.peer.take_lines();
    REQUIRE(lines.size() == 2);
    CHECK(lines[1].find(R"("redelivered":true)") != std::string::npos);
}

TEST_CASE("stored state: what waits for a user when the broker ends is kept", "[broker][store]") {
    simulated_disk disk;
    {
        stored_script s(disk, with(failure_ladder(failure::retry{}, failure::persist{})));
        std::optional<client> stuck(std::in_place, s, 1000);
        log_in(s, *stuck, "ann");
        stuck->subscribe("t");
        s.settle();
        CHECK(stuck->heard() == texts{"ok"});
        stuck->peer.pause();
        for (const auto* payload : {"0  ", "1  ", "2  "})
            s.publish("t", payload + std::string(2000, '.'));
        s.settle();
        bool lost = false;
        SECTION("its connection was lost before") {
            stuck->peer.close();
            s.settle();
            lost = true;
        }
        SECTION("it takes nothing until the end") {}
        CHECK(parked(s, "ann").size() == (lost ? 2 : 0));
        std::optional<pusher::error_code> drained;
        s.broker.async_drain(lost ? 10s : 50ms, [&](pusher::error_code ec) { drained = ec; });
        s.run_until([&] {
            disk.step();
            return drained.has_value();
        });
        CHECK((*drained == pusher::error_code()) == lost);
    }
    stored_script s(disk, with());
    CHECK(parked(s, "ann") == texts{"t=1  ", "t=2  "});
}

TEST_CASE(
    "stored state: a drain ends, and says so, when the store does not take what is left", "[broker][store]") {
    simulated_disk disk;
    stored_script s(disk, with(failure_ladder(failure::persist{})));
    client a(s);
    log_in(s, a, "ann");
    a.send("subscribe", R"("topic":"h","ack":true)");
    s.settle();
    s.publish("h", "1");
    s.settle();
    struct broken {
        pusher::error_code next() const { return errc::store_full; }
    } full;
    disk.fail_by(&full);
    const auto errors = s.broker.stats().store_errors;
    std::optional<pusher::error_code> drained;
    s.broker.async_drain(1h, [&](pusher::error_code ec) { drained = ec; });
    s.run_until([&] {
        disk.step();
        return drained.has_value();
    });
    CHECK(drained == pusher::make_error_code(errc::store_failed));
    CHECK(s.broker.stats().store_errors - errors <= 3); // it is not tried for ever
}

TEST_CASE("stored state: a store that fails for a while loses nothing of it", "[broker][store]") {
    simulated_disk disk;

    stored_script s(disk, with(failure_ladder(failure::persist{})));
    client a(s, 1000);
    log_in(s, a, "ann");
    a.subscribe("t");
    s.settle();
    CHECK(a.heard() == texts{"ok"});
    a.peer.pause();
    for (const auto* payload : {"0  ", "1  "})
        s.publish("t", payload + std::string(2000, '.'));
    s.settle();
    struct broken {
        pusher::error_code next() const { return errc::store_full; }
    } full;
    disk.fail_by(&full);
    a.peer.close();
    s.settle();
    climb(s, 1);
    CHECK(s.broker.stats().store_errors >= 1);
    CHECK(parked(s, "ann").size() == 1); // the hub goes on
    disk.fail_by(nullptr);
    s.publish("h", "x");
    s.settle();
    disk.crash();
    stored_script next(disk, with());
    CHECK(parked(next, "ann") == texts{"t=1  "});
}

TEST_CASE("stored state: what is damaged, or of a newer version, is refused", "[broker][store]") {
    const auto opened = [](std::string_view key, std::string_view value) {
        simulated_disk disk;
        {
            simulated_store store(disk);
            store.open([](pusher::error_code, const pusher::store_contents&) {});
            pusher::store_batch batch;
            batch.put(key, value);
            store.commit(batch, [](pusher::error_code) {});
            store.close();
        }
        stored_script s(disk, with());
        return *s.opened;
    };
    using namespace std::string_view_literals;
    CHECK(opened("?"sv, "\1"sv) == errc::store_foreign);
    CHECK(opened("s"sv, "\2"sv) == errc::store_foreign);
    CHECK(opened("p\0\0\0\0\0\0\0\1"sv, "\2"sv) == errc::store_foreign);
    CHECK(opened(""sv, "\1"sv) == errc::store_corrupt);
    CHECK(opened("s"sv, "\1"sv) == errc::store_corrupt);
    CHECK(opened("p"sv, "\1"sv) == errc::store_corrupt);
    CHECK(opened("d\0\0\0\0\0\0\0\1"sv, "\1"sv) == errc::store_corrupt);
}
