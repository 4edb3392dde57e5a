// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#include <pusher/detail/udp_cookie.hpp>

#include "catch.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>

namespace {

using namespace pusher::detail;
using namespace std::chrono_literals;
using time_point = cookie_jar::time_point;

constexpr siphash_key key{0x0123456789ABCDEFU, 0xFEDCBA9876543210U};
constexpr std::array<unsigned char, 4> v4{192, 0, 2, 7};
constexpr std::array<unsigned char, 16> v6{0x20, 0x01, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
constexpr time_point start{1000 * 30s}; // the beginning of a slot

TEST_CASE("udp_cookie: eleven characters that JSON takes as they are", "[udp_cookie]") {
    const cookie_jar jar(key);
    for (unsigned port = 0; port != 2000; ++port) {
        const auto cookie = jar.make(v4, static_cast<std::uint16_t>(port), start);
        REQUIRE(cookie.view().size() == udp_cookie::size);
        REQUIRE(
            cookie.view().find_first_not_of(
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") ==
            std::string_view::npos);
    }
}

TEST_CASE("udp_cookie: the text is base64url, most significant bits first", "[udp_cookie]") {
    CHECK(udp_cookie(0).view() == "AAAAAAAAAAA");
    CHECK(udp_cookie(~std::uint64_t{0}).view() == "__________8");
    CHECK(udp_cookie(0x0102030405060708U).view() == "AQIDBAUGBwg");
    CHECK(udp_cookie(0xFBEFBEFBEFBEFBEFU).view() == "----------8");
    CHECK(udp_cookie(1).view() == "AAAAAAAAAAE");
}

TEST_CASE("udp_cookie: good in its slot and the next, for one to two slots", "[udp_cookie]") {
    const cookie_jar jar(key);
    // Whatever the place within the slot, a cookie ends with the slot after it.
    for (const auto made : {start, start + 1ns, start + 15s, start + 30s - 1ns}) {
        const auto cookie = jar.make(v4, 4000, made);
        CHECK(jar.valid(cookie.view(), v4, 4000, made));
        CHECK(jar.valid(cookie.view(), v4, 4000, made + 30s));
        CHECK(jar.valid(cookie.view(), v4, 4000, start + 60s - 1ns));
        CHECK_FALSE(jar.valid(cookie.view(), v4, 4000, start + 60s));
        CHECK_FALSE(jar.valid(cookie.view(), v4, 4000, start + 24h));
        CHECK_FALSE(jar.valid(cookie.view(), v4, 4000, start - 1ns)); // from the future
    }
}

TEST_CASE("udp_cookie: slots before and around the clock's zero are as long as others", "[udp_cookie]") {
    const cookie_jar jar(key, 10s);
    for (int i = -30; i != 30; ++i) {
        const time_point now{i * 1s};
        const auto cookie = jar.make(v4, 1, now);
        CAPTURE(i);
        CHECK(jar.valid(cookie.view(), v4, 1, now + 10s));
        CHECK_FALSE(jar.valid(cookie.view(), v4, 1, now + 20s));
    }
    for (const auto now : {time_point::min(), time_point::max()})
        CHECK(jar.valid(jar.make(v4, 1, now).view(), v4, 1, now));
}

TEST_CASE("udp_cookie: the slot length is a parameter, and is checked", "[udp_cookie]") {
    const cookie_jar jar(key, 1s);
    const auto cookie = jar.make(v4, 4000, start);
    CHECK(jar.valid(cookie.view(), v4, 4000, start + 2s - 1ns));
    CHECK_FALSE(jar.valid(cookie.view(), v4, 4000, start + 2s));
    CHECK_THROWS_AS(cookie_jar(key, 0s), std::invalid_argument);
    CHECK_THROWS_AS(cookie_jar(key, -1s), std::invalid_argument);
}

TEST_CASE("udp_cookie: for one address, one port, one key", "[udp_cookie]") {
    const cookie_jar jar(key);
    const auto cookie = jar.make(v4, 4000, start);
    CHECK_FALSE(jar.valid(cookie.view(), v4, 4001, start));
    CHECK_FALSE(jar.valid(cookie.view(), v4, 4000 ^ 0x8000, start));
    for (std::size_t i = 0; i != v4.size(); ++i) {
        auto other = v4;
        other[i] ^= 1;
        CHECK_FALSE(jar.valid(cookie.view(), other, 4000, start));
    }
    CHECK_FALSE(cookie_jar({key.low ^ 1, key.high}).valid(cookie.view(), v4, 4000, start));
    CHECK_FALSE(cookie_jar({key.low, key.high ^ 1}).valid(cookie.view(), v4, 4000, start));

    const auto cookie6 = jar.make(v6, 4000, start);
    CHECK(jar.valid(cookie6.view(), v6, 4000, start));
    for (std::size_t i = 0; i != v6.size(); ++i) {
        auto other = v6;
        other[i] ^= 0x80;
        CHECK_FALSE(jar.valid(cookie6.view(), other, 4000, start));
    }
}

TEST_CASE("udp_cookie: an IPv4 address and an IPv6 address that begins with it differ", "[udp_cookie]") {
    const cookie_jar jar(key);
    std::array<unsigned char, 16> longer{192, 0, 2, 7};
    CHECK_FALSE(jar.valid(jar.make(v4, 4000, start).view(), longer, 4000, start));
}

TEST_CASE("udp_cookie: anything but the exact text is refused", "[udp_cookie]") {
    const cookie_jar jar(key);
    const std::string good(jar.make(v4, 4000, start).view());
    for (std::size_t i = 0; i != good.size(); ++i)
        for (int c = 0; c != 256; ++c) {
            auto bad = good;
            bad[i] = static_cast<char>(c);
            CHECK(jar.valid(bad, v4, 4000, start) == (bad == good));
        }
    for (std::size_t n = 0; n != good.size(); ++n)
        CHECK_FALSE(jar.valid(std::string_view(good).substr(0, n), v4, 4000, start));
    CHECK_FALSE(jar.valid(good + "=", v4, 4000, start));
    CHECK_FALSE(jar.valid(good + good, v4, 4000, start));
    CHECK_FALSE(jar.valid({}, v4, 4000, start));
    CHECK_FALSE(jar.valid(std::string(100'000, 'A'), v4, 4000, start));
}

TEST_CASE("udp_cookie: found in a text that is no request", "[udp_cookie]") {
    const std::string_view whole = "AQIDBAUGBwg";
    for (const auto* const text :
         {R"({"cookie":"AQIDBAUGBwg","action":)", R"({ "cookie" : "AQIDBAUGBwg")", R"("cookie":"AQIDBAUGBwg)",
          "[\xff \"cookie\"\t:\r\n \"AQIDBAUGBwg and more", R"("cookie":7,"cookie":"AQIDBAUGBwg")",
          R"("cookie""cookie":"AQIDBAUGBwg")"}) {
        CAPTURE(text);
        CHECK(find_cookie(text) == whole);
    }
    for (const auto* const text :
         {"", "cookie", R"("cookie")", R"("cookie":)", R"("cookie": 7)", R"('cookie':"AQIDBAUGBwg")"})
        CHECK(find_cookie(text).empty());
    CHECK(find_cookie(R"("cookie":"short)") == "short"); // and not valid
}

TEST_CASE("udp_cookie: no two of many peers share a cookie", "[udp_cookie]") {
    const cookie_jar jar(key);
    std::set<std::string> seen;
    for (unsigned host = 0; host != 100; ++host)
        for (unsigned port = 0; port != 100; ++port) {
            const std::array<unsigned char, 4> address{10, 0, 0, static_cast<unsigned char>(host)};
            seen.emplace(jar.make(address, static_cast<std::uint16_t>(port), start).view());
        }
    CHECK(seen.size() == 10'000);
}

} // namespace
