// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/utf8.hpp>
#include <pusher/version.hpp>

#include <algorithm>
#include <bit>
#include <charconv>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace pusher::inline v0::detail {

/// Whether a byte may not stand in a JSON string as it is (RFC 8259, section 7).
[[nodiscard]] constexpr bool is_json_special(char c) noexcept {
    return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\';
}

/// Eight bytes at once: zero if none of them is special. On a little-endian machine the lowest set bit is the
/// top bit of the first special byte; bits above it mean nothing.
[[nodiscard]] constexpr std::uint64_t json_specials(std::uint64_t word) noexcept {
    constexpr std::uint64_t ones = 0x0101010101010101U;
    const auto quote = (word ^ (ones * '"')) - ones;
    const auto backslash = (word ^ (ones * '\\')) - ones;
    const auto control = word - ones * 0x20;
    return (quote | backslash | control) & ~word & (ones * 0x80);
}

/// How many bytes from `at` on need no escape, given that one of the next eight does.
[[nodiscard]] inline std::size_t plain_run(const char* at, std::uint64_t specials) noexcept {
    if constexpr (std::endian::native == std::endian::little)
        return static_cast<std::size_t>(std::countr_zero(specials)) / 8;
    std::size_t n = 0;
    while (!is_json_special(at[n]))
        ++n;
    return n;
}

/// The first byte in [at, end) that is special, or `end`.
[[nodiscard]] inline const char* find_json_special(const char* at, const char* end) noexcept {
    while (end - at >= 8) {
        std::uint64_t word;
        std::memcpy(&word, at, 8);
        if (const auto specials = json_specials(word))
            return at + plain_run(at, specials);
        at += 8;
    }
    while (at != end && !is_json_special(*at))
        ++at;
    return at;
}

/// Appends JSON to a string, piece by piece, through a buffer on the stack: a typical message costs one
/// append.
///
/// Nothing is certain to be in the string before `finish`. If memory runs out, the string is as it was
/// before.
template <class String>
class basic_json_writer {
public:
    explicit basic_json_writer(String& out) noexcept : out_(out), begin_(out.size()) {}
    basic_json_writer(const basic_json_writer&) = delete;
    basic_json_writer& operator=(const basic_json_writer&) = delete;

    void finish() {
        spill();
        to_ = buffer_;
    }

    /// As it is. For literals the size is known, so that the copy is a few instructions.
    template <std::size_t N>
        requires(N <= 256)
    void literal(const char (&text)[N]) {
        need(N - 1);
        std::memcpy(to_, text, N - 1);
        to_ += N - 1;
    }

    /// As it is.
    void raw(std::string_view text) {
        while (!text.empty()) {
            need(1);
            const auto n = std::min(text.size(), static_cast<std::size_t>(buffer_ + sizeof buffer_ - to_));
            std::memcpy(to_, text.data(), n);
            to_ += n;
            text.remove_prefix(n);
        }
    }

    /// The inside of a JSON string: escaped, without quotes. `text` must be valid UTF-8 for the output to be.
    void escaped(std::string_view text) {
        const char* at = text.data();
        const char* const end = at + text.size();
        while (end - at >= 8) {
            need(16); // eight bytes are copied before it is known how many of them count, then an escape
            std::uint64_t word;
            std::memcpy(&word, at, 8);
            std::memcpy(to_, &word, 8);
            const auto specials = json_specials(word);
            if (specials == 0) {
                at += 8;
                to_ += 8;
                continue;
            }
            const auto plain = plain_run(at, specials);
            at += plain;
            to_ += plain;
            escape(*at++);
        }
        need(8 * longest_escape);
        for (; at != end; ++at) {
            if (is_json_special(*at))
                escape(*at);
            else
                *to_++ = *at;
        }
    }

    /// A JSON string. Whatever is not UTF-8 in it becomes U+FFFD, so that the output is JSON in any case.
    void string(std::string_view text) {
        literal("\"");
        if (is_valid_utf8(text))
            escaped(text);
        else
            repaired(text);
        literal("\"");
    }

    template <std::integral Integer>
        requires(!std::same_as<Integer, bool> && !std::same_as<Integer, char>)
    void number(Integer value) {
        need(24);
        to_ = std::to_chars(to_, to_ + 24, value).ptr;
    }

    /// Room for `size` bytes (at most 256), for those who write themselves; then `wrote(where they stopped)`.
    [[nodiscard]] char* room(std::size_t size) {
        need(size);
        return to_;
    }
    void wrote(char* until) noexcept { to_ = until; }

private:
    static constexpr std::size_t longest_escape = 6;

    void need(std::size_t size) {
        if (static_cast<std::size_t>(buffer_ + sizeof buffer_ - to_) < size) [[unlikely]]
            finish();
    }

    void spill() {
        try {
            out_.append(buffer_, to_);
        } catch (...) {
            out_.resize(begin_);
            throw;
        }
    }

    void escape(char c) noexcept {
        *to_++ = '\\';
        switch (c) {
        case '"':
        case '\\': *to_++ = c; return;
        case '\n': *to_++ = 'n'; return;
        case '\r': *to_++ = 'r'; return;
        case '\t': *to_++ = 't'; return;
        case '\b': *to_++ = 'b'; return;
        case '\f': *to_++ = 'f'; return;
        default: break;
        }
        constexpr char digits[] = "0123456789abcdef";
        const auto value = static_cast<unsigned char>(c);
        std::memcpy(to_, "u00", 3);
        to_[3] = digits[value >> 4];
        to_[4] = digits[value & 0x0F];
        to_ += 5;
    }

    void repaired(std::string_view text) {
        while (!text.empty()) {
            std::size_t size = 1;
            while (size < 4 && size < text.size() && !is_valid_utf8(text.substr(0, size)))
                ++size;
            if (is_valid_utf8(text.substr(0, size))) {
                escaped(text.substr(0, size));
            } else {
                literal("\xEF\xBF\xBD");
                size = 1;
            }
            text.remove_prefix(size);
        }
    }

    String& out_;
    std::size_t begin_;
    char buffer_[1024]; // not initialised: it is only read where it was written
    char* to_ = buffer_;
};

using json_writer = basic_json_writer<std::string>;

/// Appends `text` as a JSON string with its quotes; see `json_writer::string`.
inline void append_json_string(std::string& out, std::string_view text) {
    json_writer w(out);
    w.string(text);
    w.finish();
}

} // namespace pusher::inline v0::detail
