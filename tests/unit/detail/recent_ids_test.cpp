// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#include <pusher/detail/recent_ids.hpp>

#include "catch.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>

using namespace pusher::detail;
using namespace std::chrono_literals;
using pusher::receipt;

namespace {

constexpr steady_time start{5000s};

recent_ids::name name(recent_ids& ids, const std::string& id) {
    return ids.name_of(recent_ids::audience::subscribers, "t", {}, id, {});
}

receipt published(std::uint64_t sequence, std::size_t matched = 0) {
    receipt r;
    r.sequence = sequence;
    r.matched = matched;
    return r;
}

} // namespace

TEST_CASE("recent ids: the receipt comes back, and says so", "[recent_ids]") {
    recent_ids ids({.messages = 10}, 1);
    const auto a = name(ids, "a");
    CHECK_FALSE(ids.find(a, start));
    auto first = published(7, 3);
    first.position = pusher::topic_position{11, 12};
    ids.remember(a, first, start);
    const auto again = ids.find(a, start);
    REQUIRE(again);
    CHECK_FALSE(again->error);
    CHECK(again->repeated);
    CHECK(again->sequence == 7);
    CHECK(again->matched == 3);
    REQUIRE(again->position);
    CHECK(again->position->epoch == 11);
    CHECK(again->position->offset == 12);
    CHECK_FALSE(ids.find(name(ids, "b"), start));
    ids.remember(name(ids, "b"), published(8), start);
    CHECK_FALSE(ids.find(name(ids, "b"), start)->position);
}

TEST_CASE("recent ids: age", "[recent_ids]") {
    recent_ids ids({.messages = 100, .age = 1s}, 1);
    const auto a = name(ids, "a");
    ids.remember(a, published(1), start);
    CHECK(ids.find(a, start + 1s));
    CHECK_FALSE(ids.find(a, start + 1s + 1ns));
    ids.remember(a, published(2), start + 2s);
    CHECK(ids.find(a, start + 2s)->sequence == 2); // not the one that is too old
    // What is too old makes room before more is taken.
    for (int i = 0; i != 1000; ++i)
        ids.remember(name(ids, std::to_string(i)), published(3), start + 3s + i * 100ms);
    CHECK(ids.size() == 16);
}

TEST_CASE("recent ids: it knows what a list would know", "[recent_ids]") {
    struct item {
        int id;
        steady_time when;
        std::uint64_t sequence;
        std::size_t matched;
        std::uint64_t serial;
    };
    for (const std::size_t most : {1U, 2U, 15U, 16U, 17U, 33U, 100U}) {
        CAPTURE(most);
        std::mt19937 random(static_cast<unsigned>(most));
        recent_ids ids({.messages = most, .age = 1s}, most);
        std::deque<item> list;
        auto now = start;
        const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
        for (std::uint64_t n = 1; n != 5000; ++n) {
            now += std::chrono::milliseconds(below(100) == 0 ? below(2000) : below(20));
            const auto id = static_cast<int>(below(2 * most + 2));
            const auto named = name(ids, std::to_string(id));
            const item* known = nullptr;
            for (const auto& i : list)
                if (i.id == id && now - i.when <= 1s)
                    known = &i;
            const auto found = ids.find(named, now);
            REQUIRE(found.has_value() == (known != nullptr));
            if (known) {
                REQUIRE(found->sequence == known->sequence);
                REQUIRE(found->matched == known->matched);
            } else {
                list.push_back({id, now, n, n % 7, ids.remember(named, published(n, n % 7), now)});
                if (list.size() > most)
                    list.pop_front();
            }
            if (auto& some = list[below(list.size())]; below(3) == 0)
                ids.settle(some.serial, some.matched = below(1000));
            if (list.front().serial != 0)
                ids.settle(list.front().serial - 1, 5000); // it has left, and nobody notices
        }
    }
}

TEST_CASE("recent ids: no two names are the same", "[recent_ids]") {
    recent_ids ids({.messages = 1}, 1);
    recent_ids other({.messages = 1}, 2);
    std::set<std::pair<std::uint64_t, std::uint64_t>> seen;
    std::size_t names = 0;
    using owner = id_owner::kind;
    for (auto* of : {&ids, &other})
        for (const auto whom :
             {recent_ids::audience::subscribers, recent_ids::audience::everyone, recent_ids::audience::user})
            for (const auto* const topic : {"a", "ab", "abc"})
                for (const auto* const id : {"a", "b", "bc", "c", "abc"})
                    for (const auto* const to : {"", "a", "b", "bc"})
                        for (const auto by :
                             {id_owner{}, id_owner{owner::anonymous, {}}, id_owner{owner::user, "a"},
                              id_owner{owner::user, "ab"}, id_owner{owner::user, "bca"}}) {
                            const auto n = of->name_of(whom, topic, to, id, by);
                            seen.emplace(n.low, n.high);
                            ++names;
                        }
    CHECK(seen.size() == names);
}

TEST_CASE("recent ids: memory, at most 64 bytes for each, and none before it is needed", "[recent_ids]") {
    CHECK(recent_ids({}, 1).footprint() == 0);
    for (const std::size_t most : {1U, 2U, 3U, 5U, 16U, 17U, 1000U, 1025U, 100'000U}) {
        CAPTURE(most);
        recent_ids ids({.messages = most}, 1);
        CHECK(ids.footprint() == 0);
        ids.remember(name(ids, "first"), published(1), start);
        CHECK(ids.footprint() <= 16 * 64);
        for (std::size_t i = 0; i != 2 * most; ++i)
            ids.remember(name(ids, std::string(200, 'x') + std::to_string(i)), published(1), start);
        CHECK(ids.size() == most);
        CHECK(ids.footprint() <= 64 * most);
    }
}
