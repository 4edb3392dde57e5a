// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#include <pusher/detail/address_counter.hpp>

#include "catch.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <random>
#include <utility>
#include <vector>

namespace {

using namespace pusher::detail;
using v4 = std::array<unsigned char, 4>;
using v6 = std::array<unsigned char, 16>;

constexpr siphash_key key{11, 22};

v4 v4_of(std::uint32_t n) {
    return {
        static_cast<unsigned char>(n >> 24), static_cast<unsigned char>(n >> 16 & 0xFF),
        static_cast<unsigned char>(n >> 8 & 0xFF), static_cast<unsigned char>(n & 0xFF)};
}

TEST_CASE("address_counter: counts up to the limit, per address", "[address_counter]") {
    address_counter counter(key, 2);
    const v4 a{192, 0, 2, 1};
    const v4 b{192, 0, 2, 2};
    CHECK(counter.count(a) == 0);
    CHECK(counter.try_add(a));
    CHECK(counter.try_add(a));
    CHECK_FALSE(counter.try_add(a));
    CHECK_FALSE(counter.try_add(a));
    CHECK(counter.count(a) == 2);
    CHECK(counter.try_add(b));
    CHECK(counter.size() == 2);
    counter.remove(a);
    CHECK(counter.count(a) == 1);
    CHECK(counter.try_add(a));
    CHECK_FALSE(counter.try_add(a));
}

TEST_CASE("address_counter: an address without connections takes no room", "[address_counter]") {
    address_counter counter(key, 2);
    const v4 a{192, 0, 2, 1};
    CHECK(counter.try_add(a));
    counter.remove(a);
    CHECK(counter.size() == 0);
    CHECK(counter.count(a) == 0);
}

TEST_CASE("address_counter: IPv6 counts by /64", "[address_counter]") {
    address_counter counter(key, 2);
    v6 a{0x20, 0x01, 0x0D, 0xB8, 0, 0, 0, 1};
    auto same_prefix = a;
    for (std::size_t i = 8; i != 16; ++i)
        same_prefix[i] = 0xFF;
    auto other_prefix = a;
    other_prefix[7] = 2;
    CHECK(counter.try_add(a));
    CHECK(counter.try_add(same_prefix));
    CHECK_FALSE(counter.try_add(a));
    CHECK(counter.try_add(other_prefix));
    CHECK(counter.size() == 2);
    counter.remove(a);
    CHECK(counter.count(same_prefix) == 1);
}

TEST_CASE("address_counter: an IPv4 peer of a dual-stack socket is that IPv4 address", "[address_counter]") {
    address_counter counter(key, 2);
    const v4 plain{192, 0, 2, 1};
    v6 mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 192, 0, 2, 1};
    CHECK(counter.try_add(plain));
    CHECK(counter.try_add(mapped));
    CHECK_FALSE(counter.try_add(plain));
    CHECK(counter.size() == 1);
    // The neighbour is another peer, though the /64 is the same.
    mapped[15] = 2;
    CHECK(counter.try_add(mapped));
    CHECK(counter.size() == 2);
}

TEST_CASE("address_counter: IPv4 and IPv6 of the same bytes are two", "[address_counter]") {
    address_counter counter(key, 1);
    CHECK(counter.try_add(v4{0x20, 0x01, 0x0D, 0xB8}));
    CHECK(counter.try_add(v6{0x20, 0x01, 0x0D, 0xB8}));
    CHECK(counter.try_add(v4{0, 0, 0, 0}));
    CHECK(counter.try_add(v6{}));
    CHECK(counter.size() == 4);
    counter.remove(v6{});
    CHECK(counter.count(v4{0, 0, 0, 0}) == 1);
    CHECK(counter.count(v6{}) == 0);
    CHECK_FALSE(address_group::of(v4{}) == address_group::of(v6{}));
}

TEST_CASE("address_counter: the limit may change, and zero lets nobody in", "[address_counter]") {
    address_counter counter(key, 3);
    const v4 a{192, 0, 2, 1};
    CHECK(counter.try_add(a));
    CHECK(counter.try_add(a));
    counter.limit(1);
    CHECK(counter.limit() == 1);
    CHECK_FALSE(counter.try_add(a));
    counter.remove(a);
    CHECK_FALSE(counter.try_add(a));
    counter.remove(a);
    CHECK(counter.try_add(a));
    counter.limit(0);
    CHECK_FALSE(counter.try_add(v4{1, 2, 3, 4}));
    CHECK(counter.size() == 1); // the refused one left nothing
}

TEST_CASE("address_counter: churn of ever new addresses does not make it grow", "[address_counter]") {
    address_counter counter(key, 1);
    constexpr std::uint32_t at_once = 100;
    for (std::uint32_t n = 0; n != at_once; ++n)
        REQUIRE(counter.try_add(v4_of(n)));
    std::size_t most = counter.capacity();
    CHECK(most < 1000);
    for (std::uint32_t n = at_once; n != 200'000; ++n) {
        counter.remove(v4_of(n - at_once));
        REQUIRE(counter.try_add(v4_of(n)));
        most = std::max(most, counter.capacity());
    }
    CHECK(counter.size() == at_once);
    CHECK(most < 1000);
}

TEST_CASE("address_counter: gives memory back after a flood", "[address_counter]") {
    address_counter counter(key, 1);
    for (std::uint32_t n = 0; n != 20'000; ++n)
        REQUIRE(counter.try_add(v4_of(n)));
    const auto full = counter.capacity();
    CHECK(full >= 20'000);
    for (std::uint32_t n = 0; n != 19'990; ++n)
        counter.remove(v4_of(n));
    CHECK(counter.try_add(v4_of(1)));
    CHECK(counter.capacity() < 500);
    CHECK(counter.size() == 11);
    for (std::uint32_t n = 19'990; n != 20'000; ++n)
        CHECK(counter.count(v4_of(n)) == 1);
}

TEST_CASE("address_counter: agrees with a plain map under random use", "[address_counter]") {
    std::mt19937 random(3);
    address_counter counter(key, 4);
    std::map<v4, std::uint32_t> model;
    std::vector<v4> open;
    for (int i = 0; i != 50'000; ++i) {
        if (open.empty() || random() % 2 == 0) {
            const auto a = v4_of(static_cast<std::uint32_t>(random() % 300));
            const bool expected = model[a] < 4;
            REQUIRE(counter.try_add(a) == expected);
            if (expected) {
                ++model[a];
                open.push_back(a);
            }
        } else {
            std::swap(open[random() % open.size()], open.back());
            counter.remove(open.back());
            --model[open.back()];
            open.pop_back();
        }
    }
    std::size_t groups = 0;
    for (const auto& [a, count] : model) {
        CHECK(counter.count(a) == count);
        groups += count != 0;
    }
    CHECK(counter.size() == groups);
}

} // namespace
