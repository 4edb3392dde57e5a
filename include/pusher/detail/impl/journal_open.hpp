// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/journal.hpp>

#include <algorithm>
#include <utility>

namespace pusher::inline v0::detail {

/// Of a log: the version of this, and the history's epoch.
PUSHER_DECL std::string journal::meta_of(std::uint64_t epoch) {
    std::string meta(1, '\1');
    record_format::put_eight(meta, epoch);
    return meta;
}

PUSHER_DECL void journal::open(std::unique_ptr<store> from, std::function<void(error_code)> done) {
    state_ = state::opening;
    store_ = std::move(from);
    opening_ = std::make_unique<restoring>(restoring{std::move(done)});
    core_->keep_in(this);
    core_->restoring(true);
    store_->open([this](error_code ec, store_contents contents) {
        opening_->error = ec;
        opening_->contents = std::move(contents);
        opening_->reported = true;
        schedule();
    });
}

PUSHER_DECL void journal::abandon() noexcept {
    close_store();
    opening_.reset();
    core_->keep_in(nullptr);
    core_->forget_restored();
    core_->restoring(false);
    dirty_.clear();
    erased_.clear();
    values_.clear();
    state_ = state::closed;
}

PUSHER_DECL void journal::open_on() {
    auto& o = *opening_;
    if (!std::exchange(o.reported, false))
        return;
    if (o.error)
        return opened(o.error);
    if (o.next_log == 0) // what is in no history comes before what is in one
        for (const auto& [key, value] : o.contents.values)
            o.sequence = std::max(o.sequence, core::sequence_of_value(key, value));
    if (o.topic) {
        if (const auto ec = take_records())
            return opened(ec);
    }
    auto& logs = o.contents.logs;
    while (!o.topic && o.next_log != logs.size())
        if (const auto ec = begin_log(logs[o.next_log++]))
            return opened(ec);
    if (!o.topic)
        return opened({});
    store_->read(
        logs[o.next_log - 1].name, o.next, params_.read_bytes,
        [this](error_code ec, std::vector<store_record> records) {
            opening_->error = ec;
            opening_->records = std::move(records);
            opening_->reported = true;
            schedule();
        });
}

PUSHER_DECL error_code journal::begin_log(const store_log& log) {
    auto& o = *opening_;
    const auto topic = std::string_view(log.name).substr(std::min<std::size_t>(1, log.name.size()));
    if (!log.name.starts_with('h') || !log.meta.starts_with('\1'))
        return errc::store_foreign;
    if (!is_valid_topic(topic) || log.meta.size() != 9 || log.first == 0 || log.first > log.next ||
        log.next > record_format::max_order)
        return errc::store_corrupt;
    const auto epoch = record_format::take_eight(std::string_view(log.meta).substr(1));
    if (epoch == 0 || core_->find_topic(topic))
        return errc::store_corrupt;
    const auto keep = core_->history_of(topic);
    if (!keep.enabled() || !keep.durable || log.next == 1) { // not wanted, or never written to
        erased_.push_back(log.name);
        return {};
    }
    // What its count leaves no room for is not even read.
    const auto from = std::max(log.first, log.next - std::min<std::uint64_t>(log.next - 1, keep.messages));
    auto* const t = core_->restore_topic(topic, keep, epoch, from);
    if (!t)
        return errc::too_many_topics;
    if (from != log.first)
        at_trim(*t);
    if (from == log.next)
        return {};
    o.topic = t;
    o.next = from;
    o.last_order = 0;
    o.first = true;
    return {};
}

PUSHER_DECL error_code journal::take_records() {
    auto& o = *opening_;
    const auto end = o.contents.logs[o.next_log - 1].next;
    const auto records = std::exchange(o.records, {});
    if (records.empty())
        return errc::store_corrupt;
    for (const auto& r : records) {
        // Only the first may begin before what is asked for.
        if (o.next == end || r.first > o.next || o.next - r.first >= r.count ||
            (!o.first && r.first != o.next) || end - r.first < r.count)
            return errc::store_corrupt;
        if (const auto ec = restore(r))
            return ec;
    }
    core_->enforce_memory();
    if (o.next == end)
        o.topic = nullptr;
    return {};
}

PUSHER_DECL error_code journal::restore(const store_record& r) {
    auto& o = *opening_;
    constexpr std::size_t largest = std::size_t{1} << 31; // a run has indices of 32 bits
    if (r.bytes.size() > largest)
        return errc::store_corrupt;
    record_reader reader(r.bytes, r.count);
    if (reader.error())
        return reader.error();
    const auto now = core_->now();
    const auto ago = std::max(wall_time::duration(0), now.received - reader.received());
    const stored_at at{reader.received(), now.born - std::chrono::duration_cast<steady_time::duration>(ago)};
    auto& t = *o.topic;
    const auto run = core_->restore_run(t, at);
    const bool remembers = ago <= core_->remembers_ids_for();
    stored_message m;
    for (auto item = r.first; reader.next(m); ++item) {
        if (m.order <= o.last_order)
            return errc::store_corrupt;
        o.last_order = m.order;
        o.largest_order = std::max(o.largest_order, m.order);
        if (item < o.next)
            continue;
        m.fields.sequence = o.sequence + m.order;
        core_->restore_message(t, *run, m.fields, m.ttl, std::exchange(o.first, false));
        o.next = item + 1;
        if (!remembers || m.fields.id.empty())
            continue;
        using whom = recent_ids::audience;
        const auto name =
            core_->id_name(m.everyone ? whom::everyone : whom::subscribers, t.text(), m.fields.id, m.by);
        receipt what;
        what.sequence = m.fields.sequence;
        what.position = topic_position{t.past()->epoch(), item};
        if (name)
            o.ids.push_back({m.order, *name, what, at.born});
    }
    run->shrink();
    return reader.error();
}

PUSHER_DECL void journal::opened(error_code ec) {
    const auto o = std::exchange(opening_, nullptr);
    if (!ec)
        core_->restored(o->sequence + o->largest_order);
    for (auto v = o->contents.values.begin(); !ec && v != o->contents.values.end(); ++v)
        ec = core_->restore_value(v->first, v->second);
    if (ec) {
        abandon();
        return o->done(ec);
    }
    std::sort(o->ids.begin(), o->ids.end(), [](const auto& a, const auto& b) { return a.order < b.order; });
    for (const auto& id : o->ids)
        core_->restore_id(id.name, id.what, id.when);
    next_order_ = o->largest_order + 1;
    core_->restoring(false);
    state_ = state::open;
    o->done({});
}

} // namespace pusher::inline v0::detail
