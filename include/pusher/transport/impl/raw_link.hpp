// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/transport/raw_link.hpp>

namespace pusher::inline v0 {

namespace detail {

inline constexpr std::size_t raw_length_size = 4;

PUSHER_DECL std::uint32_t raw_length(std::string_view bytes) noexcept {
    std::uint32_t length = 0;
    for (std::size_t i = 0; i != raw_length_size; ++i)
        length = length << 8 | static_cast<unsigned char>(bytes[i]);
    return length;
}

} // namespace detail

PUSHER_DECL std::size_t raw_link::feed(std::span<char> bytes) {
    using detail::raw_length_size;
    const std::string_view text(bytes.data(), bytes.size());
    std::size_t at = 0;
    while (at != text.size()) {
        // The length is looked at before anything is kept for what it promises.
        if (begun_.size() < raw_length_size && begun_.size() + text.size() - at < raw_length_size) {
            begun_ += text.substr(at);
            break;
        }
        if (const auto missing = begun_.size() < raw_length_size ? raw_length_size - begun_.size() : 0;
            missing != 0 && !begun_.empty()) {
            begun_ += text.substr(at, missing);
            at += missing;
        }
        const auto length = detail::raw_length(begun_.empty() ? text.substr(at) : begun_);
        if (!admits(length))
            return text.size();
        const auto whole = raw_length_size + (length & ~raw_control_bit);
        const auto rest = whole - begun_.size();
        if (text.size() - at < rest) {
            begun_ += text.substr(at);
            break;
        }
        std::string kept;
        auto body = text.substr(at, rest);
        if (!begun_.empty()) {
            kept = std::exchange(begun_, {});
            kept += body;
            body = kept;
        }
        at += rest;
        if (!frame(length, body.substr(raw_length_size)))
            return at;
        if (state() != phase::open)
            return text.size();
    }
    return text.size();
}

PUSHER_DECL bool raw_link::admits(std::uint32_t length) {
    if (state() != phase::open)
        return false;
    if ((length & raw_control_bit) != 0 && length != raw_control_bit) {
        // Whatever begins with a letter ends here or below, a request of HTTP above all.
        owner()->at_fault(errc::protocol_error, "a control frame of a peer is empty");
        return false;
    }
    if ((length & ~raw_control_bit) > limits().request_bytes) {
        owner()->at_fault(errc::message_too_large, detail::request_too_long(limits().request_bytes));
        return false;
    }
    return true;
}

PUSHER_DECL bool raw_link::frame(std::uint32_t length, std::string_view body) {
    if (length == raw_control_bit)
        return count();
    asked_ = true;
    return give(body);
}

PUSHER_DECL void raw_link::feed_end() {
    if (!begun_.empty() && state() == phase::open)
        end({close_code::protocol_error, errc::protocol_error, "the last message is not whole"});
}

PUSHER_DECL void raw_link::heartbeat() {
    if (!asked_)
        return end(close_reason::from(errc::idle_timeout)); // it is for its peer to begin
    if (!control_waits())
        control([](std::string& out) { append_raw_length(out, raw_control_bit); });
}

PUSHER_DECL void raw_link::say_goodbye(
    const close_reason& reason, std::optional<std::chrono::milliseconds> retry, std::string& out) {
    append_raw_close(out, reason, retry);
}

} // namespace pusher::inline v0
