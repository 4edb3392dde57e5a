// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// The host answers its hooks when it likes: also in the middle of something else that the broker does.

#include "broker_script.hpp"
#include "catch.hpp"

#include <memory>
#include <string>
#include <utility>
#include <vector>

using namespace test;

namespace {

using pusher::access_answer;
using pusher::access_request;
using pusher::authentication_answer;
using pusher::authentication_request;
using pusher::authentication_result;

const std::string long_id =
    "a long id\\t" + std::string(300, 'z'); // with an escape, so that it is no view of the text

/// A host that answers what was asked about `slow` when something is published to `now`.
struct host {
    explicit host(pusher::broker_params p = {}) : script(with_hooks(std::move(p))) {
        sub = script.broker.subscribe("now", [this](const pusher::message&) {
            for (const auto& answer : std::exchange(may, {}))
                answer(true);
            for (const auto& answer : std::exchange(who, {}))
                answer(authentication_result::identified("late"));
            may_dropped.clear();
        });
    }

    pusher::broker_params with_hooks(pusher::broker_params p) {
        p.authorize = [this](const access_request& r, access_answer a) {
            if (r.topic == "slow")
                may.push_back(std::move(a));
            else if (r.topic == "dropped")
                may_dropped.push_back(std::move(a));
            else
                a(true);
        };
        p.authenticate = [this](const authentication_request& r, authentication_answer a) {
            if (r.token.empty())
                a(authentication_result::anonymous());
            else
                who.push_back(std::move(a));
        };
        return p;
    }

    std::vector<access_answer> may;
    std::vector<access_answer> may_dropped;
    std::vector<authentication_answer> who;
    broker_script script;
    pusher::subscription sub;
};

std::string id_of(std::string_view id) {
    std::string text;
    for (const char c : id) // as `brief` shows it
        text += c;
    if (const auto at = text.find("\\t"); at != text.npos)
        text.replace(at, 2, "\t");
    return text;
}

} // namespace

TEST_CASE("answers: one from a handler changes nothing of the request that called the handler") {
    host h;
    client one(h.script);
    client two(h.script);
    std::string begun;
    SECTION("may it publish") {
        one.send("publish", R"("topic":"slow","payload":"x")", long_id);
        begun = " matched 0";
    }
    SECTION("may it subscribe") { one.send("subscribe", R"("topic":"slow")", long_id); }
    SECTION("who is it") { one.send("auth", R"("token":"t")", long_id); }
    one.send("ping", {}, "after\\t" + std::string(200, 'y'));
    CHECK(one.heard().empty());
    two.send("publish", R"("topic":"now","payload":"x")", "mine\\tabcdefghijklmnopqrstuvwxyz");
    CHECK(two.heard() == texts{"ok mine\tabcdefghijklmnopqrstuvwxyz matched 1"});
    CHECK(one.heard() == texts{"ok " + id_of(long_id) + begun, "ok after\t" + std::string(200, 'y')});
}

TEST_CASE("answers: one that is dropped in a handler is a refusal, and changes nothing else") {
    host h;
    client one(h.script);
    client two(h.script);
    one.send("publish", R"("topic":"dropped","payload":"x")", long_id);
    CHECK(one.heard().empty());
    two.send("publish", R"("topic":"now","payload":"x")", "mine\\tabcdefghijklmnopqrstuvwxyz");
    CHECK(two.heard() == texts{"ok mine\tabcdefghijklmnopqrstuvwxyz matched 1"});
    CHECK(one.heard() == texts{"fail " + id_of(long_id) + " forbidden"});
}

TEST_CASE("answers: late ones are given effect by the event loop, in their order") {
    host h;
    client one(h.script);
    one.send("subscribe", R"("topic":"slow")", "1");
    CHECK(one.heard().empty());
    REQUIRE(h.may.size() == 1);
    h.may[0](true);
    CHECK(one.peer.received().empty());
    CHECK(h.script.broker.stats().subscriptions == 1); // the handler's
    CHECK(one.heard() == texts{"ok 1"});
    CHECK(h.script.broker.stats().subscriptions == 2);
}

TEST_CASE("answers: one that outlives its broker does nothing") {
    std::vector<access_answer> left;
    {
        host h;
        client one(h.script);
        one.send("subscribe", R"("topic":"slow")", "1");
        CHECK(one.heard().empty());
        left = h.may;
        REQUIRE(left.size() == 1);
        SECTION("given before its end") { left[0](true); }
        SECTION("never given") {}
        h.script.broker.cancel();
        h.script.run();
        SECTION("given after it was stopped") {
            left[0](true);
            h.script.run();
        }
        CHECK(h.script.broker.stats().subscriptions == 1);
        h.may.clear();
        left.clear();
    }
    CHECK(left.empty());
}

namespace {

/// A WebSocket handshake, as an HTTP server of the host's own has read it.
pusher::http_request handshake() {
    namespace http = boost::beast::http;
    pusher::http_request r(http::verb::get, "/ws", 11);
    r.set(http::field::host, "h");
    r.set(http::field::upgrade, "websocket");
    r.set(http::field::connection, "Upgrade");
    r.set(http::field::sec_websocket_version, "13");
    r.set(http::field::sec_websocket_key, "dGhlIHNhbXBsZSBub25jZQ==");
    return r;
}

} // namespace

TEST_CASE(
    "answers: a connection that is handed over in a handler changes nothing of the request that called it") {
    using namespace pusher::testing;
    boost::asio::io_context io;
    memory_port port;
    pusher::broker<pusher::transport::all_of<pusher::transport::http, memory>> broker(io);
    broker.listen(memory_params{&port, {}});
    memory_peer one(port.connect());
    std::unique_ptr<memory_peer> two;
    auto sub = broker.subscribe("now", [&](const pusher::message&) {
        auto ends = memory_channel::connect(io.get_executor());
        two = std::make_unique<memory_peer>(ends.first);
        std::string frame;
        pusher::append_masked_frame(
            frame, pusher::websocket_opcode::text, R"({"action":"ping","request_id":")" + long_id + "\"}", 7);
        broker.accept(pusher::channel_ptr(ends.second), handshake(), frame);
    });
    io.poll();
    one.send(
        R"({"action":"publish","request_id":"mine\tabcdefghijklmnopqrstuvwxyz","params":{"topic":"now","payload":""}})"
        "\n");
    io.restart();
    io.poll();
    const auto lines = one.take_lines();
    REQUIRE(lines.size() == 1);
    CHECK(brief(lines[0]) == "ok mine\tabcdefghijklmnopqrstuvwxyz matched 1");
    REQUIRE(two);
    CHECK(two->received().find(R"("action":"ping","status":"ok")") != std::string::npos);
}
