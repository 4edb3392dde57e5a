// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include <pusher/detail/utf8.hpp>
#include <pusher/dialect/native_http.hpp>
#include <pusher/dialect/raw_query.hpp>
#include <pusher/topic.hpp>

#include "require.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

// Input: the query of `GET /events`, or of the raw dialect.

using namespace pusher;

namespace {

void add(std::string& query, std::string_view name, std::string_view value) {
    query += '&';
    query += name;
    query += '=';
    for (const char c : value) {
        const auto byte = static_cast<unsigned char>(c);
        query += {'%', "0123456789ABCDEF"[byte >> 4], "0123456789abcdef"[byte & 0x0F]};
    }
}

std::string written(const subscription_query& q) {
    std::string query;
    for (const auto& t : q.topics)
        add(query, "topic", t);
    for (const auto& t : q.types)
        add(query, "type", t);
    if (q.match == match_mode::filter)
        add(query, "match", "filter");
    return query;
}

void check(const subscription_query& q) {
    const bool filter = q.match == match_mode::filter;
    for (const auto& t : q.topics)
        require(filter ? is_valid_filter(t) : is_valid_topic(t), "a topic or filter is one");
    for (const auto& t : q.types)
        require(is_valid_type(t), "a type is one");
}

void check_raw(std::string_view text) {
    raw_query q;
    std::string error;
    const auto ec = decode_raw_query(text, q, error);
    require(bool(ec) == !error.empty(), "an error has a message, and only an error");
    if (ec)
        return;
    check(q);
    require(!q.topics.empty() || !q.publish.empty(), "something is asked for");
    require(q.publish.empty() || is_valid_topic(q.publish), "what is published to is a topic");

    auto query = written(q);
    if (!q.publish.empty())
        add(query, "publish", q.publish);
    add(query, "publish_type", q.publish_type);
    add(query, "token", q.token);
    add(query, "history", std::to_string(q.history));
    if (q.overflow)
        add(query, "overflow", to_string(*q.overflow));
    add(query, "echo", q.echo ? "true" : "false");
    add(query, "format", q.text ? "text" : "binary");
    raw_query again;
    if (q.publish_type.empty()) // which is not a type
        query.replace(query.find("&publish_type="), std::string_view("&publish_type=").size(), "");
    require(!decode_raw_query(query, again, error), "what was understood can be said again");
    require(
        again.topics == q.topics && again.types == q.types && again.match == q.match &&
            again.publish == q.publish && again.publish_type == q.publish_type && again.token == q.token &&
            again.history == q.history && again.overflow == q.overflow && again.echo == q.echo &&
            again.text == q.text,
        "and means the same");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    check_raw(text);
    native_events_query q;
    std::string error;
    const auto ec = decode_events_query(text, q, error);
    require(bool(ec) == !error.empty(), "an error has a message, and only an error");
    if (const auto id = parse_sse_id(text)) {
        std::string again(2 * detail::max_position_size + 1, '\0');
        auto* to = detail::write_position(again.data(), id->position);
        if (id->place) {
            *to++ = '-';
            to = detail::write_position(to, {id->place->epoch, id->place->offset});
        }
        require(text == std::string_view(again.data(), to), "an id is written one way");
    }
    if (ec)
        return 0;

    const bool filter = q.match == match_mode::filter;
    require(!q.topics.empty(), "there is a topic");
    check(q);
    require(q.form() == sse_form::envelope || (q.topics.size() == 1 && !filter), "bare is one exact topic");

    // Written anew, it says the same.
    auto query = written(q);
    if (q.envelope)
        add(query, "envelope", "json");
    add(query, "last_event_id", q.last_event_id);
    native_events_query again;
    require(!decode_events_query(query, again, error), "what was understood can be said again");
    require(
        again.topics == q.topics && again.types == q.types && again.match == q.match &&
            again.envelope == q.envelope && again.last_event_id == q.last_event_id,
        "and means the same");
    return 0;
}
