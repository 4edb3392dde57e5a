// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/relay.hpp>
#include <pusher/detail/relayed_content.hpp>

#include <algorithm>
#include <bit>

namespace pusher::inline v0::detail {

PUSHER_DECL void relay::send_history(std::uint32_t to, std::string_view topic) {
    schedule();
    relayed r;
    r.what = relay_kind::history;
    r.topic = topic;
    copied* c = nullptr;
    if ((plane_->subscribers(topic) & bit_of(to)) == 0)
        r.error = errc::stopped; // who asks is interested for as long as it waits
    else if (!has_history(topic))
        r.error = errc::no_history;
    else
        c = begin_copy(to, topic, r.error);
    if (!c) {
        plane_->send(to, r);
        return;
    }
    const auto& past = *c->topic->past();
    auto* f = c->find(to);
    if (f) { // it has let go of what it had: what it was still to get is still live
        f->live = std::max(f->live, f->next);
        f->next = std::min(past.first_offset(), f->live);
    } else {
        f = &falls_behind(*c, to, past.first_offset(), past.next_offset());
    }
    announce_history(*c, *f);
}

/// While it is copied the topic stays, with its epoch. \return null: it cannot be, as `ec` says.
PUSHER_DECL relay::copied* relay::begin_copy(std::uint32_t who, std::string_view topic, error_code& ec) {
    auto* const t = core_->hold_topic(topic);
    if (!t) {
        ec = errc::too_many_topics;
        return nullptr;
    }
    if (!t->past()) {
        core_->leave_topic(*t);
        ec = errc::no_history;
        return nullptr;
    }
    auto& c = copied_.try_emplace(std::string(topic), copied{t}).first->second;
    if (c.by != 0)
        core_->leave_topic(*t); // it is held once
    c.by |= bit_of(who);
    return &c;
}

/// From now on it gets what it has not got when there is room.
PUSHER_DECL relay::follower&
relay::falls_behind(copied& c, std::uint32_t who, std::uint64_t next, std::uint64_t live) {
    c.behind.push_back(std::make_unique<follower>(follower{who, next, live}));
    turns_.emplace_back(c.topic->text(), who);
    ++behind_[who];
    return *c.behind.back();
}

/// A message is in the history, and will be sent from there.
PUSHER_DECL void relay::hold_back(follower& f, const relay_facts& facts, bool everyone) {
    const bool own = facts.origin == f.who && (facts.publisher != 0 || facts.number != 0);
    if (own || everyone)
        f.asides.push_back(
            {facts.position.offset, own ? facts.publisher : 0, own ? facts.number : 0, everyone});
}

PUSHER_DECL void relay::announce_history(const copied& c, const follower& f) {
    const auto& past = *c.topic->past();
    relayed r;
    r.what = relay_kind::history;
    r.topic = c.topic->text();
    r.position = {past.epoch(), f.next};
    r.count = f.live - f.next;
    plane_->send(f.who, r);
}

/// All who are behind get a part of what they have not got.
PUSHER_DECL void relay::bring_on() {
    auto left = messages_for_all;
    bool more = false;
    bool full = false;
    for (auto n = turns_.size(); n != 0; --n) {
        if (left == 0) {
            more = true;
            break;
        }
        auto turn = std::move(turns_.front());
        turns_.pop_front();
        const auto found = copied_.find(turn.first);
        auto* const f = found == copied_.end() ? nullptr : found->second.find(turn.second);
        if (!f || bring_on(found->second, *f, left))
            continue;
        (plane_->half_empty(f->who) ? more : full) = true;
        turns_.push_back(std::move(turn));
    }
    if (more)
        schedule();
    if (full)
        plane_->wait_for_room();
    for (auto waiting = to_sync_; waiting != 0; waiting &= waiting - 1) {
        const auto who = static_cast<std::uint32_t>(std::countr_zero(waiting));
        if (behind_[who] != 0)
            continue;
        to_sync_ &= ~bit_of(who);
        relayed reply;
        reply.what = relay_kind::synced;
        plane_->send(who, reply);
    }
}

/// \param left messages that may be sent in this turn. \return whether it is behind no more.
PUSHER_DECL bool relay::bring_on(copied& c, follower& f, std::size_t& left) {
    const auto& past = *c.topic->past();
    if (f.next < past.first_offset())
        forget_trimmed(c, f);
    std::size_t messages = 0;
    std::size_t bytes = 0;
    for (; f.next != past.next_offset(); --left, ++messages) {
        if (left == 0 || messages == messages_for_one || bytes >= bytes_for_one || !plane_->half_empty(f.who))
            return false;
        bytes += send_next(c, f);
    }
    catches_up(c, f);
    return true;
}

/// The history has forgotten what was to be sent next.
PUSHER_DECL void relay::forget_trimmed(const copied& c, follower& f) {
    const auto& past = *c.topic->past();
    const auto first = past.first_offset();
    const auto begin = std::max(f.next, f.live);
    relayed lost;
    lost.what = relay_kind::lost;
    lost.topic = c.topic->text();
    if (begin < first) {
        forgotten_ += first - begin;
        lost.count = first - begin;
        lost.position = {past.epoch(), begin};
        lost.number = first - 1;
        plane_->send(f.who, lost);
        if (observer_)
            observer_->at_error(errc::queue_full, "backplane");
    }
    for (; !f.asides.empty() && f.asides.front().offset < first; f.asides.pop_front()) {
        if (f.asides.front().everyone) {
            lost.everyone = lost.repeated = true;
            lost.count = 1;
            lost.position = {};
            lost.number = 0;
            plane_->send(f.who, lost);
        }
        send_reply(f);
    }
    const bool copying = f.next < f.live;
    f.next = first;
    if (copying) { // what it has of the copy is forgotten too
        f.live = std::max(f.live, first);
        announce_history(c, f);
    }
}

/// \return what was sent, in bytes
PUSHER_DECL std::size_t relay::send_next(const copied& c, follower& f) {
    const auto& past = *c.topic->past();
    const auto place = past.at(f.next);
    const auto m = place.messages->view(place.index, 0, headers_);
    relayed r;
    r.what = f.next < f.live ? relay_kind::kept : relay_kind::message;
    r.topic = c.topic->text();
    r.origin = plane_->self();
    r.position = {past.epoch(), f.next};
    r.ttl = m.ttl();
    r.received = place.messages->receive_time();
    r.born = place.messages->born();
    set_content(r, content_of(m));
    const bool noted = !f.asides.empty() && f.asides.front().offset == f.next;
    if (noted) {
        const auto& a = f.asides.front();
        if (a.publisher != 0 || a.number != 0) {
            r.origin = f.who;
            r.publisher = a.publisher;
            r.number = a.number;
        }
        if (a.everyone)
            r.what = relay_kind::broadcast;
    }
    if (r.what != relay_kind::kept)
        ++sent_;
    plane_->send(f.who, r);
    ++f.next;
    if (noted) {
        send_reply(f);
        f.asides.pop_front();
    }
    return m.payload().size();
}

/// What was held back with the message that was the first of them.
PUSHER_DECL void relay::send_reply(const follower& f) {
    const auto& held = f.asides.front().reply;
    if (!held)
        return;
    relayed reply;
    static_cast<relay_facts&>(reply) = *held;
    plane_->send(f.who, reply);
}

PUSHER_DECL void relay::catches_up(copied& c, const follower& f) {
    --behind_[f.who];
    std::erase_if(c.behind, [&f](const auto& other) { return other.get() == &f; });
}

/// Whether somebody who takes what comes is so far behind that the history may soon forget it.
PUSHER_DECL bool relay::outruns_histories() const noexcept {
    return std::any_of(turns_.begin(), turns_.end(), [this](const auto& turn) {
        const auto found = copied_.find(turn.first);
        const auto* const f = found == copied_.end() ? nullptr : found->second.find(turn.second);
        if (!f || !plane_->half_empty(f->who))
            return false; // or takes nothing now: the backplane waits for it, or does not
        const auto& past = *found->second.topic->past();
        return past.next_offset() - std::max(f->live, f->next) > past.messages() / 2;
    });
}

PUSHER_DECL void relay::at_unsubscribed(std::uint32_t who, std::string_view topic) {
    if (!copied_.contains(topic))
        return;
    uncopied_.emplace_back(who, topic);
    schedule();
}

PUSHER_DECL void relay::release_topics() {
    for (const auto all = std::exchange(uncopied_, {}); const auto& [who, topic] : all)
        if ((plane_->subscribers(topic) & bit_of(who)) == 0) // it has not come back
            copies_no_more(who, topic);
}

PUSHER_DECL void relay::copies_no_more(std::uint32_t who, std::string_view topic) {
    const auto found = copied_.find(topic);
    if (found == copied_.end())
        return;
    if (auto* const f = found->second.find(who)) {
        for (; !f->asides.empty(); f->asides.pop_front())
            send_reply(*f);
        catches_up(found->second, *f);
    }
    if ((found->second.by &= ~bit_of(who)) != 0)
        return;
    auto& t = *found->second.topic;
    copied_.erase(found);
    core_->leave_topic(t);
}

} // namespace pusher::inline v0::detail
