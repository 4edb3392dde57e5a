// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include <pusher/dialect/native_http.hpp>

#include "catch.hpp"

#include <array>
#include <cstddef>
#include <random>
#include <string>
#include <string_view>
#include <vector>

using namespace pusher;
using namespace std::string_literals;

namespace {

struct row {
    std::string text;
    errc code;
    std::string message;
};

/// One for all: nothing may be left over from the body before.
native_publish_body& body() {
    static native_publish_body b;
    return b;
}

/// Takes all messages of a body; of each `topic=payload` or its error.
std::vector<std::string> messages(std::string_view text) {
    std::vector<std::string> all;
    INFO(text);
    REQUIRE(!body().start(text));
    CHECK(body().error_message().empty());
    native_publish p;
    error_code ec;
    while (body().next(p, ec)) {
        CHECK(bool(ec) == !body().error_message().empty());
        all.push_back(
            ec ? std::string(body().error_message()) : std::string(p.topic) + '=' + std::string(p.payload));
    }
    CHECK_FALSE(body().next(p, ec));
    return all;
}

using texts = std::vector<std::string>;

} // namespace

TEST_CASE("POST /publish: one object", "[http]") {
    CHECK(messages(R"({"topic":"a","payload":"x"})") == texts{"a=x"});
    CHECK_FALSE(body().is_array());
    CHECK(messages(R"( {"payload": {"x":1.0} ,"topic":"\u0061","other":[]} )") == texts{"a={\"x\":1.0}"});
    CHECK(messages(R"({"topic":"","payload":"x"})") == texts{"topic must not be empty"});
    CHECK(
        messages(R"({"action":"publish","params":{"topic":"a","payload":"x"}})") ==
        texts{"topic is missing"});

    native_publish p;
    error_code ec;
    REQUIRE(!body().start(R"({"topic":"a","type":"t","payload":1,"key":"k","id":"i","ttl":5})"));
    REQUIRE(body().next(p, ec));
    CHECK(!ec);
    CHECK(p.type == "t");
    CHECK(p.key == "k");
    CHECK(p.id == "i");
    CHECK(p.ttl == 5U);
    CHECK(native_refusal(p).empty());
    CHECK(p.time_to_live() == std::chrono::milliseconds(5));
}

TEST_CASE("POST /publish: an array, whose elements are good or bad each for itself", "[http]") {
    CHECK(messages("[]").empty());
    CHECK(body().is_array());
    CHECK(messages(R"([{"topic":"a","payload":"x"}])") == texts{"a=x"});
    CHECK(body().is_array());
    CHECK(
        messages(
            R"([{"topic":"a","payload":"\u0031"},5,{"topic":"b","payload":"2\n"},{},[{"topic":"c"}],null,"x",)"
            R"({"topic":"d"},{"topic":"e","type":5,"payload":"x"},{"topic":"f","payload":"x","history":1},)"
            R"({"topic":"g","payload":"x","topic":"g"},{"topic":"h","payload":"\u0033"}])") ==
        texts{
            "a=1", "a message must be a JSON object, not a number", "b=2\n", "topic is missing",
            "a message must be a JSON object, not an array", "a message must be a JSON object, not null",
            "a message must be a JSON object, not a string", "payload is missing",
            "type must be a string, not a number", "history is not a parameter of publish",
            "topic is there twice", "h=3"});
}

TEST_CASE("POST /publish: a body that is wrong as a whole publishes nothing", "[http]") {
    const std::vector<row> rows{
        {"", errc::invalid_message, "the body is empty"},
        {" \n", errc::invalid_message, "the body is empty"},
        {"topic=a", errc::invalid_message, "malformed JSON at byte 0: not a JSON value"},
        {R"([{"topic":"a","payload":"x"})", errc::invalid_message,
         "malformed JSON at byte 28: the text ends inside an array or object"},
        {R"([{"topic":"a","payload":"x"},])", errc::invalid_message,
         "malformed JSON at byte 29: not a JSON value"},
        {R"({"topic":"a","payload":"x"}{})", errc::invalid_message,
         "malformed JSON at byte 27: there is more after the end of the JSON text"},
        {R"("x")", errc::invalid_message, "the body must be a JSON object or an array of them, not a string"},
        {"1", errc::invalid_message, "the body must be a JSON object or an array of them, not a number"},
        {"{\"topic\":\"\xFF\"}", errc::invalid_utf8, "the body is not valid UTF-8 (byte 10)"},
        {R"([{"topic":"a","payload":)" + std::string(31, '['), errc::invalid_message,
         "JSON nested deeper than 32 levels (byte 54)"},
        {std::string(65537, ' '), errc::message_too_large, "the body is longer than 65536 bytes"},
    };
    for (const auto& row : rows) {
        INFO(row.text);
        CHECK(body().start(row.text) == row.code);
        CHECK(body().error_message() == row.message);
        native_publish p;
        error_code ec;
        CHECK_FALSE(body().next(p, ec));
    }
    const native_limits two{.request = 100, .depth = 2, .publishes = 2};
    CHECK(!body().start("[{},{}]", two));
    CHECK(body().start("[{},{},{}]", two) == errc::message_too_large);
    CHECK(body().error_message() == "more than 2 messages at once");
}

TEST_CASE("POST /publish: the reply", "[http]") {
    std::string out = "before ";
    native_publish_reply one(out, false);
    one.receipt({.matched = 3, .position = topic_position{1, 17}});
    one.finish();
    CHECK(out == R"(before {"matched":3,"epoch":"0000000000000001","offset":17})");

    out.clear();
    native_publish_reply many(out, true);
    many.receipt({.matched = 3});
    many.error("topic \"x\"");
    many.receipt({});
    many.receipt({.matched = 2, .repeated = true});
    many.finish();
    CHECK(out == R"([{"matched":3},{"error":"topic \"x\""},{"matched":0},{"matched":2,"repeated":true}])");

    out.clear();
    native_publish_reply none(out, true);
    none.finish();
    CHECK(out == "[]");

    out.clear();
    append_http_error(out, "no\n");
    CHECK(out == R"({"error":"no\n"})");
}

TEST_CASE("GET /events: good queries", "[http]") {
    struct good {
        std::string query;
        texts topics;
        texts types;
        match_mode match;
        std::string last_event_id;
        sse_form form;
    };
    const auto exact = match_mode::exact;
    const auto filter = match_mode::filter;
    const auto payload = sse_form::payload;
    const auto envelope = sse_form::envelope;
    const std::vector<good> rows{
        {"topic=a", {"a"}, {}, exact, "", payload},
        {"topic=a&topic=b", {"a", "b"}, {}, exact, "", envelope},
        {"topic=a&topic=a", {"a", "a"}, {}, exact, "", envelope},
        {"topic=a&type=t", {"a"}, {"t"}, exact, "", payload},
        {"type=t&topic=a&type=u", {"a"}, {"t", "u"}, exact, "", payload},
        {"topic=a&type=", {"a"}, {""}, exact, "", payload},
        {"topic=a&match=exact", {"a"}, {}, exact, "", payload},
        {"topic=a&match=filter", {"a"}, {}, filter, "", envelope},
        {"match=filter&topic=a%2F%2B%2f%23", {"a/+/#"}, {}, filter, "", envelope},
        {"topic=a&envelope=json", {"a"}, {}, exact, "", envelope},
        {"topic=a&last_event_id=0000000000000abc-7", {"a"}, {}, exact, "0000000000000abc-7", payload},
        {"topic=a&last_event_id=whatever", {"a"}, {}, exact, "whatever", payload},
        {"topic=a&last_event_id=", {"a"}, {}, exact, "", payload},
        {"t%6Fpic=%61%20b+c", {"a b c"}, {}, exact, "", payload},
        {"topic=+&x", {" "}, {}, exact, "", payload},
        {"&&topic=a&&x=1&=&access_token=%2B&", {"a"}, {}, exact, "", payload},
        {"topic=a=b%3D%26", {"a=b=&"}, {}, exact, "", payload},
        {"topic=%C3%A9%E2%82%AC", {"é€"}, {}, exact, "", payload},
        {"topic=a/%20/b&match=filter", {"a/ /b"}, {}, filter, "", envelope},
        {"topic=my+topic/%2B&match=filter", {"my topic/+"}, {}, filter, "", envelope},
        {"Topic=x&topic=a", {"a"}, {}, exact, "", payload},
    };
    native_events_query q;
    std::string error = "left over";
    for (const auto& row : rows) {
        INFO(row.query);
        CHECK(!decode_events_query(row.query, q, error));
        CHECK(error.empty());
        CHECK(q.topics == row.topics);
        CHECK(q.types == row.types);
        CHECK(q.match == row.match);
        CHECK(q.last_event_id == row.last_event_id);
        CHECK(q.form() == row.form);
    }
}

TEST_CASE("GET /events: bad queries", "[http]") {
    const auto percent = "the query has a % that is not followed by two hexadecimal digits"s;
    const std::string longest(255, 'x');
    const std::vector<row> rows{
        {"", errc::invalid_message, "topic is missing"},
        {"type=t", errc::invalid_message, "topic is missing"},
        {"topic", errc::invalid_topic, "topic must not be empty"},
        {"topic=", errc::invalid_topic, "topic must not be empty"},
        {"topic=a&topic=", errc::invalid_topic, "topic must not be empty"},
        {"topic=%", errc::invalid_message, percent},
        {"topic=a%2", errc::invalid_message, percent},
        {"topic=a%2&x=1", errc::invalid_message, percent},
        {"topic=a%zz", errc::invalid_message, percent},
        {"topic=a&x=%G0", errc::invalid_message, percent},
        {"topic=a%00", errc::invalid_topic, "topic holds a control character"},
        {"topic=a%0D%0A", errc::invalid_topic, "topic holds a control character"},
        {"topic=%C2%9B", errc::invalid_topic, "topic holds a control character"},
        {"topic=%FF", errc::invalid_topic, "topic is not valid UTF-8"},
        {"topic=" + longest + "x", errc::invalid_topic, "topic is longer than 255 bytes"},
        {"topic=a%23&match=filter", errc::invalid_filter,
         "topic is not a filter: + and # must stand alone between slashes, # only at the end, at most 32 "
         "levels"},
        {"topic=a/+/b&match=filter", errc::invalid_filter,
         "topic has a level that is a space: write + as %2B"},
        {"match=filter&topic=a&topic=+", errc::invalid_filter,
         "topic has a level that is a space: write + as %2B"},
        {"topic=a&type=pusher.gap", errc::invalid_type, "type must not begin with \"pusher.\""},
        {"topic=a&type=a%0Ab", errc::invalid_type, "type holds a control character"},
        {"topic=a&type=%FF", errc::invalid_type, "type is not valid UTF-8"},
        {"topic=a&match=regex", errc::invalid_message, "match must be exact or filter, not \"regex\""},
        {"topic=a&match=exact&match=exact", errc::invalid_message, "match is there twice"},
        {"topic=a&envelope=xml", errc::invalid_message, "envelope must be json, not \"xml\""},
        {"topic=a&envelope=json&envelope=json", errc::invalid_message, "envelope is there twice"},
        {"topic=a&last_event_id=1&last_event_id=1", errc::invalid_message, "last_event_id is there twice"},
        {"topic=a&ack=true", errc::unsupported, "ack is not a parameter of GET /events"},
        {"topic=a&history=3", errc::unsupported, "history is not a parameter of GET /events"},
    };
    native_events_query q;
    std::string error;
    for (const auto& row : rows) {
        INFO(row.text);
        CHECK(decode_events_query(row.text, q, error) == row.code);
        CHECK(error == row.message);
    }
}

TEST_CASE("GET /events: what was percent-encoded comes back", "[http]") {
    std::mt19937 random(31);
    for (int i = 0; i != 3'000; ++i) {
        std::string topic;
        std::string query = "x=%00&topic=";
        for (auto n = 1 + random() % 60; n != 0; --n) {
            const auto c = static_cast<char>(0x20 + random() % 0x5F);
            topic += c;
            constexpr auto digits = "0123456789abcdefABCDEF";
            const auto low = static_cast<std::size_t>(c & 0x0F);
            if (c == ' ' && random() % 2 == 0)
                query += '+';
            else if (c == '%' || c == '&' || c == '+' || random() % 2 == 0)
                query += {'%', digits[c >> 4], digits[low > 9 && random() % 2 == 0 ? low + 6 : low]};
            else
                query += c;
        }
        native_events_query q;
        std::string error;
        INFO(query);
        REQUIRE(!decode_events_query(query, q, error));
        CHECK(q.topics == texts{topic});
    }
}
