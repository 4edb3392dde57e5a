// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/utf8.hpp>
#include <pusher/dialect/json_reader.hpp>
#include <pusher/dialect/native_params.hpp>
#include <pusher/error.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace pusher::inline v0 {

enum class native_action : unsigned char { unknown, hello, auth, subscribe, unsubscribe, publish, ack, ping };

/// One request of the native dialect. All text is a view: see `native_decoder`.
struct native_request {
    std::string_view request_id; ///< for the reply; of a number its source text; empty if there was none
    native_action action = native_action::unknown;
    std::string_view action_name; ///< for the reply: as the peer wrote it, known or not
    std::string_view cookie;      ///< UDP: proves that the peer receives at its address
    std::string_view token;       ///< of auth
    native_subscribe subscribe;   ///< of subscribe; of unsubscribe topic, type and match
    native_publish publish;       ///< of publish
    native_ack ack;               ///< of ack
};

/// Decodes requests. One decoder serves any number of sessions, one request after another; it keeps its
/// memory, so that in the steady state a request allocates nothing. Not thread safe.
///
/// What the dialect leaves open is decided here:
/// - A request_id that is a number is taken as its source text, and so echoed as a string.
/// - A field that is null counts as left out, as many languages write it; `payload` alone may be null.
/// - A known field given twice is an error: two readers of one request must not see two different ones.
/// - A field of another action is refused, except that topic and type may always be there, and that
///   unsubscribe takes, and ignores, whatever subscribe does.
/// - An epoch is a string of 16 hexadecimal digits; numbers that count are written without sign, point or
/// exponent.
class native_decoder {
public:
    /// Decodes one JSON object, without its framing.
    ///
    /// On an error `error_message` says what is wrong, and `out` has what a reply and the datagram check need
    /// (request_id, action_name, cookie), as far as it could be read; of text that is no JSON nothing is
    /// kept. The views in `out` are valid until the next call, and as long as `text` is.
    ///
    /// \returns errc::message_too_large, errc::invalid_utf8, errc::invalid_message, errc::invalid_topic,
    /// errc::invalid_filter, errc::invalid_type or errc::unsupported.
    /// \throws std::bad_alloc
    error_code decode(std::string_view text, native_request& out, const native_limits& limits = {}) {
        out = {};
        params_.clear();
        if (text.size() > limits.request)
            return params_.fail(
                errc::message_too_large, "the request is longer than ", std::to_string(limits.request),
                " bytes");
        if (!detail::is_valid_utf8(text))
            return params_.fail(
                errc::invalid_utf8, "the request is not valid UTF-8 (byte ",
                std::to_string(detail::first_invalid_utf8(text)), ")");
        json_reader reader(text, limits.depth, scratch_);
        top_level top;
        if (const auto ec = read(reader, top, limits))
            return ec;
        return interpret(top, out);
    }

    /// What was wrong with the last request, for the peer to read; empty if nothing was.
    [[nodiscard]] std::string_view error_message() const noexcept { return params_.message(); }

private:
    enum field : std::size_t { request_id, action, timestamp, cookie, params, field_count };
    static constexpr std::array<std::string_view, field_count> names{
        "request_id", "action", "timestamp", "cookie", "params"};

    struct top_level {
        std::array<json_value, field_count> values{};
        std::size_t duplicate = field_count;
    };

    error_code read(json_reader& reader, top_level& top, const native_limits& limits) {
        const auto kind = reader.peek();
        if (kind == json_kind::absent && reader.at_end())
            return params_.fail(errc::invalid_message, "the request is empty");
        if (kind == json_kind::object)
            read_fields(reader, top);
        else
            reader.skip();
        reader.finish();
        if (reader.fault())
            return params_.malformed(reader, limits.depth);
        if (kind != json_kind::object)
            return params_.fail(
                errc::invalid_message, "the request must be a JSON object, not ", detail::kind_name(kind));
        return {};
    }

    void read_fields(json_reader& reader, top_level& top) {
        reader.enter_object();
        std::string_view name;
        while (reader.next_member(name)) {
            std::size_t i = 0;
            while (i != field_count && names[i] != name)
                ++i;
            if (i == field_count) {
                reader.skip();
                continue;
            }
            auto& value = top.values[i];
            if (value.kind != json_kind::absent) {
                top.duplicate = i;
                reader.skip();
            } else if (i == params && reader.peek() == json_kind::object) {
                value.kind = json_kind::object;
                params_.read(reader);
            } else {
                reader.read(value);
            }
        }
    }

    error_code interpret(const top_level& top, native_request& out) {
        const auto& values = top.values;
        const auto id_kind = values[request_id].kind;
        if (id_kind == json_kind::string)
            out.request_id = values[request_id].text;
        else if (id_kind == json_kind::number)
            out.request_id = values[request_id].source;
        out.action_name = values[action].text;
        out.cookie = values[cookie].text;

        if (top.duplicate != field_count)
            return params_.fail(errc::invalid_message, names[top.duplicate], " is there twice");
        auto expect = [&](field f, json_kind kind) -> error_code {
            const auto found = values[f].kind;
            if (found == kind || found == json_kind::absent || found == json_kind::null)
                return {};
            return params_.fail(
                errc::invalid_message, names[f], " must be ", detail::kind_name(kind), ", not ",
                detail::kind_name(found));
        };
        if (id_kind != json_kind::number)
            if (const auto ec = expect(request_id, json_kind::string))
                return ec;
        for (const auto f : {action, cookie})
            if (const auto ec = expect(f, json_kind::string))
                return ec;
        if (const auto ec = expect(timestamp, json_kind::number))
            return ec;
        if (const auto ec = expect(params, json_kind::object))
            return ec;
        return act(values[action].kind == json_kind::string, out);
    }

    error_code act(bool has_action, native_request& out) {
        if (!has_action)
            return params_.fail(errc::invalid_message, "action is missing");
        out.action = action_of(out.action_name);
        switch (out.action) {
        case native_action::hello:
        case native_action::ping: params_.nothing(out.action_name); break;
        case native_action::auth: out.token = params_.auth(); break;
        case native_action::subscribe: out.subscribe = params_.subscribe(); break;
        case native_action::unsubscribe: out.subscribe = params_.unsubscribe(); break;
        case native_action::publish: out.publish = params_.publish(); break;
        case native_action::ack: out.ack = params_.ack(); break;
        case native_action::unknown:
            return params_.fail(
                errc::invalid_message, "unknown action \"", detail::clipped(out.action_name),
                "\"; known are hello, auth, subscribe, unsubscribe, publish, ack and ping");
        }
        return params_.error();
    }

    static native_action action_of(std::string_view name) noexcept {
        constexpr std::array<std::string_view, 8> known{
            {{}, "hello", "auth", "subscribe", "unsubscribe", "publish", "ack", "ping"}};
        for (std::size_t i = 1; i != known.size(); ++i)
            if (known[i] == name)
                return static_cast<native_action>(i);
        return native_action::unknown;
    }

    detail::native_params params_{"params."};
    std::string scratch_;
};

/// Why a request that is well formed can't be done: it asks for a feature that this version does not have, or
/// for two that exclude each other. Empty if it can; else the reply is `fail` with this text
/// (errc::unsupported).
[[nodiscard]] inline std::string_view native_refusal(const native_request& r) noexcept {
    switch (r.action) {
    case native_action::subscribe: return native_refusal(r.subscribe);
    case native_action::publish: return native_refusal(r.publish);
    default: return {};
    }
}

} // namespace pusher::inline v0
