// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/client/engine.hpp>
#include <pusher/client/websocket_framing.hpp>

#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <utility>

namespace pusher::inline v0::detail {

PUSHER_DECL client_engine::client_engine(
    const boost::asio::any_io_executor& executor, client_params p, client_environment e)
    : params_(std::move(p)),
      url_(params_.check()),
      services_(std::make_shared<services>(executor)),
      clock_(e.clock ? std::move(e.clock) : std::make_shared<steady_client_clock>(executor)),
      connector_(
          e.connector ? std::move(e.connector)
                      : std::make_shared<socket_connector>(services_, params_.secure)),
      backoff_(params_.backoff_min, params_.backoff_max, params_.backoff_jitter),
      inbox_(params_.inbox_messages, params_.inbox_bytes) {}

// ---- the beginning

PUSHER_DECL void client_engine::run(std::shared_ptr<client_run_op> op) {
    if (closed_)
        return op->complete(errc::closed);
    if (run_)
        return op->complete(client_errc::already_running);
    run_ = std::move(op);
    attempt();
}

PUSHER_DECL void client_engine::attempt() {
    held_back_ = false;
    phase_ = phase::connecting;
    phase_deadline_ = clock_->now() + params_.connect_timeout;
    arm(phase_deadline_);
    connector_->connect(url_, attempts_++, [weak = weak_from_this()](error_code ec, channel_ptr c) {
        if (const auto self = weak.lock())
            self->dialled(ec, std::move(c));
        else if (c)
            c->close();
    });
}

PUSHER_DECL void client_engine::dialled(error_code ec, channel_ptr c) {
    if (phase_ != phase::connecting || connection_) {
        if (c)
            c->close();
        return;
    }
    if (ec) {
        client_end end;
        end.error = ec;
        end.reason = ec.message();
        return broken(std::move(end));
    }
    std::unique_ptr<client_framing> framing;
    if (url_.what == client_url::kind::websocket)
        framing = std::make_unique<client_websocket_framing>(
            url_, params_.headers, random_, params_.message_bytes, params_.deflate);
    else
        framing = std::make_unique<client_line_framing>(params_.message_bytes);
    client_connection_user& self = *this;
    connection_ = std::make_shared<client_connection>(std::move(c), std::move(framing), self);
    heard_ = said_ = clock_->now();
    const auto keep = connection_;
    keep->start();
}

/// Both are sent at once: the hub answers in order.
PUSHER_DECL void client_engine::at_connected() {
    phase_ = phase::greeting;
    native_request hello;
    hello.action = native_action::hello;
    send_now(make(client_request::kind::hello), hello);
    if (!params_.token.empty()) {
        native_request auth;
        auth.action = native_action::auth;
        auth.token = params_.token;
        send_now(make(client_request::kind::auth), auth);
    }
    // `client_connection::start` flushes what is taken now; after an HTTP handshake nobody else does.
    schedule();
}

PUSHER_DECL void client_engine::opened() {
    phase_ = phase::open;
    phase_deadline_ = time_point::max();
    open_since_ = pinged_ = clock_->now();
    asked_.reset();
    inbox_.add(client_connected{session_, std::exchange(was_open_, true)});
    // They go before what the user has asked for meanwhile.
    auto later = std::exchange(unsent_, {});
    subscriptions_.restore([this](client_subscription& s) { restore(s, false); });
    for (auto& r : later)
        unsent_.push_back(std::move(r));
    hand_over();
    rearm();
    schedule();
}

// ---- the end

/// Ends the connection from this side.
PUSHER_DECL void client_engine::lose(client_end end) {
    if (connection_)
        connection_->close(end.answer);
    broken(std::move(end));
}

PUSHER_DECL void client_engine::broken(client_end end) {
    const auto gone = std::exchange(connection_, nullptr);
    const bool was_open = phase_ == phase::open;
    if (phase_ == phase::closing) {
        phase_ = phase::idle;
        return end_run({});
    }
    settle(true, {});
    client_disconnected event{end.error, end.code, std::move(end.reason), {}};
    // Whoever is sent away before anything else was said is not wanted, and will not be the next time.
    const bool unwanted = !was_open && end.code == static_cast<std::uint16_t>(close_code::policy);
    if (unwanted) {
        event.error = errc::refused;
        end.final = true;
    }
    if (end.final)
        return stop(event.error, std::move(event));

    const auto now = clock_->now();
    if (was_open && now - open_since_ >= params_.backoff_max)
        backoff_.reset();
    auto delay = backoff_.next(random_.next());
    if (end.retry)
        delay = std::max(delay, std::min(*end.retry, params_.longest_retry_hint));
    event.retry_in = delay;
    phase_ = phase::waiting;
    phase_deadline_ = now + delay;
    inbox_.add(std::move(event));
    hand_over();
    rearm();
}

/// Ends `async_run`; it may be called again.
PUSHER_DECL void client_engine::stop(error_code run_result, client_disconnected why) {
    connector_->cancel();
    if (const auto gone = std::exchange(connection_, nullptr))
        gone->close(static_cast<std::uint16_t>(close_code::normal));
    settle(true, {});
    inbox_.add(std::move(why));
    hand_over();
    phase_ = phase::idle;
    backoff_.reset();
    attempts_ = 0;
    end_run(run_result);
}

PUSHER_DECL void client_engine::end_run(error_code ec) {
    phase_deadline_ = time_point::max();
    held_back_ = false;
    if (const auto op = std::exchange(run_, nullptr))
        op->complete(ec);
    rearm();
}

PUSHER_DECL void client_engine::cancel_run(const client_run_op& op) {
    if (run_.get() != &op || shut_)
        return;
    if (phase_ == phase::closing) {
        if (const auto gone = std::exchange(connection_, nullptr))
            gone->close(0);
        phase_ = phase::idle;
        return end_run(boost::asio::error::operation_aborted);
    }
    const error_code aborted = boost::asio::error::operation_aborted;
    stop(aborted, {aborted, 0, {}, {}});
}

PUSHER_DECL void client_engine::close() {
    if (closed_)
        return;
    closed_ = true;
    settle(false, errc::closed);
    hand_over();
    if (phase_ == phase::idle)
        return rearm();
    if (!connection_) {
        connector_->cancel();
        phase_ = phase::idle;
        return end_run({});
    }
    phase_ = phase::closing;
    phase_deadline_ = clock_->now() + params_.close_timeout;
    rearm();
    const auto keep = connection_;
    keep->end(static_cast<std::uint16_t>(close_code::normal));
}

PUSHER_DECL void client_engine::shut() noexcept {
    shut_ = closed_ = true;
    connector_->cancel();
    clock_->cancel();
    if (const auto gone = std::exchange(connection_, nullptr))
        gone->close(static_cast<std::uint16_t>(close_code::normal));
    phase_ = phase::idle;
    settle(false, errc::closed);
    if (const auto op = std::exchange(run_, nullptr))
        op->complete(errc::closed);
    if (const auto op = std::exchange(receiver_, nullptr))
        op->complete(errc::closed, {});
    services_->stop();
}

// ---- time

PUSHER_DECL void client_engine::tick() {
    armed_ = time_point::max();
    const auto now = clock_->now();
    if (now >= phase_deadline_) {
        phase_deadline_ = time_point::max();
        switch (phase_) {
        case phase::waiting:
            held_back_ = inbox_.crowded();
            if (!held_back_)
                attempt();
            break;
        case phase::connecting:
        case phase::greeting:
            if (connection_ && connection_->paused()) { // it waits for the user, not for the hub
                phase_deadline_ = now + params_.connect_timeout;
                break;
            }
            connector_->cancel();
            {
                client_end end;
                end.error = errc::handshake_timeout;
                end.reason = end.error.message();
                lose(std::move(end));
            }
            break;
        case phase::closing:
            if (const auto gone = std::exchange(connection_, nullptr))
                gone->close(0);
            phase_ = phase::idle;
            end_run({});
            break;
        default: break;
        }
    }
    expire(now);
    if (phase_ == phase::open)
        watch(now);
    rearm();
}

/// Ends what has waited too long.
PUSHER_DECL void client_engine::expire(time_point now) {
    for (auto& r : unsent_)
        if (r.unsubscribe && r.deadline <= now) { // it is sent all the same
            r.complete(client_errc::no_answer);
            r.deadline = time_point::max();
        }
    take_out(
        unsent_, [now](const client_request& r) { return r.deadline <= now || r.abandoned(); },
        [this](client_request& r) {
            r.complete(client_errc::not_sent);
            forget(r);
        });
    bool silent = false;
    for (auto& r : sent_) {
        if (r.deadline > now)
            continue;
        if (r.of_user()) {
            r.complete(client_errc::no_answer);
            r.deadline = time_point::max();
        } else if (connection_ && connection_->paused()) {
            r.deadline = now + params_.request_timeout; // it waits for the user, not for the hub
        } else {
            silent = true;
        }
    }
    if (!silent)
        return;
    client_end end;
    end.error = client_errc::no_answer;
    end.reason = "a subscription was not answered on the new connection";
    lose(std::move(end));
}

PUSHER_DECL client_engine::milliseconds client_engine::ping_interval() const noexcept {
    auto interval = params_.ping_interval;
    if (heartbeat_.count() > 0)
        interval = std::min(interval, heartbeat_ / 3);
    return std::max(interval, milliseconds(1));
}

/// Keeps the hub from thinking that this side is gone, and finds out whether the hub is.
PUSHER_DECL void client_engine::watch(time_point now) {
    if (connection_->paused()) {
        asked_.reset();
    } else if (asked_ && now >= *asked_ + params_.request_timeout) {
        client_end end;
        end.error = errc::idle_timeout;
        end.reason = "nothing was heard from the hub";
        return lose(std::move(end));
    }
    if (now < std::max(std::min(heard_, said_), pinged_) + ping_interval())
        return;
    pinged_ = said_ = now;
    if (!asked_ && !connection_->paused())
        asked_ = now;
    const auto keep = connection_;
    if (keep->has_room())
        keep->ping();
    keep->flush();
}

PUSHER_DECL void client_engine::at_heard() {
    heard_ = clock_->now();
    asked_.reset();
}

PUSHER_DECL void client_engine::arm(time_point when) {
    if (shut_ || when >= armed_)
        return;
    armed_ = when;
    clock_->wait(when, [weak = weak_from_this()] {
        if (const auto self = weak.lock(); self && !self->shut_)
            self->tick();
    });
}

/// Arms for the earliest of all deadlines; without one nothing is kept waiting.
PUSHER_DECL void client_engine::rearm() {
    auto next = phase_deadline_;
    for (const auto* queue : {&unsent_, &sent_})
        for (const auto& r : *queue)
            next = std::min(next, r.deadline);
    if (phase_ == phase::open) {
        next = std::min(next, std::max(std::min(heard_, said_), pinged_) + ping_interval());
        if (asked_)
            next = std::min(next, *asked_ + params_.request_timeout);
    }
    if (next == time_point::max()) {
        if (armed_ != time_point::max())
            clock_->cancel();
        armed_ = time_point::max();
        return;
    }
    arm(next);
}

// ---- turns

/// What this turn of the event loop brings is sent together.
PUSHER_DECL void client_engine::schedule() {
    if (std::exchange(scheduled_, true))
        return;
    boost::asio::post(executor(), [weak = weak_from_this()] {
        if (const auto self = weak.lock(); self && !self->shut_)
            self->turn();
    });
}

PUSHER_DECL void client_engine::turn() {
    scheduled_ = false;
    if (held_back_ && !inbox_.crowded())
        attempt();
    if (connection_ && connection_->paused() && inbox_.low()) {
        const auto keep = connection_;
        heard_ = clock_->now(); // silence counts from here
        keep->resume();
    }
    if (const auto keep = connection_) {
        keep->flush();
        pump();
    }
}

PUSHER_DECL void client_engine::hand_over() {
    if (receiver_ && receiver_->done()) // cancelled; what is queued stays for the next
        receiver_.reset();
    if (receiver_ && !inbox_.empty()) {
        auto event = inbox_.take();
        if (const auto* const m = std::get_if<pinned_message>(&event))
            received_ = *m;
        std::exchange(receiver_, nullptr)->complete({}, std::move(event));
    }
    if (receiver_ && closed_)
        std::exchange(receiver_, nullptr)->complete(errc::closed, {});
    if ((held_back_ && !inbox_.crowded()) || (connection_ && connection_->paused() && inbox_.low()))
        schedule();
}

PUSHER_DECL void client_engine::receive(std::shared_ptr<client_receive_op> op) {
    if (receiver_ && !receiver_->done())
        return op->complete(errc::receive_pending, {});
    receiver_ = std::move(op);
    handled();
    hand_over();
}

PUSHER_DECL void client_engine::set_token(std::string token) {
    auto checked = params_;
    checked.token = std::move(token);
    static_cast<void>(checked.check());
    params_.token = std::move(checked.token);
}

} // namespace pusher::inline v0::detail
