// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// What an observer is told of sessions and subscriptions, and when.

#include "broker_script.hpp"
#include "catch.hpp"

#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

using namespace test;

namespace {

using client = basic_client<broker_script>;

/// All that it is told, as text.
class recording final : public pusher::observer {
public:
    texts take() { return std::exchange(seen_, {}); }

private:
    static std::string name(const pusher::subscriber_info& who) {
        return (who.transport.empty() ? "host" : std::string(who.transport)) +
               (who.uid.empty() ? "" : " " + std::string(who.uid));
    }
    void note(std::string what, const pusher::subscriber_info& who, std::string_view more = {}) {
        seen_.push_back(std::move(what) + " " + name(who) + (more.empty() ? "" : " ") + std::string(more));
    }
    static std::string of_type(std::string_view topic, std::string_view type) {
        return std::string(topic) + (type.empty() ? "" : ":") + std::string(type);
    }

    void at_accept(const pusher::subscriber_info& who) override { note("accept", who); }
    void at_bind(const pusher::subscriber_info& who) override { note("bind", who); }
    void
    at_subscribe(const pusher::subscriber_info& who, std::string_view topic, std::string_view type) override {
        note("subscribe", who, of_type(topic, type));
    }
    void at_unsubscribe(
        const pusher::subscriber_info& who, std::string_view topic, std::string_view type) override {
        note("unsubscribe", who, of_type(topic, type));
    }
    void at_publish(const pusher::message& m, const pusher::receipt& r) override {
        seen_.push_back("publish " + std::string(m.topic()) + " matched " + std::to_string(r.matched));
    }
    void at_drop(const pusher::subscriber_info& who, std::string_view topic, pusher::drop_cause) override {
        note("drop", who, topic);
    }
    void at_gap(const pusher::subscriber_info& who, const pusher::gap& g) override {
        note("gap", who, std::string(g.topic) + " " + std::to_string(g.count));
    }
    void at_close(const pusher::subscriber_info& who, const pusher::close_reason& why) override {
        note("close", who, why.error.message());
    }
    void at_error(pusher::error_code why, std::string_view where) override {
        seen_.push_back("error " + std::string(where) + " " + why.message());
    }
    void at_handler_threw(
        const pusher::subscriber_info& who, std::string_view topic, std::exception_ptr) override {
        note("threw", who, topic);
    }

    texts seen_;
};

pusher::broker_params observed_by(recording& seen) {
    pusher::broker_params p;
    p.observer = &seen;
    p.authenticate = [](const auto&, const auto& answer) {
        answer(pusher::authentication_result::identified("ann"));
    };
    return p;
}

} // namespace

TEST_CASE("observer: a session, from its beginning to its end", "[broker]") {
    recording seen;
    auto p = observed_by(seen);
    p.subscribe_on_bind = {"user/{uid}"};
    broker_script s(std::move(p));
    client a(s);
    CHECK(seen.take() == texts{"accept tcp", "bind tcp ann", "subscribe tcp ann user/ann"});
    a.subscribe("t");
    a.subscribe("t"); // changes nothing
    a.send("subscribe", R"("topic":"t","type":"x")");
    a.send("subscribe", R"("topic":"f/#","match":"filter")");
    a.send("unsubscribe", R"("topic":"t","type":"x")");
    a.send("unsubscribe", R"("topic":"t","type":"x")"); // is not there
    s.run();
    CHECK(
        seen.take() == texts{
                           "subscribe tcp ann t", "subscribe tcp ann t:x", "subscribe tcp ann f/#",
                           "unsubscribe tcp ann t:x"});
    SECTION("it leaves") {
        a.leave();
        CHECK(
            seen.take() == texts{
                               "unsubscribe tcp ann f/#", "unsubscribe tcp ann t",
                               "unsubscribe tcp ann user/ann", "close tcp ann closed by the peer"});
    }
    SECTION("it is kicked") {
        CHECK(s.broker.kick_uid("ann") == 1);
        s.run();
        CHECK(seen.take().size() == 3);
        a.leave();
        CHECK(seen.take() == texts{"close tcp ann kicked"});
    }
    SECTION("the broker is cancelled") {
        s.broker.cancel();
        s.run();
        const auto told = seen.take();
        REQUIRE(told.size() == 4);
        CHECK(told.front() == "unsubscribe tcp ann f/#");
        CHECK(told.back().starts_with("close tcp ann"));
    }
}

TEST_CASE("observer: subscribers in process", "[broker]") {
    recording seen;
    std::optional<broker_script> s(std::in_place, observed_by(seen));
    {
        const auto one = s->broker.subscribe("t", [](const pusher::message&) {});
        CHECK(seen.take() == texts{"subscribe host t"});
        s->broker.publish("t", "1");
        CHECK(seen.take() == texts{"publish t matched 1"});
    }
    CHECK(seen.take() == texts{"unsubscribe host t"});

    auto mine = s->broker.make_subscriber([](const pusher::message&) { throw std::runtime_error("no"); });
    mine.bind("bob");
    mine.bind("bob");
    mine.subscribe("t");
    mine.subscribe("f/+", {.match = pusher::match_mode::filter, .type = "x"});
    mine.unsubscribe("t");
    CHECK(
        seen.take() ==
        texts{"bind host bob", "subscribe host bob t", "subscribe host bob f/+:x", "unsubscribe host bob t"});
    s->broker.publish("f/1", "1", {.type = "x"});
    CHECK(seen.take() == texts{"threw host bob f/1", "publish f/1 matched 1"});
    s.reset();
    CHECK(seen.take() == texts{"unsubscribe host bob f/+:x"});
}

TEST_CASE("observer: losses", "[broker]") {
    recording seen;
    auto p = observed_by(seen);
    p.outbox.messages = 1;
    broker_script s(std::move(p));
    client a(s, 10); // less than the first
    a.subscribe("t");
    s.run();
    seen.take();
    for (const auto* const payload : {"1", "2", "3"})
        s.broker.publish("t", payload);
    CHECK(
        seen.take() ==
        texts{"publish t matched 1", "publish t matched 1", "drop tcp ann t", "publish t matched 1"});
    texts got;
    for (int n = 0; n != 1000 && (got.empty() || got.back() != "t=3"); ++n)
        for (auto& text : a.heard())
            got.push_back(std::move(text));
    CHECK(got == texts{"ok", "t=1", "!t 1", "t=3"});
    CHECK(seen.take() == texts{"gap tcp ann t 1"});
}
