// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// A client over WebSocket: the handshake, frames right and wrong, close codes.

#include <pusher/client/websocket_framing.hpp>
#include <pusher/dialect/websocket_codec.hpp>

#include "client_world.hpp"
#include "websocket_script.hpp"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

using namespace pusher;
using namespace test;

namespace {

client_params websocket_params() {
    auto p = client_world::params();
    p.url = "ws://hub:8080/ws?x=1";
    p.headers = {{"Authorization", "Bearer b"}};
    return p;
}

/// The world, with frames instead of lines.
struct websocket_world : client_world {
    explicit websocket_world(client_params p = websocket_params()) : client_world(std::move(p)) {
        client->async_run(running.handler());
        run();
    }

    /// Takes the client's request, and gives its key.
    std::string take_handshake() {
        auto& text = hub().written;
        const auto end = text.find("\r\n\r\n");
        REQUIRE(end != text.npos);
        request = text.substr(0, end + 4);
        text.erase(0, end + 4);
        constexpr std::string_view name = "Sec-WebSocket-Key: ";
        const auto at = request.find(name);
        REQUIRE(at != request.npos);
        return request.substr(at + name.size(), 24);
    }
    static std::string accepted(const std::string& key, const std::string& more = {}) {
        return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: keep-alive, "
               "Upgrade\r\nSec-WebSocket-Accept: " +
               detail::websocket_accept(key) + "\r\n" + more + "\r\n";
    }

    void say_bytes(std::string_view bytes) {
        hub().say(bytes);
        run();
    }
    void say_frame(const ws_frame& f) { say_bytes(ws_bytes(websocket_role::server, f)); }
    void say_text(std::string text) { say_frame({0x81, std::move(text)}); }

    /// What the client has sent, as a server reads it.
    ws_events take_frames() {
        const auto bytes = std::exchange(hub().written, {});
        const auto read =
            ws_decode<websocket_role::server>(bytes, {}, [&](std::size_t) { return bytes.size(); });
        CHECK(read.broken.empty());
        return read.events;
    }
    asked take_text(std::string_view action) {
        const auto events = take_frames();
        REQUIRE(events.size() == 1);
        REQUIRE(events[0].starts_with("text:"));
        auto a = read_request(std::string_view(events[0]).substr(5));
        CHECK(a.action == action);
        return a;
    }
    void reply_text(const asked& to) {
        native_reply r;
        r.request_id = to.id;
        r.action = to.action;
        std::string text;
        append_native_reply(text, r);
        say_text(text);
    }
    void open() {
        say_bytes(accepted(take_handshake()));
        reply_text(take_text("hello"));
        CHECK(client->connected());
        take_as<client_connected>();
    }
    client_disconnected expect_down(const error_code& error) {
        auto down = take_as<client_disconnected>();
        INFO(down.error.message() << ": " << down.reason);
        CHECK(down.error == error);
        CHECK(!client->connected());
        CHECK(hub().closed);
        return down;
    }

    outcome<> running;
    std::string request;
};

} // namespace

TEST_CASE("client websocket: the handshake", "[client][websocket]") {
    websocket_world w;
    const auto key = w.take_handshake();
    CHECK(w.request.starts_with("GET /ws?x=1 HTTP/1.1\r\nHost: hub:8080\r\n"));
    for (const auto* line :
         {"\r\nUpgrade: websocket\r\n", "\r\nConnection: Upgrade\r\n", "\r\nSec-WebSocket-Version: 13\r\n",
          "\r\nSec-WebSocket-Protocol: pusher.v1\r\n", "\r\nAuthorization: Bearer b\r\n"})
        CHECK(w.request.find(line) != std::string::npos);

    SECTION("in one piece, with the first frames right behind it") {
        w.hub().say(w.accepted(key, "Sec-WebSocket-Protocol: pusher.v1\r\n"));
        w.hub().say(ws_bytes(websocket_role::server, ws_frame{0x89, "p"}));
        w.run();
        const auto frames = w.take_frames();
        CHECK(frames.size() == 2); // hello and pong
    }
    SECTION("byte by byte") {
        w.hub().piece = 1;
        w.say_bytes(w.accepted(key) + ws_bytes(websocket_role::server, ws_frame{0x89, "p"}));
        CHECK(w.take_frames().size() == 2);
    }
    SECTION("nothing is sent before it is accepted") {
        const auto published = w.publish("a", "x");
        CHECK(w.silent());
        w.say_bytes("HTTP/1.1 101 Switching Protocols\r\n");
        CHECK(w.silent());
    }
}

TEST_CASE("client websocket: answers that make no WebSocket", "[client][websocket]") {
    websocket_world w;
    const auto key = w.take_handshake();
    error_code expected = errc::protocol_error;
    std::string reason;
    std::optional<std::chrono::milliseconds> retry = 100ms;
    SECTION("404") {
        w.say_bytes("HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\n\r\nnothing");
        expected = client_errc::upgrade_refused;
        reason = "HTTP 404 Not Found";
    }
    SECTION("a redirection is not followed") {
        w.say_bytes("HTTP/1.1 302 Found\r\nLocation: /there\r\n\r\n");
        expected = client_errc::upgrade_refused;
    }
    SECTION("busy, with a hint") {
        w.say_bytes("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\n\r\n");
        expected = client_errc::upgrade_refused;
        retry = 7s;
    }
    SECTION("busy, with a date for a hint") {
        w.say_bytes("HTTP/1.1 503 Busy\r\nRetry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\n\r\n");
        expected = client_errc::upgrade_refused;
    }
    SECTION("unauthorized: another try would end the same way") {
        w.say_bytes("HTTP/1.1 401 Unauthorized\r\n\r\n");
        expected = errc::refused;
        retry = {};
    }
    SECTION("forbidden") {
        w.say_bytes("HTTP/1.1 403 Forbidden\r\n\r\n");
        expected = errc::refused;
        retry = {};
    }
    SECTION("the wrong key") { w.say_bytes(w.accepted("AAAAAAAAAAAAAAAAAAAAAA==")); }
    SECTION("no key") { w.say_bytes("HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"); }
    SECTION("another upgrade") {
        w.say_bytes(
            "HTTP/1.1 101 OK\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
            detail::websocket_accept(key) + "\r\n\r\n");
    }
    SECTION("no upgrade in Connection") {
        w.say_bytes(
            "HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: close\r\nSec-WebSocket-Accept: " +
            detail::websocket_accept(key) + "\r\n\r\n");
    }
    SECTION("an extension that was not offered") {
        w.say_bytes(w.accepted(key, "Sec-WebSocket-Extensions: permessage-deflate\r\n"));
    }
    SECTION("a subprotocol that was not offered") {
        w.say_bytes(w.accepted(key, "Sec-WebSocket-Protocol: mqtt\r\n"));
    }
    SECTION("no HTTP") { w.say_bytes("{\"close\":{\"code\":1000}}\r\n\r\n"); }
    SECTION("a header without an end") { w.say_bytes("HTTP/1.1 101 OK\r\n" + std::string(20'000, 'x')); }
    SECTION("a header of many lines without an end") {
        std::string text = "HTTP/1.1 101 OK\r\n";
        while (text.size() < 20'000)
            text += "X-Filler: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n";
        w.say_bytes(text);
    }
    SECTION("it ends in the middle") {
        w.say_bytes("HTTP/1.1 101 Switching Pro");
        w.hub().end();
        w.run();
        expected = errc::peer_closed;
    }
    const auto down = w.expect_down(expected);
    CHECK(down.retry_in == retry);
    CHECK(w.running.done() == !retry.has_value());
    if (!reason.empty())
        CHECK(down.reason == reason);
}

TEST_CASE("client websocket: every frame is masked, with a key of its own", "[client][websocket]") {
    websocket_world w;
    w.open();
    std::set<std::string> keys;
    for (int i = 0; i != 200; ++i) {
        const auto published = w.publish("a", "same");
        const auto& bytes = w.hub().written;
        REQUIRE(bytes.size() > 6);
        CHECK((static_cast<unsigned char>(bytes[1]) & 0x80) != 0);
        CHECK(keys.insert(bytes.substr(2, 4)).second);
        const auto asked = w.take_text("publish");
        CHECK(asked.payload == "same");
        w.reply_text(asked);
        CHECK(published.done());
    }
}

TEST_CASE("client websocket: messages in frames of any kind", "[client][websocket]") {
    websocket_world w;
    w.open();
    const std::string text = R"({"topic":"a","payload":"żółw"})";
    w.say_text(text);
    CHECK(w.take_payload() == "żółw");
    w.say_frame({0x82, text}); // binary
    CHECK(w.take_payload() == "żółw");
    w.say_frame({0x01, text.substr(0, 10)});
    w.say_frame({0x89, "between"});
    CHECK(w.take_frames() == ws_events{"pong:between"});
    w.say_frame({0x00, text.substr(10, 15)}); // cut inside a character
    w.say_frame({0x80, text.substr(25)});
    CHECK(w.take_payload() == "żółw");
    w.say_text(R"({"topic":"a","payload":")" + std::string(200'000, 'x') + "\"}");
    CHECK(w.take_payload().size() == 200'000);
    w.say_frame({0x8A, "unasked"});
    CHECK(w.client->connected());
}

TEST_CASE("client websocket: compressed messages", "[client][websocket]") {
    auto p = websocket_params();
    p.deflate = true;
    p.message_bytes = 1024;
    websocket_world w(p);
    const auto key = w.take_handshake();
    CHECK(
        w.request.find("\r\nSec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; "
                       "client_no_context_takeover\r\n") != std::string::npos);
    const auto opened = [&](const std::string& answer) {
        w.say_bytes(w.accepted(key, answer));
        w.reply_text(w.take_text("hello"));
        w.take_as<client_connected>();
    };
    const auto push_of = [](const std::string& payload) {
        return R"({"topic":"a","payload":")" + payload + "\"}";
    };
    const auto packed = [](const std::string& text) {
        std::string out;
        REQUIRE(websocket_deflater(15, 9).deflate(text, out));
        return out;
    };
    SECTION("from a hub that does not compress") {
        opened({});
        w.say_text(push_of("x"));
        CHECK(w.take_payload() == "x");
        w.say_frame({0xC1, packed(push_of(std::string(100, 'x')))});
        w.expect_down(errc::protocol_error);
    }
    SECTION("from one that does") {
        opened("Sec-WebSocket-Extensions: permessage-deflate;client_no_context_takeover; "
               "server_max_window_bits=15; server_no_context_takeover\r\n");
        w.say_text(push_of("as it is"));
        CHECK(w.take_payload() == "as it is");
        for (const std::size_t size : {100U, 900U}) {
            const std::string payload(size, 'x');
            const auto frame = packed(push_of(payload));
            w.say_frame({0xC1, frame});
            CHECK(w.take_payload() == payload);
            w.say_frame({0xC2, frame});
            CHECK(w.take_payload() == payload);
            w.say_frame({0x41, frame.substr(0, 7)});
            w.say_frame({0x89, "between"});
            CHECK(w.take_frames() == ws_events{"pong:between"});
            w.say_frame({0x80, frame.substr(7)});
            CHECK(w.take_payload() == payload);
        }
        const auto published = w.publish("a", std::string(1000, 'x'));
        w.reply_text(w.take_text("publish")); // as it is
        std::string code;
        error_code expected;
        SECTION("bad data") {
            w.say_frame({0xC1, "garbage"});
            code = "1007";
            expected = errc::protocol_error;
        }
        SECTION("no UTF-8") {
            w.say_frame({0xC1, packed(push_of(std::string(100, '\xFF')))});
            code = "1007";
            expected = errc::invalid_utf8;
        }
        SECTION("too large, though it is small") {
            w.say_frame({0xC1, packed(push_of(std::string(1024, 'x')))});
            code = "1009";
            expected = errc::message_too_large;
        }
        const auto frames = w.take_frames();
        REQUIRE(frames.size() == 1);
        CHECK(frames[0].starts_with("close:" + code + ":"));
        w.expect_down(expected);
    }
    SECTION("from one that does what was not offered") {
        const std::string answer = GENERATE(
            "permessage-deflate", "permessage-deflate; client_no_context_takeover",
            "permessage-deflate; server_no_context_takeover; client_max_window_bits=15",
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=16",
            "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
            "permessage-deflate; server_no_context_takeover; mystery",
            "permessage-deflate; server_no_context_takeover, other",
            "permessage-deflate; server_no_context_takeover, @", "other", "");
        CAPTURE(answer);
        w.say_bytes(w.accepted(key, "Sec-WebSocket-Extensions: " + answer + "\r\n"));
        w.expect_down(errc::protocol_error);
    }
}

TEST_CASE("client websocket: frames that break the rules", "[client][websocket]") {
    auto p = websocket_params();
    p.message_bytes = 1024;
    websocket_world w(p);
    w.open();
    error_code expected = errc::protocol_error;
    std::string code = "1002";
    const std::string text = R"({"topic":"a","payload":"x"})";
    SECTION("masked by a server") { w.say_frame({0x81, text, length_form::minimal, {}, true}); }
    SECTION("reserved bits") { w.say_frame({0xC1, text}); }
    SECTION("a reserved opcode") { w.say_frame({0x83, text}); }
    SECTION("a continuation of nothing") { w.say_frame({0x80, text}); }
    SECTION("a message in a message") {
        w.say_frame({0x01, text});
        w.say_frame({0x81, text});
    }
    SECTION("a long control frame") { w.say_frame({0x89, std::string(126, 'x')}); }
    SECTION("a length in too many bytes") { w.say_frame({0x81, text, length_form::bits64}); }
    SECTION("a close code that may not travel") { w.say_frame({0x88, "\x03\xEE"}); }
    SECTION("text that is not UTF-8") {
        w.say_text("\xFF");
        expected = errc::invalid_utf8;
        code = "1007";
    }
    SECTION("binary that is not UTF-8") {
        w.say_frame({0x82, "\xFF"});
        expected = errc::invalid_utf8;
        code = "1007";
    }
    SECTION("no JSON") {
        w.say_text("{");
        expected = errc::invalid_message;
    }
    SECTION("too large, by its header alone") {
        w.say_frame({0x81, "{", length_form::minimal, 1025});
        expected = errc::message_too_large;
        code = "1009";
    }
    SECTION("too large, in fragments") {
        w.say_frame({0x01, std::string(600, ' ')});
        w.say_frame({0x00, std::string(600, ' ')});
        expected = errc::message_too_large;
        code = "1009";
    }
    const auto frames = w.take_frames();
    REQUIRE(frames.size() == 1);
    CHECK(frames[0].starts_with("close:" + code + ":"));
    const auto down = w.expect_down(expected);
    CHECK(down.code == 0);
    CHECK(w.running.done() == (expected == errc::message_too_large));
}

TEST_CASE("client websocket: the hub closes", "[client][websocket]") {
    websocket_world w;
    w.open();
    std::string frame;
    std::uint16_t code = 0;
    std::chrono::milliseconds delay = 100ms;
    std::string answer;
    SECTION("overflow, with a hint") {
        append_close_frame(frame, 1013, "outbox overflow; retry after 2500 ms");
        code = 1013;
        delay = 2500ms;
        answer = "close:1013:";
    }
    SECTION("drain, with a hint") {
        append_close_frame(frame, 1001, "the broker is stopped; retry after 700 ms");
        code = 1001;
        delay = 700ms;
        answer = "close:1001:";
    }
    SECTION("kicked") {
        append_close_frame(frame, 1008, "kicked");
        code = 1008;
        answer = "close:1008:";
    }
    SECTION("without a code") {
        append_close_frame(frame, websocket_no_status);
        code = websocket_no_status;
        answer = "close:1005:";
    }
    w.say_bytes(frame);
    CHECK(w.take_frames() == ws_events{answer});
    const auto down = w.expect_down(errc::peer_closed);
    CHECK(down.code == code);
    CHECK(down.retry_in == delay);
}

TEST_CASE("client websocket: pings both ways", "[client][websocket]") {
    websocket_world w;
    w.open();
    w.pass(30s);
    CHECK(w.take_frames() == ws_events{"ping:"});
    w.say_frame({0x8A, ""});
    w.pass(30s);
    CHECK(w.take_frames() == ws_events{"ping:"});
    w.pass(5s);
    CHECK(!w.client->connected());
    CHECK(w.take_frames().empty());
    CHECK(w.take_as<client_disconnected>().error == errc::idle_timeout);
}

TEST_CASE(
    "client websocket: while it can't write, only the latest ping is owed an answer", "[client][websocket]") {
    websocket_world w;
    w.open();
    w.hub().room = 3;
    const auto published = w.publish("a", "x");
    for (int i = 0; i != 1000; ++i)
        w.say_frame({0x89, std::to_string(i)});
    w.hub().make_room(100'000);
    w.run();
    const auto frames = w.take_frames();
    REQUIRE(frames.size() == 2);
    CHECK(frames[0].starts_with("text:"));
    CHECK(frames[1] == "pong:999");
}

TEST_CASE("client websocket: always behind, it answers pings all the same", "[client][websocket]") {
    websocket_world w;
    w.open();
    w.hub().room = 0;
    const std::string payload(1000, 'x');
    for (int i = 0; i != 100; ++i)
        w.publish("a", payload);
    w.say_frame({0x89, "there?"});
    // It is never through with what it has to send.
    for (int i = 0; i != 200; ++i) {
        w.publish("a", payload);
        w.hub().make_room(1000);
        w.run();
    }
    const auto frames = w.take_frames();
    CHECK(frames.size() < 201);
    CHECK(std::count(frames.begin(), frames.end(), "pong:there?") == 1);
}

TEST_CASE("client websocket: close says goodbye, and waits for the hub", "[client][websocket]") {
    websocket_world w;
    w.open();
    w.client->close();
    w.run();
    CHECK(w.take_frames() == ws_events{"close:1000:"});
    CHECK(w.hub().shut);
    CHECK(!w.running.done());
    std::string frame;
    append_close_frame(frame, 1000);
    w.hub().say(frame);
    w.hub().end();
    w.run();
    CHECK(w.running.ec() == error_code());
}

TEST_CASE("client websocket: destroyed, it says goodbye if that needs no waiting", "[client][websocket]") {
    websocket_world w;
    w.open();
    SECTION("it does not") {
        w.client.reset();
        CHECK(w.take_frames() == ws_events{"close:1000:"});
    }
    SECTION("it would") {
        w.hub().room = 3;
        const auto published = w.publish("a", "x");
        w.client.reset();
        CHECK(w.hub().written.size() == 3);
    }
    CHECK(w.hub().closed);
}

TEST_CASE("client websocket: it pauses between frames that came together", "[client][websocket]") {
    auto p = websocket_params();
    p.inbox_messages = 2;
    websocket_world w(p);
    w.open();
    std::string bytes;
    for (int i = 0; i != 10; ++i)
        bytes += ws_bytes(
            websocket_role::server,
            ws_frame{0x81, R"({"topic":"a","payload":")" + std::to_string(i) + "\"}"});
    w.say_bytes(bytes);
    CHECK(!w.hub().reading);
    for (int i = 0; i != 10; ++i)
        CHECK(w.take_payload() == std::to_string(i));
    CHECK(w.hub().reading);
}

TEST_CASE("client websocket: it comes back as a WebSocket", "[client][websocket]") {
    websocket_world w;
    w.open();
    const auto key = w.request;
    w.hub().end();
    w.run();
    w.pass(100ms);
    const auto second = w.take_handshake();
    CHECK(key.find(second) == std::string::npos);
    w.say_bytes(w.accepted(second));
    w.reply_text(w.take_text("hello"));
    CHECK(w.client->connected());
}
