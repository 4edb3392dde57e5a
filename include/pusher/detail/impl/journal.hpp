// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/journal.hpp>
#include <pusher/detail/message_content.hpp>

#include <utility>

namespace pusher::inline v0::detail {

PUSHER_DECL receipt journal::publish(
    std::string_view topic, std::string_view payload, const publish_options& o, const id_owner* by,
    bool everyone, answer done, report_function report) {
    receipt result;
    if (state_ != state::open) {
        result.error = errc::stopped;
        return result;
    }
    const auto owner = by ? *by : core_->owner_of(o.publisher);
    using whom = recent_ids::audience;
    // What is too long is not looked for: it is refused.
    const auto id = core_->id_name(
        everyone ? whom::everyone : whom::subscribers, topic, o.id.size() > 255 ? std::string_view() : o.id,
        owner);
    const auto first = id ? ids_.find(*id) : ids_.end();
    const bool repeats = first != ids_.end();
    auto size = topic.size() + payload.size() + o.type.size() + o.key.size() + o.id.size();
    for (const auto& h : o.headers)
        size += h.name.size() + h.value.size();
    topic_state* t = nullptr;
    if (!repeats) {
        t = core_->enter_topic(topic, payload, o, id, result);
        if (!t)
            return result;
    }
    if (waiting_messages_ >= params_.messages ||
        (!repeats && (size > params_.bytes || waiting_bytes_ > params_.bytes - size)))
        result.error = errc::queue_full;
    else if (t && !(t->past() && t->past()->stored.on))
        result.error = errc::unsupported; // the host has changed its mind about the topic
    if (result.error) {
        if (t)
            core_->leave_topic(*t);
        return result;
    }
    result.pending = true;
    ++waiting_messages_;
    if (repeats) {
        result.repeated = true;
        first->second->repeats.push_back(std::move(done));
        return result;
    }
    auto m = content_of(payload, o);
    m.topic = topic;
    m.receive_time = wall_time{}; // that of its batch counts
    auto e = entry_ptr(new entry{
        t, message(m).pin(), o.ttl, o.publisher, owner.what, std::string(owner.uid), everyone, size});
    e->id = id;
    e->done = std::move(done);
    e->report = std::move(report);
    if (id)
        ids_.emplace(*id, e.get());
    waiting_bytes_ += size;
    waiting_.push_back(std::move(e));
    if (!in_flight_ && !working_)
        schedule();
    return result;
}

PUSHER_DECL void journal::work() {
    scheduled_ = false;
    if (working_) // a handler runs the event loop
        return;
    if (core_->dispatching()) // the same, and this was to be called from there
        return schedule();
    working_ = true;
    if (opening_)
        open_on();
    const auto waits = [this] {
        return state_ == state::open && !in_flight_ && (!waiting_.empty() || (trim_now_ && has_trims()));
    };
    if (result_) {
        in_flight_ = false;
        settle(*std::exchange(result_, std::nullopt));
        // Those who were told now may publish in this turn, too: that is for the same batch.
        if (waits())
            schedule();
    } else if (waits()) {
        commit_next();
        if (waits()) // it had nothing to tell the store
            schedule();
    }
    working_ = false;
}

/// Puts the next batch together, and gives it to the store.
PUSHER_DECL void journal::commit_next() {
    struct pending_record {
        topic_state* topic;
        record_writer writer;
        std::uint64_t first;
    };
    std::vector<pending_record> records;
    boost::unordered_flat_map<const topic_state*, std::size_t> record_of;
    store_batch changes;
    for (const auto& log : erased_)
        changes.erase_log(log);
    batch_erased_ = erased_.size();

    const auto now = core_->now();
    batch_received_ = now.received;
    batch_born_ = now.born;
    for (std::size_t bytes = 0;
         !waiting_.empty() && batch_.size() < params_.batch_messages && bytes < params_.batch_bytes;) {
        auto& e = *waiting_.front();
        const auto order = next_order_++;
        const auto [found, added] = record_of.emplace(e.topic, records.size());
        if (added) {
            const auto& past = *e.topic->past();
            if (!past.stored.created)
                changes.create_log(log_of(e.topic->text()), meta_of(past.epoch()));
            records.push_back({e.topic, record_writer(now.received, order), past.next_offset()});
        }
        auto& r = records[found->second];
        stored_message stored;
        stored.order = order;
        stored.fields = content_of(*e.message);
        stored.ttl = e.ttl;
        stored.by = e.by();
        stored.everyone = e.everyone;
        r.writer.add(stored);
        bytes += e.size;
        batch_.push_back(std::move(waiting_.front()));
        waiting_.pop_front();
    }
    for (auto& r : records)
        changes.append(log_of(r.topic->text()), {r.first, r.writer.count(), r.writer.take()});

    for (auto& name : std::exchange(dirty_, {})) {
        const auto* const t = core_->find_topic(name.view());
        if (!t || !t->past() || !std::exchange(t->past()->stored.dirty, false))
            continue; // it was forgotten meanwhile
        changes.trim(log_of(name.view()), t->past()->first_offset());
        batch_trims_.push_back(std::move(name));
    }
    batch_values_ = std::exchange(values_, {});
    batch_value_waiters_ = std::exchange(value_waiters_, {});
    for (const auto& [key, value] : batch_values_)
        if (value)
            changes.put(key, *value);
        else
            changes.erase(key);
    trim_now_ = false;
    if (changes.empty())
        return tell(std::exchange(batch_value_waiters_, {}), {});
    in_flight_ = true;
    store_->commit(std::move(changes), [this](error_code ec) {
        result_ = ec;
        schedule();
    });
}

/// The store has answered: what it keeps is published.
PUSHER_DECL void journal::settle(error_code ec) {
    ++(ec ? counts_.errors : counts_.batches);
    const auto trims = std::exchange(batch_trims_, {});
    auto values = std::exchange(batch_values_, {});
    const auto waiters = std::exchange(batch_value_waiters_, {});
    if (ec) {
        for (auto& [key, value] : values)
            values_.emplace(key, std::move(value)); // unless it has changed since
        if (observer_)
            observer_->at_error(ec, "store");
        for (const auto& name : trims)
            if (const auto* const t = core_->find_topic(name.view());
                t && t->past() && t->past()->stored.created)
                at_trim(const_cast<topic_state&>(*t));
        for (const auto batch = std::exchange(batch_, {}); const auto& e : batch)
            give_up(*e, ec);
        return tell(waiters, ec);
    }
    erased_.erase(erased_.begin(), erased_.begin() + static_cast<std::ptrdiff_t>(batch_erased_));
    for (const auto& e : batch_)
        e->topic->past()->stored.created = true;
    const auto batch = std::exchange(batch_, {});
    tell(waiters, {}); // who asked for a subscription before it published gets that
    for (const auto& e : batch)
        publish(*e);
}

PUSHER_DECL void journal::tell(const value_waiters& all, error_code ec) {
    for (const auto& done : all)
        done(ec);
}

PUSHER_DECL void journal::publish(entry& e) {
    const auto& m = *e.message;
    const stored_at at{batch_received_, batch_born_};
    const auto by = e.by();
    const publish_options o{m.type(), m.key(), m.id(), m.headers(), e.ttl, e.publisher};
    // Remembered by the core from here on, before handlers are called.
    if (e.id)
        ids_.erase(*e.id);
    auto* const report = e.report ? &e.report : nullptr;
    const auto r = e.everyone ? core_->broadcast(m.topic(), m.payload(), o, &by, &at, report)
                              : core_->publish(m.topic(), m.payload(), o, &by, &at, report);
    core_->leave_topic(*e.topic);
    answer_all(e, r);
}

PUSHER_DECL void journal::give_up(entry& e, error_code ec) {
    if (e.id)
        ids_.erase(*e.id);
    core_->leave_topic(*e.topic);
    receipt r;
    r.error = ec;
    answer_all(e, r);
}

PUSHER_DECL void journal::answer_all(entry& e, const receipt& r) {
    waiting_messages_ -= 1 + e.repeats.size();
    waiting_bytes_ -= e.size;
    if (e.done)
        e.done(r);
    auto again = r;
    again.repeated = !r.error;
    for (const auto& done : e.repeats) {
        if (again.repeated)
            core_->count_repeat();
        if (done)
            done(again);
    }
}

PUSHER_DECL void journal::at_trim(topic_state& t) {
    if (!std::exchange(t.past()->stored.dirty, true))
        dirty_.push_back(t.name());
}

PUSHER_DECL void journal::at_value(std::string key, std::optional<std::string> value, bool soon) {
    if (state_ == state::stopped)
        return;
    values_.insert_or_assign(std::move(key), std::move(value));
    if (!soon || state_ != state::open)
        return;
    trim_now_ = true;
    if (!in_flight_ && !working_)
        schedule();
}

PUSHER_DECL void journal::at_forget(const topic_state& t) {
    if (t.past()->stored.created)
        erased_.push_back(log_of(t.text()));
}

PUSHER_DECL void journal::stop() {
    if (state_ == state::stopped)
        return;
    state_ = state::stopped;
    close_store();
    core_->restoring(false);
    if (const auto o = std::exchange(opening_, nullptr))
        o->done(errc::stopped);
    in_flight_ = false;
    result_.reset();
    for (const auto batch = std::exchange(batch_, {}); const auto& e : batch)
        give_up(*e, errc::stopped);
    for (const auto left = std::exchange(waiting_, {}); const auto& e : left)
        give_up(*e, errc::stopped);
    tell(std::exchange(batch_value_waiters_, {}), errc::stopped);
    tell(std::exchange(value_waiters_, {}), errc::stopped);
}

PUSHER_DECL void journal::close_store() noexcept {
    if (store_)
        store_->close();
    store_.reset();
}

} // namespace pusher::inline v0::detail
