// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/close_reason.hpp>
#include <pusher/error.hpp>
#include <pusher/version.hpp>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

/// \file
/// What both directions of the WebSocket frame codec share: the frame header, masking, close codes, and the
/// ways in which a peer can break RFC 6455.

namespace pusher::inline v0 {

/// Which end of the connection we are. A client masks what it sends, a server does not (RFC 6455,
/// section 5.1).
enum class websocket_role : bool { server, client };

/// The opcodes of RFC 6455, section 5.2; all others are reserved.
enum class websocket_opcode : std::uint8_t {
    continuation = 0,
    text = 1,
    binary = 2,
    close = 8,
    ping = 9,
    pong = 10,
};

/// The code that a close frame without a code is reported with; it never travels (RFC 6455, section 7.1.5).
inline constexpr std::uint16_t websocket_no_status = 1005;

/// Largest payload of a ping, pong or close frame, in bytes.
inline constexpr std::size_t websocket_max_control_size = 125;

/// Largest reason of a close frame, in bytes: what a control frame holds beside the code.
inline constexpr std::size_t websocket_max_reason_size = websocket_max_control_size - 2;

/// Largest frame header, in bytes: 2, and 8 of length, and 4 of mask.
inline constexpr std::size_t websocket_max_header_size = 14;

/// Whether a close frame may carry `code`: RFC 6455, section 7.4, and the IANA registry.
///
/// 1004 to 1006 and 1015 are reserved for local use. 3000 to 3999 are registered by libraries, 4000 to 4999
/// are private; what is above was never given a meaning.
[[nodiscard]] constexpr bool is_valid_websocket_close_code(std::uint16_t code) noexcept {
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

/// How a peer broke the protocol, or a limit.
enum class websocket_fault : std::uint8_t {
    none,
    reserved_bits,           ///< RSV1 to RSV3 without an extension that gives them a meaning
    reserved_opcode,         ///< 3 to 7 or 11 to 15
    unmasked_frame,          ///< a client must mask
    masked_frame,            ///< a server must not mask
    fragmented_control,      ///< ping, pong or close without FIN
    control_too_long,        ///< ping, pong or close of more than 125 bytes
    length_not_minimal,      ///< a length in more bytes than it needs
    length_too_long,         ///< a 64-bit length with its top bit set
    unexpected_continuation, ///< a continuation, but no message is open
    missing_continuation,    ///< a new message inside a fragmented one
    bad_close_size,          ///< a close frame of one byte
    bad_close_code,          ///< a close code that may not travel
    bad_close_reason,        ///< a close reason that is not UTF-8
    invalid_utf8,            ///< a text message that is not UTF-8
    message_too_large,       ///< over `websocket_limits::message_size`
    too_many_fragments,      ///< over `websocket_limits::fragments`
};

[[nodiscard]] inline const char* to_string(websocket_fault fault) noexcept {
    switch (fault) {
    case websocket_fault::none: return "";
    case websocket_fault::reserved_bits: return "reserved bits set";
    case websocket_fault::reserved_opcode: return "reserved opcode";
    case websocket_fault::unmasked_frame: return "frame not masked";
    case websocket_fault::masked_frame: return "frame masked";
    case websocket_fault::fragmented_control: return "fragmented control frame";
    case websocket_fault::control_too_long: return "control frame too long";
    case websocket_fault::length_not_minimal: return "length not minimal";
    case websocket_fault::length_too_long: return "length over 63 bits";
    case websocket_fault::unexpected_continuation: return "nothing to continue";
    case websocket_fault::missing_continuation: return "continuation expected";
    case websocket_fault::bad_close_size: return "close frame of one byte";
    case websocket_fault::bad_close_code: return "invalid close code";
    case websocket_fault::bad_close_reason: return "close reason not UTF-8";
    case websocket_fault::invalid_utf8: return "text not UTF-8";
    case websocket_fault::message_too_large: return "message too large";
    case websocket_fault::too_many_fragments: return "too many fragments";
    }
    return "unknown fault";
}

/// The error that the host sees; success for `none`.
[[nodiscard]] inline error_code to_error_code(websocket_fault fault) noexcept {
    switch (fault) {
    case websocket_fault::none: return {};
    case websocket_fault::bad_close_reason:
    case websocket_fault::invalid_utf8: return errc::invalid_utf8;
    case websocket_fault::message_too_large:
    case websocket_fault::too_many_fragments: return errc::message_too_large;
    default: return errc::protocol_error;
    }
}

/// What to close the connection with: 1002, 1007 or 1009, and the rule that was broken.
[[nodiscard]] inline close_reason to_close_reason(websocket_fault fault) {
    const auto ec = to_error_code(fault);
    return {close_reason::code_for(ec), ec, to_string(fault)};
}

namespace detail {

inline constexpr bool is_control(websocket_opcode op) noexcept {
    return static_cast<std::uint8_t>(op) >= static_cast<std::uint8_t>(websocket_opcode::close);
}

inline constexpr bool is_reserved(websocket_opcode op) noexcept {
    const auto value = static_cast<std::uint8_t>(op);
    return (value > 2 && value < 8) || value > 10;
}

/// The masking key in the order of its bytes on the wire.
using websocket_key = std::array<unsigned char, 4>;

/// XORs `size` bytes with `key`, where the first of them is byte number `phase` of the payload. Its own
/// inverse.
inline void apply_mask(char* at, std::size_t size, websocket_key key, std::size_t phase = 0) noexcept {
    std::array<unsigned char, 8> bytes;
    for (std::size_t i = 0; i != bytes.size(); ++i)
        bytes[i] = key[(i + phase) & 3];
    // Both sides go through memory in the same order, so this holds for either byte order.
    const auto word = std::bit_cast<std::uint64_t>(bytes);
    for (; size >= 8; size -= 8, at += 8) {
        std::uint64_t part;
        std::memcpy(&part, at, 8);
        part ^= word;
        std::memcpy(at, &part, 8);
    }
    for (std::size_t i = 0; i != size; ++i)
        at[i] = static_cast<char>(static_cast<unsigned char>(at[i]) ^ bytes[i]);
}

/// A frame header, as far as its bytes have arrived.
struct websocket_header {
    std::uint64_t length = 0;
    websocket_key key{};
    websocket_opcode opcode{};
    bool fin = false;
    bool rsv1 = false;
    bool complete = false;
    std::uint8_t size = 2; ///< all that the header takes once two bytes are there

    /// Reads the header at `data`, of which any part may be there: a fault is reported with the first byte
    /// that shows it.
    [[nodiscard]] websocket_fault
    parse(const char* data, std::size_t available, websocket_role role, bool rsv1_allowed) noexcept {
        const auto byte = [data](std::size_t i) { return static_cast<unsigned char>(data[i]); };
        if (available == 0)
            return websocket_fault::none;
        opcode = static_cast<websocket_opcode>(byte(0) & 0x0F);
        fin = (byte(0) & 0x80) != 0;
        rsv1 = (byte(0) & 0x40) != 0;
        if ((byte(0) & 0x30) != 0)
            return websocket_fault::reserved_bits;
        // RSV1 marks a compressed message on its first frame (RFC 7692, section 6), and means nothing
        // elsewhere.
        if (rsv1 &&
            (!rsv1_allowed || (opcode != websocket_opcode::text && opcode != websocket_opcode::binary)))
            return websocket_fault::reserved_bits;
        if (is_reserved(opcode))
            return websocket_fault::reserved_opcode;
        if (is_control(opcode) && !fin)
            return websocket_fault::fragmented_control;
        if (available == 1)
            return websocket_fault::none;

        const bool masked = (byte(1) & 0x80) != 0;
        if (role == websocket_role::server && !masked)
            return websocket_fault::unmasked_frame;
        if (role == websocket_role::client && masked)
            return websocket_fault::masked_frame;
        length = byte(1) & 0x7F;
        if (is_control(opcode) && length > websocket_max_control_size)
            return websocket_fault::control_too_long;
        const std::size_t extended = length == 126 ? 2 : length == 127 ? 8 : 0;
        size = static_cast<std::uint8_t>(2 + extended + (masked ? 4 : 0));
        if (available < 2 + extended)
            return websocket_fault::none;

        if (extended != 0) {
            length = 0;
            for (std::size_t i = 0; i != extended; ++i)
                length = length << 8 | byte(2 + i);
            if ((length >> 63) != 0)
                return websocket_fault::length_too_long;
            if (length < (extended == 2 ? 126U : 65536U))
                return websocket_fault::length_not_minimal;
        }
        if (available < size)
            return websocket_fault::none;

        if (masked)
            std::memcpy(key.data(), data + 2 + extended, key.size());
        complete = true;
        return websocket_fault::none;
    }
};

} // namespace detail

} // namespace pusher::inline v0
