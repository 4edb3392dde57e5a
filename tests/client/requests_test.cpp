// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// What a client asks, and what becomes of it, while the connection holds.

#include "client_world.hpp"

#include <string>

using namespace pusher;
using namespace test;

TEST_CASE("client: hello, then open", "[client]") {
    client_world w;
    outcome<> running;
    w.client->async_run(running.handler());
    CHECK(!w.client->connected());
    w.run();
    CHECK(w.connector->attempts == std::vector<std::size_t>{0});
    CHECK(w.connector->last_url.host == "hub");
    w.greet();
    CHECK(w.client->connected());
    CHECK(w.client->session() == "s1");
    const auto up = w.take_as<client_connected>();
    CHECK(up.session == "s1");
    CHECK(!up.again);
    CHECK(w.nothing());
    CHECK(!running.done());
}

TEST_CASE("client: hello and auth go together, and both must be answered", "[client]") {
    auto p = client_world::params();
    p.token = "secret";
    client_world w(p);
    outcome<> running;
    w.client->async_run(running.handler());
    w.run();
    const auto hello = w.take_request("hello");
    const auto auth = w.take_request("auth");
    CHECK(auth.token == "secret");
    w.reply(hello);
    CHECK(!w.client->connected());
    w.reply(auth);
    CHECK(w.client->connected());
}

TEST_CASE("client: a token that is refused ends the run", "[client]") {
    auto p = client_world::params();
    p.token = "wrong";
    client_world w(p);
    outcome<> running;
    w.client->async_run(running.handler());
    w.run();
    const auto hello = w.take_request("hello");
    const auto auth = w.take_request("auth");
    w.reply(hello);

    SECTION("by the hub's own word") {
        w.refuse(auth, "refused");
        CHECK(running.ec() == errc::refused);
    }
    SECTION("by the host's words") {
        w.refuse(auth, "expired in 2019");
        CHECK(running.ec() == errc::refused);
        CHECK(running.ec() == condition::denied);
    }
    SECTION("by a close before anything else") {
        w.goodbye(close_code::policy, "not you");
        CHECK(running.ec() == errc::refused);
    }
    const auto down = w.take_as<client_disconnected>();
    CHECK(down.error == errc::refused);
    CHECK(!down.reason.empty());
    CHECK(!down.retry_in);
    CHECK(w.hub().closed);
    CHECK(!w.clock->armed());

    // Another token may do better.
    w.client->set_token("right");
    outcome<> again;
    w.client->async_run(again.handler());
    w.run();
    w.greet("right");
    CHECK(w.client->connected());
}

TEST_CASE("client: a close for having been silent is no refusal", "[client]") {
    client_world w;
    outcome<> running;
    w.client->async_run(running.handler());
    w.run();
    const auto reason = close_reason::from(errc::idle_timeout);
    w.goodbye(reason.code, reason.text);
    CHECK(!running.done());
    CHECK(w.take_as<client_disconnected>().retry_in == 100ms);
}

TEST_CASE("client: publish", "[client]") {
    client_world w;
    const auto running = w.start();
    const auto done = w.publish("a/b", "p\"\n", {.type = "t", .key = "k", .id = "i"});
    CHECK(!done.done());
    const auto asked = w.take_request("publish");
    CHECK(asked.topic == "a/b");
    CHECK(asked.type == "t");
    CHECK(asked.payload == "p\"\n");
    CHECK(asked.key == "k");
    CHECK(asked.message_id == "i");
    native_reply r;
    r.receipt = native_receipt{3, topic_position{7, 8}};
    w.reply(asked, r);
    CHECK(done.ec() == error_code());
    CHECK(done.get().matched == 3);
    CHECK(done.get().position == topic_position{7, 8});
    CHECK(!running.done());
}

TEST_CASE("client: requests of one turn are written together, and answered in order", "[client]") {
    client_world w;
    const auto running = w.start();
    outcome<client_publish_result> first, second;
    outcome<client_subscribe_result> third;
    const auto steps = w.plan->steps;
    w.client->async_publish("a", "1", first.handler());
    w.client->async_publish("a", "2", second.handler());
    w.client->async_subscribe("a", third.handler());
    CHECK(w.silent());
    w.run();
    CHECK(w.plan->steps == steps + 1); // one write
    const auto a = w.take_request("publish"), b = w.take_request("publish"), c = w.take_request("subscribe");
    CHECK(a.payload == "1");
    CHECK(b.payload == "2");
    w.reply(a);
    CHECK(first.done());
    CHECK(!second.done());
    w.reply(b);
    w.reply(c);
    CHECK(second.done());
    CHECK(third.done());
}

TEST_CASE("client: requests of one turn, more than one write takes", "[client]") {
    client_world w;
    const auto running = w.start();
    const std::string payload(10'000, 'x');
    outcome<client_publish_result> all[50];
    for (auto& one : all)
        w.client->async_publish("a", payload, one.handler());
    SECTION("a connection that takes all of it") {}
    SECTION("a connection that takes it bit by bit") {
        w.hub().room = 0;
        w.run();
        for (int i = 0; i != 600; ++i) {
            w.hub().make_room(1000);
            w.run();
        }
    }
    w.run();
    for (auto& one : all) {
        CHECK(!one.done());
        w.reply(w.take_request("publish"));
        CHECK(one.ec() == error_code());
    }
}

TEST_CASE("client: what the hub refuses", "[client]") {
    client_world w;
    const auto running = w.start();
    const auto published = w.publish("a", "x");
    w.refuse(w.take_request("publish"), "forbidden");
    CHECK(published.ec() == errc::forbidden);
    CHECK(published.ec() == condition::denied);
    CHECK(published.get().reason == "forbidden");

    const auto subscribed = w.subscribe("a", {.history = 3});
    CHECK(w.hub().written.find(R"("history":3)") != std::string::npos);
    w.refuse(w.take_request("subscribe"), "the topic has no history");
    CHECK(subscribed.ec() == errc::no_history);

    const auto other = w.subscribe("b");
    w.refuse(w.take_request("subscribe"), "it is Sunday");
    CHECK(other.ec() == client_errc::rejected);
    CHECK(other.get().reason == "it is Sunday");

    const auto early = w.subscribe("b");
    w.refuse(w.take_request("subscribe"), "not authenticated: send auth first");
    CHECK(early.ec() == errc::not_authenticated);
    CHECK(w.client->connected());
}

TEST_CASE("client: what is wrong is not sent", "[client]") {
    client_world w;
    const auto running = w.start();
    CHECK(w.publish("", "x").ec() == errc::invalid_topic);
    CHECK(w.publish(std::string(256, 'a'), "x").ec() == errc::invalid_topic);
    CHECK(w.publish("a", "x", {.type = "pusher.gap"}).ec() == errc::invalid_type);
    CHECK(w.publish("a", "\xFF").ec() == errc::invalid_utf8);
    CHECK(w.publish("a", "x", {.id = "\xFF"}).ec() == errc::invalid_utf8);
    const std::string long_text(256, 'k');
    CHECK(w.publish("a", "x", {.key = long_text}).ec() == errc::invalid_message);
    CHECK(w.publish("a", "x", {.id = long_text}).ec() == errc::invalid_message);
    CHECK(w.subscribe("").ec() == errc::invalid_topic);
    CHECK(w.subscribe("a/#/b", {.match = match_mode::filter}).ec() == errc::invalid_filter);
    CHECK(w.subscribe("a", {.type = "\n"}).ec() == errc::invalid_type);
    CHECK(w.subscribe("a/#", {.match = match_mode::filter, .history = 1}).ec() == errc::unsupported);
    CHECK(
        w.subscribe("a/#", {.match = match_mode::filter, .resume = topic_position{1, 1}}).ec() ==
        errc::unsupported);
    CHECK(w.subscribe("a", {.history = 1, .resume = topic_position{1, 1}}).ec() == errc::unsupported);
    CHECK(w.silent());
}

TEST_CASE("client: limits of its own, and the hub's", "[client]") {
    auto p = client_world::params();
    p.requests = 2;
    p.request_bytes = 1000;
    p.subscriptions = 1;
    client_world w(p);
    outcome<> running;
    w.client->async_run(running.handler());
    w.run();
    w.greet({}, 300);

    SECTION("a request that the hub would not take") {
        CHECK(w.publish("a", std::string(300, 'x')).ec() == errc::message_too_large);
        CHECK(w.publish("a", std::string(200, '\n')).ec() == errc::message_too_large); // escaped
        CHECK(!w.publish("a", std::string(200, 'x')).done());
    }
    SECTION("number") {
        const auto a = w.publish("a", "1"), b = w.publish("a", "2");
        CHECK(w.publish("a", "3").ec() == errc::queue_full);
        CHECK(w.subscribe("a").ec() == errc::queue_full);
        CHECK(w.unsubscribe("a").ec() == errc::queue_full);
        w.reply(w.take_request("publish"));
        CHECK(a.done());
        CHECK(!w.publish("a", "3").done());
    }
    SECTION("subscriptions") {
        w.subscribed("a");
        CHECK(w.subscribe("b").ec() == errc::too_many_subscriptions);
        w.subscribed("a", {}, {.echo = false}); // the same, with other options
    }
}

TEST_CASE("client: bytes of unsent requests are bounded", "[client]") {
    auto p = client_world::params();
    p.request_bytes = 1000;
    client_world w(p);
    const auto a = w.publish("a", std::string(600, 'x'));
    CHECK(!a.done());
    CHECK(w.publish("a", std::string(600, 'x')).ec() == errc::queue_full);
    const auto b = w.publish("a", std::string(200, 'x'));
    CHECK(!b.done());
    outcome<> running;
    w.client->async_run(running.handler());
    w.run();
    w.greet();
    // What is sent does not count any more.
    CHECK(!w.publish("a", std::string(600, 'x')).done());
}

TEST_CASE("client: a limit of the hub that was not known before", "[client]") {
    client_world w;
    const auto large = w.publish("a", std::string(300, 'x')), small = w.publish("a", "y");
    outcome<> running;
    w.client->async_run(running.handler());
    w.run();
    w.greet({}, 200);
    CHECK(large.ec() == errc::message_too_large);
    CHECK(w.take_request("publish").payload == "y");
    CHECK(w.client->connected());
}

TEST_CASE("client: what is asked for before there is a connection waits for it", "[client]") {
    client_world w;
    const auto published = w.publish("a", "x");
    const auto subscribed = w.subscribe("a");
    outcome<> running;
    w.client->async_run(running.handler());
    w.run();
    CHECK(!published.done());
    w.greet();
    const auto a = w.take_request("publish"), b = w.take_request("subscribe");
    w.reply(a);
    w.reply(b);
    CHECK(published.ec() == error_code());
    CHECK(subscribed.ec() == error_code());
}

TEST_CASE("client: without a connection in time nothing was sent", "[client]") {
    client_world w;
    const auto published = w.publish("a", "x");
    w.pass(4999ms);
    CHECK(!published.done());
    w.pass(1ms);
    CHECK(published.ec() == client_errc::not_sent);
    CHECK(published.ec() != client_condition::outcome_unknown);
    CHECK(!w.clock->armed());
}

TEST_CASE("client: without an answer in time nobody knows", "[client]") {
    client_world w;
    const auto running = w.start();
    const auto published = w.publish("a", "x");
    const auto asked = w.take_request("publish");
    w.pass(5s);
    CHECK(published.ec() == client_errc::no_answer);
    CHECK(published.ec() == client_condition::outcome_unknown);
    // The late answer is nobody's, and the next one finds its own.
    const auto next = w.publish("a", "y");
    w.reply(asked);
    CHECK(!next.done());
    native_reply r;
    r.receipt = native_receipt{1};
    w.reply(w.take_request("publish"), r);
    CHECK(next.get().matched == 1);
}

TEST_CASE("client: messages, gaps and payloads of any bytes", "[client]") {
    client_world w;
    const auto running = w.start();
    w.subscribed("a");
    w.push("a", "one", topic_position{5, 9}, "t");
    const auto m = w.take_as<pinned_message>();
    CHECK(m->topic() == "a");
    CHECK(m->type() == "t");
    CHECK(m->payload() == "one");
    CHECK(m->position() == topic_position{5, 9});
    CHECK(m->receive_time() == wall_time());
    CHECK(m->id() == "0000000000000000-0");
    w.push("b", std::string("\xFF\x00", 2)); // subscribed to by the hub itself
    CHECK(w.take_payload() == std::string("\xFF\x00", 2));
    w.gap("a", 4, gap::range{10, 15});
    const auto g = w.take_as<client_gap>();
    CHECK(g.topic == "a");
    CHECK(g.count == 4);
    CHECK(g.offsets == gap::range{10, 15});
    w.gap("a", 2);
    CHECK(!w.take_as<client_gap>().offsets);
}

TEST_CASE("client: one receive at a time", "[client]") {
    client_world w;
    const auto running = w.start();
    const auto first = w.receive(), second = w.receive();
    CHECK(!first.done());
    CHECK(second.ec() == errc::receive_pending);
    w.push("a", "x");
    CHECK(first.ec() == error_code());
    CHECK(std::holds_alternative<pinned_message>(first.get()));
}

TEST_CASE("client: one run at a time", "[client]") {
    client_world w;
    const auto running = w.start();
    outcome<> second;
    w.client->async_run(second.handler());
    w.run();
    CHECK(second.ec() == client_errc::already_running);
    CHECK(!running.done());
}

TEST_CASE("client: pings, and how long it waits for an answer", "[client]") {
    client_world w;
    outcome<> running;
    w.client->async_run(running.handler());
    w.run();

    SECTION("after its own interval") {
        w.greet();
        w.pass(29'999ms);
        CHECK(w.silent());
        w.pass(1ms);
        auto ping = w.take_request("ping");
        w.reply(ping);
        // What it says itself is not enough: the hub must be heard.
        w.pass(20s);
        const auto published = w.publish("a", "x");
        w.take_request("publish");
        w.pass(5s);
        CHECK(published.ec() == client_errc::no_answer);
        w.pass(5s);
        ping = w.take_request("ping");
        w.pass(4999ms);
        CHECK(w.client->connected());
        w.pass(1ms);
        CHECK(!w.client->connected());
        CHECK(w.take_as<client_disconnected>().error == errc::idle_timeout);
    }
    SECTION("sooner if the hub wants it") {
        w.greet({}, 0, 9s);
        w.pass(2999ms);
        CHECK(w.silent());
        w.pass(1ms);
        w.reply(w.take_request("ping"));
        // Being heard alone is not enough either: the hub waits for this side.
        w.pass(1500ms);
        w.push("a", "x");
        w.pass(1500ms);
        w.take_request("ping");
    }
    SECTION("anything at all counts as an answer") {
        w.greet();
        w.pass(30s);
        w.take_request("ping");
        w.pass(4s);
        w.hub().say("{"); // half a line
        w.run();
        w.pass(10s);
        CHECK(w.client->connected());
    }
    CHECK(!running.done());
}

TEST_CASE("client: a hub that says nonsense", "[client]") {
    client_world w;
    const auto running = w.start();
    const auto published = w.publish("a", "x");
    error_code expected = errc::invalid_message;
    SECTION("no JSON") { w.say("hello"); }
    SECTION("no object") { w.say("[]"); }
    SECTION("an object that says nothing") { w.say("{}"); }
    SECTION("not UTF-8") {
        w.say("{\"a\":\"\xFF\"}");
        expected = errc::invalid_utf8;
    }
    SECTION("an encoding that nobody knows") {
        w.say(R"({"topic":"a","payload":"x","encoding":"morse"})");
        expected = errc::unsupported;
    }
    SECTION("a reply to another request") {
        w.say(R"({"request_id":"77","action":"publish","status":"ok","error_message":"","timestamp":0})");
        expected = errc::protocol_error;
    }
    SECTION("a reply with no request") {
        w.reply(w.take_request("publish"));
        w.say(R"({"request_id":"9","action":"publish","status":"ok","error_message":"","timestamp":0})");
        expected = errc::protocol_error;
    }
    SECTION("a challenge") {
        w.say(R"({"action":"challenge","cookie":"c"})");
        expected = errc::protocol_error;
    }
    CHECK(w.hub().closed);
    const auto down = w.take_as<client_disconnected>();
    CHECK(down.error == expected);
    CHECK(!down.reason.empty());
    CHECK(down.retry_in == 100ms);
    CHECK(published.done());
    CHECK(!running.done());
}

TEST_CASE("client: a request that the hub could not read at all", "[client]") {
    client_world w;
    const auto running = w.start();
    const auto published = w.publish("a", "x");
    w.say(
        R"({"request_id":"","action":"","status":"fail","error_message":"message too large","timestamp":0})");
    CHECK(published.ec() == errc::message_too_large);
    CHECK(w.client->connected());
}

TEST_CASE("client: a line over the limit ends the run, for it would come again", "[client]") {
    auto p = client_world::params();
    p.message_bytes = 1024;
    client_world w(p);
    const auto running = w.start();
    SECTION("within one line") { w.say(std::string(2000, ' ')); }
    SECTION("before it ends") {
        for (int i = 0; i != 20; ++i)
            w.hub().say(std::string(60, ' '));
        w.run();
    }
    CHECK(running.ec() == errc::message_too_large);
    CHECK(w.take_as<client_disconnected>().error == errc::message_too_large);
}

TEST_CASE("client: lines in pieces, with carriage returns, and empty ones", "[client]") {
    client_world w;
    const auto running = w.start();
    w.hub().piece = 1;
    w.hub().say("\n\r\n{\"topic\":\"a\",\"payload\":\"x\"}\r\n\n");
    w.hub().say("{\"topic\":\"a\",\"payload\":\"y\"}\n{\"topic\":\"a\",");
    w.hub().say("\"payload\":\"z\"}\n");
    w.run();
    CHECK(w.take_payload() == "x");
    CHECK(w.take_payload() == "y");
    CHECK(w.take_payload() == "z");
    CHECK(w.nothing());
}
