// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/close_reason.hpp>
#include <pusher/dialect/websocket_deflate.hpp>
#include <pusher/encoding.hpp>
#include <pusher/error.hpp>

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace pusher::inline v0 {

/// How a link marks where one of the dialect's messages ends and the next begins.
enum class framing : unsigned char {
    line,             ///< a line feed after each
    websocket_text,   ///< a text frame each
    websocket_binary, ///< a binary frame each
    datagram,         ///< a datagram each
    length_prefixed,  ///< its length before each
    sse,              ///< an event each, with the payload as its data
    sse_envelope      ///< an event each, with the dialect's push object as its data
};

/// What the messages of a link mean.
enum class dialect : unsigned char {
    native, ///< requests, replies and push objects in JSON
    raw     ///< payloads as they are
};

namespace detail {

inline std::string request_too_long(std::size_t limit) {
    return "the request is longer than " + std::to_string(limit) + " bytes";
}

} // namespace detail

/// The session's side of a link.
class link_owner {
public:
    /// One whole message of the peer. Valid until it returns.
    /// \return whether the next may follow at once; if not, `link::resume` asks for it.
    virtual bool at_message(std::string_view text) = 0;

    /// What the peer sent is no message, and nothing after it can be trusted: it is told why, and the session
    /// ends with the close code of `why`.
    virtual void at_fault(errc why, std::string_view text) = 0;

    /// The link will say goodbye now, for a reason of its own or its peer's: what is ready for it goes first,
    /// the replies to what was just read above all.
    virtual void at_ending() = 0;

    /// The link takes bytes again.
    virtual void at_writable() = 0;

    /// Whether the link was given all that is for its peer by now.
    [[nodiscard]] virtual bool caught_up() const noexcept = 0;

    /// Whether requests wait for something that will call `link::resume` when they are answered.
    [[nodiscard]] virtual bool owes_answers() const noexcept { return false; }

    /// The link is gone: nothing else follows. Success: both sides said goodbye.
    virtual void at_closed(const close_reason& reason) = 0;

    /// Whether the last frame was taken in part only: nothing may go out before its rest.
    [[nodiscard]] virtual bool mid_frame() const noexcept = 0;

    /// Hands over that rest, for a goodbye to follow.
    [[nodiscard]] virtual std::string take_rest() = 0;

protected:
    ~link_owner() = default;
};

/// What a session is reached by just now. It moves whole messages and knows nothing of topics.
///
/// Links report from the event loop only, never from inside one of these functions.
class link : public sink {
public:
    link() = default;
    link(const link&) = delete;
    link& operator=(const link&) = delete;
    virtual ~link() = default;

    /// Before anything else, once. Reading begins with `resume`.
    void set_owner(link_owner* owner) noexcept { owner_ = owner; }

    /// Messages may come; the ones already here come first.
    virtual void resume() = 0;

    /// Says goodbye the transport's way, after what was written, and closes; `at_closed` follows. A peer that
    /// does not take it in time is cut off.
    /// \param retry a hint when to come back.
    virtual void close(const close_reason& reason, std::optional<std::chrono::milliseconds> retry) = 0;

    /// Cuts the connection off, and reports nothing more.
    virtual void abort() noexcept = 0;

    /// The limit for one message of the peer.
    [[nodiscard]] virtual std::size_t request_limit() const noexcept = 0;

    /// The limit for one frame to the peer; 0: none.
    [[nodiscard]] virtual std::size_t frame_limit() const noexcept { return 0; }

    /// The longest silence that the peer may keep; zero: any.
    [[nodiscard]] virtual std::chrono::milliseconds longest_silence() const noexcept { return {}; }

    [[nodiscard]] virtual framing frames() const noexcept = 0;

    [[nodiscard]] virtual dialect speaks() const noexcept { return dialect::native; }

    /// How messages are written for this link, instead of the dialect's way for its framing; null:
    /// that. One object for all links of a kind, since what is encoded is shared; it must outlive the broker.
    [[nodiscard]] virtual const encoding* own_encoding() const noexcept { return nullptr; }

    /// How the frames of that encoding, which are WebSocket's then, are compressed.
    [[nodiscard]] virtual websocket_deflate deflate() const noexcept { return {}; }

    /// Such as `tcp`; for observers and counters.
    [[nodiscard]] virtual std::string_view transport() const noexcept = 0;

    /// The peer's address as text.
    [[nodiscard]] virtual std::string peer() const = 0;

protected:
    [[nodiscard]] link_owner* owner() const noexcept { return owner_; }

private:
    link_owner* owner_ = nullptr;
};

} // namespace pusher::inline v0
