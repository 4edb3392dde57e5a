// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/client/framing.hpp>
#include <pusher/config.hpp>
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
    client_connection(channel_ptr c, std::unique_ptr<client_framing> f, client_connection_user& user);
    client_connection(const client_connection&) = delete;
    client_connection& operator=(const client_connection&) = delete;
    ~client_connection() { channel_->close(); }

    void start();

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
    void flush();

    /// Reads on.
    void resume();

    /// Says goodbye after what was taken so far, and ends the sending direction. What still comes is thrown
    /// away; `at_lost` follows when the hub has ended its direction too.
    void end(std::uint16_t code);

    /// Ends the connection at once, and reports nothing more. A goodbye is sent if that needs no waiting.
    void close(std::uint16_t code) noexcept;

private:
    static constexpr std::size_t high_water = 64 * 1024;

    void add_pong();

    // ---- channel_user

    bool at_bytes(std::span<char> bytes) override;

    void at_writable() override;

    void at_end(error_code ec) override;

    /// \return whether to go on reading.
    bool take(std::span<char> bytes);

    // ---- client_framing_user

    void at_open() override { user_->at_connected(); }

    bool at_text(std::string_view text) override;

    void at_ping(std::string_view payload) override;

    void at_over(client_end end) override;

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

#if !defined(PUSHER_SEPARATE_COMPILATION)
#include <pusher/client/impl/connection.hpp>
#endif
