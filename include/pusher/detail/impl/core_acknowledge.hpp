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
    for (const auto& c : s.catching->cursors) {
        if (!c->sent || c->topic != t)
            continue;
        if (c->sent->acknowledge(offset))
            watch(*c);
        // Also what a ladder has given up in the meantime.
        if (c->durable && c->durable->offset < offset && offset < c->next) {
            c->durable->offset = offset;
            changed(*c->durable, false);
        }
    }
    acknowledge_returned(s, topic, offset);
    schedule_catchup(s);
}

/// From now on the oldest message that is not acknowledged has its time.
PUSHER_DECL void core::watch(cursor& c) {
    if (c.sent->empty())
        timer_queue::cancel(*c.sent);
    else
        due_.arm(*c.sent, params_.steady() + params_.acknowledgement.timeout);
}

/// The oldest message that was not acknowledged is late, or its time to be sent again has come.
PUSHER_DECL void core::late(in_flight& sent) {
    auto& c = *sent.of;
    auto& s = static_cast<queue_subscriber&>(*c.who);
    const bool again = std::exchange(sent.state.waits, false);
    // What has not left yet is not late; what is being sent again is not late again.
    if (!again && ((s.box && s.box->messages() != 0) || sent.repeats()))
        return watch(c);
    auto step = next_step{next_step::kind::wait};
    if (again) {
        sent.state.failed_again();
        ++counters_.retried;
    } else if (has_ladders_ && sent.oldest().offset >= c.topic->past()->first_offset()) {
        const auto at = c.topic->past()->at(sent.oldest().offset);
        const run_ptr r(at.messages);
        auto state = sent.state;
        state.why = failure_cause::not_acknowledged;
        if (state.ladder.empty())
            state.ladder = ladder_for(s, r->topic().view(), r->type_of(at.index));
        if (!state.ladder.empty()) {
            // The host may do anything meanwhile.
            const subscriber_ptr alive(&s);
            const auto oldest = sent.oldest().offset;
            const auto who = addressee::of(s.info(), s.uid);
            step = climb(state, *r, at.index, who.info(), nullptr, true);
            const auto is_same = [&](const auto& other) {
                return other.get() == &c && other->sent.get() == &sent && !sent.empty() &&
                       sent.oldest().offset == oldest;
            };
            if (s.owner != this || !s.catching ||
                std::none_of(s.catching->cursors.begin(), s.catching->cursors.end(), is_same))
                return;
            sent.state = state;
            if (step.what == next_step::kind::wait) {
                sent.state.waits = true;
                due_.arm(sent, params_.steady() + step.delay);
                return;
            }
            return lose_late(s, c, r, at.index, step.what);
        }
    }
    counters_.redelivered += sent.size();
    sent.repeat_all();
    schedule_catchup(s);
    watch(c);
}

/// The oldest message is not waited for any more; the next one is.
PUSHER_DECL void
core::lose_late(queue_subscriber& s, cursor& c, const run_ptr& r, std::uint32_t index, next_step::kind what) {
    const auto state = c.sent->state;
    c.sent->forget(c.sent->oldest().offset);
    watch(c);
    schedule_catchup(s);
    auto p = std::make_unique<parcel>(r, index);
    p->who = addressee::of(s.info(), s.uid, c.durable ? c.durable->of->name : shared_text());
    p->state = state;
    p->not_to = p->sent_to = s.id; // it is here, and does not answer
    switch (what) {
    case next_step::kind::park:
        if (!c.durable && reached_otherwise(s, *r, index, state.why))
            return lose(std::move(p), drop_cause::failed); // it alone has not got it
        return park(std::move(p));
    case next_step::kind::drop: return lose(std::move(p), drop_cause::failed);
    case next_step::kind::give_up: return bury(std::move(p));
    default: return;
    }
}

/// A message that a subscriber was to acknowledge is lost to it: the next has its place in the window.
PUSHER_DECL void core::forget_sent(subscriber_base& s, const run& r, std::uint32_t index) {
    if (!s.catching || !r.in_history())
        return;
    for (const auto& c : s.catching->cursors)
        if (c->sent && c->topic->text() == r.topic().view() && c->sent->forget(r.offset_of(index))) {
            if (c->sent->empty())
                timer_queue::cancel(*c->sent);
            schedule_catchup(s);
        }
}

/// What was sent is to be marked when it is sent again, in another life too.
PUSHER_DECL void core::note_sent(durable_cursor& d, std::uint64_t offset) {
    if (offset <= d.sent)
        return;
    d.sent = offset;
    changed(d, false);
}

PUSHER_DECL void core::sent(cursor& c, const in_flight::entry& e) {
    const bool first = c.sent->empty();
    c.sent->add(e);
    if (c.durable)
        note_sent(*c.durable, e.offset);
    if (first) {
        c.sent->state = {};
        watch(c);
    }
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
    const auto& past = *c.topic->past();
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
        tell_gap(s, {c.topic->name(), 1, e.offset, e.offset, e.sequence});
        count_drop(s, c.topic->text(), drop_cause::trimmed);
    }
    for_repeating(s, c, [this](in_flight& sent, std::uint64_t offset) {
        sent.forget(offset);
        watch(*sent.of);
        schedule_catchup(*sent.of->who);
    });
    return std::nullopt;
}

} // namespace pusher::inline v0::detail
