// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// What joins the brokers of one process, without brokers.

#include <pusher/detail/local_backplane.hpp>

#include "catch.hpp"

#include <boost/asio/io_context.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace {

using pusher::backplane;
using pusher::detail::local_backplane;
using pusher::detail::local_group;

} // namespace

TEST_CASE("local backplane: interest that comes and goes takes no room where nobody looks", "[group]") {
    boost::asio::io_context first;
    boost::asio::io_context second;
    const auto group = std::make_shared<local_group>(
        std::vector<boost::asio::any_io_executor>{first.get_executor(), second.get_executor()}, 1000,
        1'000'000, std::chrono::milliseconds(0));
    local_backplane a(group, 0);
    local_backplane b(group, 1);
    const auto topic = [](int i) { return "topic " + std::to_string(i); };
    for (int i = 0; i != 100; ++i)
        a.announce(backplane::interest::topic, topic(i), true);
    for (int round = 0; round != 1000; ++round)
        for (int i = 0; i != 10; ++i) {
            a.announce(backplane::interest::topic, topic(i), false);
            a.announce(backplane::interest::user, topic(i), true);
            if (i % 2 == 0 || round != 999)
                a.announce(backplane::interest::topic, topic(i), true);
        }
    CHECK(group->inboxes[1]->changes.size() <= local_group::most_changes);
    for (int i = 0; i != 100; ++i) {
        INFO(topic(i));
        CHECK(b.subscribers(topic(i)) == (i < 10 && i % 2 != 0 ? 0U : 1U));
        CHECK(b.users(topic(i)) == (i < 10 ? 1U : 0U));
    }
    CHECK(group->inboxes[1]->changes.empty());
    // Where all of it counts nothing is left out.
    for (int i = 0; i != 5000; ++i)
        a.announce(backplane::interest::topic, topic(i), true);
    for (int i = 0; i != 5000; ++i)
        REQUIRE(b.subscribers(topic(i)) == 1U);
}
