// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include <pusher/dialect/native_encode.hpp>

#include "catch.hpp"

#include <boost/json/parse.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <random>
#include <string>
#include <string_view>

using namespace pusher;
using namespace std::chrono_literals;
using namespace std::string_literals;
using namespace std::string_view_literals;

namespace {

const wall_time noon =
    wall_time(std::chrono::seconds(1'754'490'000) + 123'456us); // 2025-08-06T14:20:00.123456Z

message::fields order() {
    message::fields f;
    f.topic = "order";
    f.type = "event";
    f.payload = R"({"content":"message"})";
    f.sequence = 7;
    f.sequence_epoch = 0xABC;
    f.receive_time = noon;
    return f;
}

std::string push(const message::fields& f) {
    std::string out;
    append_native_push(out, message(f));
    return out;
}

std::string reply(const native_reply& r) {
    std::string out;
    append_native_reply(out, r);
    return out;
}

std::string gap_of(const gap& g) {
    std::string out;
    append_native_gap(out, g);
    return out;
}

constexpr auto meta =
    R"("meta":{"receive_time":"2025-08-06T14:20:00.123456000Z","message_id":"0000000000000abc-7"}})";

std::string text_of(const boost::json::value& v) {
    const auto& s = v.as_string();
    return {s.data(), s.size()};
}

} // namespace

TEST_CASE("native push: exact bytes", "[native]") {
    auto m = order();
    CHECK(push(m) == R"({"topic":"order","type":"event","payload":"{\"content\":\"message\"}",)"s + meta);

    m.type = {};
    m.payload = {};
    CHECK(push(m) == R"({"topic":"order","type":"","payload":"",)"s + meta);

    m.id = "msg-\"001\"";
    CHECK(
        push(m) == R"({"topic":"order","type":"","payload":"",)"
                   R"("meta":{"receive_time":"2025-08-06T14:20:00.123456000Z","message_id":"msg-\"001\""}})");

    m.position = topic_position{0x1F, 42};
    CHECK(
        push(m) == R"({"topic":"order","type":"","payload":"",)"
                   R"("meta":{"receive_time":"2025-08-06T14:20:00.123456000Z","message_id":"msg-\"001\"",)"
                   R"("epoch":"000000000000001f","offset":42}})");

    constexpr auto most = std::numeric_limits<std::uint64_t>::max();
    m.id = {};
    m.sequence = most;
    m.sequence_epoch = most;
    m.position = topic_position{most, most};
    CHECK(
        push(m) == R"({"topic":"order","type":"","payload":"",)"
                   R"("meta":{"receive_time":"2025-08-06T14:20:00.123456000Z",)"
                   R"("message_id":"ffffffffffffffff-18446744073709551615",)"
                   R"("epoch":"ffffffffffffffff","offset":18446744073709551615}})");
}

TEST_CASE("native push: a key and headers do not travel, and the time is the message's own", "[native]") {
    auto m = order();
    const header h{"trace", "1"};
    m.key = "k";
    m.headers = {&h, 1};
    m.receive_time.reset();
    m.clock = [] { return noon; };
    CHECK(push(m) == R"({"topic":"order","type":"event","payload":"{\"content\":\"message\"}",)"s + meta);
}

TEST_CASE("native push: what is not UTF-8", "[native]") {
    auto m = order();
    m.payload = "\xFF\x00\xFE"sv;
    CHECK(push(m) == R"({"topic":"order","type":"event","payload":"/wD+","encoding":"base64",)"s + meta);
    m.payload = "grün\xC3";
    CHECK(push(m) == R"({"topic":"order","type":"event","payload":"Z3LDvG7D","encoding":"base64",)"s + meta);
    m.payload = "grün\n\x7F😀";
    CHECK(push(m) == "{\"topic\":\"order\",\"type\":\"event\",\"payload\":\"grün\\n\x7F😀\","s + meta);
    m.payload = {};
    m.topic = "a\xFF";
    m.type = "\x80";
    m.id = "\xC3(";
    CHECK(
        push(m) ==
        "{\"topic\":\"a\xEF\xBF\xBD\",\"type\":\"\xEF\xBF\xBD\",\"payload\":\"\",\"meta\":{\"receive_time\":"
        "\"2025-08-06T14:20:00.123456000Z\",\"message_id\":\"\xEF\xBF\xBD(\"}}");
}

TEST_CASE("native push: any payload comes back, and no line break gets out", "[native]") {
    std::mt19937 random(23);
    for (int i = 0; i != 5'000; ++i) {
        // Of few different bytes, or of all: both kinds of escapes, and both encodings, at all sizes.
        const std::string_view letters = "ab\"\\\n\r\t\x01/é😀{}";
        std::string payload;
        const auto size = random() % (i % 10 == 0 ? 5'000 : 60);
        const bool bytes = random() % 4 == 0;
        while (payload.size() < size) {
            if (bytes) {
                payload += static_cast<char>(random());
            } else if (const auto at = random() % letters.size(); (letters[at] & 0x80) == 0) {
                payload += letters[at];
            } else {
                payload += random() % 2 != 0 ? "é" : "😀";
            }
        }
        auto m = order();
        m.payload = payload;
        const auto out = push(m);
        if (out.find_first_of("\r\n") != out.npos)
            FAIL(out);
        const auto v = boost::json::parse(out);
        auto back = text_of(v.at("payload"));
        const bool base64 = v.as_object().contains("encoding");
        CHECK(base64 != detail::is_valid_utf8(payload));
        if (base64) {
            const auto encoded = back;
            back.clear();
            REQUIRE(detail::decode_base64(encoded, back));
        }
        if (back != payload)
            FAIL(out);
    }
}

TEST_CASE("native push: it appends", "[native]") {
    std::string out = "before";
    append_native_push(out, message(order()));
    const auto once = out.size();
    append_native_push(out, message(order()));
    CHECK(out == "before" + push(order()) + push(order()));
    CHECK(out.size() - once == once - 6);
}

TEST_CASE("native gap marker: exact bytes", "[native]") {
    CHECK(gap_of({"a\"b", 3, std::nullopt}) == R"({"topic":"a\"b","gap":{"count":3}})");
    CHECK(gap_of({"a", 2, gap::range{5, 7}}) == R"({"topic":"a","gap":{"count":2,"from":5,"to":7}})");
}

TEST_CASE("native reply: exact bytes", "[native]") {
    CHECK(
        reply({.request_id = "unique-id", .action = "subscribe", .timestamp = noon}) ==
        R"({"request_id":"unique-id","action":"subscribe","status":"ok","error_message":"",)"
        R"("timestamp":1754490000123})");
    CHECK(
        reply(
            {.request_id = "\"\n",
             .action = "fl\xFFy",
             .ok = false,
             .error_message = "unknown action \"fly\"",
             .timestamp = wall_time(-1us)}) ==
        "{\"request_id\":\"\\\"\\n\",\"action\":\"fl\xEF\xBF\xBDy\",\"status\":\"fail\","
        "\"error_message\":\"unknown action \\\"fly\\\"\",\"timestamp\":-1}");
    CHECK(
        reply({.action = "publish", .timestamp = noon, .receipt = native_receipt{.matched = 12}}) ==
        R"({"request_id":"","action":"publish","status":"ok","error_message":"","timestamp":1754490000123,)"
        R"("receipt":{"matched":12}})");
    CHECK(
        reply(
            {.action = "publish",
             .timestamp = noon,
             .receipt = native_receipt{.matched = 0, .position = topic_position{1, 2}}}) ==
        R"({"request_id":"","action":"publish","status":"ok","error_message":"","timestamp":1754490000123,)"
        R"("receipt":{"matched":0,"epoch":"0000000000000001","offset":2}})");
    CHECK(
        reply(
            {.action = "subscribe",
             .timestamp = noon,
             .recovered = false,
             .position = topic_position{1, 2}}) ==
        R"({"request_id":"","action":"subscribe","status":"ok","error_message":"","timestamp":1754490000123,)"
        R"("recovered":false,"epoch":"0000000000000001","offset":2})");
    CHECK(
        reply({.action = "subscribe", .timestamp = noon, .recovered = true}) ==
        R"({"request_id":"","action":"subscribe","status":"ok","error_message":"","timestamp":1754490000123,)"
        R"("recovered":true})");
    const native_hello h{
        .session = "s-1",
        .heartbeat = 120s,
        .max_request = 65536,
        .max_depth = 32,
        .max_topic = 255,
        .max_filter_levels = 32,
        .max_subscriptions = 1024,
        .outbox_messages = 256,
        .outbox_bytes = 1048576};
    CHECK(
        reply({.action = "hello", .timestamp = noon, .hello = &h}) ==
        R"({"request_id":"","action":"hello","status":"ok","error_message":"","timestamp":1754490000123,)"
        R"("version":1,"session":"s-1","limits":{"request":65536,"depth":32,"topic":255,"filter_levels":32,)"
        R"("subscriptions":1024,"outbox_messages":256,"outbox_bytes":1048576},"heartbeat":120000})");
}

TEST_CASE("native close and challenge: exact bytes", "[native]") {
    std::string out;
    append_native_close(out, close_reason::from(errc::kicked));
    CHECK(out == R"({"close":{"code":1008,"reason":"kicked"}})");
    out.clear();
    append_native_close(out, close_reason::from(errc::overflow), 5s);
    CHECK(out == R"({"close":{"code":1013,"reason":"outbox overflow","retry":5000}})");
    out.clear();
    append_native_challenge(out, "0123456789abcdef");
    CHECK(out == R"({"action":"challenge","cookie":"0123456789abcdef"})");
}
