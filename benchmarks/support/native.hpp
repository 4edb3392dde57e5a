// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

/// The few lines of the native dialect with which a rival can be compared to the library byte for byte.
namespace bench::native {

/// The topic of a subscribe request as the load generator writes it; empty if it is something else.
inline std::string_view topic_of(std::string_view request) noexcept {
    static constexpr std::string_view label = R"("topic":")";
    if (request.find(R"("action":"subscribe")") == request.npos)
        return {};
    const auto at = request.find(label);
    if (at == request.npos)
        return {};
    request.remove_prefix(at + label.size());
    return request.substr(0, request.find('"'));
}

inline std::string subscribe_request(std::string_view topic) {
    return R"({"action":"subscribe","params":{"topic":")" + std::string(topic) + R"("}})";
}

inline std::string reply(bool ok) {
    return std::string(R"({"request_id":"","action":"subscribe","status":")") +
           (ok ? R"(ok","error_message":"")" : R"(fail","error_message":"not a subscribe request")") +
           R"(,"timestamp":0})";
}

/// A push around a payload that needs no escapes, as long as a real one: the time is a constant of full
/// length.
inline void
append_push(std::string& out, std::string_view topic, std::string_view payload, std::uint64_t sequence) {
    char digits[20];
    const auto end = std::to_chars(digits, digits + sizeof digits, sequence).ptr;
    out += R"({"topic":")";
    out += topic;
    out += R"(","type":"","payload":")";
    out += payload;
    out += R"(","meta":{"receive_time":"2026-01-01T00:00:00.000000000Z","message_id":"5f3a9c1e7b2d4680-)";
    out.append(digits, end);
    out += R"("}})";
}

} // namespace bench::native
