// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// As much of WebSocket as a benchmark needs, independent of the library so that the rivals owe it nothing.
namespace bench::websocket {

enum opcode : unsigned char { more = 0, text = 1, binary = 2, closing = 8, ping = 9, pong = 10 };

/// The key that every benchmark client sends, and the answer to it (both from RFC 6455, section 1.3).
inline constexpr std::string_view client_key = "dGhlIHNhbXBsZSBub25jZQ==";
inline constexpr std::string_view client_answer = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

struct frame_head {
    std::size_t size = 0; ///< of the head itself
    std::uint64_t payload = 0;
    unsigned char code = 0;
    bool last = false;
    bool masked = false;
    bool compressed = false;
    std::array<unsigned char, 4> mask{};
};

/// Reads a frame's head; false while it is not complete.
inline bool read_head(const char* at, std::size_t available, frame_head& head) noexcept {
    if (available < 2)
        return false;
    const auto byte = [at](std::size_t i) { return static_cast<unsigned char>(at[i]); };
    head.code = byte(0) & 0x0F;
    head.last = (byte(0) & 0x80) != 0;
    head.compressed = (byte(0) & 0x40) != 0;
    head.masked = (byte(1) & 0x80) != 0;
    const auto length = byte(1) & 0x7FU;
    const std::size_t extra = length == 126 ? 2 : length == 127 ? 8 : 0;
    head.size = 2 + extra + (head.masked ? 4U : 0U);
    if (available < head.size)
        return false;
    head.payload = extra == 0 ? length : 0;
    for (std::size_t i = 0; i != extra; ++i)
        head.payload = head.payload << 8 | byte(2 + i);
    if (head.masked)
        for (std::size_t i = 0; i != 4; ++i)
            head.mask[i] = byte(2 + extra + i);
    return true;
}

inline void unmask(char* payload, const frame_head& head) noexcept {
    for (std::size_t i = 0; i != head.payload; ++i)
        payload[i] = static_cast<char>(static_cast<unsigned char>(payload[i]) ^ head.mask[i & 3]);
}

inline void append_head(std::string& out, opcode code, std::size_t payload, bool masked = false) {
    out += static_cast<char>(0x80U | code);
    const unsigned bit = masked ? 0x80 : 0;
    if (payload < 126) {
        out += static_cast<char>(bit | payload);
    } else {
        const std::size_t extra = payload <= 0xFFFF ? 2 : 8;
        out += static_cast<char>(bit | (extra == 2 ? 126U : 127U));
        for (auto i = extra; i != 0; --i)
            out += static_cast<char>(static_cast<std::uint64_t>(payload) >> (8 * (i - 1)));
    }
    if (masked)
        out.append(4, '\0'); // a key of zero: what is sent is what is meant
}

inline void append_frame(std::string& out, opcode code, std::string_view payload, bool masked = false) {
    append_head(out, code, payload.size(), masked);
    out += payload;
}

inline std::array<unsigned char, 20> sha1(std::string text) {
    const auto bits = static_cast<std::uint64_t>(text.size()) * 8;
    text += static_cast<char>(0x80);
    text.append((120 - text.size() % 64) % 64, '\0');
    for (int shift = 56; shift >= 0; shift -= 8)
        text += static_cast<char>(bits >> shift);
    std::array<std::uint32_t, 5> h{0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
    for (std::size_t block = 0; block != text.size(); block += 64) {
        std::array<std::uint32_t, 80> w{};
        for (std::size_t i = 0; i != 64; ++i)
            w[i / 4] = w[i / 4] << 8 | static_cast<unsigned char>(text[block + i]);
        for (std::size_t i = 16; i != 80; ++i)
            w[i] = std::rotl(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
        auto [a, b, c, d, e] = h;
        for (std::size_t i = 0; i != 80; ++i) {
            const std::uint32_t f = i < 20   ? (b & c) | (~b & d)
                                    : i < 40 ? b ^ c ^ d
                                    : i < 60 ? (b & c) | (b & d) | (c & d)
                                             : b ^ c ^ d;
            const std::uint32_t k = i < 20   ? 0x5A827999
                                    : i < 40 ? 0x6ED9EBA1
                                    : i < 60 ? 0x8F1BBCDC
                                             : 0xCA62C1D6;
            const auto next = std::rotl(a, 5) + f + e + k + w[i];
            e = d;
            d = c;
            c = std::rotl(b, 30);
            b = a;
            a = next;
        }
        h = {h[0] + a, h[1] + b, h[2] + c, h[3] + d, h[4] + e};
    }
    std::array<unsigned char, 20> digest{};
    for (std::size_t i = 0; i != 20; ++i)
        digest[i] = static_cast<unsigned char>(h[i / 4] >> (24 - 8 * (i % 4)));
    return digest;
}

/// The value of `Sec-WebSocket-Accept` for a key.
inline std::string answer_to(std::string_view key) {
    static constexpr std::string_view digits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const auto digest = sha1(std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    std::string out;
    for (std::size_t i = 0; i < digest.size(); i += 3) {
        std::uint32_t group = 0;
        for (std::size_t j = 0; j != 3; ++j)
            group = group << 8 | (i + j < digest.size() ? digest[i + j] : 0U);
        for (std::size_t j = 0; j != 4; ++j)
            out += i + j > digest.size() ? '=' : digits[group >> (18 - 6 * j) & 63];
    }
    return out;
}

/// The path of a request target, without its query.
inline std::string_view path_of(std::string_view target) noexcept {
    return target.substr(0, target.find('?'));
}

/// The `topic` parameters of a request target, as they stand (benchmark topics need no escapes).
inline std::vector<std::string_view> topics_of(std::string_view target) {
    std::vector<std::string_view> topics;
    auto at = target.find('?');
    while (at != target.npos) {
        const auto end = target.find('&', at + 1);
        const auto part = target.substr(at + 1, end == target.npos ? end : end - at - 1);
        if (part.starts_with("topic="))
            topics.push_back(part.substr(6));
        at = end;
    }
    return topics;
}

} // namespace bench::websocket
