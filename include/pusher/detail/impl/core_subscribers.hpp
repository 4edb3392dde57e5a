// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/core.hpp>

#include <stdexcept>
#include <utility>

namespace pusher::inline v0::detail {

PUSHER_DECL void core::add(const subscriber_ptr& s) {
    if (free_slots_.empty()) {
        if (slots_.size() > slot_mask)
            throw std::length_error("pusher: more than 16,777,215 subscribers");
        s->slot = static_cast<std::uint32_t>(slots_.size());
        slots_.push_back(s);
        stamps_.resize(slots_.size());
        turn_.make_slots(slots_.size());
    } else {
        s->slot = free_slots_.back();
        free_slots_.pop_back();
        slots_[s->slot] = s;
    }
    s->owner = this;
    s->id = (serial_ += serial_step_) << 24 | s->slot;
}

PUSHER_DECL void core::remove(subscriber_base& s) {
    const subscriber_ptr keep(&s);
    if (calling_groups_ && s.what == subscriber_base::kind::handler)
        left_now_.push_back(keep);
    // While its cursors are known: what they would have brought was never queued.
    if (s.what == subscriber_base::kind::queue) {
        take_back(static_cast<queue_subscriber&>(s));
        forget_queued(static_cast<queue_subscriber&>(s), drop_cause::disconnected, s.remote);
    } else if (auto& h = static_cast<handler_subscriber&>(s); h.held)
        for (const auto gone = std::exchange(h.held, nullptr); const auto& r : gone->messages)
            count_drop(s, *r, 0, drop_cause::disconnected);
    unsubscribe_all(s);
    end_catching(s);
    auto uid = s.uid;
    bind(s, {});
    s.uid = std::move(uid); // for who tells of its end
    s.owner = nullptr;
    slots_[s.slot] = nullptr;
    // Lists of the current turn may still name the slot.
    if (turn_.empty())
        free_slots_.push_back(s.slot);
    else
        left_slots_.push_back(s.slot);
}

PUSHER_DECL void core::clear() {
    has_ladders_ = false; // there will be no attempts
    abandon_reports(errc::stopped);
    for (std::size_t slot = 1; slot < slots_.size(); ++slot)
        if (slots_[slot])
            remove(*slots_[slot]);
    catchups_.clear();
    for (const auto waiting = std::exchange(deferred_, {}); const auto& d : waiting)
        unpin(d.groups);
}

PUSHER_DECL void core::bind(subscriber_base& s, std::string_view uid) {
    if (uid == s.uid.view())
        return;
    const auto old = s.uid; // `uid` may be a view of it
    if (!s.uid.empty()) {
        if (s.what == subscriber_base::kind::queue)
            take_back(static_cast<queue_subscriber&>(s));
        const auto found = uids_.find(s.uid.view());
        auto& slots = found->second.second;
        slots[s.uid_index] = slots.back();
        slots_[slots.back()]->uid_index = s.uid_index;
        slots.pop_back();
        if (slots.empty()) {
            uids_.erase(found);
            if (interest_)
                interest_->at_interest(interest_keeper::kind::user, old.view(), false);
        }
        s.uid = {};
    }
    if (uid.empty())
        return;
    auto found = uids_.find(uid);
    if (found == uids_.end()) {
        shared_text text(uid);
        const auto key = text.view();
        found = uids_.emplace(key, std::pair(std::move(text), std::vector<std::uint32_t>())).first;
        if (interest_)
            interest_->at_interest(interest_keeper::kind::user, key, true);
    }
    auto& slots = found->second.second;
    s.uid_index = static_cast<std::uint32_t>(slots.size());
    slots.push_back(s.slot);
    s.uid = found->second.first;
    s.bound_at = sequence_;
    expect_mail(s);
    if (observer_)
        observer_->at_bind(s.info());
}

} // namespace pusher::inline v0::detail
