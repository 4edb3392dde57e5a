// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/version.hpp>

#include <chrono>
#include <cstdint>
#include <limits>
#include <ratio>
#include <stdexcept>
#include <type_traits>

namespace pusher::inline v0::detail {

struct token_bucket_params {
    std::uint32_t tokens = 1;                                          ///< so many, at least 1 …
    std::chrono::steady_clock::duration per = std::chrono::seconds(1); ///< … in this time, positive
    std::uint32_t burst = 1;                                           ///< most that are saved up, at least 1
};

/// A rate limiter. Begins full. Exact: over any time `t` at most `burst + tokens * t / per` are given, and
/// with steady demand not one less than `floor(tokens * t / per)`, however long it runs and whatever the
/// fractions.
///
/// The level is counted in units of a token divided by `per` in nanoseconds, of which each nanosecond adds
/// `tokens`: whole numbers, nothing to round. A time before an earlier one counts as that one.
class token_bucket {
public:
    using clock = std::chrono::steady_clock;
    using duration = clock::duration;
    using time_point = clock::time_point;

    /// Throws `std::invalid_argument` for a zero, or if `burst * per` reaches 584 years.
    explicit token_bucket(const token_bucket_params& params)
        : tokens_(params.tokens),
          burst_(params.burst),
          token_(static_cast<std::uint64_t>(params.per.count())) {
        if (params.tokens == 0 || params.burst == 0 || params.per <= duration::zero())
            throw std::invalid_argument("token_bucket: tokens, per and burst must be positive");
        if (token_ > std::numeric_limits<std::uint64_t>::max() / burst_)
            throw std::invalid_argument("token_bucket: burst * per too large");
        level_ = full();
    }

    /// Takes `count` tokens, or none.
    [[nodiscard]] bool try_take(time_point now, std::uint32_t count = 1) noexcept {
        refill(now);
        if (count > burst_ || level_ < count * token_)
            return false;
        level_ -= count * token_;
        return true;
    }

    /// How many can be taken.
    [[nodiscard]] std::uint32_t available(time_point now) noexcept {
        refill(now);
        return static_cast<std::uint32_t>(level_ / token_);
    }

    /// The first time at which `count` can be taken: `now` if they are there, `time_point::max()` if they
    /// never will be (more than the burst).
    [[nodiscard]] time_point ready_at(time_point now, std::uint32_t count = 1) noexcept {
        refill(now);
        if (count > burst_)
            return time_point::max();
        if (level_ >= count * token_)
            return now;
        const std::uint64_t wait = nanoseconds_for(count * token_ - level_);
        const std::uint64_t left = count_of(time_point::max()) - count_of(last_);
        return wait < left ? time_point(duration(static_cast<std::int64_t>(count_of(last_) + wait)))
                           : time_point::max();
    }

private:
    static_assert(std::is_same_v<duration::period, std::nano> && sizeof(duration::rep) == 8);

    /// Unsigned, so that the difference of any two times is right.
    static std::uint64_t count_of(time_point time) noexcept {
        return static_cast<std::uint64_t>(time.time_since_epoch().count());
    }

    [[nodiscard]] std::uint64_t full() const noexcept { return burst_ * token_; }

    [[nodiscard]] std::uint64_t nanoseconds_for(std::uint64_t units) const noexcept {
        return units / tokens_ + (units % tokens_ != 0 ? 1 : 0);
    }

    void refill(time_point now) noexcept {
        if (now <= last_)
            return;
        const std::uint64_t elapsed = count_of(now) - count_of(last_);
        last_ = now;
        if (elapsed >= nanoseconds_for(full() - level_))
            level_ = full();
        else
            level_ += elapsed * tokens_;
    }

    std::uint32_t tokens_;
    std::uint32_t burst_;
    std::uint64_t token_;                 // units of one token: nanoseconds of `per`
    std::uint64_t level_ = 0;             // units
    time_point last_ = time_point::min(); // when level_ was right; the bucket begins full, so at any time
};

} // namespace pusher::inline v0::detail
