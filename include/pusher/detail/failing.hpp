// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/run.hpp>
#include <pusher/detail/shared_text.hpp>
#include <pusher/detail/timer_queue.hpp>
#include <pusher/failure_policy.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

namespace pusher::inline v0::detail {

/// What the core's timers belong to.
enum class due_kind : std::uint16_t {
    in_flight, ///< something was not acknowledged in time, or is to be sent again
    holding,   ///< a handler is to be called again
    parcel,    ///< a failed delivery takes its next step
    durable    ///< nobody has come back for a durable subscription
};

/// Where a failed delivery is on its ladder.
struct failure_state {
    failure_ladder ladder;
    failure_cause why = failure_cause::disconnected;
    std::uint16_t rung = 0;
    std::uint32_t tries = 0;    ///< that this rung has made
    std::uint32_t attempts = 1; ///< that failed, in all
    bool waits = false;         ///< an attempt follows when its time comes

    void failed_again() noexcept {
        ++tries;
        ++attempts;
    }
};

/// Who a failed delivery was for; it may be gone.
struct addressee {
    std::uint64_t id = 0;
    shared_text uid;
    shared_text peer;
    shared_text transport;
    shared_text durable; ///< name of the subscription it was for; empty: any session of the uid may get it

    [[nodiscard]] static addressee
    of(const subscriber_info& who, const shared_text& uid, const shared_text& durable = {}) {
        return {who.id, uid, shared_text(who.peer), shared_text(who.transport), durable};
    }
    [[nodiscard]] subscriber_info info() const noexcept {
        return {id, uid.view(), peer.view(), transport.view()};
    }
};

class handler_subscriber;

/// A handler that threw, while the message is still to be tried: what follows is held, so that order is kept.
class holding : public timer_node {
public:
    explicit holding(handler_subscriber& s) noexcept
        : timer_node(static_cast<std::uint16_t>(due_kind::holding)),
          who(&s) {}

    void add(run_ptr r) {
        bytes += r->bytes();
        messages.push_back(std::move(r));
    }
    void add_first(run_ptr r) {
        bytes += r->bytes();
        messages.push_front(std::move(r));
    }
    void pop_front() {
        bytes -= messages.front()->bytes();
        messages.pop_front();
    }

    handler_subscriber* who;
    failure_state state;          ///< of the first
    std::exception_ptr exception; ///< of its last attempt
    std::deque<run_ptr> messages; ///< one in each
    std::size_t bytes = 0;
    bool failing = true; ///< the first has failed; else all are only to be called
};

struct mailbox;

/// One message that failed for one uid, or for a subscriber without one.
class parcel : public timer_node {
public:
    parcel(run_ptr r, std::uint32_t i) noexcept
        : timer_node(static_cast<std::uint16_t>(due_kind::parcel)),
          messages(std::move(r)),
          index(i) {}

    [[nodiscard]] std::size_t size() const noexcept { return messages->at(index).size(); }
    [[nodiscard]] std::uint64_t sequence() const noexcept { return messages->at(index).sequence; }

    mailbox* in = nullptr;
    run_ptr messages;
    std::uint32_t index;
    addressee who;
    failure_state state;
    steady_time until{};       ///< its next step, or the end of its parking
    std::uint64_t number = 0;  ///< by which a store keeps it; 0: none does
    std::uint64_t out = 0;     ///< the subscriber in whose outbox it is again; 0: none
    std::uint64_t not_to = 0;  ///< a subscriber that cannot get it
    std::uint64_t sent_to = 0; ///< the subscriber to which it was sent, and that has yet to acknowledge it
    bool parked = false;
    bool limited = false; ///< it counts against the limits of parking
    bool late = false;    ///< it was sent, and not acknowledged in time: it comes again, or its next step
};

/// What is kept for one uid, in publish order.
struct mailbox {
    shared_text uid;
    std::deque<std::unique_ptr<parcel>> parcels;
    std::size_t bytes = 0;
    std::size_t limited = 0;       ///< parcels that wait, or are parked
    std::size_t limited_bytes = 0; ///< the same in bytes
    bool offered = false;          ///< those who are here are to look into it
    bool held_back = false;        ///< something was not sent yet to who acknowledges

    void add(std::unique_ptr<parcel> p) {
        bytes += p->size();
        const auto at = std::upper_bound(
            parcels.begin(), parcels.end(), p->sequence(),
            [](std::uint64_t sequence, const auto& other) { return sequence < other->sequence(); });
        parcels.insert(at, std::move(p));
    }

    [[nodiscard]] std::unique_ptr<parcel> take(const parcel& p) {
        const auto at = std::find_if(
            first(p.sequence()), parcels.end(), [&](const auto& other) { return other.get() == &p; });
        auto taken = std::move(*at);
        bytes -= taken->size();
        parcels.erase(at);
        return taken;
    }

    [[nodiscard]] parcel* find(std::uint64_t sequence, std::string_view durable) {
        for (auto p = first(sequence); p != parcels.end() && (*p)->sequence() == sequence; ++p)
            if ((*p)->who.durable.view() == durable)
                return p->get();
        return nullptr;
    }

    /// The one that is in the outbox of a subscriber.
    [[nodiscard]] parcel* find_out(std::uint64_t to, std::uint64_t sequence) {
        for (auto p = first(sequence); p != parcels.end() && (*p)->sequence() == sequence; ++p)
            if ((*p)->out == to)
                return p->get();
        return nullptr;
    }

private:
    std::deque<std::unique_ptr<parcel>>::iterator first(std::uint64_t sequence) {
        return std::lower_bound(
            parcels.begin(), parcels.end(), sequence,
            [](const auto& p, std::uint64_t wanted) { return p->sequence() < wanted; });
    }
};

/// What a ladder gave up on.
struct dead_entry {
    std::uint64_t number;
    run_ptr messages;
    std::uint32_t index;
    addressee who;
    failure_cause why;
    std::uint32_t attempts;
    wall_time when;
};

} // namespace pusher::inline v0::detail
