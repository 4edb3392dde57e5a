// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/client/framing.hpp>

namespace pusher::inline v0::detail {

PUSHER_DECL void client_line_framing::text(std::string& out, std::string_view json) {
    out += json;
    out += '\n';
}

PUSHER_DECL void client_line_framing::ping(std::string& out) {
    out += R"({"request_id":"ping","action":"ping"})";
    out += '\n';
}

PUSHER_DECL std::size_t client_line_framing::feed(std::span<char> bytes, client_framing_user& user) {
    const std::string_view all(bytes.data(), bytes.size());
    std::size_t at = 0;
    while (at != all.size()) {
        const auto end = all.find('\n', at);
        auto line = all.substr(at, end == all.npos ? end : end - at);
        if (begun_.size() + line.size() > message_bytes_ + 1) { // 1 for a carriage return
            begun_ = {};
            user.at_over(
                {errc::message_too_large, 0, "a line of the hub is over message_bytes", {}, 0, true});
            return all.size();
        }
        if (end == all.npos) {
            begun_ += line;
            return all.size();
        }
        at = end + 1;
        std::string whole;
        if (!begun_.empty()) {
            whole = std::exchange(begun_, {});
            whole += line;
            line = whole;
        }
        if (line.ends_with('\r'))
            line.remove_suffix(1);
        if (!line.empty() && !user.at_text(line))
            break;
    }
    return at;
}

} // namespace pusher::inline v0::detail
