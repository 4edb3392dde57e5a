// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// A client over sockets, with brokers of every kind.

#include <pusher/broker.hpp>

#include "client_sockets.hpp"
#include "localhost.hpp"

#include <boost/asio/steady_timer.hpp>

#include <string>

using namespace pusher;
using namespace test;

using hub_type = broker<transport::all>;

TEST_CASE("client sockets: a conversation with a broker, over every transport", "[client][sockets]") {
    boost::asio::io_context io;
    broker_params settings;
    settings.history.messages = 100;
    hub_type hub(io, settings);
    socket_path path;
    client_params p;
    SECTION("TCP") { p = quick(tcp_url(hub.listen(tcp_params{}).port())); }
    SECTION("TCP, by name") {
        if (!test::localhost_is_known())
            return;
        p = quick("tcp://localhost:" + std::to_string(hub.listen(tcp_params{}).port()));
    }
    SECTION("WebSocket") { p = quick(ws_url(hub.listen(http_params{}).port())); }
    SECTION("WebSocket, compressed") {
        p = quick(ws_url(hub.listen(http_params{.deflate = {.enabled = true, .threshold = 64}}).port()));
        p.deflate = true;
    }
    SECTION("a Unix-domain socket") {
        hub.listen(tcp_params{.listen = {.address = "unix:" + path.text}});
        p = quick("unix:" + path.text);
    }
    client c(io, p);
    error_code ended = errc::stopped;
    c.async_run([&](error_code ec) { ended = ec; });
    run(io, [&]() -> awaitable<void> {
        const auto s = co_await c.async_subscribe("a", use_awaitable);
        CHECK(s.position.has_value());
        const auto up = co_await next<client_connected>(c);
        CHECK(!up.session.empty());
        CHECK(up.session == c.session());
        const auto r = co_await c.async_publish("a", "one", {.type = "t", .id = "id"}, use_awaitable);
        CHECK(r.matched == 1);
        CHECK(r.position.has_value());
        const auto m = co_await next<pinned_message>(c);
        CHECK(m->payload() == "one");
        CHECK(m->type() == "t");
        CHECK(m->id() == "id");
        CHECK(m->position() == r.position);

        const std::string large(60'000, 'x'); // near the hub's limit of a request
        co_await c.async_publish("a", large, use_awaitable);
        co_await expect(c, large);
        const auto [too_large, nothing] = co_await c.async_publish("a", std::string(70'000, 'x'), as_tuple);
        CHECK(too_large == errc::message_too_large);
        CHECK(nothing.matched == 0);
        hub.publish("a", std::string(900'000, '\x01')); // six times that as it travels
        co_await expect(c, std::string(900'000, '\x01'));

        const auto [unsupported, why] =
            co_await c.async_subscribe("b/#", {.match = match_mode::filter}, as_tuple);
        CHECK(!unsupported);
        hub.publish("b/c", "filtered");
        co_await expect(c, "filtered");
        co_await c.async_unsubscribe("a", use_awaitable);
        hub.publish("a", "unheard");
        hub.publish("b/c", "heard");
        co_await expect(c, "heard");
    });
    c.close();
    run(io, [&]() -> awaitable<void> {
        while (ended == errc::stopped || hub.stats().sessions != 0) {
            boost::asio::steady_timer turn(io, 1ms);
            co_await turn.async_wait(use_awaitable);
        }
    });
    CHECK(ended == error_code());
}

TEST_CASE("client sockets: thousands of messages each way keep their order", "[client][sockets]") {
    boost::asio::io_context io;
    broker_params settings;
    settings.outbox.messages = 100'000;
    settings.outbox.bytes = 64 * 1024 * 1024;
    hub_type hub(io, settings);
    client_params p;
    SECTION("TCP") { p = quick(tcp_url(hub.listen(tcp_params{}).port())); }
    SECTION("WebSocket") { p = quick(ws_url(hub.listen(http_params{}).port())); }
    SECTION("WebSocket, compressed") {
        p = quick(ws_url(hub.listen(http_params{.deflate = {.enabled = true, .threshold = 64}}).port()));
        p.deflate = true;
    }
    p.inbox_messages = 100; // it pauses again and again
    p.requests = 10'000;
    client c(io, p);
    c.async_run(detached);
    constexpr int count = 5000;
    int published = 0;
    for (int i = 0; i != count; ++i)
        c.async_publish("up", std::to_string(i), [&published, i](error_code ec, const auto&) {
            if (!ec && published == i)
                ++published;
        });
    int arrived = 0;
    const auto s = hub.subscribe("up", [&](const message& m) {
        if (m.payload() == std::to_string(arrived))
            ++arrived;
    });
    run(io, [&]() -> awaitable<void> {
        co_await c.async_subscribe("down", use_awaitable);
        for (int i = 0; i != count; ++i)
            hub.publish("down", std::to_string(i));
        for (int i = 0; i != count; ++i) {
            const auto payload = co_await next_payload(c);
            if (payload != std::to_string(i)) {
                CHECK(payload == std::to_string(i));
                co_return;
            }
        }
    });
    CHECK(arrived == count);
    CHECK(published == count);
}

TEST_CASE("client sockets: it comes back to a broker that was away, and resumes", "[client][sockets]") {
    boost::asio::io_context io;
    broker_params settings;
    settings.history.messages = 100;
    settings.retry_after = 1ms;
    hub_type hub(io, settings);
    client_params p;
    std::uint16_t port = 0;
    const auto listen = [&](bool websocket) {
        // The port is free again at once: listeners reuse the address.
        return websocket ? hub.listen(http_params{.listen = stream_address{.port = port}})
                         : hub.listen(tcp_params{.listen = {.port = port}});
    };
    bool websocket = false;
    SECTION("TCP") {}
    SECTION("WebSocket") { websocket = true; }
    auto door = listen(websocket);
    port = door.port();
    client c(io, quick(websocket ? ws_url(port) : tcp_url(port)));
    c.async_run(detached);
    run(io, [&]() -> awaitable<void> {
        co_await c.async_subscribe("a", use_awaitable);
        hub.publish("a", "1");
        co_await expect(c, "1");
        for (int round = 0; round != 5; ++round) {
            door.stop();
            hub.for_each_session([&](const session_info& s) { hub.kick(s.id, "restart"); });
            const auto down = co_await next<client_disconnected>(c);
            CHECK(down.error == errc::peer_closed);
            CHECK(down.code == 1008);
            CHECK(down.reason == "restart");
            hub.publish("a", "meanwhile");
            const auto refused = co_await next<client_disconnected>(c);
            CHECK(refused.error == boost::asio::error::connection_refused);
            door = listen(websocket);
            const auto up = co_await next<client_connected>(c);
            CHECK(up.again);
            hub.publish("a", "after");
            co_await expect(c, "meanwhile");
            co_await expect(c, "after");
        }
    });
}

TEST_CASE("client sockets: too slow for its outbox, it is sent away, and resumes", "[client][sockets]") {
    boost::asio::io_context io;
    broker_params settings;
    settings.history.messages = 10'000;
    settings.outbox.messages = 50;
    settings.outbox.overflow = overflow_policy::disconnect;
    settings.retry_after = 5ms;
    hub_type hub(io, settings);
    client_params p;
    SECTION("TCP") { p = quick(tcp_url(hub.listen(tcp_params{}).port())); }
    SECTION("WebSocket") { p = quick(ws_url(hub.listen(http_params{}).port())); }
    p.inbox_messages = 10;
    client c(io, p);
    c.async_run(detached);
    run(io, [&]() -> awaitable<void> {
        co_await c.async_subscribe("a", use_awaitable);
        const std::string filler(20'000, 'x'); // more than the sockets' buffers hold
        constexpr int count = 2000;
        int sent_away = 0;
        for (int i = 0; i != count; ++i)
            hub.publish("a", std::to_string(i) + ' ' + filler);
        for (int i = 0; i != count;) {
            auto e = co_await c.async_receive(use_awaitable);
            if (const auto* const m = std::get_if<pinned_message>(&e)) {
                const auto payload = (*m)->payload();
                CHECK(payload.substr(0, payload.find(' ')) == std::to_string(i));
                ++i;
            } else if (const auto* const d = std::get_if<client_disconnected>(&e)) {
                ++sent_away;
                if (d->code != 0)
                    CHECK(d->code == 1013);
            }
            CHECK(!std::holds_alternative<client_gap>(e));
            CHECK(!std::holds_alternative<client_unrecovered>(e));
        }
        CHECK(sent_away > 0);
    });
}

TEST_CASE("client sockets: HTTP servers that refuse", "[client][sockets]") {
    boost::asio::io_context io;
    broker_params settings;
    std::string seen;
    settings.authenticate = [&](const authentication_request& r, authentication_answer answer) {
        if (!r.http)
            return answer(authentication_result::refused());
        seen = std::string((*r.http)["Authorization"]);
        answer(
            seen == "Bearer good" ? authentication_result::identified("100")
                                  : authentication_result::refused("no"));
    };
    hub_type hub(io, settings);
    const auto port = hub.listen(http_params{}).port();
    SECTION("another path") {
        client c(io, quick(ws_url(port, "/nowhere")));
        c.async_run(detached);
        run(io, [&]() -> awaitable<void> {
            const auto down = co_await next<client_disconnected>(c);
            CHECK(down.error == client_errc::upgrade_refused);
            CHECK(down.reason == "HTTP 404 Not Found");
            CHECK(down.retry_in.has_value());
        });
    }
    SECTION("no credential") {
        client c(io, quick(ws_url(port)));
        run(io, [&]() -> awaitable<void> {
            const auto [ec] = co_await c.async_run(as_tuple);
            CHECK(ec == errc::refused);
            const auto down = co_await next<client_disconnected>(c);
            CHECK(!down.retry_in);
        });
    }
    SECTION("a credential in a header") {
        auto p = quick(ws_url(port));
        p.headers = {{"Authorization", "Bearer good"}};
        client c(io, p);
        c.async_run(detached);
        run(io, [&]() -> awaitable<void> {
            co_await next<client_connected>(c);
            hub.push_to("100", "x", "hello");
            co_await expect(c, "hello");
        });
        CHECK(seen == "Bearer good");
    }
}
