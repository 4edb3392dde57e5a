// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/client/framing.hpp>
#include <pusher/transport/channel.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace pusher::inline v0::detail {

/// What a client's connection reports to: the client's engine. Reports come from the event loop, or from
/// inside `start` and `resume`.
class client_connection_user {
public:
    /// The conversation is open: requests may be sent.
    virtual void at_connected() = 0;

    /// Anything came, if only half a frame.
    virtual void at_heard() = 0;

    /// \return whether the next message may follow at once; if not, `resume` asks for it.
    virtual bool at_message(std::string_view text) = 0;

    /// There is room for requests again.
    virtual void at_room() = 0;

    /// The connection is over; nothing else follows.
    virtual void at_lost(client_end end) = 0;

protected:
    ~client_connection_user() = default;
};

/// One connection of a client, from its first byte to its last: it moves whole messages, and answers pings.
class client_connection final : public std::enable_shared_from_this<client_connection>,
                                private channel_user,
                                private client_framing_user {
public:
    client_connection(channel_ptr c, std::unique_ptr<client_framing> f, client_connection_user& user)
        : channel_(std::move(c)),
          framing_(std::move(f)),
          user_(&user) {
        channel_->set_user(this);
    }
    client_connection(const client_connection&) = delete;
    client_connection& operator=(const client_connection&) = delete;
    ~client_connection() { channel_->close(); }

    void start() {
        const auto keep = shared_from_this();
        framing_->open(out_, *this);
        flush();
        if (!over_)
            channel_->read();
    }

    /// Whether a request sent now would be on its way soon. More are taken in any case.
    [[nodiscard]] bool has_room() const noexcept { return out_.size() - sent_ < high_water; }

    /// Bytes that are kept for sending.
    [[nodiscard]] std::size_t kept() const noexcept { return out_.size(); }

    /// Whether reading waits for `resume`.
    [[nodiscard]] bool paused() const noexcept { return paused_; }

    /// Takes a message; `flush` sends it.
    void send(std::string_view json) { framing_->text(out_, json); }
    void ping() { framing_->ping(out_); }

    /// Writes what was taken, as far as it goes; the rest follows by itself.
    void flush() {
        if (over_ || blocked_)
            return;
        add_pong();
        while (sent_ != out_.size()) {
            sent_ += channel_->write({out_.data() + sent_, out_.size() - sent_});
            if (sent_ != out_.size()) {
                blocked_ = true;
                // A connection that is always behind would never come to the end of it.
                if (sent_ >= high_water) {
                    out_.erase(0, sent_);
                    sent_ = 0;
                }
                add_pong(); // before others take the room
                return;
            }
        }
        out_.clear();
        sent_ = 0;
        if (out_.capacity() > 2 * high_water)
            out_.shrink_to_fit();
        if (ending_ && !over_)
            channel_->shutdown();
    }

    /// Reads on.
    void resume() {
        if (over_ || !paused_)
            return;
        const auto keep = shared_from_this();
        paused_ = false;
        if (auto held = std::exchange(held_, {}); !held.empty() && !take(held))
            return;
        channel_->read();
    }

    /// Says goodbye after what was taken so far, and ends the sending direction. What still comes is thrown
    /// away; `at_lost` follows when the hub has ended its direction too.
    void end(std::uint16_t code) {
        if (over_ || ending_)
            return;
        framing_->goodbye(out_, code, {});
        ending_ = true;
        pong_.reset();
        held_.clear();
        flush();
        paused_ = false;
        channel_->read();
    }

    /// Ends the connection at once, and reports nothing more. A goodbye is sent if that needs no waiting.
    void close(std::uint16_t code) noexcept {
        if (over_)
            return;
        try {
            if (!blocked_ && !ending_ && code != 0) {
                framing_->goodbye(out_, code, {});
                flush();
            }
        } catch (...) { // out of memory: then without a goodbye
        }
        over_ = true;
        channel_->close();
    }

private:
    static constexpr std::size_t high_water = 64 * 1024;

    void add_pong() {
        if (!pong_ || !has_room())
            return;
        framing_->pong(out_, *pong_);
        pong_.reset();
    }

    // ---- channel_user

    bool at_bytes(std::span<char> bytes) override {
        const auto keep = shared_from_this();
        user_->at_heard();
        if (ending_)
            return true;
        if (paused_) { // they came with the last read that was under way
            held_.append(bytes.data(), bytes.size());
            return false;
        }
        return take(bytes);
    }

    void at_writable() override {
        const auto keep = shared_from_this();
        blocked_ = false;
        flush();
        if (!over_ && !blocked_)
            user_->at_room();
    }

    void at_end(error_code ec) override {
        const auto keep = shared_from_this();
        if (auto held = std::exchange(held_, {}); !held.empty()) {
            // What has arrived is not thrown away because the connection is gone.
            paused_ = false;
            unstoppable_ = true;
            take(held);
        }
        client_end end;
        end.error = ec;
        if (ec != errc::peer_closed)
            end.reason = ec.message();
        at_over(std::move(end));
    }

    /// \return whether to go on reading.
    bool take(std::span<char> bytes) {
        while (!bytes.empty() && !over_ && !ending_) {
            bytes = bytes.subspan(framing_->feed(bytes, *this));
            if (paused_) {
                held_.assign(bytes.data(), bytes.size());
                return false;
            }
        }
        return !over_;
    }

    // ---- client_framing_user

    void at_open() override { user_->at_connected(); }

    bool at_text(std::string_view text) override {
        if (!user_->at_message(text))
            paused_ = !over_ && !ending_ && !unstoppable_;
        return !paused_ && !over_ && !ending_;
    }

    void at_ping(std::string_view payload) override {
        // One pong is due at a time, and it answers the latest ping (RFC 6455, section 5.5.3).
        pong_ = payload;
        if (!ending_)
            flush();
    }

    void at_over(client_end end) override {
        if (over_)
            return;
        close(end.answer);
        user_->at_lost(std::move(end));
    }

    channel_ptr channel_;
    std::unique_ptr<client_framing> framing_;
    client_connection_user* user_;
    std::string out_; ///< whole messages, of which `sent_` bytes are written
    std::size_t sent_ = 0;
    std::string held_; ///< came in, and waits until reading goes on
    std::optional<std::string> pong_;
    bool paused_ = false;
    bool unstoppable_ = false; ///< what is held is given up whole
    bool blocked_ = false;     ///< `at_writable` follows
    bool ending_ = false;
    bool over_ = false;
};

} // namespace pusher::inline v0::detail
