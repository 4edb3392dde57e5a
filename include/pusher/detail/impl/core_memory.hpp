// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/core.hpp>

#include <algorithm>

namespace pusher::inline v0::detail {

/// If messages take more memory than they may, those who hold most of it give up half of what they have, one
/// after the other and again, until an eighth is free: then it does not come to this with every turn.
PUSHER_DECL void core::enforce_memory() {
    if (account_->bytes <= params_.memory_bytes)
        return;
    const auto enough = params_.memory_bytes - params_.memory_bytes / 8;
    struct holder {
        std::size_t share;
        topic_state* topic; ///< or a subscriber, or who is not here
        queue_subscriber* subscriber;
        mailbox* box = nullptr;
        handler_subscriber* handler = nullptr;
    };
    std::vector<holder> holders;
    for (bool any = true; any && account_->bytes > enough;) {
        holders.clear();
        topics_.for_each([&](topic_state& t) {
            if (t.past() && t.past()->messages() != 0)
                holders.push_back({t.past()->footprint(), &t, nullptr});
        });
        for (const auto& s : slots_)
            if (s && s->what == subscriber_base::kind::queue)
                if (auto& q = static_cast<queue_subscriber&>(*s); q.box && q.box->newest().first)
                    holders.push_back({q.box->share(), nullptr, &q});
        for (const auto& s : slots_)
            if (s && s->what == subscriber_base::kind::handler)
                if (auto& h = static_cast<handler_subscriber&>(*s); h.held && h.held->messages.size() > 1)
                    holders.push_back({h.held->bytes, nullptr, nullptr, nullptr, &h});
        for (const auto& entry : mailboxes_)
            if (const auto& all = entry.second->parcels;
                std::any_of(all.begin(), all.end(), [](const auto& p) { return p->out == 0; }))
                holders.push_back(
                    {entry.second->bytes + all.size() * sizeof(parcel), nullptr, nullptr,
                     entry.second.get()});
        std::sort(holders.begin(), holders.end(), [](const holder& a, const holder& b) {
            return a.share > b.share;
        });
        any = !dead_letters_.empty();
        // What nobody waits for goes first.
        for (auto half = (dead_letters_.size() + 1) / 2; half != 0; --half) {
            ++counters_.dead_letters_lost;
            forget_dead_letter(dead_letters_.begin());
        }
        bool some = false;
        for (const auto& h : holders) {
            // Who holds little gives nothing while those who hold much can.
            if (account_->bytes <= enough || (some && h.share < holders.front().share / 2))
                break;
            const bool gave = h.topic     ? shed(*h.topic)
                              : h.box     ? shed(*h.box)
                              : h.handler ? shed(*h.handler)
                                          : shed(*h.subscriber);
            some = some || gave;
        }
        any = any || some;
    }
    // What is left is what connections have a part of, replies, and gap markers: only their sessions' end
    // frees that, and some may be ending already.
    holders.clear();
    auto bytes = account_->bytes;
    for (const auto& s : slots_) {
        auto* const q =
            s && s->what == subscriber_base::kind::queue ? static_cast<queue_subscriber*>(s.get()) : nullptr;
        if (!q || !q->box)
            continue;
        const auto share = q->box->share();
        if (q->overflowed)
            bytes -= std::min(bytes, share);
        else
            holders.push_back({share, nullptr, q});
    }
    if (bytes <= params_.memory_bytes)
        return;
    std::sort(
        holders.begin(), holders.end(), [](const holder& a, const holder& b) { return a.share > b.share; });
    for (const auto& h : holders) {
        if (bytes <= enough)
            break;
        bytes -= std::min(bytes, h.share);
        overflow(*h.subscriber);
    }
}

/// The older half of a topic's past is forgotten.
PUSHER_DECL bool core::shed(topic_state& t) {
    const bool any = t.past()->messages() != 0;
    for (auto left = (t.past()->messages() + 1) / 2; left != 0; --left)
        pop_oldest(t);
    if (t.open == topic_state::no_run)
        t.past()->release_last();
    return any;
}

/// Half of what waits goes as if the outbox were that much smaller.
PUSHER_DECL bool core::shed(queue_subscriber& s) {
    auto limits = *s.limits;
    const auto before = s.box->limited_messages();
    limits.messages = before / 2;
    limits.bytes = s.box->limited_bytes() / 2;
    enforce_limits(s, limits, drop_cause::memory);
    if (s.box)
        s.box->copy_out();
    update_pressure(s);
    return !s.box || s.box->limited_messages() != before;
}

} // namespace pusher::inline v0::detail
