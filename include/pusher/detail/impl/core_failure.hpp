// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/core.hpp>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <variant>

namespace pusher::inline v0::detail {

// ---- ladders

/// What a failed delivery to a subscriber is to come to; without rungs: nothing.
PUSHER_DECL const failure_ladder&
core::ladder_for(const subscriber_base& s, std::string_view topic, std::string_view type) const {
    if (s.has_options)
        if (const auto* const by = governing(s, topic, type); by && by->options != 0)
            if (const auto& own = options_[by->options - 1]; own.chooses_ladder)
                return own.on_failure;
    for (const auto& p : params_.topic_policies)
        if (p.on_failure && filter_matches(p.filter, topic))
            return *p.on_failure;
    return params_.on_failure;
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

PUSHER_DECL void core::raise(const failure::alarm& a, failed_delivery f) {
    constexpr std::size_t most = 1024; // ladders of subscriptions come and go
    const auto now = params_.steady();
    if (alarms_.size() >= most)
        boost::unordered::erase_if(alarms_, [&](const auto& entry) { return entry.second.next <= now; });
    auto& limit = alarms_[&a];
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
            raise(*alarm, failed);
            continue;
        }
        if (const auto* const decide = std::get_if<failure::decide>(rung)) {
            auto verdict = failure::next();
            call_host(who, m.topic(), [&] { verdict = decide->callback(failed); });
            if (verdict.what == failure::verdict::kind::settled)
                return {kind::settled};
            if (verdict.what == failure::verdict::kind::again && may_wait)
                return {kind::wait, std::max(verdict.delay, std::chrono::milliseconds(1))};
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
        case due_kind::durable: erase_durable(static_cast<durable_subscriber&>(node)); return;
        }
    });
}

// ---- messages for who is not here

/// Whether another session of the same uid has the message, or will get it.
PUSHER_DECL bool core::reached_otherwise(const queue_subscriber& s, const run& r, std::uint32_t index) const {
    bool reached = false;
    if (s.uid.empty())
        return reached;
    const auto& e = r.at(index);
    for_each_of_uid(s.uid.view(), [&](const subscriber_base& other) {
        if (&other == &s || other.what != subscriber_base::kind::queue ||
            static_cast<const queue_subscriber&>(other).overflowed)
            return;
        if (r.addressed())
            reached = reached || (other.listed && other.bound_at < e.sequence);
        else
            reached = reached ||
                      matches_live(other, r.topic().view(), r.type_of(index), e.publisher, e.sequence) ||
                      cursor_brings(other, r, index);
    });
    return reached;
}

/// Whether a cursor has yet to come to a message.
PUSHER_DECL bool core::cursor_brings(const subscriber_base& s, const run& r, std::uint32_t index) const {
    return s.catching && r.in_history() &&
           std::any_of(s.catching->cursors.begin(), s.catching->cursors.end(), [&](const auto& c) {
               return c->topic->name.view() == r.topic().view() && c->topic->past->epoch() == r.epoch() &&
                      c->next <= r.offset_of(index) && asks_for(*c, s, r, index);
           });
}

/// A delivery failed: its ladder has the message from here on.
/// \return false if it has none, or somebody else of the uid gets it.
PUSHER_DECL bool core::fail(queue_subscriber& s, const run_ptr& r, std::uint32_t index, failure_cause why) {
    const auto& ladder = ladder_for(s, r->topic().view(), r->type_of(index));
    if (ladder.empty() || reached_otherwise(s, *r, index))
        return false;
    // A history has the message anyway; else the few that failed must not hold the many that did not.
    const bool whole = r->in_history() || r->size() == 1;
    auto p = std::make_unique<parcel>(whole ? r : r->copy(index, index + 1), whole ? index : 0);
    p->who = addressee::of(s.info(), s.uid);
    p->state.ladder = ladder;
    p->state.why = why;
    p->not_to = why == failure_cause::disconnected ? 0 : s.id;
    keep(std::move(p), params_.steady());
    return true;
}

/// The same for what was sent and not acknowledged, and for what a history was still to bring.
PUSHER_DECL void core::fail_sent(queue_subscriber& s) {
    take_back(s);
    if (!s.catching)
        return;
    fail_unread(s);
    for (const auto& c : s.catching->cursors) {
        if (!c->sent)
            continue;
        timer_queue::cancel(*c->sent);
        if (c->durable) // it will go on where it is
            continue;
        const auto& past = *c->topic->past;
        for (const auto& e : c->sent->all())
            if (e.offset >= past.first_offset()) {
                const auto at = past.at(e.offset);
                fail(s, run_ptr(at.messages), at.index, failure_cause::disconnected);
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
        const auto end = t.past->next_offset();
        auto from = end;
        for (const auto& other : cursors)
            if (same(other))
                from = std::min(from, std::max(other->next, other->owed));
        from = std::max({from, t.past->first_offset(), end - std::min(end, most)});
        for (auto offset = from; offset != end; ++offset) {
            const auto at = t.past->at(offset);
            if (wants(s, t, *at.messages, at.index, offset))
                fail(s, run_ptr(at.messages), at.index, failure_cause::disconnected);
        }
    }
}

/// Takes a message out of its mailbox, which goes with the last.
PUSHER_DECL std::unique_ptr<parcel> core::take(parcel& p) {
    auto& box = *p.in;
    auto taken = box.take(p);
    taken->in = nullptr;
    timer_queue::cancel(*taken);
    --parcels_;
    if (box.parcels.empty())
        mailboxes_.erase(box.uid.view());
    return taken;
}

/// Keeps a message for a uid until somebody comes for it, or its time comes.
PUSHER_DECL void core::keep(std::unique_ptr<parcel> p, steady_time due) {
    const auto uid = p->who.uid;
    auto found = mailboxes_.find(uid.view());
    if (found == mailboxes_.end()) {
        if (mailboxes_.size() >= params_.parking.users)
            return bury(std::move(p));
        auto box = std::make_unique<mailbox>();
        box->uid = uid.empty() ? shared_text("") : uid;
        const auto key = box->uid.view();
        found = mailboxes_.emplace(key, std::move(box)).first;
    }
    auto& box = *found->second;
    p->in = &box;
    due_.arm(*p, due);
    box.add(std::move(p));
    ++parcels_;
    offer(box);
    while (box.parcels.size() > params_.parking.messages ||
           (box.bytes > params_.parking.bytes && box.parcels.size() > 1)) {
        const auto oldest =
            std::find_if(box.parcels.begin(), box.parcels.end(), [](const auto& b) { return b->out == 0; });
        if (oldest == box.parcels.end())
            break; // they are on their way
        bury(take(**oldest));
    }
    schedule();
}

/// What a mailbox keeps has been for long enough where it is.
PUSHER_DECL void core::step(parcel& due) {
    auto p = take(due); // the host may purge the mailbox meanwhile
    auto& f = p->state;
    if (p->messages->expired(p->index, params_.steady()))
        return lose(std::move(p), drop_cause::expired);
    if (p->parked)
        return bury(std::move(p));
    if (std::exchange(f.waits, false)) {
        f.failed_again();
        ++counters_.retried;
    }
    const auto next = climb(f, *p->messages, p->index, p->who.info(), nullptr, !p->who.uid.empty());
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
    d.number = ++last_dead_letter_;
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

/// Lets those of the uid who are here look into its mailbox.
PUSHER_DECL void core::offer(const mailbox& box) {
    if (!box.uid.empty())
        for_each_of_uid(box.uid.view(), [&](subscriber_base& s) { expect_mail(s); });
}

PUSHER_DECL void core::expect_mail(subscriber_base& s) {
    if (s.what != subscriber_base::kind::queue || s.uid.empty() || mailboxes_.empty() ||
        !mailboxes_.contains(s.uid.view()))
        return;
    s.mail_waits = true;
    schedule_catchup(s);
}

PUSHER_DECL bool core::is_for(const parcel& p, const subscriber_base& s) const {
    if (p.out != 0 || p.not_to == s.id)
        return false;
    const auto& r = *p.messages;
    return r.addressed() ? s.listed : std::any_of(s.subs.begin(), s.subs.end(), [&](const sub_ref& ref) {
        return matches(*groups_[ref.group], r.topic().view(), r.type_of(p.index));
    });
}

/// Puts what was kept for a subscriber's uid, and what it asks for, into its outbox. It stays in the mailbox
/// until the connection has taken it.
PUSHER_DECL void core::deliver_mail(queue_subscriber& s) {
    s.mail_waits = false;
    const auto found = mailboxes_.find(s.uid.view());
    if (s.uid.empty() || found == mailboxes_.end())
        return;
    std::vector<parcel*> brought; // by a cursor
    std::vector<parcel*> expired;
    for (const auto& p : found->second->parcels) {
        if (!is_for(*p, s))
            continue;
        if (p->messages->expired(p->index, params_.steady())) {
            expired.push_back(p.get());
        } else if (cursor_brings(s, *p->messages, p->index)) {
            brought.push_back(p.get());
        } else {
            p->out = s.id;
            timer_queue::cancel(*p);
            box_of(s).add(p->messages, p->index, outbox::handling::returned);
        }
    }
    for (auto* const p : brought)
        take(*p);
    for (auto* const p : expired)
        lose(take(*p), drop_cause::expired);
}

/// A subscriber ends, or is another's from now on: what it has not taken stays in the mailbox.
PUSHER_DECL void core::take_back(queue_subscriber& s) {
    const auto found = mailboxes_.find(s.uid.view());
    if (s.uid.empty() || found == mailboxes_.end())
        return;
    for (const auto& p : found->second->parcels)
        if (p->out == s.id) {
            p->out = 0;
            ++p->state.attempts;
            due_.arm(*p, p->parked ? p->until : params_.steady());
        }
    offer(*found->second); // to the others of its uid
}

PUSHER_DECL parcel* core::returned_parcel(const subscriber_base& s, const run& r, std::uint32_t index) const {
    if (s.uid.empty() || mailboxes_.empty())
        return nullptr;
    const auto found = mailboxes_.find(s.uid.view());
    return found == mailboxes_.end() ? nullptr : found->second->find_out(s.id, r.at(index).sequence);
}

/// Its connection cannot carry what was kept for it: another one may.
PUSHER_DECL void core::cannot_get(const subscriber_base& s, parcel& p) {
    p.out = 0;
    p.not_to = s.id;
    ++p.state.attempts;
    due_.arm(p, p.parked ? p.until : params_.steady());
}

/// A message that had failed has been taken, or lost.
PUSHER_DECL void core::forget_returned(subscriber_base& s, const run& r, std::uint32_t index) {
    if (auto* const p = returned_parcel(s, r, index))
        take(*p);
}

/// Who resumes says itself what it has: that is not kept for it any more.
PUSHER_DECL void core::forget_resumed(
    const subscriber_base& s, std::string_view topic, const std::optional<topic_position>& after,
    std::optional<std::uint64_t> after_sequence) {
    if ((!after && !after_sequence) || s.uid.empty() || mailboxes_.empty())
        return;
    const auto found = mailboxes_.find(s.uid.view());
    if (found == mailboxes_.end())
        return;
    std::vector<parcel*> has;
    for (const auto& p : found->second->parcels) {
        const auto& r = *p->messages;
        if (p->out == 0 && r.topic().view() == topic &&
            (after ? r.in_history() && r.epoch() == after->epoch && r.offset_of(p->index) <= after->offset
                   : p->sequence() <= *after_sequence))
            has.push_back(p.get());
    }
    for (auto* const p : has)
        take(*p);
}

/// The older half of what is kept for a uid is lost: the broker's memory is full.
PUSHER_DECL void core::shed(mailbox& box) {
    std::vector<parcel*> oldest;
    for (const auto& p : box.parcels)
        if (p->out == 0)
            oldest.push_back(p.get());
    oldest.resize((oldest.size() + 1) / 2);
    for (auto* const p : oldest)
        lose(take(*p), drop_cause::memory);
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
    std::vector<std::unique_ptr<parcel>> again;
    take_parked(uid, topic, [&](std::unique_ptr<parcel> p) { again.push_back(std::move(p)); });
    for (auto& p : again) {
        p->not_to = 0;
        const auto due = p->parked ? p->until : params_.steady();
        keep(std::move(p), due);
    }
    return again.size();
}

PUSHER_DECL void core::requeue_dead_letter(std::uint64_t number, error_code& ec) {
    ec = {};
    const auto found = std::find_if(
        dead_letters_.begin(), dead_letters_.end(), [&](const dead_entry& d) { return d.number == number; });
    auto* const s = found == dead_letters_.end() ? nullptr : find(found->who.id);
    const bool to_handler = s && s->what == subscriber_base::kind::handler;
    if (found == dead_letters_.end() || (found->who.uid.empty() && !to_handler)) {
        ec = errc::not_found;
        return;
    }
    const auto d = *found;
    forget_dead_letter(found);
    if (to_handler) {
        auto& h = static_cast<handler_subscriber&>(*s);
        if (!h.held) {
            h.held = std::make_unique<holding>(h);
            h.held->failing = false;
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

// ---- handlers

/// A handler threw: if there is a ladder, the message is held, and everything behind it.
PUSHER_DECL void core::fail_call(handler_subscriber& s, const message& m) {
    const auto& ladder = ladder_for(s, m.topic(), m.type());
    if (ladder.empty())
        return;
    s.held = std::make_unique<holding>(s);
    s.held->state.ladder = ladder;
    s.held->state.why = failure_cause::handler_threw;
    s.held->exception = std::current_exception();
    hold(s, m);
    due_.arm(*s.held, params_.steady());
    schedule();
}

/// Queues a message for a handler that is to be called with another first.
PUSHER_DECL void core::hold(handler_subscriber& s, const message& m) {
    message::fields f;
    f.type = m.type();
    f.payload = m.payload();
    f.key = m.key();
    f.id = m.id();
    f.headers = m.headers();
    f.sequence = m.sequence();
    run_ptr r(new run(shared_text(m.topic()), m.receive_time(), params_.steady(), account_));
    if (m.position())
        r->keep_in_history(m.position()->epoch, m.position()->offset);
    r->append(f, 0, m.ttl());
    auto& h = *s.held;
    h.add(std::move(r));
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
    count_drop(s, *r, why);
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
    std::vector<header> headers;
    const auto m = r->view(0, params_.sequence_epoch, headers, s.held->failing);
    std::exception_ptr threw;
    dispatching_ = true; // what the handler publishes waits, as in a publish
    try {
        s.deliver(m);
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
            s.held.reset();
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
            const auto next = climb(state, *r, 0, s.info(), h.exception, true);
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
                    bury(
                        {0, r, 0, addressee::of(s.info(), s.uid), state.why, state.attempts, params_.wall()});
            }
            still.failing = false;
            continue;
        }
        if (h.failing)
            ++counters_.retried;
        call_held(s);
    }
}

} // namespace pusher::inline v0::detail
