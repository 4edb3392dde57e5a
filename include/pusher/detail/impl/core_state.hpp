// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/core.hpp>
#include <pusher/detail/stored_state.hpp>

#include <algorithm>
#include <utility>

// What a store keeps besides histories.

namespace pusher::inline v0::detail {

/// How long ago, or from now, something of the wall clock is on the steady one.
PUSHER_DECL steady_time core::steady_of(wall_time t) const {
    return params_.steady() + std::chrono::duration_cast<steady_time::duration>(t - params_.wall());
}
PUSHER_DECL wall_time core::wall_of(steady_time t) const {
    return params_.wall() + std::chrono::duration_cast<wall_time::duration>(t - params_.steady());
}

PUSHER_DECL stored_durable core::stored(const durable_cursor& c) const {
    stored_durable d;
    d.uid = c.of->uid.view();
    d.name = c.of->name.view();
    d.topic = c.topic.view();
    d.type = c.type.view();
    d.epoch = c.epoch;
    d.offset = c.offset;
    d.sent = c.sent;
    if (c.of->holder == 0)
        d.left = wall_of(c.of->left);
    return d;
}

PUSHER_DECL void core::changed(const durable_cursor& c, bool soon) {
    if (!keeper_)
        return;
    const auto d = stored(c);
    keeper_->at_value(d.key(), d.value(), soon);
}

PUSHER_DECL void core::erased(const durable_cursor& c) {
    if (keeper_)
        keeper_->at_value(stored(c).key(), std::nullopt, true);
}

PUSHER_DECL void core::store_failure(
    char kind, std::uint64_t number, const run& r, std::uint32_t index, const addressee& who,
    const failure_state& state, wall_time when) {
    if (!keeper_)
        return;
    stored_failure f;
    f.number = number;
    f.when = when;
    f.why = state.why;
    f.attempts = state.attempts;
    f.uid = who.uid.view();
    f.peer = who.peer.view();
    f.transport = who.transport.view();
    f.durable = who.durable.view();
    f.topic = r.topic().view();
    f.addressed = r.addressed();
    if (r.in_history())
        f.position = topic_position{r.epoch(), r.offset_of(index)};
    std::vector<header> headers;
    const auto m = r.view(index, params_.sequence_epoch, headers);
    stored_message stored;
    stored.order = m.sequence();
    stored.fields = content_of(m);
    stored.ttl = m.ttl();
    record_writer writer(r.receive_time(), stored.order);
    writer.add(stored);
    const auto record = writer.take();
    f.record = record;
    keeper_->at_value(f.key(kind), f.value(), true);
}

PUSHER_DECL void core::forget_failure(char kind, std::uint64_t number) {
    if (!keeper_ || number == 0)
        return;
    stored_failure f;
    f.number = number;
    keeper_->at_value(f.key(kind), std::nullopt, true);
}

/// The sequence that a message had which was kept in an earlier life; 0: the value keeps none.
PUSHER_DECL std::uint64_t core::sequence_of_value(std::string_view key, std::string_view value) {
    stored_failure stored;
    if (key.empty() || (key[0] != state_format::parked_key && key[0] != state_format::dead_key) ||
        value.empty() || static_cast<unsigned char>(value[0]) != state_format::version ||
        !stored.read(key, value))
        return 0;
    record_reader reader(stored.record, 1);
    stored_message m;
    return reader.next(m) ? m.order : 0;
}

/// A value of an earlier life. Histories come first.
PUSHER_DECL error_code core::restore_value(std::string_view key, std::string_view value) {
    if (key.empty())
        return errc::store_corrupt;
    const bool known = key[0] == state_format::durable_key || key[0] == state_format::parked_key ||
                       key[0] == state_format::dead_key;
    if (known && value.empty())
        return errc::store_corrupt;
    if (!known || static_cast<unsigned char>(value[0]) != state_format::version)
        return errc::store_foreign;
    if (key[0] == state_format::durable_key)
        return restore_durable(key, value);
    return restore_failure(key, value);
}

PUSHER_DECL error_code core::restore_durable(std::string_view key, std::string_view value) {
    stored_durable stored;
    if (!stored.read(key, value))
        return errc::store_corrupt;
    auto& entry = durables_[durable_subscriber::key_of(stored.uid, stored.name)];
    if (!entry)
        entry = std::make_unique<durable_subscriber>(stored.uid, stored.name);
    if (entry->find(stored.topic, stored.type))
        return errc::store_corrupt;
    durable_cursor c{entry.get(), shared_text(stored.topic), shared_text(stored.type)};
    c.epoch = stored.epoch;
    c.offset = stored.offset;
    c.sent = stored.sent;
    c.stored = true;
    entry->cursors.push_back(std::make_unique<durable_cursor>(std::move(c)));
    ++durable_cursors_;
    schedule();
    // Whoever had it until the end has left by that.
    const auto left =
        stored.left == wall_time{} ? params_.steady() : std::min(params_.steady(), steady_of(stored.left));
    entry->left = std::max(entry->left, left);
    due_.arm(*entry, entry->left + params_.durable.expiry);
    if (stored.left == wall_time{}) // another crash must not begin anew
        changed(*entry->cursors.back(), false);
    return {};
}

PUSHER_DECL error_code core::restore_failure(std::string_view key, std::string_view value) {
    stored_failure stored;
    if (!stored.read(key, value))
        return errc::store_corrupt;
    record_reader reader(stored.record, 1);
    stored_message m;
    if (!reader.next(m) || reader.error())
        return errc::store_corrupt;
    run_ptr r;
    std::uint32_t index = 0;
    const auto* const t = stored.position ? topics_.find(stored.topic) : nullptr;
    const auto* const past = t ? t->past() : nullptr;
    if (past && past->epoch() == stored.position->epoch && stored.position->offset >= past->first_offset() &&
        stored.position->offset < past->next_offset()) {
        const auto at = past->at(stored.position->offset);
        r = run_ptr(at.messages);
        index = at.index;
    } else {
        r = run_ptr(
            new run(shared_text(stored.topic), reader.received(), steady_of(reader.received()), account_));
        if (stored.position)
            r->keep_in_history(stored.position->epoch, stored.position->offset);
        m.fields.sequence = m.order; // before all that is in histories
        r->append(m.fields, 0, m.ttl);
        if (stored.addressed)
            r->set_addressed();
    }
    const addressee who{
        0, shared_text(stored.uid), shared_text(stored.peer), shared_text(stored.transport),
        shared_text(stored.durable)};
    last_failure_ = std::max(last_failure_, stored.number);
    if (key[0] == state_format::dead_key) {
        dead_letter_bytes_ += r->at(index).size();
        dead_letters_.push_back({stored.number, r, index, who, stored.why, stored.attempts, stored.when});
        return {};
    }
    if (stored.uid.empty())
        return errc::store_corrupt;
    auto p = std::make_unique<parcel>(r, index);
    p->who = who;
    p->state.why = stored.why;
    p->state.attempts = stored.attempts;
    p->parked = true;
    p->until = steady_of(stored.when);
    p->number = stored.number;
    const auto until = p->until;
    keep(std::move(p), until);
    return {};
}

} // namespace pusher::inline v0::detail
