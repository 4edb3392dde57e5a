// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/version.hpp>

#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <ratio>
#include <stdexcept>
#include <type_traits>

namespace pusher::inline v0::detail {

/// The links of a circular list. A list's head is one too, so that leaving a list needs no list.
class timer_link {
public:
    timer_link() noexcept = default;
    timer_link(const timer_link&) = delete;
    timer_link& operator=(const timer_link&) = delete;

private:
    friend class timer_queue;
    friend class timer_node;

    [[nodiscard]] bool alone() const noexcept { return next_ == this; }

    void unlink() noexcept {
        next_->prev_ = prev_;
        prev_->next_ = next_;
        next_ = prev_ = this;
    }

    /// Appends `link`, which is alone.
    void push_back(timer_link& link) noexcept {
        link.next_ = this;
        link.prev_ = prev_;
        prev_ = prev_->next_ = &link;
    }

    /// Appends all that the list at `head` holds.
    void splice_back(timer_link& head) noexcept {
        if (head.alone())
            return;
        head.next_->prev_ = prev_;
        prev_->next_ = head.next_;
        head.prev_->next_ = this;
        prev_ = head.prev_;
        head.next_ = head.prev_ = &head;
    }

    timer_link* next_ = this;
    timer_link* prev_ = this;
};

/// One timer: a base or member of what it belongs to. Used with one `timer_queue` all its life; may be
/// destroyed before or after it, armed or not.
///
/// Derive from it to get from the node to its owner; `kind` (of your choice) tells what to cast to.
class timer_node : timer_link {
public:
    explicit timer_node(std::uint16_t kind = 0) noexcept : tick_(0), kind_(kind) {}
    ~timer_node() { unlink(); }

    [[nodiscard]] bool armed() const noexcept { return !alone(); }
    [[nodiscard]] std::uint16_t kind() const noexcept { return kind_; }

private:
    friend class timer_queue;

    std::uint64_t tick_ : 48;
    std::uint64_t kind_ : 16;
};

static_assert(sizeof(timer_node) <= 24 || sizeof(void*) > 8);

/// The deadlines of all sessions: a hierarchical timing wheel over intrusive nodes. Does not allocate.
///
/// Time is cut into ticks, and a node fires in the first `advance` whose time has reached the first tick
/// boundary at or after its deadline: never early, late by less than a tick. Arming and cancelling cost the
/// same however many are armed. For a timeout that activity keeps moving (idle, lease), leave the node armed,
/// note the time of the activity, and arm anew only when it fires and proves too early.
///
/// A level has 64 slots, each 64 times as long as those of the level below. A node waits in the level of the
/// highest base-64 digit in which its tick differs from the current one, and moves down when time reaches its
/// slot. So a level's slots hold later ticks than all levels below it, and all before the current digit are
/// empty.
///
/// Not safe for concurrent use, like everything in the core.
class timer_queue {
public:
    using clock = std::chrono::steady_clock;
    using duration = clock::duration;
    using time_point = clock::time_point;

    /// `granularity`: the length of a tick, at least 1 ms (else `std::invalid_argument`). `now`: the time, or
    /// an earlier one, which only costs moves.
    explicit timer_queue(duration granularity = std::chrono::milliseconds(100), time_point now = {})
        : granularity_(granularity.count()) {
        if (granularity < std::chrono::milliseconds(1))
            throw std::invalid_argument("timer_queue: granularity under 1 ms");
        current_ = tick_until(now);
    }

    timer_queue(const timer_queue&) = delete;
    timer_queue& operator=(const timer_queue&) = delete;

    ~timer_queue() {
        release(due_);
        release(overdue_);
        for (auto& level : slots_)
            for (auto& slot : level)
                release(slot);
    }

    /// Arms the node, or moves it. A deadline that has passed fires in the next `advance`.
    void arm(timer_node& node, time_point deadline) noexcept {
        const std::uint64_t tick = tick_from(deadline);
        if (node.armed()) {
            // The neighbours in the list are cold memory: stay where the move is within a tick.
            if (node.tick_ == tick)
                return;
            node.unlink();
        }
        node.tick_ = tick & ((std::uint64_t{1} << 48) - 1);
        if (tick <= current_)
            overdue_.push_back(node);
        else
            place(node);
    }

    static void cancel(timer_node& node) noexcept { node.unlink(); }

    /// Calls `f(timer_node&)` for every node whose time has come by `now`, in the order of ticks, and within
    /// a tick in the order of arming. The node is disarmed before its call.
    ///
    /// `f` may arm, cancel and destroy any node, but not this queue. A node that it arms for a time already
    /// past waits for the next `advance`, so each call ends. If `f` throws, the rest stay due, and the next
    /// `advance` begins with them. A `now` before an earlier one counts as that one.
    template <class F>
        requires std::is_invocable_v<F&, timer_node&>
    void advance(time_point now, F&& f) {
        // First everything due goes to one list and the wheel is set to `now`, so that `f` meets a wheel at
        // rest.
        collect(tick_until(now));
        while (!due_.alone()) {
            auto& node = static_cast<timer_node&>(*due_.next_);
            node.unlink();
            f(node);
        }
    }

    /// No node fires before this; `time_point::max()` if none is armed. May be too early for what is over 64
    /// ticks away or beyond the next multiple of 64 (whoever sleeps until then calls `advance` and asks
    /// again), never too late. Costs a look at a few words.
    [[nodiscard]] time_point next_deadline() const noexcept {
        if (!due_.alone() || !overdue_.alone())
            return time_of(current_);
        const auto at = first_slot();
        return at ? time_of(tick_of(*at)) : time_point::max();
    }

    [[nodiscard]] bool empty() const noexcept { return due_.alone() && overdue_.alone() && !first_slot(); }

private:
    static constexpr std::size_t levels = 8;
    static constexpr std::size_t digit_bits = 6;
    static constexpr std::size_t slots_per_level = std::size_t{1} << digit_bits;

    // Ticks count from the clock's zero plus this, so that times before it have one too. Cut into ticks of
    // a millisecond, the whole range of the clock lies between 0 and twice this: no deadline is out of range.
    static constexpr std::int64_t zero = std::int64_t{1} << 44;
    static_assert(std::is_same_v<duration::period, std::nano> && sizeof(duration::rep) == 8);
    static_assert(std::numeric_limits<std::int64_t>::max() / 1'000'000 < zero - 1);
    static_assert(2 * zero < (std::int64_t{1} << (levels * digit_bits)));

    struct position {
        std::size_t level;
        std::size_t slot;
    };

    /// The tick that has begun at `now`.
    [[nodiscard]] std::uint64_t tick_until(time_point now) const noexcept {
        const std::int64_t since = now.time_since_epoch().count();
        return static_cast<std::uint64_t>(zero + since / granularity_ - (since % granularity_ < 0 ? 1 : 0));
    }

    /// The first tick that begins at `deadline` or after it: nothing fires early.
    [[nodiscard]] std::uint64_t tick_from(time_point deadline) const noexcept {
        const std::int64_t since = deadline.time_since_epoch().count();
        return static_cast<std::uint64_t>(zero + since / granularity_ + (since % granularity_ > 0 ? 1 : 0));
    }

    /// When the tick begins; the first and last one reach beyond the ends of the clock.
    [[nodiscard]] time_point time_of(std::uint64_t tick) const noexcept {
        const std::int64_t since = static_cast<std::int64_t>(tick) - zero;
        if (since > std::numeric_limits<std::int64_t>::max() / granularity_)
            return time_point::max();
        if (since < std::numeric_limits<std::int64_t>::min() / granularity_)
            return time_point::min();
        return time_point(duration(since * granularity_));
    }

    /// The first tick of a slot.
    [[nodiscard]] std::uint64_t tick_of(position at) const noexcept {
        const std::size_t shift = at.level * digit_bits;
        const std::uint64_t below = (std::uint64_t{1} << (shift + digit_bits)) - 1;
        return (current_ & ~below) | (std::uint64_t{at.slot} << shift);
    }

    /// For a tick after the current one.
    void place(timer_node& node) noexcept {
        const std::uint64_t tick = node.tick_;
        const auto level = (static_cast<std::size_t>(std::bit_width(tick ^ current_)) - 1) / digit_bits;
        const auto slot = static_cast<std::size_t>(tick >> (level * digit_bits)) % slots_per_level;
        slots_[level][slot].push_back(node);
        occupied_[level] |= std::uint64_t{1} << slot;
    }

    /// The slot that is due first. Nodes leave without a word to the queue, so a bit may be out of date: it
    /// is cleared here, once for each time it was set.
    [[nodiscard]] std::optional<position> first_slot() const noexcept {
        for (std::size_t level = 0; level != levels; ++level)
            for (auto& bits = occupied_[level]; bits != 0; bits &= bits - 1) {
                const auto slot = static_cast<std::size_t>(std::countr_zero(bits));
                if (!slots_[level][slot].alone())
                    return position{level, slot};
            }
        return std::nullopt;
    }

    /// Moves all nodes up to the tick `target` to `due_`, in order, and makes it the current tick.
    void collect(std::uint64_t target) noexcept {
        due_.splice_back(overdue_);
        while (const auto at = first_slot()) {
            const std::uint64_t tick = tick_of(*at);
            if (tick > target)
                break;
            current_ = tick;
            auto& slot = slots_[at->level][at->slot];
            occupied_[at->level] &= ~(std::uint64_t{1} << at->slot);
            if (at->level == 0) {
                due_.splice_back(slot);
                continue;
            }
            while (!slot.alone()) {
                auto& node = static_cast<timer_node&>(*slot.next_);
                node.unlink();
                if (node.tick_ == tick)
                    due_.push_back(node);
                else
                    place(node);
            }
        }
        if (current_ < target)
            current_ = target;
    }

    static void release(timer_link& head) noexcept {
        while (!head.alone())
            head.next_->unlink();
    }

    std::int64_t granularity_;  // nanoseconds
    std::uint64_t current_ = 0; // all ticks up to this one have been collected
    mutable std::array<std::uint64_t, levels> occupied_{};
    timer_link due_;     // collected, not yet called
    timer_link overdue_; // armed for a tick already collected
    std::array<std::array<timer_link, slots_per_level>, levels> slots_;
};

} // namespace pusher::inline v0::detail
