// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "catch.hpp"
#include "websocket_script.hpp"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <string>
#include <vector>

namespace test {

/// A table row: these frames give these events, however they are cut and wherever the reader pauses, sent by
/// a client and by a server alike.
struct ws_row {
    std::string name;
    std::vector<ws_frame> frames;
    ws_events events;
    ws_setup setup{};
};

template <pusher::websocket_role Role>
void check_row_as(const ws_row& row) {
    const bool server = Role == pusher::websocket_role::server;
    INFO(row.name << (server ? ", as server" : ", as client"));
    const auto input =
        ws_bytes(server ? pusher::websocket_role::client : pusher::websocket_role::server, row.frames);
    auto pausing = row.setup;
    pausing.pausing = true;
    const auto check = [&](const std::string& how, auto piece) {
        for (const auto& setup : {row.setup, pausing}) {
            const auto outcome = ws_decode<Role>(input, setup, piece);
            INFO(how << (setup.pausing ? ", pausing" : ""));
            // One assertion of Catch per cut would take most of the time.
            if (!outcome.broken.empty())
                FAIL(outcome.broken);
            if (outcome.events != row.events)
                CHECK(outcome.events == row.events);
        }
    };
    check("whole", [](std::size_t) { return std::numeric_limits<std::size_t>::max(); });
    check("byte by byte", [](std::size_t) { return std::size_t{1}; });
    check("by sevens", [](std::size_t) { return std::size_t{7}; });
    for (std::size_t cut = 1; cut < input.size();) {
        check("cut at " + std::to_string(cut), [cut](std::size_t at) {
            return at < cut ? cut - at : std::numeric_limits<std::size_t>::max();
        });
        // Of long input only the beginning, the end, and some places between: the work grows with the square.
        const bool dense = input.size() < 600 || cut < 40 || cut + 20 >= input.size();
        cut = dense ? cut + 1 : std::min(cut + input.size() / 23, input.size() - 20);
    }
    CHECK(true);
}

inline void check_row(const ws_row& row) {
    check_row_as<pusher::websocket_role::server>(row);
    check_row_as<pusher::websocket_role::client>(row);
}

/// The payload of a close frame.
inline std::string close_payload(unsigned code, const std::string& reason = {}) {
    return std::string{static_cast<char>(code >> 8 & 0xFF), static_cast<char>(code & 0xFF)} + reason;
}

} // namespace test
