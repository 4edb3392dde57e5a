// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/transport/stream_link.hpp>

namespace pusher::inline v0 {

PUSHER_DECL stream_link::stream_link(
    channel_ptr c, std::shared_ptr<services> s, std::shared_ptr<const link_limits> limits)
    : channel_(std::move(c)),
      services_(std::move(s)),
      limits_(std::move(limits)) {
    channel_->set_user(this);
    heard_ = services::now();
    rearm();
}

PUSHER_DECL void stream_link::preface(std::string out, std::string in) {
    if (!in.empty())
        held_ = std::make_unique<std::string>(std::move(in));
    control([&](std::string& to) { to = std::move(out); });
}

PUSHER_DECL std::size_t
stream_link::write(std::span<const char> bytes, std::span<const std::uint32_t>) noexcept {
    if (phase_ != phase::open || (!owner()->mid_frame() && !send_control()))
        return 0;
    return send(bytes);
}

PUSHER_DECL void stream_link::resume() {
    if (phase_ != phase::open || in_feed_)
        return;
    if (held_ || goes_on_ || peer_ended_)
        return go_on_later(); // whoever calls may be in the middle of a request
    unpause();
    channel_->read();
}

PUSHER_DECL void
stream_link::close(const close_reason& reason, std::optional<std::chrono::milliseconds> retry) {
    if (phase_ != phase::open)
        return;
    reason_ = std::make_unique<close_reason>(reason);
    phase_ = phase::closing;
    // The goodbye follows the frame that is under way, if there is one.
    if (auto rest = owner()->take_rest(); !rest.empty()) {
        if (control_)
            rest += *control_;
        control_ = std::make_unique<std::string>(std::move(rest));
    }
    rearm();
    control([&](std::string& out) { say_goodbye(reason, retry, out); });
    held_.reset();
    paused_ = false;
    channel_->read(); // until the peer closes too
}

PUSHER_DECL void stream_link::abort() noexcept {
    phase_ = phase::closed;
    services::cancel(*this);
    channel_->close();
}

PUSHER_DECL std::chrono::milliseconds stream_link::longest_silence() const noexcept {
    return expects_traffic() ? limits_->idle_timeout : std::chrono::milliseconds(0);
}

PUSHER_DECL bool stream_link::give(std::string_view text) {
    if (phase_ != phase::open)
        return true; // thrown away
    const bool more = owner()->at_message(text) && phase_ == phase::open;
    if (!more) {
        paused_ = true;
        return false;
    }
    return count();
}

PUSHER_DECL bool stream_link::count() {
    if (phase_ != phase::open || ++requests_ < limits_->requests_per_turn)
        return true;
    // Others get their turn; this one comes back behind them.
    paused_ = true;
    yielded_ = true;
    return false;
}

PUSHER_DECL void stream_link::end(const close_reason& reason) {
    if (phase_ == phase::open)
        owner()->at_ending();
    close(reason, std::nullopt);
}

PUSHER_DECL void stream_link::finish() {
    if (phase_ == phase::closed)
        return;
    peer_finished_ = true;
    if (control_)
        return;
    phase_ = phase::closed;
    services::cancel(*this);
    channel_->shutdown();
    const auto reason = reason_ ? std::move(*reason_) : close_reason{};
    reason_.reset();
    owner()->at_closed(reason);
}

PUSHER_DECL bool stream_link::at_bytes(std::span<char> bytes) {
    heard_ = services::now();
    if (phase_ == phase::closing && !awaits_goodbye())
        return true;
    if (paused_) { // bytes came with the last read that was under way
        hold(bytes);
        return false;
    }
    requests_ = 0;
    in_feed_ = true;
    const auto used = feed(bytes);
    in_feed_ = false;
    if (phase_ == phase::closed)
        return false;
    if (phase_ == phase::closing)
        return true;
    if (!paused_)
        return true;
    hold(bytes.subspan(used));
    if (yielded_)
        go_on_later();
    yielded_ = false;
    return false;
}

PUSHER_DECL void stream_link::go_on_later() {
    if (goes_on_)
        return;
    goes_on_ = true;
    services_->post([channel = channel_, this] {
        // The channel outlives the link; without a user the link is gone.
        if (channel->has_user(this))
            go_on();
    });
}

PUSHER_DECL void stream_link::go_on() {
    goes_on_ = false;
    if (phase_ != phase::open)
        return;
    unpause();
    if (peer_ended_)
        return wind_up();
    if (const auto held = std::exchange(held_, nullptr); held && !at_bytes(*held))
        return;
    channel_->read();
}

PUSHER_DECL void stream_link::unpause() {
    if (paused_)
        heard_ = services::now();
    paused_ = false;
}

PUSHER_DECL void stream_link::hold(std::span<const char> bytes) {
    if (bytes.empty())
        return;
    if (!held_)
        held_ = std::make_unique<std::string>();
    held_->append(bytes.data(), bytes.size());
}

PUSHER_DECL void stream_link::at_writable() {
    blocked_ = false;
    send_pending();
}

PUSHER_DECL void stream_link::send_pending() {
    if (phase_ == phase::closing) {
        if (send_control() && peer_finished_)
            finish();
        return;
    }
    if (!owner()->mid_frame() && !send_control())
        return;
    owner()->at_writable();
    // What could not go into the middle of a frame, if nothing has followed that frame.
    if (phase_ == phase::open && !blocked_ && !owner()->mid_frame())
        send_control();
    if (peer_ended_)
        wind_up();
}

PUSHER_DECL void stream_link::at_end(error_code ec) {
    if (phase_ == phase::closed)
        return;
    if (phase_ != phase::open || !serves_half_closed() || !channel_->half_closed())
        return over(ec);
    peer_ended_ = true;
    requests_ = 0;
    in_feed_ = true;
    feed_end();
    in_feed_ = false;
    if (yielded_)
        paused_ = yielded_ = false; // nothing follows that others would have to wait for
    wind_up();
}

PUSHER_DECL void stream_link::wind_up() {
    if (phase_ != phase::open || paused_) // what the host has not answered yet is answered first
        return;
    owner()->at_ending();
    if (phase_ != phase::open || blocked_ || control_)
        return;
    if (owner()->owes_answers())
        return;
    if (owner()->caught_up())
        over(errc::peer_closed);
    else
        go_on_later(); // what comes from a history does so turn by turn
}

PUSHER_DECL void stream_link::over(error_code ec) {
    services::cancel(*this);
    const bool closing = phase_ == phase::closing;
    phase_ = phase::closed;
    channel_->close();
    auto reason = reason_ ? std::move(*reason_) : close_reason{};
    if (!closing) {
        if (peer_ended_) // whatever it did not take in the end
            ec = errc::peer_closed;
        reason.error = ec;
        if (ec != errc::peer_closed)
            reason.code = close_code::going_away;
    }
    owner()->at_closed(reason);
}

PUSHER_DECL void stream_link::at_timeout() {
    const auto now = services::now();
    if (phase_ == phase::closing)
        return cut_off();
    if (phase_ != phase::open)
        return;
    if (progress_.stuck(*channel_, blocked_, *limits_))
        return give_up(errc::write_timeout);
    if (listens() && now - heard_ >= limits_->idle_timeout)
        return give_up(errc::idle_timeout);
    if (now - std::max(heard_, beat_) >= heartbeat_interval()) {
        beat_ = now;
        heartbeat();
    }
    if (phase_ == phase::open)
        rearm();
}

PUSHER_DECL void stream_link::give_up(errc why) {
    const auto reason = close_reason::from(why);
    if (blocked_) {
        reason_ = std::make_unique<close_reason>(reason);
        return cut_off();
    }
    end(reason);
}

PUSHER_DECL void stream_link::cut_off() {
    phase_ = phase::closed;
    channel_->close();
    const auto reason = reason_ ? std::move(*reason_) : close_reason{};
    owner()->at_closed(reason);
}

PUSHER_DECL std::chrono::milliseconds stream_link::heartbeat_interval() const noexcept {
    return expects_traffic() ? std::min(limits_->heartbeat, limits_->idle_timeout / 3) : limits_->heartbeat;
}

PUSHER_DECL void stream_link::rearm() {
    if (phase_ == phase::closing)
        return services_->arm(*this, services::now() + limits_->close_timeout);
    auto next = std::max(heard_, beat_) + heartbeat_interval();
    if (listens())
        next = std::min(next, heard_ + limits_->idle_timeout);
    if (blocked_)
        next = std::min(next, progress_.next_look(*limits_));
    else if (progress_.waits())
        next = std::min(next, progress_.deadline(*limits_));
    services_->arm(*this, next);
}

PUSHER_DECL std::size_t stream_link::send(std::span<const char> bytes) noexcept {
    if (blocked_)
        return 0;
    const auto taken = channel_->write(bytes);
    progress_.took(taken);
    if (taken != bytes.size()) {
        blocked_ = true;
        progress_.block(*channel_);
        rearm();
    }
    return taken;
}

PUSHER_DECL bool stream_link::send_control() noexcept {
    if (control_) {
        control_->erase(0, send({control_->data(), control_->size()}));
        if (!control_->empty())
            return false;
        control_.reset();
    } else {
        return true;
    }
    if (phase_ == phase::closing && !awaits_goodbye())
        linger();
    if (phase_ == phase::open)
        more_control();
    return control_ == nullptr;
}

PUSHER_DECL void stream_link::linger() noexcept {
    channel_->shutdown();
    const auto longest = std::chrono::milliseconds(peer_ended_ ? 0 : 500);
    services_->arm(
        *this, services::now() + std::min<std::chrono::milliseconds>(limits_->close_timeout, longest));
}

} // namespace pusher::inline v0
