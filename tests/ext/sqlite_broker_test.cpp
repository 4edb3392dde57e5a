// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// A broker whose histories are in a file.

#include <pusher/broker.hpp>
#include <pusher/ext/sqlite_store.hpp>

#include "catch.hpp"
#include "sqlite_support.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include <cstddef>
#include <cstdint>
#include <future>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace test;

namespace {

using broker_type = pusher::broker<pusher::transport::none, pusher::sqlite_store>;

pusher::broker_params keeping_all() {
    pusher::broker_params p;
    p.history.messages = 100'000;
    return p;
}

} // namespace

TEST_CASE("sqlite store: a broker, its next life, and publishers of several threads") {
    const temporary_folder folder;
    const auto file = folder / "broker";
    constexpr int threads = 3;
    constexpr int each = 200;
    std::map<std::uint64_t, std::string> answered;
    {
        boost::asio::io_context context(1);
        broker_type broker(context, keeping_all());
        std::optional<error_code> opened;
        broker.async_open({.file = file}, [&](error_code ec) { opened = ec; });
        context.run();
        REQUIRE(opened == error_code());
        auto work = boost::asio::make_work_guard(context);
        std::thread loop([&] {
            context.restart();
            context.run();
        });
        std::vector<std::vector<std::pair<std::uint64_t, std::string>>> told(threads);
        std::vector<std::thread> publishers;
        for (int who = 0; who != threads; ++who)
            publishers.emplace_back([&, who] {
                for (int i = 0; i != each; i += 10) {
                    std::vector<std::string> texts;
                    std::vector<std::future<pusher::receipt>> several;
                    for (int n = i; n != i + 10; ++n)
                        texts.push_back(std::to_string(who) + " " + std::to_string(n));
                    for (const auto& text : texts)
                        several.push_back(broker.async_publish("t", text, {}, boost::asio::use_future));
                    for (std::size_t n = 0; n != several.size(); ++n)
                        told[static_cast<std::size_t>(who)].emplace_back(
                            several[n].get().position->offset, texts[n]);
                }
            });
        for (auto& t : publishers)
            t.join();
        work.reset();
        loop.join();
        for (const auto& one : told)
            answered.insert(one.begin(), one.end());
        CHECK(broker.stats().store_batches < threads * each);
    }
    REQUIRE(answered.size() == threads * each);
    boost::asio::io_context context(1);
    broker_type broker(context, keeping_all());
    std::optional<error_code> opened;
    broker.async_open({.file = file}, [&](error_code ec) { opened = ec; });
    context.run();
    REQUIRE(opened == error_code());
    std::map<std::uint64_t, std::string> found;
    auto h = broker.subscribe(
        "t",
        [&](const pusher::message& m) {
            CHECK(found.emplace(m.position()->offset, std::string(m.payload())).second);
        },
        {.history = 100'000});
    context.restart();
    context.run();
    CHECK(found == answered);
}

TEST_CASE("sqlite store: a broker that cannot open it") {
    const temporary_folder folder;
    boost::asio::io_context context(1);
    broker_type broker(context, keeping_all());
    std::optional<error_code> opened;
    broker.async_open({.file = folder / "no/such/folder"}, [&](error_code ec) { opened = ec; });
    context.run();
    REQUIRE(opened);
    CHECK(*opened == pusher::condition::store_unavailable);
    context.restart();
    broker.async_open({.file = folder / "good"}, [&](error_code ec) { opened = ec; });
    context.run();
    CHECK(*opened == error_code());
    CHECK(broker.publish("t", "x").pending);
}
