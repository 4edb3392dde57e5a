// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include <pusher/dialect/websocket_codec.hpp>

#include "websocket_table.hpp"

#include <cstdint>
#include <string>
#include <vector>

// The rules of RFC 6455, sections 5 and 7.4, one by one. Each row runs as server and as client, cut at every
// position.

using namespace test;
using pusher::websocket_compression;
using pusher::websocket_fault;
using pusher::websocket_role;
using namespace std::string_literals;

namespace {

std::string fault(websocket_fault f) { return std::string("fault:") + to_string(f); }

std::string x(std::size_t n) { return std::string(n, 'x'); }

const std::string euro = "\xE2\x82\xAC";

ws_frame wrong_mask(ws_frame f) {
    f.wrong_mask = true;
    return f;
}

} // namespace

TEST_CASE("WebSocket: a frame is a message", "[websocket]") {
    for (const std::size_t n :
         {0U, 1U, 2U, 3U, 4U, 5U, 7U, 8U, 9U, 15U, 16U, 17U, 124U, 125U, 126U, 127U, 128U, 65535U, 65536U}) {
        check_row({"text of " + std::to_string(n), {{0x81, x(n)}}, {"text:" + x(n)}});
        check_row({"binary of " + std::to_string(n), {{0x82, x(n)}}, {"binary:" + x(n)}});
    }
    check_row({"binary may hold anything", {{0x82, "\xFF\0\x80\xC0"s}}, {"binary:\xFF\0\x80\xC0"s}});
    check_row(
        {"several",
         {{0x81, "a"}, {0x82, "b"}, {0x81, ""}, {0x81, "c"}},
         {"text:a", "binary:b", "text:", "text:c"}});
    for (const std::uint32_t key : {0U, 1U, 0xFF000000U, 0x000000FFU, 0xFFFFFFFFU, 0x81828384U})
        check_row(
            {"key " + std::to_string(key),
             {{.first = 0x81, .payload = "0123456789abcdef", .key = key}},
             {"text:0123456789abcdef"}});
}

TEST_CASE("WebSocket: the examples of RFC 6455, section 5.7", "[websocket]") {
    struct example {
        websocket_role receiver;
        std::string bytes;
        ws_events events;
    };
    const std::vector<example> examples{
        {websocket_role::client, "\x81\x05\x48\x65\x6c\x6c\x6f"s, {"text:Hello"}},
        {websocket_role::server, "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"s, {"text:Hello"}},
        {websocket_role::client, "\x01\x03\x48\x65\x6c\x80\x02\x6c\x6f"s, {"text:Hello"}},
        {websocket_role::client, "\x89\x05\x48\x65\x6c\x6c\x6f"s, {"ping:Hello"}},
        {websocket_role::server, "\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"s, {"pong:Hello"}},
        {websocket_role::client, "\x82\x7E\x01\x00"s + x(256), {"binary:" + x(256)}},
        {websocket_role::client,
         "\x82\x7F\x00\x00\x00\x00\x00\x01\x00\x00"s + x(65536),
         {"binary:" + x(65536)}},
    };
    for (const auto& e : examples) {
        const auto whole = [](std::size_t) { return std::size_t{1} << 20; };
        const auto outcome = e.receiver == websocket_role::client
                                 ? ws_decode<websocket_role::client>(e.bytes, {}, whole)
                                 : ws_decode<websocket_role::server>(e.bytes, {}, whole);
        CHECK(outcome.events == e.events);
    }
}

TEST_CASE("WebSocket: reserved bits and opcodes", "[websocket]") {
    for (const unsigned rsv : {0x10U, 0x20U, 0x30U, 0x40U, 0x50U, 0x60U, 0x70U}) {
        for (const unsigned first : {0x81U, 0x82U, 0x88U, 0x89U, 0x8AU, 0x01U, 0x02U})
            check_row(
                {"RSV " + std::to_string(rsv | first),
                 {{rsv | first, "x"}},
                 {fault(websocket_fault::reserved_bits)}});
        for (const unsigned first : {0x80U, 0x00U})
            check_row(
                {"RSV on a continuation",
                 {{0x01, "a"}, {rsv | first, "b"}},
                 {fault(websocket_fault::reserved_bits)}});
        check_row(
            {"RSV after a good message",
             {{0x81, "a"}, {0x81 | rsv, "b"}, {0x89, "c"}},
             {"text:a", fault(websocket_fault::reserved_bits)}});
    }
    for (const unsigned opcode : {3U, 4U, 5U, 6U, 7U, 11U, 12U, 13U, 14U, 15U})
        for (const unsigned fin : {0x80U, 0x00U})
            for (const auto& payload : {std::string(), std::string("x"), x(200)}) {
                check_row(
                    {"opcode " + std::to_string(opcode),
                     {{fin | opcode, payload}},
                     {fault(websocket_fault::reserved_opcode)}});
                check_row(
                    {"opcode inside a message",
                     {{0x01, "a"}, {fin | opcode, payload}},
                     {fault(websocket_fault::reserved_opcode)}});
            }
}

TEST_CASE("WebSocket: RSV1 where compression was negotiated", "[websocket]") {
    const ws_setup deflate{.compression = websocket_compression::negotiated};
    const auto reserved = fault(websocket_fault::reserved_bits);
    const std::vector<ws_row> rows{
        {"text", {{0xC1, "\xFF\xFE"}}, {"compressed text:\xFF\xFE"}, deflate},
        {"binary", {{0xC2, "abc"}}, {"compressed binary:abc"}, deflate},
        {"not compressed", {{0x81, "abc"}, {0x82, "d"}}, {"text:abc", "binary:d"}, deflate},
        {"one does not mark the next",
         {{0xC1, "\xFF"}, {0x81, "\xFF"}},
         {"compressed text:\xFF", fault(websocket_fault::invalid_utf8)},
         deflate},
        {"fragments",
         {{0x41, "\xFF"}, {0x89, "p"}, {0x00, "\xFF"}, {0x80, "\xC0"}},
         {"ping:p", "compressed text:\xFF\xFF\xC0"},
         deflate},
        {"on a continuation", {{0x41, "a"}, {0xC0, "b"}}, {reserved}, deflate},
        {"on a ping", {{0xC9, "a"}}, {reserved}, deflate},
        {"on a pong", {{0xCA, "a"}}, {reserved}, deflate},
        {"on a close", {{0xC8, close_payload(1000)}}, {reserved}, deflate},
        {"RSV2", {{0xA1, "a"}}, {reserved}, deflate},
        {"RSV3", {{0x91, "a"}}, {reserved}, deflate},
        {"RSV1 and RSV2", {{0xE1, "a"}}, {reserved}, deflate},
        {"reserved opcode", {{0xC3, "a"}}, {reserved}, deflate},
    };
    for (const auto& row : rows)
        check_row(row);
}

TEST_CASE("WebSocket: masking", "[websocket]") {
    for (const unsigned first : {0x81U, 0x82U, 0x88U, 0x89U, 0x8AU, 0x01U})
        for (const auto& payload : {std::string(), std::string("abc"), x(125)}) {
            INFO(first);
            const std::vector<ws_frame> frames{{0x81, "good"}, wrong_mask({first, payload})};
            const auto byte = [](std::size_t) { return std::size_t{1}; };
            CHECK(
                ws_decode<websocket_role::server>(ws_bytes(websocket_role::client, frames), {}, byte)
                    .events == ws_events{"text:good", fault(websocket_fault::unmasked_frame)});
            CHECK(
                ws_decode<websocket_role::client>(ws_bytes(websocket_role::server, frames), {}, byte)
                    .events == ws_events{"text:good", fault(websocket_fault::masked_frame)});
        }
}

TEST_CASE("WebSocket: unmasking at every length, offset and phase", "[websocket]") {
    const pusher::detail::websocket_key key{0x37, 0xFA, 0x21, 0x3D};
    std::string plain(80, '\0');
    for (std::size_t i = 0; i != plain.size(); ++i)
        plain[i] = static_cast<char>(i * 7 + 3);
    bool right = true;
    for (std::size_t offset = 0; offset != 9; ++offset)
        for (std::size_t size = 0; size != 64; ++size)
            for (std::size_t phase = 0; phase != 13; ++phase) {
                auto bytes = plain;
                pusher::detail::apply_mask(bytes.data() + offset, size, key, phase);
                for (std::size_t i = 0; i != bytes.size(); ++i) {
                    const bool inside = i >= offset && i < offset + size;
                    const int mask = inside ? key[(i - offset + phase) % 4] : 0;
                    right = right && static_cast<char>(plain[i] ^ mask) == bytes[i];
                }
            }
    CHECK(right);
}

TEST_CASE("WebSocket: lengths", "[websocket]") {
    using enum length_form;
    const auto not_minimal = fault(websocket_fault::length_not_minimal);
    const auto row = [](std::string name, ws_frame f, ws_events events) {
        check_row({std::move(name), {std::move(f)}, std::move(events)});
    };
    for (const std::size_t n : {0U, 1U, 2U, 124U, 125U}) {
        row("16 bits", {.first = 0x82, .payload = x(n), .form = bits16}, {not_minimal});
        row("64 bits", {.first = 0x82, .payload = x(n), .form = bits64}, {not_minimal});
    }
    for (const std::size_t n : {126U, 127U, 65534U, 65535U}) {
        row("16 bits", {.first = 0x82, .payload = x(n), .form = bits16}, {"binary:" + x(n)});
        row("64 bits", {.first = 0x82, .payload = x(n), .form = bits64}, {not_minimal});
    }
    row("64 bits", {.first = 0x82, .payload = x(65536), .form = bits64}, {"binary:" + x(65536)});
    for (const std::uint64_t n : {std::uint64_t{1} << 63, (std::uint64_t{1} << 63) + 5, ~std::uint64_t{0}}) {
        row("top bit", {.first = 0x82, .payload = "x", .form = bits64, .announced = n},
            {fault(websocket_fault::length_too_long)});
        row("top bit", {.first = 0x01, .payload = "x", .form = bits64, .announced = n},
            {fault(websocket_fault::length_too_long)});
    }
    for (const std::uint64_t n :
         {std::uint64_t{1} << 32, (std::uint64_t{1} << 32) + 3, (std::uint64_t{1} << 63) - 1})
        row("over 32 bits", {.first = 0x82, .payload = "x", .form = bits64, .announced = n},
            {fault(websocket_fault::message_too_large)});
}

TEST_CASE("WebSocket: control frames", "[websocket]") {
    using enum length_form;
    const auto row = [](std::string name, ws_frame f, ws_events events) {
        check_row({std::move(name), {std::move(f)}, std::move(events)});
    };
    for (const std::size_t n : {0U, 1U, 2U, 3U, 4U, 8U, 124U, 125U}) {
        row("ping", {0x89, x(n)}, {"ping:" + x(n)});
        row("pong", {0x8A, x(n)}, {"pong:" + x(n)});
    }
    row("a ping may hold anything", {0x89, "\xFF\xFE"}, {"ping:\xFF\xFE"});
    for (const unsigned first : {0x88U, 0x89U, 0x8AU}) {
        const auto too_long = fault(websocket_fault::control_too_long);
        for (const std::size_t n : {126U, 127U, 65535U, 65536U})
            row("too long", {first, x(n)}, {too_long});
        // Any extended length is over 125 by its form, whatever it says.
        row("too long", {.first = first, .payload = "x", .form = bits16}, {too_long});
        row("too long", {.first = first, .payload = "x", .form = bits64}, {too_long});
        row("no FIN", {first & 0x7F, ""}, {fault(websocket_fault::fragmented_control)});
        row("no FIN", {first & 0x7F, "abc"}, {fault(websocket_fault::fragmented_control)});
        row("no FIN", {first & 0x7F, x(126)}, {fault(websocket_fault::fragmented_control)});
    }
}

TEST_CASE("WebSocket: fragments", "[websocket]") {
    const auto unexpected = fault(websocket_fault::unexpected_continuation);
    const auto missing = fault(websocket_fault::missing_continuation);
    const std::vector<ws_row> rows{
        {"two", {{0x01, "Hel"}, {0x80, "lo"}}, {"text:Hello"}},
        {"binary", {{0x02, "\xFF"}, {0x80, "\xFE"}}, {"binary:\xFF\xFE"}},
        {"five", {{0x01, "a"}, {0x00, "b"}, {0x00, "c"}, {0x00, "d"}, {0x80, "e"}}, {"text:abcde"}},
        {"empty ones", {{0x01, ""}, {0x00, ""}, {0x80, ""}}, {"text:"}},
        {"empty first", {{0x01, ""}, {0x80, "abc"}}, {"text:abc"}},
        {"empty last", {{0x01, "abc"}, {0x80, ""}}, {"text:abc"}},
        {"empty within", {{0x02, "ab"}, {0x00, ""}, {0x80, "cd"}}, {"binary:abcd"}},
        {"long ones", {{0x01, x(126)}, {0x00, x(300)}, {0x80, x(1)}}, {"text:" + x(427)}},
        {"two messages", {{0x01, "a"}, {0x80, "b"}, {0x02, "c"}, {0x80, "d"}}, {"text:ab", "binary:cd"}},
        {"then a whole one", {{0x01, "a"}, {0x80, "b"}, {0x81, "c"}}, {"text:ab", "text:c"}},
        {"a continuation of nothing", {{0x80, "a"}}, {unexpected}},
        {"a continuation of nothing, more to come", {{0x00, "a"}, {0x80, "b"}}, {unexpected}},
        {"after a whole message", {{0x81, "a"}, {0x80, "b"}}, {"text:a", unexpected}},
        {"after the last fragment", {{0x01, "a"}, {0x80, "b"}, {0x80, "c"}}, {"text:ab", unexpected}},
        {"after a ping", {{0x89, "a"}, {0x80, "b"}}, {"ping:a", unexpected}},
        {"text inside text", {{0x01, "a"}, {0x81, "b"}}, {missing}},
        {"text inside text, more to come", {{0x01, "a"}, {0x01, "b"}}, {missing}},
        {"binary inside text", {{0x01, "a"}, {0x00, "b"}, {0x82, "c"}}, {missing}},
        {"text inside binary", {{0x02, ""}, {0x89, ""}, {0x81, ""}}, {"ping:", missing}},
    };
    for (const auto& row : rows)
        check_row(row);
}

TEST_CASE("WebSocket: control frames between fragments", "[websocket]") {
    const std::vector<ws_row> rows{
        {"a ping", {{0x01, "ab"}, {0x89, "ping"}, {0x80, "cd"}}, {"ping:ping", "text:abcd"}},
        {"an empty ping", {{0x01, "ab"}, {0x89, ""}, {0x80, "cd"}}, {"ping:", "text:abcd"}},
        {"long ones",
         {{0x02, x(200)},
          {0x89, std::string(125, 'p')},
          {0x00, x(150)},
          {0x8A, std::string(125, 'q')},
          {0x80, x(7)}},
         {"ping:" + std::string(125, 'p'), "pong:" + std::string(125, 'q'), "binary:" + x(357)}},
        {"everywhere",
         {{0x89, "1"},
          {0x01, ""},
          {0x89, "2"},
          {0x8A, "3"},
          {0x00, "a"},
          {0x89, "4"},
          {0x80, ""},
          {0x8A, "5"}},
         {"ping:1", "ping:2", "pong:3", "ping:4", "text:a", "pong:5"}},
        {"inside a character",
         {{0x01, euro.substr(0, 1)},
          {0x89, "\xFF"},
          {0x00, euro.substr(1, 1)},
          {0x8A, "\x82"},
          {0x80, euro.substr(2)}},
         {"ping:\xFF", "pong:\x82", "text:" + euro}},
        {"a close ends all",
         {{0x01, "ab"}, {0x88, close_payload(1001, "bye")}, {0x80, "cd"}},
         {"close:1001:bye"}},
        {"a bad ping",
         {{0x01, "ab"}, {0x09, "x"}, {0x80, "cd"}},
         {fault(websocket_fault::fragmented_control)}},
    };
    for (const auto& row : rows)
        check_row(row);
}

TEST_CASE("WebSocket: close frames", "[websocket]") {
    const auto invalid = fault(websocket_fault::bad_close_code);
    const auto reason = fault(websocket_fault::bad_close_reason);
    const std::vector<ws_row> rows{
        {"empty", {{0x88, ""}}, {"close:1005:"}},
        {"one byte", {{0x88, "\x03"}}, {fault(websocket_fault::bad_close_size)}},
        {"code", {{0x88, close_payload(1000)}}, {"close:1000:"}},
        {"reason", {{0x88, close_payload(4999, "why not")}}, {"close:4999:why not"}},
        {"longest reason", {{0x88, close_payload(3000, x(123))}}, {"close:3000:" + x(123)}},
        {"too long", {{0x88, close_payload(3000, x(124))}}, {fault(websocket_fault::control_too_long)}},
        {"reason in UTF-8", {{0x88, close_payload(1000, euro)}}, {"close:1000:" + euro}},
        {"reason cut", {{0x88, close_payload(1000, euro.substr(0, 2))}}, {reason}},
        {"reason not UTF-8", {{0x88, close_payload(1000, "a\xFFz")}}, {reason}},
        {"bad code and bad reason", {{0x88, close_payload(1006, "\xFF")}}, {invalid}},
        {"what follows is ignored",
         {{0x88, close_payload(1000)}, {0x81, "a"}, {0x83, ""}, {0x89, "p"}, {0x88, ""}},
         {"close:1000:"}},
        {"twice", {{0x88, close_payload(1000)}, {0x88, close_payload(1001)}}, {"close:1000:"}},
        {"after a message", {{0x81, "a"}, {0x88, close_payload(1000)}}, {"text:a", "close:1000:"}},
    };
    for (const auto& row : rows)
        check_row(row);
}

TEST_CASE("WebSocket: every close code", "[websocket]") {
    std::vector<unsigned> wrong;
    for (unsigned code = 0; code != 65536; ++code) {
        bool valid = code >= 3000 && code < 5000;
        for (const unsigned known :
             {1000U, 1001U, 1002U, 1003U, 1007U, 1008U, 1009U, 1010U, 1011U, 1012U, 1013U, 1014U})
            valid = valid || code == known;
        const auto outcome = ws_decode<websocket_role::client>(
            ws_bytes(websocket_role::server, {0x88, close_payload(code)}), {},
            [](std::size_t) { return std::size_t{10}; });
        const auto expected =
            valid ? "close:" + std::to_string(code) + ":" : fault(websocket_fault::bad_close_code);
        if (outcome.events != ws_events{expected} || !outcome.finished)
            wrong.push_back(code);
    }
    CHECK(wrong.empty());
}

TEST_CASE("WebSocket: text is UTF-8, however it is cut", "[websocket]") {
    const auto invalid = fault(websocket_fault::invalid_utf8);
    // κόσμε, the euro sign and U+24B62, in every way into two and three fragments.
    const std::string text = "\xCE\xBA\xE1\xBD\xB9\xCF\x83" + euro + "\xF0\xA4\xAD\xA2";
    for (std::size_t a = 0; a <= text.size(); ++a) {
        check_row({"two fragments", {{0x01, text.substr(0, a)}, {0x80, text.substr(a)}}, {"text:" + text}});
        check_row(
            {"three fragments",
             {{0x01, text.substr(0, a)}, {0x00, ""}, {0x89, ""}, {0x80, text.substr(a)}},
             {"ping:", "text:" + text}});
    }
    std::vector<ws_frame> single{{0x01, ""}};
    for (const char c : text)
        single.push_back({0x00, std::string(1, c)});
    single.push_back({0x80, ""});
    check_row({"a fragment for each byte", single, {"text:" + text}});

    const std::vector<ws_row> rows{
        {"ends within a character", {{0x81, euro.substr(0, 2)}}, {invalid}},
        {"the last fragment ends within a character", {{0x01, euro}, {0x80, euro.substr(0, 1)}}, {invalid}},
        {"the last fragment is empty", {{0x01, euro.substr(0, 2)}, {0x80, ""}}, {invalid}},
        {"a character in two messages", {{0x81, euro.substr(0, 2)}, {0x81, euro.substr(2)}}, {invalid}},
        {"invalid in the first fragment", {{0x01, "a\xFF"}, {0x80, "b"}}, {invalid}},
        {"invalid in the second", {{0x01, "a"}, {0x00, "\xC0"}, {0x80, "b"}}, {invalid}},
        {"a surrogate over fragments", {{0x01, "\xED"}, {0x00, "\xA0"}, {0x80, "\x80"}}, {invalid}},
        {"binary is not text", {{0x02, euro.substr(0, 2)}, {0x80, "\xFF"}}, {"binary:\xE2\x82\xFF"}},
        {"text after binary", {{0x82, "\xE2"}, {0x81, "ok"}}, {"binary:\xE2", "text:ok"}},
        {"a good one first", {{0x81, euro}, {0x81, "\xFF"}}, {"text:" + euro, invalid}},
    };
    for (const auto& row : rows)
        check_row(row);
}

TEST_CASE("WebSocket: limits", "[websocket]") {
    const auto large = fault(websocket_fault::message_too_large);
    const auto many = fault(websocket_fault::too_many_fragments);
    const ws_setup ten{.limits = {.message_size = 10, .fragments = 3}};
    const ws_setup none{.limits = {.message_size = 0, .fragments = 1}};
    const std::vector<ws_row> rows{
        {"at the limit", {{0x81, x(10)}}, {"text:" + x(10)}, ten},
        {"over it", {{0x81, x(11)}}, {large}, ten},
        {"binary over it", {{0x82, x(11)}}, {large}, ten},
        {"fragments at it", {{0x01, x(5)}, {0x80, x(5)}}, {"text:" + x(10)}, ten},
        {"fragments over it", {{0x01, x(5)}, {0x80, x(6)}}, {large}, ten},
        {"a long first fragment", {{0x01, x(11)}, {0x80, ""}}, {large}, ten},
        {"for each message",
         {{0x81, x(10)}, {0x01, x(10)}, {0x80, ""}, {0x81, x(10)}},
         {"text:" + x(10), "text:" + x(10), "text:" + x(10)},
         ten},
        {"a ping does not count",
         {{0x01, x(5)}, {0x89, x(100)}, {0x80, x(5)}},
         {"ping:" + x(100), "text:" + x(10)},
         ten},
        {"fragments at the limit", {{0x01, "a"}, {0x00, "b"}, {0x80, "c"}}, {"text:abc"}, ten},
        {"fragments over the limit", {{0x01, "a"}, {0x00, "b"}, {0x00, "c"}, {0x80, "d"}}, {many}, ten},
        {"empty fragments count", {{0x01, ""}, {0x00, ""}, {0x00, ""}, {0x00, ""}}, {many}, ten},
        {"pings between don't",
         {{0x01, ""}, {0x89, ""}, {0x89, ""}, {0x00, ""}, {0x89, ""}, {0x80, ""}},
         {"ping:", "ping:", "ping:", "text:"},
         ten},
        {"fragments of each message",
         {{0x01, ""}, {0x00, ""}, {0x80, ""}, {0x02, ""}, {0x00, ""}, {0x80, ""}},
         {"text:", "binary:"},
         ten},
        {"nothing but empty",
         {{0x81, ""}, {0x82, ""}, {0x89, "p"}, {0x81, "a"}},
         {"text:", "binary:", "ping:p", large},
         none},
        {"no fragments at all", {{0x01, ""}, {0x80, ""}}, {many}, none},
    };
    for (const auto& row : rows)
        check_row(row);
}

TEST_CASE("WebSocket: a fault says what to close with", "[websocket]") {
    using pusher::close_code;
    using pusher::errc;
    struct row {
        websocket_fault fault;
        close_code code;
        errc error;
    };
    for (const auto& r : std::vector<row>{
             {websocket_fault::reserved_bits, close_code::protocol_error, errc::protocol_error},
             {websocket_fault::reserved_opcode, close_code::protocol_error, errc::protocol_error},
             {websocket_fault::unmasked_frame, close_code::protocol_error, errc::protocol_error},
             {websocket_fault::masked_frame, close_code::protocol_error, errc::protocol_error},
             {websocket_fault::fragmented_control, close_code::protocol_error, errc::protocol_error},
             {websocket_fault::control_too_long, close_code::protocol_error, errc::protocol_error},
             {websocket_fault::length_not_minimal, close_code::protocol_error, errc::protocol_error},
             {websocket_fault::length_too_long, close_code::protocol_error, errc::protocol_error},
             {websocket_fault::unexpected_continuation, close_code::protocol_error, errc::protocol_error},
             {websocket_fault::missing_continuation, close_code::protocol_error, errc::protocol_error},
             {websocket_fault::bad_close_size, close_code::protocol_error, errc::protocol_error},
             {websocket_fault::bad_close_code, close_code::protocol_error, errc::protocol_error},
             {websocket_fault::bad_close_reason, close_code::invalid_data, errc::invalid_utf8},
             {websocket_fault::invalid_utf8, close_code::invalid_data, errc::invalid_utf8},
             {websocket_fault::message_too_large, close_code::too_big, errc::message_too_large},
             {websocket_fault::too_many_fragments, close_code::too_big, errc::message_too_large}}) {
        const auto reason = to_close_reason(r.fault);
        CHECK(reason.code == r.code);
        CHECK(reason.error == r.error);
        CHECK(reason.text == to_string(r.fault));
        CHECK_FALSE(reason.text.empty());
        CHECK(to_error_code(r.fault) == r.error);
    }
    CHECK_FALSE(to_error_code(websocket_fault::none));
    CHECK(to_close_reason(websocket_fault::none).code == close_code::normal);
}
