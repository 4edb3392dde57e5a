// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include <pusher/detail/rfc3339.hpp>

#include "catch.hpp"

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <random>
#include <string>
#include <string_view>

using namespace pusher::detail;
using namespace std::chrono;
using pusher::wall_time;

namespace {

std::string written(wall_time t) {
    char to[rfc3339_size];
    return {to, write_rfc3339(to, t)};
}

wall_time at(std::int64_t second, std::int64_t nanosecond = 0) {
    return wall_time(duration_cast<wall_time::duration>(seconds(second) + nanoseconds(nanosecond)));
}

/// The C library's opinion.
std::string of_gmtime(std::int64_t second, std::int64_t nanosecond) {
    const std::time_t t = static_cast<std::time_t>(second);
    std::tm parts{};
    gmtime_r(&t, &parts);
    char date[32];
    REQUIRE(std::strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts) == 19);
    char fraction[32];
    std::snprintf(fraction, sizeof fraction, ".%09dZ", static_cast<int>(nanosecond));
    return std::string(date) + fraction;
}

} // namespace

TEST_CASE("rfc3339: exact bytes", "[rfc3339]") {
    CHECK(written(at(0)) == "1970-01-01T00:00:00.000000000Z");
    CHECK(written(at(1'754'490'000, 1'000)) == "2025-08-06T14:20:00.000001000Z");
    CHECK(written(at(951'827'696)) == "2000-02-29T12:34:56.000000000Z");
    CHECK(written(at(-1)) == "1969-12-31T23:59:59.000000000Z");
    CHECK(written(at(-1, 999'999'000)) == "1969-12-31T23:59:59.999999000Z");
    CHECK(written(at(4'102'444'799, 999'999'000)) == "2099-12-31T23:59:59.999999000Z");
}

TEST_CASE("rfc3339: what is written agrees with the C library and is read back", "[rfc3339]") {
    std::mt19937_64 random(11);
    std::uniform_int_distribution<std::int64_t> second(-9'000'000'000, 9'000'000'000);
    std::uniform_int_distribution<std::int64_t> microsecond(0, 999'999);
    for (int i = 0; i != 20'000; ++i) {
        const auto s = second(random);
        const auto n = microsecond(random) * 1000;
        const auto t = at(s, n);
        const auto text = written(t);
        if (text != of_gmtime(s, n) || parse_rfc3339(text) != t)
            FAIL(s << ' ' << n << ' ' << text);
    }
    CHECK(written(wall_time::min()).size() == rfc3339_size);
    CHECK(written(wall_time::max()).size() == rfc3339_size);
}

TEST_CASE("rfc3339: what is read", "[rfc3339]") {
    CHECK(parse_rfc3339("1970-01-01T00:00:00Z") == at(0));
    CHECK(parse_rfc3339("1970-01-01t00:00:00z") == at(0));
    CHECK(parse_rfc3339("1970-01-01T00:00:01.5Z") == at(1, 500'000'000));
    CHECK(parse_rfc3339("1970-01-01T00:00:01.1234560009999999Z") == at(1, 123'456'000));
    CHECK(parse_rfc3339("1970-01-01T02:00:00+02:00") == at(0));
    CHECK(parse_rfc3339("1969-12-31T22:30:00-01:30") == at(0));
    CHECK(parse_rfc3339("2016-12-31T23:59:60Z") == parse_rfc3339("2017-01-01T00:00:00Z"));
}

TEST_CASE("rfc3339: what is no time, or none that the clock has", "[rfc3339]") {
    for (const auto* text :
         {"", "1970-01-01", "1970-01-01T00:00:00", "1970-01-01 00:00:00Z", "1970-13-01T00:00:00Z",
          "1970-00-01T00:00:00Z", "1970-02-29T00:00:00Z", "1970-01-01T24:00:00Z", "1970-01-01T00:60:00Z",
          "1970-01-01T00:00:61Z", "1970-01-01T00:00:00.Z", "1970-01-01T00:00:00,5Z",
          "1970-01-01T00:00:00+0200", "1970-01-01T00:00:00+24:00", "1970-01-01T00:00:00Zx",
          "70-01-01T00:00:00Z", "+970-01-01T00:00:00Z", "1970-01-01T00:00:00+"})
        CHECK_FALSE(parse_rfc3339(text));
    // A clock that counts nanoseconds in 64 bits ends in 1677 and 2262.
    if (wall_time::duration::period::den == 1'000'000'000) {
        CHECK_FALSE(parse_rfc3339("0001-01-01T00:00:00Z"));
        CHECK_FALSE(parse_rfc3339("1677-09-21T00:12:43Z"));
        CHECK_FALSE(parse_rfc3339("2262-04-11T23:47:17Z"));
        CHECK_FALSE(parse_rfc3339("9999-12-31T23:59:59.999999999Z"));
        CHECK(parse_rfc3339("2262-04-11T23:47:15.999999999Z"));
    }
}
