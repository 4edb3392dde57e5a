// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/json_text.hpp>
#include <pusher/detail/utf8.hpp>
#include <pusher/dialect/json_reader.hpp>
#include <pusher/dialect/native_encode.hpp>
#include <pusher/dialect/native_params.hpp>
#include <pusher/dialect/sse_encode.hpp>
#include <pusher/dialect/subscription_query.hpp>
#include <pusher/error.hpp>

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

/// \file
/// What HTTP adds to the native dialect: the body of `POST /publish` and its reply, and the query of
/// `GET /events`.

namespace pusher::inline v0 {

/// Reads the body of `POST /publish`: one publish object, or an array of them.
///
/// A body is first checked whole, so that one which is not JSON publishes nothing; then its messages come one
/// by one, each good or with an error of its own. The rules are those of `native_decoder`. One object reads
/// one body after another and keeps its memory; if publishing may have to wait, give each request its own.
class native_publish_body {
public:
    native_publish_body() = default;
    native_publish_body(const native_publish_body&) = delete;
    native_publish_body& operator=(const native_publish_body&) = delete;

    /// \param text must stay valid while messages are taken.
    /// \returns errc::message_too_large, errc::invalid_utf8 or errc::invalid_message.
    /// \throws std::bad_alloc
    error_code start(std::string_view text, const native_limits& limits = {}) {
        params_.clear();
        reader_.reset();
        array_ = false;
        done_ = true;
        if (text.size() > limits.request)
            return params_.fail(
                errc::message_too_large, "the body is longer than ", std::to_string(limits.request),
                " bytes");
        if (!detail::is_valid_utf8(text))
            return params_.fail(
                errc::invalid_utf8, "the body is not valid UTF-8 (byte ",
                std::to_string(detail::first_invalid_utf8(text)), ")");
        if (const auto ec = check(text, limits))
            return ec;
        reader_.emplace(text, limits.depth, scratch_);
        array_ = reader_->peek() == json_kind::array;
        if (array_)
            reader_->enter_array();
        done_ = false;
        return {};
    }

    /// Whether the body is an array, so that the reply must be one too.
    [[nodiscard]] bool is_array() const noexcept { return array_; }

    /// Takes the next message. False if there is no other.
    ///
    /// \param out its views are valid until the next `start`, and as long as the body is.
    /// \param ec errc::invalid_message, errc::invalid_topic, errc::invalid_type or errc::unsupported if this
    /// message can't be published; the next may.
    bool next(native_publish& out, error_code& ec) {
        out = {};
        ec = {};
        params_.clear();
        if (done_ || (array_ && !reader_->next_element())) {
            done_ = true;
            return false;
        }
        done_ = !array_;
        if (const auto kind = reader_->peek(); kind != json_kind::object) {
            reader_->skip();
            ec = params_.fail(errc::invalid_message, "a message must be a JSON object, not ", kind_of(kind));
            return true;
        }
        params_.read(*reader_);
        out = params_.publish();
        ec = params_.error();
        return true;
    }

    /// What was wrong in the last call, for the peer to read; empty if nothing was.
    [[nodiscard]] std::string_view error_message() const noexcept { return params_.message(); }

private:
    static std::string_view kind_of(json_kind kind) noexcept { return detail::kind_name(kind); }

    error_code check(std::string_view text, const native_limits& limits) {
        json_reader reader(text, limits.depth, scratch_);
        const auto kind = reader.peek();
        if (kind == json_kind::absent && reader.at_end())
            return params_.fail(errc::invalid_message, "the body is empty");
        std::size_t messages = 0;
        if (kind == json_kind::array) {
            reader.enter_array();
            while (reader.next_element() && reader.skip())
                ++messages;
        } else {
            reader.skip();
        }
        reader.finish();
        if (reader.fault())
            return params_.malformed(reader, limits.depth);
        if (kind != json_kind::array && kind != json_kind::object)
            return params_.fail(
                errc::invalid_message, "the body must be a JSON object or an array of them, not ",
                kind_of(kind));
        if (messages > limits.publishes)
            return params_.fail(
                errc::message_too_large, "more than ", std::to_string(limits.publishes), " messages at once");
        return {};
    }

    detail::native_params params_{""};
    std::string scratch_;
    std::optional<json_reader> reader_; // of the messages after the whole was checked
    bool array_ = false;
    bool done_ = true;
};

/// Appends an error as the body of a response, or as an array's element: `{"error":"…"}`.
inline void append_http_error(std::string& out, std::string_view message) {
    detail::json_writer w(out);
    w.literal("{\"error\":");
    w.string(message);
    w.literal("}");
    w.finish();
}

/// Appends the reply to `POST /publish`: for each message of the body, in order, its receipt or its error.
class native_publish_reply {
public:
    /// \param out must outlive this object.
    /// \param array whether the body was an array.
    native_publish_reply(std::string& out, bool array) : out_(out), array_(array) {
        if (array_)
            out_ += '[';
    }

    void receipt(const native_receipt& r) {
        separate();
        detail::json_writer w(out_);
        detail::write_native_receipt(w, r);
        w.finish();
    }

    void error(std::string_view message) {
        separate();
        append_http_error(out_, message);
    }

    void finish() {
        if (array_)
            out_ += ']';
    }

private:
    void separate() {
        if (!first_)
            out_ += ',';
        first_ = false;
    }

    std::string& out_;
    bool array_;
    bool first_ = true;
};

/// What `GET /events` asks for.
struct native_events_query : subscription_query {
    bool envelope = false; ///< native push objects, whatever the rest says

    /// Where to resume, for `parse_sse_id`, unless the request has a `Last-Event-ID`: an EventSource that
    /// reconnects repeats the query of its first connection, and only the header is new. It is not checked
    /// here: who can't be resumed is told so, for an EventSource takes a 4xx as the end.
    std::string last_event_id;

    /// How this connection's messages are written.
    [[nodiscard]] sse_form form() const noexcept {
        return topics.size() == 1 && match == match_mode::exact && !envelope ? sse_form::payload
                                                                             : sse_form::envelope;
    }
};

namespace detail {

class events_query_decoder final : public query_decoder {
public:
    events_query_decoder(native_events_query& out, std::string& message)
        : query_decoder(out, message, {"GET /events", single, refused}),
          out_(out) {}

private:
    enum : std::size_t { envelope, last_event_id, single_count };
    static constexpr std::array<std::string_view, single_count> single{"envelope", "last_event_id"};
    static constexpr std::array<std::string_view, 6> refused{"resume",   "history", "ack",
                                                             "overflow", "durable", "echo"};

    error_code one(std::size_t which, const std::string& value) override {
        if (which == last_event_id) {
            out_.last_event_id = value;
            return {};
        }
        if (value != "json")
            return fail(errc::invalid_message, "envelope must be json, not \"", clipped(value), "\"");
        out_.envelope = true;
        return {};
    }

    native_events_query& out_;
};

} // namespace detail

/// Decodes the query of `GET /events`, without its `?`.
///
/// `topic` (at least one) and `type` may be there several times, `match`, `envelope` and `last_event_id`
/// once. In a query `+` is a space: a filter's `+` is written `%2B`, its `#` `%23`. Unknown parameters are
/// ignored; those that subscribe knows on other transports are refused.
///
/// \param error_message what is wrong, for the peer to read.
/// \returns errc::invalid_message, errc::invalid_topic, errc::invalid_filter, errc::invalid_type or
/// errc::unsupported.
/// \throws std::bad_alloc
inline error_code
decode_events_query(std::string_view query, native_events_query& out, std::string& error_message) {
    out = {};
    return detail::events_query_decoder(out, error_message).decode(query);
}

} // namespace pusher::inline v0
