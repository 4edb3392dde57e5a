// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/core.hpp>

#include <utility>
#include <vector>

namespace pusher::inline v0::detail {

/// Whether what is published to a topic is stored first.
PUSHER_DECL bool core::kept_in_store(std::string_view topic) {
    if (!keeper_)
        return false;
    if (const auto* const t = topics_.find(topic))
        return t->past() && t->past()->stored.on;
    if (!is_valid_topic(topic))
        return false;
    const auto keep = history_of(topic);
    return keep.enabled() && keep.durable;
}

PUSHER_DECL topic_state* core::enter_topic(
    std::string_view topic, std::string_view payload, const publish_options& o,
    const std::optional<recent_ids::name>& id, receipt& result) {
    auto* t = topics_.find(topic);
    result.error = check(t, topic, payload, o);
    if (!result.error && id && repeats(result, {*id, params_.steady(), 0}))
        return nullptr;
    if (!result.error && !t) {
        if (!room_for_state())
            result.error = errc::too_many_topics;
        else
            t = &add_topic(topic, history_of(topic));
    }
    if (result.error)
        return nullptr;
    ++t->pins;
    return t;
}

PUSHER_DECL void core::leave_topic(topic_state& t) {
    --t.pins;
    release(t);
}

PUSHER_DECL topic_state* core::restore_topic(
    std::string_view name, const history_params& keep, std::uint64_t epoch, std::uint64_t next) {
    if (!room_for_state())
        return nullptr;
    auto& t = topics_.add(name);
    register_group(t);
    t.set_past(std::make_unique<topic_past>(epoch, keep, 0));
    t.past()->restore(next);
    t.past()->stored.on = t.past()->stored.created = true;
    if (keep.age.count() > 0) { // also if nothing is left of it
        t.past()->aging = true;
        aging_.push_back(t.id);
    }
    return &t;
}

PUSHER_DECL run_ptr core::restore_run(topic_state& t, const stored_at& at) {
    auto r = make_run(t.name(), &at);
    t.past()->open(r);
    return r;
}

PUSHER_DECL void
core::restore_message(topic_state& t, run& r, message::fields m, std::chrono::milliseconds ttl, bool first) {
    if (first && t.past()->next_offset() != 1)
        t.past()->restore_trimmed(m.sequence);
    r.append(m, 0, ttl);
    appended_to_past(t);
}

PUSHER_DECL void core::forget_restored() {
    mailboxes_.clear();
    parcels_ = keeps_for_ = 0;
    offers_.clear();
    dead_letters_.clear();
    dead_letter_bytes_ = 0;
    durables_.clear();
    durable_cursors_ = 0;
    last_failure_ = 0;
    std::vector<topic_state*> all;
    topics_.for_each([&](topic_state& t) { all.push_back(&t); });
    aging_.clear();
    for (auto* const t : all) {
        t->set_past(nullptr);
        release(*t);
    }
    sequence_ = 0;
}

} // namespace pusher::inline v0::detail
