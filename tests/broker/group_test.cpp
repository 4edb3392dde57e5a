// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// Several brokers as one: topics without history, what is for everybody or for a user, and limits.

#include "catch.hpp"
#include "group_script.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/use_future.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <deque>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using namespace test;
using pusher::errc;
using pusher::error_code;
using pusher::message;
namespace asio = boost::asio;

namespace {

constexpr pusher::subscribe_options filter{.match = pusher::match_mode::filter};

/// Notes what a handler is called with.
auto into(texts& log) {
    return
        [&log](const message& m) { log.push_back(std::string(m.topic()) + "=" + std::string(m.payload())); };
}

pusher::broker_params who_says_so() {
    pusher::broker_params p;
    p.authenticate = [](const pusher::authentication_request& r, const pusher::authentication_answer& done) {
        done(
            r.token.empty() ? pusher::authentication_result::later()
                            : pusher::authentication_result::identified(std::string(r.token)));
    };
    return p;
}

/// A session of a user.
struct user : group_client {
    user(group_script::seat& at, const std::string& uid) : group_client(at) {
        send("auth", "\"token\":\"" + uid + '"');
        heard();
    }
};

} // namespace

TEST_CASE("group: a message gets to the subscribers of every broker, once and in order", "[group]") {
    group_script s(3);
    group_client a(s.seats[0]);
    group_client b(s.seats[1]);
    group_client c(s.seats[2]);
    b.subscribe("t");
    c.subscribe("t");
    c.send("subscribe", R"("topic":"+","match":"filter")");
    CHECK(b.heard() == texts{"ok"});
    CHECK(c.heard() == texts{"ok", "ok"});
    a.publish("t", "1");
    a.publish("t", "2");
    a.publish("u", "3");
    a.publish("t", "4");
    CHECK(a.heard() == texts{"ok matched 0", "ok matched 0", "ok matched 0", "ok matched 0"});
    CHECK(b.heard() == texts{"t=1", "t=2", "t=4"});
    CHECK(c.heard() == texts{"t=1", "t=2", "u=3", "t=4"});
    c.publish("t", "5"); // the other way round, and to itself
    CHECK(c.heard() == texts{"t=5", "ok matched 1"});
    CHECK(b.heard() == texts{"t=5"});
    CHECK(a.heard() == texts{});
}

TEST_CASE("group: what goes with a message arrives with it", "[group]") {
    group_script s(2);
    std::vector<std::string> got;
    std::optional<pusher::wall_time> received;
    auto x = s.group[1].subscribe("t", [&](const message& m) {
        got = {
            std::string(m.type()),
            std::string(m.key()),
            std::string(m.id()),
            std::string(m.payload()),
            std::string(m.header_value("a")),
            std::string(m.header_value("bb")),
            std::to_string(m.ttl().count()),
            m.position() ? "position" : "none"};
        received = m.receive_time();
    });
    const std::vector<pusher::header> headers{{"a", "1"}, {"bb", std::string_view("2\0003", 3)}};
    const auto before = std::chrono::system_clock::now();
    s.group[0].publish(
        "t", std::string_view("p\0q", 3),
        {.type = "y", .key = "k", .id = "i", .headers = headers, .ttl = std::chrono::seconds(7)});
    s.run();
    CHECK(
        got == std::vector<std::string>{
                   "y", "k", "i", std::string("p\0q", 3), "1", std::string("2\0003", 3), "7000", "none"});
    REQUIRE(received);
    CHECK(*received >= before);
    CHECK(*received <= std::chrono::system_clock::now());
}

TEST_CASE("group: only brokers with subscribers are woken, once for a turn", "[group]") {
    group_script s(3);
    texts got;
    auto x = s.group[1].subscribe("t", into(got));
    auto y = s.group[2].subscribe("u", into(got));
    auto z = s.group[2].subscribe("f/#", into(got), filter);
    s.run();
    for (int i = 0; i != 100; ++i)
        s.group[0].publish("t", std::to_string(i));
    s.group[0].publish("nobody", "here");
    CHECK(s.run(0) != 0);
    CHECK(s.run(2) == 0);
    CHECK(s.run(1) != 0);
    CHECK(got.size() == 100);
    CHECK(s.group[1].stats().relay_batches == 1);
    CHECK(s.group[2].stats().relay_batches == 0);
    CHECK(s.group[0].stats().relayed == 100);
    CHECK(s.group[0].stats().published == 101);
    CHECK(s.group[1].stats().published == 0);
    CHECK(s.group[1].stats().relay_received == 100);
    s.group[0].publish("f/1", "x");
    s.group[1].publish("f", "y");
    s.run();
    CHECK(s.group[2].stats().relay_batches == 2);
    CHECK(s.group[1].stats().relay_batches == 1);
}

TEST_CASE(
    "group: a subscription sees what is published after it was made, and nothing when it has ended",
    "[group]") {
    group_script s(2);
    texts got;
    auto& a = s.group[0];
    auto& b = s.group[1];
    a.publish("t", "1");
    {
        auto x = b.subscribe("t", into(got));
        a.publish("t", "2"); // in the same turn of both
        s.run();
        a.publish("t", "3");
        s.run(0);
    }
    a.publish("t", "4");
    s.run();
    CHECK(got == texts{"t=2"});    // 3 had not come yet when it ended
    CHECK(a.stats().relayed == 3); // that it had ended was not told yet
    a.publish("t", "5");
    s.run();
    CHECK(a.stats().relayed == 3); // nobody is there any more

    // Whoever comes back within the turn has not been away.
    auto y = b.subscribe("+", into(got), filter);
    a.publish("t", "6");
    y.unsubscribe();
    y = b.subscribe("+", into(got), filter);
    a.publish("t", "7");
    s.run();
    CHECK(got == texts{"t=2", "t=6", "t=7"});
    y.unsubscribe();
    s.run();
    a.publish("t", "8");
    s.run();
    CHECK(got.size() == 3);
}

TEST_CASE("group: interest that comes and goes is told apart by topic, filter and broker", "[group]") {
    group_script s(3);
    texts got;
    std::vector<pusher::subscription> some;
    for (std::size_t n = 0; n != 3000; ++n) { // more than others keep without looking at them
        auto x = s.group[n % 2].subscribe("churn/" + std::to_string(n), into(got));
        if (n % 1000 == 0)
            some.push_back(std::move(x));
        s.run();
    }
    auto x1 = s.group[1].subscribe("churn/+", into(got), filter);
    auto x2 = s.group[1].subscribe("churn/7", into(got));
    auto x0 = s.group[0].subscribe("churn/#", into(got), filter);
    s.group[2].publish("churn/7", "a");
    s.run();
    CHECK(got == texts{"churn/7=a", "churn/7=a", "churn/7=a"});
    x1.unsubscribe();
    s.run();
    s.group[2].publish("churn/7", "b");
    s.group[2].publish("churn/8", "c");
    s.group[2].publish("churn/1000", "d");
    s.run();
    CHECK(got.size() == 3 + 2 + 1 + 2);
    x0.unsubscribe();
    x2.unsubscribe();
    some.clear();
    s.run();
    const auto relayed = s.group[2].stats().relayed;
    s.group[2].publish("churn/7", "e");
    s.group[2].publish("churn/1000", "f");
    CHECK(s.group[2].stats().relayed == relayed);
    CHECK(s.group[0].stats().topics == 0);
    CHECK(s.group[1].stats().filters == 0);
}

TEST_CASE("group: what a handler publishes comes behind what it was called with, everywhere", "[group]") {
    group_script s(2);
    texts here;
    texts there;
    auto& a = s.group[0];
    auto x = a.subscribe("t", [&](const message& m) {
        here.emplace_back(m.payload());
        if (m.payload() == "1") {
            a.publish("t", "2");
            a.publish("u", "3");
        }
        if (m.payload() == "2")
            a.publish("t", "4");
    });
    auto y = s.group[1].subscribe("#", into(there), filter);
    a.publish("t", "1");
    a.publish("t", "5");
    s.run();
    CHECK(here == texts{"1", "2", "4", "5"});
    CHECK(there == texts{"t=1", "t=2", "u=3", "t=4", "t=5"});
}

TEST_CASE("group: whoever does not want its own gets that of others with its number", "[group]") {
    group_script s(2);
    group_client a(s.seats[0]);
    group_client b(s.seats[1]); // has the same session id, at another broker
    a.send("subscribe", R"("topic":"t","echo":false)");
    b.send("subscribe", R"("topic":"t","echo":false)");
    a.heard();
    b.heard();
    a.publish("t", "1");
    b.publish("t", "2");
    CHECK(a.heard() == texts{"ok matched 0", "t=2"});
    CHECK(b.heard() == texts{"ok matched 0", "t=1"});
}

TEST_CASE("group: what is for everybody, and for a user", "[group]") {
    group_script s(3, who_says_so());
    user ann0(s.seats[0], "ann");
    user ann2(s.seats[2], "ann");
    user bob1(s.seats[1], "bob");
    s.group[1].broadcast("news", "1");
    CHECK(ann0.heard() == texts{"news=1"});
    CHECK(bob1.heard() == texts{"news=1"});
    CHECK(ann2.heard() == texts{"news=1"});

    const auto woken = s.group[1].stats().relay_batches;
    CHECK(s.group[0].push_to("ann", "for you", "2").matched == 1);
    CHECK(ann0.heard() == texts{"for you=2"});
    CHECK(ann2.heard() == texts{"for you=2"});
    CHECK(s.group[1].stats().relay_batches == woken);
    s.group[1].push_to("ann", "for you", "3"); // who is not here, but elsewhere
    CHECK(ann0.heard() == texts{"for you=3"});
    CHECK(ann2.heard() == texts{"for you=3"});
    CHECK(bob1.heard() == texts{});

    CHECK(s.group[1].kick_uid("ann", "enough") == 0);
    CHECK(ann0.heard() == texts{"close 1008 enough"});
    CHECK(ann2.heard() == texts{"close 1008 enough"});
    ann0.leave();
    ann2.leave();
    s.run();
    s.group[1].push_to("ann", "for you", "4");
    s.run();
    CHECK(s.group[1].stats().relayed == 2 + 2);
    CHECK(s.group[0].stats().sessions + s.group[2].stats().sessions == 0);
}

TEST_CASE("group: who is nowhere is absent once", "[group]") {
    std::vector<std::string> alarms;
    pusher::broker_params p;
    p.on_failure = pusher::failure_ladder(
        pusher::failure::alarm{
            [&](const pusher::failed_delivery& f) { alarms.emplace_back(f.what.payload()); },
            std::chrono::milliseconds(0)},
        pusher::failure::drop{});
    group_script s(2, p);
    auto here = s.group[1].make_subscriber([](const message&) {});
    here.bind("ann");
    s.run();
    s.group[0].push_to("ann", "t", "1");
    s.run();
    CHECK(alarms.empty());
    here.bind("");
    s.run();
    s.group[0].push_to("ann", "t", "2");
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (alarms.empty() && std::chrono::steady_clock::now() < deadline) {
        s.contexts[0].restart();
        s.contexts[0].run_one_for(std::chrono::milliseconds(100));
    }
    s.run();
    CHECK(alarms == std::vector<std::string>{"2"});
}

// ---- limits

TEST_CASE("group: publishers see that another broker does not keep up", "[group]") {
    group_script s(2, {}, {.messages = 100});
    std::size_t got = 0;
    auto x = s.group[1].subscribe("t", [&](const message&) { ++got; });
    auto& a = s.group[0];
    const auto publish = [&](int n) {
        for (int i = 0; i != n; ++i)
            a.publish("t", "x");
        s.run(0);
    };
    publish(50);
    CHECK(a.writable());
    publish(1);
    CHECK_FALSE(a.writable());
    std::optional<error_code> written;
    a.async_wait_writable([&](error_code ec) { written = ec; });
    s.run(0);
    CHECK_FALSE(written);
    s.run(1);
    s.run(0);
    CHECK(written == error_code());
    CHECK(a.writable());
    CHECK(got == 51);
}

TEST_CASE("group: a broker that takes nothing is not waited for longer than patience lasts", "[group]") {
    pusher::broker_params p;
    p.slow_session_patience = std::chrono::milliseconds(5);
    group_script s(2, p, {.messages = 10});
    std::size_t got = 0;
    auto x = s.group[1].subscribe("t", [&](const message&) { ++got; });
    auto& a = s.group[0];
    for (int i = 0; i != 8; ++i)
        a.publish("t", "x");
    s.run(0);
    bool written = false;
    a.async_wait_writable([&](error_code) { written = true; });
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!written && std::chrono::steady_clock::now() < deadline) {
        s.contexts[0].restart();
        s.contexts[0].run_one_for(std::chrono::milliseconds(100));
    }
    CHECK(written);
    CHECK(a.writable());
    s.run();
    CHECK(got == 8);
}

TEST_CASE("group: what another broker has no room for is counted, and told to its subscribers", "[group]") {
    group_script s(2, {}, {.messages = 10});
    auto& a = s.group[0];
    group_client b(s.seats[1]);
    b.subscribe("t");
    b.send("subscribe", R"("topic":"u","type":"y")");
    b.heard();
    texts own;
    auto x = a.subscribe("t", into(own));
    for (int i = 0; i != 15; ++i)
        a.publish("t", std::to_string(i));
    a.publish("u", "lost", {.type = "y"});
    s.run(0);
    CHECK(own.size() == 15);
    CHECK(a.stats().relay_dropped == 6);
    texts expected;
    for (int i = 0; i != 10; ++i)
        expected.push_back("t=" + std::to_string(i));
    auto got = b.heard();
    REQUIRE(got.size() == 12);
    CHECK(texts(got.begin(), got.begin() + 10) == expected);
    std::sort(got.begin() + 10, got.end());
    CHECK(texts(got.begin() + 10, got.end()) == texts{"!t 5", "!u 1"});
    a.publish("t", "again");
    CHECK(b.heard() == texts{"t=again"});

    for (int i = 0; i != 12; ++i)
        a.broadcast("all", std::to_string(i));
    s.run(0);
    got = b.heard();
    REQUIRE(got.size() == 11);
    CHECK(got.back() == "!all 2");
}

TEST_CASE("group: a message larger than what may wait goes alone", "[group]") {
    group_script s(2, {}, {.bytes = 1000});
    std::size_t got = 0;
    auto x = s.group[1].subscribe("t", [&](const message& m) { got += m.payload().size(); });
    s.group[0].publish("t", std::string(5000, 'x'));
    s.group[0].publish("t", "no room");
    s.run();
    CHECK(got == 5000);
    CHECK(s.group[0].stats().relay_dropped == 1);
}

// ---- its life

TEST_CASE("group: what is not for groups is refused", "[group]") {
    std::deque<asio::io_context> contexts(2);
    pusher::broker_params p;
    p.on_failure = pusher::failure_ladder(pusher::failure::persist{});
    CHECK_THROWS_AS(pusher::broker_group<>(contexts, p), std::invalid_argument);
    p.on_failure = {};
    p.topic_policies.push_back(
        {.filter = "#", .on_failure = pusher::failure_ladder(pusher::failure::persist{})});
    CHECK_THROWS_AS(pusher::broker_group<>(contexts, p), std::invalid_argument);
    CHECK_THROWS_AS(pusher::broker_group<>(contexts, {}, {.messages = 0}), std::invalid_argument);
    CHECK_THROWS_AS(pusher::broker_group<>(contexts, {}, {.bytes = 0}), std::invalid_argument);
    CHECK_THROWS_AS(pusher::broker_group<>(std::vector<asio::any_io_executor>()), std::invalid_argument);
    CHECK_THROWS_AS(
        pusher::broker_group<>(
            std::vector<asio::any_io_executor>(65, asio::any_io_executor(contexts[0].get_executor()))),
        std::invalid_argument);

    pusher::broker_params keeps = who_says_so();
    keeps.history.messages = 10;
    group_script s(2, keeps);
    user ann(s.seats[0], "ann");
    ann.send("subscribe", R"("topic":"t","ack":true,"durable":"d")");
    CHECK(ann.heard() == texts{"fail params.durable is not in use here: there are several brokers"});
    auto in_process = s.group[0].make_subscriber();
    in_process.bind("bob");
    error_code ec;
    in_process.subscribe(s.topic_at(0), {.acknowledge = true, .durable = "d"}, ec);
    CHECK(ec == errc::unsupported);
    const pusher::failure_ladder persists{pusher::failure::persist{}};
    in_process.subscribe("t", {.on_failure = &persists}, ec);
    CHECK(ec == errc::unsupported);
    CHECK_THROWS_AS(s.group[0].join(nullptr), std::invalid_argument);
}

TEST_CASE("group: one broker is as any other", "[group]") {
    pusher::broker_params p;
    p.history.messages = 10;
    group_script s(1, p);
    group_client a(s.seats[0]);
    a.subscribe("t");
    a.publish("t", "1");
    CHECK(a.heard() == texts{"ok", "t@1=1", "ok matched 1"});
    CHECK(&s.group.home("t") == &s.group[0]);
}

TEST_CASE("group: one of its brokers ends, and the others go on", "[group]") {
    std::deque<asio::io_context> contexts(3);
    texts got;
    {
        pusher::broker_group<> group(contexts);
        auto x = group[1].subscribe("t", into(got));
        auto y = group[2].subscribe("t", into(got));
        group[0].publish("t", "1");
        contexts[0].poll();
        group[1].cancel(); // with what it has not taken
        group[0].publish("t", "2");
        for (auto& c : contexts) {
            c.restart();
            c.poll();
        }
        CHECK(got == texts{"t=1", "t=2"}); // the other's
        group[1].publish("t", "3");        // in process it still works, for itself
        CHECK(got.back() == "t=3");
        group.cancel();
        for (auto& c : contexts) {
            c.restart();
            c.poll();
        }
        CHECK(group[0].stopped());
        CHECK(group[2].stopped());
        group[0].publish("t", "4");
    } // with things on their way
    for (auto& c : contexts) {
        c.restart();
        c.poll();
    }
    CHECK(got == texts{"t=1", "t=2", "t=3"});
}

TEST_CASE("group: brokers whose event loops have ended too keep nobody waiting", "[group]") {
    auto p = who_says_so();
    p.history_for = [](std::string_view topic) {
        pusher::history_params keep;
        keep.messages = topic.starts_with("kept") ? 10 : 0;
        return keep;
    };
    group_script s(3, p);
    user bob(s.seats[1], "bob");
    texts got;
    auto x = s.group[1].subscribe("#", into(got), filter);
    s.group[0].publish("t", "1");
    s.run();
    got.clear();
    const auto run = [&s] {
        for (bool any = true; any;)
            any = s.run(1) != 0 || s.run(2) != 0;
    };
    s.group[0].cancel();
    auto stats = s.group.async_stats(asio::use_future);
    run();
    REQUIRE(stats.wait_for(std::chrono::seconds(30)) == std::future_status::ready);
    const auto sum = stats.get();
    CHECK(sum.published == 1); // by the one that has ended
    CHECK(sum.sessions == 1);

    for (int n = 0; n != 10; ++n) // of some the ended one was the home
        CHECK(s.group.post_publish("t" + std::to_string(n), "x"));
    const auto kept = s.topic_at(0, "kept");
    auto published = s.group.async_publish(kept, "x", {}, asio::use_future);
    run();
    CHECK(got.size() == 10);
    CHECK_THROWS_WITH(published.get(), Catch::Matchers::Contains("stopped"));

    s.group.kick_uid("bob");
    run();
    CHECK(bob.ended());

    auto drained = s.group.async_drain(std::chrono::seconds(30), asio::use_future);
    run();
    bob.leave();
    run();
    REQUIRE(drained.wait_for(std::chrono::seconds(30)) == std::future_status::ready);
    CHECK_NOTHROW(drained.get());
}

TEST_CASE("group: a drain lets what is on its way arrive", "[group]") {
    group_script s(2);
    group_client b(s.seats[1]);
    b.subscribe("t");
    CHECK(b.heard() == texts{"ok"});
    s.group[0].publish("t", "1");
    std::optional<error_code> drained;
    s.group.async_drain(std::chrono::seconds(30), [&](error_code ec) { drained = ec; });
    s.run(1); // before the other has handed anything over
    CHECK_FALSE(b.ended());
    CHECK(b.heard() == texts{"t=1", "close 1001 the broker is stopped, retry"});
    b.leave();
    s.run();
    CHECK(drained == error_code());
}

TEST_CASE("group: its numbers are added up, and it is drained, from any thread", "[group]") {
    group_script s(2);
    group_client a(s.seats[0]);
    group_client b(s.seats[1]);
    b.subscribe("t");
    b.heard();
    a.publish("t", "1");
    b.publish("t", "2");
    s.run();
    auto stats = s.group.async_stats(asio::use_future);
    s.run();
    const auto sum = stats.get();
    CHECK(sum.published == 2);
    CHECK(sum.sessions == 2);
    CHECK(sum.delivered == 2);
    CHECK(sum.relayed == 1);
    CHECK(sum.transports.at("tcp").accepted == 2);
    auto drained = s.group.async_drain(std::chrono::seconds(30), asio::use_future);
    s.run();
    a.leave();
    b.leave();
    s.run();
    REQUIRE(drained.wait_for(std::chrono::seconds(30)) == std::future_status::ready);
    CHECK_NOTHROW(drained.get());
    auto after = s.group.async_stats(asio::use_future);
    s.run();
    CHECK(after.get().sessions == 0);
}

TEST_CASE("group: ports are shared", "[group]") {
    std::deque<asio::io_context> contexts(2);
    pusher::broker_group<pusher::transport::all> group(contexts);
    const auto tcp = group.listen(pusher::tcp_params{});
    CHECK(tcp);
    CHECK(tcp.port() != 0);
    const auto http = group.listen(pusher::http_params{});
    CHECK(http.port() != tcp.port());
    const auto udp = group.listen(pusher::udp_params{});
    CHECK(udp.port() != 0);
    error_code ec;
    CHECK_FALSE(group.listen(pusher::tcp_params{.listen = {.address = "unix:/tmp/pusher group test"}}, ec));
    CHECK(ec == asio::error::operation_not_supported);
    // A port that somebody has for himself is not shared.
    pusher::broker<pusher::transport::tcp> other(contexts[0]);
    other.listen(pusher::tcp_params{.listen = {.port = tcp.port()}}, ec);
    CHECK(ec == asio::error::address_in_use);
    const auto own = other.listen(pusher::tcp_params{});
    CHECK_FALSE(group.listen(pusher::tcp_params{.listen = {.port = own.port()}}, ec));
    CHECK(ec == asio::error::address_in_use);
}

TEST_CASE("group: two groups do not listen at one port, unless they say so", "[group]") {
    std::deque<asio::io_context> contexts(2);
    pusher::broker_group<pusher::transport::all> first(contexts);
    pusher::broker_group<pusher::transport::all> second(contexts);
    const auto taken = [&](auto at) {
        error_code ec;
        const auto l = first.listen(at, ec);
        REQUIRE_FALSE(ec);
        if constexpr (requires { at.listen.port; })
            at.listen.port = l.port();
        else
            at.port = l.port();
        CHECK_FALSE(second.listen(at, ec));
        return ec;
    };
    CHECK(taken(pusher::tcp_params{}) == asio::error::address_in_use);
    CHECK(taken(pusher::udp_params{}) == asio::error::address_in_use);
    pusher::tcp_params together{.listen = {.shared = true}};
    together.listen.port = first.listen(together).port();
    error_code ec;
    CHECK(second.listen(together, ec));
    CHECK_FALSE(ec);
    // What is free is not taken by having been looked at.
    const auto port = second.listen(pusher::tcp_params{}).port();
    second.listen(pusher::tcp_params{}, ec);
    pusher::broker_group<pusher::transport::tcp> third(contexts);
    CHECK_FALSE(third.listen(pusher::tcp_params{.listen = {.port = port}}, ec));
}

TEST_CASE("group: sessions have numbers of their own, by which they are kicked", "[group]") {
    group_script s(3);
    std::deque<group_client> peers;
    std::vector<std::uint64_t> ids;
    for (int n = 0; n != 4; ++n)
        for (auto& seat : s.seats)
            peers.emplace_back(seat);
    for (std::size_t i = 0; i != s.group.size(); ++i)
        s.group[i].for_each_session([&](const pusher::session_info& info) { ids.push_back(info.id); });
    REQUIRE(ids.size() == 12);
    std::sort(ids.begin(), ids.end());
    CHECK(std::adjacent_find(ids.begin(), ids.end()) == ids.end());

    s.group.kick(ids[5], "enough");
    s.run();
    for (auto& p : peers)
        for (const auto& line : p.heard())
            CHECK(line == "close 1008 enough");
    for (auto& p : peers)
        p.leave();
    std::size_t left = 0;
    for (std::size_t i = 0; i != s.group.size(); ++i)
        left += s.group[i].stats().closed["kicked"];
    CHECK(left == 1);
}
