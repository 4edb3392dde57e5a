// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/config.hpp>
#include <pusher/dialect/sse_encode.hpp>
#include <pusher/transport/stream_link.hpp>

#include <string>
#include <utility>

namespace pusher::inline v0 {

/// A response that never ends: server-sent events, from the hub to the client alone. Comments keep it alive;
/// a client that is gone is noticed when the connection ends, or takes nothing for the write timeout.
class sse_link final : public stream_link {
public:
    sse_link(
        channel_ptr c, std::shared_ptr<services> s, std::shared_ptr<const link_limits> limits, sse_form form);

    [[nodiscard]] framing frames() const noexcept override;
    [[nodiscard]] std::string_view transport() const noexcept override { return "sse"; }

private:
    // A client has nothing more to say on this connection.
    std::size_t feed(std::span<char> bytes) override { return bytes.size(); }

    void say_goodbye(
        const close_reason& reason, std::optional<std::chrono::milliseconds> retry,
        std::string& out) override;

    void heartbeat() override;

    [[nodiscard]] bool expects_traffic() const noexcept override { return false; }

    sse_form form_;
};

} // namespace pusher::inline v0

#if !defined(PUSHER_SEPARATE_COMPILATION)
#include <pusher/transport/impl/sse_link.hpp>
#endif
