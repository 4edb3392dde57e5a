// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/client/event.hpp>

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
    [[nodiscard]] bool full() const noexcept {
        return queued_messages_ >= messages_ || queued_bytes_ >= bytes_;
    }

    /// Whether reading may go on after a pause.
    [[nodiscard]] bool low() const noexcept {
        return queued_messages_ <= messages_ / 2 && queued_bytes_ <= bytes_ / 2;
    }

    /// Whether a new connection would add to what is not asked for. Its end and its losses are for the user
    /// to see; they come between the messages, so that they can't all be put together.
    [[nodiscard]] bool crowded() const noexcept { return full() || queued_ends_ > most_ends; }

    void add(pinned_message m) {
        const auto size = m->topic().size() + m->type().size() + m->payload().size() + m->id().size();
        put(std::move(m), size);
    }
    void add(client_gap g) {
        const auto size = g.topic.size();
        put(std::move(g), size);
    }
    void add(client_connected c) { push(std::move(c), 0); }

    void add(client_disconnected d) {
        // The connection that is over now, and the end before it, brought nothing.
        forget([](const client_event& e) {
            return std::holds_alternative<client_connected>(e) ||
                   std::holds_alternative<client_disconnected>(e);
        });
        push(std::move(d), 0);
        ++queued_ends_;
    }

    void add(client_unrecovered u) {
        forget([&](const client_event& e) {
            const auto* const earlier = std::get_if<client_unrecovered>(&e);
            return earlier && earlier->topic == u.topic && earlier->type == u.type &&
                   earlier->match == u.match;
        });
        push(std::move(u), 0);
    }

    /// The next event. There must be one.
    [[nodiscard]] client_event take() {
        auto next = std::move(queue_.front());
        queue_.pop_front();
        if (queue_.size() < after_message_)
            after_message_ = queue_.size();
        if (is_message(next.event)) {
            --queued_messages_;
            queued_bytes_ -= next.bytes;
        } else if (std::holds_alternative<client_disconnected>(next.event)) {
            --queued_ends_;
        }
        return std::move(next.event);
    }

private:
    static constexpr std::size_t most_ends = 8;

    struct item {
        client_event event;
        std::size_t bytes = 0;
    };

    static bool is_message(const client_event& e) noexcept {
        return std::holds_alternative<pinned_message>(e) || std::holds_alternative<client_gap>(e);
    }

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
