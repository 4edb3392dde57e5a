// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/core.hpp>

#include <algorithm>
#include <utility>

namespace pusher::inline v0::detail {

/// A message is being published whose publisher wants to know what becomes of it.
PUSHER_DECL reporting_ptr core::begin_report(std::string_view topic, report_function& done) {
    auto made = std::make_shared<reporting>();
    made->sequence = sequence_;
    made->topic = topic;
    made->done = std::move(done);
    made->tried = true; // unless it is for a queue
    reports_.push_back(made);
    return made;
}

/// Lists those for whom the message is, but for handlers that are called. `matched_` has its filters.
PUSHER_DECL void
core::list_audience(reporting& of, const topic_state& t, std::string_view type, std::uint64_t publisher) {
    of.tried = false;
    next_stamp();
    const auto is_new = [&](std::uint32_t slot) { return std::exchange(stamps_[slot], stamp_) != stamp_; };
    const auto list = [&](const group& g) {
        for (const auto& m : g.members) {
            const auto& s = *slots_[m.slot()];
            if (!(m.no_echo() && s.id == publisher) && is_new(m.slot()))
                of.deliveries.push_back({s.id, written_or_covered(s, &t, of.sequence)});
        }
    };
    const auto list_all = [&](const pattern& p) {
        list(p);
        if (const auto* const g = p.find_type(type))
            list(*g);
    };
    list_all(t);
    for (const auto* const f : matched_)
        list_all(*f);
    if (const auto* const cursors = t.cursors())
        for (const auto* const c : *cursors) {
            const auto& s = *c->who;
            if (c->group != cursor::no_group && (c->type.empty() || c->type.view() == type) &&
                !(c->no_echo && s.id == publisher) &&
                !matches_live(s, t.text(), type, publisher, of.sequence) && is_new(s.slot))
                of.deliveries.push_back({s.id, reporting::fate::cursor});
        }
    of.sort();
    reported_ += of.listed = of.deliveries.size();
}

/// The same of a message for those that were listed one by one.
PUSHER_DECL void
core::list_audience(reporting& of, const topic_state* t, std::span<subscriber_base* const> queues) {
    of.tried = false;
    for (const auto* const s : queues)
        of.deliveries.push_back(
            {s->id, t ? written_or_covered(*s, t, of.sequence) : reporting::fate::written});
    of.sort();
    reported_ += of.listed = of.deliveries.size();
}

PUSHER_DECL reporting::fate
core::written_or_covered(const subscriber_base& s, const topic_state* t, std::uint64_t sequence) noexcept {
    return s.catching && s.catching->covers(t, sequence) ? reporting::fate::covered
                                                         : reporting::fate::written;
}

/// A message is kept for a user who is not here, and counts as one of those that it is for.
PUSHER_DECL void core::note_absent(std::string_view uid, std::uint64_t sequence) {
    for (const auto& r : reports_)
        if (r->sequence == sequence) {
            constexpr std::uint64_t nobody = 0;
            r->report.matched = 1;
            r->add(nobody, reporting::fate::parked);
            r->name(nobody, shared_text(uid));
        }
}

/// What has become of a message for a subscriber. A loss that is known stays; what is kept may be lost.
PUSHER_DECL void core::note(const subscriber_base& s, std::uint64_t sequence, reporting::fate what) {
    using fate = reporting::fate;
    const auto found = std::lower_bound(
        reports_.begin(), reports_.end(), sequence,
        [](const reporting_ptr& r, std::uint64_t wanted) { return r->sequence < wanted; });
    if (found == reports_.end() || (*found)->sequence != sequence)
        return;
    auto& r = **found;
    if (auto* const d = r.find(s.id)) {
        if (reporting::is_known(d->what) && !(d->what == fate::parked && what < fate::parked))
            return;
        if (d->what == fate::called)
            return; // it has asked for the past too
        if (d->what == fate::waits && has_taken(s, sequence, what))
            what = fate::delivered; // and has asked for it once more
        d->what = what;
    } else {
        return; // it was not for it: it has asked for the past; or it has it
    }
    if (reporting::is_known(what) && what > fate::conflated)
        r.name(s.id, s.uid);
}

/// Whether a message that had been in an outbox, or was read for a handler, was taken before that became of
/// it.
PUSHER_DECL bool
core::has_taken(const subscriber_base& s, std::uint64_t sequence, reporting::fate what) const {
    using fate = reporting::fate;
    return s.what == subscriber_base::kind::queue ? !waits(s.id, sequence)
                                                  : what != fate::failed && what != fate::parked;
}

/// The same for a handler that is called, or would be.
PUSHER_DECL void core::note_handler(const subscriber_base& s, std::uint64_t sequence, reporting::fate what) {
    if (!reporting_ || reporting_->sequence != sequence)
        return note(s, sequence, what);
    ++reporting_->noted;
    if (auto* const d = reporting_->find(s.id))
        d->what = what;
    else if (reporting_->waits_for_handlers)
        return; // it was not for it when it was published
    else
        reporting_->add(s.id, what);
    if (reporting::is_known(what))
        reporting_->name(s.id, s.uid);
}

/// A message is for handlers that will be called later.
PUSHER_DECL void core::list_handler(reporting& of, const subscriber_base& s) {
    of.deliveries.push_back({s.id, reporting::fate::called});
}

/// Handlers were called with a message. \param count how many; those among them that it waits for.
PUSHER_DECL void core::handlers_called(reporting& of, std::size_t count) {
    using fate = reporting::fate;
    auto took_it = count - of.noted;
    if (!std::exchange(of.waits_for_handlers, false)) {
        of.report.delivered += took_it;
        return;
    }
    // It was deferred: some may have left since, and some have it read from history now.
    for (auto& d : of.deliveries)
        if (const auto* const s = d.what == fate::called ? find(d.to) : nullptr) {
            const bool was = s->last_sequence == of.sequence;
            took_it -= was && took_it != 0 ? 1 : 0;
            d.what = was ? fate::counted : fate::cursor;
        }
    for (auto& d : of.deliveries)
        if (d.what == fate::called) { // gone by now: some after their call
            d.what = took_it != 0 ? fate::counted : fate::dropped;
            took_it -= took_it != 0 ? 1 : 0;
        }
    of.report.delivered +=
        std::erase_if(of.deliveries, [](const reporting::delivery& d) { return d.what == fate::counted; });
}

PUSHER_DECL void core::note_loss(const subscriber_base& s, std::uint64_t sequence, drop_cause why) {
    using fate = reporting::fate;
    auto what = fate::dropped;
    switch (why) {
    case drop_cause::conflated: what = fate::conflated; break;
    case drop_cause::expired: what = fate::expired; break;
    case drop_cause::undeliverable: what = fate::undeliverable; break;
    case drop_cause::failed: what = fate::failed; break;
    case drop_cause::overflow:
    case drop_cause::trimmed:
    case drop_cause::disconnected:
    case drop_cause::memory: break;
    }
    note(s, sequence, what);
}

/// A subscriber leaves what it has not read to its durable subscription.
PUSHER_DECL void core::note_left(const cursor& c) {
    using fate = reporting::fate;
    for (const auto& r : reports_)
        if (r->topic == c.topic->text())
            if (const auto* const d = r->find(c.who->id);
                d && (d->what == fate::cursor || d->what == fate::covered))
                note(*c.who, r->sequence, fate::parked);
}

/// The turn is about to be written: what a cursor was to bring is written where that has ended.
PUSHER_DECL void core::before_reported() {
    using fate = reporting::fate;
    for (const auto& r : reports_)
        if (!r->tried)
            for (auto& d : r->deliveries)
                if (d.what == fate::covered)
                    if (const auto* const s = find(d.to))
                        d.what = written_or_covered(*s, topics_.find(r->topic), r->sequence);
}

/// The turn was written. Of those who have the message only the number is kept.
PUSHER_DECL void core::after_reported() {
    using fate = reporting::fate;
    for (const auto& r : reports_) {
        if (std::exchange(r->tried, true))
            continue;
        reported_ -= std::min(reported_, r->listed);
        std::erase_if(r->deliveries, [&](reporting::delivery& d) {
            if (d.what != fate::written)
                return false;
            if (waits(d.to, r->sequence)) {
                d.what = fate::waits;
                return false;
            }
            ++r->report.delivered;
            return true;
        });
        r->deliveries.shrink_to_fit();
    }
}

/// Whether a message is in an outbox.
PUSHER_DECL bool core::waits(std::uint64_t id, std::uint64_t sequence) const {
    const auto* const s = find(id);
    if (!s || s->what != subscriber_base::kind::queue)
        return false;
    const auto& box = static_cast<const queue_subscriber&>(*s).box;
    return box && box->holds(sequence);
}

/// Whether a cursor will bring it.
PUSHER_DECL bool core::will_read(std::uint64_t id, const reporting& r) const {
    const auto* const s = find(id);
    const auto* const t = topics_.find(r.topic);
    const auto& at = r.report.position;
    if (!s || !s->catching || !t || !t->past() || !at || t->past()->epoch() != at->epoch ||
        at->offset < t->past()->first_offset() ||
        (s->what == subscriber_base::kind::queue && static_cast<const queue_subscriber&>(*s).overflowed))
        return false;
    const auto place = t->past()->at(at->offset);
    return wants(*s, *t, *place.messages, place.index, at->offset);
}

PUSHER_DECL bool core::is_held(std::uint64_t id, std::uint64_t sequence) const {
    const auto* const s = find(id);
    if (!s || s->what != subscriber_base::kind::handler)
        return false;
    const auto& held = static_cast<const handler_subscriber&>(*s).held;
    return held && std::any_of(held->messages.begin(), held->messages.end(), [&](const run_ptr& r) {
               return r->at(0).sequence == sequence;
           });
}

PUSHER_DECL delivery_outcome core::outcome_of(const reporting::delivery& d, const reporting& r) const {
    using fate = reporting::fate;
    using outcome = delivery_outcome;
    switch (d.what) {
    case fate::written:
    case fate::waits: return waits(d.to, r.sequence) ? outcome::queued : outcome::delivered;
    case fate::held: return is_held(d.to, r.sequence) ? outcome::queued : outcome::delivered;
    case fate::again: return find(d.to) ? outcome::queued : outcome::dropped;
    case fate::covered:
    case fate::cursor: return will_read(d.to, r) ? outcome::queued : outcome::dropped; // it has left
    default: return static_cast<outcome>(d.what);
    }
}

/// The turn is over: tells what has become of its messages.
PUSHER_DECL void core::finish_reports() {
    std::vector<reporting_ptr> ready;
    for (auto& r : reports_)
        if (r->tried && !r->waits_for_handlers)
            ready.push_back(std::move(r));
    std::erase(reports_, nullptr);
    for (const auto& r : ready) {
        auto& report = r->report;
        for (auto& d : r->deliveries) {
            const auto what = outcome_of(d, *r);
            ++report.count(what);
            report.unlisted_failures += what > delivery_outcome::conflated ? 1 : 0;
            d.what = reporting::of(what);
        }
        for (const auto& [id, uid] : r->named)
            if (auto* const d = r->find(id); d && d->what > reporting::fate::conflated) {
                report.failures.push_back({std::string(uid.view()), static_cast<delivery_outcome>(d->what)});
                --report.unlisted_failures;
                d->what = reporting::fate::delivered; // it is listed once
            }
        if (const auto done = std::exchange(r->done, nullptr))
            done({}, report);
    }
}

PUSHER_DECL void core::abandon_reports(error_code ec) {
    reported_ = 0;
    for (const auto all = std::exchange(reports_, {}); const auto& r : all) {
        delivery_report known;
        static_cast<receipt&>(known) = r->report;
        if (const auto done = std::exchange(r->done, nullptr))
            done(ec, known);
    }
}

} // namespace pusher::inline v0::detail
