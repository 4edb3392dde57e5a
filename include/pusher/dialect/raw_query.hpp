// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/dialect/subscription_query.hpp>
#include <pusher/error.hpp>
#include <pusher/overflow_policy.hpp>
#include <pusher/topic.hpp>

#include <array>
#include <charconv>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace pusher::inline v0 {

/// What a connection of the raw dialect asks for when it begins.
struct raw_query : subscription_query {
    std::string publish;      ///< topic of what the peer sends; empty: it only receives
    std::string publish_type; ///< its type
    std::string token;        ///< for the host's authentication
    std::size_t history = 0;  ///< of each topic, the last so many
    std::optional<overflow_policy> overflow;
    bool echo = true;  ///< the peer gets what it publishes itself
    bool text = false; ///< WebSocket: text frames
};

namespace detail {

class raw_query_decoder final : public query_decoder {
public:
    raw_query_decoder(raw_query& out, std::string& message)
        : query_decoder(out, message, {"the raw dialect", single, refused}),
          out_(out) {}

private:
    enum : std::size_t { publish, publish_type, token, history, overflow, echo, format, single_count };
    static constexpr std::array<std::string_view, single_count> single{
        "publish", "publish_type", "token", "history", "overflow", "echo", "format"};
    static constexpr std::array<std::string_view, 5> refused{
        "resume", "ack", "durable", "envelope", "last_event_id"};

    error_code one(std::size_t which, const std::string& value) override {
        switch (which) {
        case publish:
            out_.publish = value;
            if (const auto fault = topic_fault(value, match_mode::exact); !fault.empty())
                return fail(errc::invalid_topic, "publish ", fault);
            return {};
        case publish_type:
            out_.publish_type = value;
            if (const auto fault = type_fault(value); !fault.empty())
                return fail(errc::invalid_type, "publish_type ", fault);
            return {};
        case token: out_.token = value; return {};
        case history: {
            const auto* const end = value.data() + value.size();
            const auto [at, ec] = std::from_chars(value.data(), end, out_.history);
            if (ec != std::errc() || at != end)
                return wrong("history", "a number", value);
            return {};
        }
        case overflow:
            out_.overflow = to_overflow_policy(value);
            if (!out_.overflow)
                return wrong("overflow", "drop_oldest, drop_newest, disconnect, conflate or spill", value);
            return {};
        case echo:
            if (value != "true" && value != "false")
                return wrong("echo", "true or false", value);
            out_.echo = value == "true";
            return {};
        default:
            if (value != "binary" && value != "text")
                return wrong("format", "binary or text", value);
            out_.text = value == "text";
            return {};
        }
    }

    error_code wrong(std::string_view name, std::string_view known, const std::string& value) {
        return fail(errc::invalid_message, name, " must be ", known, ", not \"", clipped(value), "\"");
    }

    /// Who publishes need not receive.
    [[nodiscard]] bool needs_topic() const noexcept override { return out_.publish.empty(); }

    raw_query& out_;
};

} // namespace detail

/// Decodes what a connection of the raw dialect asks for: the query of its URL, without the `?`, or its first
/// frame.
///
/// `topic` and `type` may be there several times; `match`, `publish`, `publish_type`, `token`, `history`,
/// `overflow`, `echo` and `format` once. At least a `topic` or `publish` must be there. Escapes are those of
/// `decode_events_query`. Unknown parameters are ignored; `resume`, `ack` and `durable` are refused, since
/// frames of payload alone have no offsets.
///
/// \param error_message what is wrong, for the peer to read.
/// \returns errc::invalid_message, errc::invalid_topic, errc::invalid_filter, errc::invalid_type or
/// errc::unsupported.
/// \throws std::bad_alloc
inline error_code decode_raw_query(std::string_view query, raw_query& out, std::string& error_message) {
    out = {};
    if (const auto ec = detail::raw_query_decoder(out, error_message).decode(query))
        return ec;
    if (out.history == 0 || out.match == match_mode::exact)
        return {};
    error_message = "history needs exact topics";
    return errc::unsupported;
}

} // namespace pusher::inline v0
