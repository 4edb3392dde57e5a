// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/client/url.hpp>
#include <pusher/error.hpp>
#include <pusher/transport/channel.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>

namespace pusher::inline v0 {

/// Where a client takes the time from. A test's clock stands still until the test moves it.
class client_clock {
public:
    using time_point = std::chrono::steady_clock::time_point;

    client_clock() = default;
    client_clock(const client_clock&) = delete;
    client_clock& operator=(const client_clock&) = delete;
    virtual ~client_clock() = default;

    [[nodiscard]] virtual time_point now() const = 0;

    /// Calls `f` once from the event loop, at that time or later. It replaces what was asked for before.
    virtual void wait(time_point when, std::function<void()> f) = 0;

    /// What was asked for is not called any more, and keeps no work outstanding.
    virtual void cancel() noexcept = 0;
};

/// How a client gets its connections: to the network, or, in a test, to memory.
class client_connector {
public:
    client_connector() = default;
    client_connector(const client_connector&) = delete;
    client_connector& operator=(const client_connector&) = delete;
    virtual ~client_connector() = default;

    /// Makes a connection, and calls `done` once, from the event loop: with a channel, or with an error. A
    /// channel need not be ready; it takes no bytes until it is.
    ///
    /// \param attempt counts from 0, for those who choose among several addresses.
    virtual void connect(
        const client_url& url, std::size_t attempt, std::function<void(error_code, channel_ptr)> done) = 0;

    /// Gives up. `done` is not called any more.
    virtual void cancel() noexcept = 0;
};

/// What a client needs of the world. Each may be left out: then it is the steady clock, and sockets.
struct client_environment {
    std::shared_ptr<client_clock> clock{};
    std::shared_ptr<client_connector> connector{};
};

} // namespace pusher::inline v0
