// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/transport/channel.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <span>
#include <string>
#include <utility>

namespace quotes {

/// Another connection, as if it went over a line that carries little: so many bytes every twentieth of a
/// second, and no more. (A page that reads slowly shows less: a browser and its kernel read on for it,
/// megabytes ahead.)
class slow_line final : public pusher::channel, private pusher::channel_user {
public:
    slow_line(
        pusher::channel_ptr line, std::size_t bytes_per_second, const boost::asio::any_io_executor& executor)
        : line_(std::move(line)),
          timer_(executor),
          most_(bytes_per_second / 20),
          room_(most_) {
        line_->set_user(this);
    }
    ~slow_line() override { line_->close(); }

    std::size_t write(std::span<const char> bytes) noexcept override {
        const auto taken = line_->write(bytes.first(std::min(bytes.size(), room_)));
        room_ -= taken;
        if (taken != 0 && !std::exchange(waits_, true))
            wait();
        return taken;
    }

    void read() override { line_->read(); }
    void shutdown() noexcept override { line_->shutdown(); }
    void close() noexcept override {
        set_user(nullptr);
        timer_.cancel();
        line_->close();
    }
    [[nodiscard]] std::size_t unsent() const noexcept override { return line_->unsent(); }
    [[nodiscard]] bool half_closed() const noexcept override { return line_->half_closed(); }
    [[nodiscard]] std::string peer() const override { return line_->peer(); }
    [[nodiscard]] std::string peer_address() const override { return line_->peer_address(); }
    [[nodiscard]] bool secure() const noexcept override { return line_->secure(); }

private:
    void wait() {
        timer_.expires_after(std::chrono::milliseconds(50));
        timer_.async_wait([self = boost::intrusive_ptr<slow_line>(this)](pusher::error_code) {
            self->waits_ = false;
            self->room_ = self->most_;
            self->at_writable();
        });
    }

    // What the line reports is passed on. Whoever is told may let go of this.
    bool at_bytes(std::span<char> bytes) override {
        const pusher::channel_ptr self(this);
        return user() && user()->at_bytes(bytes);
    }
    void at_writable() override {
        const pusher::channel_ptr self(this);
        if (user())
            user()->at_writable();
    }
    void at_end(pusher::error_code ec) override {
        const pusher::channel_ptr self(this);
        if (user())
            user()->at_end(ec);
    }

    pusher::channel_ptr line_;
    boost::asio::steady_timer timer_;
    std::size_t most_; ///< bytes at once
    std::size_t room_; ///< of them left, until it is filled up again
    bool waits_ = false;
};

} // namespace quotes
