// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// Delivery reports: what a publisher is told.

#include "broker_script.hpp"
#include "catch.hpp"
#include "report_text.hpp"
#include "stored_script.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

using namespace test;
using pusher::delivery_report;
using pusher::errc;

namespace {

/// Writes down what it is told.
struct reports {
    auto listener() {
        return [this](error_code ec, const delivery_report& r) {
            log.push_back(ec ? ec.message() : text_of(r));
            sequence = r.sequence;
            if (!ec && !r.repeated)
                CHECK(sum_of(r) == r.matched);
        };
    }
    texts take() { return std::exchange(log, {}); }

    texts log;
    std::uint64_t sequence = 0;
};

} // namespace

TEST_CASE("report: sessions, subscribers, everyone, a user", "[broker]") {
    pusher::broker_params p;
    p.outbox.messages = 3;
    p.authenticate = [](const pusher::authentication_request& r, const pusher::authentication_answer& a) {
        using result = pusher::authentication_result;
        a(r.token.empty() ? result::later() : result::identified(std::string(r.token)));
    };
    broker_script s(std::move(p));
    client a(s);
    client slow(s, 20);
    for (auto* c : {&a, &slow}) {
        c->send("auth", c == &a ? R"("token":"ann")" : R"("token":"bob")");
        c->subscribe("t");
        c->heard();
    }
    auto handler = s.broker.subscribe("t", [](const pusher::message&) {});
    auto broken = s.broker.subscribe("t", [](const pusher::message&) { throw 1; });
    auto receiver = s.broker.make_subscriber();
    receiver.subscribe("t");

    reports reported;
    const std::string payload(200, '1');
    s.broker.async_publish_report("t", payload, {}, reported.listener());
    CHECK(reported.log.empty());
    s.run();
    // The connection has the beginning of it.
    CHECK(reported.take() == texts{"5: 3 delivered, 1 queued, 1 failed; 1 more"});
    for (int n = 0; n != 3; ++n)
        s.broker.publish("t", "2");
    s.broker.async_publish_report("t", "3", {}, reported.listener());
    s.run();
    CHECK(reported.take() == texts{"5: 2 delivered, 2 queued, 1 failed; 1 more"});
    s.broker.async_push_report("bob", "p", "4", {}, reported.listener());
    s.broker.async_push_report("nobody", "p", "5", {}, reported.listener());
    s.broker.async_broadcast_report("all", "6", {}, reported.listener());
    s.run();
    CHECK(reported.take() == texts{"1: 1 delivered", "0:", "3: 1 delivered, 2 queued"});
}

TEST_CASE("report: what is refused, or published before, is told at once", "[broker]") {
    pusher::broker_params p;
    p.idempotency.messages = 10;
    broker_script s(std::move(p));
    auto handler = s.broker.subscribe("t", [](const pusher::message&) {});
    reports reported;
    s.broker.async_publish_report("", "1", {}, reported.listener());
    s.broker.async_publish_report("t", "2", {.id = "i"}, reported.listener());
    s.broker.async_publish_report("t", "2", {.id = "i"}, reported.listener());
    s.run();
    REQUIRE(reported.log.size() == 3);
    CHECK(reported.log[0] == "invalid topic");
    CHECK(std::count(reported.log.begin(), reported.log.end(), "1: 1 delivered") == 1);
    CHECK(std::count(reported.log.begin(), reported.log.end(), "1:") == 1);
}

TEST_CASE("report: of a message that is stored first, it comes when it is visible", "[broker][store]") {
    simulated_disk disk(test::told);
    stored_script s(disk, keeping(10));
    client c(s);
    c.subscribe("t");
    c.heard();
    reports reported;
    s.broker.async_publish_report("t", "1", {}, reported.listener());
    s.broker.async_broadcast_report("t", "2", {}, reported.listener());
    s.run();
    CHECK(reported.log.empty());
    CHECK(c.heard().empty());
    s.settle();
    CHECK(reported.take() == texts{"1: 1 delivered", "1: 1 delivered"});
    CHECK(c.heard() == texts{"t@1=1", "t@2=2"});
    SECTION("never, if the store fails") {
        pusher::testing::fail_count once(0);
        disk.fail_by(&once);
        s.broker.async_publish_report("t", "3", {}, reported.listener());
        s.settle();
        REQUIRE(reported.log.size() == 1);
        CHECK(reported.sequence == 0);
        CHECK(c.heard().empty());
    }
    SECTION("nor if the broker is stopped before") {
        s.broker.async_publish_report("t", "3", {}, reported.listener());
        s.run();
        s.broker.cancel();
        s.run();
        CHECK(reported.take() == texts{"the broker is stopped"});
        CHECK(reported.sequence == 0);
    }
}

TEST_CASE("report: stopped before the end of the turn", "[broker]") {
    broker_script s;
    client a(s);
    a.subscribe("t");
    a.heard();
    reports reported;
    boost::asio::post(s.context, [&] {
        s.broker.async_publish_report("t", "1", {}, reported.listener());
        s.broker.cancel();
    });
    s.run();
    CHECK(reported.take() == texts{"the broker is stopped"});
    CHECK(reported.sequence == 1); // it was published
    s.broker.async_publish_report("t", "2", {}, reported.listener());
    s.run();
    CHECK(reported.take() == texts{"the broker is stopped"});
    CHECK(reported.sequence == 0);
}

TEST_CASE("report: cancelled before it is published, it never is", "[broker]") {
    broker_script s;
    int got = 0;
    auto handler = s.broker.subscribe("t", [&](const pusher::message&) { ++got; });
    reports reported;
    boost::asio::cancellation_signal signal;
    s.broker.async_publish_report(
        "t", "1", {}, boost::asio::bind_cancellation_slot(signal.slot(), reported.listener()));
    signal.emit(boost::asio::cancellation_type::total);
    s.run();
    CHECK(reported.log.size() == 1);
    CHECK(got == 0);
    SECTION("and later it does nothing") {
        boost::asio::post(s.context, [&] {
            s.broker.async_publish_report(
                "t", "2", {}, boost::asio::bind_cancellation_slot(signal.slot(), reported.listener()));
            signal.emit(boost::asio::cancellation_type::total);
        });
        s.run();
        CHECK(got == 1);
        CHECK(reported.log.back() == "1: 1 delivered");
    }
}
