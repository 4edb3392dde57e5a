// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/close_reason.hpp>
#include <pusher/detail/base64.hpp>
#include <pusher/detail/json_text.hpp>
#include <pusher/detail/rfc3339.hpp>
#include <pusher/detail/utf8.hpp>
#include <pusher/detail/wire_id.hpp>
#include <pusher/gap.hpp>
#include <pusher/message.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

/// \file
/// What the hub writes in the native dialect: one JSON object each, without the transport's framing, in UTF-8
/// and without line breaks whatever goes in. Every function appends, and leaves the string as it was if
/// memory runs out (std::bad_alloc).

namespace pusher::inline v0 {

/// The version of the native dialect that `hello` reports.
inline constexpr int native_dialect_version = 1;

/// What `publish` is answered with.
struct native_receipt {
    std::uint64_t matched = 0;                   ///< subscribers that it was queued for or handed to
    std::optional<topic_position> position = {}; ///< only on a topic with history
    bool repeated = false;                       ///< nothing was published again
};

/// What `hello` is answered with, so that a client can keep within the limits before it meets them.
struct native_hello {
    std::string_view session = {};
    std::chrono::milliseconds heartbeat{0}; ///< the longest silence of the peer; 0: it may be silent for ever
    std::size_t max_request = 0;            ///< bytes
    std::size_t max_depth = 0;
    std::size_t max_topic = 0; ///< bytes, also of types and filters
    std::size_t max_filter_levels = 0;
    std::size_t max_subscriptions = 0;
    std::size_t outbox_messages = 0;
    std::size_t outbox_bytes = 0;
};

/// One reply. `hello`, `receipt`, `recovered` and `position` are written if they are there.
struct native_reply {
    std::string_view request_id = {};
    std::string_view action = {};
    bool ok = true;
    std::string_view error_message = {}; ///< why not
    wall_time timestamp = {};            ///< written in milliseconds since 1970
    const native_hello* hello = nullptr;
    std::optional<native_receipt> receipt = {};  ///< of publish
    std::optional<bool> recovered = {};          ///< of subscribe with resume
    std::optional<topic_position> position = {}; ///< of subscribe to a topic with history: where that stands
};

namespace detail {

inline void write_native_position(json_writer& w, const topic_position& position) {
    w.literal(",\"epoch\":\"");
    w.wrote(write_epoch(w.room(epoch_size), position.epoch));
    w.literal("\",\"offset\":");
    w.number(position.offset);
}

inline void write_native_receipt(json_writer& w, const native_receipt& r) {
    w.literal("{\"matched\":");
    w.number(r.matched);
    if (r.position)
        write_native_position(w, *r.position);
    if (r.repeated)
        w.literal(",\"repeated\":true");
    w.literal("}");
}

inline void write_native_hello(json_writer& w, const native_hello& h) {
    w.literal(",\"version\":");
    w.number(native_dialect_version);
    w.literal(",\"session\":");
    w.string(h.session);
    w.literal(",\"limits\":{\"request\":");
    w.number(h.max_request);
    w.literal(",\"depth\":");
    w.number(h.max_depth);
    w.literal(",\"topic\":");
    w.number(h.max_topic);
    w.literal(",\"filter_levels\":");
    w.number(h.max_filter_levels);
    w.literal(",\"subscriptions\":");
    w.number(h.max_subscriptions);
    w.literal(",\"outbox_messages\":");
    w.number(h.outbox_messages);
    w.literal(",\"outbox_bytes\":");
    w.number(h.outbox_bytes);
    w.literal("},\"heartbeat\":");
    w.number(h.heartbeat.count());
}

inline void write_native_payload(json_writer& w, std::string_view payload) {
    if (is_valid_utf8(payload)) {
        w.escaped(payload);
        w.literal("\"");
        return;
    }
    std::string encoded;
    append_base64(encoded, payload);
    w.raw(encoded);
    w.literal("\",\"encoding\":\"base64\"");
}

inline void write_native_push(json_writer& w, const message& m) {
    w.literal("{\"topic\":");
    w.string(m.topic());
    w.literal(",\"type\":");
    w.string(m.type());
    w.literal(",\"payload\":\"");
    write_native_payload(w, m.payload());
    w.literal(",\"meta\":{\"receive_time\":\"");
    w.wrote(write_rfc3339(w.room(rfc3339_size), m.receive_time()));
    w.literal("\",\"message_id\":");
    if (m.id().empty()) {
        w.literal("\"");
        w.wrote(write_position(w.room(max_position_size), {m.sequence_epoch(), m.sequence()}));
        w.literal("\"");
    } else {
        w.string(m.id());
    }
    if (m.position())
        write_native_position(w, *m.position());
    if (m.redelivered())
        w.literal(",\"redelivered\":true");
    w.literal("}}");
}

inline void write_native_gap(json_writer& w, const gap& g) {
    w.literal("{\"topic\":");
    w.string(g.topic);
    w.literal(",\"gap\":{\"count\":");
    w.number(g.count);
    if (g.offsets) {
        w.literal(",\"from\":");
        w.number(g.offsets->first);
        w.literal(",\"to\":");
        w.number(g.offsets->last);
    }
    w.literal("}}");
}

inline void write_native_close(
    json_writer& w, const close_reason& reason, std::optional<std::chrono::milliseconds> retry) {
    w.literal("{\"close\":{\"code\":");
    w.number(static_cast<unsigned>(reason.code));
    w.literal(",\"reason\":");
    w.string(reason.text);
    if (retry) {
        w.literal(",\"retry\":");
        w.number(retry->count());
    }
    w.literal("}}");
}

} // namespace detail

/// Appends a message as a push.
///
/// A payload that is not UTF-8 travels as base64, which `"encoding":"base64"` tells. Anything else that is
/// not UTF-8 has U+FFFD in the places of its faults.
inline void append_native_push(std::string& out, const message& m) {
    detail::json_writer w(out);
    detail::write_native_push(w, m);
    w.finish();
}

inline void append_native_gap(std::string& out, const gap& g) {
    detail::json_writer w(out);
    detail::write_native_gap(w, g);
    w.finish();
}

/// Appends a reply: first the five fields that are always there, in the order that nbio's clients know.
inline void append_native_reply(std::string& out, const native_reply& r) {
    using namespace std::chrono;
    detail::json_writer w(out);
    w.literal("{\"request_id\":");
    w.string(r.request_id);
    w.literal(",\"action\":");
    w.string(r.action);
    if (r.ok)
        w.literal(",\"status\":\"ok\",\"error_message\":");
    else
        w.literal(",\"status\":\"fail\",\"error_message\":");
    w.string(r.error_message);
    w.literal(",\"timestamp\":");
    w.number(floor<milliseconds>(r.timestamp.time_since_epoch()).count());
    if (r.hello)
        detail::write_native_hello(w, *r.hello);
    if (r.receipt) {
        w.literal(",\"receipt\":");
        detail::write_native_receipt(w, *r.receipt);
    }
    if (r.recovered && *r.recovered)
        w.literal(",\"recovered\":true");
    else if (r.recovered)
        w.literal(",\"recovered\":false");
    if (r.position)
        detail::write_native_position(w, *r.position);
    w.literal("}");
    w.finish();
}

/// Appends the last line of a session, for transports that have no close frame.
/// \param retry when to come back.
inline void append_native_close(
    std::string& out, const close_reason& reason,
    std::optional<std::chrono::milliseconds> retry = std::nullopt) {
    detail::json_writer w(out);
    detail::write_native_close(w, reason, retry);
    w.finish();
}

/// Appends the answer to a datagram without a valid cookie.
inline void append_native_challenge(std::string& out, std::string_view cookie) {
    detail::json_writer w(out);
    w.literal("{\"action\":\"challenge\",\"cookie\":");
    w.string(cookie);
    w.literal("}");
    w.finish();
}

} // namespace pusher::inline v0
