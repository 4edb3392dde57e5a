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
    const auto [found, added] = copied_.try_emplace(std::string(topic), copied{t});
    if (!added)
        core_->leave_topic(*t); // it is held once
    found->second.by |= bit_of(who);
    return &found->second;
}

/// From now on it gets what it has not got when there is room.
PUSHER_DECL relay::follower&
relay::falls_behind(copied& c, std::uint32_t who, std::uint64_t next, std::uint64_t live) {
    c.behind.push_back(std::make_unique<follower>(follower{who, next, live}));
    turns_[who].emplace_back(c.topic->text());
    ++behind_[who];
    return *c.behind.back();
}

/// A message is in the history, and will be sent from there.
PUSHER_DECL void relay::hold_back(const copied& c, follower& f, const relay_facts& facts, bool everyone) {
    const bool own = facts.origin == f.who && (facts.publisher != 0 || facts.number != 0);
    if (!own && !everyone)
        return;
    // What nobody waits for an answer to is not kept for longer than the message.
    const auto first = c.topic->past()->first_offset();
    for (auto* a = &f.asides; !a->empty() && a->front().offset < first && a->front().number == 0;
         a->pop_front())
        f.broadcasts += a->front().everyone ? 1 : 0;
    f.asides.push_back({facts.position.offset, own ? facts.publisher : 0, own ? facts.number : 0, everyone});
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
    bool outruns = false;
    bool not_all = false; // were looked at
    for (std::uint32_t who = 0; who != turns_.size(); ++who) {
        auto& turns = turns_[who];
        auto left = messages_for_all;
        bool ample = true;
        for (auto n = turns.size(); n != 0 && left != 0 && ample; --n) {
            auto topic = std::move(turns.front());
            turns.pop_front();
            const auto found = copied_.find(topic);
            auto* const f = found == copied_.end() ? nullptr : found->second.find(who);
            if (!f || bring_on(found->second, *f, left))
                continue;
            ample = plane_->half_empty(who);
            outruns = outruns || (ample && may_be_forgotten(found->second, *f));
            turns.push_back(std::move(topic));
        }
        if (turns.empty())
            continue;
        not_all = not_all || left == 0;
        if (left == 0 || ample)
            schedule();
        else
            plane_->wait_for(who);
    }
    outruns_ = outruns || (outruns_ && not_all);
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
    // Where others take half of the room in each turn, one message in each has the rest.
    bool ample = plane_->half_empty(f.who);
    const auto overflow = [&ample] { return ample ? relay_overflow::exceed : relay_overflow::refuse; };
    if (const auto first = past.first_offset(); f.next < first) {
        if (!lose_until(c, f, first, overflow()))
            return false;
        const bool copying = f.next < f.live;
        f.next = first;
        if (copying) { // what it has of the copy is forgotten too
            f.live = std::max(f.live, first);
            announce_history(c, f);
        }
    }
    std::size_t bytes = 0;
    for (std::size_t messages = 0; f.next != past.next_offset(); ++messages, --left) {
        if (left == 0 || messages == messages_for_one || bytes >= bytes_for_one)
            return false;
        ample = ample && plane_->half_empty(f.who);
        const auto sent = ample || messages == 0 ? send_next(c, f, overflow()) : 0;
        if (sent == 0)
            return false;
        bytes += sent;
    }
    catches_up(c, f);
    return true;
}

/// It does not get what is before an offset. \return false: there is no room to tell it that.
PUSHER_DECL bool
relay::lose_until(const copied& c, follower& f, std::uint64_t offset, relay_overflow overflow) {
    const auto begin = std::max(f.next, f.live);
    relayed lost;
    lost.what = relay_kind::lost;
    lost.overflow = overflow;
    lost.topic = c.topic->text();
    if (begin < offset) {
        lost.count = offset - begin;
        lost.position = {c.topic->past()->epoch(), begin};
        lost.number = offset - 1;
        if (plane_->send(f.who, lost) == backplane::outcome::full)
            return false;
        forgotten_ += lost.count;
        if (observer_)
            observer_->at_error(errc::queue_full, "backplane");
    }
    for (; !f.asides.empty() && f.asides.front().offset < offset; f.asides.pop_front()) {
        f.broadcasts += f.asides.front().everyone ? 1 : 0;
        send_reply(f);
    }
    lost.overflow = relay_overflow::exceed;
    lost.everyone = lost.repeated = true;
    lost.count = std::exchange(f.broadcasts, 0);
    lost.position = {};
    lost.number = 0;
    if (lost.count != 0)
        plane_->send(f.who, lost);
    return true;
}

/// \return what was sent, in bytes; 0: there is no room
PUSHER_DECL std::size_t relay::send_next(const copied& c, follower& f, relay_overflow overflow) {
    const auto& past = *c.topic->past();
    const auto place = past.at(f.next);
    const auto m = place.messages->view(place.index, 0, headers_);
    relayed r;
    r.overflow = overflow;
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
    if (plane_->send(f.who, r) == backplane::outcome::full)
        return 0;
    if (r.what != relay_kind::kept)
        ++sent_;
    ++f.next;
    if (noted) {
        send_reply(f);
        f.asides.pop_front();
    }
    return sizeof(relay_facts) + packed_size(content_of(m));
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

/// It is no follower any more.
PUSHER_DECL void relay::catches_up(copied& c, const follower& f) {
    --behind_[f.who];
    std::erase_if(c.behind, [&f](const auto& other) { return other.get() == &f; });
    release(c);
}

/// Lets go of the topic if nobody copies it, or lacks some of it.
PUSHER_DECL void relay::release(const copied& c) {
    if (c.by != 0 || !c.behind.empty())
        return;
    auto& t = *c.topic;
    copied_.erase(copied_.find(t.text()));
    core_->leave_topic(t);
}

/// Whether a follower is so far behind that what it lacks may soon be forgotten.
PUSHER_DECL bool relay::may_be_forgotten(const copied& c, const follower& f) {
    const auto& past = *c.topic->past();
    return past.next_offset() - std::max(f.live, f.next) > past.messages() / 2;
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

/// What a follower lacks it gets all the same: some of it may be for filters, or for everybody.
PUSHER_DECL void relay::copies_no_more(std::uint32_t who, std::string_view topic) {
    const auto found = copied_.find(topic);
    if (found == copied_.end())
        return;
    auto& c = found->second;
    if (auto* const f = c.find(who))
        f->next = std::max(f->next, f->live); // but not the copy
    c.by &= ~bit_of(who);
    release(c);
}

/// Another broker has gone.
PUSHER_DECL void relay::forget_follower(std::uint32_t who) {
    turns_[who].clear();
    std::vector<std::string> topics;
    for (const auto& entry : copied_)
        topics.push_back(entry.first);
    for (const auto& topic : topics) {
        auto& c = copied_.find(topic)->second;
        c.by &= ~bit_of(who);
        std::erase_if(c.behind, [who](const auto& f) { return f->who == who; });
        release(c);
    }
    behind_[who] = 0;
}

/// This broker goes: what others lack they do not get.
PUSHER_DECL void relay::abandon_followers() {
    for (const auto& entry : copied_)
        for (const auto& f : entry.second.behind)
            lose_until(entry.second, *f, entry.second.topic->past()->next_offset(), relay_overflow::exceed);
    turns_.clear();
    behind_.assign(plane_->size(), 0);
}

} // namespace pusher::inline v0::detail
