// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/config.hpp>
#include <pusher/error.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace pusher::inline v0::detail {

/// Why a connection of a client ended.
struct client_end {
    error_code error;
    std::uint16_t code = 0; ///< the hub's close code, if it gave one
    std::string reason;
    std::optional<std::chrono::milliseconds> retry; ///< the hub's hint when to come back
    std::uint16_t answer = 0;                       ///< the code to say goodbye with; 0: none
    bool final = false;                             ///< the next connection would end the same way
};

/// What a framing reports to.
class client_framing_user {
public:
    /// The conversation is open.
    virtual void at_open() = 0;

    /// One whole message. \return whether the next may follow at once.
    virtual bool at_text(std::string_view text) = 0;

    /// The hub wants to know whether this side is alive.
    virtual void at_ping(std::string_view payload) = 0;

    /// The connection is over: the hub said goodbye, or did something wrong.
    virtual void at_over(client_end end) = 0;

protected:
    ~client_framing_user() = default;
};

/// How messages are told apart on a connection. No I/O.
class client_framing {
public:
    client_framing() = default;
    client_framing(const client_framing&) = delete;
    client_framing& operator=(const client_framing&) = delete;
    virtual ~client_framing() = default;

    /// Begins: appends what opens the conversation. `at_open` follows, now or later.
    virtual void open(std::string& out, client_framing_user& user) = 0;

    /// Appends one message.
    virtual void text(std::string& out, std::string_view json) = 0;

    /// Appends what makes the hub say something.
    virtual void ping(std::string& out) = 0;

    /// Appends the answer to a ping of the hub's.
    virtual void pong(std::string& out, std::string_view payload) = 0;

    /// Appends the goodbye, if there is one.
    virtual void goodbye(std::string& out, std::uint16_t code, std::string_view reason) = 0;

    /// Reads what the hub sent; the bytes may be changed. \return how many were used: fewer than all if the
    /// user did not want more, or when the conversation has just opened.
    virtual std::size_t feed(std::span<char> bytes, client_framing_user& user) = 0;
};

/// The id of the requests that ask only whether the hub is there.
inline constexpr std::string_view client_ping_id = "ping";

/// A line each.
class client_line_framing final : public client_framing {
public:
    explicit client_line_framing(std::size_t message_bytes) noexcept : message_bytes_(message_bytes) {}

    void open(std::string&, client_framing_user& user) override { user.at_open(); }
    void text(std::string& out, std::string_view json) override;
    void ping(std::string& out) override;
    void pong(std::string&, std::string_view) override {}
    void goodbye(std::string&, std::uint16_t, std::string_view) override {}

    std::size_t feed(std::span<char> bytes, client_framing_user& user) override;

private:
    std::size_t message_bytes_;
    std::string begun_; ///< a line that has not ended
};

} // namespace pusher::inline v0::detail

#if !defined(PUSHER_SEPARATE_COMPILATION)
#include <pusher/client/impl/framing.hpp>
#endif
