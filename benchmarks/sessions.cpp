// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// What an idle session costs in memory, on each transport, with one subscription and every default limit and
// heartbeat; and of which blocks that consists.

#include <pusher/broker.hpp>
#include <pusher/ext/tls.hpp>
#include <pusher/transport/line_link.hpp>
#include <pusher/transport/sse_link.hpp>
#include <pusher/transport/stream_link.hpp>
#include <pusher/transport/websocket_link.hpp>

#include "support/heap_watch.hpp"
#include "support/native.hpp"
#include "support/options.hpp"
#include "support/system.hpp"
#include "support/tls.hpp"
#include "support/websocket.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <poll.h>
#include <sys/wait.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace {

namespace asio = boost::asio;
using namespace bench;

struct kind {
    const char* name;
    bool http;
    bool deflate;
    bool tls;
    std::string first;      // what a client sends
    std::string_view until; // what it then waits for
};

std::vector<kind> kinds() {
    const auto websocket = [](const std::string& more) {
        std::string text =
            "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" + more +
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + std::string(websocket::client_key) +
            "\r\n\r\n";
        websocket::append_frame(text, websocket::text, native::subscribe_request("t0"), true);
        return text;
    };
    return {
        {"WebSocket", true, false, false, websocket({}), R"("status":"ok")"},
        {"WebSocket, permessage-deflate", true, true, false,
         websocket("Sec-WebSocket-Extensions: permessage-deflate\r\n"), R"("status":"ok")"},
        {"server-sent events", true, false, false, "GET /events?topic=t0 HTTP/1.1\r\nHost: a\r\n\r\n",
         "text/event-stream"},
        {"TCP", false, false, false, native::subscribe_request("t0") + "\n", R"("status":"ok")"},
        {"WebSocket, TLS", true, false, true, websocket({}), R"("status":"ok")"},
        {"server-sent events, TLS", true, false, true, "GET /events?topic=t0 HTTP/1.1\r\nHost: a\r\n\r\n",
         "text/event-stream"},
        {"TCP, TLS", false, false, true, native::subscribe_request("t0") + "\n", R"("status":"ok")"},
    };
}

// ---- the clients, a process of their own

unique_fd client(const kind& k, std::uint16_t port) {
    unique_fd fd(check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
    const auto at = ipv4(INADDR_LOOPBACK, port);
    check(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at), "connect");
    std::optional<tls::client> secure; // what it knows of the connection is forgotten afterwards
    if (k.tls)
        secure.emplace(fd.get()).send(k.first);
    else
        check(static_cast<int>(::send(fd.get(), k.first.data(), k.first.size(), 0)), "send");
    const linger at_once{1, 0}; // so that no port lingers in TIME_WAIT
    ::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    std::string in;
    while (in.find(k.until) == in.npos) {
        std::array<char, 1024> room;
        const auto n = secure ? secure->receive(room.data(), room.size())
                              : ::recv(fd.get(), room.data(), room.size(), 0);
        if (n <= 0)
            throw std::runtime_error("the broker closed a session that was being opened");
        in.append(room.data(), static_cast<std::size_t>(n));
    }
    return fd;
}

/// Opens sessions until the pipe is closed: a number of sessions is the order, one byte the answer.
void clients(const kind& k, std::uint16_t port, int orders, int answers) {
    raise_descriptor_limit();
    std::vector<unique_fd> open;
    for (std::uint64_t count = 0; ::read(orders, &count, sizeof count) == sizeof count;) {
        open.clear();
        while (open.size() != count)
            open.push_back(client(k, port));
        check(static_cast<int>(::write(answers, "k", 1)), "write");
    }
}

// ---- the broker

class measurement {
public:
    measurement(const kind& k, std::uint64_t sessions) : kind_(k), count_(sessions) {
        raise_descriptor_limit();
        int orders[2];
        int answers[2];
        check(::pipe2(orders, O_CLOEXEC), "pipe");
        check(::pipe2(answers, O_CLOEXEC), "pipe");
        const auto port = listen();
        child_ = check(::fork(), "fork");
        if (child_ == 0) {
            ::close(orders[1]);
            try {
                clients(k, port, orders[0], answers[1]);
            } catch (const std::exception& e) {
                std::fprintf(stderr, "sessions: %s\n", e.what());
                ::_exit(1);
            }
            ::_exit(0);
        }
        orders_ = unique_fd(orders[1]);
        answers_ = unique_fd(answers[0]);
        ::close(orders[0]);
        ::close(answers[1]);
    }
    ~measurement() {
        orders_.reset();
        ::waitpid(child_, nullptr, 0);
    }
    measurement(const measurement&) = delete;
    measurement& operator=(const measurement&) = delete;

    void run(bool blocks) {
        // A few first, so that code and tables that are loaded once are not charged to the sessions.
        open(8);
        open(0);
        const auto before = settled();
        const auto heap_before = heap_watch::live();
        open(count_);
        const auto after = settled();
        const auto each = [this](std::uint64_t low, std::uint64_t high) {
            return (static_cast<double>(high) - static_cast<double>(low)) / static_cast<double>(count_);
        };
        double heap = 0;
        double number = 0;
        for (std::size_t i = 0; i != heap_before.size(); ++i) {
            heap += each(heap_before[i].bytes, heap_watch::live()[i].bytes);
            number += each(heap_before[i].blocks, heap_watch::live()[i].blocks);
        }
        std::printf("| %s | %.0f | %.0f | %.1f |\n", kind_.name, each(before.pss, after.pss), heap, number);
        if (blocks)
            for (std::size_t i = 0; i != heap_before.size(); ++i) {
                const auto bytes = each(heap_before[i].bytes, heap_watch::live()[i].bytes);
                if (bytes >= 0.5 || bytes <= -0.5)
                    std::printf(
                        "    %s%5zu B: %5.2f blocks, %6.1f B\n", i + 1 == heap_before.size() ? ">=" : "  ",
                        i * heap_watch::step, each(heap_before[i].blocks, heap_watch::live()[i].blocks),
                        bytes);
            }
        open(0);
    }

private:
    std::uint16_t listen() {
        const auto channel = kind_.tls ? pusher::tls(tls::self_signed()) : pusher::channel_factory();
        if (!kind_.http) {
            pusher::tcp_params tcp;
            tcp.listen.port = 0;
            tcp.channel = channel;
            return broker_.listen(tcp).port();
        }
        pusher::http_params http;
        http.channel = channel;
        http.listen->port = 0;
        http.deflate.enabled = kind_.deflate;
        return broker_.listen(http).port();
    }

    /// Lets the clients have `count` sessions, and waits until the broker has as many.
    void open(std::uint64_t count) {
        check(static_cast<int>(::write(orders_.get(), &count, sizeof count)), "write");
        bool answered = false;
        while (!answered || broker_.stats().sessions != count || broker_.stats().subscriptions != count) {
            context_.run_for(std::chrono::milliseconds(50));
            pollfd ready{answers_.get(), POLLIN, 0};
            if (answered || ::poll(&ready, 1, 0) != 1)
                continue;
            char byte = 0;
            if (::read(answers_.get(), &byte, 1) != 1)
                throw std::runtime_error("the clients have failed");
            answered = true;
        }
    }

    /// Memory once it has stopped changing.
    memory_use settled() {
        auto now = process_memory(::getpid());
        for (int i = 0; i != 12; ++i) {
            context_.run_for(std::chrono::milliseconds(250));
            const auto before = std::exchange(now, process_memory(::getpid()));
            if (before.rss == now.rss)
                break;
        }
        return now;
    }

    const kind& kind_;
    std::uint64_t count_;
    asio::io_context context_{1};
    pusher::broker<pusher::transport::all> broker_{context_};
    pid_t child_ = 0;
    unique_fd orders_, answers_;
};

constexpr const char* usage = "sessions [--sessions N] [--secure N] [--blocks] [--sizes]\n"
                              "  --sessions  idle sessions on each transport (10000)\n"
                              "  --secure    with TLS, whose handshakes take long (a fifth)\n"
                              "  --blocks    also the allocator's blocks, by size\n"
                              "  --sizes     also the sizes of the types that a session consists of\n";

void print_sizes() {
    const auto print = [](const char* name, std::size_t size) {
        std::printf("    %-24s %4zu B\n", name, size);
    };
    std::puts("\nSizes:");
    print("subscriber_base", sizeof(pusher::detail::subscriber_base));
    print("queue_subscriber", sizeof(pusher::detail::queue_subscriber));
    print("session", sizeof(pusher::detail::session));
    print("stream_link", sizeof(pusher::stream_link));
    print("websocket_link", sizeof(pusher::websocket_link));
    print("sse_link", sizeof(pusher::sse_link));
    print("line_link", sizeof(pusher::line_link));
    print("socket_channel", sizeof(pusher::socket_channel));
    print("stream_socket", sizeof(pusher::stream_socket));
    print("any_io_executor", sizeof(asio::any_io_executor));
    print("timeout", sizeof(pusher::timeout));
    print("topic_state", sizeof(pusher::detail::topic_state));
    print("outbox", sizeof(pusher::detail::outbox));
    print("run", sizeof(pusher::detail::run));
}

} // namespace

int main(int argc, char** argv) {
    options given(argc, argv, usage);
    const auto sessions = given.number("--sessions", 10'000, 1);
    const auto secure = given.number("--secure", (sessions + 4) / 5);
    const bool blocks = given.flag("--blocks");
    const bool sizes = given.flag("--sizes");
    given.done();
    std::printf(
        "| %llu idle sessions, of TLS %llu | process growth for each, B | heap, B | blocks "
        "|\n|---|---|---|---|\n",
        static_cast<unsigned long long>(sessions), static_cast<unsigned long long>(secure));
    std::fflush(stdout);
    int failed = 0;
    for (const auto& k : kinds()) {
        // Each in a process of its own: what one has left behind would be room for the next.
        const auto child = check(::fork(), "fork");
        if (child == 0) {
            try {
                measurement(k, k.tls ? secure : sessions).run(blocks);
                std::fflush(stdout);
                ::_exit(0);
            } catch (const std::exception& e) {
                std::fprintf(stderr, "sessions: %s\n", e.what());
                ::_exit(1);
            }
        }
        int status = 0;
        ::waitpid(child, &status, 0);
        failed += status == 0 ? 0 : 1;
    }
    if (sizes)
        print_sizes();
    return failed;
}
