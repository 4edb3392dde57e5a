// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/core.hpp>

#include <algorithm>
#include <vector>

namespace pusher::inline v0::detail {

PUSHER_DECL void
core::acknowledge(subscriber_base& s, std::string_view topic, std::uint64_t offset, error_code& ec) {
    ec = errc::not_found;
    const auto* const t = topics_.find(topic);
    if (t && s.catching)
        for (const auto& c : s.catching->cursors)
            if (c->sent && c->topic == t) {
                if (offset < c->next) {
                    ec = {};
                    break;
                }
                ec = errc::invalid_message; // by none of them it has been sent
            }
    if (ec)
        return;
    for (const auto& c : s.catching->cursors)
        if (c->sent && c->topic == t && c->sent->acknowledge(offset))
            watch(*c);
    schedule_catchup(s);
}

/// From now on the oldest message that is not acknowledged has its time.
PUSHER_DECL void core::watch(cursor& c) {
    if (c.sent->empty())
        timer_queue::cancel(*c.sent);
    else
        late_.arm(*c.sent, params_.steady() + params_.acknowledgement.timeout);
}

PUSHER_DECL void core::repeat_late() {
    late_.advance(params_.steady(), [&](timer_node& node) {
        auto& c = *static_cast<in_flight&>(node).of;
        auto& s = static_cast<queue_subscriber&>(*c.who);
        // What has not left yet is not late; what is being sent again is not late again.
        if (!(s.box && s.box->messages() != 0) && !c.sent->repeats()) {
            counters_.redelivered += c.sent->size();
            c.sent->repeat_all();
            schedule_catchup(s);
        }
        watch(c);
    });
}

/// A message that a subscriber was to acknowledge is lost to it: the next has its place in the window.
PUSHER_DECL void core::forget_sent(subscriber_base& s, const run& r, std::uint32_t index) {
    if (!s.catching || !r.in_history())
        return;
    for (const auto& c : s.catching->cursors)
        if (c->sent && c->topic->name.view() == r.topic().view() && c->sent->forget(r.offset_of(index))) {
            if (c->sent->empty())
                timer_queue::cancel(*c->sent);
            schedule_catchup(s);
        }
}

PUSHER_DECL void core::sent(cursor& c, const in_flight::entry& e) {
    const bool first = c.sent->empty();
    c.sent->add(e);
    if (first)
        watch(c);
}

/// Calls `f` for each subscription to the topic that is to get the same message again.
template <class F>
void core::for_repeating(subscriber_base& s, const cursor& first, F&& f) {
    const auto offset = first.sent->next_again().offset;
    for (const auto& c : s.catching->cursors)
        if (c->sent && c->topic == first.topic && c->sent->repeats() &&
            c->sent->next_again().offset == offset)
            f(*c->sent, offset);
}

/// Sends a message again. \return its size; nothing if it is not there any more, or has expired.
PUSHER_DECL std::optional<std::size_t> core::repeat(queue_subscriber& s, cursor& c) {
    const auto e = c.sent->next_again();
    const auto& past = *c.topic->past;
    if (e.offset >= past.first_offset()) {
        const auto p = past.at(e.offset);
        const run_ptr r(p.messages);
        if (!r->expired(p.index, params_.steady())) {
            box_of(s).add(r, p.index, outbox::handling::again);
            for_repeating(s, c, [](in_flight& sent, std::uint64_t) { sent.repeated(); });
            return r->at(p.index).size();
        }
        lose_to_cursor(s, *r, p.index, drop_cause::expired);
    } else {
        tell_gap(s, {c.topic->name, 1, e.offset, e.offset, e.sequence});
        count_drop(s, c.topic->name.view(), drop_cause::trimmed);
    }
    for_repeating(s, c, [this](in_flight& sent, std::uint64_t offset) {
        sent.forget(offset);
        watch(*sent.of);
    });
    return std::nullopt;
}

} // namespace pusher::inline v0::detail
