// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// How fast a session that resumes gets what a topic's history holds: a broker in one process, and in another,
// on another core, a peer that subscribes with the position before the first message, and counts what comes.
// A history does not keep frames: each replay encodes its messages. And how fast a broker that starts reads
// the same history from a sqlite_store, before anybody can resume it.

#include <pusher/broker.hpp>
#include <pusher/ext/sqlite_store.hpp>

#include "support/options.hpp"
#include "support/system.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <sched.h>
#include <stdlib.h>
#include <sys/wait.h>

namespace {

using namespace bench;

struct plan {
    std::uint64_t messages;
    std::uint64_t bytes;
    std::uint64_t per_turn;
    std::string folder; ///< for stores

    [[nodiscard]] pusher::broker_params params() const {
        return {
            .history = {.messages = messages, .bytes = std::size_t{1} << 30},
            .memory_bytes = std::size_t{4} << 30};
    }
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

/// \return the epoch of what was published
std::uint64_t fill(boost::asio::io_context& context, pusher::broker_core& broker, const plan& p) {
    const std::string payload(p.bytes, 'x');
    std::uint64_t epoch = 0;
    std::uint64_t accepted = 0;
    for (std::uint64_t i = 0; i != p.messages; ++i) {
        broker.async_publish("t", payload, {}, [&](pusher::error_code ec, const pusher::receipt& r) {
            if (ec)
                throw std::runtime_error("it was not published: " + ec.message());
            epoch = r.position->epoch;
            ++accepted;
        });
        if ((i + 1) % p.per_turn == 0 || i + 1 == p.messages)
            while (accepted != i + 1)
                context.run_one();
    }
    return epoch;
}

void serve(const plan& p, int tell) {
    pin(true);
    boost::asio::io_context context{1};
    const auto work = boost::asio::make_work_guard(context);
    pusher::broker<pusher::transport::tcp> broker(context, p.params());
    place where{};
    where.epoch = fill(context, broker, p);
    where.port = broker.listen(pusher::tcp_params{.listen = {"127.0.0.1", 0}}).port();
    boost::asio::signal_set signals(context, SIGTERM);
    signals.async_wait([&](pusher::error_code, int) { context.stop(); });
    check(static_cast<int>(::write(tell, &where, sizeof where)), "write");
    context.restart();
    context.run();
}

/// A broker with a store, for as long as `use` takes. \return nanoseconds that opening the store took
template <class F>
std::uint64_t with_store(const plan& p, const std::string& file, F&& use) {
    boost::asio::io_context context{1};
    auto work = boost::asio::make_work_guard(context);
    pusher::broker<pusher::transport::tcp> broker(context, p.params());
    bool opened = false;
    const auto began = steady_ns();
    broker.async_open(
        std::make_unique<pusher::sqlite_store>(context.get_executor(), pusher::sqlite_params{.file = file}),
        [&](pusher::error_code ec) {
            if (ec)
                throw std::runtime_error("the store: " + ec.message());
            opened = true;
        });
    while (!opened)
        context.run_one();
    const auto took = steady_ns() - began;
    use(context, broker);
    work.reset();
    broker.cancel();
    context.run();
    return took;
}

/// \return messages per second that a new broker reads from a store
double read_store(const plan& p) {
    auto folder = p.folder + "/pusher-replay-XXXXXX";
    if (::mkdtemp(folder.data()) == nullptr)
        throw std::system_error(errno, std::generic_category(), folder);
    const auto file = folder + "/f";
    with_store(p, file, [&](auto& context, auto& broker) { fill(context, broker, p); });
    const auto took = with_store(p, file, [&](auto& context, auto& broker) { // all of it is there
        std::uint64_t read = 0;
        const auto reads = broker.subscribe(
            "t", [&](const pusher::message&) { ++read; }, {.history = static_cast<std::size_t>(p.messages)});
        while (read != p.messages)
            context.run_one();
    });
    std::filesystem::remove_all(folder);
    return static_cast<double>(p.messages) * 1e9 / static_cast<double>(took);
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

constexpr const char* usage = "replay [--messages N] [--bytes B] [--per-turn K] [--repeat R] [--folder F]\n"
                              "  --messages  in the history (100000)\n"
                              "  --bytes     of each payload (128)\n"
                              "  --per-turn  how many were published in each turn of the event loop (32)\n"
                              "  --repeat    brokers, each with four sessions, one after another (5)\n"
                              "  --folder    on the disk to measure (that for temporary files)\n";

void print(const char* what, std::vector<double> rates, const plan& p) {
    std::sort(rates.begin(), rates.end());
    const auto middle = rates[rates.size() / 2];
    std::printf(
        "| %s | %.0f (%.0f–%.0f) | %.0f |\n", what, middle / 1000, rates.front() / 1000, rates.back() / 1000,
        middle * static_cast<double>(p.bytes) / 1e6);
}

} // namespace

int main(int argc, char** argv) {
    options given(argc, argv, usage);
    const plan p{
        std::max<std::uint64_t>(1, given.number("--messages", 100'000)), given.number("--bytes", 128),
        std::max<std::uint64_t>(1, given.number("--per-turn", 32)),
        given.text("--folder", std::filesystem::temp_directory_path().string())};
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
    std::vector<double> read;
    for (std::uint64_t r = 0; r != repeat; ++r)
        try {
            read.push_back(read_store(p));
        } catch (const std::exception& e) {
            std::fprintf(stderr, "replay: %s\n", e.what());
            return 1;
        }
    std::printf(
        "**A history of %llu messages of %llu B**\n\n"
        "| | thousand messages/s | MB/s of payload |\n|---|---|---|\n",
        static_cast<unsigned long long>(p.messages), static_cast<unsigned long long>(p.bytes));
    print("a session resumes it, over TCP", rates, p);
    print("a broker reads it from sqlite_store", read, p);
    std::puts("");
}
