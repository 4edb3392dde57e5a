// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/utf8.hpp>
#include <pusher/dialect/websocket_frame.hpp>
#include <pusher/version.hpp>

#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

/// \file
/// Writes WebSocket frames to the end of a string. A server's frames are not masked, so one encoding serves
/// all subscribers; the functions named `masked` are a client's, and want a new unpredictable key for each
/// frame.

namespace pusher::inline v0 {

/// How many bytes stand before a payload of `payload_size` bytes.
[[nodiscard]] constexpr std::size_t
websocket_header_size(std::uint64_t payload_size, websocket_role role = websocket_role::server) noexcept {
    const std::size_t mask = role == websocket_role::client ? 4 : 0;
    return mask + (payload_size < 126 ? 2 : payload_size < 65536 ? 4 : 10);
}

namespace detail {

/// All of a header but the key. Returns its size.
inline std::size_t write_websocket_header(
    std::array<char, websocket_max_header_size>& to, websocket_opcode opcode, std::uint64_t payload_size,
    bool fin, bool masked) noexcept {
    assert(!is_control(opcode) || (fin && payload_size <= websocket_max_control_size));
    to[0] = static_cast<char>((fin ? 0x80 : 0) | static_cast<int>(opcode));
    const std::size_t extended = payload_size < 126 ? 0 : payload_size < 65536 ? 2 : 8;
    const int first = extended == 0 ? static_cast<int>(payload_size) : extended == 2 ? 126 : 127;
    to[1] = static_cast<char>((masked ? 0x80 : 0) | first);
    for (std::size_t i = 0; i != extended; ++i)
        to[2 + i] = static_cast<char>(payload_size >> (8 * (extended - 1 - i)) & 0xFF);
    return 2 + extended;
}

/// `text` cut to at most `size` bytes, at the end of a character.
inline std::string_view cut_utf8(std::string_view text, std::size_t size) noexcept {
    if (text.size() <= size)
        return text;
    while (size != 0 && (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80)
        --size;
    return text.substr(0, size);
}

/// Writes the payload of a close frame to `to`, and returns its size.
inline std::size_t write_close_payload(
    std::array<char, websocket_max_control_size>& to, std::uint16_t code, std::string_view reason) noexcept {
    if (!is_valid_websocket_close_code(code))
        return 0;
    to[0] = static_cast<char>(code >> 8);
    to[1] = static_cast<char>(code & 0xFF);
    reason = cut_utf8(reason, websocket_max_reason_size);
    if (!is_valid_utf8(reason))
        return 2;
    return 2 + reason.copy(to.data() + 2, reason.size());
}

} // namespace detail

/// Appends the header of a frame whose payload of `payload_size` bytes the caller appends next.
///
/// Control frames have `fin` set and at most 125 bytes of payload.
inline void
append_frame_header(std::string& out, websocket_opcode opcode, std::uint64_t payload_size, bool fin = true) {
    std::array<char, websocket_max_header_size> header;
    out.append(header.data(), detail::write_websocket_header(header, opcode, payload_size, fin, false));
}

/// Appends a frame.
inline void
append_frame(std::string& out, websocket_opcode opcode, std::string_view payload, bool fin = true) {
    append_frame_header(out, opcode, payload.size(), fin);
    out.append(payload);
}

/// Appends a client's frame, masked with `key`, whose first byte on the wire is the most significant one.
inline void append_masked_frame(
    std::string& out, websocket_opcode opcode, std::string_view payload, std::uint32_t key, bool fin = true) {
    std::array<char, websocket_max_header_size> header;
    auto size = detail::write_websocket_header(header, opcode, payload.size(), fin, true);
    detail::websocket_key bytes;
    for (std::size_t i = 0; i != bytes.size(); ++i) {
        bytes[i] = static_cast<unsigned char>(key >> (24 - 8 * i));
        header[size++] = static_cast<char>(bytes[i]);
    }
    out.append(header.data(), size);
    const auto begin = out.size();
    out.append(payload);
    detail::apply_mask(out.data() + begin, payload.size(), bytes);
}

/// Appends a close frame. A reason that is too long is cut at a character to 123 bytes, one that is not UTF-8
/// is left out. A code that may not travel, `websocket_no_status` above all, gives a close frame without a
/// code.
inline void append_close_frame(std::string& out, std::uint16_t code, std::string_view reason = {}) {
    std::array<char, websocket_max_control_size> payload;
    append_frame(
        out, websocket_opcode::close, {payload.data(), detail::write_close_payload(payload, code, reason)});
}

/// Appends a client's close frame.
inline void
append_masked_close_frame(std::string& out, std::uint16_t code, std::string_view reason, std::uint32_t key) {
    std::array<char, websocket_max_control_size> payload;
    append_masked_frame(
        out, websocket_opcode::close, {payload.data(), detail::write_close_payload(payload, code, reason)},
        key);
}

} // namespace pusher::inline v0
