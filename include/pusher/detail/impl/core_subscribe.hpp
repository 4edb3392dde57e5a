// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/core.hpp>

#include <algorithm>

namespace pusher::inline v0::detail {

PUSHER_DECL pattern* core::find_pattern(std::string_view text, match_mode match) const noexcept {
    if (match == match_mode::exact)
        return topics_.find(text);
    return filters_.find(text);
}

PUSHER_DECL group*
core::find_group(std::string_view text, std::string_view type, match_mode match) const noexcept {
    auto* const p = find_pattern(text, match);
    if (!p || type.empty())
        return p;
    return p->find_type(type);
}

PUSHER_DECL void core::register_group(group& g) {
    if (free_groups_.empty()) {
        g.id = static_cast<std::uint32_t>(groups_.size());
        groups_.push_back(&g);
    } else {
        g.id = free_groups_.back();
        free_groups_.pop_back();
        groups_[g.id] = &g;
    }
}

/// What the host wants kept. If its hook throws, nothing is.
PUSHER_DECL history_params core::history_of(std::string_view topic) {
    if (interest_ && !interest_->keeps(topic))
        return {};
    if (!params_.history_for)
        return params_.history;
    try {
        return params_.history_for(topic);
    } catch (...) {
        handler_threw({}, topic);
        return {};
    }
}

/// Whether one more topic or filter may have state. Topics whose past is over make room.
PUSHER_DECL bool core::room_for_state() {
    const auto full = [&] { return topics_.size() + filters_.levels() >= params_.topics; };
    if (full())
        forget_expired(64);
    return !full();
}

PUSHER_DECL topic_state& core::add_topic(std::string_view name, const history_params& keep) {
    auto& t = topics_.add(name);
    register_group(t);
    if (keep.enabled()) {
        // Another number for every history that this broker ever has a message in, and (nearly) for those of
        // its other lives.
        const auto epoch =
            text_hash(params_.sequence_epoch)(name) ^ (forgotten_histories_ + 1) * 0x9E3779B97F4A7C15U;
        t.set_past(std::make_unique<topic_past>(epoch == 0 ? 1 : epoch, keep, expired_sequence_));
        t.past()->stored.on = keep.durable && keeper_;
    }
    return t;
}

PUSHER_DECL group& core::make_group(pattern& p, std::string_view type) {
    if (type.empty())
        return p;
    if (auto* const found = p.find_type(type))
        return *found;
    auto added = std::make_unique<typed_group>(p, type);
    auto& g = *added;
    p.add_type(std::move(added), params_.hash_seed);
    register_group(g);
    return g;
}

PUSHER_DECL void core::release(group& g) {
    auto& p = pattern_of(g);
    if (g.what == group::kind::typed && g.empty() && g.pins == 0) {
        groups_[g.id] = nullptr;
        free_groups_.push_back(g.id);
        p.remove_type(static_cast<typed_group&>(g));
    }
    release(p);
}

PUSHER_DECL void core::release(pattern& p) {
    if (p.what == group::kind::topic) {
        auto& t = static_cast<topic_state&>(p);
        if (!t.unused())
            return;
        groups_[t.id] = nullptr;
        free_groups_.push_back(t.id);
        topics_.remove(t);
        return;
    }
    auto& node = static_cast<filter_node&>(p);
    if (!node.no_subscribers() || node.pins != 0)
        return;
    if (node.id != filter_node::unregistered) {
        groups_[node.id] = nullptr;
        free_groups_.push_back(node.id);
        node.id = filter_node::unregistered;
        filters_.lost_subscribers();
    }
    filters_.remove_unused(node);
}

PUSHER_DECL std::optional<std::size_t>
core::find_sub(const subscriber_base& s, const group& g) const noexcept {
    // Whichever list is shorter: a session has few subscriptions, or a topic has few subscribers.
    const auto in_group = s.what == subscriber_base::kind::queue ? g.members.size() : g.handlers.size();
    if (!s.catching && in_group < s.subs.size()) {
        if (s.what == subscriber_base::kind::queue) {
            for (const auto& m : g.members)
                if (m.slot() == s.slot)
                    return m.back;
        } else {
            for (const auto& m : g.handlers)
                if (m.subscriber == &s)
                    return m.back;
        }
        return std::nullopt;
    }
    for (std::size_t i = 0; i != s.subs.size(); ++i)
        if (s.subs[i].group == g.id)
            return i;
    return std::nullopt;
}

PUSHER_DECL void core::close_run(topic_state& t) {
    if (t.open == topic_state::no_run)
        return;
    turn_.run_at(t.open).topic = nullptr;
    t.open = topic_state::no_run;
    --open_runs_;
}

PUSHER_DECL void core::close_runs(const pattern& p) {
    if (p.what == group::kind::topic)
        return close_run(const_cast<topic_state&>(static_cast<const topic_state&>(p)));
    if (open_runs_ == 0)
        return;
    for (auto& r : turn_.runs())
        if (auto* const t = r.topic) {
            close_run(*t);
            release(*t);
        }
}

PUSHER_DECL void core::join(subscriber_base& s, std::size_t sub, bool no_echo) {
    auto& ref = s.subs[sub];
    ref.set_born(sequence_);
    auto& g = *groups_[ref.group];
    const auto back = static_cast<std::uint32_t>(sub);
    close_runs(pattern_of(g));
    if (s.what == subscriber_base::kind::queue) {
        ref.index = static_cast<std::uint32_t>(g.members.size());
        g.members.push_back({s.slot | (no_echo ? member::no_echo_bit : 0), back});
        s.has_no_echo = s.has_no_echo || no_echo;
    } else {
        ref.index = static_cast<std::uint32_t>(g.handlers.size());
        const std::uint8_t special = no_echo ? handler_member::no_echo_bit : 0;
        g.handlers.push_back({static_cast<handler_subscriber*>(&s), sequence_, back, special});
    }
}

PUSHER_DECL void core::leave_group(subscriber_base& s, std::size_t sub) {
    const auto ref = s.subs[sub];
    auto& g = *groups_[ref.group];
    if (ref.index == sub_ref::catching)
        return stop_cursor(s, ref.group);
    close_runs(pattern_of(g));
    if (s.what == subscriber_base::kind::queue) {
        g.members[ref.index] = g.members.back();
        g.members.pop_back();
        if (ref.index != g.members.size()) {
            const auto& moved = g.members[ref.index];
            slots_[moved.slot()]->subs[moved.back].index = ref.index;
        } else if (g.members.empty()) {
            g.members.shrink_to_fit();
        }
        return;
    }
    auto& handlers = g.handlers;
    if (g.dispatching) {
        // The list is being walked: its other entries must stay where they are.
        handlers[ref.index].subscriber = nullptr;
        handlers[ref.index].special = handler_member::left_bit;
        g.blanked = true;
        return;
    }
    handlers[ref.index] = handlers.back();
    handlers.pop_back();
    if (ref.index != handlers.size())
        handlers[ref.index].subscriber->subs[handlers[ref.index].back].index = ref.index;
    else if (handlers.empty())
        handlers.reset();
}

PUSHER_DECL void core::compact(group& g) {
    g.blanked = false;
    auto& handlers = g.handlers;
    std::size_t kept = 0;
    for (const auto& h : handlers)
        if (h.subscriber) {
            h.subscriber->subs[h.back].index = static_cast<std::uint32_t>(kept);
            handlers[kept++] = h;
        }
    handlers.keep(kept);
    if (handlers.empty())
        handlers.reset();
}

PUSHER_DECL void core::unlink(subscriber_base& s, std::size_t sub) {
    const auto ref = s.subs[sub];
    auto& g = *groups_[ref.group];
    leave_group(s, sub);
    set_options(s, s.subs[sub], {}, nullptr);
    if (sub + 1 != s.subs.size()) {
        s.subs[sub] = s.subs.back();
        const auto& moved = s.subs[sub];
        if (moved.index != sub_ref::catching) {
            auto& in = *groups_[moved.group];
            if (s.what == subscriber_base::kind::queue)
                in.members[moved.index].back = static_cast<std::uint32_t>(sub);
            else
                in.handlers[moved.index].back = static_cast<std::uint32_t>(sub);
        }
    }
    s.subs.pop_back();
    --subscriptions_;
    if (auto& p = pattern_of(g); --p.subscriptions == 0 && interest_)
        tell_interest(p, false);
    release(g);
}

PUSHER_DECL void core::end_subscription(subscriber_base& s, std::size_t sub) {
    if (observer_) {
        auto& g = *groups_[s.subs[sub].group];
        observer_->at_unsubscribe(s.info(), text_of(pattern_of(g)), type_of(g));
    }
    unlink(s, sub);
}

PUSHER_DECL std::string_view core::text_of(const pattern& p) {
    if (p.what == group::kind::topic)
        return static_cast<const topic_state&>(p).text();
    auto text = static_cast<const filter_node&>(p).levels();
    text.remove_suffix(1); // the slash behind the last
    return text;
}

PUSHER_DECL void core::tell_interest(const pattern& p, bool begins) {
    using kind = interest_keeper::kind;
    interest_->at_interest(p.what == group::kind::topic ? kind::topic : kind::filter, text_of(p), begins);
}

/// Gives a subscription policies of its own, or takes them away.
PUSHER_DECL void core::set_options(
    subscriber_base& s, const sub_ref& ref, const std::optional<overflow_policy>& overflow,
    const failure_ladder* on_failure) {
    if (!overflow && !on_failure) {
        if (s.has_options)
            options_.erase(options_key(s, ref));
        return;
    }
    options_[options_key(s, ref)] = {
        overflow, on_failure ? *on_failure : failure_ladder(), on_failure != nullptr};
    s.has_options = true;
    has_ladders_ = has_ladders_ || (on_failure && !on_failure->empty());
}

/// From where on a subscription has yet to get its topic's messages; nothing if it is up to the present.
PUSHER_DECL std::optional<std::uint64_t>
core::pending_from(const subscriber_base& s, std::size_t sub, const topic_state& t) const noexcept {
    if (!s.catching)
        return std::nullopt;
    for (const auto& c : s.catching->cursors)
        if (s.subs[sub].index == sub_ref::catching ? c->group == s.subs[sub].group
                                                   : c->topic == &t && c->group == cursor::no_group)
            return c->next;
    return std::nullopt;
}

/// Replaces a subscription's options where it is: nothing that it has a claim to is lost by that.
PUSHER_DECL void core::change(subscriber_base& s, std::size_t sub, const subscribe_options& o) {
    auto& ref = s.subs[sub];
    set_options(s, ref, o.overflow, o.on_failure);
    if (ref.index == sub_ref::catching) {
        for (const auto& c : s.catching->cursors) {
            if (c->group != ref.group)
                continue;
            c->no_echo = !o.echo;
            if (o.acknowledge != (c->sent != nullptr)) {
                c->sent = o.acknowledge ? std::make_unique<in_flight>(*c) : nullptr;
                schedule_catchup(s);
                expect_mail(s);
            }
            if (!o.durable.empty() && !c->durable)
                read_for_durable(*c, o.durable, (c->sent->empty() ? c->next : c->sent->oldest().offset) - 1);
        }
        return;
    }
    auto& g = *groups_[ref.group];
    const bool was = s.what == subscriber_base::kind::queue ? g.members[ref.index].no_echo()
                                                            : g.handlers[ref.index].no_echo();
    if (was == !o.echo)
        return;
    close_runs(pattern_of(g));
    s.has_no_echo = s.has_no_echo || !o.echo;
    if (s.what == subscriber_base::kind::queue)
        g.members[ref.index].slot_and_flag = s.slot | (o.echo ? 0 : member::no_echo_bit);
    else
        g.handlers[ref.index].special = o.echo ? 0 : handler_member::no_echo_bit;
}

/// Whether a subscription may be a durable one.
PUSHER_DECL error_code
core::may_be_durable(const subscriber_base& s, std::string_view text, const subscribe_options& o) const {
    // Its acknowledgements are what it goes on after; and one of several brokers may not be the one that its
    // subscriber comes back to.
    if (!o.acknowledge || interest_)
        return errc::unsupported;
    if (!is_valid_topic(o.durable))
        return errc::invalid_message;
    if (s.uid.empty())
        return errc::not_authenticated;
    const auto* const d = find_durable(s.uid.view(), o.durable);
    if (!(d && d->find(text, o.type)) && durable_cursors_ >= params_.durable.subscriptions)
        return errc::too_many_subscriptions;
    return {};
}

PUSHER_DECL error_code
core::may_subscribe(const subscriber_base& s, std::string_view text, const subscribe_options& o) const {
    const bool exact = o.match == match_mode::exact;
    if (exact ? !is_valid_topic(text) : !is_valid_filter(text))
        return exact ? errc::invalid_topic : errc::invalid_filter;
    if (!is_valid_type(o.type))
        return errc::invalid_type;
    if (restoring_ || (!exact && (o.history != 0 || o.resume || o.acknowledge)) ||
        (o.history != 0 && o.resume) ||
        (o.acknowledge && (s.what == subscriber_base::kind::handler || (o.overflow && drops(*o.overflow)))))
        return errc::unsupported;
    if (interest_ && o.on_failure && parks(*o.on_failure))
        return errc::unsupported;
    return o.durable.empty() ? error_code() : may_be_durable(s, text, o);
}

PUSHER_DECL subscribe_result core::subscribe(
    subscriber_base& s, std::string_view text, const subscribe_options& asked, error_code& ec,
    std::optional<std::uint64_t> resume_after) {
    ec = may_subscribe(s, text, asked);
    if (ec)
        return {};
    auto o = asked;
    const bool exact = o.match == match_mode::exact;
    if (!o.durable.empty())
        if (auto* const d = find_durable(s.uid.view(), o.durable)) {
            take_over(*d, s);
            const auto* const c = d->find(text, o.type);
            if (c && !c->fresh && !(c->reader && c->reader->who == &s) && !o.resume) {
                o.resume = topic_position{c->epoch, c->offset};
                o.history = 0;
            }
        }

    auto* const known = find_pattern(text, o.match);
    auto* const in = known && !o.type.empty() ? static_cast<group*>(known->find_type(o.type)) : known;
    constexpr auto none = static_cast<std::size_t>(-1);
    const auto existing = in ? find_sub(s, *in).value_or(none) : none;
    if (existing == none) {
        if (s.what == subscriber_base::kind::queue && s.subs.size() >= params_.subscriptions)
            ec = errc::too_many_subscriptions;
        else if (!known && !room_for_state())
            ec = errc::too_many_topics;
        if (ec)
            return {};
    }

    pattern* p = known;
    if (!p && exact) {
        p = &add_topic(text, history_of(text));
    } else if (!exact) {
        auto& node = filters_.add(text);
        if (node.id == filter_node::unregistered) {
            register_group(node);
            filters_.gained_subscribers();
        }
        p = &node;
    }
    auto* const topic = exact ? static_cast<topic_state*>(p) : nullptr;
    if (const bool spills = o.overflow == overflow_policy::spill;
        !(topic && topic->past()) && (o.history != 0 || o.resume || o.acknowledge || (exact && spills))) {
        ec = errc::no_history;
        release(*p);
        return {};
    }

    if (existing != none)
        if (auto* const d = durable_of(s, existing); d && d->of->name.view() != o.durable)
            erase_durable(*d); // this replaces it
    const bool replays = topic && topic->past() && (o.history != 0 || o.resume || resume_after);
    // A cursor goes on where it is, whether it is to be acknowledged or not any more.
    const bool reads = existing != none && s.subs[existing].index == sub_ref::catching;
    if (existing != none && !replays && (reads || !o.acknowledge)) {
        change(s, existing, o);
        subscribe_result unchanged;
        if (topic && topic->past())
            unchanged.position = topic_position{topic->past()->epoch(), topic->past()->next_offset() - 1};
        return unchanged;
    }

    auto& g = make_group(*p, o.type);
    if (topic && topic->past())
        trim(*topic); // while whoever is to be told of it still has its cursor
    const auto pending = existing != none ? pending_from(s, existing, *topic) : std::nullopt;
    ++g.pins; // a subscription that replaces itself must not take the group with it
    if (existing != none)
        unlink(s, *find_sub(s, g));
    --g.pins;

    sub_ref ref{g.id, sub_ref::catching, s.next_order++};
    ref.set_born(sequence_);
    set_options(s, ref, o.overflow, o.on_failure);
    s.subs.push_back(ref);
    ++subscriptions_;
    if (++p->subscriptions == 1 && interest_)
        tell_interest(*p, true);
    const auto sub = s.subs.size() - 1;
    forget_resumed(s, text, o.type, asked.resume, resume_after, o.durable);
    expect_mail(s);
    if (observer_ && existing == none)
        observer_->at_subscribe(s.info(), text, o.type);

    subscribe_result result;
    if (!topic || !topic->past()) {
        join(s, sub, !o.echo);
        return result;
    }

    const auto& past = *topic->past();
    result.position = topic_position{past.epoch(), past.next_offset() - 1};
    auto from = past.next_offset();
    bool hold = false; // what is live waits for what comes first
    if (o.resume || resume_after) {
        bool same_life = true;
        std::uint64_t missed = 0;                           // messages that are not there any more
        std::pair<std::uint64_t, std::uint64_t> gone{0, 0}; // offsets of the first and the last of them
        if (o.resume) {
            same_life = o.resume->epoch == past.epoch() && o.resume->offset < past.next_offset();
            if (o.resume->epoch != past.epoch()) {
                from = past.first_offset(); // all of it is new to who comes from another life
            } else if (same_life) {
                from = std::max(o.resume->offset + 1, past.first_offset());
                gone = {o.resume->offset + 1, from - 1};
                missed = from - gone.first;
                missed -= but_for_kept(s, *topic, o, gone); // which moves the ends
            }
        } else {
            hold = true;
            from = past.after_sequence(*resume_after);
            if (past.trimmed_sequence() > *resume_after)
                missed = 1;
        }
        result.recovered = same_life && missed == 0;
        if (missed != 0) {
            // The count is 0 where it is not known how many of them were for this subscription.
            const bool all = o.resume && o.type.empty() && o.echo;
            tell_gap(s, {topic->name(), all ? missed : 0, gone.first, gone.second, 0});
            hold = true;
        }
    }
    const auto owed = pending && !o.resume && !resume_after ? std::min(from, *pending) : from;
    if (o.history != 0)
        from = std::min(from, past.last(o.history, o.type));
    // What it has a claim to and has not read yet is not lost by asking anew; unless it says itself where to
    // go on.
    if (pending && !o.resume && !resume_after)
        from = std::min(from, *pending);
    if (from != past.next_offset() || hold || o.acknowledge) {
        auto c = std::make_unique<cursor>(
            cursor{&s, topic, g.id, !o.echo, from, 0, sequence_, owed, from, shared_text(o.type)});
        if (o.acknowledge)
            c->sent = std::make_unique<in_flight>(*c);
        auto& started = *c;
        start_cursor(std::move(c));
        if (!o.durable.empty())
            read_for_durable(started, o.durable, from - 1);
    } else
        join(s, sub, !o.echo);
    return result;
}

PUSHER_DECL bool
core::unsubscribe(subscriber_base& s, std::string_view text, std::string_view type, match_mode match) {
    auto* const g = find_group(text, type, match);
    if (!g)
        return false;
    const auto sub = find_sub(s, *g);
    if (!sub)
        return false;
    if (auto* const d = durable_of(s, *sub))
        erase_durable(*d);
    end_subscription(s, *sub);
    return true;
}

PUSHER_DECL void core::unsubscribe_all(subscriber_base& s) {
    const auto pinned = stop_cursors(s);
    while (!s.subs.empty())
        end_subscription(s, s.subs.size() - 1);
    unpin(pinned);
    s.subs.shrink_to_fit();
}

PUSHER_DECL bool core::matches(const group& g, std::string_view topic, std::string_view type) const {
    const auto wanted = type_of(g);
    if (!wanted.empty() && wanted != type)
        return false;
    const auto& p = pattern_of(const_cast<group&>(g));
    if (p.what == group::kind::topic)
        return static_cast<const topic_state&>(p).text() == topic;
    return filter_table::matches(static_cast<const filter_node&>(p), topic);
}

PUSHER_DECL bool core::matches_live(
    const subscriber_base& s, std::string_view topic, std::string_view type, std::uint64_t publisher,
    std::uint64_t sequence) const {
    for (const auto& ref : s.subs) {
        if (ref.index == sub_ref::catching || ref.born() >= sequence)
            continue;
        const auto& g = *groups_[ref.group];
        if (!matches(g, topic, type))
            continue;
        const bool no_echo = s.what == subscriber_base::kind::queue ? g.members[ref.index].no_echo()
                                                                    : g.handlers[ref.index].no_echo();
        if (!(no_echo && publisher == s.id))
            return true;
    }
    return false;
}

/// The subscription that a message is for: an exact one before a filter, then the oldest.
PUSHER_DECL const sub_ref*
core::governing(const subscriber_base& s, std::string_view topic, std::string_view type) const {
    const sub_ref* found = nullptr;
    // By the topic's groups, not by the session's subscriptions, which may be many more.
    const auto consider = [&](const group* g) {
        if (!g)
            return;
        const auto sub = find_sub(s, *g);
        if (sub && (!found || s.subs[*sub].order < found->order))
            found = &s.subs[*sub];
    };
    const auto consider_all = [&](const pattern& p) {
        consider(&p);
        consider(p.find_type(type));
    };
    if (const auto* const t = topics_.find(topic))
        consider_all(*t);
    if (!found && !filters_.empty()) {
        std::vector<filter_node*> filters;
        filters_.match(topic, filters);
        for (const auto* const f : filters)
            consider_all(*f);
    }
    return found;
}

PUSHER_DECL overflow_policy core::policy_for(
    const subscriber_base& s, const run& r, std::uint32_t index, overflow_policy otherwise) const {
    const auto topic = r.topic().view();
    if (s.has_options)
        if (const auto* const by = governing(s, topic, r.type_of(index)))
            if (const auto* const own = options_of(s, *by); own && own->overflow)
                return *own->overflow;
    for (const auto& p : params_.topic_policies)
        if (p.overflow && filter_matches(p.filter, topic))
            return *p.overflow;
    return otherwise;
}

} // namespace pusher::inline v0::detail
