// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#include <pusher/detail/token_bucket.hpp>

#include "catch.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>
#include <random>
#include <stdexcept>

namespace {

using namespace pusher::detail;
using namespace std::chrono_literals;
using time_point = token_bucket::time_point;

constexpr time_point start{5000s};

TEST_CASE("token_bucket: begins full, then gives at its rate", "[token_bucket]") {
    token_bucket bucket({.tokens = 10, .per = 1s, .burst = 3});
    CHECK(bucket.available(start) == 3);
    CHECK(bucket.try_take(start));
    CHECK(bucket.try_take(start));
    CHECK(bucket.try_take(start));
    CHECK_FALSE(bucket.try_take(start));
    CHECK_FALSE(bucket.try_take(start + 100ms - 1ns));
    CHECK(bucket.try_take(start + 100ms));
    CHECK_FALSE(bucket.try_take(start + 100ms));
    CHECK(bucket.available(start + 299ms) == 1);
    CHECK(bucket.available(start + 300ms) == 2);
}

TEST_CASE("token_bucket: saves up no more than the burst", "[token_bucket]") {
    token_bucket bucket({.tokens = 10, .per = 1s, .burst = 3});
    CHECK(bucket.try_take(start, 3));
    CHECK(bucket.available(start + 24h) == 3);
    CHECK(bucket.try_take(start + 24h, 3));
    CHECK_FALSE(bucket.try_take(start + 24h));
}

TEST_CASE("token_bucket: takes all that is asked, or nothing", "[token_bucket]") {
    token_bucket bucket({.tokens = 1, .per = 1s, .burst = 5});
    CHECK(bucket.try_take(start, 3));
    CHECK_FALSE(bucket.try_take(start, 3));
    CHECK(bucket.available(start) == 2);
    CHECK(bucket.try_take(start, 2));
    CHECK(bucket.try_take(start, 0));
    CHECK_FALSE(bucket.try_take(start + 24h, 6)); // more than the burst
    CHECK_FALSE(bucket.try_take(start + 24h, std::numeric_limits<std::uint32_t>::max()));
    CHECK(bucket.available(start + 24h) == 5);
}

TEST_CASE("token_bucket: says when to come back", "[token_bucket]") {
    token_bucket bucket({.tokens = 3, .per = 1s, .burst = 3});
    CHECK(bucket.ready_at(start) == start);
    CHECK(bucket.try_take(start, 3));
    // A third of a second is no whole number of nanoseconds: the first one that is enough.
    CHECK(bucket.ready_at(start) == start + 333'333'334ns);
    CHECK(bucket.ready_at(start, 2) == start + 666'666'667ns);
    CHECK(bucket.ready_at(start, 3) == start + 1s);
    CHECK(bucket.ready_at(start, 4) == time_point::max());
    CHECK(bucket.ready_at(start + 100ms) == start + 333'333'334ns);
    CHECK_FALSE(bucket.try_take(start + 333'333'333ns));
    CHECK(bucket.try_take(start + 333'333'334ns));
}

TEST_CASE("token_bucket: no drift: thirds add up to wholes", "[token_bucket]") {
    token_bucket bucket({.tokens = 3, .per = 1s, .burst = 1});
    auto now = start;
    CHECK(bucket.try_take(now));
    for (int i = 1; i <= 3'000; ++i) {
        now = bucket.ready_at(now);
        REQUIRE(bucket.try_take(now));
        if (i % 3 == 0)
            REQUIRE(now <= start + (i / 3) * 1s + i * 1ns);
    }
    // With room to save, not even the rounding up of each wait is lost.
    token_bucket saving({.tokens = 3, .per = 1s, .burst = 2});
    CHECK(saving.try_take(start, 2));
    now = start;
    for (int i = 1; i <= 3'000; ++i) {
        now = saving.ready_at(now);
        REQUIRE(saving.try_take(now));
        REQUIRE(now == start + std::chrono::nanoseconds((i * 1'000'000'000LL + 2) / 3));
    }
}

TEST_CASE("token_bucket: looking often neither gains nor loses", "[token_bucket]") {
    // 7 tokens in 1 s, looked at every nanosecond for a while: 1/7 s is 142857142.86 ns.
    token_bucket bucket({.tokens = 7, .per = 1s, .burst = 2});
    CHECK(bucket.try_take(start, 2));
    for (auto t = start + 142'857'000ns; t != start + 142'857'143ns; t += 1ns)
        REQUIRE_FALSE(bucket.try_take(t));
    CHECK(bucket.try_take(start + 142'857'143ns));
    CHECK_FALSE(bucket.try_take(start + 285'714'285ns));
    CHECK(bucket.try_take(start + 285'714'286ns));
}

TEST_CASE("token_bucket: never more than burst plus rate by time, in any window", "[token_bucket]") {
    std::mt19937 random(7);
    for (int round = 0; round != 50; ++round) {
        const token_bucket_params params{
            .tokens = 1 + static_cast<std::uint32_t>(random() % 1000),
            .per = std::chrono::nanoseconds(1 + random() % 10'000'000),
            .burst = 1 + static_cast<std::uint32_t>(random() % 20)};
        token_bucket bucket(params);
        auto now = start;
        // The exact level, in the same units, kept by plain arithmetic of its own.
        const auto unit = static_cast<std::int64_t>(params.per.count());
        const std::int64_t full = unit * params.burst;
        std::int64_t level = full;
        for (int i = 0; i != 500; ++i) {
            const auto step = static_cast<std::int64_t>(random() % 20'000);
            now += std::chrono::nanoseconds(step);
            level = std::min(full, level + step * params.tokens);
            const auto count = static_cast<std::uint32_t>(random() % 4);
            const bool expected = count <= params.burst && level >= unit * count;
            REQUIRE(bucket.try_take(now, count) == expected);
            if (expected)
                level -= unit * count;
            REQUIRE(bucket.available(now) == level / unit);
        }
    }
}

TEST_CASE("token_bucket: time that stands or goes back gives nothing", "[token_bucket]") {
    token_bucket bucket({.tokens = 1, .per = 1s, .burst = 1});
    CHECK(bucket.try_take(start));
    CHECK_FALSE(bucket.try_take(start));
    CHECK_FALSE(bucket.try_take(start - 1h));
    CHECK(bucket.ready_at(start - 1h) == start + 1s);
    CHECK_FALSE(bucket.try_take(start + 1s - 1ns));
    CHECK(bucket.try_take(start + 1s));
}

TEST_CASE("token_bucket: the ends of the clock", "[token_bucket]") {
    token_bucket bucket({.tokens = 1, .per = 1h, .burst = 2});
    CHECK(bucket.try_take(time_point::min(), 2));
    CHECK_FALSE(bucket.try_take(time_point::min()));
    CHECK(bucket.ready_at(time_point::min()) == time_point::min() + 1h);
    CHECK(bucket.try_take(time_point::max(), 2));
    CHECK(bucket.ready_at(time_point::max()) == time_point::max());

    token_bucket slow({.tokens = 1, .per = std::chrono::hours(24 * 365 * 290), .burst = 2});
    CHECK(slow.try_take(time_point::min(), 2));
    // The wait alone is longer than the clock's largest duration.
    const auto half = std::chrono::hours(24 * 365 * 290);
    CHECK(slow.ready_at(time_point::min(), 2) == time_point::min() + half + half);
}

TEST_CASE("token_bucket: the largest values do not overflow", "[token_bucket]") {
    constexpr auto most = std::numeric_limits<std::uint32_t>::max();
    token_bucket bucket({.tokens = most, .per = 4s, .burst = most});
    CHECK(bucket.available(start) == most);
    CHECK(bucket.try_take(start, most));
    CHECK(bucket.available(start + 2s) == most / 2);
    CHECK(bucket.available(start + 4s) == most);
    CHECK(bucket.available(time_point::max()) == most);

    // A request of 2^64 units, which is 0 in 64 bits.
    token_bucket one({.tokens = 1, .per = std::chrono::nanoseconds(std::int64_t{1} << 40), .burst = 1});
    CHECK(one.try_take(start));
    CHECK_FALSE(one.try_take(start, std::uint32_t{1} << 24));
    CHECK(one.ready_at(start, std::uint32_t{1} << 24) == time_point::max());
}

TEST_CASE("token_bucket: the parameters are checked", "[token_bucket]") {
    using params = token_bucket_params;
    CHECK_THROWS_AS(token_bucket(params{.tokens = 0}), std::invalid_argument);
    CHECK_THROWS_AS(token_bucket(params{.burst = 0}), std::invalid_argument);
    CHECK_THROWS_AS(token_bucket(params{.per = 0s}), std::invalid_argument);
    CHECK_THROWS_AS(token_bucket(params{.per = -1s}), std::invalid_argument);
    CHECK_THROWS_AS(
        token_bucket(params{.per = 1h, .burst = std::numeric_limits<std::uint32_t>::max()}),
        std::invalid_argument);
}

} // namespace
