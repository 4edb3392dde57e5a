// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// Publishers that try again: by an id, what was published is not published again.

#include "broker_script.hpp"
#include "catch.hpp"

#include <chrono>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

using namespace test;
using namespace std::chrono_literals;

namespace {

pusher::broker_params remembering(std::size_t messages) {
    pusher::broker_params p;
    p.idempotency.messages = messages;
    return p;
}

const std::string with_id = R"("topic":"t","payload":"x","id":"1")";

/// Whether each reply to a publish says that it was repeated.
std::string repeated(broker_script& s, client& c) {
    s.run();
    std::string all;
    for (const auto& line : c.peer.take_lines()) {
        const auto receipt = boost::json::parse({line.data(), line.size()}).at("receipt").as_object();
        all += receipt.contains("repeated") ? (receipt.at("repeated").as_bool() ? "again " : "wrong ")
                                            : "first ";
    }
    return all;
}

} // namespace

TEST_CASE("publishers: what a peer tries again is published once", "[broker]") {
    broker_script s(remembering(10));
    texts got;
    auto handler = s.broker.subscribe("t", [&](const pusher::message& m) { got.emplace_back(m.payload()); });
    {
        client a(s);
        a.send("publish", with_id);
        a.send("publish", with_id);
        CHECK(repeated(s, a) == "first again ");
        a.leave();
    }
    client b(s); // back with another session
    b.send("publish", with_id);
    b.publish("t", "without");
    b.publish("t", "without");
    CHECK(repeated(s, b) == "again first first ");
    CHECK(got == texts{"x", "without", "without"});
    CHECK(s.broker.stats().published == 3);
    CHECK(s.broker.stats().repeated_publishes == 2);
}

TEST_CASE("publishers: by default an id may be used again", "[broker]") {
    broker_script s;
    client a(s);
    a.send("publish", with_id);
    a.send("publish", with_id);
    CHECK(repeated(s, a) == "first first ");
    CHECK(s.broker.stats().repeated_publishes == 0);
}

TEST_CASE("publishers: the ids of one user are not those of another, or of the host", "[broker]") {
    auto p = remembering(10);
    p.authenticate = [](const pusher::authentication_request& r, const pusher::authentication_answer& a) {
        a(r.token.empty() ? pusher::authentication_result::anonymous()
                          : pusher::authentication_result::identified(std::string(r.token)));
    };
    broker_script s(std::move(p));
    client nobody(s);
    client ann(s);
    client bob(s);
    client ann_again(s);
    for (const auto& [who, token] :
         {std::pair(&ann, "ann"), std::pair(&bob, "bob"), std::pair(&ann_again, "ann")}) {
        who->send("auth", R"("token":")" + std::string(token) + '"');
        CHECK(who->heard() == texts{"ok"});
    }
    for (auto* who : {&nobody, &ann, &bob, &ann_again}) {
        who->send("publish", with_id);
        CHECK(repeated(s, *who) == (who == &ann_again ? "again " : "first "));
    }
    CHECK_FALSE(s.broker.publish("t", "x", {.id = "1"}).repeated);
    CHECK(s.broker.publish("t", "x", {.id = "1"}).repeated);
    CHECK(s.broker.stats().published == 4);
}

TEST_CASE("publishers: each way of the host to publish knows the ids of the others", "[broker]") {
    broker_script s(remembering(10));
    texts got;
    auto handler = s.broker.subscribe("t", [&](const pusher::message& m) { got.emplace_back(m.payload()); });
    CHECK(s.broker.post_publish("t", "posted", {.id = "1"}));
    CHECK(s.broker.post_publish("t", "posted again", {.id = "1"}));
    s.run();
    pusher::receipt r;
    const auto keep = [&](pusher::error_code ec, const pusher::receipt& done) {
        CHECK_FALSE(ec);
        r = done;
    };
    s.broker.async_publish("t", "later", {.id = "1"}, keep);
    s.run();
    CHECK(r.repeated);
    CHECK(r.matched == 1);
    CHECK(r.sequence == 1);
    CHECK(s.broker.publish("t", "now", {.id = "1"}).repeated);
    s.broker.async_publish("t", "two", {.id = "2"}, keep);
    s.run();
    CHECK_FALSE(r.repeated);
    CHECK(got == texts{"posted", "two"});
}

TEST_CASE("publishers: how long ids are remembered is finite", "[broker]") {
    const auto is_fine = [](std::size_t messages, std::chrono::milliseconds age) {
        pusher::broker_params p;
        p.idempotency = {.messages = messages, .age = age};
        try {
            broker_script s(std::move(p));
            return true;
        } catch (const std::invalid_argument&) {
            return false;
        }
    };
    CHECK(is_fine(10'000'000, 24h));
    CHECK(is_fine(0, 1ms));
    CHECK_FALSE(is_fine(10'000'001, 1s));
    CHECK_FALSE(is_fine(1, 0ms));
    CHECK_FALSE(is_fine(1, 24h + 1ms));
}
