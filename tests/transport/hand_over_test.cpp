// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

#include "broker_script.hpp"
#include "catch.hpp"
#include "net_peers.hpp"
#include "websocket_script.hpp"

#include <boost/asio/local/connect_pair.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

#include <functional>
#include <memory>
#include <string>

// A host with a server of its own, that hands connections over in the middle.

using namespace test;
using namespace std::chrono_literals;
namespace beast = boost::beast;
namespace http = boost::beast::http;

namespace {

/// A server with Beast on the broker's event loop. It answers `/own` by itself, and gives away all else with
/// whatever it has read beyond the request.
template <class Body>
class own_server : public std::enable_shared_from_this<own_server<Body>> {
public:
    using request = http::request<Body>;
    using give_away = std::function<void(beast::tcp_stream, request, std::string)>;

    own_server(asio::io_context& io, give_away to)
        : acceptor_(io, {asio::ip::address_v4::loopback(), 0}),
          to_(std::move(to)) {}

    [[nodiscard]] std::uint16_t port() const { return acceptor_.local_endpoint().port(); }

    void accept() {
        acceptor_.async_accept([self = this->shared_from_this()](error_code ec, tcp::socket socket) {
            if (ec)
                return;
            self->read(std::make_shared<connection>(std::move(socket)));
            self->accept();
        });
    }
    void stop() { acceptor_.close(); }

private:
    struct connection {
        explicit connection(tcp::socket s) : stream(std::move(s)) {}

        beast::tcp_stream stream;
        beast::flat_buffer buffer;
        request in;
        http::response<http::string_body> out;
    };

    void read(const std::shared_ptr<connection>& c) {
        c->in = {};
        c->stream.expires_after(20s); // which must not count for the broker
        http::async_read(
            c->stream, c->buffer, c->in, [self = this->shared_from_this(), c](error_code ec, std::size_t) {
                if (ec)
                    return;
                if (c->in.target() == "/own")
                    return self->answer(c);
                std::string leftover(static_cast<const char*>(c->buffer.data().data()), c->buffer.size());
                self->to_(std::move(c->stream), std::move(c->in), std::move(leftover));
            });
    }
    void answer(const std::shared_ptr<connection>& c) {
        c->out = http::response<http::string_body>(http::status::ok, 11);
        c->out.body() = "the host's own";
        c->out.prepare_payload();
        http::async_write(
            c->stream, c->out, [self = this->shared_from_this(), c](error_code ec, std::size_t) {
                if (!ec)
                    self->read(c);
            });
    }

    tcp::acceptor acceptor_;
    give_away to_;
};

template <class Body = http::string_body>
struct host {
    explicit host(pusher::http_params p = {.listen = std::nullopt}, pusher::broker_params b = {})
        : hub(std::move(b)) {
        hub.on([&](auto& h) {
            server = std::make_shared<own_server<Body>>(
                hub.io(), [&h, p](beast::tcp_stream s, http::request<Body> r, std::string leftover) {
                    if (r.target() == "/socket/stats") { // the socket alone
                        r.target("/stats");
                        return h.accept(s.release_socket(), std::move(r), std::move(leftover), p);
                    }
                    h.accept(std::move(s), std::move(r), std::move(leftover), p);
                });
            server->accept();
        });
    }
    ~host() {
        hub.on([&](auto&) { server->stop(); });
    }
    raw_peer peer() { return {io, server->port()}; }

    asio::io_context io;
    hub_thread hub;
    std::shared_ptr<own_server<Body>> server;
};

const std::string own = "GET /own HTTP/1.1\r\nHost: a\r\n\r\n";
const std::string upgrade =
    "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

std::string text_frame(const std::string& payload) {
    return ws_bytes(pusher::websocket_role::client, ws_frame{.payload = payload});
}

std::string post(const std::string& payload) {
    const auto body = R"({"topic":"t","payload":")" + payload + "\"}";
    return "POST /publish HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(body.size()) +
           "\r\n\r\n" + body;
}

/// A text frame of the hub, of at most 64 KiB.
std::string frame(raw_peer& p) {
    const auto head = p.bytes(2);
    if (static_cast<unsigned char>(head[0]) != 0x81)
        throw std::runtime_error("no text frame");
    auto size = static_cast<std::size_t>(static_cast<unsigned char>(head[1]));
    if (size == 126) {
        const auto more = p.bytes(2);
        size = static_cast<std::size_t>(
            static_cast<unsigned char>(more[0]) << 8 | static_cast<unsigned char>(more[1]));
    }
    return p.bytes(size);
}

} // namespace

TEST_CASE("hand-over: a WebSocket") {
    host h;
    auto p = h.peer();
    p.send(own);
    CHECK(answer_of(p).body == "the host's own");
    const auto subscribe = text_frame(R"({"action":"subscribe","params":{"topic":"t"}})");

    SECTION("with nothing behind the request") {
        p.send(upgrade);
        CHECK(answer_of(p).status == 101);
        p.send(subscribe);
    }
    SECTION("with whole frames behind it") {
        p.send(upgrade + text_frame(R"({"action":"ping","request_id":"1"})") + subscribe);
        CHECK(answer_of(p).status == 101);
        CHECK(brief(frame(p)) == "ok 1");
    }
    SECTION("with part of a frame behind it") {
        p.send(upgrade + subscribe.substr(0, 10));
        CHECK(answer_of(p).status == 101);
        p.send(subscribe.substr(10));
    }
    CHECK(brief(frame(p)) == "ok");
    h.hub.publish("t", "handed over");
    CHECK(brief(frame(p)) == "t=handed over");
    CHECK(h.hub.on([&](auto& b) {
        std::string peer;
        b.for_each_session([&](const auto& s) { peer = s.peer; });
        return peer;
    }) == pusher::detail::endpoint_text(p.socket.local_endpoint()));
    reset(p.socket);
    h.hub.until_sessions(0);
}

TEST_CASE("hand-over: an event stream") {
    host h;
    auto p = h.peer();
    p.send("GET /events?topic=t HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(answer_of(p)["Content-Type"] == "text/event-stream");
    h.hub.publish("t", "handed over");
    CHECK(p.until("\n\n") == "event: message\ndata: handed over\n\n");
    p.shutdown();
    CHECK(p.rest().empty());
}

TEST_CASE("hand-over: requests, and those that follow them") {
    pusher::http_params with_own;
    with_own.listen.reset();
    with_own.handler = [](const pusher::http_connection_ptr& c) {
        if (c->request().target() != "/own")
            return false;
        pusher::http_response r(http::status::ok, 11);
        r.body() = "own";
        c->respond(std::move(r));
        return true;
    };
    host h(with_own);
    auto p = h.peer();
    // The connection is the broker's from the first one on, and the host's handler answers the rest.
    p.send(post("1") + post("2") + own + "GET /stats HT");
    CHECK(answer_of(p).body == R"({"matched":0})");
    CHECK(answer_of(p).body == R"({"matched":0})");
    CHECK(answer_of(p).body == "own");
    p.send("TP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    CHECK(boost::json::parse(answer_of(p).body).as_object().at("published") == 2);
    CHECK(p.rest().empty());

    auto q = h.peer();
    q.send("GET /socket/stats HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(answer_of(q).status == 200);
    // What is no request any more is refused as at a listener.
    auto r = h.peer();
    r.send(post("3") + "?\r\n\r\n");
    CHECK(answer_of(r).status == 200);
    CHECK(answer_of(r).status == 400);
    CHECK(r.rest().empty());
}

TEST_CASE("hand-over: the host's parameters count") {
    host h({.listen = std::nullopt, .publish_path = "/p", .allowed_origins = {"https://page.example"}});
    auto p = h.peer();
    p.send("POST /publish HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    CHECK(answer_of(p).status == 404);
    auto q = h.peer();
    q.send("GET /stats HTTP/1.1\r\nHost: a\r\nOrigin: https://page.example\r\n\r\n");
    CHECK(answer_of(q)["Access-Control-Allow-Origin"] == "https://page.example");
    auto r = h.peer();
    r.send("GET /stats HTTP/1.1\r\nHost: a\r\nOrigin: https://elsewhere.example\r\n\r\n");
    CHECK(answer_of(r).status == 403);
    // `listen` is for `listen`.
    h.hub.on([](auto& b) {
        pusher::broker<pusher::transport::all> fresh(b.get_executor());
        CHECK_THROWS_AS(
            fresh.accept(
                tcp::socket(b.get_executor()), pusher::http_request(http::verb::get, "/stats", 11), {},
                pusher::http_params{}),
            std::invalid_argument);
    });
}

TEST_CASE("hand-over: requests of other kinds of bodies") {
    host<http::vector_body<char>> with_body;
    auto p = with_body.peer();
    p.send(post("1"));
    CHECK(answer_of(p).body == R"({"matched":0})");
    host<http::empty_body> without;
    auto q = without.peer();
    q.send(upgrade);
    CHECK(answer_of(q).status == 101);
}

TEST_CASE("hand-over: a drain ends what was handed over") {
    pusher::http_params going_on;
    going_on.listen.reset();
    going_on.handler = [](const pusher::http_connection_ptr&) { return false; };
    host h(going_on);
    auto idle = h.peer();
    idle.send(post("1"));
    CHECK(answer_of(idle).status == 200);
    auto socket = h.peer();
    socket.send(upgrade + text_frame(R"({"action":"ping"})"));
    CHECK(answer_of(socket).status == 101);
    CHECK(brief(frame(socket)) == "ok");
    std::promise<error_code> drained;
    h.hub.on([&](auto& b) { b.async_drain(20s, [&](error_code ec) { drained.set_value(ec); }); });
    CHECK(idle.rest().empty());
    CHECK(socket.bytes(4).substr(2) == "\x03\xe9");
    socket.send(ws_bytes(pusher::websocket_role::client, ws_frame{.first = 0x88, .payload = "\x03\xe9"}));
    socket.rest();
    CHECK_FALSE(drained.get_future().get());
}

TEST_CASE("adopt: a connected socket speaks lines") {
    hub_thread hub;
    asio::io_context io;
    SECTION("of TCP, accepted or connected by the host") {
        tcp::acceptor acceptor(io, {asio::ip::address_v4::loopback(), 0});
        raw_peer p(io, acceptor.local_endpoint().port());
        // A socket of another context; its handle changes owner.
        auto socket = acceptor.accept();
        hub.on([&](auto& h) { h.adopt(pusher::stream_socket(std::move(socket)), {.request_bytes = 100}); });
        p.subscribe("t");
        hub.publish("t", "adopted");
        CHECK(payload_of(p.line()) == "adopted");
        p.send(std::string(101, 'x') + "\n");
        CHECK(brief(p.line()) == "fail the request is longer than 100 bytes");
        CHECK(brief(p.line()).starts_with("close 1009"));
        CHECK(p.rest().empty());
        CHECK(hub.on([](auto& h) { return h.stats().transports.at("tcp").accepted; }) == 1);
    }
    SECTION("of a pair within the process") {
        asio::local::stream_protocol::socket near(io);
        asio::local::stream_protocol::socket far(io);
        asio::local::connect_pair(near, far);
        hub.on([&](auto& h) { h.adopt(pusher::stream_socket(std::move(far))); });
        line_client<asio::local::stream_protocol::socket> p(std::move(near));
        p.request("ping", "{}");
        CHECK(brief(p.line()) == "ok r");
    }
    SECTION("with limits in their range") {
        hub.on([](auto& h) {
            CHECK_THROWS_AS(
                h.adopt(pusher::stream_socket(h.get_executor()), {.idle_timeout = 1ms}),
                std::invalid_argument);
        });
    }
    SECTION("that is over already") {
        tcp::acceptor acceptor(io, {asio::ip::address_v4::loopback(), 0});
        std::optional<raw_peer> p(std::in_place, io, acceptor.local_endpoint().port());
        auto socket = acceptor.accept();
        reset(p->socket);
        hub.on([&](auto& h) { h.adopt(pusher::stream_socket(std::move(socket))); });
        CHECK(hub.until_closed(1).size() == 1);
        CHECK(hub.on([](auto& h) { return h.stats().sessions; }) == 0);
    }
}
