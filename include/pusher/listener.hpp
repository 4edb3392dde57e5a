// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/version.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

namespace pusher::inline v0 {

/// What a transport gives the broker to keep for each address that it listens at. To write a transport of
/// your own, derive from this.
class listener_base {
public:
    listener_base() = default;
    listener_base(const listener_base&) = delete;
    listener_base& operator=(const listener_base&) = delete;
    virtual ~listener_base() = default;

    /// Accepts nothing any more. Sessions that it accepted go on.
    virtual void stop() noexcept = 0;

    /// Whether no connection is left that needs the listener: one that has not become a session, say; asked
    /// after `stop`. What is in the middle of a request may finish it. Then the broker may forget it.
    virtual bool drained() { return true; }

    /// Ends connections that have not become sessions. The last call it gets, after `stop`.
    virtual void abort() noexcept {}

    /// The port it listens at; 0 if it has none.
    [[nodiscard]] virtual std::uint16_t port() const noexcept = 0;

    /// Where it listens, as text, such as `127.0.0.1:8080`.
    [[nodiscard]] virtual std::string local_endpoint() const = 0;

    /// Whether its handle has stopped it.
    [[nodiscard]] bool stopped() const noexcept { return stopped_; }

private:
    friend class listener;

    bool stopped_ = false;
};

/// A handle to a listener. The broker keeps the listener; dropping the handle changes nothing.
class listener {
public:
    listener() noexcept = default;
    explicit listener(std::shared_ptr<listener_base> l) noexcept : state_(std::move(l)) {}

    /// Accepts nothing any more. Sessions that it accepted go on. Without effect the second time.
    void stop() noexcept {
        if (!state_)
            return;
        state_->stop();
        state_->stopped_ = true;
    }

    /// The port, also when 0 was asked for; 0 for a Unix socket, or without a listener.
    [[nodiscard]] std::uint16_t port() const noexcept { return state_ ? state_->port() : 0; }
    [[nodiscard]] std::string local_endpoint() const {
        return state_ ? state_->local_endpoint() : std::string();
    }

    /// False after a `listen` that failed.
    explicit operator bool() const noexcept { return state_ != nullptr; }

private:
    std::shared_ptr<listener_base> state_;
};

} // namespace pusher::inline v0
