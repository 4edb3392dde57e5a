// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "model.hpp"

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

// The model's first half: who is subscribed, what is published, which handlers are called.

namespace simulation {

/// One command with all that happened inside.
inline void model::run() {
    const command c = take_entry(entry::kind::begin, "something happened outside of any command").does;
    outcome o;
    auto* const u = c.user == nobody || c.user >= users_.size() ? nullptr : &users_[c.user];
    switch (c.what) {
    case kind::publish: publish(c, o); break;
    case kind::broadcast:
    case kind::push: {
        std::vector<std::size_t> audience;
        for (std::size_t n = 0; n != users_.size(); ++n)
            if (users_[n].alive && users_[n].listed && (c.what == kind::broadcast || users_[n].uid == c.uid))
                audience.push_back(n);
        publish_to(c, std::move(audience), c.what == kind::broadcast, o);
        break;
    }
    case kind::subscribe: subscribe(c, o); break;
    case kind::unsubscribe:
        if (auto* const s = find(*u, c)) {
            leave(*u, s->order);
            o.yes = true;
        }
        break;
    case kind::handler:
    case kind::queue:
    case kind::session: {
        user made;
        made.what = c.what;
        made.listed = c.listed;
        made.limits = c.limits;
        users_.push_back(std::move(made));
        if (c.what == kind::session)
            attach(users_.back(), c);
        break;
    }
    case kind::remove: remove(*u); break;
    case kind::bind: u->uid = c.text; break;
    case kind::attach: attach(*u, c); break;
    case kind::detach: detach(*u); break;
    case kind::room: u->room = c.number; break;
    case kind::writable:
        u->room = c.number;
        u->blocked = false;
        u->took();
        if (drain(*u) && u->catching)
            schedule(*u);
        break;
    case kind::reply:
        if (!u->overflowed) {
            u->turn.push_back({0, c.text});
            touched_ = true;
            if (next_is(entry::kind::early)) {
                ++at_;
                end_turn();
            }
        }
        break;
    case kind::take: take(*u, o); break;
    case kind::flush: flush(); break;
    case kind::advance: break;
    case kind::acknowledge: acknowledge(*u, c, o); break;
    case kind::repeat: repeat_late(); break;
    case kind::watch:
        for (auto& other : users_)
            other.progressed = false;
        break;
    case kind::excuse:
        for (auto& other : users_)
            other.excused = other.excused || (other.full() && !other.progressed);
        break;
    }
    forget_unwritten();
    const auto& seen = take_entry(entry::kind::done, "more happened than should have").result;
    require(seen.error == o.error, "error \"" + seen.error + "\" where \"" + o.error + "\" was due");
    require(seen.sequence == o.sequence, "sequence " + std::to_string(seen.sequence));
    require(
        seen.matched == o.matched,
        "matched " + std::to_string(seen.matched) + " where it was " + std::to_string(o.matched));
    require(seen.yes == o.yes, "the answer should have been the other");
    require(seen.recovered == o.recovered, "recovered is wrong");
    require(
        seen.repeated == o.repeated, o.repeated ? "it was published before" : "it was not published before");
    require(seen.position.has_value() == o.position.has_value(), "a position, or none");
    if (o.position && o.repeated) {
        // The history may be gone by now. In the middle of the first publish its epoch is the core's to know.
        require(
            seen.position->offset == o.position->offset &&
                (seen.position->epoch == o.position->epoch || o.position->epoch == 0),
            "another position than the first time");
    } else if (o.position) {
        require(
            seen.position->offset == o.position->offset, "offset " + std::to_string(seen.position->offset) +
                                                             " where it was " +
                                                             std::to_string(o.position->offset));
        auto& epoch = pasts_.at(c.text).epoch;
        require(epoch == 0 || epoch == seen.position->epoch, "a history has one epoch");
        epoch = seen.position->epoch;
        epochs_[{c.text, pasts_.at(c.text).life}] = epoch;
        for (const auto& other : pasts_)
            require(other.first == c.text || other.second.epoch != epoch, "an epoch names one history");
        if (auto* const n = remembered(o.sequence))
            n->then.position->epoch = epoch;
    }
}

/// Whose an id is.
inline std::string model::owner_of(const command& c) const {
    if (c.publisher == nobody)
        return "host";
    const auto& u = users_[c.publisher];
    if (u.alive && !u.uid.empty())
        return "user " + u.uid;
    return u.alive && u.what != kind::session ? "host" : "anonymous";
}

inline bool model::repeats(const command& c, outcome& o) {
    if (c.id.empty())
        return false;
    const auto first = std::find_if(named_.rbegin(), named_.rend(), [&](const named& n) {
        return n.what == c.what && n.text == c.text && n.to == c.uid && n.id == c.id &&
               n.owner == owner_of(c) && params_.steady() - n.when <= params_.idempotency.age;
    });
    if (first == named_.rend())
        return false;
    o = first->then;
    o.repeated = true;
    o.matched =
        std::clamp(next_is(entry::kind::done) ? peek().result.matched : 0, first->fewest, first->most);
    ++counters_.repeated;
    return true;
}

inline void model::remember(const command& c, const outcome& o, std::size_t matched) {
    if (c.id.empty() || params_.idempotency.messages == 0)
        return;
    named_.push_back({c.what, c.text, c.uid, c.id, owner_of(c), params_.steady(), o, matched, matched});
    if (named_.size() > params_.idempotency.messages)
        named_.pop_front();
}

inline model::named* model::remembered(std::uint64_t sequence) {
    const auto found = std::find_if(
        named_.begin(), named_.end(), [&](const named& n) { return n.then.sequence == sequence; });
    return found == named_.end() ? nullptr : &*found;
}

inline void model::settle(std::uint64_t sequence, std::size_t fewest, std::size_t most) {
    if (auto* const n = remembered(sequence)) {
        n->fewest = fewest;
        n->most = most;
    }
}

inline model::past* model::past_of(const std::string& topic) {
    const auto found = pasts_.find(topic);
    if (found != pasts_.end())
        return &found->second;
    const auto keep = params_.history_for(topic);
    if (!keep.enabled())
        return nullptr;
    past p;
    p.keep = keep;
    p.trimmed = expired_;
    p.life = forgotten_;
    if (const auto known = epochs_.find({topic, p.life}); known != epochs_.end())
        p.epoch = known->second;
    return &pasts_.emplace(topic, std::move(p)).first->second;
}

/// Whether one of the live subscriptions is for the message.
inline bool model::matches_live(const user& u, const posted& m, std::uint64_t sequence, bool any_echo) const {
    return std::any_of(u.subs.begin(), u.subs.end(), [&](const subscription& s) {
        return !s.catching && s.born < sequence && s.matches(m) &&
               (any_echo || s.echo || m.publisher == nobody || &users_[m.publisher] != &u);
    });
}

/// Whether a cursor brings what is published to the topic.
inline bool model::covered(const user& u, const std::string& topic, std::uint64_t sequence) const {
    return std::any_of(u.cursors.begin(), u.cursors.end(), [&](const cursor& c) {
        return c.topic == topic && c.born < sequence;
    });
}

inline model::posted& model::post(const command& c, past* p, bool addressed) {
    published_.push_back(
        {c.text, c.type, c.key, c.id, c.payload, c.ttl, c.publisher, addressed, p ? p->next() : 0,
         params_.steady()});
    ++counters_.published;
    counters_.published_bytes += c.payload.size();
    return published_.back();
}

inline void model::publish(const command& c, outcome& o) {
    if (repeats(c, o))
        return;
    auto* const p = past_of(c.text);
    const auto m = post(c, p, false);
    const auto sequence = published_.size();
    auto& report = fates_[sequence];
    report.deferred = dispatching_;
    std::size_t matched = 0;
    std::size_t handlers = 0;
    bool queued = p != nullptr;
    for (auto& u : users_) {
        const bool live = matches_live(u, m, sequence);
        const bool caught = std::any_of(u.subs.begin(), u.subs.end(), [&](const subscription& s) {
            return s.catching && s.matches(m) &&
                   (s.echo || m.publisher == nobody || &users_[m.publisher] != &u);
        });
        if (u.what == kind::handler) {
            handlers += live;
            matched += !live && caught;
            if (live ? dispatching_ : caught)
                report.of[&u];
            continue;
        }
        matched += live || caught;
        if (live || caught)
            report.of[&u];
        if (matches_live(u, m, sequence, true)) {
            queued = true;
            u.given = true;
        }
        if (live)
            u.turn.push_back({sequence, {}});
    }
    o.sequence = sequence;
    report.in_turn = queued;
    if (queued)
        after_append(p);
    if (p)
        o.position = pusher::topic_position{0, m.offset};
    remember(c, o, matched);
    if (dispatching_) {
        deferred_.push_back({sequence, {}});
        o.matched = matched + handlers;
    } else {
        hand_over(sequence, {}, matched, o);
    }
    settle(sequence, o.matched, o.matched);
}

inline void
model::publish_to(const command& c, std::vector<std::size_t> audience, bool in_history, outcome& o) {
    if (repeats(c, o))
        return;
    auto* const p = in_history ? past_of(c.text) : nullptr;
    post(c, p, true);
    const auto sequence = published_.size();
    auto& report = fates_[sequence];
    report.deferred = dispatching_;
    bool queued = p != nullptr;
    std::size_t matched = 0;
    std::erase_if(audience, [&](std::size_t n) {
        auto& u = users_[n];
        if (u.what != kind::handler || dispatching_)
            report.of[&u];
        if (u.what == kind::handler)
            return false;
        u.given = queued = true;
        u.turn.push_back({sequence, {}});
        ++matched;
        return true;
    });
    o.sequence = sequence;
    if (p)
        o.position = pusher::topic_position{0, p->next()};
    report.in_turn = queued;
    if (queued)
        after_append(p);
    remember(c, o, matched);
    if (dispatching_) {
        o.matched = matched + audience.size();
        if (!audience.empty())
            deferred_.push_back({sequence, std::move(audience)});
    } else if (!audience.empty()) {
        hand_over(sequence, std::move(audience), matched, o);
    } else {
        o.matched = matched;
        run_deferred();
    }
    settle(sequence, o.matched, o.matched);
}

/// The message is in the turn, and in the history if there is one.
inline void model::after_append(past* p) {
    touched_ = true;
    ++turn_messages_;
    turn_bytes_ += published_.back().size();
    if (p) {
        p->all.push_back(published_.size());
        wake(published_.back().topic);
        if (p->all.size() == 1 && p->keep.age.count() > 0)
            aging_.push_back(published_.back().topic);
        trim(*p);
    }
    // How long a run may become is the core's to know; the limits of the turn are not to be passed.
    if (next_is(entry::kind::early)) {
        ++at_;
        end_turn();
    }
    require(
        turn_messages_ < params_.turn_messages && turn_bytes_ < params_.turn_bytes,
        "the turn should have ended");
}

/// Who acknowledges waits for what is new, in the order of their cursors.
inline void model::wake(const std::string& topic) {
    std::vector<std::pair<std::uint64_t, user*>> waiting;
    for (auto& u : users_)
        for (const auto& c : u.cursors)
            if (c.acknowledges && c.topic == topic)
                waiting.emplace_back(c.serial, &u);
    std::sort(waiting.begin(), waiting.end());
    for (const auto& w : waiting)
        schedule(*w.second);
}

/// Calls handlers, and those of what they published.
inline void
model::hand_over(std::uint64_t sequence, std::vector<std::size_t> audience, std::size_t matched, outcome& o) {
    std::set<std::size_t> before;
    std::set<std::size_t> both;
    const auto for_covered = [&](auto&& f) {
        for (std::size_t n = 0; n != users_.size(); ++n)
            if (called_for(users_[n], sequence, audience) && !message(sequence).handed_over() &&
                covered(users_[n], message(sequence).topic, sequence))
                f(n);
    };
    for_covered([&](std::size_t n) { before.insert(n); });
    matched += dispatch(sequence, audience);
    for_covered([&](std::size_t n) {
        if (before.contains(n))
            both.insert(n);
    });
    auto& report = fates_[sequence];
    for (const auto n : both)
        report.of.try_emplace(&users_[n]);
    report.open = before.size() - both.size();
    settle(sequence, matched + both.size(), matched + before.size());
    run_deferred();
    // When its place in the list came, one that catches up may have been subscribed or not any more: the
    // order of handlers is the core's to know.
    const auto seen = next_is(entry::kind::done) ? peek().result.matched : 0;
    o.matched = std::clamp(seen, matched + both.size(), matched + before.size());
}

/// Whether a handler must be called for the message, or is caught up with it later.
inline bool
model::called_for(const user& u, std::uint64_t sequence, const std::vector<std::size_t>& audience) const {
    const auto& m = message(sequence);
    if (!u.alive || u.what != kind::handler || u.last >= sequence)
        return false;
    if (m.addressed)
        return std::any_of(audience.begin(), audience.end(), [&](std::size_t n) { return &users_[n] == &u; });
    return matches_live(u, m, sequence);
}

/// In which order handlers are called is the core's to know; each must be called that should be.
inline std::size_t model::dispatch(std::uint64_t sequence, const std::vector<std::size_t>& audience) {
    dispatching_ = true;
    const auto& topic = message(sequence).topic;
    const bool at_once = message(sequence).handed_over();
    std::size_t called = 0;
    const auto is_for = [&](const user& u) {
        return called_for(u, sequence, audience) && (at_once || !covered(u, topic, sequence));
    };
    // Who wants the message only now may have been passed already.
    std::vector<const user*> due;
    for (const auto& u : users_)
        if (is_for(u))
            due.push_back(&u);
    // Any other call is somebody's who catches up, or the next thing that happens does not fit.
    while (next_is(entry::kind::call) && peek().sequence == sequence && is_for(users_[peek().user])) {
        auto& u = users_[take_entry(entry::kind::call, "").user];
        u.last = sequence;
        ++called;
        u.out.got.push_back(message(sequence).text());
        const bool threw = run_call();
        ++(threw ? counters_.handler_exceptions : counters_.delivered);
        auto& report = fates_[sequence];
        if (!report.deferred || report.of.contains(&u))
            report.of[&u] = threw ? pusher::delivery_outcome::failed : pusher::delivery_outcome::delivered;
    }
    require(
        std::none_of(due.begin(), due.end(), [&](const user* u) { return is_for(*u); }),
        "a handler was not called");
    dispatching_ = false;
    return called;
}

inline void model::run_deferred() {
    while (!deferred_.empty()) {
        const auto d = std::move(deferred_.front());
        deferred_.pop_front();
        dispatch(d.sequence, d.audience);
    }
}

inline model::subscription* model::find(user& u, const command& c) {
    for (auto& s : u.subs)
        if (s.text == c.text && s.type == c.type && s.match == c.match)
            return &s;
    return nullptr;
}

inline void model::subscribe(const command& c, outcome& o) {
    auto& u = users_[c.user];
    const bool exact = c.match == pusher::match_mode::exact;
    auto* const existing = find(u, c);
    const bool drops = c.overflow && *c.overflow != policy::spill && *c.overflow != policy::disconnect;
    if ((!exact && (c.history != 0 || c.resume || c.acknowledge)) || (c.history != 0 && c.resume) ||
        (c.acknowledge && (u.what == kind::handler || drops))) {
        o.error = pusher::make_error_code(pusher::errc::unsupported).message();
        return;
    }
    if (!existing && u.what != kind::handler && u.subs.size() >= params_.subscriptions) {
        o.error = pusher::make_error_code(pusher::errc::too_many_subscriptions).message();
        return;
    }
    auto* const p = exact ? past_of(c.text) : nullptr;
    if (!p && (c.history != 0 || c.resume || c.acknowledge || (exact && c.overflow == policy::spill))) {
        o.error = pusher::make_error_code(pusher::errc::no_history).message();
        return;
    }
    const bool replays = p && (c.history != 0 || c.resume || c.resume_after);
    if (existing && !replays && (existing->catching || !c.acknowledge)) { // only its options change
        existing->overflow = c.overflow;
        existing->echo = c.echo;
        for (auto& at : u.cursors)
            if (existing->catching && at.subscription == existing->order) {
                at.echo = c.echo;
                if (at.acknowledges == c.acknowledge)
                    continue;
                at.acknowledges = c.acknowledge;
                at.sent.clear();
                at.again = 0;
                schedule(u);
            }
        if (p)
            o.position = pusher::topic_position{0, p->next() - 1};
        return;
    }
    if (p)
        trim(*p);
    std::optional<std::uint64_t> pending; // it has a claim to that, unless it says where to go on
    if (existing && !c.resume && !c.resume_after)
        for (const auto& at : u.cursors)
            if (!pending && (existing->catching ? at.subscription == existing->order
                                                : at.topic == c.text && at.subscription == ended))
                pending = at.next;
    if (existing)
        leave(u, existing->order);
    const auto order = u.next_order++;
    u.subs.push_back({c.text, c.type, c.match, c.echo, c.overflow, order, published_.size(), false});
    if (!p)
        return;
    o.position = pusher::topic_position{0, p->next() - 1};
    bool hold = false;
    std::uint64_t owed = 0;
    auto from = start_of(u, c, *p, o, hold, owed);
    if (pending) {
        from = std::min(from, *pending);
        owed = std::min(owed, *pending);
    }
    u.subs.back().catching = from != p->next() || hold || c.acknowledge;
    if (u.subs.back().catching) {
        u.catching = true;
        u.cursors.push_back(
            {c.text, c.type, c.echo, from, published_.size(), owed, order, ++cursors_made_, c.acknowledge});
        schedule(u);
    }
}

/// Where in the history a subscription begins. \param hold what is live waits for what comes first.
/// \param owed from where on what it does not get is a loss.
inline std::uint64_t
model::start_of(user& u, const command& c, past& p, outcome& o, bool& hold, std::uint64_t& owed) {
    auto from = p.next();
    if (c.resume && c.resume->epoch != p.epoch) {
        o.recovered = false;
        from = p.first;
    } else if (c.resume && c.resume->offset >= p.next()) {
        o.recovered = false;
    } else if (c.resume) {
        from = std::max(c.resume->offset + 1, p.first);
        const auto missing = from - (c.resume->offset + 1);
        o.recovered = missing == 0;
        if (missing != 0) {
            missed(u, {c.text, c.type.empty() && c.echo ? missing : 0, c.resume->offset + 1, from - 1, 0});
            hold = true;
        }
    } else if (c.resume_after) {
        hold = true;
        from = p.after(*c.resume_after);
        o.recovered = p.trimmed <= *c.resume_after;
        if (!*o.recovered)
            missed(u, {c.text, 0, 0, 0, 0});
    }
    owed = from;
    if (c.history != 0) {
        auto at = p.next();
        for (std::size_t found = 0; at != p.first && found != c.history;) {
            --at;
            found += c.type.empty() || message(p.all[at - 1]).type == c.type;
        }
        from = std::min(from, at);
    }
    return from;
}

/// A subscription ends. What was published before is still for it, but for what its cursor has not read.
inline void model::leave(user& u, std::uint64_t order) {
    const auto s = std::find_if(
        u.subs.begin(), u.subs.end(), [&](const subscription& other) { return other.order == order; });
    const bool was_catching = s->catching;
    u.subs.erase(s);
    if (was_catching)
        stop_cursor(u, order);
}

inline void model::stop_cursor(user& u, std::uint64_t order) {
    const auto c = std::find_if(
        u.cursors.begin(), u.cursors.end(), [&](const cursor& other) { return other.subscription == order; });
    const auto& p = pasts_.at(c->topic);
    c->subscription = ended;
    if (c->acknowledges)
        schedule(u);
    c->acknowledges = false;
    c->sent.clear();
    c->again = 0;
    const bool other_brings_it = std::any_of(u.cursors.begin(), u.cursors.end(), [&](const cursor& other) {
        return &other != &*c && other.topic == c->topic && other.born <= c->born;
    });
    const bool live_needs_it = std::any_of(u.subs.begin(), u.subs.end(), [&](const subscription& s) {
        return !s.catching && s.matches_topic(c->topic);
    });
    if (!other_brings_it && live_needs_it) {
        c->next = std::max(c->next, p.after(c->born));
        if (c->next != p.next())
            return;
    }
    u.cursors.erase(c);
    if (u.cursors.empty() && (u.what != kind::handler || u.gaps.empty()))
        u.catching = false;
}

inline void model::remove(user& u) {
    for (const auto& i : u.box)
        if (i.sequence != 0)
            lose(u, i.sequence, pusher::drop_cause::disconnected);
    for (const auto& i : u.turn)
        if (i.sequence != 0 &&
            !(covered(u, message(i.sequence).topic, i.sequence) && !message(i.sequence).handed_over()))
            lose(u, i.sequence, pusher::drop_cause::disconnected);
    u.alive = false;
    u.subs.clear();
    u.cursors.clear();
    u.catching = false;
    u.uid.clear();
    u.gaps.clear();
    u.turn.clear();
    u.given = false;
    u.box.clear();
    u.bytes = 0;
    u.rest.clear();
}

inline bool model::over(const past& p) const {
    const auto count = p.next() - p.first;
    if (count == 0)
        return false;
    std::size_t bytes = 0;
    for (auto offset = p.first; offset != p.next(); ++offset)
        bytes += message(p.all[offset - 1]).size();
    return count > p.keep.messages || (bytes > p.keep.bytes && count > 1) ||
           (p.keep.age.count() > 0 && params_.steady() - message(p.all[p.first - 1]).when > p.keep.age);
}

/// A history forgets what is too much. Who had not come to it is told.
inline void model::trim(past& p) {
    while (over(p)) {
        const auto sequence = p.all[p.first - 1];
        const auto& m = message(sequence);
        std::vector<std::pair<std::uint64_t, user*>> here; // in the order of their cursors
        for (auto& u : users_)
            for (const auto& c : u.cursors)
                if (c.topic == m.topic && c.next == p.first)
                    here.emplace_back(c.serial, &u);
        std::sort(here.begin(), here.end());
        std::set<const user*> owed; // others have no claim to what has expired
        for (const auto& entry : here)
            for (const auto& c : entry.second->cursors)
                if (c.topic == m.topic && c.next == p.first && c.owed <= p.first)
                    owed.insert(entry.second);
        std::set<const user*> told;
        for (const auto& entry : here)
            if (told.insert(entry.second).second && wants(*entry.second, m, sequence) &&
                (owed.contains(entry.second) || !expired(m))) {
                missed(*entry.second, gap_of(sequence));
                lose(*entry.second, sequence, pusher::drop_cause::trimmed);
            }
        for (const auto& entry : here)
            for (auto& c : entry.second->cursors)
                if (c.topic == m.topic && c.next == p.first)
                    ++c.next;
        p.trimmed = sequence;
        ++p.first;
    }
}

[[nodiscard]] inline bool model::in_use(const std::string& topic) const {
    return std::any_of(users_.begin(), users_.end(), [&](const user& u) {
        return std::any_of(
                   u.subs.begin(), u.subs.end(),
                   [&](const subscription& s) {
                       return s.match == pusher::match_mode::exact && s.text == topic;
                   }) ||
               std::any_of(
                   u.cursors.begin(), u.cursors.end(), [&](const cursor& c) { return c.topic == topic; });
    });
}

/// A history that never had a message is no more once nobody subscribes to it.
inline void model::forget_unwritten() {
    std::erase_if(pasts_, [&](const auto& p) { return p.second.all.empty() && !in_use(p.first); });
}

/// Looks at some topics in turn: those whose past is over, and that nobody subscribes to, are no more.
inline void model::forget_expired(std::size_t most) {
    for (auto left = std::min(most, aging_.size()); left != 0; --left) {
        next_aging_ = next_aging_ >= aging_.size() ? 0 : next_aging_;
        const auto topic = aging_[next_aging_];
        auto& p = pasts_.at(topic);
        trim(p);
        if (p.first != p.next() || in_use(topic)) {
            ++next_aging_;
            continue;
        }
        aging_[next_aging_] = aging_.back();
        aging_.pop_back();
        expired_ = std::max(expired_, p.trimmed);
        ++forgotten_;
        pasts_.erase(topic);
    }
}

} // namespace simulation
