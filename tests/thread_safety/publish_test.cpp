// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// What may be called from any thread, and a broker on a strand of several threads.

#include <pusher/broker.hpp>

#include "catch.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include <atomic>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace asio = boost::asio;
using pusher::error_code;

namespace {

constexpr int thread_count = 4;
constexpr int each = 500;

/// A context that a thread of its own runs.
class loop {
public:
    loop() : guard_(context.get_executor()), thread_([this] { context.run(); }) {}
    loop(const loop&) = delete;
    loop& operator=(const loop&) = delete;
    ~loop() { join(); }

    void join() {
        guard_.reset();
        if (thread_.joinable())
            thread_.join();
    }

    asio::io_context context{1};

private:
    asio::executor_work_guard<asio::io_context::executor_type> guard_;
    std::thread thread_;
};

/// A broker that lives, from beginning to end, on its own loop's thread.
struct broker_thread {
    broker_thread() {
        on([this] {
            broker.emplace(l.context);
            everything = broker->subscribe(
                "#",
                [this](const pusher::message& m) {
                    const auto payload = std::string(m.payload());
                    const auto from = static_cast<std::size_t>(payload.at(0) - '0');
                    const auto number = std::stoi(payload.substr(2));
                    in_order = in_order && number > last.at(from);
                    last.at(from) = number;
                    ++received;
                },
                {.match = pusher::match_mode::filter});
        });
    }
    ~broker_thread() {
        on([this] {
            everything.unsubscribe();
            broker.reset();
        });
    }
    template <class F>
    void on(F f) {
        asio::post(l.context, asio::use_future([&] { f(); })).get();
    }

    loop l;
    std::optional<pusher::broker<>> broker;
    pusher::subscription everything;
    std::vector<int> last = std::vector<int>(thread_count, -1);
    std::size_t received = 0;
    bool in_order = true;
};

template <class F>
void in_threads(F f) {
    std::vector<std::thread> threads;
    for (int n = 0; n != thread_count; ++n)
        threads.emplace_back([&f, n] { f(n); });
    for (auto& t : threads)
        t.join();
}

std::string payload_of(int thread, int n) { return std::to_string(thread) + " " + std::to_string(n); }

} // namespace

TEST_CASE("threads: post_publish from several threads keeps the order of each, and loses nothing admitted") {
    broker_thread b;
    std::atomic<std::size_t> admitted = 0;
    in_threads([&](int thread) {
        for (int n = 0; n != each; ++n) {
            const auto payload = payload_of(thread, n);
            if (b.broker->post_publish("t" + std::to_string(n % 3), payload))
                ++admitted;
        }
    });
    b.on([&] {
        CHECK(b.received == admitted);
        CHECK(b.in_order);
    });
    CHECK(admitted == static_cast<std::size_t>(thread_count) * each);
}

TEST_CASE("threads: async_publish from several threads, which wait on executors of their own") {
    broker_thread b;
    std::atomic<int> done = 0;
    in_threads([&](int thread) {
        asio::io_context own(1);
        const auto id = std::this_thread::get_id();
        asio::co_spawn(
            own,
            [&]() -> asio::awaitable<void> {
                for (int n = 0; n != each; ++n) {
                    const auto payload = payload_of(thread, n);
                    const auto r = co_await b.broker->async_publish("t", payload, {}, asio::use_awaitable);
                    if (r.matched == 1 && std::this_thread::get_id() == id)
                        ++done;
                }
            },
            [](std::exception_ptr e) {
                if (e)
                    std::rethrow_exception(e);
            });
        own.run();
    });
    CHECK(done == thread_count * each);
    b.on([&] {
        CHECK(b.received == static_cast<std::size_t>(thread_count) * each);
        CHECK(b.in_order);
    });
}

TEST_CASE("threads: async_publish_report from several threads") {
    broker_thread b;
    std::atomic<int> done = 0;
    in_threads([&](int thread) {
        asio::io_context own(1);
        asio::co_spawn(
            own,
            [&]() -> asio::awaitable<void> {
                for (int n = 0; n != each; ++n) {
                    const auto payload = payload_of(thread, n);
                    const auto r =
                        co_await b.broker->async_publish_report("t", payload, {}, asio::use_awaitable);
                    done += r.matched == 1 && r.delivered == 1 ? 1 : 0;
                }
            },
            [](std::exception_ptr e) {
                if (e)
                    std::rethrow_exception(e);
            });
        own.run();
    });
    CHECK(done == thread_count * each);
    b.on([&] { CHECK(b.received == static_cast<std::size_t>(thread_count) * each); });
}

TEST_CASE("threads: async_publish is cancelled on another thread than the broker's") {
    broker_thread b;
    std::atomic<std::size_t> published = 0;
    std::atomic<std::size_t> aborted = 0;
    in_threads([&](int thread) {
        asio::io_context own(1);
        for (int n = 0; n != each; ++n) {
            const auto payload = payload_of(thread, n);
            asio::cancellation_signal signal;
            b.broker->async_publish(
                "t", payload, {},
                asio::bind_cancellation_slot(
                    signal.slot(), asio::bind_executor(own, [&](error_code ec, const pusher::receipt& r) {
                        ++(ec == asio::error::operation_aborted && r.sequence == 0 ? aborted : published);
                    })));
            signal.emit(asio::cancellation_type::total);
            own.restart();
            own.run();
        }
    });
    CHECK(published + aborted == static_cast<std::size_t>(thread_count) * each);
    b.on([&] {
        CHECK(b.received == published); // exactly those that were not cancelled
        CHECK(b.in_order);
    });
}

TEST_CASE("threads: post_publish while the broker stops is admitted or refused, and harms nothing") {
    for (int round = 0; round != 20; ++round) {
        broker_thread b;
        std::atomic<std::size_t> admitted = 0;
        std::thread stops([&] { b.on([&] { b.broker->cancel(); }); });
        in_threads([&](int thread) {
            for (int n = 0; n != 20; ++n)
                if (b.broker->post_publish("t", payload_of(thread, n)))
                    ++admitted;
        });
        stops.join();
        b.on([&] {
            CHECK(b.received == admitted);
            CHECK_FALSE(b.broker->post_publish("t", "0 99"));
        });
    }
}

TEST_CASE("threads: a broker on a strand of several threads") {
    asio::thread_pool pool(thread_count);
    auto strand = asio::make_strand(pool);
    std::optional<pusher::broker<>> broker;
    std::size_t inside = 0; // not atomic: the strand is what keeps it whole
    std::size_t received = 0;
    std::optional<pusher::subscriber> queue;
    auto on = [&](auto f) { asio::post(strand, asio::use_future(std::move(f))).get(); };
    pusher::subscription handler;
    on([&] {
        broker.emplace(strand);
        handler = broker->subscribe("t", [&](const pusher::message&) {
            ++inside;
            ++received;
            --inside;
        });
        queue = broker->make_subscriber();
        queue->subscribe("t");
    });
    std::size_t taken = 0;
    std::vector<pusher::pinned_message> kept;
    auto consumer = asio::co_spawn(
        strand,
        [&]() -> asio::awaitable<void> {
            while (taken != thread_count * 50) {
                auto d = co_await queue->async_receive(asio::use_awaitable);
                taken += 1 + d.missed;
                kept.push_back(*std::move(d.message));
            }
        },
        asio::use_future);
    in_threads([&](int thread) {
        for (int n = 0; n != 50; ++n) {
            const auto payload = payload_of(thread, n);
            broker->async_publish("t", payload, {}, asio::use_future).get();
        }
    });
    consumer.get();
    CHECK(received == thread_count * 50);
    CHECK(inside == 0);
    // What is pinned is read, copied and dropped by any thread.
    in_threads([kept](int) {
        std::size_t bytes = 0;
        for (auto m : kept)
            bytes += m->payload().size();
        if (bytes == 0)
            throw std::logic_error("nothing is in them");
    });
    on([&] {
        handler.unsubscribe();
        queue.reset();
        broker.reset();
    });
    pool.join();
}
