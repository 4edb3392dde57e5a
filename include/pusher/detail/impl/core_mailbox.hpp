// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/core.hpp>

#include <algorithm>
#include <utility>
#include <vector>

namespace pusher::inline v0::detail {

// ---- messages for who is not here

/// Whether another session of the same uid has the message, or will get it, as far as those that are here
/// tell.
PUSHER_DECL bool core::reached_otherwise(
    const queue_subscriber& s, const run& r, std::uint32_t index, failure_cause why) const {
    const auto found = s.uid.empty() ? uids_.end() : uids_.find(s.uid.view());
    if (found == uids_.end())
        return false;
    const auto& e = r.at(index);
    const auto& slots = found->second.second;
    return std::any_of(slots.begin(), slots.end(), [&](std::uint32_t slot) {
        const auto& base = *slots_[slot];
        if (&base == &s || base.what != subscriber_base::kind::queue)
            return false;
        const auto& other = static_cast<const queue_subscriber&>(base);
        if (other.overflowed)
            return false;
        if (why == failure_cause::undeliverable && other.as &&
            const_cast<run&>(r).encode(*other.as, params_.sequence_epoch).frame(index).empty())
            return false; // nor can that one
        if (r.addressed())
            return other.listed && other.bound_at < e.sequence;
        return matches_live(other, r.topic().view(), r.type_of(index), e.publisher, e.sequence) ||
               cursor_has(other, r, index);
    });
}

/// Whether a cursor has brought a message, or will.
PUSHER_DECL bool core::cursor_has(const subscriber_base& s, const run& r, std::uint32_t index) const {
    return s.catching && r.in_history() &&
           std::any_of(s.catching->cursors.begin(), s.catching->cursors.end(), [&](const auto& c) {
               return c->topic->text() == r.topic().view() && c->topic->past()->epoch() == r.epoch() &&
                      c->from <= r.offset_of(index) && asks_for(*c, s, r, index);
           });
}

/// Whether a cursor has yet to come to a message, which it then owes to its subscriber.
PUSHER_DECL bool core::cursor_brings(const subscriber_base& s, const run& r, std::uint32_t index) const {
    if (!s.catching || !r.in_history())
        return false;
    const auto offset = r.offset_of(index);
    for (const auto& c : s.catching->cursors)
        if (c->topic->text() == r.topic().view() && c->topic->past()->epoch() == r.epoch() &&
            c->next <= offset && asks_for(*c, s, r, index)) {
            c->owed = std::min(c->owed, offset);
            return true;
        }
    return false;
}

/// A delivery failed: its ladder has the message from here on.
/// \return false if it has none, or somebody else of the uid gets it.
PUSHER_DECL bool core::fail(queue_subscriber& s, const run_ptr& r, std::uint32_t index, failure_cause why) {
    const auto& ladder = ladder_for(s, r->topic().view(), r->type_of(index));
    if (ladder.empty())
        return false;
    const auto who = addressee::of(s.info(), s.uid, durable_name(s, *r, index));
    if (who.durable.empty() && reached_otherwise(s, *r, index, why))
        return false;
    if (auto* const known = kept_already(who, r->at(index).sequence)) {
        if (why != failure_cause::disconnected)
            known->not_to = s.id;
        note(s, *r, index, reporting::fate::parked);
        return true;
    }
    // A history has the message anyway; but the few that failed must not hold the many that did not.
    constexpr std::size_t little = 16 * 1024;
    const bool whole = r->size() == 1 || (r->in_history() && r->footprint() <= little);
    auto p = std::make_unique<parcel>(whole ? r : r->copy(index, index + 1), whole ? index : 0);
    p->who = who;
    p->state.ladder = ladder;
    p->state.why = why;
    p->not_to = why == failure_cause::disconnected ? 0 : s.id;
    note(s, *r, index, reporting::fate::parked);
    keep(std::move(p), params_.steady());
    return true;
}

/// The same for what was pushed to a user who is not here.
PUSHER_DECL bool core::fail_absent(
    std::string_view uid, std::string_view label, std::string_view payload, const publish_options& o,
    std::uint64_t sequence) {
    const auto& ladder = ladder_of(label);
    if (ladder.empty())
        return false;
    message::fields m;
    set_fields(m, label, payload, o);
    m.sequence = sequence;
    auto r = make_run(shared_text(label));
    r->set_addressed();
    r->append(m, o.publisher, o.ttl);
    r->shrink();
    auto p = std::make_unique<parcel>(std::move(r), 0);
    p->who.uid = shared_text(uid);
    p->state.ladder = ladder;
    p->state.why = failure_cause::absent;
    keep(std::move(p), params_.steady());
    return true;
}

/// The same for what was sent and not acknowledged, and for what a history was still to bring.
PUSHER_DECL void core::fail_sent(queue_subscriber& s) {
    if (!s.catching)
        return;
    fail_unread(s);
    for (const auto& c : s.catching->cursors) {
        if (!c->sent)
            continue;
        timer_queue::cancel(*c->sent);
        if (c->durable) // it will go on where it is
            continue;
        const auto& past = *c->topic->past();
        for (const auto& e : c->sent->all())
            if (e.offset >= past.first_offset()) {
                const auto at = past.at(e.offset);
                fail(s, run_ptr(at.messages), at.index, failure_cause::disconnected);
            } else {
                count_drop(s, c->topic->text(), drop_cause::trimmed);
            }
    }
}

/// Of what a subscriber had a claim to and has not come to, the newest. All of it is in the history, which it
/// may resume; and who was far behind must not make everybody wait.
PUSHER_DECL void core::fail_unread(queue_subscriber& s) {
    const auto most = std::max<std::uint64_t>(params_.parking.messages, 1000);
    const auto& cursors = s.catching->cursors;
    for (auto c = cursors.begin(); c != cursors.end(); ++c) {
        auto& t = *(*c)->topic;
        const auto same = [&](const auto& other) { return other->topic == &t; };
        const bool durable = std::any_of(cursors.begin(), cursors.end(), [&](const auto& other) {
            return same(other) && other->durable && other->type.empty();
        });
        if (durable || std::any_of(cursors.begin(), c, same))
            continue;
        const auto end = t.past()->next_offset();
        auto from = end;
        for (const auto& other : cursors)
            if (same(other))
                from = std::min(from, std::max(other->next, other->owed));
        from = std::max({from, t.past()->first_offset(), end - std::min(end, most)});
        for (auto offset = from; offset != end; ++offset) {
            const auto at = t.past()->at(offset);
            const auto goes_on = [&](const auto& other) {
                return same(other) && other->durable && asks_for(*other, s, *at.messages, at.index);
            };
            if (wants(s, t, *at.messages, at.index, offset) &&
                std::none_of(cursors.begin(), cursors.end(), goes_on))
                fail(s, run_ptr(at.messages), at.index, failure_cause::disconnected);
        }
    }
}

/// Takes a message out of its mailbox, which goes with the last.
PUSHER_DECL std::unique_ptr<parcel> core::take(parcel& p) {
    auto& box = *p.in;
    auto taken = box.take(p);
    taken->in = nullptr;
    if (std::exchange(taken->limited, false)) {
        box.limited_bytes -= taken->size();
        keeps_for_ -= --box.limited == 0 ? 1 : 0;
    }
    timer_queue::cancel(*taken);
    forget_failure(state_format::parked_key, std::exchange(taken->number, 0));
    --parcels_;
    if (box.held_back) // there may be room now, or nothing left to wait for
        offer_again(box);
    if (box.parcels.empty())
        mailboxes_.erase(box.uid.view());
    return taken;
}

/// The same message in the mailbox already: another session of the uid had failed to get it.
PUSHER_DECL parcel* core::kept_already(const addressee& who, std::uint64_t sequence) const {
    if (who.uid.empty() || mailboxes_.empty())
        return nullptr;
    const auto found = mailboxes_.find(who.uid.view());
    return found == mailboxes_.end() ? nullptr : found->second->find(sequence, who.durable.view());
}

/// Keeps a message for a uid until somebody comes for it, or its time comes. What is only to take its first
/// step has a place whatever the limits are: its ladder says what becomes of it.
PUSHER_DECL void core::keep(std::unique_ptr<parcel> p, steady_time due) {
    const bool limited = p->parked || p->state.waits;
    auto found = mailboxes_.find(p->who.uid.view());
    const bool more_users = limited && (found == mailboxes_.end() || found->second->limited == 0);
    if (more_users && keeps_for_ >= params_.parking.users)
        return bury(std::move(p));
    if (found == mailboxes_.end()) {
        auto box = std::make_unique<mailbox>();
        box->uid = p->who.uid.empty() ? shared_text("") : p->who.uid;
        const auto key = box->uid.view();
        found = mailboxes_.emplace(key, std::move(box)).first;
    }
    auto& box = *found->second;
    if (limited && p->number == 0) { // in another life nobody goes on waiting: there it is parked
        const auto until = p->parked ? p->until : params_.steady() + params_.parking.ttl;
        p->number = ++last_failure_;
        store_failure(
            state_format::parked_key, p->number, *p->messages, p->index, p->who, p->state, wall_of(until));
    }
    p->in = &box;
    p->until = due;
    p->limited = limited;
    due_.arm(*p, due);
    if (limited) {
        keeps_for_ += box.limited++ == 0 ? 1 : 0;
        box.limited_bytes += p->size();
    }
    box.add(std::move(p));
    ++parcels_;
    if (limited && !std::exchange(box.offered, true))
        offers_.push_back(box.uid);
    while (box.limited > params_.parking.messages ||
           (box.limited_bytes > params_.parking.bytes && box.limited > 1)) {
        const auto oldest = std::find_if(
            box.parcels.begin(), box.parcels.end(), [](const auto& b) { return b->limited && b->out == 0; });
        if (oldest == box.parcels.end())
            break; // they are on their way
        bury(take(**oldest));
    }
    schedule();
}

/// What a mailbox keeps has been for long enough where it is.
PUSHER_DECL void core::step(parcel& due) {
    if (due.out != 0)
        return late_returned(due);
    auto p = take(due); // the host may purge the mailbox meanwhile
    p->late = false;
    auto& f = p->state;
    if (p->messages->expired(p->index, params_.steady()))
        return lose(std::move(p), drop_cause::expired);
    if (p->parked)
        return bury(std::move(p));
    if (std::exchange(f.waits, false)) {
        f.failed_again();
        ++counters_.retried;
    }
    const auto next =
        climb(f, *p->messages, p->index, p->who.info(), nullptr, !p->who.uid.empty() && !ending_);
    switch (next.what) {
    case next_step::kind::wait: f.waits = true; return keep(std::move(p), params_.steady() + next.delay);
    case next_step::kind::park: return park(std::move(p));
    case next_step::kind::drop: return lose(std::move(p), drop_cause::failed);
    case next_step::kind::give_up: return bury(std::move(p));
    case next_step::kind::settled: return;
    }
}

PUSHER_DECL void core::park(std::unique_ptr<parcel> p) {
    if (p->who.uid.empty())
        return bury(std::move(p));
    if (kept_already(p->who, p->sequence()))
        return; // for the same user
    p->parked = true;
    p->until = params_.steady() + params_.parking.ttl;
    ++counters_.parked;
    if (observer_) {
        std::vector<header> headers;
        observer_->at_park(
            p->who.info(), p->messages->view(p->index, params_.sequence_epoch, headers), p->state.why);
    }
    const auto until = p->until;
    keep(std::move(p), until);
}

PUSHER_DECL void core::bury(std::unique_ptr<parcel> p) {
    bury({0, p->messages, p->index, p->who, p->state.why, p->state.attempts, params_.wall()});
}

/// Keeps a message that nobody tries to deliver any more, so that the host can look at it.
PUSHER_DECL void core::bury(dead_entry d) {
    ++counters_.dead_letters;
    d.number = ++last_failure_;
    failure_state state;
    state.why = d.why;
    state.attempts = d.attempts;
    store_failure(state_format::dead_key, d.number, *d.messages, d.index, d.who, state, d.when);
    if (observer_) {
        std::vector<header> headers;
        observer_->at_dead_letter(
            d.who.info(), d.messages->view(d.index, params_.sequence_epoch, headers), d.why);
    }
    dead_letter_bytes_ += d.messages->at(d.index).size();
    dead_letters_.push_back(std::move(d));
    while (dead_letters_.size() > params_.dead_letters.messages ||
           (dead_letter_bytes_ > params_.dead_letters.bytes && !dead_letters_.empty())) {
        ++counters_.dead_letters_lost;
        forget_dead_letter(dead_letters_.begin());
    }
}

PUSHER_DECL void core::forget_dead_letter(std::deque<dead_entry>::iterator at) {
    forget_failure(state_format::dead_key, at->number);
    dead_letter_bytes_ -= at->messages->at(at->index).size();
    dead_letters_.erase(at);
}

/// A message is lost to its subscriber, which is told if it is still here.
PUSHER_DECL void core::lose(std::unique_ptr<parcel> p, drop_cause why) {
    count_drop(why);
    if (observer_)
        observer_->at_drop(p->who.info(), p->messages->topic().view(), why);
    if (auto* const s = find(p->who.id))
        tell_gap(*s, gap_of(*p->messages, p->index));
}

/// The older half of what is kept for a uid is lost: the broker's memory is full. \return whether any was.
PUSHER_DECL bool core::shed(mailbox& box) {
    std::vector<parcel*> oldest;
    for (const auto& p : box.parcels)
        if (p->out == 0)
            oldest.push_back(p.get());
    oldest.resize((oldest.size() + 1) / 2);
    for (auto* const p : oldest)
        lose(take(*p), drop_cause::memory);
    return !oldest.empty();
}

/// The same of what is held for a handler, but for the one that is tried again.
PUSHER_DECL bool core::shed(handler_subscriber& s) {
    const auto behind = s.held->messages.size() - 1;
    for (auto left = (behind + 1) / 2; left != 0; --left)
        lose_held(s, 1, drop_cause::memory);
    return behind != 0;
}

// ---- what the host can do about them

template <class F>
std::size_t core::take_parked(std::string_view uid, std::string_view topic, F&& f) {
    const auto found = mailboxes_.find(uid);
    if (uid.empty() || found == mailboxes_.end())
        return 0;
    std::vector<parcel*> chosen;
    for (const auto& p : found->second->parcels)
        if (p->out == 0 && (topic.empty() || p->messages->topic().view() == topic))
            chosen.push_back(p.get());
    for (auto* const p : chosen)
        f(take(*p));
    return chosen.size();
}

PUSHER_DECL std::size_t core::purge_parked(std::string_view uid, std::string_view topic) {
    return take_parked(uid, topic, [](const std::unique_ptr<parcel>&) {});
}

PUSHER_DECL std::size_t core::requeue_parked(std::string_view uid, std::string_view topic) {
    const auto found = mailboxes_.find(uid);
    if (uid.empty() || found == mailboxes_.end())
        return 0;
    std::size_t count = 0;
    for (const auto& p : found->second->parcels)
        if (p->out == 0 && (topic.empty() || p->messages->topic().view() == topic)) {
            p->not_to = 0;
            ++count;
        }
    for_each_of_uid(uid, [&](subscriber_base& s) { expect_mail(s); });
    return count;
}

/// Whether the durable subscription that a dead letter was for is still there.
PUSHER_DECL bool core::wanted_by_name(const dead_entry& d) const {
    const auto* const of = find_durable(d.who.uid.view(), d.who.durable.view());
    return of && std::any_of(of->cursors.begin(), of->cursors.end(), [&](const auto& c) {
               return c->asks_for(d.messages->topic().view(), d.messages->type_of(d.index));
           });
}

PUSHER_DECL void core::requeue_dead_letter(std::uint64_t number, error_code& ec) {
    const auto found = std::find_if(
        dead_letters_.begin(), dead_letters_.end(), [&](const dead_entry& d) { return d.number == number; });
    ec = errc::not_found;
    if (found == dead_letters_.end())
        return;
    const auto& who = found->who;
    auto* const s = find(who.id);
    const bool to_handler = s && s->what == subscriber_base::kind::handler;
    if ((who.uid.empty() && !to_handler) || (!who.durable.empty() && !wanted_by_name(*found)))
        return;
    ec = {};
    const auto d = *found;
    forget_dead_letter(found);
    if (to_handler) {
        auto& h = static_cast<handler_subscriber&>(*s);
        if (!h.held) {
            begin_holding(h).failing = false;
            due_.arm(*h.held, params_.steady());
        }
        h.held->add(d.messages->copy(d.index, d.index + 1));
        return schedule();
    }
    auto p = std::make_unique<parcel>(d.messages, d.index);
    p->who = d.who;
    p->state.why = d.why;
    p->state.attempts = d.attempts;
    park(std::move(p));
}

PUSHER_DECL std::size_t core::purge_dead_letters(std::uint64_t number) {
    const auto before = dead_letters_.size();
    for (auto at = dead_letters_.size(); at-- != 0;)
        if (number == 0 || dead_letters_[at].number == number)
            forget_dead_letter(dead_letters_.begin() + static_cast<std::ptrdiff_t>(at));
    return before - dead_letters_.size();
}

} // namespace pusher::inline v0::detail
