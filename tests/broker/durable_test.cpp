// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// Durable subscriptions, as peers and the host see them.

#include "broker_script.hpp"
#include "catch.hpp"

#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>

using namespace test;
using namespace std::chrono_literals;
using pusher::errc;
using pusher::error_code;

namespace {

/// Whoever shows a token is the user of that name.
pusher::broker_params with_users() {
    pusher::broker_params p;
    p.history.messages = 100;
    p.authenticate = [](const pusher::authentication_request& r,
                        const pusher::authentication_answer& answer) {
        answer(
            r.token.empty()         ? pusher::authentication_result::later()
            : r.token == "somebody" ? pusher::authentication_result::anonymous()
                                    : pusher::authentication_result::identified(std::string(r.token)));
    };
    return p;
}

void log_in(client& c, std::string_view uid) {
    c.send("auth", R"("token":")" + std::string(uid) + '"');
    CHECK(c.heard() == texts{"ok"});
}

constexpr auto subscribe_durably = R"("topic":"t","ack":true,"durable":"d")";

} // namespace

TEST_CASE("durable: a peer goes on where it was, and the newest holder has it", "[broker]") {
    broker_script s(with_users());
    {
        client a(s);
        log_in(a, "ann");
        a.send("subscribe", subscribe_durably);
        CHECK(a.heard() == texts{"ok"});
        s.broker.publish("t", "1");
        s.broker.publish("t", "2");
        CHECK(a.heard() == texts{"t@1=1", "t@2=2"});
        a.send("ack", R"("topic":"t","offset":1)");
        CHECK(a.heard() == texts{"ok"});
    }
    s.run_until([&] { return s.broker.stats().sessions == 0; });
    s.broker.publish("t", "3");
    client b(s);
    log_in(b, "ann");
    b.send("subscribe", subscribe_durably);
    CHECK(b.heard() == texts{"ok recovered", "t@2=2", "t@3=3"});
    CHECK(s.broker.stats().durable_subscriptions == 1);
    std::size_t found = 0;
    s.broker.for_each_durable([&](const pusher::durable_info& d) {
        ++found;
        CHECK(d.uid == "ann");
        CHECK(d.name == "d");
        CHECK(d.topic == "t");
        CHECK(d.acknowledged.offset == 1);
        CHECK(d.held);
    });
    CHECK(found == 1);

    client c(s);
    log_in(c, "ann");
    c.send("subscribe", subscribe_durably);
    CHECK(c.heard() == texts{"ok recovered", "t@2=2", "t@3=3"});
    const auto last = b.heard();
    REQUIRE(!last.empty());
    CHECK(last.back() == "close 1008 another session has the durable subscription now");
    b.leave();
    CHECK(s.broker.stats().durable_subscriptions == 1);

    c.send("unsubscribe", R"("topic":"t")");
    CHECK(c.heard() == texts{"ok"});
    CHECK(s.broker.stats().durable_subscriptions == 0);
    CHECK(s.broker.remove_durable("ann", "d") == 0);
}

TEST_CASE("durable: a peer is told why it cannot be", "[broker]") {
    broker_script s(with_users());
    client a(s);
    log_in(a, "somebody");
    a.send("subscribe", subscribe_durably);
    a.send("subscribe", R"("topic":"t","durable":"d")");
    CHECK(
        a.heard() == texts{
                         "fail params.durable needs an identity: it is kept for a user",
                         "fail params.durable needs params.ack: it goes on after what was acknowledged"});
}

TEST_CASE("durable: a subscriber in process, and another that takes it over", "[broker]") {
    broker_script s(with_users());
    auto one = s.broker.make_subscriber();
    error_code ec;
    one.subscribe("t", {.acknowledge = true, .durable = "d"}, ec);
    CHECK(ec == errc::not_authenticated);
    one.bind("ann");
    one.subscribe("t", {.acknowledge = true, .durable = "d"});
    std::optional<error_code> ended;
    one.async_receive([&](error_code why, const pusher::delivery&) { ended = why; });
    s.run();
    CHECK(!ended);
    auto two = s.broker.make_subscriber();
    two.bind("ann");
    two.subscribe("t", {.acknowledge = true, .durable = "d"});
    s.run_until([&] { return ended.has_value(); });
    CHECK(*ended == errc::taken_over);
    s.broker.publish("t", "1");
    std::string got;
    two.async_receive([&](error_code why, const pusher::delivery& d) {
        CHECK(!why);
        if (d.message)
            got = (*d.message)->payload();
    });
    s.run_until([&] { return !got.empty(); });
    CHECK(got == "1");
}

TEST_CASE("durable: parameters out of range", "[broker]") {
    boost::asio::io_context context;
    pusher::broker_params p;
    p.durable.expiry = 999ms;
    CHECK_THROWS_AS(pusher::broker<>(context, p), std::invalid_argument);
    p.durable.expiry = 1s;
    p.durable.subscriptions = 16'000'001;
    CHECK_THROWS_AS(pusher::broker<>(context, p), std::invalid_argument);
}
