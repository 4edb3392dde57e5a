// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// What a browser makes of a stream of server-sent events: the HTML standard's "interpreting an event stream",
// word by word, for a stream that is there whole.

namespace test {

struct sse_event {
    std::string type;
    std::string data;
    std::string last_id;

    friend bool operator==(const sse_event&, const sse_event&) = default;
};

struct event_source {
    std::vector<sse_event> events;
    std::optional<std::string> retry;
    std::string last_id;

    explicit event_source(std::string_view stream) {
        while (!stream.empty()) {
            const auto end = std::min(stream.find_first_of("\r\n"), stream.size());
            if (end == stream.size())
                return; // an unfinished line is discarded
            line(stream.substr(0, end));
            stream.remove_prefix(end + (stream.substr(end).starts_with("\r\n") ? 2 : 1));
        }
    }

private:
    void line(std::string_view text) {
        if (text.empty())
            return dispatch();
        if (text[0] == ':')
            return;
        const auto colon = std::min(text.find(':'), text.size());
        const auto name = text.substr(0, colon);
        auto value = text.substr(std::min(colon + 1, text.size()));
        if (value.starts_with(' '))
            value.remove_prefix(1);
        if (name == "event") {
            type_ = value;
        } else if (name == "data") {
            data_.append(value).append(1, '\n');
        } else if (name == "id") {
            if (value.find('\0') == value.npos)
                id_ = value;
        } else if (name == "retry") {
            if (!value.empty() && value.find_first_not_of("0123456789") == value.npos)
                retry = value;
        }
    }

    void dispatch() {
        last_id = id_;
        if (!data_.empty()) {
            data_.pop_back();
            events.push_back({type_.empty() ? "message" : type_, data_, last_id});
        }
        data_.clear();
        type_.clear();
    }

    std::string type_;
    std::string data_;
    std::string id_;
};

} // namespace test
