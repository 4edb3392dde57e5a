// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/relay.hpp>
#include <pusher/detail/relayed_content.hpp>

#include <algorithm>
#include <bit>

namespace pusher::inline v0::detail {

PUSHER_DECL relay::relay(
    core& c, std::shared_ptr<services> io, std::unique_ptr<backplane> plane, history_params keep,
    std::function<history_params(std::string_view)> keep_for, observer* o, host h)
    : core_(&c),
      io_(std::move(io)),
      plane_(std::move(plane)),
      keep_(keep),
      keep_for_(std::move(keep_for)),
      observer_(o),
      host_(std::move(h)),
      has_histories_(keep_.enabled() || keep_for_),
      turns_(plane_->size()),
      behind_(plane_->size()) {
    core_->join(this, plane_->self(), plane_->size());
    plane_->join(*this);
}

PUSHER_DECL void relay::leave() {
    if (std::exchange(left_, true))
        return;
    abandon_followers();
    plane_->leave();
    services::cancel(*this);
    coming_.clear();
    receipt stopped;
    stopped.error = errc::stopped;
    for (auto all = std::exchange(requests_, {}); const auto& entry : all)
        if (entry.second.done)
            entry.second.done(stopped);
    for (auto all = std::exchange(fetching_, {}); const auto& entry : all)
        for (const auto& done : entry.second.waiting)
            done(stopped.error);
    for (auto all = std::exchange(copied_, {}); const auto& entry : all)
        core_->leave_topic(*entry.second.topic);
}

PUSHER_DECL void relay::schedule() {
    if (left_ || std::exchange(scheduled_, true))
        return;
    io_->post([this] { work(); });
}

/// The turn is over.
PUSHER_DECL void relay::work() {
    scheduled_ = false;
    if (left_)
        return;
    end_interests();
    release_topics();
    bring_on();
    plane_->hand_over();
    now_.reset();
    host_.at_room();
}

// ---- interest

PUSHER_DECL void relay::at_interest(kind what, std::string_view text, bool begins) {
    if (left_)
        return;
    auto& texts_of = wanted_[static_cast<std::size_t>(what)];
    if (!begins) {
        texts_of.find(text)->second = false;
        ended_.emplace_back(what, text);
        return schedule(); // who is back in this turn has not been away
    }
    const auto [found, added] = texts_of.try_emplace(std::string(text), true);
    found->second = true;
    if (added)
        plane_->announce(interest_of(what), text, true);
    if (what == kind::topic && must_fetch(text) && !fetching_.contains(text))
        ask_for_history(text);
}

PUSHER_DECL void relay::end_interests() {
    for (auto all = std::exchange(ended_, {}); auto& [what, text] : all) {
        auto& texts_of = wanted_[static_cast<std::size_t>(what)];
        const auto found = texts_of.find(text);
        if (found == texts_of.end() || found->second)
            continue;
        if (what == kind::topic && !keeps(text)) {
            if (!stays(text) && !end_copy(text))
                ended_.emplace_back(what, std::move(text));
            continue;
        }
        texts_of.erase(found);
        plane_->announce(interest_of(what), text, false);
    }
}

// ---- publishing

PUSHER_DECL history_params relay::keep_of(std::string_view topic) const {
    if (!keep_for_)
        return keep_;
    try {
        return keep_for_(topic);
    } catch (...) {
        core_->handler_threw({}, topic);
        return {};
    }
}

PUSHER_DECL bool relay::has_history(std::string_view topic) const {
    if (const auto* const t = core_->find_topic(topic); t && t->past())
        return true;
    return keep_of(topic).enabled() && is_valid_topic(topic);
}

PUSHER_DECL receipt relay::publish(
    audience whom, std::string_view uid, std::string_view topic, std::string_view payload,
    const publish_options& o, const id_owner* by, answer done, report_function report) {
    if (whom != audience::user && elsewhere(topic))
        return ask_home(whom, topic, payload, o, by, std::move(done), std::move(report));
    return publish_here(
        whom, uid, topic, payload, o, by, report ? &report : nullptr, {plane_->self(), o.publisher, 0});
}

/// Publishes to who is here, and hands it to the others.
PUSHER_DECL receipt relay::publish_here(
    audience whom, std::string_view uid, std::string_view topic, std::string_view payload,
    const publish_options& o, const id_owner* by, report_function* report, const origin& from) {
    struct publishing {
        explicit publishing(int& d) noexcept : depth(d) { ++depth; }
        publishing(const publishing&) = delete;
        publishing& operator=(const publishing&) = delete;
        ~publishing() { --depth; }

        int& depth;
    };
    auto own = o;
    own.publisher = from.broker == plane_->self() ? from.publisher : 0;
    receipt result;
    {
        const publishing guard(depth_);
        if (whom == audience::topic) {
            result = core_->publish(topic, payload, own, by, nullptr, report);
        } else if (whom == audience::everyone) {
            result = core_->broadcast(topic, payload, own, by, nullptr, report);
        } else if (core_->has_user(uid) || left_ || plane_->users(uid) == 0) {
            result = core_->push_to(uid, topic, payload, own, report);
        } else { // elsewhere: that is no failure
            result.error = core_->may_publish(topic, payload, own);
            if (report && !result.error)
                (*report)({}, delivery_report());
        }
    }
    if (!result.error && !result.repeated && !left_) {
        auto m = content_of(payload, o);
        m.topic = topic;
        m.receive_time = wall_time{};
        const auto to = whom == audience::topic  ? plane_->audience(topic)
                        : whom == audience::user ? plane_->users(uid)
                                                 : others();
        if (to != 0) {
            const auto at = time_of(topic, result.position);
            relay_facts facts;
            facts.origin = from.broker;
            facts.publisher = from.publisher;
            facts.number = from.number;
            facts.ttl = o.ttl;
            facts.received = at.received;
            facts.born = at.born;
            if (result.position)
                facts.position = *result.position;
            // What handlers have published meanwhile comes behind this.
            if (depth_ != 0)
                nested_.push_back({whom, std::string(uid), message(m).pin(), facts, to});
            else
                forward(whom, uid, message(m), facts, to);
        }
    }
    if (depth_ == 0 && !nested_.empty())
        forward_nested();
    return result;
}

PUSHER_DECL stored_at relay::time_of(std::string_view topic, const std::optional<topic_position>& position) {
    if (position)
        if (const auto* const t = core_->find_topic(topic); t && t->past() &&
                                                            position->offset >= t->past()->first_offset() &&
                                                            position->offset < t->past()->next_offset()) {
            const auto& r = *t->past()->at(position->offset).messages;
            return {r.receive_time(), r.born()};
        }
    if (!now_)
        now_ = core_->now();
    schedule(); // which forgets it
    return *now_;
}

PUSHER_DECL void relay::forward_nested() {
    for (auto all = std::exchange(nested_, {}); const auto& n : all)
        forward(n.whom, n.uid, *n.message, n.facts, n.to);
}

PUSHER_DECL void relay::forward(
    audience whom, std::string_view uid, const message& m, const relay_facts& facts, backplane::members to) {
    if (left_) // meanwhile
        return;
    relayed r;
    static_cast<relay_facts&>(r) = facts;
    r.what = whom == audience::topic  ? relay_kind::message
             : whom == audience::user ? relay_kind::push
                                      : relay_kind::broadcast;
    r.topic = m.topic();
    r.uid = uid;
    set_content(r, content_of(m));
    const bool in_history = facts.position.offset != 0;
    const auto found = in_history ? copied_.find(m.topic()) : copied_.end();
    const auto* const copies = found == copied_.end() ? nullptr : &found->second;
    // Whoever subscribes to just this topic has a copy of it, or will ask for one.
    const auto follow = in_history ? plane_->subscribers(m.topic()) : 0;
    backplane::members full = 0;
    for (; to != 0; to &= to - 1) {
        const auto who = static_cast<std::uint32_t>(std::countr_zero(to));
        if (auto* const f = copies ? copies->find(who) : nullptr) {
            hold_back(*copies, *f, facts, whom == audience::everyone);
            continue;
        }
        const bool can_follow = (follow & bit_of(who)) != 0;
        r.overflow = can_follow ? relay_overflow::refuse : relay_overflow::lose;
        const auto what = plane_->send(who, r);
        if (what == backplane::outcome::sent)
            ++sent_;
        else if (what == backplane::outcome::full && can_follow)
            full |= bit_of(who);
        else if (what == backplane::outcome::full && observer_)
            observer_->at_error(errc::queue_full, "backplane");
    }
    for (; full != 0; full &= full - 1) {
        const auto who = static_cast<std::uint32_t>(std::countr_zero(full));
        const auto offset = facts.position.offset;
        error_code ec;
        if (auto* const c = begin_copy(who, m.topic(), ec)) {
            hold_back(*c, falls_behind(*c, who, offset, offset), facts, whom == audience::everyone);
        } else { // the history is gone already
            r.overflow = relay_overflow::lose;
            plane_->send(who, r);
        }
    }
    schedule();
}

/// Asks the topic's home to publish something.
PUSHER_DECL receipt relay::ask_home(
    audience whom, std::string_view topic, std::string_view payload, const publish_options& o,
    const id_owner* by, answer done, report_function report) {
    receipt result;
    result.error = core_->may_publish(topic, payload, o);
    if (!result.error && left_)
        result.error = errc::stopped;
    if (result.error)
        return result;
    const auto owner = by ? *by : core_->owner_of(o.publisher);
    const auto home = plane_->home_of(topic);
    relayed r;
    r.what = relay_kind::request;
    r.overflow = relay_overflow::refuse;
    r.everyone = whom == audience::everyone;
    r.owner = static_cast<std::uint8_t>(owner.what);
    r.origin = plane_->self();
    r.number = done || report ? last_number_ + 1 : 0;
    r.publisher = o.publisher;
    r.ttl = o.ttl;
    r.topic = topic;
    r.uid = owner.uid;
    set_content(r, content_of(payload, o));
    switch (plane_->send(home, r)) {
    case backplane::outcome::full: result.error = errc::queue_full; return result;
    case backplane::outcome::gone: result.error = errc::stopped; return result;
    case backplane::outcome::sent: break;
    }
    if (r.number != 0)
        requests_.emplace(++last_number_, request{home, std::move(done), std::move(report)});
    result.pending = true;
    schedule();
    return result;
}

PUSHER_DECL void relay::answer_request(std::uint32_t from, const relayed& r) {
    const id_owner by{static_cast<id_owner::kind>(r.owner), r.uid};
    const publish_options o{r.type, r.key, r.id, r.headers, r.ttl, 0};
    const auto got = publish_here(
        r.everyone ? audience::everyone : audience::topic, {}, r.topic, r.payload, o, &by, nullptr,
        {r.origin, r.publisher, r.number});
    if (left_ || (r.number == 0 && !got.error))
        return;
    relayed reply;
    reply.what = relay_kind::reply;
    reply.number = r.number;
    reply.error = got.error;
    reply.repeated = got.repeated;
    reply.count = got.matched;
    if (got.position)
        reply.position = *got.position;
    schedule();
    // The reply follows the message.
    if (const auto found = copied_.find(r.topic); found != copied_.end())
        if (auto* const f = found->second.find(from); f && r.number != 0)
            for (auto a = f->asides.rbegin(); a != f->asides.rend(); ++a)
                if (a->number == r.number) {
                    a->reply = reply;
                    return;
                }
    plane_->send(from, reply);
}

PUSHER_DECL void relay::answered(const relayed& r) {
    const auto found = requests_.find(r.number);
    if (found == requests_.end()) {
        if (r.error && observer_)
            observer_->at_error(r.error, "publish");
        return;
    }
    const auto q = std::move(found->second);
    requests_.erase(found);
    receipt got;
    got.error = r.error;
    got.repeated = r.repeated;
    got.matched = r.count + q.matched;
    if (r.position.offset != 0)
        got.position = r.position;
    if (q.report && !got.error && !got.repeated) { // it was for nobody here
        delivery_report d;
        static_cast<receipt&>(d) = got;
        q.report({}, d);
    }
    if (q.done)
        q.done(got);
}

PUSHER_DECL void relay::kick(std::string_view uid, std::string_view reason) {
    if (left_)
        return;
    relayed r;
    r.what = relay_kind::kick;
    r.uid = uid;
    r.payload = reason;
    for (auto to = plane_->users(uid); to != 0; to &= to - 1)
        plane_->send(static_cast<std::uint32_t>(std::countr_zero(to)), r);
    schedule();
}

// ---- what comes

PUSHER_DECL void relay::at_relayed(std::uint32_t from, const relayed& r) {
    switch (r.what) {
    case relay_kind::message:
    case relay_kind::broadcast:
    case relay_kind::push: return publish_relayed(r);
    case relay_kind::kick: return host_.kick(r.uid, r.payload);
    case relay_kind::request: return answer_request(from, r);
    case relay_kind::reply: return answered(r);
    case relay_kind::fetch: return send_history(from, r.topic);
    case relay_kind::history: return begin_history(from, r);
    case relay_kind::kept: return add_kept(r);
    case relay_kind::lost:
        return r.everyone || !r.uid.empty()
                   ? core_->lose_addressed(r.uid, r.topic, r.count, r.repeated)
                   : core_->lose_relayed(r.topic, r.count, r.position.offset, r.number);
    case relay_kind::sync: to_sync_ |= bit_of(from); return schedule();
    case relay_kind::synced: syncing_ &= ~bit_of(from); return;
    case relay_kind::left: return at_left(from);
    }
}

PUSHER_DECL void relay::publish_relayed(const relayed& r) {
    ++received_;
    const bool own = r.origin == plane_->self();
    stored_at at{r.received, r.born, true};
    if (r.position.offset != 0)
        at.position = r.position;
    const publish_options o{r.type, r.key, r.id, r.headers, r.ttl, own ? r.publisher : 0};
    if (r.what == relay_kind::push) {
        core_->push_to(r.uid, r.topic, r.payload, o, nullptr, &at);
        return;
    }
    if (at.position)
        if (const auto* const t = core_->find_topic(r.topic); t && t->past()) {
            const auto next = t->past()->next_offset();
            if (t->past()->epoch() != r.position.epoch || r.position.offset < next)
                return; // nothing of the kind is sent
            if (r.position.offset > next)
                core_->lose_relayed(r.topic, r.position.offset - next, next, r.position.offset - 1);
        }
    const auto number = own ? r.number : 0;
    report_function report;
    if (number != 0)
        if (const auto found = requests_.find(number); found != requests_.end())
            report = std::exchange(found->second.report, nullptr);
    const auto got = r.what == relay_kind::broadcast
                         ? core_->broadcast(r.topic, r.payload, o, nullptr, &at, report ? &report : nullptr)
                         : core_->publish(r.topic, r.payload, o, nullptr, &at, report ? &report : nullptr);
    if (number != 0)
        if (const auto found = requests_.find(number); found != requests_.end()) {
            found->second.matched = got.matched;
            found->second.report = std::move(report); // if it was not taken
        }
    if (got.error) {
        core_->lose_relayed(r.topic, 1, r.position.offset, r.position.offset);
        if (observer_)
            observer_->at_error(got.error, "backplane");
    }
}

// ---- the end

PUSHER_DECL void relay::sync() {
    relayed r;
    r.what = relay_kind::sync;
    for (std::uint32_t i = 0; i != plane_->size(); ++i)
        if (i != plane_->self() && !left_ && plane_->send(i, r) == backplane::outcome::sent)
            syncing_ |= bit_of(i);
    schedule();
}

/// Another broker has gone: it answers nothing any more.
PUSHER_DECL void relay::at_left(std::uint32_t who) {
    receipt stopped;
    stopped.error = errc::stopped;
    erase_if(coming_, [who](const auto& entry) { return entry.second->from == who; });
    syncing_ &= ~bit_of(who);
    to_sync_ &= ~bit_of(who);
    std::vector<answer> unanswered;
    erase_if(requests_, [&](auto& entry) {
        if (entry.second.to != who)
            return false;
        unanswered.push_back(std::move(entry.second.done));
        return true;
    });
    std::vector<std::string> topics;
    for (const auto& entry : fetching_)
        if (plane_->home_of(entry.first) == who)
            topics.push_back(entry.first);
    for (const auto& done : unanswered)
        if (done)
            done(stopped);
    for (const auto& topic : topics)
        fetched(topic, errc::stopped);
    forget_follower(who);
}

} // namespace pusher::inline v0::detail
