// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

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
    std::size_t feed(std::span<char> bytes) override {
        const std::string_view text(bytes.data(), bytes.size());
        std::size_t at = 0;
        for (;;) {
            const auto end = text.find('\n', at);
            if (end == text.npos)
                break;
            auto line = text.substr(at, end - at);
            std::string whole;
            if (!begun_.empty()) {
                whole = std::exchange(begun_, {});
                whole.append(line);
                line = whole;
            }
            if (line.ends_with('\r'))
                line.remove_suffix(1);
            if (line.size() > limits().request_bytes)
                return too_long(text.size());
            if (detail::is_http_request_line(line))
                return fault(
                    text.size(), errc::protocol_error,
                    "this is not HTTP but the native dialect of pusher, a JSON object per line");
            at = end + 1;
            if (line.empty() ? !count() : !give(line))
                return at;
            if (state() != phase::open)
                return text.size();
        }
        begun_.append(text.substr(at));
        if (begun_.size() > limits().request_bytes + 1)
            return too_long(text.size());
        return text.size();
    }

    std::size_t too_long(std::size_t all) {
        return fault(all, errc::message_too_large, detail::request_too_long(limits().request_bytes));
    }

    std::size_t fault(std::size_t all, errc why, std::string_view text) {
        begun_ = {};
        if (state() == phase::open)
            owner()->at_fault(why, text);
        return all;
    }

    void say_goodbye(
        const close_reason& reason, std::optional<std::chrono::milliseconds> retry,
        std::string& out) override {
        append_native_close(out, reason, retry);
        out += '\n';
    }

    std::string begun_; ///< a line that has not ended
};

} // namespace pusher::inline v0
