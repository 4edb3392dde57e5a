// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/broker_core.hpp>
#include <pusher/detail/random_bits.hpp>
#include <pusher/detail/relay.hpp>
#include <pusher/detail/require.hpp>

#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <deque>

namespace pusher::inline v0 {

namespace detail {

PUSHER_DECL broker_params checked(broker_params p) {
    using namespace std::chrono_literals;
    constexpr std::size_t gib = 1024UL * 1024 * 1024;
    require(
        p.outbox.messages >= 1 && p.outbox.messages <= 1'000'000,
        "broker_params: outbox.messages is not 1 to 1,000,000");
    require(p.outbox.bytes >= 1 && p.outbox.bytes <= gib, "broker_params: outbox.bytes is not 1 to 1 GiB");
    require(
        p.outbox.reply_bytes >= 1 && p.outbox.reply_bytes <= gib,
        "broker_params: outbox.reply_bytes is not 1 to 1 GiB");
    require(p.history.messages <= 10'000'000, "broker_params: history.messages is over 10,000,000");
    require(p.history.bytes >= 1, "broker_params: history.bytes is 0");
    require(
        p.acknowledgement.window >= 1 && p.acknowledgement.window <= 65'536,
        "broker_params: acknowledgement.window is not 1 to 65,536");
    require(
        p.acknowledgement.timeout >= 10ms && p.acknowledgement.timeout <= 24h,
        "broker_params: acknowledgement.timeout is not 10 ms to 24 h");
    require(p.durable.subscriptions <= 16'000'000, "broker_params: durable.subscriptions is over 16,000,000");
    require(
        p.durable.expiry >= 1s && p.durable.expiry <= 24h * 3653,
        "broker_params: durable.expiry is not 1 s to 10 years");
    require(
        p.parking.messages >= 1 && p.parking.messages <= 1'000'000,
        "broker_params: parking.messages is not 1 to 1,000,000");
    require(p.parking.bytes >= 1 && p.parking.bytes <= gib, "broker_params: parking.bytes is not 1 to 1 GiB");
    require(
        p.parking.users >= 1 && p.parking.users <= 16'000'000,
        "broker_params: parking.users is not 1 to 16,000,000");
    require(
        p.parking.ttl >= 1ms && p.parking.ttl <= max_ttl,
        "broker_params: parking.ttl is not 1 ms to 100 days");
    require(p.dead_letters.messages <= 1'000'000, "broker_params: dead_letters.messages is over 1,000,000");
    require(p.dead_letters.bytes <= gib, "broker_params: dead_letters.bytes is over 1 GiB");
    require(p.idempotency.messages <= 10'000'000, "broker_params: idempotency.messages is over 10,000,000");
    require(
        p.idempotency.age >= 1ms && p.idempotency.age <= 24h,
        "broker_params: idempotency.age is not 1 ms to 24 h");
    for (const auto& policy : p.topic_policies)
        require(is_valid_filter(policy.filter), "broker_params: topic_policies holds an invalid filter");
    require(
        p.authentication_timeout >= 100ms && p.authentication_timeout <= 1h,
        "broker_params: authentication_timeout is not 100 ms to 1 h");
    require(p.sessions >= 1 && p.sessions <= 16'000'000, "broker_params: sessions is not 1 to 16,000,000");
    require(p.topics >= 1, "broker_params: topics is 0");
    require(p.subscriptions >= 1, "broker_params: subscriptions is 0");
    require(
        p.message_bytes >= 1 && p.message_bytes <= gib / 4,
        "broker_params: message_bytes is not 1 to 256 MiB");
    require(p.memory_bytes >= gib / 1024, "broker_params: memory_bytes is under 1 MiB");
    require(p.posted_messages >= 1, "broker_params: posted_messages is 0");
    require(p.posted_bytes >= 1 && p.posted_bytes <= gib, "broker_params: posted_bytes is not 1 to 1 GiB");
    require(p.storing_messages >= 1, "broker_params: storing_messages is 0");
    require(p.storing_bytes >= 1, "broker_params: storing_bytes is 0");
    require(
        p.tolerated_slow_sessions >= 0 && p.tolerated_slow_sessions <= 1,
        "broker_params: tolerated_slow_sessions is not 0 to 1");
    require(
        p.slow_session_patience >= 1ms && p.slow_session_patience <= 1h,
        "broker_params: slow_session_patience is not 1 ms to 1 h");
    require(p.retry_after >= 1ms && p.retry_after <= 24h, "broker_params: retry_after is not 1 ms to 24 h");
    require(p.clock != nullptr, "broker_params: clock is null");
    for (const auto& topic : p.subscribe_on_bind)
        require(is_valid_topic(topic), "broker_params: subscribe_on_bind holds an invalid topic");
    return p;
}

PUSHER_DECL core_params core_params_of(const broker_params& p) {
    core_params c;
    c.history = p.history;
    c.history_for = p.history_for;
    c.topic_policies = p.topic_policies;
    c.acknowledgement = p.acknowledgement;
    c.idempotency = p.idempotency;
    c.on_failure = p.on_failure;
    c.durable = p.durable;
    c.parking = p.parking;
    c.dead_letters = p.dead_letters;
    c.held = p.outbox;
    c.topics = p.topics;
    c.subscriptions = p.subscriptions;
    c.memory_bytes = p.memory_bytes;
    c.message_bytes = p.message_bytes;
    c.run_messages = std::max<std::size_t>(1, p.outbox.messages / 2);
    c.sequence_epoch = random_bits();
    c.hash_seed = random_bits();
    c.wall = p.clock;
    return c;
}

} // namespace detail

PUSHER_DECL broker_core::broker_core(const boost::asio::any_io_executor& executor, broker_params params)
    : params_(detail::checked(std::move(params))),
      services_(std::make_shared<services>(executor)),
      core_(
          detail::core_params_of(params_), [](void* self) { static_cast<broker_core*>(self)->schedule(); },
          this),
      random_(detail::random_bits()),
      patience_(executor),
      drain_timer_(executor),
      inbox_(std::make_shared<inbox>()) {
    inbox_->owner = this;
    core_.observe(params_.observer);
}

PUSHER_DECL broker_core::~broker_core() {
    cancel();
    services::cancel(trims_);
    inbox_->owner = nullptr;
    services_->stop();
    core_.clear();
}

PUSHER_DECL void broker_core::schedule() {
    services_->post([this] { flush(); });
}

PUSHER_DECL void broker_core::flush() {
    core_.flush();
    // Their last replies have been tried by now.
    for (auto ending = std::exchange(closing_, {}); const auto& s : ending)
        close_now(*s);
    check_waiters();
    watch_due(); // by what was sent just now
    watch_trims();
}

PUSHER_DECL void broker_core::watch_due() {
    if (cancelled_)
        return;
    if (const auto due = core_.next_due(); due != detail::steady_time::max())
        services_->arm(due_, due);
    else
        services::cancel(due_);
}

// ---- in process

PUSHER_DECL void broker_core::add(const detail::subscriber_ptr& s) { core_.add(s); }

PUSHER_DECL subscription broker_core::start(
    detail::subscriber_ptr s, std::string_view text, const subscribe_options& options, error_code& ec) {
    core_.add(s);
    const auto result = core_.subscribe(*s, text, options, ec);
    if (ec) {
        core_.remove(*s);
        return {};
    }
    return subscription(std::move(s), result);
}

PUSHER_DECL subscriber broker_core::make_subscriber() {
    auto* const receiver = new detail::receive_subscriber(params_.outbox, get_executor());
    detail::subscriber_ptr s(receiver);
    add(s);
    return subscriber(std::move(s), get_executor(), receiver);
}

// ---- publishing

PUSHER_DECL receipt
broker_core::publish(std::string_view topic, std::string_view payload, const publish_options& options) {
    return staged_ ? publish_then(topic, payload, options, nullptr, false, {})
                   : core_.publish(topic, payload, options);
}

PUSHER_DECL receipt
broker_core::broadcast(std::string_view label, std::string_view payload, const publish_options& options) {
    return staged_ ? publish_then(label, payload, options, nullptr, true, {})
                   : core_.broadcast(label, payload, options);
}

PUSHER_DECL receipt broker_core::push_to(
    std::string_view uid, std::string_view label, std::string_view payload, const publish_options& options) {
    if (opening()) {
        receipt r;
        r.error = errc::unsupported;
        return r;
    }
    if (relay_)
        return relay_->publish(detail::relay::audience::user, uid, label, payload, options, nullptr, {}, {});
    return core_.push_to(uid, label, payload, options);
}

PUSHER_DECL bool
broker_core::post_publish(std::string_view topic, std::string_view payload, const publish_options& options) {
    const auto size = detail::posted_batch::bytes_of(topic, payload, options);
    if (size > params_.posted_bytes)
        return false;
    std::string copy; // of what is large, made before others have to wait
    if (size >= detail::posted_batch::large)
        copy = detail::posted_batch::copy_of(topic, payload, options, size);
    bool wake = false;
    {
        const std::lock_guard lock(inbox_->mutex);
        auto& posted = inbox_->posted;
        if (inbox_->closed || posted.messages() >= params_.posted_messages ||
            posted.bytes() + size > params_.posted_bytes)
            return false;
        posted.add(topic, payload, options, size, std::move(copy));
        wake = !std::exchange(inbox_->scheduled, true);
    }
    if (wake)
        boost::asio::post(get_executor(), [box = inbox_] {
            if (box->owner)
                box->owner->publish_posted();
        });
    return true;
}

PUSHER_DECL void broker_core::publish_posted() {
    auto posted = std::exchange(spare_, {});
    {
        const std::lock_guard lock(inbox_->mutex);
        std::swap(inbox_->posted, posted);
        inbox_->scheduled = false;
    }
    const auto tell = [this](const receipt& r) {
        if (r.error && params_.observer)
            params_.observer->at_error(r.error, "post_publish");
    };
    posted.for_each([&](std::string_view topic, std::string_view payload, const publish_options& o) {
        tell(
            staged_ ? publish_then(topic, payload, o, nullptr, false, tell)
                    : core_.publish(topic, payload, o));
    });
    posted.clear();
    spare_ = std::move(posted);
}

// ---- flow control

PUSHER_DECL bool broker_core::writable() const noexcept {
    const auto tolerated =
        static_cast<std::size_t>(params_.tolerated_slow_sessions * static_cast<double>(session_count_));
    const bool stores = !journal_ || (journal_->waiting_messages() <= params_.storing_messages / 2 &&
                                      journal_->waiting_bytes() <= params_.storing_bytes / 2);
    return !core_.turn_pending() && core_.pressured() <= tolerated && stores &&
           (!relay_ || relay_->writable());
}

PUSHER_DECL void broker_core::check_waiters() {
    if (!writable_waiters_.empty()) {
        if (writable())
            for (auto waiters = std::exchange(writable_waiters_, {}); const auto& w : waiters)
                w->complete({});
        else if (relay_ && !relay_->writable())
            relay_->wait_for_room();
    }
    if (drain_waiter_ && !std::exchange(drain_scheduled_, true))
        services_->post([this] { // once for all who end in this turn, and not from inside one of them
            drain_scheduled_ = false;
            if (drain_waiter_ && !drained_)
                drain_on();
        });
}

/// While publishers wait, sessions that take nothing are found out and not waited for any more.
PUSHER_DECL void broker_core::watch_stalled() {
    if (watching_)
        return;
    watching_ = true;
    core_.forget_progress();
    if (relay_)
        relay_->plane().forget_progress();
    patience_.expires_after(params_.slow_session_patience);
    patience_.async_wait([this, box = inbox_](error_code ec) {
        if (ec || !box->owner)
            return;
        watching_ = false;
        core_.excuse_stalled();
        if (relay_)
            relay_->plane().excuse_stalled();
        check_waiters();
        std::erase_if(writable_waiters_, [](const auto& w) { return w->done(); });
        if (!writable_waiters_.empty())
            watch_stalled();
    });
}

// ---- the broker's life

PUSHER_DECL void broker_core::stop_accepting() {
    if (std::exchange(stopping_, true))
        return;
    {
        const std::lock_guard lock(inbox_->mutex);
        inbox_->closed = true;
    }
    for (const auto& l : listeners_)
        l->stop();
}

PUSHER_DECL void broker_core::cancel() {
    // A drain that is cut off must not take the sessions that end now for drained.
    const auto drain = std::exchange(drain_waiter_, nullptr);
    // Nor must a publisher that waits for slow sessions take their end for its turn.
    const auto writers = std::exchange(writable_waiters_, {});
    end_sessions();
    cancelled_ = true;
    if (journal_)
        journal_->stop();
    if (relay_)
        relay_->leave();
    if (const auto tell = std::exchange(tell_last_stats_, nullptr))
        tell(stats());
    core_.abandon_reports(errc::stopped);
    services::cancel(due_);
    services::cancel(trims_);
    patience_.cancel();
    drain_timer_.cancel();
    for (const auto& w : writers)
        w->complete(errc::stopped);
    if (drain)
        drain->complete(
            cut_off_      ? error_code(boost::asio::error::timed_out)
            : !drained_   ? make_error_code(errc::stopped)
            : not_stored_ ? make_error_code(errc::store_failed)
                          : error_code());
    for (auto waiters = std::exchange(run_waiters_, {}); const auto& w : waiters)
        w->complete({});
    services_->rest();
}

PUSHER_DECL void broker_core::end_sessions() {
    stop_accepting();
    for (const auto& l : listeners_)
        l->abort();
    std::vector<detail::session_ptr> sessions;
    core_.for_each_subscriber([&](detail::subscriber_base& s) {
        if (s.remote)
            sessions.push_back(&static_cast<detail::session&>(s));
        else if (auto* const receiver = dynamic_cast<detail::receive_subscriber*>(&s))
            receiver->end(errc::stopped);
    });
    for (const auto& entry : outside_)
        sessions.push_back(entry.second);
    for (const auto& s : sessions) {
        s->link->abort();
        end(*s, close_reason::from(errc::stopped));
    }
    closing_.clear();
}

/// The time of a drain is over. What the connections have not taken is stored, if it is to be kept for its
/// users; but not for long.
PUSHER_DECL void broker_core::cut_off() {
    cut_off_ = true;
    end_sessions();
    core_.end_waiting();
    if (!journal_ || !journal_->is_open() || (journal_->idle() && !journal_->has_trims()))
        return cancel();
    journal_->trim_now();
    drain_timer_.expires_after(std::chrono::seconds(1));
    drain_timer_.async_wait([this, box = inbox_](error_code ec) {
        if (!ec && box->owner)
            cancel();
    });
}

/// Goes on with a drain: sessions whose outbox is empty say goodbye, and when all are gone it is done.
PUSHER_DECL void broker_core::drain_on() {
    if (relay_ && !relay_->synced())
        return; // what others have published is on its way
    core_.for_each_subscriber([&](detail::subscriber_base& b) {
        if (!b.remote)
            return;
        auto& s = static_cast<detail::session&>(b);
        if (s.caught_up())
            close(s, close_reason::from(errc::stopped));
    });
    std::vector<detail::session_ptr> undecided;
    for (const auto& entry : outside_)
        if (entry.second->state == detail::session::phase::open)
            undecided.push_back(entry.second);
    for (const auto& s : undecided)
        turn_away(*s, close_reason::from(errc::stopped));
    bool idle = session_count_ == 0 && outside_.empty() && (!journal_ || journal_->idle());
    for (const auto& l : listeners_)
        idle = l->drained() && idle;
    if (!idle)
        return;
    core_.end_waiting();
    if (journal_ && journal_->is_open() && journal_->has_trims()) {
        const auto errors = journal_->numbers().errors;
        if (!last_errors_)
            last_errors_ = errors;
        if (errors == *last_errors_)
            return journal_->trim_now(); // and then again
        not_stored_ = true;              // else it would go on for ever
    }
    drained_ = !cut_off_;
    // Not from inside a flush that may have been called by what is destroyed now.
    services_->post([this] { cancel(); });
}

PUSHER_DECL broker_stats broker_core::stats() const {
    const auto& c = core_.counters();
    broker_stats s;
    s.published = c.published;
    s.published_bytes = c.published_bytes;
    s.repeated_publishes = c.repeated;
    s.delivered = c.delivered;
    s.dropped_overflow = c.dropped;
    s.dropped_trimmed = c.dropped_trimmed;
    s.dropped_disconnected = c.dropped_disconnected;
    s.dropped_undeliverable = c.dropped_undeliverable;
    s.dropped_conflated = c.dropped_conflated;
    s.dropped_expired = c.dropped_expired;
    s.dropped_memory = c.dropped_memory;
    s.dropped_failed = c.dropped_failed;
    s.gaps = c.gaps;
    s.redelivered = c.redelivered;
    s.retried = c.retried;
    s.parked = c.parked;
    s.returned = c.returned;
    s.dead_letters = c.dead_letters;
    s.dead_letters_lost = c.dead_letters_lost;
    s.parked_messages = core_.parked();
    s.durable_subscriptions = core_.durable_subscriptions();
    s.dead_letter_messages = core_.dead_letters().size();
    s.memory_bytes = core_.memory();
    s.handler_exceptions = c.handler_exceptions;
    s.turns = c.turns;
    s.sessions = session_count_;
    s.subscriptions = core_.subscriptions();
    s.topics = core_.topics();
    s.filters = core_.filters();
    s.slow_sessions = core_.pressured();
    s.accept_errors = accept_errors_;
    if (relay_) {
        const auto numbers = relay_->numbers();
        s.relayed = relay_->sent();
        s.relay_received = relay_->received();
        s.relay_batches = numbers.batches;
        s.relay_dropped = numbers.dropped;
    }
    if (journal_) {
        s.store_batches = journal_->numbers().batches;
        s.store_errors = journal_->numbers().errors;
        s.storing = journal_->waiting_messages();
    }
    s.transports = transport_stats_;
    s.closed = closed_;
    return s;
}

} // namespace pusher::inline v0
