// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include "catch.hpp"
#include "faulty_socket.hpp"
#include "tls_support.hpp"

#include <algorithm>
#include <functional>

// TLS with a broker behind it: readers that are slow or stuck, and connections that break anywhere.

using namespace test;
using namespace std::chrono_literals;

namespace {

pusher::tcp_params lines(bool secure, pusher::link_limits limits = {}) {
    return {.limits = limits, .channel = secure ? pusher::tls(server_context()) : pusher::channel_factory{}};
}

/// What a subscriber saw of numbered messages.
struct tally {
    std::size_t received = 0;
    std::size_t lost = 0;
    bool in_order = true;
    std::string last;

    void line(const std::string& text) {
        if (const auto n = gap_of(text)) {
            lost += n;
            return;
        }
        const auto payload = payload_of(text);
        const auto number = payload.substr(0, payload.find(' '));
        in_order = in_order && (last.empty() || std::stoul(number) > std::stoul(last));
        last = number;
        ++received;
    }
};

/// Reads until the message with that number.
template <class Client>
tally read_until(Client& c, const std::string& number) {
    tally t;
    while (t.last != number)
        t.line(c.line());
    return t;
}

void subscribe_without_reading(auto& client, const std::string& topic) {
    client.request("subscribe", "{\"topic\":\"" + topic + "\"}");
    client.line();
}

} // namespace

TEST_CASE("TLS: a slow reader loses what its outbox cannot hold, as without TLS") {
    const bool secure = GENERATE(true, false);
    CAPTURE(secure);
    hub_thread hub(pusher::broker_params{.outbox = {.messages = 32}});
    const auto port = hub.listen(lines(secure));
    asio::io_context io;
    auto context = client_context();

    const auto go = [&](auto& slow, auto& fast) {
        subscribe_without_reading(slow, "t");
        subscribe_without_reading(fast, "t");
        const std::string text(2000, 'x');
        tally at_once;
        std::size_t most_queued = 0;
        for (int i = 0; i != 3000; ++i) {
            hub.publish("t", std::to_string(i) + ' ' + text);
            at_once.line(fast.line());
            if (i % 100 == 0)
                hub.on([&](auto& h) {
                    h.for_each_session(
                        [&](const auto& s) { most_queued = std::max(most_queued, s.queued_messages); });
                });
        }
        // Nobody else is disturbed.
        CHECK(at_once.received == 3000);
        CHECK(at_once.lost == 0);
        CHECK(most_queued >= 31);
        CHECK(most_queued <= 32);
        const auto t = read_until(slow, "2999");
        CHECK(t.in_order);
        CHECK(t.lost > 1000);
        CHECK(t.received + t.lost == 3000);
        CHECK(hub.on([](auto& h) { return h.stats().dropped_overflow; }) == t.lost);
        // What it got at first is what the kernel, TLS and the outbox hold: finite, and not much more.
        CHECK(t.received < 700);
        hub.publish("t", "3000 and on it goes");
        CHECK(read_until(slow, "3000").received == 1);
    };
    if (secure) {
        tls_line_client slow(io, port, context, 4096);
        tls_line_client fast(io, port, context);
        go(slow, fast);
    } else {
        line_client<tcp::socket> slow(connect(io, port, 4096));
        line_client<tcp::socket> fast(connect(io, port));
        go(slow, fast);
    }
}

TEST_CASE("TLS: a slow reader of large messages over WebSocket") {
    hub_thread hub(pusher::broker_params{.outbox = {.messages = 8, .bytes = 4'000'000}});
    const auto port = hub.listen(pusher::http_params{.channel = pusher::tls(server_context())});
    asio::io_context io;
    auto context = client_context();
    wss_client slow(io, port, context, 4096);
    slow.subscribe("t");
    const std::string text(300'000, 'x');
    for (int i = 0; i != 40; ++i)
        hub.publish("t", std::to_string(i) + ' ' + text);
    // Pings have a lane of their own, but this peer reads in order: its pong comes behind what is under way.
    std::string pong;
    slow.stream.control_callback([&](auto kind, auto payload) {
        if (kind == boost::beast::websocket::frame_type::pong)
            pong = std::string(payload.data(), payload.size());
    });
    slow.stream.ping("through the crowd");
    hub.until([](auto&) { return true; });
    tally t;
    while (t.last != "39") {
        const auto m = slow.message();
        t.line(m);
        if (gap_of(m) == 0)
            CHECK(payload_of(m).size() == text.size() + t.last.size() + 1);
    }
    CHECK(t.in_order);
    CHECK(t.lost > 20);
    CHECK(t.received + t.lost == 40);
    slow.request("ping", "{}");
    slow.message();
    CHECK(pong == "through the crowd");
}

TEST_CASE("TLS: the policy to disconnect, and the write timeout") {
    asio::io_context io;
    auto context = client_context();
    const std::string text(2000, 'x');

    SECTION("disconnect") {
        hub_thread hub(pusher::broker_params{.outbox = {.messages = 32}});
        const auto port = hub.listen(lines(true, {.close_timeout = 200ms}));
        tls_line_client slow(io, port, context, 4096);
        slow.request("subscribe", R"({"topic":"t","overflow":"disconnect"})");
        slow.line();
        for (int i = 0; i != 1000; ++i)
            hub.publish("t", std::to_string(i) + ' ' + text);
        CHECK(hub.until_closed(1).at(0) == pusher::errc::overflow);
        error_code ec;
        slow.rest(ec);
        CHECK(ec);
    }
    SECTION("a peer that takes nothing") {
        const int messages = GENERATE(10, 1000); // the kernel has room for the fewer
        hub_thread hub;
        const auto port = hub.listen(lines(true, {.heartbeat = 1s, .write_timeout = 1s}));
        tls_line_client stuck(io, port, context, 4096);
        subscribe_without_reading(stuck, "t");
        for (int i = 0; i != messages; ++i)
            hub.publish("t", std::to_string(i) + ' ' + text);
        CHECK(hub.until_closed(1).at(0) == pusher::errc::write_timeout);
        error_code ec;
        stuck.rest(ec);
        CHECK(ec);
    }
}

namespace {

/// A client that does as it is told by a script, over a channel whose socket may fail.
class scripted_client final : public pusher::channel_user {
public:
    explicit scripted_client(pusher::channel_ptr c) : channel_(std::move(c)) {
        channel_->set_user(this);
        out_ = "{\"action\":\"subscribe\",\"params\":{\"topic\":\"t\"}}\n"
               "{\"action\":\"publish\",\"params\":{\"topic\":\"t\",\"payload\":\"" +
               std::string(30'000, 'x') + "\"}}\n";
        channel_->read();
        at_writable();
    }
    ~scripted_client() { channel_->close(); }

    bool at_bytes(std::span<char> bytes) override {
        in_.append(bytes.data(), bytes.size());
        // Two replies and the push.
        if (std::count(in_.begin(), in_.end(), '\n') == 3 && !done_) {
            done_ = true;
            channel_->shutdown();
        }
        return true;
    }
    void at_writable() override { out_.erase(0, channel_->write({out_.data(), out_.size()})); }
    void at_end(error_code) override {
        channel_->close();
        over_ = true;
    }

    [[nodiscard]] bool over() const { return over_; }
    [[nodiscard]] bool done() const { return done_; }

private:
    pusher::channel_ptr channel_;
    std::string out_;
    std::string in_;
    bool done_ = false;
    bool over_ = false;
};

using faulty_stream = ssl::stream<faulty_socket>;
using faulty_channel = pusher::basic_tls_channel<faulty_stream>;

} // namespace

TEST_CASE("TLS: clients break off at every read and write") {
    const bool by_reset = GENERATE(true, false);
    CAPTURE(by_reset);
    hub_thread hub;
    const auto port = hub.listen(lines(true));
    auto context = client_context();
    bool failed = true;
    std::size_t n = 0;
    for (; failed; ++n) {
        asio::io_context io;
        auto services = std::make_shared<pusher::services>(io.get_executor());
        pusher::testing::fail_count faults(n);
        auto socket = connect(io, port);
        socket.set_option(asio::socket_base::linger(by_reset, 0));
        {
            scripted_client c(faulty_channel::start(
                faulty_stream(faulty_socket(pusher::stream_socket(std::move(socket)), faults), context),
                services, ssl::stream_base::client, {0ms, 1s}));
            while (!c.over() && io.run_one() != 0) {
            }
            CHECK(c.over());
            failed = faults.failed();
            CHECK((failed || c.done()));
        }
        io.run();
    }
    CHECK(n > 10);
    hub.until_sessions(0);
    CHECK(hub.on([](auto& h) { return h.stats().subscriptions; }) == 0);
    asio::io_context io;
    tls_line_client good(io, port, context);
    good.subscribe("t");
}

TEST_CASE("TLS: every read and write of the broker fails once") {
    auto context = client_context();
    const auto server_side = server_context();
    bool failed = true;
    std::size_t n = 0;
    for (; failed; ++n) {
        CAPTURE(n);
        pusher::testing::fail_count faults(n);
        {
            hub_thread hub;
            pusher::tcp_params params;
            params.channel = [&](pusher::stream_socket s, const auto& services, const auto& limits) {
                return faulty_channel::start(
                    faulty_stream(faulty_socket(std::move(s), faults), *server_side), services,
                    ssl::stream_base::server, {limits.handshake_timeout, limits.close_timeout});
            };
            const auto port = hub.listen(params);
            asio::io_context io;
            error_code ec;
            bool done = false;
            try {
                tls_line_client c(io, port, context);
                c.subscribe("t");
                const std::string large(200'000, 'l');
                hub.publish("t", large);
                done = payload_of(c.line()) == large;
                c.stream.shutdown(ec);
                hub.until_sessions(0);
            } catch (const boost::system::system_error& e) {
                ec = e.code();
            }
            hub.until_sessions(0);
            failed = faults.failed();
            CHECK((failed || (done && !ec)));
            CHECK((done || ec));
        }
    }
    CHECK(n > 8);
}
