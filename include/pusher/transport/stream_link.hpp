// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/config.hpp>
#include <pusher/transport/channel.hpp>
#include <pusher/transport/link.hpp>
#include <pusher/transport/link_limits.hpp>
#include <pusher/transport/services.hpp>
#include <pusher/transport/write_progress.hpp>

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
    stream_link(channel_ptr c, std::shared_ptr<services> s, std::shared_ptr<const link_limits> limits);

    ~stream_link() override { channel_->close(); }

    /// Bytes that go out before anything else, such as the answer to a handshake, and bytes that were read
    /// along with the request for it.
    void preface(std::string out, std::string in);

    std::size_t write(std::span<const char> bytes, std::span<const std::uint32_t>) noexcept override;

    void resume() override;

    void close(const close_reason& reason, std::optional<std::chrono::milliseconds> retry) override;

    void abort() noexcept override;

    [[nodiscard]] std::string peer() const override { return channel_->peer(); }
    [[nodiscard]] std::size_t request_limit() const noexcept override { return limits_->request_bytes; }
    [[nodiscard]] std::chrono::milliseconds longest_silence() const noexcept override;

protected:
    enum class phase : std::uint8_t {
        open,
        closing, ///< the goodbye is on its way; what the peer still sends is thrown away
        closed
    };

    /// Reads what the peer sent. \return how many bytes were used; all, unless reading has to pause.
    virtual std::size_t feed(std::span<char> bytes) = 0;

    /// Whether a peer that has ended its direction is still sent what is for it, before the connection ends.
    [[nodiscard]] virtual bool serves_half_closed() const noexcept { return false; }

    /// Such a peer has sent everything: reads what has no end of its own.
    virtual void feed_end() {}

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
    bool give(std::string_view text);

    /// Counts something that the peer sent and that costs little, but not nothing. \return whether another
    /// may follow.
    bool count();

    /// Counts what makes the next message cost as much as so many more.
    void charge(std::size_t messages) noexcept { requests_ += static_cast<std::uint32_t>(messages); }

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
    void end(const close_reason& reason);

    /// The peer has said goodbye, and was answered. What goes before that answer is still sent.
    void finish();

    [[nodiscard]] phase state() const noexcept { return phase_; }
    [[nodiscard]] const link_limits& limits() const noexcept { return *limits_; }
    [[nodiscard]] bool blocked() const noexcept { return blocked_; }
    [[nodiscard]] services& io() const noexcept { return *services_; }

private:
    bool at_bytes(std::span<char> bytes) final;

    /// Goes on with what is held, and then reads.
    void go_on_later();

    void go_on();

    void unpause();

    void hold(std::span<const char> bytes);

    void at_writable() final;

    void send_pending();

    void at_end(error_code ec) final;

    /// The peer has ended its direction: ends too, when it was sent what is for it.
    void wind_up();

    /// The connection is gone.
    void over(error_code ec);

    void at_timeout() final;

    /// Ends a session whose peer does not answer: the goodbye is sent, but not waited for if it can't be.
    void give_up(errc why);

    void cut_off();

    /// Whether silence of the peer counts: not while this side does not read.
    [[nodiscard]] bool listens() const noexcept { return expects_traffic() && !paused_ && !peer_ended_; }

    /// A peer that only answers pings must be asked in time for that.
    [[nodiscard]] std::chrono::milliseconds heartbeat_interval() const noexcept;

    void rearm();

    std::size_t send(std::span<const char> bytes) noexcept;

    /// \return whether the lane of control frames is empty.
    bool send_control() noexcept;

    /// The goodbye is sent, and needs no answer. What the peer is just sending is still read, since closing
    /// on it would be a reset, which may overtake the goodbye.
    void linger() noexcept;

    channel_ptr channel_;
    std::shared_ptr<services> services_;
    std::shared_ptr<const link_limits> limits_;
    std::unique_ptr<std::string> held_; ///< came in, and waits until reading goes on
    std::unique_ptr<std::string> control_;
    std::unique_ptr<close_reason> reason_; ///< why the session is being closed
    services::time_point heard_;
    services::time_point beat_{};
    write_progress progress_;
    // These leave room behind them that kinds of links may use.
    std::uint32_t requests_ = 0; ///< handled in this turn
    phase phase_ : 2 = phase::open;
    bool paused_ : 1 = true;
    bool in_feed_ : 1 = false;
    bool yielded_ : 1 = false;
    bool goes_on_ : 1 = false;       ///< `go_on` is on its way
    bool peer_finished_ : 1 = false; ///< it has said goodbye
    bool peer_ended_ : 1 = false;    ///< it has ended its direction
    bool blocked_ : 1 = false;
};

} // namespace pusher::inline v0

#if !defined(PUSHER_SEPARATE_COMPILATION)
#include <pusher/transport/impl/stream_link.hpp>
#endif
