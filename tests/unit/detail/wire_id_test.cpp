// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include <pusher/detail/wire_id.hpp>

#include "catch.hpp"

#include <cstdint>
#include <limits>
#include <random>
#include <string>

using namespace pusher::detail;
using pusher::sequence_position;

namespace {

constexpr auto most = std::numeric_limits<std::uint64_t>::max();

std::string written(sequence_position p) {
    char to[max_position_size];
    return {to, write_position(to, p)};
}

} // namespace

TEST_CASE("wire_id: exact bytes", "[wire_id]") {
    CHECK(written({0, 0}) == "0000000000000000-0");
    CHECK(written({0xABC, 7}) == "0000000000000abc-7");
    CHECK(written({most, most}) == "ffffffffffffffff-18446744073709551615");
}

TEST_CASE("wire_id: what was written is read back", "[wire_id]") {
    std::mt19937_64 random(3);
    for (int i = 0; i != 2'000; ++i) {
        const sequence_position p{random() >> (random() % 64), random() >> (random() % 64)};
        CHECK(parse_position(written(p)) == p);
        char to[epoch_size];
        CHECK(parse_epoch({to, write_epoch(to, p.epoch)}) == p.epoch);
    }
}

TEST_CASE("wire_id: nothing else is read", "[wire_id]") {
    for (const auto* text :
         {"", "-", "7", "0000000000000abc", "0000000000000abc-", "0000000000000abc-07", "0000000000000abc-00",
          "0000000000000abc--7", "0000000000000abc-+7", "0000000000000abc- 7", "0000000000000abc-7 ",
          "0000000000000abc-7x", "0000000000000ABC-7", "000000000000abc-7", "00000000000000abc-7",
          "0x00000000000abc-7", "0000000000000abc-18446744073709551616", "0000000000000abg-7"})
        CHECK_FALSE(parse_position(text));
    for (const auto* text :
         {"", "1", "000000000000000", "00000000000000000", "000000000000000G", "-00000000000001"})
        CHECK_FALSE(parse_epoch(text));
    CHECK(parse_whole_number("18446744073709551615") == most);
    CHECK(parse_whole_number("007") == 7U);
    for (const auto* text : {"", "-1", "+1", " 1", "1 ", "1.0", "1e3", "0x1", "18446744073709551616"})
        CHECK_FALSE(parse_whole_number(text));
}
