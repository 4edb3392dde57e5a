// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// Several brokers as one: topics with history that a broker has not got all of.

#include "catch.hpp"
#include "group_pair.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace test;
using pusher::error_code;
using pusher::message;
using pusher::receipt;

TEST_CASE("group history: a broker that has no room follows when it has, and nothing is lost", "[group]") {
    pair s(keeping(100), {.messages = 10});
    group_client b(s.seats[1]);
    b.subscribe(s.topic);
    b.heard();
    texts got;
    auto x = s.other.subscribe(s.topic, into(got));
    texts all;
    const auto publish = [&](int from, int to) {
        for (int n = from; n <= to; ++n) {
            s.home.publish(s.topic, std::to_string(n));
            all.push_back(s.topic + '@' + std::to_string(n) + '=' + std::to_string(n));
        }
    };
    publish(1, 15);
    CHECK_FALSE(s.home.writable());
    s.run(0);
    publish(16, 60); // it is behind already
    s.run();
    CHECK(s.home.writable());
    publish(61, 61);
    CHECK(b.heard() == all);
    CHECK(got == all);
    CHECK(s.home.stats().relay_dropped == 0);
    CHECK(s.home.stats().relayed == 61);
    group_client c(s.seats[1]);
    c.send("subscribe", "\"topic\":\"" + s.topic + R"(","history":61)");
    auto heard = c.heard();
    REQUIRE(heard.size() == 62);
    heard.erase(heard.begin());
    CHECK(heard == all);
}

TEST_CASE(
    "group history: what was forgotten before a broker had room for it is told with its offsets, and "
    "broadcasts are to those who do not subscribe",
    "[group]") {
    pair s(keeping(20), {.messages = 10});
    group_client b(s.seats[1]);
    group_client c(s.seats[1]);
    b.subscribe(s.topic);
    b.heard();
    for (int n = 1; n <= 12; ++n)
        s.home.publish(s.topic, std::to_string(n));
    s.home.broadcast(s.topic, "13");
    for (int n = 14; n <= 40; ++n)
        s.home.publish(s.topic, std::to_string(n));
    s.home.broadcast(s.topic, "41");
    s.run();
    // Ten had room, and twenty are kept.
    CHECK(s.home.stats().relay_dropped == 11);
    auto heard = b.heard();
    REQUIRE(heard.size() == 31);
    CHECK(heard[9] == s.topic + "@10=10");
    CHECK(heard[10] == "!" + s.topic + " 11");
    CHECK(heard[11] == s.topic + "@22=22");
    CHECK(heard[30] == s.topic + "@41=41");
    CHECK(c.heard() == texts{"!" + s.topic + " 1", s.topic + "@41=41"});
}

TEST_CASE(
    "group history: whoever publishes at a broker that is behind is answered after the message", "[group]") {
    pair s(keeping(100), {.messages = 10});
    group_client a(s.seats[1]);
    group_client b(s.seats[1]);
    a.send("subscribe", "\"topic\":\"" + s.topic + R"(","echo":false)");
    b.subscribe(s.topic);
    a.heard();
    b.heard();
    for (int n = 1; n <= 30; ++n)
        s.home.publish(s.topic, std::to_string(n));
    a.send("publish", "\"topic\":\"" + s.topic + R"(","payload":"mine")", "p");
    std::optional<pusher::delivery_report> report;
    s.other.async_publish_report(
        s.topic, "reported", {}, [&](error_code, const pusher::delivery_report& d) { report = d; });
    const auto of_a = a.heard();
    const auto of_b = b.heard();
    REQUIRE(of_a.size() == 32);
    CHECK(of_a[29] == s.topic + "@30=30");
    CHECK(of_a[30] == "ok p matched 1"); // it does not hear itself
    CHECK(of_a[31] == s.topic + "@32=reported");
    REQUIRE(of_b.size() == 32);
    CHECK(of_b[30] == s.topic + "@31=mine");
    REQUIRE(report);
    CHECK(report->position->offset == 32);
    CHECK(report->delivered == 2);
}

TEST_CASE("group history: long histories on their way cost nobody a message", "[group]") {
    pair s(keeping(10'000), {.messages = 64});
    const auto second = s.topic_at(0, "k");
    const auto live = s.topic_at(0, "live");
    for (int n = 1; n <= 2000; ++n) {
        s.home.publish(s.topic, std::to_string(n));
        s.home.publish(second, std::to_string(n));
    }
    texts got;
    auto x = s.other.subscribe(live, into(got));
    texts filtered;
    auto y = s.other.subscribe(second + "/#", into(filtered), {.match = pusher::match_mode::filter});
    s.run();
    group_client b(s.seats[1]);
    group_client c(s.seats[1]);
    b.send("subscribe", "\"topic\":\"" + s.topic + R"(","history":2)");
    c.send("subscribe", "\"topic\":\"" + second + R"(","history":2000)");
    std::size_t turns = 0;
    std::size_t refused = 0;
    auto heard = texts();
    for (; heard.size() < 2001 && turns != 100'000; ++turns) {
        s.run(1);
        for (int n = 0; n != 4; ++n)
            s.home.publish(live, std::to_string(4 * turns + static_cast<std::size_t>(n)));
        refused += s.other.publish(second, "x" + std::to_string(turns)).error ? 1 : 0;
        s.run(0);
        for (const auto& line : c.peer.take_lines())
            heard.push_back(brief(line));
    }
    CHECK(turns > 20); // it does take its time
    s.run();
    CHECK(refused == 0);
    CHECK(got.size() == 4 * turns);
    CHECK(s.home.stats().relay_dropped == 0);
    CHECK(s.other.stats().relay_dropped == 0);
    CHECK(b.heard().size() == 3);
    for (const auto& line : c.peer.take_lines())
        heard.push_back(brief(line));
    // 2000 of history when it had come, and all that was published then.
    REQUIRE(heard.size() >= 2001);
    CHECK(heard[0] == "ok");
    CHECK(heard.back() == second + "@" + std::to_string(2000 + turns) + "=x" + std::to_string(turns - 1));
    for (std::size_t i = 2; i < heard.size(); ++i)
        REQUIRE(
            std::stoull(heard[i].substr(heard[i].find('@') + 1)) ==
            std::stoull(heard[i - 1].substr(heard[i - 1].find('@') + 1)) + 1);
}

TEST_CASE("group history: whatever order brokers work in, offsets follow each other", "[group]") {
    /// Notes whether it gets all that is published after it has subscribed, and each once.
    struct reader {
        reader(pusher::broker_core& b, const std::string& topic, std::uint64_t published)
            : last(published),
              subscription(b.subscribe(topic, [this, published](const message& m) {
                  const auto offset = m.position()->offset;
                  good = good && m.payload() == std::to_string(offset);
                  if (offset <= published)
                      return; // it was on its way
                  good = good && offset == last + 1;
                  last = offset;
              })) {}

        std::uint64_t last;
        bool good = true;
        pusher::subscription subscription;
    };
    for (unsigned seed = 1; seed <= 60; ++seed) {
        INFO("seed " << seed);
        std::mt19937 random(seed);
        const auto below = [&random](unsigned n) { return random() % n; };
        group_script s(
            3, keeping(100'000),
            {.messages = 1 + below(20), .copies_stay = std::chrono::milliseconds(below(2) * 1000)});
        const std::vector<std::string> topics{
            s.topic_at(0), s.topic_at(0, "k"), s.topic_at(1), s.topic_at(2)};
        std::vector<std::uint64_t> published(topics.size());
        std::vector<std::size_t> of; // which topic a reader has
        std::vector<std::unique_ptr<reader>> readers;
        bool good = true;
        for (int step = 0; step != 400; ++step) {
            const auto t = below(4);
            switch (below(6)) {
            case 0:
            case 1:
                for (auto n = below(12); n != 0; --n)
                    s.group.home(topics[t]).publish(topics[t], std::to_string(++published[t]));
                break;
            case 2:
                readers.push_back(std::make_unique<reader>(s.group[below(3)], topics[t], published[t]));
                of.push_back(t);
                break;
            case 3:
                if (!readers.empty()) {
                    const auto i = below(static_cast<unsigned>(readers.size()));
                    good = good && readers[i]->good;
                    readers.erase(readers.begin() + static_cast<std::ptrdiff_t>(i));
                    of.erase(of.begin() + static_cast<std::ptrdiff_t>(i));
                }
                break;
            default: s.run(below(3));
            }
        }
        s.run();
        for (std::size_t i = 0; i != topics.size(); ++i) {
            s.group.home(topics[i]).publish(topics[i], std::to_string(++published[i]));
            s.run();
        }
        for (std::size_t i = 0; i != readers.size(); ++i) {
            CHECK(readers[i]->good);
            CHECK(readers[i]->last == published[of[i]]);
        }
        CHECK(good);
        for (std::size_t i = 0; i != 3; ++i)
            CHECK(s.group[i].stats().relay_dropped == 0);
        // The copies are whole.
        for (std::size_t i = 0; i != 3; ++i)
            for (std::size_t t = 0; t != topics.size(); ++t) {
                group_client c(s.seats[i]);
                c.send("subscribe", "\"topic\":\"" + topics[t] + R"(","history":100000)");
                const auto heard = c.heard();
                REQUIRE(heard.size() == published[t] + 1);
                CHECK(heard[1] == topics[t] + "@1=1");
            }
    }
}

TEST_CASE("group history: a history that forgets while it is copied begins again", "[group]") {
    pair s(keeping(50), {.messages = 8});
    for (int n = 1; n <= 50; ++n)
        s.home.publish(s.topic, std::to_string(n));
    texts live;
    auto x = s.other.subscribe(s.topic, into(live));
    s.run(1);
    s.run(0); // as much as there is room for
    for (int n = 51; n <= 120; ++n)
        s.home.publish(s.topic, std::to_string(n));
    s.run();
    s.home.publish(s.topic, "121");
    s.run();
    // Live were those from 51 on, of which 51 to 70 had been forgotten.
    REQUIRE(live.size() == 51);
    CHECK(live.front() == s.topic + "@71=71");
    CHECK(live.back() == s.topic + "@121=121");
    CHECK(s.home.stats().relay_dropped == 20);
    group_client c(s.seats[1]);
    c.send("subscribe", "\"topic\":\"" + s.topic + R"(","history":50)");
    const auto heard = c.heard();
    REQUIRE(heard.size() == 51);
    CHECK(heard[1] == s.topic + "@72=72");
}

TEST_CASE("group history: a copy stays for a while when nobody subscribes any more", "[group]") {
    pair s(keeping(100), {.copies_stay = std::chrono::seconds(1)});
    for (int n = 1; n <= 50; ++n)
        s.home.publish(s.topic, std::to_string(n));
    for (int n = 0; n != 20; ++n) {
        group_client b(s.seats[1]);
        b.send("subscribe", "\"topic\":\"" + s.topic + R"(","history":50)");
        CHECK(b.heard().size() == 51);
        b.leave();
        s.run();
    }
    CHECK(s.home.stats().relay_batches < 10); // it was asked once
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (s.other.stats().topics != 0 && std::chrono::steady_clock::now() < until) {
        s.contexts[1].restart();
        s.contexts[1].run_one_until(until);
    }
    CHECK(s.other.stats().topics == 0);
    s.home.publish(s.topic, "51");
    s.run();
    group_client b(s.seats[1]);
    b.send("subscribe", "\"topic\":\"" + s.topic + R"(","history":50)");
    CHECK(b.heard().back() == s.topic + "@51=51");
}

TEST_CASE("group history: what a follower lacks comes although its subscriber has left", "[group]") {
    pair s(keeping(100), at_once(10));
    texts filtered;
    auto x = s.other.subscribe("#", into(filtered), {.match = pusher::match_mode::filter});
    texts got;
    auto y = s.other.subscribe(s.topic, into(got));
    group_client bystander(s.seats[1]);
    s.run();
    for (int n = 1; n <= 60; ++n)
        if (n % 2 == 0)
            s.home.publish(s.topic, std::to_string(n));
        else
            s.home.broadcast(s.topic, std::to_string(n));
    s.run(0);
    y.unsubscribe();
    s.run();
    CHECK(filtered.size() == 30);
    CHECK(bystander.heard().size() == 30); // the broadcasts, which are to sessions
    CHECK(s.home.stats().relay_dropped == 0);
    s.home.publish(s.topic, "61");
    s.run();
    CHECK(filtered.back() == s.topic + "@61=61");
    CHECK(s.other.stats().topics == 0);
}

TEST_CASE("group history: a drain waits for followers", "[group]") {
    pair s(keeping(100), {.messages = 10});
    group_client b(s.seats[1]);
    b.subscribe(s.topic);
    b.heard();
    for (int n = 1; n <= 60; ++n)
        s.home.publish(s.topic, std::to_string(n));
    std::optional<error_code> drained;
    s.group.async_drain(std::chrono::seconds(30), [&](error_code ec) { drained = ec; });
    const auto heard = b.heard();
    REQUIRE(heard.size() == 61);
    CHECK(heard[59] == s.topic + "@60=60");
    CHECK(heard[60] == "close 1001 the broker is stopped, retry");
    b.leave();
    s.run();
    CHECK(drained == error_code());
}

TEST_CASE("group history: a home that is cancelled tells what its followers do not get", "[group]") {
    pair s(keeping(100), {.messages = 10});
    group_client b(s.seats[1]);
    b.subscribe(s.topic);
    b.heard();
    outcome mine;
    s.other.async_publish(s.topic, "61", {}, mine.handler());
    s.run(1); // it has asked
    for (int n = 1; n <= 60; ++n)
        s.home.publish(s.topic, std::to_string(n));
    s.run(0); // it is published, and so is answered
    s.home.cancel();
    const auto heard = b.heard();
    REQUIRE(heard.size() == 11);
    CHECK(heard[9] == s.topic + "@10=10");
    CHECK(heard[10] == "!" + s.topic + " 51");
    CHECK(s.home.stats().relay_dropped == 51);
    REQUIRE(mine.got);
    CHECK_FALSE(mine.ec);
    CHECK(mine.got->position->offset == 61);
}

TEST_CASE("group history: a broker that is blocked does not hold up those who follow", "[group]") {
    group_script s(3, keeping(1000), {.messages = 10});
    const auto topic = s.topic_at(0);
    texts got;
    texts blocked;
    auto x = s.group[1].subscribe(topic, into(got));
    auto y = s.group[2].subscribe(topic, into(blocked));
    s.run();
    const auto run = [&s] {
        for (bool any = true; any;) {
            any = s.run(0) != 0;
            any = s.run(1) != 0 || any;
        }
    };
    for (int n = 1; n <= 500; ++n)
        s.group[0].publish(topic, std::to_string(n));
    run();
    CHECK(got.size() == 500);
    std::optional<error_code> fetched;
    s.group[1].async_fetch_history(s.topic_at(0, "k"), [&](error_code ec) { fetched = ec; });
    run();
    CHECK(fetched == error_code());
    s.run();
    CHECK(blocked == got);
}

TEST_CASE("group history: a broker that is blocked is not told the same again and again", "[group]") {
    pair s(keeping(20), {.messages = 10});
    group_client b(s.seats[1]);
    b.subscribe(s.topic);
    b.heard();
    constexpr std::size_t turns = 2000;
    for (std::size_t n = 1; n <= turns; ++n) {
        if (n % 2 == 0)
            s.home.publish(s.topic, std::to_string(n));
        else
            s.home.broadcast(s.topic, std::to_string(n));
        s.run(0);
    }
    const auto batches = s.other.stats().relay_batches;
    s.run(1);
    CHECK(s.other.stats().relay_batches - batches < 20);
    std::size_t got = 0;
    std::size_t lost = 0;
    const auto heard = b.heard();
    for (const auto& line : heard)
        if (line.starts_with('!'))
            lost += std::stoul(line.substr(line.rfind(' ')));
        else
            ++got;
    CHECK(got + lost == turns);
    CHECK(lost == s.home.stats().relay_dropped);
    CHECK(heard.back() == s.topic + "@2000=2000");
}

TEST_CASE("group history: followers get on beside what is live", "[group]") {
    pusher::broker_params p;
    p.history_for = [](std::string_view topic) {
        pusher::history_params keep;
        keep.messages = topic.ends_with("/live") ? 0 : 1000;
        return keep;
    };
    pair s(p, {.messages = 20});
    texts got;
    texts live;
    auto x = s.other.subscribe(s.topic, into(got));
    auto y = s.other.subscribe(s.topic + "/live", into(live));
    s.run();
    for (int n = 1; n <= 60; ++n)
        s.home.publish(s.topic, std::to_string(n));
    for (int turn = 0; turn != 100; ++turn) {
        for (int n = 0; n != 11; ++n) // more than half of the room
            s.home.publish(s.topic + "/live", std::to_string(turn));
        s.run(0);
        s.run(1);
    }
    CHECK(got.size() == 60);
}

TEST_CASE("group history: an answer follows its message, whatever handlers publish meanwhile", "[group]") {
    pair s(keeping(100), {.messages = 10});
    texts got;
    auto x = s.other.subscribe(s.topic, into(got));
    auto y = s.home.subscribe(s.topic, [&](const message& m) {
        if (m.payload() == "asked")
            s.home.broadcast(s.topic, "inside");
    });
    s.run();
    for (int n = 1; n <= 30; ++n)
        s.home.publish(s.topic, std::to_string(n));
    std::optional<receipt> answer;
    std::size_t before = 0;
    s.other.async_publish(s.topic, "asked", {}, [&](error_code, const receipt& r) {
        answer = r;
        before = got.size();
    });
    s.run();
    REQUIRE(answer);
    CHECK(answer->matched == 2); // here and there
    CHECK(before >= 31);
    CHECK(got.size() == 31); // the broadcast is to sessions
}
