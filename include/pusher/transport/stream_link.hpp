// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/transport/channel.hpp>
#include <pusher/transport/link.hpp>
#include <pusher/transport/link_limits.hpp>
#include <pusher/transport/services.hpp>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace pusher::inline v0 {

/// What all links over a channel have in common: the lane of control frames, the pace at which requests are
/// read, the timeouts, and an end in good order.
///
/// A kind of link says what it reads (`feed`), what it sends when it is time for a heartbeat, and its
/// goodbye.
class stream_link : public link, protected channel_user, protected timeout {
public:
    stream_link(channel_ptr c, std::shared_ptr<services> s, std::shared_ptr<const link_limits> limits)
        : channel_(std::move(c)),
          services_(std::move(s)),
          limits_(std::move(limits)) {
        channel_->set_user(this);
        heard_ = progress_ = services::now();
        rearm();
    }

    ~stream_link() override { channel_->close(); }

    /// Bytes that go out before anything else, such as the answer to a handshake, and bytes that were read
    /// along with the request for it.
    void preface(std::string out, std::string in) {
        if (!in.empty())
            held_ = std::make_unique<std::string>(std::move(in));
        control([&](std::string& to) { to = std::move(out); });
    }

    std::size_t write(std::span<const char> bytes, std::span<const std::uint32_t>) noexcept override {
        if (phase_ != phase::open || (!owner()->mid_frame() && !send_control()))
            return 0;
        return send(bytes);
    }

    void resume() override {
        if (phase_ != phase::open || in_feed_)
            return;
        if (held_ || goes_on_)
            return go_on_later(); // whoever calls may be in the middle of a request
        unpause();
        channel_->read();
    }

    void close(const close_reason& reason, std::optional<std::chrono::milliseconds> retry) override {
        if (phase_ != phase::open)
            return;
        reason_ = std::make_unique<close_reason>(reason);
        phase_ = phase::closing;
        progress_ = services::now();
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

    void abort() noexcept override {
        phase_ = phase::closed;
        services::cancel(*this);
        channel_->close();
    }

    [[nodiscard]] std::string peer() const override { return channel_->peer(); }
    [[nodiscard]] std::size_t request_limit() const noexcept override { return limits_->request_bytes; }
    [[nodiscard]] std::chrono::milliseconds longest_silence() const noexcept override {
        return expects_traffic() ? limits_->idle_timeout : std::chrono::milliseconds(0);
    }

protected:
    enum class phase : std::uint8_t {
        open,
        closing, ///< the goodbye is on its way; what the peer still sends is thrown away
        closed
    };

    /// Reads what the peer sent. \return how many bytes were used; all, unless reading has to pause.
    virtual std::size_t feed(std::span<char> bytes) = 0;

    /// Appends the goodbye.
    virtual void say_goodbye(
        const close_reason& reason, std::optional<std::chrono::milliseconds> retry, std::string& out) = 0;

    /// The lane of control frames has become empty: what could not be put there may follow.
    virtual void more_control() {}

    /// A heartbeat is due: the peer (or, for SSE, this side) was silent for that long.
    virtual void heartbeat() {}

    /// Whether silence of the peer ends the session.
    [[nodiscard]] virtual bool expects_traffic() const noexcept { return true; }

    /// Whether the connection ends as soon as the goodbye is sent, or the peer answers it first.
    [[nodiscard]] virtual bool awaits_goodbye() const noexcept { return false; }

    /// Gives one message up. \return whether another may follow.
    bool give(std::string_view text) {
        if (phase_ != phase::open)
            return true; // thrown away
        const bool more = owner()->at_message(text) && phase_ == phase::open;
        if (!more) {
            paused_ = true;
            return false;
        }
        return count();
    }

    /// Counts something that the peer sent and that costs little, but not nothing. \return whether another
    /// may follow.
    bool count() {
        if (phase_ != phase::open || ++requests_ < limits_->requests_per_turn)
            return true;
        // Others get their turn; this one comes back behind them.
        paused_ = true;
        yielded_ = true;
        return false;
    }

    /// Whether a control frame waits; then another of the same kind must not be added.
    [[nodiscard]] bool control_waits() const noexcept { return control_ != nullptr; }

    /// Adds a frame that goes out at the next frame boundary, ahead of everything queued.
    template <class F>
    void control(F&& append) {
        if (!control_)
            control_ = std::make_unique<std::string>();
        append(*control_);
        if (!owner()->mid_frame())
            send_control();
    }

    /// The peer did something wrong, or ended the session: says goodbye, and tells the owner.
    void end(const close_reason& reason) {
        if (phase_ == phase::open)
            owner()->at_ending();
        close(reason, std::nullopt);
    }

    /// The peer has said goodbye, and was answered. What goes before that answer is still sent.
    void finish() {
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

    [[nodiscard]] phase state() const noexcept { return phase_; }
    [[nodiscard]] const link_limits& limits() const noexcept { return *limits_; }
    [[nodiscard]] bool blocked() const noexcept { return blocked_; }

private:
    bool at_bytes(std::span<char> bytes) final {
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

    /// Goes on with what is held, and then reads.
    void go_on_later() {
        if (goes_on_)
            return;
        goes_on_ = true;
        services_->post([channel = channel_, this] {
            // The channel outlives the link; without a user the link is gone.
            if (channel->has_user(this))
                go_on();
        });
    }

    void go_on() {
        goes_on_ = false;
        if (phase_ != phase::open)
            return;
        unpause();
        if (const auto held = std::exchange(held_, nullptr); held && !at_bytes(*held))
            return;
        channel_->read();
    }

    void unpause() {
        if (paused_)
            heard_ = services::now();
        paused_ = false;
    }

    void hold(std::span<const char> bytes) {
        if (bytes.empty())
            return;
        if (!held_)
            held_ = std::make_unique<std::string>();
        held_->append(bytes.data(), bytes.size());
    }

    void at_writable() final {
        blocked_ = false;
        progress_ = services::now();
        send_pending();
    }

    void send_pending() {
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
    }

    void at_end(error_code ec) final {
        if (phase_ == phase::closed)
            return;
        services::cancel(*this);
        const bool closing = phase_ == phase::closing;
        phase_ = phase::closed;
        channel_->close();
        auto reason = reason_ ? std::move(*reason_) : close_reason{};
        if (!closing) {
            reason.error = ec;
            if (ec != errc::peer_closed)
                reason.code = close_code::going_away;
        }
        owner()->at_closed(reason);
    }

    void at_timeout() final {
        const auto now = services::now();
        if (phase_ == phase::closing)
            return cut_off();
        if (phase_ != phase::open)
            return;
        if (blocked_ && now - progress_ >= limits_->write_timeout) {
            // A socket says that it is writable only when a good part of its buffer is free. A peer that is
            // slow may be long in taking that much, but it has taken something.
            const auto left = channel_->unsent();
            if (left >= unsent_)
                return give_up(errc::write_timeout);
            unsent_ = left;
            progress_ = now;
        }
        if (listens() && now - heard_ >= limits_->idle_timeout)
            return give_up(errc::idle_timeout);
        if (now - std::max(heard_, beat_) >= heartbeat_interval()) {
            beat_ = now;
            heartbeat();
        }
        if (phase_ == phase::open)
            rearm();
    }

    /// Ends a session whose peer does not answer: the goodbye is sent, but not waited for if it can't be.
    void give_up(errc why) {
        const auto reason = close_reason::from(why);
        if (blocked_) {
            reason_ = std::make_unique<close_reason>(reason);
            return cut_off();
        }
        end(reason);
    }

    void cut_off() {
        phase_ = phase::closed;
        channel_->close();
        const auto reason = reason_ ? std::move(*reason_) : close_reason{};
        owner()->at_closed(reason);
    }

    /// Whether silence of the peer counts: not while this side does not read.
    [[nodiscard]] bool listens() const noexcept { return expects_traffic() && !paused_; }

    /// A peer that only answers pings must be asked in time for that.
    [[nodiscard]] std::chrono::milliseconds heartbeat_interval() const noexcept {
        return expects_traffic() ? std::min(limits_->heartbeat, limits_->idle_timeout / 3)
                                 : limits_->heartbeat;
    }

    void rearm() {
        if (phase_ == phase::closing)
            return services_->arm(*this, services::now() + limits_->close_timeout);
        auto next = std::max(heard_, beat_) + heartbeat_interval();
        if (listens())
            next = std::min(next, heard_ + limits_->idle_timeout);
        if (blocked_)
            next = std::min(next, progress_ + limits_->write_timeout);
        services_->arm(*this, next);
    }

    std::size_t send(std::span<const char> bytes) noexcept {
        if (blocked_)
            return 0;
        const auto taken = channel_->write(bytes);
        if (taken != bytes.size()) {
            blocked_ = true;
            progress_ = services::now();
            unsent_ = channel_->unsent();
            rearm();
        }
        return taken;
    }

    /// \return whether the lane of control frames is empty.
    bool send_control() noexcept {
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

    /// The goodbye is sent, and needs no answer. What the peer is just sending is still read, since closing
    /// on it would be a reset, which may overtake the goodbye.
    void linger() noexcept {
        channel_->shutdown();
        services_->arm(
            *this, services::now() + std::min<std::chrono::milliseconds>(
                                         limits_->close_timeout, std::chrono::milliseconds(500)));
    }

    channel_ptr channel_;
    std::shared_ptr<services> services_;
    std::shared_ptr<const link_limits> limits_;
    std::unique_ptr<std::string> held_; ///< came in, and waits until reading goes on
    std::unique_ptr<std::string> control_;
    std::unique_ptr<close_reason> reason_; ///< why the session is being closed
    services::time_point heard_;
    services::time_point beat_{};
    services::time_point progress_;
    std::size_t unsent_ = 0; ///< what the channel had then
    // These leave room behind them that kinds of links may use.
    std::uint32_t requests_ = 0; ///< handled in this turn
    phase phase_ : 2 = phase::open;
    bool paused_ : 1 = true;
    bool in_feed_ : 1 = false;
    bool yielded_ : 1 = false;
    bool goes_on_ : 1 = false;       ///< `go_on` is on its way
    bool peer_finished_ : 1 = false; ///< it has said goodbye
    bool blocked_ : 1 = false;
};

} // namespace pusher::inline v0
