// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "group_script.hpp"

#include <chrono>
#include <cstddef>
#include <iomanip>
#include <optional>
#include <sstream>
#include <string>

namespace test {

inline pusher::broker_params keeping(std::size_t messages) {
    pusher::broker_params p;
    p.history.messages = messages;
    return p;
}

/// A message in short, with its offset.
inline std::string text_of(const pusher::message& m) {
    return std::string(m.topic()) + (m.position() ? "@" + std::to_string(m.position()->offset) : "") + "=" +
           std::string(m.payload());
}
inline auto into(texts& log) {
    return [&log](const pusher::message& m) { log.push_back(text_of(m)); };
}

struct pair : group_script {
    explicit pair(const pusher::broker_params& p = keeping(100), const pusher::group_params& limits = {})
        : group_script(2, p, limits) {}

    std::string topic = topic_at(0);
    group_type::broker_type& home = group[0];
    group_type::broker_type& other = group[1];
    std::string epoch() {
        std::ostringstream text;
        text << std::hex << std::setw(16) << std::setfill('0')
             << home.publish(topic, "epoch").position->epoch;
        run();
        return text.str();
    }
};

/// Copies go with their last subscriber.
inline pusher::group_params at_once(std::size_t messages = 1000) {
    return {.messages = messages, .copies_stay = std::chrono::milliseconds(0)};
}

/// What became of a publish that says `pending`.
struct outcome {
    std::optional<pusher::receipt> got;
    pusher::error_code ec;

    auto handler() {
        return [this](pusher::error_code e, const pusher::receipt& r) {
            ec = e;
            got = r;
        };
    }
};

} // namespace test
