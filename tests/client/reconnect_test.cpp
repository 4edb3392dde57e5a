// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// What a client does when the connection breaks: when it comes back, what it asks for anew, and what it tells
// its user.

#include "client_world.hpp"

#include <string>
#include <vector>

using namespace pusher;
using namespace test;

namespace {

/// Breaks the connection, and makes the next one as far as the greeting.
void reconnect(client_world& w) {
    const auto before = w.connector->channels.size();
    w.hub().end();
    w.run();
    CHECK(!w.client->connected());
    w.pass(10s);
    REQUIRE(w.connector->channels.size() == before + 1);
    w.greet();
    CHECK(w.client->connected());
}

void expect_reconnected(client_world& w) {
    CHECK(w.take_as<client_disconnected>().error == errc::peer_closed);
    CHECK(w.take_as<client_connected>().again);
}

native_reply recovered(bool all, std::optional<topic_position> newest) {
    native_reply r;
    r.recovered = all;
    r.position = newest;
    return r;
}

} // namespace

TEST_CASE("client reconnect: the delay doubles up to its limit", "[client][reconnect]") {
    client_world w;
    outcome<> running;
    w.connector->accepts = false;
    w.client->async_run(running.handler());
    w.run();
    for (const auto delay : {100ms, 200ms, 400ms, 800ms, 1600ms, 3200ms, 6400ms, 10'000ms, 10'000ms}) {
        w.connector->answer(boost::asio::error::connection_refused);
        w.run();
        const auto down = w.take_as<client_disconnected>();
        CHECK(down.error == boost::asio::error::connection_refused);
        CHECK(!down.reason.empty());
        CHECK(down.code == 0);
        CHECK(down.retry_in == delay);
        CHECK(!w.connector->connecting());
        w.pass(delay - 1ms);
        CHECK(!w.connector->connecting());
        w.pass(1ms);
        CHECK(w.connector->connecting());
    }
    CHECK(w.connector->attempts == std::vector<std::size_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
    CHECK(!running.done());
}

TEST_CASE("client reconnect: only a connection that has lasted begins anew", "[client][reconnect]") {
    client_world w;
    const auto running = w.start();
    w.hub().end();
    w.run();
    CHECK(w.take_as<client_disconnected>().retry_in == 100ms);
    w.pass(100ms);
    w.greet();
    // It breaks at once, again and again: no tight loop.
    w.hub().end();
    w.run();
    CHECK(w.take_as<client_disconnected>().retry_in == 200ms);
    w.pass(200ms);
    w.greet();
    w.pass(10s);
    w.hub().end();
    w.run();
    CHECK(w.take_as<client_disconnected>().retry_in == 100ms);
}

TEST_CASE("client reconnect: a connection that is not made in time", "[client][reconnect]") {
    client_world w;
    outcome<> running;
    SECTION("no address, or no answer to the first packet") {
        w.connector->accepts = false;
        w.client->async_run(running.handler());
        w.run();
    }
    SECTION("no answer to hello") {
        w.client->async_run(running.handler());
        w.run();
        w.take_request("hello");
    }
    SECTION("half an answer to hello") {
        w.client->async_run(running.handler());
        w.run();
        w.hub().say("{\"request_id\":");
        w.run();
    }
    w.pass(2999ms);
    CHECK(w.nothing());
    w.pass(1ms);
    const auto down = w.take_as<client_disconnected>();
    CHECK(down.error == errc::handshake_timeout);
    CHECK(down.retry_in == 100ms);
    if (!w.connector->channels.empty())
        CHECK(w.hub().closed);
    CHECK(!w.connector->connecting());
    // A late answer comes to nobody.
    w.connector->answer({});
    w.run();
    CHECK(!running.done());
    w.connector->accepts = true;
    w.pass(100ms);
    w.greet();
    CHECK(w.client->connected());
}

TEST_CASE("client reconnect: the hub's hint when to come back", "[client][reconnect]") {
    auto p = client_world::params();
    p.longest_retry_hint = 60s;
    client_world w(p);
    const auto running = w.start();

    const auto expect = [&](close_code code, std::chrono::milliseconds hint,
                            std::chrono::milliseconds delay) {
        w.goodbye(code, "come back", hint);
        CHECK(w.hub().closed);
        const auto down = w.take_as<client_disconnected>();
        CHECK(down.error == errc::peer_closed);
        CHECK(down.code == static_cast<std::uint16_t>(code));
        CHECK(down.reason == "come back");
        CHECK(down.retry_in == delay);
        w.pass(delay - 1ms);
        CHECK(!w.client->connected());
        CHECK(w.silent());
        w.pass(1ms);
        w.greet();
        w.pass(10s);
    };
    expect(close_code::try_again_later, 1500ms, 1500ms);
    expect(close_code::going_away, 2000ms, 2000ms);
    expect(close_code::going_away, 50ms, 100ms);                   // not sooner than its own delay
    expect(close_code::going_away, std::chrono::hours(1000), 60s); // nor for ever
    CHECK(!running.done());
}

TEST_CASE("client reconnect: a goodbye without a hint", "[client][reconnect]") {
    client_world w;
    const auto running = w.start();
    w.goodbye(close_code::policy, "kicked");
    const auto down = w.take_as<client_disconnected>();
    CHECK(down.code == 1008);
    CHECK(down.reason == "kicked");
    CHECK(down.retry_in == 100ms);
    CHECK(!running.done());
}

TEST_CASE("client reconnect: every subscription is asked for again", "[client][reconnect]") {
    auto p = client_world::params();
    p.token = "secret";
    client_world w(p);
    outcome<> running;
    w.client->async_run(running.handler());
    w.run();
    w.greet("secret");
    w.take();
    w.subscribed("b/#", {}, {.match = match_mode::filter});
    w.subscribed("a", {}, {.echo = false, .overflow = overflow_policy::disconnect});
    w.subscribed("c", topic_position{7, 20}, {.type = "t", .history = 5});
    w.subscribed("gone");
    const auto gone = w.unsubscribe("gone");
    w.reply(w.take_request("unsubscribe"));

    w.hub().end();
    w.run();
    w.pass(100ms);
    w.greet("secret");
    const auto a = w.take_request("subscribe"), c = w.take_request("subscribe"),
               b = w.take_request("subscribe");
    CHECK(w.silent());
    CHECK(a.topic == "a");
    CHECK(!a.echo);
    CHECK(a.overflow == overflow_policy::disconnect);
    CHECK(!a.resume);
    CHECK(c.topic == "c");
    CHECK(c.type == "t");
    CHECK(c.history == 0);
    CHECK(c.resume == topic_position{7, 15}); // nothing of the replay had come
    CHECK(b.topic == "b/#");
    CHECK(b.match == match_mode::filter);
    CHECK(!b.resume);
    w.reply(a);
    w.reply(c, recovered(true, topic_position{7, 20}));
    w.reply(b);
    expect_reconnected(w);
    CHECK(w.nothing());
}

TEST_CASE("client reconnect: it resumes after the last message", "[client][reconnect]") {
    client_world w;
    const auto running = w.start();
    w.subscribed("a", topic_position{7, 10});
    w.push("a", "11", topic_position{7, 11});
    w.push("a", "12", topic_position{7, 12});
    CHECK(w.take_payload() == "11"); // the other one waits: it has been received all the same

    reconnect(w);
    const auto again = w.take_request("subscribe");
    CHECK(again.resume == topic_position{7, 12});
    w.reply(again, recovered(true, topic_position{7, 14}));
    w.push("a", "13", topic_position{7, 13});
    w.push("a", "14", topic_position{7, 14});
    w.push("a", "15", topic_position{7, 15});
    CHECK(w.take_payload() == "12");
    expect_reconnected(w);
    CHECK(w.take_payload() == "13");
    CHECK(w.take_payload() == "14");
    CHECK(w.take_payload() == "15");
    CHECK(w.nothing());

    // In the middle of a replay it breaks again.
    w.hub().end();
    w.run();
    w.pass(10s);
    w.greet();
    const auto third = w.take_request("subscribe");
    CHECK(third.resume == topic_position{7, 15});
    w.reply(third, recovered(true, topic_position{7, 99}));
    w.push("a", "16", topic_position{7, 16});
    reconnect(w);
    CHECK(w.take_request("subscribe").resume == topic_position{7, 16});
}

TEST_CASE("client reconnect: what could not be made good is told", "[client][reconnect]") {
    client_world w;
    const auto running = w.start();
    w.subscribed("a", topic_position{7, 10});
    reconnect(w);
    const auto again = w.take_request("subscribe");
    CHECK(again.resume == topic_position{7, 10});

    SECTION("the history does not reach back that far") {
        w.reply(again, recovered(false, topic_position{7, 30}));
        w.gap("a", 5, gap::range{11, 15});
        w.push("a", "16", topic_position{7, 16});
        expect_reconnected(w);
        const auto loss = w.take_as<client_unrecovered>();
        CHECK(loss.topic == "a");
        CHECK(loss.error == error_code());
        CHECK(loss.position == topic_position{7, 30});
        CHECK(w.take_as<client_gap>().count == 5);
        CHECK(w.take_payload() == "16");
        reconnect(w);
        CHECK(w.take_request("subscribe").resume == topic_position{7, 16});
    }
    SECTION("a gap that was told is not told again") {
        w.reply(again, recovered(false, topic_position{7, 30}));
        w.gap("a", 5, gap::range{11, 15});
        reconnect(w);
        CHECK(w.take_request("subscribe").resume == topic_position{7, 15});
    }
    SECTION("what was not lost of a gap's range still comes") {
        w.reply(again, recovered(true, topic_position{7, 10}));
        w.push("a", "11", topic_position{7, 11});
        w.gap("a", 3, gap::range{12, 16});
        w.push("a", "14", topic_position{7, 14});
        expect_reconnected(w);
        CHECK(w.take_payload() == "11");
        CHECK(w.take_as<client_gap>().count == 3);
        CHECK(w.take_payload() == "14");
        reconnect(w);
        CHECK(w.take_request("subscribe").resume == topic_position{7, 14});
    }
    SECTION("another history, of which all is replayed") {
        w.reply(again, recovered(false, topic_position{8, 2}));
        w.push("a", "new 1", topic_position{8, 1});
        expect_reconnected(w);
        CHECK(w.take_as<client_unrecovered>().position == topic_position{8, 2});
        CHECK(w.take_payload() == "new 1");
        reconnect(w);
        CHECK(w.take_request("subscribe").resume == topic_position{8, 1});
    }
    SECTION("another history, and the connection breaks before its first message") {
        w.reply(again, recovered(false, topic_position{8, 2}));
        reconnect(w);
        CHECK(w.take_request("subscribe").resume == topic_position{8, 0});
    }
    SECTION("the hub is behind what was received") {
        w.reply(again, recovered(false, topic_position{7, 3}));
        w.push("a", "4", topic_position{7, 4});
        expect_reconnected(w);
        w.take_as<client_unrecovered>();
        CHECK(w.take_payload() == "4");
    }
    SECTION("no history at all any more") {
        w.refuse(again, "the topic has no history");
        const auto plain = w.take_request("subscribe");
        CHECK(plain.topic == "a");
        CHECK(!plain.resume);
        w.reply(plain);
        expect_reconnected(w);
        const auto loss = w.take_as<client_unrecovered>();
        CHECK(loss.error == error_code());
        CHECK(!loss.position);
        reconnect(w);
        CHECK(!w.take_request("subscribe").resume);
    }
    SECTION("refused: the subscription has ended") {
        w.refuse(again, "forbidden");
        expect_reconnected(w);
        const auto loss = w.take_as<client_unrecovered>();
        CHECK(loss.error == errc::forbidden);
        CHECK(loss.reason == "forbidden");
        reconnect(w);
        CHECK(w.silent());
    }
}

TEST_CASE("client reconnect: what a resume brings anyway is not taken before", "[client][reconnect]") {
    client_world w;
    const auto running = w.start();
    w.subscribed("a", topic_position{7, 10});
    w.subscribed("#", {}, {.match = match_mode::filter});
    reconnect(w);
    const auto exact = w.take_request("subscribe"), filter = w.take_request("subscribe");
    CHECK(filter.topic == "#");
    // The hub itself has subscribed this session to something that brings the newest first.
    w.push("a", "13", topic_position{7, 13});
    w.reply(exact, recovered(true, topic_position{7, 13}));
    for (std::uint64_t n = 11; n != 14; ++n)
        w.push("a", std::to_string(n), topic_position{7, n});
    w.reply(filter);
    w.push("a", "13", topic_position{7, 13}); // and it comes again, by the filter
    expect_reconnected(w);
    CHECK(w.take_payload() == "11");
    CHECK(w.take_payload() == "12");
    CHECK(w.take_payload() == "13");
    CHECK(w.nothing());
}

TEST_CASE(
    "client reconnect: two types of one topic resume apart, and nothing comes twice", "[client][reconnect]") {
    client_world w;
    const auto running = w.start();
    w.subscribed("a", topic_position{7, 10}, {.type = "x"});
    w.subscribed("a", topic_position{7, 10});
    w.push("a", "11x", topic_position{7, 11}, "x");
    w.push("a", "12y", topic_position{7, 12}, "y");
    CHECK(w.take_payload() == "11x");
    CHECK(w.take_payload() == "12y");
    reconnect(w);
    const auto all = w.take_request("subscribe"), x = w.take_request("subscribe");
    CHECK(all.type.empty());
    CHECK(all.resume == topic_position{7, 12});
    CHECK(x.type == "x");
    CHECK(x.resume == topic_position{7, 11});
    w.reply(all, recovered(true, topic_position{7, 13}));
    w.push("a", "13x", topic_position{7, 13}, "x");
    w.reply(x, recovered(true, topic_position{7, 13}));
    w.push("a", "13x", topic_position{7, 13}, "x");
    w.push("a", "14x", topic_position{7, 14}, "x");
    expect_reconnected(w);
    CHECK(w.take_payload() == "13x");
    CHECK(w.take_payload() == "14x");
    CHECK(w.nothing());
}

TEST_CASE("client reconnect: requests in flight", "[client][reconnect]") {
    client_world w;
    const auto running = w.start();
    w.subscribed("old", topic_position{1, 1});
    const auto published = w.publish("a", "1");
    const auto subscribed = w.subscribe("new", {.history = 2});
    const auto unsubscribed = w.unsubscribe("old");
    w.hub().end();
    w.run();
    CHECK(published.ec() == client_errc::connection_lost);
    CHECK(published.ec() == client_condition::outcome_unknown);
    CHECK(unsubscribed.ec() == error_code());
    CHECK(!subscribed.done());
    const auto waiting = w.publish("a", "2");
    CHECK(!waiting.done());

    w.pass(100ms);
    w.greet();
    // Neither the old subscription nor the publish comes again; the subscribe goes before what came later.
    const auto subscribe = w.take_request("subscribe");
    CHECK(subscribe.topic == "new");
    CHECK(subscribe.history == 2);
    const auto publish = w.take_request("publish");
    CHECK(publish.payload == "2");
    CHECK(w.silent());
    w.reply(subscribe);
    w.reply(publish);
    CHECK(subscribed.ec() == error_code());
    CHECK(waiting.ec() == error_code());
}

TEST_CASE(
    "client reconnect: subscribe, then unsubscribe, then the connection breaks", "[client][reconnect]") {
    client_world w;
    const auto running = w.start();
    const auto subscribed = w.subscribe("a");
    const auto unsubscribed = w.unsubscribe("a");
    w.hub().end();
    w.run();
    CHECK(subscribed.ec() == boost::asio::error::operation_aborted);
    CHECK(unsubscribed.ec() == error_code());
    w.pass(100ms);
    w.greet();
    CHECK(w.silent());
}

TEST_CASE("client reconnect: a request's time goes on over connections", "[client][reconnect]") {
    client_world w;
    const auto running = w.start();
    const auto subscribed = w.subscribe("a");
    w.hub().end();
    w.run();
    w.connector->accepts = false;
    w.pass(4999ms);
    CHECK(!subscribed.done());
    w.pass(1ms);
    CHECK(subscribed.ec() == client_errc::not_sent);
    CHECK(!running.done());
}

TEST_CASE("client reconnect: subscriptions that the new connection does not answer", "[client][reconnect]") {
    client_world w;
    const auto running = w.start();
    w.subscribed("a");
    reconnect(w);
    w.take_request("subscribe");
    w.pass(5s);
    CHECK(w.hub().closed);
    const auto down = w.take_as<client_disconnected>();
    CHECK(down.error == client_errc::no_answer);
    CHECK(!running.done());
}

TEST_CASE("client reconnect: changed options keep the place, a new replay does not", "[client][reconnect]") {
    client_world w;
    const auto running = w.start();
    w.subscribed("a", topic_position{7, 10});
    w.push("a", "11", topic_position{7, 11});
    w.subscribed("a", topic_position{7, 11}, {.echo = false});
    w.hub().end();
    w.run();
    w.pass(100ms);
    w.greet();
    auto again = w.take_request("subscribe");
    CHECK(!again.echo);
    CHECK(again.resume == topic_position{7, 11});
    w.reply(again, recovered(true, topic_position{7, 11}));
    CHECK(w.take_payload() == "11");
    expect_reconnected(w);

    const auto replay = w.subscribe("a", {.resume = topic_position{7, 9}});
    w.reply(w.take_request("subscribe"), recovered(true, topic_position{7, 11}));
    CHECK(replay.get().recovered == true);
    CHECK(replay.get().position == topic_position{7, 11});
    w.push("a", "10", topic_position{7, 10});
    CHECK(w.take_payload() == "10"); // asked for, though it is older than what came before
    reconnect(w);
    CHECK(w.take_request("subscribe").resume == topic_position{7, 10});
}

TEST_CASE("client reconnect: who never receives is not left with a queue of events", "[client][reconnect]") {
    client_world w;
    outcome<> running;
    w.client->async_run(running.handler());
    w.run();
    w.greet();
    w.subscribed("a", topic_position{7, 10});
    for (int i = 0; i != 100; ++i) {
        reconnect(w);
        w.reply(w.take_request("subscribe"), recovered(false, topic_position{7, 10}));
    }
    CHECK(w.take_as<client_disconnected>().retry_in.has_value());
    CHECK(w.take_as<client_connected>().session == "s101");
    CHECK(w.take_as<client_unrecovered>().topic == "a");
    CHECK(w.nothing());
}

TEST_CASE("client reconnect: many subscriptions, more than one write takes", "[client][reconnect]") {
    client_world w;
    const auto running = w.start();
    const std::string level(200, 'x');
    for (int i = 0; i != 500; ++i)
        w.subscribed(level + std::to_string(1000 + i));
    const auto published = w.publish("a", "x");
    w.take_request("publish");
    w.hub().end();
    w.run();
    const auto next = w.publish("a", "y");
    w.pass(100ms);
    w.hub().room = 1000;
    w.greet();
    for (int i = 0; i != 500; ++i) {
        while (w.hub().written.find('\n') == std::string::npos) {
            w.hub().make_room(1000);
            w.run();
        }
        const auto again = w.take_request("subscribe");
        CHECK(again.topic == level + std::to_string(1000 + i));
        w.reply(again);
    }
    w.hub().make_room(100'000);
    w.run();
    CHECK(w.take_request("publish").payload == "y");
}
