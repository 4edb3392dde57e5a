// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/version.hpp>

#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>
#include <system_error>

namespace pusher::inline v0 {

/// A place in the order of everything that a broker published: what a message's `sequence_epoch` and
/// `sequence` say, and what travels as `<epoch>-<sequence>`.
struct sequence_position {
    std::uint64_t epoch = 0;
    std::uint64_t sequence = 0;

    friend bool operator==(const sequence_position&, const sequence_position&) = default;
};

namespace detail {

/// An epoch travels as 16 hexadecimal digits, in a string: JavaScript's numbers end at 2^53.
inline constexpr std::size_t epoch_size = 16;

/// Most bytes that `write_position` writes.
inline constexpr std::size_t max_position_size = epoch_size + 1 + 20;

inline char* write_epoch(char* to, std::uint64_t epoch) noexcept {
    static constexpr auto pairs = [] {
        std::array<char, 512> all{};
        for (std::size_t i = 0; i != 256; ++i) {
            all[2 * i] = "0123456789abcdef"[i >> 4];
            all[2 * i + 1] = "0123456789abcdef"[i & 0x0F];
        }
        return all;
    }();
    for (unsigned shift = 64; shift != 0; to += 2) {
        shift -= 8;
        std::memcpy(to, pairs.data() + 2 * (epoch >> shift & 0xFF), 2);
    }
    return to;
}

inline char* write_position(char* to, const sequence_position& position) noexcept {
    to = write_epoch(to, position.epoch);
    *to++ = '-';
    return std::to_chars(to, to + 20, position.sequence).ptr;
}

/// Whole decimal numbers: digits only.
[[nodiscard]] inline std::optional<std::uint64_t> parse_whole_number(std::string_view text) noexcept {
    std::uint64_t value = 0;
    const auto end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value);
    if (text.empty() || error != std::errc() || stop != end)
        return std::nullopt;
    return value;
}

/// Only what `write_epoch` writes.
[[nodiscard]] inline std::optional<std::uint64_t> parse_epoch(std::string_view text) noexcept {
    if (text.size() != epoch_size)
        return std::nullopt;
    std::uint64_t value = 0;
    for (const char c : text) {
        const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0)
            return std::nullopt;
        value = value << 4 | static_cast<std::uint64_t>(digit);
    }
    return value;
}

/// Only what `write_position` writes.
[[nodiscard]] inline std::optional<sequence_position> parse_position(std::string_view text) noexcept {
    if (text.size() < epoch_size + 2 || text[epoch_size] != '-')
        return std::nullopt;
    const auto epoch = parse_epoch(text.substr(0, epoch_size));
    const auto digits = text.substr(epoch_size + 1);
    const auto sequence = parse_whole_number(digits);
    if (!epoch || !sequence || (digits.size() > 1 && digits[0] == '0'))
        return std::nullopt;
    return sequence_position{*epoch, *sequence};
}

} // namespace detail
} // namespace pusher::inline v0
