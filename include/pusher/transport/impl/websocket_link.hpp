// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/transport/websocket_link.hpp>

namespace pusher::inline v0 {

PUSHER_DECL websocket_link::websocket_link(
    channel_ptr c, std::shared_ptr<services> s, std::shared_ptr<const link_limits> limits,
    const websocket_deflate& deflate, dialect speaks, framing frames)
    : stream_link(std::move(c), std::move(s), std::move(limits)),
      dialect_(speaks),
      frames_(frames),
      window_bits_(deflate.window_bits),
      level_(deflate.level),
      threshold_(deflate.threshold),
      decoder_(deflate ? websocket_compression::negotiated : websocket_compression::none) {}

PUSHER_DECL std::size_t websocket_link::feed(std::span<char> bytes) {
    const websocket_limits most{static_cast<std::uint32_t>(limits().request_bytes)};
    const auto result = decoder_.feed(bytes, most, visitor{*this});
    if (result.fault != websocket_fault::none)
        fail(to_close_reason(result.fault));
    return result.consumed;
}

PUSHER_DECL void websocket_link::fail(const close_reason& reason) {
    if (state() != phase::open)
        return;
    failed_ = true;
    end(reason);
}

PUSHER_DECL bool websocket_link::inflate(std::string_view payload, std::string& out) {
    if (state() != phase::open)
        return false;
    using result = websocket_inflater::result;
    switch (io().inflater().inflate(payload, limits().request_bytes, out)) {
    case result::done:
        charge(out.size() / 1024); // it was not sent as such
        return true;
    case result::too_large: fail(close_reason::from(errc::message_too_large)); break;
    case result::invalid:
        fail({close_code::invalid_data, errc::protocol_error, "invalid compressed data"});
        break;
    }
    return false;
}

PUSHER_DECL void websocket_link::answer_close(std::uint16_t code) {
    const close_reason reason{
        static_cast<close_code>(code == websocket_no_status ? 1000 : code), errc::peer_closed, {}};
    answered_ = code;
    end(reason);
}

PUSHER_DECL void websocket_link::say_goodbye(
    const close_reason& reason, std::optional<std::chrono::milliseconds> retry, std::string& out) {
    // A peer's own code is echoed, its absence too.
    const auto code = answered_ != 0 ? answered_ : static_cast<std::uint16_t>(reason.code);
    auto text = reason.text;
    if (retry && answered_ == 0)
        text += "; retry after " + std::to_string(retry->count()) + " ms";
    append_close_frame(out, code, text);
}

PUSHER_DECL void websocket_link::more_control() {
    if (const auto payload = std::exchange(late_pong_, nullptr))
        control([&](std::string& out) { append_frame(out, websocket_opcode::pong, *payload); });
}

PUSHER_DECL void websocket_link::heartbeat() {
    if (!control_waits())
        control([](std::string& out) { append_frame(out, websocket_opcode::ping, {}); });
}

} // namespace pusher::inline v0
