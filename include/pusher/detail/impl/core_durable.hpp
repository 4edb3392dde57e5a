// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/core.hpp>

#include <algorithm>

namespace pusher::inline v0::detail {

PUSHER_DECL durable_subscriber* core::find_durable(std::string_view uid, std::string_view name) const {
    const auto found = durables_.find(durable_subscriber::key_of(uid, name));
    return found == durables_.end() ? nullptr : found->second.get();
}

/// The newest holder has it: another one loses its subscriptions of that name, and is told.
PUSHER_DECL void core::take_over(durable_subscriber& d, const subscriber_base& by) {
    const subscriber_ptr old(find(d.holder));
    if (!old || old.get() == &by)
        return;
    std::vector<std::uint32_t> held;
    for (const auto& c : d.cursors)
        if (c->reader)
            held.push_back(c->reader->group);
    for (const auto group_id : held)
        if (const auto sub = find_sub(*old, *groups_[group_id]))
            end_subscription(*old, *sub);
    if (old->what != subscriber_base::kind::queue)
        return;
    auto& queue = static_cast<queue_subscriber&>(*old);
    take_back(queue); // what it has not taken is for the new one
    queue.at_taken_over();
}

/// A subscription reads on for a durable one. \param offset up to which its subscriber has everything.
PUSHER_DECL void core::read_for_durable(cursor& c, std::string_view name, std::uint64_t offset) {
    const auto& s = *c.who;
    auto& d = durable_cursor_for(s.uid.view(), name, c.topic->name(), c.type);
    timer_queue::cancel(*d.of);
    d.of->holder = s.id;
    d.reader = &c;
    c.durable = &d;
    const bool fresh = std::exchange(d.fresh, false);
    const auto epoch = c.topic->past()->epoch();
    if (std::exchange(d.epoch, epoch) == epoch && !fresh)
        d.offset =
            std::min(d.offset, offset); // who resumes further on has received that, and not acknowledged it
    else
        d.offset = d.sent = offset;
    changed(d, true);
}

/// A cursor that reads for a durable subscription ends; the subscription stays.
PUSHER_DECL void core::leave_durable(cursor& c) {
    auto* const d = std::exchange(c.durable, nullptr);
    if (!d)
        return;
    d->reader = nullptr;
    note_left(c);
    auto& of = *d->of;
    if (std::any_of(of.cursors.begin(), of.cursors.end(), [](const auto& other) { return other->reader; }))
        return;
    of.holder = 0;
    of.left = params_.steady();
    for (const auto& other : of.cursors)
        changed(*other, true);
    due_.arm(of, of.left + params_.durable.expiry);
    schedule();
}

PUSHER_DECL durable_cursor* core::durable_of(const subscriber_base& s, std::size_t sub) const noexcept {
    if (s.catching && s.subs[sub].index == sub_ref::catching)
        for (const auto& c : s.catching->cursors)
            if (c->group == s.subs[sub].group)
                return c->durable;
    return nullptr;
}

/// The durable subscription by which a subscriber gets messages of a topic. \param name empty: the first
PUSHER_DECL durable_subscriber* core::durable_reading(
    const subscriber_base& s, std::string_view topic, std::string_view type,
    std::string_view name) const noexcept {
    if (s.catching)
        for (const auto& c : s.catching->cursors)
            if (c->durable && c->durable->asks_for(topic, type) &&
                (name.empty() || c->durable->of->name.view() == name))
                return c->durable->of;
    return nullptr;
}

PUSHER_DECL shared_text
core::durable_name(const subscriber_base& s, const run& r, std::uint32_t index) const {
    const auto* const d = r.addressed() ? nullptr : durable_reading(s, r.topic().view(), r.type_of(index));
    return d ? d->name : shared_text();
}

/// Makes a durable subscription that nobody reads for yet, so that a store has it before somebody is told so.
/// \return whether the store is still to have it
PUSHER_DECL bool core::prepare_durable(
    const subscriber_base& s, std::string_view text, const subscribe_options& o, error_code& ec) {
    ec = may_subscribe(s, text, o);
    if (ec)
        return false;
    auto* const t = topics_.find(text);
    if (t ? !t->past() : !history_of(text).enabled())
        ec = errc::no_history;
    else if (!t && !room_for_state())
        ec = errc::too_many_topics;
    if (ec)
        return false;
    if (s.subs.size() >= params_.subscriptions && !subscribed(s, text, o.type, match_mode::exact)) {
        ec = errc::too_many_subscriptions;
        return false;
    }
    if (const auto* const d = find_durable(s.uid.view(), o.durable))
        if (const auto* const known = d->find(text, o.type))
            return !known->stored;
    auto& topic = t ? *t : add_topic(text, history_of(text));
    auto& c = durable_cursor_for(s.uid.view(), o.durable, topic.name(), shared_text(o.type));
    c.epoch = topic.past()->epoch();
    c.offset = c.sent = topic.past()->next_offset() - 1;
    c.fresh = true;
    auto& of = *c.of;
    if (of.holder == 0) {
        of.left = params_.steady();
        due_.arm(of, of.left + params_.durable.expiry);
        schedule();
    }
    changed(c, true);
    release(topic);
    return true;
}

/// The store has it, or not, or nobody wants it after all: then there is none.
PUSHER_DECL void core::settle_durable(
    std::string_view uid, std::string_view name, std::string_view topic, std::string_view type, bool stored) {
    auto* const d = find_durable(uid, name);
    auto* const c = d ? d->find(topic, type) : nullptr;
    if (c && stored)
        c->stored = c->stored || !c->fresh || !keeper_ || !keeper_->waits(core::stored(*c).key());
    else if (c && c->fresh)
        erase_durable(*c);
}

PUSHER_DECL durable_cursor& core::durable_cursor_for(
    std::string_view uid, std::string_view name, const shared_text& topic, const shared_text& type) {
    auto& entry = durables_[durable_subscriber::key_of(uid, name)];
    if (!entry)
        entry = std::make_unique<durable_subscriber>(uid, name);
    if (auto* const known = entry->find(topic.view(), type.view()))
        return *known;
    entry->cursors.push_back(std::make_unique<durable_cursor>(durable_cursor{entry.get(), topic, type}));
    ++durable_cursors_;
    return *entry->cursors.back();
}

/// What is kept for a durable subscription alone.
PUSHER_DECL std::vector<std::unique_ptr<parcel>> core::take_mail(const durable_cursor& d) {
    std::vector<std::unique_ptr<parcel>> taken;
    const auto found = mailboxes_.find(d.of->uid.view());
    if (found == mailboxes_.end())
        return taken;
    std::vector<parcel*> chosen;
    for (const auto& p : found->second->parcels) {
        const auto topic = p->messages->topic();
        const auto type = p->messages->type_of(p->index);
        const auto& all = d.of->cursors;
        if (p->who.durable.view() == d.of->name.view() && d.asks_for(topic.view(), type) &&
            std::none_of(all.begin(), all.end(), [&](const auto& other) {
                return other.get() != &d && other->asks_for(topic.view(), type);
            }))
            chosen.push_back(p.get());
    }
    for (auto* const p : chosen)
        taken.push_back(take(*p));
    return taken;
}

/// Nobody has come back for a durable subscription.
PUSHER_DECL void core::expire_durable(durable_subscriber& d) {
    for (auto left = d.cursors.size(); left != 0; --left) { // the last takes it along
        auto& c = *d.cursors.back();
        for (auto& p : take_mail(c))
            bury(std::move(p));
        erase_durable(c);
    }
}

/// A durable subscription ends, and nobody is left who wants what is kept for it.
PUSHER_DECL void core::erase_durable(durable_cursor& d) {
    take_mail(d);
    auto& of = *d.of;
    if (d.reader)
        d.reader->durable = nullptr;
    erased(d);
    --durable_cursors_;
    of.cursors.erase(std::find_if(
        of.cursors.begin(), of.cursors.end(), [&](const auto& other) { return other.get() == &d; }));
    if (of.cursors.empty())
        durables_.erase(durable_subscriber::key_of(of.uid.view(), of.name.view()));
}

PUSHER_DECL std::size_t core::erase_durable(durable_subscriber& d) {
    const auto count = d.cursors.size();
    for (auto left = count; left != 0; --left) // the last takes it along
        erase_durable(*d.cursors.back());
    return count;
}

PUSHER_DECL std::size_t core::remove_durable(std::string_view uid, std::string_view name) {
    auto* const d = find_durable(uid, name);
    return d ? erase_durable(*d) : 0;
}

} // namespace pusher::inline v0::detail
