// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// The parts of a client that need no connection: URLs, parameters, delays, random numbers, subscriptions.

#include <pusher/client.hpp>

#include "catch.hpp"

#include <boost/asio/io_context.hpp>

#include <chrono>
#include <cstdint>
#include <limits>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

using namespace pusher;
using namespace std::chrono_literals;

namespace {

client_url good(std::string_view text) {
    std::string why;
    const auto url = client_url::parse(text, why);
    INFO(text << ": " << why);
    REQUIRE(url.has_value());
    CHECK(why.empty());
    return *url;
}

void bad(std::string_view text, std::string_view expected) {
    std::string why;
    INFO(text);
    CHECK(!client_url::parse(text, why));
    CHECK(why.find(expected) != std::string::npos);
}

using kind = client_url::kind;

} // namespace

TEST_CASE("client url: what is one", "[client][url]") {
    auto u = good("tcp://127.0.0.1:9000");
    CHECK(u.what == kind::tcp);
    CHECK(!u.secure);
    CHECK(u.host == "127.0.0.1");
    CHECK(u.port == 9000);
    u = good("TCP://Hub.Example:1/");
    CHECK(u.host == "Hub.Example");
    CHECK(u.port == 1);
    u = good("tls://[::1]:65535");
    CHECK(u.secure);
    CHECK(u.host == "::1");
    CHECK(u.port == 65535);
    CHECK(u.authority() == "[::1]:65535");

    u = good("ws://hub/ws");
    CHECK(u.what == kind::websocket);
    CHECK(u.port == 80);
    CHECK(u.target == "/ws");
    CHECK(u.authority() == "hub");
    u = good("wss://hub:8443?a=b%20c");
    CHECK(u.secure);
    CHECK(u.target == "/?a=b%20c");
    CHECK(u.authority() == "hub:8443");
    u = good("wss://[fe80::1]");
    CHECK(u.target == "/");
    CHECK(u.port == 443);
    CHECK(u.authority() == "[fe80::1]");

    u = good("unix:/run/hub.sock");
    CHECK(u.what == kind::local);
    CHECK(u.target == "/run/hub.sock");
    CHECK(good("unix:///run/hub.sock").target == "/run/hub.sock");
    CHECK(good("unix:hub.sock").target == "hub.sock");
}

TEST_CASE("client url: a zone is for this machine alone", "[client][url]") {
    for (const std::string zone : {"%25eth0", "%eth0"}) {
        auto u = good("ws://[fe80::1" + zone + "]:8080/ws");
        CHECK(u.host == "fe80::1%eth0");
        CHECK(u.authority() == "[fe80::1]:8080");
        u = good("wss://[fe80::1" + zone + "]");
        CHECK(u.authority() == "[fe80::1]");
        CHECK(good("tcp://[fe80::1" + zone + "]:9000").host == "fe80::1%eth0");
    }
    CHECK(good("tcp://[fe80::1%2]:9000").host == "fe80::1%2");
    CHECK(good("tcp://[fe80::1%25251]:9000").host == "fe80::1%251");
    bad("tcp://[fe80::1%]:9000", "zone");
    bad("tcp://[fe80::1%25]:9000", "zone");
    bad("tcp://[fe80::1%25eth0%251]:9000", "zone");
    bad("ws://[fe80::1%eth/0]:9000", "]");
    bad("tcp://[%25eth0]:9000", "IPv6");
}

TEST_CASE("client url: what is not", "[client][url]") {
    bad("", "begins with");
    bad("127.0.0.1:9000", "begins with");
    bad("http://hub/", "begins with");
    bad("udp://hub:9001", "begins with tcp://, tls://, ws://, wss:// or unix:");
    bad("tcp:hub:1", "needs //");
    bad("tcp://hub", "needs a port");
    bad("tcp://hub:", "port");
    bad("tcp://hub:0", "port");
    bad("tcp://hub:65536", "port");
    bad("tcp://hub:+1", "port");
    bad("tcp://hub:1x", "port");
    bad("tcp://:1", "needs a host");
    bad("tcp://hub:1/path", "no path");
    bad("tcp://hub:1?q", "no path");
    bad("tcp://user@hub:1", "user name");
    bad("ws://hub/ws#there", "fragment");
    bad("ws://::1/ws", "[ ]");
    bad("ws://[::1/ws", "]");
    bad("ws://[::1]x/ws", "]");
    bad("ws://[hub]/ws", "IPv6");
    bad("ws://[hub::1]/ws", "IPv6");
    bad("ws://[]/ws", "IPv6");
    bad("ws://[:]/ws", "IPv6");
    bad("ws://[1::2::3]/ws", "IPv6");
    for (const std::string host : {"h,b", "h%75b", "h\"b", "h\\b", "h~b", "*"})
        bad("ws://" + host + "/ws", "xn--");
    for (const std::string host : {"hub:80:80", "[::1]]", "h]b"})
        bad("ws://" + host + "/ws", "]");
    bad("ws://hub/w s", "escape");
    bad("ws://hub/\r\nX: y", "escape");
    bad("ws://hub/\xC3\xA9", "escape");
    bad("unix:", "1 to 107");
    bad("unix:" + std::string(108, 'x'), "1 to 107");
    bad("unix://host/path", "absolute");
}

TEST_CASE("client params: ranges", "[client][params]") {
    boost::asio::io_context io;
    const auto refused = [&](auto change, const char* expected) {
        client_params p;
        p.url = "ws://hub/ws";
        change(p);
        try {
            client c(io, p);
            FAIL(expected);
        } catch (const std::invalid_argument& e) {
            INFO(e.what());
            CHECK(std::string_view(e.what()).starts_with("client_params: "));
            CHECK(std::string_view(e.what()).find(expected) != std::string_view::npos);
        }
    };
    refused([](auto& p) { p.url = "hub"; }, "begins with");
    refused([](auto& p) { p.url = "wss://hub/ws"; }, "secure");
    refused([](auto& p) { p.token = std::string(16 * 1024 + 1, 'x'); }, "token");
    refused([](auto& p) { p.token = "\xFF"; }, "token");
    refused([](auto& p) { p.backoff_min = 0ms; }, "backoff_min");
    refused([](auto& p) { p.backoff_max = 1ms; }, "backoff_max");
    refused([](auto& p) { p.backoff_max = 25h; }, "backoff_max");
    refused([](auto& p) { p.backoff_jitter = -0.1; }, "backoff_jitter");
    refused([](auto& p) { p.backoff_jitter = 1.1; }, "backoff_jitter");
    refused([](auto& p) { p.backoff_jitter = std::numeric_limits<double>::quiet_NaN(); }, "backoff_jitter");
    refused([](auto& p) { p.longest_retry_hint = -1ms; }, "longest_retry_hint");
    refused([](auto& p) { p.longest_retry_hint = 25h; }, "longest_retry_hint");
    refused([](auto& p) { p.connect_timeout = 0ms; }, "connect_timeout");
    refused([](auto& p) { p.request_timeout = 2h; }, "request_timeout");
    refused([](auto& p) { p.ping_interval = 0ms; }, "ping_interval");
    refused([](auto& p) { p.close_timeout = 0ms; }, "close_timeout");
    refused([](auto& p) { p.message_bytes = 1023; }, "message_bytes");
    refused([](auto& p) { p.message_bytes = 257U * 1024 * 1024; }, "message_bytes");
    refused([](auto& p) { p.inbox_messages = 0; }, "inbox_messages");
    refused([](auto& p) { p.inbox_bytes = 0; }, "inbox_bytes");
    refused([](auto& p) { p.requests = 0; }, "requests");
    refused([](auto& p) { p.request_bytes = 0; }, "request_bytes");
    refused([](auto& p) { p.subscriptions = 0; }, "subscriptions");

    refused([](auto& p) { p.headers = {{"", "x"}}; }, "headers");
    refused([](auto& p) { p.headers = {{"A:b", "x"}}; }, "headers");
    refused([](auto& p) { p.headers = {{"A", "x\r\nB: y"}}; }, "headers");
    refused([](auto& p) { p.headers = {{"hOST", "x"}}; }, "headers");
    refused([](auto& p) { p.headers = {{"sec-websocket-key", "x"}}; }, "headers");
    refused([](auto& p) { p.headers = {{"A", std::string(16 * 1024, 'x')}}; }, "headers");
    refused(
        [](auto& p) {
            p.url = "tcp://hub:1";
            p.headers = {{"A", "x"}};
        },
        "ws://");

    client_params p;
    p.url = "ws://hub/ws";
    p.headers = {{"Authorization", "Bearer x\t\xC3\xA9"}, {"X-2", ""}};
    client c(io, p);
    CHECK_THROWS_AS(c.set_token("\xFF"), std::invalid_argument);
}

TEST_CASE("client backoff: jitter takes off up to its part", "[client][backoff]") {
    client_backoff b(100ms, 1000ms, 0.5);
    constexpr auto most = std::numeric_limits<std::uint64_t>::max();
    CHECK(b.next(0) == 100ms);
    CHECK(b.next(most) == 101ms); // of 200, less nearly a half
    CHECK(b.next(most / 2 + 1) == 300ms);
    CHECK(b.next(0) == 800ms);
    CHECK(b.next(0) == 1000ms);
    CHECK(b.next(0) == 1000ms);
    b.reset();
    CHECK(b.next(0) == 100ms);

    client_backoff whole(1ms, std::chrono::hours(24), 1.0);
    std::mt19937_64 random(1);
    auto limit = 1ms;
    for (int i = 0; i != 100; ++i) {
        const auto d = whole.next(random());
        CHECK(d >= 0ms);
        CHECK(d <= limit);
        limit = std::min<std::chrono::milliseconds>(limit * 2, std::chrono::hours(24));
    }
}

TEST_CASE("client random: keys do not repeat, and no two clients agree", "[client][random]") {
    detail::client_random a, b;
    std::set<std::uint64_t> seen;
    for (int i = 0; i != 1000; ++i) {
        CHECK(seen.insert(a.next()).second);
        CHECK(seen.insert(b.next()).second);
    }
    std::uint32_t ones = 0, zeros = 0;
    for (int i = 0; i != 1000; ++i) {
        const auto key = a.mask();
        ones |= key;
        zeros |= ~key;
    }
    CHECK((ones & zeros) == 0xFFFFFFFF);
    const auto nonce = a.nonce();
    std::string bytes;
    CHECK(detail::decode_base64(nonce, bytes));
    CHECK(bytes.size() == 16);
    CHECK(a.nonce() != nonce);
}

TEST_CASE("client errors: categories and conditions", "[client][errors]") {
    const error_code lost = client_errc::connection_lost;
    CHECK(lost == client_condition::outcome_unknown);
    CHECK(error_code(client_errc::no_answer) == client_condition::outcome_unknown);
    CHECK(error_code(client_errc::not_sent) != client_condition::outcome_unknown);
    CHECK(std::string_view(lost.category().name()) == "pusher.client");
    CHECK(make_error_condition(client_condition::outcome_unknown).message() == "outcome unknown");
    for (int i = 1; i <= static_cast<int>(client_errc::upgrade_refused); ++i)
        CHECK(client_category().message(i) != client_category().message(0));
    CHECK(detail::error_of_reply("forbidden") == errc::forbidden);
    CHECK(detail::error_of_reply("") == client_errc::rejected);
}

// ---- subscriptions

namespace {

using detail::client_subscription;
using detail::client_subscriptions;

struct table {
    client_subscriptions all;

    void
    add(std::string topic, std::optional<topic_position> newest, std::string type = {},
        std::size_t history = 0, std::optional<topic_position> resume = {}) {
        client_subscription s;
        s.topic = std::move(topic);
        s.type = std::move(type);
        all.add(std::move(s), history, resume, newest);
    }
    client_subscription& at(std::string_view topic, std::string_view type = {}) {
        auto* const s = all.find({match_mode::exact, topic, type});
        REQUIRE(s);
        return *s;
    }
};

} // namespace

TEST_CASE("client subscriptions: where they begin", "[client][subscriptions]") {
    table t;
    t.add("live", topic_position{1, 10});
    CHECK(t.at("live").position == topic_position{1, 10});
    t.add("history", topic_position{1, 10}, {}, 3);
    CHECK(t.at("history").position == topic_position{1, 7});
    t.add("all", topic_position{1, 2}, {}, 3);
    CHECK(t.at("all").position == topic_position{1, 0});
    t.add("resume", topic_position{1, 10}, {}, 0, topic_position{1, 4});
    CHECK(t.at("resume").position == topic_position{1, 4});
    t.add("ahead", topic_position{1, 10}, {}, 0, topic_position{1, 40});
    CHECK(t.at("ahead").position == topic_position{1, 10});
    t.add("other", topic_position{2, 10}, {}, 0, topic_position{1, 4});
    CHECK(t.at("other").position == topic_position{2, 0});
    t.add("none", std::nullopt, {}, 0, topic_position{1, 4});
    CHECK(!t.at("none").position);
    CHECK(t.all.size() == 7);
}

TEST_CASE("client subscriptions: only what is known to have come is turned away", "[client][subscriptions]") {
    table t;
    t.add("a", topic_position{1, 10});
    CHECK(t.all.accept("a", "", topic_position{1, 11}));
    CHECK(!t.all.accept("a", "", topic_position{1, 11}));
    CHECK(t.all.accept("a", "", topic_position{1, 5})); // before this one began: for somebody else
    CHECK(t.all.accept("a", "", std::nullopt));
    CHECK(t.all.accept("b", "", topic_position{1, 11}));
    CHECK(t.all.accept("b", "", topic_position{1, 11}));
    CHECK(t.all.accept("a", "", topic_position{2, 1})); // another history
    CHECK(!t.all.accept("a", "", topic_position{2, 1}));
    CHECK(t.all.accept("a", "", topic_position{2, 2}));
}

TEST_CASE(
    "client subscriptions: a second one of the same topic may begin earlier", "[client][subscriptions]") {
    table t;
    t.add("a", topic_position{1, 10});
    t.add("a", topic_position{1, 10}, "x", 0, topic_position{1, 5});
    CHECK(t.all.accept("a", "x", topic_position{1, 6}));
    CHECK(t.at("a").position == topic_position{1, 10});
    CHECK(t.at("a", "x").position == topic_position{1, 6});
    CHECK(t.all.accept("a", "x", topic_position{1, 12}));
    CHECK(t.at("a").position == topic_position{1, 12});
    CHECK(t.at("a", "x").position == topic_position{1, 12});
    CHECK(t.all.accept("a", "y", topic_position{1, 13}));
    CHECK(t.at("a", "x").position == topic_position{1, 12});
}

TEST_CASE("client subscriptions: what a gap says was missed is not asked for", "[client][subscriptions]") {
    table t;
    t.add("a", topic_position{1, 10});
    t.add("b", std::nullopt);
    t.all.skip({"a", 5, gap::range{11, 15}});
    CHECK(t.at("a").position == topic_position{1, 15});
    t.all.skip({"a", 3, gap::range{1, 3}});
    t.all.skip({"a", 1, std::nullopt});
    CHECK(t.at("a").position == topic_position{1, 15});
    t.all.skip({"a", 2, gap::range{16, 18}}); // one of the three may still come
    t.all.skip({"a", 0, gap::range{16, 18}});
    t.all.skip({"a", 2, gap::range{20, 21}});
    CHECK(t.at("a").position == topic_position{1, 15});
    t.all.skip({"b", 5, gap::range{11, 15}});
    CHECK(!t.at("b").position);
}

TEST_CASE("client subscriptions: names that differ in one thing are different", "[client][subscriptions]") {
    table t;
    t.add("a", std::nullopt);
    t.add("a", std::nullopt, "t");
    client_subscription filter;
    filter.topic = "a";
    filter.match = match_mode::filter;
    t.all.add(filter, 0, {}, {});
    t.add("ab", std::nullopt);
    CHECK(t.all.size() == 4);
    t.all.remove({match_mode::exact, "a", ""});
    t.all.remove({match_mode::exact, "a", ""});
    CHECK(t.all.size() == 3);
    CHECK(!t.all.find({match_mode::exact, "a", ""}));
    CHECK(t.all.find({match_mode::filter, "a", ""}));
    std::string order;
    t.all.restore([&](client_subscription& s) { order += s.topic + s.type + ' '; });
    CHECK(order == "at ab a ");
}
