// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/core.hpp>

#include <algorithm>
#include <utility>
#include <vector>

namespace pusher::inline v0::detail {

// ---- messages that come back to who is here again

/// Lets those who are here look into the mailboxes of their uids, where something is new.
PUSHER_DECL void core::offer() {
    for (const auto offers = std::exchange(offers_, {}); const auto& uid : offers) {
        if (const auto found = mailboxes_.find(uid.view()); found != mailboxes_.end())
            found->second->offered = false;
        if (!uid.empty())
            for_each_of_uid(uid.view(), [&](subscriber_base& s) { expect_mail(s); });
    }
}

PUSHER_DECL void core::expect_mail(subscriber_base& s) {
    const auto waits = [](const auto& c) { return c->mail_first || c->returned != 0; };
    const bool held =
        s.catching && std::any_of(s.catching->cursors.begin(), s.catching->cursors.end(), waits);
    if (s.uid.empty() || (!held && (mailboxes_.empty() || !mailboxes_.contains(s.uid.view()))))
        return;
    s.mail_waits = true;
    schedule_catchup(s);
}

PUSHER_DECL bool core::is_for(const parcel& p, const subscriber_base& s) const {
    if (p.out != 0 || p.not_to == s.id)
        return false;
    const auto& r = *p.messages;
    if (!p.who.durable.empty())
        return durable_reading(s, r.topic().view(), r.type_of(p.index), p.who.durable.view()) != nullptr;
    return r.addressed() ? s.listed : governing(s, r.topic().view(), r.type_of(p.index)) != nullptr;
}

/// Puts what was kept for a subscriber's uid, and what it asks for, into its outbox. It stays in the mailbox
/// until the connection has taken it.
PUSHER_DECL void core::deliver_mail(queue_subscriber& s) {
    s.mail_waits = false;
    if (s.catching)
        for (const auto& c : s.catching->cursors) {
            c->mail_first = false;
            c->returned = 0;
        }
    const auto found = mailboxes_.find(s.uid.view());
    if (s.uid.empty() || found == mailboxes_.end())
        return;
    auto& box = *found->second;
    for (const auto& p : box.parcels)
        if (p->out == s.id)
            if (auto* const c = acknowledging(s, *p->messages, p->index))
                ++c->returned;
    std::vector<parcel*> brought; // by a cursor, or under another name
    std::vector<parcel*> expired;
    std::uint64_t last = 0; // that is in the outbox
    for (const auto& p : box.parcels) {
        if (p->out == s.id)
            last = p->sequence();
        if (!is_for(*p, s))
            continue;
        auto* const c = acknowledging(s, *p->messages, p->index);
        if (p->messages->expired(p->index, params_.steady())) {
            expired.push_back(p.get());
        } else if (p->sequence() == last || cursor_brings(s, *p->messages, p->index)) {
            brought.push_back(p.get());
        } else if (c && (c->mail_first || window_is_full(*c) || (p->late && p->until <= params_.steady()))) {
            c->mail_first = box.held_back = true;
        } else {
            if (c)
                ++c->returned;
            p->out = s.id;
            last = p->sequence();
            timer_queue::cancel(*p);
            box_of(s).add(p->messages, p->index, outbox::handling::returned);
        }
    }
    for (auto* const p : brought)
        take(*p);
    for (auto* const p : expired)
        lose(take(*p), drop_cause::expired);
}

/// Calls a handler with what was kept for its uid. \return whether it may be called with more
PUSHER_DECL bool core::call_with_mail(handler_subscriber& s) {
    constexpr int most_called = 256;
    const subscriber_ptr alive(&s);
    s.mail_waits = false;
    std::vector<header> headers;
    for (int called = 0;; ++called) {
        if (s.owner != this || s.held)
            return false;
        const auto found = mailboxes_.find(s.uid.view());
        if (s.uid.empty() || found == mailboxes_.end())
            return true;
        const auto& all = found->second->parcels;
        const auto next = std::find_if(all.begin(), all.end(), [&](const auto& p) { return is_for(*p, s); });
        if (next == all.end())
            return true;
        if (called == most_called) { // others must come to their turn
            s.mail_waits = true;
            schedule_catchup(s);
            return false;
        }
        const auto p = take(**next);
        if (p->messages->expired(p->index, params_.steady())) {
            count_drop(s, *p->messages, p->index, drop_cause::expired);
            continue;
        }
        ++counters_.returned;
        dispatching_ = true;
        call(s, p->messages->view(p->index, params_.sequence_epoch, headers, true));
        dispatching_ = false;
        run_deferred();
    }
}

/// A subscriber ends, or is another's from now on: what it has not taken stays in the mailbox.
PUSHER_DECL void core::take_back(queue_subscriber& s) {
    const auto found = mailboxes_.find(s.uid.view());
    if (s.uid.empty() || found == mailboxes_.end())
        return;
    auto& box = *found->second;
    bool any = box.held_back;
    for (const auto& p : box.parcels)
        if (p->out == s.id) {
            any = true;
            come_back(*p);
        }
    if (any)
        offer_again(box);
    if (s.box)
        s.box->forget_returned();
}

PUSHER_DECL void core::come_back(parcel& p) {
    p.out = 0;
    p.state.attempts += p.parked ? 1 : 0; // else that is counted when its time is over
    due_.arm(p, p.until);
    schedule();
}

/// All who are here of a uid are to look into its mailbox again.
PUSHER_DECL void core::offer_again(mailbox& box) {
    if (!std::exchange(box.offered, true))
        offers_.push_back(box.uid);
    schedule();
}

PUSHER_DECL parcel* core::returned_parcel(const subscriber_base& s, const run& r, std::uint32_t index) const {
    if (s.uid.empty() || mailboxes_.empty())
        return nullptr;
    const auto found = mailboxes_.find(s.uid.view());
    return found == mailboxes_.end() ? nullptr : found->second->find_out(s.id, r.at(index).sequence);
}

/// Its connection cannot carry what was kept for it: another one that comes may. Those that are here are not
/// asked again, which could go on for ever.
PUSHER_DECL void core::cannot_get(subscriber_base& s, parcel& p) {
    p.not_to = s.id;
    come_back(p);
    if (auto* const c = acknowledging(s, *p.messages, p.index); c && c->returned != 0) {
        --c->returned; // its place in the window is free
        schedule_catchup(s);
    }
}

/// A message that had failed has been taken. Where it is to be acknowledged, it stays until then.
PUSHER_DECL void core::taken(subscriber_base& s, const run& r, std::uint32_t index) {
    ++counters_.returned;
    if (!acknowledging(s, r, index))
        return forget_returned(s, r, index);
    if (auto* const p = returned_parcel(s, r, index)) {
        p->sent_to = s.id;
        due_.arm(*p, params_.steady() + params_.acknowledgement.timeout);
    }
}

/// The subscription that will acknowledge a message, if there is one.
PUSHER_DECL cursor*
core::acknowledging(const subscriber_base& s, const run& r, std::uint32_t index) const noexcept {
    if (s.catching && r.in_history())
        for (const auto& c : s.catching->cursors)
            if (c->sent && c->topic->text() == r.topic().view() && c->topic->past()->epoch() == r.epoch() &&
                asks_for(*c, s, r, index))
                return c.get();
    return nullptr;
}

/// What came back was not acknowledged in time: it comes again, and with it what was sent behind it.
PUSHER_DECL void core::late_returned(parcel& oldest) {
    auto* const s = find(oldest.out);
    // What has not left yet is not late, and what is sent again must not come behind it.
    if (s && s->what == subscriber_base::kind::queue)
        if (const auto& box = static_cast<queue_subscriber&>(*s).box; box && box->messages() != 0)
            return due_.arm(oldest, params_.steady() + params_.acknowledgement.timeout);
    const auto topic = oldest.messages->topic();
    for (const auto& p : oldest.in->parcels)
        if (p->out == oldest.out && p.get() != &oldest && p->armed() &&
            p->messages->topic().view() == topic.view())
            late_again(*p);
    late_again(oldest);
    offer_again(*oldest.in);
}

PUSHER_DECL void core::late_again(parcel& p) {
    p.state.why = failure_cause::not_acknowledged;
    p.late = true;
    ++counters_.redelivered;
    come_back(p);
}

PUSHER_DECL void
core::acknowledge_returned(subscriber_base& s, std::string_view topic, std::uint64_t offset) {
    if (s.uid.empty() || mailboxes_.empty())
        return;
    const auto found = mailboxes_.find(s.uid.view());
    if (found == mailboxes_.end())
        return;
    std::vector<parcel*> done;
    for (const auto& p : found->second->parcels)
        // What it was never sent it cannot have dealt with.
        if (p->sent_to == s.id && p->messages->topic().view() == topic && p->messages->in_history() &&
            p->messages->offset_of(p->index) <= offset)
            done.push_back(p.get());
    for (auto* const p : done)
        take(*p);
    if (!done.empty())
        expect_mail(s); // there is room for more
}

/// A message that had failed has been taken, or lost.
PUSHER_DECL void core::forget_returned(subscriber_base& s, const run& r, std::uint32_t index) {
    if (auto* const p = returned_parcel(s, r, index)) {
        take(*p);
        expect_mail(s);
    }
}

/// Who resumes says itself what it has: that is not kept for it any more; but for what its connections could
/// not carry, which it can only have passed.
PUSHER_DECL void core::forget_resumed(
    const subscriber_base& s, std::string_view topic, std::string_view type,
    const std::optional<topic_position>& after, std::optional<std::uint64_t> after_sequence,
    std::string_view durable) {
    if ((!after && !after_sequence) || s.uid.empty() || mailboxes_.empty())
        return;
    const auto found = mailboxes_.find(s.uid.view());
    if (found == mailboxes_.end())
        return;
    std::vector<parcel*> has;
    for (const auto& p : found->second->parcels) {
        const auto& r = *p->messages;
        const bool asked = r.topic().view() == topic && (type.empty() || type == r.type_of(p->index));
        const bool its_own = p->who.durable.empty() || p->who.durable.view() == durable;
        if (p->out == 0 && asked && its_own && p->state.why == failure_cause::disconnected &&
            (after ? r.in_history() && r.epoch() == after->epoch && r.offset_of(p->index) <= after->offset
                   : p->sequence() <= *after_sequence))
            has.push_back(p.get());
    }
    for (auto* const p : has)
        take(*p);
}

/// Of what a history has forgotten, who resumes may still get some: it is kept for it.
/// \param gone the first and the last offset; without those at its ends that are kept, when it returns.
/// \return how many are kept
PUSHER_DECL std::uint64_t core::but_for_kept(
    const subscriber_base& s, const topic_state& t, const subscribe_options& o,
    std::pair<std::uint64_t, std::uint64_t>& gone) const {
    const auto found = mailboxes_.find(s.uid.view());
    if (s.uid.empty() || found == mailboxes_.end())
        return 0;
    std::vector<std::uint64_t> kept;
    for (const auto& p : found->second->parcels) {
        const auto& r = *p->messages;
        if (p->out == 0 && p->not_to != s.id && r.topic().view() == t.text() && r.in_history() &&
            r.epoch() == t.past()->epoch() && r.offset_of(p->index) >= gone.first &&
            r.offset_of(p->index) <= gone.second && (o.type.empty() || o.type == r.type_of(p->index)) &&
            (p->who.durable.empty() || p->who.durable.view() == o.durable) &&
            !r.expired(p->index, params_.steady()))
            kept.push_back(r.offset_of(p->index));
    }
    std::sort(kept.begin(), kept.end());
    kept.erase(std::unique(kept.begin(), kept.end()), kept.end());
    for (auto k = kept.begin(); k != kept.end() && *k == gone.first; ++k)
        ++gone.first;
    for (auto k = kept.rbegin(); k != kept.rend() && *k == gone.second && gone.second > gone.first; ++k)
        --gone.second;
    return kept.size();
}

} // namespace pusher::inline v0::detail
