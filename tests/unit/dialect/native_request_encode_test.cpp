// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include <pusher/dialect/native_request_encode.hpp>

#include "catch.hpp"

#include <string>
#include <string_view>

using namespace pusher;

namespace {

std::string encode(const native_request& r) {
    std::string out;
    append_native_request(out, r);
    return out;
}

native_request of(native_action a) {
    native_request r;
    r.request_id = "1";
    r.action = a;
    return r;
}

} // namespace

TEST_CASE("native request encode: exact bytes", "[native][request]") {
    CHECK(encode(of(native_action::hello)) == R"({"request_id":"1","action":"hello"})");
    auto r = of(native_action::ping);
    r.request_id = {};
    r.cookie = "c";
    CHECK(encode(r) == R"({"action":"ping","cookie":"c"})");

    r = of(native_action::auth);
    r.token = "se\"cret";
    CHECK(encode(r) == R"({"request_id":"1","action":"auth","params":{"token":"se\"cret"}})");

    r = of(native_action::subscribe);
    r.subscribe.topic = "a/b";
    CHECK(encode(r) == R"({"request_id":"1","action":"subscribe","params":{"topic":"a/b"}})");

    r = of(native_action::publish);
    r.publish.topic = "a";
    r.publish.payload = "x\ny";
    CHECK(encode(r) == R"({"request_id":"1","action":"publish","params":{"topic":"a","payload":"x\ny"}})");

    r = of(native_action::unknown);
    r.action_name = "dance";
    CHECK(encode(r) == R"({"request_id":"1","action":"dance"})");
}

TEST_CASE("native request encode: the hub reads what a client writes", "[native][request]") {
    auto r = of(native_action::hello);
    SECTION("hello") {}
    SECTION("auth") {
        r.action = native_action::auth;
        r.token = "t";
    }
    SECTION("subscribe with everything") {
        r.action = native_action::subscribe;
        r.subscribe.topic = "zażółć";
        r.subscribe.type = "type";
        r.subscribe.resume = topic_position{0xFEDCBA9876543210, 18'446'744'073'709'551'615U};
        r.subscribe.history = 10;
        r.subscribe.ack = true;
        r.subscribe.overflow = overflow_policy::spill;
        r.subscribe.durable = "name";
        r.subscribe.echo = false;
    }
    SECTION("subscribe to a filter") {
        r.action = native_action::subscribe;
        r.subscribe.topic = "a/+/#";
        r.subscribe.match = match_mode::filter;
        r.subscribe.overflow = overflow_policy::disconnect;
    }
    SECTION("unsubscribe says which, and no more") {
        r.action = native_action::unsubscribe;
        r.subscribe.topic = "a/#";
        r.subscribe.type = "t";
        r.subscribe.match = match_mode::filter;
    }
    SECTION("publish with everything") {
        r.action = native_action::publish;
        r.publish.topic = "a";
        r.publish.type = "t";
        r.publish.payload = "{\"quoted\": \"\\u0000\"}";
        r.publish.key = "k";
        r.publish.id = "i";
        r.publish.ttl = 1000;
    }
    SECTION("ack") {
        r.action = native_action::ack;
        r.ack.topic = "a";
        r.ack.offset = 9;
    }
    SECTION("ping") { r.action = native_action::ping; }

    native_decoder decoder;
    native_request got;
    const auto text = encode(r);
    INFO(text);
    REQUIRE(decoder.decode(text, got) == error_code());
    CHECK(got.request_id == r.request_id);
    CHECK(got.action == r.action);
    CHECK(got.token == r.token);
    CHECK(got.subscribe.topic == r.subscribe.topic);
    CHECK(got.subscribe.type == r.subscribe.type);
    CHECK(got.subscribe.match == r.subscribe.match);
    CHECK(got.subscribe.resume == r.subscribe.resume);
    CHECK(got.subscribe.history == r.subscribe.history);
    CHECK(got.subscribe.ack == r.subscribe.ack);
    CHECK(got.subscribe.overflow == r.subscribe.overflow);
    CHECK(got.subscribe.durable == r.subscribe.durable);
    CHECK(got.subscribe.echo == r.subscribe.echo);
    CHECK(got.publish.topic == r.publish.topic);
    CHECK(got.publish.type == r.publish.type);
    CHECK(got.publish.payload == r.publish.payload);
    CHECK(got.publish.key == r.publish.key);
    CHECK(got.publish.id == r.publish.id);
    CHECK(got.publish.ttl == r.publish.ttl);
    CHECK(got.ack.topic == r.ack.topic);
    CHECK(got.ack.offset == r.ack.offset);
}

TEST_CASE("native request encode: bytes that are not UTF-8 are put right", "[native][request]") {
    auto r = of(native_action::publish);
    r.publish.topic = "a";
    r.publish.payload = "\xFF";
    native_decoder decoder;
    native_request got;
    const auto text = encode(r);
    REQUIRE(decoder.decode(text, got) == error_code());
    CHECK(got.publish.payload == "\xEF\xBF\xBD");
}
