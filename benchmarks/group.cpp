// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// What several brokers in one process bring, and cost: the rate of deliveries of two threads against that of
// one, to sessions whose connections take everything and copy it to memory, since a load generator would
// need a core too; and what a message costs that goes from one broker to another.

#include <pusher/broker_group.hpp>
#include <pusher/transport/link.hpp>

#include "support/options.hpp"
#include "support/system.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_future.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <pthread.h>
#include <sched.h>

namespace {

namespace asio = boost::asio;
using namespace bench;

/// What the connections of one broker copy to, as a kernel would.
struct sink_buffer {
    std::uint64_t send_ns; ///< what a `send` takes besides
    std::vector<char> room = std::vector<char>(256 * 1024);
    std::size_t at = 0;

    void take(std::span<const char> bytes) noexcept {
        const auto n = std::min(bytes.size(), room.size());
        if (n > room.size() - at)
            at = 0;
        std::memcpy(room.data() + at, bytes.data(), n);
        at += n;
        if (send_ns != 0)
            for (const auto end = steady_ns() + send_ns; steady_ns() < end;)
                ;
    }
};

/// A connection that takes everything.
class null_link final : public pusher::link {
public:
    explicit null_link(sink_buffer& to) : to_(&to) {}

    std::size_t write(std::span<const char> bytes, std::span<const std::uint32_t>) noexcept override {
        to_->take(bytes);
        return bytes.size();
    }
    void ask(std::string_view request) { owner()->at_message(request); }
    void resume() override {}
    void close(const pusher::close_reason&, std::optional<std::chrono::milliseconds>) override {}
    void abort() noexcept override {}
    [[nodiscard]] std::size_t request_limit() const noexcept override { return 64 * 1024; }
    [[nodiscard]] pusher::framing frames() const noexcept override { return pusher::framing::websocket_text; }
    [[nodiscard]] std::string_view transport() const noexcept override { return "null"; }
    [[nodiscard]] std::string peer() const override { return "nowhere"; }

private:
    sink_buffer* to_;
};

struct plan {
    std::size_t sessions;
    std::size_t topics;
    std::size_t per_turn;
    std::size_t bytes;
    std::uint64_t millis;
    std::uint64_t send_ns;
};

void pin(std::size_t core) {
    cpu_set_t all;
    if (::sched_getaffinity(0, sizeof all, &all) != 0)
        return;
    for (int cpu = 0; cpu != CPU_SETSIZE; ++cpu)
        if (CPU_ISSET(cpu, &all) && core-- == 0) {
            cpu_set_t one;
            CPU_ZERO(&one);
            CPU_SET(cpu, &one);
            ::pthread_setaffinity_np(::pthread_self(), sizeof one, &one);
            return;
        }
}

/// Publishes in turns, as fast as flow control lets it.
struct publisher {
    pusher::broker_core* broker;
    const plan* p;
    const std::atomic<bool>* done;
    std::size_t first_topic;
    std::size_t step; ///< to its next topic
    std::string payload;
    std::uint64_t published = 0;

    void turn() {
        if (*done)
            return;
        for (std::size_t i = 0; i != p->per_turn; ++i, ++published)
            broker->publish("t" + std::to_string((first_topic + published * step) % p->topics), payload);
        broker->async_wait_writable([this](pusher::error_code ec) {
            if (!ec)
                turn();
        });
    }
};

/// Deliveries per second. \param publishing how many of the brokers have a publisher
double rate(const plan& p, std::size_t threads, std::size_t publishing) {
    std::deque<asio::io_context> contexts;
    for (std::size_t i = 0; i != threads; ++i)
        contexts.emplace_back(1);
    std::deque<sink_buffer> sinks(threads, sink_buffer{p.send_ns});
    std::atomic<bool> done = false;
    pusher::broker_group<> group(contexts);
    std::deque<publisher> publishers;
    for (std::size_t i = 0; i != p.sessions; ++i) {
        auto& broker = group[i % threads];
        auto link = std::make_unique<null_link>(sinks[i % threads]);
        auto& l = *link;
        broker.accept(std::move(link));
        l.ask(
            R"({"action":"subscribe","params":{"topic":"t)" + std::to_string(i / threads % p.topics) +
            R"("}})");
    }
    for (std::size_t i = 0; i != publishing; ++i)
        publishers.push_back(
            {&group[i % threads], &p, &done, i * (p.topics / 2), 1, std::string(p.bytes, 'x')});
    std::vector<std::thread> running;
    std::vector<asio::executor_work_guard<asio::io_context::executor_type>> work;
    for (std::size_t i = 0; i != threads; ++i)
        work.emplace_back(contexts[i].get_executor());
    for (std::size_t i = 0; i != publishing; ++i)
        asio::post(contexts[i % threads], [&x = publishers[i]] { x.turn(); });
    for (std::size_t i = 0; i != threads; ++i)
        running.emplace_back([&contexts, i] {
            pin(i);
            contexts[i].run();
        });
    const auto delivered = [&] { return group.async_stats(asio::use_future).get(); };
    std::this_thread::sleep_for(std::chrono::milliseconds(p.millis / 4));
    const auto first = delivered();
    const auto began = steady_ns();
    std::this_thread::sleep_for(std::chrono::milliseconds(p.millis));
    const auto last = delivered();
    const auto ns = steady_ns() - began;
    done = true;
    for (auto& c : contexts)
        c.stop();
    for (auto& t : running)
        t.join();
    if (last.relay_dropped != 0 || last.gaps != 0)
        throw std::runtime_error("flow control has let messages get lost");
    return static_cast<double>(last.delivered - first.delivered) * 1e9 / static_cast<double>(ns);
}

/// What two threads get of the machine that only count, against one: others may be at work on it.
double machine() {
    const auto count = [](std::size_t core) {
        pin(core);
        std::uint64_t n = 0;
        std::uint64_t x = 1;
        for (const auto end = steady_ns() + 100'000'000; steady_ns() < end; ++n)
            for (int i = 0; i != 1000; ++i)
                x = x * 6364136223846793005U + 1;
        static std::atomic<std::uint64_t> seen;
        seen = x; // so that it is counted
        return n;
    };
    std::uint64_t alone = 0;
    std::uint64_t first = 0;
    std::uint64_t second = 0;
    std::thread([&] { alone = count(0); }).join();
    std::thread other([&] { first = count(0); });
    std::thread([&] { second = count(1); }).join();
    other.join();
    return static_cast<double>(first + second) / static_cast<double>(alone) / 2;
}

double median(std::vector<double> all) {
    std::sort(all.begin(), all.end());
    return all[all.size() / 2];
}

/// \param chosen one of the works; 0: all
void scaling(const plan& p, std::size_t repetitions, std::size_t chosen) {
    struct work {
        const char* name;
        plan what;
        std::size_t publishing; ///< brokers; 0: as many as there are
    };
    auto one_topic = p;
    one_topic.topics = 1;
    auto few = p;
    few.sessions = p.sessions / 20;
    const std::vector<work> works{
        {"one topic, published at one broker", one_topic, 1},
        {"one topic, published at each", one_topic, 0},
        {"many topics, published at each", p, 0},
        {"many topics, few subscribers, published at each", few, 0},
    };
    std::printf(
        "\n| %zu sessions, %zu messages of %zu B per turn, a send takes %llu ns | 1 thread, M/s "
        "| 2 threads, M/s | efficiency | of two that only count |\n|---|---|---|---|---|\n",
        p.sessions, p.per_turn, p.bytes, static_cast<unsigned long long>(p.send_ns));
    for (const auto& w : works) {
        if (chosen != 0 && &w != &works[chosen - 1])
            continue;
        std::vector<double> one;
        std::vector<double> two;
        std::vector<double> efficiency;
        std::vector<double> of_machine;
        // What others have disturbed says nothing.
        constexpr double quiet = 0.95;
        for (std::size_t i = 0; i != repetitions * 8 && one.size() != repetitions; ++i) {
            if (machine() < quiet)
                continue;
            const auto with_one = rate(w.what, 1, w.publishing == 0 ? 2 : w.publishing) / 1e6;
            const auto with_two = rate(w.what, 2, w.publishing == 0 ? 2 : w.publishing) / 1e6;
            const auto after = machine();
            if (after < quiet)
                continue;
            one.push_back(with_one);
            two.push_back(with_two);
            efficiency.push_back(with_two / with_one / 2);
            of_machine.push_back(after);
        }
        if (one.empty()) {
            std::printf("| %s | the machine was never quiet | | | |\n", w.name);
            continue;
        }
        std::printf(
            "| %s | %.1f | %.1f | %.2f (%.2f to %.2f) | %.2f |\n", w.name, median(one), median(two),
            median(efficiency), *std::min_element(efficiency.begin(), efficiency.end()),
            *std::max_element(efficiency.begin(), efficiency.end()), median(of_machine));
        std::fflush(stdout);
    }
}

// ---- the hop

/// Nanoseconds per message, all of it in one thread: from one broker to a handler at another, or at itself.
double hop(std::size_t batch, std::size_t bytes, bool other, bool interested) {
    std::deque<asio::io_context> contexts;
    contexts.emplace_back(1);
    contexts.emplace_back(1);
    pusher::broker_group<> group(contexts);
    std::uint64_t got = 0;
    pusher::subscription s;
    if (interested)
        s = group[other ? 1 : 0].subscribe("topic/of/it", [&](const pusher::message&) { ++got; });
    const std::string payload(bytes, 'x');
    const auto rounds = 400'000 / batch;
    const auto turns = [&](std::size_t n) {
        for (std::size_t i = 0; i != n; ++i) {
            for (std::size_t k = 0; k != batch; ++k)
                group[0].publish("topic/of/it", payload);
            for (auto& c : contexts) {
                c.restart();
                c.poll();
            }
        }
    };
    turns(rounds / 10);
    const auto began = steady_ns();
    turns(rounds);
    return static_cast<double>(steady_ns() - began) / static_cast<double>(rounds * batch);
}

/// Half of the time of a message there and back between two threads, in nanoseconds.
double wake(std::size_t rounds) {
    std::deque<asio::io_context> contexts;
    contexts.emplace_back(1);
    contexts.emplace_back(1);
    pusher::broker_group<> group(contexts);
    std::size_t count = 0;
    std::uint64_t began = 0;
    std::uint64_t took = 0;
    auto ping = group[1].subscribe("ping", [&](const pusher::message&) { group[1].publish("pong", "x"); });
    auto pong = group[0].subscribe("pong", [&](const pusher::message&) {
        if (++count == rounds / 10)
            began = steady_ns();
        if (count == rounds) {
            took = steady_ns() - began;
            for (auto& c : contexts)
                c.stop();
            return;
        }
        group[0].publish("ping", "x");
    });
    asio::post(contexts[0], [&] { group[0].publish("ping", "x"); });
    std::vector<std::thread> running;
    std::vector<asio::executor_work_guard<asio::io_context::executor_type>> work;
    for (auto& c : contexts)
        work.emplace_back(c.get_executor());
    for (std::size_t i = 0; i != 2; ++i)
        running.emplace_back([&contexts, i] {
            pin(i);
            contexts[i].run();
        });
    for (auto& t : running)
        t.join();
    return static_cast<double>(took) / static_cast<double>(rounds - rounds / 10) / 2;
}

void hops(std::size_t repetitions) {
    std::printf("\n| ns per message, one thread | batch of 1 | batch of 64 |\n|---|---|---|\n");
    const auto row = [&](const char* name, std::size_t bytes, bool other, bool interested) {
        std::vector<double> one;
        std::vector<double> many;
        for (std::size_t i = 0; i != repetitions; ++i) {
            one.push_back(hop(1, bytes, other, interested));
            many.push_back(hop(64, bytes, other, interested));
        }
        std::printf("| %s | %.0f | %.0f |\n", name, median(one), median(many));
        std::fflush(stdout);
    };
    row("128 B, for nobody", 128, false, false);
    row("128 B, to a handler here", 128, false, true);
    row("128 B, to a handler at the other broker", 128, true, true);
    row("1 KiB, to a handler here", 1024, false, true);
    row("1 KiB, to a handler at the other broker", 1024, true, true);
    std::vector<double> waking;
    for (std::size_t i = 0; i != repetitions; ++i)
        waking.push_back(wake(20'000));
    std::printf(
        "\nFrom a thread that publishes to a handler in one that sleeps: %.1f us.\n", median(waking) / 1000);
}

constexpr const char* usage =
    "usage: group [--sessions N] [--topics N] [--per-turn N] [--bytes N] [--millis N] [--repetitions N]\n"
    "             [--send-ns N] [--work 1..4] [--only scaling|hop]\n";

} // namespace

int main(int argc, char** argv) try {
    options o(argc, argv, usage);
    plan p{};
    p.sessions = o.number("--sessions", 1000, 1);
    p.topics = o.number("--topics", 100, 1);
    p.per_turn = o.number("--per-turn", 16, 1);
    p.bytes = o.number("--bytes", 128);
    p.millis = o.number("--millis", 1000, 1);
    const auto send_ns = o.number("--send-ns", 2000);
    const auto chosen = o.number("--work", 0, 0, 4);
    const auto repetitions = o.number("--repetitions", 5, 1);
    const auto only = o.text("--only", "");
    o.done();
    if (!only.empty() && only != "hop" && only != "scaling")
        o.fail("there is no part ", only);
    if (only != "hop")
        for (const auto ns : {std::uint64_t{0}, send_ns}) {
            p.send_ns = ns;
            scaling(p, repetitions, chosen);
        }
    if (only != "scaling")
        hops(repetitions);
    return 0;
} catch (const std::exception& e) {
    std::fprintf(stderr, "group: %s\n", e.what());
    return 1;
}
