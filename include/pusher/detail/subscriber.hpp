// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/durable.hpp>
#include <pusher/detail/failing.hpp>
#include <pusher/detail/group.hpp>
#include <pusher/detail/in_flight.hpp>
#include <pusher/detail/outbox.hpp>
#include <pusher/detail/topic_table.hpp>
#include <pusher/observer.hpp>

#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>
#include <boost/unordered/unordered_flat_map.hpp>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace pusher::inline v0::detail {

class core;
class subscriber_base;

/// One subscription, in its subscriber's list. 20 bytes: a session may have thousands.
struct sub_ref {
    /// In place of an index in the group, while the subscription is catching up and is not in the group.
    static constexpr std::uint32_t catching = 0xFFFFFFFFU;

    std::uint32_t group; ///< id of the group
    std::uint32_t index; ///< where the group lists it
    std::uint32_t order; ///< grows from subscription to subscription of one subscriber

    /// Since it is live: messages up to this sequence are not for it.
    [[nodiscard]] std::uint64_t born() const noexcept { return std::uint64_t{born_high} << 32 | born_low; }
    void set_born(std::uint64_t sequence) noexcept {
        born_low = static_cast<std::uint32_t>(sequence);
        born_high = static_cast<std::uint32_t>(sequence >> 32);
    }

    std::uint32_t born_low = 0; // two halves, or there would be four bytes of padding
    std::uint32_t born_high = 0;
};

/// A subscription that reads its topic's history, and has not come to the present yet.
struct cursor {
    /// In place of a group: live subscriptions rely on the cursor for what came since it was born. Their
    /// messages were spilled, or the cursor's own subscription has ended.
    static constexpr std::uint32_t no_group = 0xFFFFFFFFU;

    subscriber_base* who;
    topic_state* topic;
    std::uint32_t group;
    bool no_echo;
    std::uint64_t next;          ///< offset of the next message to read
    std::uint64_t next_sequence; ///< of that message; 0: not looked up
    std::uint64_t born;          ///< the broker's sequence when it subscribed
    std::uint64_t owed;          ///< offset from which on what it does not get is a loss
    std::uint64_t from;          ///< offset of the first that it read
    shared_text type;
    std::unique_ptr<in_flight> sent{}; ///< of a subscription that acknowledges; it never goes live
    durable_cursor* durable = nullptr; ///< that it reads for
    std::size_t returned = 0;          ///< messages that came back, and are to be acknowledged
    bool mail_first = false;           ///< what is kept for its subscriber cannot be sent yet

    void skip_to(std::uint64_t offset) noexcept {
        if (offset <= next)
            return;
        next = offset;
        next_sequence = 0;
    }
};

/// What a subscriber that catches up remembers. All its cursors advance together, in publish order, and go
/// live together, so that what it receives from history is in order across topics.
///
/// A cursor also brings what was published to its topic since it began and is for a live subscription, of a
/// filter or of another type: so each message comes once, and in order.
struct catchup {
    std::vector<std::unique_ptr<cursor>> cursors;
    gap_list gaps; ///< of a handler, which has no outbox

    /// Whether a cursor brings the message of that topic and sequence.
    [[nodiscard]] bool covers(const topic_state* t, std::uint64_t sequence) const noexcept {
        for (const auto& c : cursors)
            if (c->topic == t && c->born < sequence)
                return true;
        return false;
    }

    /// The cursor that only live subscriptions rely on.
    [[nodiscard]] cursor* ungrouped(const topic_state* t) const noexcept {
        for (const auto& c : cursors)
            if (c->topic == t && c->group == cursor::no_group)
                return c.get();
        return nullptr;
    }
};

/// The identity that subscriptions, an outbox and a delivery state belong to: a peer's session, or a
/// subscriber in process. The core sees it as one of the two kinds below.
class subscriber_base : public boost::intrusive_ref_counter<subscriber_base, boost::thread_unsafe_counter> {
public:
    enum class kind : std::uint8_t { handler, queue };

    explicit subscriber_base(kind k) noexcept : what(k) {}
    subscriber_base(const subscriber_base&) = delete;
    subscriber_base& operator=(const subscriber_base&) = delete;
    virtual ~subscriber_base() = default;

    /// For observers.
    [[nodiscard]] virtual subscriber_info info() const { return {id, uid.view(), {}, {}}; }

    std::uint32_t slot = 0; ///< first, where the count of references leaves room for it
    core* owner = nullptr;  ///< null: not, or no more, part of a broker
    std::uint64_t id = 0;
    std::uint64_t last_sequence = 0; ///< the newest message that was counted or called for
    std::uint64_t bound_at = 0;      ///< the broker's sequence when it got its uid
    compact_list<sub_ref> subs;
    shared_text uid;
    std::uint32_t uid_index = 0; ///< where the uid lists it
    std::uint32_t next_order = 0;
    kind what;
    bool scheduled : 1 = false;           ///< waits for its turn to be drained, or to read on from history
    bool remote : 1 = false;              ///< a session
    bool listed : 1 = true;               ///< broadcasts and pushes to its uid reach it
    bool has_options : 1 = false;         ///< some subscription has a policy of its own
    bool has_no_echo : 1 = false;         ///< some subscription does not want its own publishes, or did not
    bool published_this_turn : 1 = false; ///< so that `echo = false` has something to leave out
    bool pressured : 1 = false;           ///< its outbox is over the high-water mark: publishers wait for it
    bool progressed : 1 = false;          ///< its connection has taken something since `forget_progress`
    bool excused : 1 = false;             ///< it takes nothing: publishers do not wait for it
    bool mail_waits : 1 = false;          ///< its uid's mailbox may hold something for it
    std::unique_ptr<catchup> catching;
};

using subscriber_ptr = boost::intrusive_ptr<subscriber_base>;

/// A subscriber whose handler is called inside `publish`.
class handler_subscriber : public subscriber_base {
public:
    /// Not a virtual function: what a call needs is in one place, beside the handler, and not at the object's
    /// beginning and in a table too.
    using function = void (*)(handler_subscriber&, const message&);

    explicit handler_subscriber(function f) noexcept
        : subscriber_base(kind::handler),
          function_(f),
          now_(f) {}

    /// To be called at once with a message that is just published; null: something else comes first, since it
    /// catches up, or a message is held for it.
    [[nodiscard]] function now() const noexcept { return now_; }
    [[nodiscard]] function always() const noexcept { return function_; }
    virtual void deliver_gap(const gap& g) {
        if (on_gap)
            (*on_gap)(g);
    }

    std::unique_ptr<std::function<void(const gap&)>> on_gap; ///< few have one
    std::unique_ptr<holding> held;                           ///< while a message is to be tried again

    /// To be called when it begins or ends to catch up, or a message to be held.
    void set_now() noexcept { now_ = catching || held ? nullptr : function_; }

private:
    function function_;
    function now_; ///< last: beside the handler itself
};

/// A subscriber that is written to at the end of a turn, or takes messages when it is ready: what it cannot
/// take waits in an outbox.
class queue_subscriber : public subscriber_base {
public:
    explicit queue_subscriber(const outbox_params& l) noexcept : subscriber_base(kind::queue), limits(&l) {}

    /// Something was put into the outbox of a subscriber without a sink. It may take messages, and nothing
    /// else.
    virtual void at_queued() {}
    /// The outbox is full and the policy is to disconnect: the outbox is empty by now. It must not call the
    /// core.
    virtual void at_overflow() {}
    /// Another subscriber of its uid holds its durable subscriptions now. It must not call the core.
    virtual void at_taken_over() {}

    const outbox_params* limits; ///< shared by many
    const encoding* as = nullptr;
    sink* to = nullptr; ///< null: detached, or in process
    std::unique_ptr<outbox> box;
    bool blocked = false;    ///< the sink took less than all
    bool overflowed = false; ///< ends with `errc::overflow`; nothing is queued any more
};

/// Numbers of one broker since it began.
struct core_counters {
    std::uint64_t published = 0;
    std::uint64_t published_bytes = 0; ///< of payloads
    std::uint64_t repeated = 0;        ///< not published again
    std::uint64_t delivered = 0;       ///< handed to a handler or to a connection
    std::uint64_t dropped = 0;         ///< by overflow
    std::uint64_t dropped_trimmed = 0; ///< left the history before a subscriber came to it
    std::uint64_t dropped_disconnected = 0;
    std::uint64_t dropped_undeliverable = 0;
    std::uint64_t dropped_conflated = 0;
    std::uint64_t dropped_expired = 0;
    std::uint64_t dropped_memory = 0;
    std::uint64_t dropped_failed = 0; ///< by a failure ladder
    std::uint64_t gaps = 0;           ///< markers that told of losses
    std::uint64_t redelivered = 0;    ///< not acknowledged in time, and sent again
    std::uint64_t retried = 0;        ///< attempts that failure ladders made
    std::uint64_t parked = 0;
    std::uint64_t returned = 0; ///< of what failed: taken by who came back
    std::uint64_t dead_letters = 0;
    std::uint64_t dead_letters_lost = 0; ///< there were too many
    std::uint64_t handler_exceptions = 0;
    std::uint64_t turns = 0;
};

} // namespace pusher::inline v0::detail
