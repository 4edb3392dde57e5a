// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// How one publishes: receipts, from other threads, and not faster than the sessions can take.

#include "broker_script.hpp"
#include "catch.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>

using namespace test;
using namespace std::chrono_literals;
using pusher::errc;
using pusher::error_code;

TEST_CASE("publishers: a receipt counts those for whom the message is, once each", "[broker]") {
    broker_script s({.history = {.messages = 10}});
    client a(s);
    a.subscribe("t");
    a.send("subscribe", R"("topic":"#","match":"filter")");
    a.heard();
    auto handler = s.broker.subscribe("t", [](const pusher::message&) {});
    auto broken = s.broker.subscribe("t", [](const pusher::message&) { throw 1; });
    auto queue = s.broker.make_subscriber();
    queue.subscribe("t");
    auto behind = s.broker.make_subscriber();
    behind.subscribe("t", {.history = 1});
    const auto r = s.broker.publish("t", "1");
    CHECK(r);
    CHECK(r.matched == 5);
    CHECK(r.sequence == 1);
    CHECK(r.position->offset == 1);
    const auto next = s.broker.publish("u", "2");
    CHECK(next.matched == 1);
    CHECK(next.sequence == 2);
    CHECK(next.position->offset == 1);

    const auto bad = s.broker.publish("", "3");
    CHECK(bad.error == errc::invalid_topic);
    CHECK_FALSE(bad);
    CHECK(bad.matched == 0);
    CHECK(bad.sequence == 0);
    CHECK_FALSE(bad.position);
    CHECK(s.broker.publish("t", "4").sequence == 3);
}

TEST_CASE("publishers: post_publish comes from the event loop, in order, and is bounded", "[broker]") {
    pusher::broker_params p;
    p.posted_messages = 3;
    p.posted_bytes = 20;
    broker_script s(std::move(p));
    texts got;
    auto handler = s.broker.subscribe("t", [&](const pusher::message& m) { got.emplace_back(m.payload()); });
    std::string payload = "1";
    CHECK(s.broker.post_publish("t", payload));
    payload = "2"; // the bytes were copied
    CHECK(s.broker.post_publish("t", payload));
    CHECK(got.empty());
    CHECK(s.broker.post_publish("t", "3"));
    CHECK_FALSE(s.broker.post_publish("t", "one too many"));
    s.run();
    CHECK(got == texts{"1", "2", "3"});
    CHECK_FALSE(s.broker.post_publish("t", "more than twenty bytes"));
    CHECK(s.broker.post_publish("t", "4"));
    s.run();
    CHECK(got.back() == "4");
}

TEST_CASE("publishers: what is posted arrives whole", "[broker]") {
    pusher::broker_params p;
    p.message_bytes = 4 * 1024 * 1024;
    broker_script s(std::move(p));
    texts got;
    const auto handler = s.broker.subscribe("a/b", [&](const pusher::message& m) {
        std::string text;
        for (const auto part : {m.topic(), m.type(), m.key(), m.id(), m.payload()})
            text.append(part).append("|");
        for (const auto& h : m.headers())
            text.append(h.name).append("=").append(h.value).append("|");
        got.push_back(text + std::to_string(m.ttl().count()));
    });
    const std::string long_value(300, 'v');
    const std::vector<pusher::header> headers{{"one", "1"}, {"", ""}, {"long", long_value}};
    const std::string binary("\0\xFF\n", 3);
    const std::string large(3 * 1024 * 1024, 'x');
    for (int round = 0; round != 3; ++round) { // rooms are used again
        CHECK(s.broker.post_publish("a/b", binary, {"type", "key", "id", headers, std::chrono::seconds(1)}));
        CHECK(s.broker.post_publish("a/b", ""));
        CHECK(s.broker.post_publish("a/b", large, {.key = "k"}));
        CHECK(s.broker.post_publish("a/b", "last"));
        s.run();
        CHECK(
            got == texts{
                       "a/b|type|key|id|" + binary + "|one=1|=|long=" + long_value + "|1000", "a/b|||||0",
                       "a/b||k||" + large + "|0", "a/b||||last|0"});
        got.clear();
    }
}

TEST_CASE("publishers: what was posted and cannot be published is told to the observer", "[broker]") {
    struct recording : pusher::observer {
        void at_error(error_code ec, std::string_view where) override {
            errors.push_back(std::string(where) + ": " + ec.message());
        }
        texts errors;
    } seen;
    pusher::broker_params p;
    p.observer = &seen;
    broker_script s(std::move(p));
    CHECK(s.broker.post_publish("", "1"));
    s.run();
    CHECK(seen.errors == texts{"post_publish: invalid topic"});
}

TEST_CASE("publishers: async_publish completes with the receipt", "[broker]") {
    broker_script s;
    int got = 0;
    auto handler = s.broker.subscribe("t", [&](const pusher::message&) { ++got; });
    texts log;
    auto note = [&](error_code ec, const pusher::receipt& r) {
        log.push_back(ec ? ec.message() : "matched " + std::to_string(r.matched));
        CHECK(r.error == (ec == boost::asio::error::operation_aborted ? error_code() : ec));
    };
    s.broker.async_publish("t", "1", {}, note);
    s.broker.async_publish("", "2", {}, note);
    CHECK(log.empty());
    s.run();
    CHECK(log == texts{"matched 1", "invalid topic"});

    SECTION("on the broker's executor it is published at once, and completes later") {
        boost::asio::post(s.context, [&] {
            s.broker.async_publish("t", "3", {}, note);
            CHECK(got == 2);
            CHECK(log.size() == 2);
        });
        s.run();
        CHECK(log.back() == "matched 1");
    }
    SECTION("cancelled before it is published: it never is") {
        boost::asio::cancellation_signal signal;
        s.broker.async_publish("t", "3", {}, boost::asio::bind_cancellation_slot(signal.slot(), note));
        signal.emit(boost::asio::cancellation_type::total);
        s.run();
        CHECK(log.size() == 3);
        CHECK(got == 1);
    }
}

TEST_CASE("flow: who waits until it may write is held while sessions are slow, and no longer", "[broker]") {
    pusher::broker_params p;
    p.outbox.messages = 10;
    p.tolerated_slow_sessions = 0.5;
    broker_script s(std::move(p));
    client slow(s, 20);
    client other(s);
    client third(s);
    for (auto* c : {&slow, &other}) {
        c->subscribe("t");
        c->heard();
    }
    CHECK(s.broker.writable());
    int waits = 0;
    auto wait = [&] {
        s.broker.async_wait_writable([&](error_code ec) {
            CHECK_FALSE(ec);
            ++waits;
        });
    };
    wait();
    s.run();
    CHECK(waits == 1);
    s.broker.publish("t", "1");
    CHECK_FALSE(s.broker.writable()); // not written yet
    wait();
    s.run();
    CHECK(waits == 2);

    SECTION("one of three is tolerated here, two are not") {
        slow.peer.pause();
        for (int n = 0; n != 10; ++n)
            s.broker.publish("t", std::to_string(n));
        s.run();
        CHECK(s.broker.stats().slow_sessions == 1);
        CHECK(s.broker.writable());
        client fourth(s, 20);
        fourth.subscribe("u");
        fourth.heard();
        third.peer.close();
        s.run();
        fourth.peer.pause();
        for (int n = 0; n != 10; ++n)
            s.broker.publish("u", std::to_string(n));
        s.run();
        CHECK(s.broker.stats().slow_sessions == 2);
        CHECK_FALSE(s.broker.writable());
        wait();
        s.run();
        CHECK(waits == 2);
        fourth.peer.resume();
        s.run_until([&] { return waits == 3; });
        CHECK(s.broker.stats().slow_sessions == 1);
    }
}

TEST_CASE("flow: a session that takes nothing is not waited for longer than patience lasts", "[broker]") {
    pusher::broker_params p;
    p.outbox.messages = 4;
    p.tolerated_slow_sessions = 0;
    p.slow_session_patience = 20ms;
    broker_script s(std::move(p));
    client stuck(s, 20);
    stuck.subscribe("t");
    stuck.heard();
    stuck.peer.pause();
    for (int n = 0; n != 10; ++n)
        s.broker.publish("t", std::to_string(n));
    s.run();
    CHECK_FALSE(s.broker.writable());
    bool may = false;
    s.broker.async_wait_writable([&](error_code ec) { may = !ec; });
    s.run();
    CHECK_FALSE(may);
    s.run_until([&] { return may; });
    CHECK(s.broker.writable());

    SECTION("a wait can be cancelled") {
        stuck.peer.resume();
        s.run();
        stuck.peer.pause();
        for (int n = 0; n != 20; ++n) {
            s.broker.publish("t", std::to_string(n));
            s.run();
        }
        boost::asio::cancellation_signal signal;
        std::optional<error_code> result;
        s.broker.publish("t", "the turn is not over");
        s.broker.async_wait_writable(
            boost::asio::bind_cancellation_slot(signal.slot(), [&](error_code ec) { result = ec; }));
        signal.emit(boost::asio::cancellation_type::total);
        s.run();
        REQUIRE(result);
        CHECK(*result == boost::asio::error::operation_aborted);
    }
}
