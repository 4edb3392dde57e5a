// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/transport/channel.hpp>

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pusher::inline v0::testing {

/// The peer at the other end of a channel, as a test wants it: it sends what it is told to, and keeps what
/// comes.
///
/// Not thread safe: it belongs to the channel's executor, and nothing moves unless that runs.
class memory_peer final : private channel_user {
public:
    explicit memory_peer(channel_ptr c) : channel_(std::move(c)) {
        channel_->set_user(this);
        channel_->read();
    }
    memory_peer(const memory_peer&) = delete;
    memory_peer& operator=(const memory_peer&) = delete;
    ~memory_peer() { close(); }

    /// Sends text, as fast as the channel takes it.
    void send(std::string_view text) {
        unsent_ += text;
        flush();
    }

    /// What has come and was not taken yet.
    [[nodiscard]] const std::string& received() const noexcept { return received_; }
    [[nodiscard]] std::string take() { return std::exchange(received_, {}); }

    /// Takes the whole lines among it, without their line feeds.
    [[nodiscard]] std::vector<std::string> take_lines() {
        std::vector<std::string> lines;
        std::size_t at = 0;
        for (std::size_t end; (end = received_.find('\n', at)) != std::string::npos; at = end + 1)
            lines.push_back(received_.substr(at, end - at));
        received_.erase(0, at);
        return lines;
    }

    /// Stops reading, as a client does that is stuck, until `resume`.
    void pause() noexcept { paused_ = true; }
    void resume() {
        paused_ = false;
        channel_->read();
    }

    /// Called when something came.
    void on_received(std::function<void()> f) { on_received_ = std::move(f); }

    /// Why the connection ended; not set: it has not. `errc::peer_closed`: in good order.
    [[nodiscard]] const std::optional<error_code>& ended() const noexcept { return ended_; }

    /// Sends nothing any more; what comes is still received.
    void shutdown() noexcept { channel_->shutdown(); }

    /// Ends the connection. Not reported by `ended`.
    void close() noexcept { channel_->close(); }

private:
    void flush() { unsent_.erase(0, channel_->write({unsent_.data(), unsent_.size()})); }

    bool at_bytes(std::span<char> bytes) override {
        received_.append(bytes.data(), bytes.size());
        if (on_received_)
            on_received_();
        return !paused_;
    }
    void at_writable() override { flush(); }
    void at_end(error_code ec) override { ended_ = ec; }

    channel_ptr channel_;
    std::string unsent_;
    std::string received_;
    std::function<void()> on_received_;
    std::optional<error_code> ended_;
    bool paused_ = false;
};

} // namespace pusher::inline v0::testing
