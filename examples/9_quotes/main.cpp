// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// Live quotes of 200 symbols, 5,000 a second, and a page that can be given too slow a line for them. Whoever
// is slow gets fewer quotes, but new ones, and in the end the newest of each symbol: when its outbox is full,
// quotes go for which there is a newer one of the same symbol (`overflow_policy::conflate`), and it is told
// how many. Nobody else notices.
//
//   9_quotes [PORT [QUOTES_PER_SECOND]]     # 8080 and 5000 unless given; Ctrl-C ends it
//
// Open http://127.0.0.1:8080/ and turn "Slow line" on and off. Or without a browser, as the page does it; the
// second shows how many quotes were left out, each time that some were:
//
//   curl -N 'http://127.0.0.1:8080/events?topic=quotes'
//   curl -N -s http://127.0.0.1:8080/slow | grep --line-buffered count
//   curl http://127.0.0.1:8080/stats        # dropped_conflated

#include "page.hpp"
#include "slow_line.hpp"

#include <pusher/broker.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace asio = boost::asio;
namespace http = boost::beast::http;

namespace {

constexpr auto token = asio::as_tuple(asio::use_awaitable);

/// A market that does not exist: prices walk at random, and all symbols are traded alike. (What is conflated
/// is sent the oldest first, so one that was traded far more than others would have to wait for them while a
/// reader is slow.)
class market {
public:
    market() {
        for (int i = 0; i != 200; ++i)
            symbols_.push_back(
                {{static_cast<char>('A' + i / 20), static_cast<char>('A' + i % 20), 'X'}, 2000 + 10 * i});
    }

    /// Somebody has traded. \return the symbol, and the quote as JSON.
    std::pair<std::string_view, std::string> next() {
        auto& s = symbols_[random_() % symbols_.size()];
        s.cents = std::max(100, s.cents + static_cast<int>(random_() % 11) - 5);
        const auto now = std::chrono::system_clock::now().time_since_epoch();
        return {
            s.name, boost::json::serialize(boost::json::object{
                        {"symbol", s.name},
                        {"cents", s.cents},
                        {"number", ++s.quotes}, // of the symbol's quotes
                        {"total", ++quotes_},   // of all
                        {"ms", std::chrono::duration_cast<std::chrono::milliseconds>(now).count()}})};
    }

private:
    struct symbol {
        std::string name;
        int cents;
        std::uint64_t quotes = 0;
    };
    std::vector<symbol> symbols_;
    std::uint64_t quotes_ = 0;
    std::mt19937 random_;
};

/// Publishes what a hundredth of a second brings.
asio::awaitable<void> trade(pusher::broker_core& broker, int per_second) {
    market all;
    asio::steady_timer timer(broker.get_executor(), std::chrono::steady_clock::now());
    for (double due = 0; !broker.stopped();) {
        for (due += per_second / 100.0; due >= 1; --due) {
            const auto [symbol, quote] = all.next();
            broker.publish("quotes", quote, {.key = symbol});
        }
        timer.expires_at(timer.expiry() + std::chrono::milliseconds(10));
        co_await timer.async_wait(token);
        // However much there is to do, no more is made before these are on their way.
        co_await broker.async_wait_writable(token);
    }
}

/// Serves the page, and the stream of quotes by a slow line.
bool serve(pusher::broker<pusher::transport::http>& broker, const pusher::http_connection_ptr& connection) {
    auto request = connection->request();
    if (request.target() == "/slow") {
        request.target("/events?topic=quotes");
        auto [line, rest] = connection->release();
        broker.accept(
            pusher::channel_ptr(new quotes::slow_line(std::move(line), 32 * 1024, broker.get_executor())),
            std::move(request), std::move(rest));
        return true;
    }
    if (request.target() != "/" || request.method() != http::verb::get)
        return false; // 404
    pusher::http_response response(http::status::ok, request.version());
    response.keep_alive(request.keep_alive());
    response.set(http::field::content_type, "text/html; charset=utf-8");
    response.set(http::field::cache_control, "no-cache");
    // The page has a policy of its own, which cannot say this.
    response.set("Content-Security-Policy", "frame-ancestors 'none'");
    response.set("X-Content-Type-Options", "nosniff");
    response.body() = quotes::page_html;
    connection->respond(std::move(response));
    return true;
}

} // namespace

int main(int argc, char** argv) try {
    const auto port = static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 8080);
    const auto per_second = std::clamp(argc > 2 ? std::atoi(argv[2]) : 5000, 1, 1'000'000);
    asio::io_context io(1);
    asio::signal_set signals(io, SIGINT, SIGTERM);

    pusher::broker_params params;
    params.topic_policies = {{.filter = "quotes", .overflow = pusher::overflow_policy::conflate}};
    // What is conflated may fill 7/8 of an outbox: there is room for a quote of each symbol.
    params.outbox.messages = 256;
    // Who is slow is conflated for, and not waited for.
    params.tolerated_slow_sessions = 1;
    params.authorize = [](const pusher::access_request& request, const pusher::access_answer& answer) {
        answer(request.action == pusher::access_request::kind::subscribe); // quotes are made here alone
    };
    pusher::broker<pusher::transport::http> broker(io, params);
    const auto listener = broker.listen(pusher::http_params{
        .listen = pusher::stream_address{.port = port},
        .handler = [&](const auto& connection) { return serve(broker, connection); }});
    std::cout << "listening http " << listener.local_endpoint() << std::endl;

    asio::co_spawn(io, trade(broker, per_second), asio::detached);
    signals.async_wait(
        [&](pusher::error_code, int) { broker.async_drain(std::chrono::seconds(5), asio::detached); });
    io.run();
} catch (const std::exception& e) {
    std::cerr << e.what() << '\n';
    return 2;
}
