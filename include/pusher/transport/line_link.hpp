// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/config.hpp>
#include <pusher/dialect/native_encode.hpp>
#include <pusher/error.hpp>
#include <pusher/transport/stream_link.hpp>

#include <string>
#include <string_view>
#include <utility>

namespace pusher::inline v0 {

namespace detail {

/// `METHOD target HTTP/1.1`.
inline bool is_http_request_line(std::string_view line) noexcept {
    const auto letter = [](char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); };
    const auto digit = [](char c) { return c >= '0' && c <= '9'; };
    if (line.empty() || !letter(line.front()))
        return false; // no need to look further at what may be JSON
    constexpr std::string_view version = " HTTP/";
    const auto at = line.rfind(version);
    return at != line.npos && at + version.size() < line.size() && digit(line[at + version.size()]) &&
           line.find(' ') < at;
}

} // namespace detail

/// The native dialect on a stream socket: a message is a line, ended by a line feed with or without a
/// carriage return before it. Empty lines are passed over.
///
/// A request line of HTTP ends the session: a web page can make a browser send one here, with a body that it
/// chooses, and only HTTP has the check of origins.
class line_link : public stream_link {
public:
    using stream_link::stream_link;

    [[nodiscard]] framing frames() const noexcept override { return framing::line; }
    [[nodiscard]] std::string_view transport() const noexcept override { return "tcp"; }

private:
    std::size_t feed(std::span<char> bytes) override;

    [[nodiscard]] bool serves_half_closed() const noexcept override { return true; }

    /// What the last line feed did not end is a line too.
    void feed_end() override;

    std::size_t too_long(std::size_t all);

    std::size_t fault(std::size_t all, errc why, std::string_view text);

    void say_goodbye(
        const close_reason& reason, std::optional<std::chrono::milliseconds> retry,
        std::string& out) override;

    std::string begun_; ///< a line that has not ended
};

} // namespace pusher::inline v0

#if !defined(PUSHER_SEPARATE_COMPILATION)
#include <pusher/transport/impl/line_link.hpp>
#endif
