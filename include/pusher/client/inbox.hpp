// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/client/event.hpp>
#include <pusher/config.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace pusher::inline v0::detail {

/// What waits for `client::async_receive`, in order.
///
/// Messages and gap markers are bounded by not reading on. What there is to say of connections must not need
/// such a bound, since a client that only publishes may never ask: as long as no message lies between, only
/// the latest is kept, and of each subscription the worst.
class client_inbox {
public:
    client_inbox(std::size_t messages, std::size_t bytes) noexcept : messages_(messages), bytes_(bytes) {}

    [[nodiscard]] bool empty() const noexcept { return queue_.empty(); }

    /// Whether reading is to pause.
    [[nodiscard]] bool full() const noexcept;

    /// Whether reading may go on after a pause.
    [[nodiscard]] bool low() const noexcept;

    /// Whether a new connection would add to what is not asked for. Its end and its losses are for the user
    /// to see; they come between the messages, so that they can't all be put together.
    [[nodiscard]] bool crowded() const noexcept { return full() || queued_ends_ > most_ends; }

    void add(pinned_message m);
    void add(client_gap g);
    void add(client_connected c) { push(std::move(c), 0); }

    void add(client_disconnected d);

    void add(client_unrecovered u);

    /// The next event. There must be one.
    [[nodiscard]] client_event take();

private:
    static constexpr std::size_t most_ends = 8;

    struct item {
        client_event event;
        std::size_t bytes = 0;
    };

    static bool is_message(const client_event& e) noexcept;

    template <class Event>
    void push(Event e, std::size_t bytes) {
        queue_.push_back({std::move(e), bytes});
        ++after_message_;
    }

    template <class Event>
    void put(Event e, std::size_t bytes) {
        push(std::move(e), bytes);
        after_message_ = 0;
        ++queued_messages_;
        queued_bytes_ += bytes;
    }

    /// Takes out what `f` picks among what came after the last message.
    template <class F>
    void forget(F&& f) {
        auto at = queue_.end() - static_cast<std::ptrdiff_t>(after_message_);
        while (at != queue_.end()) {
            if (!f(at->event)) {
                ++at;
                continue;
            }
            if (std::holds_alternative<client_disconnected>(at->event))
                --queued_ends_;
            at = queue_.erase(at);
            --after_message_;
        }
    }

    std::deque<item> queue_;
    std::size_t after_message_ = 0; ///< how many at the end came after the last message
    std::size_t messages_;
    std::size_t bytes_;
    std::size_t queued_messages_ = 0;
    std::size_t queued_bytes_ = 0;
    std::size_t queued_ends_ = 0;
};

} // namespace pusher::inline v0::detail

#if !defined(PUSHER_SEPARATE_COMPILATION)
#include <pusher/client/impl/inbox.hpp>
#endif
