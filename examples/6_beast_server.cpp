// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// A broker inside an HTTP server that is there already: Boost.Beast with coroutines, which serves its own
// pages, and hands /ws, /events and /publish over. The page shows how often it was visited, as it happens.
//
//   6_beast_server [PORT]     # 8080 unless given; Ctrl-C ends it
//
// Open http://127.0.0.1:8080/ in two windows; or
//
//   curl -N 'http://127.0.0.1:8080/events?topic=visits&topic=chat'
//   curl http://127.0.0.1:8080/
//   curl -d '{"topic":"chat","payload":"hello"}' http://127.0.0.1:8080/publish

#include <pusher/broker.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>
#include <utility>

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;

namespace {

constexpr auto token = asio::as_tuple(asio::use_awaitable);

constexpr std::string_view page = R"(<!doctype html>
<title>visits</title>
<p>This page was visited <b>0</b> times since you came.</p>
<script>
    const b = document.querySelector("b")
    new EventSource("/events?topic=visits").onmessage = () => b.textContent = +b.textContent + 1
</script>
)";

/// The server, as it would be without a broker but for a few lines.
class server {
public:
    explicit server(pusher::broker<>& broker) : broker_(broker) {}

    asio::awaitable<void> accept(tcp::acceptor& acceptor) {
        while (acceptor.is_open()) {
            auto [ec, socket] = co_await acceptor.async_accept(token);
            if (!ec) {
                asio::co_spawn(
                    acceptor.get_executor(), serve(beast::tcp_stream(std::move(socket))), asio::detached);
            } else if (acceptor.is_open()) { // too many files are open: some will be closed
                asio::steady_timer pause(acceptor.get_executor(), std::chrono::milliseconds(100));
                co_await pause.async_wait(token);
            }
        }
    }

private:
    asio::awaitable<void> serve(beast::tcp_stream stream) {
        beast::flat_buffer buffer;
        for (bool go_on = true; go_on;) {
            http::request<http::string_body> request;
            stream.expires_after(std::chrono::seconds(30));
            if (auto [ec, size] = co_await http::async_read(stream, buffer, request, token); ec)
                co_return;

            if (belongs_to_broker(request)) {
                // What was read beyond the request goes along: a WebSocket's first message, perhaps. From
                // here on the connection is the broker's, which answers, and ends it when it is no use any
                // more.
                auto rest = beast::buffers_to_string(buffer.data());
                broker_.accept(std::move(stream), std::move(request), std::move(rest));
                co_return;
            }

            auto response = answer(request);
            go_on = response.keep_alive();
            if (auto [ec, size] = co_await http::async_write(stream, response, token); ec)
                co_return;
        }
        boost::system::error_code ignored;
        stream.socket().shutdown(tcp::socket::shutdown_send, ignored);
    }

    static bool belongs_to_broker(const http::request<http::string_body>& request) {
        const std::string_view target = request.target();
        const auto path = target.substr(0, target.find('?'));
        return path == "/ws" || path == "/events" || path == "/publish";
    }

    http::response<http::string_body> answer(const http::request<http::string_body>& request) {
        http::response<http::string_body> response(http::status::ok, request.version());
        if (request.target() != "/") {
            response.result(http::status::not_found);
        } else if (request.method() != http::verb::get) {
            response.result(http::status::method_not_allowed);
            response.set(http::field::allow, "GET");
        } else {
            response.set(http::field::content_type, "text/html; charset=utf-8");
            response.body() = page;
            broker_.publish("visits", std::to_string(++visits_));
        }
        response.keep_alive(request.keep_alive());
        response.prepare_payload();
        return response;
    }

    pusher::broker<>& broker_;
    unsigned visits_ = 0;
};

} // namespace

int main(int argc, char** argv) try {
    const auto port = static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 8080);
    asio::io_context io(1);
    asio::signal_set signals(io, SIGINT, SIGTERM);
    pusher::broker<> broker(io); // it listens nowhere itself, so it needs no transport
    server pages(broker);

    tcp::acceptor acceptor(io, {asio::ip::address_v4::loopback(), port});
    std::cout << "listening http " << acceptor.local_endpoint() << std::endl;
    asio::co_spawn(io, pages.accept(acceptor), asio::detached);

    signals.async_wait([&](pusher::error_code, int) {
        acceptor.close();
        // Whoever listens is told goodbye. Connections that only wait for the next request need not be.
        broker.async_drain(std::chrono::seconds(5), [&](pusher::error_code) { io.stop(); });
    });
    io.run();
} catch (const std::exception& e) {
    std::cerr << e.what() << '\n';
    return 2;
}
