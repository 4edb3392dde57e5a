// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include <pusher/testing/memory_channel.hpp>
#include <pusher/testing/memory_peer.hpp>
#include <pusher/testing/memory_transport.hpp>

#include <pusher/dialect/websocket_codec.hpp>
#include <pusher/transport/websocket_link.hpp>

#include "catch.hpp"

#include <boost/asio/io_context.hpp>

#include <functional>
#include <string>
#include <vector>

namespace {

using namespace pusher::testing;
using pusher::channel_ptr;
using pusher::errc;
using pusher::error_code;

/// What a channel tells its user, as text.
struct diary final : pusher::channel_user {
    bool at_bytes(std::span<char> bytes) override {
        entries.emplace_back(bytes.data(), bytes.size());
        return on_bytes ? on_bytes() : true;
    }
    void at_writable() override { entries.emplace_back("writable"); }
    void at_end(error_code ec) override { entries.push_back("end: " + ec.message()); }

    std::vector<std::string> take() { return std::exchange(entries, {}); }

    std::vector<std::string> entries;
    std::function<bool()> on_bytes;
};

using texts = std::vector<std::string>;

const std::string closed = "end: " + make_error_code(errc::peer_closed).message();
const std::string reset = "end: " + error_code(boost::asio::error::connection_reset).message();

std::span<const char> bytes(std::string_view text) { return {text.data(), text.size()}; }

struct fixture {
    explicit fixture(memory_channel_params first = {}, memory_channel_params second = {}) {
        auto ends = memory_channel::connect(io.get_executor(), std::move(first), std::move(second));
        a = ends.first;
        b = ends.second;
        a->set_user(&at_a);
        b->set_user(&at_b);
    }
    void run() {
        io.restart();
        io.run();
    }

    boost::asio::io_context io;
    diary at_a, at_b;
    memory_channel_ptr a, b;
};

} // namespace

TEST_CASE("memory channel: bytes arrive in order, from the event loop alone, and only where somebody reads") {
    fixture f;
    CHECK(f.a->write(bytes("one")) == 3);
    f.run();
    CHECK(f.at_b.take().empty());
    f.b->read();
    CHECK(f.at_b.take().empty());
    f.run();
    CHECK(f.at_b.take() == texts{"one"});
    CHECK(f.a->write(bytes("two")) == 3);
    CHECK(f.a->write(bytes(" and three")) == 10);
    CHECK(f.a->on_their_way() == 13);
    CHECK(f.at_b.take().empty());
    f.run();
    CHECK(f.at_b.take() == texts{"two and three"});
    CHECK(f.at_a.take().empty());
}

TEST_CASE("memory channel: reads come in pieces, and stop when the user says so") {
    fixture f({}, {.piece = 2});
    f.b->read();
    int left = 2;
    f.at_b.on_bytes = [&] { return --left != 0; };
    f.a->write(bytes("abcdefg"));
    f.run();
    CHECK(f.at_b.take() == texts{"ab", "cd"});
    left = 100;
    f.b->read();
    f.b->read();
    f.run();
    CHECK(f.at_b.take() == texts{"ef", "g"});
}

TEST_CASE("memory channel: without room a write is short, and goes on when the other end has read") {
    fixture f({.room = 4});
    CHECK(f.a->write(bytes("abcdef")) == 4);
    CHECK(f.a->write(bytes("ef")) == 0);
    f.run();
    CHECK(f.at_a.take().empty());
    f.b->read();
    f.run();
    CHECK(f.at_b.take() == texts{"abcd"});
    CHECK(f.at_a.take() == texts{"writable"});
    CHECK(f.a->write(bytes("ef")) == 2);
    f.run();
    CHECK(f.at_b.take() == texts{"ef"});
    CHECK(f.at_a.take().empty());

    SECTION("or when room is made") {
        f.a->set_room(0);
        CHECK(f.a->write(bytes("gh")) == 0);
        f.run();
        CHECK(f.at_a.take().empty());
        f.a->set_room(1);
        f.run();
        CHECK(f.at_a.take() == texts{"writable"});
        CHECK(f.a->write(bytes("gh")) == 1);
    }
}

TEST_CASE("memory channel: shutdown ends one direction, after what was written") {
    fixture f;
    f.a->read();
    f.b->read();
    f.a->write(bytes("last"));
    f.a->shutdown();
    CHECK(f.a->write(bytes("too late")) == 0);
    CHECK(f.b->write(bytes("still")) == 5);
    f.run();
    CHECK(f.at_b.take() == texts{"last", closed});
    CHECK(f.at_a.take() == texts{"still"});
    f.b->close();
    f.run();
    CHECK(f.at_a.take() == texts{closed});
}

TEST_CASE(
    "memory channel: close reports nothing to its own user; the other gets what was written, and the end") {
    fixture f;
    f.a->read();
    f.b->read();
    f.a->write(bytes("last"));
    f.a->close();
    f.a->close();
    f.run();
    CHECK(f.at_a.take().empty());
    CHECK(f.at_b.take() == texts{"last", closed});
    CHECK(f.b->write(bytes("x")) == 0);
}

TEST_CASE("memory channel: close on unread bytes, or on a writer that waits, is a reset") {
    SECTION("unread") {
        fixture f;
        f.b->read();
        f.b->write(bytes("unread"));
        f.a->write(bytes("lost"));
        f.a->close();
        f.run();
        CHECK(f.at_b.take() == texts{reset});
    }
    SECTION("waiting") {
        fixture f({}, {.room = 0});
        CHECK(f.b->write(bytes("x")) == 0);
        f.a->close();
        f.run();
        CHECK(f.at_b.take() == texts{reset});
    }
    SECTION("writing after it") {
        fixture f;
        f.a->close();
        CHECK(f.b->write(bytes("x")) == 0);
        f.run();
        CHECK(f.at_b.take() == texts{"end: " + error_code(boost::asio::error::broken_pipe).message()});
    }
}

TEST_CASE("memory channel: it may get another user while it reports") {
    fixture f;
    diary second;
    f.at_b.on_bytes = [&] {
        f.b->set_user(&second);
        f.b->read();
        return true;
    };
    f.b->read();
    f.a->write(bytes("for the first"));
    f.run();
    f.a->write(bytes("for the second"));
    f.run();
    CHECK(f.at_b.take() == texts{"for the first"});
    CHECK(second.take() == texts{"for the second"});

    f.b->set_user(nullptr);
    f.a->write(bytes("for nobody yet"));
    f.run();
    f.b->set_user(&second);
    f.b->read();
    f.run();
    CHECK(second.take() == texts{"for nobody yet"});
}

TEST_CASE("memory channel: the operation that is to fail breaks the connection") {
    fail_count faults(1, boost::asio::error::timed_out);
    fixture f({.faults = &faults});
    f.a->read();
    f.b->read();
    CHECK(f.a->write(bytes("good")) == 4);
    f.run();
    CHECK(f.a->write(bytes("bad")) == 0);
    CHECK(faults.failed());
    CHECK(faults.operations() == 2);
    CHECK(f.at_a.take().empty());
    f.run();
    CHECK(f.at_a.take() == texts{"end: " + error_code(boost::asio::error::timed_out).message()});
    CHECK(f.at_b.take() == texts{"good", reset});

    fail_count at_once(0);
    fixture g({}, {.faults = &at_once});
    g.b->read();
    g.a->write(bytes("never read"));
    g.run();
    CHECK(g.at_b.take() == texts{reset});
}

TEST_CASE("memory transport: a session like any other") {
    boost::asio::io_context io;
    memory_port port;
    pusher::broker<memory> broker(io);
    auto listener = broker.listen(memory_params{.port = &port});
    CHECK(listener.local_endpoint() == "memory");
    error_code ec;
    CHECK_FALSE(broker.listen(memory_params{.port = &port}, ec));
    CHECK(ec == boost::asio::error::address_in_use);

    memory_peer peer(port.connect());
    peer.send("{\"action\":\"subscribe\",\"request_id\":\"1\",\"params\":{\"topic\":\"a\"}}\n");
    io.poll();
    const auto replies = peer.take_lines();
    REQUIRE(replies.size() == 1);
    CHECK(replies[0].find(R"("status":"ok")") != std::string::npos);
    CHECK(broker.publish("a", "hello").matched == 1);
    io.poll();
    CHECK(peer.received().find("hello") != std::string::npos);

    listener.stop();
    CHECK_FALSE(port.connect());
    peer.close();
    io.poll();
    CHECK(broker.stats().sessions == 0);
}

// ---- the links, with one operation after another failing

namespace {

using script = std::function<void(pusher::broker_core&, const pusher::channel_ptr& far, memory_peer& near)>;

/// Runs a session whose Nth write or read fails, for every N, beside one that must not notice.
void with_every_failure(boost::asio::io_context& io, const script& open, std::string_view requests) {
    bool failed = true;
    for (std::size_t n = 0; failed; ++n) {
        INFO("operation " << n << " fails");
        REQUIRE(n < 100);
        fail_count faults(n);
        pusher::broker<> broker(io);
        std::string heard;
        const auto witness = broker.subscribe("a", [&](const pusher::message& m) { heard += m.payload(); });
        auto other = memory_channel::connect(io.get_executor());
        broker.accept(std::make_unique<pusher::line_link>(
            other.second, broker.io(), std::make_shared<const pusher::link_limits>()));
        memory_peer bystander(other.first);
        bystander.send("{\"action\":\"subscribe\",\"params\":{\"topic\":\"a\"}}\n");
        io.poll();

        auto ends =
            memory_channel::connect(io.get_executor(), {}, {.room = 100, .piece = 40, .faults = &faults});
        memory_peer near(ends.first);
        open(broker, ends.second, near);
        near.send(requests);
        for (int i = 0; i != 5; ++i) {
            io.restart();
            io.poll();
            broker.publish("a", std::to_string(i));
        }
        io.restart();
        io.poll();
        near.close();
        io.restart();
        io.poll();

        CHECK(heard.find("01234") != std::string::npos);
        CHECK(bystander.take_lines().size() >= 6);
        CHECK(broker.stats().sessions == 1);
        failed = faults.failed();
    }
}

} // namespace

TEST_CASE("memory channel: a session over lines ends well whichever operation fails") {
    boost::asio::io_context io;
    with_every_failure(
        io,
        [](pusher::broker_core& b, const pusher::channel_ptr& far, memory_peer&) {
            b.accept(std::make_unique<pusher::line_link>(
                far, b.io(), std::make_shared<const pusher::link_limits>()));
        },
        "{\"action\":\"hello\"}\n{\"action\":\"subscribe\",\"params\":{\"topic\":\"a\"}}\n{bad}\n"
        "{\"action\":\"publish\",\"params\":{\"topic\":\"a\",\"payload\":\"p\"}}\n{\"action\":\"ping\"}\n");
}

TEST_CASE("memory channel: a session over WebSocket ends well whichever operation fails") {
    boost::asio::io_context io;
    std::string requests;
    for (const std::string_view text :
         {R"({"action":"subscribe","params":{"topic":"a"}})", "{bad}", R"({"action":"ping"})"})
        pusher::append_masked_frame(requests, pusher::websocket_opcode::text, text, 0x12345678);
    pusher::append_masked_frame(requests, pusher::websocket_opcode::ping, "still there?", 0x12345678);
    with_every_failure(
        io,
        [](pusher::broker_core& b, const pusher::channel_ptr& far, memory_peer&) {
            b.accept(std::make_unique<pusher::websocket_link>(
                far, b.io(), std::make_shared<const pusher::link_limits>()));
        },
        requests);
}
