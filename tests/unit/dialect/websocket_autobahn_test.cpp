// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include <pusher/dialect/websocket_codec.hpp>

#include "websocket_table.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

// Categories 1 to 7 of the Autobahn test suite, by their numbers there, as far as they concern frames: what
// its fuzzing peer sends, and what a receiver is to make of it. "NON-STRICT" is not good enough here. How the
// octets are chopped is a case of its own there; here every row is cut at every position.

using namespace test;

namespace {

const std::string reserved_bits = "fault:reserved bits set";
const std::string reserved_opcode = "fault:reserved opcode";
const std::string unexpected = "fault:nothing to continue";
const std::string invalid_utf8 = "fault:text not UTF-8";

std::string times(std::size_t n, const std::string& what) {
    std::string out;
    for (std::size_t i = 0; i != n; ++i)
        out += what;
    return out;
}

void check_rows(const std::vector<ws_row>& rows) {
    for (const auto& row : rows)
        check_row(row);
}

// Κόσμε, then a sequence for U+110000, then ASCII.
const std::string cosme = "\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5";
const std::string too_high = "\xF4\x90\x80\x80";

} // namespace

TEST_CASE("Autobahn 1: framing", "[websocket]") {
    for (const std::size_t n : {0U, 125U, 126U, 127U, 128U, 65535U, 65536U}) {
        const auto text = times(n, "*");
        const auto binary = times(n, "\xFE");
        check_rows(
            {{"1.1", {{0x81, text}}, {"text:" + text}}, {"1.2", {{0x82, binary}}, {"binary:" + binary}}});
    }
}

TEST_CASE("Autobahn 2: pings and pongs", "[websocket]") {
    const std::string hello = "Hello, world!";
    const std::string bytes("\x00\xFF\xFE\xFD\xFC\xFB\x00\xFF", 8);
    const auto longest = times(125, "\xFE");
    ws_row ten{"2.10", {}, {}};
    for (int i = 0; i != 10; ++i) {
        ten.frames.push_back({0x89, "payload-" + std::to_string(i)});
        ten.events.push_back("ping:payload-" + std::to_string(i));
    }
    check_rows({
        {"2.1", {{0x89, ""}}, {"ping:"}},
        {"2.2", {{0x89, hello}}, {"ping:" + hello}},
        {"2.3", {{0x89, bytes}}, {"ping:" + bytes}},
        {"2.4", {{0x89, longest}}, {"ping:" + longest}},
        {"2.5", {{0x89, longest + "\xFE"}}, {"fault:control frame too long"}},
        {"2.7", {{0x8A, ""}}, {"pong:"}},
        {"2.8", {{0x8A, "unsolicited pong payload"}}, {"pong:unsolicited pong payload"}},
        {"2.9", {{0x8A, "unsolicited"}, {0x89, "ping payload"}}, {"pong:unsolicited", "ping:ping payload"}},
        ten,
    });
}

TEST_CASE("Autobahn 3: reserved bits", "[websocket]") {
    const std::string hello = "Hello, world!";
    check_rows({
        {"3.1", {{0x91, hello}}, {reserved_bits}},
        {"3.2", {{0x81, hello}, {0xA1, hello}, {0x89, ""}}, {"text:" + hello, reserved_bits}},
        {"3.3", {{0x81, hello}, {0xB1, hello}, {0x89, ""}}, {"text:" + hello, reserved_bits}},
        {"3.4", {{0x81, hello}, {0xC1, hello}, {0x89, ""}}, {"text:" + hello, reserved_bits}},
        {"3.5", {{0xD2, hello}}, {reserved_bits}},
        {"3.6", {{0xE9, hello}}, {reserved_bits}},
        {"3.7", {{0xF8, ""}}, {reserved_bits}},
    });
}

TEST_CASE("Autobahn 4: reserved opcodes", "[websocket]") {
    const std::string hello = "Hello, world!";
    for (const unsigned first : {3U, 11U}) {
        check_rows({
            {"4.x.1", {{0x80 | first, ""}}, {reserved_opcode}},
            {"4.x.2", {{0x80 | (first + 1), "reserved opcode payload"}}, {reserved_opcode}},
            {"4.x.3",
             {{0x81, hello}, {0x80 | (first + 2), ""}, {0x89, ""}},
             {"text:" + hello, reserved_opcode}},
            {"4.x.4",
             {{0x81, hello}, {0x80 | (first + 3), hello}, {0x89, ""}},
             {"text:" + hello, reserved_opcode}},
            {"4.x.5",
             {{0x81, hello}, {0x80 | (first + 4), hello}, {0x89, ""}},
             {"text:" + hello, reserved_opcode}},
        });
    }
}

TEST_CASE("Autobahn 5: fragmentation", "[websocket]") {
    const ws_frame one{0x01, "fragment1"};
    const ws_frame two{0x00, "fragment2"};
    const ws_frame last{0x80, "fragment2"};
    const std::string both = "text:fragment1fragment2";
    check_rows({
        {"5.1", {{0x09, "fragment1"}, last}, {"fault:fragmented control frame"}},
        {"5.2", {{0x0A, "fragment1"}, last}, {"fault:fragmented control frame"}},
        {"5.3 to 5.5", {one, last}, {both}},
        {"5.6 to 5.8", {one, {0x89, "ping payload"}, last}, {"ping:ping payload", both}},
        {"5.9 to 5.11", {{0x80, "non-continuation payload"}, {0x81, "Hello, world!"}}, {unexpected}},
        {"5.12 to 5.14", {{0x00, "non-continuation payload"}, {0x81, "Hello, world!"}}, {unexpected}},
        {"5.15", {one, last, {0x00, "fragment3"}, {0x81, "fragment4"}}, {both, unexpected}},
        {"5.16",
         {{0x00, "fragment1"}, {0x01, "fragment2"}, {0x80, "fragment3"}, {0x00, "fragment1"}},
         {unexpected}},
        {"5.17",
         {{0x80, "fragment1"}, {0x01, "fragment2"}, {0x80, "fragment3"}, {0x80, "fragment1"}},
         {unexpected}},
        {"5.18", {one, {0x81, "fragment2"}}, {"fault:continuation expected"}},
        {"5.19 and 5.20",
         {one,
          two,
          {0x89, "pongme 1!"},
          {0x00, "fragment3"},
          {0x00, "fragment4"},
          {0x89, "pongme 2!"},
          {0x80, "fragment5"}},
         {"ping:pongme 1!", "ping:pongme 2!", both + "fragment3fragment4fragment5"}},
    });
}

TEST_CASE("Autobahn 6.1 to 6.4: text in fragments, failing fast", "[websocket]") {
    const std::string text = "Hello-\xC2\xB5@\xC3\x9F\xC3\xB6\xC3\xA4\xC3\xBC\xC3\xA0\xC3\xA1-UTF-8!!";
    const auto by_octet = [](const std::string& whole) {
        std::vector<ws_frame> frames{{0x01, whole.substr(0, 1)}};
        for (std::size_t i = 1; i != whole.size(); ++i)
            frames.push_back({0x00, whole.substr(i, 1)});
        frames.push_back({0x80, ""});
        return frames;
    };
    const auto broken = cosme + "\xED\xA0\x80" + "edited";
    check_rows({
        {"6.1.1", {{0x81, ""}}, {"text:"}},
        {"6.1.2", {{0x01, ""}, {0x00, ""}, {0x80, ""}}, {"text:"}},
        {"6.1.3", {{0x01, ""}, {0x00, "middle frame payload"}, {0x80, ""}}, {"text:middle frame payload"}},
        {"6.2.1", {{0x81, text}}, {"text:" + text}},
        {"6.2.2", {{0x01, text.substr(0, 12)}, {0x80, text.substr(12)}}, {"text:" + text}},
        {"6.2.3", by_octet(text), {"text:" + text}},
        {"6.2.4", by_octet(cosme), {"text:" + cosme}},
        {"6.3.1", {{0x81, broken}}, {invalid_utf8}},
        {"6.3.2", by_octet(broken), {invalid_utf8}},
        {"6.4.1", {{0x01, cosme}, {0x00, too_high}, {0x80, "edited"}}, {invalid_utf8}},
        {"6.4.2",
         {{0x01, cosme + "\xF4"},
          {0x00, "\x90"},
          {0x80, "\x80\x80"
                 "edited"}},
         {invalid_utf8}},
    });
    // 6.4.1 to 6.4.4 want the fault with the byte that shows it: U+110000 shows with its second.
    const auto one = [](std::size_t) { return std::size_t{1}; };
    const auto client = pusher::websocket_role::client;
    const std::size_t header = 6;
    SECTION("6.4.1 and 6.4.2") {
        const auto input = ws_bytes(client, std::vector<ws_frame>{{0x01, cosme}, {0x00, too_high}});
        const auto outcome = ws_decode<pusher::websocket_role::server>(input, {}, one);
        CHECK(outcome.events == ws_events{invalid_utf8});
        CHECK(outcome.fault_after == header + cosme.size() + header + 2);
    }
    SECTION("6.4.3 and 6.4.4") {
        const auto input = ws_bytes(client, {0x81, cosme + too_high + "edited"});
        const auto outcome = ws_decode<pusher::websocket_role::server>(input, {}, one);
        CHECK(outcome.events == ws_events{invalid_utf8});
        CHECK(outcome.fault_after == header + cosme.size() + 2);
    }
}

TEST_CASE("Autobahn 6.5 to 6.23: UTF-8", "[websocket]") {
    std::vector<std::pair<bool, std::string>> texts{
        // 6.5 valid
        {true, "hello\x24world"},
        {true, "hello\xC2\xA2world"},
        {true, "hello\xE2\x82\xACworld"},
        {true, "hello\xF0\xA4\xAD\xA2world"},
        {true, cosme},
        // 6.7 first of each length, 6.8 first of five and six bytes
        {true, std::string(1, '\0')},
        {true, "\xC2\x80"},
        {true, "\xE0\xA0\x80"},
        {true, "\xF0\x90\x80\x80"},
        {false, "\xF8\x88\x80\x80\x80"},
        {false, "\xFC\x84\x80\x80\x80\x80"},
        // 6.9 last of each length, 6.10 last of four, five and six bytes
        {true, "\x7F"},
        {true, "\xDF\xBF"},
        {true, "\xEF\xBF\xBF"},
        {true, "\xF4\x8F\xBF\xBF"},
        {false, "\xF7\xBF\xBF\xBF"},
        {false, "\xFB\xBF\xBF\xBF\xBF"},
        {false, "\xFD\xBF\xBF\xBF\xBF\xBF"},
        // 6.11 other boundaries
        {true, "\xED\x9F\xBF"},
        {true, "\xEE\x80\x80"},
        {true, "\xEF\xBF\xBD"},
        {false, "\xF4\x90\x80\x80"},
        // 6.15 incomplete sequences in a row
        {false, "\xC0\xE0\x80\xF0\x80\x80\xF8\x80\x80\x80\xFC\x80\x80\x80\x80\xDF\xEF\xBF\xF7\xBF\xBF\xFB\xBF"
                "\xBF\xBF"
                "\xFD\xBF\xBF\xBF\xBF"},
        // 6.16 impossible bytes
        {false, "\xFE"},
        {false, "\xFF"},
        {false, "\xFE\xFE\xFF\xFF"},
        // 6.17 overlong slash, 6.18 longest overlong, 6.19 overlong NUL
        {false, "\xC0\xAF"},
        {false, "\xE0\x80\xAF"},
        {false, "\xF0\x80\x80\xAF"},
        {false, "\xF8\x80\x80\x80\xAF"},
        {false, "\xFC\x80\x80\x80\x80\xAF"},
        {false, "\xC1\xBF"},
        {false, "\xE0\x9F\xBF"},
        {false, "\xF0\x8F\xBF\xBF"},
        {false, "\xF8\x87\xBF\xBF\xBF"},
        {false, "\xFC\x83\xBF\xBF\xBF\xBF"},
        {false, "\xC0\x80"},
        {false, "\xE0\x80\x80"},
        {false, "\xF0\x80\x80\x80"},
        {false, "\xF8\x80\x80\x80\x80"},
        {false, "\xFC\x80\x80\x80\x80\x80"},
        // 6.23 specials
        {true, "\xEF\xBF\xB9"},
        {true, "\xEF\xBF\xBA"},
        {true, "\xEF\xBF\xBB"},
        {true, "\xEF\xBF\xBC"},
    };
    // 6.6: every beginning of a valid text, which is valid at the end of a character only.
    for (std::size_t n = 1; n <= cosme.size(); ++n)
        texts.emplace_back(n == 2 || n == 5 || n == 7 || n == 9 || n == 11, cosme.substr(0, n));
    // 6.12: continuation bytes alone.
    for (const char* const text : {"\x80", "\xBF", "\x80\xBF", "\x80\xBF\x80", "\x80\xBF\x80\xBF\x80\xBF"})
        texts.emplace_back(false, text);
    for (int c = 0x80; c != 0xC0; ++c)
        texts.emplace_back(false, std::string(1, static_cast<char>(c)));
    // 6.13: first bytes alone.
    for (int c = 0xC0; c != 0xFE; ++c)
        texts.emplace_back(false, std::string{static_cast<char>(c), ' '});
    // 6.14: the last byte missing.
    for (const char* const text :
         {"\xC0", "\xE0\x80", "\xF0\x80\x80", "\xF8\x80\x80\x80", "\xFC\x80\x80\x80\x80", "\xDF", "\xEF\xBF",
          "\xF7\xBF\xBF", "\xFB\xBF\xBF\xBF", "\xFD\xBF\xBF\xBF\xBF"})
        texts.emplace_back(false, text);
    // 6.20 and 6.21: surrogates, single and paired.
    const std::string high[] = {"\xED\xA0\x80", "\xED\xAD\xBF", "\xED\xAE\x80", "\xED\xAF\xBF"};
    const std::string low[] = {"\xED\xB0\x80", "\xED\xBE\x80", "\xED\xBF\xBF"};
    for (const auto& h : high) {
        texts.emplace_back(false, h);
        for (const auto& l : low)
            texts.emplace_back(false, h + l);
    }
    for (const auto& l : low)
        texts.emplace_back(false, l);
    // 6.22: the last two code points of each plane are characters too.
    for (unsigned plane = 1; plane <= 16; ++plane)
        for (const unsigned end : {0xFFFEU, 0xFFFFU}) {
            const auto point = plane << 16 | end;
            texts.emplace_back(
                true,
                std::string{
                    static_cast<char>(0xF0 | point >> 18), static_cast<char>(0x80 | (point >> 12 & 0x3F)),
                    static_cast<char>(0x80 | (point >> 6 & 0x3F)), static_cast<char>(0x80 | (point & 0x3F))});
        }
    texts.emplace_back(true, "\xEF\xBF\xBE");

    for (const auto& [valid, text] : texts) {
        std::vector<ws_frame> pieces{{0x01, ""}};
        for (const char c : text)
            pieces.push_back({0x00, std::string(1, c)});
        pieces.push_back({0x80, ""});
        const ws_events expected{valid ? "text:" + text : invalid_utf8};
        check_rows(
            {{"in one frame", {{0x81, text}}, expected},
             {"by octets", pieces, expected},
             {"as a reason",
              {{0x88, close_payload(1000, text)}},
              {valid ? "close:1000:" + text : "fault:close reason not UTF-8"}}});
    }
}

TEST_CASE("Autobahn 7: closing", "[websocket]") {
    const auto normal = close_payload(1000);
    const auto long_text = times(16384, "BAsd7&jh23");
    check_rows({
        {"7.1.1", {{0x81, "Hello World!"}, {0x88, normal}}, {"text:Hello World!", "close:1000:"}},
        {"7.1.2", {{0x88, normal}, {0x88, normal}}, {"close:1000:"}},
        {"7.1.3", {{0x88, normal}, {0x89, ""}}, {"close:1000:"}},
        {"7.1.4", {{0x88, normal}, {0x81, "Hello World!"}}, {"close:1000:"}},
        {"7.1.5", {{0x01, "fragment1"}, {0x88, normal}, {0x80, "fragment2"}}, {"close:1000:"}},
        {"7.1.6",
         {{0x81, long_text}, {0x81, "Hello World!"}, {0x88, normal}, {0x89, ""}},
         {"text:" + long_text, "text:Hello World!", "close:1000:"}},
        {"7.3.1", {{0x88, ""}}, {"close:1005:"}},
        {"7.3.2", {{0x88, "a"}}, {"fault:close frame of one byte"}},
        {"7.3.3", {{0x88, normal}}, {"close:1000:"}},
        {"7.3.4", {{0x88, normal + "Hello World!"}}, {"close:1000:Hello World!"}},
        {"7.3.5", {{0x88, normal + times(123, "*")}}, {"close:1000:" + times(123, "*")}},
        {"7.3.6", {{0x88, normal + times(124, "*")}}, {"fault:control frame too long"}},
        {"7.5.1", {{0x88, normal + cosme + "\xED\xA0\x80" + "edited"}}, {"fault:close reason not UTF-8"}},
    });
    for (const unsigned code :
         {1000U, 1001U, 1002U, 1003U, 1007U, 1008U, 1009U, 1010U, 1011U, 3000U, 3999U, 4000U, 4999U})
        check_row(
            {"7.7." + std::to_string(code),
             {{0x88, close_payload(code)}},
             {"close:" + std::to_string(code) + ":"}});
    // The suite leaves the last two (its 7.13) open.
    for (const unsigned code : {0U, 999U, 1004U, 1005U, 1006U, 1016U, 1100U, 2000U, 2999U, 5000U, 65535U})
        check_row(
            {"7.9." + std::to_string(code), {{0x88, close_payload(code)}}, {"fault:invalid close code"}});
}
