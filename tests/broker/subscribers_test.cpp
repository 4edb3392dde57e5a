// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// Subscribers in process: handlers, and messages that wait until they are taken.

#include "broker_script.hpp"
#include "catch.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include <chrono>
#include <exception>
#include <functional>
#include <future>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using namespace test;
using pusher::errc;
using pusher::message;
namespace asio = boost::asio;

namespace {

/// What a receive completed with, in short.
std::string text_of(const pusher::error_code& ec, const pusher::delivery& d) {
    std::string text = d.missed == 0 ? "" : "(" + std::to_string(d.missed) + ") ";
    if (ec)
        return text + (ec == asio::error::operation_aborted ? "aborted" : ec.message());
    return text + std::string((*d.message)->topic()) + "=" + std::string((*d.message)->payload());
}

/// Receives once. What it completes with is added to `log`.
void receive(pusher::subscriber& s, texts& log) {
    s.async_receive(
        [&log](pusher::error_code ec, const pusher::delivery& d) { log.push_back(text_of(ec, d)); });
}

} // namespace

TEST_CASE("subscribers: the handler runs inside publish, on an event loop that nobody runs", "[broker]") {
    asio::io_context context(1);
    pusher::broker<> broker(context);
    texts got;
    auto s = broker.subscribe("t", [&](const message& m) { got.emplace_back(m.payload()); });
    CHECK(s.active());
    const auto r = broker.publish("t", "1");
    CHECK(r);
    CHECK(r.matched == 1);
    CHECK(r.sequence == 1);
    CHECK_FALSE(r.position);
    CHECK(got == texts{"1"});
    CHECK(context.poll() == 0);
}

TEST_CASE("subscribers: a subscription ends with its handle", "[broker]") {
    asio::io_context context(1);
    pusher::broker<> broker(context);
    int got = 0;
    auto count = [&](const message&) { ++got; };
    auto a = broker.subscribe("t", count);
    auto b = std::move(a);
    CHECK_FALSE(
        a.active()); // NOLINT(bugprone-use-after-move,clang-analyzer-cplusplus.Move): that is what is tested
    CHECK(broker.publish("t", "1").matched == 1);
    b = broker.subscribe("u", count);
    CHECK(broker.publish("t", "2").matched == 0);
    CHECK(broker.publish("u", "3").matched == 1);
    b.unsubscribe();
    b.unsubscribe();
    CHECK_FALSE(b.active());
    CHECK(broker.publish("u", "4").matched == 0);
    CHECK(got == 2);
    CHECK(broker.stats().subscriptions == 0);
    CHECK(broker.stats().topics == 0);

    SECTION("inside its own handler, which owns it") {
        std::optional<pusher::subscription> own;
        own = broker.subscribe("t", [&](const message&) {
            ++got;
            own.reset();
        });
        CHECK(broker.publish("t", "5").matched == 1);
        CHECK(broker.publish("t", "6").matched == 0);
        CHECK(got == 3);
    }
    SECTION("an error leaves none") {
        pusher::error_code ec;
        auto bad = broker.subscribe("", count, {}, ec);
        CHECK(ec == errc::invalid_topic);
        CHECK_FALSE(bad.active());
        CHECK_THROWS_AS(broker.subscribe("", count), boost::system::system_error);
        CHECK(broker.stats().subscriptions == 0);
    }
}

TEST_CASE("subscribers: one identity, many subscriptions", "[broker]") {
    asio::io_context context(1);
    pusher::broker<> broker(context);
    texts got;
    auto s = broker.make_subscriber([&](const message& m) { got.emplace_back(m.payload()); });
    s.subscribe("t");
    s.subscribe("t", {.type = "x"});
    s.subscribe("#", {.match = pusher::match_mode::filter});
    CHECK(broker.publish("t", "1", {.type = "x"}).matched == 1);
    CHECK(got == texts{"1"});
    CHECK(s.unsubscribe("#", {}, pusher::match_mode::filter));
    CHECK_FALSE(s.unsubscribe("#", {}, pusher::match_mode::filter));
    CHECK(broker.publish("u", "2").matched == 0);

    // Broadcasts are for identities: a bare subscription asked for its topic alone.
    auto bare = broker.subscribe("other", [&](const message&) { got.emplace_back("bare"); });
    CHECK(broker.broadcast("*", "3").matched == 1);
    s.bind("ann");
    CHECK(broker.push_to("ann", "private", "4").matched == 1);
    s.bind({});
    CHECK(broker.push_to("ann", "private", "5").matched == 0);
    CHECK(got == texts{"1", "3", "4"});

    CHECK(broker.publish("t", "6", {.publisher = s.id()}).matched == 1);
    s.subscribe("t", {.echo = false});
    s.unsubscribe("t", "x");
    CHECK(broker.publish("t", "7", {.publisher = s.id()}).matched == 0);
    CHECK(got == texts{"1", "3", "4", "6"});

    s.close();
    CHECK_FALSE(s.active());
    CHECK(s.id() == 0);
    CHECK(broker.publish("t", "8").matched == 0);
    pusher::error_code ec;
    s.subscribe("t", {}, ec);
    CHECK(ec == errc::stopped);
}

TEST_CASE("receive: one after another, in publish order, across topics", "[broker]") {
    broker_script s;
    auto sub = s.broker.make_subscriber();
    sub.subscribe("t");
    sub.subscribe("f/#", {.match = pusher::match_mode::filter});
    texts log;
    receive(sub, log);
    s.run();
    CHECK(log.empty());
    s.broker.publish("t", "1");
    s.broker.publish("f/a", "2");
    s.broker.publish("t", "3");
    CHECK(log.empty()); // never inside publish
    s.run();
    CHECK(log == texts{"t=1"});
    for (int n = 0; n != 3; ++n) {
        receive(sub, log);
        CHECK(log.size() == static_cast<std::size_t>(n + 1)); // nor inside the call that asks
        s.run();
    }
    CHECK(log == texts{"t=1", "f/a=2", "t=3"});
    s.broker.publish("t", "4");
    s.run();
    CHECK(log.back() == "t=4");
}

TEST_CASE("receive: only one is outstanding", "[broker]") {
    broker_script s;
    auto sub = s.broker.make_subscriber();
    sub.subscribe("t");
    texts log;
    receive(sub, log);
    receive(sub, log);
    s.run();
    CHECK(log == texts{"a receive is already pending"});
    s.broker.publish("t", "1");
    s.run();
    CHECK(log.back() == "t=1");

    pusher::subscriber nobody; // of no broker, so of no executor
    nobody.async_receive(
        asio::bind_executor(s.context, [&log](pusher::error_code ec, const pusher::delivery& d) {
            log.push_back(text_of(ec, d));
        }));
    s.run_until([&] { return log.size() == 3; });
    CHECK(log.back() == "closed");
    auto with_handler = s.broker.make_subscriber([](const message&) {});
    receive(with_handler, log);
    s.run_until([&] { return log.size() == 4; });
    CHECK(log.back() == "closed");
}

TEST_CASE("receive: any completion token", "[broker]") {
    broker_script s;
    auto sub = s.broker.make_subscriber();
    sub.subscribe("t");
    for (const auto* payload : {"1", "2", "3"})
        s.broker.publish("t", payload);
    auto future = sub.async_receive(asio::use_future);
    s.run();
    CHECK(text_of({}, future.get()) == "t=1");
    texts log;
    asio::co_spawn(
        s.context,
        [&]() -> asio::awaitable<void> {
            for (int n = 0; n != 2; ++n)
                log.push_back(text_of({}, co_await sub.async_receive(asio::use_awaitable)));
            sub.close();
            try {
                co_await sub.async_receive(asio::use_awaitable);
            } catch (const boost::system::system_error& e) {
                log.push_back(e.code().message());
            }
        },
        [](std::exception_ptr e) {
            if (e)
                std::rethrow_exception(e);
        });
    s.run_until([&] { return log.size() == 3; });
    CHECK(log == texts{"t=2", "t=3", "closed"});
}

TEST_CASE("receive: cancellation, of any kind, loses nothing", "[broker]") {
    const auto type = GENERATE(
        asio::cancellation_type::terminal, asio::cancellation_type::partial, asio::cancellation_type::total);
    broker_script s;
    auto sub = s.broker.make_subscriber();
    sub.subscribe("t");
    texts log;
    asio::cancellation_signal signal;
    auto receive_cancellable = [&] {
        sub.async_receive(asio::bind_cancellation_slot(
            signal.slot(),
            [&](pusher::error_code ec, const pusher::delivery& d) { log.push_back(text_of(ec, d)); }));
    };
    SECTION("while it waits") {
        receive_cancellable();
        signal.emit(type);
        s.broker.publish("t", "1");
        s.run();
        CHECK(log == texts{"aborted"});
    }
    SECTION("when the message is there already") {
        s.broker.publish("t", "1");
        receive_cancellable();
        signal.emit(type);
        s.run();
        CHECK(log == texts{"aborted"});
    }
    SECTION("too late") {
        s.broker.publish("t", "0");
        s.run();
        receive_cancellable();
        signal.emit(type); // the message has been taken, and will be delivered
        s.broker.publish("t", "1");
        s.run();
        CHECK(log == texts{"t=0"});
    }
    receive(sub, log);
    s.run();
    CHECK(log.back() == "t=1");
    CHECK(s.broker.stats().dropped_overflow == 0);
}

TEST_CASE("receive: what was missed is told with the next message, exactly", "[broker]") {
    pusher::broker_params p;
    p.outbox.messages = 2;
    SECTION("drop_oldest") {
        broker_script s(p);
        auto sub = s.broker.make_subscriber();
        sub.subscribe("t");
        sub.subscribe("u");
        texts log;
        sub.on_gap([&](const pusher::gap& g) {
            log.push_back("!" + std::string(g.topic) + " " + std::to_string(g.count));
        });
        for (const auto* payload : {"1", "2", "3", "4"}) {
            s.broker.publish("t", payload);
            s.broker.publish("u", payload);
        }
        s.run();
        for (int n = 0; n != 2; ++n) {
            receive(sub, log);
            s.run();
        }
        CHECK(log == texts{"!t 3", "(3) t=4", "!u 3", "(3) u=4"});
        CHECK(s.broker.stats().dropped_overflow == 6);
        CHECK(s.broker.stats().delivered == 2);
    }
    SECTION("drop_newest: the loss is told when nothing precedes it any more") {
        p.outbox.overflow = pusher::overflow_policy::drop_newest;
        broker_script s(p);
        auto sub = s.broker.make_subscriber();
        sub.subscribe("t");
        for (const auto* payload : {"1", "2", "3", "4"})
            s.broker.publish("t", payload);
        s.run();
        texts log;
        for (int n = 0; n != 3; ++n) {
            receive(sub, log);
            s.run();
        }
        CHECK(log == texts{"t=1", "t=2"});
        s.broker.publish("t", "5");
        s.run();
        CHECK(log.back() == "(2) t=5");
    }
}

TEST_CASE("receive: who is told of a gap may do as it likes", "[broker]") {
    pusher::broker_params p;
    p.outbox.messages = 2;
    broker_script s(p);
    auto other = s.broker.make_subscriber();
    other.subscribe("other");
    texts others;
    receive(other, others);
    auto sub = s.broker.make_subscriber();
    sub.subscribe("t");
    sub.subscribe("u");
    texts log;
    std::function<void()> then;
    sub.on_gap([&](const pusher::gap& g) {
        log.push_back("!" + std::string(g.topic) + " " + std::to_string(g.count));
        then();
    });
    auto lose = [&] {
        for (const auto* payload : {"1", "2", "3"})
            for (const auto* topic : {"t", "u"})
                s.broker.publish(topic, payload);
    };
    SECTION("publish") {
        then = [&] { s.broker.publish("other", "from inside"); };
        lose();
        s.run();
        receive(sub, log);
        s.run();
        CHECK(log == texts{"!t 2", "(2) t=3"});
        CHECK(others == texts{"other=from inside"});
    }
    SECTION("throw: it is counted, and all goes on") {
        then = [] { throw std::runtime_error("no"); };
        lose();
        s.run();
        receive(sub, log);
        s.run();
        CHECK(log == texts{"!t 2", "(2) t=3"});
        CHECK(s.broker.stats().handler_exceptions == 1);
        s.broker.publish("other", "later");
        s.run();
        CHECK(others == texts{"other=later"});
    }
    SECTION("close") {
        then = [&] { sub.close(); };
        lose();
        s.run();
        receive(sub, log);
        s.run();
        CHECK(log.at(0) == "!t 2");
        CHECK_FALSE(sub.active());
        CHECK(s.broker.stats().subscriptions == 1);
    }
}

TEST_CASE("receive: limits are judged on what is left when somebody waits", "[broker]") {
    pusher::broker_params p;
    p.outbox.bytes = 10;
    p.outbox.messages = 1;
    broker_script s(p);
    auto sub = s.broker.make_subscriber();
    sub.subscribe("#", {.match = pusher::match_mode::filter});
    texts log;
    receive(sub, log);
    s.broker.publish("t", "more than ten bytes");
    s.run();
    CHECK(log == texts{"t=more than ten bytes"});
    receive(sub, log);
    s.broker.publish("a", "1");
    s.broker.publish("b", "2");
    s.run();
    receive(sub, log);
    s.run();
    CHECK(log == texts{"t=more than ten bytes", "a=1", "b=2"});
    CHECK(s.broker.stats().dropped_overflow == 0);
}

TEST_CASE("receive: a full outbox with the policy to disconnect ends it", "[broker]") {
    pusher::broker_params p;
    p.outbox.messages = 2;
    p.outbox.overflow = pusher::overflow_policy::disconnect;
    broker_script s(p);
    auto sub = s.broker.make_subscriber();
    sub.subscribe("t");
    for (const auto* payload : {"1", "2", "3"})
        s.broker.publish("t", payload);
    s.run();
    texts log;
    receive(sub, log);
    receive(sub, log);
    s.run();
    CHECK(log == texts{"outbox overflow", "outbox overflow"});
    CHECK(s.broker.stats().dropped_disconnected == 3);
}

TEST_CASE("receive: ended by close, by cancel and by the broker's end", "[broker]") {
    texts log;
    std::optional<pusher::subscriber> sub;
    {
        broker_script s;
        sub = s.broker.make_subscriber();
        sub->subscribe("t");
        SECTION("close") {
            receive(*sub, log);
            sub->close();
            s.run();
            CHECK(log == texts{"closed"});
        }
        SECTION("its destruction") {
            receive(*sub, log);
            sub.reset();
            s.run();
            CHECK(log == texts{"closed"});
        }
        SECTION("another takes its place") {
            receive(*sub, log);
            *sub = s.broker.make_subscriber();
            s.run();
            CHECK(log == texts{"closed"});
        }
        SECTION("cancel") {
            receive(*sub, log);
            s.broker.cancel();
            s.run();
            CHECK(log == texts{"the broker is stopped"});
        }
    }
    if (sub && sub->active()) {
        FAIL("it is no part of a broker any more");
    }
    asio::io_context context(1);
    auto broker = std::make_unique<pusher::broker<>>(context);
    auto other = broker->make_subscriber();
    log.clear();
    receive(other, log);
    broker.reset();
    context.run();
    CHECK(log == texts{"the broker is stopped"});
    receive(other, log);
    context.restart();
    context.run();
    CHECK(log == texts{"the broker is stopped", "the broker is stopped"});
    other.close();
    receive(other, log);
    context.restart();
    context.run();
    CHECK(log.back() == "closed");
}

TEST_CASE("subscribers: history comes from the event loop, then what is live", "[broker]") {
    broker_script s({.history = {.messages = 10}});
    const auto first = s.broker.publish("t", "1");
    REQUIRE(first.position);
    s.broker.publish("t", "2");
    texts got;
    auto sub = s.broker.make_subscriber([&](const message& m) {
        got.push_back(std::to_string(m.position()->offset) + "=" + std::string(m.payload()));
    });
    const auto found = sub.subscribe("t", {.resume = first.position});
    CHECK(found.recovered == true);
    CHECK(found.position->offset == 2);
    CHECK(s.broker.publish("t", "3").matched == 1);
    CHECK(got.empty());
    s.run();
    CHECK(got == texts{"2=2", "3=3"});
    s.broker.publish("t", "4");
    CHECK(got.back() == "4=4");
}

TEST_CASE("subscribers: a subscription tells where it began, and what it could not have", "[broker]") {
    pusher::broker_params p;
    p.history.messages = 2;
    broker_script s(std::move(p));
    CHECK_FALSE(s.broker.subscribe("t", [](const message&) {}).result().recovered);
    for (const auto* payload : {"1", "2", "3", "4"})
        s.broker.publish("t", payload);
    const auto live = s.broker.subscribe("t", [](const message&) {});
    REQUIRE(live.result().position);
    CHECK(live.result().position->offset == 4);
    texts got;
    auto late = s.broker.subscribe(
        "t", [&](const message& m) { got.push_back(std::string(m.payload())); },
        {.resume = pusher::topic_position{live.result().position->epoch, 1}});
    CHECK(late.result().recovered == false);
    late.on_gap([&](const pusher::gap& g) { got.push_back("!" + std::to_string(g.count)); });
    s.run();
    CHECK(got == texts{"!1", "3", "4"});
}

TEST_CASE("subscribers: a pinned message is whole after its broker, and on another thread", "[broker]") {
    std::optional<pusher::pinned_message> kept;
    {
        asio::io_context context(1);
        pusher::broker<> broker(context);
        auto s = broker.subscribe("t", [&](const message& m) { kept = m.pin(); });
        const pusher::header headers[] = {{"content-type", "text/plain"}};
        broker.publish("t", std::string(100, 'x'), {.type = "y", .key = "k", .id = "i", .headers = headers});
    }
    const auto copy = kept;
    kept.reset();
    auto read = std::async(std::launch::async, [m = *copy] {
        return std::string(m->topic()) + std::string(m->type()) + std::string(m->key()) +
               std::string(m->id()) + std::string(m->header_value("content-type")) +
               std::to_string(m->payload().size());
    });
    CHECK(read.get() == "tykitext/plain100");
}
