// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// An end in good order.

#include "broker_script.hpp"
#include "catch.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/error.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <utility>

using namespace test;
using namespace std::chrono_literals;
using pusher::error_code;

namespace {

/// Drains. What it completes with is kept in `result`.
void drain(broker_script& s, std::chrono::milliseconds limit, std::optional<error_code>& result) {
    s.broker.async_drain(limit, [&](error_code ec) { result = ec; });
}

/// Makes a peer one that does not read, with messages that wait for it.
void fall_behind(client& a, broker_script& s) {
    a.subscribe("t");
    a.heard();
    a.peer.pause();
    for (int n = 0; n != 5; ++n)
        s.broker.publish("t", std::to_string(n));
    s.run();
}

} // namespace

TEST_CASE(
    "drain: every session gets what is queued, and its goodbye with a hint when to come back", "[broker]") {
    pusher::broker_params p;
    p.retry_after = 100ms;
    broker_script s(std::move(p));
    client a(s);
    client b(s);
    for (auto* c : {&a, &b}) {
        c->subscribe("t");
        c->heard();
    }
    s.broker.publish("t", "last words");
    std::optional<error_code> result;
    drain(s, 10s, result);
    CHECK(s.broker.stopped());
    CHECK_FALSE(s.port.connect()); // nobody new
    s.run();
    for (auto* c : {&a, &b}) {
        const auto raw = c->peer.received();
        CHECK(c->heard() == texts{"t=last words", "close 1001 the broker is stopped, retry"});
        const auto at = raw.find("\"retry\":");
        REQUIRE(at != raw.npos);
        const auto retry = std::stoi(raw.substr(at + 8));
        CHECK(retry >= 100); // spread, so that not all come back at once
        CHECK(retry <= 200);
        c->peer.close();
    }
    s.run_until([&] { return result.has_value(); });
    CHECK_FALSE(*result);
    CHECK(s.broker.stats().sessions == 0);
}

TEST_CASE("drain: a slow session is waited for", "[broker]") {
    broker_script s;
    client a(s, 50);
    fall_behind(a, s);
    std::optional<error_code> result;
    drain(s, 10s, result);
    s.run();
    CHECK_FALSE(result);
    a.peer.resume();
    s.run_until([&] { return a.peer.received().find("close") != std::string::npos; });
    CHECK(a.heard() == texts{"t=0", "t=1", "t=2", "t=3", "t=4", "close 1001 the broker is stopped, retry"});
    a.peer.close();
    s.run_until([&] { return result.has_value(); });
    CHECK_FALSE(*result);
}

TEST_CASE("drain: what takes too long is cut off, and that is said", "[broker]") {
    broker_script s;
    client stuck(s, 50);
    stuck.subscribe("t");
    stuck.heard();
    stuck.peer.pause();
    for (int n = 0; n != 5; ++n)
        s.broker.publish("t", std::to_string(n));
    std::optional<error_code> result;
    drain(s, 100ms, result);
    s.run_until([&] { return result.has_value(); });
    CHECK(*result == boost::asio::error::timed_out);
    CHECK(s.broker.stats().sessions == 0);
    CHECK(s.broker.stats().dropped_disconnected > 0);

    // Nothing is left to do: a second one is done at once.
    result.reset();
    drain(s, 10s, result);
    s.run();
    REQUIRE(result);
    CHECK_FALSE(*result);
}

TEST_CASE("drain: cancel comes before its end, and after it there is nothing left to do", "[broker]") {
    broker_script s;
    client a(s, 50);
    fall_behind(a, s);
    std::optional<error_code> result;
    SECTION("cancelled") {
        drain(s, 10s, result);
        s.run();
        CHECK_FALSE(result);
        s.broker.cancel();
        s.run();
        CHECK(result == error_code(pusher::errc::stopped));
    }
    SECTION("done") {
        drain(s, 10s, result);
        a.peer.resume();
        s.run_until([&] { return a.peer.received().find("close") != std::string::npos; });
        a.peer.close();
        s.run_until([&] { return result.has_value(); });
        CHECK(result == error_code());
    }
    result.reset();
    drain(s, 10s, result);
    s.run();
    CHECK(result == error_code());
}

TEST_CASE("drain: one at a time; to cancel it is not to stop it", "[broker]") {
    broker_script s;
    client a(s, 50);
    fall_behind(a, s);
    boost::asio::cancellation_signal signal;
    std::optional<error_code> result;
    s.broker.async_drain(
        10s, boost::asio::bind_cancellation_slot(signal.slot(), [&](error_code ec) { result = ec; }));
    std::optional<error_code> second;
    drain(s, 10s, second);
    s.run();
    REQUIRE(second);
    CHECK(*second == pusher::errc::stopped);
    signal.emit(boost::asio::cancellation_type::terminal);
    s.run();
    CHECK(*result == boost::asio::error::operation_aborted);
    a.peer.resume();
    s.run_until([&] { return a.peer.received().find("close") != std::string::npos; });
}

TEST_CASE("drain: without sessions it is done at once, and in process all goes on", "[broker]") {
    broker_script s;
    int got = 0;
    auto handler = s.broker.subscribe("t", [&](const pusher::message&) { ++got; });
    bool ran = false;
    s.broker.async_run([&](error_code ec) { ran = !ec; });
    std::optional<error_code> result;
    drain(s, 10s, result);
    CHECK_FALSE(result);
    s.run();
    REQUIRE(result);
    CHECK_FALSE(*result);
    CHECK(ran);
    CHECK(s.broker.publish("t", "1").matched == 1);
    CHECK(got == 1);
}
