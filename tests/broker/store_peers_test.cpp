// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// Peers of a broker with a store: they are answered when what they published is there.

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

#include "catch.hpp"
#include "stored_script.hpp"

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace test;
using namespace std::chrono_literals;
using pusher::errc;

namespace {

pusher::broker_params remembering(std::chrono::milliseconds age = 1h) {
    auto p = keeping(100);
    p.idempotency = {.messages = 10, .age = age};
    return p;
}

/// `POST /publish`, over memory.
class poster {
public:
    poster(stored_script& s, std::string_view body) {
        namespace http = boost::beast::http;
        auto [near, far] = pusher::testing::memory_channel::connect(s.context.get_executor());
        peer = std::make_unique<pusher::testing::memory_peer>(std::move(far));
        http::request<http::string_body> r(http::verb::post, "/publish", 11);
        r.set(http::field::host, "h");
        r.body() = body;
        r.prepare_payload();
        s.broker.accept(std::move(near), std::move(r));
        s.run();
    }

    std::unique_ptr<pusher::testing::memory_peer> peer;
};

bool holds(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

} // namespace

TEST_CASE("store: a peer is answered when its publish is stored", "[broker][store]") {
    simulated_disk disk(told);
    stored_script s(disk);
    client c(s);
    c.subscribe("t");
    CHECK(c.heard() == texts{"ok"});
    c.publish("t", "x");
    CHECK(c.heard().empty());
    disk.step();
    CHECK(c.heard() == texts{"t@1=x", "ok matched 1"});
    SECTION("or when that has failed") {
        pusher::testing::fail_count once(0, errc::store_full);
        disk.fail_by(&once);
        c.publish("t", "x");
        CHECK(c.heard().empty());
        disk.step();
        CHECK(c.heard() == texts{"fail the store is full"});
        CHECK(s.broker.stats().transports.at("tcp").bad_requests == 1);
        c.publish("t", "y");
        s.settle();
        CHECK(c.heard() == texts{"t@2=y", "ok matched 1"});
    }
}

TEST_CASE(
    "store: a peer's publishes wait together, and what follows them waits for them", "[broker][store]") {
    simulated_disk disk(told);
    auto p = keeping(0);
    p.history_for = [](std::string_view topic) {
        pusher::history_params h;
        h.messages = topic == "plain" ? 0 : 10;
        return h;
    };
    stored_script s(disk, std::move(p));
    client c(s);
    const auto publish = [&](int id, std::string_view topic, std::string_view more = {}) {
        c.send(
            "publish", R"("payload":"x","topic":")" + std::string(topic) + '"' + std::string(more),
            std::to_string(id));
    };
    publish(1, "a");
    publish(2, "b");
    publish(3, "a", R"(,"ttl":99999999999)");
    publish(4, "a");
    c.send("ping", {}, "5");
    publish(6, "plain");
    publish(7, "a");
    publish(8, "b");
    c.send("subscribe", R"("topic":"a")", "9");
    CHECK(c.heard().empty());
    CHECK(disk.outstanding() == 1);
    disk.step();
    auto got = c.heard();
    REQUIRE(got.size() == 6);
    CHECK(got[0] == "ok 1 matched 0");
    CHECK(got[1] == "ok 2 matched 0");
    CHECK(got[2].starts_with("fail 3 "));
    CHECK(got[3] == "ok 4 matched 0");
    CHECK(got[4] == "ok 5");
    CHECK(got[5] == "ok 6 matched 0");
    CHECK(disk.outstanding() == 1);
    disk.step();
    CHECK(c.heard() == texts{"ok 7 matched 0", "ok 8 matched 0", "ok 9"});
    CHECK(s.broker.stats().store_batches == 2);
}

TEST_CASE("store: a peer can't have more waiting than there may be", "[broker][store]") {
    simulated_disk disk(told);
    stored_script s(disk);
    client c(s, 1 << 20);
    constexpr std::size_t count = 3000;
    for (std::size_t i = 0; i != count; ++i)
        c.send("publish", R"("topic":"t","payload":"x")", std::to_string(i));
    s.run();
    CHECK(s.broker.stats().storing <= 1024);
    s.settle();
    const auto got = c.heard();
    REQUIRE(got.size() == count);
    for (std::size_t i = 0; i != count; ++i)
        REQUIRE(got[i] == "ok " + std::to_string(i) + " matched 0");
}

TEST_CASE("store: refusals keep their place among the answers", "[broker][store]") {
    simulated_disk disk(told);
    auto p = keeping(10);
    std::vector<pusher::access_answer> asked;
    p.authorize = [&](const pusher::access_request& r, const pusher::access_answer& a) {
        if (r.type == "later")
            asked.push_back(a);
        else
            a(r.type != "no");
    };
    stored_script s(disk, std::move(p));
    client c(s);
    const auto publish = [&](int id, std::string_view type) {
        c.send(
            "publish", R"("payload":"x","topic":"t","type":")" + std::string(type) + '"', std::to_string(id));
    };
    publish(1, "yes");
    publish(2, "no");
    publish(3, "later");
    publish(4, "yes");
    CHECK(c.heard().empty());
    SECTION("the store is faster") {
        s.settle();
        CHECK(c.heard() == texts{"ok 1 matched 0", "fail 2 forbidden"});
        CHECK(disk.outstanding() == 0);
        asked.at(0)(true);
        s.settle();
        CHECK(c.heard() == texts{"ok 3 matched 0", "ok 4 matched 0"});
    }
    SECTION("the host is faster") {
        asked.at(0)(false);
        CHECK(c.heard().empty());
        s.settle();
        auto got = c.heard();
        REQUIRE(got.size() == 4);
        CHECK(got[2].starts_with("fail 3"));
        CHECK(got[3] == "ok 4 matched 0");
    }
}

TEST_CASE("store: who leaves meanwhile has published", "[broker][store]") {
    simulated_disk disk(told);
    stored_script s(disk);
    {
        client c(s);
        c.publish("t", "x");
        c.send("ping");
        CHECK(c.heard().empty());
        SECTION("by itself") { c.leave(); }
        SECTION("kicked") {
            s.broker.for_each_session([&](const pusher::session_info& i) { s.broker.kick(i.id); });
            c.heard();
            c.leave();
        }
    }
    s.settle();
    CHECK(s.broker.stats().sessions == 0);
    CHECK(s.all_of("t") == texts{"1=x"});
}

TEST_CASE("store: a drain answers what waits for it", "[broker][store]") {
    simulated_disk disk(told);
    stored_script s(disk);
    client c(s);
    c.publish("t", "x");
    s.run();
    std::optional<error_code> drained;
    s.broker.async_drain(1h, [&](error_code ec) { drained = ec; });
    s.run();
    CHECK(!c.ended());
    s.settle();
    const auto got = c.heard();
    REQUIRE(got.size() == 2);
    CHECK(got[0] == "ok matched 0");
    CHECK(got[1].starts_with("close 1001"));
    c.leave();
    CHECK(drained == error_code());
}

TEST_CASE("store: an id that waits is used already", "[broker][store]") {
    simulated_disk disk(told);
    stored_script s(disk, remembering());
    client a(s);
    client b(s);
    const auto again = [](client& c, std::string_view id) {
        c.send("publish", R"("topic":"t","payload":"x","id":"1")", id);
    };
    const auto repeated = [](client& c) {
        std::string all;
        for (const auto& line : c.peer.take_lines())
            all += holds(line, R"("repeated":true)")   ? "again "
                   : holds(line, R"("status":"fail")") ? "fail "
                                                       : "first ";
        return all;
    };
    again(a, "1");
    again(a, "2");
    again(b, "3");
    s.run();
    CHECK(disk.outstanding() == 1);
    SECTION("also when it is stored") {
        s.settle();
        again(b, "4");
        s.settle();
        CHECK(repeated(a) == "first again ");
        CHECK(repeated(b) == "again again ");
        CHECK(s.broker.stats().published == 1);
        CHECK(s.broker.stats().repeated_publishes == 3);
    }
    SECTION("and free again if it could not be") {
        pusher::testing::fail_count once(0, errc::store_failed);
        disk.fail_by(&once);
        s.settle();
        CHECK(repeated(a) == "fail fail ");
        CHECK(repeated(b) == "fail ");
        again(b, "4");
        s.settle();
        CHECK(repeated(b) == "first ");
        CHECK(s.broker.stats().repeated_publishes == 0);
    }
    SECTION("in process too") {
        const auto host = s.publish("t", "x", "1"); // the host's ids are its own
        s.run();
        CHECK(s.broker.publish("t", "x", {.id = "1"}).repeated);
        s.settle();
        CHECK(!(*host)->repeated);
        const auto later = s.broker.publish("t", "x", {.id = "1"});
        CHECK(later.repeated);
        CHECK(!later.pending);
        CHECK(later.position == (*host)->position);
        CHECK(s.broker.stats().published == 2);
    }
}

TEST_CASE("store: what was published by an id in another life is not published again", "[broker][store]") {
    const auto window = GENERATE(3'600'000ms, 1ms);
    simulated_disk disk;
    std::optional<pusher::topic_position> position;
    const auto authenticating = [&] {
        auto p = remembering(window);
        p.authenticate = [](const pusher::authentication_request& r, const pusher::authentication_answer& a) {
            a(r.token.empty() ? pusher::authentication_result::anonymous()
                              : pusher::authentication_result::identified(std::string(r.token)));
        };
        return p;
    };
    {
        stored_script s(disk, authenticating());
        const auto r = s.publish("t", "host", "1");
        client ann(s);
        ann.send("auth", R"("token":"ann")");
        ann.send("publish", R"("topic":"t","payload":"ann","id":"1")");
        s.settle();
        CHECK(s.broker.broadcast("t", "all", {.id = "1"}).pending);
        s.settle();
        position = (*r)->position;
    }
    const auto begin = std::chrono::steady_clock::now();
    while (std::chrono::steady_clock::now() - begin < 5ms) {
    }
    stored_script s(disk, authenticating());
    const bool remembered = window > 1s;
    const auto r = s.broker.publish("t", "host", {.id = "1"});
    CHECK(r.repeated == remembered);
    if (remembered) {
        CHECK(r.position == position);
        CHECK(r.matched == 0); // nobody knows any more
    }
    client ann(s);
    ann.send("auth", R"("token":"ann")");
    ann.send("publish", R"("topic":"t","payload":"ann","id":"1")");
    client bob(s);
    bob.send("auth", R"("token":"bob")");
    bob.send("publish", R"("topic":"t","payload":"bob","id":"1")");
    s.settle();
    CHECK(s.broker.broadcast("t", "all", {.id = "1"}).repeated == remembered);
    s.settle();
    CHECK(
        s.all_of("t") == (remembered
                              ? texts{"1=host", "2=ann", "3=all", "4=bob"}
                              : texts{"1=host", "2=ann", "3=all", "4=host", "5=ann", "6=bob", "7=all"}));
}

TEST_CASE("store: POST /publish is answered when all of it is stored", "[broker][store]") {
    simulated_disk disk(told);
    auto p = keeping(0);
    p.history_for = [](std::string_view topic) {
        pusher::history_params h;
        h.messages = topic == "plain" ? 0 : 10;
        return h;
    };
    stored_script s(disk, std::move(p));
    SECTION("one") {
        poster c(s, R"({"topic":"t","payload":"x"})");
        CHECK(c.peer->received().empty());
        disk.step();
        s.run();
        CHECK(holds(c.peer->received(), " 200 OK"));
        CHECK(holds(c.peer->received(), R"("offset":1)"));
    }
    SECTION("one that fails") {
        pusher::testing::fail_count once(0, errc::store_full);
        disk.fail_by(&once);
        poster c(s, R"({"topic":"t","payload":"x"})");
        CHECK(c.peer->received().empty());
        s.settle();
        CHECK(holds(c.peer->received(), " 503 "));
        CHECK(holds(c.peer->received(), "the store is full"));
    }
    SECTION("an array") {
        poster c(
            s, R"([{"topic":"t","payload":"1"},{"topic":"plain","payload":"2"},{"topic":"","payload":"3"},)"
               R"({"topic":"u","payload":"4"},{"topic":"t","payload":"5"}])");
        CHECK(c.peer->received().empty());
        CHECK(disk.outstanding() == 1);
        disk.step();
        s.run();
        const auto body = c.peer->received().substr(c.peer->received().find("\r\n\r\n") + 4);
        const auto all = boost::json::parse(body).as_array();
        REQUIRE(all.size() == 5);
        CHECK(all[0].at("offset") == 1);
        CHECK(!all[1].as_object().contains("offset"));
        CHECK(all[2].as_object().contains("error"));
        CHECK(all[3].at("offset") == 1);
        CHECK(all[4].at("offset") == 2);
        CHECK(s.broker.stats().store_batches == 1);
    }
    SECTION("an array that takes several turns to read") {
        std::string body = "[";
        for (int i = 0; i != 500; ++i)
            body += std::string(i == 0 ? "" : ",") + R"({"topic":")" + (i % 10 == 0 ? "plain" : "t") +
                    R"(","payload":"x"})";
        poster c(s, body + "]");
        CHECK(c.peer->received().empty());
        CHECK(disk.outstanding() == 1);
        disk.step();
        s.run();
        CHECK(holds(c.peer->received(), " 200 OK"));
        CHECK(s.broker.stats().store_batches == 1);
        CHECK(s.all_of("t").size() == 10); // as many as are kept
        CHECK(holds(c.peer->received(), R"("offset":450)"));
    }
    SECTION("nobody waits any more") {
        {
            poster c(s, R"({"topic":"t","payload":"x"})");
            c.peer->close();
            s.run();
        }
        s.settle();
        CHECK(s.all_of("t") == texts{"1=x"});
    }
    SECTION("the broker ends") {
        poster c(s, R"({"topic":"t","payload":"x"})");
        s.broker.cancel();
        s.run();
        CHECK(disk.outstanding() == 0);
    }
}

TEST_CASE("store: an event stream of another life", "[broker][store]") {
    simulated_disk disk;
    {
        stored_script s(disk);
        s.publish("t", "old");
        s.settle();
    }
    stored_script s(disk);
    namespace http = boost::beast::http;
    auto [near, far] = pusher::testing::memory_channel::connect(s.context.get_executor());
    pusher::testing::memory_peer peer(std::move(far));
    http::request<http::string_body> r(http::verb::get, "/events?topic=t", 11);
    r.set(http::field::host, "h");
    r.set("Last-Event-ID", "0123456789abcdef-7");
    s.broker.accept(std::move(near), std::move(r));
    s.run();
    const auto gap = peer.received().find("pusher.gap");
    const auto old = peer.received().find("data: old");
    CHECK(gap != std::string::npos);
    CHECK(old != std::string::npos);
    CHECK(gap < old);
    s.publish("t", "new");
    s.settle();
    CHECK(holds(peer.received(), "data: new"));
}

TEST_CASE("store: what a raw peer publishes is stored first", "[broker][store]") {
    simulated_disk disk(told);
    stored_script s(disk);
    auto [near, far] = pusher::testing::memory_channel::connect(s.context.get_executor());
    s.broker.adopt(std::move(near), {}, pusher::dialect::raw);
    pusher::testing::memory_peer peer(std::move(far));
    const auto framed = [](std::string_view body) {
        std::string out;
        pusher::append_raw_length(out, static_cast<std::uint32_t>(body.size()));
        return out += body;
    };
    peer.send(framed("topic=t&publish=t") + framed("1"));
    s.run();
    CHECK(peer.take().empty());
    disk.step();
    s.run();
    CHECK(peer.take() == framed("1"));

    SECTION("and nothing more is read while very many wait") {
        constexpr std::size_t most = pusher::detail::raw_session::most_waiting;
        std::string all;
        std::string expected;
        for (std::size_t i = 0; i != most + 10; ++i) {
            all += framed(std::to_string(i));
            expected += framed(std::to_string(i));
        }
        peer.send(all);
        s.run();
        CHECK(s.broker.stats().transports.at("tcp").requests == 2 + most);
        s.settle();
        CHECK(s.broker.stats().transports.at("tcp").requests == 2 + most + 10);
        CHECK(s.broker.stats().published == 1 + most + 10);
        const auto got = peer.take();
        CHECK(s.broker.stats().dropped_overflow == 0);
        CHECK(got == expected);
    }
    SECTION("a store that fails ends the session: there is no other way to tell") {
        pusher::testing::fail_count once(0, errc::store_full);
        disk.fail_by(&once);
        peer.send(framed("2"));
        s.run();
        CHECK_FALSE(peer.ended());
        disk.step();
        s.run();
        CHECK(peer.take().find("the store is full") != std::string::npos);
        CHECK(s.broker.stats().transports.at("tcp").bad_requests == 1);
    }
}
