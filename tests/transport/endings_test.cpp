// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// When a link gives its peer up, and when not, and what it still sends then.

#include <pusher/broker.hpp>
#include <pusher/testing/memory_channel.hpp>
#include <pusher/testing/memory_peer.hpp>
#include <pusher/transport/http_connection.hpp>
#include <pusher/transport/line_link.hpp>
#include <pusher/transport/sse_link.hpp>
#include <pusher/transport/websocket_link.hpp>

#include "catch.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <utility>

namespace {

using namespace std::chrono_literals;
using namespace pusher::testing;
using pusher::errc;
using pusher::error_code;
using clock = std::chrono::steady_clock;

/// Reads a little every now and then.
class slow_reader final : pusher::channel_user {
public:
    slow_reader(memory_channel_ptr c, boost::asio::io_context& io) : channel_(std::move(c)), timer_(io) {
        channel_->set_user(this);
        channel_->read();
    }
    ~slow_reader() { channel_->close(); }

    void stop() { stopped_ = true; }

    std::size_t received = 0;
    bool ended = false;

private:
    bool at_bytes(std::span<char> bytes) override {
        received += bytes.size();
        timer_.expires_after(100ms);
        timer_.async_wait([this](error_code ec) {
            if (!ec && !stopped_)
                channel_->read();
        });
        return false;
    }
    void at_writable() override {}
    void at_end(error_code) override { ended = true; }

    memory_channel_ptr channel_;
    boost::asio::steady_timer timer_;
    bool stopped_ = false;
};

struct fixture {
    template <class Link, class... More>
    memory_channel_ptr
    session(memory_channel_params near, memory_channel_params far, pusher::link_limits limits, More... more) {
        limits.check();
        auto ends = memory_channel::connect(io.get_executor(), std::move(near), std::move(far));
        broker.accept(std::make_unique<Link>(
            ends.second, broker.io(), std::make_shared<const pusher::link_limits>(limits), more...));
        return ends.first;
    }
    void run() {
        io.restart();
        io.poll();
    }
    template <class F>
    void run_until(F&& happened) {
        const auto deadline = clock::now() + 30s;
        while (!happened()) {
            io.restart();
            io.run_one_until(deadline);
            REQUIRE(clock::now() < deadline);
        }
    }

    boost::asio::io_context io{1};
    pusher::broker<> broker{io};
};

std::string text_frame(std::string_view text) {
    std::string frame;
    pusher::append_masked_frame(frame, pusher::websocket_opcode::text, text, 7);
    return frame;
}

constexpr std::string_view subscribe = R"({"action":"subscribe","params":{"topic":"a"}})";

} // namespace

TEST_CASE("endings: a reader that is slow but steady is no reader that takes nothing") {
    fixture f;
    // Like a socket, the channel says that it is writable when half of its buffer is free; that takes a
    // while.
    auto near =
        f.session<pusher::line_link>({.piece = 100}, {.room = 10'000, .low = 5'000}, {.write_timeout = 1s});
    near->write(std::string(subscribe) + '\n');
    slow_reader reader(near, f.io);
    f.run_until([&] { return reader.received != 0; });
    f.broker.publish("a", std::string(20'000, 'x'));
    const auto end = clock::now() + 3500ms;
    f.run_until([&] { return reader.ended || clock::now() > end; });
    CHECK_FALSE(reader.ended);
    CHECK(f.broker.stats().sessions == 1);
    CHECK(reader.received > 1'000);
}

TEST_CASE("endings: a reader of an answer over HTTP may be slow, too") {
    boost::asio::io_context io{1};
    const auto services = std::make_shared<pusher::services>(io.get_executor());
    struct : pusher::http_owner {
        void at_request(const pusher::http_connection_ptr& c) override {
            pusher::http_response r(boost::beast::http::status::ok, 11);
            r.body() = std::string(20'000, 'x');
            c->respond(std::move(r));
        }
        void at_bad_request() override {}
        void at_failure(error_code) override {}
        void at_http_end(pusher::http_connection&) override { ended = true; }
        bool ended = false;
    } owner;
    const pusher::link_limits limits{.write_timeout = 1s};
    auto ends = memory_channel::connect(io.get_executor(), {.piece = 100}, {.room = 10'000, .low = 5'000});
    const pusher::http_connection_ptr connection(new pusher::http_connection(
        ends.second, services, std::make_shared<const pusher::link_limits>(limits), owner, 100));
    connection->start();
    ends.first->write(std::string("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
    slow_reader reader(ends.first, io);
    io.run_for(3500ms);
    CHECK_FALSE(owner.ended);
    CHECK_FALSE(reader.ended);
    CHECK(reader.received > 1'000);
    reader.stop();
    io.restart();
    const auto begin = clock::now();
    while (!owner.ended && clock::now() < begin + 30s)
        io.run_one_for(30s);
    CHECK(owner.ended);
}

TEST_CASE("endings: a reader that stops is given the write timeout from then on, and not twice that") {
    fixture f;
    constexpr auto limit = 3s;
    memory_peer reader(f.session<pusher::line_link>(
        {.piece = 100}, {.room = 10'000, .low = 5'000}, {.write_timeout = limit}));
    reader.send(std::string(subscribe) + '\n');
    f.run_until([&] { return !reader.take_lines().empty(); });
    reader.pause();
    f.broker.publish("a", "1"); // the read that is under way
    f.run();
    f.broker.publish("a", std::string(20'000, 'x'));
    f.run();
    reader.resume(); // what a kernel takes on behalf of a peer that reads nothing
    reader.pause();
    f.run();
    const auto stopped = clock::now();
    f.run_until([&] { return f.broker.stats().sessions == 0; });
    CHECK(f.broker.stats().closed.at("write timeout") == 1);
    CHECK(clock::now() - stopped >= limit - 100ms); // `stopped` is a moment too late
    CHECK(clock::now() - stopped < 2 * limit - 500ms);
}

TEST_CASE("endings: a reader that takes nothing is one, whatever room there was") {
    fixture f;
    memory_peer reader(
        f.session<pusher::line_link>({}, {.room = 10'000, .low = 5'000}, {.write_timeout = 1s}));
    reader.send(std::string(subscribe) + '\n');
    f.run();
    reader.pause();
    f.broker.publish("a", "1"); // the read that is under way
    f.run();
    f.broker.publish("a", std::string(20'000, 'x'));
    f.run_until([&] { return f.broker.stats().sessions == 0; });
    CHECK(f.broker.stats().closed.at("write timeout") == 1);
}

TEST_CASE("endings: a peer that has vanished is found out, though there is room for what is sent to it") {
    fixture f;
    const pusher::link_limits limits{.heartbeat = 1s, .write_timeout = 1s};
    const auto begin = clock::now();
    SECTION("an event stream, by its comments") {
        const auto lost = f.session<pusher::sse_link>({}, {}, limits, pusher::sse_form::payload);
        f.run_until([&] { return f.broker.stats().sessions == 0; });
        CHECK(lost->on_their_way() == 0); // it said nothing
        CHECK(clock::now() - begin >= 1900ms);
    }
    SECTION("a subscriber, by what it subscribed to") {
        memory_peer lost(f.session<pusher::line_link>({}, {}, limits));
        lost.send(std::string(subscribe) + '\n');
        f.run_until([&] { return !lost.take_lines().empty(); });
        lost.pause();
        f.broker.publish("a", "1"); // the read that is under way
        f.run();
        f.broker.publish("a", "2");
        f.run_until([&] { return f.broker.stats().sessions == 0; });
    }
    CHECK(f.broker.stats().closed.at("write timeout") == 1);
}

TEST_CASE("endings: a peer that takes a little at a time has not vanished") {
    fixture f;
    auto near = f.session<pusher::line_link>({.piece = 50}, {}, {.heartbeat = 1s, .write_timeout = 1s});
    near->write(std::string(subscribe) + '\n');
    slow_reader reader(near, f.io);
    f.run_until([&] { return reader.received > 50; });
    f.broker.publish("a", std::string(2'000, 'x'));
    const auto end = clock::now() + 3500ms;
    f.run_until([&] { return reader.ended || clock::now() > end; });
    CHECK_FALSE(reader.ended);
    CHECK(f.broker.stats().sessions == 1);
}

TEST_CASE("endings: the answer to a close frame comes after the frame that is under way") {
    fixture f;
    memory_peer peer(f.session<pusher::websocket_link>({}, {.room = 2000}, {}));
    peer.send(text_frame(subscribe));
    f.run();
    peer.pause();
    peer.send(text_frame(R"({"action":"ping"})")); // the read that is under way
    f.run();
    (void)peer.take();
    f.broker.publish("a", std::string(5000, 'x'));
    f.run();
    std::string close;
    pusher::append_masked_close_frame(close, 1000, "bye", 7);
    peer.send(close);
    f.run();
    CHECK_FALSE(peer.ended());
    peer.resume();
    f.run_until([&] { return peer.ended().has_value(); });
    CHECK(*peer.ended() == error_code(errc::peer_closed));
    std::string answer;
    pusher::append_close_frame(answer, 1000, "");
    const auto got = peer.take();
    CHECK(got.size() > 5000);
    CHECK(got.ends_with(answer));
    CHECK(f.broker.stats().closed.at("closed by the peer") == 1);
}

TEST_CASE("endings: a peer that says goodbye and takes nothing is cut off when time is up") {
    fixture f;
    memory_peer peer(f.session<pusher::websocket_link>({}, {.room = 2000}, {.close_timeout = 100ms}));
    peer.send(text_frame(subscribe));
    f.run();
    peer.pause();
    peer.send(text_frame(R"({"action":"ping"})"));
    f.run();
    f.broker.publish("a", std::string(5000, 'x'));
    f.run();
    std::string close;
    pusher::append_masked_close_frame(close, 1000, "bye", 7);
    peer.send(close);
    f.run();
    CHECK(f.broker.stats().closed.empty());
    f.run_until([&] { return !f.broker.stats().closed.empty(); });
    CHECK(f.broker.stats().closed.at("closed by the peer") == 1);
}

TEST_CASE("endings: a browser that only answers pings is asked in time, whatever the heartbeat") {
    fixture f;
    memory_peer peer(f.session<pusher::websocket_link>({}, {}, {.idle_timeout = 1s, .heartbeat = 30s}));
    int pings = 0;
    peer.on_received([&] {
        if (peer.take() == std::string("\x89\0", 2)) {
            ++pings;
            std::string pong;
            pusher::append_masked_frame(pong, pusher::websocket_opcode::pong, {}, 7);
            peer.send(pong);
        }
    });
    f.run_until([&] { return pings == 6 || peer.ended(); }); // about two seconds
    CHECK(pings == 6);
    CHECK(f.broker.stats().sessions == 1);
}

TEST_CASE("endings: silence is told with the code of who may come back") {
    fixture f;
    memory_peer peer(f.session<pusher::line_link>({}, {}, {.idle_timeout = 1s}));
    f.run_until([&] { return peer.ended().has_value(); });
    CHECK(
        peer.take_lines() == std::vector<std::string>{R"({"close":{"code":1001,"reason":"idle timeout"}})"});
    CHECK(pusher::close_reason::from(errc::write_timeout).code == pusher::close_code::going_away);
    CHECK(pusher::close_reason::from(errc::authentication_timeout).code == pusher::close_code::policy);
}

TEST_CASE("endings: silence does not count while the host thinks") {
    boost::asio::io_context io{1};
    pusher::access_answer answer;
    pusher::broker_params p;
    p.authorize = [&](const pusher::access_request&, pusher::access_answer a) { answer = std::move(a); };
    pusher::broker<> broker(io, std::move(p));
    auto ends = memory_channel::connect(io.get_executor());
    const pusher::link_limits limits{.idle_timeout = 1s};
    broker.accept(std::make_unique<pusher::line_link>(
        ends.second, broker.io(), std::make_shared<const pusher::link_limits>(limits)));
    memory_peer peer(ends.first);
    peer.send(std::string(subscribe) + "\n{\"action\":\"ping\"}\n");
    io.run_for(2500ms);
    REQUIRE(answer);
    CHECK(peer.received().empty());
    answer(true);
    io.restart();
    io.poll();
    CHECK(peer.take_lines().size() == 2);
    io.restart();
    io.run_for(5s); // from here on it does
    CHECK(broker.stats().closed.at("idle timeout") == 1);
}

TEST_CASE("endings: what costs little counts too, so that others get their turn") {
    const bool websocket = GENERATE(true, false);
    fixture f;
    const pusher::link_limits limits{.requests_per_turn = 8};
    memory_peer peer(
        websocket ? f.session<pusher::websocket_link>({}, {}, limits)
                  : f.session<pusher::line_link>({}, {}, limits));
    f.run();
    std::string many;
    for (int i = 0; i != 100; ++i) {
        if (websocket)
            pusher::append_masked_frame(
                many, i % 2 == 0 ? pusher::websocket_opcode::ping : pusher::websocket_opcode::pong, {}, 7);
        else
            many += '\n';
    }
    many += websocket ? text_frame(R"({"action":"ping"})") : "{\"action\":\"ping\"}\n";
    peer.send(many);
    int turns = 0;
    f.io.restart();
    while (peer.received().find("\"status\":\"ok\"") == std::string::npos && f.io.poll_one() != 0)
        ++turns;
    CHECK(peer.received().find("\"status\":\"ok\"") != std::string::npos);
    CHECK(turns > 100 / 8);
}

TEST_CASE(
    "endings: a message that was small as it came counts as what it is, so that others get their turn") {
    fixture f;
    memory_peer peer(f.session<pusher::websocket_link>({}, {}, {}, pusher::websocket_deflate{1024, 15, 6}));
    f.run();
    std::string packed;
    const auto request = R"({"action":"ping","padding":")" + std::string(60'000, '.') + "\"}";
    REQUIRE(pusher::websocket_deflater(15, 6).deflate(request, packed));
    std::string many;
    for (int i = 0; i != 50; ++i) {
        const auto begin = many.size();
        pusher::append_masked_frame(many, pusher::websocket_opcode::text, packed, 7);
        many[begin] = static_cast<char>(0xC1);
    }
    REQUIRE(many.size() < 64 * 1024); // one read
    many += text_frame(R"({"action":"ping","request_id":"last"})");
    peer.send(many);
    int turns = 0;
    f.io.restart();
    while (peer.received().find("\"last\"") == std::string::npos && f.io.poll_one() != 0)
        ++turns;
    CHECK(peer.received().find("\"last\"") != std::string::npos);
    CHECK(turns > 50);
}
