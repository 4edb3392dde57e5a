// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/core.hpp>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <variant>

namespace pusher::inline v0::detail {

// ---- ladders

/// What a failed delivery is to come to where no subscription says so; without rungs: nothing.
PUSHER_DECL const failure_ladder& core::ladder_of(std::string_view topic) const {
    for (const auto& p : params_.topic_policies)
        if (p.on_failure && filter_matches(p.filter, topic))
            return *p.on_failure;
    return params_.on_failure;
}

PUSHER_DECL const failure_ladder&
core::ladder_for(const subscriber_base& s, std::string_view topic, std::string_view type) const {
    if (s.has_options)
        if (const auto* const by = governing(s, topic, type))
            if (const auto* const own = options_of(s, *by); own && own->chooses_ladder)
                return own->on_failure;
    return ladder_of(topic);
}

/// Calls the host. What it publishes meanwhile waits, as when a handler does.
template <class F>
void core::call_host(const subscriber_info& who, std::string_view topic, F&& f) {
    dispatching_ = true;
    try {
        f();
    } catch (...) {
        handler_threw(who, topic);
    }
    dispatching_ = false;
    run_deferred();
}

PUSHER_DECL void core::raise(const failure_ladder& of, const failure::alarm& a, failed_delivery f) {
    constexpr std::size_t most = 1024; // ladders of subscriptions come and go
    const auto now = params_.steady();
    if (alarms_.size() >= most)
        alarms_.clear();
    auto& limit = alarms_[&a];
    limit.of = of; // so that no other rung comes to be at this address
    if (now < limit.next) {
        ++limit.suppressed;
        return;
    }
    limit.next = now + a.interval;
    f.suppressed = std::exchange(limit.suppressed, 0);
    call_host(f.who, f.what.topic(), [&] { a.callback(f); });
}

PUSHER_DECL std::chrono::milliseconds core::spread(std::chrono::milliseconds delay, double jitter) {
    random_ = random_ * 6364136223846793005U + 1442695040888963407U;
    const auto part = static_cast<double>(random_ >> 11) / static_cast<double>(std::uint64_t{1} << 53);
    const auto spread = static_cast<double>(delay.count()) * (1 + jitter * (2 * part - 1));
    return std::chrono::milliseconds(std::max<std::int64_t>(1, std::llround(spread)));
}

/// Goes up a ladder to the rung that says what follows. The host may be called, and do anything: what the
/// caller has of the core may be gone afterwards.
PUSHER_DECL core::next_step core::climb(
    failure_state& f, const run& r, std::uint32_t index, const subscriber_info& who,
    const std::exception_ptr& exception, bool may_wait) {
    using kind = next_step::kind;
    std::vector<header> headers;
    const auto m = r.view(index, params_.sequence_epoch, headers);
    const auto ladder = f.ladder; // for as long as its rungs are called
    const auto rungs = ladder.rungs();
    for (; f.rung != rungs.size(); ++f.rung, f.tries = 0) {
        const auto* const rung = &rungs[f.rung];
        const failed_delivery failed{m, who, f.why, f.attempts, exception, 0};
        if (const auto* const retry = std::get_if<failure::retry>(rung)) {
            if (!may_wait || f.tries >= retry->attempts)
                continue;
            constexpr double longest = 24.0 * 3600 * 1000;
            const auto delay = std::min(
                longest, static_cast<double>(retry->delay.count()) *
                             std::pow(retry->backoff, static_cast<double>(f.tries)));
            return {kind::wait, spread(std::chrono::milliseconds(std::llround(delay)), retry->jitter)};
        }
        if (const auto* const alarm = std::get_if<failure::alarm>(rung)) {
            raise(ladder, *alarm, failed);
            continue;
        }
        if (const auto* const decide = std::get_if<failure::decide>(rung)) {
            auto verdict = failure::next();
            call_host(who, m.topic(), [&] { verdict = decide->callback(failed); });
            if (verdict.what == failure::verdict::kind::settled)
                return {kind::settled};
            if (verdict.what == failure::verdict::kind::again && may_wait)
                return {
                    kind::wait, std::clamp<std::chrono::milliseconds>(
                                    verdict.delay, std::chrono::milliseconds(1), std::chrono::hours(24))};
            continue;
        }
        return {std::holds_alternative<failure::drop>(*rung) ? kind::drop : kind::park};
    }
    return {kind::give_up};
}

PUSHER_DECL void core::run_due() {
    due_.advance(params_.steady(), [&](timer_node& node) {
        switch (static_cast<due_kind>(node.kind())) {
        case due_kind::in_flight: return late(static_cast<in_flight&>(node));
        case due_kind::holding: return try_held(static_cast<holding&>(node));
        case due_kind::parcel: return step(static_cast<parcel&>(node));
        case due_kind::durable: return expire_durable(static_cast<durable_subscriber&>(node));
        }
    });
}

PUSHER_DECL void core::end_waiting() {
    ending_ = true;
    std::vector<shared_text> uids;
    for (const auto& entry : mailboxes_)
        uids.push_back(entry.second->uid);
    for (const auto& uid : uids)
        for (;;) { // the host may do anything at any step
            const auto found = mailboxes_.find(uid.view());
            if (found == mailboxes_.end())
                break;
            const auto& parcels = found->second->parcels;
            const auto next = std::find_if(
                parcels.begin(), parcels.end(), [](const auto& p) { return !p->parked && p->out == 0; });
            if (next == parcels.end())
                break;
            step(**next);
        }
}

} // namespace pusher::inline v0::detail
