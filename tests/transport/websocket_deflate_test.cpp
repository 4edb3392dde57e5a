// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include <pusher/dialect/websocket_deflate.hpp>

#include "broker_script.hpp"
#include "catch.hpp"
#include "net_peers.hpp"
#include "websocket_script.hpp"

#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// Compressed WebSocket over sockets: as bytes, and with Beast at the other end.

using namespace test;
using pusher::errc;

namespace {

namespace websocket = boost::beast::websocket;

constexpr auto client_side = pusher::websocket_role::client;

std::string handshake(const std::vector<std::string>& offers) {
    std::string text = "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (const auto& o : offers)
        text += "Sec-WebSocket-Extensions: " + o + "\r\n";
    return text + "\r\n";
}

std::string frame(unsigned first, const std::string& payload) {
    return ws_bytes(client_side, ws_frame{.first = first, .payload = payload});
}

std::string packed(std::string_view text) {
    std::string out;
    if (!pusher::websocket_deflater(15, 9).deflate(text, out))
        throw std::runtime_error("it does not become shorter");
    return out;
}

/// A request that becomes shorter.
std::string ping_request(const std::string& id, std::size_t padding = 200) {
    return R"({"action":"ping","padding":")" + std::string(padding, '.') + R"(","request_id":")" + id + "\"}";
}

/// One frame of the hub, as `brief` says it, after `compressed ` if it is.
std::string heard(raw_peer& p) {
    const auto [first, payload] = websocket_piece_of(p);
    if (first == 0x88)
        return "close " + std::to_string(
                              static_cast<unsigned char>(payload.at(0)) << 8 |
                              static_cast<unsigned char>(payload.at(1)));
    if (first == 0x8A)
        return "pong " + payload;
    if (first == 0x81)
        return brief(payload);
    if (first != 0xC1)
        throw std::runtime_error("an unexpected frame");
    pusher::websocket_inflater in;
    std::string text;
    CHECK(in.inflate(payload, 1 << 20, text) == pusher::websocket_inflater::result::done);
    return "compressed " + brief(text);
}

struct fixture {
    explicit fixture(pusher::http_params p = {.deflate = {.enabled = true}}) : port(hub.listen(p)) {}

    raw_peer peer(const std::string& offer = "permessage-deflate") {
        raw_peer p(io, port);
        p.send(handshake({offer}));
        if (answer_of(p).status != 101)
            throw std::runtime_error("no handshake");
        return p;
    }
    std::string answer_to(const std::vector<std::string>& offers) {
        raw_peer p(io, port);
        p.send(handshake(offers));
        const auto a = answer_of(p);
        CHECK(a.status == 101);
        return a["Sec-WebSocket-Extensions"];
    }

    asio::io_context io;
    hub_thread hub;
    std::uint16_t port;
};

/// Another implementation, whole.
class beast_peer {
public:
    beast_peer(asio::io_context& io, std::uint16_t port, const websocket::permessage_deflate& wants)
        : io_(io),
          ws_(connect(io, port)) {
        ws_.set_option(wants);
        websocket::response_type answer;
        ws_.handshake(answer, "localhost", "/ws");
        const auto value = answer["Sec-WebSocket-Extensions"];
        extensions.assign(value.data(), value.size());
    }

    void send(const std::string& text) { ws_.write(asio::buffer(text)); }
    void send_in_pieces(const std::string& text, std::size_t size) {
        std::size_t at = 0;
        for (; at + size < text.size(); at += size) {
            ws_.write_some(false, asio::buffer(text.data() + at, size));
            ws_.ping("between");
        }
        ws_.write_some(true, asio::buffer(text.data() + at, text.size() - at));
    }
    std::string receive() {
        // Not `read`: a peer that nobody answers is a failure, not a test that hangs.
        boost::beast::flat_buffer in;
        error_code outcome = asio::error::timed_out;
        ws_.async_read(in, [&](error_code ec, std::size_t) { outcome = ec; });
        io_.restart();
        io_.run_for(std::chrono::seconds(30));
        if (outcome)
            throw boost::system::system_error(outcome);
        return boost::beast::buffers_to_string(in.data());
    }

    std::string extensions;

private:
    asio::io_context& io_;
    websocket::stream<tcp::socket> ws_;
};

websocket::permessage_deflate wants(int server_bits, int client_bits) {
    websocket::permessage_deflate o;
    o.client_enable = true;
    o.server_max_window_bits = server_bits;
    o.client_max_window_bits = client_bits;
    return o;
}

std::string prose(std::size_t size, unsigned seed = 1) {
    std::string text;
    for (unsigned n = seed; text.size() < size; n = n * 1103515245U + 12345U)
        text += "price " + std::to_string(n >> 16) + ", name somebody; ";
    text.resize(size);
    return text;
}

} // namespace

TEST_CASE("WebSocket, compressed: the handshake") {
    const std::string alone = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    fixture f;
    CHECK(f.answer_to({"permessage-deflate; client_max_window_bits"}) == alone);
    CHECK(
        f.answer_to({"permessage-deflate; server_max_window_bits=13"}) ==
        alone + "; server_max_window_bits=12");
    CHECK(f.answer_to({}).empty());
    CHECK(f.answer_to({"permessage-deflate; mystery"}).empty());
    CHECK(f.answer_to({"other", "permessage-deflate; mystery", "permessage-deflate"}) == alone);
    SECTION("not unless the host says so") {
        fixture plain(pusher::http_params{});
        CHECK(plain.answer_to({"permessage-deflate"}).empty());
    }
    SECTION("parameters out of their range") {
        CHECK_THROWS_AS(
            f.hub.listen(pusher::http_params{.deflate = {.enabled = true, .level = 0}}),
            std::invalid_argument);
    }
}

TEST_CASE("WebSocket, compressed: pushes are, from the threshold on") {
    fixture f({.deflate = {.enabled = true, .threshold = 500}});
    auto a = f.peer();
    auto b = f.peer("permessage-deflate; server_max_window_bits=9");
    auto plain = f.peer("nothing that is known");
    for (auto* const p : {&a, &b, &plain}) {
        p->send(frame(0x81, R"({"action":"subscribe","params":{"topic":"t"}})"));
        CHECK(heard(*p) == "ok");
    }
    for (const std::size_t size : {1U, 300U, 500U, 5000U, 100'000U}) {
        CAPTURE(size);
        const auto text = prose(size);
        f.hub.publish("t", text);
        const std::string mark = size < 500 ? "" : "compressed ";
        CHECK(heard(a) == mark + "t=" + text);
        CHECK(heard(b) == mark + "t=" + text);
        CHECK(heard(plain) == "t=" + text);
    }
    SECTION("replies are not") {
        const auto id = std::string(200, 'i');
        a.send(frame(0x81, ping_request(id)));
        CHECK(heard(a) == "ok " + id);
    }
}

TEST_CASE("WebSocket, compressed: what a peer sends") {
    fixture f;
    auto p = f.peer();
    p.send(frame(0xC1, packed(ping_request("1"))));
    CHECK(heard(p) == "ok 1");
    p.send(frame(0xC2, packed(ping_request("2"))));
    CHECK(heard(p) == "ok 2");
    p.send(frame(0x81, ping_request("3"))); // it need not
    CHECK(heard(p) == "ok 3");
    p.send(frame(0xC1, std::string(1, '\0'))); // an empty message
    CHECK(heard(p).starts_with("fail"));

    SECTION("in fragments, with pings in between") {
        const auto whole = packed(ping_request("fr"));
        p.send(frame(0x41, whole.substr(0, 5)) + frame(0x89, "one"));
        CHECK(heard(p) == "pong one");
        p.send(frame(0x00, "") + frame(0x00, whole.substr(5, 1)) + frame(0x89, "two"));
        CHECK(heard(p) == "pong two");
        p.send(frame(0x80, whole.substr(6)));
        CHECK(heard(p) == "ok fr");
    }
    SECTION("with a final fragment that is empty") {
        p.send(frame(0x41, packed(ping_request("4"))) + frame(0x80, ""));
        CHECK(heard(p) == "ok 4");
    }
    SECTION("two peers at once, piece by piece") {
        auto q = f.peer();
        const auto one = packed(ping_request("one"));
        const auto two = packed(ping_request("two"));
        p.send(frame(0x41, one.substr(0, 9)));
        q.send(frame(0x41, two.substr(0, 9)));
        p.send(frame(0x80, one.substr(9)));
        q.send(frame(0x80, two.substr(9)));
        CHECK(heard(p) == "ok one");
        CHECK(heard(q) == "ok two");
    }
}

TEST_CASE("WebSocket, compressed: what is none ends the connection, with the code for it") {
    // Without a word of the peer's, for which there would be time.
    fixture f(
        {.limits = {.request_bytes = 1000, .close_timeout = std::chrono::minutes(10)},
         .deflate = {.enabled = true}});
    auto witness = f.peer();
    const auto bomb = packed(std::string(60'000, 'x'));
    REQUIRE(bomb.size() < 1000);
    struct row {
        std::string bytes;
        int code;
    };
    const std::vector<row> table{
        {frame(0xC1, "garbage"), 1007},
        {frame(0xC1, ""), 1007},
        {frame(0xC1, packed(ping_request("x")).substr(0, 30)), 1007},
        {frame(0xC1, packed(std::string(200, '\xFF'))), 1007}, // no UTF-8
        {frame(0xC2, packed(std::string(200, '\xFF'))), 1007},
        {frame(0xC1, bomb), 1009},
        {frame(0x41, bomb.substr(0, 50)) + frame(0x80, bomb.substr(50)), 1009},
        {frame(0xC1, std::string(1001, 'x')), 1009},
        {frame(0x41, "x") + frame(0xC0, "y"), 1002}, // only the first frame of a message is marked
        {frame(0xC9, ""), 1002},                     // control frames never are
        {frame(0xA1, ""), 1002},
        {frame(0x91, ""), 1002}};
    for (const auto& r : table) {
        CAPTURE(r.code, r.bytes);
        auto p = f.peer();
        p.send(r.bytes);
        p.try_send(frame(0xC1, packed(ping_request("not heard"))));
        CHECK(heard(p) == "close " + std::to_string(r.code));
        CHECK(p.rest().empty());
    }
    SECTION("by who has not agreed to it") {
        auto plain = f.peer("other");
        plain.send(frame(0xC1, packed(ping_request("1"))));
        CHECK(heard(plain) == "close 1002");
        f.hub.until_closed(table.size() + 1);
    }
    // 1000 bytes and no more are what anybody may make the hub hold.
    const auto id = std::string(255, 'i');
    witness.send(frame(0xC1, packed(ping_request(id, 1000 - ping_request(id, 0).size()))));
    CHECK(heard(witness) == "ok " + id);
    witness.send(frame(0xC1, packed(ping_request(id, 1001 - ping_request(id, 0).size()))));
    CHECK(heard(witness) == "close 1009");
}

TEST_CASE("WebSocket, compressed: with Beast at the other end") {
    fixture f({.deflate = {.enabled = true, .threshold = 100}});
    for (const auto& [server_bits, client_bits] :
         std::vector<std::pair<int, int>>{{15, 15}, {12, 12}, {10, 9}, {9, 15}, {15, 9}}) {
        CAPTURE(server_bits, client_bits);
        beast_peer p(f.io, f.port, wants(server_bits, client_bits));
        CHECK(p.extensions.starts_with("permessage-deflate; "));
        p.send(R"({"action":"subscribe","params":{"topic":"t"}})");
        CHECK(brief(p.receive()) == "ok");
        for (const std::size_t size : {10U, 1000U, 40'000U, 60'000U}) {
            const auto text = prose(size, static_cast<unsigned>(size));
            const auto request =
                R"({"action":"publish","request_id":"p","params":{"topic":"t","payload":")" + text + "\"}}";
            for (const auto pieces : {false, true}) {
                if (pieces)
                    p.send_in_pieces(request, 7777);
                else
                    p.send(request);
                std::vector<std::string> got{brief(p.receive()), brief(p.receive())};
                std::sort(got.begin(), got.end());
                CHECK(got == std::vector<std::string>{"ok p matched 1", "t=" + text});
            }
            f.hub.publish("t", text); // another turn
            CHECK(brief(p.receive()) == "t=" + text);
        }
    }
}

TEST_CASE("WebSocket, compressed: a reader who is slow gets whole frames") {
    fixture f;
    raw_peer slow(f.io, f.port, 4096);
    slow.send(handshake({"permessage-deflate"}));
    CHECK(answer_of(slow).status == 101);
    slow.send(frame(0x81, R"({"action":"subscribe","params":{"topic":"t"}})"));
    CHECK(heard(slow) == "ok");
    // What was taken in part is written to its end, though it was encoded anew meanwhile.
    for (unsigned i = 0; i != 200; ++i)
        f.hub.publish("t", std::to_string(i) + "." + prose(20'000, i));
    unsigned next = 0;
    unsigned compressed = 0;
    while (next != 200) {
        const auto text = heard(slow);
        if (text.starts_with("!t ")) {
            next += static_cast<unsigned>(std::stoi(text.substr(3)));
            continue;
        }
        REQUIRE(text == "compressed t=" + std::to_string(next) + "." + prose(20'000, next));
        ++next;
        ++compressed;
    }
    CHECK(compressed > 10);
}
