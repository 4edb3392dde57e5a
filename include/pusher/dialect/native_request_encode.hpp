// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <pusher/detail/json_text.hpp>
#include <pusher/detail/wire_id.hpp>
#include <pusher/dialect/native_params.hpp>
#include <pusher/dialect/native_request.hpp>

#include <cstddef>
#include <string>
#include <string_view>

/// \file
/// What a client writes in the native dialect: the other side of native_request.hpp.

namespace pusher::inline v0 {

namespace detail {

/// Fields of one object, with commas between them.
class native_fields {
public:
    explicit native_fields(json_writer& w) noexcept : w_(w) { w_.literal("{"); }

    json_writer& name(std::string_view n) {
        if (!first_)
            w_.literal(",");
        first_ = false;
        w_.literal("\"");
        w_.raw(n);
        w_.literal("\":");
        return w_;
    }
    void text(std::string_view n, std::string_view value) { name(n).string(value); }
    void text_if(std::string_view n, std::string_view value) {
        if (!value.empty())
            text(n, value);
    }
    void end() { w_.literal("}"); }

private:
    json_writer& w_;
    bool first_ = true;
};

inline void write_native_subscribe(native_fields& f, const native_subscribe& s) {
    f.text("topic", s.topic);
    f.text_if("type", s.type);
    if (s.match == match_mode::filter)
        f.text("match", "filter");
    if (s.resume) {
        auto& w = f.name("resume");
        w.literal("{\"epoch\":\"");
        w.wrote(write_epoch(w.room(epoch_size), s.resume->epoch));
        w.literal("\",\"offset\":");
        w.number(s.resume->offset);
        w.literal("}");
    }
    if (s.history != 0)
        f.name("history").number(s.history);
    if (s.ack)
        f.name("ack").literal("true");
    if (s.overflow)
        f.text("overflow", to_string(*s.overflow));
    f.text_if("durable", s.durable);
    if (!s.echo)
        f.name("echo").literal("false");
}

inline void write_native_publish(native_fields& f, const native_publish& p) {
    f.text("topic", p.topic);
    f.text_if("type", p.type);
    f.text("payload", p.payload);
    f.text_if("key", p.key);
    f.text_if("id", p.id);
    if (p.ttl)
        f.name("ttl").number(*p.ttl);
}

} // namespace detail

/// The name of an action as it travels; empty for `unknown`.
[[nodiscard]] constexpr std::string_view to_string(native_action a) noexcept {
    switch (a) {
    case native_action::hello: return "hello";
    case native_action::auth: return "auth";
    case native_action::subscribe: return "subscribe";
    case native_action::unsubscribe: return "unsubscribe";
    case native_action::publish: return "publish";
    case native_action::ack: return "ack";
    case native_action::ping: return "ping";
    case native_action::unknown: break;
    }
    return {};
}

/// Appends one request, without the transport's framing, in UTF-8 and without line breaks whatever goes in.
///
/// What says the default is left out. The action is `action`, or `action_name` if that is `unknown`. The
/// payload travels as a string: bytes that are not UTF-8 cannot be published this way, and become U+FFFD.
///
/// \throws std::bad_alloc; then `out` is as it was.
inline void append_native_request(std::string& out, const native_request& r) {
    detail::json_writer w(out);
    detail::native_fields top(w);
    top.text_if("request_id", r.request_id);
    top.text("action", r.action == native_action::unknown ? r.action_name : to_string(r.action));
    top.text_if("cookie", r.cookie);
    if (r.action != native_action::hello && r.action != native_action::ping &&
        r.action != native_action::unknown) {
        top.name("params");
        detail::native_fields params(w);
        switch (r.action) {
        case native_action::auth: params.text("token", r.token); break;
        case native_action::subscribe: detail::write_native_subscribe(params, r.subscribe); break;
        case native_action::unsubscribe: {
            native_subscribe which;
            which.topic = r.subscribe.topic;
            which.type = r.subscribe.type;
            which.match = r.subscribe.match;
            detail::write_native_subscribe(params, which);
            break;
        }
        case native_action::publish: detail::write_native_publish(params, r.publish); break;
        default:
            params.text("topic", r.ack.topic);
            params.name("offset").number(r.ack.offset);
            break;
        }
        params.end();
    }
    top.end();
    w.finish();
}

} // namespace pusher::inline v0
