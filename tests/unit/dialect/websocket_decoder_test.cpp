// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include <pusher/dialect/websocket_codec.hpp>

#include "websocket_table.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

// What the decoder promises beside the protocol: memory, views, pausing, how early a fault is seen, and what
// a visitor may do to it.

using namespace test;
using pusher::websocket_fault;
using pusher::websocket_role;
using server_decoder = pusher::websocket_decoder<websocket_role::server>;
using client_decoder = pusher::websocket_decoder<websocket_role::client>;

static_assert(sizeof(void*) != 8 || sizeof(server_decoder) == 32);
static_assert(sizeof(client_decoder) == sizeof(server_decoder));

namespace {

std::string from_client(const std::vector<ws_frame>& frames) {
    return ws_bytes(websocket_role::client, frames);
}
std::string from_server(const std::vector<ws_frame>& frames) {
    return ws_bytes(websocket_role::server, frames);
}

std::string x(std::size_t n) { return std::string(n, 'x'); }

/// Calls one function for whatever comes.
struct caller {
    std::function<bool(std::string_view)> call;
    bool on_message(const pusher::websocket_message& m) { return call(m.payload); }
    bool on_ping(std::string_view payload) { return call(payload); }
    bool on_pong(std::string_view payload) { return call(payload); }
    void on_close(std::uint16_t, std::string_view reason) { call(reason); }
};

} // namespace

TEST_CASE("WebSocket decoder: a message in one piece is not copied", "[websocket]") {
    const pusher::websocket_limits limits;
    auto bytes = from_client({{0x81, "one"}, {0x89, "ping"}, {0x82, x(300)}, {0x01, ""}, {0x80, "late"}});
    std::vector<std::string> seen;
    server_decoder decoder;
    caller visitor{[&](std::string_view payload) {
        CHECK(payload.data() >= bytes.data());
        CHECK(payload.data() + payload.size() <= bytes.data() + bytes.size());
        CHECK(decoder.buffered() == 0);
        seen.emplace_back(payload);
        return true;
    }};
    const auto result = decoder.feed(bytes, limits, visitor);
    CHECK(result.consumed == bytes.size());
    CHECK(seen == std::vector<std::string>{"one", "ping", x(300), "late"});

    SECTION("nor when only its header was cut off") {
        seen.clear();
        auto header = bytes.substr(0, 0);
        const auto whole = from_client({{0x82, x(200)}});
        header = whole.substr(0, 8);
        bytes = whole.substr(8);
        decoder.feed(header, limits, visitor);
        CHECK(decoder.buffered() == 8);
        decoder.feed(bytes, limits, visitor);
        CHECK(seen == std::vector<std::string>{x(200)});
    }
}

TEST_CASE("WebSocket decoder: memory follows what has arrived", "[websocket]") {
    const pusher::websocket_limits limits{.message_size = 1 << 20};
    server_decoder decoder;
    ws_recorder recorder;
    const auto feed = [&](std::string bytes) { return decoder.feed(bytes, limits, recorder).fault; };

    CHECK(decoder.idle());
    CHECK(decoder.buffered() == 0);
    const auto announced = from_client({{.first = 0x81, .announced = 1 << 20, .key = 0}});
    for (std::size_t n = 0; n != announced.size(); ++n) {
        feed(announced.substr(n, 1));
        CHECK(decoder.buffered() == n + 1);
        CHECK_FALSE(decoder.idle());
    }
    // A length is only a promise.
    feed(x(10));
    CHECK(decoder.buffered() == announced.size() + 10);

    SECTION("given back at the end of the message") {
        std::size_t left = (1 << 20) - 10;
        for (; left > 1000; left -= 1000)
            feed(x(1000));
        CHECK(recorder.events.empty());
        feed(x(left));
        CHECK(recorder.events.size() == 1);
        CHECK(decoder.buffered() == 0);
        CHECK(decoder.idle());
    }
    SECTION("given back with a fault") {
        feed(std::string(1, '\xFF'));
        CHECK(decoder.finished());
        CHECK(decoder.buffered() == 0);
    }
}

TEST_CASE("WebSocket decoder: what is there in part", "[websocket]") {
    const pusher::websocket_limits limits;
    client_decoder decoder;
    ws_recorder recorder;
    const auto feed = [&](std::string bytes) { return decoder.feed(bytes, limits, recorder).fault; };

    feed(from_server({{0x01, "abc"}}));
    CHECK(decoder.buffered() == 3);
    CHECK_FALSE(decoder.idle());
    feed(from_server({{0x89, "0123456789"}}).substr(0, 7));
    CHECK(decoder.buffered() == 3 + 2 + 5);
    feed("56789");
    CHECK(recorder.events == ws_events{"ping:0123456789"});
    CHECK(decoder.buffered() == 3);
    SECTION("ends with the message") {
        feed(from_server({{0x80, "d"}}));
        CHECK(recorder.events == ws_events{"ping:0123456789", "text:abcd"});
    }
    SECTION("ends with a close") {
        feed(from_server({{0x88, close_payload(1000)}}).substr(0, 3));
        CHECK(decoder.buffered() == 3 + 2 + 1);
        feed("\xE8");
        CHECK(recorder.events == ws_events{"ping:0123456789", "close:1000:"});
        CHECK(decoder.finished());
    }
    SECTION("ends with a fault") {
        CHECK(feed("\x83") == websocket_fault::reserved_opcode);
        CHECK(decoder.finished());
    }
    CHECK(decoder.idle());
    CHECK(decoder.buffered() == 0);
}

TEST_CASE("WebSocket decoder: an empty message, and an empty feed", "[websocket]") {
    server_decoder decoder;
    ws_recorder recorder;
    CHECK(decoder.feed({}, {}, recorder).consumed == 0);
    auto bytes = from_client({{0x01, ""}});
    CHECK(decoder.feed(bytes, {}, recorder).consumed == bytes.size());
    // An open message without a byte holds nothing, and is still open.
    CHECK(decoder.buffered() == 0);
    CHECK_FALSE(decoder.idle());
    CHECK(decoder.feed({}, {}, recorder).consumed == 0);
    CHECK(recorder.events.empty());
}

TEST_CASE("WebSocket decoder: too large is seen in the header", "[websocket]") {
    const ws_setup setup{.limits = {.message_size = 1000}};
    const auto byte = [](std::size_t) { return std::size_t{1}; };
    const auto large = [&](const std::vector<ws_frame>& before, std::uint64_t announced) {
        auto frames = before;
        frames.push_back({.first = before.empty() ? 0x81U : 0x80U, .announced = announced});
        const auto input = from_client(frames);
        const auto outcome = ws_decode<websocket_role::server>(input + x(10), setup, byte);
        CHECK(outcome.events == ws_events{"fault:message too large"});
        CHECK(outcome.fault_after == input.size());
        CHECK(outcome.buffered == 0);
    };
    large({}, 1001);
    large({}, 65535);
    large({}, 65536);
    large({}, (std::uint64_t{1} << 63) - 1);
    large({{0x01, x(1000)}}, 1);
    large({{0x01, x(500)}, {0x00, x(500)}}, (std::uint64_t{1} << 63) - 1);
}

TEST_CASE("WebSocket decoder: a fault is seen with the byte that shows it", "[websocket]") {
    struct row {
        std::string name;
        ws_frame frame;
        std::size_t after; ///< bytes of the client's frame
    };
    using enum length_form;
    const std::vector<row> rows{
        {"reserved bits", {0xA1, "abc"}, 1},
        {"reserved opcode", {0x83, "abc"}, 1},
        {"fragmented control", {0x09, "abc"}, 1},
        {"not masked", {.first = 0x81, .payload = "abc", .wrong_mask = true}, 2},
        {"control too long", {0x89, x(126)}, 2},
        {"16 bits not minimal", {.first = 0x81, .payload = x(125), .form = bits16}, 4},
        {"64 bits not minimal", {.first = 0x81, .payload = x(200), .form = bits64}, 10},
        {"top bit", {.first = 0x81, .form = bits64, .announced = ~std::uint64_t{0}}, 10},
        {"continuation of nothing", {0x80, "abc"}, 6},
        {"too large", {.first = 0x82, .announced = 2000000}, 14},
        {"invalid first byte", {0x81, "\xFF" + x(40)}, 7},
        {"invalid byte later", {0x81, x(30) + "\xC0" + x(30)}, 6 + 31},
        {"a bad second byte", {0x81, "ab\xE0\x80" + x(9)}, 6 + 4},
        {"a surrogate", {0x81, "\xED\xA0\x80"}, 6 + 2},
        {"an unfinished character at the end", {0x81, "ab\xE2\x82"}, 6 + 4},
        {"close code", {0x88, close_payload(1005, "abc")}, 6 + 5},
    };
    for (const auto& r : rows) {
        INFO(r.name);
        const auto input = from_client({r.frame});
        const auto byte = [](std::size_t) { return std::size_t{1}; };
        const auto outcome = ws_decode<websocket_role::server>(input, {}, byte);
        CHECK(outcome.events.size() == 1);
        CHECK(outcome.fault_after == r.after);
    }
}

TEST_CASE("WebSocket decoder: pausing leaves the rest as it was", "[websocket]") {
    const auto input =
        from_client({{0x81, "one"}, {0x89, "two"}, {0x82, "three"}, {0x88, close_payload(1000)}});
    auto bytes = input;
    ws_recorder recorder;
    recorder.pausing = true;
    server_decoder decoder;
    std::size_t at = 0;
    for (const std::size_t size : {9U, 9U, 11U}) {
        const auto result = decoder.feed(std::span(bytes).subspan(at), {}, recorder);
        CHECK(result.consumed == size);
        CHECK(result.fault == websocket_fault::none);
        at += result.consumed;
        CHECK(bytes.substr(at) == input.substr(at));
    }
    CHECK(recorder.events == ws_events{"text:one", "ping:two", "binary:three"});
    CHECK(decoder.feed(std::span(bytes).subspan(at), {}, recorder).consumed == 8);
    CHECK(recorder.events.back() == "close:1000:");
}

TEST_CASE("WebSocket decoder: after the end", "[websocket]") {
    server_decoder decoder;
    ws_recorder recorder;
    SECTION("a close") {
        auto bytes = from_client({{0x88, close_payload(1000)}});
        decoder.feed(bytes, {}, recorder);
        recorder.events.clear();
    }
    SECTION("a fault") {
        auto bytes = from_client({{0x83, "abc"}});
        CHECK(decoder.feed(bytes, {}, recorder).fault == websocket_fault::reserved_opcode);
    }
    CHECK(decoder.finished());
    auto more = from_client({{0x81, "more"}, {0x83, ""}});
    const auto same = more;
    const auto result = decoder.feed(more, {}, recorder);
    CHECK(result.consumed == more.size());
    CHECK(result.fault == websocket_fault::none);
    CHECK(more == same);
    CHECK(recorder.events.empty());
}

TEST_CASE("WebSocket decoder: limits may change between feeds", "[websocket]") {
    server_decoder decoder;
    ws_recorder recorder;
    const auto feed = [&](std::string bytes, std::uint32_t size) {
        return decoder.feed(bytes, {.message_size = size}, recorder).fault;
    };
    CHECK(feed(from_client({{0x01, x(100)}}), 100) == websocket_fault::none);
    SECTION("down, under what is held already") {
        CHECK(feed(from_client({{0x00, ""}}), 50) == websocket_fault::message_too_large);
    }
    SECTION("up") {
        CHECK(feed(from_client({{0x80, x(100)}}), 200) == websocket_fault::none);
        CHECK(recorder.events == ws_events{"text:" + x(200)});
    }
}

TEST_CASE("WebSocket decoder: a visitor may destroy it if it pauses", "[websocket]") {
    // Whole and in part, so that the view is into the read buffer and into memory of the decoder's own.
    const std::vector<std::vector<ws_frame>> scripts{
        {{0x81, "message"}},
        {{0x01, "mess"}, {0x80, "age"}},
        {{0x89, "message"}},
        {{0x01, "other"}, {0x8A, "message"}},
        {{0x01, "other"}, {0x88, close_payload(1000, "message")}},
    };
    for (const auto& script : scripts) {
        const auto input = from_client(script);
        for (std::size_t cut = 0; cut != input.size(); ++cut) {
            auto decoder = std::make_unique<server_decoder>();
            std::string seen;
            caller visitor{[&](std::string_view payload) {
                decoder.reset();
                seen = payload;
                return false;
            }};
            auto first = input.substr(0, cut);
            auto second = input.substr(cut) + "more";
            CHECK(decoder->feed(first, {}, visitor).consumed == first.size());
            const bool close = script.back().first == 0x88;
            CHECK(decoder->feed(second, {}, visitor).consumed == second.size() - (close ? 0 : 4));
            CHECK(seen == "message");
            CHECK_FALSE(decoder);
        }
    }
}

TEST_CASE("WebSocket decoder: an exception of the visitor leaks nothing", "[websocket]") {
    const auto input = from_client({{0x01, "mess"}, {0x89, "ping"}, {0x80, "age"}});
    for (std::size_t cut = 0; cut != input.size(); ++cut) {
        server_decoder decoder;
        caller visitor{[](std::string_view) -> bool { throw std::runtime_error("no"); }};
        auto first = input.substr(0, cut);
        auto second = input.substr(cut);
        const auto feed_both = [&] {
            decoder.feed(first, {}, visitor);
            decoder.feed(second, {}, visitor);
        };
        CHECK_THROWS_AS(feed_both(), std::runtime_error);
    }
}

TEST_CASE("WebSocket decoder: callbacks without a result never pause", "[websocket]") {
    struct quiet {
        int count = 0;
        void on_message(const pusher::websocket_message&) { ++count; }
        void on_ping(std::string_view) { ++count; }
        void on_pong(std::string_view) { ++count; }
        void on_close(std::uint16_t, std::string_view) { ++count; }
    };
    auto bytes = from_client({{0x81, "a"}, {0x89, ""}, {0x8A, ""}, {0x82, ""}, {0x88, ""}});
    quiet visitor;
    CHECK(server_decoder{}.feed(bytes, {}, visitor).consumed == bytes.size());
    CHECK(visitor.count == 5);
}

TEST_CASE("WebSocket decoder: can be moved between feeds", "[websocket]") {
    ws_recorder recorder;
    const auto input = from_client({{0x01, "mess"}, {0x89, "ping"}, {0x80, "age"}});
    std::vector<server_decoder> decoders(1);
    for (const char c : input) {
        std::string byte(1, c);
        decoders.back().feed(byte, {}, recorder);
        decoders.push_back(std::move(decoders.back()));
    }
    CHECK(recorder.events == ws_events{"ping:ping", "text:message"});
}
