// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include <pusher/dialect/websocket_codec.hpp>

#include "websocket_table.hpp"

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

using namespace test;
using namespace std::string_literals;
using pusher::websocket_header_size;
using pusher::websocket_opcode;
using pusher::websocket_role;

static_assert(websocket_header_size(0) == 2);
static_assert(websocket_header_size(125) == 2);
static_assert(websocket_header_size(126) == 4);
static_assert(websocket_header_size(65535) == 4);
static_assert(websocket_header_size(65536) == 10);
static_assert(websocket_header_size(125, websocket_role::client) == 6);
static_assert(websocket_header_size(65536, websocket_role::client) == pusher::websocket_max_header_size);

namespace {

const std::string euro = "\xE2\x82\xAC";

std::string closed(std::uint16_t code, std::string_view reason) {
    std::string out;
    pusher::append_close_frame(out, code, reason);
    return out;
}

template <websocket_role Receiver>
ws_events decoded(const std::string& bytes) {
    const auto outcome = ws_decode<Receiver>(bytes, {.limits = {.message_size = 1 << 20}}, [](std::size_t) {
        return std::numeric_limits<std::size_t>::max();
    });
    CHECK(outcome.idle);
    return outcome.events;
}

} // namespace

TEST_CASE("WebSocket encoder: headers", "[websocket]") {
    const auto header = [](websocket_opcode opcode, std::uint64_t size, bool fin = true) {
        std::string out = "before";
        pusher::append_frame_header(out, opcode, size, fin);
        CHECK(out.substr(0, 6) == "before");
        CHECK(out.size() - 6 == websocket_header_size(size));
        return out.substr(6);
    };
    CHECK(header(websocket_opcode::text, 0) == "\x81\x00"s);
    CHECK(header(websocket_opcode::text, 5, false) == "\x01\x05"s);
    CHECK(header(websocket_opcode::continuation, 5, false) == "\x00\x05"s);
    CHECK(header(websocket_opcode::continuation, 5) == "\x80\x05"s);
    CHECK(header(websocket_opcode::binary, 125) == "\x82\x7D"s);
    CHECK(header(websocket_opcode::binary, 126) == "\x82\x7E\x00\x7E"s);
    CHECK(header(websocket_opcode::binary, 65535) == "\x82\x7E\xFF\xFF"s);
    CHECK(header(websocket_opcode::binary, 65536) == "\x82\x7F\x00\x00\x00\x00\x00\x01\x00\x00"s);
    CHECK(header(websocket_opcode::text, 0x0123456789ABCDEF) == "\x81\x7F\x01\x23\x45\x67\x89\xAB\xCD\xEF"s);
    CHECK(header(websocket_opcode::close, 2) == "\x88\x02"s);
    CHECK(header(websocket_opcode::ping, 0) == "\x89\x00"s);
    CHECK(header(websocket_opcode::pong, 125) == "\x8A\x7D"s);
}

TEST_CASE("WebSocket encoder: the examples of RFC 6455, section 5.7", "[websocket]") {
    std::string out;
    pusher::append_frame(out, websocket_opcode::text, "Hello");
    CHECK(out == "\x81\x05Hello"s);
    out.clear();
    pusher::append_masked_frame(out, websocket_opcode::text, "Hello", 0x37FA213D);
    CHECK(out == "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"s);
    out.clear();
    pusher::append_frame(out, websocket_opcode::text, "Hel", false);
    pusher::append_frame(out, websocket_opcode::continuation, "lo");
    CHECK(out == "\x01\x03Hel\x80\x02lo"s);
}

TEST_CASE("WebSocket encoder: what it writes is what tests write by hand, and is read again", "[websocket]") {
    for (const std::size_t n : {0U, 1U, 7U, 8U, 9U, 125U, 126U, 127U, 65535U, 65536U, 100000U}) {
        const std::string payload(n, 'p');
        for (const auto opcode :
             {websocket_opcode::text, websocket_opcode::binary, websocket_opcode::ping,
              websocket_opcode::pong}) {
            if (n > 125 && opcode >= websocket_opcode::ping)
                continue;
            const unsigned first = 0x80U | static_cast<unsigned>(opcode);
            std::string plain;
            pusher::append_frame(plain, opcode, payload);
            CHECK((plain == ws_bytes(websocket_role::server, {first, payload})));
            CHECK(plain.size() == websocket_header_size(n) + n);
            std::string masked;
            pusher::append_masked_frame(masked, opcode, payload, 0x01020380U);
            CHECK(
                (masked ==
                 ws_bytes(websocket_role::client, {.first = first, .payload = payload, .key = 0x01020380U})));
            CHECK(masked.size() == websocket_header_size(n, websocket_role::client) + n);
            const auto events = decoded<websocket_role::client>(plain);
            CHECK((events == decoded<websocket_role::server>(masked)));
            REQUIRE(events.size() == 1);
            CHECK((events[0].substr(events[0].find(':') + 1) == payload));
        }
    }
}

TEST_CASE("WebSocket encoder: close frames", "[websocket]") {
    CHECK(closed(1000, "") == "\x88\x02\x03\xE8"s);
    CHECK(
        closed(1001, "bye") == "\x88\x05\x03\xE9"
                               "bye"s);
    CHECK(closed(4999, euro) == "\x88\x05\x13\x87" + euro);
    // What may not travel is left out; the frame itself is always in order.
    for (const unsigned code : {0U, 999U, 1004U, 1005U, 1006U, 1015U, 2999U, 5000U, 65535U})
        CHECK(closed(static_cast<std::uint16_t>(code), "reason") == "\x88\x00"s);
    CHECK(closed(1000, "\xFF") == "\x88\x02\x03\xE8"s);

    std::string masked = "x";
    pusher::append_masked_close_frame(masked, 1001, "bye", 0x37FA213D);
    CHECK(masked.substr(1) == ws_bytes(websocket_role::client, {0x88, close_payload(1001, "bye")}));
    masked.clear();
    pusher::append_masked_close_frame(masked, pusher::websocket_no_status, "bye", 0x37FA213D);
    CHECK(masked == "\x88\x80\x37\xFA\x21\x3D"s);
}

TEST_CASE("WebSocket encoder: a long reason is cut at a character", "[websocket]") {
    const auto reason = [](const std::string& text) { return closed(1000, text).substr(4); };
    const auto a = [](std::size_t n) { return std::string(n, 'a'); };
    CHECK(reason(a(123)) == a(123));
    CHECK(reason(a(124)) == a(123));
    CHECK(reason(a(1000)) == a(123));
    CHECK(reason(a(120) + euro) == a(120) + euro);
    CHECK(reason(a(120) + euro + "b") == a(120) + euro);
    CHECK(reason(a(121) + euro) == a(121));
    CHECK(reason(a(122) + euro) == a(122));
    CHECK(reason(a(123) + euro) == a(123));
    CHECK(reason(a(122) + "\xF0\xA4\xAD\xA2") == a(122));
    CHECK(reason(a(119) + "\xF0\xA4\xAD\xA2" + "b") == a(119) + "\xF0\xA4\xAD\xA2");
    // Not text at all: nothing to cut at.
    CHECK(reason(std::string(200, '\x80')).empty());
    for (std::size_t n = 0; n != 130; ++n) {
        std::string text = a(n);
        for (int i = 0; i != 60; ++i)
            text += euro;
        CHECK(decoded<websocket_role::client>(closed(1000, text)).at(0).rfind("close:1000:", 0) == 0);
    }
}
