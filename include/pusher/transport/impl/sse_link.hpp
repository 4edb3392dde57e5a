// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/transport/sse_link.hpp>

namespace pusher::inline v0 {

PUSHER_DECL sse_link::sse_link(
    channel_ptr c, std::shared_ptr<services> s, std::shared_ptr<const link_limits> limits, sse_form form)
    : stream_link(std::move(c), std::move(s), std::move(limits)),
      form_(form) {}

PUSHER_DECL framing sse_link::frames() const noexcept {
    return form_ == sse_form::payload ? framing::sse : framing::sse_envelope;
}

PUSHER_DECL void sse_link::say_goodbye(
    const close_reason& reason, std::optional<std::chrono::milliseconds> retry, std::string& out) {
    append_sse_close(out, reason, retry);
}

PUSHER_DECL void sse_link::heartbeat() {
    if (!control_waits())
        control([](std::string& out) { out += sse_keep_alive; });
}

} // namespace pusher::inline v0
