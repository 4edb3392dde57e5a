// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

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
        channel_ptr c, std::shared_ptr<services> s, std::shared_ptr<const link_limits> limits, sse_form form)
        : stream_link(std::move(c), std::move(s), std::move(limits)),
          form_(form) {}

    [[nodiscard]] framing frames() const noexcept override {
        return form_ == sse_form::payload ? framing::sse : framing::sse_envelope;
    }
    [[nodiscard]] std::string_view transport() const noexcept override { return "sse"; }

private:
    // A client has nothing more to say on this connection.
    std::size_t feed(std::span<char> bytes) override { return bytes.size(); }

    void say_goodbye(
        const close_reason& reason, std::optional<std::chrono::milliseconds> retry,
        std::string& out) override {
        append_sse_close(out, reason, retry);
    }

    void heartbeat() override {
        if (!control_waits())
            control([](std::string& out) { out += sse_keep_alive; });
    }

    [[nodiscard]] bool expects_traffic() const noexcept override { return false; }

    sse_form form_;
};

} // namespace pusher::inline v0
