// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include <pusher/detail/rfc3339.hpp>
#include <pusher/detail/utf8.hpp>
#include <pusher/dialect/native_encode.hpp>
#include <pusher/dialect/sse_encode.hpp>

#include "require.hpp"

#include "../support/event_source.hpp"

#include <boost/json/parse.hpp>
#include <boost/system/error_code.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

// Input: one byte of options, one each for the sizes of topic, type and id, eight for the time; then these
// three texts and the payload. Whatever the bytes are, a push is JSON on one line, and an event is one event.

using namespace pusher;

namespace {

std::string text_of(const boost::json::value& v) {
    const auto& s = v.as_string();
    return {s.data(), s.size()};
}

void check_push(std::string_view out, const message& m) {
    require(out.find_first_of("\r\n") == out.npos, "a push is one line");
    require(detail::is_valid_utf8(out), "a push is UTF-8");
    boost::system::error_code ec;
    const auto v = boost::json::parse(out, ec);
    require(!ec, "a push is JSON");
    auto payload = text_of(v.at("payload"));
    if (v.as_object().contains("encoding")) {
        const auto encoded = payload;
        payload.clear();
        require(detail::decode_base64(encoded, payload), "base64 is base64");
    }
    require(payload == m.payload(), "a payload comes back");
    if (detail::is_valid_utf8(m.topic()))
        require(text_of(v.at("topic")) == m.topic(), "a topic comes back");
    const auto& meta = v.at("meta");
    if (m.id().empty())
        require(
            detail::parse_position(text_of(meta.at("message_id"))) ==
                sequence_position{m.sequence_epoch(), m.sequence()},
            "a position comes back");
    else if (detail::is_valid_utf8(m.id()))
        require(text_of(meta.at("message_id")) == m.id(), "an id comes back");
    if (m.position())
        require(
            detail::parse_epoch(text_of(meta.at("epoch"))) == m.position()->epoch &&
                meta.at("offset").to_number<std::uint64_t>() == m.position()->offset,
            "a place in the history comes back");
    // The clock's first and last second are not read: their fractions might not fit.
    const auto time = text_of(meta.at("receive_time"));
    require(time.size() == detail::rfc3339_size, "a time has its size");
    if (const auto back = detail::parse_rfc3339(time))
        require(*back == m.receive_time(), "a time comes back");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 12)
        return 0;
    std::uint64_t number = 0;
    for (std::size_t i = 4; i != 12; ++i)
        number = number << 8 | data[i];
    std::string_view rest(reinterpret_cast<const char*>(data) + 12, size - 12);
    auto take = [&rest](std::size_t n) {
        const auto part = rest.substr(0, n);
        rest.remove_prefix(part.size());
        return part;
    };
    message::fields f;
    f.topic = take(data[1]);
    f.type = take(data[2]);
    f.id = take(data[3]);
    f.payload = rest;
    f.sequence = number;
    f.sequence_epoch = number * 31;
    f.receive_time = wall_time(wall_time::duration(static_cast<wall_time::duration::rep>(number)));
    if ((data[0] & 1) != 0)
        f.position = topic_position{number * 7, number};
    const message m(f);

    std::string out;
    append_native_push(out, m);
    check_push(out, m);

    const auto form = (data[0] & 2) != 0 ? sse_form::envelope : sse_form::payload;
    std::string stream = "data: before\n\n";
    append_sse_message(stream, m, form);
    append_sse_gap(stream, {f.topic, number, gap::range{1, number}});
    append_sse_close(stream, {close_code::policy, {}, std::string(f.payload)});
    stream += "data: after\n\n";
    const test::event_source source(stream);
    require(source.events.size() == 5, "an event is one event");
    require(!source.retry, "nobody forges a field");
    const auto& e = source.events[1];
    require(e.last_id.empty() == !m.position(), "an id is there with a history only");
    if (m.position())
        require(
            parse_sse_id(e.last_id) == sse_id{{m.sequence_epoch(), m.sequence()}, std::nullopt},
            "an id comes back");
    require(
        e.type != "error" && e.type != "open" && !e.type.starts_with("pusher."),
        "reserved names stay reserved");
    if (form == sse_form::envelope || !detail::is_sse_event(f.type) || !detail::is_valid_utf8(f.payload)) {
        require(e.type == "message", "an envelope is a message");
        check_push(e.data, m);
    } else {
        require(e.type == (f.type.empty() ? "message" : f.type), "a type comes back");
        if (f.payload.find('\r') == f.payload.npos)
            require(e.data == f.payload, "a bare payload comes back");
    }
    require(source.events[2].type == "pusher.gap", "a gap marker follows");
    require(source.events[3].type == "pusher.close", "a goodbye follows");
    require(source.events[4].data == "after", "nothing is swallowed");

    std::string encoded;
    detail::append_base64(encoded, f.payload);
    std::string decoded;
    require(detail::decode_base64(encoded, decoded) && decoded == f.payload, "base64 comes back");
    decoded.clear();
    if (detail::decode_base64(f.payload, decoded)) {
        encoded.clear();
        detail::append_base64(encoded, decoded);
        require(encoded == f.payload, "base64 has one form");
    }
    if (const auto time = detail::parse_rfc3339(f.payload)) {
        char to[detail::rfc3339_size];
        require(
            detail::parse_rfc3339({to, detail::write_rfc3339(to, *time)}) == time,
            "a time read is written and read");
    }
    return 0;
}
