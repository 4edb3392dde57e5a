// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/dialect/native_encode.hpp>
#include <pusher/dialect/websocket_encoder.hpp>
#include <pusher/encoding.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pusher::inline v0 {

/// The raw dialect on WebSocket: a message is its payload, in a binary frame, or a text frame if that was
/// asked for; gap markers are the native dialect's, in a frame of the other kind.
///
/// A text frame must be valid UTF-8 (RFC 6455, section 8.1): a payload that is not cannot be carried by one.
class raw_websocket_encoding final : public encoding {
public:
    explicit raw_websocket_encoding(websocket_opcode payload) noexcept : payload_(payload) {}

    void push(const message& m, std::string& out) const override {
        if (payload_ == websocket_opcode::binary || detail::is_valid_utf8(m.payload()))
            append_frame(out, payload_, m.payload());
    }
    void gap(const pusher::gap& g, std::string& out) const override {
        std::string json;
        append_native_gap(json, g);
        const bool binary = payload_ == websocket_opcode::binary;
        append_frame(out, binary ? websocket_opcode::text : websocket_opcode::binary, json);
    }
    void reply(std::string_view, std::string&) const override {} // nothing was asked

private:
    websocket_opcode payload_;
};

/// The highest bit of a frame's length: it is of the dialect, and not a payload.
inline constexpr std::uint32_t raw_control_bit = 0x8000'0000;

/// Appends the length of a frame of the raw dialect on a stream: 4 bytes, the most significant first.
inline void append_raw_length(std::string& out, std::uint32_t length) {
    for (int shift = 24; shift >= 0; shift -= 8)
        out.push_back(static_cast<char>(length >> shift & 0xff));
}

/// Appends the goodbye of the raw dialect on a stream.
inline void append_raw_close(
    std::string& out, const close_reason& reason,
    std::optional<std::chrono::milliseconds> retry = std::nullopt) {
    std::string json;
    append_native_close(json, reason, retry);
    append_raw_length(out, static_cast<std::uint32_t>(json.size()) | raw_control_bit);
    out += json;
}

/// The raw dialect on a stream: a message is its payload behind its length. What has the highest bit of the
/// length set is JSON of the native dialect: a gap marker or a goodbye.
class raw_stream_encoding final : public encoding {
public:
    void push(const message& m, std::string& out) const override {
        append_raw_length(out, static_cast<std::uint32_t>(m.payload().size()));
        out += m.payload();
    }
    void gap(const pusher::gap& g, std::string& out) const override {
        std::string json;
        append_native_gap(json, g);
        append_raw_length(out, static_cast<std::uint32_t>(json.size()) | raw_control_bit);
        out += json;
    }
    void reply(std::string_view, std::string&) const override {} // nothing was asked
};

} // namespace pusher::inline v0
