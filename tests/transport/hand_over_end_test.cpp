// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// Requests that an HTTP server of the host's has read and hands over.

#include <pusher/broker.hpp>
#include <pusher/testing/memory_channel.hpp>
#include <pusher/testing/memory_peer.hpp>

#include "catch.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

#include <string>
#include <string_view>
#include <utility>

namespace {

namespace http = boost::beast::http;
using namespace pusher::testing;

/// A host whose server has read the first request of a connection.
struct host {
    /// \return what the peer has got by the time that nothing moves any more.
    std::string hand_over(std::string leftover = {}) {
        http::request<http::string_body> request(http::verb::post, "/publish", 11);
        request.set(http::field::host, "a");
        request.body() = R"({"topic":"a","payload":"x"})";
        request.prepare_payload();
        broker.accept(
            pusher::channel_ptr(std::move(ends.second)), std::move(request), std::move(leftover), params);
        io.poll();
        return peer.take();
    }

    boost::asio::io_context io;
    pusher::broker<> broker{io};
    pusher::http_params params{.listen = std::nullopt};
    std::pair<memory_channel_ptr, memory_channel_ptr> ends = memory_channel::connect(io.get_executor());
    memory_peer peer{ends.first};
};

std::size_t count(std::string_view text, std::string_view part) {
    std::size_t n = 0;
    for (auto at = text.find(part); at != text.npos; at = text.find(part, at + part.size()))
        ++n;
    return n;
}

const std::string next = "GET /page HTTP/1.1\r\nHost: a\r\n\r\n";

} // namespace

TEST_CASE("hand-over: a connection ends with its answer, since the host's own pages can't be had on it") {
    host h;
    const auto received = h.hand_over(next);
    CHECK(received.starts_with("HTTP/1.1 200"));
    CHECK(count(received, "Connection: close\r\n") == 1);
    CHECK(count(received, "HTTP/1.1") == 1);
    REQUIRE(h.peer.ended());
    CHECK(*h.peer.ended() == pusher::errc::peer_closed);
    CHECK(h.broker.stats().published == 1);
}

TEST_CASE("hand-over: a connection goes on where the host answers the rest by its handler") {
    host h;
    h.params.handler = [](const pusher::http_connection_ptr& c) {
        pusher::http_response response(http::status::ok, c->request().version());
        response.body() = "the host's page";
        c->respond(std::move(response));
        return true;
    };
    const auto received = h.hand_over(next);
    CHECK(count(received, "HTTP/1.1 200") == 2);
    CHECK(count(received, "Connection: close\r\n") == 0);
    CHECK(received.ends_with("the host's page"));
    CHECK_FALSE(h.peer.ended());
    h.peer.send(next);
    h.io.poll();
    CHECK(h.peer.take().ends_with("the host's page"));
}
