// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// Hooks that end what they are asked about, that never answer, and that are asked twice.

#include "broker_script.hpp"
#include "catch.hpp"

#include <boost/asio/io_context.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace test;
using namespace std::chrono_literals;
using pusher::access_answer;
using pusher::access_request;
using pusher::authentication_answer;
using pusher::authentication_request;
using pusher::authentication_result;
using pusher::errc;
using pusher::error_code;

namespace {

/// A host that never answers who a peer is.
pusher::broker_params silent(std::vector<authentication_answer>& answers) {
    pusher::broker_params p;
    p.authenticate = [&answers](const authentication_request&, authentication_answer a) {
        answers.push_back(std::move(a));
    };
    return p;
}

void auth(client& c, std::string_view token) { c.send("auth", R"("token":")" + std::string(token) + '"'); }

} // namespace

TEST_CASE("undecided: a hook that allows, and ends the session before it returns", "[broker]") {
    std::optional<broker_script> s;
    pusher::broker_params p;
    p.authorize = [&](const access_request&, const access_answer& a) {
        a(true);
        s->broker.cancel();
    };
    s.emplace(std::move(p));
    {
        client a(*s);
        const auto action = GENERATE("subscribe", "publish");
        a.send(action, R"("topic":"t")" + std::string(action[0] == 'p' ? R"(,"payload":"x")" : ""));
        s->run();
        CHECK(a.ended());
    }
    CHECK(s->broker.stats().subscriptions == 0);
    CHECK(s->broker.stats().published == 0);
    auto next = s->broker.make_subscriber([](const pusher::message&) { FAIL("it never subscribed"); });
    CHECK(s->broker.publish("t", "x").matched == 0);
}

TEST_CASE("undecided: a question without an answer outlives the broker and its context", "[broker]") {
    std::vector<authentication_answer> answers;
    std::vector<access_answer> accesses;
    {
        auto p = silent(answers);
        p.authorize = [&](const access_request&, access_answer a) { accesses.push_back(std::move(a)); };
        broker_script s(std::move(p));
        client a(s);
        client b(s);
        REQUIRE(answers.size() == 2);
        answers[0](authentication_result::anonymous());
        a.publish("t", "x");
        s.run();
        REQUIRE(accesses.size() == 1);
        const bool runs = GENERATE(true, false);
        s.broker.cancel();
        if (runs)
            s.run();
    }
    for (const auto& a : answers)
        a(authentication_result::anonymous());
    accesses[0](true);
}

TEST_CASE("undecided: a drain does not wait for the host", "[broker]") {
    std::vector<authentication_answer> answers;
    broker_script s(silent(answers));
    client a(s);
    std::optional<error_code> drained;
    s.broker.async_drain(20s, [&](error_code ec) { drained = ec; });
    s.run();
    CHECK(a.heard() == texts{"close 1001 the broker is stopped, retry"});
    a.peer.close();
    s.run_until([&] { return drained.has_value(); });
    CHECK_FALSE(*drained);
    answers[0](authentication_result::anonymous()); // too late, and without effect
    s.run();
    CHECK(s.broker.stats().sessions == 0);
}

TEST_CASE("undecided: whom the host thinks about counts as a session", "[broker]") {
    std::vector<authentication_answer> answers;
    auto p = silent(answers);
    p.sessions = 2;
    broker_script s(std::move(p));
    client a(s);
    client b(s);
    client c(s);
    CHECK(answers.size() == 2);
    CHECK(c.heard() == texts{"close 1013 too many sessions, retry"});
    SECTION("until it is refused") { answers[1](authentication_result::refused()); }
    SECTION("until the question is dropped") { answers[1] = {}; }
    s.run();
    client d(s);
    REQUIRE(answers.size() == 3);
    answers[0](authentication_result::anonymous());
    answers[2](authentication_result::anonymous());
    s.run();
    CHECK(s.broker.stats().sessions == 2);
    CHECK(s.broker.full());
}

TEST_CASE("undecided: a token that is renewed changes no subscription", "[broker]") {
    pusher::broker_params p;
    p.subscribe_on_bind = {"all", "{uid}", "{uid}/of/{uid}", "other"};
    p.authenticate = [](const authentication_request& r, const authentication_answer& a) {
        a(r.token.empty() ? authentication_result::anonymous()
                          : authentication_result::identified(std::string(r.token)));
    };
    broker_script s(std::move(p));
    client a(s);
    CHECK(s.broker.stats().subscriptions == 2); // nobody has no topics of its own
    a.send("unsubscribe", R"("topic":"all")");
    a.send("subscribe", R"("topic":"other","echo":false)");
    auth(a, "ann");
    auth(a, "ann");
    CHECK(a.heard() == texts{"ok", "ok", "ok", "ok"});
    CHECK(s.broker.stats().subscriptions == 3);
    a.publish("all", "1");
    a.publish("other", "2");
    a.publish("ann/of/ann", "3");
    CHECK(a.heard() == texts{"ok matched 0", "ok matched 0", "ann/of/ann=3", "ok matched 1"});
    a.send("unsubscribe", R"("topic":"ann")");
    auth(a, "ann");
    a.publish("ann", "4");
    CHECK(a.heard() == texts{"ok", "ok", "ok matched 0"});
}

TEST_CASE("undecided: what waits when the broker stops is told so", "[broker]") {
    broker_script s;
    auto closed = s.broker.make_subscriber();
    client slow(s, 1000);
    slow.subscribe("t");
    s.run();
    slow.peer.pause();
    for (int n = 0; n != 2; ++n) // of the first one the connection has taken a part
        s.broker.publish("t", std::string(700'000, 'x'));
    s.run();
    texts log;
    s.broker.async_wait_writable([&](error_code ec) { log.push_back(ec.message()); });
    s.run();
    REQUIRE(log.empty());
    s.broker.cancel();
    s.run();
    CHECK(log == texts{error_code(errc::stopped).message()});
    closed.close();
    closed.async_receive([&](error_code ec, pusher::delivery) { log.push_back(ec.message()); });
    s.run();
    CHECK(log.back() == error_code(errc::closed).message());
}

TEST_CASE("undecided: to receive after the broker's end", "[broker]") {
    boost::asio::io_context context;
    auto broker = std::make_unique<pusher::broker<>>(context);
    auto receiver = broker->make_subscriber();
    broker.reset();
    std::optional<error_code> got;
    receiver.async_receive([&](error_code ec, const pusher::delivery&) { got = ec; });
    context.run();
    CHECK(got == error_code(errc::stopped));
}
