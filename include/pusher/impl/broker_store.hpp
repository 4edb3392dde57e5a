// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/broker_core.hpp>
#include <pusher/detail/relay.hpp>

#include <chrono>
#include <memory>
#include <utility>

namespace pusher::inline v0 {

PUSHER_DECL void
broker_core::open_store(std::unique_ptr<store> s, const std::shared_ptr<detail::pending_op<>>& op) {
    if (stopping_)
        return op->complete(errc::stopped);
    const bool first = core_.sequence() == 0 && core_.topics() == 0 && core_.filters() == 0 &&
                       listeners_.empty() && session_count_ == 0 && outside_.empty();
    if (!s || !first || opening() || has_store() || relay_)
        return op->complete(errc::unsupported);
    if (!journal_) {
        detail::journal::params p;
        p.messages = params_.storing_messages;
        p.bytes = params_.storing_bytes;
        journal_ = std::make_unique<detail::journal>(
            core_, p,
            [](void* self) {
                auto* const b = static_cast<broker_core*>(self);
                b->services_->post([b] { b->work_journal(); });
            },
            this);
        journal_->observe(params_.observer);
    }
    staged_ = true;
    journal_->open(std::move(s), [op](error_code ec) { op->complete(ec); });
}

PUSHER_DECL void broker_core::work_journal() {
    journal_->work();
    watch_trims();
    check_waiters();
}

/// The next batch takes along what is to be trimmed. If none comes in a while it goes alone; after a failure
/// not soon.
PUSHER_DECL void broker_core::watch_trims() {
    using namespace std::chrono_literals;
    if (!journal_ || cancelled_ || !journal_->is_open())
        return;
    if (!journal_->has_trims())
        return services::cancel(trims_);
    if (trims_.armed())
        return;
    const auto errors = journal_->numbers().errors;
    const bool failed = std::exchange(failed_batches_, errors) != errors;
    services_->arm(trims_, services::now() + (failed ? 5s : 200ms));
}

PUSHER_DECL bool broker_core::published_later(std::string_view topic) {
    return relay_ ? relay_->elsewhere(topic) : core_.kept_in_store(topic);
}

/// `core::publish` or `broadcast`, unless it is to be stored first, or published by another broker: then the
/// receipt says `pending`, and `done` is called.
PUSHER_DECL receipt broker_core::publish_then(
    std::string_view topic, std::string_view payload, const publish_options& options,
    const detail::id_owner* by, bool everyone, detail::journal::answer done, detail::report_function report) {
    if (opening()) {
        receipt r;
        r.error = errc::unsupported;
        return r;
    }
    if (relay_)
        return relay_->publish(
            everyone ? detail::relay::audience::everyone : detail::relay::audience::topic, {}, topic, payload,
            options, by, std::move(done), std::move(report));
    if (core_.kept_in_store(topic))
        return journal_->publish(topic, payload, options, by, everyone, std::move(done), std::move(report));
    auto* const reports = report ? &report : nullptr;
    return everyone ? core_.broadcast(topic, payload, options, by, nullptr, reports)
                    : core_.publish(topic, payload, options, by, nullptr, reports);
}

} // namespace pusher::inline v0
