// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// What a session gets, in which order, and how it ends.

#include <pusher/detail/wire_id.hpp>

#include "broker_script.hpp"
#include "catch.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using namespace test;
using pusher::error_code;

namespace {

/// Identifies each peer as the next letter.
pusher::broker_params by_letter(std::vector<std::string> on_bind = {}) {
    pusher::broker_params p;
    p.subscribe_on_bind = std::move(on_bind);
    p.authenticate = [next = 'a'](
                         const pusher::authentication_request&,
                         const pusher::authentication_answer& answer) mutable {
        answer(pusher::authentication_result::identified(std::string(1, next++)));
    };
    return p;
}

/// What a client sends to go on after a message.
std::string resume(std::uint64_t epoch, int offset) {
    std::string text(pusher::detail::epoch_size, ' ');
    pusher::detail::write_epoch(text.data(), epoch);
    return R"("topic":"t","resume":{"epoch":")" + text + R"(","offset":)" + std::to_string(offset) + "}";
}

/// Messages in short.
class brief_encoding final : public pusher::encoding {
public:
    void push(const pusher::message& m, std::string& out) const override {
        ++pushes;
        out.append(m.topic()).append(" is ").append(m.payload()).append("\n");
    }
    void gap(const pusher::gap& g, std::string& out) const override {
        out.append(std::to_string(g.count)).append(" of ").append(g.topic).append(" are lost\n");
    }
    void reply(std::string_view text, std::string& out) const override {
        out += text.find(R"("status":"ok")") != text.npos ? "yes\n" : "no\n";
    }

    mutable int pushes = 0;
};

/// Reads lines, and writes them its own way.
class brief_link final : public pusher::line_link {
public:
    brief_link(pusher::channel_ptr c, pusher::broker_core& b, const brief_encoding& e)
        : line_link(std::move(c), b.io(), std::make_shared<const pusher::link_limits>()),
          encoding_(&e) {}

    [[nodiscard]] const pusher::encoding* own_encoding() const noexcept override { return encoding_; }

private:
    const brief_encoding* encoding_;
};

} // namespace

TEST_CASE("sessions: a link may write messages its own way", "[broker]") {
    brief_encoding in_brief; // outlives the broker
    broker_script s({.outbox = {.messages = 2}});
    client usual(s);
    usual.subscribe("t");
    std::vector<std::unique_ptr<pusher::testing::memory_peer>> peers;
    for (const std::size_t room : {65'536UL, 65'536UL, 8UL}) {
        auto ends = pusher::testing::memory_channel::connect(s.context.get_executor(), {}, {.room = room});
        s.broker.accept(std::make_unique<brief_link>(ends.second, s.broker, in_brief));
        peers.push_back(std::make_unique<pusher::testing::memory_peer>(ends.first));
        peers.back()->send(R"({"action":"subscribe","params":{"topic":"t"}})"
                           "\nnonsense\n");
    }
    s.run();
    for (const auto& p : peers)
        CHECK(p->take_lines() == texts{"yes", "no"});
    peers[2]->pause();
    s.broker.publish("t", "1"); // fits, and is the last that it reads
    s.run();
    for (const auto* const text : {"2", "3", "4", "5", "6"})
        s.broker.publish("t", text);
    s.run();
    CHECK(usual.heard() == texts{"ok", "t=1", "t=2", "t=3", "t=4", "t=5", "t=6"});
    const texts all{"t is 1", "t is 2", "t is 3", "t is 4", "t is 5", "t is 6"};
    CHECK(peers[0]->take_lines() == all);
    CHECK(peers[1]->take_lines() == all);
    CHECK(in_brief.pushes == 6); // once for all of them
    peers[2]->resume();
    s.run();
    CHECK(
        peers[2]->take_lines() == texts{"t is 1", "t is 2", "t is 3", "1 of t are lost", "t is 5", "t is 6"});
}

TEST_CASE("sessions: each request is answered, in order, and in order with what is pushed", "[broker]") {
    broker_script s;
    client a(s);
    a.send("subscribe", R"("topic":"t")", "1");
    a.send("publish", R"("topic":"t","payload":"one")", "2");
    a.send("publish", R"("topic":"")", "3");
    a.send("nonsense", {}, "4");
    a.send("publish", R"("topic":"t","payload":"two")", "5");
    a.send("unsubscribe", R"("topic":"t")", "6");
    a.send("publish", R"("topic":"t","payload":"three")", "7");
    const auto got = a.heard();
    REQUIRE(got.size() == 9);
    CHECK(got[0] == "ok 1");
    CHECK(got[1] == "t=one");
    CHECK(got[2] == "ok 2 matched 1");
    CHECK(got[3].starts_with("fail 3 "));
    CHECK(got[4].starts_with("fail 4 "));
    CHECK(got[5] == "t=two");
    CHECK(got[6] == "ok 5 matched 1");
    CHECK(got[7] == "ok 6");
    CHECK(got[8] == "ok 7 matched 0");
}

TEST_CASE("sessions: every subscriber sees the order of the broker, whoever publishes", "[broker]") {
    broker_script s;
    client a(s);
    client b(s);
    texts order;
    auto all = s.broker.subscribe(
        "#", [&](const pusher::message& m) { order.emplace_back(m.payload()); },
        {.match = pusher::match_mode::filter});
    for (auto* c : {&a, &b}) {
        c->send("subscribe", R"("topic":"#","match":"filter")");
        c->heard();
    }
    for (int n = 0; n != 30; ++n) {
        auto& from = n % 2 == 0 ? a : b;
        from.publish("t" + std::to_string(n % 3), std::to_string(n));
        if (n % 7 == 0) {
            s.broker.publish("host", "h" + std::to_string(n));
            s.run();
        }
    }
    auto pushes = [](const texts& got) {
        texts only;
        for (const auto& text : got)
            if (const auto at = text.find('='); at != text.npos)
                only.push_back(text.substr(at + 1));
        return only;
    };
    const auto to_a = pushes(a.heard());
    CHECK(to_a.size() == 35);
    CHECK(to_a == order);
    CHECK(pushes(b.heard()) == order);
}

TEST_CASE("sessions: a death loses what was queued, counts it, and leaves nothing behind", "[broker]") {
    broker_script s;
    client slow(s, 0);
    client other(s);
    slow.subscribe("t");
    other.subscribe("t");
    CHECK(other.heard() == texts{"ok"});
    CHECK(s.broker.publish("t", "1").matched == 2);
    s.run();
    CHECK(s.broker.stats().sessions == 2);
    slow.peer.close();
    s.run();
    const auto stats = s.broker.stats();
    CHECK(stats.sessions == 1);
    CHECK(stats.subscriptions == 1);
    CHECK(stats.dropped_disconnected == 1);
    CHECK(s.broker.publish("t", "2").matched == 1);
    CHECK(other.heard() == texts{"t=1", "t=2"});
}

TEST_CASE("sessions: a peer that does not read loses by its policy, and nobody else does", "[broker]") {
    pusher::broker_params p;
    p.outbox.messages = 4;
    broker_script s(std::move(p));
    client stuck(s);
    client other(s);
    for (auto* c : {&stuck, &other}) {
        c->subscribe("t");
        c->heard();
    }
    stuck.peer.pause();
    s.run();
    const std::string big(10'000, 'x');
    int sent = 0;
    std::size_t received = 0;
    for (; sent != 100; ++sent) {
        s.broker.publish("t", big);
        received += other.heard().size();
    }
    CHECK(received == 100);
    CHECK(s.broker.stats().dropped_overflow > 0);
    s.broker.for_each_session([](const pusher::session_info& i) {
        CHECK(i.queued_messages <= 4);
        CHECK(i.queued_bytes <= 4 * 10'000);
    });
    stuck.peer.resume();
    std::size_t reached = 0;
    std::size_t missed = 0;
    for (const auto& text : stuck.heard())
        if (text.starts_with("!t "))
            missed += std::stoul(text.substr(3));
        else
            ++reached;
    CHECK(reached + missed == 100);
    CHECK(missed == s.broker.stats().dropped_overflow);
}

TEST_CASE("sessions: overflow with the policy to disconnect says when to come back", "[broker]") {
    pusher::broker_params p;
    p.outbox.messages = 2;
    p.outbox.overflow = pusher::overflow_policy::disconnect;
    broker_script s(std::move(p));
    client a(s, 100);
    a.subscribe("t");
    a.peer.pause();
    s.run();
    for (int n = 0; n != 10; ++n) {
        s.broker.publish("t", "a payload of some length");
        s.run();
    }
    CHECK(s.broker.stats().sessions == 0);
    a.peer.resume();
    s.run_until([&] { return a.ended(); });
    const auto got = a.heard();
    REQUIRE_FALSE(got.empty());
    CHECK(got.back() == "close 1013 outbox overflow, retry");
    a.leave();
    CHECK(s.broker.stats().closed == reasons{{"outbox overflow", 1}});
}

TEST_CASE("sessions: a subscription that conflates gets the newest of each key", "[broker]") {
    pusher::broker_params p;
    p.outbox.messages = 2;
    broker_script s(std::move(p));
    client a(s, 100);
    a.send("subscribe", R"("topic":"t","overflow":"conflate")");
    s.run();
    CHECK(a.heard().back().starts_with("ok"));
    a.peer.pause();
    s.run();
    client b(s);
    for (int n = 0; n != 20; ++n)
        b.send(
            "publish", R"("topic":"t","ttl":60000,"key":")" + std::to_string(n % 2) + R"(","payload":")" +
                           std::to_string(n) + "\"");
    s.run();
    CHECK(b.heard().size() == 20);
    a.peer.resume();
    s.run();
    const auto got = a.heard();
    REQUIRE(got.size() >= 2);
    CHECK(got[got.size() - 2] == "t=18");
    CHECK(got.back() == "t=19");
    CHECK(s.broker.stats().dropped_conflated > 10);
    CHECK(s.broker.stats().dropped_overflow == 0);
    b.send("publish", R"("topic":"t","ttl":8640000001,"payload":"")");
    s.run();
    CHECK(b.heard().back() == "fail params.ttl is over 8640000000: that is 100 days in milliseconds");
}

TEST_CASE("sessions: who does not take its replies is not read from", "[broker]") {
    pusher::broker_params p;
    p.outbox.reply_bytes = 1000;
    broker_script s(std::move(p));
    client a(s, 100);
    a.peer.pause();
    for (int n = 0; n != 1000; ++n)
        a.send("ping", {}, std::to_string(n));
    s.run();
    const auto handled = s.broker.stats().transports.at("tcp").requests;
    CHECK(handled < 100);
    a.peer.resume();
    texts got;
    s.run_until([&] {
        for (auto& text : a.heard())
            got.push_back(std::move(text));
        return got.size() == 1000;
    });
    CHECK(got.front() == "ok 0");
    CHECK(got.back() == "ok 999");
    CHECK(s.broker.stats().transports.at("tcp").requests == 1000);
}

TEST_CASE("sessions: subscribed when they are bound", "[broker]") {
    SECTION("with a uid") {
        broker_script s(by_letter({"*", "user/{uid}"}));
        client a(s);
        client b(s);
        CHECK(s.broker.publish("*", "1").matched == 2);
        CHECK(s.broker.publish("user/b", "2").matched == 1);
        CHECK(a.heard() == texts{"*=1"});
        CHECK(b.heard() == texts{"*=1", "user/b=2"});
    }
    SECTION("anonymous: not to what needs a uid") {
        pusher::broker_params p;
        p.subscribe_on_bind = {"*", "user/{uid}"};
        broker_script s(std::move(p));
        client a(s);
        CHECK(s.broker.publish("*", "1").matched == 1);
        CHECK(s.broker.publish("user/", "2").matched == 0);
        CHECK(s.broker.stats().subscriptions == 1);
    }
    SECTION("what is wrong is refused by the constructor") {
        pusher::broker_params p;
        p.subscribe_on_bind = {""};
        CHECK_THROWS_AS(broker_script(std::move(p)), std::invalid_argument);
    }
}

TEST_CASE("sessions: lists, and kicks with a reason", "[broker]") {
    broker_script s(by_letter());
    client a(s);
    client b(s);
    a.subscribe("t");
    b.send("subscribe", R"("topic":"#","match":"filter")");
    a.heard();
    b.heard();
    std::string seen;
    std::uint64_t id_of_a = 0;
    s.broker.for_each_session([&](const pusher::session_info& i) {
        seen += std::string(i.uid) + std::to_string(i.subscriptions) + " ";
        if (i.uid == "a")
            id_of_a = i.id;
    });
    CHECK(seen == "a1 b1 ");
    seen.clear();
    s.broker.for_each_session([&](const pusher::session_info& i) { seen += i.uid; }, "b");
    CHECK(seen == "b");
    seen.clear();
    s.broker.for_each_subscriber("t", [&](const pusher::subscriber_info& i) { seen += i.uid; });
    CHECK((seen == "ab" || seen == "ba"));

    s.broker.publish("t", "before");
    CHECK(s.broker.kick(id_of_a, "too loud") == 1);
    CHECK(s.broker.kick(12345) == 0);
    CHECK(s.broker.kick_uid("nobody") == 0);
    CHECK(a.heard() == texts{"t=before", "close 1008 too loud"}); // what was published before is tried
    CHECK(a.ended());
    CHECK(s.broker.kick_uid("b") == 1);
    CHECK(b.heard().back() == "close 1008 kicked");
    a.leave();
    b.leave();
    CHECK(s.broker.stats().closed == reasons{{"kicked", 2}});
    CHECK(s.broker.stats().subscriptions == 0);
}

TEST_CASE("sessions: a kick is done when the turn ends", "[broker]") {
    broker_script s(by_letter());
    client a(s);
    a.subscribe("t");
    a.heard();
    auto mine = s.broker.subscribe("t", [&](const pusher::message& m) {
        if (m.payload() == "kick")
            CHECK(s.broker.kick_uid("a", "said so") == 1);
    });
    CHECK(s.broker.publish("t", "kick").matched == 2);
    CHECK(s.broker.publish("t", "in the same turn").matched == 2);
    boost::asio::post(s.context, [&] { s.broker.publish("t", "after"); });
    CHECK(a.heard() == texts{"t=kick", "t=in the same turn", "close 1008 said so"});
    a.leave();
    CHECK(s.broker.stats().subscriptions == 1);
}

TEST_CASE("sessions: limits, each with its error", "[broker]") {
    pusher::broker_params p;
    p.sessions = 1;
    p.subscriptions = 2;
    p.topics = 3;
    p.message_bytes = 5;
    pusher::link_limits limits;
    limits.request_bytes = 200;
    broker_script s(std::move(p), limits);
    client a(s);
    client b(s);
    CHECK(b.heard() == texts{"close 1013 too many sessions, retry"});
    CHECK(s.broker.stats().transports.at("tcp").refused == 1);
    a.subscribe("1");
    a.subscribe("2");
    a.subscribe("3");
    a.publish("1", "longer than five");
    CHECK(a.heard() == texts{"ok", "ok", "fail too many subscriptions", "fail message too large"});
    auto mine = s.broker.make_subscriber([](const pusher::message&) {});
    mine.subscribe("3");
    error_code ec;
    mine.subscribe("4", {}, ec);
    CHECK(ec == pusher::errc::too_many_topics);
    a.publish("t", std::string(300, 'x'));
    a.send("ping");
    const auto got = a.heard();
    REQUIRE(got.size() == 2);
    CHECK(got[0] == "fail the request is longer than 200 bytes");
    CHECK(got[1] == "close 1009 message too large");
    client c(s); // there is room again
    c.send("ping");
    CHECK(c.heard() == texts{"ok"});
}

TEST_CASE("sessions: resume after a reconnect, and after another life of the broker", "[broker]") {
    std::uint64_t epoch = 0;
    {
        broker_script s({.history = {.messages = 3}});
        std::optional<client> a(std::in_place, s);
        a->subscribe("t");
        s.run();
        for (const auto* payload : {"1", "2"})
            epoch = s.broker.publish("t", payload).position->epoch;
        CHECK(a->heard() == texts{"ok", "t@1=1", "t@2=2"});
        a.reset();
        s.broker.publish("t", "3");
        a.emplace(s);
        a->send("subscribe", resume(epoch, 2));
        s.run();
        s.broker.publish("t", "4");
        CHECK(a->heard() == texts{"ok recovered", "t@3=3", "t@4=4"});
        for (const auto* payload : {"5", "6"})
            s.broker.publish("t", payload);
        a.reset();
        a.emplace(s);
        a->send("subscribe", resume(epoch, 1));
        CHECK(a->heard() == texts{"ok not recovered", "!t 2", "t@4=4", "t@5=5", "t@6=6"});
    }
    broker_script s({.history = {.messages = 3}});
    s.broker.publish("t", "new");
    client a(s);
    a.send("subscribe", resume(epoch, 6));
    CHECK(a.heard() == texts{"ok not recovered", "t@1=new"});
}
