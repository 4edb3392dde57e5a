// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/transport/channel.hpp>
#include <pusher/transport/link_limits.hpp>
#include <pusher/transport/services.hpp>

#include <algorithm>
#include <cstddef>

namespace pusher::inline v0 {

/// Tells a peer that is slow from one that takes nothing.
///
/// A socket says that it is writable only when a good part of its buffer is free. A peer that is slow may be
/// long in taking that much, but it takes something; what that is, nobody is told, so it is looked at.
class write_progress {
public:
    using time_point = services::time_point;

    /// The channel has no room for more.
    void mark(const channel& c) noexcept {
        since_ = services::now();
        unsent_ = c.unsent();
    }

    /// Looks at what the peer has taken since the last time. \return whether the time is up.
    [[nodiscard]] bool stuck(const channel& c, const link_limits& limits) noexcept {
        const auto now = services::now();
        const auto left = c.unsent();
        if (left < unsent_)
            since_ = now;
        unsent_ = left; // which may be more: what is encrypted on its way is longer
        return now - since_ >= limits.write_timeout;
    }

    /// When to look next: often enough for the end to come within an eighth of the limit.
    [[nodiscard]] time_point next_look(const link_limits& limits) const noexcept {
        return std::min<time_point>(
            since_ + limits.write_timeout, services::now() + limits.write_timeout / looks);
    }

private:
    static constexpr int looks = 8;

    time_point since_{};     ///< when the peer was last seen to take something
    std::size_t unsent_ = 0; ///< what the channel had when it was looked at
};

} // namespace pusher::inline v0
