// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/client/inbox.hpp>

namespace pusher::inline v0::detail {

PUSHER_DECL bool client_inbox::full() const noexcept {
    return queued_messages_ >= messages_ || queued_bytes_ >= bytes_;
}

PUSHER_DECL bool client_inbox::low() const noexcept {
    return queued_messages_ <= messages_ / 2 && queued_bytes_ <= bytes_ / 2;
}

PUSHER_DECL void client_inbox::add(pinned_message m) {
    const auto size = m->topic().size() + m->type().size() + m->payload().size() + m->id().size();
    put(std::move(m), size);
}

PUSHER_DECL void client_inbox::add(client_gap g) {
    const auto size = g.topic.size();
    put(std::move(g), size);
}

PUSHER_DECL void client_inbox::add(client_disconnected d) {
    // The connection that is over now, and the end before it, brought nothing.
    forget([](const client_event& e) {
        return std::holds_alternative<client_connected>(e) || std::holds_alternative<client_disconnected>(e);
    });
    push(std::move(d), 0);
    ++queued_ends_;
}

PUSHER_DECL void client_inbox::add(client_unrecovered u) {
    forget([&](const client_event& e) {
        const auto* const earlier = std::get_if<client_unrecovered>(&e);
        return earlier && earlier->topic == u.topic && earlier->type == u.type && earlier->match == u.match;
    });
    push(std::move(u), 0);
}

PUSHER_DECL client_event client_inbox::take() {
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

PUSHER_DECL bool client_inbox::is_message(const client_event& e) noexcept {
    return std::holds_alternative<pinned_message>(e) || std::holds_alternative<client_gap>(e);
}

} // namespace pusher::inline v0::detail
