// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/error.hpp>

#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>

#include <cstddef>
#include <span>
#include <string>
#include <utility>

namespace pusher::inline v0 {

/// Who a channel reports to: a link, or an HTTP connection on its way to become one.
class channel_user {
public:
    /// Bytes arrived. They are valid, and may be written to, until it returns.
    /// \return whether to go on reading; if not, `channel::read` does later.
    virtual bool at_bytes(std::span<char> bytes) = 0;

    /// The channel takes bytes again.
    virtual void at_writable() = 0;

    /// The connection is over; nothing else follows. `errc::peer_closed`: the peer ended it in good order. If
    /// it only ended its own direction (`channel::half_closed`), bytes may still be sent to it.
    virtual void at_end(error_code ec) = 0;

protected:
    ~channel_user() = default;
};

/// A connection that carries bytes both ways: a socket, a TLS stream, or memory. To add a kind of connection,
/// derive from this: HTTP, WebSocket, SSE and the line protocol all run over it.
///
/// Everything happens on the broker's executor. A channel reports to its user from the event loop only, never
/// from inside one of these functions. It keeps itself alive while an operation is pending.
class channel : public boost::intrusive_ref_counter<channel, boost::thread_unsafe_counter> {
public:
    channel() = default;
    channel(const channel&) = delete;
    channel& operator=(const channel&) = delete;
    virtual ~channel() = default;

    /// Who is reported to from now on; null: nobody.
    void set_user(channel_user* user) noexcept { user_ = user; }

    [[nodiscard]] bool has_user(const channel_user* user) const noexcept { return user_ == user; }

    /// Takes as many bytes as can be sent without waiting. Fewer than all: `at_writable` follows, or
    /// `at_end`.
    virtual std::size_t write(std::span<const char> bytes) noexcept = 0;

    /// How many bytes were taken and have not reached the peer, as far as is known; 0: unknown. It tells a
    /// peer that is slow from one that takes nothing.
    [[nodiscard]] virtual std::size_t unsent() const noexcept { return 0; }

    /// Reads until `at_bytes` says no. Without effect while it reads.
    virtual void read() = 0;

    /// Whether the peer has ended its direction, and may still take what is written, as TCP allows.
    [[nodiscard]] virtual bool half_closed() const noexcept { return false; }

    /// Ends the sending direction when all that was taken is sent. Reading goes on.
    virtual void shutdown() noexcept = 0;

    /// Ends the connection at once and reports nothing more.
    virtual void close() noexcept = 0;

    /// The peer's address as text, such as `127.0.0.1:4711`.
    [[nodiscard]] virtual std::string peer() const = 0;

    /// The bytes of the peer's IP address, for limits by address; empty: it has none.
    [[nodiscard]] virtual std::string peer_address() const { return {}; }

    /// Whether the transport below encrypts.
    [[nodiscard]] virtual bool secure() const noexcept { return false; }

    /// Something that a connection keeps for as long as it exists.
    class kept : public boost::intrusive_ref_counter<kept, boost::thread_unsafe_counter> {
    public:
        kept() = default;
        kept(const kept&) = delete;
        kept& operator=(const kept&) = delete;
        virtual ~kept() = default;
    };
    void keep(boost::intrusive_ptr<kept> something) noexcept { kept_ = std::move(something); }

protected:
    [[nodiscard]] channel_user* user() const noexcept { return user_; }

private:
    channel_user* user_ = nullptr;
    boost::intrusive_ptr<kept> kept_;
};

using channel_ptr = boost::intrusive_ptr<channel>;

} // namespace pusher::inline v0
