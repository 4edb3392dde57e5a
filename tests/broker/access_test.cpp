// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// Who a peer is, and what it may do: the host's two hooks.

#include "broker_script.hpp"
#include "catch.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using namespace test;
using namespace std::chrono_literals;
using pusher::access_answer;
using pusher::access_request;
using pusher::authentication_answer;
using pusher::authentication_request;
using pusher::authentication_result;

namespace {

/// A host that answers when the test tells it to.
struct slow_host {
    pusher::broker_params params() {
        pusher::broker_params p;
        p.authenticate = [this](const authentication_request& r, authentication_answer a) {
            asked.push_back("who is " + std::string(r.peer) + " " + std::string(r.token));
            who.push_back(std::move(a));
        };
        p.authorize = [this](const access_request& r, access_answer a) {
            asked.push_back(
                std::string(r.uid) +
                (r.action == access_request::kind::publish ? " publish " : " subscribe ") +
                (r.match == pusher::match_mode::filter ? "filter " : "") + std::string(r.topic) +
                (r.type.empty() ? "" : ":" + std::string(r.type)));
            may.push_back(std::move(a));
        };
        return p;
    }

    texts asked;
    std::vector<authentication_answer> who;
    std::vector<access_answer> may;
};

/// A host that knows a secret, and wants to hear it.
pusher::broker_params with_secret() {
    pusher::broker_params p;
    p.authenticate = [](const authentication_request& r, const authentication_answer& a) {
        if (r.token.empty() || r.token == "more")
            a(authentication_result::later());
        else if (r.token.starts_with("secret of "))
            a(authentication_result::identified(std::string(r.token.substr(10))));
        else if (r.token == "nobody")
            a(authentication_result::anonymous());
        else
            a(authentication_result::refused("who are you?"));
    };
    return p;
}

void auth(client& c, std::string_view token) { c.send("auth", R"("token":")" + std::string(token) + '"'); }

} // namespace

TEST_CASE("access: without hooks everybody is anonymous and may do everything", "[broker]") {
    broker_script s;
    client a(s);
    a.send("subscribe", R"("topic":"#","match":"filter")");
    a.publish("t", "1");
    auth(a, "x");
    CHECK(a.heard() == texts{"ok", "t=1", "ok matched 1", "fail authentication is not in use here"});
    s.broker.for_each_session([](const pusher::session_info& i) { CHECK(i.uid.empty()); });
}

TEST_CASE("access: until it has authenticated, a session may say hello, auth and ping", "[broker]") {
    auto p = with_secret();
    p.subscribe_on_bind = {"*", "user/{uid}"};
    broker_script s(std::move(p));
    client a(s);
    a.send("hello");
    a.send("ping");
    a.subscribe("t");
    a.publish("t", "1");
    a.send("unsubscribe", R"("topic":"t")");
    const std::string no = "fail not authenticated: send auth first";
    CHECK(a.heard() == texts{"ok", "ok", no, no, no});
    CHECK(s.broker.stats().published == 0);

    // Nor does anything reach it.
    CHECK(s.broker.broadcast("*", "2").matched == 0);
    CHECK(s.broker.publish("*", "3").matched == 0);
    auth(a, "more");
    CHECK(a.heard() == texts{"fail the token is not enough"});
    auth(a, "secret of ann");
    CHECK(a.heard() == texts{"ok"});
    CHECK(s.broker.broadcast("*", "4").matched == 1);
    CHECK(s.broker.publish("user/ann", "5").matched == 1);
    CHECK(s.broker.push_to("ann", "label", "6").matched == 1);
    CHECK(a.heard() == texts{"*=4", "user/ann=5", "label=6"});
}

TEST_CASE("access: a token that is refused ends the session, another uid does not change it", "[broker]") {
    broker_script s(with_secret());
    client a(s);
    auth(a, "wrong");
    a.send("ping");
    CHECK(a.heard() == texts{"fail who are you?", "close 1008 who are you?"});
    CHECK(a.ended());
    a.leave();
    CHECK(s.broker.stats().closed == reasons{{"refused", 1}});

    client b(s);
    auth(b, "secret of bob");
    auth(b, "secret of bob");
    auth(b, "secret of ann");
    auth(b, "nobody");
    CHECK(
        b.heard() ==
        texts{"ok", "ok", "fail already bound to another uid", "fail already bound to another uid"});
    CHECK(s.broker.push_to("bob", "t", "1").matched == 1);
    CHECK(s.broker.push_to("ann", "t", "1").matched == 0);
}

TEST_CASE("access: who does not authenticate in time is closed", "[broker]") {
    auto p = with_secret();
    p.authentication_timeout = 100ms;
    broker_script s(std::move(p));
    client a(s);
    client b(s);
    auth(b, "nobody");
    CHECK(b.heard() == texts{"ok"});
    s.run_until([&] { return a.ended(); });
    CHECK(a.heard() == texts{"close 1008 authentication timeout"});
    b.send("ping");
    CHECK(b.heard() == texts{"ok"});

    SECTION("a host that does not answer in time") {
        slow_host host;
        auto q = host.params();
        q.authentication_timeout = 100ms;
        q.sessions = 1;
        broker_script t(std::move(q));
        client c(t);
        c.send("ping");
        CHECK(c.heard().empty());
        t.run_until([&] { return c.ended(); });
        CHECK(c.heard() == texts{"close 1008 authentication timeout"});
        host.who.at(0)(authentication_result::anonymous()); // too late, and without effect
        t.run();
        CHECK(t.broker.stats().sessions == 0);
        CHECK(t.broker.stats().transports.at("tcp").refused == 1);
        c.leave();
        client d(t); // has its place
        host.who.at(1)(authentication_result::anonymous());
        d.send("ping");
        CHECK(d.heard() == texts{"ok"});
        CHECK(t.broker.stats().sessions == 1);
    }
    SECTION("an identity that expires, unless it is confirmed before") {
        pusher::broker_params q;
        q.authenticate = [](const authentication_request& r, const authentication_answer& answer) {
            answer(
                r.token.empty()
                    ? authentication_result::identified("ann", std::chrono::system_clock::now() + 100ms)
                    : authentication_result::identified("ann"));
        };
        broker_script t(std::move(q));
        client c(t);
        client d(t);
        auth(d, "again");
        CHECK(d.heard() == texts{"ok"});
        t.run_until([&] { return c.ended(); });
        CHECK(c.heard() == texts{"close 1008 authentication timeout"});
        d.send("ping");
        CHECK(d.heard() == texts{"ok"});
    }
}

TEST_CASE("access: the host answers when a peer connects", "[broker]") {
    slow_host host;
    broker_script s(host.params());
    client a(s);
    a.send("ping");
    CHECK(a.heard().empty());
    CHECK(host.asked == texts{"who is somewhere "});
    CHECK(s.broker.stats().sessions == 0);
    SECTION("identified: what it has sent meanwhile is handled now") {
        host.who.at(0)(authentication_result::identified("ann"));
        CHECK(a.heard() == texts{"ok"});
        CHECK(s.broker.push_to("ann", "t", "1").matched == 1);
        host.who.at(0)(authentication_result::refused()); // the first answer counts
        CHECK(a.heard() == texts{"t=1"});
    }
    SECTION("refused") {
        host.who.at(0)(authentication_result::refused("go away"));
        CHECK(a.heard() == texts{"close 1008 go away"});
        CHECK(a.ended());
        CHECK(s.broker.stats().transports.at("tcp").refused == 1);
    }
    SECTION("not at all: to drop the question is to refuse") {
        host.who.clear();
        CHECK(a.heard() == texts{"close 1008 refused"});
    }
    SECTION("when the peer is gone already") {
        a.peer.close();
        s.run();
        host.who.at(0)(authentication_result::identified("ann"));
        s.run();
        CHECK(s.broker.stats().sessions == 0);
        CHECK(s.broker.push_to("ann", "t", "1").matched == 0);
    }
    SECTION("when the broker is gone already") {
        s.broker.cancel();
        host.who.at(0)(authentication_result::identified("ann"));
        s.run();
        CHECK(a.ended());
        CHECK(s.broker.stats().sessions == 0);
    }
}

TEST_CASE("access: one request at a time, also while the host thinks", "[broker]") {
    slow_host host;
    broker_script s(host.params());
    client a(s);
    client b(s);
    for (auto& who : host.who)
        who(authentication_result::identified("ann"));
    host.asked.clear();
    a.subscribe("t");
    a.publish("t", "1");
    a.send("ping");
    b.send("ping");
    CHECK(a.heard().empty());
    CHECK(b.heard() == texts{"ok"}); // others are not held up
    CHECK(host.asked == texts{"ann subscribe t"});
    host.may.at(0)(true);
    CHECK(a.heard() == texts{"ok"});
    CHECK(host.asked == texts{"ann subscribe t", "ann publish t"});
    s.broker.publish("t", "from the host");
    CHECK(a.heard() == texts{"t=from the host"}); // nor are pushes
    host.may.at(1)(true);
    CHECK(a.heard() == texts{"t=1", "ok matched 1", "ok"});
    SECTION("a late refusal") {
        a.publish("t", "2");
        a.send("ping");
        s.run();
        host.may.at(2)(false);
        CHECK(a.heard() == texts{"fail forbidden", "ok"});
        CHECK(s.broker.stats().published == 2);
    }
    SECTION("an answer for who is gone") {
        a.publish("t", "2");
        s.run();
        std::uint64_t id = 0;
        s.broker.for_each_subscriber("t", [&](const pusher::subscriber_info& i) { id = i.id; });
        CHECK(s.broker.kick(id) == 1);
        s.run();
        host.may.at(2)(true);
        s.run();
        CHECK(s.broker.stats().published == 2);
    }
    SECTION("an answer for who has said all it wanted") {
        a.publish("t", "2");
        a.leave(); // as `nc -N` does
        host.may.at(2)(true);
        s.run();
        CHECK(s.broker.stats().published == 3);
        CHECK(s.broker.stats().sessions == 1); // the other one
    }
}

TEST_CASE("access: each subscribe and publish is asked about, a filter as a filter", "[broker]") {
    pusher::broker_params p;
    texts asked;
    p.authorize = [&](const access_request& r, const access_answer& answer) {
        asked.push_back(std::string(r.topic) + (r.match == pusher::match_mode::filter ? " as a filter" : ""));
        answer(r.match == pusher::match_mode::exact && r.topic != "private");
    };
    broker_script s(std::move(p));
    client a(s);
    a.subscribe("t");
    a.subscribe("private");
    a.send("subscribe", R"("topic":"#","match":"filter")");
    a.publish("t", "1");
    a.publish("private", "2");
    a.send("unsubscribe", R"("topic":"private")");
    CHECK(
        a.heard() ==
        texts{"ok", "fail forbidden", "fail forbidden", "t=1", "ok matched 1", "fail forbidden", "ok"});
    CHECK(asked == texts{"t", "private", "# as a filter", "t", "private"});
    // The host itself is not asked about.
    auto mine = s.broker.make_subscriber([](const pusher::message&) {});
    mine.subscribe("private");
    CHECK(s.broker.publish("private", "3").matched == 1);
    CHECK(asked.size() == 5);
}

TEST_CASE("access: a hook that throws has refused", "[broker]") {
    struct counting : pusher::observer {
        void at_handler_threw(const pusher::subscriber_info&, std::string_view, std::exception_ptr) override {
            ++threw;
        }
        int threw = 0;
    } seen;
    pusher::broker_params p;
    p.observer = &seen;
    SECTION("authenticate") {
        p.authenticate = [](const authentication_request&, const authentication_answer&) {
            throw std::runtime_error("broken");
        };
        broker_script s(std::move(p));
        client a(s);
        CHECK(a.heard() == texts{"close 1008 refused"});
    }
    SECTION("authorize") {
        p.authorize = [](const access_request&, const access_answer&) { throw 1; };
        broker_script s(std::move(p));
        client a(s);
        a.subscribe("t");
        a.send("ping");
        CHECK(a.heard() == texts{"fail forbidden", "ok"});
    }
    CHECK(seen.threw == 1);
}
