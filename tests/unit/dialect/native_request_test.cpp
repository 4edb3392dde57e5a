// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include <pusher/dialect/native_request.hpp>

#include "catch.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using pusher::errc;
using pusher::error_code;
using pusher::match_mode;
using pusher::native_action;
using pusher::native_decoder;
using pusher::native_limits;
using pusher::native_refusal;
using pusher::native_request;
using pusher::overflow_policy;
using namespace std::string_literals;

namespace {

/// One decoder for all, as a hub has one: nothing may be left over from the request before.
native_decoder& decoder() {
    static native_decoder d;
    return d;
}

/// The texts decoded so far: what was decoded holds views of them.
std::deque<std::string>& texts() {
    static std::deque<std::string> all;
    return all;
}

native_request decoded(std::string_view text) {
    const auto& kept = texts().emplace_back(text);
    native_request r;
    const auto ec = decoder().decode(kept, r);
    INFO(text << ": " << decoder().error_message());
    REQUIRE(!ec);
    CHECK(decoder().error_message().empty());
    return r;
}

struct row {
    std::string text;
    errc code;
    std::string message;
};

void check_errors(const std::vector<row>& rows) {
    for (const auto& row : rows) {
        native_request r;
        const auto ec = decoder().decode(row.text, r);
        INFO(row.text);
        CHECK(ec == row.code);
        CHECK(decoder().error_message() == row.message);
    }
}

std::string subscribe(const std::string& params) {
    return R"({"action":"subscribe","params":{)" + params + "}}";
}
std::string publish(const std::string& params) { return R"({"action":"publish","params":{)" + params + "}}"; }

std::string refusal(const std::string& text) {
    native_request r;
    REQUIRE(!decoder().decode(text, r));
    return std::string(native_refusal(r));
}

bool inside(std::string_view part, std::string_view whole) {
    return part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size();
}

constexpr auto whole_number = "must be a whole number from 0 to 18446744073709551615, not ";

} // namespace

TEST_CASE("native request: what nbio's clients send", "[native]") {
    const auto s = decoded(R"({"request_id":"unique-id","timestamp":1720343200000,"action":"subscribe",)"
                           R"("params":{"topic":"order","type":"event"}})");
    CHECK(s.request_id == "unique-id");
    CHECK(s.action == native_action::subscribe);
    CHECK(s.action_name == "subscribe");
    CHECK(s.subscribe.topic == "order");
    CHECK(s.subscribe.type == "event");
    CHECK(s.subscribe.match == match_mode::exact);
    CHECK(!s.subscribe.resume);
    CHECK(s.subscribe.history == 0);
    CHECK(!s.subscribe.ack);
    CHECK(!s.subscribe.overflow);
    CHECK(s.subscribe.durable.empty());
    CHECK(s.subscribe.echo);
    CHECK(native_refusal(s).empty());

    const auto u = decoded(R"({"request_id":"1234","action":"unsubscribe","timestamp":123123123,)"
                           R"("params":{"topic":"topic1","type":"test"}})");
    CHECK(u.action == native_action::unsubscribe);
    CHECK(u.subscribe.topic == "topic1");
    CHECK(u.subscribe.type == "test");

    CHECK(
        decoded(R"({"request_id":"1234","action":"ping","timestamp":123123123})").action ==
        native_action::ping);
    // One form of request for every action, filled with nothing.
    CHECK(
        decoded(R"({"request_id":"","timestamp":0,"action":"ping","params":{"topic":"","type":""}})")
            .action == native_action::ping);
    CHECK(
        decoded(R"({"action":"ping","params":null,"timestamp":null,"request_id":null})").request_id.empty());
}

TEST_CASE("native request: every field of every action", "[native]") {
    const auto s = decoded(
        R"({"params":{"echo":false,"durable":"d","overflow":"spill","ack":true,"history":10,)"
        R"("resume":{"offset":9007199254740993,"epoch":"00000000000000ff"},"match":"filter","type":"t",)"
        R"("topic":"a/+/#"},"action":"subscribe","request_id":"1","cookie":"c"})");
    CHECK(s.cookie == "c");
    CHECK(s.subscribe.topic == "a/+/#");
    CHECK(s.subscribe.type == "t");
    CHECK(s.subscribe.match == match_mode::filter);
    REQUIRE(s.subscribe.resume);
    CHECK(*s.subscribe.resume == pusher::topic_position{0xFF, 9007199254740993U});
    CHECK(s.subscribe.history == 10);
    CHECK(s.subscribe.ack);
    CHECK(s.subscribe.overflow == overflow_policy::spill);
    CHECK(s.subscribe.durable == "d");
    CHECK(!s.subscribe.echo);

    const auto p = decoded(
        publish(R"("topic":"a","type":"t","payload":"x","key":"k","id":"i","ttl":18446744073709551615)"));
    CHECK(p.publish.topic == "a");
    CHECK(p.publish.type == "t");
    CHECK(p.publish.payload == "x");
    CHECK(p.publish.key == "k");
    CHECK(p.publish.id == "i");
    CHECK(p.publish.ttl == std::numeric_limits<std::uint64_t>::max());

    CHECK(decoded(R"({"action":"hello"})").action == native_action::hello);
    CHECK(decoded(R"({"action":"auth","params":{"token":"se\u0063ret"}})").token == "secret");
    const auto a = decoded(R"({"action":"ack","params":{"topic":"a","offset":7}})");
    CHECK(a.ack.topic == "a");
    CHECK(a.ack.offset == 7);

    for (const auto& [name, value] : std::vector<std::pair<std::string, overflow_policy>>{
             {"drop_oldest", overflow_policy::drop_oldest},
             {"drop_newest", overflow_policy::drop_newest},
             {"disconnect", overflow_policy::disconnect},
             {"conflate", overflow_policy::conflate},
             {"spill", overflow_policy::spill}})
        CHECK(decoded(subscribe(R"("topic":"a","overflow":")" + name + '"')).subscribe.overflow == value);
}

TEST_CASE("native request: unknown fields are ignored, everywhere and whatever they hold", "[native]") {
    const auto r = decoded(
        R"({"x":[{"params":1}],"action":"subscribe","y":{"action":"ping"},"Action":1,"params":{"z":{"topic":1},)"
        R"("topic":"a","epoch":1,"resume.epoch":2,"resume":{"more":[],"epoch":"0000000000000001","offset":0}}})");
    CHECK(r.action == native_action::subscribe);
    CHECK(r.subscribe.topic == "a");
    CHECK(r.subscribe.resume == pusher::topic_position{1, 0});
}

TEST_CASE("native request: a field's name may be written with escapes", "[native]") {
    CHECK(
        decoded(R"({"\u0061ction":"publish","p\u0061rams":{"top\u0069c":"\u0061","payload":"\\"}})")
            .publish.payload == "\\");
}

TEST_CASE("native request: null counts as left out", "[native]") {
    const auto s = decoded(subscribe(
        R"("topic":"a","type":null,"match":null,"resume":null,"history":null,"ack":null,"overflow":null,)"
        R"("durable":null,"echo":null,"payload":null,"token":null)"));
    CHECK(s.subscribe.echo);
    CHECK(native_refusal(s).empty());
    CHECK(decoded(publish(R"("topic":"a","payload":null,"ttl":null)")).publish.payload == "null");
    CHECK(!decoded(publish(R"("topic":"a","payload":"","ttl":null)")).publish.ttl);
}

TEST_CASE("native request: the payload is a string's value, or any other value's source text", "[native]") {
    for (const std::string source :
         {"1.0", "1E400", "-0", "true", "null", "[ ]", R"({"b":1.10, "a":[1 , 2],"a":"\u0041"})",
          R"([{"topic":"x"},"payload"])", "12345678901234567890123"}) {
        const auto text = publish("\"topic\":\"a\", \"payload\" :\n\t" + source + " \r\n ");
        const auto r = decoded(text);
        CHECK(r.publish.payload == source);
        CHECK(inside(r.publish.payload, texts().back()));
    }
    CHECK(decoded(publish(R"("topic":"a","payload":"")")).publish.payload.empty());
    CHECK(decoded(publish(R"("topic":"a","payload":"{\"a\":1}")")).publish.payload == R"({"a":1})");
    CHECK(decoded(publish(R"("topic":"a","payload":"\u0000\uD83D\uDE00é")")).publish.payload == "\0😀é"s);
}

TEST_CASE("native request: text without escapes is not copied, and memory is kept", "[native]") {
    const auto plain = publish(R"("topic":"a","payload":"text")");
    const auto r = decoded(plain);
    CHECK(inside(r.publish.payload, texts().back()));
    CHECK(inside(r.publish.topic, texts().back()));
    const auto escaped = publish(R"("topic":"\u0061","payload":"a\nb")");
    const auto* const first = decoded(escaped).publish.payload.data();
    for (int i = 0; i != 3; ++i)
        CHECK(decoded(escaped).publish.payload.data() == first);
}

TEST_CASE("native request: request_id", "[native]") {
    CHECK(decoded(R"({"request_id":"\u00e9\"","action":"ping"})").request_id == "é\"");
    CHECK(decoded(R"({"request_id":17,"action":"ping"})").request_id == "17");
    CHECK(decoded(R"({"request_id":-1.50e+3,"action":"ping"})").request_id == "-1.50e+3");
    CHECK(decoded(R"({"action":"ping"})").request_id.empty());

    // It comes back with the error, wherever it stands, and with it whatever a reply needs.
    native_request r;
    CHECK(
        decoder().decode(R"({"params":{"topic":1},"action":"subscribe","cookie":"c","request_id":"x"})", r));
    CHECK(r.request_id == "x");
    CHECK(r.action_name == "subscribe");
    CHECK(r.cookie == "c");
    CHECK(decoder().decode(R"({"params":[],"request_id":5})", r));
    CHECK(r.request_id == "5");
    CHECK(decoder().decode(R"({"action":"fly","request_id":"x"})", r));
    CHECK(r.request_id == "x");
    CHECK(r.action == native_action::unknown);
    CHECK(r.action_name == "fly");
    CHECK(decoder().decode(R"({"action":5,"request_id":"x"})", r));
    CHECK(r.request_id == "x");
    CHECK(r.action_name.empty());
    CHECK(decoder().decode(R"({"request_id":"x","request_id":"y","action":"ping"})", r));
    CHECK(r.request_id == "x");
    CHECK(decoder().decode(R"({"request_id":true,"action":"ping"})", r));
    CHECK(r.request_id.empty());
    // Of what is no JSON nothing is known.
    CHECK(decoder().decode(R"({"request_id":"x","action":"ping")", r));
    CHECK(r.request_id.empty());
    CHECK(r.action_name.empty());
}

TEST_CASE("native request: what is no JSON, or not one object", "[native]") {
    check_errors({
        {"", errc::invalid_message, "the request is empty"},
        {" \r\n", errc::invalid_message, "the request is empty"},
        {"hello", errc::invalid_message, "malformed JSON at byte 0: not a JSON value"},
        {"{\"action\":\"ping\"", errc::invalid_message,
         "malformed JSON at byte 16: the text ends inside an array or object"},
        {"{\"action\":\"ping\"}{}", errc::invalid_message,
         "malformed JSON at byte 17: there is more after the end of the JSON text"},
        {"{\"action\":\"ping\"}\n{}", errc::invalid_message,
         "malformed JSON at byte 18: there is more after the end of the JSON text"},
        {"{\"action\":\"ping\",}", errc::invalid_message,
         "malformed JSON at byte 17: expected a field's name in quotes"},
        {"{\"x\":01}", errc::invalid_message, "malformed JSON at byte 6: expected ',' or '}'"},
        {"{\"params\":{\"topic\":\"a\\q\"}}", errc::invalid_message,
         "malformed JSON at byte 22: unknown escape in a string"},
        {"{\"params\":{\"resume\":{\"epoch\":}}}", errc::invalid_message,
         "malformed JSON at byte 29: not a JSON value"},
        {"[]", errc::invalid_message, "the request must be a JSON object, not an array"},
        {"[", errc::invalid_message, "malformed JSON at byte 1: the text ends inside an array or object"},
        {"\"x\"", errc::invalid_message, "the request must be a JSON object, not a string"},
        {"1", errc::invalid_message, "the request must be a JSON object, not a number"},
        {"null", errc::invalid_message, "the request must be a JSON object, not null"},
        {"true", errc::invalid_message, "the request must be a JSON object, not a boolean"},
        {"{\"action\":\"\xFF\"}", errc::invalid_utf8, "the request is not valid UTF-8 (byte 11)"},
        {"{\"action\":\"ping\"}\xC3", errc::invalid_utf8, "the request is not valid UTF-8 (byte 18)"},
        {"{\"action\":\"\xED\xA0\x80\"}", errc::invalid_utf8, "the request is not valid UTF-8 (byte 12)"},
    });
}

TEST_CASE("native request: size and depth are limited", "[native]") {
    native_request r;
    const auto text = publish(R"("topic":"a","payload":[[[]]])");
    CHECK(!decoder().decode(text, r, {.request = text.size(), .depth = 5, .publishes = 1}));
    CHECK(
        decoder().decode(text, r, {.request = text.size() - 1, .depth = 5, .publishes = 1}) ==
        errc::message_too_large);
    CHECK(decoder().error_message() == "the request is longer than 59 bytes");
    CHECK(
        decoder().decode(text, r, {.request = text.size(), .depth = 4, .publishes = 1}) ==
        errc::invalid_message);
    CHECK(decoder().error_message() == "JSON nested deeper than 4 levels (byte 54)");

    const auto deep = [](std::size_t n) {
        return publish("\"topic\":\"a\",\"payload\":" + std::string(n, '[') + std::string(n, ']'));
    };
    CHECK(decoded(deep(30)).publish.payload.size() == 60);
    check_errors({{deep(31), errc::invalid_message, "JSON nested deeper than 32 levels (byte 82)"}});
    CHECK(!decoder().decode(publish(R"("topic":"a","payload":")" + std::string(65'000, 'x') + '"'), r));
}

TEST_CASE("native request: the wrong kind of field", "[native]") {
    check_errors({
        {R"({"request_id":true,"action":"ping"})", errc::invalid_message,
         "request_id must be a string, not a boolean"},
        {R"({"request_id":{},"action":"ping"})", errc::invalid_message,
         "request_id must be a string, not an object"},
        {R"({"action":1})", errc::invalid_message, "action must be a string, not a number"},
        {R"({"action":"ping","timestamp":"1"})", errc::invalid_message,
         "timestamp must be a number, not a string"},
        {R"({"action":"ping","cookie":1})", errc::invalid_message, "cookie must be a string, not a number"},
        {R"({"action":"ping","params":[]})", errc::invalid_message, "params must be an object, not an array"},
        {R"({"action":"ping","params":"x"})", errc::invalid_message,
         "params must be an object, not a string"},
        {subscribe(R"("topic":1)"), errc::invalid_message, "params.topic must be a string, not a number"},
        {subscribe(R"("topic":"a","type":[])"), errc::invalid_message,
         "params.type must be a string, not an array"},
        {subscribe(R"("topic":"a","match":true)"), errc::invalid_message,
         "params.match must be a string, not a boolean"},
        {subscribe(R"("topic":"a","match":"regex")"), errc::invalid_message,
         "params.match must be \"exact\" or \"filter\", not \"regex\""},
        {subscribe(R"("topic":"a","match":"")"), errc::invalid_message,
         "params.match must be \"exact\" or \"filter\", not \"\""},
        {subscribe(R"("topic":"a","history":"3")"), errc::invalid_message,
         "params.history "s + whole_number + "a string"},
        {subscribe(R"("topic":"a","history":-1)"), errc::invalid_message,
         "params.history "s + whole_number + "-1"},
        {subscribe(R"("topic":"a","history":1.5)"), errc::invalid_message,
         "params.history "s + whole_number + "1.5"},
        {subscribe(R"("topic":"a","history":1e3)"), errc::invalid_message,
         "params.history "s + whole_number + "1e3"},
        {subscribe(R"("topic":"a","history":18446744073709551616)"), errc::invalid_message,
         "params.history "s + whole_number + "18446744073709551616"},
        {subscribe("\"topic\":\"a\",\"history\":-" + std::string(100, '9')), errc::invalid_message,
         "params.history "s + whole_number + "-" + std::string(63, '9')},
        {subscribe(R"("topic":"a","ack":1)"), errc::invalid_message,
         "params.ack must be true or false, not a number"},
        {subscribe(R"("topic":"a","echo":"false")"), errc::invalid_message,
         "params.echo must be true or false, not a string"},
        {subscribe(R"("topic":"a","overflow":1)"), errc::invalid_message,
         "params.overflow must be a string, not a number"},
        {subscribe(R"("topic":"a","overflow":"block")"), errc::invalid_message,
         "params.overflow must be drop_oldest, drop_newest, disconnect, conflate or spill, not \"block\""},
        {subscribe(R"("topic":"a","overflow":"")"), errc::invalid_message,
         "params.overflow must be drop_oldest, drop_newest, disconnect, conflate or spill, not \"\""},
        {subscribe(R"("topic":"a","durable":true)"), errc::invalid_message,
         "params.durable must be a string, not a boolean"},
        {subscribe(R"("topic":"a","durable":"")"), errc::invalid_message, "params.durable must not be empty"},
        {subscribe(R"("topic":"a","resume":5)"), errc::invalid_message,
         "params.resume must be an object with epoch and offset, not a number"},
        {subscribe(R"("topic":"a","resume":{})"), errc::invalid_message, "params.resume.epoch is missing"},
        {subscribe(R"("topic":"a","resume":{"epoch":1,"offset":1})"), errc::invalid_message,
         "params.resume.epoch must be a string, not a number"},
        {subscribe(R"("topic":"a","resume":{"epoch":"0001","offset":1})"), errc::invalid_message,
         "params.resume.epoch must be the 16 hexadecimal digits of a push or reply, not \"0001\""},
        {subscribe(R"("topic":"a","resume":{"epoch":"0000000000000001"})"), errc::invalid_message,
         "params.resume.offset is missing"},
        {subscribe(R"("topic":"a","resume":{"epoch":"0000000000000001","offset":-5})"), errc::invalid_message,
         "params.resume.offset "s + whole_number + "-5"},
        {publish(R"("topic":"a","payload":"x","key":1)"), errc::invalid_message,
         "params.key must be a string, not a number"},
        {publish(R"("topic":"a","payload":"x","id":{})"), errc::invalid_message,
         "params.id must be a string, not an object"},
        {publish(R"("topic":"a","payload":"x","ttl":"1s")"), errc::invalid_message,
         "params.ttl must be a whole number from 0 to 8640000000, which is 100 days, not a string"},
        {R"({"action":"auth","params":{"token":1}})", errc::invalid_message,
         "params.token must be a string, not a number"},
        {R"({"action":"ack","params":{"topic":"a","offset":"1"}})", errc::invalid_message,
         "params.offset "s + whole_number + "a string"},
    });
}

TEST_CASE("native request: what is missing, unknown, or there twice", "[native]") {
    check_errors({
        {"{}", errc::invalid_message, "action is missing"},
        {R"({"action":null})", errc::invalid_message, "action is missing"},
        {R"({"action":""})", errc::invalid_message,
         "unknown action \"\"; known are hello, auth, subscribe, unsubscribe, publish, ack and ping"},
        {R"({"action":"Subscribe"})", errc::invalid_message,
         "unknown action \"Subscribe\"; known are hello, auth, subscribe, unsubscribe, publish, ack and "
         "ping"},
        {R"({"action":")" + std::string(63, 'x') + "é\"}", errc::invalid_message,
         "unknown action \"" + std::string(63, 'x') +
             "\"; known are hello, auth, subscribe, unsubscribe, publish, ack and ping"},
        {R"({"action":"subscribe"})", errc::invalid_message, "params.topic is missing"},
        {R"({"action":"subscribe","params":{"topic":null}})", errc::invalid_message,
         "params.topic is missing"},
        {R"({"action":"unsubscribe","params":{}})", errc::invalid_message, "params.topic is missing"},
        {R"({"action":"publish","topic":"a","payload":"x"})", errc::invalid_message,
         "params.topic is missing"},
        {publish(R"("topic":"a")"), errc::invalid_message, "params.payload is missing"},
        {R"({"action":"auth"})", errc::invalid_message, "params.token is missing"},
        {R"({"action":"ack","params":{"topic":"a"}})", errc::invalid_message, "params.offset is missing"},
        {R"({"action":"ack","params":{"offset":1}})", errc::invalid_message, "params.topic is missing"},
        {R"({"action":"ping","action":"ping"})", errc::invalid_message, "action is there twice"},
        {R"({"action":"ping","request_id":"1","request_id":null})", errc::invalid_message,
         "request_id is there twice"},
        {R"({"action":"ping","params":{},"params":{}})", errc::invalid_message, "params is there twice"},
        {subscribe(R"("topic":"a","topic":"a")"), errc::invalid_message, "params.topic is there twice"},
        {subscribe(R"("topic":"a","t\u006fpic":"a")"), errc::invalid_message, "params.topic is there twice"},
        {subscribe(R"("topic":"a","resume":{},"resume":{})"), errc::invalid_message,
         "params.resume is there twice"},
        {subscribe(R"("topic":"a","resume":{"epoch":"1","epoch":"2"})"), errc::invalid_message,
         "params.resume.epoch is there twice"},
        {publish(R"("topic":"a","payload":1,"payload":2)"), errc::invalid_message,
         "params.payload is there twice"},
    });
}

TEST_CASE("native request: fields of other actions are refused", "[native]") {
    check_errors({
        {R"({"action":"hello","params":{"token":"x"}})", errc::unsupported,
         "params.token is not a parameter of hello"},
        {R"({"action":"ping","params":{"payload":"x"}})", errc::unsupported,
         "params.payload is not a parameter of ping"},
        {R"({"action":"auth","params":{"token":"x","id":"x"}})", errc::unsupported,
         "params.id is not a parameter of auth"},
        {subscribe(R"("topic":"a","offset":5)"), errc::unsupported,
         "params.offset is not a parameter of subscribe"},
        {subscribe(R"("topic":"a","payload":5)"), errc::unsupported,
         "params.payload is not a parameter of subscribe"},
        {publish(R"("topic":"a","payload":5,"match":"filter")"), errc::unsupported,
         "params.match is not a parameter of publish"},
        {publish(R"("topic":"a","payload":5,"ack":true)"), errc::unsupported,
         "params.ack is not a parameter of publish"},
        {R"({"action":"ack","params":{"topic":"a","offset":1,"resume":{}}})", errc::unsupported,
         "params.resume is not a parameter of ack"},
        {R"({"action":"unsubscribe","params":{"topic":"a","payload":1}})", errc::unsupported,
         "params.payload is not a parameter of unsubscribe"},
    });
    // What one subscribed with is also what one may unsubscribe with.
    const auto u = decoded(
        R"({"action":"unsubscribe","params":{"topic":"a","type":"t","match":"filter","history":3,"ack":true,)"
        R"("resume":{},"overflow":"?","durable":1,"echo":0}})");
    CHECK(u.subscribe.topic == "a");
    CHECK(u.subscribe.match == match_mode::filter);
    CHECK(u.subscribe.history == 0);
    CHECK(native_refusal(u).empty());
}

TEST_CASE("native request: topics, filters, types and short texts", "[native]") {
    const std::string longest(255, 'x');
    const auto too_long = longest + "x";
    check_errors({
        {subscribe(R"("topic":"")"), errc::invalid_topic, "params.topic must not be empty"},
        {subscribe("\"topic\":\"" + too_long + '"'), errc::invalid_topic,
         "params.topic is longer than 255 bytes"},
        {subscribe(R"("topic":"a\u0000")"), errc::invalid_topic, "params.topic holds a control character"},
        {subscribe("\"topic\":\"a\x7F\""), errc::invalid_topic, "params.topic holds a control character"},
        {subscribe(R"("topic":"a\u0080")"), errc::invalid_topic, "params.topic holds a control character"},
        {subscribe("\"topic\":\"\xC2\x9F/#\",\"match\":\"filter\""), errc::invalid_filter,
         "params.topic holds a control character"},
        {publish("\"topic\":\"a\",\"type\":\"\xC2\x9B\",\"payload\":1"), errc::invalid_type,
         "params.type holds a control character"},
        {subscribe(R"("topic":"a/b#","match":"filter")"), errc::invalid_filter,
         "params.topic is not a filter: + and # must stand alone between slashes, # only at the end, at most "
         "32 "
         "levels"},
        {subscribe(R"("topic":"","match":"filter")"), errc::invalid_filter, "params.topic must not be empty"},
        {subscribe(R"("topic":"a","type":"a\n")"), errc::invalid_type,
         "params.type holds a control character"},
        {subscribe("\"topic\":\"a\",\"type\":\"" + too_long + '"'), errc::invalid_type,
         "params.type is longer than 255 bytes"},
        {publish(R"("topic":"","payload":1)"), errc::invalid_topic, "params.topic must not be empty"},
        {publish(R"("topic":"a","type":"pusher.gap","payload":1)"), errc::invalid_type,
         "params.type must not begin with \"pusher.\""},
        {publish(R"("topic":"a","payload":1,"key":")" + too_long + '"'), errc::invalid_message,
         "params.key is longer than 255 bytes"},
        {publish(R"("topic":"a","payload":1,"id":")" + too_long + '"'), errc::invalid_message,
         "params.id is longer than 255 bytes"},
        {subscribe(R"("topic":"a","durable":")" + too_long + '"'), errc::invalid_message,
         "params.durable is longer than 255 bytes"},
        {R"({"action":"ack","params":{"topic":"","offset":1}})", errc::invalid_topic,
         "params.topic must not be empty"},
    });
    CHECK(decoded(subscribe("\"topic\":\"" + longest + '"')).subscribe.topic == longest);
    CHECK(decoded(publish(R"("topic":"a/+/#","payload":1)")).publish.topic == "a/+/#");
    CHECK(decoded(publish(R"("topic":"a","type":"error","payload":1)")).publish.type == "error");
    CHECK(decoded(publish(R"("topic":"a","payload":1,"id":"\n\u0000")")).publish.id == "\n\0"s);
    // What nobody can have subscribed to is simply not there.
    CHECK(decoded(R"({"action":"unsubscribe","params":{"topic":"","type":"pusher.x"}})")
              .subscribe.topic.empty());
    CHECK(
        decoded(R"({"action":"unsubscribe","params":{"topic":"a/b#","match":"filter"}})").subscribe.topic ==
        "a/b#");
}

TEST_CASE("native request: what is not built is refused, with the reason", "[native]") {
    CHECK(refusal(subscribe(R"("topic":"a","ack":false,"overflow":"drop_newest","history":3)")).empty());
    CHECK(refusal(subscribe(R"("topic":"a","resume":{"epoch":"0000000000000001","offset":3},"history":0)"))
              .empty());
    CHECK(
        refusal(subscribe(R"("topic":"a","ack":true,"match":"filter")")) ==
        "params.ack needs an exact topic: what is acknowledged is an offset in one topic");
    CHECK(
        refusal(subscribe(R"("topic":"a","ack":true,"overflow":"conflate")")) ==
        "params.ack goes with the overflow \"spill\" or \"disconnect\" only: nothing of it is dropped");
    CHECK(refusal(subscribe(R"("topic":"a","ack":true,"overflow":"spill")")).empty());
    CHECK(refusal(subscribe(R"("topic":"a","ack":true)")).empty());
    CHECK(
        refusal(subscribe(R"("topic":"a","durable":"x")")) ==
        "params.durable needs params.ack: it goes on after what was acknowledged");
    CHECK(refusal(subscribe(R"("topic":"a","durable":"x","ack":true)")).empty());
    CHECK(refusal(subscribe(R"("topic":"a","overflow":"conflate")")).empty());
    CHECK(refusal(subscribe(R"("topic":"a","overflow":"spill")")).empty());
    CHECK(
        refusal(
            subscribe(R"("topic":"a","match":"filter","resume":{"epoch":"0000000000000001","offset":3})")) ==
        "params.resume needs an exact topic: an offset counts within one topic");
    CHECK(
        refusal(subscribe(R"("topic":"a","match":"filter","history":1)")) ==
        "params.history needs an exact topic: it is kept for one topic");
    CHECK(
        refusal(subscribe(R"("topic":"a","history":1,"resume":{"epoch":"0000000000000001","offset":3})")) ==
        "params.resume and params.history exclude each other");
    CHECK(refusal(publish(R"("topic":"a","payload":1,"key":"k","id":"i")")).empty());
    CHECK(refusal(publish(R"("topic":"a","payload":1,"ttl":0)")).empty());
    CHECK(refusal(publish(R"("topic":"a","payload":1,"ttl":8640000000)")).empty());
    CHECK(
        refusal(publish(R"("topic":"a","payload":1,"ttl":8640000001)")) ==
        "params.ttl is over 8640000000: that is 100 days in milliseconds");
    CHECK(refusal(R"({"action":"ack","params":{"topic":"a","offset":1}})").empty());
    CHECK(refusal(R"({"action":"ping"})").empty());
}
