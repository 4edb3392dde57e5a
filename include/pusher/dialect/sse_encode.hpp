// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/close_reason.hpp>
#include <pusher/detail/json_text.hpp>
#include <pusher/detail/utf8.hpp>
#include <pusher/detail/wire_id.hpp>
#include <pusher/dialect/native_encode.hpp>
#include <pusher/gap.hpp>
#include <pusher/message.hpp>
#include <pusher/topic.hpp>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

/// \file
/// What the hub writes to an EventSource: whole events, each with its blank line. As in native_encode.hpp,
/// every function appends, and leaves the string as it was if memory runs out.

namespace pusher::inline v0 {

/// What an event of a message holds.
enum class sse_form : bool {
    payload, ///< the payload as `data`, the message's type as the event's; for one exact topic
    envelope ///< the native push as `data`, and the event is always `message`
};

/// A comment, which every EventSource ignores: keeps proxies from closing a quiet connection.
inline constexpr std::string_view sse_keep_alive = ":\n\n";

namespace detail {

/// Whether a message's type may stand as an event's: no line break can get into the stream, and the names
/// that mean something else to a browser (`error`, `open`) or that the library uses itself stay reserved.
[[nodiscard]] inline bool is_sse_event(std::string_view type) noexcept {
    return is_valid_type(type) && type != "error" && type != "open";
}

/// Writes `text` as `data` lines: one for each line, whichever way it ends, so that what comes after a line
/// break can't pass for a field of the event. EventSource puts the lines together again with `\n`.
inline void write_sse_data(json_writer& w, std::string_view text) {
    auto line_feed = text.find('\n');
    auto carriage_return = text.find('\r');
    std::size_t at = 0;
    for (;;) {
        // Each is only searched again once it was passed, so that a text is read twice at most.
        const auto end = std::min(line_feed, carriage_return);
        w.literal("data: ");
        w.raw(text.substr(at, end - at));
        w.literal("\n");
        if (end == text.npos)
            return;
        at = end + 1;
        if (end == carriage_return) {
            at += line_feed == at ? 1 : 0;
            carriage_return = text.find('\r', at);
        }
        if (line_feed < at)
            line_feed = text.find('\n', at);
    }
}

} // namespace detail

/// Appends a message as one event.
///
/// `id:` is there on a topic with history, where it can be resumed from. What can't travel as a bare payload
/// (not UTF-8, or a type that is no event's) goes in an envelope, whatever the form. A bare payload's `\r\n`
/// and `\r` arrive as `\n`: server-sent events know no other line break.
///
/// \param place the id also says the place in the topic's history, for those who resume at another broker.
inline void append_sse_message(std::string& out, const message& m, sse_form form, bool place = false) {
    detail::json_writer w(out);
    if (m.position()) {
        w.literal("id: ");
        w.wrote(
            detail::write_position(w.room(detail::max_position_size), {m.sequence_epoch(), m.sequence()}));
        if (place) {
            w.literal("-");
            w.wrote(detail::write_position(
                w.room(detail::max_position_size), {m.position()->epoch, m.position()->offset}));
        }
        w.literal("\n");
    }
    if (form == sse_form::payload && detail::is_sse_event(m.type()) && detail::is_valid_utf8(m.payload())) {
        w.literal("event: ");
        w.raw(m.type().empty() ? std::string_view("message") : m.type());
        w.literal("\n");
        detail::write_sse_data(w, m.payload());
    } else {
        w.literal("event: message\ndata: ");
        detail::write_native_push(w, m);
        w.literal("\n");
    }
    w.literal("\n");
    w.finish();
}

/// Appends a gap marker as an event `pusher.gap`, with the native gap marker as `data`. It has no id: until
/// the next message arrives, a reconnect resumes before what was missed.
inline void append_sse_gap(std::string& out, const gap& g) {
    detail::json_writer w(out);
    w.literal("event: pusher.gap\ndata: ");
    detail::write_native_gap(w, g);
    w.literal("\n\n");
    w.finish();
}

/// Appends the goodbye: an event `pusher.close`, with the native last line as `data`.
/// \param retry when the EventSource shall connect again, not negative; it then waits that long after any
/// break.
inline void append_sse_close(
    std::string& out, const close_reason& reason,
    std::optional<std::chrono::milliseconds> retry = std::nullopt) {
    detail::json_writer w(out);
    if (retry) {
        w.literal("retry: ");
        w.number(retry->count());
        w.literal("\n");
    }
    w.literal("event: pusher.close\ndata: ");
    detail::write_native_close(w, reason, retry);
    w.literal("\n\n");
    w.finish();
}

/// What the id of an event says.
struct sse_id {
    sequence_position position;          ///< Where to resume.
    std::optional<topic_position> place; ///< The place in the topic's history, if the id says it.

    friend bool operator==(const sse_id&, const sse_id&) = default;
};

/// Reads `Last-Event-ID` or `last_event_id`. Nothing if it is no id that was sent by `append_sse_message`:
/// then it can't be resumed from.
[[nodiscard]] inline std::optional<sse_id> parse_sse_id(std::string_view text) noexcept {
    const auto end = text.find('-', std::min(text.size(), detail::epoch_size + 1));
    const auto position = detail::parse_position(text.substr(0, end));
    if (!position || end == text.npos)
        return position ? std::optional(sse_id{*position, std::nullopt}) : std::nullopt;
    const auto place = detail::parse_position(text.substr(end + 1));
    return place ? std::optional(sse_id{*position, topic_position{place->epoch, place->sequence}})
                 : std::nullopt;
}

} // namespace pusher::inline v0
