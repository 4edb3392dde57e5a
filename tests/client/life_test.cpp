// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// How a client's operations are cancelled, and how it ends: in good order, at once, and with everything
// outstanding.

#include "client_world.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include <future>
#include <string>
#include <vector>

using namespace pusher;
using namespace test;
using boost::asio::bind_cancellation_slot;
using boost::asio::cancellation_signal;
using boost::asio::cancellation_type;
using boost::asio::error::operation_aborted;

TEST_CASE("client cancel: run, at every stage, and then again", "[client][cancel]") {
    client_world w;
    cancellation_signal signal;
    outcome<> running;
    w.connector->accepts = false;
    w.client->async_run(bind_cancellation_slot(signal.slot(), running.handler()));
    const auto published = w.publish("a", "x");
    bool connected = false;
    std::optional<outcome<client_publish_result>> sent;

    SECTION("before anything") {}
    SECTION("connecting") { w.run(); }
    SECTION("waiting to connect again") {
        w.run();
        w.connector->answer(boost::asio::error::connection_refused);
        w.run();
    }
    SECTION("greeting") {
        w.connector->answer({});
        w.run();
        w.take_request("hello");
    }
    SECTION("open") {
        w.connector->answer({});
        w.run();
        w.greet();
        w.reply(w.take_request("publish"));
        sent = w.publish("a", "y");
        connected = true;
    }
    signal.emit(cancellation_type::terminal);
    CHECK(!w.client->connected());
    CHECK(!w.connector->connecting());
    w.run();
    CHECK(running.ec() == operation_aborted);
    const auto down = w.take_as<client_disconnected>();
    CHECK(down.error == operation_aborted);
    CHECK(!down.retry_in);
    CHECK(w.nothing());
    if (sent)
        CHECK(sent->ec() == client_errc::connection_lost);
    if (!w.connector->channels.empty())
        CHECK(w.hub().closed);

    // What was not sent waits for another run.
    CHECK(published.done() == connected);
    outcome<> again;
    w.connector->accepts = true;
    w.client->async_run(again.handler());
    w.run();
    w.greet();
    if (!connected)
        CHECK(w.take_request("publish").payload == "x");
    CHECK(w.client->connected());
}

TEST_CASE("client cancel: publish", "[client][cancel]") {
    client_world w;
    outcome<> running;
    w.client->async_run(running.handler());
    w.run();
    cancellation_signal signal;
    outcome<client_publish_result> published;
    const auto publish = [&] {
        w.client->async_publish("a", "x", bind_cancellation_slot(signal.slot(), published.handler()));
    };

    SECTION("before it is sent: it never is") {
        publish();
        signal.emit(cancellation_type::total);
        w.run();
        CHECK(published.ec() == operation_aborted);
        w.greet();
        CHECK(w.silent());
    }
    SECTION("after it is sent: total is not possible") {
        w.greet();
        publish();
        w.run();
        const auto asked = w.take_request("publish");
        signal.emit(cancellation_type::total);
        w.run();
        CHECK(!published.done());
        w.reply(asked);
        CHECK(published.ec() == error_code());
    }
    SECTION("after it is sent: the wait can be ended") {
        w.greet();
        publish();
        w.run();
        const auto asked = w.take_request("publish");
        signal.emit(cancellation_type::partial);
        w.run();
        CHECK(published.ec() == operation_aborted);
        w.reply(asked);
        CHECK(w.client->connected());
    }
    SECTION("after it is done") {
        w.greet();
        publish();
        w.run();
        w.reply(w.take_request("publish"));
        CHECK(published.ec() == error_code());
        signal.emit(cancellation_type::terminal);
        w.run();
        CHECK(published.done());
    }
}

TEST_CASE("client cancel: room that cancelled requests took is used again", "[client][cancel]") {
    auto p = client_world::params();
    p.requests = 2;
    client_world w(p);
    for (int i = 0; i != 10; ++i) {
        cancellation_signal signal;
        outcome<client_publish_result> published;
        w.client->async_publish("a", "x", bind_cancellation_slot(signal.slot(), published.handler()));
        w.run();
        CHECK(!published.done());
        signal.emit(cancellation_type::total);
        w.run();
        CHECK(published.ec() == operation_aborted);
    }
}

TEST_CASE("client cancel: subscribe is undone", "[client][cancel]") {
    client_world w;
    const auto running = w.start();
    cancellation_signal signal;
    outcome<client_subscribe_result> subscribed;
    w.client->async_subscribe("a", bind_cancellation_slot(signal.slot(), subscribed.handler()));

    SECTION("before it is sent") {
        signal.emit(cancellation_type::total);
        w.run();
        CHECK(subscribed.ec() == operation_aborted);
        CHECK(w.silent());
    }
    SECTION("after it is sent") {
        w.run();
        const auto asked = w.take_request("subscribe");
        signal.emit(cancellation_type::total);
        w.run();
        CHECK(subscribed.ec() == operation_aborted);
        w.reply(asked);
        w.reply(w.take_request("unsubscribe"));
    }
    SECTION("after it is sent, and the connection breaks") {
        w.run();
        signal.emit(cancellation_type::total);
        w.run();
        CHECK(subscribed.ec() == operation_aborted);
    }
    w.hub().end();
    w.run();
    w.pass(100ms);
    w.greet();
    CHECK(w.silent());
}

TEST_CASE("client cancel: unsubscribe ends the wait alone", "[client][cancel]") {
    client_world w;
    const auto running = w.start();
    w.subscribed("a");
    cancellation_signal signal;
    outcome<> unsubscribed;
    w.client->async_unsubscribe("a", bind_cancellation_slot(signal.slot(), unsubscribed.handler()));
    SECTION("before it is sent: it is sent all the same") {
        signal.emit(cancellation_type::total);
        w.run();
        CHECK(unsubscribed.ec() == operation_aborted);
        w.reply(w.take_request("unsubscribe"));
    }
    SECTION("after it is sent") {
        w.run();
        const auto asked = w.take_request("unsubscribe");
        signal.emit(cancellation_type::partial);
        w.run();
        CHECK(unsubscribed.ec() == operation_aborted);
        w.reply(asked);
    }
    CHECK(w.client->connected());
    w.hub().end();
    w.run();
    w.pass(100ms);
    w.greet();
    CHECK(w.silent());
}

TEST_CASE("client cancel: receive loses nothing", "[client][cancel]") {
    client_world w;
    const auto running = w.start();
    for (int i = 0; i != 3; ++i) {
        cancellation_signal signal;
        outcome<client_event> received;
        w.client->async_receive(bind_cancellation_slot(signal.slot(), received.handler()));
        w.run();
        // A message comes in the same turn.
        signal.emit(cancellation_type::total);
        w.push("a", std::to_string(i));
        CHECK(received.ec() == operation_aborted);
        CHECK(std::holds_alternative<std::monostate>(received.get()));
        CHECK(w.take_payload() == std::to_string(i));
    }
}

TEST_CASE("client close: a goodbye after what was sent, and the hub's own", "[client][close]") {
    client_world w;
    const auto running = w.start();
    w.push("a", "before");
    const auto sent = w.publish("a", "1");
    outcome<client_publish_result> unsent;
    w.client->async_publish("a", "2", unsent.handler());
    w.client->close();
    w.push("a", "after");
    CHECK(sent.ec() == client_errc::connection_lost);
    CHECK(unsent.ec() == errc::closed);
    CHECK(w.hub().shut);
    CHECK(!w.hub().closed);
    CHECK(!running.done());
    CHECK(w.take_payload() == "before");
    CHECK(w.receive().ec() == errc::closed);

    SECTION("the hub answers") {
        w.hub().end();
        w.run();
    }
    SECTION("the hub does not") {
        w.pass(999ms);
        CHECK(!running.done());
        w.pass(1ms);
    }
    SECTION("the connection breaks") {
        w.hub().fail(boost::asio::error::connection_reset);
        w.run();
    }
    CHECK(running.ec() == error_code());
    CHECK(w.hub().closed);
    CHECK(!w.clock->armed());
    outcome<> again;
    w.client->async_run(again.handler());
    w.run();
    CHECK(again.ec() == errc::closed);
    CHECK(w.publish("a", "x").ec() == errc::closed);
    CHECK(w.subscribe("a").ec() == errc::closed);
    CHECK(w.unsubscribe("a").ec() == errc::closed);
    w.client->close();
}

TEST_CASE("client close: what is still being written goes first", "[client][close]") {
    client_world w;
    const auto running = w.start();
    w.hub().room = 10;
    const auto sent = w.publish("a", "1");
    w.client->close();
    w.run();
    CHECK(!w.hub().shut);
    w.hub().make_room(1000);
    w.run();
    CHECK(w.take_request("publish").payload == "1");
    CHECK(w.hub().shut);
    w.hub().end();
    w.run();
    CHECK(running.ec() == error_code());
}

TEST_CASE("client close: without a connection", "[client][close]") {
    client_world w;
    w.connector->accepts = false;
    outcome<> running;
    w.client->async_run(running.handler());
    const auto received = w.receive();

    SECTION("connecting") {}
    SECTION("waiting") {
        w.connector->answer(boost::asio::error::connection_refused);
        w.run();
        CHECK(received.done());
    }
    SECTION("greeting") {
        w.connector->answer({});
        w.run();
        w.client->close();
        CHECK(w.hub().shut);
        w.hub().end();
        w.run();
    }
    w.client->close();
    w.run();
    CHECK(running.ec() == error_code());
    CHECK(received.done());
    CHECK(!w.connector->connecting());
    CHECK(!w.clock->armed());
}

TEST_CASE("client close: a client that never ran", "[client][close]") {
    client_world w;
    const auto received = w.receive();
    const auto published = w.publish("a", "x");
    w.client->close();
    w.run();
    CHECK(received.ec() == errc::closed);
    CHECK(published.ec() == errc::closed);
    CHECK(!w.clock->armed());
}

TEST_CASE("client close: a run that is cancelled while it says goodbye", "[client][close]") {
    client_world w;
    cancellation_signal signal;
    outcome<> running;
    w.client->async_run(bind_cancellation_slot(signal.slot(), running.handler()));
    w.run();
    w.greet();
    w.client->close();
    w.run();
    CHECK(!running.done());
    signal.emit(cancellation_type::total);
    w.run();
    CHECK(running.ec() == operation_aborted);
    CHECK(w.hub().closed);
}

TEST_CASE("client life: destroyed with everything outstanding", "[client][life]") {
    client_world w;
    outcome<> running;
    w.client->async_run(running.handler());
    const auto early = w.publish("a", "0");
    bool open = false;
    SECTION("connecting") { w.connector->accepts = false; }
    SECTION("greeting") { w.run(); }
    SECTION("open") {
        w.greet();
        w.take();
        open = true;
    }
    const auto received = w.receive();
    const auto sent = w.publish("a", "1");
    const auto subscribed = w.subscribe("a");
    const auto unsubscribed = w.unsubscribe("b");
    outcome<client_publish_result> unsent;
    w.client->async_publish("a", "2", unsent.handler());
    w.client.reset();
    if (!w.connector->channels.empty())
        CHECK(w.hub().closed);
    w.run();
    CHECK(running.ec() == errc::closed);
    CHECK(received.done());
    CHECK(
        early.ec() == (open ? make_error_code(client_errc::connection_lost) : make_error_code(errc::closed)));
    CHECK(sent.ec() == early.ec());
    CHECK(subscribed.ec() == early.ec());
    CHECK(unsubscribed.ec() == error_code());
    CHECK(unsent.ec() == errc::closed);
    CHECK(!w.clock->armed());
}

TEST_CASE("client life: the context is destroyed first, or nothing is ever run", "[client][life]") {
    auto world = std::make_unique<client_world>();
    outcome<> running;
    outcome<client_event> received;
    world->client->async_run(running.handler());
    world->client->async_receive(received.handler());
    SECTION("never run") {}
    SECTION("run a little") { world->run(); }
    world.reset();
    CHECK(!running.done());
}

TEST_CASE("client life: moved", "[client][life]") {
    client_world w;
    const auto running = w.start();
    client second = std::move(*w.client);
    w.client.reset();
    CHECK(second.connected());
    CHECK(!running.done());
    auto p = client_world::params();
    client third(w.io, p, {w.clock, w.connector});
    third = std::move(second);
    CHECK(third.connected());
    third = client(w.io, p, {w.clock, w.connector});
    w.run();
    CHECK(running.ec() == errc::closed);
}

TEST_CASE("client life: a client that waits for nothing keeps no work", "[client][life]") {
    boost::asio::io_context io;
    client_params p;
    p.url = "tcp://127.0.0.1:1";
    client c(io, p);
    CHECK(io.run() == 0);
    outcome<> unsubscribed;
    c.async_unsubscribe("a", unsubscribed.handler());
    io.restart();
    io.run();
    CHECK(unsubscribed.ec() == error_code());
}

TEST_CASE("client life: a request that is done does not keep the context running", "[client][life]") {
    client_world w;
    const auto published = w.publish("a", "x");
    CHECK(w.clock->armed());
    const auto running = [&] {
        outcome<> o;
        w.client->async_run(o.handler());
        w.run();
        return o;
    }();
    w.greet();
    w.reply(w.take_request("publish"));
    w.client->close();
    w.hub().end();
    w.run();
    CHECK(running.ec() == error_code());
    CHECK(!w.clock->armed());
}

TEST_CASE("client tokens: coroutine, future, deferred, and executors of handlers", "[client][tokens]") {
    client_world w;
    const auto running = w.start();

    SECTION("a coroutine") {
        std::vector<std::string> seen;
        boost::asio::co_spawn(
            w.io,
            [&]() -> boost::asio::awaitable<void> {
                using boost::asio::use_awaitable;
                auto& c = *w.client;
                const auto s = co_await c.async_subscribe("a", {.type = "t"}, use_awaitable);
                seen.push_back(s.position ? "history" : "no history");
                const auto p = co_await c.async_publish("a", "x", {.id = "i"}, use_awaitable);
                seen.push_back(std::to_string(p.matched));
                const auto e = co_await c.async_receive(use_awaitable);
                seen.push_back(std::string(std::get<pinned_message>(e)->payload()));
                co_await c.async_unsubscribe("a", {.type = "t"}, use_awaitable);
                seen.push_back("done");
                try {
                    co_await c.async_publish("", "x", use_awaitable);
                } catch (const boost::system::system_error& error) {
                    seen.push_back(error.code().message());
                }
            },
            boost::asio::detached);
        w.run();
        w.reply(w.take_request("subscribe"));
        native_reply r;
        r.receipt = native_receipt{1};
        w.reply(w.take_request("publish"), r);
        w.push("a", "m");
        w.reply(w.take_request("unsubscribe"));
        CHECK(seen == std::vector<std::string>{"no history", "1", "m", "done", "invalid topic"});
    }
    SECTION("a future") {
        auto published = w.client->async_publish("a", "x", boost::asio::use_future);
        w.run();
        native_reply r;
        r.receipt = native_receipt{2};
        w.reply(w.take_request("publish"), r);
        // Asio completes futures in a thread of its own.
        REQUIRE(published.wait_for(std::chrono::seconds(30)) == std::future_status::ready);
        CHECK(published.get().matched == 2);
    }
    SECTION("deferred: nothing happens before it begins") {
        auto later = w.client->async_publish("a", "x", boost::asio::deferred);
        w.run();
        CHECK(w.silent());
        outcome<client_publish_result> published;
        std::move(later)(published.handler());
        w.run();
        w.reply(w.take_request("publish"));
        CHECK(published.ec() == error_code());
    }
    SECTION("the handler's own executor") {
        boost::asio::io_context other;
        outcome<client_publish_result> published;
        w.client->async_publish("a", "x", boost::asio::bind_executor(other, published.handler()));
        w.run();
        w.reply(w.take_request("publish"));
        CHECK(!published.done());
        other.run();
        CHECK(published.ec() == error_code());
    }
}

TEST_CASE("client tokens: on a strand", "[client][tokens]") {
    boost::asio::io_context io;
    auto plan = std::make_shared<fault_plan>();
    const auto strand = boost::asio::make_strand(io);
    auto clock = std::make_shared<manual_clock>(strand);
    auto connector = std::make_shared<memory_connector>(strand, plan);
    client c(boost::asio::any_io_executor(strand), client_world::params(), {clock, connector});
    CHECK(c.get_executor() == boost::asio::any_io_executor(strand));
    outcome<> running;
    boost::asio::post(strand, [&] { c.async_run(running.handler()); });
    io.poll();
    CHECK(connector->channels.size() == 1);
}
