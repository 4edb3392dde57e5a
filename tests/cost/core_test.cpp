// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// What the core does does not grow with what it has nothing to do with.

#include <pusher/detail/core.hpp>

#include "catch.hpp"
#include "core_script.hpp"
#include "work.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

using namespace test;

namespace {

constexpr std::size_t thousand = 1000;

/// Sessions of 1,000 topics each, which no other session has.
struct crowd {
    explicit crowd(std::size_t sessions) : script(roomy()) {
        for (std::size_t topic = 0; topic != thousand; ++topic)
            names.push_back(name(0, topic));
        for (std::size_t n = 0; n != sessions; ++n) {
            peers.push_back(script.session());
            for (std::size_t topic = 0; topic != thousand; ++topic)
                script.subscribe(peers.back(), name(n, topic));
        }
    }

    static pusher::detail::core_params roomy() {
        pusher::detail::core_params p;
        p.topics = 2'000'000;
        return p;
    }
    static std::string name(std::size_t session, std::size_t topic) {
        // All are of one length: what a test does with a longer one may take an allocation more.
        return "of " + std::to_string(1'000'000 + session) + "/topic " + std::to_string(1000 + topic);
    }

    /// A message to each of 1,000 topics, of all sessions in turn.
    work publish() {
        std::vector<std::string> topics;
        for (std::size_t n = 0; n != thousand; ++n)
            topics.push_back(name(n % peers.size(), n));
        for (const auto& p : peers)
            p->link.bytes.clear(); // what it had room for it has room for again
        return work_of([&] {
            for (const auto& topic : topics) {
                script.core.publish(topic, "x");
                script.turn();
            }
        });
    }
    work publish_to_nobody(std::size_t messages) {
        std::vector<std::string> topics;
        for (std::size_t n = 0; n != messages; ++n)
            topics.push_back(name(peers.size(), n));
        return work_of([&] {
            for (const auto& topic : topics)
                script.core.publish(topic, "x");
        });
    }
    work subscribe_and_unsubscribe() {
        const auto a = script.session();
        std::vector<std::string> topics;
        for (std::size_t n = 0; n != thousand; ++n)
            topics.push_back(name(n % 2 == 0 ? n % peers.size() : peers.size(), n));
        return work_of([&] {
            for (const auto& topic : topics)
                script.subscribe(a, topic);
            for (const auto& topic : topics)
                script.unsubscribe(a, topic);
        });
    }
    work remove(std::size_t session) {
        return work_of([&] { script.core.remove(*peers[session]); });
    }

    core_script script;
    std::vector<peer_ptr> peers;
    std::vector<std::string> names; ///< of the first session's topics
};

/// Whether it is about as much: a table that is larger may be fuller too.
bool about(const work& large, const work& small) {
    INFO(large.blocks << " and " << small.blocks);
    CHECK(small.blocks > thousand); // the core is counted at all
    CHECK(large.allocations <= small.allocations + small.allocations / 2);
    return large.blocks <= small.blocks + small.blocks / 2;
}

/// The payload alone.
class plain final : public pusher::encoding {
public:
    void push(const pusher::message& m, std::string& out) const override { out.append(m.payload()); }
    void gap(const pusher::gap&, std::string&) const override {}
};

} // namespace

TEST_CASE("cost: what is done to one topic does not grow with the number of topics") {
    crowd small(1);
    crowd large(thousand);
    REQUIRE(large.script.core.topics() == thousand * thousand);

    small.publish(); // room that is kept
    large.publish();
    CHECK(about(large.publish(), small.publish()));
    CHECK(about(large.publish_to_nobody(thousand), small.publish_to_nobody(thousand)));
    small.subscribe_and_unsubscribe();
    large.subscribe_and_unsubscribe();
    CHECK(about(large.subscribe_and_unsubscribe(), small.subscribe_and_unsubscribe()));

    // A topic that nobody subscribes to, and without history, is nothing.
    const auto nobody = large.publish_to_nobody(thousand * thousand);
    CHECK(nobody.allocations == 0);
    CHECK(large.script.asked == 0);
    CHECK(large.script.core.topics() == thousand * thousand);

    // A session goes, with 1,000 subscriptions.
    CHECK(about(large.remove(thousand / 2), small.remove(0)));
    CHECK(large.script.core.topics() == thousand * (thousand - 1));
    CHECK(small.script.core.topics() == 0);
}

TEST_CASE("cost: a publish does not grow with the number of filters that have nothing to do with it") {
    const auto publishes = [](std::size_t filters) {
        core_script s;
        std::vector<peer_ptr> peers;
        for (std::size_t n = 0; n != filters; ++n) {
            if (n % thousand == 0)
                peers.push_back(s.session());
            const auto id = std::to_string(n);
            s.subscribe_filter(
                peers.back(), n % 4 == 0   ? "devices/" + id + "/+"
                              : n % 4 == 1 ? "devices/" + id + "/state/#"
                              : n % 4 == 2 ? "+/" + id + "/alarm"
                                           : "rooms/+/of/" + id);
        }
        CHECK(s.core.filters() == filters);
        const std::vector<std::string> topics{"devices/0/temperature", "devices/1/state", "devices/2/alarm",
                                              "rooms/7/of/3",          "rooms/7",         "news"};
        const auto once = [&] {
            std::size_t matched = 0;
            for (std::size_t n = 0; n != thousand; ++n) {
                matched += s.core.publish(topics[n % topics.size()], "x").matched;
                s.turn();
            }
            CHECK(matched == 668);
        };
        once();
        return work_of(once);
    };
    CHECK(about(publishes(10'000), publishes(10)));
}

TEST_CASE("cost: logging out does not grow with the number of sessions of a uid") {
    const auto log_out = [](std::size_t sessions) {
        core_script s;
        std::vector<peer_ptr> peers;
        for (std::size_t n = 0; n != sessions; ++n) {
            peers.push_back(s.queue());
            s.core.bind(*peers.back(), "ann");
        }
        const auto logged_in = [&] {
            std::size_t count = 0;
            s.core.for_each_of_uid("ann", [&](const pusher::detail::subscriber_base&) { ++count; });
            return count;
        };
        REQUIRE(logged_in() == sessions);
        // Those who came last, those in the middle, and those who came first.
        std::vector<std::size_t> leaving;
        for (std::size_t n = 0; n != 100; ++n)
            for (const auto from : {sessions - 100, sessions / 2, std::size_t{100}})
                leaving.push_back(from + n);
        const auto done = work_of([&] {
            for (const auto n : leaving)
                s.core.bind(*peers[n], n % 2 == 0 ? "" : "bob");
        });
        CHECK(logged_in() == sessions - leaving.size());
        return done;
    };
    CHECK(about(log_out(10'000), log_out(1000)));
}

TEST_CASE("cost: topics that are published to again and again need no memory for it") {
    crowd c(1);
    const plain as;
    c.script.core.attach(*c.peers[0], as, c.peers[0]->link);
    const std::string payload(100, 'x');
    const auto publish = [&] {
        for (std::size_t n = 0; n != 10 * thousand; ++n) {
            c.script.core.publish(c.names[n % thousand], payload);
            if (n % 32 == 31)
                c.script.turn();
        }
        c.script.turn();
        CHECK(c.peers[0]->link.bytes.size() == 10 * thousand * payload.size());
        c.peers[0]->link.bytes.clear();
    };
    publish();
    const auto done = work_of(publish);
    CHECK(done.allocations <= 10); // of the peer
}

TEST_CASE("cost: what a topic and a subscription take in memory") {
    constexpr std::size_t topics = 100 * thousand;
    core_script s;
    std::vector<std::string> names;
    for (std::size_t n = 0; n != topics; ++n)
        names.push_back("device/" + std::to_string(n) + "/state");
    std::vector<peer_ptr> peers;
    for (std::size_t n = 0; n != topics / 100; ++n)
        peers.push_back(s.queue());
    // Each subscriber has a thousand topics, and each topic ten subscribers.
    const auto subscribe = [&](std::size_t from, std::size_t to) {
        return work_of([&] {
            pusher::error_code ec;
            for (std::size_t n = from * topics; n != to * topics; ++n)
                s.core.subscribe(*peers[n / thousand], names[n % topics], {}, ec);
            REQUIRE(!ec);
        });
    };
    const auto first = subscribe(0, 1);
    const auto others = subscribe(1, 10);
    REQUIRE(s.core.subscriptions() == 10 * topics);
    const auto each = [](const work& w, std::size_t count) {
        return static_cast<double>(w.bytes) / static_cast<double>(count);
    };
    INFO(each(first, topics) << " and " << each(others, 9 * topics));
    CHECK(each(first, topics) <= 128 + 32); // a topic, and its subscription
    CHECK(each(others, 9 * topics) <= 32);
}
