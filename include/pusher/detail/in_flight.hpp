// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/failing.hpp>
#include <pusher/detail/timer_queue.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>

namespace pusher::inline v0::detail {

struct cursor;

/// What a subscription that acknowledges was sent and has not acknowledged, oldest first.
class in_flight : public timer_node {
public:
    struct entry {
        std::uint64_t offset;
        std::uint64_t sequence;
    };

    explicit in_flight(cursor& c) noexcept
        : timer_node(static_cast<std::uint16_t>(due_kind::in_flight)),
          of(&c) {}

    [[nodiscard]] bool empty() const noexcept { return sent_.empty(); }
    [[nodiscard]] std::size_t size() const noexcept { return sent_.size(); }

    /// What is to be sent again comes before what is new.
    [[nodiscard]] bool repeats() const noexcept { return next_ != sent_.size(); }
    [[nodiscard]] const entry& next_again() const noexcept { return sent_[next_]; }
    [[nodiscard]] const entry& oldest() const noexcept { return sent_.front(); }
    [[nodiscard]] const std::deque<entry>& all() const noexcept { return sent_; }
    void repeat_all() noexcept { next_ = 0; }
    void repeated() noexcept { ++next_; }

    /// Only if nothing is to be sent again.
    void add(const entry& e) {
        sent_.push_back(e);
        next_ = sent_.size();
    }

    /// Everything up to there was acknowledged. \return whether that is news
    bool acknowledge(std::uint64_t offset) noexcept {
        bool any = false;
        for (; !sent_.empty() && sent_.front().offset <= offset; any = true) {
            sent_.pop_front();
            next_ -= next_ != 0 ? 1 : 0;
        }
        if (any)
            state = {}; // the next has its own attempts
        return any;
    }

    [[nodiscard]] bool contains(std::uint64_t offset) const noexcept {
        const auto at = std::lower_bound(
            sent_.begin(), sent_.end(), offset, [](const entry& e, std::uint64_t o) { return e.offset < o; });
        return at != sent_.end() && at->offset == offset;
    }

    /// It was lost: nothing of it is waited for. \return whether it was here
    bool forget(std::uint64_t offset) noexcept {
        const auto at = std::lower_bound(
            sent_.begin(), sent_.end(), offset, [](const entry& e, std::uint64_t o) { return e.offset < o; });
        if (at == sent_.end() || at->offset != offset)
            return false;
        if (static_cast<std::size_t>(at - sent_.begin()) < next_)
            --next_;
        if (at == sent_.begin())
            state = {};
        sent_.erase(at);
        return true;
    }

    cursor* of;
    failure_state state; ///< of the oldest

private:
    std::deque<entry> sent_;
    std::size_t next_ = 0; ///< those from here on are to be sent again
};

} // namespace pusher::inline v0::detail
