// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// A coroutine as subscriber: it takes one message after another and may wait between them, for as long as its
// outbox has room. What it loses when it is too slow, it is told.
//
// The publisher sends ten messages at once to an outbox that holds four; the newest four win. Try it: it
// needs no network and ends at once.
//
//   2_coroutine

#include <pusher/broker.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <iostream>
#include <string>

namespace asio = boost::asio;

namespace {

/// Takes messages until one says `stop`.
asio::awaitable<void> read(pusher::subscriber& subscriber) {
    asio::steady_timer work(co_await asio::this_coro::executor);
    for (;;) {
        const auto delivery = co_await subscriber.async_receive(asio::use_awaitable);
        if (delivery.missed != 0)
            std::cout << "missed " << delivery.missed << '\n';
        const auto& message = *delivery.message; // it is ours: nothing that happens meanwhile changes it
        std::cout << message->topic() << ": " << message->payload() << '\n';
        if (message->payload() == "stop")
            co_return;
        work.expires_after(std::chrono::milliseconds(1)); // a database, a file, another server
        co_await work.async_wait(asio::use_awaitable);
    }
}

} // namespace

int main() {
    asio::io_context io;
    pusher::broker<> broker(
        io, {.outbox = {.messages = 4, .overflow = pusher::overflow_policy::drop_oldest}});

    auto subscriber = broker.make_subscriber();
    subscriber.subscribe("news/+", {.match = pusher::match_mode::filter});
    asio::co_spawn(io, read(subscriber), asio::detached);

    for (int i = 1; i <= 10; ++i)
        broker.publish("news/weather", std::to_string(i));
    broker.publish("news/end", "stop");
    io.run();
}
