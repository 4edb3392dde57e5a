// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/broker_core.hpp>

#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>

namespace pusher::inline v0 {

template <std::invocable<const session_info&> F>
void broker_core::for_each_session(F&& f, std::string_view uid) const {
    auto visit = [&](const detail::subscriber_base& b) {
        if (!b.remote)
            return;
        const auto& s = static_cast<const detail::session&>(b);
        f(session_info{
            s.id, s.uid.view(), s.peer, s.transport(), s.subs.size(), s.box ? s.box->messages() : 0,
            s.box ? s.box->bytes() : 0});
    };
    if (uid.empty())
        core_.for_each_subscriber(visit);
    else
        core_.for_each_of_uid(uid, visit);
}

template <std::invocable<const durable_info&> F>
void broker_core::for_each_durable(F&& f) const {
    core_.for_each_durable([&](const detail::durable_cursor& c) {
        f(durable_info{
            c.of->uid.view(),
            c.of->name.view(),
            c.topic.view(),
            c.type.view(),
            {c.epoch, c.offset},
            c.reader != nullptr});
    });
}

template <std::invocable<const parked_message&> F>
void broker_core::for_each_parked(std::string_view uid, F&& f) const {
    std::vector<header> headers;
    core_.for_each_parcel(uid, [&](const detail::parcel& p) {
        const auto m = p.messages->view(p.index, core_.params().sequence_epoch, headers);
        f(parked_message{
            m, p.who.info(), p.state.why, p.state.attempts, !p.parked, p.out != 0, p.who.durable.view()});
    });
}

template <std::invocable<const dead_letter&> F>
void broker_core::for_each_dead_letter(F&& f) const {
    std::vector<header> headers;
    for (const auto& d : core_.dead_letters()) {
        const auto m = d.messages->view(d.index, core_.params().sequence_epoch, headers);
        f(dead_letter{d.number, m, d.who.info(), d.why, d.attempts, d.when, d.who.durable.view()});
    }
}

template <std::invocable<const subscriber_info&> F>
void broker_core::for_each_subscriber(std::string_view topic, F&& f) const {
    core_.for_each_subscriber_of(topic, [&](const detail::subscriber_base& s) { f(s.info()); });
}

template <class CompletionToken>
auto broker_core::async_publish(
    std::string_view topic, std::string_view payload, const publish_options& options,
    CompletionToken&& token) {
    return boost::asio::async_initiate<CompletionToken, void(error_code, receipt)>(
        [box = inbox_,
         executor = get_executor()](auto handler, std::string_view t, std::string_view p, publish_options o) {
            auto op = detail::handed_over_op<receipt>::start(std::move(handler), executor);
            boost::asio::dispatch(executor, [box, op, t, p, o] {
                if (!op->claim())
                    return;
                if (!box->owner || box->owner->stopping_) {
                    receipt refused;
                    refused.error = errc::stopped;
                    return op->complete(refused.error, refused);
                }
                auto* const owner = box->owner;
                const auto tell = [op](const receipt& r) { op->complete(r.error, r); };
                const auto r = owner->staged_ ? owner->publish_then(t, p, o, nullptr, false, tell)
                                              : owner->core_.publish(t, p, o);
                if (!r.pending)
                    tell(r);
            });
        },
        token, topic, payload, options);
}

template <class CompletionToken>
auto broker_core::async_report(
    const addressed& what, const publish_options& options, CompletionToken&& token) {
    return boost::asio::async_initiate<CompletionToken, void(error_code, delivery_report)>(
        [box = inbox_, executor = get_executor()](auto handler, addressed a, publish_options o) {
            auto op = detail::handed_over_op<delivery_report>::start(std::move(handler), executor);
            boost::asio::dispatch(executor, [box, op, a, o] {
                if (!op->claim())
                    return;
                if (box->owner)
                    return box->owner->publish_reported(a, o, op);
                delivery_report refused;
                refused.error = errc::stopped;
                op->complete(refused.error, refused);
            });
        },
        token, what, options);
}

template <class CompletionToken>
auto broker_core::async_publish_report(
    std::string_view topic, std::string_view payload, const publish_options& options,
    CompletionToken&& token) {
    return async_report(
        {addressed::kind::topic, {}, topic, payload}, options, std::forward<CompletionToken>(token));
}

template <class CompletionToken>
auto broker_core::async_broadcast_report(
    std::string_view label, std::string_view payload, const publish_options& options,
    CompletionToken&& token) {
    return async_report(
        {addressed::kind::everyone, {}, label, payload}, options, std::forward<CompletionToken>(token));
}

template <class CompletionToken>
auto broker_core::async_push_report(
    std::string_view uid, std::string_view label, std::string_view payload, const publish_options& options,
    CompletionToken&& token) {
    return async_report(
        {addressed::kind::user, uid, label, payload}, options, std::forward<CompletionToken>(token));
}

template <class CompletionToken>
auto broker_core::async_open(std::unique_ptr<store> s, CompletionToken&& token) {
    return boost::asio::async_initiate<CompletionToken, void(error_code)>(
        [this](auto handler, std::unique_ptr<store> from) {
            auto op = detail::pending_op<>::start(std::move(handler), get_executor());
            op->on_cancel([box = inbox_, weak = std::weak_ptr(op)](boost::asio::cancellation_type) {
                const auto self = weak.lock();
                if (!self || self->done())
                    return;
                if (box->owner && box->owner->opening())
                    box->owner->journal_->abandon();
                self->complete(boost::asio::error::operation_aborted);
            });
            open_store(std::move(from), op);
        },
        token, std::move(s));
}

template <class CompletionToken>
auto broker_core::async_fetch_history(std::string_view topic, CompletionToken&& token) {
    return boost::asio::async_initiate<CompletionToken, void(error_code)>(
        [this](auto handler, std::string_view name) {
            auto op = detail::pending_op<>::start(std::move(handler), get_executor());
            fetch_histories({std::string(name)}, [op](error_code ec) { op->complete(ec); });
        },
        token, topic);
}

template <std::invocable<broker_core*> F>
void broker_core::post(F f) {
    boost::asio::post(get_executor(), [box = inbox_, f = std::move(f)]() mutable { f(box->owner); });
}

template <class CompletionToken>
auto broker_core::async_wait_writable(CompletionToken&& token) {
    return boost::asio::async_initiate<CompletionToken, void(error_code)>(
        [this](auto handler) {
            auto op = detail::pending_op<>::start(std::move(handler), get_executor());
            if (stopping_)
                return op->complete(errc::stopped);
            if (writable())
                return op->complete({});
            writable_waiters_.push_back(std::move(op));
            watch_stalled();
            check_waiters(); // others may have to be asked for room
        },
        token);
}

template <class CompletionToken>
auto broker_core::async_run(CompletionToken&& token) {
    return boost::asio::async_initiate<CompletionToken, void(error_code)>(
        [this](auto handler) {
            auto op = detail::pending_op<>::start(std::move(handler), get_executor());
            if (stopping_)
                return op->complete({});
            op->on_cancel([box = inbox_, weak = std::weak_ptr(op)](boost::asio::cancellation_type) {
                if (const auto self = weak.lock())
                    self->complete(boost::asio::error::operation_aborted);
                if (box->owner)
                    box->owner->cancel();
            });
            run_waiters_.push_back(std::move(op));
        },
        token);
}

template <class CompletionToken>
auto broker_core::async_drain(std::chrono::milliseconds limit, CompletionToken&& token) {
    return boost::asio::async_initiate<CompletionToken, void(error_code)>(
        [this, limit](auto handler) {
            auto op = detail::pending_op<>::start(std::move(handler), get_executor());
            if (drain_waiter_)
                return op->complete(errc::stopped);
            drain_waiter_ = std::move(op);
            drained_ = cut_off_ = not_stored_ = false;
            last_errors_.reset();
            stop_accepting();
            sync_others();
            drain_timer_.expires_after(std::min<std::chrono::milliseconds>(limit, std::chrono::hours(24)));
            drain_timer_.async_wait([this, box = inbox_](error_code ec) {
                if (!ec && box->owner)
                    cut_off();
            });
            schedule();
        },
        token);
}

} // namespace pusher::inline v0
