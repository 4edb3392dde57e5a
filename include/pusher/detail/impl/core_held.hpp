// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/core.hpp>

#include <algorithm>
#include <exception>
#include <utility>
#include <vector>

namespace pusher::inline v0::detail {

PUSHER_DECL holding& core::begin_holding(handler_subscriber& s) {
    if (!s.held)
        s.held = std::make_unique<holding>(s);
    s.set_now();
    return *s.held;
}

PUSHER_DECL void core::end_holding(handler_subscriber& s) noexcept {
    s.held.reset();
    s.set_now();
}

/// A handler threw: if there is a ladder, the message is held, and everything behind it.
/// \return whether there is one.
PUSHER_DECL bool core::fail_call(handler_subscriber& s, const message& m) {
    const auto& ladder = ladder_for(s, m.topic(), m.type());
    if (ladder.empty())
        return false;
    auto& h = begin_holding(s); // it may have requeued a dead letter of its own
    h.state = {};
    h.state.ladder = ladder;
    h.state.why = failure_cause::handler_threw;
    h.failing = true;
    h.exception = std::current_exception();
    h.add_first(copy_of(m));
    due_.arm(h, params_.steady());
    schedule();
    return true;
}

/// A message that is being handed to a handler.
PUSHER_DECL run_ptr core::copy_of(const message& m) const {
    auto f = content_of(m);
    f.sequence = m.sequence();
    const auto born = std::min(params_.steady(), steady_of(m.receive_time())); // its time goes on
    run_ptr r(new run(shared_text(m.topic()), m.receive_time(), born, account_));
    if (m.position())
        r->keep_in_history(m.position()->epoch, m.position()->offset);
    r->append(f, 0, m.ttl());
    return r;
}

/// Queues a message for a handler that is to be called with another first.
PUSHER_DECL void core::hold(handler_subscriber& s, const message& m) {
    auto& h = *s.held;
    h.add(copy_of(m));
    if (!reports_.empty())
        note_handler(s, m.sequence(), reporting::fate::held);
    const auto& limits = params_.held;
    while (h.messages.size() > 1 && (h.messages.size() > limits.messages || h.bytes > limits.bytes)) {
        // What is tried again does not give way.
        const auto policy = policy_for(s, *h.messages.back(), 0, limits.overflow);
        lose_held(
            s, policy == overflow_policy::drop_newest ? h.messages.size() - 1 : 1, drop_cause::overflow);
    }
}

/// A message that a handler has not been called with is lost to it.
PUSHER_DECL void core::lose_held(handler_subscriber& s, std::size_t place, drop_cause why) {
    auto& h = *s.held;
    const auto r = h.messages[place];
    h.bytes -= r->bytes();
    h.messages.erase(h.messages.begin() + static_cast<std::ptrdiff_t>(place));
    count_drop(s, *r, 0, why);
    tell_gap(s, gap_of(*r, 0));
}

/// Calls a handler with the first message that is held for it. \return whether it may be called with the next
PUSHER_DECL bool core::call_held(handler_subscriber& s) {
    const subscriber_ptr alive(&s);
    const auto r = s.held->messages.front();
    if (r->expired(0, params_.steady())) {
        lose_held(s, 0, drop_cause::expired);
        s.held->failing = false;
        return true;
    }
    counters_.retried += s.held->failing ? 1 : 0;
    std::vector<header> headers;
    const auto m = r->view(0, params_.sequence_epoch, headers, s.held->failing);
    std::exception_ptr threw;
    dispatching_ = true; // what the handler publishes waits, as in a publish
    try {
        s.always()(s, m);
        ++counters_.delivered;
    } catch (...) {
        threw = std::current_exception();
        handler_threw(s.info(), m.topic());
    }
    dispatching_ = false;
    const bool stays = s.owner == this && s.held;
    if (stays && !threw) {
        s.held->pop_front();
        s.held->failing = false;
    } else if (stays) {
        auto& h = *s.held;
        h.exception = threw;
        if (std::exchange(h.failing, true)) {
            h.state.failed_again();
        } else {
            h.state = {};
            h.state.ladder = ladder_for(s, m.topic(), m.type());
            h.state.why = failure_cause::handler_threw;
            note(s, *r, 0, h.state.ladder.empty() ? reporting::fate::failed : reporting::fate::parked);
            if (h.state.ladder.empty()) { // lost, as it is without ladders
                h.pop_front();
                h.failing = false;
                threw = nullptr;
            }
        }
    }
    run_deferred();
    return stays && !threw;
}

PUSHER_DECL void core::try_held(holding& due) {
    constexpr int most_called = 256;
    auto& s = *due.who;
    const subscriber_ptr alive(&s);
    const auto gone = [&] { return s.owner != this || !s.held; };
    for (int called = 0;; ++called) {
        if (gone())
            return;
        auto& h = *s.held;
        if (h.messages.empty()) {
            end_holding(s);
            if (s.catching)
                schedule_catchup(s);
            return;
        }
        if (called == most_called) { // others must come to their turn
            due_.arm(h, params_.steady());
            return schedule();
        }
        if (h.failing && !std::exchange(h.state.waits, false)) {
            // Its next step; the host may do anything meanwhile.
            auto state = h.state;
            const auto r = h.messages.front();
            const auto exception = h.exception;
            const auto who = addressee::of(s.info(), s.uid);
            const auto next = climb(state, *r, 0, who.info(), exception, true);
            if (gone() || s.held->messages.empty() || s.held->messages.front() != r)
                return;
            auto& still = *s.held;
            still.state = state;
            if (next.what == next_step::kind::wait) {
                still.state.waits = true;
                due_.arm(still, params_.steady() + next.delay);
                return schedule();
            }
            if (next.what == next_step::kind::drop) {
                lose_held(s, 0, drop_cause::failed);
            } else {
                still.pop_front();
                if (next.what != next_step::kind::settled) // nobody will come back for it
                    bury({0, r, 0, who, state.why, state.attempts, params_.wall()});
            }
            still.failing = false;
            continue;
        }
        call_held(s);
    }
}

} // namespace pusher::inline v0::detail
