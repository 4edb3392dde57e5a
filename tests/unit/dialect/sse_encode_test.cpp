// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include <pusher/dialect/sse_encode.hpp>

#include "catch.hpp"
#include "event_source.hpp"

#include <boost/json/parse.hpp>

#include <chrono>
#include <cstddef>
#include <optional>
#include <random>
#include <string>
#include <string_view>

using namespace pusher;
using namespace std::chrono_literals;
using namespace std::string_literals;
using namespace std::string_view_literals;
using test::event_source;
using test::sse_event;

namespace {

message::fields order() {
    message::fields f;
    f.topic = "a";
    f.type = "t";
    f.payload = "x";
    f.sequence = 7;
    f.sequence_epoch = 0xABC;
    f.receive_time = wall_time(std::chrono::seconds(1'754'490'000));
    return f;
}

std::string event(const message::fields& f, sse_form form = sse_form::payload) {
    std::string out;
    append_sse_message(out, message(f), form);
    return out;
}

/// What EventSource must make of a bare payload: only the line breaks are not kept apart.
std::string with_line_feeds(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i != text.size(); ++i) {
        if (text[i] == '\r') {
            out += '\n';
            if (i + 1 != text.size() && text[i + 1] == '\n')
                ++i;
        } else {
            out += text[i];
        }
    }
    return out;
}

constexpr auto rest =
    R"("meta":{"receive_time":"2025-08-06T14:20:00.000000000Z","message_id":"0000000000000abc-7"}})";

} // namespace

TEST_CASE("sse: a bare payload, exact bytes", "[sse]") {
    auto m = order();
    CHECK(event(m) == "event: t\ndata: x\n\n");
    m.position = topic_position{1, 2};
    CHECK(event(m) == "id: 0000000000000abc-7\nevent: t\ndata: x\n\n");
    m.type = {};
    CHECK(event(m) == "id: 0000000000000abc-7\nevent: message\ndata: x\n\n");
    m.payload = {};
    CHECK(event(m) == "id: 0000000000000abc-7\nevent: message\ndata: \n\n");
    m.position.reset();
    m.payload = " {\"a\":1}";
    CHECK(event(m) == "event: message\ndata:  {\"a\":1}\n\n");
}

TEST_CASE("sse: an envelope, exact bytes", "[sse]") {
    auto m = order();
    CHECK(
        event(m, sse_form::envelope) ==
        R"(event: message
data: {"topic":"a","type":"t","payload":"x",)"s +
            rest + "\n\n");
    m.position = topic_position{1, 2};
    m.payload = "a\r\nb";
    CHECK(
        event(m, sse_form::envelope) ==
        "id: 0000000000000abc-7\nevent: message\ndata: "
        R"({"topic":"a","type":"t","payload":"a\r\nb",)"
        R"("meta":{"receive_time":"2025-08-06T14:20:00.000000000Z","message_id":"0000000000000abc-7",)"
        R"("epoch":"0000000000000001","offset":2}})"
        "\n\n");
}

TEST_CASE("sse: what can't be bare goes in an envelope", "[sse]") {
    auto m = order();
    m.payload = "\xFF";
    CHECK(
        event(m) ==
        R"(event: message
data: {"topic":"a","type":"t","payload":"/w==","encoding":"base64",)"s +
            rest + "\n\n");
    m.payload = "x";
    for (const auto type : {"error"sv, "open"sv, "pusher.gap"sv, "a\nb"sv, "a\rb"sv, "a\0b"sv, "\xFF"sv}) {
        m.type = type;
        CHECK(event(m) == event(m, sse_form::envelope));
        const event_source source(event(m));
        REQUIRE(source.events.size() == 1);
        CHECK(source.events[0].type == "message");
    }
    for (const auto type : {"errors"sv, "Error"sv, "pusher"sv, " t"sv, "a:b"sv, "é"sv, "message"sv}) {
        m.type = type;
        const event_source source(event(m));
        CHECK(source.events == std::vector<sse_event>{{std::string(type), "x", ""}});
    }
}

TEST_CASE("sse: line breaks become data lines", "[sse]") {
    auto m = order();
    const std::vector<std::pair<std::string, std::string>> rows{
        {"a\nb", "data: a\ndata: b\n"},
        {"a\r\nb", "data: a\ndata: b\n"},
        {"a\rb", "data: a\ndata: b\n"},
        {"a\n", "data: a\ndata: \n"},
        {"\n", "data: \ndata: \n"},
        {"\r", "data: \ndata: \n"},
        {"\r\n", "data: \ndata: \n"},
        {"\n\r", "data: \ndata: \ndata: \n"},
        {"\r\r\n\n", "data: \ndata: \ndata: \ndata: \n"},
        {"a\r\n\r\nb\n\nc\r\rd", "data: a\ndata: \ndata: b\ndata: \ndata: c\ndata: \ndata: d\n"},
        {"a\n\nid: 9\nevent: x\n\n:y", "data: a\ndata: \ndata: id: 9\ndata: event: x\ndata: \ndata: :y\n"},
    };
    for (const auto& [payload, data] : rows) {
        m.payload = payload;
        CHECK(event(m) == "event: t\n" + data + "\n");
    }
}

TEST_CASE("sse: nothing in a message can forge a field or an event", "[sse]") {
    std::mt19937 random(29);
    const std::string_view letters = "a: \n\r\n\r\0x\xC3"sv;
    for (int i = 0; i != 20'000; ++i) {
        std::string type;
        std::string payload;
        for (auto n = random() % 6; n != 0; --n)
            type += letters[random() % letters.size()];
        for (auto n = random() % 40; n != 0; --n)
            payload += letters[random() % letters.size()];
        if (random() % 2 == 0)
            payload += "\n\nid: 1\nevent: error\nretry: 1\ndata: forged\n\n";
        auto m = order();
        m.type = type;
        m.payload = payload;
        if (random() % 2 == 0)
            m.position = topic_position{1, 2};
        const auto text = event(m, random() % 4 == 0 ? sse_form::envelope : sse_form::payload);
        const event_source source("data: before\n\n" + text + "data: after\n\n");
        REQUIRE(source.events.size() == 3);
        const auto& e = source.events[1];
        CHECK(!source.retry);
        CHECK(e.last_id == (m.position ? "0000000000000abc-7" : ""));
        CHECK(source.events[2].data == "after");
        if (e.data.starts_with("{\"topic\":")) {
            CHECK(e.type == "message");
            const auto v = boost::json::parse(e.data);
            if (detail::is_valid_utf8(payload))
                CHECK(std::string_view(v.at("payload").as_string()) == payload);
        } else {
            CHECK(e.type == (type.empty() ? "message" : type));
            CHECK(e.data == with_line_feeds(payload));
        }
    }
}

TEST_CASE("sse: many lines of one kind only are read once", "[sse]") {
    // Finishes at once; if every line looked for the other kind of line break again, it would take minutes.
    auto m = order();
    const std::string feeds(1'000'000, '\n');
    m.payload = feeds;
    CHECK(event(m).size() == 9 + 7 * 1'000'001 + 1);
    const std::string returns(1'000'000, '\r');
    m.payload = returns;
    CHECK(event(m).size() == 9 + 7 * 1'000'001 + 1);
}

TEST_CASE("sse: the library's own events", "[sse]") {
    std::string out;
    append_sse_gap(out, {"a", 2, gap::range{5, 7}});
    CHECK(out == "event: pusher.gap\ndata: {\"topic\":\"a\",\"gap\":{\"count\":2,\"from\":5,\"to\":7}}\n\n");
    out.clear();
    append_sse_close(out, close_reason::from(errc::stopped));
    CHECK(
        out ==
        "event: pusher.close\ndata: {\"close\":{\"code\":1001,\"reason\":\"the broker is stopped\"}}\n\n");
    out.clear();
    append_sse_close(out, {close_code::try_again_later, errc::overflow, "line\nbreak"}, 2500ms);
    CHECK(
        out ==
        "retry: 2500\nevent: pusher.close\ndata: {\"close\":{\"code\":1013,\"reason\":\"line\\nbreak\","
        "\"retry\":2500}}\n\n");
    const event_source source(out);
    CHECK(source.retry == "2500");
    CHECK(event_source(sse_keep_alive).events.empty());
}

TEST_CASE("sse: an id is read back", "[sse]") {
    auto m = order();
    m.position = topic_position{1, 2};
    CHECK(parse_sse_id(event_source(event(m)).last_id) == sse_id{{0xABC, 7}, std::nullopt});
    std::string out;
    append_sse_message(out, message(m), sse_form::payload, true);
    CHECK(parse_sse_id(event_source(out).last_id) == sse_id{{0xABC, 7}, topic_position{1, 2}});
    for (const auto* id :
         {"", "7", "0000000000000abc", "0000000000000abc-", "0000000000000abc-x", "last",
          "0000000000000abc-7-", "0000000000000abc-7-2", "0000000000000abc-7-0000000000000001-02",
          "0000000000000abc-7-0000000000000001-2-"})
        CHECK(!parse_sse_id(id));
}
