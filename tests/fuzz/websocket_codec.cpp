// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include <pusher/detail/utf8.hpp>
#include <pusher/dialect/websocket_codec.hpp>

#include "require.hpp"

#include "../support/websocket_script.hpp"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

// What must hold of the decoder for any bytes: cutting and pausing change nothing, limits and UTF-8 are kept,
// and what was understood can be written and understood again.
//
// Input: one byte of role and options, one for the limits, one for the cuts; then what the peer sends.

using namespace test;
using pusher::websocket_opcode;
using pusher::websocket_role;

namespace {

/// Splits `kind:rest`.
std::string_view take_kind(std::string_view& event) {
    const auto colon = event.find(':');
    const auto kind = event.substr(0, colon);
    event.remove_prefix(colon + 1);
    return kind;
}

/// Writes an event as `sender` would, and gives the bytes.
std::string encode(websocket_role sender, std::string_view event, std::uint32_t key) {
    std::string out;
    const auto kind = take_kind(event);
    const bool masked = sender == websocket_role::client;
    if (kind == "close") {
        const auto code = static_cast<std::uint16_t>(std::stoul(std::string(take_kind(event))));
        masked ? pusher::append_masked_close_frame(out, code, event, key)
               : pusher::append_close_frame(out, code, event);
        return out;
    }
    const auto opcode = kind == "text"     ? websocket_opcode::text
                        : kind == "binary" ? websocket_opcode::binary
                        : kind == "ping"   ? websocket_opcode::ping
                                           : websocket_opcode::pong;
    masked ? pusher::append_masked_frame(out, opcode, event, key) : pusher::append_frame(out, opcode, event);
    require(out.size() == pusher::websocket_header_size(event.size(), sender) + event.size(), "header size");
    return out;
}

template <websocket_role Role>
void check(std::string_view input, const ws_setup& setup, std::size_t seed) {
    const auto whole = [](std::size_t) { return std::numeric_limits<std::size_t>::max(); };
    const auto bytewise = [](std::size_t) { return std::size_t{1}; };
    const auto cut = [seed](std::size_t at) {
        return 1 + (at * 2654435761 + seed * 40503) / 64 % (1 + seed % 97);
    };
    auto pausing = setup;
    pausing.pausing = true;

    const auto expected = ws_decode<Role>(input, setup, whole);
    require(expected.broken.empty(), expected.broken.c_str());
    const auto same = [&](const ws_outcome& other, const char* how) {
        require(other.broken.empty(), other.broken.c_str());
        require(other.events == expected.events, how);
        require(other.idle == expected.idle && other.finished == expected.finished, how);
        require(other.buffered == expected.buffered, how);
    };
    same(ws_decode<Role>(input, setup, bytewise), "byte by byte");
    same(ws_decode<Role>(input, setup, cut), "cut");
    same(ws_decode<Role>(input, pausing, whole), "pausing");
    same(ws_decode<Role>(input, pausing, cut), "cut and pausing");

    constexpr auto sender = Role == websocket_role::server ? websocket_role::client : websocket_role::server;
    std::string again;
    ws_events understood;
    for (const auto& event : expected.events) {
        std::string_view rest = event;
        const auto kind = take_kind(rest);
        if (kind == "text" || kind == "binary")
            require(rest.size() <= setup.limits.message_size, "message size");
        if (kind == "text")
            require(pusher::detail::is_valid_utf8(rest), "text");
        if (kind == "ping" || kind == "pong")
            require(rest.size() <= pusher::websocket_max_control_size, "control size");
        if (kind == "close") {
            auto reason = rest;
            const auto code = static_cast<std::uint16_t>(std::stoul(std::string(take_kind(reason))));
            require(
                code == pusher::websocket_no_status ? reason.empty()
                                                    : pusher::is_valid_websocket_close_code(code),
                "close code");
            require(reason.size() <= pusher::websocket_max_reason_size, "reason size");
            require(pusher::detail::is_valid_utf8(reason), "reason");
        }
        if (kind == "fault" || kind.starts_with("compressed"))
            continue;
        understood.push_back(event);
        again += encode(sender, event, static_cast<std::uint32_t>(seed * 16777619));
    }
    const auto repeated = ws_decode<Role>(again, setup, cut);
    require(repeated.broken.empty() && repeated.events == understood && repeated.idle, "written again");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 3)
        return 0;
    const std::string_view input(reinterpret_cast<const char*>(data) + 3, size - 3);
    ws_setup setup;
    if ((data[0] & 2) != 0)
        setup.compression = pusher::websocket_compression::negotiated;
    // From nothing allowed to more than the input holds.
    setup.limits.message_size = (data[1] & 0x80) != 0 ? 1U << 20 : data[1] * 3U;
    setup.limits.fragments = static_cast<std::uint16_t>((data[1] & 0x40) != 0 ? 60000 : 1 + data[1] % 8);
    if ((data[0] & 1) != 0)
        check<websocket_role::client>(input, setup, data[2]);
    else
        check<websocket_role::server>(input, setup, data[2]);
    return 0;
}
