// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// The C++ client, over TCP, a Unix-domain socket or WebSocket: it connects again when the connection is lost,
// subscribes anew, and resumes where the topic has a history.
//
//   7_client URL TOPIC                # prints what comes; Ctrl-C ends it
//   7_client URL TOPIC PAYLOAD...     # publishes
//
// With the hub (`hub --history 100`) running, each in a window of its own:
//
//   7_client ws://127.0.0.1:8080/ws news
//   7_client tcp://127.0.0.1:9000 news sun rain
//
// Stop the hub and start it again, and the first one goes on. A hub that wants to know who you are gets what
// the environment variable TOKEN holds. `wss://` and `tls://` need OpenSSL, and one line more:
// `.secure = pusher::tls_client()` of <pusher/ext/tls_client.hpp>.

#include <pusher/client.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <cstdlib>
#include <exception>
#include <iostream>
#include <span>
#include <string>
#include <utility>
#include <variant>

namespace asio = boost::asio;

namespace {

constexpr auto token = asio::as_tuple(asio::use_awaitable);

/// Says what a client receives: a message, or what there is to say of it and of the connection, in order.
struct printer {
    void operator()(const pusher::pinned_message& message) const {
        std::cout << message->topic() << ": " << message->payload() << std::endl;
    }
    void operator()(const pusher::client_gap& gap) const {
        std::cout << gap.topic << ": " << gap.count << " are missing" << std::endl;
    }
    void operator()(const pusher::client_connected& connected) const {
        std::cout << (connected.again ? "connected again" : "connected") << std::endl;
    }
    void operator()(const pusher::client_disconnected& lost) const {
        std::cout << "disconnected: " << (lost.reason.empty() ? lost.error.message() : lost.reason);
        if (lost.retry_in)
            std::cout << "; next attempt in " << lost.retry_in->count() << " ms";
        std::cout << std::endl;
    }
    void operator()(const pusher::client_unrecovered& topic) const {
        std::cout << topic.topic << ": "
                  << (topic.error ? topic.error.message() : "not all that was missed is there") << std::endl;
    }
    void operator()(std::monostate) const {}
};

/// Receives until the client is closed. `async_run` does the rest: there is no loop here that connects.
asio::awaitable<void> receive(pusher::client& client) {
    for (;;) {
        auto [ec, event] = co_await client.async_receive(token);
        if (ec)
            co_return;
        std::visit(printer(), event);
    }
}

/// Asks once; the client asks again on every connection that follows. While there is no hub at all, what is
/// asked for comes back after `client_params::request_timeout`, so that nothing waits without end unless one
/// wants it to.
asio::awaitable<void> listen(pusher::client& client, std::string topic) {
    for (;;) {
        auto [ec, result] = co_await client.async_subscribe(topic, token);
        if (ec == pusher::client_errc::not_sent)
            continue;
        if (!ec) {
            std::cout << "subscribed to " << topic << std::endl;
        } else if (ec != pusher::errc::closed) {
            std::cerr << "cannot subscribe: " << (result.reason.empty() ? ec.message() : result.reason)
                      << '\n';
            client.close();
        }
        co_return;
    }
}

/// Publishes one after the other. Whether a publish that got no answer was done nobody knows: to be sure,
/// publish it again with the same `id`, and let subscribers tell by that.
asio::awaitable<void> publish(pusher::client& client, std::string topic, std::span<char*> payloads) {
    for (const auto* const payload : payloads) {
        auto [ec, result] = co_await client.async_publish(topic, payload, token);
        if (ec == pusher::client_condition::outcome_unknown)
            std::cerr << "published, perhaps: " << ec.message() << '\n';
        else if (ec)
            std::cerr << "not published: " << (result.reason.empty() ? ec.message() : result.reason) << '\n';
        else
            std::cout << "published to " << result.matched << std::endl;
    }
    client.close();
}

} // namespace

int main(int argc, char** argv) try {
    if (argc < 3) {
        std::cerr << "usage: 7_client URL TOPIC [PAYLOAD...]\n";
        return 2;
    }
    const char* const secret = std::getenv("TOKEN");
    const std::span<char*> payloads(argv + 3, argv + argc);

    asio::io_context io(1);
    pusher::client client(io, {.url = argv[1], .token = secret ? secret : ""});
    asio::signal_set signals(io, SIGINT, SIGTERM);
    signals.async_wait([&](pusher::error_code ec, int) {
        if (!ec)
            client.close(); // with a goodbye
    });

    int status = 0;
    client.async_run(
        [&](pusher::error_code ec) { // it ends only when asked to, or when to try again is of no use
            if (ec && ec != pusher::errc::closed) {
                std::cerr << "the hub does not want this client: " << ec.message() << '\n';
                status = 1;
            }
            signals.cancel();
            client.close();
        });
    if (payloads.empty()) {
        asio::co_spawn(io, receive(client), asio::detached);
        asio::co_spawn(io, listen(client, argv[2]), asio::detached);
    } else {
        asio::co_spawn(io, publish(client, argv[2], payloads), asio::detached);
    }
    io.run();
    return status;
} catch (const std::exception& e) {
    std::cerr << e.what() << '\n';
    return 2;
}
