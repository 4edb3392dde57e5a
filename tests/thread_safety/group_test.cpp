// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// A group of brokers in threads of their own, with peers over sockets and publishers in any thread.

#include <pusher/broker_group.hpp>

#include "catch.hpp"
#include "net_peers.hpp"

#include <boost/asio/deferred.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/json/parse.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

using namespace test;

namespace {

constexpr std::size_t brokers = 3;

/// A group whose threads run from its making to its end.
struct group_threads {
    using group_type = pusher::broker_group<pusher::transport::all>;

    explicit group_threads(const pusher::broker_params& p = {}, const pusher::group_params& limits = {})
        : contexts(brokers),
          group(std::in_place, contexts, p, limits),
          tcp(group->listen(pusher::tcp_params{}).port()),
          http(group->listen(pusher::http_params{}).port()) {
        for (auto& c : contexts) {
            work.emplace_back(c.get_executor());
            threads.emplace_back([&c] { c.run(); });
        }
    }
    group_threads(const group_threads&) = delete;
    group_threads& operator=(const group_threads&) = delete;
    ~group_threads() {
        for (auto& c : contexts)
            c.stop();
        for (auto& t : threads)
            t.join();
    }

    /// Runs `f(broker)` in a broker's thread.
    template <class F>
    auto on(std::size_t i, F f) {
        return asio::post(contexts[i], asio::use_future([&] { return f((*group)[i]); })).get();
    }
    template <class F>
    void until(F f) {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
        while (!f()) {
            if (std::chrono::steady_clock::now() > deadline)
                throw std::runtime_error("what should happen has not");
            std::this_thread::yield();
        }
    }
    pusher::broker_stats stats() { return group->async_stats(asio::use_future).get(); }
    std::vector<std::uint64_t> sessions() {
        std::vector<std::uint64_t> all;
        for (std::size_t i = 0; i != brokers; ++i)
            all.push_back(on(i, [](auto& b) { return b.stats().sessions; }));
        return all;
    }

    std::deque<asio::io_context> contexts;
    std::optional<group_type> group;
    std::uint16_t tcp;
    std::uint16_t http;
    std::vector<asio::executor_work_guard<asio::io_context::executor_type>> work;
    std::vector<std::thread> threads;
};

/// What one subscriber got: per publisher and topic the numbers must grow by one, but for what gaps account
/// for.
struct account {
    std::map<std::string, int> last;
    std::size_t received = 0;
    std::uint64_t missed = 0;
    bool in_order = true;

    void take(const pusher::message& m) {
        const auto payload = std::string(m.payload());
        const auto space = payload.find(' ');
        const auto number = std::stoi(payload.substr(space + 1));
        auto& before =
            last.try_emplace(payload.substr(0, space) + '/' + std::string(m.topic()), -1).first->second;
        in_order = in_order && number > before;
        before = number;
        ++received;
    }
};

} // namespace

TEST_CASE("group threads: every subscriber gets every message, in the order of its publisher and topic") {
    constexpr int publishers = 6;
    constexpr int each = 600;
    constexpr int topics = 5;
    pusher::broker_params p;
    const bool keeps = GENERATE(false, true);
    p.history.messages = keeps ? 50 : 0;
    group_threads g(p);
    std::deque<account> accounts(brokers * 2);
    std::vector<pusher::subscriber> subscribers(accounts.size());
    for (std::size_t i = 0; i != accounts.size(); ++i)
        g.on(i % brokers, [&](auto& b) {
            auto& a = accounts[i];
            subscribers[i] = b.make_subscriber([&a](const pusher::message& m) { a.take(m); });
            subscribers[i].on_gap([&a](const pusher::gap& lost) { a.missed += lost.count; });
            if (i < brokers)
                subscribers[i].subscribe("t/#", {.match = pusher::match_mode::filter});
            else
                for (int t = 0; t != topics; ++t)
                    subscribers[i].subscribe("t/" + std::to_string(t));
        });

    std::vector<std::thread> threads;
    std::atomic<std::size_t> accepted = 0;
    for (int n = 0; n != publishers; ++n)
        threads.emplace_back([&, n] {
            auto& b = (*g.group)[static_cast<std::size_t>(n) % brokers];
            for (int i = 0; i != each; ++i) {
                const auto topic = "t/" + std::to_string(i % topics);
                const auto payload = std::to_string(n) + ' ' + std::to_string(i);
                if (n < publishers / 2) { // to one broker, or to the topic's home
                    accepted += b.post_publish(topic, payload) ? 1 : 0;
                } else {
                    accepted += g.group->post_publish(topic, payload) ? 1 : 0;
                }
            }
        });
    for (auto& t : threads)
        t.join();
    CHECK(accepted == publishers * each);
    for (std::size_t i = 0; i != accounts.size(); ++i) {
        const auto& a = accounts[i];
        g.until([&] {
            return g.on(i % brokers, [&](auto&) { return a.received + a.missed >= publishers * each; });
        });
        CHECK(g.on(i % brokers, [&](auto&) { return a.in_order; }));
        CHECK(g.on(i % brokers, [&](auto&) { return a.received + a.missed; }) == publishers * each);
    }
    CHECK(g.stats().published == publishers * each);
    for (std::size_t i = 0; i != subscribers.size(); ++i)
        g.on(i % brokers, [&](auto&) { subscribers[i].close(); });
}

TEST_CASE("group threads: received and told as lost is published, where there is too little room") {
    constexpr int each = 3000;
    group_threads g({}, {.messages = 64});
    account a;
    pusher::subscriber s;
    g.on(0, [&](auto& b) {
        s = b.make_subscriber([&](const pusher::message& m) { a.take(m); });
        s.on_gap([&](const pusher::gap& lost) { a.missed += lost.count; });
        s.subscribe("t");
    });
    for (std::size_t n = 1; n != brokers; ++n)
        asio::post(g.contexts[n], [&, n] {
            for (int i = 0; i != each; ++i)
                (*g.group)[n].publish("t", std::to_string(n) + ' ' + std::to_string(i));
        });
    const std::size_t all = (brokers - 1) * each;
    g.until([&] { return g.on(0, [&](auto&) { return a.received + a.missed >= all; }); });
    CHECK(g.on(0, [&](auto&) { return a.received + a.missed; }) == all);
    CHECK(a.in_order);
    CHECK(a.missed != 0);
    CHECK(g.stats().relay_dropped == a.missed);
    g.on(0, [&](auto&) { s.close(); });
}

TEST_CASE("group threads: subscribers come and go while others publish, and miss nothing in between") {
    constexpr int rounds = 200;
    group_threads g;
    std::atomic<bool> done = false;
    std::atomic<int> published = 0; // all up to it were handed to publish, and have returned
    std::thread publisher([&] {
        for (int i = 1; !done; ++i) {
            g.on(0, [&](auto& b) { b.publish("t", "0 " + std::to_string(i)); });
            published = i;
        }
    });
    for (int round = 0; round != rounds; ++round) {
        const auto where = static_cast<std::size_t>(round) % 2 + 1;
        std::vector<int> got;
        pusher::subscription x;
        g.on(where, [&](auto& b) {
            x = b.subscribe("t", [&got](const pusher::message& m) {
                got.push_back(std::stoi(std::string(m.payload().substr(2))));
            });
        });
        const int after = published + 1; // some of these may come, all later ones must
        g.until([&] { return g.on(where, [&](auto&) { return !got.empty() && got.back() >= after + 3; }); });
        g.on(where, [&](auto&) { x.unsubscribe(); });
        const auto first = std::upper_bound(got.begin(), got.end(), after);
        CHECK(std::is_sorted(got.begin(), got.end()));
        CHECK(std::adjacent_find(got.begin(), got.end()) == got.end());
        REQUIRE(first != got.end());
        CHECK(*first == after + 1);
        CHECK(got.back() - *first == got.end() - first - 1);
    }
    done = true;
    publisher.join();
}

TEST_CASE("group threads: one port, shared by all brokers") {
    group_threads g;
    asio::io_context io;
    std::vector<tcp::socket> peers;
    const auto all_have_some = [&] {
        for (const auto n : g.sessions())
            if (n == 0)
                return false;
        return true;
    };
    for (int n = 0; n < 60 || !all_have_some(); ++n) {
        REQUIRE(n != 1000);
        peers.push_back(connect(io, g.tcp));
    }
    const auto all = peers.size();
    g.until([&] { return g.stats().sessions == all; });
}

TEST_CASE("group threads: who resumes at whichever broker misses nothing and gets nothing twice") {
    constexpr int rounds = 30;
    pusher::broker_params p;
    p.history.messages = 100'000;
    group_threads g(p);
    std::atomic<bool> done = false;
    std::atomic<int> published = 0;
    std::thread publisher([&] {
        while (!done) {
            const int n = published + 1;
            (*g.group)[static_cast<std::size_t>(n) % brokers]
                .async_publish("t", std::to_string(n), {}, asio::use_future)
                .get();
            published = n;
        }
    });
    asio::io_context io;
    std::string resume;
    int last = 0;
    bool whole = true;
    std::set<std::size_t> seen_at;
    for (int round = 0; round != rounds; ++round) {
        line_client<tcp::socket> peer(connect(io, g.tcp));
        peer.request("subscribe", R"({"topic":"t")" + resume + "}");
        wait_readable(peer.stream);
        const auto reply = peer.line();
        whole =
            whole && holds(reply, R"("status":"ok")") && (round == 0 || holds(reply, R"("recovered":true)"));
        const auto sessions = g.sessions();
        for (std::size_t i = 0; i != brokers; ++i)
            if (sessions[i] != 0)
                seen_at.insert(i);
        for (int n = 0; n != 20; ++n) {
            const auto line = peer.line();
            const auto o = boost::json::parse(line).as_object();
            const auto number = std::stoi(std::string(o.at("payload").as_string()));
            whole = whole && (last == 0 || number == last + 1);
            last = number;
            const auto& meta = o.at("meta").as_object();
            resume = R"(,"resume":{"epoch":")" + std::string(meta.at("epoch").as_string()) +
                     R"(","offset":)" + std::to_string(meta.at("offset").to_number<std::uint64_t>()) + "}";
        }
        reset(peer.stream); // without a goodbye
        g.until([&] { return g.stats().sessions == 0; });
    }
    done = true;
    publisher.join();
    CHECK(whole);
    CHECK(seen_at.size() > 1);
}

TEST_CASE("group threads: events of one topic go on at whichever broker, by their last id") {
    constexpr int rounds = 20;
    pusher::broker_params p;
    p.history.messages = 100'000;
    group_threads g(p);
    std::atomic<bool> done = false;
    std::thread publisher([&] {
        for (int n = 1; !done; ++n)
            g.group->async_publish("t", std::to_string(n), {}, asio::use_future).get();
    });
    asio::io_context io;
    std::string id;
    int last = 0;
    bool whole = true;
    std::set<std::size_t> seen_at;
    for (int round = 0; round != rounds; ++round) {
        line_client<tcp::socket> peer(connect(io, g.http));
        peer.send("GET /events?topic=t&last_event_id=" + id + " HTTP/1.1\r\nHost: a\r\n\r\n");
        for (int n = 0; n != 10;) {
            const auto line = peer.line();
            if (line.starts_with("event: pusher"))
                whole = false;
            if (line.starts_with("id: "))
                id = line.substr(4);
            if (line.starts_with("data: ")) {
                const auto number = std::stoi(line.substr(6));
                whole = whole && (last == 0 || number == last + 1);
                last = number;
                ++n;
            }
        }
        const auto sessions = g.sessions();
        for (std::size_t i = 0; i != brokers; ++i)
            if (sessions[i] != 0)
                seen_at.insert(i);
        reset(peer.stream);
        g.until([&] { return g.stats().sessions == 0; });
    }
    done = true;
    publisher.join();
    CHECK(whole);
    CHECK(seen_at.size() > 1);
}

TEST_CASE("group threads: a broker that is blocked blocks no other") {
    group_threads g({}, {.messages = 100});
    std::atomic<std::size_t> got = 0;
    std::vector<pusher::subscription> x(brokers);
    for (std::size_t i = 0; i != brokers; ++i)
        g.on(i, [&](auto& b) { x[i] = b.subscribe("t", [&got](const pusher::message&) { ++got; }); });
    std::promise<void> go_on;
    std::promise<void> blocked;
    asio::post(g.contexts[0], [&] {
        blocked.set_value();
        go_on.get_future().wait();
    });
    blocked.get_future().wait();
    for (std::size_t n = 1; n <= 500; ++n) {
        CHECK(g.on(1, [&](auto& b) { return b.publish("t", "x"); }));
        g.until([&] { return got == 2 * n; }); // here, and at the third
    }
    go_on.set_value();
    g.until([&] { return got == 1000 + 100; });
    for (std::size_t i = 0; i != brokers; ++i)
        g.on(i, [&](auto&) { x[i].unsubscribe(); });
}

TEST_CASE("group threads: it is drained, and cancelled, while everybody talks") {
    for (int round = 0; round != 5; ++round) {
        pusher::broker_params p;
        p.history_for = [](std::string_view topic) {
            pusher::history_params h;
            h.messages = topic.starts_with('h') ? 100 : 0;
            return h;
        };
        group_threads g(p);
        std::atomic<bool> done = false;
        std::vector<std::thread> threads;
        for (std::size_t n = 0; n != brokers; ++n)
            threads.emplace_back([&, n] {
                for (int i = 0; !done; ++i) {
                    (*g.group)[n].post_publish(i % 2 == 0 ? "t" : "h", "0 " + std::to_string(i));
                    std::this_thread::yield();
                }
            });
        asio::io_context io;
        std::vector<std::unique_ptr<line_client<tcp::socket>>> peers;
        for (int n = 0; n != 6; ++n) {
            peers.push_back(std::make_unique<line_client<tcp::socket>>(connect(io, g.tcp)));
            peers.back()->request("subscribe", n % 2 == 0 ? R"({"topic":"t"})" : R"({"topic":"h"})");
            wait_readable(peers.back()->stream);
            CHECK(holds(peers.back()->line(), "ok"));
        }
        auto drained =
            g.group->async_drain(std::chrono::milliseconds(round == 0 ? 1 : 30'000), asio::use_future);
        for (auto& peer : peers) {
            pusher::error_code ec;
            peer->rest(ec);
            peer->stream.close();
        }
        REQUIRE(drained.wait_for(std::chrono::seconds(60)) == std::future_status::ready);
        if (round != 0)
            CHECK_NOTHROW(drained.get());
        g.group->cancel();
        done = true;
        for (auto& t : threads)
            t.join();
    }
}
