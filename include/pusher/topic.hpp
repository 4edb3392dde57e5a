// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/utf8.hpp>
#include <pusher/version.hpp>

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace pusher::inline v0 {

/// Longest topic, filter or type, in bytes.
inline constexpr std::size_t max_topic_size = 255;

/// Most levels (`a/b/c` has three) of a filter.
inline constexpr std::size_t max_filter_levels = 32;

/// How the text given to `subscribe` is to be read.
enum class match_mode : unsigned char {
    exact,  ///< a topic, compared byte by byte
    filter, ///< a pattern: `+` is any one level, a final `#` is the rest and its parent (MQTT 5.0,
            ///< section 4.7)
};

namespace detail {

/// Whether `text` is UTF-8 without control characters: not U+0000 to U+001F, nor U+007F to U+009F.
inline bool is_printable_utf8(std::string_view text) noexcept {
    unsigned char before = 0;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7F || (before == 0xC2 && byte < 0xA0))
            return false;
        before = byte;
    }
    return is_valid_utf8(text);
}

inline bool is_name(std::string_view text) noexcept {
    if (text.size() > max_topic_size)
        return false;
    // Names are mostly ASCII, which is looked at once.
    const auto ascii = [](char c) { return static_cast<unsigned char>(c - 0x20) < 0x7F - 0x20; };
    const auto other = std::find_if_not(text.begin(), text.end(), ascii);
    return other == text.end() || is_printable_utf8({other, text.end()});
}

} // namespace detail

/// Whether `text` is a topic: valid UTF-8 without control characters (U+0000 to U+001F, U+007F to U+009F), 1
/// to 255 bytes.
///
/// `*`, `+` and `#` are ordinary characters of a topic; only filters give `+` and `#` a meaning.
[[nodiscard]] inline bool is_valid_topic(std::string_view text) noexcept {
    return !text.empty() && detail::is_name(text);
}

/// Whether `text` is a type: valid UTF-8 without control characters, at most 255 bytes, not reserved. Empty
/// is "no type".
[[nodiscard]] inline bool is_valid_type(std::string_view text) noexcept {
    return detail::is_name(text) && !text.starts_with("pusher.");
}

/// Whether `text` is a filter: a valid topic in which `+` and `#` stand alone in their level, `#` only last,
/// and with at most 32 levels.
[[nodiscard]] inline bool is_valid_filter(std::string_view text) noexcept {
    if (!is_valid_topic(text))
        return false;
    std::size_t levels = 0;
    for (std::size_t at = 0; at <= text.size();) {
        const auto end = std::min(text.find('/', at), text.size());
        const auto level = text.substr(at, end - at);
        if (++levels > max_filter_levels)
            return false;
        if (level.find_first_of("+#") != level.npos && level.size() != 1)
            return false;
        if (level == "#" && end != text.size())
            return false;
        at = end + 1;
    }
    return true;
}

/// Whether a filter matches a topic. Both must be valid.
[[nodiscard]] inline bool filter_matches(std::string_view filter, std::string_view topic) noexcept {
    // Wildcards in the first level do not reach topics of the system (MQTT 5.0, section 4.7.2).
    if (topic.starts_with('$') && (filter.starts_with('+') || filter.starts_with('#')))
        return false;
    for (bool ended = false;;) {
        const auto end = std::min(filter.find('/'), filter.size());
        const auto level = filter.substr(0, end);
        if (level == "#")
            return true;
        const auto other = topic.substr(0, topic.find('/'));
        if (ended || (level != "+" && level != other))
            return false;
        ended = other.size() == topic.size();
        topic.remove_prefix(ended ? topic.size() : other.size() + 1);
        if (end == filter.size())
            return ended;
        filter.remove_prefix(end + 1);
    }
}

} // namespace pusher::inline v0
