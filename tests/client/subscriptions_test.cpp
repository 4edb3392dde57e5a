// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// Subscribing and unsubscribing that cross each other, come too late, or are too many.

#include "client_world.hpp"

#include <boost/asio/error.hpp>

#include <string>

using namespace pusher;
using namespace test;

TEST_CASE("client: a subscribe that was answered too late is undone", "[client]") {
    client_world w;
    const auto running = w.start();
    const auto subscribed = w.subscribe("a");
    const auto asked = w.take_request("subscribe");
    w.pass(5s);
    CHECK(subscribed.ec() == client_errc::no_answer);
    CHECK(w.silent());
    w.reply(asked);
    const auto undo = w.take_request("unsubscribe");
    CHECK(undo.topic == "a");
    w.reply(undo);
    CHECK(w.client->connected());
}

TEST_CASE("client: unsubscribe", "[client]") {
    client_world w;
    const auto running = w.start();
    w.subscribed("a", {}, {.match = match_mode::filter, .type = "t"});
    const auto done = w.unsubscribe("a", {.match = match_mode::filter, .type = "t"});
    const auto asked = w.take_request("unsubscribe");
    CHECK(asked.topic == "a");
    CHECK(asked.type == "t");
    CHECK(asked.match == match_mode::filter);
    CHECK(!done.done());
    w.reply(asked);
    CHECK(done.ec() == error_code());
}

TEST_CASE("client: unsubscribing what is not answered yet", "[client]") {
    client_world w;
    const auto running = w.start();
    const auto subscribed = w.subscribe("a");
    const auto asked = w.take_request("subscribe");
    SECTION("the hub has done both") {
        const auto unsubscribed = w.unsubscribe("a");
        w.reply(asked);
        CHECK(subscribed.ec() == error_code());
        w.reply(w.take_request("unsubscribe"));
        CHECK(unsubscribed.ec() == error_code());
    }
    SECTION("the hub has done one") {
        const auto unsubscribed = w.unsubscribe("a");
        w.reply(asked);
        CHECK(subscribed.ec() == error_code());
        w.take_request("unsubscribe");
    }
    SECTION("the hub has done none") {
        const auto unsubscribed = w.unsubscribe("a");
        w.hub().end();
        w.run();
        CHECK(subscribed.ec() == boost::asio::error::operation_aborted);
        CHECK(unsubscribed.ec() == error_code());
    }
    SECTION("and nobody waits for it any more") {
        w.pass(5s);
        CHECK(subscribed.ec() == client_errc::no_answer);
        const auto unsubscribed = w.unsubscribe("a");
        w.reply(asked);
        w.reply(w.take_request("unsubscribe"));
        CHECK(unsubscribed.ec() == error_code());
        CHECK(w.silent());
    }
    w.hub().end();
    w.run();
    w.pass(100ms);
    w.greet();
    CHECK(w.silent()); // it is not asked for again
}

TEST_CASE("client: an unsubscribe that can't be sent in time is sent when it can", "[client]") {
    client_world w;
    const auto running = w.start();
    w.subscribed("a");
    w.hub().room = 0;
    for (int i = 0; i != 4; ++i) // more than is on its way at a time
        w.publish("a", std::string(20'000, 'x'));
    const auto unsubscribed = w.unsubscribe("a");
    w.pass(5s);
    CHECK(unsubscribed.ec() == client_errc::no_answer);
    w.hub().make_room(100'000);
    w.run();
    for (int i = 0; i != 4; ++i)
        w.reply(w.take_request("publish"));
    w.reply(w.take_request("unsubscribe"));
    CHECK(w.client->connected());
}

TEST_CASE("client: a subscribe that nobody waits for is not undone under another", "[client]") {
    client_world w;
    const auto running = w.start();
    const auto first = w.subscribe("a");
    const auto a = w.take_request("subscribe");
    w.pass(4s);
    const auto second = w.subscribe("a");
    const auto b = w.take_request("subscribe");
    w.pass(1s);
    CHECK(first.ec() == client_errc::no_answer);
    w.reply(a);
    CHECK(w.silent());
    SECTION("which the hub grants") {
        w.reply(b);
        CHECK(second.ec() == error_code());
        CHECK(w.silent());
        w.hub().end();
        w.run();
        w.pass(100ms);
        w.greet();
        w.take_request("subscribe");
    }
    SECTION("which the hub refuses") {
        w.refuse(b, "forbidden");
        CHECK(second.ec() == errc::forbidden);
        w.reply(w.take_request("unsubscribe"));
    }
    SECTION("which nobody waits for either") {
        w.pass(4s);
        CHECK(second.ec() == client_errc::no_answer);
        w.reply(b);
        w.reply(w.take_request("unsubscribe"));
    }
    CHECK(w.client->connected());
}

TEST_CASE("client: subscriptions that are not answered yet count too", "[client]") {
    auto p = client_world::params();
    p.subscriptions = 2;
    client_world w(p);
    const auto a = w.subscribe("a"), b = w.subscribe("b");
    CHECK(w.subscribe("c").ec() == errc::too_many_subscriptions);
    CHECK(!w.subscribe("a").done()); // changes its options
    w.unsubscribe("b");
    CHECK(b.ec() == boost::asio::error::operation_aborted);
    CHECK(!w.subscribe("c").done());
}

TEST_CASE("client: unsubscribing without a connection ends what waits to be subscribed", "[client]") {
    client_world w;
    const auto subscribed = w.subscribe("a"), other = w.subscribe("b");
    const auto done = w.unsubscribe("a");
    CHECK(done.ec() == error_code());
    CHECK(subscribed.ec() == boost::asio::error::operation_aborted);
    CHECK(!other.done());
}
