// Copyright 2026 The pusher authors. Distributed under the Boost Software License, Version 1.0.

// Every core: a broker in each of several threads, which are as one for their peers. The program owns the
// threads and their event loops; the group joins the brokers.
//
//   10_threads [PORT [THREADS]]        # 8080, and as many as there are cores; Ctrl-C ends it
//
// Then, as often as you like, each in a window of its own (the kernel picks a thread for each):
//
//   curl -N 'http://127.0.0.1:8080/events?topic=chat'
//
// and
//
//   curl -d '{"topic":"chat","payload":"hello"}' http://127.0.0.1:8080/publish
//   curl http://127.0.0.1:8080/stats

#include <pusher/broker_group.hpp>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <iostream>
#include <thread>
#include <vector>

namespace asio = boost::asio;

int main(int argc, char** argv) try {
    const int port = argc > 1 ? std::atoi(argv[1]) : 8080;
    if (port < 0 || port > 65'535) {
        std::cerr << argv[1] << " is no port\n";
        return 2;
    }
    const auto cores = std::clamp(std::thread::hardware_concurrency(), 1U, 64U);
    std::deque<asio::io_context> contexts(argc > 2 ? static_cast<std::size_t>(std::atoi(argv[2])) : cores);

    pusher::broker_group<pusher::transport::http> brokers(contexts, {.history = {.messages = 100}});
    const auto listener = brokers.listen(
        pusher::http_params{.listen = pusher::stream_address{.port = static_cast<std::uint16_t>(port)}});
    std::cout << "listening http " << listener.local_endpoint() << std::endl;

    asio::signal_set signals(contexts.front(), SIGINT, SIGTERM);
    signals.async_wait([&](boost::system::error_code, int) {
        brokers.async_drain(std::chrono::seconds(5), [](pusher::error_code) {}); // everybody is told goodbye
    });
    std::vector<std::jthread> threads;
    for (auto& c : contexts)
        threads.emplace_back([&c] { c.run(); }); // until its broker has been drained
    threads.clear();
} catch (const std::exception& e) {
    std::cerr << e.what() << '\n';
    return 2;
}
