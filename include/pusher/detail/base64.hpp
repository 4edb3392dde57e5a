// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/version.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace pusher::inline v0::detail {

inline constexpr std::string_view base64_digits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// How long the base64 form of `size` bytes is.
[[nodiscard]] constexpr std::size_t base64_size(std::size_t size) noexcept { return (size + 2) / 3 * 4; }

/// Appends the base64 form of `bytes`: the standard alphabet, padded, without line breaks (RFC 4648, section
/// 4).
inline void append_base64(std::string& out, std::string_view bytes) {
    const auto begin = out.size();
    out.resize(begin + base64_size(bytes.size()));
    char* to = out.data() + begin;
    auto octet = [&bytes](std::size_t i) { return std::uint32_t{static_cast<unsigned char>(bytes[i])}; };
    auto digit = [](std::uint32_t bits) { return base64_digits[bits & 0x3F]; };
    while (bytes.size() >= 3) {
        const auto bits = octet(0) << 16 | octet(1) << 8 | octet(2);
        *to++ = digit(bits >> 18);
        *to++ = digit(bits >> 12);
        *to++ = digit(bits >> 6);
        *to++ = digit(bits);
        bytes.remove_prefix(3);
    }
    if (!bytes.empty()) {
        const auto bits = octet(0) << 16 | (bytes.size() == 2 ? octet(1) << 8 : 0);
        *to++ = digit(bits >> 18);
        *to++ = digit(bits >> 12);
        *to++ = bytes.size() == 2 ? digit(bits >> 6) : '=';
        *to++ = '=';
    }
}

/// Appends the bytes that `text` stands for. False, with `out` as it was: not what `append_base64` writes. A
/// second form of the same bytes (no padding, stray bits, spaces) is refused too.
[[nodiscard]] inline bool decode_base64(std::string_view text, std::string& out) {
    static constexpr auto values = [] {
        std::array<std::uint8_t, 256> table{};
        table.fill(0xFF);
        for (std::size_t i = 0; i != base64_digits.size(); ++i)
            table[static_cast<unsigned char>(base64_digits[i])] = static_cast<std::uint8_t>(i);
        return table;
    }();
    if (text.size() % 4 != 0)
        return false;
    const auto begin = out.size();
    out.reserve(begin + text.size() / 4 * 3);
    for (; !text.empty(); text.remove_prefix(4)) {
        const bool last = text.size() == 4;
        const std::size_t padding = !last || text[3] != '=' ? 0 : text[2] != '=' ? 1 : 2;
        std::uint32_t bits = 0;
        bool valid = true;
        for (std::size_t i = 0; i != 4; ++i) {
            const auto value =
                i < 4 - padding ? values[static_cast<unsigned char>(text[i])] : std::uint8_t{0};
            valid = valid && value != 0xFF;
            bits = bits << 6 | value;
        }
        if (!valid || (bits & ((1U << (8 * padding)) - 1)) != 0) {
            out.resize(begin);
            return false;
        }
        for (std::size_t i = 0; i != 3 - padding; ++i)
            out.push_back(static_cast<char>(bits >> (16 - 8 * i) & 0xFF));
    }
    return true;
}

} // namespace pusher::inline v0::detail
