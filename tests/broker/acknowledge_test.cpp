// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// At least once, as peers and subscribers in process see it.

#include "broker_script.hpp"
#include "catch.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>

using namespace test;
using namespace std::chrono_literals;
using pusher::errc;
using pusher::error_code;

namespace {

pusher::broker_params with_window(std::size_t window, std::chrono::milliseconds timeout) {
    pusher::broker_params p;
    p.history.messages = 100;
    p.acknowledgement = {window, timeout};
    return p;
}

} // namespace

TEST_CASE("acknowledge: a peer gets it again until it says that it has it", "[broker]") {
    broker_script s(with_window(2, 50ms));
    client a(s);
    a.send("subscribe", R"("topic":"t","ack":true)");
    CHECK(a.heard() == texts{"ok"});
    for (int n = 1; n <= 3; ++n)
        s.broker.publish("t", std::to_string(n));
    CHECK(a.heard() == texts{"t@1=1", "t@2=2"});
    std::size_t lines = 0;
    s.run_until([&] {
        const auto got = a.peer.take_lines();
        lines += got.size();
        for (const auto& line : got)
            CHECK(line.find(R"("redelivered":true)") != std::string::npos);
        return lines >= 4; // both, twice
    });
    CHECK(s.broker.stats().redelivered >= 4);
    a.send("ack", R"("topic":"t","offset":2)", "7");
    const auto heard = a.heard();
    CHECK(std::count(heard.begin(), heard.end(), "ok 7") == 1);
    CHECK(heard.back() == "t@3=3");
    a.send("ack", R"("topic":"t","offset":3)", "8");
    CHECK(a.heard() == texts{"ok 8"});
}

TEST_CASE("acknowledge: a peer that acknowledges what it has not got is told so", "[broker]") {
    broker_script s(with_window(2, 24h));
    client a(s);
    a.send("subscribe", R"("topic":"t","ack":true)");
    a.send("ack", R"("topic":"t","offset":1)");
    a.send("ack", R"("topic":"u","offset":1)");
    a.send("ack", R"("topic":"t")");
    a.send("subscribe", R"("topic":"u/#","match":"filter","ack":true)");
    a.send("subscribe", R"("topic":"t","ack":true,"overflow":"drop_newest")");
    CHECK(
        a.heard() ==
        texts{
            "ok", "fail that offset has not been sent",
            "fail no subscription of this session to that topic acknowledges",
            "fail params.offset is missing",
            "fail params.ack needs an exact topic: what is acknowledged is an offset in one topic",
            "fail params.ack goes with the overflow \"spill\" or \"disconnect\" only: nothing of "
            "it is dropped"});
    CHECK(s.broker.stats().transports.at("tcp").bad_requests == 5);
}

TEST_CASE("acknowledge: a subscriber in process", "[broker]") {
    broker_script s(with_window(2, 50ms));
    auto subscriber = s.broker.make_subscriber();
    subscriber.subscribe("t", {.acknowledge = true});
    for (int n = 1; n <= 3; ++n)
        s.broker.publish("t", std::to_string(n));
    const auto receive = [&] {
        std::optional<pusher::pinned_message> got;
        bool done = false;
        subscriber.async_receive([&](error_code ec, pusher::delivery d) {
            CHECK(!ec);
            got = std::move(d.message);
            done = true;
        });
        s.run_until([&] { return done; });
        return *got;
    };
    CHECK((*receive()).payload() == "1");
    const auto second = receive();
    CHECK((*second).payload() == "2");
    CHECK(!(*second).redelivered());
    const auto again = receive(); // for nothing was acknowledged
    CHECK((*again).payload() == "1");
    CHECK((*again).redelivered());
    subscriber.acknowledge(*second);
    auto third = receive();
    if ((*third).payload() == "2") // it was on its way
        third = receive();
    CHECK((*third).payload() == "3");
    subscriber.acknowledge(*third);
    error_code ec;
    subscriber.acknowledge("t", 4, ec);
    CHECK(ec == errc::invalid_message);
    subscriber.acknowledge("u", 1, ec);
    CHECK(ec == errc::not_found);
    subscriber.close();
    subscriber.acknowledge("t", 3, ec);
    CHECK(ec == errc::stopped);
}

TEST_CASE("acknowledge: nothing is left to wait for once the sessions are gone", "[broker]") {
    broker_script s(with_window(2, 24h));
    {
        client a(s);
        a.send("subscribe", R"("topic":"t","ack":true)");
        CHECK(a.heard() == texts{"ok"});
        s.broker.publish("t", "1");
        CHECK(a.heard() == texts{"t@1=1"});
    }
    s.run_until([&] { return s.broker.stats().sessions == 0; });
    CHECK(s.broker.stats().subscriptions == 0);
    CHECK(s.broker.stats().redelivered == 0);
}

TEST_CASE("acknowledge: parameters out of range", "[broker]") {
    boost::asio::io_context context;
    auto p = with_window(0, 1s);
    CHECK_THROWS_AS(pusher::broker<>(context, p), std::invalid_argument);
    p = with_window(65'537, 1s);
    CHECK_THROWS_AS(pusher::broker<>(context, p), std::invalid_argument);
    p = with_window(1, 9ms);
    CHECK_THROWS_AS(pusher::broker<>(context, p), std::invalid_argument);
}

TEST_CASE("acknowledge: nothing is waited for after cancel", "[broker]") {
    broker_script s(with_window(2, 24h));
    auto subscriber = s.broker.make_subscriber();
    subscriber.subscribe("t", {.acknowledge = true});
    s.broker.publish("t", "1");
    bool received = false;
    subscriber.async_receive([&](error_code, const pusher::delivery&) { received = true; });
    s.run_until([&] { return received; });
    s.broker.cancel();
    s.context.restart();
    s.context.run(); // a deadline of the test ends it else
    CHECK(s.context.stopped());
}
