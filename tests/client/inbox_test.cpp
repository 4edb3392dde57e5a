// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// How much a client holds for a user who is slow to take it.

#include <pusher/client/inbox.hpp>

#include "client_world.hpp"

#include <string>

using namespace pusher;
using namespace test;

namespace {

client_params small_inbox(std::size_t messages, std::size_t bytes = 1'000'000) {
    auto p = client_world::params();
    p.inbox_messages = messages;
    p.inbox_bytes = bytes;
    return p;
}

std::string line_of(std::string_view payload) {
    return R"({"topic":"a","payload":")" + std::string(payload) + "\"}\n";
}

} // namespace

TEST_CASE("client inbox: full, it stops reading, and nothing is lost", "[client][inbox]") {
    client_world w(small_inbox(4));
    outcome<> running;
    w.client->async_run(running.handler());
    w.run();
    w.greet();
    w.take();
    w.hub().piece = line_of("00").size() * 3 + 5; // the third piece ends in the middle of a line
    for (int i = 10; i != 40; ++i)
        w.hub().say(line_of(std::to_string(i)));
    w.run();
    CHECK(!w.hub().reading);
    const auto left = w.hub().unread();
    CHECK(left > 20 * line_of("00").size());
    for (int i = 10; i != 12; ++i)
        CHECK(w.take_payload() == std::to_string(i));
    for (int i = 12; i != 40; ++i)
        CHECK(w.take_payload() == std::to_string(i));
    CHECK(w.nothing());
    CHECK(w.hub().unread() == 0);
    CHECK(w.hub().reading);
}

TEST_CASE("client inbox: it reads on when half is taken, not before", "[client][inbox]") {
    client_world w(small_inbox(4));
    const auto running = w.start();
    for (int i = 0; i != 8; ++i)
        w.push("a", std::to_string(i));
    CHECK(!w.hub().reading);
    const auto left = w.hub().unread();
    CHECK(left > 0);
    CHECK(w.take_payload() == "0");
    CHECK(w.hub().unread() == left);
    CHECK(w.take_payload() == "1");
    CHECK(w.hub().unread() < left);
}

TEST_CASE("client inbox: bytes count too, and a gap marker like a message", "[client][inbox]") {
    client_world w(small_inbox(100, 1000));
    const auto running = w.start();
    SECTION("bytes") {
        w.push("a", std::string(999, 'x')); // and one for the topic
        CHECK(!w.hub().reading);
        CHECK(w.take_payload().size() == 999);
        CHECK(w.hub().reading);
        w.push("a", std::string(5000, 'x')); // one is always taken
        CHECK(w.take_payload().size() == 5000);
    }
    SECTION("gaps") {
        for (int i = 0; i != 100; ++i)
            w.gap("a", 1);
        CHECK(!w.hub().reading);
        for (int i = 0; i != 100; ++i)
            w.take_as<client_gap>();
        CHECK(w.hub().reading);
    }
}

TEST_CASE("client inbox: while it is full, the hub is not thought to be gone", "[client][inbox]") {
    client_world w(small_inbox(1));
    const auto running = w.start();
    w.push("a", "x");
    CHECK(!w.hub().reading);
    for (int i = 0; i != 10; ++i)
        w.pass(30s); // pings go on, so that the hub does not think so either
    CHECK(w.client->connected());
    for (int i = 0; i != 10; ++i)
        w.take_request("ping");
    CHECK(w.take_payload() == "x");
    w.pass(29s);
    CHECK(w.client->connected());
}

TEST_CASE("client inbox: replies wait behind what is not read", "[client][inbox]") {
    client_world w(small_inbox(1));
    const auto running = w.start();
    const auto first = w.publish("a", "x"), second = w.publish("a", "y");
    const auto a = w.take_request("publish"), b = w.take_request("publish");
    w.push("a", "m");
    w.reply(a);
    CHECK(!first.done());
    CHECK(w.take_payload() == "m");
    CHECK(first.done());
    w.push("a", "m");
    w.reply(b);
    w.pass(5s);
    CHECK(second.ec() == client_errc::no_answer);
    CHECK(w.take_payload() == "m");
    CHECK(w.client->connected());
}

TEST_CASE("client inbox: no new connection while it is full", "[client][inbox]") {
    client_world w(small_inbox(2));
    const auto running = w.start();
    w.push("a", "0");
    w.push("a", "1");
    CHECK(!w.hub().reading);
    w.hub().fail(boost::asio::error::connection_reset);
    w.run();
    w.pass(60s);
    CHECK(w.connector->channels.size() == 1);
    CHECK(w.take_payload() == "0");
    CHECK(w.connector->channels.size() == 2);
    w.greet();
    CHECK(w.take_payload() == "1");
    CHECK(w.take_as<client_disconnected>().error == boost::asio::error::connection_reset);
    CHECK(w.take_as<client_connected>().again);
}

TEST_CASE("client inbox: what was read is kept when the connection breaks", "[client][inbox]") {
    client_world w(small_inbox(2));
    const auto running = w.start();
    std::string lines;
    for (int i = 0; i != 5; ++i)
        lines += line_of(std::to_string(i));
    w.hub().say(lines); // in one piece: two are taken, three are held
    w.run();
    CHECK(w.hub().unread() == 0);
    w.hub().fail(boost::asio::error::connection_reset);
    w.run();
    for (int i = 0; i != 5; ++i)
        CHECK(w.take_payload() == std::to_string(i));
    w.take_as<client_disconnected>();
    CHECK(w.nothing());
}

TEST_CASE("client inbox: subscriptions on a new connection wait for a slow user", "[client][inbox]") {
    client_world w(small_inbox(1));
    const auto running = w.start();
    w.subscribed("a");
    w.hub().end();
    w.run();
    w.pass(100ms);
    w.greet();
    const auto again = w.take_request("subscribe");
    w.push("b", "x"); // subscribed to by the hub; it fills the inbox
    w.reply(again);
    w.pass(60s);
    CHECK(w.client->connected());
    w.take_as<client_disconnected>();
    w.take_as<client_connected>();
    CHECK(w.take_payload() == "x");
    w.pass(20s);
    CHECK(w.client->connected());
}

TEST_CASE("client inbox: ends of connections between messages are bounded", "[client][inbox]") {
    auto p = small_inbox(1000);
    client_world w(p);
    const auto running = w.start();
    std::size_t connections = 1;
    for (int i = 0; i != 50; ++i) {
        w.push("a", std::to_string(i));
        w.hub().end();
        w.run();
        w.pass(10s);
        if (w.connector->channels.size() == connections)
            break;
        connections = w.connector->channels.size();
        w.greet();
    }
    CHECK(connections < 12);
    // As soon as somebody listens it goes on.
    CHECK(w.take_payload() == "0");
    w.take_as<client_disconnected>();
    w.run();
    CHECK(w.connector->channels.size() == connections + 1);
}

TEST_CASE(
    "client inbox: of connections only the latest is kept, of losses the latest of each", "[client][inbox]") {
    detail::client_inbox inbox(10, 1000);
    const auto lost = [](std::string topic, std::uint64_t offset) {
        client_unrecovered u;
        u.topic = std::move(topic);
        u.position = topic_position{1, offset};
        return u;
    };
    inbox.add(client_gap{"a", 1, {}});
    inbox.add(client_disconnected{errc::peer_closed, 1, {}, {}});
    inbox.add(client_connected{"1", true});
    inbox.add(lost("a", 1));
    inbox.add(lost("b", 1));
    inbox.add(client_disconnected{errc::peer_closed, 2, {}, {}});
    inbox.add(client_disconnected{errc::peer_closed, 3, {}, {}});
    inbox.add(client_connected{"2", true});
    inbox.add(lost("a", 2));
    inbox.add(client_gap{"b", 2, {}});
    inbox.add(client_disconnected{errc::peer_closed, 4, {}, {}});

    CHECK(std::get<client_gap>(inbox.take()).count == 1);
    CHECK(std::get<client_unrecovered>(inbox.take()).topic == "b");
    CHECK(std::get<client_disconnected>(inbox.take()).code == 3);
    CHECK(std::get<client_connected>(inbox.take()).session == "2");
    CHECK(std::get<client_unrecovered>(inbox.take()).position->offset == 2);
    inbox.add(client_disconnected{errc::peer_closed, 5, {}, {}});
    CHECK(std::get<client_gap>(inbox.take()).count == 2);
    inbox.add(client_disconnected{errc::peer_closed, 6, {}, {}});
    CHECK(std::get<client_disconnected>(inbox.take()).code == 6);
    CHECK(inbox.empty());
    CHECK(inbox.low());
}
