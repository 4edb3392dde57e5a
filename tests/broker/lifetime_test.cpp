// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// The end of a broker, of its handles, and of what is under way.

#include "broker_script.hpp"
#include "catch.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/error.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>

using namespace test;
using namespace std::chrono_literals;
using pusher::errc;
using pusher::error_code;
using pusher::message;
namespace asio = boost::asio;

TEST_CASE("lifetime: a broker without listeners keeps no work outstanding", "[broker]") {
    broker_script s({.history = {.messages = 10}});
    auto handler = s.broker.subscribe("t", [](const message&) {});
    auto queue = s.broker.make_subscriber();
    queue.subscribe("t");
    s.broker.publish("t", "1");
    s.context.run(); // returns, though messages wait for `queue`
    SUCCEED();
}

TEST_CASE("lifetime: a broker whose sessions have ended keeps no work outstanding", "[broker]") {
    broker_script s;
    std::optional<client> a(std::in_place, s);
    a->subscribe("t");
    CHECK(a->heard() == texts{"ok"});
    SECTION("the peer closes") {
        a.reset();
        s.run_until([&] { return s.broker.stats().sessions == 0; });
    }
    SECTION("the broker is cancelled") {
        s.broker.cancel();
        s.context.restart();
        s.context.run();
        CHECK(a->ended());
    }
    SECTION("it is drained") {
        s.broker.async_drain(10s, asio::detached);
        s.context.restart();
        s.run_until([&] { return s.broker.stats().sessions == 0; });
        a.reset();
        s.context.restart();
        s.context.run();
    }
    CHECK(s.broker.stats().subscriptions == 0);
    CHECK(s.broker.stats().topics == 0);
}

TEST_CASE("lifetime: handles may outlive the broker", "[broker]") {
    asio::io_context context(1);
    auto broker = std::make_unique<pusher::broker<pusher::testing::memory>>(context);
    pusher::testing::memory_port port;
    auto l = broker->listen(pusher::testing::memory_params{&port});
    int got = 0;
    auto subscription = broker->subscribe("t", [&](const message&) { ++got; });
    auto with_handler = broker->make_subscriber([&](const message&) { ++got; });
    auto with_queue = broker->make_subscriber();
    with_handler.subscribe("t");
    with_queue.subscribe("t");
    with_queue.bind("ann");
    broker->publish("t", "1");
    broker.reset();

    CHECK(got == 2);
    CHECK_FALSE(subscription.active());
    CHECK_FALSE(with_handler.active());
    CHECK_FALSE(with_queue.active());
    error_code ec;
    with_queue.subscribe("u", {}, ec);
    CHECK(ec == errc::stopped);
    CHECK_FALSE(with_queue.unsubscribe("t"));
    with_queue.bind("bob");
    subscription.unsubscribe();
    with_handler.close();
    l.stop();
    context.run();
}

TEST_CASE("lifetime: destroying the broker completes what is outstanding with an error", "[broker]") {
    asio::io_context context(1);
    pusher::testing::memory_port port;
    auto broker = std::make_unique<pusher::broker<pusher::testing::memory>>(context);
    broker->listen(pusher::testing::memory_params{&port});
    auto sub = broker->make_subscriber();
    sub.subscribe("t");
    texts log;
    auto note = [&](std::string what) {
        return [&log, what](error_code ec, auto&&...) { log.push_back(what + ": " + ec.message()); };
    };
    sub.async_receive(note("receive"));
    broker->publish("u", "1");
    broker->subscribe("t", [](const message&) {}).unsubscribe();
    auto pending = broker->make_subscriber();
    pending.subscribe("t");
    broker->publish("t", "1"); // so that the end of a turn is to come
    broker->async_wait_writable(note("writable"));
    broker->async_run(note("run"));
    pusher::testing::memory_peer peer(port.connect());
    peer.send("{\"action\":\"subscribe\",\"params\":{\"topic\":\"t\"}}\n");
    SECTION("before anything ran") {
        broker.reset();
        context.run();
        CHECK(
            log ==
            texts{"receive: the broker is stopped", "writable: the broker is stopped", "run: Success"});
    }
    SECTION("while it drains") {
        context.poll();
        context.restart();
        log.clear();
        broker->async_drain(10s, note("drain"));
        broker.reset();
        context.run();
        CHECK(log == texts{"drain: the broker is stopped", "run: Success"});
    }
    SECTION("with an async_publish on its way") {
        const std::string payload = "2";
        broker->async_publish("t", payload, {}, note("publish"));
        broker.reset();
        context.run();
        REQUIRE(log.size() == 4);
        CHECK(log.back() == "publish: the broker is stopped");
    }
    CHECK_FALSE(sub.active());
    context.restart();
    context.poll();
    CHECK(peer.ended());
}

TEST_CASE("lifetime: cancel ends sessions and operations, and nothing in process", "[broker]") {
    broker_script s;
    client a(s);
    a.subscribe("t");
    a.heard();
    int got = 0;
    auto handler = s.broker.subscribe("t", [&](const message&) { ++got; });
    texts log;
    s.broker.async_run([&](error_code ec) { log.push_back("run: " + ec.message()); });
    s.broker.publish("t", "1");
    s.broker.async_wait_writable([&](error_code ec) { log.push_back("writable: " + ec.message()); });
    CHECK_FALSE(s.broker.stopped());
    s.broker.cancel();
    s.broker.cancel();
    CHECK(s.broker.stopped());
    CHECK(s.broker.stats().sessions == 0);
    CHECK(log.empty()); // completions come from the event loop
    s.run();
    CHECK(log == texts{"writable: the broker is stopped", "run: Success"});
    CHECK(a.ended());

    CHECK(handler.active());
    CHECK(s.broker.publish("t", "2").matched == 1);
    CHECK(got == 2);
    auto late = s.broker.make_subscriber([&](const message&) { ++got; });
    late.subscribe("t");
    CHECK(s.broker.publish("t", "3").matched == 2);

    log.clear();
    s.broker.async_run([&](error_code ec) { log.push_back("run: " + ec.message()); });
    s.broker.async_wait_writable([&](error_code ec) { log.push_back("writable: " + ec.message()); });
    s.broker.async_publish("t", "4", {}, [&](error_code ec, const pusher::receipt& r) {
        log.push_back("publish: " + ec.message());
        CHECK(r.error == ec);
    });
    CHECK_FALSE(s.broker.post_publish("t", "5"));
    s.run();
    CHECK(log == texts{"run: Success", "writable: the broker is stopped", "publish: the broker is stopped"});
    error_code ec;
    pusher::testing::memory_port other;
    CHECK_FALSE(s.broker.listen(pusher::testing::memory_params{&other}, ec));
    CHECK(ec == errc::stopped);
    CHECK_FALSE(s.port.connect());
    CHECK(got == 4);
}

TEST_CASE("lifetime: async_run is cancelled, and the broker with it", "[broker]") {
    broker_script s;
    client a(s);
    asio::cancellation_signal signal;
    error_code result;
    s.broker.async_run(asio::bind_cancellation_slot(signal.slot(), [&](error_code ec) { result = ec; }));
    s.run();
    CHECK_FALSE(result);
    signal.emit(asio::cancellation_type::terminal);
    CHECK(s.broker.stopped());
    s.run();
    CHECK(result == asio::error::operation_aborted);
    CHECK(a.ended());
}

TEST_CASE("lifetime: a listener that is stopped, and one that was dropped", "[broker]") {
    pusher::testing::memory_port port;
    pusher::testing::memory_port another;
    broker_script s;
    pusher::testing::memory_params at{&port};
    error_code ec;
    s.broker.listen(at, ec);
    CHECK_FALSE(ec);
    CHECK(port.connect()); // the handle is gone, the listener is not
    CHECK_FALSE(s.broker.listen(at, ec));
    CHECK(ec == asio::error::address_in_use);
    CHECK_THROWS_AS(s.broker.listen(at), boost::system::system_error);
    at.limits.request_bytes = 1;
    CHECK_THROWS_AS(s.broker.listen(at, ec), std::invalid_argument);

    client a(s);
    auto l = s.broker.listen(pusher::testing::memory_params{&another});
    CHECK(l);
    l.stop();
    l.stop();
    CHECK_FALSE(another.connect());
    a.subscribe("t");
    CHECK(a.heard() == texts{"ok"}); // sessions go on
}

TEST_CASE("lifetime: a handler that ends sessions, subscribers and the broker's work", "[broker]") {
    broker_script s;
    client a(s);
    a.subscribe("t");
    a.heard();
    auto queue = s.broker.make_subscriber();
    queue.subscribe("t");
    auto other = s.broker.subscribe("t", [](const message&) {});
    auto handler = s.broker.subscribe("t", [&](const message&) {
        queue.close();
        other.unsubscribe();
        s.broker.for_each_session([&](const pusher::session_info& i) { CHECK(i.transport == "tcp"); });
        s.broker.cancel();
    });
    CHECK(s.broker.publish("t", "1").matched == 4);
    s.run();
    CHECK(a.ended());
    CHECK(s.broker.stats().sessions == 0);
}
