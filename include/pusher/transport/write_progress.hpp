// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/transport/channel.hpp>
#include <pusher/transport/link_limits.hpp>
#include <pusher/transport/services.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>

namespace pusher::inline v0 {

/// Tells a peer that is slow from one that takes nothing, or is gone without a word.
///
/// A socket says that it is writable only when a good part of its buffer is free. A peer that is slow may be
/// long in taking that much, but it takes something; and what a peer that is gone never takes may fit into
/// the buffer. Of neither is anybody told, so what reaches the peer is looked at.
class write_progress {
public:
    using time_point = services::time_point;

    /// The channel took that much.
    void took(std::size_t bytes) noexcept {
        taken_ = static_cast<std::uint32_t>(std::min<std::uint64_t>(most, std::uint64_t{taken_} + bytes));
        if (!waits())
            since_ = services::now();
    }

    /// The channel has no room for more.
    void block(const channel& c) noexcept {
        since_ = services::now();
        look(c);
    }

    /// Looks at what the peer has taken since the last time.
    /// \param blocked whether the channel has no room. \return whether the time is up.
    [[nodiscard]] bool stuck(const channel& c, bool blocked, const link_limits& limits) noexcept {
        if (!waits())
            return false;
        const auto now = services::now();
        const bool progress = look(c);
        if (unsent_ == 0 && !blocked)
            since_ = {};
        else if (progress)
            since_ = now;
        return waits() && now - since_ >= limits.write_timeout;
    }

    /// Whether something has not reached the peer, as far as was seen.
    [[nodiscard]] bool waits() const noexcept { return since_ != time_point(); }

    /// When the time is up, unless the peer takes something.
    [[nodiscard]] time_point deadline(const link_limits& limits) const noexcept {
        return since_ + limits.write_timeout;
    }

    /// When to look next: often enough for the end to come within an eighth of the limit.
    [[nodiscard]] time_point next_look(const link_limits& limits) const noexcept {
        return std::min<time_point>(deadline(limits), services::now() + limits.write_timeout / 8);
    }

private:
    static constexpr std::uint32_t most = std::numeric_limits<std::uint32_t>::max();

    /// \return whether the peer has taken anything since the last look.
    bool look(const channel& c) noexcept {
        const auto before = std::uint64_t{unsent_} + std::exchange(taken_, 0);
        // This may be more than before and what was taken: what is encrypted on its way is longer.
        unsent_ = static_cast<std::uint32_t>(std::min<std::uint64_t>(most, c.unsent()));
        return unsent_ < before;
    }

    time_point since_{};       ///< when the peer last took something, or there was something to take again
    std::uint32_t unsent_ = 0; ///< what the channel had at the last look
    std::uint32_t taken_ = 0;  ///< what it took since then
};

} // namespace pusher::inline v0
