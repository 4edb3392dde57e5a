// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/siphash.hpp>

#include <algorithm>
#include <array>
#include <cassert>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string_view>

namespace pusher::inline v0::detail {

/// The text of a cookie: letters, digits, `-` and `_`, so that JSON takes it as it is.
class udp_cookie {
public:
    static constexpr std::size_t size = 11; ///< 64 bits in base64url, without padding

    explicit udp_cookie(std::uint64_t bits) noexcept {
        constexpr std::string_view digits =
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        for (std::size_t i = 0; i != size - 1; ++i)
            text_[i] = digits[bits >> (58 - 6 * i) & 0x3F];
        text_[size - 1] = digits[bits << 2 & 0x3F];
    }

    [[nodiscard]] std::string_view view() const noexcept { return {text_.data(), size}; }

    /// In a time that does not tell how much of `text` was right.
    [[nodiscard]] bool equals(std::string_view text) const noexcept {
        if (text.size() != size)
            return false;
        unsigned difference = 0;
        for (std::size_t i = 0; i != size; ++i)
            difference |= static_cast<unsigned char>(text[i] ^ text_[i]);
        return difference == 0;
    }

private:
    std::array<char, size> text_;
};

/// What stands where a cookie would in a text that is no request, so that a peer that has one can be told
/// what is wrong. Whoever can write down a valid one has shown its address, whatever is around it.
[[nodiscard]] inline std::string_view find_cookie(std::string_view text) noexcept {
    constexpr std::string_view name = "\"cookie\"";
    constexpr std::string_view space = " \t\r\n";
    const auto skip = [&](char c) {
        text.remove_prefix(std::min(text.find_first_not_of(space), text.size()));
        const bool found = text.starts_with(c);
        text.remove_prefix(found ? 1 : 0);
        return found;
    };
    for (auto at = text.find(name); at != text.npos; at = text.find(name)) {
        text.remove_prefix(at + name.size());
        if (skip(':') && skip('"'))
            return text.substr(0, udp_cookie::size);
    }
    return {};
}

/// Proves that a UDP peer receives at the address it sends from, without keeping anything about it: a cookie
/// is a keyed hash of address, port and time slot. Good in the slot it was made in and in the next, that is
/// for one to two slot lengths.
///
/// An address is its 4 or 16 bytes in network order.
class cookie_jar {
public:
    using time_point = std::chrono::steady_clock::time_point;
    using duration = std::chrono::steady_clock::duration;

    /// `key`: secret and random. `slot`: positive, else `std::invalid_argument`.
    explicit cookie_jar(siphash_key key, duration slot = std::chrono::seconds(30)) : key_(key), slot_(slot) {
        if (slot <= duration::zero())
            throw std::invalid_argument("cookie_jar: slot not positive");
    }

    [[nodiscard]] udp_cookie
    make(std::span<const unsigned char> address, std::uint16_t port, time_point now) const noexcept {
        return in_slot(address, port, slot_of(now));
    }

    [[nodiscard]] bool valid(
        std::string_view cookie, std::span<const unsigned char> address, std::uint16_t port,
        time_point now) const noexcept {
        const auto slot = slot_of(now);
        return in_slot(address, port, slot).equals(cookie) || in_slot(address, port, slot - 1).equals(cookie);
    }

private:
    [[nodiscard]] std::uint64_t slot_of(time_point now) const noexcept {
        const auto since = now.time_since_epoch();
        const auto whole = since / slot_ - (since % slot_ < duration::zero() ? 1 : 0); // towards the past
        return static_cast<std::uint64_t>(whole);
    }

    [[nodiscard]] udp_cookie
    in_slot(std::span<const unsigned char> address, std::uint16_t port, std::uint64_t slot) const noexcept {
        assert(address.size() == 4 || address.size() == 16);
        // Slot and port have fixed sizes and come first, so no two peers share an input.
        std::array<unsigned char, 8 + 2 + 16> input;
        std::size_t size = 0;
        for (int i = 0; i != 8; ++i)
            input[size++] = static_cast<unsigned char>(slot >> (8 * i));
        input[size++] = static_cast<unsigned char>(port >> 8);
        input[size++] = static_cast<unsigned char>(port & 0xFF);
        for (std::size_t i = 0; i != address.size() && size != input.size(); ++i)
            input[size++] = address[i];
        return udp_cookie(siphash(key_, std::span<const unsigned char>(input.data(), size)));
    }

    siphash_key key_;
    duration slot_;
};

} // namespace pusher::inline v0::detail
