// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/core.hpp>

#include <algorithm>

namespace pusher::inline v0::detail {

PUSHER_DECL error_code core::check(
    const topic_state* t, std::string_view topic, std::string_view payload, const publish_options& o) const {
    // A topic that has state was checked when it got it.
    if (!t && !is_valid_topic(topic))
        return errc::invalid_topic;
    if (is_plain(payload, o))
        return {};
    if (!o.type.empty() && !is_valid_type(o.type))
        return errc::invalid_type;
    if (o.key.size() > 255 || o.id.size() > 255 || o.ttl.count() < 0 || o.ttl > max_ttl)
        return errc::invalid_message;
    std::size_t headers = 0;
    for (const auto& h : o.headers)
        headers += 8 + h.name.size() + h.value.size();
    if (payload.size() > params_.message_bytes || headers > 64 * 1024)
        return errc::message_too_large;
    return {};
}

/// Whose ids those of a publisher are. What a session that has left published, as one does who posts, is held
/// apart from the host's ids like that of anybody unknown.
PUSHER_DECL id_owner core::owner_of(std::uint64_t publisher) const noexcept {
    using kind = id_owner::kind;
    if (publisher == 0)
        return {};
    const auto* const who = find(publisher);
    if (who && !who->uid.empty())
        return {kind::user, who->uid.view()};
    return {who && !who->remote ? kind::host : kind::anonymous, {}};
}

/// Whether that was published already, and what became of it then.
PUSHER_DECL bool core::repeats(receipt& result, const id_use& id) {
    const auto first = recent_ids_.find(id.name, id.when);
    if (!first)
        return false;
    result = *first;
    ++counters_.repeated;
    return true;
}

/// Opens a run of a topic, for nobody yet.
PUSHER_DECL std::uint32_t core::open(topic_state& t, const stored_at* stored) {
    auto r = make_run(t.name(), stored);
    if (t.past())
        t.past()->open(r);
    else if (stored && stored->position)
        r->keep_in_history(stored->position->epoch, stored->position->offset);
    ++open_runs_;
    return turn_.add_run({std::move(r), &t, turn::none, 0, {}});
}

/// For whom the messages of one type are, worked out once per run: membership cannot change within it.
PUSHER_DECL open_run::plan& core::plan_for(std::uint32_t run_index, std::string_view type) {
    auto& r = turn_.run_at(run_index);
    for (auto& p : r.plans)
        if (p.type == type)
            return p;

    if (r.plans.empty()) {
        auto give = [&](const group& g) {
            if (g.members.empty())
                return;
            if (r.dense == turn::none)
                r.dense = turn_.add_slice(run_index, true);
            for (const auto& m : g.members)
                if (turn_.give(m.slot(), r.dense, m.no_echo()))
                    ++r.dense_matched;
        };
        give(*r.topic);
        for (const auto* const f : matched_)
            give(*f);
    }

    open_run::plan p{std::string(type), turn::none, r.dense_matched};
    bool stamped = false;
    auto stamp_dense = [&] {
        next_stamp();
        auto stamp = [&](const group& g) {
            for (const auto& m : g.members)
                stamps_[m.slot()] = stamp_;
        };
        stamp(*r.topic);
        for (const auto* const f : matched_)
            stamp(*f);
        stamped = true;
    };
    auto give_typed = [&](const pattern& of) {
        const auto* const g = of.find_type(type);
        if (!g || g->members.empty())
            return;
        if (!stamped)
            stamp_dense();
        if (p.slice == turn::none)
            p.slice = turn_.add_slice(run_index, false);
        for (const auto& m : g->members) {
            turn_.give(m.slot(), p.slice, m.no_echo());
            if (std::exchange(stamps_[m.slot()], stamp_) != stamp_)
                ++p.matched;
        }
    };
    give_typed(*r.topic);
    for (const auto* const f : matched_)
        give_typed(*f);
    r.plans.push_back(std::move(p));
    return r.plans.back();
}

PUSHER_DECL void core::append(
    topic_state& t, const message::fields& m, std::uint64_t publisher, std::chrono::milliseconds ttl,
    std::uint32_t run_index, std::uint32_t slice) {
    turn_.run_at(run_index).messages->append(m, publisher, ttl);
    turn_.logged(run_index, slice);
    if (t.past())
        appended_to_past(t);
}

/// The message that was just appended to a run is in the topic's history too.
PUSHER_DECL void core::appended_to_past(topic_state& t) {
    t.past()->appended();
    if (!t.past()->aging && t.past()->params().age.count() > 0) {
        t.past()->aging = true;
        aging_.push_back(t.id);
    }
    if (t.past()->cursors)
        for (const auto* const c : *t.past()->cursors)
            if (c->sent) // it waits for what is new
                schedule_catchup(*c->who);
    trim(t);
}

PUSHER_DECL void core::trim(topic_state& t) {
    auto& past = *t.past();
    if (past.messages() == 0)
        return;
    // The clock is asked only where age matters.
    const auto now = past.params().age.count() > 0 ? params_.steady() : steady_time{};
    while (past.over(now))
        pop_oldest(t);
}

PUSHER_DECL void core::pop_oldest(topic_state& t) {
    if (t.past()->cursors && !t.past()->cursors->empty())
        trimmed(t, t.past()->oldest(), t.past()->first_offset());
    t.past()->pop_oldest();
    if (t.past()->stored.on && keeper_)
        keeper_->at_trim(t);
}

/// Looks at some topics whose past ages without anybody's doing, and lets go of those with nothing left.
PUSHER_DECL void core::forget_expired(std::size_t most) {
    for (auto left = std::min(most, aging_.size()); left != 0; --left) {
        if (next_aging_ >= aging_.size())
            next_aging_ = 0;
        auto& t = static_cast<topic_state&>(*groups_[aging_[next_aging_]]);
        trim(t);
        if (t.past()->messages() != 0 || !t.unused_but_for_its_past()) {
            ++next_aging_;
            continue;
        }
        aging_[next_aging_] = aging_.back();
        aging_.pop_back();
        expired_sequence_ = std::max(expired_sequence_, t.past()->trimmed_sequence());
        ++forgotten_histories_;
        if (t.past()->stored.on && keeper_)
            keeper_->at_forget(t);
        t.set_past(nullptr);
        release(t);
    }
}

PUSHER_DECL void core::flush_if_long(std::uint32_t run_index) {
    const auto& r = *turn_.run_at(run_index).messages;
    if (r.size() >= params_.run_messages || r.bytes() >= params_.run_bytes ||
        turn_.messages() >= params_.turn_messages || turn_.bytes() >= params_.turn_bytes ||
        turn_.nodes() + reported_ >= params_.turn_nodes)
        end_turn();
}

/// Whether a message that was accepted elsewhere may follow those of the topic's open run.
PUSHER_DECL bool core::continues(const topic_state& t, const stored_at& at) {
    const auto& r = *turn_.run_at(t.open).messages;
    if (!at.relayed)
        return r.receive_time() == at.received;
    // What several turns of another broker brought is better written at once than timed to the microsecond.
    constexpr auto about = std::chrono::milliseconds(10);
    if (at.received > r.receive_time() + about || r.receive_time() > at.received + about)
        return false;
    if (t.past())
        return true;
    return at.position ? r.in_history() && r.epoch() == at.position->epoch &&
                             r.offset_of(r.size()) == at.position->offset
                       : !r.in_history();
}

PUSHER_DECL receipt
core::publish(std::string_view topic, std::string_view payload, const publish_options& o) {
    auto* const t = topics_.find(topic);
    return t && for_handlers_only(*t, o) ? publish_to_handlers(*t, topic, payload, o)
                                         : publish(t, topic, payload, o, nullptr, nullptr, nullptr);
}

PUSHER_DECL receipt core::publish(
    topic_state* t, std::string_view topic, std::string_view payload, const publish_options& o,
    const id_owner* by, const stored_at* stored, report_function* report) {
    receipt result;
    result.error = check(t, topic, payload, o);
    std::optional<id_use> id;
    if (!result.error && recent_ids_.enabled() && !o.id.empty() && !(stored && stored->relayed)) {
        using whom = recent_ids::audience;
        id = id_use{
            recent_ids_.name_of(whom::subscribers, topic, {}, o.id, by ? *by : owner_of(o.publisher)),
            params_.steady(), 0};
        if (!stored && repeats(result, *id))
            return result;
    }
    if (!result.error && !stored && dispatching_ && deferred_.size() >= params_.deferred_messages)
        result.error = errc::queue_full;
    if (result.error)
        return result;
    matched_.clear();
    filters_.match(topic, matched_);

    auto has_members = [&](const pattern& p) {
        if (!p.members.empty())
            return true;
        const auto* const g = p.find_type(o.type);
        return g && !g->members.empty();
    };
    bool queued = t && (t->past() || has_members(*t));
    for (std::size_t i = 0; !queued && i != matched_.size(); ++i)
        queued = has_members(*matched_[i]);
    if (!t) {
        const auto keep = history_of(topic);
        queued = queued || keep.enabled();
        if (queued && !room_for_state())
            result.error = errc::too_many_topics;
        if (result.error)
            return result;
        if (queued)
            t = &add_topic(topic, keep);
    }

    result.sequence = ++sequence_;
    auto made = message_access::make();
    auto& m = message_access::fields(made);
    set_fields(m, topic, payload, o);
    if (stored && stored->relayed) {
        m.receive_time = stored->received;
        m.position = result.position = stored->position;
    }
    const auto reported = report ? begin_report(topic, *report) : nullptr;
    auto run_index = topic_state::no_run;
    if (queued) {
        if (stored && t->open != topic_state::no_run && !continues(*t, *stored))
            close_run(*t);
        if (t->open == topic_state::no_run)
            t->open = open(*t, stored);
        run_index = t->open;
        auto& plan = plan_for(run_index, o.type);
        result.matched = plan.matched;
        if (t->past()) {
            m.position = topic_position{t->past()->epoch(), t->past()->next_offset()};
            m.receive_time = turn_.run_at(run_index).messages->receive_time();
            result.position = m.position;
        }
        if (t->cursors())
            result.matched += count_catching(*t, plan, o.publisher, sequence_);
        if (reported)
            list_audience(*reported, *t, o.type, o.publisher);
        append(*t, m, o.publisher, o.ttl, run_index, plan.slice);
    }
    if (o.publisher != 0) {
        if (auto* const who = find(o.publisher)) {
            who->published_this_turn = who->published_this_turn || queued;
            // The plan counted the publisher too; it is out if no subscription wants its own.
            if (queued && who->has_no_echo && who->what == subscriber_base::kind::queue &&
                matches_live(*who, topic, o.type, 0, sequence_) &&
                !matches_live(*who, topic, o.type, o.publisher, sequence_))
                --result.matched;
        }
    }

    called_.clear();
    auto add_callers = [&](pattern& p) {
        if (p.has_handlers())
            called_.push_back(&p);
        if (auto* const g = p.find_type(o.type); g && g->has_handlers())
            called_.push_back(g);
    };
    if (t)
        add_callers(*t);
    for (auto* const f : matched_)
        add_callers(*f);

    if (id) // before handlers are called, which may publish it again
        id->serial = recent_ids_.remember(id->name, result, id->when);
    // Only now: what is flushed early must not wait for handlers, and they may change every list.
    if (queued)
        flush_if_long(run_index);
    if (!called_.empty()) {
        result.matched += dispatching_ ? defer(made, o.publisher, called_, {}, reported)
                                       : dispatch(made, o.publisher, called_, {}, reported.get(), false);
        if (id)
            recent_ids_.settle(id->serial, result.matched);
    }
    published(result, made, reported.get(), stored);
    return result;
}

/// Whether a message of a topic goes to the handlers of all its types, if it is one, and to nobody else.
inline bool core::for_handlers_only(const topic_state& t, const publish_options& o) const noexcept {
    return t.has_handlers() && t.members.empty() && !t.typed() && !t.past() && filters_.empty() &&
           !dispatching_ && (o.id.empty() || !recent_ids_.enabled());
}

/// The same as `publish` does, without what such a topic has no use for.
PUSHER_DECL receipt core::publish_to_handlers(
    topic_state& t, std::string_view topic, std::string_view payload, const publish_options& o) {
    receipt result;
    if (!is_plain(payload, o)) {
        result.error = check(&t, topic, payload, o);
        if (result.error)
            return result;
    }
    result.sequence = ++sequence_;
    auto m = message_access::make();
    set_fields(message_access::fields(m), topic, payload, o);
    {
        const scoped_flag dispatching(dispatching_);
        const scoped_call calls(*this, t);
        result.matched = call_group(t, m, {o.publisher, false});
    }
    published(result, m, nullptr, nullptr);
    return result;
}

/// What every publish ends with.
inline void
core::published(const receipt& result, const message& m, reporting* reported, const stored_at* stored) {
    const bool relayed = stored && stored->relayed; // counted and observed where it was published
    if (!relayed) {
        ++counters_.published;
        counters_.published_bytes += m.payload().size();
    }
    if (reported)
        static_cast<receipt&>(reported->report) = result;
    if (!turn_.empty() || reported)
        schedule();
    if (observer_ && !relayed)
        observer_->at_publish(m, result);
    if (!dispatching_ && (!deferred_.empty() || !catchups_.empty() || !reports_.empty()))
        run_deferred();
}

/// What a handler has thrown is just being handled.
PUSHER_DECL void core::call_failed(handler_subscriber& s, const message& m) {
    handler_threw(s.info(), m.topic());
    const bool again = has_ladders_ && s.owner == this && fail_call(s, m);
    if (!reports_.empty())
        note_handler(s, m.sequence(), again ? reporting::fate::parked : reporting::fate::failed);
}

PUSHER_DECL void core::tell(handler_subscriber& s, const gap& g) {
    try {
        s.deliver_gap(g);
    } catch (...) {
        handler_threw(s.info(), g.topic);
    }
}

PUSHER_DECL void core::handler_threw(const subscriber_info& who, std::string_view topic) {
    ++counters_.handler_exceptions;
    if (observer_)
        observer_->at_handler_threw(who, topic, std::current_exception());
}

/// \return for how many it was.
PUSHER_DECL std::size_t core::call_group(group& g, const message& m, const calling& how) {
    // By index, and only those that are there now: handlers subscribe and leave while they are called.
    const auto count = g.handlers.size();
    std::size_t passed = 0; // over
    std::size_t waiting = 0;
    for (std::size_t i = 0; i != count; ++i) {
        const auto& h = g.handlers[i];
        if ((h.special != 0 || how.some) && !is_called(h, m, how)) {
            ++passed;
            continue;
        }
        auto& s = *h.subscriber;
        if (const auto now = s.now()) [[likely]] {
            waiting += try_call(s, now, m) ? 0 : 1;
        } else {
            ++waiting;
            if (!s.catching || !left_to_cursor(s, m))
                call(s, m);
        }
    }
    counters_.delivered += count - passed - waiting;
    return count - passed;
}

/// Whether it is among those who are called.
PUSHER_DECL bool core::is_called(const handler_member& h, const message& m, const calling& how) {
    const auto sequence = m.sequence();
    auto* const s = h.subscriber;
    if (!s || h.born >= sequence || s->last_sequence >= sequence)
        return false;
    if (h.no_echo() && how.publisher != 0 && how.publisher == s->id)
        return false;
    if (how.some)
        s->last_sequence = sequence;
    return true;
}

/// What has to be done when the handlers of a group were called, and it is not the same any more.
PUSHER_DECL void core::leave_calls(group& g) {
    if (g.blanked)
        compact(g);
    if (g.empty())
        release(g);
    const auto gone = std::exchange(left_now_, {}); // what they hold may call the core when it goes
}

/// Whether a subscriber will read a message from its topic's history.
PUSHER_DECL bool core::left_to_cursor(const handler_subscriber& s, const message& m) {
    if (!s.catching->covers(topics_.find(m.topic()), m.sequence()))
        return false;
    if (reporting_)
        note_handler(s, m.sequence(), reporting::fate::cursor);
    return true;
}

PUSHER_DECL std::size_t core::dispatch(
    const message& m, std::uint64_t publisher, std::span<group* const> groups,
    std::span<const subscriber_ptr> subscribers, reporting* to, bool late) {
    // The caller's list is room that the next publish uses again.
    group* const one = groups.size() == 1 ? groups.front() : nullptr;
    std::vector<group*> several;
    if (groups.size() > 1)
        several.assign(groups.begin(), groups.end());
    const auto all = one ? std::span<group* const>(&one, 1) : std::span<group* const>(several);
    // Of several groups, one may have a subscriber that another has too.
    const calling how{publisher, late || to || groups.size() > 1};
    std::size_t matched = 0;
    {
        const scoped_flag dispatching(dispatching_);
        reporting_ = to;
        const scoped_calls calls(*this, all);
        for (auto* const g : all)
            if (g->has_handlers())
                matched += call_group(*g, m, how);
        for (const auto& s : subscribers) {
            if (s->owner != this || s->last_sequence >= m.sequence())
                continue;
            s->last_sequence = m.sequence();
            ++matched;
            auto& h = static_cast<handler_subscriber&>(*s);
            if (m.position() && h.catching && left_to_cursor(h, m))
                continue;
            call(h, m);
        }
    }
    if (to)
        handlers_called(*to, matched);
    return matched;
}

PUSHER_DECL std::size_t core::defer(
    const message& m, std::uint64_t publisher, std::span<group* const> groups,
    std::vector<subscriber_ptr> subscribers, const reporting_ptr& report) {
    std::size_t matched = subscribers.size();
    if (report)
        for (const auto& s : subscribers)
            list_handler(*report, *s);
    boost::unordered_flat_map<const subscriber_base*, bool> seen;
    for (auto* const g : groups) {
        ++g->pins;
        for (const auto& h : g->handlers)
            if (h.subscriber && !(h.no_echo() && publisher == h.subscriber->id) &&
                (groups.size() == 1 || seen.emplace(h.subscriber, true).second)) {
                ++matched;
                if (report)
                    list_handler(*report, *h.subscriber);
            }
    }
    deferred_.push_back({m.pin(), publisher, {groups.begin(), groups.end()}, std::move(subscribers), report});
    if (report) {
        report->sort();
        report->waits_for_handlers = true;
    }
    return matched;
}

PUSHER_DECL void core::run_deferred() {
    while (!deferred_.empty()) {
        const auto d = std::move(deferred_.front());
        deferred_.pop_front();
        dispatch(*d.message, d.publisher, d.groups, d.subscribers, d.report.get(), true);
        unpin(d.groups);
    }
    if (!catchups_.empty() || !reports_.empty())
        schedule();
}

/// Lets go of groups that had to stay; those that nobody needs go. In their order: a type's group comes after
/// its pattern, which it takes along.
PUSHER_DECL void core::unpin(std::span<group* const> groups) {
    for (auto* const g : groups) {
        --g->pins;
        if (g->empty())
            release(*g);
    }
}

PUSHER_DECL receipt core::publish_to(
    std::vector<subscriber_ptr> audience, std::string_view label, std::string_view payload,
    const publish_options& o, std::optional<std::string_view> uid, const id_owner* by,
    const stored_at* stored, report_function* report) {
    const bool in_history = !uid;
    receipt result;
    auto* t = topics_.find(label);
    result.error = check(t, label, payload, o);
    std::optional<id_use> id;
    if (!result.error && recent_ids_.enabled() && !o.id.empty() && !(stored && stored->relayed)) {
        using whom = recent_ids::audience;
        id = id_use{
            recent_ids_.name_of(
                uid ? whom::user : whom::everyone, label, uid.value_or(""), o.id,
                by ? *by : owner_of(o.publisher)),
            params_.steady(), 0};
        if (!stored && repeats(result, *id))
            return result;
    }
    if (!result.error && !stored && dispatching_ && deferred_.size() >= params_.deferred_messages)
        result.error = errc::queue_full;
    if (!result.error && in_history && !t)
        if (const auto keep = history_of(label); keep.enabled()) {
            if (!room_for_state())
                result.error = errc::too_many_topics;
            else
                t = &add_topic(label, keep);
        }
    if (result.error)
        return result;

    result.sequence = ++sequence_;
    auto made = message_access::make();
    auto& m = message_access::fields(made);
    set_fields(m, label, payload, o);
    const auto reported = report ? begin_report(label, *report) : nullptr;
    std::vector<subscriber_ptr> handlers;
    std::vector<subscriber_base*> queues;
    for (auto& s : audience) {
        if (s->what == subscriber_base::kind::queue)
            queues.push_back(s.get());
        else
            handlers.push_back(std::move(s));
    }
    if (t && t->open != topic_state::no_run) {
        close_run(*t);
        if (t->unused()) {
            release(*t);
            t = nullptr;
        }
    }
    const bool kept = in_history && t && t->past();
    auto run_index = topic_state::no_run;
    if (!queues.empty() || kept) {
        auto r = make_run(t ? t->name() : shared_text(label), stored);
        r->set_addressed();
        if (kept) {
            result.position = m.position = topic_position{t->past()->epoch(), t->past()->next_offset()};
            t->past()->open(r);
        } else if (stored && stored->position) {
            result.position = m.position = stored->position;
            r->keep_in_history(stored->position->epoch, stored->position->offset);
        }
        m.receive_time = r->receive_time();
        run_index = turn_.add_run({std::move(r), nullptr, turn::none, 0, {}});
        if (!queues.empty()) {
            const auto dense = turn_.add_slice(run_index, true);
            turn_.run_at(run_index).dense = dense;
            for (const auto* const s : queues)
                turn_.give(s->slot, dense, false);
            result.matched = queues.size();
        }
        if (reported)
            list_audience(*reported, kept ? t : nullptr, queues);
        turn_.run_at(run_index).messages->append(m, o.publisher, o.ttl);
        turn_.logged(run_index, turn::none);
        if (kept)
            appended_to_past(*t);
    }
    if (id)
        id->serial = recent_ids_.remember(id->name, result, id->when);
    if (run_index != topic_state::no_run)
        flush_if_long(run_index);
    if (!handlers.empty()) {
        result.matched += dispatching_ ? defer(made, o.publisher, {}, std::move(handlers), reported)
                                       : dispatch(made, o.publisher, {}, handlers, reported.get(), false);
        if (id)
            recent_ids_.settle(id->serial, result.matched);
    }
    published(result, made, reported.get(), stored);
    return result;
}

PUSHER_DECL receipt core::broadcast(
    std::string_view label, std::string_view payload, const publish_options& o, const id_owner* by,
    const stored_at* stored, report_function* report) {
    std::vector<subscriber_ptr> everyone;
    for (const auto& s : slots_)
        if (s && s->listed)
            everyone.push_back(s);
    return publish_to(std::move(everyone), label, payload, o, {}, by, stored, report);
}

PUSHER_DECL receipt core::push_to(
    std::string_view uid, std::string_view label, std::string_view payload, const publish_options& o,
    report_function* report, const stored_at* stored) {
    std::vector<subscriber_ptr> of_uid;
    for_each_of_uid(uid, [&](subscriber_base& s) {
        if (s.listed)
            of_uid.push_back(&s);
    });
    const bool absent = of_uid.empty();
    const auto result = publish_to(std::move(of_uid), label, payload, o, uid, nullptr, stored, report);
    const bool published = !result.error && !result.repeated;
    if (absent && has_ladders_ && !uid.empty() && published &&
        fail_absent(uid, label, payload, o, result.sequence) && report)
        note_absent(uid, result.sequence);
    return result;
}

} // namespace pusher::inline v0::detail
