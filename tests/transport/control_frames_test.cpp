// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include "catch.hpp"
#include "hub_thread.hpp"

#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket.hpp>

// Pings and pongs go ahead of what is queued, but never into the middle of a frame.

using namespace test;
namespace websocket = boost::beast::websocket;

TEST_CASE("control frames: a pong while a large message is under way") {
    hub_thread hub(pusher::broker_params{.outbox = {.messages = 8, .bytes = 4'000'000}});
    const auto port = hub.listen(pusher::http_params{});
    asio::io_context io;
    websocket::stream<tcp::socket> slow(connect(io, port, 4096));
    slow.handshake("localhost", "/ws");
    slow.text(true);
    slow.write(asio::buffer(std::string(R"({"action":"subscribe","params":{"topic":"t"}})")));
    boost::beast::flat_buffer buffer;
    slow.read(buffer);

    // With one message nothing follows the frame that is under way, with more the pong overtakes them.
    const int messages = GENERATE(1, 5);
    for (int i = 0; i != messages; ++i)
        hub.publish("t", std::string(500'000, 'x'));
    std::size_t pong_after = 0;
    std::size_t read = 0;
    bool answered = false;
    slow.control_callback([&](websocket::frame_type kind, boost::beast::string_view payload) {
        if (kind == websocket::frame_type::pong && payload == "are you there") {
            answered = true;
            pong_after = read;
        }
    });
    slow.ping("are you there");
    for (; read != static_cast<std::size_t>(messages); ++read) {
        buffer.clear();
        slow.read(buffer);
        CHECK(payload_of(boost::beast::buffers_to_string(buffer.data())).size() == 500'000);
    }
    if (!answered) { // it is all that is left to read
        slow.write(asio::buffer(std::string(R"({"action":"ping"})")));
        buffer.clear();
        slow.read(buffer);
    }
    CHECK(answered);
    CHECK(pong_after <= 2);
}
