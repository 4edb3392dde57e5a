// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/transport/services.hpp>

namespace pusher::inline v0 {

PUSHER_DECL services::services(const boost::asio::any_io_executor& executor)
    : executor_(executor),
      timer_(executor),
      timers_(std::chrono::milliseconds(100), now()) {}

PUSHER_DECL void services::wait() {
    waits_until_ = timers_.next_deadline();
    if (waits_until_ == time_point::max())
        return;
    timer_.expires_at(waits_until_);
    timer_.async_wait([self = weak_from_this()](error_code ec) {
        const auto s = self.lock();
        if (!s || s->stopped_ || ec)
            return;
        s->waits_until_ = time_point::max();
        s->timers_.advance(now(), [](detail::timer_node& n) { static_cast<timeout&>(n).at_timeout(); });
        if (!s->stopped_)
            s->wait();
    });
}

} // namespace pusher::inline v0
