// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include <pusher/dialect/native_reply.hpp>

#include "catch.hpp"

#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

using namespace pusher;
using namespace std::chrono_literals;
using namespace std::string_literals;
using namespace std::string_view_literals;

using kind = native_incoming::kind;

namespace {

const wall_time noon = wall_time(std::chrono::seconds(1'754'490'000) + 123'456us);

struct decoded {
    error_code ec;
    native_incoming in;
    std::string message;
};

/// Decodes with a decoder whose memory the next call uses again.
decoded decode(std::string_view text) {
    static native_reply_decoder decoder;
    decoded d;
    d.ec = decoder.decode(text, d.in);
    d.message = decoder.error_message();
    return d;
}

void refuse(std::string_view text, error_code expected, std::string_view message) {
    INFO(text);
    const auto d = decode(text);
    CHECK(d.ec == expected);
    CHECK(d.in.what == kind::none);
    CHECK(d.message.find(message) != std::string::npos);
    if (d.message.find(message) == std::string::npos)
        UNSCOPED_INFO(d.message);
}

void refuse(std::string_view text, std::string_view message) { refuse(text, errc::invalid_message, message); }

} // namespace

TEST_CASE("native reply: a push comes back as it went out", "[native][reply]") {
    message::fields f;
    f.topic = "order/\"1\"";
    f.type = "event";
    f.payload = "{\"content\":\"zażółć\\n\"}";
    f.id = "msg-1";
    f.position = topic_position{0xFEDCBA9876543210, 18'446'744'073'709'551'615U};
    f.receive_time = noon;

    SECTION("all there") {}
    SECTION("no type, no position") {
        f.type = {};
        f.position = {};
    }
    SECTION("empty payload") { f.payload = {}; }
    SECTION("any bytes") { f.payload = "\x00\xFF\xC3 \x80"sv; }

    std::string text;
    append_native_push(text, message(f));
    const auto d = decode(text);
    REQUIRE(d.ec == error_code());
    REQUIRE(d.in.what == kind::push);
    CHECK(d.in.push.topic == f.topic);
    CHECK(d.in.push.type == f.type);
    CHECK(d.in.push.payload == f.payload);
    CHECK(d.in.push.id == f.id);
    CHECK(d.in.push.position == f.position);
    CHECK(d.in.push.receive_time == f.receive_time);
}

TEST_CASE("native reply: without a publisher's id the hub's own is there", "[native][reply]") {
    message::fields f;
    f.topic = "a";
    f.sequence_epoch = 0xABC;
    f.sequence = 7;
    f.receive_time = noon;
    std::string text;
    append_native_push(text, message(f));
    CHECK(decode(text).in.push.id == "0000000000000abc-7");
}

TEST_CASE("native reply: a push from another hub", "[native][reply]") {
    // nbio's hub has neither positions nor, at times, a time that the clock can express.
    const auto d = decode(
        R"({"topic":"t","type":"","payload":"p","meta":{"receive_time":"0001-01-01T00:00:00Z","message_id":""}})");
    REQUIRE(d.in.what == kind::push);
    CHECK(d.in.push.topic == "t");
    CHECK(d.in.push.id.empty());
    CHECK(!d.in.push.receive_time);

    CHECK(decode(R"({"topic":"t","payload":"p"})").in.push.payload == "p");
    CHECK(decode(R"({"topic":"t","payload":"p","meta":null,"type":null})").in.what == kind::push);
    CHECK(!decode(R"({"topic":"t","payload":"p","meta":{"receive_time":"noon"}})").in.push.receive_time);
    CHECK(
        decode(R"( { "new" : [ {"deep":1} ] , "topic" : "t", "payload":"p", "meta":{"new":{}} } )").in.what ==
        kind::push);
}

TEST_CASE("native reply: a gap marker comes back as it went out", "[native][reply]") {
    gap g{"topic", 12, gap::range{3, 20}};
    SECTION("with offsets") {}
    SECTION("a count only") { g.offsets = {}; }
    std::string text;
    append_native_gap(text, g);
    const auto d = decode(text);
    REQUIRE(d.in.what == kind::gap);
    CHECK(d.in.gap.topic == g.topic);
    CHECK(d.in.gap.count == g.count);
    CHECK(d.in.gap.offsets == g.offsets);
}

TEST_CASE("native reply: a reply comes back as it went out", "[native][reply]") {
    native_reply r;
    r.request_id = "17";
    r.action = "subscribe";
    r.timestamp = std::chrono::time_point_cast<wall_time::duration>(
        std::chrono::floor<std::chrono::milliseconds>(noon));
    native_hello hello;
    hello.session = "4711";
    hello.heartbeat = 120s;
    hello.max_request = 65'536;
    hello.max_depth = 32;
    hello.max_topic = 255;
    hello.max_filter_levels = 31;
    hello.max_subscriptions = 1024;
    hello.outbox_messages = 256;
    hello.outbox_bytes = 1'048'576;

    SECTION("plain") {}
    SECTION("failed") {
        r.ok = false;
        r.error_message = "topic \"x\" is forbidden";
    }
    SECTION("recovered") {
        r.recovered = true;
        r.position = topic_position{1, 2};
    }
    SECTION("not recovered") { r.recovered = false; }
    SECTION("receipt") { r.receipt = native_receipt{3}; }
    SECTION("receipt with position") { r.receipt = native_receipt{0, topic_position{9, 8}}; }
    SECTION("receipt of what was repeated") { r.receipt = native_receipt{1, topic_position{9, 8}, true}; }
    SECTION("hello") { r.hello = &hello; }
    SECTION("before 1970") { r.timestamp = wall_time(-1ms); }

    std::string text;
    append_native_reply(text, r);
    const auto d = decode(text);
    REQUIRE(d.ec == error_code());
    REQUIRE(d.in.what == kind::reply);
    const auto& got = d.in.reply;
    CHECK(got.request_id == r.request_id);
    CHECK(got.action == r.action);
    CHECK(got.ok == r.ok);
    CHECK(got.error_message == r.error_message);
    CHECK(got.timestamp == r.timestamp);
    CHECK(got.recovered == r.recovered);
    CHECK(got.position == r.position);
    REQUIRE(got.receipt.has_value() == r.receipt.has_value());
    if (r.receipt) {
        CHECK(got.receipt->matched == r.receipt->matched);
        CHECK(got.receipt->position == r.receipt->position);
        CHECK(got.receipt->repeated == r.receipt->repeated);
    }
    REQUIRE((got.hello != nullptr) == (r.hello != nullptr));
    if (r.hello) {
        CHECK(d.in.version == native_dialect_version);
        CHECK(got.hello->session == hello.session);
        CHECK(got.hello->heartbeat == hello.heartbeat);
        CHECK(got.hello->max_request == hello.max_request);
        CHECK(got.hello->max_depth == hello.max_depth);
        CHECK(got.hello->max_topic == hello.max_topic);
        CHECK(got.hello->max_filter_levels == hello.max_filter_levels);
        CHECK(got.hello->max_subscriptions == hello.max_subscriptions);
        CHECK(got.hello->outbox_messages == hello.outbox_messages);
        CHECK(got.hello->outbox_bytes == hello.outbox_bytes);
    }
}

TEST_CASE("native reply: a close comes back as it went out", "[native][reply]") {
    std::string text;
    append_native_close(text, {close_code::try_again_later, errc::overflow, "full \"up\""}, 1500ms);
    auto d = decode(text);
    REQUIRE(d.in.what == kind::close);
    CHECK(d.in.close.code == 1013);
    CHECK(d.in.close.reason == "full \"up\"");
    CHECK(d.in.close.retry == 1500ms);

    text.clear();
    append_native_close(text, {close_code::normal, {}, {}});
    d = decode(text);
    REQUIRE(d.in.what == kind::close);
    CHECK(d.in.close.code == 1000);
    CHECK(!d.in.close.retry);
}

TEST_CASE("native reply: a challenge comes back as it went out", "[native][reply]") {
    std::string text;
    append_native_challenge(text, "abc");
    const auto d = decode(text);
    REQUIRE(d.in.what == kind::challenge);
    CHECK(d.in.cookie == "abc");
}

TEST_CASE("native reply: what is not one", "[native][reply]") {
    refuse("", "malformed JSON at byte 0");
    refuse("[]", "not a JSON object");
    refuse("1", "not a JSON object");
    refuse("{", "malformed JSON at byte 1");
    refuse("{} {}", "malformed JSON at byte 3");
    refuse("{}", "neither a reply nor a push");
    refuse(R"({"action":"challenge"})", "neither");
    refuse("{\"topic\":\"\xFF\",\"payload\":\"\"}", errc::invalid_utf8, "not valid UTF-8");
    refuse(std::string(40, '[') + std::string(40, ']'), "nested too deeply");
}

TEST_CASE("native reply: wrong fields", "[native][reply]") {
    refuse(R"({"payload":"p"})", "topic is missing");
    refuse(R"({"topic":"","payload":"p"})", "topic is empty");
    refuse(R"({"topic":7,"payload":"p"})", "topic must be a string, not a number");
    refuse(R"({"topic":"t","payload":{}})", "payload must be a string, not an object");
    refuse(R"({"topic":"t","payload":"p","payload":"q"})", "payload is there twice");
    refuse(R"({"topic":"t","payload":"p","meta":{},"meta":{}})", "meta is there twice");
    refuse(R"({"topic":"t","payload":"p","meta":"m"})", "meta must be an object, not a string");
    refuse(R"({"topic":"t","payload":"p","meta":{"message_id":1}})", "meta.message_id must be a string");
    refuse(R"({"topic":"t","payload":"p","meta":{"epoch":"0000000000000001"}})", "meta.offset is missing");
    refuse(R"({"topic":"t","payload":"p","meta":{"offset":1}})", "meta.epoch is missing");
    refuse(
        R"({"topic":"t","payload":"p","meta":{"epoch":"1","offset":1}})",
        "meta.epoch must be 16 hexadecimal");
    refuse(
        R"({"topic":"t","payload":"p","meta":{"epoch":"0000000000000001","offset":-1}})",
        "meta.offset must be a whole number");
    refuse(R"({"topic":"t","payload":"p!","encoding":"base64"})", "payload is not base64");
    refuse(
        R"({"topic":"t","payload":"p","encoding":"rot13"})", errc::unsupported,
        R"(encoding "rot13" is unknown)");

    refuse(R"({"gap":{"count":1}})", "topic is missing");
    refuse(R"({"topic":"t","gap":1})", "gap must be an object");
    refuse(R"({"topic":"t","gap":{}})", "gap.count is missing");
    refuse(R"({"topic":"t","gap":{"count":1.5}})", "gap.count must be a whole number");
    refuse(R"({"topic":"t","gap":{"count":1,"from":1}})", "gap.to is missing");
    refuse(R"({"topic":"t","gap":{"count":1,"to":1}})", "gap.from is missing");

    refuse(R"({"close":{}})", "close.code is missing");
    refuse(R"({"close":{"code":65536}})", "close.code must be a whole number up to 65535");
    refuse(R"({"close":{"code":1000,"retry":18446744073709551615}})", "close.retry must be a whole number");
    refuse(R"({"close":true})", "close must be an object, not a boolean");

    refuse(R"({"status":"maybe"})", R"(status must be "ok" or "fail")");
    refuse(R"({"status":"ok","request_id":1})", "request_id must be a string");
    refuse(R"({"status":"ok","timestamp":"now"})", "timestamp must be a number");
    refuse(R"({"status":"ok","timestamp":1.5})", "timestamp must be a whole number of milliseconds");
    refuse(R"({"status":"ok","timestamp":9223372036854775807})", "timestamp must be a whole number");
    refuse(R"({"status":"ok","timestamp":-9223372036854775808})", "timestamp must be a whole number");
    refuse(R"({"status":"ok","recovered":"yes"})", "recovered must be a boolean");
    refuse(R"({"status":"ok","receipt":{}})", "receipt.matched is missing");
    refuse(R"({"status":"ok","receipt":{"matched":1,"repeated":1}})", "receipt.repeated must be a boolean");
    refuse(R"({"status":"ok","receipt":[]})", "receipt must be an object, not an array");
    refuse(R"({"status":"ok","epoch":"0000000000000001"})", "offset is missing");
    refuse(R"({"status":"ok","session":"1","limits":{"request":-1}})", "limits.request must be");
    refuse(R"({"status":"ok","session":"1","heartbeat":"soon"})", "heartbeat must be a number");
}

TEST_CASE("native reply: text with escapes on several levels stays apart", "[native][reply]") {
    const auto d = decode(
        R"({"topic":"a\nb","type":"c\td","payload":"\u0041\\","meta":{"message_id":"e\"f","new":"g\\h"}})");
    REQUIRE(d.in.what == kind::push);
    CHECK(d.in.push.topic == "a\nb");
    CHECK(d.in.push.type == "c\td");
    CHECK(d.in.push.payload == "A\\");
    CHECK(d.in.push.id == "e\"f");
}

TEST_CASE("native reply: the hint in a WebSocket close reason", "[native][reply]") {
    CHECK(native_retry_hint("outbox overflow; retry after 1500 ms") == 1500ms);
    CHECK(native_retry_hint("retry after 0 ms") == 0ms);
    CHECK(native_retry_hint("retry after 1 ms; retry after 2 ms") == 2ms);
    CHECK(!native_retry_hint("retry after 1500 m"));
    CHECK(!native_retry_hint("retry after  ms"));
    CHECK(!native_retry_hint("retry after ms"));
    CHECK(!native_retry_hint("retry after -1 ms"));
    CHECK(!native_retry_hint("retry after 1e3 ms"));
    CHECK(!native_retry_hint("retry after 18446744073709551615 ms"));
    CHECK(!native_retry_hint("retry after 99999999999999999999999 ms"));
    CHECK(!native_retry_hint("kicked"));
    CHECK(!native_retry_hint(""));
}
