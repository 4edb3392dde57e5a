// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/core.hpp>

#include <algorithm>

namespace pusher::inline v0::detail {

PUSHER_DECL catchup& core::begin_catching(subscriber_base& s) {
    if (!s.catching)
        s.catching = std::make_unique<catchup>();
    if (s.what == subscriber_base::kind::handler)
        static_cast<handler_subscriber&>(s).set_now();
    return *s.catching;
}

PUSHER_DECL void core::end_catching(subscriber_base& s) noexcept {
    s.catching.reset();
    if (s.what == subscriber_base::kind::handler)
        static_cast<handler_subscriber&>(s).set_now();
}

PUSHER_DECL void core::start_cursor(std::unique_ptr<cursor> c) {
    auto& s = *c->who;
    auto& t = *c->topic;
    close_run(t); // what was published before is not covered by the cursor, and is in runs of its own
    if (c->group != cursor::no_group)
        ++groups_[c->group]->pins;
    if (!t.past()->cursors)
        t.past()->cursors = std::make_unique<std::vector<cursor*>>();
    t.past()->cursors->push_back(c.get());
    begin_catching(s).cursors.push_back(std::move(c));
    schedule_catchup(s);
}

PUSHER_DECL void core::stop_cursor(subscriber_base& s, std::uint32_t group_id) {
    if (!s.catching) // all its cursors were dropped at once
        return;
    auto& cursors = s.catching->cursors;
    const auto found =
        std::find_if(cursors.begin(), cursors.end(), [&](const auto& c) { return c->group == group_id; });
    if (found == cursors.end())
        return;
    auto& c = **found;
    close_run(*c.topic); // it counts who catches up
    --groups_[group_id]->pins;
    c.group = cursor::no_group;
    leave_durable(c);
    if (c.sent) {
        c.sent.reset();
        schedule_catchup(s); // what it held may come now
        expect_mail(s);
    }
    if (relied_on(s, c)) {
        c.skip_to(c.topic->past()->after_sequence(c.born));
        if (c.next != c.topic->past()->next_offset())
            return;
    }
    forget(c);
    cursors.erase(found);
    if (cursors.empty() && s.catching->gaps.empty())
        end_catching(s);
}

/// Whether live subscriptions need a cursor, whose own subscription has ended, for what came since it began.
PUSHER_DECL bool core::relied_on(const subscriber_base& s, const cursor& c) const {
    for (const auto& other : s.catching->cursors)
        if (other.get() != &c && other->topic == c.topic && other->born <= c.born)
            return false; // it brings the same
    return std::any_of(s.subs.begin(), s.subs.end(), [&](const sub_ref& ref) {
        const auto& g = *groups_[ref.group];
        return ref.index != sub_ref::catching && matches(g, c.topic->text(), type_of(g));
    });
}

/// Takes a cursor out of its topic's list.
PUSHER_DECL void core::forget(const cursor& c) {
    auto& of_topic = *c.topic->past()->cursors;
    of_topic.erase(std::find(of_topic.begin(), of_topic.end(), &c));
    if (of_topic.empty())
        c.topic->past()->cursors.reset();
}

/// \return the groups that the cursors have pinned, patterns before their types' groups: to be unpinned.
PUSHER_DECL std::vector<group*> core::stop_cursors(subscriber_base& s) {
    std::vector<group*> pinned;
    if (!s.catching)
        return pinned;
    for (const auto& c : s.catching->cursors) {
        close_run(*c->topic);
        leave_durable(*c);
        forget(*c);
        if (c->group != cursor::no_group)
            pinned.push_back(groups_[c->group]);
    }
    std::partition(
        pinned.begin(), pinned.end(), [](const group* g) { return g->what != group::kind::typed; });
    s.catching->cursors.clear();
    if (s.catching->gaps.empty())
        end_catching(s);
    return pinned;
}

PUSHER_DECL void core::schedule_catchup(subscriber_base& s) {
    if (s.scheduled)
        return;
    s.scheduled = true;
    catchups_.push_back(&s);
    schedule();
}

/// One bounded batch for each that has something to read: a long replay starves nobody.
PUSHER_DECL void core::run_catchups() {
    auto now = std::exchange(catchups_, {});
    for (const auto& s : now) {
        s->scheduled = false;
        // What handlers published meanwhile goes first: history has it too, and it must not come out of
        // order.
        end_turn();
        if (s->owner == this)
            read_on(*s);
    }
}

/// For how many subscribers a message is that only cursors will bring. They are counted once per run, which
/// is closed when one of them comes or goes.
PUSHER_DECL std::size_t core::count_catching(
    const topic_state& t, open_run::plan& plan, std::uint64_t publisher, std::uint64_t sequence) {
    const auto asks = [&](const cursor& c) {
        return c.group != cursor::no_group && (c.type.empty() || c.type.view() == plan.type);
    };
    const auto live = [&](const subscriber_base& s, std::uint64_t by) {
        return matches_live(s, t.text(), plan.type, by, sequence);
    };
    if (plan.catching == open_run::plan::not_counted) {
        plan.catching = 0;
        next_stamp();
        for (const auto* const c : *t.cursors())
            if (asks(*c) && std::exchange(stamps_[c->who->slot], stamp_) != stamp_ && !live(*c->who, 0))
                ++plan.catching;
    }
    const auto* const who = publisher == 0 ? nullptr : find(publisher);
    if (!who || !who->catching)
        return plan.catching;
    // Some of its subscriptions may not want its own.
    bool counted = false;
    bool wants = false;
    for (const auto& c : who->catching->cursors)
        if (c->topic == &t && asks(*c)) {
            counted = true;
            wants = wants || !c->no_echo;
        }
    counted = counted && !live(*who, 0);
    wants = wants && !live(*who, publisher);
    return plan.catching - (counted ? 1 : 0) + (wants ? 1 : 0);
}

/// Whether a message from history is for the subscriber.
PUSHER_DECL bool core::wants(
    const subscriber_base& s, const topic_state& t, const run& r, std::uint32_t index,
    std::uint64_t offset) const {
    const auto& e = r.at(index);
    bool covered = false;
    for (const auto& c : s.catching->cursors) {
        if (c->topic != &t)
            continue;
        if (offset < c->next) {
            // Another durable subscription has brought it, and goes on seeing to it.
            if (c->durable && offset >= c->from && asks_for(*c, s, r, index))
                return false;
            continue;
        }
        const bool since_birth = e.sequence > c->born;
        if (since_birth && r.addressed())
            return s.listed; // to everybody, and held back until its place came
        covered = covered || since_birth;
        if (asks_for(*c, s, r, index))
            return true;
    }
    // Its live subscriptions are not served from this topic meanwhile, so that order is kept and none comes
    // twice.
    return covered && matches_live(s, r.topic().view(), r.type_of(index), e.publisher, e.sequence);
}

/// Whether a message is for a subscriber, apart from its subscriptions that catch up.
PUSHER_DECL bool core::for_live(const subscriber_base& s, const run& r, std::uint32_t index) const {
    const auto& e = r.at(index);
    return r.addressed() ? s.listed
                         : matches_live(s, r.topic().view(), r.type_of(index), e.publisher, e.sequence);
}

/// Leaves the newest message of a full outbox to its topic's history, where a cursor will find it.
/// \return false if that cannot be: nothing was done.
PUSHER_DECL bool core::spill_newest(queue_subscriber& s) {
    constexpr std::uint64_t most_looked_at = 1024;
    const auto [r, index] = s.box->newest();
    const auto offset = r->offset_of(index);
    auto* const t = topics_.find(r->topic().view());
    if (offset == 0 || !t || !t->past() || t->past()->epoch() != r->epoch() ||
        offset < t->past()->first_offset() || !for_live(s, *r, index))
        return false;
    auto* const known = s.catching ? s.catching->ungrouped(t) : nullptr;
    if (!known && s.catching && s.catching->cursors.size() >= params_.subscriptions)
        return false;
    // The cursor will bring everything from there on: nothing of it may have come already, or be lost.
    const auto end = known ? known->next : t->past()->next_offset();
    if (end - offset > most_looked_at)
        return false;
    for (auto after = offset + 1; after < end; ++after) {
        const auto p = t->past()->at(after);
        const auto sequence = p.messages->at(p.index).sequence;
        const auto brings = [&](const auto& c) {
            return c->topic == t && c->next <= after && c->born < sequence;
        };
        if (!(s.catching && std::any_of(s.catching->cursors.begin(), s.catching->cursors.end(), brings)) &&
            for_live(s, *p.messages, p.index))
            return false;
    }
    const auto born = r->at(index).sequence - 1;
    note(s, *r, index, reporting::fate::cursor);
    s.box->drop_newest([](const run&, std::uint32_t) {});
    if (known) {
        known->next = known->owed = known->from = offset;
        known->next_sequence = 0;
        known->born = born;
    } else {
        start_cursor(std::make_unique<cursor>(
            cursor{&s, t, cursor::no_group, false, offset, 0, born, offset, offset, {}}));
    }
    return true;
}

/// Tells a handler what it missed. \return false if it has no more to read, or left.
PUSHER_DECL bool core::tell_gaps(handler_subscriber& s) {
    while (!s.catching->gaps.empty()) {
        const auto g = s.catching->gaps.take(0);
        observe_gap(s, g.view());
        dispatching_ = true; // what the handler publishes waits, as in a publish
        tell(s, g.view());
        dispatching_ = false;
        run_deferred();
        if (!s.catching || s.owner != this)
            return false;
    }
    return true;
}

/// The cursor that reads the oldest of what any of them may read next; null: there is nothing.
/// \param again whether that is a message to be sent again.
PUSHER_DECL cursor* core::next_to_read(const subscriber_base& s, bool& again) const {
    const auto& cursors = s.catching->cursors;
    // While a window is full nothing more comes of its topic, so that order is kept.
    const auto mark = ++held_mark_;
    for (const auto& c : cursors)
        if (c->sent && (c->mail_first || window_is_full(*c) || c->sent->state.waits))
            c->topic->past()->held = mark;
    cursor* found = nullptr;
    std::uint64_t first = 0;
    for (const auto& c : cursors) {
        const auto& past = *c->topic->past();
        const bool repeats = c->sent && c->sent->repeats();
        if (!repeats && (c->next == past.next_offset() || c->topic->past()->held == mark))
            continue;
        if (!repeats && c->next_sequence == 0) {
            const auto p = past.at(c->next);
            c->next_sequence = p.messages->at(p.index).sequence;
        }
        const auto sequence = repeats ? c->sent->next_again().sequence : c->next_sequence;
        if (!found || sequence < first) {
            found = c.get();
            first = sequence;
            again = repeats;
        }
    }
    return found;
}

/// Whether a subscriber that catches up has something to do; those who acknowledge may have nothing for long.
PUSHER_DECL bool core::reads_on(const subscriber_base& s) const {
    bool again = false;
    return next_to_read(s, again) ||
           std::any_of(s.catching->cursors.begin(), s.catching->cursors.end(), [](const auto& c) {
               return !c->sent;
           });
}

PUSHER_DECL void core::read_on(subscriber_base& s) {
    constexpr std::size_t most_read = 1024; // those of other types are read too
    auto* const queue = s.what == subscriber_base::kind::queue ? static_cast<queue_subscriber*>(&s) : nullptr;
    const subscriber_ptr keep(&s);
    if (queue) {
        if (queue->overflowed)
            return;
        const auto has_room = [this](const auto& c) { return c->mail_first && !window_is_full(*c); };
        if (queue->mail_waits ||
            (s.catching && std::any_of(s.catching->cursors.begin(), s.catching->cursors.end(), has_room))) {
            deliver_mail(*queue);
            if (!queue->to && queue->box)
                queue->at_queued();
        }
        if (queue->blocked)
            return;
        if (queue->to && !drain(*queue))
            return;
        if (queue->box && queue->box->messages() >= most_read_into(*queue))
            return;
    } else if (static_cast<handler_subscriber&>(s).held)
        return; // until that is done
    else if (auto& h = static_cast<handler_subscriber&>(s); h.held || (h.mail_waits && !call_with_mail(h)))
        return; // that comes first
    if (!s.catching)
        return;

    const auto waiting = queue && queue->box ? queue->box->messages() : 0;
    const auto most_messages = queue ? most_read_into(*queue) - waiting : std::size_t{256};
    const auto most_bytes =
        queue ? std::min(queue->limits->bytes / 2, scratch::write_size) : scratch::write_size;
    std::size_t messages = 0;
    std::size_t bytes = 0;
    bool full = false;
    bool idle = false;
    std::vector<header> headers;
    const auto now = params_.steady();
    for (std::size_t read = 0; read != most_read && messages < most_messages && bytes <= most_bytes; ++read) {
        // What it missed is told before what follows, and its own publishes may have made it miss some.
        if (!queue && !tell_gaps(static_cast<handler_subscriber&>(s)))
            return;
        bool again = false;
        auto* const oldest = next_to_read(s, again);
        if (!oldest) {
            go_live(s);
            idle = true;
            break;
        }
        if (again) {
            if (const auto size = repeat(*queue, *oldest)) {
                ++messages;
                bytes += *size;
            }
            continue;
        }
        auto& t = *oldest->topic;
        const auto offset = oldest->next;
        const auto place = t.past()->at(offset);
        const run_ptr r(place.messages);
        const bool wanted = wants(s, t, *r, place.index, offset);
        const bool expired = r->expired(place.index, now);
        if (queue && wanted && !expired && queue->box && queue->box->messages() != 0 &&
            queue->box->bytes() + r->at(place.index).size() > queue->limits->bytes) {
            full = true;
            break;
        }
        bool owed = false;
        auto how = outbox::handling::plain;
        for (const auto& c : s.catching->cursors)
            if (c->topic == &t && c->next == offset) {
                owed = owed || offset >= c->owed;
                c->skip_to(offset + 1);
                if (c->sent && wanted && !expired && asks_for(*c, s, *r, place.index)) {
                    const bool sent_before = c->durable && offset <= c->durable->sent;
                    how = sent_before ? outbox::handling::again : outbox::handling::acknowledged;
                    sent(*c, {offset, r->at(place.index).sequence});
                }
            }
        if (!wanted)
            continue;
        if (expired) {
            if (owed)
                lose_to_cursor(s, *r, place.index, drop_cause::expired);
            continue;
        }
        ++messages;
        bytes += r->at(place.index).size();
        note(s, *r, place.index, reporting::fate::waits);
        if (queue) {
            box_of(*queue).add(r, place.index, how);
        } else {
            s.last_sequence = std::max(s.last_sequence, r->at(place.index).sequence);
            dispatching_ = true;
            call(static_cast<handler_subscriber&>(s), r->view(place.index, params_.sequence_epoch, headers));
            dispatching_ = false;
            run_deferred();
            if (!s.catching || s.owner != this || static_cast<handler_subscriber&>(s).held)
                return;
        }
    }
    if (queue && messages != 0) {
        if (queue->to)
            drain(*queue);
        else
            queue->at_queued();
        update_pressure(*queue);
    }
    if (s.catching && !idle && !(queue && (queue->blocked || (!queue->to && (messages != 0 || full)))))
        schedule_catchup(s);
}

/// The hand-over: everything that was published has been read, and what comes now finds the subscriptions in
/// their groups. Nothing can be published in between.
PUSHER_DECL void core::go_live(subscriber_base& s) {
    auto& cursors = s.catching->cursors;
    std::vector<std::unique_ptr<cursor>> done;
    std::vector<std::unique_ptr<cursor>> others;
    for (auto& c : cursors) {
        const bool reads_on = c->sent || c->next != c->topic->past()->next_offset();
        (reads_on ? others : done).push_back(std::move(c));
    }
    cursors = std::move(others);
    if (cursors.empty() && s.catching->gaps.empty())
        end_catching(s);
    for (const auto& c : done) {
        forget(*c);
        if (c->group == cursor::no_group)
            continue;
        for (std::size_t i = 0; i != s.subs.size(); ++i)
            if (s.subs[i].group == c->group)
                join(s, i, c->no_echo);
        --groups_[c->group]->pins;
    }
}

PUSHER_DECL void core::tell_gap(subscriber_base& s, pending_gap g) {
    if (s.what == subscriber_base::kind::queue) {
        auto& queue = static_cast<queue_subscriber&>(s);
        if (queue.overflowed)
            return;
        box_of(queue).add_gap(std::move(g));
    } else {
        begin_catching(s).gaps.add(std::move(g));
    }
    schedule_catchup(s);
}

/// A subscriber that catches up will not get a message.
PUSHER_DECL void core::lose_to_cursor(subscriber_base& s, const run& r, std::uint32_t index, drop_cause why) {
    tell_gap(s, gap_of(r, index));
    count_drop(s, r, index, why);
}

/// A history forgets a message that some subscribers have not come to.
PUSHER_DECL void core::trimmed(topic_state& t, const history::place& p, std::uint64_t offset) {
    const run& r = *p.messages;
    // Who only asked for the last messages has no claim to those that have expired.
    const bool expired = r.may_expire(p.index) && r.expired(p.index, params_.steady());
    const auto owed = [&](const subscriber_base& s) {
        return std::any_of(t.cursors()->begin(), t.cursors()->end(), [&](const cursor* c) {
            return c->who == &s && c->next == offset && c->owed <= offset;
        });
    };
    next_stamp();
    for (auto* const c : *t.cursors()) {
        if (c->next != offset || std::exchange(stamps_[c->who->slot], stamp_) == stamp_)
            continue;
        if (!wants(*c->who, t, r, p.index, offset) || (expired && !owed(*c->who)))
            continue;
        lose_to_cursor(*c->who, r, p.index, drop_cause::trimmed);
    }
    for (auto* const c : *t.cursors())
        if (c->next == offset)
            c->skip_to(offset + 1);
}

} // namespace pusher::inline v0::detail
