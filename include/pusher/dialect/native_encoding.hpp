// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/dialect/native_encode.hpp>
#include <pusher/dialect/sse_encode.hpp>
#include <pusher/dialect/websocket_encoder.hpp>
#include <pusher/encoding.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace pusher::inline v0 {

namespace detail {

/// Puts a WebSocket header before what `append` appends.
template <class F>
void append_as_text_frame(std::string& out, F&& append) {
    // The size is known only afterwards: room for the usual header is left, and moved over if it was wrong.
    constexpr std::size_t guess = 4;
    const auto begin = out.size();
    out.append(guess, '\0');
    append(out);
    const auto size = out.size() - begin - guess;
    std::array<char, websocket_max_header_size> header;
    const auto needed = write_websocket_header(header, websocket_opcode::text, size, true, false);
    out.replace(begin, guess, header.data(), needed);
}

} // namespace detail

/// The native dialect, a line each.
class native_line_encoding final : public encoding {
public:
    void push(const message& m, std::string& out) const override {
        append_native_push(out, m);
        out += '\n';
    }
    void gap(const pusher::gap& g, std::string& out) const override {
        append_native_gap(out, g);
        out += '\n';
    }
    void reply(std::string_view json, std::string& out) const override {
        out += json;
        out += '\n';
    }
};

/// The native dialect, a WebSocket text frame each.
class native_websocket_encoding final : public encoding {
public:
    void push(const message& m, std::string& out) const override {
        detail::append_as_text_frame(out, [&](std::string& to) { append_native_push(to, m); });
    }
    void gap(const pusher::gap& g, std::string& out) const override {
        detail::append_as_text_frame(out, [&](std::string& to) { append_native_gap(to, g); });
    }
    void reply(std::string_view json, std::string& out) const override {
        append_frame(out, websocket_opcode::text, json);
    }
};

/// The native dialect, a datagram each. What is over the limit cannot be carried: its frame is empty.
class native_datagram_encoding final : public encoding {
public:
    explicit native_datagram_encoding(std::size_t limit) noexcept : limit_(limit) {}

    void push(const message& m, std::string& out) const override {
        const auto begin = out.size();
        append_native_push(out, m);
        if (out.size() - begin > limit_)
            out.resize(begin);
    }
    void gap(const pusher::gap& g, std::string& out) const override { append_native_gap(out, g); }
    void reply(std::string_view json, std::string& out) const override { out += json; }

    [[nodiscard]] std::size_t limit() const noexcept { return limit_; }

private:
    std::size_t limit_;
};

/// Server-sent events.
class native_sse_encoding final : public encoding {
public:
    explicit native_sse_encoding(sse_form form) noexcept : form_(form) {}

    /// From now on ids say the place in the topic's history too.
    void tell_places() noexcept { places_ = true; }

    void push(const message& m, std::string& out) const override {
        append_sse_message(out, m, form_, places_);
    }
    void gap(const pusher::gap& g, std::string& out) const override { append_sse_gap(out, g); }
    void reply(std::string_view event, std::string& out) const override { out += event; }

private:
    sse_form form_;
    bool places_ = false;
};

} // namespace pusher::inline v0
