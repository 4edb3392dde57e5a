// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// Failure ladders, as a host and its peers see them.

#include "broker_script.hpp"
#include "catch.hpp"

#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>

using namespace test;
using namespace std::chrono_literals;
using pusher::failed_delivery;
using pusher::failure_ladder;
namespace failure = pusher::failure;

namespace {

/// Whoever shows a token is the user of that name.
pusher::broker_params with(failure_ladder ladder) {
    pusher::broker_params p;
    p.on_failure = std::move(ladder);
    p.authenticate = [](const pusher::authentication_request& r,
                        const pusher::authentication_answer& answer) {
        answer(
            r.token.empty() ? pusher::authentication_result::later()
                            : pusher::authentication_result::identified(std::string(r.token)));
    };
    return p;
}

void log_in(client& c, std::string_view uid) {
    c.send("auth", R"("token":")" + std::string(uid) + '"');
    CHECK(c.heard() == texts{"ok"});
}

texts parked(broker_script& s, std::string_view uid) {
    texts found;
    s.broker.for_each_parked(uid, [&](const pusher::parked_message& p) {
        found.push_back(
            std::string(p.what.topic()) + "=" + std::string(p.what.payload()) + (p.waits ? " waits" : "") +
            (p.leaving ? " leaving" : "") + " " + std::string(p.who.uid) + " " + std::to_string(p.attempts));
    });
    return found;
}

/// A peer that takes a few bytes, and goes when something waits for it.
void miss(broker_script& s, std::string_view uid, int messages) {
    client a(s, 600);
    log_in(a, uid);
    a.subscribe("t");
    CHECK(a.heard() == texts{"ok"});
    a.peer.pause();
    for (int n = 1; n <= messages; ++n)
        s.broker.publish("t", std::string(200, static_cast<char>('0' + n)));
    s.run();
    a.peer.close();
    s.run();
}

} // namespace

TEST_CASE("failure: what a peer missed is there when its user is back", "[broker]") {
    broker_script s(with(failure_ladder(failure::persist{})));
    miss(s, "ann", 9);
    s.run_until([&] { return s.broker.stats().parked != 0; });
    const auto kept = s.broker.stats().parked_messages;
    CHECK(kept >= 2);
    CHECK(kept <= 8);
    CHECK(s.broker.stats().dropped_disconnected == 0);
    std::size_t users = 0;
    s.broker.for_each_parked_user([&](std::string_view uid, std::size_t messages, std::size_t bytes) {
        ++users;
        CHECK(uid == "ann");
        CHECK(messages == kept);
        CHECK(bytes == kept * 200);
    });
    CHECK(users == 1);

    client again(s);
    log_in(again, "ann");
    again.subscribe("t");
    s.run();
    s.broker.publish("t", "live");
    const auto heard = again.heard();
    REQUIRE(heard.size() == kept + 2);
    CHECK(heard.front() == "ok");
    for (std::size_t i = 1; i <= kept; ++i)
        CHECK(heard[i] == "t=" + std::string(200, static_cast<char>('0' + 9 - kept + i)));
    CHECK(heard.back() == "t=live");
    CHECK(s.broker.stats().parked_messages == 0);
    CHECK(s.broker.stats().returned == kept);
}

TEST_CASE("failure: a ladder runs in the event loop's time", "[broker]") {
    std::string alarm;
    std::optional<std::chrono::steady_clock::time_point> when;
    broker_script s(with(failure_ladder(
        failure::retry{.attempts = 2, .delay = 20ms, .backoff = 2, .jitter = 0},
        failure::alarm{[&](const failed_delivery& f) {
            alarm = std::string(f.who.uid) + " " + std::string(f.who.peer) + " " +
                    std::string(f.who.transport) + " " + std::to_string(f.attempts);
            when = std::chrono::steady_clock::now();
        }})));
    const auto began = std::chrono::steady_clock::now();
    miss(s, "ann", 5);
    CHECK(parked(s, "ann").size() == s.broker.stats().parked_messages);
    s.run_until([&] { return s.broker.stats().dead_letter_messages != 0; });
    CHECK(alarm == "ann somewhere tcp 3");
    CHECK(*when - began >= 60ms);
    std::optional<std::uint64_t> number;
    std::size_t letters = 0;
    s.broker.for_each_dead_letter([&](const pusher::dead_letter& d) {
        number = d.number;
        ++letters;
        CHECK(d.who.uid == "ann");
        CHECK(d.why == pusher::failure_cause::disconnected);
        CHECK(d.attempts == 3);
        CHECK(d.what.topic() == "t");
    });
    REQUIRE(number);
    CHECK(letters == s.broker.stats().dead_letter_messages);
    CHECK(s.broker.requeue_dead_letter(*number));
    CHECK(!s.broker.requeue_dead_letter(*number));
    CHECK(parked(s, "ann") == texts{"t=" + std::string(200, '5') + " ann 3"});
    CHECK(s.broker.purge_parked("ann") == 1);
    CHECK(s.broker.purge_dead_letters() == letters - 1);
    CHECK(s.broker.stats().dead_letter_messages == 0);
}

TEST_CASE("failure: an alarm may kick, publish and unsubscribe", "[broker]") {
    broker_script* script = nullptr;
    std::optional<pusher::subscription> other;
    int calls = 0;
    auto p = with(failure_ladder());
    broker_script s(p);
    script = &s;
    client a(s);
    log_in(a, "ann");
    a.subscribe("alarms");
    CHECK(a.heard() == texts{"ok"});
    const failure_ladder ladder(
        failure::alarm{[&](const failed_delivery& f) {
            ++calls;
            script->broker.publish("alarms", f.what.payload());
            script->broker.kick_uid("ann");
            other.reset();
        }},
        failure::drop{});
    other = s.broker.subscribe("t", [](const pusher::message&) {}, {});
    auto failing = s.broker.subscribe(
        "t", [](const pusher::message&) { throw std::runtime_error("no"); }, {.on_failure = &ladder});
    s.broker.publish("t", "x");
    s.run_until([&] { return calls == 1; });
    CHECK(a.heard() == texts{"alarms=x", "close 1008 kicked"});
    CHECK(s.broker.stats().dropped_failed == 1);
    CHECK(!other);
}

TEST_CASE("failure: a broker may end with something parked, or about to be tried", "[broker]") {
    std::optional<broker_script> s(std::in_place, with(failure_ladder(failure::retry{}, failure::persist{})));
    miss(*s, "ann", 5);
    auto failing = s->broker.subscribe("t", [](const pusher::message&) { throw std::runtime_error("no"); });
    s->broker.publish("t", "x");
    CHECK(s->broker.stats().parked_messages != 0);
    SECTION("cancelled") { s->broker.cancel(); }
    SECTION("destroyed") {}
    s.reset();
    CHECK(!failing.active());
}

TEST_CASE("failure: parameters out of range", "[broker]") {
    const auto refused = [](auto&& change) {
        pusher::broker_params p;
        change(p);
        boost::asio::io_context context;
        try {
            const pusher::broker<> b(context, p);
        } catch (const std::invalid_argument& e) {
            return std::string(e.what());
        }
        return std::string("accepted");
    };
    CHECK(refused([](auto& p) {
              p.parking.messages = 0;
          }) == "broker_params: parking.messages is not 1 to 1,000,000");
    CHECK(refused([](auto& p) { p.parking.bytes = 0; }) == "broker_params: parking.bytes is not 1 to 1 GiB");
    CHECK(refused([](auto& p) {
              p.parking.users = 0;
          }) == "broker_params: parking.users is not 1 to 16,000,000");
    CHECK(refused([](auto& p) {
              p.parking.ttl = 0ms;
          }) == "broker_params: parking.ttl is not 1 ms to 100 days");
    CHECK(refused([](auto& p) {
              p.dead_letters.messages = 1'000'001;
          }) == "broker_params: dead_letters.messages is over 1,000,000");
    CHECK(refused([](auto& p) {
              p.dead_letters.bytes = (1UL << 30) + 1;
          }) == "broker_params: dead_letters.bytes is over 1 GiB");
    CHECK(refused([](auto&) {}) == "accepted");
}
