// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/core.hpp>

#include <utility>
#include <vector>

namespace pusher::inline v0::detail {

template <class F>
void core::for_each_subscriber(F&& f) const {
    for (const auto& s : slots_)
        if (s)
            f(*s);
}

template <class F>
void core::for_each_of_uid(std::string_view uid, F&& f) const {
    const auto found = uids_.find(uid);
    if (found == uids_.end())
        return;
    for (auto slot : found->second.second)
        f(*slots_[slot]);
}

template <class F>
void core::for_each_subscriber_of(std::string_view topic, F&& f) const {
    std::vector<filter_node*> filters;
    filters_.match(topic, filters);
    std::vector<const pattern*> patterns(filters.begin(), filters.end());
    if (const auto* const t = topics_.find(topic))
        patterns.push_back(t);
    boost::unordered_flat_map<const subscriber_base*, bool> seen;
    auto visit = [&](const group& g) {
        for (const auto& m : g.members)
            if (seen.emplace(slots_[m.slot()].get(), true).second)
                f(*slots_[m.slot()]);
        for (const auto& h : g.handlers)
            if (h.subscriber && seen.emplace(h.subscriber, true).second)
                f(*h.subscriber);
    };
    for (const auto* const p : patterns) {
        visit(*p);
        if (p->typed())
            for (const auto& entry : *p->typed())
                visit(*entry.second);
    }
    if (const auto* const t = topics_.find(topic); t && t->cursors())
        for (const auto* const c : *t->cursors())
            if (c->group != cursor::no_group && seen.emplace(c->who, true).second)
                f(*c->who);
}

template <class F>
void core::for_each_parcel(std::string_view uid, F&& f) const {
    const auto found = mailboxes_.find(uid);
    if (uid.empty() || found == mailboxes_.end())
        return;
    for (const auto& p : found->second->parcels)
        f(std::as_const(*p));
}

template <class F>
void core::for_each_mailbox(F&& f) const {
    for (const auto& entry : mailboxes_)
        if (!entry.first.empty())
            f(entry.first, entry.second->parcels.size(), entry.second->bytes);
}

template <class OnMessage, class OnGap>
bool core::take(queue_subscriber& s, OnMessage&& f, OnGap&& told) {
    if (!s.box)
        return false;
    const bool taken = s.box->pop(
        {params_.sequence_epoch, params_.steady()}, room_.headers, std::forward<OnMessage>(f),
        [&](const gap& g) {
            observe_gap(s, g);
            told(g);
        },
        [&](const run& r, std::uint32_t index) {
            count_drop(s, r, index, drop_cause::expired);
            forget_sent(s, r, index);
            forget_returned(s, r, index);
            return gap_of(r, index);
        },
        [&](const run& r, std::uint32_t index) { this->taken(s, r, index); });
    if (taken) {
        s.progressed = true;
        s.excused = false;
        ++counters_.delivered;
    }
    update_pressure(s);
    watch_memory();
    if (s.catching && reads_on(s) && (!s.box || s.box->messages() <= s.limits->messages / 2))
        schedule_catchup(s);
    return taken;
}

} // namespace pusher::inline v0::detail
