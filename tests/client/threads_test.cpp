// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// Clients and a broker in threads of their own: what ThreadSanitizer looks at.

#include <pusher/broker.hpp>

#include "client_sockets.hpp"

#include <boost/asio/post.hpp>

#include <exception>
#include <string>
#include <thread>

using namespace pusher;
using namespace test;

using hub_type = broker<transport::all>;

TEST_CASE(
    "client sockets: a client and a broker, each in a thread of its own", "[client][sockets][threads]") {
    boost::asio::io_context hub_io;
    broker_params settings;
    settings.history.messages = 100'000;
    hub_type hub(hub_io, settings);
    std::string url;
    SECTION("TCP") { url = tcp_url(hub.listen(tcp_params{}).port()); }
    SECTION("WebSocket") { url = ws_url(hub.listen(http_params{}).port()); }
    std::thread hub_thread([&] { hub_io.run(); });

    constexpr int count = 500;
    const auto talk = [&](const std::string& topic, std::string& trouble) {
        boost::asio::io_context io;
        client c(io, quick(url));
        c.async_run(detached);
        boost::asio::co_spawn(
            io,
            [&]() -> awaitable<void> {
                co_await c.async_subscribe(topic, use_awaitable);
                for (int i = 0; i != count; ++i) {
                    co_await c.async_publish(topic, std::to_string(i), use_awaitable);
                    if (i % 100 == 50) // a break from the other thread
                        boost::asio::post(hub_io, [&] {
                            hub.for_each_session([&](const session_info& s) { hub.kick(s.id); });
                        });
                }
            },
            [&](std::exception_ptr e) {
                // A publish may be in flight when the connection breaks; that is told, and the rest left.
                try {
                    if (e)
                        std::rethrow_exception(e);
                } catch (const boost::system::system_error& error) {
                    if (error.code() != client_condition::outcome_unknown)
                        trouble = error.code().message();
                }
                boost::asio::co_spawn(
                    io,
                    [&]() -> awaitable<void> {
                        // It too may be in flight when the other one breaks everybody's connection.
                        for (;;) {
                            const auto [ec, receipt] = co_await c.async_publish(topic, "end", as_tuple);
                            if (ec != client_condition::outcome_unknown)
                                break;
                        }
                    },
                    detached);
            });
        boost::asio::co_spawn(
            io,
            [&]() -> awaitable<void> {
                int last = -1;
                for (;;) {
                    const auto payload = co_await next_payload(c);
                    if (payload == "end")
                        break;
                    const auto n = std::stoi(payload);
                    if (n != last + 1)
                        trouble = "after " + std::to_string(last) + " came " + payload;
                    last = n;
                }
                c.close();
            },
            detached);
        io.run_for(30s);
        if (!io.stopped())
            trouble = "it takes for ever";
    };
    std::string first, second;
    std::thread other([&] { talk("one", first); });
    talk("two", second);
    other.join();
    boost::asio::post(hub_io, [&] { hub.cancel(); });
    hub_thread.join();
    CHECK(first.empty());
    CHECK(second.empty());
}
