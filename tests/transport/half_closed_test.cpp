// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include "broker_script.hpp"
#include "catch.hpp"
#include "net_peers.hpp"

#include <pusher/testing/simulated_store.hpp>
#include <pusher/transport/line_link.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <thread>

// Peers that end their direction and go on reading, as `nc -N` does.

using namespace test;
using namespace std::chrono_literals;
using pusher::errc;

namespace {

std::string ping(int id) { return R"({"action":"ping","request_id":")" + std::to_string(id) + "\"}\n"; }

/// A channel whose peer ends in the same moment in which its last bytes come.
class last_words final : public pusher::channel {
public:
    explicit last_words(std::string text) : text_(std::move(text)) {}

    std::size_t write(std::span<const char> bytes) noexcept override {
        got.append(bytes.data(), bytes.size());
        return bytes.size();
    }
    void read() override {}
    [[nodiscard]] bool half_closed() const noexcept override { return true; }
    void shutdown() noexcept override {}
    void close() noexcept override { set_user(nullptr); }
    [[nodiscard]] std::string peer() const override { return "test"; }

    /// \return whether more was asked for.
    bool come() {
        const bool more = user()->at_bytes({text_.data(), text_.size()});
        user()->at_end(errc::peer_closed);
        return more;
    }

    std::string got;

private:
    std::string text_;
};

struct fixture {
    explicit fixture(pusher::tcp_params p = {}, pusher::broker_params b = {})
        : hub(std::move(b)),
          port(hub.listen(p)) {}

    raw_peer peer(int receive_buffer = 0) { return {io, port, receive_buffer}; }

    asio::io_context io;
    hub_thread hub;
    std::uint16_t port;
};

} // namespace

TEST_CASE("half-closed: the end may come in the same moment as the last request") {
    asio::io_context io;
    pusher::broker<pusher::transport::tcp> broker(io);
    const boost::intrusive_ptr<last_words> channel(new last_words(ping(1) + ping(2)));
    broker.adopt(pusher::channel_ptr(channel));
    asio::post(io, [&] { CHECK(channel->come()); });
    io.poll();
    CHECK(channel->got.find(R"("request_id":"1")") != std::string::npos);
    CHECK(channel->got.find(R"("request_id":"2")") != std::string::npos);
    CHECK(broker.stats().sessions == 0);
    CHECK(broker.stats().closed.at("closed by the peer") == 1);
}

TEST_CASE("half-closed: publishes that are being stored are answered, and what followed them") {
    asio::io_context io;
    pusher::broker_params p;
    p.history.messages = 10;
    pusher::broker<pusher::transport::tcp> broker(io, std::move(p));
    pusher::testing::simulated_disk disk(pusher::testing::simulated_disk::completion::when_told);
    broker.async_open(
        std::make_unique<pusher::testing::simulated_store>(disk), [](error_code ec) { CHECK(!ec); });
    io.poll();
    disk.step();
    io.restart();
    io.poll();
    const std::string publish =
        R"({"action":"publish","request_id":"1","params":{"topic":"t","payload":"x"}})"
        "\n";
    const bool more = GENERATE(false, true);
    const boost::intrusive_ptr<last_words> channel(new last_words(more ? publish + ping(2) : publish));
    broker.adopt(pusher::channel_ptr(channel));
    asio::post(io, [&] { CHECK(channel->come() == !more); });
    io.restart();
    io.poll(); // it ends, since nobody asks again and again
    CHECK(channel->got.empty());
    CHECK(broker.stats().sessions == 1);
    disk.step();
    io.restart();
    io.poll();
    CHECK(channel->got.find(R"("request_id":"1")") != std::string::npos);
    CHECK((channel->got.find(R"("request_id":"2")") != std::string::npos) == more);
    CHECK(broker.stats().sessions == 0);
}

TEST_CASE("half-closed: replies that have to wait are sent") {
    fixture f({.limits = {.send_buffer = 4096}});
    auto p = f.peer(4096);
    constexpr int count = 5000; // half a megabyte of replies, which no buffer holds
    std::string all;
    for (int i = 0; i != count; ++i)
        all += ping(i);
    p.send(all).shutdown();
    for (int i = 0; i != count; ++i) {
        INFO(i);
        REQUIRE(brief(p.line()) == "ok " + std::to_string(i));
    }
    CHECK(p.rest().empty());
    CHECK(f.hub.until_closed(1).at(0) == errc::peer_closed);
}

TEST_CASE("half-closed: pushes and a history that were asked for are sent") {
    fixture f(
        {.limits = {.send_buffer = 4096}},
        {.history = {.messages = 1000}, .outbox = {.messages = 64, .bytes = 64'000'000}});
    const std::string text(5000, 'x');
    for (int i = 0; i != 500; ++i)
        f.hub.publish("t", std::to_string(i) + ' ' + text);
    auto p = f.peer(4096);
    p.send(R"({"action":"subscribe","params":{"topic":"t","history":500}})"
           "\n");
    p.shutdown();
    CHECK(brief(p.line()).starts_with("ok"));
    for (int i = 0; i != 500; ++i) {
        INFO(i);
        REQUIRE(payload_of(p.line()) == std::to_string(i) + ' ' + text);
    }
    CHECK(p.rest().empty());
    CHECK(f.hub.until_closed(1).at(0) == errc::peer_closed);
}

TEST_CASE("half-closed: what no line feed ends is a request too") {
    fixture f;
    auto p = f.peer();
    auto text = ping(1);
    SECTION("whole") {
        text.pop_back();
        p.send(text).shutdown();
        CHECK(brief(p.line()) == "ok 1");
    }
    SECTION("with a carriage return") {
        text.back() = '\r';
        p.send(text).shutdown();
        CHECK(brief(p.line()) == "ok 1");
    }
    SECTION("cut off: it is told, and counted") {
        text.resize(text.size() / 2);
        p.send(text).shutdown();
        CHECK(brief(p.line()).starts_with("fail"));
        CHECK(f.hub.on([](auto& h) { return h.stats(); }).transports.at("tcp").bad_requests == 1);
    }
    CHECK(p.rest().empty());
    CHECK(f.hub.until_closed(1).at(0) == errc::peer_closed);
}

TEST_CASE("half-closed: a late answer of the host is waited for") {
    pusher::access_answer later;
    pusher::broker_params params;
    bool asked = false;
    params.authorize = [&](const pusher::access_request&, const pusher::access_answer& answer) {
        later = answer;
        asked = true;
    };
    fixture f({}, params);
    auto p = f.peer();
    auto text = R"({"action":"publish","request_id":"1","params":{"topic":"t","payload":"x"}})";
    p.send(text).shutdown(); // without a line feed: the end is known when the host is asked
    while (!f.hub.on([&](auto&) { return asked; }))
        std::this_thread::yield();
    f.hub.on([&](auto&) {
        later(true);
        later = nullptr;
        return 0;
    });
    CHECK(brief(p.line()) == "ok 1 matched 0");
    CHECK(p.rest().empty());
    CHECK(f.hub.until_closed(1).at(0) == errc::peer_closed);
}

TEST_CASE("half-closed: who takes nothing more is not waited for, for ever") {
    fixture f({.limits = {.write_timeout = 1s, .send_buffer = 4096}});
    auto p = f.peer(4096);
    std::string all;
    for (int i = 0; i != 5000; ++i)
        all += ping(i);
    p.try_send(all).shutdown();
    const auto why = f.hub.until_closed(1).at(0);
    CHECK((why == errc::write_timeout || why == errc::peer_closed));
}

TEST_CASE("half-closed: half an HTTP request is answered, and counted") {
    asio::io_context io;
    hub_thread hub;
    const auto port = hub.listen(pusher::http_params{});
    for (const std::string text :
         {"GET /stats HT", "GET /stats HTTP/1.1\r\nHost: h\r\n",
          "POST /publish HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n{\"topic\""}) {
        INFO(text);
        raw_peer p(io, port);
        p.send(text).shutdown();
        const auto answer = p.rest();
        CHECK(answer.starts_with("HTTP/1.1 400 "));
        CHECK(answer.find("\r\nContent-Type: application/json\r\n") != answer.npos);
    }
    raw_peer whole(io, port);
    whole.send("GET /stats HTTP/1.1\r\nHost: h\r\n\r\n").shutdown();
    CHECK(whole.rest().starts_with("HTTP/1.1 200 "));
    raw_peer nothing(io, port);
    nothing.shutdown();
    CHECK(nothing.rest().empty());
    const auto numbers = hub.on([](auto& h) { return h.stats(); }).transports.at("http");
    CHECK(numbers.bad_requests == 3);
    CHECK(numbers.accepted == 5);
}
