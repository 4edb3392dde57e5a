// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/core.hpp>

#include <algorithm>
#include <utility>

namespace pusher::inline v0::detail {

PUSHER_DECL topic_state* core::hold_topic(std::string_view topic) {
    auto* t = topics_.find(topic);
    if (!t) {
        if (!room_for_state())
            return nullptr;
        t = &add_topic(topic, history_of(topic));
    }
    ++t->pins;
    return t;
}

PUSHER_DECL replica core::begin_replica(
    std::string_view topic, const history_params& keep, std::uint64_t epoch, std::uint64_t first) const {
    // Of what is not there any more nobody knows the sequences that it would have here.
    replica r{shared_text(topic), std::make_unique<topic_past>(epoch, keep, first > 1 ? sequence_ : 0)};
    r.past->restore(first);
    return r;
}

PUSHER_DECL void
core::add_to(replica& r, message::fields m, const stored_at& at, std::chrono::milliseconds ttl) {
    m.sequence =
        ++sequence_; // in the order of this broker it is from before all that it publishes from now on
    m.sequence_epoch = params_.sequence_epoch;
    if (!r.last || r.last->receive_time() != at.received || r.last->size() >= params_.run_messages ||
        r.last->bytes() >= params_.run_bytes) {
        r.last = make_run(r.topic, &at);
        r.past->open(r.last);
    }
    r.last->append(m, 0, ttl);
    r.past->appended();
}

PUSHER_DECL bool core::install(replica r) {
    auto* t = topics_.find(r.topic.view());
    if (!t) {
        if (!room_for_state())
            return false;
        t = &add_topic(r.topic.view(), {});
    }
    close_run(*t); // which is in no history
    if (const auto old = t->set_past(std::move(r.past))) {
        t->past()->cursors = std::move(old->cursors);
        t->past()->aging = old->aging;
    }
    if (t->past()->params().age.count() > 0 && !t->past()->aging) {
        t->past()->aging = true;
        aging_.push_back(t->id);
    }
    trim(*t);
    return true;
}

PUSHER_DECL bool core::drop_replica(std::string_view topic) {
    auto* const t = topics_.find(topic);
    if (!t || !t->past())
        return true;
    if (!t->no_subscribers() || t->pins != 0 || t->cursors())
        return false;
    close_run(*t);
    if (t->past()->aging) {
        *std::find(aging_.begin(), aging_.end(), t->id) = aging_.back();
        aging_.pop_back();
    }
    t->set_past(nullptr);
    release(*t);
    return true;
}

PUSHER_DECL void
core::lose_relayed(std::string_view topic, std::uint64_t count, std::uint64_t first, std::uint64_t last) {
    end_turn(); // they came after what is being written
    auto* const t = topics_.find(topic);
    if (t && t->past() && last != 0 && t->past()->next_offset() <= last) {
        // A history has no holes: it begins anew behind them.
        close_run(*t);
        while (t->past()->messages() != 0)
            pop_oldest(*t);
        t->past()->release_last();
        if (t->cursors())
            for (auto* const c : *t->cursors())
                c->skip_to(last + 1);
        t->past()->restore(last + 1);
    }
    std::vector<subscriber_ptr> all;
    for_each_subscriber_of(topic, [&](subscriber_base& s) { all.push_back(&s); });
    for (const auto& s : all)
        tell_gap(*s, {shared_text(topic), count, first, last, 0});
}

PUSHER_DECL void
core::lose_addressed(std::string_view uid, std::string_view label, std::uint64_t count, bool others) {
    end_turn();
    next_stamp();
    if (others)
        for_each_subscriber_of(label, [&](const subscriber_base& s) { stamps_[s.slot] = stamp_; });
    std::vector<subscriber_ptr> all;
    for (const auto& s : slots_)
        if (s && s->listed && (uid.empty() || s->uid.view() == uid) && stamps_[s->slot] != stamp_)
            all.push_back(s);
    for (const auto& s : all)
        tell_gap(*s, {shared_text(label), count, 0, 0, 0});
}

} // namespace pusher::inline v0::detail
