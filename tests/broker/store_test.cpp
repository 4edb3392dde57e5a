// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// Histories in a store: durable first, visible second.

#include "catch.hpp"
#include "stored_script.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/error.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace test;
using namespace std::chrono_literals;
using pusher::errc;
using pusher::error_code;
using pusher::receipt;

TEST_CASE("store: a message is delivered when it is stored, and not before", "[broker][store]") {
    simulated_disk disk(told);
    stored_script s(disk);
    REQUIRE(s.opened == error_code());
    CHECK(s.broker.has_store());
    texts got;
    auto h = s.broker.subscribe("t", [&](const pusher::message& m) { got.emplace_back(m.payload()); });
    client c(s);
    c.subscribe("t");
    CHECK(c.heard() == texts{"ok"});
    const auto later = s.publish("t", "two"); // from the event loop
    const auto direct = s.broker.publish("t", "one");
    CHECK(direct.pending);
    CHECK(!direct.error);
    CHECK(!direct.position);
    CHECK(direct.matched == 0);
    s.run();
    CHECK(disk.outstanding() == 1); // both in one batch
    CHECK(s.broker.stats().storing == 2);
    CHECK(got.empty());
    CHECK(c.heard().empty());
    CHECK(!*later);
    CHECK(s.broker.stats().published == 0);
    CHECK(disk.step());
    s.run();
    CHECK(got == texts{"one", "two"});
    CHECK(c.heard() == texts{"t@1=one", "t@2=two"});
    REQUIRE(*later);
    CHECK((*later)->matched == 2);
    CHECK((*later)->position->offset == 2);
    CHECK(!(*later)->pending);
    CHECK(s.broker.stats().storing == 0);
    CHECK(s.broker.stats().store_batches == 1);
}

TEST_CASE("store: what is not kept there does not wait for it", "[broker][store]") {
    simulated_disk disk(told);
    auto p = keeping(0);
    p.history_for = [](std::string_view topic) {
        pusher::history_params h;
        h.messages = topic == "none" ? 0 : 10;
        h.durable = topic != "memory";
        return h;
    };
    stored_script s(disk, std::move(p));
    CHECK(!s.broker.publish("none", "x").pending);
    CHECK(s.broker.publish("memory", "x").position);
    CHECK(s.broker.publish("disk", "x").pending);
    CHECK(s.broker.push_to("nobody", "disk", "x").sequence != 0);
    CHECK(s.broker.broadcast("memory", "x").position);
    CHECK(s.broker.broadcast("disk", "x").pending);
    s.settle();
    CHECK(s.all_of("disk") == texts{"1=x", "2=x"});
    CHECK(disk.contents().logs.size() == 1);
}

TEST_CASE("store: errors that are known at once are told at once", "[broker][store]") {
    simulated_disk disk(told);
    auto p = keeping(10);
    p.topics = 1;
    p.message_bytes = 10;
    p.storing_messages = 2;
    p.storing_bytes = 30;
    stored_script s(disk, std::move(p));
    CHECK(s.broker.publish("", "x").error == errc::invalid_topic);
    CHECK(s.broker.publish("t", "x", {.type = "\n"}).error == errc::invalid_type);
    CHECK(s.broker.publish("t", "01234567890").error == errc::message_too_large);
    CHECK(s.broker.publish("t", "x", {.id = std::string(256, 'x')}).error == errc::invalid_message);
    CHECK(s.broker.publish("t", "x").pending);
    CHECK(s.broker.publish("u", "x").error == errc::too_many_topics);
    const std::string key(30, 'k');
    CHECK(s.broker.publish("t", "x", {.key = key}).error == errc::queue_full);
    CHECK(s.broker.publish("t", "x").pending);
    CHECK(s.broker.publish("t", "x").error == errc::queue_full);
    s.settle();
    CHECK(s.broker.publish("t", "x").pending);
    s.settle();
    CHECK(s.all_of("t").size() == 3);
}

TEST_CASE("store: a new life goes on where the last one ended", "[broker][store]") {
    simulated_disk disk;
    std::uint64_t epoch = 0;
    {
        stored_script s(disk);
        const auto first = s.publish("a", "one");
        s.publish("b", "two");
        s.publish("a", "three");
        s.settle();
        s.broker.publish(
            "a", "four",
            {.type = "kind",
             .key = "k",
             .id = "i",
             .headers = std::vector<pusher::header>{{"n", "v"}, {"", ""}}});
        s.settle();
        epoch = (*first)->position->epoch;
    }
    stored_script s(disk);
    REQUIRE(s.opened == error_code());
    const auto next = s.publish("a", "five");
    s.settle();
    CHECK((*next)->position == pusher::topic_position{epoch, 4});
    CHECK(s.all_of("a") == texts{"1=one", "2=three", "3=four", "4=five"});
    CHECK(s.all_of("b") == texts{"1=two"});

    // Several topics that are resumed together come in the order of the life before.
    client c(s);
    for (const auto* const topic : {"b", "a"})
        c.send("subscribe", R"("history":10,"topic":")" + std::string(topic) + '"');
    CHECK(c.heard() == texts{"ok", "ok", "a@1=one", "b@1=two", "a@2=three", "a@3=four", "a@4=five"});

    client d(s);
    d.send("subscribe", R"("topic":"a","resume":{"epoch":")" + hex(epoch) + R"(","offset":2})");
    CHECK(d.heard() == texts{"ok recovered", "a@3=four", "a@4=five"});

    std::vector<pusher::pinned_message> whole;
    auto h = s.broker.subscribe(
        "a", [&](const pusher::message& m) { whole.push_back(m.pin()); }, {.type = "kind", .history = 10});
    s.run();
    REQUIRE(whole.size() == 1);
    const auto& m = *whole[0];
    CHECK(m.type() == "kind");
    CHECK(m.key() == "k");
    CHECK(m.id() == "i");
    REQUIRE(m.headers().size() == 2);
    CHECK(m.header_value("n") == "v");
    CHECK(m.receive_time() > std::chrono::system_clock::now() - 1h);
}

TEST_CASE("store: what the store refuses was never seen, and its offset is used again", "[broker][store]") {
    struct : pusher::observer {
        texts errors;
        void at_error(error_code ec, std::string_view where) override {
            errors.push_back(std::string(where) + ": " + ec.message());
        }
    } seen;
    simulated_disk disk(told);
    auto p = keeping(10);
    p.observer = &seen;
    stored_script s(disk, std::move(p));
    texts got;
    auto h = s.broker.subscribe("t", [&](const pusher::message& m) { got.emplace_back(m.payload()); });
    const auto good = s.publish("t", "good");
    s.settle();
    pusher::testing::fail_count once(0, errc::store_full);
    disk.fail_by(&once);
    const auto bad = s.publish("t", "bad");
    const auto too = s.publish("u", "bad");
    CHECK(s.broker.post_publish("t", "posted"));
    s.run();
    const auto after = s.publish("t", "after");
    s.settle();
    CHECK((*bad)->error == errc::store_full);
    CHECK((*bad)->error == pusher::condition::store_unavailable);
    CHECK((*too)->error == errc::store_full);
    CHECK(offset_of(good) == 1);
    CHECK(offset_of(after) == 2);
    CHECK((*after)->position->epoch == (*good)->position->epoch);
    CHECK(got == texts{"good", "after"});
    CHECK(
        seen.errors == texts{
                           "store: " + make_error_code(errc::store_full).message(),
                           "post_publish: " + make_error_code(errc::store_full).message()});
    CHECK(s.broker.stats().store_errors == 1);
    CHECK(s.broker.stats().store_batches == 2);
    CHECK(s.broker.stats().topics == 1); // nothing is left of the other
}

TEST_CASE(
    "store: whichever operation fails, what was answered is there in the next life", "[broker][store]") {
    for (std::size_t n = 0;; ++n) {
        INFO("operation " << n << " fails");
        simulated_disk disk;
        pusher::testing::fail_count failing(n, errc::store_failed);
        disk.fail_by(&failing);
        texts answered;
        const auto live = [&](int round) {
            stored_script s(disk, keeping(3));
            if (s.opened != error_code()) {
                CHECK(s.opened == error_code(errc::store_failed));
                CHECK(s.broker.stats().topics == 0);
                s.open(); // nothing was opened, so it may be tried again
            }
            REQUIRE(s.opened == error_code());
            for (int i = 0; i != 4; ++i) {
                const auto text = std::to_string(round) + "." + std::to_string(i);
                const auto r = s.publish("t", text);
                s.settle();
                REQUIRE(*r);
                if (!(*r)->error)
                    answered.push_back(std::to_string(offset_of(r)) + "=" + text);
            }
            const texts newest(answered.end() - 3, answered.end());
            CHECK(s.all_of("t") == newest);
        };
        live(1);
        live(2);
        live(3);
        disk.fail_by(nullptr);
        stored_script s(disk, keeping(3));
        CHECK(s.all_of("t") == texts(answered.end() - 3, answered.end()));
        CHECK(answered.size() >= 11);
        for (std::size_t i = 0; i != answered.size(); ++i)
            CHECK(answered[i].starts_with(std::to_string(i + 1) + "="));
        if (!failing.failed())
            break;
        REQUIRE(n < 1000);
    }
}

TEST_CASE("store: a crash", "[broker][store]") {
    const std::size_t kept = GENERATE(0U, 1U);
    simulated_disk disk(told);
    std::optional<stored_script> s(std::in_place, disk);
    const auto first = s->publish("t", "one");
    s->settle();
    texts seen;
    auto h = s->broker.subscribe("t", [&](const pusher::message& m) { seen.emplace_back(m.payload()); });
    const auto lost = s->publish("t", "two");
    s->run();
    disk.crash(kept);
    s.reset();
    CHECK(seen.empty());
    s.emplace(disk);
    const auto next = s->publish("t", "three");
    s->settle();
    CHECK((*next)->position->epoch == (*first)->position->epoch);
    CHECK(offset_of(next) == 2 + kept);
    CHECK(s->all_of("t") == (kept == 0 ? texts{"1=one", "2=three"} : texts{"1=one", "2=two", "3=three"}));
}

TEST_CASE("store: what one turn of the event loop publishes is one batch", "[broker][store]") {
    simulated_disk disk;
    stored_script s(disk);
    const auto before = disk.commits();
    std::function<void(int, int)> go_on = [&](int who, int left) {
        if (left == 0)
            return;
        s.broker.async_publish("t", "x", {}, [&go_on, who, left](error_code ec, const receipt&) {
            CHECK(!ec);
            go_on(who, left - 1);
        });
    };
    for (int who = 0; who != 256; ++who)
        go_on(who, 5);
    s.settle();
    CHECK(s.broker.stats().published == 1280);
    CHECK(disk.commits() - before == 5);
}

TEST_CASE("store: publishes from inside handlers, and broadcasts", "[broker][store]") {
    simulated_disk disk(told);
    {
        stored_script s(disk);
        texts got;
        auto h = s.broker.subscribe("t", [&](const pusher::message& m) {
            got.emplace_back(m.payload());
            if (m.payload() == "one")
                CHECK(s.broker.publish("t", "two").pending);
        });
        auto all = s.broker.make_subscriber(
            [&](const pusher::message& m) { got.push_back("all " + std::string(m.payload())); });
        s.broker.publish("t", "one");
        CHECK(s.broker.broadcast("t", "everyone").pending);
        s.settle();
        CHECK(got == texts{"one", "all everyone", "two"});
    }
    stored_script s(disk);
    CHECK(s.all_of("t") == texts{"1=one", "2=everyone", "3=two"});
}

TEST_CASE("store: what has left the history leaves the store, soon", "[broker][store]") {
    simulated_disk disk;
    stored_script s(disk, keeping(2));
    for (int i = 0; i != 5; ++i)
        s.publish("t", std::to_string(i));
    s.settle();
    CHECK(disk.contents().logs.at(0).first == 1);
    // One more batch takes it along; or, if nothing is published, a later one goes alone.
    SECTION("with the next batch") {
        s.publish("u", "x");
        s.settle();
        CHECK(disk.commits() == 2);
    }
    SECTION("alone") {
        s.run_until([&] { return disk.commits() == 2; });
    }
    CHECK(disk.contents().logs.at(0).first == 4);
    CHECK(disk.contents().logs.at(0).next == 6);
}

TEST_CASE("store: a history that is forgotten takes its log along", "[broker][store]") {
    simulated_disk disk;
    auto p = keeping(0);
    p.history_for = [](std::string_view topic) {
        pusher::history_params h;
        h.messages = 10;
        h.age = topic == "short" ? 200ms : 0ms; // longer than it takes to store it
        return h;
    };
    stored_script s(disk, std::move(p));
    const auto first = s.publish("short", "old");
    s.settle();
    const auto begin = std::chrono::steady_clock::now();
    while (std::chrono::steady_clock::now() - begin < 210ms) {
    }
    s.publish("long", "x"); // the end of a turn looks at what ages
    s.settle();
    CHECK(s.broker.stats().topics == 1);
    CHECK(disk.contents().logs.size() == 2);
    SECTION("soon") {
        s.run_until([&] { return disk.contents().logs.size() == 1; });
        CHECK(disk.contents().logs[0].name == "hlong");
    }
    SECTION("before there is another") {
        const auto second = s.publish("short", "new");
        s.settle();
        CHECK(offset_of(second) == 1);
        CHECK((*second)->position->epoch != (*first)->position->epoch);
        CHECK(disk.records("hshort")->size() == 1);
    }
}

TEST_CASE("store: what fails to be trimmed is trimmed later", "[broker][store]") {
    simulated_disk disk;
    stored_script s(disk, keeping(1));
    s.publish("t", "1");
    s.publish("t", "2");
    s.settle();
    pusher::testing::fail_count once(0, errc::store_failed);
    disk.fail_by(&once);
    s.publish("u", "x");
    s.settle();
    CHECK(disk.contents().logs.at(0).first == 1);
    s.publish("u", "x");
    s.settle();
    CHECK(disk.contents().logs.at(0).first == 2);
}

TEST_CASE("store: retention counts when it is opened", "[broker][store]") {
    simulated_disk disk;
    {
        stored_script s(disk, keeping(100));
        for (int i = 1; i != 6; ++i) {
            s.publish("t", std::string(10, static_cast<char>('0' + i)));
            s.publish("gone", "x");
            s.settle();
        }
        s.publish("gone", "x");
        s.settle();
    }
    auto p = keeping(100);
    const int limit = GENERATE(0, 1, 2);
    p.history_for = [limit](std::string_view topic) {
        pusher::history_params h;
        h.messages = topic == "gone" ? 0 : limit == 0 ? 2 : 100;
        if (limit == 1)
            h.bytes = 25;
        if (limit == 2)
            h.age = 1ms;
        return h;
    };
    const auto begin = std::chrono::steady_clock::now();
    while (std::chrono::steady_clock::now() - begin < 3ms) {
    }
    {
        stored_script s(disk, p);
        REQUIRE(s.opened == error_code());
        const auto got = s.all_of("t");
        CHECK(got == (limit == 2 ? texts{} : texts{"4=4444444444", "5=5555555555"}));
        const auto next = s.publish("t", "new");
        s.settle();
        if (limit != 2)
            CHECK(offset_of(next) == 6);
        const auto logs = disk.contents().logs;
        REQUIRE(logs.size() == 1); // the other was erased
        CHECK(logs[0].name.ends_with("t"));
    }
}

TEST_CASE("store: an old time to live goes on", "[broker][store]") {
    simulated_disk disk;
    {
        stored_script s(disk);
        s.broker.publish("t", "short", {.ttl = 1ms});
        s.broker.publish("t", "long", {.ttl = 1h});
        s.settle();
    }
    const auto begin = std::chrono::steady_clock::now();
    while (std::chrono::steady_clock::now() - begin < 3ms) {
    }
    stored_script s(disk);
    CHECK(s.all_of("t") == texts{"2=long"});
}

TEST_CASE("store: it is opened first, once, and alone", "[broker][store]") {
    simulated_disk disk(told);
    const auto open = [&](broker_script& s) {
        error_code result;
        s.broker.async_open(std::make_unique<simulated_store>(disk), [&](error_code ec) { result = ec; });
        do
            s.run();
        while (disk.step());
        return result;
    };
    broker_script::not_listening_tag quiet;
    SECTION("not after something was subscribed to") {
        broker_script s({}, quiet);
        auto h = s.broker.subscribe("t", [](const pusher::message&) {});
        CHECK(open(s) == errc::unsupported);
    }
    SECTION("not after something was published") {
        broker_script s({}, quiet);
        s.broker.publish("t", "x");
        CHECK(open(s) == errc::unsupported);
    }
    SECTION("not after it listens") {
        broker_script s;
        CHECK(open(s) == errc::unsupported);
        CHECK(!s.broker.has_store());
    }
    SECTION("not twice") {
        broker_script s({}, quiet);
        CHECK(!open(s));
        CHECK(open(s) == errc::unsupported);
    }
    SECTION("nothing else meanwhile") {
        broker_script s({}, quiet);
        std::optional<error_code> result;
        s.broker.async_open(std::make_unique<simulated_store>(disk), [&](error_code ec) { result = ec; });
        s.run();
        CHECK(!result);
        error_code ec;
        auto h = s.broker.subscribe("t", [](const pusher::message&) {}, {}, ec);
        CHECK(ec == errc::unsupported);
        auto who = s.broker.make_subscriber([](const pusher::message&) {});
        who.subscribe("t", {}, ec);
        CHECK(ec == errc::unsupported);
        CHECK(s.broker.publish("t", "x").error == errc::unsupported);
        CHECK(s.broker.broadcast("t", "x").error == errc::unsupported);
        CHECK(s.broker.push_to("u", "t", "x").error == errc::unsupported);
        s.broker.listen(pusher::testing::memory_params{&s.port, {}}, ec);
        CHECK(ec == errc::unsupported);
        CHECK(open(s) == errc::unsupported);
        CHECK(result == error_code());
        CHECK(s.broker.publish("t", "x").sequence == 1);
    }
    SECTION("not after the end") {
        broker_script s({}, quiet);
        s.broker.cancel();
        CHECK(open(s) == errc::stopped);
    }
    SECTION("not two at one store") {
        broker_script s({}, quiet);
        broker_script other({}, quiet);
        CHECK(!open(s));
        CHECK(open(other) == errc::store_locked);
    }
    SECTION("nor with more topics than there may be") {
        {
            stored_script s(disk);
            s.publish("a", "x");
            s.publish("b", "x");
            s.settle();
        }
        auto p = keeping(1);
        p.topics = 1;
        broker_script s(p, quiet);
        CHECK(open(s) == errc::too_many_topics);
        CHECK(s.broker.stats().topics == 0);
        CHECK(!s.broker.publish("c", "x").error);
    }
    SECTION("cancelled") {
        broker_script s({}, quiet);
        boost::asio::cancellation_signal stop;
        std::optional<error_code> result;
        s.broker.async_open(
            std::make_unique<simulated_store>(disk),
            boost::asio::bind_cancellation_slot(stop.slot(), [&](error_code ec) { result = ec; }));
        s.run();
        stop.emit(boost::asio::cancellation_type::total);
        s.run();
        CHECK(result == error_code(boost::asio::error::operation_aborted));
        CHECK(!open(s));
        CHECK(s.broker.has_store());
    }
    SECTION("or the broker is destroyed") {
        bool told_of_it = false;
        {
            broker_script s({}, quiet);
            s.broker.async_open(
                std::make_unique<simulated_store>(disk), [&](error_code) { told_of_it = true; });
            s.run();
        }
        CHECK(!told_of_it); // its event loop went with it
        CHECK(disk.outstanding() == 0);
    }
    SECTION("or the broker ends") {
        std::optional<error_code> result;
        broker_script s({}, quiet);
        s.broker.async_open(std::make_unique<simulated_store>(disk), [&](error_code ec) { result = ec; });
        s.run();
        s.broker.cancel();
        s.run();
        CHECK(result == error_code(errc::stopped));
        CHECK(disk.outstanding() == 0);
    }
}

TEST_CASE("store: by its parameters", "[broker][store]") {
    simulated_disk disk;
    boost::asio::io_context context;
    pusher::broker<pusher::transport::none, simulated_store> broker(context, keeping(1));
    std::optional<error_code> result;
    broker.async_open({&disk}, [&](error_code ec) { result = ec; });
    context.run();
    CHECK(result == error_code());
    CHECK(broker.publish("t", "x").pending);
    context.restart();
    context.run();
    CHECK(disk.contents().logs.size() == 1);
}

TEST_CASE("store: damage is found when it is opened", "[broker][store]") {
    simulated_disk disk;
    {
        stored_script s(disk);
        for (int i = 0; i != 3; ++i) {
            s.publish("t", "x", std::to_string(i));
            s.settle();
        }
    }
    auto& records = *disk.records("ht");
    pusher::store_batch more;
    auto expected = errc::store_corrupt;
    SECTION("a record that is cut") { records[1].bytes.pop_back(); }
    SECTION("a record that is longer") { records[1].bytes += 'x'; }
    SECTION("a record that is empty") { records[1].bytes.clear(); }
    SECTION("of another version") {
        records[1].bytes[0] = '\2';
        expected = errc::store_foreign;
    }
    SECTION("a record that counts wrong") { records[2].count = 2; }
    SECTION("a record that is not there") { records.erase(records.begin() + 1); }
    SECTION("the last is not there") { records.pop_back(); }
    SECTION("twice the same") { records[1].bytes = records[0].bytes; }
    SECTION("a log of something else") {
        more.create_log("x", "");
        expected = errc::store_foreign;
    }
    SECTION("a value") {
        more.put("x", "");
        expected = errc::store_foreign;
    }
    SECTION("of another version") {
        more.create_log("hu", "\2");
        expected = errc::store_foreign;
    }
    SECTION("without an epoch") { more.create_log("hu", "\1"); }
    SECTION("no topic") { more.create_log("h", std::string("\1xxxxxxxx")); }
    REQUIRE(!disk.change(more));
    stored_script s(disk);
    CHECK(s.opened == error_code(expected));
    CHECK(!s.broker.has_store());
    CHECK(s.broker.stats().topics == 0);
    CHECK(s.broker.publish("t", "x").position->offset == 1); // in memory, if the host wants to go on
}

TEST_CASE("store: a log that nothing was written to is begun anew", "[broker][store]") {
    simulated_disk disk;
    pusher::store_batch b;
    b.create_log("ht", std::string("\1xxxxxxxx"));
    REQUIRE(!disk.change(b));
    stored_script s(disk);
    REQUIRE(s.opened == error_code());
    const auto r = s.publish("t", "x");
    s.settle();
    CHECK(offset_of(r) == 1);
    CHECK(disk.records("ht")->size() == 1);
}

TEST_CASE("store: a publisher that waits until it may write waits for the store too", "[broker][store]") {
    simulated_disk disk(told);
    auto p = keeping(10);
    p.storing_messages = 4;
    stored_script s(disk, std::move(p));
    s.broker.publish("t", "1");
    s.broker.publish("t", "2");
    s.run();
    CHECK(s.broker.writable());
    s.broker.publish("t", "3");
    CHECK(!s.broker.writable());
    std::optional<error_code> writable;
    s.broker.async_wait_writable([&](error_code ec) { writable = ec; });
    s.run();
    CHECK(!writable);
    disk.step();
    s.run();
    CHECK(writable == error_code());
}

TEST_CASE("store: the end of the broker", "[broker][store]") {
    simulated_disk disk(told);
    std::optional<stored_script> s(std::in_place, disk);
    const auto under_way = s->publish("t", "one");
    s->run();
    const auto waits = s->publish("t", "two");
    s->run();
    SECTION("by cancel") {
        s->broker.cancel();
        CHECK(s->broker.publish("t", "x").error == errc::stopped);
        CHECK(s->broker.publish("t2", "x").error == errc::stopped);
        s->run();
        CHECK((*under_way)->error == errc::stopped);
        CHECK((*waits)->error == errc::stopped);
        CHECK(disk.outstanding() == 0);
        CHECK(!s->broker.has_store());
    }
    SECTION("by its destruction") { s.reset(); }
    SECTION("in good order") {
        std::optional<error_code> drained;
        s->broker.async_drain(1h, [&](error_code ec) { drained = ec; });
        s->run();
        CHECK(!drained);
        disk.step();
        s->run();
        CHECK((*under_way)->position);
        CHECK(!drained);
        s->settle();
        CHECK((*waits)->position);
        CHECK(drained == error_code());
    }
    SECTION("by a handler, in the middle of a batch") {
        texts got;
        auto h = s->broker.subscribe("t", [&](const pusher::message& m) {
            got.emplace_back(m.payload());
            s->broker.publish("t", "more");
            s->broker.cancel();
        });
        const auto third = s->publish("t", "three");
        s->settle();
        CHECK((*under_way)->position);
        CHECK((*waits)->error == errc::stopped);
        CHECK((*third)->error == errc::stopped);
        CHECK(got == texts{"one"});
    }
    s.reset();
    CHECK(disk.outstanding() == 0);
}

TEST_CASE("store: histories give way where memory is short, in the store too", "[broker][store]") {
    simulated_disk disk;
    auto p = keeping(10'000);
    p.memory_bytes = 1024 * 1024;
    std::size_t kept = 0;
    {
        stored_script s(disk, p);
        for (int i = 0; i != 3000; ++i) {
            s.broker.publish("t", std::string(1000, 'x'));
            if (i % 100 == 0)
                s.settle();
        }
        s.settle();
        CHECK(s.broker.stats().memory_bytes <= p.memory_bytes);
        kept = s.all_of("t").size();
        CHECK(kept > 200);
        s.publish("u", "x");
        s.settle();
        CHECK(disk.record_bytes() < 2 * p.memory_bytes);
    }
    stored_script s(disk, p);
    CHECK(s.broker.stats().memory_bytes <= p.memory_bytes);
    CHECK(s.all_of("t").size() > 200);
}
