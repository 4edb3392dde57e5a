// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "model.hpp"

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

// The model's second half: what is written to whom when a turn ends, and how those who catch up read on.

namespace simulation {

inline void model::flush() {
    end_turn();
    if (dispatching_)
        return;
    forget_expired(8);
    for (const auto n : std::exchange(catchups_, {})) {
        users_[n].scheduled = false;
        end_turn(); // what handlers published meanwhile goes first
        if (users_[n].alive)
            read_on(users_[n]);
    }
    report();
}

/// Of each message whose turn is over: who has it, who waits, who has left without it.
inline void model::report() {
    using fate = pusher::delivery_outcome;
    std::erase_if(fates_, [&](const auto& f) {
        const auto& [sequence, all] = f;
        if (all.in_turn)
            return false;
        auto& due = reports_[sequence];
        due.open = all.open;
        for (const auto& [u, known] : all.of) {
            const auto waits = [&, s = sequence](const item& i) { return i.sequence == s; };
            const auto& m = message(sequence);
            const bool comes =
                std::any_of(u->box.begin(), u->box.end(), waits) ||
                (!u->overflowed && m.offset != 0 && pasts_.contains(m.topic) && wants(*u, m, sequence));
            ++due.counts[known ? *known : comes ? fate::queued : fate::dropped];
        }
        return true;
    });
}

inline void model::end_turn() {
    if (!touched_)
        return;
    for (auto& u : users_) {
        const bool replies =
            std::any_of(u.turn.begin(), u.turn.end(), [](const item& i) { return i.sequence == 0; });
        if (u.alive && (u.given || replies))
            deliver(u);
        u.given = false;
        u.turn.clear();
    }
    for (auto& f : fates_)
        f.second.in_turn = false;
    touched_ = false;
    turn_messages_ = 0;
    turn_bytes_ = 0;
    ++counters_.turns;
}

/// What the turn has for a subscriber joins what waits, then the connection is tried, then limits are judged.
inline void model::deliver(user& u) {
    for (const auto& i : u.turn) {
        if (i.sequence == 0) {
            if (!u.overflowed)
                u.box.push_back(i);
            continue;
        }
        const auto& m = message(i.sequence);
        if (!m.handed_over() && covered(u, m.topic, i.sequence))
            continue; // a cursor brings it
        if (u.overflowed) {
            lose(u, i.sequence, pusher::drop_cause::disconnected);
        } else {
            u.box.push_back(i);
            u.bytes += m.size();
        }
    }
    if (u.overflowed)
        return;
    drain(u);
    enforce(u);
    u.excused = u.excused && u.full();
}

inline void model::enforce(user& u) {
    const bool limited = u.over(0);
    for (auto i = limited ? u.box.size() : 0; i-- != 0;)
        if (expired(u.box[i]))
            drop(u, i, pusher::drop_cause::expired);
    while (u.over(0)) {
        auto oldest = u.box.size();
        auto newest = u.box.size();
        for (std::size_t i = 0; i != u.box.size(); ++i)
            if (u.box[i].sequence != 0 && !u.box[i].kept) {
                newest = i;
                oldest = std::min(oldest, i);
            }
        if (newest == u.box.size())
            break; // all of it is to be acknowledged
        const auto what = governing(u, message(u.box[newest].sequence));
        if (what == policy::conflate) {
            conflate(u);
            while (u.messages() > 1 && u.over(8) && u.first_message() != u.box.size())
                drop(u, u.first_message(), pusher::drop_cause::overflow);
            if (!u.over(0) || u.first_message() == u.box.size())
                break;
            oldest = newest = u.first_message();
        }
        if (what == policy::disconnect) {
            u.overflowed = true;
            ++u.out.overflows;
            for (const auto& i : u.box)
                if (i.sequence != 0)
                    lose(u, i.sequence, pusher::drop_cause::disconnected);
            u.box.clear();
            u.bytes = 0;
            u.gaps.clear();
            return;
        }
        if (what == policy::spill && spill(u, newest))
            continue;
        const bool oldest_goes = what == policy::drop_oldest || what == policy::conflate;
        drop(u, oldest_goes ? oldest : newest, pusher::drop_cause::overflow);
    }
    if (limited && !u.linked && u.catching)
        schedule(u);
}

/// The policy of the subscription that a message came for: an exact one, then the oldest.
inline model::policy model::governing(const user& u, const posted& m) const {
    const subscription* found = nullptr;
    for (const auto& s : u.subs)
        if (s.matches(m) &&
            (!found || std::pair(s.match != pusher::match_mode::exact, s.order) <
                           std::pair(found->match != pusher::match_mode::exact, found->order)))
            found = &s;
    if (found && found->overflow)
        return *found->overflow;
    for (const auto& p : params_.topic_policies)
        if (p.overflow && filter_matches(p.filter, m.topic))
            return *p.overflow;
    return u.limits.overflow;
}

/// Of each topic and key the newest stays.
inline void model::conflate(user& u) {
    std::set<std::pair<std::string, std::string>> newer;
    for (auto i = u.box.size(); i-- != 0;) {
        if (u.box[i].sequence == 0 || u.box[i].kept)
            continue;
        const auto& m = message(u.box[i].sequence);
        if (governing(u, m) != policy::conflate || newer.emplace(m.topic, m.key).second)
            continue;
        drop(u, i, pusher::drop_cause::conflated);
    }
}

/// What waits at that place is lost, and it will be told of.
inline void model::drop(user& u, std::size_t i, pusher::drop_cause why) {
    const auto dropped = pop(u, i).sequence;
    add_gap(u, gap_of(dropped));
    lose(u, dropped, why);
    if (why == pusher::drop_cause::expired || why == pusher::drop_cause::undeliverable)
        forget_sent(u, dropped);
}

/// It is lost: no acknowledgement is waited for.
inline void model::forget_sent(user& u, std::uint64_t sequence) {
    for (auto& c : u.cursors)
        for (std::size_t i = 0; i != c.sent.size(); ++i)
            if (c.sent[i] == sequence) {
                c.again -= i < c.again;
                c.sent.erase(c.sent.begin() + static_cast<std::ptrdiff_t>(i));
                schedule(u);
                break;
            }
}

inline void model::acknowledge(user& u, const command& c, outcome& o) {
    bool any = false;
    bool sent = false;
    for (const auto& at : u.cursors)
        if (at.acknowledges && at.topic == c.text) {
            any = true;
            sent = sent || c.number < at.next;
        }
    if (!any)
        o.error = pusher::make_error_code(pusher::errc::not_found).message();
    else if (!sent)
        o.error = pusher::make_error_code(pusher::errc::invalid_message).message();
    if (!o.error.empty())
        return;
    for (auto& at : u.cursors)
        if (at.acknowledges && at.topic == c.text) {
            bool news = false;
            for (; !at.sent.empty() && message(at.sent.front()).offset <= c.number; news = true) {
                at.again -= at.again != 0;
                at.sent.erase(at.sent.begin());
            }
            if (news)
                watch(at);
        }
    schedule(u);
}

inline void model::repeat_late() {
    for (auto& u : users_)
        for (auto& c : u.cursors) {
            if (c.sent.empty() || c.due > params_.steady())
                continue;
            if (u.messages() == 0 && !c.repeats()) {
                counters_.redelivered += c.sent.size();
                c.again = 0;
                schedule(u);
            }
            watch(c);
        }
}

/// Whether nothing new of a topic may come until something is acknowledged.
inline bool model::held(const user& u, const std::string& topic) const {
    return std::any_of(u.cursors.begin(), u.cursors.end(), [&](const cursor& c) {
        return c.acknowledges && c.topic == topic && c.sent.size() >= params_.acknowledgement.window;
    });
}

/// The cursor that comes to the oldest message; null: none may read.
inline model::cursor* model::next_to_read(user& u) {
    cursor* oldest = nullptr;
    std::uint64_t first = 0;
    for (auto& c : u.cursors) {
        const auto& p = pasts_.at(c.topic);
        if (!c.repeats() && (c.next == p.next() || held(u, c.topic)))
            continue;
        const auto sequence = c.repeats() ? c.sent[c.again] : p.all[c.next - 1];
        if (!oldest || sequence < first) {
            oldest = &c;
            first = sequence;
        }
    }
    return oldest;
}

/// Sends again what comes next of that, if it is there.
inline void model::repeat(user& u, cursor& c, std::size_t& messages, std::size_t& bytes) {
    const auto sequence = c.sent[c.again];
    const auto& m = message(sequence);
    const bool gone = m.offset < pasts_.at(c.topic).first;
    if (gone || expired(m)) {
        missed(u, gap_of(sequence));
        lose(u, sequence, gone ? pusher::drop_cause::trimmed : pusher::drop_cause::expired);
        for (auto& other : u.cursors)
            if (other.repeats() && other.sent[other.again] == sequence) {
                other.sent.erase(other.sent.begin() + static_cast<std::ptrdiff_t>(other.again));
                watch(other);
            }
        return;
    }
    u.box.push_back({sequence, {}, true, true});
    u.bytes += m.size();
    for (auto& other : u.cursors)
        if (other.repeats() && other.sent[other.again] == sequence)
            ++other.again;
    ++messages;
    bytes += m.size();
}

/// The newest message is left to its topic's history, unless what would come with it from there did come, or
/// was lost. \return whether it was.
inline bool model::spill(user& u, std::size_t newest) {
    const auto sequence = u.box[newest].sequence;
    const auto& m = message(sequence);
    const auto found = pasts_.find(m.topic);
    if (m.offset == 0 || found == pasts_.end() || !for_live(u, sequence))
        return false;
    const auto& p = found->second;
    if (m.offset < p.first || m.offset >= p.next() || p.all[m.offset - 1] != sequence)
        return false;
    const auto known = std::find_if(u.cursors.begin(), u.cursors.end(), [&](const cursor& c) {
        return c.topic == m.topic && c.subscription == ended;
    });
    const bool is_new = known == u.cursors.end();
    if (is_new && u.cursors.size() >= params_.subscriptions)
        return false;
    for (auto offset = m.offset + 1; offset < (is_new ? p.next() : known->next); ++offset) {
        const auto later = p.all[offset - 1];
        const bool comes = std::any_of(u.cursors.begin(), u.cursors.end(), [&](const cursor& c) {
            return c.topic == m.topic && c.next <= offset && c.born < later;
        });
        if (!comes && for_live(u, later))
            return false;
    }
    pop(u, newest);
    if (is_new) {
        u.catching = true;
        u.cursors.push_back({m.topic, "", true, m.offset, sequence - 1, m.offset, ended, ++cursors_made_});
        schedule(u);
    } else {
        known->next = known->owed = m.offset;
        known->born = sequence - 1;
    }
    return true;
}

/// How much of a frame the connection takes.
inline std::size_t model::put(user& u, const std::string& frame) {
    const auto taken = u.datagrams && frame.size() > u.room ? 0 : std::min(frame.size(), u.room);
    u.room -= u.room == unlimited ? 0 : taken;
    u.out.bytes.append(frame, 0, taken);
    return taken;
}

/// The gap that is told before what waits first.
inline std::size_t model::next_gap(const user& u) const {
    if (u.box.empty())
        return 0;
    const auto& first = u.box.front();
    for (std::size_t g = 0; g != u.gaps.size(); ++g)
        if (first.sequence != 0 && u.gaps[g].topic == message(first.sequence).topic &&
            u.gaps[g].from < first.sequence)
            return g;
    return u.gaps.size();
}

inline void model::tell(user& u, std::size_t g) {
    u.out.gaps.push_back(u.gaps[g].text());
    u.gaps.erase(u.gaps.begin() + static_cast<std::ptrdiff_t>(g));
}

/// Frame after frame, until nothing waits or the connection takes no more. \return whether nothing waits.
inline bool model::drain(user& u) {
    if (!u.linked || u.blocked)
        return false;
    for (auto i = u.box.size(); i-- != 0;)
        if (expired(u.box[i]))
            drop(u, i, pusher::drop_cause::expired);
    const auto& as = forms[u.as];
    if (!u.rest.empty()) {
        u.rest.erase(0, put(u, u.rest));
        u.blocked = !u.rest.empty();
    }
    bool cut = false;
    while (!u.blocked && !(u.box.empty() && u.gaps.empty())) {
        const auto g = next_gap(u);
        std::string frame;
        if (!u.box.empty() && u.box.front().sequence != 0 &&
            message(u.box.front().sequence).payload.size() > as.longest) {
            drop(u, 0, pusher::drop_cause::undeliverable);
            continue;
        }
        if (g != u.gaps.size())
            frame = as.silent ? "" : as.mark + u.gaps[g].text() + "\n";
        else if (u.box.front().sequence == 0)
            frame = u.box.front().reply;
        else
            frame = as.mark + text_of(u.box.front()) + "\n";
        const auto taken = put(u, frame);
        u.blocked = taken != frame.size();
        if (taken == 0 && u.blocked)
            break;
        if (g != u.gaps.size())
            tell(u, g);
        else if (const auto sequence = pop(u, 0).sequence; sequence != 0) {
            ++counters_.delivered;
            settle_fate(u, sequence, pusher::delivery_outcome::delivered);
        }
        u.rest = frame.substr(taken);
        cut = !u.rest.empty();
    }
    // What cannot be told takes no room.
    while (as.silent && cut && next_gap(u) != u.gaps.size())
        tell(u, next_gap(u));
    u.excused = u.excused && u.full();
    return !u.blocked;
}

inline void model::take(user& u, outcome& o) {
    if (u.overflowed)
        return;
    while (!u.box.empty() && expired(u.box.front()))
        drop(u, 0, pusher::drop_cause::expired);
    const auto g = next_gap(u);
    if (!u.box.empty() && g != u.gaps.size()) {
        u.out.got.push_back(u.gaps[g].text());
        tell(u, g);
    }
    while (u.box.empty() && !u.gaps.empty()) {
        u.out.got.push_back(u.gaps[0].text());
        tell(u, 0);
    }
    o.yes = !u.box.empty();
    if (o.yes) {
        u.out.got.push_back(text_of(u.box.front()));
        const auto sequence = pop(u, 0).sequence;
        ++counters_.delivered;
        settle_fate(u, sequence, pusher::delivery_outcome::delivered);
        const auto& call = take_entry(entry::kind::call, "a message was to be taken");
        require(call.sequence == sequence, "another message was taken than the next");
        run_call();
        u.took();
    }
    u.excused = u.excused && u.full(); // what has expired makes room too
    const bool reads_on =
        next_to_read(u) ||
        std::any_of(u.cursors.begin(), u.cursors.end(), [](const cursor& c) { return !c.acknowledges; });
    if (u.catching && reads_on && u.messages() <= u.limits.messages / 2)
        schedule(u);
}

inline void model::detach(user& u) {
    u.linked = false;
    u.blocked = false;
    u.rest.clear();
    const auto is_reply = [](const item& i) { return i.sequence == 0; };
    std::erase_if(u.turn, is_reply);
    std::erase_if(u.box, is_reply);
}

inline void model::attach(user& u, const command& c) {
    if (u.linked)
        detach(u);
    u.linked = true;
    u.as = c.as;
    u.datagrams = c.datagrams;
    u.room = c.number;
    if (!u.box.empty() || !u.gaps.empty() || !u.rest.empty() || u.catching)
        schedule(u);
}

inline void model::schedule(user& u) {
    if (std::exchange(u.scheduled, true))
        return;
    for (std::size_t n = 0; n != users_.size(); ++n)
        if (&users_[n] == &u)
            catchups_.push_back(n);
}

/// Tells a handler of what it missed. \return whether it goes on.
inline bool model::tell_gaps(user& u) {
    while (!u.gaps.empty()) {
        u.out.got.push_back(u.gaps[0].text());
        tell(u, 0);
        dispatching_ = true;
        const auto& told = take_entry(entry::kind::told, "a handler was to be told of a gap");
        require(&users_[told.user] == &u, "another handler was told of a gap");
        counters_.handler_exceptions += run_call();
        dispatching_ = false;
        run_deferred();
        if (!u.catching || !u.alive)
            return false;
    }
    return true;
}

/// One batch for a subscriber that catches up: in publish order, over all its topics.
inline void model::read_on(user& u) {
    const bool queue = u.what != kind::handler;
    if (queue) {
        if (u.overflowed || u.blocked || (u.linked && !drain(u)) ||
            u.messages() >= std::max<std::size_t>(1, u.limits.messages / 2))
            return;
    }
    if (!u.catching)
        return;
    const auto most_messages =
        queue ? std::max<std::size_t>(1, u.limits.messages / 2) - u.messages() : std::size_t{256};
    const auto most_bytes = queue ? std::min<std::size_t>(u.limits.bytes / 2, 64 * 1024) : 64 * 1024;
    std::size_t messages = 0;
    std::size_t bytes = 0;
    bool full = false;
    bool idle = false;
    while (messages < most_messages && bytes <= most_bytes) {
        if (!queue && !tell_gaps(u))
            return;
        auto* const oldest = next_to_read(u);
        if (!oldest) { // all that may have come to the present
            std::erase_if(u.cursors, [&](const cursor& c) {
                if (c.acknowledges || c.next != pasts_.at(c.topic).next())
                    return false;
                for (auto& s : u.subs)
                    if (s.order == c.subscription) {
                        s.catching = false;
                        s.born = published_.size();
                    }
                return true;
            });
            u.catching = !u.cursors.empty();
            idle = true;
            break;
        }
        if (oldest->repeats()) {
            repeat(u, *oldest, messages, bytes);
            continue;
        }
        const auto sequence = pasts_.at(oldest->topic).all[oldest->next - 1];
        const auto& m = message(sequence);
        const bool wanted = wants(u, m, sequence);
        if (queue && wanted && !expired(m) && u.messages() != 0 && u.bytes + m.size() > u.limits.bytes) {
            full = true;
            break;
        }
        bool owed = false;
        bool kept = false;
        for (auto& c : u.cursors)
            if (c.topic == m.topic && c.next == m.offset) {
                owed = owed || m.offset >= c.owed;
                ++c.next;
                if (!c.acknowledges || !wanted || expired(m) || !asks_for(c, u, m))
                    continue;
                kept = true;
                if (c.sent.empty())
                    watch(c);
                c.sent.push_back(sequence);
                c.again = c.sent.size();
            }
        if (!wanted)
            continue;
        if (expired(m)) {
            if (owed) {
                missed(u, gap_of(sequence));
                lose(u, sequence, pusher::drop_cause::expired);
            }
            continue;
        }
        ++messages;
        bytes += m.size();
        if (queue) {
            u.box.push_back({sequence, {}, kept, false});
            u.bytes += m.size();
            continue;
        }
        u.last = std::max(u.last, sequence);
        dispatching_ = true;
        const auto& call = take_entry(entry::kind::call, "a handler that catches up was to be called");
        require(&users_[call.user] == &u, "another handler was called than the one that catches up");
        require(call.sequence == sequence, "another message was read than the next");
        u.out.got.push_back(m.text());
        const bool threw = run_call();
        ++(threw ? counters_.handler_exceptions : counters_.delivered);
        settle_fate(
            u, sequence, threw ? pusher::delivery_outcome::failed : pusher::delivery_outcome::delivered);
        dispatching_ = false;
        run_deferred();
        if (!u.catching || !u.alive)
            return;
    }
    if (queue && messages != 0 && u.linked)
        drain(u);
    if (u.catching && !idle && !(queue && (u.blocked || (!u.linked && (messages != 0 || full)))))
        schedule(u);
}

/// Whether a message from history is for a subscriber: because a subscription that catches up asked for it,
/// or because it came since a cursor began that live subscriptions rely on.
inline bool model::wants(const user& u, const posted& m, std::uint64_t sequence) const {
    bool is_covered = false;
    for (const auto& c : u.cursors) {
        if (c.topic != m.topic || m.offset < c.next)
            continue;
        const bool since_birth = sequence > c.born;
        if (since_birth && m.addressed)
            return u.listed;
        is_covered = is_covered || since_birth;
        if (asks_for(c, u, m))
            return true;
    }
    return is_covered && matches_live(u, m, sequence);
}

inline void model::missed(user& u, gap g) {
    if (u.overflowed)
        return;
    add_gap(u, std::move(g));
    if (u.what == kind::handler)
        u.catching = true;
    schedule(u);
}

/// One gap for each topic, in the order of their first loss.
inline void model::add_gap(user& u, gap g) {
    for (auto& known : u.gaps)
        if (known.topic == g.topic) {
            known.count = known.count == 0 || g.count == 0 ? 0 : known.count + g.count;
            const bool between = known.first != 0 && g.first != 0;
            known.first = between ? std::min(known.first, g.first) : 0;
            known.last = between ? std::max(known.last, g.last) : 0;
            known.from = std::min(known.from, g.from);
            return;
        }
    u.gaps.push_back(std::move(g));
}

inline void model::lose(user& u, std::uint64_t sequence, pusher::drop_cause why) {
    static constexpr const char* names[] = {"overflow",  "trimmed", "disconnected", "undeliverable",
                                            "conflated", "expired", "memory",       "failed"};
    u.out.drops.push_back(message(sequence).topic + " " + names[static_cast<std::size_t>(why)]);
    using fate = pusher::delivery_outcome;
    settle_fate(
        u, sequence,
        why == pusher::drop_cause::conflated       ? fate::conflated
        : why == pusher::drop_cause::expired       ? fate::expired
        : why == pusher::drop_cause::undeliverable ? fate::undeliverable
        : why == pusher::drop_cause::failed        ? fate::failed
                                                   : fate::dropped);
    switch (why) {
    case pusher::drop_cause::overflow: ++counters_.dropped; break;
    case pusher::drop_cause::trimmed: ++counters_.dropped_trimmed; break;
    case pusher::drop_cause::disconnected: ++counters_.dropped_disconnected; break;
    case pusher::drop_cause::undeliverable: ++counters_.dropped_undeliverable; break;
    case pusher::drop_cause::conflated: ++counters_.dropped_conflated; break;
    case pusher::drop_cause::expired: ++counters_.dropped_expired; break;
    case pusher::drop_cause::memory: ++counters_.dropped_memory; break;
    case pusher::drop_cause::failed: ++counters_.dropped_failed; break;
    }
}

inline model::item model::pop(user& u, std::size_t i) {
    const auto at = u.box.begin() + static_cast<std::ptrdiff_t>(i);
    auto popped = std::move(*at);
    if (popped.sequence != 0)
        u.bytes -= message(popped.sequence).size();
    u.box.erase(at);
    return popped;
}

} // namespace simulation
