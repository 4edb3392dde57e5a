// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include <pusher/detail/utf8.hpp>
#include <pusher/dialect/native_encode.hpp>
#include <pusher/dialect/native_http.hpp>
#include <pusher/dialect/native_request.hpp>

#include "require.hpp"

#include "../support/json_oracle.hpp"

#include <boost/json/parse.hpp>
#include <boost/system/error_code.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

// Input: a request, or a body of `POST /publish`; both decoders get it. Boost.JSON says what is JSON and what
// it means; of what is none only the error is looked at.

using namespace pusher;

namespace {

std::string text_of(const boost::json::value& v) {
    const auto& s = v.as_string();
    return {s.data(), s.size()};
}

/// Boost.JSON's value; null if a number is out of its range.
boost::json::value parsed(std::string_view text) {
    boost::system::error_code ec;
    auto v = boost::json::parse(text, ec);
    require(!ec || ec == boost::json::error::exponent_overflow, "what was taken is JSON");
    return ec ? boost::json::value() : v;
}

void check_reply(const native_request& r, error_code ec, std::string_view message) {
    require(bool(ec) == !message.empty(), "an error has a message, and only an error");
    require(detail::is_valid_utf8(message), "a message is UTF-8");
    std::string out;
    append_native_reply(
        out, {.request_id = r.request_id, .action = r.action_name, .ok = !ec, .error_message = message});
    const auto v = parsed(out);
    require(out.find('\n') == out.npos, "a reply is one line");
    require(text_of(v.at("request_id")) == r.request_id, "a reply has the request's id");
    require(text_of(v.at("action")) == r.action_name, "a reply has the request's action");
    require(text_of(v.at("error_message")) == message, "a reply has the message");
}

void check_publish(const native_publish& p, const boost::json::value& source, std::string_view text) {
    require(is_valid_topic(p.topic), "a topic is one");
    require(is_valid_type(p.type), "a type is one");
    require(p.key.size() <= 255 && p.id.size() <= 255, "short texts are short");
    if (!source.is_object())
        return; // out of Boost.JSON's range
    const auto& o = source.as_object();
    require(text_of(o.at("topic")) == p.topic, "the topic is the sender's");
    const auto& payload = o.at("payload");
    if (payload.is_string()) {
        require(text_of(payload) == p.payload, "the payload is the string's value");
    } else {
        require(
            p.payload.data() >= text.data() &&
                p.payload.data() + p.payload.size() <= text.data() + text.size(),
            "the payload is source text");
        require(parsed(p.payload) == payload, "the payload is the value");
    }
    message::fields f;
    f.topic = p.topic;
    f.type = p.type;
    f.payload = p.payload;
    f.id = p.id;
    f.receive_time = wall_time();
    std::string out;
    append_native_push(out, message(f));
    const auto v = parsed(out);
    require(text_of(v.at("payload")) == p.payload, "a payload comes back");
    require(!v.as_object().contains("encoding"), "JSON's text is UTF-8");
}

void request(std::string_view text) {
    static native_decoder kept;
    native_decoder fresh;
    native_request r;
    native_request again;
    const auto ec = kept.decode(text, r);
    require(fresh.decode(text, again) == ec, "nothing is left of the request before");
    require(fresh.error_message() == kept.error_message(), "nothing is left of the message before");
    require(again.publish.payload == r.publish.payload, "nothing is left of the payload before");
    check_reply(r, ec, kept.error_message());
    if (ec)
        return;
    require(r.action != native_action::unknown, "a request has an action");
    const auto v = parsed(text);
    if (r.action == native_action::publish)
        check_publish(r.publish, v.is_object() ? v.at("params") : v, text);
    if (r.action == native_action::subscribe)
        require(
            r.subscribe.match == match_mode::filter ? is_valid_filter(r.subscribe.topic)
                                                    : is_valid_topic(r.subscribe.topic),
            "a topic or filter is one");
}

void body(std::string_view text) {
    native_publish_body b;
    const auto failed = b.start(text);
    require(bool(failed) == !b.error_message().empty(), "an error has a message, and only an error");
    const auto v = failed ? boost::json::value() : parsed(text);
    std::string out;
    native_publish_reply reply(out, b.is_array());
    native_publish p;
    error_code ec;
    std::size_t i = 0;
    for (; b.next(p, ec); ++i) {
        require(!failed, "of a bad body nothing is published");
        require(bool(ec) == !b.error_message().empty(), "an error has a message, and only an error");
        if (ec) {
            reply.error(b.error_message());
        } else {
            check_publish(p, v.is_array() ? v.at(i) : v, text);
            reply.receipt({.matched = i});
        }
    }
    reply.finish();
    if (failed)
        return;
    const auto answer = parsed(out);
    require(answer.is_array() == b.is_array(), "an array answers an array");
    if (answer.is_array())
        require(answer.as_array().size() == i, "every message is answered");
    if (v.is_array())
        require(v.as_array().size() == i, "every message is taken");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    if (detail::is_valid_utf8(text)) {
        const auto difference = json_oracle::difference(text);
        require(difference.empty(), difference.c_str());
    }
    request(text);
    body(text);
    return 0;
}
