// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include <pusher/detail/posted_batch.hpp>

#include "catch.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

using pusher::publish_options;
using pusher::detail::posted_batch;

TEST_CASE("posted batch: many blocks, and large messages between, come back whole and in order") {
    constexpr std::size_t count = 5000;
    const auto size_of = [](std::size_t i) { return i % 500 == 0 ? 40'000 : i % 300; };
    posted_batch filling;
    posted_batch taken;
    for (int round = 0; round != 3; ++round) { // what was given back is used again
        std::size_t bytes = 0;
        for (std::size_t i = 0; i != count; ++i) {
            const std::string payload(size_of(i), static_cast<char>('a' + i % 26));
            const auto size = posted_batch::bytes_of("topic", payload, {});
            const bool large = size >= posted_batch::large;
            filling.add(
                "topic", payload, {}, size,
                large ? posted_batch::copy_of("topic", payload, {}, size) : std::string());
            bytes += size;
        }
        CHECK(filling.messages() == count);
        CHECK(filling.bytes() == bytes);
        std::swap(filling, taken); // its bytes stay where they are
        std::size_t i = 0;
        std::size_t wrong = 0;
        taken.for_each([&](std::string_view topic, std::string_view payload, const publish_options&) {
            const std::string expected(size_of(i), static_cast<char>('a' + i % 26));
            wrong += topic == "topic" && payload == expected ? 0 : 1;
            ++i;
        });
        CHECK(i == count);
        CHECK(wrong == 0);
        taken.clear();
        CHECK(taken.messages() == 0);
        CHECK(taken.bytes() == 0);
    }
}
