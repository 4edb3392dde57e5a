// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/client/connection.hpp>

namespace pusher::inline v0::detail {

PUSHER_DECL client_connection::client_connection(
    channel_ptr c, std::unique_ptr<client_framing> f, client_connection_user& user)
    : channel_(std::move(c)),
      framing_(std::move(f)),
      user_(&user) {
    channel_->set_user(this);
}

PUSHER_DECL void client_connection::start() {
    const auto keep = shared_from_this();
    framing_->open(out_, *this);
    flush();
    if (!over_)
        channel_->read();
}

PUSHER_DECL void client_connection::flush() {
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

PUSHER_DECL void client_connection::resume() {
    if (over_ || !paused_)
        return;
    const auto keep = shared_from_this();
    paused_ = false;
    if (auto held = std::exchange(held_, {}); !held.empty() && !take(held))
        return;
    channel_->read();
}

PUSHER_DECL void client_connection::end(std::uint16_t code) {
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

PUSHER_DECL void client_connection::close(std::uint16_t code) noexcept {
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

PUSHER_DECL void client_connection::add_pong() {
    if (!pong_ || !has_room())
        return;
    framing_->pong(out_, *pong_);
    pong_.reset();
}

PUSHER_DECL bool client_connection::at_bytes(std::span<char> bytes) {
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

PUSHER_DECL void client_connection::at_writable() {
    const auto keep = shared_from_this();
    blocked_ = false;
    flush();
    if (!over_ && !blocked_)
        user_->at_room();
}

PUSHER_DECL void client_connection::at_end(error_code ec) {
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

PUSHER_DECL bool client_connection::take(std::span<char> bytes) {
    while (!bytes.empty() && !over_ && !ending_) {
        bytes = bytes.subspan(framing_->feed(bytes, *this));
        if (paused_) {
            held_.assign(bytes.data(), bytes.size());
            return false;
        }
    }
    return !over_;
}

PUSHER_DECL bool client_connection::at_text(std::string_view text) {
    if (!user_->at_message(text))
        paused_ = !over_ && !ending_ && !unstoppable_;
    return !paused_ && !over_ && !ending_;
}

PUSHER_DECL void client_connection::at_ping(std::string_view payload) {
    // One pong is due at a time, and it answers the latest ping (RFC 6455, section 5.5.3).
    pong_ = payload;
    if (!ending_)
        flush();
}

PUSHER_DECL void client_connection::at_over(client_end end) {
    if (over_)
        return;
    close(end.answer);
    user_->at_lost(std::move(end));
}

} // namespace pusher::inline v0::detail
