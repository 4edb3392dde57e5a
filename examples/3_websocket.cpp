// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// A broker that browsers can use: WebSocket, server-sent events and `POST /publish` on one port, and a clock
// that publishes from C++.
//
//   3_websocket [PORT]        # 8080 unless given; Ctrl-C ends it
//
// Then, each in a window of its own:
//
//   curl -N 'http://127.0.0.1:8080/events?topic=clock'
//   curl -d '{"topic":"chat","payload":"hello"}' http://127.0.0.1:8080/publish
//
// or, in the console of a browser that shows http://127.0.0.1:8080/stats (a page from elsewhere would be
// refused):
//
//   ws = new WebSocket('ws://127.0.0.1:8080/ws');
//   ws.onmessage = (e) => console.log(e.data);
//   ws.onopen = () => ws.send('{"action":"subscribe","params":{"topic":"clock"}}');

#include <pusher/broker.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <string>

namespace asio = boost::asio;

namespace {

asio::awaitable<void> tick(pusher::broker_core& broker) {
    asio::steady_timer timer(broker.get_executor());
    for (int seconds = 0; !broker.stopped(); ++seconds) {
        broker.publish("clock", std::to_string(seconds)); // costs next to nothing while nobody subscribes
        timer.expires_after(std::chrono::seconds(1));
        co_await timer.async_wait(asio::use_awaitable);
    }
}

} // namespace

int main(int argc, char** argv) try {
    const auto port = static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 8080);
    asio::io_context io;
    asio::signal_set signals(io, SIGINT, SIGTERM);
    pusher::broker<pusher::transport::websocket> broker(io);
    const auto listener = broker.listen(pusher::http_params{.listen = pusher::stream_address{.port = port}});
    std::cout << "listening http " << listener.local_endpoint() << std::endl;

    asio::co_spawn(io, tick(broker), asio::detached);
    signals.async_wait([&](boost::system::error_code, int) {
        broker.async_drain(std::chrono::seconds(5), asio::detached); // everybody is told goodbye
    });
    io.run();
} catch (const std::exception& e) {
    std::cerr << e.what() << '\n';
    return 2;
}
