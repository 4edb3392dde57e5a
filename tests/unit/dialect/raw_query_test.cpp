// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include <pusher/dialect/raw_encoding.hpp>
#include <pusher/dialect/raw_query.hpp>

#include "catch.hpp"

#include <string>
#include <string_view>
#include <vector>

using namespace pusher;

TEST_CASE("raw query: what a connection asks for") {
    raw_query q;
    std::string error = "of before";
    REQUIRE(!decode_raw_query(
        "topic=a%2Fb&topic=c+d&type=x&type=y&match=exact&history=12&overflow=conflate&echo=false&format=text"
        "&publish=p&publish_type=z&token=t%26&unknown=1&&",
        q, error));
    CHECK(error.empty());
    CHECK(q.topics == std::vector<std::string>{"a/b", "c d"});
    CHECK(q.types == std::vector<std::string>{"x", "y"});
    CHECK(q.size() == 4);
    std::string all;
    for (std::size_t n = 0; n != q.size(); ++n)
        all += std::string(q.topic(n)) + ":" + std::string(q.type(n)) + " ";
    CHECK(all == "a/b:x a/b:y c d:x c d:y ");
    CHECK(q.history == 12);
    CHECK(q.overflow == overflow_policy::conflate);
    CHECK_FALSE(q.echo);
    CHECK(q.text);
    CHECK(q.publish == "p");
    CHECK(q.publish_type == "z");
    CHECK(q.token == "t&");

    // One object reads one query after another.
    REQUIRE(!decode_raw_query("publish=only", q, error));
    CHECK(q.size() == 0);
    CHECK(q.publish == "only");
    CHECK(q.token.empty());
    CHECK(q.echo);
    CHECK_FALSE(q.text);
    CHECK_FALSE(q.overflow);
    REQUIRE(!decode_raw_query("topic=a/%2B/%23&match=filter", q, error));
    CHECK(q.match == match_mode::filter);
    CHECK(q.size() == 1);
    CHECK(q.type(0).empty());
}

TEST_CASE("raw query: what is refused, and why") {
    struct row {
        std::string_view query;
        errc code;
        std::string_view why;
    };
    const std::vector<row> rows{
        {"", errc::invalid_message, "topic is missing"},
        {"publish=", errc::invalid_topic, "publish "},
        {"publish=a%00", errc::invalid_topic, "publish "},
        {"topic=", errc::invalid_topic, "topic "},
        {"topic=a%", errc::invalid_message, "hexadecimal"},
        {"topic=a/b%23&match=filter", errc::invalid_filter, "topic "},
        {"topic=a/+&match=filter", errc::invalid_filter, "%2B"},
        {"topic=a&match=all", errc::invalid_message, "match must be"},
        {"topic=a&type=%0a", errc::invalid_type, "type "},
        {"topic=a&publish=a&publish_type=%0a", errc::invalid_type, "publish_type "},
        {"topic=a&history=", errc::invalid_message, "history must be"},
        {"topic=a&history=-1", errc::invalid_message, "history must be"},
        {"topic=a&history=99999999999999999999999", errc::invalid_message, "history must be"},
        {"topic=a&overflow=none", errc::invalid_message, "overflow must be"},
        {"topic=a&echo=1", errc::invalid_message, "echo must be"},
        {"topic=a&format=json", errc::invalid_message, "format must be"},
        {"topic=a&format=text&format=text", errc::invalid_message, "format is there twice"},
        {"topic=a&match=exact&match=exact", errc::invalid_message, "match is there twice"},
        {"topic=a/%23&match=filter&history=1", errc::unsupported, "history needs exact topics"},
        {"topic=a&resume=1", errc::unsupported, "resume is not"},
        {"topic=a&ack=true", errc::unsupported, "ack is not"},
        {"topic=a&durable=x", errc::unsupported, "durable is not"},
        {"topic=a&last_event_id=1-1", errc::unsupported, "last_event_id is not"}};
    for (const auto& r : rows) {
        CAPTURE(r.query);
        raw_query q;
        std::string error;
        CHECK(decode_raw_query(r.query, q, error) == r.code);
        CAPTURE(error);
        CHECK(error.find(r.why) != error.npos);
    }
}

TEST_CASE("raw encoding: frames") {
    message::fields f;
    f.topic = "t";
    f.payload = std::string_view("\0\xff", 2);
    const message odd(f);
    std::string out;
    const raw_stream_encoding stream;
    stream.push(odd, out);
    CHECK(out == std::string("\0\0\0\2\0\xff", 6));
    out.clear();
    stream.gap({"t", 3, {}}, out);
    CHECK(
        out == std::string("\x80\0\0", 3) + static_cast<char>(out.size() - 4) +
                   R"({"topic":"t","gap":{"count":3}})");
    out.clear();
    raw_websocket_encoding(websocket_opcode::binary).push(odd, out);
    CHECK(out == std::string("\x82\2\0\xff", 4));
    out.clear();
    raw_websocket_encoding(websocket_opcode::text).push(odd, out);
    CHECK(out.empty()); // cannot be carried
    raw_websocket_encoding(websocket_opcode::text).gap({"t", 3, {}}, out);
    CHECK(out.front() == '\x82');
    out.clear();
    raw_websocket_encoding(websocket_opcode::binary).gap({"t", 3, {}}, out);
    CHECK(out.front() == '\x81');
}
