// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/error.hpp>
#include <pusher/message.hpp>
#include <pusher/publish_options.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace pusher::inline v0 {

/// What one broker of a group says to another.
enum class relay_kind : std::uint8_t {
    message,   ///< published to a topic
    broadcast, ///< to everybody, under a label
    push,      ///< to a uid, under a label
    kick,      ///< ends the sessions of a uid
    request,   ///< is to be published by the topic's home, which answers if it has a number
    reply,     ///< what became of a request
    fetch,     ///< asks the topic's home for its history
    history,   ///< the answer: a history begins, once more perhaps, of `count` messages from `position` on;
               ///< or an error
    kept,      ///< the next message of that history
    lost,      ///< `count` messages could not be handed over; offsets from `position` to `number`, if any
    sync,      ///< wants to know when everything before this was dealt with
    synced,    ///< it was
    left       ///< has left the group, and answers nothing any more
};

/// What is said besides texts.
struct relay_facts {
    relay_kind what = relay_kind::message;
    bool everyone = false;    ///< a request, or what was lost: to everybody
    bool repeated = false;    ///< a reply; of what was lost to everybody: subscribers have been told
    std::uint8_t owner = 0;   ///< a request: whose the id is
    std::uint32_t origin = 0; ///< the broker that it was published at
    error_code error{};
    std::uint64_t number = 0;    ///< names a request in its reply; 0: no reply is wanted, but for errors
    std::uint64_t publisher = 0; ///< `publish_options::publisher`, at its origin
    std::uint64_t count = 0;
    topic_position position{}; ///< in the history that the topic's home keeps; offset 0: none
    std::chrono::milliseconds ttl{0};
    wall_time received{};
    std::chrono::steady_clock::time_point born{}; ///< the same, for its time to live
};

/// What becomes of something where another broker has no room for more.
enum class relay_overflow : std::uint8_t {
    exceed, ///< it is handed over all the same
    refuse, ///< it is not, and that is said
    lose    ///< it is not; it is counted, and told as `relay_kind::lost` when there is room again
};

/// One thing that one broker of a group says to another. What it views is valid during the call.
struct relayed : relay_facts {
    relay_overflow overflow = relay_overflow::exceed;
    std::string_view topic; ///< or label
    std::string_view uid;   ///< of a push or kick; of a request: of its publisher
    std::string_view type;
    std::string_view key;
    std::string_view id;
    std::string_view payload;
    std::span<const header> headers{};
};

/// What joins one broker to the others of its group. `broker_group` makes those that work within one process;
/// derive from this for other ways, and give it to `broker_core::join`.
///
/// Brokers are numbered from 0, and of each the backplane knows what it is interested in: topics, filters,
/// and uids of whom there are sessions or subscribers. All functions are called on the broker's executor, and
/// may not call the member from inside, but for those that say so.
///
/// What it promises: what one broker sends another arrives in order; and what is published after `announce`
/// has returned, in whatever thread that knows of it, finds the interest. Nothing is dropped without a word.
class backplane {
public:
    /// Up to 64 brokers, a bit for each.
    using members = std::uint64_t;
    static constexpr std::size_t max_members = 64;

    enum class interest : std::uint8_t { topic, filter, user };

    /// The broker's end. Its functions are called on the broker's executor, from the event loop.
    class member {
    public:
        /// Something has come from another broker.
        virtual void at_relayed(std::uint32_t from, const relayed& r) = 0;
        /// All that came in this turn was told.
        virtual void at_relayed_all() = 0;
        /// There is room again for what is sent, after `wait_for_room`.
        virtual void at_room() = 0;
        /// Another broker has no subscriber of just that topic any more. Called from inside of anything: it
        /// may only take a note.
        virtual void at_unsubscribed(std::uint32_t who, std::string_view topic) = 0;

    protected:
        ~member() = default;
    };

    struct counts {
        std::uint64_t batches = 0; ///< that came from others
        std::uint64_t dropped = 0; ///< messages that others had no room for
    };

    /// Why something was not sent.
    enum class outcome : std::uint8_t { sent, full, gone };

    backplane() = default;
    backplane(const backplane&) = delete;
    backplane& operator=(const backplane&) = delete;
    virtual ~backplane() = default;

    [[nodiscard]] virtual std::size_t size() const noexcept = 0;
    /// This broker's number.
    [[nodiscard]] virtual std::uint32_t self() const noexcept = 0;
    /// The broker that keeps a topic's history, if it has one. The same for all brokers. *Any thread.*
    [[nodiscard]] virtual std::uint32_t home_of(std::string_view topic) const noexcept = 0;

    /// From now on `m` is told of what comes.
    virtual void join(member& m) = 0;
    /// Nothing comes any more, and the others are told `left`. Without effect the second time.
    virtual void leave() noexcept = 0;

    /// Interest begins or ends. May be called from inside of anything, and calls nothing.
    virtual void announce(interest what, std::string_view text, bool begins) = 0;
    /// Which others are interested in a topic, by itself or by a filter.
    [[nodiscard]] virtual members audience(std::string_view topic) = 0;
    /// Which others subscribe to just this topic.
    [[nodiscard]] virtual members subscribers(std::string_view topic) = 0;
    /// Which others have sessions or subscribers of that uid.
    [[nodiscard]] virtual members users(std::string_view uid) = 0;

    /// Takes a copy of `r` for another broker, to be handed over by `hand_over` or before. Room is limited:
    /// `relayed::overflow` says what happens where there is none.
    virtual outcome send(std::uint32_t to, const relayed& r) = 0;
    /// Whether another broker has at least half of its room left: what can wait waits until then.
    [[nodiscard]] virtual bool half_empty(std::uint32_t to) const noexcept = 0;
    /// The turn of the event loop is over.
    virtual void hand_over() = 0;

    /// Whether all was handed over, and the others have room for more.
    [[nodiscard]] virtual bool writable() const noexcept = 0;
    /// `member::at_room` is to be called when that may have changed.
    virtual void wait_for_room() = 0;
    /// The same of one broker, whatever the others do: when it may be half empty.
    virtual void wait_for(std::uint32_t to) = 0;
    /// Begins to watch who takes anything, and excuses those who took nothing since, until they do.
    virtual void forget_progress() noexcept = 0;
    virtual void excuse_stalled() noexcept = 0;

    /// How long a broker keeps the copy of a history that nobody there subscribes to any more.
    [[nodiscard]] virtual std::chrono::milliseconds copies_stay() const noexcept = 0;

    [[nodiscard]] virtual counts numbers() const noexcept = 0;
};

} // namespace pusher::inline v0
