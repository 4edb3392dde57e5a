// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/transport/line_link.hpp>

namespace pusher::inline v0 {

PUSHER_DECL std::size_t line_link::feed(std::span<char> bytes) {
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

PUSHER_DECL void line_link::feed_end() {
    if (begun_.empty())
        return;
    const auto line = std::exchange(begun_, {});
    give(line.ends_with('\r') ? std::string_view(line).substr(0, line.size() - 1) : line);
}

PUSHER_DECL std::size_t line_link::too_long(std::size_t all) {
    return fault(all, errc::message_too_large, detail::request_too_long(limits().request_bytes));
}

PUSHER_DECL std::size_t line_link::fault(std::size_t all, errc why, std::string_view text) {
    begun_ = {};
    if (state() == phase::open)
        owner()->at_fault(why, text);
    return all;
}

PUSHER_DECL void line_link::say_goodbye(
    const close_reason& reason, std::optional<std::chrono::milliseconds> retry, std::string& out) {
    append_native_close(out, reason, retry);
    out += '\n';
}

} // namespace pusher::inline v0
