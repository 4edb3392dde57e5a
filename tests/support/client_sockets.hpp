// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/client.hpp>

#include "catch.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <functional>
#include <random>
#include <string>
#include <system_error>
#include <utility>
#include <variant>

/// \file
/// Clients over sockets, in real time, as coroutines.

namespace test {

using namespace std::chrono_literals;
using boost::asio::awaitable;
using boost::asio::detached;
using boost::asio::use_awaitable;
inline constexpr auto as_tuple = boost::asio::as_tuple(use_awaitable);

/// Runs a coroutine to its end, and whatever else the context has to do meanwhile.
inline void run(boost::asio::io_context& io, std::function<awaitable<void>()> body) {
    bool done = false;
    std::exception_ptr failure;
    boost::asio::co_spawn(io, std::move(body), [&](std::exception_ptr e) {
        failure = e;
        done = true;
    });
    const auto deadline = std::chrono::steady_clock::now() + 30s;
    while (!done && std::chrono::steady_clock::now() < deadline) {
        io.restart();
        io.run_one_for(1s);
    }
    if (failure)
        std::rethrow_exception(failure);
    REQUIRE(done);
}

inline pusher::client_params quick(std::string url) {
    pusher::client_params p;
    p.url = std::move(url);
    p.backoff_min = 1ms;
    p.backoff_max = 20ms;
    return p;
}

inline std::string tcp_url(std::uint16_t port) { return "tcp://127.0.0.1:" + std::to_string(port); }
inline std::string ws_url(std::uint16_t port, std::string path = "/ws") {
    return "ws://127.0.0.1:" + std::to_string(port) + std::move(path);
}

/// A path for a Unix socket, which is gone afterwards.
struct socket_path {
    socket_path()
        : text((std::filesystem::temp_directory_path() /
                ("pusher-" + std::to_string(std::random_device()()) + ".sock"))
                   .string()) {}
    ~socket_path() {
        std::error_code ignored;
        std::filesystem::remove(text, ignored);
    }
    std::string text;
};

/// The next event of that kind; what comes before is passed over.
template <class Event>
awaitable<Event> next(pusher::client& c) {
    for (;;) {
        auto e = co_await c.async_receive(use_awaitable);
        if (auto* const found = std::get_if<Event>(&e))
            co_return std::move(*found);
    }
}

inline awaitable<std::string> next_payload(pusher::client& c) {
    const auto m = co_await next<pusher::pinned_message>(c);
    co_return std::string(m->payload());
}

/// Checks what the next message says. Catch's macros name what they check twice, and GCC 12 waits for both if
/// that is a `co_await`; so a test waits first, and checks then.
inline awaitable<void> expect(pusher::client& c, std::string payload) {
    const auto got = co_await next_payload(c);
    CHECK(got == payload);
}

} // namespace test
