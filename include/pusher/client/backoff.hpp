// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/version.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace pusher::inline v0 {

/// How long to wait before connecting again: twice as long each time, up to a limit, and less a random part,
/// so that the clients of a hub that went away do not return all at once.
class client_backoff {
public:
    using duration = std::chrono::milliseconds;

    /// \param jitter the largest part of a delay that chance takes off, 0 to 1.
    client_backoff(duration shortest, duration longest, double jitter) noexcept
        : shortest_(shortest),
          longest_(longest),
          jitter_(jitter),
          next_(shortest) {}

    /// The delay before the next attempt. \param random any 64 bits.
    [[nodiscard]] duration next(std::uint64_t random) noexcept {
        const auto whole = next_;
        next_ = next_ > longest_ / 2 ? longest_ : next_ * 2;
        constexpr double scale = 1.0 / 9007199254740992.0; // 2^-53
        const double part = jitter_ * static_cast<double>(random >> 11) * scale;
        return whole - duration(static_cast<duration::rep>(static_cast<double>(whole.count()) * part));
    }

    /// Begins anew with the shortest delay.
    void reset() noexcept { next_ = shortest_; }

private:
    duration shortest_;
    duration longest_;
    double jitter_;
    duration next_;
};

} // namespace pusher::inline v0
