// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// How fast a session that resumes gets what a topic's history holds: a broker in one process, and in another,
// on another core, a peer that subscribes with the position before the first message, and counts what comes.
// A history does not keep frames: each replay encodes its messages.

#include <pusher/broker.hpp>

#include "support/options.hpp"
#include "support/system.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <sched.h>
#include <sys/wait.h>

namespace {

using namespace bench;

struct plan {
    std::uint64_t messages;
    std::uint64_t bytes;
    std::uint64_t per_turn;
};

/// What the broker's process tells the other.
struct place {
    std::uint64_t epoch;
    std::uint16_t port;
};

/// Both to the same core where there is only one.
void pin(bool server) {
    cpu_set_t usable;
    check(::sched_getaffinity(0, sizeof usable, &usable), "sched_getaffinity");
    int chosen = -1;
    for (int core = 0; core != CPU_SETSIZE; ++core)
        if (CPU_ISSET(core, &usable) && (chosen < 0 || !server))
            chosen = core;
    CPU_ZERO(&usable);
    CPU_SET(chosen, &usable);
    check(::sched_setaffinity(0, sizeof usable, &usable), "sched_setaffinity");
}

void serve(const plan& p, int tell) {
    pin(true);
    boost::asio::io_context context{1};
    pusher::broker<pusher::transport::tcp> broker(
        context, {.history = {.messages = p.messages, .bytes = std::size_t{1} << 30},
                  .memory_bytes = std::size_t{4} << 30});
    const std::string payload(p.bytes, 'x');
    place where{};
    for (std::uint64_t i = 0; i != p.messages; ++i) {
        where.epoch = broker.publish("t", payload).position->epoch;
        if ((i + 1) % p.per_turn == 0)
            context.poll();
    }
    where.port = broker.listen(pusher::tcp_params{.listen = {"127.0.0.1", 0}}).port();
    boost::asio::signal_set signals(context, SIGTERM);
    signals.async_wait([&](pusher::error_code, int) { context.stop(); });
    check(static_cast<int>(::write(tell, &where, sizeof where)), "write");
    context.restart();
    context.run();
}

/// Resumes after nothing. \return messages per second
double replay(const plan& p, const place& where) {
    const unique_fd peer(check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
    const auto to = ipv4(INADDR_LOOPBACK, where.port);
    check(::connect(peer.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to), "connect");
    std::array<char, 24> epoch{};
    std::snprintf(epoch.data(), epoch.size(), "%016llx", static_cast<unsigned long long>(where.epoch));
    const auto request = std::string(R"({"action":"subscribe","params":{"topic":"t","resume":{"epoch":")") +
                         epoch.data() + R"(","offset":0}}})" + "\n";
    const auto began = steady_ns();
    if (::send(peer.get(), request.data(), request.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(request.size()))
        throw std::runtime_error("the request was not taken");
    std::vector<char> buffer(256 * 1024);
    std::uint64_t lines = 0;
    std::string last;                 ///< what follows the last line but one
    while (lines != p.messages + 1) { // the reply, too
        const auto n = check(static_cast<int>(::recv(peer.get(), buffer.data(), buffer.size(), 0)), "recv");
        if (n == 0)
            throw std::runtime_error("the broker has closed the connection");
        const std::string_view got(buffer.data(), static_cast<std::size_t>(n));
        lines += static_cast<std::uint64_t>(std::count(got.begin(), got.end(), '\n'));
        last = last.substr(last.size() - std::min<std::size_t>(last.size(), 1000)).append(got);
        if (lines == 1 && last.find(R"("recovered":true)") == last.npos)
            throw std::runtime_error("the history is not whole");
    }
    const auto took = steady_ns() - began;
    if (last.rfind("\"offset\":" + std::to_string(p.messages) + "}") == last.npos)
        throw std::runtime_error("another message than the last came last");
    return static_cast<double>(p.messages) * 1e9 / static_cast<double>(took);
}

constexpr const char* usage = "replay [--messages N] [--bytes B] [--per-turn K] [--repeat R]\n"
                              "  --messages  in the history (100000)\n"
                              "  --bytes     of each payload (128)\n"
                              "  --per-turn  how many were published in each turn of the event loop (32)\n"
                              "  --repeat    brokers, each with four sessions, one after another (5)\n";

} // namespace

int main(int argc, char** argv) {
    options given(argc, argv, usage);
    const plan p{
        std::max<std::uint64_t>(1, given.number("--messages", 100'000)), given.number("--bytes", 128),
        std::max<std::uint64_t>(1, given.number("--per-turn", 32))};
    const auto repeat = std::max<std::uint64_t>(1, given.number("--repeat", 5));
    given.done();
    std::vector<double> rates;
    for (std::uint64_t r = 0; r != repeat; ++r) {
        int ends[2];
        check(::pipe(ends), "pipe");
        unique_fd hear(ends[0]);
        unique_fd tell(ends[1]);
        const auto child = check(::fork(), "fork");
        try {
            if (child == 0) {
                serve(p, tell.get());
                ::_exit(0);
            }
            pin(false);
            tell.reset();
            place where{};
            if (::read(hear.get(), &where, sizeof where) != static_cast<ssize_t>(sizeof where))
                throw std::runtime_error("there is no broker");
            for (int i = 0; i != 4; ++i)
                rates.push_back(replay(p, where));
        } catch (const std::exception& e) {
            std::fprintf(stderr, "replay: %s\n", e.what());
            if (child != 0)
                ::kill(child, SIGKILL);
            ::_exit(1);
        }
        ::kill(child, SIGTERM);
        ::waitpid(child, nullptr, 0);
    }
    std::sort(rates.begin(), rates.end());
    const auto middle = rates[rates.size() / 2];
    std::printf(
        "**A session resumes %llu messages of %llu B, over TCP**\n\n"
        "| thousand messages/s | MB/s of payload |\n|---|---|\n| %.0f (%.0f–%.0f) | %.0f |\n\n",
        static_cast<unsigned long long>(p.messages), static_cast<unsigned long long>(p.bytes), middle / 1000,
        rates.front() / 1000, rates.back() / 1000, middle * static_cast<double>(p.bytes) / 1e6);
}
