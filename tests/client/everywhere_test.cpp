// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// Whoever publishes, and whoever listens: in process, the C++ client, and peers that speak the bytes of each
// transport themselves.

#include "client_sockets.hpp"
#include "hub_thread.hpp"
#include "net_peers.hpp"
#include "websocket_script.hpp"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using namespace test;

namespace {

using payloads = std::vector<std::string>;

/// A peer that sends requests, and gets replies and pushes, in whatever frames.
struct talker {
    std::function<void(const std::string& action, const std::string& params)> request;
    std::function<std::string()> next;
    payloads seen;

    /// The reply. Pushes that come before it are kept.
    std::string ask(const std::string& action, const std::string& params) {
        request(action, params);
        for (;;) {
            auto text = next();
            if (holds(text, R"("action":")" + action + '"'))
                return text;
            see(text);
        }
    }
    void see(const std::string& text) {
        seen.push_back(payload_of(text));
        if (seen.back().empty())
            throw std::runtime_error("neither a reply nor a push: " + text);
    }
    void see_until(const std::string& last) {
        while (seen.empty() || seen.back() != last)
            see(next());
    }
};

std::string request_text(const std::string& action, const std::string& params) {
    return R"({"request_id":"r","action":")" + action + R"(","params":)" + params + '}';
}

} // namespace

TEST_CASE(
    "everywhere: in process, the client, and peers on each transport see each message once and in order",
    "[client][sockets][threads]") {
    // In process: a handler, and one that receives. They belong to the hub's thread, and outlive its broker.
    payloads handled;
    payloads received;
    pusher::subscription handler;
    pusher::subscriber receiver;

    boost::asio::io_context io;
    hub_thread hub;
    const auto tcp_port = hub.listen(pusher::tcp_params{});
    const auto http_port = hub.listen(pusher::http_params{});
    const auto udp_port = hub.listen(pusher::udp_params{});
    const std::string topic = R"({"topic":"everywhere"})";
    const auto message = [](const std::string& payload) {
        return R"({"topic":"everywhere","payload":")" + payload + "\"}";
    };

    hub.on([&](auto& h) {
        handler =
            h.subscribe("everywhere", [&](const pusher::message& m) { handled.emplace_back(m.payload()); });
        receiver = h.make_subscriber();
        receiver.subscribe("everywhere");
        boost::asio::co_spawn(
            hub.io(),
            [&]() -> awaitable<void> {
                for (;;) {
                    const auto [ec, d] = co_await receiver.async_receive(as_tuple);
                    if (ec)
                        co_return;
                    received.emplace_back((*d.message)->payload());
                }
            },
            detached);
    });

    // The C++ client.
    pusher::client over_tcp(io, quick(tcp_url(tcp_port)));
    pusher::client over_websocket(io, quick(ws_url(http_port)));
    const std::map<std::string, pusher::client*> clients{
        {"client, TCP", &over_tcp}, {"client, WebSocket", &over_websocket}};
    for (const auto& [name, c] : clients) {
        c->async_run(detached);
        run(io, [client = c]() -> awaitable<void> {
            co_await client->async_subscribe("everywhere", use_awaitable);
            co_await next<pusher::client_connected>(*client);
        });
    }

    // Peers.
    raw_peer line(io, tcp_port);
    raw_peer websocket(io, http_port);
    websocket.send("GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    REQUIRE(answer_of(websocket).status == 101);
    udp_peer datagrams(io, udp_port);
    datagrams.shake();
    std::map<std::string, talker> peers;
    peers["TCP"] = {
        [&](const auto& action, const auto& params) { line.send(request_text(action, params) + '\n'); },
        [&] { return line.line(); },
        {}};
    peers["WebSocket"] = {
        [&](const auto& action, const auto& params) {
            websocket.send(
                ws_bytes(pusher::websocket_role::client, ws_frame{.payload = request_text(action, params)}));
        },
        [&] { return websocket_piece_of(websocket).payload; },
        {}};
    peers["UDP"] = {
        [&](const auto& action, const auto& params) { datagrams.request(action, params); },
        [&] { return datagrams.receive(); },
        {}};
    for (auto& [name, p] : peers)
        REQUIRE(holds(p.ask("subscribe", topic), R"("status":"ok")"));
    raw_peer events(io, http_port);
    events.send("GET /events?topic=everywhere&envelope=json HTTP/1.1\r\nHost: localhost\r\n\r\n");
    REQUIRE(answer_of(events).status == 200);
    talker stream{{}, [&] { return events.until("\n\n"); }, {}};
    raw_peer posts(io, http_port);

    // Everybody publishes, in turn.
    const std::size_t everybody = 2 + clients.size() + peers.size() + 1;
    hub.until_sessions(everybody - 2);
    payloads sent;
    for (int round = 0; round != 20; ++round) {
        const auto payload_by = [&](const std::string& name) {
            sent.push_back(name + ' ' + std::to_string(round));
            return sent.back();
        };
        hub.on([&](auto& h) {
            const auto r = h.publish("everywhere", payload_by("in process"));
            CHECK(r.matched == everybody);
        });
        for (const auto& [name, c] : clients)
            run(io, [&, client = c, payload = payload_by(name)]() -> awaitable<void> {
                const auto r = co_await client->async_publish("everywhere", payload, use_awaitable);
                CHECK(r.matched == everybody);
            });
        const auto matched = R"("matched":)" + std::to_string(everybody);
        for (auto& [name, p] : peers)
            CHECK(holds(p.ask("publish", message(payload_by(name))), matched));
        const auto body = message(payload_by("HTTP"));
        posts.send(
            "POST /publish HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + std::to_string(body.size()) +
            "\r\n\r\n" + body);
        CHECK(holds(answer_of(posts).body, matched));
    }
    // Connections keep order: when the last has come, nothing of the others can follow.
    sent.emplace_back("the last");
    hub.publish("everywhere", sent.back());

    for (const auto& [name, c] : clients) {
        payloads got;
        run(io, [&, client = c]() -> awaitable<void> {
            do
                got.push_back(co_await next_payload(*client));
            while (got.back() != sent.back());
        });
        INFO(name);
        CHECK(got == sent);
    }
    for (auto& [name, p] : peers) {
        p.see_until(sent.back());
        INFO(name);
        CHECK(p.seen == sent);
    }
    stream.see_until(sent.back());
    CHECK(stream.seen == sent);
    hub.until([&](auto&) { return !received.empty() && received.back() == sent.back(); });
    hub.on([&](auto&) {
        CHECK(handled == sent);
        CHECK(received == sent);
    });
}
