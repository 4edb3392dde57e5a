// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/config.hpp>
#include <pusher/detail/timer_queue.hpp>
#include <pusher/dialect/websocket_deflate.hpp>
#include <pusher/error.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace pusher::inline v0 {

/// A deadline in the broker's timer queue.
class timeout : public detail::timer_node {
public:
    /// Called once, from the event loop. It may arm anew, and may destroy itself.
    virtual void at_timeout() = 0;

protected:
    ~timeout() = default;
};

/// What all links of one broker share: its executor, one read buffer, one timer, one decompressor. Idle
/// links own nothing of the kind. Shared, because operations that are cancelled complete after the broker is
/// gone.
class services : public std::enable_shared_from_this<services> {
public:
    using time_point = std::chrono::steady_clock::time_point;

    explicit services(const boost::asio::any_io_executor& executor);

    [[nodiscard]] const boost::asio::any_io_executor& executor() const noexcept { return executor_; }

    /// Room for one read; its content is dealt with before the next.
    [[nodiscard]] std::span<char> read_buffer() {
        if (read_buffer_.empty())
            read_buffer_.resize(64 * 1024);
        return read_buffer_;
    }

    /// One for all links, which keep nothing from one message to the next.
    [[nodiscard]] websocket_inflater& inflater() noexcept { return inflater_; }

    [[nodiscard]] static time_point now() noexcept { return std::chrono::steady_clock::now(); }

    void arm(timeout& t, time_point deadline) {
        timers_.arm(t, deadline);
        if (!stopped_ && timers_.next_deadline() < waits_until_)
            wait();
    }
    static void cancel(timeout& t) noexcept { detail::timer_queue::cancel(t); }

    /// Runs `f` from the event loop, unless the broker is gone by then.
    template <class F>
    void post(F&& f) {
        boost::asio::post(executor_, [self = weak_from_this(), f = std::forward<F>(f)]() mutable {
            if (const auto s = self.lock(); s && !s->stopped_)
                f();
        });
    }

    /// Destroys something later, since it may be in the middle of a call now.
    template <class T>
    void destroy_later(T&& object) {
        boost::asio::post(executor_, [object = std::forward<T>(object)] {});
    }

    /// Keeps no work outstanding while nothing is armed: a cancelled deadline leaves the wait for it behind.
    void rest() noexcept {
        if (!timers_.empty())
            return;
        waits_until_ = time_point::max();
        timer_.cancel();
    }

    /// The broker is going: nothing is called any more, and no work is kept outstanding.
    void stop() noexcept {
        stopped_ = true;
        timer_.cancel();
    }

private:
    void wait();

    boost::asio::any_io_executor executor_;
    boost::asio::steady_timer timer_;
    detail::timer_queue timers_;
    time_point waits_until_ = time_point::max();
    std::vector<char> read_buffer_;
    websocket_inflater inflater_;
    bool stopped_ = false;
};

} // namespace pusher::inline v0

#if !defined(PUSHER_SEPARATE_COMPILATION)
#include <pusher/transport/impl/services.hpp>
#endif
