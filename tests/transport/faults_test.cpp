// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include "broker_script.hpp"
#include "catch.hpp"
#include "net_peers.hpp"

#include <pusher/testing/fail_count.hpp>

#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket.hpp>

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

// Every call to the system that the broker makes fails once, on each transport over sockets.
//
// The calls that sockets are made of stand at the end of this file in place of the C library's, below every
// layer of the library, and fail in one thread as that thread was told.

namespace test {

enum class socket_call { accept, read, write };

/// Decides about each call that this thread makes: 0 lets it through, anything else is its `errno`. Empty:
/// all go through.
inline thread_local std::function<int(socket_call)> at_socket_call;

/// The calls that `counts` names, which fail as `faults` says.
inline std::function<int(socket_call)>
fail_nth(pusher::testing::fail_count& faults, std::function<bool(socket_call)> counts) {
    return [&faults, counts = std::move(counts)](socket_call c) {
        return counts(c) ? faults.next().value() : 0;
    };
}

} // namespace test

using namespace test;
using namespace std::chrono_literals;
namespace websocket = boost::beast::websocket;

namespace {

const std::string large(300'000, 'l');

/// What peers do, and hear, on one transport. They throw when the connection fails.
using conversation = void (*)(hub_thread&, asio::io_context&, std::uint16_t);

void lines(hub_thread& hub, asio::io_context& io, std::uint16_t port) {
    raw_peer p(io, port, 4096);
    p.subscribe("t");
    hub.publish("t", large);
    hub.publish("t", "small");
    if (payload_of(p.line()) != large || payload_of(p.line()) != "small")
        throw std::logic_error("something else came");
    p.shutdown();
    if (!p.rest().empty())
        throw std::logic_error("more came");
}

void web_socket(hub_thread& hub, asio::io_context& io, std::uint16_t port) {
    websocket::stream<tcp::socket> p(connect(io, port, 4096));
    p.handshake("localhost", "/ws");
    p.text(true);
    p.write(asio::buffer(std::string(R"({"action":"subscribe","params":{"topic":"t"}})")));
    boost::beast::flat_buffer in;
    p.read(in);
    hub.publish("t", large);
    in.clear();
    p.read(in);
    if (payload_of(boost::beast::buffers_to_string(in.data())) != large)
        throw std::logic_error("something else came");
    p.close(websocket::close_code::normal);
}

void events(hub_thread& hub, asio::io_context& io, std::uint16_t port) {
    raw_peer p(io, port, 4096);
    p.send("GET /events?topic=t HTTP/1.1\r\nHost: localhost\r\n\r\n");
    p.until("\r\n\r\n");
    hub.publish("t", large);
    if (p.until("\n\n") != "event: message\ndata: " + large + "\n\n")
        throw std::logic_error("something else came");
    p.shutdown();
    if (!p.rest().empty())
        throw std::logic_error("more came");
}

void publishing(hub_thread&, asio::io_context& io, std::uint16_t port) {
    raw_peer p(io, port);
    const auto body = R"({"topic":"t","payload":")" + large + "\"}";
    for (int i = 0; i != 2; ++i) {
        p.send(
            "POST /publish HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + std::to_string(body.size()) +
            "\r\n\r\n");
        p.send(body);
        if (!p.until("\r\n").starts_with("HTTP/1.1 200"))
            throw std::logic_error("something else came");
        p.until("\"matched\":0}");
    }
    p.shutdown();
    if (!p.rest().empty())
        throw std::logic_error("more came");
}

struct script {
    const char* name;
    conversation run;
    bool http;
};

const script scripts[] = {
    {"lines", &lines, false},
    {"WebSocket", &web_socket, true},
    {"events", &events, true},
    {"publish", &publishing, true}};

bool of_connections(socket_call c) { return c != socket_call::accept; }

} // namespace

TEST_CASE("faults: every read and write of a connection fails once") {
    const auto& s = scripts[GENERATE(0, 1, 2, 3)];
    CAPTURE(s.name);
    bool failed = true;
    std::size_t n = 0;
    for (; failed; ++n) {
        CAPTURE(n);
        pusher::testing::fail_count faults(n);
        hub_thread hub;
        asio::io_context io;
        const auto port = s.http ? hub.listen(pusher::http_params{}) : hub.listen(pusher::tcp_params{});
        raw_peer other(io, hub.listen(pusher::tcp_params{}));
        other.subscribe("other");
        hub.on([&](auto&) { at_socket_call = fail_nth(faults, of_connections); });
        std::optional<std::string> error;
        try {
            s.run(hub, io, port);
        } catch (const std::logic_error& e) {
            FAIL(e.what());
        } catch (const std::exception& e) {
            error = e.what();
        }
        hub.until_sessions(1);
        hub.on([](auto&) { at_socket_call = nullptr; });
        failed = faults.failed();
        // What fails is the connection, and only that.
        CHECK((failed || !error));
        CHECK(hub.on([](auto& h) { return h.stats().subscriptions; }) == 1);
        hub.publish("other", "undisturbed");
        CHECK(payload_of(other.line()) == "undisturbed");
        s.run(hub, io, port);
    }
    CHECK(n >= 6);
}

TEST_CASE("faults: every read and write of a connection has to wait once") {
    const auto& s = scripts[GENERATE(0, 1, 2, 3)];
    CAPTURE(s.name);
    bool failed = true;
    std::size_t n = 0;
    for (; failed; ++n) {
        CAPTURE(n);
        pusher::testing::fail_count faults(n, asio::error::try_again);
        hub_thread hub;
        asio::io_context io;
        const auto port = s.http ? hub.listen(pusher::http_params{}) : hub.listen(pusher::tcp_params{});
        hub.on([&](auto&) { at_socket_call = fail_nth(faults, of_connections); });
        CHECK_NOTHROW(s.run(hub, io, port)); // nobody notices
        hub.until_sessions(0);
        hub.on([](auto&) { at_socket_call = nullptr; });
        failed = faults.failed();
    }
    CHECK(n >= 6);
}

TEST_CASE("faults: a connection that was gone before it was accepted") {
    hub_thread hub;
    asio::io_context io;
    const auto port = hub.listen(pusher::tcp_params{});
    pusher::testing::fail_count faults(0, asio::error::connection_aborted);
    hub.on([&](auto&) {
        at_socket_call = fail_nth(faults, [](socket_call c) { return c == socket_call::accept; });
    });
    raw_peer p(io, port);
    p.subscribe("t");
    hub.on([](auto&) { at_socket_call = nullptr; });
    CHECK(faults.failed());
}

TEST_CASE("faults: without file descriptors it waits instead of spinning, and goes on where it was") {
    struct limit {
        limit() { REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0); }
        ~limit() { ::setrlimit(RLIMIT_NOFILE, &before); }
        void set(int descriptors) {
            auto now = before;
            now.rlim_cur = static_cast<rlim_t>(descriptors);
            REQUIRE(::setrlimit(RLIMIT_NOFILE, &now) == 0);
        }
        ::rlimit before{};
    };
    class errors final : public pusher::observer {
    public:
        void at_error(error_code ec, std::string_view where) override {
            seen.push_back(ec);
            at.push_back(std::chrono::steady_clock::now());
            elsewhere += where == "accept" ? 0 : 1;
        }
        std::vector<error_code> seen;
        std::vector<std::chrono::steady_clock::time_point> at;
        int elsewhere = 0;
    };
    const bool http = GENERATE(false, true);
    asio::io_context loop{1};
    errors observer;
    pusher::broker<pusher::transport::all> broker(loop, {.observer = &observer});
    const auto port =
        http ? broker.listen(pusher::http_params{}).port() : broker.listen(pusher::tcp_params{}).port();
    asio::io_context io;
    raw_peer before(io, broker.listen(pusher::tcp_params{}).port());
    before.request("subscribe", R"({"topic":"t"})");
    // What a sanitizer looks at for the first time it needs descriptors for, so all is done once before.
    observer.at_error(asio::error::no_descriptors, "accept");
    observer = {};
    const auto publish = [&] {
        broker.publish("t", "x");
        while (before.socket.available() == 0)
            loop.run_one_for(30s);
        return before.line();
    };
    while (broker.stats().subscriptions != 1)
        loop.run_one_for(30s);
    while (before.socket.available() == 0)
        loop.run_one_for(30s);
    CHECK(brief(before.line()) == "ok r");
    CHECK(brief(publish()) == "t=x");

    std::vector<tcp::socket> late;
    for (int i = 0; i != 3; ++i)
        late.emplace_back(io, tcp::v4());
    std::string meanwhile;
    {
        limit l;
        const int next = ::dup(0);
        REQUIRE(next > 0);
        ::close(next);
        l.set(next);
        for (auto& s : late)
            s.connect({asio::ip::address_v4::loopback(), port});
        while (observer.seen.size() != 4)
            loop.run_one_for(30s);
        meanwhile = publish();
    }
    CHECK(brief(meanwhile) == "t=x"); // sessions are served as before
    CHECK(observer.seen.size() >= 4);
    CHECK(std::all_of(observer.seen.begin(), observer.seen.end(), [](error_code ec) {
        return ec == asio::error::no_descriptors;
    }));
    CHECK(observer.elsewhere == 0);
    // It waits 100 ms each time.
    CHECK(observer.at[3] - observer.at[0] >= 300ms - 10ms);
    CHECK(broker.stats().accept_errors == observer.seen.size());
    const std::string_view say = http ? "GET /stats HTTP/1.0\r\n\r\n" : "{\"action\":\"ping\"}\n";
    for (auto& s : late) {
        asio::write(s, asio::buffer(say.data(), say.size()));
        while (s.available() == 0)
            loop.run_one_for(30s);
    }
}

namespace {

/// A UDP peer that gets a cookie, subscribes, and hears what is published, whatever had to wait.
struct datagrams {
    datagrams() : port(hub.listen(pusher::udp_params{})), p(io, port) {}

    void fail(std::function<int(socket_call)> f) {
        hub.on([&](auto&) { at_socket_call = std::move(f); });
    }

    hub_thread hub;
    asio::io_context io;
    std::uint16_t port;
    udp_peer p;
};

} // namespace

TEST_CASE("faults: datagrams that have to wait leave later, in order") {
    const int why = GENERATE(EAGAIN, ENOBUFS);
    CAPTURE(why);
    datagrams d;
    d.p.shake();
    d.p.subscribe("t");
    udp_peer q(d.io, d.port);
    q.shake();
    q.subscribe("t");
    // Each second call, and three in a row.
    int calls = 0;
    d.fail([&](socket_call c) {
        if (c != socket_call::write)
            return 0;
        ++calls;
        return calls % 2 == 0 || (calls > 20 && calls < 24) ? why : 0;
    });
    d.hub.on([](auto& h) {
        for (int i = 0; i != 30; ++i)
            h.publish("t", std::to_string(i));
    });
    for (int i = 0; i != 30; ++i)
        for (auto* const peer : {&d.p, &q})
            CHECK(brief(peer->receive()) == "t=" + std::to_string(i));
    d.fail(nullptr);
    CHECK(calls > 100);
    CHECK(d.p.idle());
    CHECK(q.idle());
    CHECK(d.hub.on([](auto& h) { return h.stats().delivered; }) == 60);
}

TEST_CASE("faults: what waits for a UDP socket overflows as it does elsewhere, and leaves with its session") {
    hub_thread hub(pusher::broker_params{.outbox = {.messages = 8}});
    asio::io_context io;
    udp_peer p(io, hub.listen(pusher::udp_params{.lease = 1s}));
    p.shake();
    p.subscribe("t");
    hub.on(
        [](auto&) { at_socket_call = [](socket_call c) { return c == socket_call::write ? EAGAIN : 0; }; });
    for (int i = 0; i != 20; ++i)
        hub.publish("t", std::to_string(i));
    hub.until([](auto& h) { return h.stats().dropped_overflow == 12; });

    SECTION("what is left comes, with the loss told") {
        hub.on([](auto&) { at_socket_call = nullptr; });
        CHECK(brief(p.receive()) == "!t 12");
        for (int i = 12; i != 20; ++i)
            CHECK(brief(p.receive()) == "t=" + std::to_string(i));
    }
    SECTION("or the lease ends first") {
        hub.until_closed(1);
        CHECK(hub.on([](auto& h) { return h.stats().dropped_disconnected; }) == 8);
        hub.on([](auto&) { at_socket_call = nullptr; });
        CHECK(brief(p.ask("ping")) == "ok r");
    }
}

TEST_CASE("faults: every call on a UDP socket fails once") {
    // A read that fails tells of a datagram that was lost on the way out; a write, of one that is lost now.
    bool failed = true;
    std::size_t n = 0;
    for (; failed; ++n) {
        CAPTURE(n);
        pusher::testing::fail_count faults(n, asio::error::connection_refused);
        datagrams d;
        d.fail(fail_nth(faults, of_connections));
        // Asks again and again, since on UDP anything may be lost.
        const auto until = [&](const std::string& text, auto good) {
            for (;;) {
                d.p.send(text);
                ::pollfd ready{d.p.socket.native_handle(), POLLIN, 0};
                if (::poll(&ready, 1, 100) == 1)
                    if (const auto answer = d.p.receive(); good(answer))
                        return answer;
            }
        };
        d.p.cookie = udp_peer::cookie_of(
            until(std::string(100, ' '), [](const auto& answer) { return holds(answer, "challenge"); }));
        until(d.p.text("subscribe", R"({"topic":"t"})"), [](const auto& a) { return holds(a, "\"ok\""); });
        until(d.p.text("publish", R"({"topic":"t","payload":"x"})"), [](const auto& a) {
            return payload_of(a) == "x";
        });
        d.fail(nullptr);
        failed = faults.failed();
        CHECK(d.hub.on([](auto& h) { return h.stats().sessions; }) == 1);
    }
    CHECK(n >= 6);
}

namespace {

bool fails(test::socket_call call) {
    if (!test::at_socket_call)
        return false;
    const auto error = test::at_socket_call(call);
    if (error != 0)
        errno = error;
    return error != 0;
}

} // namespace

extern "C" {

int accept(int fd, sockaddr* address, socklen_t* size) {
    if (fails(test::socket_call::accept))
        return -1;
    return static_cast<int>(::syscall(SYS_accept4, fd, address, size, 0));
}

ssize_t recvfrom(int fd, void* to, size_t size, int flags, sockaddr* from, socklen_t* from_size) {
    if (fails(test::socket_call::read))
        return -1;
    return ::syscall(SYS_recvfrom, fd, to, size, flags, from, from_size);
}

ssize_t recv(int fd, void* to, size_t size, int flags) {
    return recvfrom(fd, to, size, flags, nullptr, nullptr);
}

ssize_t recvmsg(int fd, msghdr* to, int flags) {
    if (fails(test::socket_call::read))
        return -1;
    return ::syscall(SYS_recvmsg, fd, to, flags);
}

ssize_t sendto(int fd, const void* from, size_t size, int flags, const sockaddr* to, socklen_t to_size) {
    if (fails(test::socket_call::write))
        return -1;
    return ::syscall(SYS_sendto, fd, from, size, flags, to, to_size);
}

ssize_t send(int fd, const void* from, size_t size, int flags) {
    return sendto(fd, from, size, flags, nullptr, 0);
}

ssize_t sendmsg(int fd, const msghdr* from, int flags) {
    if (fails(test::socket_call::write))
        return -1;
    return ::syscall(SYS_sendmsg, fd, from, flags);
}

/// As the kernel has it: what fails with some already sent is told when it is tried again.
int sendmmsg(int fd, mmsghdr* messages, unsigned count, int flags) {
    static thread_local int untold = 0;
    if (const int error = std::exchange(untold, 0)) {
        errno = error;
        return -1;
    }
    for (unsigned i = 0; i != count; ++i) {
        const auto sent = sendmsg(fd, &messages[i].msg_hdr, flags);
        if (sent < 0 && i == 0)
            return -1;
        if (sent < 0) {
            untold = errno;
            return static_cast<int>(i);
        }
        messages[i].msg_len = static_cast<unsigned>(sent);
    }
    return static_cast<int>(count);
}

} // extern "C"
