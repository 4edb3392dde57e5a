// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// A client and a real broker, joined by memory: whatever breaks, and whenever, nothing comes twice, nothing
// out of order, and nothing is missing that was not told.

#include <pusher/broker.hpp>
#include <pusher/testing/fail_count.hpp>
#include <pusher/testing/memory_transport.hpp>

#include "client_world.hpp"

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

using namespace pusher;
using test::manual_clock;
using test::outcome;
using namespace std::chrono_literals;

namespace {

/// Connects to whoever listens at a memory port; a connection that fails is one more operation that can.
class port_connector final : public client_connector {
public:
    port_connector(boost::asio::any_io_executor ex, testing::memory_port& port)
        : executor_(std::move(ex)),
          port_(port) {}

    void connect(const client_url&, std::size_t, std::function<void(error_code, channel_ptr)> done) override {
        const auto run = ++run_;
        boost::asio::post(executor_, [this, run, done = std::move(done)] {
            if (run != run_)
                return;
            auto ec = faults ? faults->next() : error_code();
            if (!ec) {
                auto near_end = params;
                near_end.faults = faults;
                last = port_.connect(near_end);
                if (!last)
                    ec = boost::asio::error::connection_refused;
            }
            done(ec, ec ? channel_ptr() : channel_ptr(last));
        });
    }
    void cancel() noexcept override { ++run_; }

    testing::memory_channel_params params;
    testing::fail_count* faults = nullptr;
    testing::memory_channel_ptr last;

private:
    boost::asio::any_io_executor executor_;
    testing::memory_port& port_;
    std::size_t run_ = 0;
};

struct memory_world {
    using broker_type = broker<testing::memory>;

    static client_params params() {
        auto p = test::client_world::params();
        p.url = "tcp://memory:1";
        return p;
    }

    explicit memory_world(
        std::size_t history, std::function<void(broker_params&)> change = {}, client_params p = params()) {
        settings.history.messages = history;
        if (change)
            change(settings);
        start_broker();
        subject.emplace(io.get_executor(), std::move(p), client_environment{clock, connector});
    }

    void start_broker() {
        hub.reset();
        hub.emplace(io, settings);
        hub->listen(testing::memory_params{&port});
    }

    void run() {
        io.restart();
        io.poll();
    }
    /// Lets the client come back, however long it takes to.
    void settle() {
        for (int i = 0; i != 200 && !subject->connected(); ++i) {
            run();
            clock->advance(100ms);
        }
        run();
    }
    void publish(std::string_view topic, std::string_view payload) { hub->publish(topic, payload); }

    /// All that there is to receive.
    std::vector<client_event> take_all() {
        std::vector<client_event> all;
        for (;;) {
            boost::asio::cancellation_signal signal;
            outcome<client_event> o;
            subject->async_receive(boost::asio::bind_cancellation_slot(signal.slot(), o.handler()));
            run();
            if (!o.done()) {
                signal.emit(boost::asio::cancellation_type::total);
                run();
                return all;
            }
            all.push_back(o.get());
        }
    }
    std::vector<std::string> take_payloads() {
        std::vector<std::string> payloads;
        for (const auto& e : take_all())
            if (const auto* const m = std::get_if<pinned_message>(&e))
                payloads.emplace_back((*m)->payload());
        return payloads;
    }

    boost::asio::io_context io;
    testing::memory_port port;
    broker_params settings;
    std::shared_ptr<manual_clock> clock = std::make_shared<manual_clock>(io.get_executor());
    std::shared_ptr<port_connector> connector = std::make_shared<port_connector>(io.get_executor(), port);
    std::optional<broker_type> hub;
    std::optional<client> subject;
    outcome<> running;
};

/// Watches one topic's messages come: each after the one before, and what is missing was told.
class watcher {
public:
    void see(const client_event& e) {
        if (const auto* const m = std::get_if<pinned_message>(&e)) {
            const auto p = (*m)->position();
            REQUIRE(p.has_value());
            INFO("after " << last_.offset << " comes " << p->offset << ", gaps " << told_);
            if (p->epoch != last_.epoch) {
                CHECK((last_.epoch == 0 || unrecovered_));
            } else {
                CHECK(p->offset > last_.offset);
                CHECK(p->offset - last_.offset - 1 == told_);
            }
            last_ = *p;
            told_ = 0;
            unrecovered_ = false;
            ++messages;
        } else if (const auto* const g = std::get_if<client_gap>(&e)) {
            told_ += g->count;
            missed += g->count;
        } else if (const auto* const u = std::get_if<client_unrecovered>(&e)) {
            CHECK(!u->error);
            unrecovered_ = true;
        } else if (const auto* const c = std::get_if<client_connected>(&e)) {
            reconnects += c->again ? 1 : 0;
        }
    }
    std::uint64_t messages = 0;
    std::uint64_t missed = 0;
    std::uint64_t reconnects = 0;

private:
    topic_position last_;
    std::uint64_t told_ = 0;
    bool unrecovered_ = false;
};

} // namespace

TEST_CASE("client with a broker: subscribe, publish, receive", "[client][hub]") {
    memory_world w(10);
    w.subject->async_run(w.running.handler());
    w.settle();
    REQUIRE(w.subject->connected());

    outcome<client_subscribe_result> subscribed;
    w.subject->async_subscribe("a", subscribed.handler());
    w.run();
    CHECK(subscribed.ec() == error_code());
    REQUIRE(subscribed.get().position.has_value());
    CHECK(subscribed.get().position->offset == 0);

    outcome<client_publish_result> published;
    w.subject->async_publish("a", "mine", {.type = "t", .id = "i"}, published.handler());
    w.run();
    CHECK(published.ec() == error_code());
    CHECK(published.get().matched == 1);
    CHECK(published.get().position->offset == 1);
    w.publish("a", "\xFF");
    CHECK(w.take_payloads() == std::vector<std::string>{"mine", "\xFF"});

    outcome<> unsubscribed;
    w.subject->async_unsubscribe("a", unsubscribed.handler());
    w.run();
    CHECK(unsubscribed.ec() == error_code());
    w.publish("a", "after");
    CHECK(w.take_payloads().empty());

    outcome<client_subscribe_result> history;
    w.subject->async_subscribe("a", {.history = 2}, history.handler());
    w.run();
    CHECK(w.take_payloads() == std::vector<std::string>{"\xFF", "after"});

    w.subject->close();
    w.run();
    CHECK(w.running.ec() == error_code());
    CHECK(w.hub->stats().transports.at("tcp").sessions == 0);
}

TEST_CASE("client with a broker: every operation fails once", "[client][hub][faults]") {
    std::size_t whole = 0;
    for (const std::size_t piece : {std::size_t{64 * 1024}, std::size_t{7}}) {
        for (std::size_t n = 0;; ++n) {
            INFO("operation " << n << ", pieces of " << piece);
            testing::fail_count faults(n);
            memory_world w(1000);
            w.connector->faults = &faults;
            w.connector->params.piece = piece;
            w.subject->async_run(w.running.handler());
            outcome<client_subscribe_result> subscribed;
            w.subject->async_subscribe("a", subscribed.handler());
            watcher seen;
            const auto look = [&] {
                for (const auto& e : w.take_all())
                    seen.see(e);
            };
            w.settle();
            REQUIRE(subscribed.ec() == error_code());
            std::vector<outcome<client_publish_result>> published;
            for (int i = 0; i != 5; ++i) {
                w.publish("a", std::to_string(i));
                published.emplace_back();
                w.subject->async_publish("a", "p" + std::to_string(i), published.back().handler());
                w.run();
                look();
            }
            w.settle();
            look();
            CHECK(w.subject->connected());
            CHECK(seen.missed == 0);
            std::uint64_t least = 5;
            for (const auto& p : published) {
                CHECK((!p.ec() || p.ec() == client_errc::connection_lost));
                least += p.ec() ? 0 : 1;
            }
            CHECK(seen.messages >= least);
            CHECK(seen.messages <= 10);
            w.subject->close();
            w.run();
            w.clock->advance(1s); // for a hub that does not answer the goodbye
            w.run();
            CHECK(w.running.ec() == error_code());
            if (!faults.failed()) {
                CHECK(seen.messages == 10);
                whole += n;
                break;
            }
        }
    }
    CHECK(whole > 40);
}

TEST_CASE("client with a broker: breaks at random, with a history that is long enough", "[client][hub]") {
    std::uint64_t reconnects = 0;
    for (unsigned seed = 0; seed != 20; ++seed) {
        INFO("seed " << seed);
        std::mt19937 random(seed);
        const auto chance = [&](unsigned in) { return random() % in == 0; };
        auto p = memory_world::params();
        p.inbox_messages = 1 + random() % 20;
        memory_world w(100'000, {}, p);
        w.connector->params.piece = 1 + random() % 200;
        w.subject->async_run(w.running.handler());
        w.settle();
        outcome<client_subscribe_result> subscribed;
        w.subject->async_subscribe("a", subscribed.handler());
        // Another subscription that matches too, and one that brings more of the topic.
        outcome<client_subscribe_result> by_type, by_filter;
        w.subject->async_subscribe("a", {.type = "t"}, by_type.handler());
        w.subject->async_subscribe("#", {.match = match_mode::filter}, by_filter.handler());
        w.run();
        REQUIRE(subscribed.done());
        watcher seen;
        std::uint64_t count = 0;
        for (int step = 0; step != 500; ++step) {
            for (auto burst = random() % 4; burst != 0; --burst, ++count)
                w.hub->publish("a", std::to_string(count), {.type = chance(2) ? "t" : ""});
            if (chance(3))
                w.run();
            if (chance(20) && w.connector->last)
                w.connector->last->break_with();
            if (chance(3))
                for (const auto& e : w.take_all())
                    seen.see(e);
            w.clock->advance(std::chrono::milliseconds(random() % 500));
        }
        for (int i = 0; i != 200 && seen.messages + seen.missed != count; ++i) {
            w.settle();
            for (const auto& e : w.take_all())
                seen.see(e);
        }
        CHECK(seen.messages == count); // the hub's outbox may overflow, but then it is told
        CHECK(seen.missed == 0);
        reconnects += seen.reconnects;
    }
    CHECK(reconnects > 100);
}

TEST_CASE("client with a broker: breaks at random, with too little of everything", "[client][hub]") {
    std::uint64_t all_missed = 0;
    std::uint64_t reconnects = 0;
    for (unsigned seed = 0; seed != 20; ++seed) {
        INFO("seed " << seed);
        std::mt19937 random(seed);
        const auto chance = [&](unsigned in) { return random() % in == 0; };
        auto p = memory_world::params();
        p.inbox_messages = 1 + random() % 5;
        memory_world w(
            1 + random() % 10,
            [&](broker_params& b) {
                b.outbox.messages = 1 + random() % 5;
                b.outbox.overflow = chance(3)   ? overflow_policy::drop_oldest
                                    : chance(2) ? overflow_policy::drop_newest
                                                : overflow_policy::disconnect;
            },
            p);
        w.subject->async_run(w.running.handler());
        w.settle();
        outcome<client_subscribe_result> subscribed;
        w.subject->async_subscribe("a", subscribed.handler());
        w.run();
        REQUIRE(subscribed.done());
        watcher seen;
        std::uint64_t count = 0;
        for (int step = 0; step != 400; ++step) {
            for (auto burst = random() % 8; burst != 0; --burst, ++count)
                w.publish("a", std::to_string(count));
            w.run();
            if (chance(15) && w.connector->last)
                w.connector->last->break_with();
            if (chance(3))
                for (const auto& e : w.take_all())
                    seen.see(e);
            w.clock->advance(std::chrono::milliseconds(random() % 500));
        }
        for (int i = 0; i != 200 && seen.messages + seen.missed != count; ++i) {
            w.settle();
            for (const auto& e : w.take_all())
                seen.see(e);
        }
        CHECK(seen.messages + seen.missed == count);
        CHECK(seen.messages > 0);
        all_missed += seen.missed;
        reconnects += seen.reconnects;
    }
    CHECK(all_missed > 0);
    CHECK(reconnects > 100);
}

TEST_CASE("client with a broker: what is published is published once at most", "[client][hub]") {
    for (unsigned seed = 0; seed != 20; ++seed) {
        INFO("seed " << seed);
        std::mt19937 random(seed);
        memory_world w(0);
        std::map<std::string, int, std::less<>> published;
        std::vector<std::string> order;
        const auto s = w.hub->subscribe("a", [&](const message& m) {
            ++published[std::string(m.payload())];
            order.emplace_back(m.payload());
        });
        w.subject->async_run(w.running.handler());
        std::vector<outcome<client_publish_result>> results(300);
        for (std::size_t i = 0; i != results.size(); ++i) {
            w.subject->async_publish("a", std::to_string(1000 + i), results[i].handler());
            if (random() % 3 == 0)
                w.run();
            if (random() % 10 == 0 && w.connector->last)
                w.connector->last->break_with();
            w.clock->advance(std::chrono::milliseconds(random() % 100));
        }
        w.settle();
        w.clock->advance(10s);
        w.settle();
        std::size_t lost = 0;
        for (std::size_t i = 0; i != results.size(); ++i) {
            const auto payload = std::to_string(1000 + i);
            const auto ec = results[i].ec();
            const auto times = published[payload];
            INFO(payload << ": " << ec.message());
            CHECK(times <= 1);
            if (!ec)
                CHECK(times == 1);
            else if (ec == client_errc::not_sent)
                CHECK(times == 0);
            else
                CHECK(ec == client_condition::outcome_unknown);
            lost += ec == client_errc::connection_lost ? 1U : 0U;
        }
        CHECK(lost > 0);
        CHECK(std::is_sorted(order.begin(), order.end()));
    }
}

TEST_CASE("client with a broker: what is tried again by its id is published once", "[client][hub]") {
    for (unsigned seed = 0; seed != 10; ++seed) {
        INFO("seed " << seed);
        std::mt19937 random(seed);
        memory_world w(0, [](broker_params& p) { p.idempotency.messages = 1000; });
        std::map<std::string, int, std::less<>> published;
        const auto s =
            w.hub->subscribe("a", [&](const message& m) { ++published[std::string(m.payload())]; });
        w.subject->async_run(w.running.handler());
        std::size_t repeated = 0;
        for (int i = 0; i != 100; ++i) {
            const auto id = std::to_string(i);
            for (bool done = false; !done;) {
                w.settle();
                outcome<client_publish_result> result;
                w.subject->async_publish("a", id, {.id = id}, result.handler());
                if (random() % 2 == 0 && w.connector->last) {
                    for (auto steps = random() % 4; steps != 0; --steps) { // some of it gets through
                        w.io.restart();
                        w.io.poll_one();
                    }
                    w.connector->last->break_with();
                }
                w.settle();
                w.clock->advance(10s);
                w.settle();
                done = !result.ec();
                repeated += done && result.get().repeated ? 1 : 0;
            }
            CHECK(published[id] == 1);
        }
        CHECK(published.size() == 100);
        CHECK(repeated > 0);
        CHECK(w.hub->stats().repeated_publishes >= repeated); // the answer to a repeat may be lost as well
    }
}

TEST_CASE("client with a broker: the broker is another one when it comes back", "[client][hub]") {
    memory_world w(100);
    w.subject->async_run(w.running.handler());
    w.settle();
    outcome<client_subscribe_result> subscribed;
    w.subject->async_subscribe("a", subscribed.handler());
    w.run();
    for (int i = 0; i != 5; ++i)
        w.publish("a", "old " + std::to_string(i));
    CHECK(w.take_payloads().size() == 5);

    w.start_broker();
    w.publish("a", "new 0");
    w.publish("a", "new 1");
    w.run();
    w.settle();
    const auto events = w.take_all();
    REQUIRE(events.size() == 5);
    CHECK(std::holds_alternative<client_disconnected>(events[0]));
    CHECK(std::get<client_connected>(events[1]).again);
    const auto& loss = std::get<client_unrecovered>(events[2]);
    CHECK(loss.topic == "a");
    CHECK(loss.position->offset == 2);
    CHECK(std::get<pinned_message>(events[3])->payload() == "new 0");
    CHECK(std::get<pinned_message>(events[4])->payload() == "new 1");
}

TEST_CASE("client with a broker: drain says when to come back", "[client][hub]") {
    memory_world w(100, [](broker_params& b) { b.retry_after = 3s; });
    w.subject->async_run(w.running.handler());
    w.settle();
    w.take_all();
    outcome<> drained;
    w.hub->async_drain(1s, drained.handler());
    w.run();
    const auto events = w.take_all();
    REQUIRE(events.size() == 1);
    const auto& down = std::get<client_disconnected>(events[0]);
    CHECK(down.code == 1001);
    REQUIRE(down.retry_in.has_value());
    CHECK(*down.retry_in >= 3s);
    CHECK(*down.retry_in <= 6s);
}

TEST_CASE("client with a broker: tokens", "[client][hub]") {
    auto p = memory_world::params();
    p.token = "good";
    memory_world w(
        0,
        [](broker_params& b) {
            b.authenticate = [](const authentication_request& r, authentication_answer answer) {
                if (r.token.empty())
                    answer(authentication_result::later());
                else if (r.token == "good")
                    answer(authentication_result::identified("100"));
                else
                    answer(authentication_result::refused("who are you"));
            };
            b.authorize = [](const access_request& r, access_answer answer) { answer(r.topic != "secret"); };
            b.subscribe_on_bind = {"userid_{uid}"};
        },
        p);
    w.subject->async_run(w.running.handler());
    w.settle();
    w.hub->push_to("100", "userid_100", "for you");
    CHECK(w.take_payloads() == std::vector<std::string>{"for you"});
    outcome<client_subscribe_result> secret;
    w.subject->async_subscribe("secret", secret.handler());
    w.run();
    CHECK(secret.ec() == errc::forbidden);

    w.subject->set_token("bad");
    CHECK(w.hub->kick_uid("100", "go away") == 1);
    w.run();
    for (int i = 0; i != 10; ++i) {
        w.clock->advance(1s);
        w.run();
    }
    CHECK(w.running.ec() == errc::refused);
    const auto events = w.take_all();
    REQUIRE(!events.empty());
    const auto& down = std::get<client_disconnected>(events.back());
    CHECK(down.error == errc::refused);
    CHECK(down.reason == "who are you");
}

TEST_CASE(
    "client with a broker: at least once, with what was dealt with acknowledged by itself", "[client][hub]") {
    memory_world w(1000, [](broker_params& p) { p.acknowledgement = {5, 24h}; });
    w.subject->async_run(w.running.handler());
    outcome<client_subscribe_result> subscribed;
    w.subject->async_subscribe("a", {.acknowledge = true}, subscribed.handler());
    w.settle();
    REQUIRE(subscribed.ec() == error_code());
    for (int n = 0; n != 100; ++n)
        w.publish("a", std::to_string(n));
    watcher seen;
    SECTION("each comes once, however small the window") {
        for (const auto& e : w.take_all())
            seen.see(e);
    }
    SECTION("over connections that break") {
        for (int n = 0; seen.messages != 100; ++n) {
            REQUIRE(n < 1000);
            outcome<client_event> o;
            w.subject->async_receive(o.handler());
            w.run();
            if (!o.done())
                w.settle();
            REQUIRE(o.done());
            seen.see(o.get());
            if (n % 7 == 6 && w.connector->last) {
                w.connector->last->break_with();
                w.run();
            }
        }
        CHECK(seen.reconnects > 10);
    }
    CHECK(seen.messages == 100);
    CHECK(seen.missed == 0);
    w.settle();
    // All but what the user still has in hand is acknowledged: the window is open for five more.
    for (int n = 0; n != 5; ++n)
        w.publish("a", "more");
    CHECK(w.take_payloads().size() == 5);
    CHECK(w.hub->stats().redelivered == 0);
    CHECK(w.hub->stats().transports.at("tcp").bad_requests == 0);
}

TEST_CASE("client with a broker: a durable subscription goes on in another process", "[client][hub]") {
    auto p = memory_world::params();
    p.token = "ann";
    memory_world w(
        1000,
        [](broker_params& b) {
            b.acknowledgement = {5, 24h};
            b.authenticate = [](const authentication_request& r, const authentication_answer& answer) {
                answer(
                    r.token.empty() ? authentication_result::later()
                                    : authentication_result::identified(std::string(r.token)));
            };
        },
        p);
    const auto subscribe = [&] {
        outcome<client_subscribe_result> subscribed;
        w.subject->async_subscribe("a", {.acknowledge = true, .durable = "d"}, subscribed.handler());
        w.settle();
        REQUIRE(subscribed.ec() == error_code());
        return subscribed.get().recovered;
    };
    const auto receive = [&] {
        outcome<client_event> o;
        w.subject->async_receive(o.handler());
        w.run();
        if (!o.done()) // it waits for the rest, and acknowledges
            w.settle();
        REQUIRE(o.done());
        const auto event = o.get();
        const auto* const m = std::get_if<pinned_message>(&event);
        return m ? std::string((*m)->payload()) : std::string("?");
    };
    const auto restart = [&] {
        w.subject.emplace(w.io.get_executor(), p, client_environment{w.clock, w.connector});
        w.running = {};
        w.subject->async_run(w.running.handler());
        w.settle();
    };
    const auto begin = [&] {
        while (receive() != "?") { // connected
        }
    };
    const auto expect = [&](int first) {
        for (int n = first; n <= 20;)
            if (const auto next = receive(); next != "?")
                CHECK(next == std::to_string(n++));
    };
    w.subject->async_run(w.running.handler());
    w.settle();
    begin();
    CHECK(!subscribe());
    for (int n = 1; n <= 20; ++n)
        w.publish("a", std::to_string(n));
    for (int n = 1; n <= 8; ++n)
        CHECK(receive() == std::to_string(n));
    SECTION("over a connection that breaks") {
        w.connector->last->break_with();
        w.settle();
        expect(9);
    }
    SECTION("in another life of the program") { // which had not dealt with the last
        restart();
        begin();
        CHECK(subscribe() == true);
        SECTION("at once") {}
        SECTION("also if the connection breaks before anything was taken") {
            w.connector->last->break_with();
            w.settle();
        }
        expect(8);
    }
}

TEST_CASE("client: what an acknowledging subscription does not go with", "[client][hub]") {
    memory_world w(10);
    w.subject->async_run(w.running.handler());
    w.settle();
    const auto ask = [&](std::string_view topic, const subscribe_options& o) {
        outcome<client_subscribe_result> result;
        w.subject->async_subscribe(topic, o, result.handler());
        w.run();
        return result.ec();
    };
    CHECK(ask("a/#", {.match = match_mode::filter, .acknowledge = true}) == errc::unsupported);
    CHECK(ask("a", {.overflow = overflow_policy::drop_oldest, .acknowledge = true}) == errc::unsupported);
    CHECK(ask("a", {.durable = "d"}) == errc::unsupported);
    CHECK(ask("a", {.acknowledge = true, .durable = "d\n"}) == errc::invalid_message);
    CHECK(ask("a", {.overflow = overflow_policy::spill, .acknowledge = true}) == error_code());
    CHECK(ask("a", {}) == error_code());
    for (int n = 0; n != 10; ++n)
        w.publish("a", "x");
    CHECK(w.take_payloads().size() == 10);
}
