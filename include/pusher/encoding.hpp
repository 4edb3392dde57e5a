// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/gap.hpp>
#include <pusher/message.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace pusher::inline v0 {

/// How a dialect writes messages for a framing: one object per (dialect, framing), shared by all sessions
/// that use it. A message is encoded at most once for each, and the bytes go to everybody.
///
/// Each function appends exactly one frame, and depends on nothing but its arguments.
class encoding {
public:
    encoding() = default;
    encoding(const encoding&) = delete;
    encoding& operator=(const encoding&) = delete;

    /// Appends a message as one frame. Nothing appended: this transport cannot carry the message, which
    /// counts as a delivery that failed.
    virtual void push(const message& m, std::string& out) const = 0;

    /// Appends a gap marker as one frame. Nothing appended: this encoding has no way to tell.
    virtual void gap(const pusher::gap& g, std::string& out) const = 0;

    /// Appends a reply of the dialect as one frame.
    virtual void reply(std::string_view text, std::string& out) const { out += text; }

protected:
    ~encoding() = default;
};

/// Where a session's bytes go: the sending half of a link.
class sink {
public:
    /// Takes as many bytes as the connection accepts without waiting, and says how many.
    ///
    /// \param bytes whole frames, back to back; they are only valid during the call.
    /// \param ends the end of each frame in `bytes`; for links whose frames are datagrams, empty otherwise.
    ///
    /// Fewer than all means that the link is blocked: it will say when to go on, and until then it is not
    /// called again. A link that is broken takes nothing and reports its end later, never from inside.
    virtual std::size_t write(std::span<const char> bytes, std::span<const std::uint32_t> ends) noexcept = 0;

    /// The frames of the last `write` that it has taken and the network has refused, by their places among
    /// `ends`, ascending. Each counts as a delivery that failed.
    [[nodiscard]] virtual std::span<const std::uint32_t> refused() const noexcept { return {}; }

    /// Whether `write` needs to know where frames end.
    [[nodiscard]] virtual bool wants_ends() const noexcept { return false; }

protected:
    ~sink() = default;
};

} // namespace pusher::inline v0
