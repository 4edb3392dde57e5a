// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/config.hpp>
#include <pusher/dialect/raw_encoding.hpp>
#include <pusher/transport/stream_link.hpp>

#include <string>
#include <string_view>
#include <utility>

namespace pusher::inline v0 {

/// The raw dialect on a stream socket: each message behind its length. The first message of the peer is what
/// it asks for (`decode_raw_query`); from then on it need not say anything, and empty control frames keep the
/// connection alive, from either side.
class raw_link final : public stream_link {
public:
    using stream_link::stream_link;

    [[nodiscard]] framing frames() const noexcept override { return framing::length_prefixed; }
    [[nodiscard]] dialect speaks() const noexcept override { return dialect::raw; }
    [[nodiscard]] std::string_view transport() const noexcept override { return "tcp"; }

private:
    std::size_t feed(std::span<char> bytes) override;

    /// \return whether another may follow.
    bool frame(std::uint32_t length, std::string_view body);

    /// What a length means for the link. \return false if the session ends for it.
    bool admits(std::uint32_t length);

    [[nodiscard]] bool serves_half_closed() const noexcept override { return true; }
    void feed_end() override;

    void heartbeat() override;
    [[nodiscard]] bool expects_traffic() const noexcept override { return !asked_; }

    void say_goodbye(
        const close_reason& reason, std::optional<std::chrono::milliseconds> retry,
        std::string& out) override;

    bool asked_ = false; ///< the peer has said what it wants
    std::string begun_;  ///< a frame that is not whole yet, with its length
};

} // namespace pusher::inline v0

#if !defined(PUSHER_SEPARATE_COMPILATION)
#include <pusher/transport/impl/raw_link.hpp>
#endif
