// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#include <pusher/ext/sqlite_store.hpp>
#include <pusher/testing/store_suite.hpp>

#include "catch.hpp"
#include "sqlite_support.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <functional>
#include <future>
#include <ios>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

// What a SQLite store is asked, and what it says.

namespace {

using namespace test;
using namespace std::chrono_literals;

} // namespace

TEST_CASE("sqlite store: the suite of all stores") {
    const temporary_folder folder;
    for (const auto& each : pusher::testing::store_cases()) {
        INFO(each.name);
        CHECK_NOTHROW(each.run({.make = [&](const auto& executor, const std::string& place) {
            return std::make_unique<pusher::sqlite_store>(
                executor, pusher::sqlite_params{.file = folder / place});
        }}));
    }
}

TEST_CASE("sqlite store: handlers are called on the executor, commits' in the order of the calls") {
    const temporary_folder folder;
    sqlite_bench s({.file = folder / "f"});
    REQUIRE(!s.open());
    const auto here = std::this_thread::get_id();
    std::vector<int> order;
    bool elsewhere = false;
    for (int i = 0; i != 200; ++i) {
        store_batch b;
        b.put("k", std::to_string(i));
        if (i % 20 == 3)
            b.append("none", {1, 1, ""}); // fails
        s.store().commit(std::move(b), [&, i](error_code ec) {
            elsewhere = elsewhere || std::this_thread::get_id() != here;
            CHECK(static_cast<bool>(ec) == (i % 20 == 3));
            order.push_back(i);
        });
    }
    CHECK(order.empty()); // never from inside the function
    s.context().restart();
    s.context().run_for(50s); // and it ends when all are answered
    REQUIRE(order.size() == 200);
    CHECK(std::is_sorted(order.begin(), order.end()));
    CHECK(!elsewhere);
}

TEST_CASE("sqlite store: the executor has work while handlers are outstanding, and no longer") {
    const temporary_folder folder;
    boost::asio::io_context context;
    pusher::sqlite_store store(context.get_executor(), {.file = folder / "f"});
    int called = 0;
    store.open([&](error_code ec, const pusher::store_contents&) {
        CHECK(!ec);
        ++called;
    });
    context.run_for(50s);
    CHECK(context.stopped()); // nothing was left to do
    CHECK(called == 1);
    store_batch b;
    b.put("a", "b");
    store.commit(b, [&](error_code) { ++called; });
    store.read("a", 1, 1, [&](error_code, const std::vector<pusher::store_record>&) { ++called; });
    context.restart();
    context.run_for(50s);
    CHECK(context.stopped());
    CHECK(called == 3);
    store.commit(b, [&](error_code) { ++called; });
    store.close();
    context.restart();
    context.run_for(50s);
    CHECK(context.stopped());
    CHECK(called == 3);
    store.commit(b, [&](error_code) { ++called; });
    store.close();
    context.restart();
    context.run_for(50s);
    CHECK(called == 3);
}

TEST_CASE("sqlite store: its thread takes no signals of the process") {
    const temporary_folder folder;
    sqlite_bench s({.file = folder / "f"});
    const auto blocked = [](const fs::path& task, int signal) {
        std::ifstream status(task / "status");
        std::string word;
        while (status >> word && word != "SigBlk:") {
        }
        std::uint64_t mask = 0;
        status >> std::hex >> mask;
        CHECK(status.good());
        return (mask >> (signal - 1) & 1) != 0;
    };
    REQUIRE(!s.open());
    int threads = 0;
    for (const auto& task : fs::directory_iterator("/proc/self/task")) {
        const bool main = task.path().filename() == std::to_string(::getpid());
        INFO("thread " << task.path().filename());
        CHECK(blocked(task.path(), SIGTERM) == !main); // the caller's are as they were
        CHECK(blocked(task.path(), SIGUSR1) == !main);
        threads += main ? 0 : 1;
    }
    CHECK(threads != 0);
}

TEST_CASE("sqlite store: what was not opened fails") {
    const temporary_folder folder;
    boost::asio::io_context context;
    pusher::sqlite_store store(context.get_executor(), {.file = folder / "f"});
    std::vector<error_code> got;
    store.commit({}, [&](error_code ec) { got.push_back(ec); });
    store.read(
        "a", 1, 1, [&](error_code ec, const std::vector<pusher::store_record>&) { got.push_back(ec); });
    context.run_for(50s);
    CHECK(got == std::vector<error_code>(2, errc::store_failed));
}

TEST_CASE("sqlite store: a handler that throws costs no other its call") {
    const temporary_folder folder;
    sqlite_bench s({.file = folder / "f"});
    REQUIRE(!s.open());
    int called = 0;
    for (int i = 0; i != 10; ++i)
        s.store().commit({}, [&](error_code) {
            if (++called % 3 == 0)
                throw std::runtime_error("thrown");
        });
    int thrown = 0;
    s.context().restart();
    for (;;) {
        try {
            s.context().run_for(50s);
            break;
        } catch (const std::runtime_error&) {
            ++thrown;
        }
    }
    CHECK(called == 10);
    CHECK(thrown == 3);
}

TEST_CASE("sqlite store: what waits for the disk has a limit") {
    const temporary_folder folder;
    sqlite_bench s({.file = folder / "f", .queue_bytes = 1024 * 1024});
    REQUIRE(!s.open());
    std::vector<error_code> got;
    const auto put = [&](std::string key, std::size_t bytes) {
        store_batch b;
        b.put(key, std::string(bytes, 'x'));
        s.store().commit(std::move(b), [&](error_code ec) { got.push_back(ec); });
    };
    put("a", 2'000'000); // one that is larger than all of it has it for itself
    put("b", 1);
    s.context().restart();
    s.context().run_for(50s);
    CHECK(got == std::vector<error_code>{error_code(), errc::store_full});
    got.clear();
    put("c", 600'000);
    put("d", 600'000);
    put("e", 100'000);
    s.context().restart();
    s.context().run_for(50s);
    CHECK(got == std::vector<error_code>{error_code(), errc::store_full, error_code()});
    s.close();
    REQUIRE(!s.open());
    std::string keys;
    for (const auto& v : s.found.values)
        keys += v.first;
    CHECK(keys == "ace");
}

TEST_CASE("sqlite store: on a strand of several threads, closed in the middle of its work") {
    const temporary_folder folder;
    for (int life = 0; life != 5; ++life) {
        boost::asio::thread_pool pool(3);
        const auto strand = boost::asio::make_strand(pool);
        std::optional<pusher::sqlite_store> store;
        std::promise<void> enough;
        std::promise<void> closed;
        std::uint64_t next = 0;
        std::uint64_t answered = 0;
        bool over = false;
        const std::function<void()> more = [&] {
            store_batch b;
            b.append("a", {next++, 1, std::string(100, 'x')});
            store->commit(std::move(b), [&](error_code ec) {
                CHECK(!ec);
                CHECK(!over);
                if (++answered == 200)
                    enough.set_value();
                more();
            });
        };
        boost::asio::post(strand, [&] {
            store.emplace(strand, pusher::sqlite_params{.file = folder / "f"});
            store->open([&](error_code ec, const pusher::store_contents& found) {
                REQUIRE(!ec);
                next = found.logs.empty() ? 1 : found.logs[0].next;
                store_batch b;
                if (found.logs.empty())
                    b.create_log("a", "");
                store->commit(std::move(b), [](error_code failed) { CHECK(!failed); });
                for (int i = 0; i != 10; ++i)
                    more();
            });
        });
        REQUIRE(enough.get_future().wait_for(50s) == std::future_status::ready);
        boost::asio::post(strand, [&] {
            store->close();
            over = true;
            closed.set_value();
        });
        REQUIRE(closed.get_future().wait_for(50s) == std::future_status::ready);
        pool.join();
    }
}

// --- killed in the middle ----------------------------------------------------------------------------------

namespace {

/// Commits batches for ever, several at a time, and writes the number of each to `tell` when it is answered.
[[noreturn]] void commit_and_tell(const std::string& file, int tell) {
    boost::asio::io_context context;
    pusher::sqlite_store store(context.get_executor(), {.file = file});
    std::uint64_t next = 0;
    const std::function<void()> more = [&] {
        const auto n = next++;
        store_batch b;
        b.append("a", {3 * n + 1, 3, std::string(n % 300, static_cast<char>(n))});
        b.put("number", std::to_string(n));
        b.append("b", {n + 1, 1, std::to_string(n)});
        if (n % 7 == 6)
            b.trim("b", n - 3);
        store.commit(std::move(b), [&, n](error_code ec) {
            if (ec || ::write(tell, &n, sizeof n) != static_cast<ssize_t>(sizeof n))
                ::_exit(1);
            more();
        });
    };
    store.open([&](error_code ec, const pusher::store_contents& found) {
        if (ec)
            ::_exit(1);
        next = found.logs.empty() ? 0 : (found.logs[0].next - 1) / 3;
        store_batch b;
        if (found.logs.empty()) {
            b.create_log("a", "");
            b.create_log("b", "");
        }
        store.commit(std::move(b), [](error_code) {});
        for (int i = 0; i != 8; ++i)
            more();
    });
    context.run();
    ::_exit(1);
}

} // namespace

TEST_CASE("sqlite store: a process that is killed loses nothing that was answered, and leaves nothing half") {
    const temporary_folder folder;
    const auto file = folder / "f";
    std::minstd_rand random(7);
    std::uint64_t next = 0; // number of batches that are in the file
    for (int life = 0; life != 10; ++life) {
        INFO("life " << life);
        int ends[2];
        REQUIRE(::pipe(ends) == 0);
        const auto child = ::fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            ::close(ends[0]);
            commit_and_tell(file, ends[1]);
        }
        ::close(ends[1]);
        // It is killed after a random number of answers, whatever it is doing then.
        std::uint64_t number = 0;
        std::uint64_t answered = 0;
        bool told = true;
        for (auto wanted = random() % 200; told && answered <= wanted; ++answered) {
            told = ::read(ends[0], &number, sizeof number) == static_cast<ssize_t>(sizeof number);
            CHECK(number == next + answered);
        }
        CHECK(told);
        ::kill(child, SIGKILL);
        while (::read(ends[0], &number, sizeof number) == static_cast<ssize_t>(sizeof number))
            ++answered; // what it has told before it was killed
        ::close(ends[0]);
        int status = 0;
        CHECK(::waitpid(child, &status, 0) == child);
        CHECK(WIFSIGNALED(status));

        sqlite_bench s({.file = file});
        REQUIRE(!s.open());
        REQUIRE(s.found.logs.size() == 2);
        const auto there = (s.found.logs[0].next - 1) / 3;
        CHECK(there >= next + answered);
        next = there;
        REQUIRE(s.found.values.size() == 1);
        CHECK(s.found.values[0].second == std::to_string(next - 1));
        CHECK(s.found.logs[1].next == next + 1);
        const auto trimmed = next / 7 * 7;
        CHECK(s.found.logs[1].first == (trimmed == 0 ? 1 : trimmed - 4));
        REQUIRE(!s.read("a"));
        REQUIRE(s.records.size() == next);
        for (std::uint64_t n = 0; n != next; ++n) {
            const auto& r = s.records[n];
            CHECK((r.first == 3 * n + 1 && r.count == 3));
            CHECK(r.bytes == std::string(n % 300, static_cast<char>(n)));
        }
    }
}
