// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/base64.hpp>
#include <pusher/version.hpp>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace pusher::inline v0::detail {

/// SHA-1 (RFC 3174), for the WebSocket handshake, where it only shows that the peer speaks WebSocket; Boost
/// has it as a private detail alone, and needing a cryptography library for this would be too much.
inline std::array<unsigned char, 20> sha1(std::string_view text) {
    std::array<std::uint32_t, 5> h{0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
    std::string padded(text);
    padded += '\x80';
    padded.append((120 - padded.size() % 64) % 64, '\0');
    const std::uint64_t bits = std::uint64_t{text.size()} * 8;
    for (int shift = 56; shift >= 0; shift -= 8)
        padded += static_cast<char>(bits >> shift & 0xFF);

    for (std::size_t at = 0; at != padded.size(); at += 64) {
        std::array<std::uint32_t, 80> w;
        for (std::size_t i = 0; i != 16; ++i) {
            w[i] = 0;
            for (std::size_t j = 0; j != 4; ++j)
                w[i] = w[i] << 8 | static_cast<unsigned char>(padded[at + i * 4 + j]);
        }
        for (std::size_t i = 16; i != 80; ++i)
            w[i] = std::rotl(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);

        auto [a, b, c, d, e] = h;
        for (std::size_t i = 0; i != 80; ++i) {
            const std::uint32_t f = i < 20   ? ((b & c) | (~b & d))
                                    : i < 40 ? (b ^ c ^ d)
                                    : i < 60 ? ((b & c) | (b & d) | (c & d))
                                             : (b ^ c ^ d);
            constexpr std::array<std::uint32_t, 4> k{0x5A827999, 0x6ED9EBA1, 0x8F1BBCDC, 0xCA62C1D6};
            const std::uint32_t next = std::rotl(a, 5) + f + e + k[i / 20] + w[i];
            e = d;
            d = c;
            c = std::rotl(b, 30);
            b = a;
            a = next;
        }
        h[0] += a;
        h[1] += b;
        h[2] += c;
        h[3] += d;
        h[4] += e;
    }
    std::array<unsigned char, 20> digest;
    for (std::size_t i = 0; i != 20; ++i)
        digest[i] = static_cast<unsigned char>(h[i / 4] >> (24 - 8 * (i % 4)));
    return digest;
}

/// The `Sec-WebSocket-Accept` that answers a `Sec-WebSocket-Key` (RFC 6455, section 4.2.2).
inline std::string websocket_accept(std::string_view key) {
    const auto digest = sha1(std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    std::string text;
    append_base64(text, {reinterpret_cast<const char*>(digest.data()), digest.size()});
    return text;
}

} // namespace pusher::inline v0::detail
