// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// One connection of a client, between its engine and a channel.

#include "client_world.hpp"

#include <memory>
#include <string>

using namespace pusher;
using namespace test;

namespace {

struct silent_user final : detail::client_connection_user {
    void at_connected() override {}
    void at_heard() override {}
    bool at_message(std::string_view) override { return true; }
    void at_room() override { ++rooms; }
    void at_lost(detail::client_end) override {}
    int rooms = 0;
};

} // namespace

TEST_CASE(
    "client connection: always behind, it keeps no more than what is not sent", "[client][connection]") {
    boost::asio::io_context io;
    const auto run = [&] {
        io.restart();
        io.poll();
    };
    const boost::intrusive_ptr<memory_channel> hub(
        new memory_channel(io.get_executor(), std::make_shared<fault_plan>()));
    silent_user user;
    const auto c = std::make_shared<detail::client_connection>(
        hub, std::make_unique<detail::client_line_framing>(1024), user);
    c->start();
    hub->room = 0;
    std::string expected;
    for (int n = 0; n != 5000; ++n) {
        // As the engine does: whenever there is room, there is more to send.
        while (c->has_room()) {
            const auto line = std::to_string(n) + std::string(1000, 'x');
            c->send(line);
            expected += line + '\n';
        }
        c->flush();
        hub->make_room(700);
        run();
        REQUIRE(c->kept() < 200'000);
    }
    CHECK(user.rooms == 0); // it was never through
    hub->make_room(1'000'000);
    run();
    CHECK(user.rooms == 1);
    CHECK(c->kept() == 0);
    CHECK(hub->written == expected);
}
